"""Behaviours of AWS that neither emulator has, one module a service."""

from __future__ import annotations

from lab.aws.context import Lab, Model
from lab.aws.models.account import Account
from lab.aws.models.acm import Acm
from lab.aws.models.cloudfront import CloudFront
from lab.aws.models.cloudwatch import CloudWatch
from lab.aws.models.discovery import Discovery
from lab.aws.models.ec2 import Ec2
from lab.aws.models.elasticache import ElastiCache
from lab.aws.models.kms import Kms
from lab.aws.models.logs import Logs
from lab.aws.models.logs_groups import LogGroups
from lab.aws.models.logs_queries import LogQueries
from lab.aws.models.route53 import Route53
from lab.aws.models.s3 import S3
from lab.aws.models.secretsmanager import SecretsManager
from lab.aws.models.sns import Sns
from lab.aws.models.sns_subscriptions import SnsSubscriptions
from lab.aws.models.sts import Sessions
from lab.aws.models.tagging import Tagging


def all_models(lab: Lab) -> list[Model]:
    """In the order they are asked. Tagging comes last: it learns from the others' answers."""
    elasticache = ElastiCache(lab)
    apart: list[Model] = [elasticache, Ec2(lab, elasticache.security_group_users), SecretsManager(lab)]
    monitoring: list[Model] = [CloudWatch(lab), Logs(lab), LogGroups(lab), LogQueries(lab), Sns(lab), SnsSubscriptions(lab), Kms(lab)]
    return [Sessions(lab), Account(lab), CloudFront(lab), Acm(lab), Route53(lab), *monitoring, Discovery(lab), S3(), *apart, Tagging(lab)]

"""AWS's request rates: per account and region, each with the document it is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

READ_ON = "2026-11-23"
"""The day the documents below were read."""
CLOUDWATCH = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html"
ROUTE53 = "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html#limits-api-requests"
ACM = "https://docs.aws.amazon.com/acm/latest/userguide/acm-limits.html#api-rate-limits"
SNS_TAGS = "https://docs.aws.amazon.com/sns/latest/api/API_TagResource.html"
INVALIDATIONS = "https://github.com/aws/aws-sdk-js/issues/3983"
UNDOCUMENTED = ""


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second. `burst` is how many may go at once after a rest; `shared` names the bucket of operations that count together.
    `source` is empty where AWS publishes no rate: then it is a careful guess, and what AWS's throttling teaches counts."""

    per_second: float
    burst: float = 1.0
    shared: str = ""
    source: str = UNDOCUMENTED


Rates = Mapping[tuple[str, str], Rate]

GLOBAL_SERVICES = frozenset({"cloudfront", "route53", "iam"})
"""Services whose rates hold for the account, whatever the region."""

RATES: Rates = {
    ("*", "*"): Rate(5, burst=5),
    # CloudFront publishes quotas of things but no rate of calls; its quotas page has none, Service Quotas neither. What AWS's own
    # maintainers named is CreateInvalidation's 0.5; people who update some 100 distributions at once report "Rate exceeded".
    ("cloudfront", "Get*"): Rate(10, burst=10),
    ("cloudfront", "List*"): Rate(10, burst=10),
    ("cloudfront", "Describe*"): Rate(10, burst=10),
    ("cloudfront", "*"): Rate(2, burst=4),
    ("cloudfront", "CreateInvalidation"): Rate(0.5, source=INVALIDATIONS),
    ("cloudwatch", "DescribeAlarms"): Rate(9, source=CLOUDWATCH),
    ("cloudwatch", "PutMetricAlarm"): Rate(3, source=CLOUDWATCH),
    ("cloudwatch", "DeleteAlarms"): Rate(3, source=CLOUDWATCH),
    ("cloudwatch", "DescribeAlarmHistory"): Rate(3, source=CLOUDWATCH),
    ("cloudwatch", "DescribeAlarmsForMetric"): Rate(3, source=CLOUDWATCH),
    ("cloudwatch", "EnableAlarmActions"): Rate(3, source=CLOUDWATCH),
    ("cloudwatch", "DisableAlarmActions"): Rate(3, source=CLOUDWATCH),
    ("cloudwatch", "SetAlarmState"): Rate(3, source=CLOUDWATCH),
    ("cloudwatch", "GetMetricData"): Rate(50, burst=5, source=CLOUDWATCH),
    ("cloudwatch", "*"): Rate(5, burst=5),
    ("route53", "*"): Rate(5, shared="account", source=ROUTE53),
    ("acm", "ListCertificates"): Rate(1, source=ACM),
    ("acm", "DescribeCertificate"): Rate(10, source=ACM),
    ("acm", "GetCertificate"): Rate(10, source=ACM),
    ("acm", "ListTagsForCertificate"): Rate(10, source=ACM),
    ("acm", "DeleteCertificate"): Rate(10, source=ACM),
    ("acm", "RequestCertificate"): Rate(5, source=ACM),
    ("acm", "AddTagsToCertificate"): Rate(5, source=ACM),
    ("acm", "RemoveTagsFromCertificate"): Rate(5, source=ACM),
    ("acm", "UpdateCertificateOptions"): Rate(5, source=ACM),
    ("acm", "*"): Rate(1, source=ACM),
    ("sns", "TagResource"): Rate(10, shared="tags", source=SNS_TAGS),
    ("sns", "UntagResource"): Rate(10, shared="tags", source=SNS_TAGS),
    ("sns", "ListTagsForResource"): Rate(10, shared="tags", source=SNS_TAGS),
    ("sns", "*"): Rate(10, burst=5),
    ("s3", "*"): Rate(20, burst=10),
    ("sts", "*"): Rate(20, burst=5),
    ("logs", "*"): Rate(5, burst=5),
    ("resourcegroupstaggingapi", "*"): Rate(5, burst=5),
}


def rate_of(rates: Rates, service: str, operation: str) -> tuple[str, Rate]:
    """The row for `GetDistribution`: by name, by the verb it begins with, by service, else the common one. With the name of its bucket."""
    verbs = (pattern for known, pattern in rates if known == service and pattern.endswith("*") and pattern != "*")
    verb = next((pattern for pattern in verbs if operation.startswith(pattern[:-1])), "*")
    rate = rates.get((service, operation)) or rates.get((service, verb)) or rates[("*", "*")]
    return rate.shared or operation, rate

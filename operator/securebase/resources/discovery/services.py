"""What each kind of service lists, how one thing of it is read by its id, and which of its attributes the list tells."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from securebase.clients.aws import AwsScope, Refusal

Entry = Mapping[str, Any]


def _nothing(aws: AwsScope, name: str) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Service:
    """One kind of thing.

    list      client, operation, and where in a page the entries are
    named     the name that people give, of an entry
    told      attributes of an entry; `arn` among them
    read      client, operation, the parameter that takes the name, and the codes that say there is none; () where only a list tells
    resource  type in the tagging API
    beside    attributes that no list tells, read one by one in turns
    """

    list: tuple[str, str, tuple[str, ...]]
    named: Callable[[Any], str]
    told: Callable[[Any, AwsScope], Mapping[str, str]]
    resource: str
    read: tuple[str, str, str, Collection[str]] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    beside: Callable[[AwsScope, str], Mapping[str, str]] = _nothing


def _of_function(entry: Entry, aws: AwsScope) -> Mapping[str, str]:
    logging = entry.get("LoggingConfig") or {}
    name = str(entry["FunctionName"])
    return {
        "arn": str(entry["FunctionArn"]),
        "timeoutSeconds": str(entry.get("Timeout") or ""),
        "logGroup": str(logging.get("LogGroup") or f"/aws/lambda/{name}"),
        "logFormat": str(logging.get("LogFormat") or "Text"),
    }


def _concurrency(aws: AwsScope, name: str) -> Mapping[str, str]:
    answer = aws.attempt("lambda", "get_function_concurrency", ("ResourceNotFoundException",), FunctionName=name)
    reserved = None if isinstance(answer, Refusal) else answer.get("ReservedConcurrentExecutions")
    return {} if reserved is None else {"reservedConcurrency": str(reserved)}


def _dead_letters(aws: AwsScope, name: str) -> Mapping[str, str]:
    """The queue that takes what this one could not get rid of."""
    url = aws.attempt("sqs", "get_queue_url", _NO_QUEUE, QueueName=name)
    if isinstance(url, Refusal):
        return {}
    answer = aws.attempt("sqs", "get_queue_attributes", _NO_QUEUE, QueueUrl=url["QueueUrl"], AttributeNames=["RedrivePolicy"])
    policy = "" if isinstance(answer, Refusal) else (answer.get("Attributes") or {}).get("RedrivePolicy", "")
    target = json.loads(policy).get("deadLetterTargetArn", "") if policy else ""
    return {"dlq": target.rpartition(":")[2]} if target else {}


def _of_cluster(entry: Entry, aws: AwsScope) -> Mapping[str, str]:
    members = sorted(str(member["DBInstanceIdentifier"]) for member in entry.get("DBClusterMembers") or ())
    return {"arn": str(entry["DBClusterArn"]), "members": ",".join(members)}


def _of_group(entry: Entry, aws: AwsScope) -> Mapping[str, str]:
    return {"arn": str(entry.get("ARN") or ""), "members": ",".join(sorted(map(str, entry.get("MemberClusters") or ())))}


def _of_rest_api(entry: Entry, aws: AwsScope) -> Mapping[str, str]:
    return {"arn": f"arn:{aws.partition}:apigateway:{aws.region}::/restapis/{entry['id']}", "id": str(entry["id"])}


def _of_http_api(entry: Entry, aws: AwsScope) -> Mapping[str, str]:
    return {"arn": f"arn:{aws.partition}:apigateway:{aws.region}::/apis/{entry['ApiId']}", "id": str(entry["ApiId"])}


def _of_table(entry: str, aws: AwsScope) -> Mapping[str, str]:
    return {"arn": f"arn:{aws.partition}:dynamodb:{aws.region}:{aws.account_id}:table/{entry}"}


def _of_queue(entry: str, aws: AwsScope) -> Mapping[str, str]:
    return {"arn": f"arn:{aws.partition}:sqs:{aws.region}:{aws.account_id}:{_last(entry)}"}


def _of_distribution(entry: Entry, aws: AwsScope) -> Mapping[str, str]:
    return {"arn": str(entry["ARN"]), "id": str(entry["Id"])}


def _last(url: str) -> str:
    return url.rpartition("/")[2]


_NO_QUEUE: Final = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")

SERVICES: Final[Mapping[str, Service]] = {
    "Lambda": Service(
        ("lambda", "list_functions", ("Functions",)),
        lambda entry: str(entry["FunctionName"]),
        _of_function,
        "lambda:function",
        ("lambda", "get_function_configuration", "FunctionName", ("ResourceNotFoundException",)),
        beside=_concurrency,
    ),
    "DynamoDB": Service(
        ("dynamodb", "list_tables", ("TableNames",)),
        str,
        _of_table,
        "dynamodb:table",
        ("dynamodb", "describe_table", "TableName", ("ResourceNotFoundException",)),
    ),
    "Aurora": Service(
        ("rds", "describe_db_clusters", ("DBClusters",)),
        lambda entry: str(entry["DBClusterIdentifier"]),
        _of_cluster,
        "rds:cluster",
        ("rds", "describe_db_clusters", "DBClusterIdentifier", ("DBClusterNotFoundFault", "DBClusterNotFound")),
    ),
    "ElastiCache": Service(
        ("elasticache", "describe_replication_groups", ("ReplicationGroups",)),
        lambda entry: str(entry["ReplicationGroupId"]),
        _of_group,
        "elasticache:replicationgroup",
        ("elasticache", "describe_replication_groups", "ReplicationGroupId", ("ReplicationGroupNotFoundFault",)),
    ),
    "Sqs": Service(
        ("sqs", "list_queues", ("QueueUrls",)),
        lambda entry: _last(str(entry)),
        _of_queue,
        "sqs",
        ("sqs", "get_queue_url", "QueueName", _NO_QUEUE),
        {"MaxResults": 1000},  # without it ListQueues tells a thousand and no token (SQS API reference)
        beside=_dead_letters,
    ),
    "ApiGatewayRest": Service(("apigateway", "get_rest_apis", ("items",)), lambda entry: str(entry["name"]), _of_rest_api, "apigateway"),
    "ApiGatewayHttp": Service(
        ("apigatewayv2", "get_apis", ("Items",)),
        lambda entry: str(entry["ApiId"]),
        _of_http_api,
        "apigateway",
        ("apigatewayv2", "get_api", "ApiId", ("NotFoundException",)),
    ),
    "CloudFront": Service(
        ("cloudfront", "list_distributions", ("DistributionList", "Items")),
        lambda entry: str(entry["Id"]),
        _of_distribution,
        "cloudfront:distribution",
        ("cloudfront", "get_distribution", "Id", ("NoSuchDistribution",)),
    ),
}

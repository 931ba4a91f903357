"""What each kind of service lists, how one thing of it is read by its id, and which of its attributes are told."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.resources.discovery import access_logs

Attributes = Mapping[str, str]
Entry = Mapping[str, Any]
_Entry = Callable[[Entry], Entry]


@dataclass(frozen=True, slots=True)
class ById:
    """How one thing is read: client, operation, the parameter that takes the id, and the codes that say there is none.

    entry  what the answer tells of it, as a list would; None where ids are compared letter by letter and there is nothing to compare
    """

    client: str
    operation: str
    parameter: str
    gone: Collection[str]
    entry: _Entry | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """Attributes that no list tells, read one by one in turns: their names, and the read by id."""

    tells: frozenset[str]
    read: Callable[[AwsScope, str], Attributes]


def _is_of_the_kind(entry: Any) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Service:
    """One kind of thing.

    list        client, operation, and where in a page the entries are
    named       the name that people give, of an entry
    told        attributes of an entry; `arn` among them
    tells       names of all attributes that a thing may have, wherever they are from
    read        by its id
    resource    type in the tagging API
    identified  the id, of an entry, where it is not the name: then one name may mean several things
    another     why an entry is a thing of another service after all; "" where it is not
    joined      attributes by id from a second list, of things whose own list does not tell them
    account     attributes that all things of an account and region share
    """

    list: tuple[str, str, tuple[str, ...]]
    named: Callable[[Any], str]
    told: Callable[[Any, AwsScope], Attributes]
    tells: frozenset[str]
    resource: str
    read: ById
    identified: Callable[[Any], str] | None = None
    another: Callable[[Any], str] = _is_of_the_kind
    parameters: Mapping[str, Any] = field(default_factory=dict)
    joined: Callable[[AwsScope], Mapping[str, Attributes]] | None = None
    account: Callable[[AwsScope], Attributes] | None = None
    beside: Beside | None = None

    def id(self, entry: Any) -> str:
        """What nothing else of the kind has in common with it."""
        return (self.identified or self.named)(entry)


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


def _account_concurrency(aws: AwsScope) -> Mapping[str, str]:
    """How many calls the account may run at once in the region. Unknown where that may not be read: the catalogue has a figure for it."""
    answer = aws.attempt("lambda", "get_account_settings", ("AccessDeniedException", "AccessDenied"))
    limit = None if isinstance(answer, Refusal) else (answer.get("AccountLimit") or {}).get("ConcurrentExecutions")
    return {} if limit is None else {"accountConcurrency": str(limit)}


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
    members = ",".join(sorted(str(member["DBInstanceIdentifier"]) for member in entry.get("DBClusterMembers") or ()))
    engine = str(entry.get("Engine") or "")
    told = {"arn": str(entry["DBClusterArn"]), "members": members, "engine": engine, "aurora" if engine.startswith("aurora") else "multiAz": "true"}
    # Set for a whole cluster it is that of each instance, also of those that come later (RDS, CreateDBCluster, MonitoringInterval).
    return {**told, **(_monitored(members) if entry.get("MonitoringInterval") and members else {})}


def _other_database(entry: Entry) -> str:
    """DescribeDBClusters tells of Amazon Neptune's and Amazon DocumentDB's clusters as well (RDS, API reference)."""
    service = {"docdb": "DocumentDB", "neptune": "Neptune"}.get(engine := str(entry.get("Engine") or ""))
    if service is None:
        return ""
    return f"the DB cluster of that name is of {service} ({engine}), which publishes other metrics in another namespace: watch those as Custom"


def _monitored(instances: str) -> Mapping[str, str]:
    """Whose operating system Enhanced Monitoring watches, and the one log group that it writes into, whosesoever instance it is."""
    return {"monitored": instances, "logGroup": "RDSOSMetrics"}


def _monitored_instances(aws: AwsScope) -> Mapping[str, Attributes]:
    """By cluster."""
    found: dict[str, list[str]] = defaultdict(list)
    for page in aws.pages("rds", "describe_db_instances"):
        for entry in page.get("DBInstances") or ():
            if entry.get("DBClusterIdentifier") and entry.get("MonitoringInterval"):
                found[str(entry["DBClusterIdentifier"])].append(str(entry["DBInstanceIdentifier"]))
    return {cluster: _monitored(",".join(sorted(instances))) for cluster, instances in found.items()}


def _first(member: str) -> _Entry:
    """Of an answer to a list that was asked for one thing."""
    return lambda answer: next(iter(answer.get(member) or ()), {})


def _whole(answer: Entry) -> Entry:
    return answer


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
        frozenset({"arn", "timeoutSeconds", "logGroup", "logFormat", "reservedConcurrency", "accountConcurrency"}),
        "lambda:function",
        ById("lambda", "get_function_configuration", "FunctionName", ("ResourceNotFoundException",), _whole),
        account=_account_concurrency,
        beside=Beside(frozenset({"reservedConcurrency"}), _concurrency),
    ),
    "DynamoDB": Service(
        ("dynamodb", "list_tables", ("TableNames",)),
        str,
        _of_table,
        frozenset({"arn"}),
        "dynamodb:table",
        ById("dynamodb", "describe_table", "TableName", ("ResourceNotFoundException",)),
    ),
    "Aurora": Service(
        ("rds", "describe_db_clusters", ("DBClusters",)),
        lambda entry: str(entry["DBClusterIdentifier"]),
        _of_cluster,
        frozenset({"arn", "members", "engine", "aurora", "multiAz", "monitored", "logGroup"}),
        "rds:cluster",
        ById("rds", "describe_db_clusters", "DBClusterIdentifier", ("DBClusterNotFoundFault", "DBClusterNotFound"), _first("DBClusters")),
        another=_other_database,
        joined=_monitored_instances,
    ),
    "ElastiCache": Service(
        ("elasticache", "describe_replication_groups", ("ReplicationGroups",)),
        lambda entry: str(entry["ReplicationGroupId"]),
        _of_group,
        frozenset({"arn", "members"}),
        "elasticache:replicationgroup",
        ById("elasticache", "describe_replication_groups", "ReplicationGroupId", ("ReplicationGroupNotFoundFault",), _first("ReplicationGroups")),
    ),
    "Sqs": Service(
        ("sqs", "list_queues", ("QueueUrls",)),
        lambda entry: _last(str(entry)),
        _of_queue,
        frozenset({"arn", "dlq"}),
        "sqs",
        ById("sqs", "get_queue_url", "QueueName", _NO_QUEUE),
        parameters={"MaxResults": 1000},  # without it ListQueues tells a thousand and no token (SQS API reference)
        beside=Beside(frozenset({"dlq"}), _dead_letters),
    ),
    "ApiGatewayRest": Service(
        ("apigateway", "get_rest_apis", ("items",)),
        lambda entry: str(entry["name"]),
        _of_rest_api,
        frozenset({"arn", "id", "accessLogs", "namesakes"}),
        "apigateway",
        ById("apigateway", "get_rest_api", "restApiId", ("NotFoundException",), _whole),
        identified=lambda entry: str(entry["id"]),
        beside=Beside(frozenset({"accessLogs"}), access_logs.of_rest_api),
    ),
    "ApiGatewayHttp": Service(
        ("apigatewayv2", "get_apis", ("Items",)),
        lambda entry: str(entry["ApiId"]),
        _of_http_api,
        frozenset({"arn", "id", "accessLogs"}),
        "apigateway",
        ById("apigatewayv2", "get_api", "ApiId", ("NotFoundException",), _whole),
        beside=Beside(frozenset({"accessLogs"}), access_logs.of_http_api),
    ),
    "CloudFront": Service(
        ("cloudfront", "list_distributions", ("DistributionList", "Items")),
        lambda entry: str(entry["Id"]),
        _of_distribution,
        frozenset({"arn", "id"}),
        "cloudfront:distribution",
        ById("cloudfront", "get_distribution", "Id", ("NoSuchDistribution",)),
    ),
}

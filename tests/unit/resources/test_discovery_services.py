"""What services tell of what there is, from answers as AWS gives them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import pytest

from securebase.clients.aws import Refusal
from securebase.core.driver import Depth, Observed, Target
from securebase.core.errors import Denied, Terminal, Transient
from securebase.core.graph import Role
from securebase.core.identity import Identity
from securebase.resources.discovery.access_logs import log_fields, log_group
from securebase.resources.discovery.inventory import A_ROUND, AT_ONCE, REST_SECONDS, SWEEPS, Inventory, by_name
from securebase.resources.discovery.model import KnownTarget, TagSearch
from securebase.resources.discovery.search import SearchDriver
from securebase.resources.discovery.targets import TargetDriver

ARN = "arn:aws:logs:eu-central-1:123456789012:log-group:"
FORMAT = '{"path": "$context.path", "status": "$context.status"}'
ANSWERS: Mapping[str, Any] = {
    "list_functions": {
        "Functions": [{"FunctionName": "f", "FunctionArn": "arn:f", "Timeout": 3, "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/f"}}],
    },
    "get_function_concurrency": {"ReservedConcurrentExecutions": 5},
    "get_account_settings": {"AccountLimit": {"ConcurrentExecutions": 3000}},
    "list_tables": {"TableNames": ["orders"]},
    "describe_db_clusters": {
        "DBClusters": [
            {"DBClusterIdentifier": "main", "DBClusterArn": "arn:main", "Engine": "aurora-mysql", "DBClusterMembers": [{"DBInstanceIdentifier": "main-1"}]},
            {
                "DBClusterIdentifier": "orders",
                "DBClusterArn": "arn:orders",
                "Engine": "postgres",
                "MonitoringInterval": 60,
                "DBClusterMembers": [{"DBInstanceIdentifier": "orders-2"}, {"DBInstanceIdentifier": "orders-1"}],
            },
            {"DBClusterIdentifier": "papers", "DBClusterArn": "arn:papers", "Engine": "docdb"},
        ]
    },
    "describe_db_instances": {"DBInstances": [{"DBInstanceIdentifier": "main-1", "DBClusterIdentifier": "main", "MonitoringInterval": 15}]},
    "describe_replication_groups": {"ReplicationGroups": [{"ReplicationGroupId": "cache", "ARN": "arn:cache", "MemberClusters": ["cache-001"]}]},
    "list_queues": {"QueueUrls": ["https://sqs/1/mail"]},
    "get_queue_url": {"QueueUrl": "https://sqs/1/mail"},
    "get_queue_attributes": {"Attributes": {"RedrivePolicy": json.dumps({"deadLetterTargetArn": "arn:aws:sqs:eu-central-1:1:dead"})}},
    "get_rest_apis": {"items": [{"name": "orders", "id": "a1"}, {"name": "orders", "id": "b2"}]},
    "get_apis": {"Items": [{"Name": "shop", "ApiId": "c3"}]},
    "list_distributions": {"DistributionList": {"Items": [{"Id": "E1", "ARN": "arn:E1"}]}},
}
STAGES: Mapping[str, Any] = {
    "apigateway": {"item": [{"stageName": "prod", "accessLogSettings": {"destinationArn": f"{ARN}/api", "format": FORMAT}}]},
    "apigatewayv2": {"Items": [{"StageName": "$default", "AccessLogSettings": {"DestinationArn": f"{ARN}/shop:*", "Format": FORMAT}}]},
}


class Scope:
    """Stands for AwsScope."""

    account_id, region, partition = "123456789012", "eu-central-1", "aws"

    def __init__(self, fails: Callable[[str, Mapping[str, Any]], bool] = lambda operation, params: False, error: Exception | None = None) -> None:
        self.calls: list[str] = []
        self.fails, self.error = fails, error or Transient("Throttled", "too many")
        self.answers: dict[str, Any] = dict(ANSWERS)

    def pages(self, service: str, operation: str, /, **params: Any) -> Iterator[Mapping[str, Any]]:
        yield self.call(service, operation, **params)

    def call(self, service: str, operation: str, /, **params: Any) -> Mapping[str, Any]:
        self.calls.append(operation)
        if self.fails(operation, params):
            raise self.error
        answer: Mapping[str, Any] = STAGES[service] if operation == "get_stages" else self.answers[operation]
        return answer

    def attempt(self, service: str, operation: str, expect: Collection[str], /, **params: Any) -> Mapping[str, Any] | Refusal:
        return self.call(service, operation, **params)


def inventory(scope: Any, clock: Callable[[], float] = lambda: 1000.0) -> Inventory:
    return Inventory(scope, clock)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("Lambda", {
            "f": {
                "arn": "arn:f", "timeoutSeconds": "3", "logGroup": "/f", "logFormat": "JSON", "reservedConcurrency": "5", "accountConcurrency": "3000",
            },
        }),
        ("DynamoDB", {"orders": {"arn": "arn:aws:dynamodb:eu-central-1:123456789012:table/orders"}}),
        ("ElastiCache", {"cache": {"arn": "arn:cache", "members": "cache-001"}}),
        ("Sqs", {"mail": {"arn": "arn:aws:sqs:eu-central-1:123456789012:mail", "dlq": "dead"}}),
        ("CloudFront", {"E1": {"arn": "arn:E1", "id": "E1"}}),
        (
            "Aurora",
            {
                "main": {
                    "arn": "arn:main", "members": "main-1", "engine": "aurora-mysql", "aurora": "true", "monitored": "main-1", "logGroup": "RDSOSMetrics",
                },
                "orders": {
                    "arn": "arn:orders", "members": "orders-1,orders-2", "engine": "postgres", "multiAz": "true",
                    "monitored": "orders-1,orders-2", "logGroup": "RDSOSMetrics",
                },
            },
        ),
    ],
)  # fmt: skip
def test_a_service_tells(kind: str, told: Mapping[str, Mapping[str, str]]) -> None:
    known = inventory(Scope())
    found = known.with_beside(kind, known.listed(kind, 0.0))
    assert by_name(found) == {name: {"name": name, **attributes} for name, attributes in told.items()}


@pytest.mark.parametrize(("kind", "name", "stage", "group"), [("ApiGatewayRest", "orders", "prod", "/api"), ("ApiGatewayHttp", "c3", "$default", "/shop")])
def test_an_api_tells_its_access_logs(kind: str, name: str, stage: str, group: str) -> None:
    known = inventory(Scope())
    [api] = by_name(known.with_beside(kind, known.listed(kind, 0.0))).values()
    expected = {"stage": stage, "logGroup": group, "fields": {"path": "path", "status": "status"}}
    assert api["name"] == name and json.loads(api["accessLogs"]) == [expected] * (2 if kind == "ApiGatewayRest" else 1)
    assert api.get("namesakes") == ("a1,b2" if kind == "ApiGatewayRest" else None)


def test_what_may_have_been_meant_is_told() -> None:
    known = inventory(Scope())
    assert known.listed("Aurora", 0.0).keys() == {"main", "orders"}
    assert known.instead("Aurora", "papers").startswith("the DB cluster of that name is of DocumentDB (docdb)")
    assert known.instead("Aurora", "MAIN") == "there is main: write it in the same letter case"
    assert known.instead("Aurora", "other") == ""


def test_another_letter_case_and_another_service_are_absent_though_they_are_read() -> None:
    scope = Scope()
    known = inventory(scope)
    assert not known.absent("Aurora", "main", "main")
    assert known.absent("Aurora", "main", "Main"), "RDS finds it all the same"
    scope.answers["describe_db_clusters"] = {"DBClusters": ANSWERS["describe_db_clusters"]["DBClusters"][2:]}
    assert known.absent("Aurora", "papers", "papers")


def test_a_rest_api_is_read_by_its_id_and_gone_once_it_has_another_name() -> None:
    scope = Scope()
    known = inventory(scope)
    scope.answers["get_rest_api"] = {"id": "a1", "name": "renamed"}
    assert known.absent("ApiGatewayRest", "a1", "orders") and not known.absent("ApiGatewayRest", "a1", "renamed")
    assert scope.calls == ["get_rest_api", "get_rest_api"]


def test_the_account_is_asked_once_an_hour() -> None:
    scope, now = Scope(), [1000.0]
    known = inventory(scope, lambda: now[0])
    for _ in range(3):
        known.with_beside("Lambda", known.listed("Lambda", 0.0))
    assert scope.calls.count("get_account_settings") == 1
    now[0] += 3601
    known.with_beside("Lambda", known.listed("Lambda", 0.0))
    assert scope.calls.count("get_account_settings") == 2


def test_a_round_is_bounded_also_the_first() -> None:
    scope, now = Scope(), [1000.0]
    known = inventory(scope, lambda: now[0])
    many = {f"f{number:03}": {"name": f"f{number:03}"} for number in range(2 * A_ROUND + 1)}
    unread = []
    for _ in range(3):
        now[0] += 60
        unread.append(sum("unread" in attributes for attributes in known.with_beside("Lambda", many).values()))
    assert unread == [A_ROUND + 1, 1, 0]
    assert scope.calls.count("get_function_concurrency") == 2 * A_ROUND + 1 + 1, "the last round has room for one whose turn it is"


def test_a_pass_composes_and_compares_by_the_same() -> None:
    scope, now = Scope(), [1000.0]
    known = inventory(scope, lambda: now[0])
    many = {f"f{number:03}": {"name": f"f{number:03}"} for number in range(A_ROUND + 1)}
    composed = known.with_beside("Lambda", many)
    now[0] += REST_SECONDS - 1
    assert known.with_beside("Lambda", many) == composed
    assert scope.calls.count("get_function_concurrency") == A_ROUND
    now[0] += 1
    assert not any("unread" in attributes for attributes in known.with_beside("Lambda", many).values())


def test_what_was_read_before_a_failure_counts() -> None:
    refused = {"f2"}
    scope = Scope(lambda operation, params: params.get("FunctionName") in refused)
    now = [1000.0]
    known = inventory(scope, lambda: now[0])
    many = {f"f{number}": {"name": f"f{number}"} for number in range(4)}
    found = known.with_beside("Lambda", many)
    assert [name for name, attributes in found.items() if "unread" in attributes] == ["f2", "f3"]
    now[0] += REST_SECONDS
    with pytest.raises(Transient):
        known.with_beside("Lambda", many)
    refused.clear()
    assert not any("unread" in attributes for attributes in known.with_beside("Lambda", many).values())


DENIED = Denied("lambda:GetFunctionConcurrency", "", "a policy says no")


@pytest.mark.parametrize(("error", "told"), [(DENIED, "lambda:GetFunctionConcurrency"), (Terminal("Odd", "no"), "Odd")], ids=["denied", "odd"])
def test_what_may_not_be_read_of_one_thing_is_its_own(error: Exception, told: str) -> None:
    refused, now = {"f0"}, [1000.0]
    scope = Scope(lambda operation, params: params.get("FunctionName") in refused, error)
    known = inventory(scope, lambda: now[0])
    many = {f"f{number}": {"name": f"f{number}"} for number in range(4)}
    found = known.with_beside("Lambda", many)
    assert found["f0"] == {"name": "f0", "refused": told, "accountConcurrency": "3000"}
    assert [found[name].get("reservedConcurrency") for name in ("f1", "f2", "f3")] == ["5"] * 3
    refused.clear()
    for _ in range(2):
        now[0] += REST_SECONDS
        found = known.with_beside("Lambda", many)
    assert found["f0"]["reservedConcurrency"] == "5" and "refused" not in found["f0"]
    refused.add("f0")
    for _ in range(2):
        now[0] += REST_SECONDS
        found = known.with_beside("Lambda", many)
    assert (found["f0"]["reservedConcurrency"], found["f0"]["refused"]) == ("5", told), "what was read before stands"


def test_where_nothing_may_be_read_that_is_told_and_nothing_is_believed() -> None:
    refused, now = {f"f{number}" for number in range(4)}, [1000.0]
    known = inventory(Scope(lambda operation, params: params.get("FunctionName") in refused, DENIED), lambda: now[0])
    many = {name: {"name": name} for name in sorted(refused)}
    for seconds in (0, 1, REST_SECONDS):
        now[0] += seconds
        with pytest.raises(Denied):
            known.with_beside("Lambda", many)
    refused.clear()
    now[0] += REST_SECONDS
    found = known.with_beside("Lambda", many)
    assert all(attributes["reservedConcurrency"] == "5" for attributes in found.values()), "none is taken for one that has nothing"


def looked_for(*wanted: KnownTarget | TagSearch) -> list[Target[Any]]:
    identity = Identity("unit", "PerfAlarmSet", "web", "platform")
    return [Target(identity, f"node-{number}", "discovery", one, role=Role.EXTERNAL) for number, one in enumerate(wanted)]


def test_of_whom_it_may_not_be_read_whether_he_is_there_is_alone_with_that() -> None:
    scope: Any = Scope(lambda operation, params: operation == "get_function_configuration", DENIED)
    there, nowhere = looked_for(KnownTarget("Lambda", "f"), KnownTarget("Lambda", "nowhere"))
    for depth in Depth:
        answers = TargetDriver(scope, lambda: 1000.0).observe([there, nowhere], depth)
        found = answers[there.key]
        assert isinstance(found, Observed) and found.attributes["exists"] == "true" and answers[nowhere.key] is DENIED


def test_what_vanished_from_a_list_and_may_not_be_read_is_not_gone() -> None:
    scope: Any = Scope(lambda operation, params: operation == "get_function_configuration", DENIED)
    one, other = ({**ANSWERS["list_functions"]["Functions"][0], "FunctionName": name, "FunctionArn": f"arn:{name}"} for name in ("f", "g"))
    tagged = [{"ResourceARN": f"arn:{name}", "Tags": [{"Key": "team", "Value": "shop"}]} for name in ("f", "g")]
    scope.answers |= {"list_functions": {"Functions": [one, other]}, "get_resources": {"ResourceTagMappingList": tagged}}
    now = [1000.0]
    driver, [target] = SearchDriver(scope, lambda: now[0]), looked_for(TagSearch("Lambda", {"team": "shop"}))

    def seen() -> Observed[Any]:
        now[0] += 60
        answer = driver.observe([target], Depth.SWEEP)[target.key]
        assert isinstance(answer, Observed)
        return answer

    assert seen().message == "finds 2"
    scope.answers["list_functions"] = {"Functions": [one]}
    found = [seen() for _ in range(SWEEPS)][-1]
    assert json.loads(found.attributes["members"]) == ["f", "g"]
    assert found.message == "finds 2; not all may be read of g (lambda:GetFunctionConcurrency)"


def test_who_looks_once_reads_all_and_believes_it() -> None:
    known = Inventory(scope := Scope(), lambda: 1000.0, AT_ONCE)  # type: ignore[arg-type]
    many = {f"f{number:03}": {"name": f"f{number:03}"} for number in range(2 * A_ROUND)}
    assert not any("unread" in attributes for attributes in known.with_beside("Lambda", many).values())
    assert scope.calls.count("get_function_concurrency") == 2 * A_ROUND
    other: Any = Scope(lambda operation, params: False)
    other.answers["list_functions"] = {"Functions": []}
    other.answers["get_resources"] = {"ResourceTagMappingList": []}
    [search] = looked_for(TagSearch("Lambda", {"team": "shop"}))
    found = SearchDriver(other, lambda: 1000.0, AT_ONCE).observe([search], Depth.FRESH)[search.key]
    assert isinstance(found, Observed) and found.attributes["settled"] == "true"


@pytest.mark.parametrize(
    ("format_", "fields"),
    [
        ('{"a": "$context.path", "b": {"c": "$context.status"}}', {"path": "a", "status": "b.c"}),
        ('{"a":$context.status,"b":"$context.routeKey"}', {"status": "a", "routeKey": "b"}),
        ('{"a": "path: $context.path", "b": "$context.identity.sourceIp"}', {}),
        ('$context.identity.sourceIp [$context.requestTime] "$context.httpMethod $context.path" $context.status', {}),
        ("<request><status>$context.status</status></request>", {}),
        ("", {}),
    ],
    ids=["json", "numbers without quotes", "part of a text", "common log format", "xml", "none"],
)
def test_fields_are_known_where_the_format_is_json(format_: str, fields: Mapping[str, str]) -> None:
    assert log_fields(format_) == fields


@pytest.mark.parametrize(
    ("arn", "group"),
    [
        (f"{ARN}/api/orders", "/api/orders"),
        (f"{ARN}/api/orders:*", "/api/orders"),
        ("arn:aws:firehose:eu-central-1:123456789012:deliverystream/amazon-apigateway-logs", ""),
        ("arn:aws:logs:eu-central-1:210987654321:log-group:/api/orders", ""),
        ("", ""),
    ],
    ids=["group", "with its streams", "firehose", "another account's", "none"],
)
def test_a_destination_is_a_group_that_is_seen_from_here(arn: str, group: str) -> None:
    scope: Any = Scope()
    assert log_group(arn, scope) == group

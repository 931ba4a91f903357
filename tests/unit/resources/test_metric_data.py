"""What an alarm watches whose silence means that it sees nothing; answers of GetMetricData that the lab never gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from securebase.clients.aws import AwsScope
from securebase.resources.cloudwatch.alarm_health import WatchedMetric, paged
from securebase.resources.cloudwatch.composite_model import CompositeAlarm
from securebase.resources.cloudwatch.metric_data import MetricData, watched
from securebase.resources.cloudwatch.model import Alarm, MetricQuery
from tests.unit.kinds.any_alarmset import alarms, composed, small

BASE = Alarm("a", {}, "GreaterThanThreshold", 1, 1, threshold=1.0)
NOW = 1_700_000_000.0


def maths(expression: str, *metrics: str) -> Alarm:
    queries = tuple(MetricQuery(name, namespace="Shop", metric_name=name.title(), stat="Sum", period=60) for name in metrics)
    return replace(BASE, metrics=(*queries, MetricQuery("result", expression, returns_data=True)))


def test_one_metric_is_watched_with_its_dimensions_and_its_unit() -> None:
    alarm = replace(BASE, namespace="Shop", metric_name="Sales", dimensions={"Tenant": "t", "Region": "r"}, unit="Count")
    assert watched(alarm) == {WatchedMetric("Shop", "Sales", (("Region", "r"), ("Tenant", "t")), "Count")}


@pytest.mark.parametrize(("namespace", "name"), [("AWS/RDS", "AuroraReplicaLag"), ("AWS/RDS", "ReplicaLag"), ("AWS/ElastiCache", "ReplicationLag")])
def test_what_only_replicas_publish_may_be_silent_of_a_member(namespace: str, name: str) -> None:
    assert watched(replace(BASE, namespace=namespace, metric_name=name, dimensions={"Member": "one"})) == frozenset()
    assert watched(replace(BASE, namespace=namespace, metric_name="CPUUtilization", dimensions={"Member": "one"})) != frozenset()


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("100 * errors / requests", {"Errors", "Requests"}),
        ("100 * FILL(errors, 0) / requests", {"Requests"}),
        ("FILL(errors, 0) + FILL( requests, REPEAT)", set()),
        ("SUM(FILL(METRICS(), 0))", set()),
        ("SUM(SEARCH('{Shop,Tenant} Sales', 'Sum')) + errors + requests", set()),
    ],
)
def test_of_maths_what_is_filled_may_be_silent(expression: str, names: set[str]) -> None:
    assert {metric.name for metric in watched(maths(expression, "errors", "requests"))} == names


def test_what_is_published_only_when_something_happens_may_be_silent() -> None:
    for namespace, name in (("AWS/SQS", "ApproximateNumberOfMessagesVisible"), ("AWS/DynamoDB", "ReadThrottleEvents")):
        assert watched(replace(BASE, namespace=namespace, metric_name=name)) == frozenset()
    assert watched(replace(BASE, namespace="AWS/DynamoDB", metric_name="SuccessfulRequestLatency"))


def test_of_the_catalogue_every_alarm_is_watched_but_those_on_sparse_metrics() -> None:
    types = ("Lambda", "DynamoDB", "Sqs")
    graph = composed(small(*({"id": type_.lower(), "type": type_, "name": "orders"} for type_ in types)))
    seen = {id.partition("_")[0] for id, alarm in alarms(graph).items() if watched(alarm)}
    assert seen == {"alarm-lambda"}


class Answers:
    """GetMetricData that answers page by page."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.told = [{"MetricDataResults": page} for page in pages]

    def pages(self, service: str, operation: str, /, **params: Any) -> list[dict[str, Any]]:
        return self.told


def silent(*pages: list[dict[str, Any]]) -> set[str]:
    metrics = {WatchedMetric("Shop", f"M{number}") for number in range(3)}
    return {metric.name for metric in MetricData(cast(AwsScope, Answers(*pages)), lambda: NOW).silent(metrics)}


def test_a_series_that_could_not_be_read_is_not_called_silent_and_data_may_come_on_any_page() -> None:
    first: list[dict[str, Any]] = [{"Id": "m0", "StatusCode": "PartialData", "Values": []}, {"Id": "m1", "StatusCode": "Forbidden", "Values": []}]
    rest: list[dict[str, Any]] = [{"Id": "m0", "StatusCode": "Complete", "Values": [3.0]}, {"Id": "m2", "StatusCode": "Complete", "Values": []}]
    assert silent(first, rest) == {"M2"}


def test_what_pages_does_so_through_composites_that_tell_nobody_as_well() -> None:
    def composite(name: str, *children: str, told: bool = False) -> CompositeAlarm:
        rule = " OR ".join(f'ALARM("{child}")' for child in children)
        return CompositeAlarm(name, {}, rule, alarm_actions=frozenset({"arn:t"}) if told else frozenset())

    part, over = composite("part", "a", "b"), composite("over", "part", "c", told=True)
    assert paged([part, over, composite("quiet", "d")]) == {"part", "a", "b", "c"}
    assert paged([composite("one", "two", told=True), composite("two", "one")]) == {"one", "two"}

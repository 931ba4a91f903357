"""Whether metrics have any data at all: one request for five hundred of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any, Final

from securebase.clients.aws import AwsScope
from securebase.resources.cloudwatch.alarm_health import DAY, WatchedMetric
from securebase.resources.cloudwatch.model import Alarm, MetricQuery

QUERIES_A_CALL: Final = 500
"""GetMetricData, API reference."""

_PERIOD: Final = 3_600
_UNKNOWN: Final = ("InternalError", "Forbidden")
"""Status codes of a series whose data cannot be gone by; PartialData is followed by the next page."""
_FILLED: Final = re.compile(r"\bFILL\(\s*(METRICS|[a-z]\w*)")
_CHOOSES: Final = re.compile(r"\b(SEARCH|SELECT|INSIGHT_RULE_METRIC)\b")

_SPARSE: Final = frozenset(
    {
        ("AWS/DynamoDB", "ReadThrottleEvents"),
        ("AWS/DynamoDB", "WriteThrottleEvents"),
        ("AWS/SQS", ""),
        ("AWS/RDS", "AuroraReplicaLag"),
        ("AWS/RDS", "ReplicaLag"),
        ("AWS/ElastiCache", "ReplicationLag"),
    }
)
"""Metrics ("" = all of the namespace) that are published only while something happens: DynamoDB Developer Guide, "DynamoDB metrics and dimensions"
(throttled events, when there are any); Amazon SQS Developer Guide, "Available CloudWatch metrics" (queues that were active within six hours).
And those that a member publishes as long as it is a replica: an alarm for each member is right whoever is the writer now (Aurora User Guide, "Amazon
CloudWatch metrics for Amazon Aurora"; ElastiCache User Guide, "Metrics for Valkey and Redis OSS")."""


def watched(alarm: Alarm) -> frozenset[WatchedMetric]:
    """The metrics whose silence means that an alarm sees nothing. None where silence is as it should be: for what is published only when something
    happens or by some roles, for what the alarm itself takes as 0 (FILL), and where an expression chooses its metrics."""
    expressions = [query.expression for query in alarm.metrics if query.expression]
    if any(_CHOOSES.search(expression) for expression in expressions):
        return frozenset()
    filled = {name for expression in expressions for name in _FILLED.findall(expression)}
    queries = [query for query in alarm.metrics if query.metric_name and not {query.id, "METRICS"} & filled]
    if alarm.metric_name:
        queries = [MetricQuery("m", "", alarm.namespace, alarm.metric_name, alarm.dimensions, unit=alarm.unit)]
    found = (WatchedMetric(one.namespace, one.metric_name, tuple(sorted(one.dimensions.items())), one.unit, one.account_id) for one in queries)
    return frozenset(one for one in found if not {(one.namespace, one.name), (one.namespace, "")} & _SPARSE)


class MetricData:
    """Of one account and region. Raises the errors of `core.errors`. Billed by the metric: about 0.01 USD for 1,000 (CloudWatch pricing)."""

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock

    def silent(self, metrics: AbstractSet[WatchedMetric]) -> frozenset[WatchedMetric]:
        """Those that have no sample of the last 24 hours. What CloudWatch could not answer is not called silent."""
        every, heard = sorted(metrics), set[WatchedMetric]()
        for first in range(0, len(every), QUERIES_A_CALL):
            asked = {f"m{number}": metric for number, metric in enumerate(every[first : first + QUERIES_A_CALL])}
            for result in self._results([_query(id, metric) for id, metric in asked.items()]):
                if result.get("StatusCode") in _UNKNOWN or any(result.get("Values") or ()):
                    heard.add(asked[result["Id"]])
        return frozenset(every) - heard

    def _results(self, queries: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        now = self._clock()
        start, end = (now - DAY) // _PERIOD * _PERIOD, now
        pages = self._aws.pages(
            "cloudwatch",
            "get_metric_data",
            MetricDataQueries=queries,
            StartTime=datetime.fromtimestamp(start, UTC),
            EndTime=datetime.fromtimestamp(end, UTC),
        )
        for page in pages:
            yield from page.get("MetricDataResults", ())


def _query(id: str, metric: WatchedMetric) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in metric.dimensions]
    named = {"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": dimensions}
    stat = {"Metric": named, "Period": _PERIOD, "Stat": "SampleCount"} | ({"Unit": metric.unit} if metric.unit else {})
    return {"Id": id, "MetricStat": stat, "ReturnData": True} | ({"AccountId": metric.account} if metric.account else {})

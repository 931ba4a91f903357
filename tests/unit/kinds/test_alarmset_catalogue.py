"""The catalogue: every figure is complete, possible and sourced, and the platform's own alarms are in it."""

from __future__ import annotations

import re

import pytest

from securebase.kinds.alarmset.catalogue import SEVERITIES, Recipe, catalogue

ALL = [(type_.name, recipe) for type_ in catalogue().types.values() for recipe in type_.alarms]
UNITS = {"Milliseconds", "Seconds", "Percent", "Count"}
API = ("ApiGatewayRest", "ApiGatewayHttp")


def percentile(statistic: str) -> bool:
    return re.fullmatch(r"p[0-9]{1,2}(\.[0-9]+)?", statistic) is not None


@pytest.mark.parametrize(("type_", "recipe"), ALL, ids=[f"{type_}-{recipe.id}" for type_, recipe in ALL])
def test_every_alarm_is_whole(type_: str, recipe: Recipe) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", recipe.id)
    assert 1 <= recipe.datapoints_to_alarm <= recipe.evaluation_periods
    assert recipe.period % 60 == 0 and recipe.period * recipe.evaluation_periods <= 86_400
    assert recipe.missing_data in ("breaching", "notBreaching", "ignore", "missing") and recipe.severity in SEVERITIES
    assert recipe.comparison in ("GreaterThan", "GreaterThanOrEqual", "LessThan", "LessThanOrEqual")
    assert recipe.low_sample == ("ignore" if percentile(recipe.statistic) else "")
    assert recipe.unit in UNITS and (recipe.unit != "Percent" or 0 < (recipe.threshold.value or 0) <= 100)
    assert recipe.runbook.startswith("https://docs.aws.amazon.com/") and len(recipe.source) > 20
    assert bool(recipe.metric) != bool(recipe.expression)
    assert all(one.id in recipe.expression and not percentile(one.statistic) for one in recipe.metrics)
    assert "{threshold}" in recipe.title and recipe.title.format(threshold="7")


def test_ids_are_unique_and_widgets_exist() -> None:
    widgets = {widget.id for widget in catalogue().widgets}
    for type_ in catalogue().types.values():
        assert len({recipe.id for recipe in type_.alarms}) == len(type_.alarms)
        assert {recipe.widget for recipe in type_.alarms if recipe.widget} <= widgets
        assert all(said in ("name", "id", "stage", "member") or said.startswith("=") for said in type_.dimensions.values())
    named = [(recipe.id, type_) for recipe in catalogue().queries for type_ in recipe.types]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize(
    ("types", "id", "metrics", "statistic", "comparison", "threshold", "period", "m_of_n", "severity"),
    [
        (API, "latency-p95", {"Latency"}, "p95", "GreaterThan", 100, 60, (3, 5), "warning"),
        (API, "latency-p90", {"Latency"}, "p90", "GreaterThanOrEqual", 2500, 60, (5, 5), "critical"),
        (API, "errors-5xx", {"5XXError", "5xx"}, "Sum", "GreaterThan", 5, 300, (1, 1), "critical"),
        (API, "rate-5xx", {"5XXError", "5xx", "Count"}, "Sum", "GreaterThan", 5, 60, (3, 3), "critical"),
        (API, "rate-4xx", {"4XXError", "4xx", "Count"}, "Sum", "GreaterThan", 5, 60, (5, 5), "warning"),
        (("Lambda",), "errors", {"Errors"}, "Sum", "GreaterThan", 10, 300, (1, 1), "critical"),
        (("Lambda",), "throttles", {"Throttles"}, "Sum", "GreaterThan", 0, 300, (1, 1), "warning"),
        (("Lambda",), "concurrency", {"ConcurrentExecutions"}, "Maximum", "GreaterThanOrEqual", 900, 60, (10, 10), "critical"),
        (("DynamoDB",), "read-throttles", {"ReadThrottleEvents"}, "Sum", "GreaterThan", 0, 300, (1, 1), "warning"),
        (("DynamoDB",), "write-throttles", {"WriteThrottleEvents"}, "Sum", "GreaterThan", 0, 300, (1, 1), "warning"),
        (("Aurora",), "cpu", {"CPUUtilization"}, "Average", "GreaterThan", 90, 60, (5, 5), "critical"),
        (("Aurora",), "replica-lag", {"AuroraReplicaLag"}, "Maximum", "GreaterThan", 60_000, 60, (10, 10), "critical"),
        (("Aurora",), "reader-lag", {"ReplicaLag"}, "Maximum", "GreaterThan", 60, 60, (10, 10), "critical"),
        (("Aurora",), "buffer-cache", {"BufferCacheHitRatio"}, "Average", "LessThan", 80, 60, (10, 10), "warning"),
        (("ElastiCache",), "engine-cpu", {"EngineCPUUtilization"}, "Average", "GreaterThan", 90, 60, (5, 5), "critical"),
        (("ElastiCache",), "memory", {"DatabaseMemoryUsagePercentage"}, "Average", "GreaterThan", 80, 60, (3, 5), "warning"),
        (("ElastiCache",), "memory-critical", {"DatabaseMemoryUsagePercentage"}, "Average", "GreaterThan", 90, 60, (3, 5), "critical"),
        (("ElastiCache",), "evictions", {"Evictions"}, "Sum", "GreaterThan", 100, 300, (2, 3), "warning"),
        (("ElastiCache",), "replication-lag", {"ReplicationLag"}, "Average", "GreaterThan", 1, 60, (3, 5), "warning"),
        (("ElastiCache",), "new-connections", {"NewConnections"}, "Sum", "GreaterThan", 1000, 60, (2, 3), "warning"),
        (("ElastiCache",), "hit-rate", {"CacheHitRate"}, "Average", "LessThan", 80, 300, (4, 6), "warning"),
    ],
)
def test_the_platforms_and_awss_figures(
    types: tuple[str, ...], id: str, metrics: set[str], statistic: str, comparison: str, threshold: float, period: int, m_of_n: tuple[int, int], severity: str
) -> None:
    for name in types:
        recipe = catalogue().types[name].recipe(id)
        assert recipe is not None
        watched = {recipe.metric: recipe.statistic} if recipe.metric else {one.metric: one.statistic for one in recipe.metrics}
        assert watched.keys() <= metrics and set(watched.values()) == {statistic}
        assert (recipe.comparison, recipe.threshold.of({}), recipe.period) == (comparison, threshold, period)
        assert (recipe.datapoints_to_alarm, recipe.evaluation_periods) == m_of_n and recipe.severity == severity


def test_thresholds_go_by_what_a_function_may() -> None:
    functions = catalogue().types["Lambda"]
    concurrency, duration = functions.recipe("concurrency"), functions.recipe("duration")
    assert concurrency is not None and duration is not None
    assert concurrency.threshold.of({"reservedConcurrency": "50", "accountConcurrency": "3000"}) == 45
    assert concurrency.threshold.of({"accountConcurrency": "3000"}) == 2700
    assert concurrency.threshold.of({"accountConcurrency": "3000", "unread": "reservedConcurrency"}) is None
    assert duration.threshold.of({"timeoutSeconds": "30"}) == 27_000 and duration.threshold.of({}) is None


def test_twelve_widgets_for_the_whole_platform() -> None:
    default = [widget for widget in catalogue().widgets if widget.types != {"Sqs"}]
    assert len(default) + 1 == 12, "and the alarms' states"
    assert {type_ for widget in catalogue().widgets for type_ in widget.types} == catalogue().types.keys()

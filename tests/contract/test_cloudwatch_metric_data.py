"""Which metrics are silent: five hundred a request, and what an alarm watches whose silence means something."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.aws.endpoint import AwsEndpoint
from securebase.clients.aws import AwsScope
from securebase.core.driver import Depth, Observed, Target
from securebase.core.errors import Denied
from securebase.core.identity import Identity
from securebase.resources.cloudwatch.alarm_health import WatchedMetric
from securebase.resources.cloudwatch.driver import MetricAlarmDriver
from securebase.resources.cloudwatch.metric_data import MetricData, watched
from securebase.resources.cloudwatch.model import Alarm
from tests.contract.harness import ShiftedClock

HOME = "eu-central-1"


def sales(tenant: str) -> WatchedMetric:
    return WatchedMetric("Shop", "Sales", (("Tenant", tenant),))


def publish(client: Any, tenant: str, hours_ago: float) -> None:
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    said = {"MetricName": "Sales", "Dimensions": [{"Name": "Tenant", "Value": tenant}], "Timestamp": at, "Value": 0.0}
    client.put_metric_data(Namespace="Shop", MetricData=[said])


def test_a_metric_is_silent_that_had_no_sample_for_a_day(scope: Callable[[str], AwsScope], clock: ShiftedClock, raw: Callable[..., Any]) -> None:
    for tenant, hours in (("now", 0.1), ("yesterday", 23.0), ("before", 30.0)):
        publish(raw("cloudwatch", HOME), tenant, hours)
    data = MetricData(scope(HOME), clock)
    tenants = {name: sales(name) for name in ("now", "yesterday", "before", "never")}
    assert data.silent(set(tenants.values())) == {tenants["before"], tenants["never"]}
    assert MetricData(scope("eu-west-1"), clock).silent({tenants["now"]}) == {tenants["now"]}, "metrics are of one region"


def test_a_thousand_metrics_are_two_requests(
    scope: Callable[[str], AwsScope], clock: ShiftedClock, raw: Callable[..., Any], aws_endpoint: AwsEndpoint, account: str
) -> None:
    publish(raw("cloudwatch", HOME), "t0999", 1.0)
    every = {sales(f"t{number:04}") for number in range(1_000)}
    silent = MetricData(scope(HOME), clock).silent(every)
    assert every - silent == {sales("t0999")}
    calls = aws_endpoint.control.log.records(lambda call: call.account == account and call.operation == "GetMetricData")
    assert len(calls) == 2
    assert MetricData(scope(HOME), clock).silent(set()) == frozenset()


def test_what_may_not_be_read_is_not_called_silent(scope: Callable[[str], AwsScope], clock: ShiftedClock, aws_endpoint: AwsEndpoint, account: str) -> None:
    aws_endpoint.control.fail("cloudwatch", "GetMetricData", "AccessDenied", account=account)
    with pytest.raises(Denied, match="GetMetricData"):
        MetricData(scope(HOME), clock).silent({sales("t1")})


def test_an_alarm_tells_when_it_was_configured_and_what_it_watches(scope: Callable[[str], AwsScope], clock: ShiftedClock, raw: Callable[..., Any]) -> None:
    raw("cloudwatch", HOME).put_metric_alarm(
        AlarmName="sales", ComparisonOperator="LessThanThreshold", EvaluationPeriods=1, Threshold=1.0, Namespace="Shop", MetricName="Sales", Period=60,
        Statistic="Sum", Dimensions=[{"Name": "Tenant", "Value": "t1"}],
    )  # fmt: skip
    [alarm] = raw("cloudwatch", HOME).describe_alarms(AlarmNames=["sales"])["MetricAlarms"]
    target: Target[Alarm] = Target(Identity("contract", "PerfAlarmSet", "web", "shop"), "alarm", MetricAlarmDriver.type, None, "sales")
    seen = MetricAlarmDriver(scope(HOME), clock).observe([target], Depth.SWEEP)[target.key]
    assert isinstance(seen, Observed) and watched(seen.value) == {sales("t1")}
    assert seen.attributes["changed"] == str(int(alarm["AlarmConfigurationUpdatedTimestamp"].timestamp())) and seen.attributes["evaluation"] == ""

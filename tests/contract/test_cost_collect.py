"""What recommendations go by, as CloudWatch holds it: sums over member nodes, the fullest member, no data told as none, and few calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from lab.aws.endpoint import AwsEndpoint
from securebase.clients.aws import AwsScope
from securebase.core.errors import Denied
from securebase.cost.advice import Measured, Span
from securebase.cost.collect import KEPT_SECONDS, CacheMetrics, Watched
from tests.contract.harness import ShiftedClock, eventually

HOUR = 3_600
RG = Watched(("rg-001",))
Publish = Callable[..., None]


@pytest.fixture
def clock() -> ShiftedClock:
    """Stands still but for what a test lets pass: no hour ends in between."""
    started = time.time()
    return ShiftedClock(lambda: started)


@pytest.fixture
def end(clock: ShiftedClock) -> float:
    """The last full hour: what the window ends with."""
    return clock() // HOUR * HOUR


@pytest.fixture
def publish(raw: Callable[..., Any], end: float) -> Publish:
    """Data of one member: by metric, the value of each full hour, the newest first."""

    def put(member: str, metrics: Mapping[str, list[float]], ago: float = 1.0) -> None:
        dimensions = [{"Name": "CacheClusterId", "Value": member}]
        data = [
            {"MetricName": metric, "Dimensions": dimensions, "Value": value, "Timestamp": datetime.fromtimestamp(end - (hour + ago) * HOUR + 90, UTC)}
            for metric, values in metrics.items()
            for hour, value in enumerate(values)
        ]
        for start in range(0, len(data), 100):
            raw("cloudwatch").put_metric_data(Namespace="AWS/ElastiCache", MetricData=data[start : start + 100])

    return put


@pytest.fixture
def metrics(scope: Callable[[str], AwsScope], clock: ShiftedClock) -> CacheMetrics:
    return CacheMetrics(scope("us-east-1"), clock)


def calls(endpoint: AwsEndpoint, account: str) -> int:
    return len(endpoint.control.log.records(lambda call: call.operation == "GetMetricData" and call.account == account))


def test_members_are_summed_and_the_fullest_one_counts(metrics: CacheMetrics, publish: Publish, end: float) -> None:
    publish("rg-001", {"CacheHits": [90, 60], "CacheMisses": [10, 40], "Evictions": [3, 0], "DatabaseMemoryUsagePercentage": [50, 30]})
    publish("rg-002", {"CacheHits": [100], "CacheMisses": [0], "Evictions": [0], "DatabaseMemoryUsagePercentage": [20, 70]})
    found = metrics.measured({"rg": Watched(("rg-002", "rg-001"))})["rg"]
    assert found == Measured(3.0, end, 250, 50, 3, Span(50, 70, 60, 2 / 24))
    assert found.hit_percent == pytest.approx(100 * 250 / 300)


def test_the_highest_of_an_hour_counts(metrics: CacheMetrics, publish: Publish) -> None:
    for minute in (0.1, 0.5, 0.9):
        publish("rg-001", {"DatabaseMemoryUsagePercentage": [100 * minute]}, ago=1 - minute / 2)
    found = metrics.measured({"rg": RG})["rg"]
    assert found.memory == Span(90, 90, 90, 1 / 24)


def test_the_running_hour_and_what_is_older_than_three_days_are_left_out(metrics: CacheMetrics, publish: Publish) -> None:
    publish("rg-001", {"Evictions": [1]}, ago=0)
    publish("rg-001", {"Evictions": [10]}, ago=1)
    publish("rg-001", {"Evictions": [100]}, ago=72)
    publish("rg-001", {"Evictions": [1_000]}, ago=73)
    assert metrics.measured({"rg": RG})["rg"].evictions == 110


def test_three_whole_days_are_three_days(metrics: CacheMetrics, publish: Publish) -> None:
    publish("rg-001", {"DatabaseMemoryUsagePercentage": [5.0] * 80})
    assert metrics.measured({"rg": RG})["rg"].memory == Span(5, 5, 5, 3.0)


def test_caches_with_windows_of_their_own_share_one_read(metrics: CacheMetrics, publish: Publish, end: float, aws_endpoint: AwsEndpoint, account: str) -> None:
    publish("rg-001", {"Evictions": [1] * 200})
    resized = Watched(("rg-001",), since=end - 5.5 * HOUR)
    found = metrics.measured({"three": RG, "week": Watched(("rg-001",), days=7), "resized": resized, "just-now": Watched(("rg-001",), since=end + 60)})
    assert {cache: (seen.days, seen.evictions) for cache, seen in found.items()} == {
        "three": (3.0, 72),
        "week": (7.0, 168),
        "resized": (0.2, 5),
        "just-now": (0.0, None),
    }
    assert calls(aws_endpoint, account) == 1


def test_no_data_is_none(metrics: CacheMetrics, publish: Publish, end: float) -> None:
    publish("rg-001", {"CacheHits": [1], "CacheMisses": [1], "Evictions": [0], "DatabaseMemoryUsagePercentage": [1]})
    found = metrics.measured({"without": Watched(("other-001",)), "half": Watched(("rg-001", "rg-002")), "empty": Watched(()), "rg": RG})
    assert found["without"] == found["half"] == found["empty"] == Measured(3.0, end)
    assert found["rg"].evictions == 0, "0 is a figure, none is not"


def test_a_measure_is_kept_for_a_quarter_of_an_hour(
    metrics: CacheMetrics, publish: Publish, clock: ShiftedClock, aws_endpoint: AwsEndpoint, account: str
) -> None:
    before = metrics.measured({"rg": RG})
    assert before["rg"].evictions is None
    publish("rg-001", {"Evictions": [7]})
    clock.advance(KEPT_SECONDS - 60)
    assert metrics.measured({"rg": RG}) == before
    assert calls(aws_endpoint, account) == 1
    clock.advance(61)
    assert eventually(lambda: metrics.measured({"rg": RG})["rg"].evictions, lambda seen: seen == 7, "read again") == 7
    assert calls(aws_endpoint, account) == 2


def test_many_caches_are_read_in_few_calls(metrics: CacheMetrics, publish: Publish, aws_endpoint: AwsEndpoint, account: str) -> None:
    caches = {f"rg{number:03}": Watched((f"rg{number:03}-001", f"rg{number:03}-002")) for number in range(100)}
    for cache in ("rg000", "rg062", "rg099"):
        for member in caches[cache].members:
            publish(member, {"Evictions": [1]})
    found = metrics.measured(caches)
    assert {cache for cache, seen in found.items() if seen.evictions == 2} == {"rg000", "rg062", "rg099"}
    # 200 members with 4 series each, 500 a call.
    assert calls(aws_endpoint, account) == 2


def test_a_refusal_is_no_absence_of_data(metrics: CacheMetrics, aws_endpoint: AwsEndpoint) -> None:
    rule = aws_endpoint.control.fail("cloudwatch", "GetMetricData", "AccessDenied")
    try:
        with pytest.raises(Denied):
            metrics.measured({"rg": RG})
    finally:
        aws_endpoint.control.remove(rule)

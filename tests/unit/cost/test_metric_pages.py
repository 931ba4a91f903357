"""Answers of GetMetricData that the lab never gives: a series over several pages, and a series that could not be read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

from securebase.clients.aws import AwsScope
from securebase.cost.collect import CacheMetrics, Watched

HOUR = 3_600
NOW = 1_700_000_000.0 // HOUR * HOUR + 1_234


class Answering:
    """As much of a scope as is used; remembers what was asked."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self._pages = pages
        self.asked: list[dict[str, Any]] = []

    def pages(self, service: str, operation: str, /, **params: Any) -> Iterator[dict[str, Any]]:
        self.asked.append(params)
        yield from ({"MetricDataResults": page} for page in self._pages)


def points(id: str, *values: float, status: str = "Complete", first: int = 1) -> dict[str, Any]:
    times = [datetime.fromtimestamp(NOW // HOUR * HOUR - (first + number) * HOUR, UTC) for number in range(len(values))]
    return {"Id": id, "Timestamps": times, "Values": list(values), "StatusCode": status}


def read(answering: Answering) -> Any:
    return CacheMetrics(cast(AwsScope, answering), lambda: NOW).measured({"rg": Watched(("rg-001",))})["rg"]


def test_a_series_goes_on_over_pages() -> None:
    first = [points("q0", 1, 2, status="PartialData"), points("q1", 5), points("q2", 0)]
    found = read(Answering(first, [points("q0", 3, first=3), points("q3", 40)]))
    assert (found.hits, found.misses, found.evictions) == (6, 5, 0)
    assert found.memory.most == 40


def test_a_series_that_could_not_be_read_is_unknown() -> None:
    every = [points("q0", 1), points("q1", 5), points("q2", 0), points("q3", 40)]
    found = read(Answering([*every[:2], points("q2", 0, status="InternalError"), points("q3", status="Forbidden")]))
    assert (found.hits, found.misses, found.evictions, found.memory) == (1, 5, None, None)


def test_whole_hours_of_three_days_are_asked_for() -> None:
    answering = Answering([])
    read(answering)
    [asked] = answering.asked
    end = datetime.fromtimestamp(NOW - 1_234, UTC)
    assert asked["EndTime"] == end
    assert (end - asked["StartTime"]).days == 3
    assert {query["MetricStat"]["Period"] for query in asked["MetricDataQueries"]} == {HOUR}
    assert {query["MetricStat"]["Metric"]["MetricName"]: query["MetricStat"]["Stat"] for query in asked["MetricDataQueries"]} == {
        "CacheHits": "Sum",
        "CacheMisses": "Sum",
        "Evictions": "Sum",
        "DatabaseMemoryUsagePercentage": "Maximum",
    }
    assert {query["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for query in asked["MetricDataQueries"]} == {"rg-001"}

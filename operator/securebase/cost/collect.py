"""Reads from CloudWatch what recommendations need: hits, misses, evictions and memory of a cache's member nodes. The only I/O of this package."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from securebase.clients.aws import AwsScope
from securebase.cost.advice import Measured, Span

PERIOD_SECONDS: Final = 3_600
WINDOW_DAYS: Final = 3
KEPT_SECONDS: Final = 900.0
"""Moving figures stand in status for 15 minutes at the least; every metric asked for is billed."""

QUERIES_A_CALL: Final = 500
"""GetMetricData, API reference. What exceeds 100,800 data points comes in pages."""

_HITS, _MISSES, _EVICTIONS, _MEMORY = "CacheHits", "CacheMisses", "Evictions", "DatabaseMemoryUsagePercentage"
_STATISTICS: Final = {_HITS: "Sum", _MISSES: "Sum", _EVICTIONS: "Sum", _MEMORY: "Maximum"}
_LOST: Final = ("InternalError", "Forbidden")
"""Status codes of a series whose data cannot be gone by; PartialData is followed by the next page."""


@dataclass(slots=True)
class _Series:
    """The data points of one metric of one member, by hour."""

    points: dict[float, float] = field(default_factory=dict)
    lost: bool = False

    def since(self, start: float) -> dict[float, float]:
        """What counts from then on; nothing where the series could not be read."""
        return {} if self.lost else {at: value for at, value in self.points.items() if at >= start}


_Key = tuple[str, str]
"""(member, metric)."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The members of a cache, and of when their data counts.

    members  `rg-001`: metrics exist for member nodes only
    days     how far to look back
    since    Unix seconds; what was measured before says nothing about what runs now. 0 = everything counts
    """

    members: tuple[str, ...]
    days: int = WINDOW_DAYS
    since: float = 0.0

    def start(self, end: float) -> float:
        """Beginning of the first hour that counts."""
        return min(end, max(end - self.days * 86_400, -(-self.since // PERIOD_SECONDS) * PERIOD_SECONDS))


class CacheMetrics:
    """Measures of caches in one account and region, each kept for 15 minutes. Thread-safe. Raises the errors of `core.errors`."""

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[Watched, tuple[float, Measured]] = {}

    def measured(self, caches: Mapping[str, Watched]) -> dict[str, Measured]:
        """By cache: what its members did in the whole hours of its window."""
        now = self._clock()
        wanted = {cache: replace(watched, members=tuple(sorted(set(watched.members)))) for cache, watched in caches.items()}
        with self._lock:
            self._kept = {watched: kept for watched, kept in self._kept.items() if now - kept[0] < KEPT_SECONDS}
            due = [watched for watched in dict.fromkeys(wanted.values()) if watched not in self._kept]
            if due:
                end = now // PERIOD_SECONDS * PERIOD_SECONDS
                start = end - max(watched.days for watched in due) * 86_400
                read = self._read(sorted({member for watched in due for member in watched.members}), start, end)
                self._kept |= {watched: (now, _measured(watched, read, end)) for watched in due}
            return {cache: self._kept[watched][1] for cache, watched in wanted.items()}

    def _read(self, members: Sequence[str], start: float, end: float) -> dict[_Key, _Series]:
        keys = [(member, metric) for member in members for metric in _STATISTICS]
        read: dict[_Key, _Series] = {key: _Series() for key in keys}
        for first in range(0, len(keys), QUERIES_A_CALL):
            named = {f"q{number}": key for number, key in enumerate(keys[first : first + QUERIES_A_CALL])}
            for result in self._results(named, start, end):
                series = read[named[result["Id"]]]
                series.lost |= result.get("StatusCode") in _LOST
                series.points |= {at.timestamp(): value for at, value in zip(result.get("Timestamps", ()), result.get("Values", ()), strict=True)}
        return read

    def _results(self, named: Mapping[str, _Key], start: float, end: float) -> Iterator[dict[str, Any]]:
        pages = self._aws.pages(
            "cloudwatch",
            "get_metric_data",
            MetricDataQueries=[_query(id, *key) for id, key in named.items()],
            StartTime=datetime.fromtimestamp(start, UTC),
            EndTime=datetime.fromtimestamp(end, UTC),
            ScanBy="TimestampAscending",
        )
        for page in pages:
            yield from page.get("MetricDataResults", ())


def _query(id: str, member: str, metric: str) -> dict[str, Any]:
    dimensions = [{"Name": "CacheClusterId", "Value": member}]
    named = {"Namespace": "AWS/ElastiCache", "MetricName": metric, "Dimensions": dimensions}
    return {"Id": id, "MetricStat": {"Metric": named, "Period": PERIOD_SECONDS, "Stat": _STATISTICS[metric]}, "ReturnData": True}


def _measured(watched: Watched, read: Mapping[_Key, _Series], end: float) -> Measured:
    start = watched.start(end)
    each = {metric: [read[member, metric].since(start) for member in watched.members] for metric in _STATISTICS}
    hits, misses, evictions = (_sum(each[metric]) for metric in (_HITS, _MISSES, _EVICTIONS))
    return Measured(round((end - start) / 86_400, 1), end, hits, misses, evictions, _fullest(each[_MEMORY]))


def _sum(each: Sequence[Mapping[float, float]]) -> float | None:
    """Over all members; None as soon as one of them has no data, for the sum would be too small."""
    return sum(sum(values.values()) for values in each) if each and all(each) else None


def _fullest(each: Sequence[Mapping[float, float]]) -> Span | None:
    """The fullest member of each hour; as many days as the member with the least data has."""
    if not each or not all(each):
        return None
    hours = [max(values[at] for values in each if at in values) for at in sorted({at for values in each for at in values})]
    days = min(len(values) for values in each) * PERIOD_SECONDS / 86_400
    return Span(min(hours), max(hours), sum(hours) / len(hours), days)

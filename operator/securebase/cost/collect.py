"""Reads from CloudWatch what recommendations need: hits, misses, evictions and memory of a cache's member nodes. The only I/O of this package."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from securebase.clients.aws import AwsScope
from securebase.cost.advice import Measured, Span

PERIOD_SECONDS: Final = 3_600
WINDOW_DAYS: Final = 3
KEPT_SECONDS: Final = 900.0
"""Moving figures stand in status for 15 minutes at the least; every metric asked for is billed."""

QUERIES_A_CALL: Final = 500
"""GetMetricData, API reference; 500 series of 72 hours stay below its 100,800 data points."""

_HITS, _MISSES, _EVICTIONS, _MEMORY = "CacheHits", "CacheMisses", "Evictions", "DatabaseMemoryUsagePercentage"
_STATISTICS: Final = {_HITS: "Sum", _MISSES: "Sum", _EVICTIONS: "Sum", _MEMORY: "Maximum"}
_LOST: Final = ("InternalError", "Forbidden")
"""Status codes of a series whose data cannot be gone by; PartialData is followed by the next page."""


@dataclass(slots=True)
class _Series:
    """The data points of one metric of one member, by hour."""

    points: dict[float, float] = field(default_factory=dict)
    lost: bool = False

    @property
    def values(self) -> dict[float, float]:
        return {} if self.lost else self.points


_Key = tuple[str, str]
"""(member, metric)."""


class CacheMetrics:
    """Measures of caches in one account and region, each kept for 15 minutes. Thread-safe. Raises the errors of `core.errors`."""

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, ...], tuple[float, Measured]] = {}

    def measured(self, caches: Mapping[str, Sequence[str]]) -> dict[str, Measured]:
        """By cache: what its members (`rg-001`: metrics exist for member nodes only) did in the last three days of whole hours."""
        now = self._clock()
        wanted = {cache: tuple(sorted(set(members))) for cache, members in caches.items()}
        with self._lock:
            self._kept = {members: kept for members, kept in self._kept.items() if now - kept[0] < KEPT_SECONDS}
            due = sorted({members for members in wanted.values() if members not in self._kept})
            if due:
                end = now // PERIOD_SECONDS * PERIOD_SECONDS
                read = self._read(sorted({member for members in due for member in members}), end)
                self._kept |= {members: (now, _measured(members, read, end)) for members in due}
            return {cache: self._kept[members][1] for cache, members in wanted.items()}

    def _read(self, members: Sequence[str], end: float) -> dict[_Key, _Series]:
        keys = [(member, metric) for member in members for metric in _STATISTICS]
        read: dict[_Key, _Series] = {key: _Series() for key in keys}
        for start in range(0, len(keys), QUERIES_A_CALL):
            named = {f"q{number}": key for number, key in enumerate(keys[start : start + QUERIES_A_CALL])}
            for result in self._results(named, end):
                series = read[named[result["Id"]]]
                series.lost |= result.get("StatusCode") in _LOST
                series.points |= {at.timestamp(): value for at, value in zip(result.get("Timestamps", ()), result.get("Values", ()), strict=True)}
        return read

    def _results(self, named: Mapping[str, _Key], end: float) -> Iterator[dict[str, Any]]:
        pages = self._aws.pages(
            "cloudwatch",
            "get_metric_data",
            MetricDataQueries=[_query(id, *key) for id, key in named.items()],
            StartTime=datetime.fromtimestamp(end - WINDOW_DAYS * 86_400, UTC),
            EndTime=datetime.fromtimestamp(end, UTC),
            ScanBy="TimestampAscending",
        )
        for page in pages:
            yield from page.get("MetricDataResults", ())


def _query(id: str, member: str, metric: str) -> dict[str, Any]:
    dimensions = [{"Name": "CacheClusterId", "Value": member}]
    named = {"Namespace": "AWS/ElastiCache", "MetricName": metric, "Dimensions": dimensions}
    return {"Id": id, "MetricStat": {"Metric": named, "Period": PERIOD_SECONDS, "Stat": _STATISTICS[metric]}, "ReturnData": True}


def _measured(members: Sequence[str], read: Mapping[_Key, _Series], end: float) -> Measured:
    hits, misses, evictions = (_sum(members, metric, read) for metric in (_HITS, _MISSES, _EVICTIONS))
    return Measured(float(WINDOW_DAYS), end, hits, misses, evictions, _fullest(members, read))


def _sum(members: Sequence[str], metric: str, read: Mapping[_Key, _Series]) -> float | None:
    """Over all members; None as soon as one of them has no data, for the sum would be too small."""
    each = [read[member, metric].values for member in members]
    return sum(sum(values.values()) for values in each) if each and all(each) else None


def _fullest(members: Sequence[str], read: Mapping[_Key, _Series]) -> Span | None:
    """The fullest member of each hour; as many days as the member with the least data has."""
    each = [read[member, _MEMORY].values for member in members]
    if not each or not all(each):
        return None
    hours = [max(values[at] for values in each if at in values) for at in sorted({at for values in each for at in values})]
    days = min(len(values) for values in each) * PERIOD_SECONDS / 86_400
    return Span(min(hours), max(hours), sum(hours) / len(hours), days)

"""The series of caches: figures that their engines count themselves, so they are told as they were read, and not counted here."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_OBJECT = ("kind", "namespace", "name")


@dataclass(frozen=True, slots=True)
class CacheReading:
    """What is known of one cache now. None = unknown, which is no series and never 0."""

    up: bool | None = None
    last_verified: float | None = None
    hit_ratio: float | None = None
    hits: float | None = None
    misses: float | None = None
    evictions: float | None = None
    memory_used: float | None = None
    memory_max: float | None = None
    connected_clients: float | None = None
    max_clients: float | None = None
    replication_offset_lag: float | None = None


_GAUGES = {
    "up": (
        "securebase_cache_up",
        "1 when a client gets in with the published credentials and gets what it wrote, else 0; absent while the cache cannot be reached",
    ),
    "last_verified": ("securebase_cache_last_verified_timestamp_seconds", "When a client last proved that the cache works"),
    "hit_ratio": ("securebase_cache_hit_ratio", "Share of the reads since the last look that found their key; absent without reads"),
    "memory_used": ("securebase_cache_memory_used_bytes", "Memory the engine uses for data and overhead"),
    "memory_max": ("securebase_cache_memory_max_bytes", "Memory the engine may use; absent without a limit"),
    "connected_clients": ("securebase_cache_connected_clients", "Clients that are connected, this one included"),
    "max_clients": ("securebase_cache_max_clients", "Clients that may be connected"),
    "replication_offset_lag": ("securebase_cache_replication_offset_lag_bytes", "How far the slowest replica is behind; absent without a replica"),
}
_COUNTERS = {
    "hits": ("securebase_cache_keyspace_hits", "Reads that found their key, since the engine started"),
    "misses": ("securebase_cache_keyspace_misses", "Reads that did not find their key, since the engine started"),
    "evictions": ("securebase_cache_evictions", "Keys evicted for want of memory, since the engine started"),
}


class CacheSeries(Collector):
    """The last reading of each cache. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: dict[tuple[str, str, str], CacheReading] = {}

    def put(self, labels: tuple[str, str, str], reading: CacheReading) -> None:
        """The reading takes the place of the one before."""
        with self._lock:
            self._readings[labels] = reading

    def forget(self, labels: tuple[str, str, str]) -> None:
        """The object is gone, or nobody looks any more."""
        with self._lock:
            self._readings.pop(labels, None)

    def describe(self) -> Iterable[Metric]:
        """Names and kinds, without series."""
        yield from (GaugeMetricFamily(name, text, labels=_OBJECT) for name, text in _GAUGES.values())
        yield from (CounterMetricFamily(name, text, labels=_OBJECT) for name, text in _COUNTERS.values())

    def collect(self) -> Iterable[Metric]:
        """What is known now."""
        with self._lock:
            readings = sorted(self._readings.items())
        for field, family in zip((*_GAUGES, *_COUNTERS), self.describe(), strict=True):
            known = [(labels, value) for labels, reading in readings if (value := getattr(reading, field)) is not None]
            for labels, value in known:
                family.add_sample(f"{family.name}_total" if field in _COUNTERS else family.name, dict(zip(_OBJECT, labels, strict=True)), float(value))
            if known:
                yield family

"""Every metric of the operator, in one place. Times are Unix timestamps, never ages; series of deleted objects disappear."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from securebase.core.fields import Impact
from securebase.telemetry.alarm_series import AlarmSeries, AlarmsReading
from securebase.telemetry.cache_series import CacheReading, CacheSeries

OBJECT = ("kind", "namespace", "name")
CALL = ("service", "operation")
PASS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
"""A pass over an object: from a look at the cache to one that is held back by rate limits at every step."""
CALL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25)
"""One request: the read time-out is 20 s, the connect time-out 3 s."""
WAIT_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Held back before a request: at most 10 s, unless the limiter is told otherwise."""


class Metrics:
    """Names, labels and buckets of every series; the only place that touches prometheus-client. Thread-safe."""

    def __init__(self, registry: CollectorRegistry, version: str) -> None:
        """`registry` is the caller's own, so that nothing else of the process leaks in; the process's memory and CPU are added."""
        self._registry = registry
        ProcessCollector(registry=registry)
        build = Gauge("securebase_build_info", "Version of the operator; always 1", ("version",), registry=registry)
        build.labels(version).set(1)
        self._of_operator(registry)
        self._of_objects(registry)
        self._caches = CacheSeries()
        registry.register(self._caches)
        self._alarms = AlarmSeries()
        registry.register(self._alarms)

    def _of_operator(self, registry: CollectorRegistry) -> None:
        self._passes = Counter("securebase_reconcile", "Passes over objects by their outcome", ("kind", "outcome"), registry=registry)
        self._pass_seconds = Histogram(
            "securebase_reconcile_duration_seconds", "Duration of a pass over one object", ("kind",), buckets=PASS_SECONDS, registry=registry
        )
        self._queue = Gauge("securebase_queue_depth", "Objects that wait for a pass", registry=registry)
        self._swept = Gauge("securebase_last_sweep_timestamp_seconds", "When the last complete comparison ended", ("account", "region"), registry=registry)
        self._oldest = Gauge(
            "securebase_oldest_observation_timestamp_seconds",
            "When the oldest read was made that the last comparison went by: what no list returns is read in turns",
            ("account", "region"),
            registry=registry,
        )
        self._calls = Counter("securebase_aws_calls", "Requests to AWS by what came of them", (*CALL, "code"), registry=registry)
        self._call_seconds = Histogram("securebase_aws_call_duration_seconds", "Duration of a request to AWS", CALL, buckets=CALL_SECONDS, registry=registry)
        self._held_back = Histogram("securebase_aws_throttle_wait_seconds", "Wait to stay below AWS's rates", CALL, buckets=WAIT_SECONDS, registry=registry)

    def _of_objects(self, registry: CollectorRegistry) -> None:
        self._ready = Gauge("securebase_resource_ready", "1 when the object is Ready, else 0", OBJECT, registry=registry)
        self._drifted = Gauge("securebase_drifted_fields", "Fields that differ from what was applied", OBJECT, registry=registry)
        self._since = Gauge(
            "securebase_drift_since_timestamp_seconds", "When the present drift was first seen; absent without drift", OBJECT, registry=registry
        )
        self._detected = Counter("securebase_drift_detected", "Fields found changed outside", OBJECT, registry=registry)
        self._corrected = Counter("securebase_drift_corrected", "Drifted fields put right", OBJECT, registry=registry)
        self._pending = Gauge("securebase_plan_pending_changes", "Changes that wait", (*OBJECT, "impact"), registry=registry)
        cost = "What the object costs a month by the price book, without what is billed by use; absent while unknown"
        self._cost = Gauge("securebase_cost_monthly_usd", cost, OBJECT, registry=registry)

    def reconciled(self, kind: str, outcome: str, seconds: float) -> None:
        """A pass over an object ended."""
        self._passes.labels(kind, outcome).inc()
        self._pass_seconds.labels(kind).observe(seconds)

    def queue_depth(self, waiting: int) -> None:
        """Objects that are due and not yet looked at."""
        self._queue.set(waiting)

    def swept(self, account: str, region: str, at: float) -> None:
        """A comparison of a whole account and region ended at Unix time `at`."""
        self._swept.labels(account, region).set(at)

    def oldest_observation(self, account: str, region: str, at: float) -> None:
        """Unix time of the oldest read behind the last comparison."""
        self._oldest.labels(account, region).set(at)

    def aws_call(self, service: str, operation: str, code: str, seconds: float) -> None:
        """One request to AWS was answered with `code`, "OK" when it succeeded."""
        self._calls.labels(service, operation, code).inc()
        self._call_seconds.labels(service, operation).observe(seconds)

    def aws_throttle_wait(self, service: str, operation: str, seconds: float) -> None:
        """A request was held back, perhaps for 0 s."""
        self._held_back.labels(service, operation).observe(seconds)

    def ready(self, kind: str, namespace: str, name: str, is_ready: bool) -> None:
        """The object's Ready condition. Its counters start to exist with it: `increase()` misses what a series is born with."""
        self._ready.labels(kind, namespace, name).set(1 if is_ready else 0)
        self._detected.labels(kind, namespace, name)
        self._corrected.labels(kind, namespace, name)

    def drift(self, kind: str, namespace: str, name: str, fields: int, since: float) -> None:
        """The present drift: how many fields, and the Unix time it was first seen (of no meaning with 0 fields)."""
        self._drifted.labels(kind, namespace, name).set(fields)
        if fields:
            self._since.labels(kind, namespace, name).set(since)
        else:
            self._since.remove(kind, namespace, name)

    def drift_detected(self, kind: str, namespace: str, name: str, fields: int) -> None:
        """So many fields were newly found changed."""
        self._detected.labels(kind, namespace, name).inc(fields)

    def drift_corrected(self, kind: str, namespace: str, name: str, fields: int) -> None:
        """So many fields were put right."""
        self._corrected.labels(kind, namespace, name).inc(fields)

    def pending(self, kind: str, namespace: str, name: str, changes: Mapping[Impact, int]) -> None:
        """Changes that wait for approval, a window or their turn. An impact that is not named has none."""
        for impact in Impact:
            self._pending.labels(kind, namespace, name, impact.value).set(changes.get(impact, 0))

    def cost(self, kind: str, namespace: str, name: str, monthly_usd: float | None) -> None:
        """The object's monthly cost as far as it is known; None = unknown, which is no series and never 0."""
        if monthly_usd is None:
            self._cost.remove(kind, namespace, name)
        else:
            self._cost.labels(kind, namespace, name).set(monthly_usd)

    def cache(self, kind: str, namespace: str, name: str, reading: CacheReading) -> None:
        """What a real client found in a cache."""
        self._caches.put((kind, namespace, name), reading)

    def forget_cache(self, kind: str, namespace: str, name: str) -> None:
        """Nobody looks into this cache any more."""
        self._caches.forget((kind, namespace, name))

    def alarms(self, kind: str, namespace: str, name: str, reading: AlarmsReading) -> None:
        """How an object's alarms stand in CloudWatch."""
        self._alarms.put((kind, namespace, name), reading)

    def forget_alarms(self, kind: str, namespace: str, name: str) -> None:
        """Nobody looks at these alarms any more."""
        self._alarms.forget((kind, namespace, name))

    def forget(self, kind: str, namespace: str, name: str) -> None:
        """The object is gone: so are its series."""
        for metric in (self._ready, self._drifted, self._since, self._detected, self._corrected, self._cost):
            metric.remove(kind, namespace, name)
        for impact in Impact:
            self._pending.remove(kind, namespace, name, impact.value)
        self.forget_cache(kind, namespace, name)
        self.forget_alarms(kind, namespace, name)

    def forget_sweep(self, account: str, region: str) -> None:
        """Nothing lives there any more, so nothing is compared: no alert on a stale sweep."""
        self._swept.remove(account, region)
        self._oldest.remove(account, region)

    def exposition(self) -> bytes:
        """Everything in Prometheus's text format."""
        return generate_latest(self._registry)

"""Many objects created at once: with nothing held back, for the operator's own cost, and at AWS's rates on a scaled clock."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.results import Figure
from bench.stage import Running, Stage, say
from lab.audit import Request
from lab.aws.calls import CallRecord
from lab.aws.limits import LIMITS, Limit

OPEN, RATED = "create_open", "create_at_aws_rates"
CLOCK = 10
"""How much faster than AWS's the clock of rates runs, in the operator and in the endpoint: 500 objects would take eleven minutes in the account."""


@dataclass(frozen=True, slots=True)
class Burst:
    """What a burst cost until every object was ready."""

    objects: int
    seconds: float
    cpu_seconds: float
    writes: Sequence[Request]
    events: Sequence[str]
    calls: Sequence[CallRecord]
    resources: int


def run_open(stage: Stage, objects: int) -> list[Figure]:
    """No client-side limits, no throttling: the operator's own cost."""
    with stage.operator("open") as running:
        burst = _burst(running, objects)
    per_object = _writes_per_object(burst)
    say(f"  Kubernetes writes: {dict(Counter(_what(write) for write in burst.writes))}")
    say(f"  AWS calls: {dict(Counter(call.operation for call in burst.calls).most_common())}")
    writes = sum(call.write for call in burst.calls)
    return [
        Figure("kubernetes_writes_per_object_max", max(per_object.values()), "writes", "<= 12"),
        Figure("kubernetes_writes_per_object", round(len(burst.writes) / objects, 2), "writes"),
        Figure("objects_per_second", round(objects / burst.seconds, 2), "objects/s"),
        Figure("cpu_ms_per_object", round(burst.cpu_seconds * 1000 / objects, 1), "ms"),
        Figure("cpu_ms_per_managed_resource", round(burst.cpu_seconds * 1000 / burst.resources, 1), "ms"),
        Figure("cpu_ms_per_aws_call", round(burst.cpu_seconds * 1000 / len(burst.calls), 2), "ms"),
        Figure("aws_writes_per_object", round(writes / objects, 2), "calls"),
        Figure("aws_reads_per_object", round((len(burst.calls) - writes) / objects, 2), "calls"),
        Figure("managed_resources_per_object", round(burst.resources / objects, 2), "resources"),
        Figure("objects", objects, "objects"),
    ]


def run_rated(stage: Stage, objects: int) -> list[Figure]:
    """The operator's token buckets and the endpoint's throttling at AWS's rates, both `CLOCK` times as fast."""
    control = stage.endpoint.control
    with stage.operator("rated", aws_rate_scale=str(CLOCK)) as running:
        control.throttle(CLOCK)
        try:
            burst = _burst(running, objects)
        finally:
            control.throttle(0)
    name, used = _bottleneck(burst.calls)
    throttled = [call for call in burst.calls if "hrottl" in call.code or call.code == "SlowDown"]
    say(f"  bottleneck {name}; throttled {dict(Counter(call.operation for call in throttled))}")
    return [
        Figure("throttled_calls", len(throttled), "calls", "== 0"),
        Figure("allowed_rate_used_ratio", round(used, 3), "ratio", ">= 0.9"),
        Figure("objects_per_second_at_aws_rates", round(objects / burst.seconds / CLOCK, 3), "objects/s"),
        Figure("kubernetes_writes_per_object_max", max(_writes_per_object(burst).values()), "writes", "<= 12"),
        Figure("cpu_ms_per_object", round(burst.cpu_seconds * 1000 / objects, 1), "ms"),
        Figure("clock_scale", CLOCK, "times"),
        Figure("objects", objects, "objects"),
    ]


def _burst(running: Running, objects: int) -> Burst:
    running.make_buckets(objects)
    with running.slow_aws():
        mark, cpu, started, begun = running.kubernetes_mark(), running.cpu_seconds(), time.monotonic(), time.time()
        running.create([running.manifest(number, interval="1h") for number in range(objects)])
        running.wait_ready(objects, deadline=60 + objects * 2)
        seconds, cpu_used = time.monotonic() - started, running.cpu_seconds() - cpu
    resources = sum(len(_owned(running, number)) for number in range(0, objects, max(1, objects // 10)))
    sampled = len(range(0, objects, max(1, objects // 10)))
    return Burst(objects, seconds, cpu_used, running.kubernetes_writes(mark), running.events(), running.aws_calls(begun), round(resources / sampled * objects))


def _owned(running: Running, number: int) -> list[str]:
    return [entry["id"] for entry in running.get(number)["status"]["resources"] if entry.get("role", "OWNED") == "OWNED"]


def _what(write: Request) -> str:
    return f"{write.verb} {write.resource}{'/' if write.subresource else ''}{write.subresource}"


def _writes_per_object(burst: Burst) -> Counter[str]:
    """By the object a write is about: `site-00001`, its ConfigMap `site-00001-outputs`, an Event that names it."""
    named = [write for write in burst.writes if write.resource != "events"]
    if len(named) + len(burst.events) != len(burst.writes):
        raise RuntimeError(f"the audit log has {len(burst.writes) - len(named)} Events, the cluster {len(burst.events)}")
    return Counter(write.name.removesuffix("-outputs") for write in named) + Counter(burst.events)


def _bottleneck(calls: Sequence[CallRecord]) -> tuple[str, float]:
    """The operation that takes longest at its rate, and the share used of what its token bucket allows."""
    found: dict[str, tuple[float, float]] = {}
    for service, operation, write in {(call.service, call.operation, call.write) for call in calls}:
        limit = _limit(service, operation, write)
        if limit is None or limit.shared:
            continue
        made = [call for call in calls if (call.service, call.operation) == (service, operation)]
        found[f"{service}:{operation}"] = len(made) / limit.rate, _share(made, limit)
    name = max(found, key=lambda name: found[name][0])
    return name, found[name][1]


def share_used(calls: Sequence[CallRecord], service: str, operation: str) -> float:
    """Calls of one operation as a share of what its token bucket allows from the first of them to the last."""
    limit = _limit(service, operation, True)
    if limit is None:
        raise RuntimeError(f"nothing is known of the rate of {service}:{operation}")
    return _share(calls, limit)


def _share(calls: Sequence[CallRecord], limit: Limit) -> float:
    times = [call.at - call.latency_ms / 1000 for call in calls]
    return len(times) / (CLOCK * (limit.burst + limit.rate * (max(times) - min(times))))


def _limit(service: str, operation: str, write: bool) -> Limit | None:
    rows = [row for row in LIMITS if row.service == service]
    for name in (operation, "(write)" if write else "(read)", "*"):
        for row in rows:
            if name in row.operations:
                return row
    return None

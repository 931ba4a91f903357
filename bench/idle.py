"""A fleet at rest: what watching over it costs, how soon a change by somebody else is seen, and how much memory it takes."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Sequence

from bench import drift
from bench.results import Figure
from bench.stage import Running, Stage, say
from lab.aws.calls import CallRecord

BENCH = "idle_fleet"
INTERVAL = 10.0
"""Seconds between two comparisons: the shortest that the API allows."""


def run(
    stage: Stage, objects: int, sweeps: int, samples: int, classes: Sequence[drift.Class] = drift.CLASSES, *, quiet: float = INTERVAL * 2.5
) -> list[Figure]:
    """Create, wait until nothing was written for `quiet` seconds, watch `sweeps` sweeps, then change one field of each class behind the
    operator's back."""
    settling = {} if quiet else {"settle_scale": "0"}  # else a change right after the creation would not count as drift yet
    with stage.operator("idle", **settling) as running:
        running.make_buckets(objects)
        running.create([running.manifest(number) for number in range(objects)])
        running.wait_ready(objects, deadline=60 + objects)
        running.wait_quiet(quiet, deadline=300)
        with running.slow_aws():
            figures = _at_rest(running, objects, sweeps)
        memory = running.resident_mib()
        figures += drift.run(running, objects, samples, classes)
        peak = running.resident_mib()
    return [
        *figures,
        Figure(f"resident_mib_{objects}", round(memory, 1), "MiB", "< 256"),
        Figure("resident_mib_after_drift", round(peak, 1), "MiB"),
        Figure("objects", objects, "objects"),
    ]


def _at_rest(running: Running, objects: int, sweeps: int) -> list[Figure]:
    begun, mark, cpu = time.time(), running.kubernetes_mark(), running.cpu_seconds()
    running.until(lambda: _ended(sweeps_of(running.aws_calls(begun))) >= sweeps, f"{sweeps} sweeps", deadline=(sweeps + 3) * INTERVAL * 2, interval=0.5)
    seconds, used = time.time() - begun, running.cpu_seconds() - cpu
    calls = running.aws_calls(begun)
    complete = sweeps_of(calls)[:sweeps]
    reads = [sum(not call.write for call in sweep) for sweep in complete]
    resources = objects * sum(entry.get("role", "OWNED") == "OWNED" for entry in running.get(0)["status"]["resources"])
    say(f"  reads by sweep: {reads}; one of them: {dict(Counter(call.operation for call in complete[-1]))}")
    return [
        Figure("idle_aws_writes", sum(call.write for call in calls), "calls", "== 0"),
        Figure("idle_kubernetes_writes", len(running.kubernetes_writes(mark)), "writes", "== 0"),
        Figure("idle_aws_reads_per_object", round(statistics.median(reads) / objects, 3), "calls/sweep", "<= 0.2" if objects >= 100 else ""),
        Figure("idle_aws_reads_per_object_max", round(max(reads) / objects, 3), "calls/sweep"),
        Figure("idle_aws_reads_per_managed_resource", round(statistics.median(reads) / resources, 4), "calls/sweep"),
        Figure("idle_cpu_cores", round(used / seconds, 3), "cores"),
        Figure("sweeps", len(complete), "sweeps"),
    ]


def _ended(sweeps: Sequence[Sequence[CallRecord]]) -> int:
    """How many of them are over."""
    return len(sweeps) - bool(sweeps and time.time() - sweeps[-1][-1].at < INTERVAL / 4)


def sweeps_of(calls: Sequence[CallRecord]) -> list[list[CallRecord]]:
    """Calls by the sweep they belong to: between two there is silence, most of the interval."""
    found: list[list[CallRecord]] = []
    last = float("-inf")
    for call in sorted(calls, key=lambda call: call.at):
        if call.service == "sts":
            continue
        if call.at - last > INTERVAL / 4:
            found.append([])
        found[-1].append(call)
        last = call.at
    return found

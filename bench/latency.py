"""From an object's creation to the first AWS write, on an operator that has nothing else to do."""

from __future__ import annotations

import time

from bench.results import Figure, percentile
from bench.stage import Running, Stage, name_of, say

BENCH = "apply_latency"


def run(stage: Stage, samples: int) -> list[Figure]:
    """One object after another; each is waited for before the next."""
    settings = stage.endpoint.control.settings
    deploying, settings.distribution_deploy_s = settings.distribution_deploy_s, 0.0  # nothing is measured behind the first write
    with stage.operator("latency") as running:
        running.make_buckets(samples + 1)
        _sample(running, samples)  # the first makes the clients and what all share
        waits = [_sample(running, number) for number in range(samples)]
    settings.distribution_deploy_s = deploying
    say(f"  first write after {min(waits):.0f} to {max(waits):.0f} ms")
    return [
        Figure("apply_to_first_write_p95_ms", round(percentile(waits, 0.95), 1), "ms", "< 300"),
        Figure("apply_to_first_write_p50_ms", round(percentile(waits, 0.5), 1), "ms"),
        Figure("samples", len(waits), "objects"),
    ]


def _sample(running: Running, number: int) -> float:
    """Milliseconds from sending the object to the API server until AWS received the first write."""
    before = time.time()
    running.stage.plane.call("POST", running.stage.cluster.distributions(running.namespace), running.manifest(number, interval="1h"))
    running.until(lambda: name_of(number) in running.stage.cluster.ready(running.namespace), f"{name_of(number)} to be ready", 60, interval=0.2)
    first = min((call.at - call.latency_ms / 1000 for call in running.aws_calls(before) if call.write), default=None)
    if first is None:
        raise RuntimeError(f"{name_of(number)} became ready without an AWS write")
    return (first - before) * 1000

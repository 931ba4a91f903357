"""Alarm sets of a thousand and three thousand alarms: what creating them costs, what a sweep reads, and how large the status is."""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bench.burst import CLOCK, share_used
from bench.cluster import GROUP
from bench.idle import INTERVAL, sweeps_of
from bench.results import Figure
from bench.stage import Running, Stage, say

OPEN, RATED, LARGE = "alarms_open", "alarms_at_aws_rates", "alarms_3000"
A_TARGET = 20
"""Alarms of one target."""
DRIFTED = 123456.0


def run_open(stage: Stage, alarms: int, sweeps: int) -> list[Figure]:
    """Nothing held back and 20 ms a call, as ACK's controller was measured; then sweeps at rest, and one alarm that somebody changed."""
    with stage.operator("alarms", settle_scale="0") as running:
        with running.slow_aws():
            begun, cpu, started = time.time(), running.cpu_seconds(), time.monotonic()
            _create(running, alarms)
            _wait_ready(running, alarms)
            seconds, used = time.monotonic() - started, running.cpu_seconds() - cpu
        calls = running.aws_calls(begun)
        say(f"  AWS calls: {dict(Counter(call.operation for call in calls).most_common())}")
        figures = [
            Figure(f"alarms_{alarms}_converge_s", round(seconds, 1), "s"),
            Figure(f"alarms_{alarms}_cpu_ms_per_alarm", round(used * 1000 / alarms, 2), "ms"),
            Figure(f"alarms_{alarms}_aws_calls", len(calls), "calls"),
        ]
        return [*figures, *_at_rest(running, alarms, sweeps), *_drift(running, alarms)]


def run_rated(stage: Stage, alarms: int) -> list[Figure]:
    """The operator's token buckets and the endpoint's throttling at AWS's rates, both `CLOCK` times as fast."""
    with stage.operator("alarms-rated", aws_rate_scale=str(CLOCK)) as running:
        stage.endpoint.control.throttle(CLOCK)
        try:
            begun = time.time()
            _create(running, alarms)
            _wait_ready(running, alarms)
        finally:
            stage.endpoint.control.throttle(0)
        calls = running.aws_calls(begun)
    throttled = [call for call in calls if "hrottl" in call.code]
    puts = [call for call in calls if call.operation == "PutMetricAlarm"]
    return [
        Figure(f"alarms_{alarms}_throttled", len(throttled), "calls", "== 0"),
        Figure(f"alarms_{alarms}_allowed_rate_used_ratio", round(share_used(puts, "cloudwatch", "PutMetricAlarm"), 3), "ratio", ">= 0.9"),
        Figure("clock_scale", CLOCK, "times"),
    ]


def run_large(stage: Stage, alarms: int) -> list[Figure]:
    """One object of so many alarms: its status, and what is written of it."""
    with stage.operator("alarms-large") as running:
        mark = running.kubernetes_mark()
        _create(running, alarms)
        _wait_ready(running, alarms)
        status = json.dumps(_get(running)["status"], separators=(",", ":"))
        writes = [write for write in running.kubernetes_writes(mark) if write.subresource == "status"]
        return [
            Figure(f"alarms_{alarms}_status_bytes", len(status), "bytes", "< 65536"),
            Figure(f"alarms_{alarms}_status_writes", len(writes), "writes"),
            Figure(f"alarms_{alarms}_bytes_per_status_write", round(sum(write.sent_bytes for write in writes) / len(writes)), "bytes"),
            Figure(f"alarms_{alarms}_resident_mib", round(running.resident_mib(), 1), "MiB"),
        ]


def _manifest(running: Running, alarms: int) -> dict[str, Any]:
    """Metrics of one's own, so that nothing has to be found: twenty alarms each, all of one service."""

    def target(number: int) -> dict[str, Any]:
        metric = {"namespace": "Shop", "name": f"Sales{number}", "dimensions": {"Tenant": f"t{number}"}}
        limits = [{"id": f"above-{limit}", "threshold": 10 * (limit + 1)} for limit in range(min(A_TARGET, alarms))]
        return {"id": f"sales-{number}", "type": "Custom", "service": "shop", "metric": metric, "alarms": limits}

    spec = {"policy": {"interval": f"{INTERVAL:.0f}s"}, "targets": [target(number) for number in range(max(1, alarms // A_TARGET))]}
    return {"apiVersion": "securebase.io/v1alpha1", "kind": "PerfAlarmSet", "metadata": {"name": "all", "namespace": running.namespace}, "spec": spec}


def _path(running: Running) -> str:
    return f"{GROUP}/namespaces/{running.namespace}/perfalarmsets"


def _create(running: Running, alarms: int) -> None:
    running.stage.cluster.call("POST", _path(running), _manifest(running, alarms))


def _get(running: Running) -> Any:
    return running.stage.cluster.call("GET", f"{_path(running)}/all")


def _wait_ready(running: Running, alarms: int) -> None:
    def ready() -> bool:
        said = {one["type"]: one["status"] for one in _get(running).get("status", {}).get("conditions", ())}
        return said.get("Ready") == said.get("Synced") == "True"

    running.until(ready, f"{alarms} alarms to be there", deadline=60 + alarms / 2, interval=0.5)


def _at_rest(running: Running, alarms: int, sweeps: int) -> list[Figure]:
    running.until(lambda: _get(running)["status"].get("alarms"), "the alarms to be counted", deadline=INTERVAL * 6, interval=0.5)
    running.wait_quiet(INTERVAL * 1.5, deadline=180)
    begun, mark = time.time(), running.kubernetes_mark()
    running.until(lambda: len(sweeps_of(running.aws_calls(begun))) > sweeps, f"{sweeps} sweeps", deadline=(sweeps + 4) * INTERVAL * 2, interval=0.5)
    calls = running.aws_calls(begun)
    complete = sweeps_of(calls)[:sweeps]
    reads = [sum(not call.write for call in sweep) for sweep in complete]
    say(f"  reads by sweep: {reads}; the largest: {dict(Counter(call.operation for call in complete[reads.index(max(reads))]))}")
    say(f"  beside DescribeAlarms: {[dict(Counter(call.operation for call in sweep if call.operation != 'DescribeAlarms')) for sweep in complete]}")
    describe = [sum(call.operation == "DescribeAlarms" for call in sweep) for sweep in complete]
    return [
        Figure(f"alarms_{alarms}_reads_per_sweep", statistics.median(reads), "calls", "<= 12"),
        Figure(f"alarms_{alarms}_reads_per_sweep_max", max(reads), "calls"),
        Figure(f"alarms_{alarms}_describe_alarms_per_sweep_max", max(describe), "calls", "<= 12"),
        Figure("idle_aws_writes", sum(call.write for call in calls), "calls", "== 0"),
        Figure("idle_kubernetes_writes", len(running.kubernetes_writes(mark)), "writes", "== 0"),
        Figure("sweeps", len(complete), "sweeps"),
    ]


def _drift(running: Running, alarms: int) -> list[Figure]:
    """One alarm is changed; how many calls pass until it is as it was."""
    cloudwatch = running.aws("cloudwatch")
    name = next(alarm["AlarmName"] for alarm in cloudwatch.describe_alarms()["MetricAlarms"] if "above" in alarm["AlarmName"])

    def threshold() -> float:
        return float(cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["Threshold"])

    before, begun = threshold(), time.time()
    cloudwatch.put_metric_alarm(
        AlarmName=name, ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=3, Threshold=DRIFTED, MetricName="Sales0", Namespace="Shop",
        Period=60, Statistic="Average",
    )  # fmt: skip
    running.until(lambda: threshold() == before, "the threshold to be put back", deadline=INTERVAL * 6, interval=0.2)
    calls = running.aws_calls(begun)
    written = [call.operation for call in calls if call.write]
    return [
        Figure(f"alarms_{alarms}_drift_writes", len(written), "calls", "== 1"),
        Figure(f"alarms_{alarms}_drift_calls", len(_from_the_sweep(calls)), "calls", "<= 40"),
    ]


def _from_the_sweep(calls: Sequence[Any]) -> Sequence[Any]:
    """The sweep that found it and the pass that put it right."""
    return sweeps_of(calls)[-1] if calls else ()

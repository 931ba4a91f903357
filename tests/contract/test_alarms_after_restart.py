"""A PerfAlarmSet of more functions than are read in one round, before and after a restart of the operator: it comes to rest, and stays so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from kubernetes.client import Configuration
from prometheus_client import CollectorRegistry

from lab.aws.endpoint import AwsEndpoint
from securebase.clients.aws import AwsAccountConfig, AwsClients, StaticCredentials
from securebase.clients.kubernetes import Kubernetes
from securebase.clients.limits import RateLimiter
from securebase.core.breakers import MassDeletion
from securebase.cost.book import PriceBook
from securebase.kinds.alarmset import ALARMS
from securebase.resources.discovery.inventory import A_ROUND
from securebase.resources.registry import Drivers, aws_drivers
from securebase.runtime.accounts import Account, Accounts
from securebase.runtime.events import Recorder
from securebase.runtime.objects import Objects
from securebase.runtime.queue import Key, Reason
from securebase.runtime.reconciler import reconciler_of
from securebase.runtime.shared import Process, SharedUse
from securebase.runtime.sweeper import Sweeper
from securebase.telemetry.metrics import Metrics
from tests.contract.harness import Lab, ShiftedClock
from tests.contract.test_discovery import function
from tests.unit.runtime.cluster import NoSources, merged

PLAIN = pytest.mark.parametrize("lab", ["plain"], indirect=True)
HOME, KEY, FUNCTIONS = "us-east-1", Key("PerfAlarmSet", "web", "platform"), 2 * A_ROUND + 20


class Cluster(Kubernetes):
    """An API server with one set; keeps what is written of it."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        super().__init__(Configuration())
        metadata = {"name": KEY.name, "namespace": KEY.namespace, "uid": "u", "generation": 1, "resourceVersion": "1"}
        self.body: dict[str, Any] = {"apiVersion": "securebase.io/v1alpha1", "kind": KEY.kind, "metadata": metadata, "spec": dict(spec)}
        self.patches: list[Mapping[str, Any]] = []

    def merge(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self.patches.append(body)
        self.body = merged(self.body, body)
        self.body["metadata"] |= {"resourceVersion": str(len(self.patches) + 1)}
        return self.now()

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return dict(body)

    def now(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(json.dumps(self.body))
        return found

    def says(self, condition: str) -> str:
        return next((str(one["status"]) for one in self.body.get("status", {}).get("conditions", ()) if one["type"] == condition), "")


class Operator:
    """A process: passes, and a sweep a minute."""

    def __init__(self, cluster: Cluster, endpoint: AwsEndpoint, account: str, clock: ShiftedClock) -> None:
        self.cluster, self.clock, self.objects = cluster, clock, Objects()
        clients = AwsClients(limiter=RateLimiter(is_open=True), version="test", credentials=StaticCredentials(account, "lab"))
        self.home = Account("default", AwsAccountConfig(account_id=account, endpoint_url=endpoint.url, region=HOME), HOME)
        drivers = Drivers(clients, aws_drivers(), clock)
        process = Process("contract", drivers, Accounts(clients, clock, {"default": self.home}), SharedUse(), MassDeletion(clock), clock)
        metrics = Metrics(CollectorRegistry(), "0")
        events = Recorder(cluster, clock, str)
        self.reconciler = reconciler_of(process, {KEY.kind: ALARMS}, self.objects, cluster, NoSources(), events, metrics, PriceBook(), clock)
        self.sweeper = Sweeper(process, self.objects, metrics, clock)

    def run(self, reason: Reason) -> str:
        self.objects.seen(KEY, self.cluster.now())
        outcome = self.reconciler.run(KEY, reason)
        return outcome.name if outcome is not None else ""

    def minute(self) -> list[str]:
        """Outcomes of the passes that a sweep asked for."""
        self.clock.advance(61.0)
        entry = self.objects.get(KEY)
        assert entry is not None and entry.account is not None
        return [self.run(Reason.SWEEP) for _ in self.sweeper.sweep(entry.account, [entry])]


@PLAIN
def test_after_a_restart_a_set_stays_ready_and_writes_nothing_until_all_is_read(lab: Lab, aws_endpoint: AwsEndpoint) -> None:
    for number in range(FUNCTIONS):
        function(lab, f"f{number:03}", team="shop")
    few = [{"id": id, "enabled": False} for id in ("errors", "throttles", "duration")]  # so that the status has room for all there is
    target = {"id": "all", "type": "Lambda", "selector": {"tags": {"team": "shop"}}, "alarms": few}
    cluster = Cluster({"targets": [target], "coldStarts": False, "standardQueries": False})
    first = Operator(cluster, aws_endpoint, lab.account, lab.clock)
    first.run(Reason.EDIT)
    passes = [first.minute()]
    while passes[-1] and len(passes) < 20:
        passes.append(first.minute())
    assert passes[-1] == [] and first.minute() == [] and cluster.says("Ready") == "True" and "plan" not in cluster.body["status"], passes
    shown = lab.raw("cloudwatch").list_dashboards()["DashboardEntries"]
    writes, mark = len(cluster.patches), len(lab.control.log.records(lambda record: record.account == lab.account))
    second = Operator(cluster, aws_endpoint, lab.account, lab.clock)
    assert second.run(Reason.EDIT) == "taken_up"
    for _ in range(8):
        last = second.minute()
        assert set(last) <= {"ready"} and cluster.says("Ready") == "True"
    assert last == [] and cluster.patches[writes:] == [], "a restart is nobody's news"
    calls = lab.control.log.records(lambda record: record.account == lab.account)[mark:]
    assert [call.operation for call in calls if call.write] == []
    assert lab.raw("cloudwatch").list_dashboards()["DashboardEntries"] == shown

"""Replication groups pass after pass through the core: steps are no drift, and a replacement takes its data along."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from securebase.core.driver import Driver, State
from securebase.core.graph import Graph, Node
from securebase.core.identity import Identity
from securebase.core.policy import Changes, Policy
from securebase.core.reconcile import reconcile
from securebase.core.subject import Memory, Report, Subject
from securebase.resources.elasticache.model import ReplicationGroup, engine
from securebase.resources.elasticache.replication_group import ReplicationGroupDriver
from tests.contract.harness import Lab, eventually


@dataclass(slots=True)
class LabWorld:
    """`core.subject.World` over the lab."""

    lab: Lab
    drivers: dict[str, Driver] = field(default_factory=dict)

    def driver(self, type: str, region: str) -> Driver:
        return self.drivers.setdefault(type, ReplicationGroupDriver(self.lab.scope("us-east-1"), self.lab.clock))

    def now(self) -> float:
        return self.lab.clock()

    def intend(self, *priors: Any) -> None:
        """Nothing crashes here."""

    def used_elsewhere(self, identity: Identity, type: str, name: str) -> bool:
        return False

    def admit_deletion(self, scope: str, what: str, total: int, *, confirmed: bool) -> None:
        """No breaker."""


@dataclass(slots=True)
class Passes:
    """One object with one group, reconciled again and again, five seconds apart: what lags behind is younger than the time a write needs to settle."""

    world: LabWorld
    subject: Subject
    memory: Memory = field(default_factory=Memory)
    drifted: list[str] = field(default_factory=list)
    corrected: list[str] = field(default_factory=list)

    def run(self, desired: ReplicationGroup, approved: str = "") -> Report:
        self.world.lab.clock.advance(5.0)
        graph = Graph([Node("group", ReplicationGroupDriver.type, desired, guards=True)])
        report = reconcile(graph, replace(self.subject, approved=approved), self.world, self.memory)
        self.subject = replace(self.subject, prior={result.prior.id: result.prior for result in report.results})
        self.drifted += report.drift
        self.corrected += report.corrected
        time.sleep(0.1)
        return report

    def until(self, desired: ReplicationGroup, holds: Callable[[Report], bool], what: str) -> Report:
        return eventually(lambda: self.run(desired), holds, what)


def quiet(report: Report) -> bool:
    """Everything READY and nothing done."""
    return report.plan.is_empty() and all(result.state == State.READY.value for result in report.results)


def passes(lab: Lab) -> Passes:
    identity = Identity("contract", "CacheCluster", "default", f"cache-{uuid4().hex[:8]}")
    return Passes(LabWorld(lab), Subject(identity, Policy(), "us-east-1"))


def cache(lab: Lab, **more: Any) -> ReplicationGroup:
    name = f"cache-{uuid4().hex[:8]}"
    subnets = [subnet["SubnetId"] for subnet in lab.raw("ec2").describe_subnets()["Subnets"]]
    lab.raw("elasticache").create_cache_subnet_group(CacheSubnetGroupName=name, CacheSubnetGroupDescription="cache", SubnetIds=subnets)
    return ReplicationGroup(name, {}, engine("valkey", "8.0"), "cache.r7g.large", subnet_group=name, replicas=1, automatic_failover=True, **more)


def test_one_change_after_the_other_is_no_drift(lab: Lab) -> None:
    runs, first = passes(lab), cache(lab)
    runs.until(first, quiet, "made")
    wanted = replace(first, node_type="cache.r7g.xlarge", replicas=2, snapshot_retention=7, multi_az=True)
    runs.until(wanted, quiet, "changed")
    assert (runs.drifted, runs.corrected) == ([], [])


def test_the_steps_of_tls_follow_each_other(lab: Lab) -> None:
    runs, first = passes(lab), cache(lab, transit_encryption="off")
    runs.until(first, quiet, "made")
    runs.until(replace(first, transit_encryption="required"), quiet, "encrypted")
    assert (runs.drifted, runs.corrected) == ([], [])


def test_what_can_only_go_with_a_held_change_waits_without_a_word(lab: Lab) -> None:
    """A parameter group of the new family is refused without the new engine, and that waits for an approval: meanwhile it is a healthy cache."""
    runs, first = passes(lab), cache(lab, parameter_group="default.valkey7")
    first = replace(first, engine=engine("valkey", "7.2"))
    runs.subject = replace(runs.subject, policy=Policy(changes=Changes.APPROVE))
    runs.until(first, quiet, "made")
    wanted = replace(first, engine=engine("valkey", "8.0"), parameter_group="default.valkey8")
    waiting = runs.until(wanted, lambda report: bool(report.plan.hash), "the engine is held")
    for report in (waiting, runs.run(wanted)):
        [group] = report.results
        assert (group.state, group.problem, report.updated, report.corrected) == (State.READY.value, None, (), ())
    runs.run(wanted, waiting.plan.hash)
    runs.until(wanted, quiet, "both are changed")


def test_a_change_outside_is_repaired_once(lab: Lab) -> None:
    runs, desired = passes(lab), cache(lab, snapshot_retention=7)
    runs.until(desired, quiet, "made")
    lab.raw("elasticache").modify_replication_group(ReplicationGroupId=desired.name, SnapshotRetentionLimit=1, ApplyImmediately=True)
    runs.until(desired, lambda report: bool(report.corrected), "seen and repaired")
    runs.until(desired, quiet, "as it was")
    assert runs.corrected == ["group.snapshotRetention"]


def test_a_replacement_starts_from_the_last_snapshot(lab: Lab) -> None:
    runs, first = passes(lab), cache(lab)
    runs.until(first, quiet, "made")
    wanted = replace(first, port=6380)
    waiting = runs.run(wanted)
    assert waiting.plan.hash
    report = runs.run(wanted, waiting.plan.hash)
    report = runs.until(wanted, lambda report: report.attributes.get("group", {}).get("port") == "6380", "the successor serves")
    assert report.attributes["group"]["id"] == f"{first.name}-1"
    snapshots = lab.raw("elasticache").describe_snapshots()["Snapshots"]
    assert [each["ReplicationGroupId"] for each in snapshots] == [first.name]


def test_what_a_predecessor_was_given_after_the_snapshot_is_told(lab: Lab) -> None:
    runs, first = passes(lab), cache(lab)
    runs.until(first, quiet, "made")
    wanted = replace(first, port=6380)
    runs.run(wanted, runs.run(wanted).plan.hash)

    def successor_serves(report: Report) -> bool:
        return any(result.reason == "Replaced" and result.state == State.READY.value for result in report.results)

    runs.until(wanted, successor_serves, "the predecessor is in its grace")
    lab.clock.advance(600.0)
    now = datetime.fromtimestamp(lab.clock(), UTC)
    data = {"MetricName": "SetTypeCmds", "Dimensions": [{"Name": "CacheClusterId", "Value": f"{first.name}-001"}], "Unit": "Count"}
    points = [{**data, "Timestamp": now - timedelta(seconds=behind), "Value": 20.0} for behind in (60, 120)]
    lab.raw("cloudwatch").put_metric_data(Namespace="AWS/ElastiCache", MetricData=points)
    [old] = [result for result in runs.run(wanted).results if result.reason == "Replaced"]
    assert old.prior.external_id == first.name
    assert "write commands went to it since the snapshot" in old.message

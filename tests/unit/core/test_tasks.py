"""What is asked for once: done exactly once, also when more is asked before it has come through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from securebase.core.driver import Answer, Depth, Driver, Key, Observed, State, Target
from securebase.core.graph import Node, Ref
from securebase.core.outcome import of_report
from securebase.core.subject import Report
from tests.unit.core.fake import Bench, FakeWorld, Thing, ThingDriver, node, states, thing


class JobDriver(ThingDriver):
    """Things that are asked for, like invalidations: known by their recorded id alone, and asked for twice under one name they are one."""

    def observe(self, targets: Sequence[Target[Any]], depth: Depth) -> Mapping[Key, Answer]:
        return {target.key: self._observed(target.external_id) if target.external_id in self.outside.things else None for target in targets}

    def create(self, target: Target[Any], token: str) -> Observed[Any]:
        return super().create(target, target.want().name)


@dataclass(slots=True)
class JobWorld(FakeWorld):
    """Things, and jobs for them."""

    def driver(self, type: str, region: str) -> Driver:
        return JobDriver(self.outside) if type == "fake/job" else ThingDriver(self.outside)


@pytest.fixture
def bench() -> Bench:
    """A thing that is ready; whatever is asked for from now on takes its time."""
    bench = Bench(JobWorld())
    bench.run(node("a"))
    bench.writes()
    bench.world.outside.born = State.PENDING
    return bench


def job(name: str, **fields: Any) -> Node:
    """The one task node, asking for `name`."""
    return Node("job", "fake/job", thing(name, partner=Ref("a", "id"), **fields), task=True)


def finish(bench: Bench, name: str) -> None:
    """It is done outside."""
    key = bench.world.outside.by_name(name)
    assert key is not None
    owner, value, _ = bench.world.outside.things[key]
    bench.world.outside.things[key] = owner, value, State.READY


def asked(bench: Bench) -> list[str]:
    """Names of everything that was asked for."""
    return [value.name for _, value, _ in bench.world.outside.things.values() if value.name != "a"]


def told(report: Report) -> Thing:
    """What the plan of this pass speaks of."""
    [step] = [step for step in report.plan.steps if step.node.id == "job"]
    desired: Thing = step.target.want()
    return desired


def test_it_is_asked_for_once_however_often_it_is_looked_at(bench: Bench) -> None:
    for _ in range(3):
        assert states(bench.run(node("a"), job("first")))["job"] == "PENDING"
    finish(bench, "first")
    assert states(bench.run(node("a"), job("first")))["job"] == "READY"
    assert bench.writes() == [("create", "job")]


@pytest.mark.parametrize("done", [False, True], ids=["under way", "done but not told yet"])
@pytest.mark.parametrize("progress_only", [False, True], ids=["edit", "poll"])
def test_a_second_one_takes_the_place_of_the_first(bench: Bench, done: bool, progress_only: bool) -> None:
    bench.run(node("a"), job("first"))
    if done:
        finish(bench, "first")
        assert states(bench.run(node("a"), job("first")))["job"] == "READY"
    report = bench.run(node("a"), job("second"), progress_only=progress_only)
    assert (states(report)["job"], told(report).name) == ("PENDING", "second")
    for _ in range(2):
        bench.run(node("a"), job("second"), progress_only=progress_only)
    finish(bench, "second")
    assert states(bench.run(node("a"), job("second")))["job"] == "READY"
    assert bench.writes() == [("create", "job"), ("create", "job")]
    assert asked(bench) == ["first", "second"], "what was asked for runs on; nothing takes it back"


def test_a_second_one_asked_for_as_the_first_is_forgotten(bench: Bench) -> None:
    """The first was acknowledged and left the graph; its record is pruned in a pass that knows nothing of the second."""
    bench.run(node("a"), job("first"))
    finish(bench, "first")
    bench.run(node("a"), job("first"))
    assert "job" not in states(bench.run(node("a")))
    bench.world.outside.born = State.READY
    assert states(bench.run(node("a"), job("second")))["job"] == "READY"
    assert [verb for verb, _ in bench.writes()] == ["create", "delete", "create"]


def test_a_second_one_asked_for_while_the_pruning_of_the_first_waits(bench: Bench) -> None:
    """Pruning comes last, once everything else is ready: until then the first is still on record."""
    bench.run(node("a"), job("first"))
    finish(bench, "first")
    bench.run(node("a"), job("first"))
    bench.world.outside.change("a", color="blue")
    bench.world.outside.things["t-1"] = (*bench.world.outside.things["t-1"][:2], State.PENDING)
    assert states(bench.run(node("a")))["job"] == "WAITING"
    assert told(bench.run(node("a"), job("second"))).name == "second"
    finish(bench, "second")
    assert states(bench.run(node("a"), job("second")))["job"] == "READY"
    assert [verb for verb, name in bench.writes() if name == "job"] == ["create", "create"]


def test_a_second_one_whose_record_was_lost_is_not_done_twice(bench: Bench) -> None:
    """The process dies after the request and before the status: the record still names the first."""
    bench.run(node("a"), job("first"))
    before = bench.subject
    bench.run(node("a"), job("second"))
    bench.subject, bench.memory = replace(before), Bench().memory
    bench.run(node("a"), job("second"))
    assert asked(bench) == ["first", "second"]


def test_a_second_one_is_no_drift_and_no_fight(bench: Bench) -> None:
    bench.memory.fights.limit = 2
    for number in range(6):
        report = bench.run(node("a"), job(f"job-{number}"))
        assert (report.drift, report.corrected) == ((), ())
        assert of_report(report, bench.policy).name == "ready"
    assert asked(bench) == [f"job-{number}" for number in range(6)]

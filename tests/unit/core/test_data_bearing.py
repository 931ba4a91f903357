"""What holds data: a replacement starts from a snapshot and outlives every crash, secrets reach whom they are for and nobody else, steps of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from securebase.core.driver import IN_USE, Driver, Observed, State, Target
from securebase.core.errors import Terminal, Transient, Waiting
from securebase.core.fields import SecretValue
from securebase.core.finalise import finalise
from securebase.core.graph import Graph, Node, Ref, Role, SecretFrom
from securebase.core.outcome import of_report
from securebase.core.policy import Mode, OnDelete, Policy
from securebase.core.removal import SHARED_PATIENCE_SECONDS
from securebase.core.subject import FIRST_POLL
from securebase.runtime.shared import SharedUse
from tests.unit.core.fake import IDENTITY, Bench, ThingDriver, node, states
from tests.unit.core.vaults import GRACE, PASSWORD, Life, VaultDriver, Vaults, vault, why


def test_a_replacement_waits_for_its_snapshot_and_stands_beside_the_old_one() -> None:
    life = Life()
    first = life.run("square")
    assert life.world.stored["a"].snapshot == life.world.asked[0], "its name is stored before it is asked for"
    assert life.world.stored["a"].external_id == "t-1"
    assert why(first) == "Snapshotting" and of_report(first, life.bench.policy).name == "waiting"
    assert why(life.run("square")) == "Snapshotting" and len(life.world.asked) == 1 and life.shapes == ["round"]
    life.world.done.add(life.world.asked[0])
    life.world.outside.born = State.PENDING
    made = life.run("square")
    assert states(made)["a"] == "PENDING" and life.shapes == ["round", "square"] and life.partner == "t-3"
    assert life.world.restored["t-3"] == life.world.asked[0]
    assert [value.name for key, (_, value, _) in life.world.outside.things.items() if key != "t-2"] == ["a", "a-1"]
    assert life.bench.subject.prior["a"].snapshot == life.world.asked[0], "until it is ready, it may have to be made again from it"
    life.finish()
    ready = life.run("square")
    assert states(ready)["a"] == "READY" and life.bench.subject.prior["a"].snapshot == "" and len(life.world.asked) == 1


def test_the_snapshot_is_asked_for_after_its_name_was_stored() -> None:
    life = Life()
    life.crash("square", "name")
    assert life.world.asked == [] and life.bench.subject.prior["a"].snapshot


@pytest.mark.parametrize("after", ["name", "asked", "saved", "successor", "create"])
def test_after_a_crash_at_any_step_there_is_one_successor_from_the_one_snapshot(after: str) -> None:
    life = Life()
    life.world.outside.born = State.PENDING
    life.crash("square", after)
    report = life.until_settled("square")
    assert life.world.kills == 1 and len(life.world.asked) == 1
    assert life.shapes == ["round", "square"] and life.world.restored["t-3"] == life.world.asked[0] and life.partner == "t-3"
    assert states(report) == {"a": "READY", "b": "READY", "a~0": "READY"} and why(report, "a~0") == "Replaced"
    life.run("square", wait=GRACE)
    assert life.shapes == ["square"] and "a~0" not in life.bench.subject.prior


@pytest.mark.parametrize("approved", [True, False])
def test_a_driver_that_finds_the_old_one_by_its_tag_loses_nothing(approved: bool) -> None:
    life = Life()
    life.crash("square", "successor")
    life.world.finds_by_tag = True
    life.hash = life.hash if approved else ""
    life.until_settled("square")
    life.run("square", wait=2 * GRACE)
    life.run("square")
    assert life.shapes == (["square"] if approved else ["round"]), "nothing that serves is removed, approved or not"


def test_two_crashes_in_one_replacement_still_make_one_successor() -> None:
    life = Life()
    for after in ("asked", "create"):
        life.crash("square", after)
    life.until_settled("square")
    assert life.world.kills == 2 and len(life.world.asked) == 1 and life.shapes == ["round", "square"]


def test_the_grace_begins_when_everybody_has_moved_and_the_old_one_goes_without_a_second_approval() -> None:
    life = Life()
    life.world.outside.born = State.PENDING
    life.run("square")
    life.world.done |= set(life.world.asked)
    life.run("square")
    assert "a-1" in {value.name for _, value, _ in life.world.outside.things.values()}
    for _ in range(3):  # its making takes longer than the grace
        report = life.run("square", wait=GRACE)
        assert life.shapes == ["round", "square"] and states(report)["a~0"] == "WAITING"
    life.finish()
    report = life.run("square")
    told = next(result for result in report.results if result.prior.id == "a~0")
    assert told.reason == "Replaced" and told.after == GRACE and "7 writes since" in told.message
    assert life.shapes == ["round", "square"] and told.prior.retired_at == int(life.world.time)
    life.run("square", wait=GRACE / 2)
    assert life.shapes == ["round", "square"]
    assert life.run("square", wait=GRACE / 2).removed == ("a~0",)
    assert life.shapes == ["square"] and life.world.final == []


def test_drift_that_may_be_our_own_last_write_replaces_nothing() -> None:
    """Only what is left of a plan after that is done; the approval was for something else, or for nothing."""
    life = Life()
    life.hash = ""
    life.until_settled("round")
    life.world.outside.change("a", shape="drifted")
    life.bench.memory.wrote_at["a"] = life.world.time
    wanted = vault(shape="round", color="blue")
    life.bench.run(wanted, node("b", partner=Ref("a", "id")), wait=5.0)
    assert life.world.asked == [] and life.shapes == ["drifted"] and life.world.outside.things["t-1"][1].color == "blue"


def test_a_spec_that_goes_back_midway_leaves_nothing_behind_and_a_later_replacement_saves_anew() -> None:
    life = Life()
    life.run("square")
    life.world.done |= set(life.world.asked)
    report = life.run("round")
    assert states(report) == {"a": "READY", "b": "READY"} and life.shapes == ["round"] and life.bench.subject.prior["a"].snapshot == ""
    life.until_settled("round")
    assert life.world.outside.made == 2
    assert why(life.run("square")) == "Snapshotting"
    life.until_settled("square")
    assert len(life.world.asked) == 2 and life.world.restored["t-3"] == life.world.asked[1]


def test_a_replacement_that_nobody_approves_saves_nothing() -> None:
    life = Life()
    life.hash = ""
    life.run("square")
    assert life.world.asked == [] and life.shapes == ["round"]


@pytest.mark.parametrize("problem", [Transient("Down", "down"), Terminal("Full", "no capacity")], ids=["transient", "terminal"])
def test_a_successor_that_cannot_be_made_yet_is_made_from_the_same_snapshot_later(problem: Exception) -> None:
    life = Life()
    life.run("square")
    life.world.done |= set(life.world.asked)
    life.world.outside.failing["create a"] = problem
    life.run("square")
    assert life.shapes == ["round"] and life.bench.subject.prior["a"].snapshot == life.world.asked[0]
    life.world.outside.failing.clear()
    life.until_settled("square")
    assert life.shapes == ["round", "square"] and len(life.world.asked) == 1 and life.world.restored["t-3"] == life.world.asked[0]


def test_only_looking_in_between_forgets_neither_the_old_one_nor_what_the_successor_starts_from() -> None:
    life = Life()
    life.crash("square", "successor")
    life.bench.policy = Policy(mode=Mode.OBSERVE)
    life.run("square")
    life.bench.policy = Policy()
    life.until_settled("square")
    assert life.world.restored["t-3"] == life.world.asked[0]
    began = life.bench.subject.prior["a~0"].retired_at
    life.bench.policy = Policy(mode=Mode.OBSERVE)
    life.run("square")
    assert life.bench.subject.prior["a~0"].retired_at == began > 0 and life.bench.subject.prior["a~0"].snapshot == life.world.asked[0]
    life.run("square", complete=False)
    assert "a~0" in life.bench.subject.prior, "what was not composed is not forgotten"
    life.bench.policy = Policy()
    assert life.run("square").removed == () and life.shapes == ["round", "square"]


def test_what_serves_is_not_removed_as_its_own_predecessor() -> None:
    """A driver that searches by owner tag may find the old one where the successor was never made."""
    life = Life()
    life.hash = ""
    now = life.bench.subject.prior["a"]
    both = {"a": replace(now, incarnation=1), "a~0": replace(now, id="a~0", guards=False, retired_at=1)}
    life.bench.subject = replace(life.bench.subject, prior={**life.bench.subject.prior, **both})
    report = life.run("round", wait=2 * GRACE)
    assert life.shapes == ["round"] and report.removed == () and states(report) == {"a": "READY", "b": "READY"}


def test_at_its_end_it_leaves_one_last_snapshot_where_the_policy_says_so() -> None:
    life = Life()
    life.until_settled("round")
    subject = replace(life.bench.subject, policy=Policy(on_delete=OnDelete.SNAPSHOT))
    done = finalise(None, subject, life.world, life.bench.memory)
    assert done.done and set(done.removed) == {"a", "b"} and len(life.world.final) == 1 and life.world.asked == []
    assert len(life.world.final[0]) <= 40 and life.world.final[0][0].isalpha()


def test_at_its_end_nothing_is_saved_where_the_policy_says_delete() -> None:
    life = Life()
    assert finalise(None, life.bench.subject, life.world, life.bench.memory).done and life.world.final == []


def resting(**options: Any) -> Bench:
    """A vault at rest whose next step is due an hour from now."""
    bench = Bench(world=Vaults(), **options)
    bench.run(vault())
    assert isinstance(bench.world, Vaults)
    bench.world.due_from = bench.world.time + 3600
    return bench


def vaults(bench: Bench) -> Vaults:
    assert isinstance(bench.world, Vaults)
    return bench.world


def test_a_step_of_its_own_is_taken_when_it_is_due_and_once() -> None:
    bench = resting()
    report = bench.run(vault())
    assert vaults(bench).advanced == [] and of_report(report, bench.policy).after == pytest.approx(3480)
    bench.run(vault(), wait=3480)
    bench.run(vault())
    assert len(vaults(bench).advanced) == 1


def test_the_time_of_the_next_step_wakes_a_pass_that_only_looks_at_what_moves() -> None:
    bench = resting()
    bench.run(vault())
    bench.world.outside.reads.clear()
    bench.run(vault(), progress_only=True)
    assert bench.world.outside.reads == [] and vaults(bench).advanced == []
    bench.run(vault(), progress_only=True, wait=3600)
    assert len(vaults(bench).advanced) == 1


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.PAUSED])
def test_nobody_who_only_looks_takes_a_step(mode: Mode) -> None:
    bench = resting()
    bench.policy = Policy(mode=mode)
    bench.run(vault(), wait=4000)
    assert vaults(bench).advanced == []


def test_no_step_is_taken_while_drift_is_held_and_nobody_asks_every_second_whether_it_still_is() -> None:
    bench = resting()
    bench.world.outside.change("a", keep_days=30)
    report = bench.run(vault(), wait=4000)
    assert vaults(bench).advanced == [] and report.drift == ("a.keepDays",)
    assert next(result.after for result in report.results) is None
    report = bench.run(vault(), approved=report.plan.hash)
    assert vaults(bench).advanced == [] and next(result.after for result in report.results) == FIRST_POLL
    bench.run(vault())
    assert len(vaults(bench).advanced) == 1


def test_a_step_that_fails_is_this_resources_trouble_alone() -> None:
    class Stuck(VaultDriver):
        def advance(self, target: Target[Any], observed: Observed[Any]) -> Observed[Any]:
            raise Transient("Down", "down")

    class StuckWorld(Vaults):
        def driver(self, type: str, region: str) -> Driver:
            return Stuck(self) if type == VaultDriver.type else ThingDriver(self.outside)

    bench = Bench(world=StuckWorld())
    bench.run(vault())
    vaults(bench).due_from = bench.world.time
    assert states(bench.run(vault(), node("c"))) == {"a": "FAILED", "c": "READY"}


def keeper(**fields: Any) -> Node:
    """Who is told the secret."""
    return node("keeper", password=SecretFrom("a", "password"), **fields)


def test_a_secret_reaches_whom_it_is_for_and_stands_nowhere_else() -> None:
    bench = Bench(world=Vaults())
    seen = [bench.run(vault(), keeper()), bench.run(vault(), keeper())]
    key = bench.world.outside.by_name("keeper")
    assert key is not None and bench.world.outside.things[key][1].password == SecretValue(PASSWORD, "v1")
    vaults(bench).password = SecretValue(PASSWORD.upper(), "v2")
    bench.policy = Policy(mode=Mode.OBSERVE)
    seen.append(bench.run(vault(), keeper()))
    bench.policy = Policy()
    seen.append(bench.run(vault(), keeper()))
    assert bench.world.outside.things[key][1].password == SecretValue(PASSWORD.upper(), "v2")
    assert seen[-1].updated == ("keeper",) and seen[-1].corrected == ()
    for report in seen:
        changes = [(change.have, change.want) for step in report.plan.steps for change in step.changes]
        told = f"{report!r} {json.dumps(report.attributes)} {changes} {[str(want) for _, want in changes]} {report.plan.hash}"
        assert PASSWORD not in told.lower()
        assert "password" not in report.attributes["a"]
    assert PASSWORD not in repr(bench.subject).lower() and PASSWORD not in repr(bench.memory).lower()


def test_a_secret_that_is_not_known_yet_is_one_leaf_that_says_whose_it_is() -> None:
    bench = Bench(world=Vaults(), policy=Policy(mode=Mode.OBSERVE))
    step = next(step for step in bench.run(vault(), keeper()).plan.steps if step.node.id == "keeper")
    told = {change.path: change.want for change in step.changes if change.path.startswith("password")}
    assert told == {"password": "(secret ${a.password})"}
    bench.policy = Policy()
    bench.run(vault(), keeper())
    bench.world.outside.failing["a"] = Transient("Down", "down")
    bench.policy = Policy(mode=Mode.OBSERVE)
    step = next(step for step in bench.run(vault(), keeper()).plan.steps if step.node.id == "keeper")
    assert [(change.path, change.want, change.drifted) for change in step.changes] == [("password", "(secret)", False)]


def test_who_needs_a_secret_waits_until_it_is_there() -> None:
    bench = Bench(world=Vaults())
    bench.world.outside.failing["create a"] = Terminal("No", "no")
    report = bench.run(vault(), keeper())
    assert states(report) == {"a": "FAILED", "keeper": "WAITING"} and bench.world.outside.by_name("keeper") is None


@pytest.mark.parametrize(
    ("now", "outdated"),
    [
        ({}, False),
        ({"a": {"members": "x:primary"}}, False),
        ({"a": {"members": "y:primary"}}, True),
        ({"a": {}}, True),
        ({"b": {"members": "y:primary"}}, False),
    ],
    ids=["unknown", "same", "others", "none any more", "another node"],
)
def test_a_graph_is_outdated_by_what_is_known_to_be_another(now: Mapping[str, Mapping[str, str]], outdated: bool) -> None:
    assert Graph([node("a")], gathered={"a": {"members": "x:primary"}}).outdated(now) is outdated


def test_a_graph_that_gathered_nothing_is_outdated_once_there_is_something() -> None:
    graph = Graph([node("a")], gathered={"a": {"members": ""}})
    assert not graph.outdated({"a": {"id": "t-1"}}) and graph.outdated({"a": {"members": "x:primary"}})


IN_USE_NOW = Waiting(IN_USE, "somebody uses it", 15.0)


def sharing() -> Bench:
    """One shared thing that the spec no longer wants and AWS calls in use."""
    bench = Bench()
    bench.run(node("a"), node("s", role=Role.SHARED))
    bench.world.outside.failing["delete s"] = IN_USE_NOW
    return bench


def test_a_shared_thing_in_use_is_tried_for_a_while_and_then_let_go() -> None:
    bench = sharing()
    assert states(bench.run(node("a")))["s"] == "WAITING"
    assert states(bench.run(node("a"), wait=SHARED_PATIENCE_SECONDS))["s"] == "WAITING"
    assert "s" not in states(bench.run(node("a"), wait=1.0)) and bench.world.outside.by_name("s") is not None


def test_waiting_for_its_turn_uses_up_no_patience() -> None:
    bench = sharing()
    bench.world.outside.born = State.PENDING
    report = bench.run(node("a"), node("c"))
    assert states(report)["s"] == "WAITING"
    bench.run(node("a"), node("c"), wait=2 * SHARED_PATIENCE_SECONDS)
    key = bench.world.outside.by_name("c")
    assert key is not None
    owner, value, _ = bench.world.outside.things[key]
    bench.world.outside.things[key] = owner, value, State.READY
    report = bench.run(node("a"), node("c"))
    assert states(report)["s"] == "WAITING" and why(report, "s") == IN_USE
    del bench.world.outside.failing["delete s"]
    assert bench.run(node("a"), node("c")).removed == ("s",)


def test_at_an_objects_end_the_same_patience_holds() -> None:
    bench = sharing()
    subject = replace(bench.subject, prior={"s": bench.subject.prior["s"]})
    assert not finalise(None, subject, bench.world, bench.memory).done
    bench.world.time += SHARED_PATIENCE_SECONDS + 1
    assert finalise(None, subject, bench.world, bench.memory).done and bench.world.outside.by_name("s") is not None


def test_what_is_ours_alone_is_waited_for_as_long_as_it_takes() -> None:
    bench = Bench()
    bench.run(node("a"), node("own"))
    bench.world.outside.failing["delete own"] = IN_USE_NOW
    bench.run(node("a"))
    assert states(bench.run(node("a"), wait=10 * SHARED_PATIENCE_SECONDS))["own"] == "WAITING"


def test_who_is_about_to_use_something_keeps_it_and_who_uses_it_no_longer_does_not() -> None:
    shared, other = SharedUse(), replace(IDENTITY, name="other")
    shared.use("1", IDENTITY, {("t", "s1")})
    shared.about_to_use("1", IDENTITY, {("t", "s2")})
    assert [shared.others("1", other, "t", name) for name in ("s1", "s2", "s3")] == [True, True, False]
    assert not shared.others("1", IDENTITY, "t", "s2") and not shared.others("2", other, "t", "s2")
    shared.use("1", IDENTITY, {("t", "s2")})
    assert not shared.others("1", other, "t", "s1") and shared.others("1", other, "t", "s2")
    shared.use("1", IDENTITY, set())
    assert not shared.others("1", other, "t", "s2")

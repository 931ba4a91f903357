"""What must hold when something goes wrong in between: crashes, lost answers, lost tags, somebody who undoes our work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from securebase.core.breakers import MassDeletion
from securebase.core.driver import Answer, Depth, Driver, Key, State, Target
from securebase.core.errors import Terminal, Transient
from securebase.core.finalise import finalise
from securebase.core.graph import Graph, Ref, Role
from securebase.core.outcome import of_report
from securebase.core.plan import Prior
from securebase.core.policy import Adopt, Policy
from tests.unit.core.fake import Bench, FakeWorld, ThingDriver, node, states, thing


class Stored:
    """The status as it would be read after a crash: what was stored before the call, and nothing after it."""

    def __init__(self, bench: Bench) -> None:
        self.priors = dict(bench.subject.prior)
        world = bench.world

        def intend(*priors: Prior) -> None:
            self.priors |= {prior.id: prior for prior in priors}

        world.intend = intend  # type: ignore[method-assign]


class StoringWorld(FakeWorld):
    """A FakeWorld whose `intend` can be watched."""


def test_a_crash_between_remaking_and_status_makes_no_second_one() -> None:
    bench = Bench(world=StoringWorld())
    bench.run(node("a"))
    bench.world.outside.remove("a")
    bench.run(node("a"))
    stored = Stored(bench)
    bench.run(node("a"), wait=6.0)
    assert bench.world.outside.made == 2
    after = Bench(world=bench.world, subject=replace(bench.subject, prior=stored.priors))
    report = after.run(node("a"))
    assert bench.world.outside.made == 2 and states(report) == {"a": "READY"} and len(bench.world.outside.things) == 1


def test_a_crash_between_replacement_and_status_remembers_the_old_one() -> None:
    bench = Bench(world=StoringWorld())
    bench.run(node("a"))
    plan = bench.run(node("a", shape="square")).plan
    stored = Stored(bench)
    bench.run(node("a", shape="square"), approved=plan.hash)
    after = Bench(world=bench.world, subject=replace(bench.subject, prior=stored.priors))
    after.run(node("a", shape="square"))
    assert [value.shape for _, value, _ in bench.world.outside.things.values()] == ["square"] and bench.world.outside.made == 2


def test_what_never_came_to_be_leaves_without_being_asked_for() -> None:
    bench = Bench()
    bench.world.outside.failing["create b"] = Terminal("No", "no")
    bench.run(node("a"), node("b"))
    bench.world.outside.reads.clear()
    report = bench.run(node("a"))
    assert states(report) == {"a": "READY"} and all(count == 1 for _, count, _ in bench.world.outside.reads)
    bench.subject = replace(bench.subject, prior={**bench.subject.prior, "b": Prior("b", "fake/thing")})
    assert finalise(None, bench.subject, bench.world, bench.memory).done


def test_an_odd_document_of_one_driver_is_one_results_trouble() -> None:
    class Odd(ThingDriver):
        def observe(self, targets: Sequence[Target[Any]], depth: Depth) -> Mapping[Key, Answer]:
            raise KeyError("hunter2")

    class OddWorld(FakeWorld):
        def driver(self, type: str, region: str) -> Driver:
            return Odd(self.outside)

    bench = Bench(world=OddWorld())
    report = bench.run(node("a"))
    assert of_report(report, bench.policy).name == "transient" and "hunter2" not in repr(report)


def test_an_approval_holds_until_everything_it_opened_is_done_and_opens_nothing_else() -> None:
    bench = Bench()
    bench.run(node("a"), node("b", guards=True))
    waiting = bench.run(node("a", keep_days=1))
    bench.world.outside.failing["update a"] = Transient("Down", "down")
    bench.run(node("a", keep_days=1), approved=waiting.plan.hash)
    assert bench.world.outside.by_name("b") is not None
    del bench.world.outside.failing["update a"]
    bench.run(node("a", keep_days=1))
    bench.run(node("a", keep_days=1))
    assert bench.world.outside.by_name("b") is None and bench.world.outside.things["t-1"][1].keep_days == 1
    assert bench.memory.granted == frozenset()
    bench.run(node("a", keep_days=7))
    again = bench.run(node("a", keep_days=1))
    assert again.plan.hash and bench.world.outside.things["t-1"][1].keep_days == 7


def test_a_stripped_owner_tag_does_not_orphan_what_is_recorded() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.world.outside.things["t-1"] = "", thing("a"), State.READY
    done = finalise(Graph([node("a")]), bench.subject, bench.world, bench.memory)
    assert done.done and done.removed == ("a",) and bench.world.outside.things == {}


def test_what_somebody_else_owns_now_is_left_alone_and_told() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.world.outside.things["t-1"] = "other/owner", thing("a"), State.READY
    done = finalise(Graph([node("a")]), bench.subject, bench.world, bench.memory)
    assert done.done and done.removed == () and "t-1" in done.left_alone[0]


def test_a_fight_over_existence_stops_too() -> None:
    bench = Bench()
    bench.memory.fights.limit = 2
    bench.run(node("a"))
    for _ in range(2):
        bench.world.outside.remove("a")
        bench.run(node("a"))
        assert bench.run(node("a"), wait=6.0).corrected == ("a",)
    bench.world.outside.remove("a")
    report = bench.run(node("a"))
    assert report.results[0].reason == "Fight" and "somebody else deletes a" in report.results[0].message
    assert bench.world.outside.made == 3


def test_one_lagging_read_long_after_another_is_no_proof() -> None:
    bench = Bench()
    bench.run(node("a"))
    kept = dict(bench.world.outside.things)
    bench.world.outside.things.clear()
    bench.run(node("a"))
    bench.world.outside.things.update(kept)
    bench.run(node("a"))
    bench.world.outside.things.clear()
    assert states(bench.run(node("a"))) == {"a": "WAITING"} and bench.world.outside.made == 1


def test_what_failed_is_read_anew_even_in_a_progress_pass() -> None:
    bench = Bench()
    bench.world.outside.things["x"] = "", thing("a"), State.READY
    assert bench.run(node("a")).results[0].reason == "NotOwned" and bench.subject.prior["a"].external_id == ""
    bench.world.outside.things.clear()
    assert states(bench.run(node("a"), progress_only=True)) == {"a": "READY"}


def test_an_external_node_that_leaves_the_spec_is_not_removed() -> None:
    bench = Bench()
    bench.world.outside.things["x"] = "", thing("bucket"), State.READY
    bench.run(node("bucket", role=Role.EXTERNAL), node("a", partner=Ref("bucket", "id")))
    report = bench.run(node("a"))
    assert report.removed == () and "bucket" not in states(report)


def test_never_adopting_still_knows_its_own_after_a_crash() -> None:
    bench = Bench(world=StoringWorld(), policy=Policy(adopt=Adopt.NEVER))
    stored = Stored(bench)
    bench.run(node("a"))
    after = Bench(world=bench.world, policy=bench.policy, subject=replace(bench.subject, prior=stored.priors))
    assert states(after.run(node("a"))) == {"a": "READY"}
    stranger = Bench(world=bench.world, policy=bench.policy)
    assert stranger.run(node("a")).results[0].reason == "AdoptionRefused"


def test_what_was_let_go_once_is_not_stopped_half_way_and_a_tripped_breaker_stays_so() -> None:
    clock = {"now": 0.0}
    breaker = MassDeletion(lambda: clock["now"])
    for number in range(5):
        breaker.admit("account", f"o{number}", 10, confirmed=False)
    with pytest.raises(Terminal):
        breaker.admit("account", "o5", 10, confirmed=False)
    for moment in range(100, 2000, 100):
        clock["now"] = float(moment)
        breaker.admit("account", "o0", 10, confirmed=False)
        with pytest.raises(Terminal):
            breaker.admit("account", "o5", 10, confirmed=False)
    breaker.admit("account", "o5", 10, confirmed=True)

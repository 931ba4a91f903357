"""Passes over one object: order, failure of one branch, drift, gates, prune, replacement, adoption."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from securebase.core.breakers import MassDeletion
from securebase.core.driver import State
from securebase.core.errors import Denied, ReferenceNotFound, Terminal, TokenSpent, Transient
from securebase.core.graph import Graph, Ref, Role
from securebase.core.outcome import of_report
from securebase.core.policy import Adopt, Changes, Mode, Policy
from securebase.core.reconcile import reconcile
from tests.unit.core.fake import Bench, FakeWorld, Item, node, states, thing


def test_creates_in_dependency_order_and_then_does_nothing() -> None:
    bench = Bench()
    nodes = node("b", partner=Ref("a", "id")), node("a")
    report = bench.run(*nodes)
    assert bench.writes() == [("create", "a"), ("create", "b")]
    assert bench.world.outside.things["t-2"][1].partner == "t-1"
    assert states(report) == {"a": "READY", "b": "READY"}
    again = bench.run(*nodes)
    assert bench.writes() == [] and again.plan.is_empty()
    assert of_report(again, bench.policy).name == "ready"


def test_a_failing_branch_does_not_stop_its_siblings_and_dependants_say_for_whom_they_wait() -> None:
    bench = Bench()
    bench.world.outside.failing["create a"] = Terminal("AliasTaken", "the alias is taken")
    report = bench.run(node("a"), node("b", partner=Ref("a", "id")), node("c"))
    assert states(report) == {"a": "FAILED", "b": "WAITING", "c": "READY"}
    waiting = next(result for result in report.results if result.prior.id == "b")
    assert "waits for a" in waiting.message and "alias is taken" in waiting.message
    outcome = of_report(report, bench.policy)
    assert {(c.type, c.status, c.reason) for c in outcome.conditions} >= {("Ready", False, "AliasTaken"), ("Stalled", True, "AliasTaken")}


def test_an_update_that_fails_does_not_stop_those_who_need_only_the_id() -> None:
    bench = Bench()
    bench.run(node("a"), node("b", partner=Ref("a", "id")))
    bench.world.outside.failing["update a"] = Terminal("Refused", "no")
    report = bench.run(node("a", color="blue"), node("b", partner=Ref("a", "id"), color="green"))
    assert states(report) == {"a": "FAILED", "b": "READY"}
    assert bench.world.outside.things["t-2"][1].color == "green"


def test_after_wants_the_other_to_have_come_through() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.world.outside.failing["update a"] = Terminal("Refused", "no")
    report = bench.run(node("a", color="blue"), node("b", after=frozenset({"a"})))
    assert states(report) == {"a": "FAILED", "b": "WAITING"}


def test_an_attribute_that_is_not_there_yet_makes_the_dependant_wait() -> None:
    bench = Bench()
    bench.world.outside.born = State.PENDING
    report = bench.run(node("a"), node("b", partner=Ref("a", "ready")))
    assert states(report) == {"a": "PENDING", "b": "WAITING"}
    key = bench.world.outside.by_name("a")
    assert key is not None
    owner, value, _ = bench.world.outside.things[key]
    bench.world.outside.things[key] = owner, value, State.READY
    assert states(bench.run(node("a"), node("b", partner=Ref("a", "ready"))))["a"] == "READY"
    assert bench.world.outside.by_name("b") is not None


def test_drift_is_told_apart_from_a_pending_change_per_path() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.world.outside.change("a", color="blue")
    report = bench.run(node("a", keep_days=8))
    causes = {change.path: change.cause.value for step in report.plan.steps for change in step.changes}
    assert causes == {"color": "DRIFT", "keepDays": "PENDING"}
    assert report.corrected == ("a.color",)
    assert bench.world.outside.things["t-1"][1] == thing("a", keep_days=8)


def test_without_a_memory_a_difference_is_adopting_not_drift() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.subject = type(bench.subject)(bench.subject.identity, bench.policy, "eu-central-1")
    bench.world.outside.change("a", color="blue")
    report = bench.run(node("a"))
    assert [change.cause.value for step in report.plan.steps for change in step.changes] == ["ADOPTING"]
    assert report.corrected == () and bench.writes()[-1] == ("update", "a")


def test_no_drift_is_called_within_the_settle_time_of_our_own_write() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.writes()
    bench.world.outside.change("a", color="blue")
    report = bench.run(node("a"), wait=5.0)
    assert bench.writes() == [] and report.drift == ()
    assert bench.run(node("a"), wait=120.0).corrected == ("a.color",)


def test_what_is_pending_is_not_called_drifted() -> None:
    bench = Bench()
    bench.world.outside.born = State.PENDING
    bench.run(node("a"))
    bench.writes()
    bench.world.outside.change("a", color="blue")
    bench.run(node("a"))
    assert bench.writes() == []


def test_what_is_gone_is_made_again_after_a_second_look_with_the_next_incarnation() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.writes()
    bench.world.outside.remove("a")
    first = bench.run(node("a"))
    assert bench.writes() == [] and states(first) == {"a": "WAITING"}
    second = bench.run(node("a"), wait=6.0)
    assert bench.writes() == [("create", "a")] and bench.world.intents == [("a", 1)]
    assert states(second) == {"a": "READY"} and second.corrected == ("a",)
    assert bench.subject.prior["a"].incarnation == 1


def test_a_create_whose_answer_was_lost_makes_no_second_one() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.subject = type(bench.subject)(bench.subject.identity, bench.policy, "eu-central-1")
    bench.run(node("a"))
    assert bench.world.outside.made == 1


def test_a_spent_token_moves_to_the_next_incarnation() -> None:
    bench = Bench()
    outside = bench.world.outside
    spent = {"left": 1}

    class Once(dict[str, Exception]):
        def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
            if key == "create a" and spent["left"]:
                spent["left"] -= 1
                return TokenSpent("used for something that is gone")
            return None

    outside.failing = Once()
    bench.run(node("a"))
    assert bench.world.intents == [("a", 1)] and outside.made == 1


@pytest.mark.parametrize("adopt", [Adopt.NEVER, Adopt.IF_OWNED])
def test_what_is_not_ours_is_never_touched(adopt: Adopt) -> None:
    bench = Bench(policy=Policy(adopt=adopt))
    bench.world.outside.things["x"] = "", thing("a", color="blue"), State.READY
    report = bench.run(node("a"))
    assert bench.writes() == [] and report.results[0].reason == "NotOwned"


def test_adopt_always_takes_over_what_nobody_owns_but_never_another_owners() -> None:
    bench = Bench(policy=Policy(adopt=Adopt.ALWAYS))
    bench.world.outside.things["x"] = "", thing("a", color="blue"), State.READY
    bench.world.outside.things["y"] = "other/Thing/team/one/b", thing("b"), State.READY
    report = bench.run(node("a"), node("b"))
    assert bench.writes() == [("adopt", "a"), ("update", "a")]
    assert {result.prior.id: result.reason for result in report.results}["b"] == "OwnedByAnother"


def test_a_rebuilt_cluster_takes_over_with_no_create_and_no_delete() -> None:
    bench = Bench()
    bench.run(node("a"), node("b", partner=Ref("a", "id")))
    bench.writes()
    rebuilt = Bench(world=bench.world)
    report = rebuilt.run(node("a"), node("b", partner=Ref("a", "id")))
    assert rebuilt.writes() == [] and states(report) == {"a": "READY", "b": "READY"}


def test_disruptive_changes_wait_for_the_window_and_online_ones_do_not() -> None:
    opened = {"now": False}
    bench = Bench(policy=Policy(changes=Changes.WINDOW, window=lambda _: opened["now"]))
    bench.run(node("a"))
    report = bench.run(node("a", speed=9, color="blue"))
    assert bench.world.outside.things["t-1"][1].color == "blue" and bench.world.outside.things["t-1"][1].speed == 1
    assert any(c.reason == "OutsideWindow" for c in of_report(report, bench.policy).conditions)
    opened["now"] = True
    bench.run(node("a", speed=9, color="blue"))
    assert bench.world.outside.things["t-1"][1].speed == 9


def test_loss_of_protection_waits_for_exactly_this_plans_approval() -> None:
    bench = Bench()
    bench.run(node("a"))
    waiting = bench.run(node("a", keep_days=1))
    assert waiting.plan.hash and bench.world.outside.things["t-1"][1].keep_days == 7
    bench.run(node("a", keep_days=1), approved="0" * 16)
    assert bench.world.outside.things["t-1"][1].keep_days == 7
    done = bench.run(node("a", keep_days=1), approved=waiting.plan.hash)
    assert bench.world.outside.things["t-1"][1].keep_days == 1 and done.plan.approved == waiting.plan.hash


def test_the_plan_hash_does_not_depend_on_what_is_there() -> None:
    one, other = Bench(), Bench()
    one.run(node("a", keep_days=30))
    other.run(node("a", keep_days=20))
    assert one.run(node("a", keep_days=1)).plan.hash == other.run(node("a", keep_days=1)).plan.hash


def test_a_replacement_makes_the_new_repoints_and_removes_the_old() -> None:
    bench = Bench()
    nodes = node("a"), node("b", partner=Ref("a", "id"))
    bench.run(*nodes)
    bench.writes()
    changed = node("a", shape="square"), node("b", partner=Ref("a", "id"))
    plan = bench.run(*changed).plan
    assert bench.writes() == []
    bench.run(*changed, approved=plan.hash)
    assert bench.writes() == [("create", "a"), ("update", "b")]
    bench.run(*changed)
    assert bench.writes() == [("delete", "a~0")]
    left = {value.name: value for _, value, _ in bench.world.outside.things.values()}
    assert left["a"].shape == "square" and left["b"].partner == "t-3" and len(bench.world.outside.things) == 2


def test_prunes_after_everything_else_is_ready_and_never_from_an_incomplete_gathering() -> None:
    bench = Bench()
    bench.run(node("a"), node("b"))
    assert states(bench.run(node("a"), complete=False))["b"] == "READY"
    assert bench.world.outside.by_name("b") is not None
    bench.world.outside.failing["create c"] = Transient("Down", "down")
    report = bench.run(node("a"), node("c"))
    assert bench.world.outside.by_name("b") is not None and states(report)["b"] == "WAITING"
    del bench.world.outside.failing["create c"]
    report = bench.run(node("a"), node("c"))
    assert report.removed == ("b",) and bench.world.outside.by_name("b") is None


def test_something_missing_that_nobody_takes_anything_from_holds_no_pruning_up() -> None:
    bench = Bench()
    bench.run(node("a"), node("b"))
    report = bench.run(node("a"), node("watched", role=Role.EXTERNAL))
    assert report.removed == ("b",) and isinstance({result.prior.id: result for result in report.results}["watched"].problem, ReferenceNotFound)
    bench.run(node("a"), node("c"))
    report = bench.run(node("a", partner=Ref("watched", "id")), node("watched", role=Role.EXTERNAL))
    assert states(report)["c"] == "WAITING", "what uses it cannot have come through"


def test_pruning_what_guards_traffic_waits_for_approval() -> None:
    bench = Bench()
    bench.run(node("a"), node("b", guards=True))
    waiting = bench.run(node("a"))
    assert states(waiting)["b"] == "HELD" and bench.world.outside.by_name("b") is not None
    bench.run(node("a"), approved=waiting.plan.hash)
    assert bench.world.outside.by_name("b") is None


def test_a_shared_resource_is_removed_only_when_nobody_uses_it() -> None:
    bench = Bench()
    shared = node("s", role=Role.SHARED)
    bench.run(node("a"), shared)
    bench.world.users.add(("fake/thing", "t-2"))
    report = bench.run(node("a"))
    assert bench.world.outside.by_name("s") is not None and "s" not in states(report)


def test_pruning_many_at_once_stops_at_the_breaker() -> None:
    bench = Bench()
    bench.world.limit = MassDeletion(lambda: bench.world.time)
    many = [node(f"n{number}") for number in range(10)]
    bench.run(node("a"), *many)
    bench.writes()
    report = bench.run(node("a"))
    assert len([write for write in bench.writes() if write[0] == "delete"]) == 5
    assert {result.reason for result in report.results if result.state == "FAILED"} == {"MassDeletion"}


def test_a_fight_stops_and_names_the_paths() -> None:
    bench = Bench()
    bench.memory.fights.limit = 3
    bench.run(node("a"))
    for _ in range(3):
        bench.world.outside.change("a", color="blue")
        assert bench.run(node("a")).corrected == ("a.color",)
    bench.world.outside.change("a", color="blue")
    report = bench.run(node("a"))
    assert report.corrected == () and bench.world.outside.things["t-1"][1].color == "blue"
    stalled = next(c for c in of_report(report, bench.policy).conditions if c.type == "Stalled")
    assert stalled.status and stalled.reason == "Fight" and "color" in stalled.message
    bench.memory.fights.forget()
    assert bench.run(node("a")).corrected == ("a.color",)


def test_observe_reports_and_never_writes() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.writes()
    bench.policy = Policy(mode=Mode.OBSERVE)
    bench.world.outside.change("a", color="blue")
    report = bench.run(node("a"), node("b"))
    assert bench.writes() == [] and report.drift == ("a.color",)
    assert any(c.type == "Synced" and c.reason == "DriftObserved" for c in of_report(report, bench.policy).conditions)


def test_ignored_paths_are_sent_back_as_they_stand() -> None:
    bench = Bench(policy=Policy(ignore=("a.color", "a.items[x]")))
    bench.run(node("a", items=(Item("x"), Item("y"))))
    bench.world.outside.change("a", color="blue", items=(Item("x", 9), Item("y")))
    assert bench.run(node("a", items=(Item("x"), Item("y")))).plan.is_empty()
    bench.run(node("a", keep_days=9, items=(Item("x"), Item("y"))))
    there = bench.world.outside.things["t-1"][1]
    assert (there.color, there.keep_days, there.items) == ("blue", 9, (Item("x", 9), Item("y")))


def test_tags_of_others_stay_and_ours_that_left_the_spec_go() -> None:
    bench = Bench()
    bench.run(node("a", tags={"team": "web", "old": "yes"}))
    bench.world.outside.change("a", tags={"team": "web", "old": "yes", "cost-centre": "7"})
    assert bench.run(node("a", tags={"team": "web", "old": "yes"})).plan.is_empty()
    report = bench.run(node("a", tags={"team": "web"}))
    assert [change.path for step in report.plan.steps for change in step.changes] == ["tags[old]"]


def test_denied_is_never_absence() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.writes()
    bench.world.outside.failing["a"] = Denied("fake:Describe", "arn:thing", "no")
    report = bench.run(node("a"))
    assert bench.writes() == []
    outcome = of_report(report, bench.policy)
    assert outcome.name == "denied" and "fake:Describe on arn:thing" in outcome.conditions[0].message


def test_a_missing_external_node_is_a_reference_not_found_and_what_needs_it_waits() -> None:
    bench = Bench()
    report = bench.run(node("bucket", role=Role.EXTERNAL), node("b", partner=Ref("bucket", "id")))
    assert isinstance(report.results[0].problem, ReferenceNotFound)
    outcome = of_report(report, bench.policy)
    assert outcome.conditions[0].reason == "ReferenceNotFound" and outcome.after is not None and outcome.after <= 5


def test_somebody_elses_is_found_by_what_is_wanted_now() -> None:
    bench = Bench()
    bench.world.outside.things |= {name: ("theirs", thing(name), State.READY) for name in ("one", "two")}
    for name in ("one", "two"):
        report = bench.run(node(name, id="given", role=Role.EXTERNAL), node("b", partner=Ref("given", "id")))
        assert report.attributes["given"]["id"] == name
    assert isinstance(bench.run(node("three", id="given", role=Role.EXTERNAL)).results[0].problem, ReferenceNotFound)


@pytest.mark.parametrize("adopt", [Adopt.IF_OWNED, Adopt.ALWAYS])
def test_what_was_somebody_elses_is_not_taken_for_our_own_under_the_same_id(adopt: Adopt) -> None:
    bench = Bench(policy=Policy(adopt=adopt))
    bench.world.outside.things["theirs"] = "", thing("shared"), State.READY
    bench.run(node("shared", id="a", role=Role.EXTERNAL))
    report = bench.run(node("a", color="blue"))
    assert states(report) == {"a": "READY"} and bench.writes() == [("create", "a")]
    assert bench.world.outside.things["theirs"] == ("", thing("shared"), State.READY)
    bench.run()
    assert bench.world.outside.things.keys() == {"theirs"}


def test_what_could_be_looked_for_without_its_references_is_not_looked_for_again_when_they_are_known() -> None:
    bench = Bench()
    bench.run(node("a"), node("b", partner=Ref("a", "id")))
    assert len(bench.world.outside.reads) == 2  # one a wave
    bench = Bench()
    bench.run(node("a"), node("b", desired=thing(Ref("a", "id"))))
    assert len(bench.world.outside.reads) == 3
    assert bench.writes() == [("create", "a"), ("create", "b")]


def test_a_progress_pass_reads_only_what_was_not_ready() -> None:
    bench = Bench()
    bench.run(node("a"), node("b"))
    bench.world.outside.reads.clear()
    bench.run(node("a"), node("b"), progress_only=True)
    assert bench.world.outside.reads == []


def test_long_work_is_many_passes_and_says_how_far_it_is() -> None:
    bench = Bench()
    slow = SlowWorld(bench.world)
    nodes = [node(f"n{number:02d}") for number in range(11)]
    graph = Graph(nodes)
    report = reconcile(graph, bench.subject, slow, bench.memory)
    assert len(bench.writes()) == 5, "as many as there is time for, ten seconds each"
    told = [result.message for result in report.results if result.reason == "Continues"]
    assert told[:1] == ["5 of 11 resources are there; the pass goes on with the others"]
    known = replace(bench.subject, prior={result.prior.id: result.prior for result in report.results})
    reconcile(graph, known, slow, bench.memory)
    assert bench.writes() == [("create", f"n{number:02d}") for number in range(5, 10)], "and none of them twice"


@dataclass(slots=True)
class SlowWorld:
    """Every write takes ten seconds."""

    world: FakeWorld

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world, name)

    def now(self) -> float:
        return self.world.time + 10.0 * len(self.world.outside.writes)


def test_a_task_never_counts_against_readiness() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.world.outside.born = State.PENDING
    report = bench.run(node("a"), node("job", task=True))
    outcome = of_report(report, bench.policy)
    assert outcome.name == "ready" and outcome.after is not None

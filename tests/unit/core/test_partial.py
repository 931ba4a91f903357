"""What is composed without something that could not be looked up: it is added to, or left as it is, and loses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from securebase.core.fields import managed
from securebase.core.graph import Graph, Node, Ref
from securebase.core.reconcile import reconcile
from securebase.core.subject import Report
from tests.unit.core.fake import Bench, Thing, ThingDriver, node, states


@dataclass(frozen=True, slots=True)
class Club:
    """A value that can be added to, as long as it has no more than three members. `name` is that of a `Thing`."""

    name: str
    members: frozenset[str] = frozenset()
    color: str = "red"
    tags: Mapping[str, str] = managed(default=None, open=True)

    def grown(self, there: Club, leaving: frozenset[str]) -> Club | None:
        every = self.members | (there.members - leaving)
        return replace(self, members=every) if len(every) <= 3 else None


def club(*members: str, partial: bool, **fields: Any) -> Node:
    return Node("club", ThingDriver.type, Club("club", frozenset(members), tags={}, **fields), partial=partial)


def members(bench: Bench) -> set[str]:
    [found] = [value for _, value, _ in bench.world.outside.things.values() if value.name == "club"]
    assert isinstance(found, Club)
    return set(found.members)


def test_it_is_added_to_and_loses_nothing_until_everything_is_known() -> None:
    bench = Bench()
    bench.run(club("a", "b", partial=False))
    report = bench.run(club("b", "c", partial=True, color="blue"))
    assert members(bench) == {"a", "b", "c"} and states(report) == {"club": "READY"}
    bench.writes()
    assert bench.run(club("b", "c", partial=True, color="blue")).plan.is_empty() and bench.writes() == []
    bench.run(club("b", "c", partial=False, color="blue"))
    assert members(bench) == {"b", "c"} and bench.writes() == [("update", "club")]


def test_what_refers_to_something_made_in_the_same_pass_is_added_to_as_well() -> None:
    bench = Bench()
    bench.run(club("a", partial=False))
    bench.run(club("b", Ref("new", "id"), partial=True), node("new"))
    assert members(bench) == {"a", "b", "t-2"}


def test_where_one_cannot_hold_both_it_is_left_as_it_is_and_holds_up_nothing() -> None:
    bench = Bench()
    bench.run(club("a", "b", partial=False))
    report = bench.run(club("c", "d", partial=True))
    [result] = report.results
    assert members(bench) == {"a", "b"} and (result.state, result.problem, result.message) == ("READY", None, "")


def test_a_value_that_cannot_grow_is_left_as_it_is_alone() -> None:
    bench = Bench()
    bench.run(node("a"), node("b"))
    changed = node("a", color="blue"), replace(node("b", color="blue"), partial=True)
    report = bench.run(*changed, complete=False)
    colors = {value.name: value.color for _, value, _ in bench.world.outside.things.values() if isinstance(value, Thing)}
    assert colors == {"a": "blue", "b": "red"} and states(report) == {"a": "READY", "b": "READY"}
    assert report.updated == ("a",)
    report = bench.run(*(replace(one, partial=False) for one in changed))
    assert bench.world.outside.things["t-2"][1].color == "blue" and report.drift == (), "what was left is not taken for what somebody changed"


def test_what_is_left_and_was_never_recorded_is_no_drift_later() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.subject = replace(bench.subject, prior={})
    blue = node("a", color="blue")
    bench.run(replace(blue, partial=True), complete=False)
    report = bench.run(blue)
    assert report.updated == ("a",) and report.corrected == ()


def run(bench: Bench, graph: Graph) -> Report:
    bench.world.time += 120.0
    report = reconcile(graph, bench.subject, bench.world, bench.memory)
    bench.subject = replace(bench.subject, prior={result.prior.id: result.prior for result in report.results})
    return report


def test_only_what_the_unknown_may_want_is_spared() -> None:
    bench = Bench()
    bench.run(node("a"), node("b"), node("c"))
    report = run(bench, Graph([node("c")], unsure=lambda name: name == "a"))
    assert report.removed == ("b",) and bench.world.outside.by_name("a") is not None
    assert {result.prior.id: result.reason for result in report.results}["a"] == "NotComposed"
    assert run(bench, Graph([node("c")])).removed == ("a",)


def test_what_the_object_removes_is_not_kept() -> None:
    bench = Bench()
    bench.run(node("gone"), node("kept"), club(Ref("gone", "id"), Ref("kept", "id"), partial=False))
    report = run(bench, Graph([node("kept"), club(Ref("kept", "id"), partial=True)]))
    assert members(bench) == {"t-2"} and report.removed == ("gone",), "the one that goes is t-1"

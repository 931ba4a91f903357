"""What moves from one resource to another is in both for a while: added there first, taken out here later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from securebase.core.errors import Transient
from securebase.core.fields import managed
from securebase.core.graph import Graph, InvalidGraph, Node
from securebase.core.policy import Policy
from securebase.core.subject import FIRST_POLL, Report
from tests.unit.core.fake import Bench, ThingDriver, node, states


@dataclass(frozen=True, slots=True)
class Crew:
    """Members, of whom no more than four fit. `name` is that of a `Thing`."""

    name: str
    members: frozenset[str] = frozenset()
    color: str = "red"
    tags: Mapping[str, str] = managed(default=None, open=True)

    def lacks(self, there: Crew) -> bool:
        return not self.members <= there.members

    def kept(self, there: Crew) -> Crew:
        every = self.members | there.members
        return replace(self, members=every if len(every) <= 4 else there.members)


def crew(name: str, *members: str, until: str = "", **fields: Any) -> Node:
    return Node(name, ThingDriver.type, Crew(name, frozenset(members), tags={}, **fields), keeps_until=frozenset(until.split()))


def members(bench: Bench) -> dict[str, str]:
    crews: list[Any] = [value for _, value, _ in bench.world.outside.things.values()]
    return {one.name: "".join(sorted(one.members)) for one in crews}


def after(report: Report) -> dict[str, float | None]:
    return {result.prior.id: result.after for result in report.results}


BEFORE = crew("old", "a", "b"), crew("top", "a")
MOVED = crew("old", "a", until="new top"), crew("new", "b"), crew("top", "a", "b")


def test_what_moves_stays_until_others_have_it_and_goes_in_a_pass_that_comes_by_itself() -> None:
    bench = Bench()
    bench.run(*BEFORE)
    report = bench.run(*MOVED)
    assert members(bench) == {"old": "ab", "new": "b", "top": "ab"}
    assert set(states(report).values()) == {"READY"} and after(report)["old"] == FIRST_POLL
    report = bench.run(*MOVED, progress_only=True, wait=FIRST_POLL)
    assert members(bench) == {"old": "a", "new": "b", "top": "ab"} and after(report)["old"] is None
    assert bench.run(*MOVED).plan.is_empty()


@pytest.mark.parametrize("refused", ["create new", "update top"])
def test_whatever_is_refused_nothing_is_taken_out_meanwhile(refused: str) -> None:
    bench = Bench()
    bench.run(*BEFORE)
    bench.world.outside.failing[refused] = Transient("Throttled", "later")
    for _ in range(3):
        bench.run(*MOVED)
        assert members(bench)["old"] == "ab"
    bench.world.outside.failing.clear()
    bench.run(*MOVED)
    bench.run(*MOVED)
    assert members(bench) == {"old": "a", "new": "b", "top": "ab"}


def test_it_is_added_to_and_changed_otherwise_at_once() -> None:
    bench = Bench()
    bench.run(*BEFORE)
    changed = crew("old", "a", "c", until="new", color="blue"), crew("new", "b")
    bench.run(*changed, crew("top", "a"))
    assert members(bench)["old"] == "abc" and {value.color for _, value, _ in bench.world.outside.things.values() if value.name == "old"} == {"blue"}


def test_what_is_full_stays_as_it_is_and_stops_nobody() -> None:
    bench = Bench()
    bench.run(crew("old", "a", "b", "c"), crew("top", "a"))
    moved = crew("old", "a", "d", "e", until="top"), crew("top", "a", "b")
    bench.run(*moved)
    assert members(bench) == {"old": "abc", "top": "ab"}
    bench.run(*moved)
    assert members(bench) == {"old": "ade", "top": "ab"}


def test_what_goes_is_removed_after_it_was_taken_over_and_let_go_of() -> None:
    bench = Bench()
    bench.run(crew("one", "a"), crew("two", "b"), crew("top", "1", "2"))
    wanted = crew("one", "a", "b"), crew("top", "1", until="one")
    report = bench.run(*wanted)
    assert members(bench) == {"one": "ab", "two": "b", "top": "12"} and report.removed == ()
    report = bench.run(*wanted)
    assert members(bench) == {"one": "ab", "top": "1"} and report.removed == ("two",)


def test_what_is_left_to_somebody_else_is_not_waited_for_again_and_again() -> None:
    bench = Bench()
    bench.run(*BEFORE, crew("gone"))
    bench.policy = Policy(ignore=("top.members",))
    report = bench.run(crew("old", "a", until="top"), crew("top", "a", "b"))
    assert members(bench)["old"] == "a" and after(report)["old"] is None and report.removed == ("gone",)


def test_only_nodes_of_the_graph_can_be_waited_for() -> None:
    with pytest.raises(InvalidGraph, match="nobody"):
        Graph([node("a"), crew("old", until="nobody")])

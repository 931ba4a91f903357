"""A replacement of what holds data: refused where the data cannot be carried over, never from an old snapshot, and nothing lost with what it replaces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from securebase.core.driver import State
from securebase.core.errors import Denied, Terminal, Transient
from securebase.core.outcome import of_report
from securebase.core.policy import OnDelete, Policy
from securebase.core.subject import NodeResult, Report
from securebase.core.succession import ASKED_SECONDS, FRESH_SECONDS
from tests.unit.core.fake import Bench, states
from tests.unit.core.vaults import GRACE, Life, VaultDriver, Vaults, vault, why


def replaced(**policy: Any) -> Life:
    """A vault whose successor serves, at the beginning of the grace."""
    life = Life()
    life.bench.policy = Policy(**policy)
    life.until_settled("square")
    life.hash = ""
    assert life.shapes == ["round", "square"]
    return life


def result(report: Report, name: str) -> NodeResult:
    return next(one for one in report.results if one.prior.id == name)


# --- the end of what was replaced


def test_what_was_replaced_leaves_a_last_snapshot_where_the_policy_says_so() -> None:
    life = replaced(on_delete=OnDelete.SNAPSHOT)
    assert life.run("square", wait=GRACE).removed == ("a~0",)
    [last] = life.world.final
    assert last not in life.world.asked and len(last) <= 40


def test_what_nobody_can_tell_of_is_not_removed_before_that_is_approved() -> None:
    life = replaced()
    life.world.written = ""
    report = life.run("square", wait=ASKED_SECONDS)
    assert "unknown" in result(report, "a~0").message and report.plan.hash == "", "nothing is asked for while it serves"
    life.run("square", wait=GRACE)
    report = life.run("square")
    assert states(report)["a~0"] == "HELD" and "unknown" in result(report, "a~0").message and life.shapes == ["round", "square"]
    assert of_report(report, life.bench.policy).conditions[1].reason == "ApprovalRequired"
    life.hash = report.plan.hash
    assert life.run("square").removed == ("a~0",) and life.shapes == ["square"]


def test_what_it_was_given_is_told_anew_every_quarter_of_an_hour_and_once_more_at_its_end() -> None:
    life = replaced()
    before = result(life.run("square"), "a~0").message
    life.world.written = "9 writes since"
    assert result(life.run("square"), "a~0").message == before, "a figure that moves is not told at every pass"
    assert "9 writes since" in result(life.run("square", wait=ASKED_SECONDS), "a~0").message
    life.world.written = "11 writes since"
    report = life.run("square", wait=GRACE)
    assert report.removed == ("a~0",) and [words[:21] for words in report.last_words] == ["a~0: 11 writes since "]


def test_what_can_be_told_again_needs_no_approval() -> None:
    life = replaced()
    life.world.written = ""
    life.run("square", wait=GRACE)
    assert states(life.run("square"))["a~0"] == "HELD"
    life.world.written = "7 writes since"
    life.run("square")
    assert life.run("square").removed == ("a~0",)


def test_what_is_kept_in_a_last_snapshot_needs_no_approval_though_nobody_can_tell_of_it() -> None:
    life = replaced(on_delete=OnDelete.SNAPSHOT)
    life.world.written = ""
    life.run("square", wait=GRACE)
    assert life.shapes == ["square"] and len(life.world.final) == 1


# --- a replacement that cannot keep the data


def test_a_replacement_that_could_not_start_from_what_is_there_is_refused_before_anything_is_done() -> None:
    life = Life()
    life.world.unrestorable = ("no square from a round one",)
    report = life.run("square")
    assert life.world.asked == [] and life.shapes == ["round"] and report.plan.hash == "", "there is nothing to approve"
    problem = result(report, "a").problem
    assert isinstance(problem, Terminal) and (problem.reason, problem.message) == ("NotRestorable", "no square from a round one")
    assert of_report(report, life.bench.policy).name == "terminal"
    life.world.unrestorable = ()
    life.until_settled("square")
    assert life.shapes == ["round", "square"]


def test_what_else_changes_is_not_held_up_by_it() -> None:
    life = Life()
    life.world.unrestorable = ("no",)
    life.bench.run(vault(shape="square", color="blue"))
    [seen] = [value for _, value, _ in life.world.outside.things.values() if value.name == "a"]
    assert (seen.shape, seen.color) == ("round", "blue")


def test_who_wants_an_empty_successor_gets_one_and_is_asked_before_the_data_go() -> None:
    life = Life()
    life.world.unrestorable = ("no",)
    life.world.written = ""
    wanted = replace(vault(shape="square"), starts_empty=True)
    life.bench.run(wanted, approved=life.bench.run(wanted).plan.hash)
    assert life.shapes == ["round", "square"] and life.world.asked == [] and life.world.restored["t-3"] == ""
    life.bench.run(wanted)
    life.bench.run(wanted, wait=GRACE)
    report = life.bench.run(wanted)
    assert states(report)["a~0"] == "HELD" and life.shapes == ["round", "square"]


# --- the snapshot between the two


def failing(life: Life, hours: float) -> Report:
    """Passes in which no successor can be made, for so long."""
    life.run("square")
    life.world.done |= set(life.world.asked)
    life.world.outside.failing["create a"] = Transient("Full", "no capacity")
    life.run("square")
    return life.run("square", wait=hours * FRESH_SECONDS)


def test_a_successor_that_could_not_be_made_for_long_starts_from_a_fresh_snapshot() -> None:
    life = Life()
    assert why(failing(life, 0.5)) == "Full" and len(life.world.asked) == 1, "half an hour is not long"
    assert why(life.run("square", wait=FRESH_SECONDS)) == "Snapshotting"
    life.world.outside.failing.clear()
    life.until_settled("square")
    old, fresh = life.world.asked
    assert life.world.discarded == [old] and life.world.restored["t-3"] == fresh


def test_after_a_crash_and_a_long_time_down_the_predecessor_is_saved_again() -> None:
    life = Life()
    life.crash("square", "successor")
    life.run("square", wait=2 * FRESH_SECONDS)
    life.until_settled("square")
    old, fresh = life.world.asked
    assert life.shapes == ["round", "square"] and life.world.discarded == [old] and life.world.restored["t-3"] == fresh
    assert life.bench.subject.prior["a~0"].snapshot == fresh, "what was written is counted from there"


def test_a_snapshot_that_takes_long_is_waited_for() -> None:
    life = Life()
    for _ in range(3):
        assert why(life.run("square", wait=FRESH_SECONDS)) == "Snapshotting"
    life.until_settled("square")
    assert len(life.world.asked) == 1 and life.world.restored["t-3"] == life.world.asked[0]


def test_what_a_replacement_that_was_given_up_had_saved_goes() -> None:
    life = Life()
    life.run("square")
    life.world.done |= set(life.world.asked)
    life.run("round")
    assert life.world.discarded == life.world.asked and life.bench.subject.prior["a"].snapshot == ""


def test_what_cannot_be_removed_yet_is_remembered_and_troubles_nobody() -> None:
    life = Life()
    life.run("square")
    life.world.done |= set(life.world.asked)
    life.world.outside.failing["discard"] = Denied("vault:DeleteSnapshot", "", "not allowed")
    report = life.run("round")
    assert states(report)["a"] == "READY" and "could not be removed" in result(report, "a").message
    assert life.bench.subject.prior["a"].snapshot == life.world.asked[0]
    life.world.outside.failing.clear()
    life.run("round")
    assert life.world.discarded == life.world.asked


def test_what_a_successor_was_made_from_stays() -> None:
    life = replaced()
    life.run("square")
    life.run("square", wait=GRACE)
    life.run("square")
    assert life.world.discarded == [] and set(life.world.snapshots) == set(life.world.asked)


# --- a status that was lost


@pytest.mark.parametrize("told", [0, 3])
def test_a_lost_status_counts_on_from_what_the_name_tells(told: int) -> None:
    class Numbered(VaultDriver):
        def _told(self, key: str, target: Any) -> Any:
            return replace(super()._told(key, target), incarnation=told)

    class World(Vaults):
        def driver(self, type: str, region: str) -> Any:
            return Numbered(self) if type == VaultDriver.type else super().driver(type, region)

    bench = Bench(world=World())
    bench.run(vault())
    bench.subject = replace(bench.subject, prior={})
    bench.run(vault())
    assert bench.subject.prior["a"].incarnation == told
    assert bench.world.outside.born is State.READY

"""Outputs from one pass to the next: what serves as it was told, and what is let go of at once."""

from __future__ import annotations

import pytest

from securebase.core.outputs import Promised, SoFar, outputs_now, promised

TOLD = {"host": "old", "port": "1", "names": "a,b,c"}


def test_lists_know_whether_all_of_it_was_read() -> None:
    assert promised(["a", "b"]) == "a,b" and type(promised(["a", "b"])) is Promised and type(promised([])) is Promised
    assert promised(["a", "", "c"]) == "a,c" and type(promised(["a", ""])) is SoFar


def test_until_it_is_ready_what_is_not_known_stands_and_nothing_new_beside_it() -> None:
    assert outputs_now(TOLD, {"host": "new"}, ready=False) == TOLD
    assert outputs_now(TOLD, {"host": "new"}, ready=True) == {"host": "new"}


@pytest.mark.parametrize("ready", [True, False])
def test_what_a_list_no_longer_has_goes_at_once(ready: bool) -> None:
    assert outputs_now(TOLD, {"host": "", "names": Promised("a")}, ready=ready).get("names") == "a"
    assert "names" not in outputs_now(TOLD, {"host": "", "names": Promised()}, ready=ready)


def test_a_list_that_was_read_in_part_loses_none_and_gains_what_is_new() -> None:
    told = outputs_now(TOLD, {"host": "new", "port": "2", "names": SoFar("d,a")}, ready=False)
    assert told == {"host": "new", "port": "2", "names": "d,a,b,c"}


def test_what_is_told_is_plain_text() -> None:
    assert {type(value) for value in outputs_now({}, {"names": Promised("a"), "some": SoFar("b"), "host": "h"}, ready=True).values()} == {str}


def test_what_was_told_counts_more_than_what_is_found_of_a_part() -> None:
    told = {"alarms": "120", "names": "a,b"}
    found = {"alarms": "50", "topic": "arn:t", "names": promised(["a"])}
    assert outputs_now(told, found, ready=True, partial=True) == {"alarms": "120", "topic": "arn:t", "names": "a"}
    assert outputs_now(told, found, ready=True) == {"alarms": "50", "topic": "arn:t", "names": "a"}

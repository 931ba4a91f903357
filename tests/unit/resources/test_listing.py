"""Listings read once for everybody, own writes in them, and turns."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from securebase.resources.listing import KEPT_SECONDS, LAG_SECONDS, Listing, Turns, tells_all


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Outside:
    """A list, how often it was read, and what it fails with."""

    def __init__(self) -> None:
        self.items: dict[str, int] = {}
        self.reads = 0
        self.error: Exception | None = None

    def __call__(self) -> Mapping[str, int]:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return dict(self.items)


def listing() -> tuple[Listing[str, int], Outside, Clock]:
    outside, clock = Outside(), Clock()
    return Listing(outside, clock), outside, clock


def test_a_young_listing_serves_a_search_and_never_one_who_asks_for_a_new_one() -> None:
    all_of_it, outside, clock = listing()
    all_of_it.get(60.0)
    clock.now += 59.0
    all_of_it.get(60.0)
    assert outside.reads == 1
    all_of_it.get()
    assert outside.reads == 2
    clock.now += 61.0
    all_of_it.get(60.0)
    assert outside.reads == 3


def test_what_we_wrote_is_there_before_the_outside_shows_it() -> None:
    all_of_it, outside, clock = listing()
    outside.items = {"old": 1, "going": 2}
    all_of_it.get()
    all_of_it.put("new", 3)
    all_of_it.drop("going")
    assert all_of_it.get(60.0) == {"old": 1, "new": 3}
    clock.now += 1.0
    assert all_of_it.get() == {"old": 1, "new": 3}, "the new list lags"
    clock.now += LAG_SECONDS
    assert all_of_it.get() == {"old": 1, "going": 2}, "a list that never shows it is right in the end"


def test_a_newer_value_of_the_outside_wins_over_what_we_wrote() -> None:
    all_of_it, outside, _ = listing()
    all_of_it.put("a", 1)
    outside.items = {"a": 2}
    assert all_of_it.get() == {"a": 2}


def test_what_we_wrote_wins_over_a_list_that_lags() -> None:
    all_of_it, outside, clock = listing()
    outside.items = {"a": 1}
    all_of_it.wrote("a", 2)
    all_of_it.put("a", 1)
    assert all_of_it.get() == {"a": 2}, "neither the list nor a late read by id"
    clock.now += LAG_SECONDS
    assert all_of_it.get() == {"a": 1}


def test_forget_makes_the_next_search_read() -> None:
    all_of_it, outside, _ = listing()
    all_of_it.get(60.0)
    all_of_it.forget()
    all_of_it.get(60.0)
    assert outside.reads == 2


def test_an_error_is_not_kept_for_those_who_ask_later() -> None:
    all_of_it, outside, clock = listing()
    outside.error = ValueError("no")
    with pytest.raises(ValueError, match="no"):
        all_of_it.get(60.0)
    outside.error = None
    clock.now += 0.1
    assert all_of_it.get(60.0) == {}


def test_a_hundred_at_once_share_a_read() -> None:
    clock, reads, begin = Clock(), [], threading.Event()

    def read() -> Mapping[str, int]:
        reads.append(1)
        begin.wait(5.0)
        return {"a": 1}

    all_of_it: Listing[str, int] = Listing(read, clock)
    with ThreadPoolExecutor(100) as pool:
        answers = [pool.submit(all_of_it.get, 60.0) for _ in range(100)]
        begin.set()
        assert all(answer.result(10.0) == {"a": 1} for answer in answers)
    assert len(reads) == 1


def test_turns_read_a_slice_the_longest_unread_first() -> None:
    clock = Clock()
    turns: Turns[int, str] = Turns(clock, share=0.1, at_least=10)
    asked: list[Sequence[int]] = []

    def read(keys: Sequence[int]) -> Mapping[int, str]:
        asked.append(keys)
        return {key: f"{key} at {clock.now}" for key in keys}

    keys = range(200)
    assert len(turns.round(keys, read)) == 200
    assert len(asked[0]) == 200, "what was never read has its turn at once"
    for _ in range(10):
        clock.now += 60.0
        turns.round(keys, read)
    assert [len(slice) for slice in asked[1:]] == [20] * 10
    assert sorted(key for slice in asked[1:] for key in slice) == list(keys), "each once in ten rounds"
    assert turns.round([5], read)[5].value.startswith("5 at ")


def test_a_round_reads_no_more_than_it_may() -> None:
    clock = Clock()
    turns: Turns[int, str] = Turns(clock, share=0.1, at_least=1, at_most=50)
    asked: list[Sequence[int]] = []

    def read(keys: Sequence[int]) -> Mapping[int, str]:
        asked.append(keys)
        return dict.fromkeys(keys, "read")

    known = []
    for _ in range(4):
        clock.now += 10.0
        known.append(len(turns.round(range(120), read)))
    assert known == [50, 100, 120, 120], "what was not read has no answer yet"
    assert [len(slice) for slice in asked] == [50, 50, 20, 12]


def test_a_round_about_some_keys_forgets_none_of_the_others() -> None:
    clock = Clock()
    turns: Turns[int, str] = Turns(clock, share=0.0, at_least=1)
    asked: list[Sequence[int]] = []

    def read(keys: Sequence[int]) -> Mapping[int, str]:
        asked.append(keys)
        return dict.fromkeys(keys, "read")

    for keys in (range(100), range(100, 200), range(100), range(100, 200)):
        clock.now += 10.0
        turns.round(keys, read)
    assert [len(slice) for slice in asked] == [100, 100, 1, 1]
    clock.now += KEPT_SECONDS
    turns.round([0], read)
    clock.now += 10.0
    turns.round(range(200), read)
    assert len(asked[-1]) == 199, "what nobody asked for so long was forgotten"


def test_a_whole_second_tells_nothing_about_changes_within_it() -> None:
    exact = datetime(2026, 1, 1, 12, 0, 0, 250_000, UTC)
    whole = exact.replace(microsecond=0)
    assert tells_all(exact, exact.timestamp())
    assert not tells_all(whole, whole.timestamp() + 0.9)
    assert tells_all(whole, whole.timestamp() + 2.0)

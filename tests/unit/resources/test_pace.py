"""What hardly changes is asked for now and then, and right after our own writes."""

from __future__ import annotations

import pytest

from securebase.core.errors import Transient
from securebase.resources.listing import Listing
from securebase.resources.pace import Pace


class Outside:
    """A list that can fail, on a clock that moves with each look at it."""

    def __init__(self) -> None:
        self.reads, self.fails, self.now = 0, False, 0.0
        self.listing: Listing[str, int] = Listing(self.read, self.clock)
        self.pace = Pace(self.clock, 3)

    def clock(self) -> float:
        self.now += 1.0
        return self.now

    def read(self) -> dict[str, int]:
        self.reads += 1
        if self.fails:
            raise Transient("Throttled", "slower")
        return {"reads": self.reads}


def test_every_third_sweep_asks() -> None:
    outside = Outside()
    assert [outside.pace.get(outside.listing)["reads"] for _ in range(7)] == [1, 1, 1, 2, 2, 2, 3]


def test_what_somebody_else_asked_counts_as_a_turn_of_ours() -> None:
    outside = Outside()
    assert [outside.pace.due() for _ in range(3)] == [True, False, False]
    outside.pace.asked()
    assert [outside.pace.due() for _ in range(4)] == [False, False, True, False]


def test_our_own_write_makes_the_next_one_ask() -> None:
    outside = Outside()
    outside.pace.get(outside.listing)
    outside.pace.wrote()
    asked = outside.pace.asked_at
    assert outside.pace.get(outside.listing) == {"reads": 2}
    assert outside.pace.get(outside.listing) == {"reads": 2}
    assert outside.pace.asked_at > asked


def test_a_failed_list_is_asked_for_again() -> None:
    outside = Outside()
    outside.fails = True
    with pytest.raises(Transient):
        outside.pace.get(outside.listing)
    outside.fails = False
    assert outside.pace.get(outside.listing) == {"reads": 2}

"""What states and history mean: flapping and its end, last words to receivers, a day without data."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from securebase.resources.cloudwatch.alarm_health import CHANGES_AN_HOUR, DAY, HOUR, AlarmState, Meaning, Standing, Told, Transition, flapping, health, untold

NOW = 1_700_000_000.0


def changes(count: int, every: float = 60.0, alarm: str = "a") -> list[Transition]:
    pair = ("OK", "ALARM")
    return [Transition(alarm, NOW - number * every, pair[number % 2], pair[(number + 1) % 2]) for number in range(count)]


def test_more_than_the_limit_within_the_hour_is_flapping() -> None:
    assert flapping(changes(CHANGES_AN_HOUR), (), NOW) == frozenset()
    assert flapping(changes(CHANGES_AN_HOUR + 1), (), NOW) == {"a"}
    assert flapping(changes(CHANGES_AN_HOUR + 1, every=HOUR / CHANGES_AN_HOUR), (), NOW) == frozenset()


def test_what_flapped_does_so_until_it_is_down_to_half() -> None:
    assert flapping(changes(CHANGES_AN_HOUR // 2 + 1), ("a",), NOW) == {"a"}
    assert flapping(changes(CHANGES_AN_HOUR // 2), ("a",), NOW) == frozenset()


@given(st.lists(st.floats(0, 2 * HOUR), max_size=30), st.integers(1, 10))
def test_fewer_changes_never_flap_more(ages: list[float], limit: int) -> None:
    every = [Transition("a", NOW - age, "OK", "ALARM") for age in ages]
    if flapping(every[1:], (), NOW, limit):
        assert flapping(every, (), NOW, limit)
    assert flapping(every, (), NOW, limit) <= flapping(every, ("a",), NOW, limit)


def test_the_last_word_to_a_receiver_counts() -> None:
    refused, reached = Told("a", NOW - 60, "topic", "not authorized"), Told("a", NOW - 30, "topic")
    assert untold([refused], NOW) == {"a": "not authorized"}
    assert untold([reached, refused], NOW) == {}
    assert untold([refused, Told("a", NOW, "other")], NOW) == {"a": "not authorized"}
    assert untold([Told("a", NOW - DAY - 1, "topic", "long ago")], NOW) == {}


def test_critical_ones_come_first_and_others_history_is_left_out() -> None:
    def standing(alarm: str, state: AlarmState, severity: str = "warning", since: float = NOW) -> Standing:
        return Standing(alarm, state, since, Meaning(severity))

    standings = [
        standing("a", AlarmState.ALARM),
        standing("z", AlarmState.ALARM, "critical"),
        standing("fine", AlarmState.OK),
        standing("blind", AlarmState.INSUFFICIENT_DATA, since=NOW - DAY),
        standing("new", AlarmState.INSUFFICIENT_DATA),
        standing("unknown", AlarmState.INSUFFICIENT_DATA, since=0.0),
    ]
    found = health(standings, changes(20, alarm="theirs"), [Told("theirs", NOW, "t", "no")], (), NOW)
    assert (found.firing, found.flapping, found.failed_actions, found.no_data) == (("z", "a"), (), (), ("blind",))

"""The alarm on the time of day: in ALARM exactly while a window lasts, and accepted by CloudWatch."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securebase.api.scalars import Window
from securebase.core.identity import Identity
from securebase.core.kind import Context
from securebase.kinds.alarmset.maintenance import inside, window_alarm
from securebase.resources.cloudwatch.model import problems

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CONTEXT = Context(Identity("unit", "PerfAlarmSet", "web", "platform"), "123456789012", "eu-central-1", tags={"team": "web"})

times = st.builds(lambda day, hour, minute: f"{day}:{hour:02}:{minute:02}", st.sampled_from(DAYS), st.integers(0, 23), st.sampled_from([0, 1, 30, 59]))
windows = st.builds(lambda start, end: f"{start}-{end}", times, times)


def in_alarm(condition: str, moment: datetime) -> bool:
    """The condition as metric maths has it: DAY is 1 on Monday, all in UTC."""
    minute = 1440 * (moment.isoweekday() - 1) + 60 * moment.hour + moment.minute
    spans = re.findall(r"[(]week_minute >= ([0-9]+) AND week_minute < ([0-9]+)[)]", condition)
    assert condition in ("week_minute < 0", " OR ".join(f"(week_minute >= {start} AND week_minute < {end})" for start, end in spans))
    return any(int(start) <= minute < int(end) for start, end in spans)


@settings(max_examples=40, deadline=None)
@given(st.lists(windows, min_size=1, max_size=10), st.integers(0, 7 * 1440 - 1))
def test_it_holds_exactly_within_the_windows(chosen: list[str], minute: int) -> None:
    for at in {minute, *(later % (7 * 1440) for window in chosen for later in edges(window))}:
        moment = MONDAY + timedelta(minutes=at)
        assert in_alarm(inside(chosen), moment) == any(Window(window).contains(moment) for window in chosen)


def edges(window: str) -> list[int]:
    minutes = [DAYS.index(day) * 1440 + int(hour) * 60 + int(minute) for day, hour, minute in (time.split(":") for time in window.split("-"))]
    return [edge + by for edge in minutes for by in (-1, 0)]


@pytest.mark.parametrize(
    ("chosen", "condition"),
    [
        (["sun:03:00-sun:05:00"], "(week_minute >= 8820 AND week_minute < 8940)"),
        (["sun:23:00-mon:01:00"], "(week_minute >= 0 AND week_minute < 60) OR (week_minute >= 10020 AND week_minute < 10080)"),
        (["sun:23:00-mon:00:00"], "(week_minute >= 10020 AND week_minute < 10080)"),
        (["tue:03:00-tue:03:00"], "week_minute < 0"),
    ],
)
def test_conditions(chosen: list[str], condition: str) -> None:
    assert inside(chosen) == condition


def test_the_alarm_is_acceptable_and_holds_nothing_when_its_clock_stops() -> None:
    alarm = window_alarm("suppressor", [f"{day}:{hour:02}:00-{day}:{hour:02}:30" for day in DAYS for hour in (1, 13)], CONTEXT)
    assert list(problems(alarm)) == [] and len(alarm.description) <= 1024
    assert all(len(query.expression) <= 2048 for query in alarm.metrics)
    assert alarm.treat_missing_data == "notBreaching" and not alarm.alarm_actions
    assert alarm.name.startswith("web-platform-suppressor-") and alarm.tags == {"team": "web"}

"""The daily snapshot window, and when it and the weekly maintenance window are too short, too long or in each other's way; as Python and as CEL."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from securebase.api.base import Matches
from securebase.api.scalars import Window

_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
DAILY_EXPRESSION = f"^{_TIME}-{_TIME}$"
DailyWindow = Annotated[
    str,
    StringConstraints(min_length=1, max_length=11),
    Matches(DAILY_EXPRESSION, "a snapshot window is two times of the day in UTC, hour:minute-hour:minute: 03:00-05:00"),
]

MINUTES_A_DAY = 1440
_MINUTES_A_WEEK = 7 * MINUTES_A_DAY
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = "{" + ", ".join(f"'{day}': {index * MINUTES_A_DAY}" for index, day in enumerate(_DAYS)) + "}"

# ElastiCache's least for both windows, and its most for maintenance ("Managing maintenance", "Scheduling automatic backups").
LEAST_MINUTES = 60
MOST_MAINTENANCE_MINUTES = MINUTES_A_DAY


def _of_day(time: str) -> int:
    hour, minute = time.split(":")
    return int(hour) * 60 + int(minute)


def daily_span(window: str) -> tuple[int, int]:
    """Start and length in minutes of a daily window, which may pass midnight."""
    start, end = (_of_day(time) for time in window.split("-"))
    return start, (end - start) % MINUTES_A_DAY


def weekly_span(window: str) -> tuple[int, int]:
    """Start and length in minutes of a weekly window, which may pass the end of the week."""
    start, end = (_DAYS.index(time[:3]) * MINUTES_A_DAY + _of_day(time[4:]) for time in window.split("-"))
    return start, (end - start) % _MINUTES_A_WEEK


def overlap(weekly: str, daily: str) -> bool:
    """Whether the daily window meets the weekly one on any day. A weekly one of a day or more meets every daily one."""
    (maintenance, length), (snapshot, daily_length) = weekly_span(weekly), daily_span(daily)
    after = (snapshot - maintenance) % MINUTES_A_DAY
    return after < length or (MINUTES_A_DAY - after) % MINUTES_A_DAY < daily_length


def _cel_of_day(text: str, at: int) -> str:
    return f"int({text}.substring({at}, {at + 2})) * 60 + int({text}.substring({at + 3}, {at + 5}))"


def _cel_of_week(text: str, at: int) -> str:
    return f"{_DAY_MINUTES}[{text}.substring({at}, {at + 3})] + {_cel_of_day(text, at + 4)}"


def cel_daily_length(text: str) -> str:
    return f"({_cel_of_day(text, 6)} - ({_cel_of_day(text, 0)}) + {MINUTES_A_DAY}) % {MINUTES_A_DAY}"


def cel_weekly_length(text: str) -> str:
    return f"({_cel_of_week(text, 10)} - ({_cel_of_week(text, 0)}) + {_MINUTES_A_WEEK}) % {_MINUTES_A_WEEK}"


def cel_overlap(weekly: str, daily: str) -> str:
    """`overlap`; a list of one item and its `exists` stand for a variable, which the API server's CEL has none of."""
    after = f"({_cel_of_day(daily, 0)} - ({_cel_of_day(weekly, 4)}) + {MINUTES_A_DAY}) % {MINUTES_A_DAY}"
    met = f"after < {cel_weekly_length(weekly)} || ({MINUTES_A_DAY} - after) % {MINUTES_A_DAY} < {cel_daily_length(daily)}"
    return f"[{after}].exists(after, {met})"


def cel_is_weekly(text: str) -> str:
    """That a text has the grammar at all: what reads into a wrong one would add an error that says nothing."""
    return f"{text}.matches(r'{Window.expression}')"


def cel_is_daily(text: str) -> str:
    return f"{text}.matches(r'{DAILY_EXPRESSION}')"

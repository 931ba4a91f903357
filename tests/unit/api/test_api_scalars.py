"""Durations and windows keep their spelling and mean what they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from securebase.api.scalars import Duration, Window

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_WEEK = 7 * 24 * 60


@pytest.mark.parametrize(("spelling", "seconds"), [("60s", 60), ("5m", 300), ("12h", 43_200), ("30d", 2_592_000)])
def test_a_duration_in_seconds(spelling: str, seconds: int) -> None:
    duration = TypeAdapter(Duration).validate_python(spelling)
    assert (duration, duration.seconds) == (spelling, seconds)


@pytest.mark.parametrize("spelling", ["", "5", "m", "0s", "-5m", "1h30m", "1.5h", "5 m", "60S", "5m\n", "1234567s"])
def test_no_duration(spelling: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(spelling)


@pytest.mark.parametrize(
    ("window", "moment", "inside"),
    [
        ("sun:03:00-sun:05:00", "2026-01-11T03:00:00+00:00", True),
        ("sun:03:00-sun:05:00", "2026-01-11T04:59:59+00:00", True),
        ("sun:03:00-sun:05:00", "2026-01-11T05:00:00+00:00", False),
        ("sun:03:00-sun:05:00", "2026-01-11T02:59:59+00:00", False),
        ("sun:03:00-sun:05:00", "2026-01-10T04:00:00+00:00", False),
        ("sun:03:00-sun:05:00", "2026-01-10T22:00:00-06:00", True),
        ("sun:23:00-mon:01:00", "2026-01-12T00:30:00+00:00", True),
        ("sun:23:00-mon:01:00", "2026-01-11T22:30:00+00:00", False),
        ("fri:18:00-mon:06:00", "2026-01-10T12:00:00+00:00", True),
        ("fri:18:00-mon:06:00", "2026-01-14T12:00:00+00:00", False),
    ],
)
def test_a_window_in_utc(window: str, moment: str, inside: bool) -> None:
    assert Window(window).contains(datetime.fromisoformat(moment)) is inside


minutes = st.integers(0, MINUTES_A_WEEK - 1)


def spelt(minute: int) -> str:
    return f"{DAYS[minute // 1440]}:{minute // 60 % 24:02}:{minute % 60:02}"


@given(start=minutes, end=minutes, moment=minutes, offset=st.integers(-12, 14))
def test_a_window_holds_the_minutes_from_start_to_end(start: int, end: int, moment: int, offset: int) -> None:
    window = TypeAdapter(Window).validate_python(f"{spelt(start)}-{spelt(end)}")
    local = (MONDAY + timedelta(minutes=moment)).astimezone(timezone(timedelta(hours=offset)))
    expected = start <= moment < end if start <= end else moment >= start or moment < end
    assert window.contains(local) is expected

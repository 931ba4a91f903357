"""The history of alarms: one request a look, nothing counted twice, bounded, and lines as CloudWatch writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from securebase.clients.aws import AwsScope
from securebase.core.errors import Transient
from securebase.resources.cloudwatch.alarm_health import Told, Transition
from securebase.resources.cloudwatch.history import MOST_PAGES, PAGE, AlarmHistory, told_of, transition_of

NOW = 1_700_000_000.0


def update(at: float, alarm: str = "a", before: str = "OK", after: str = "ALARM") -> dict[str, Any]:
    data = {"version": "1.0", "oldState": {"stateValue": before}, "newState": {"stateValue": after}}
    return line(at, alarm, "StateUpdate", f"Alarm updated from {before} to {after}", json.dumps(data))


def line(at: float, alarm: str, kind: str, summary: str, data: str = "{}") -> dict[str, Any]:
    stamp = datetime.fromtimestamp(at, UTC)
    return {"AlarmName": alarm, "AlarmType": "MetricAlarm", "Timestamp": stamp, "HistoryItemType": kind, "HistorySummary": summary, "HistoryData": data}


class Scope:
    """An account whose history is a list; counts requests."""

    account_id, region = "123456789012", "us-east-1"

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.starts: list[float] = []
        self.pages_read = 0

    def pages(self, service: str, operation: str, /, **params: Any) -> Iterator[dict[str, Any]]:
        assert (service, operation, params["ScanBy"]) == ("cloudwatch", "describe_alarm_history", "TimestampDescending")
        self.starts.append(params["StartDate"].timestamp())
        found = sorted((one for one in self.lines if one["Timestamp"] >= params["StartDate"]), key=lambda one: one["Timestamp"], reverse=True)
        for at in range(0, max(len(found), 1), params["MaxRecords"]):
            self.pages_read += 1
            yield {"AlarmHistoryItems": found[at : at + PAGE]} | ({"NextToken": "more"} if at + PAGE < len(found) else {})


class Watching:
    def __init__(self) -> None:
        self.now, self.scope = NOW, Scope()
        self.history = AlarmHistory(cast(AwsScope, self.scope), lambda: self.now)


def test_nothing_is_counted_twice_and_what_comes_late_is_counted() -> None:
    watching = Watching()
    watching.scope.lines = [update(NOW - 100), update(NOW - 50, before="ALARM", after="OK")]
    assert len(watching.history.recent().transitions) == 2
    watching.scope.lines += [update(NOW - 60, alarm="late"), update(NOW - 50, alarm="same moment"), update(NOW - 1)]
    assert [one.alarm for one in watching.history.recent().transitions] == ["a", "late", "a", "same moment", "a"]
    assert len(watching.history.recent().transitions) == 5
    assert watching.scope.pages_read == 3


def test_a_young_look_serves_and_an_idle_one_is_one_request() -> None:
    watching = Watching()
    watching.history.recent(30.0)
    watching.now += 29.0
    watching.history.recent(30.0)
    assert watching.scope.pages_read == 1
    watching.now += 1.0
    watching.history.recent(30.0)
    assert watching.scope.pages_read == 2


def test_a_storm_is_read_as_far_as_bounds_go_the_newest_first() -> None:
    watching = Watching()
    watching.scope.lines = [update(NOW - number, alarm=f"a{number}") for number in range(PAGE * MOST_PAGES + 50)]
    found = watching.history.recent().transitions
    assert watching.scope.pages_read == MOST_PAGES
    assert len(found) == PAGE * MOST_PAGES and found[-1].alarm == "a0"


def test_an_hour_later_changes_are_forgotten_and_a_day_later_failures() -> None:
    watching = Watching()
    watching.scope.lines = [update(NOW), line(NOW, "a", "Action", "Failed to execute action arn:aws:sns:us-east-1:1:t", '{"actionState":"Failed"}')]
    assert len(watching.history.recent().told) == 1
    watching.now += 3_601.0
    found = watching.history.recent()
    assert (len(found.transitions), len(found.told)) == (0, 1)
    watching.now += 86_400.0
    assert watching.history.recent().told == ()


def test_a_later_success_takes_the_place_of_a_failure_in_whatever_order_they_come() -> None:
    watching = Watching()
    arn = "arn:aws:sns:us-east-1:1:t"
    reached = line(NOW, "a", "Action", f"Successfully executed action {arn}")
    failed = line(NOW - 10, "a", "Action", f'Failed to execute action {arn}. Received error: "no"')
    watching.scope.lines = [reached]
    watching.history.recent()
    watching.scope.lines += [failed]
    assert watching.history.recent().told == (Told("a", NOW, arn),)


def test_lines_whose_data_is_cut_off_are_read_by_their_summary() -> None:
    cut = {**update(NOW, before="INSUFFICIENT_DATA", after="OK"), "HistoryData": '{"version":"1.0","oldSt'}
    assert transition_of(cut) == Transition("a", NOW, "INSUFFICIENT_DATA", "OK")
    assert transition_of(line(NOW, "a", "StateUpdate", "something else")) is None
    failed = line(NOW, "a", "Action", 'Failed to execute action arn:aws:sns:us-east-1:1:t. Received error: "no"', "cut")
    told = told_of(failed)
    assert told is not None and told.receiver == "arn:aws:sns:us-east-1:1:t" and told.error
    assert told_of(line(NOW, "a", "Action", "Actions suppressed by maintenance")) is None


def test_a_refused_look_is_not_repeated_before_its_time() -> None:
    watching = Watching()
    watching.scope.lines = [update(NOW - 1)]
    answered, asked = watching.scope.pages, 0

    def refused(*_: Any, **__: Any) -> Iterator[dict[str, Any]]:
        nonlocal asked
        asked += 1
        raise Transient("Throttling", "slow down")

    watching.scope.pages = refused  # type: ignore[method-assign]
    for _ in range(5):
        with pytest.raises(Transient):
            watching.history.recent(30.0)
    assert asked == 1
    watching.scope.pages = answered  # type: ignore[method-assign]
    watching.now += 30
    assert len(watching.history.recent(30.0).transitions) == 1

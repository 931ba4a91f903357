"""What happened to the alarms of one account and region: state changes and actions, in one request a look while nothing happens."""

from __future__ import annotations

import itertools
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from securebase.clients.aws import AwsScope
from securebase.core.errors import ReconcileError
from securebase.resources.cloudwatch.alarm_health import DAY, HOUR, Told, Transition

log = logging.getLogger(__name__)
PAGE: Final = 100
MOST_PAGES: Final = 10
"""A look reads the newest thousand lines; what else happened since the one before is not counted."""

OVERLAP_SECONDS: Final = 30.0
"""A look begins that long before the newest line of the last one: lines of one moment need not show at one moment."""

MOST_KEPT: Final = 20_000
_SUMMARY: Final = re.compile(r"from (OK|ALARM|INSUFFICIENT_DATA) to (OK|ALARM|INSUFFICIENT_DATA)")


@dataclass(frozen=True, slots=True)
class Recent:
    """State changes of the last hour, and the last word of each alarm to each receiver within a day."""

    transitions: tuple[Transition, ...] = ()
    told: tuple[Told, ...] = ()


class AlarmHistory:
    """DescribeAlarmHistory without a name tells of every alarm, also of those that are gone. Thread-safe. Raises the errors of `core.errors`."""

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._lock = threading.Lock()
        self._tried_at = float("-inf")
        self._refusal: ReconcileError | None = None
        self._newest = 0.0
        self._seen: dict[tuple[Any, ...], float] = {}
        self._transitions: list[Transition] = []
        self._told: dict[tuple[str, str], Told] = {}

    def recent(self, max_age: float = 0.0) -> Recent:
        """What is known once everything that happened since the last look is read; a look at most `max_age` seconds old will do."""
        with self._lock:
            now = self._clock()
            if now - self._tried_at >= max_age:
                self._tried_at = now
                self._refusal = self._tried(now)
            if self._refusal is not None:
                raise self._refusal
            self._forget_old(now)
            return Recent(tuple(self._transitions), tuple(self._told.values()))

    def _tried(self, now: float) -> ReconcileError | None:
        """A look that was refused counts as one: asking again at once would be refused again."""
        try:
            self._look(now)
        except ReconcileError as error:
            return error
        return None

    def _look(self, now: float) -> None:
        start = self._newest - OVERLAP_SECONDS if self._newest else now - DAY
        lines = list(self._lines(start))
        for line in lines:
            self._take(line)
        self._newest = max((self._newest, *(_at(line) for line in lines)))
        seen = {**self._seen, **{_identity(line): _at(line) for line in lines}}
        self._seen = {line: at for line, at in seen.items() if at >= self._newest - OVERLAP_SECONDS}

    def _lines(self, start: float) -> Iterator[Mapping[str, Any]]:
        """Newest first, so that a bounded read has what counts; without those of the last look. A page without anything new ends it: after a storm
        the overlap alone is many pages.
        """
        pages = self._aws.pages(
            "cloudwatch",
            "describe_alarm_history",
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            StartDate=datetime.fromtimestamp(start, UTC),
            ScanBy="TimestampDescending",
            MaxRecords=PAGE,
        )
        for number, page in enumerate(itertools.islice(pages, MOST_PAGES), 1):
            lines = page.get("AlarmHistoryItems", [])
            new = [line for line in lines if _identity(line) not in self._seen]
            yield from new
            if lines and not new:
                return
            if number == MOST_PAGES and page.get("NextToken"):
                log.warning("more happened to the alarms in %s of account %s than is read at once", self._aws.region, self._aws.account_id)

    def _take(self, line: Mapping[str, Any]) -> None:
        match line.get("HistoryItemType"):
            case "StateUpdate" if (change := transition_of(line)) is not None:
                self._transitions.append(change)
            case "Action" if (told := told_of(line)) is not None:
                known = self._told.get((told.alarm, told.receiver))
                if known is None or told.at > known.at:
                    self._told[told.alarm, told.receiver] = told

    def _forget_old(self, now: float) -> None:
        self._transitions = sorted((one for one in self._transitions if one.at > now - HOUR), key=lambda one: one.at)[-MOST_KEPT:]
        kept = sorted((told for told in self._told.values() if told.at > now - DAY), key=lambda told: told.at)
        self._told = {(told.alarm, told.receiver): told for told in kept[-MOST_KEPT:]}


def transition_of(line: Mapping[str, Any]) -> Transition | None:
    """A line of type StateUpdate. Its data may be cut off (4,095 characters, AlarmHistoryItem): then its summary tells."""
    data = _data(line)
    before, after = (str((data.get(name) or {}).get("stateValue") or "") for name in ("oldState", "newState"))
    if not (before and after):
        match = _SUMMARY.search(str(line.get("HistorySummary") or ""))
        if match is None:
            return None
        before, after = match.groups()
    return Transition(str(line["AlarmName"]), _at(line), before, after)


def told_of(line: Mapping[str, Any]) -> Told | None:
    """A line of type Action: whether a receiver was reached. One that only says an action was held back tells nothing of it."""
    data, summary = _data(line), str(line.get("HistorySummary") or "")
    failed = data.get("actionState") == "Failed" or summary.startswith("Failed to execute action")
    if not failed and data.get("actionState") != "Succeeded" and not summary.startswith("Successfully executed action"):
        return None
    receiver = str(data.get("notificationResource") or next(iter(re.findall(r"arn:\S+", summary)), "").rstrip("."))
    return Told(str(line["AlarmName"]), _at(line), receiver, str(data.get("error") or summary or "failed") if failed else "")


def _data(line: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        data = json.loads(line.get("HistoryData") or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _at(line: Mapping[str, Any]) -> float:
    return float(line["Timestamp"].timestamp())


def _identity(line: Mapping[str, Any]) -> tuple[Any, ...]:
    return line.get("AlarmName"), _at(line), line.get("HistoryItemType"), line.get("HistorySummary")

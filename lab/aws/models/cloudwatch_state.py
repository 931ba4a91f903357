"""What the lab keeps of CloudWatch's alarms: one `Watch` for each account and region, with alarms, who depends on whom, and history.

An alarm's JSON is kept with it until it changes: a page of a hundred alarms is joined text.
"""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lab.aws.models.cloudwatch_rules import Term
from lab.aws.wire import AwsFault

METRIC, COMPOSITE = "MetricAlarm", "CompositeAlarm"
MOST_RECORDS, DEFAULT_RECORDS = 100, 50


def now() -> datetime:
    """To the millisecond, as CloudWatch tells it."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), default=_seconds)


def stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}+0000"


def _seconds(value: Any) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{value!r} has no JSON form here")


@dataclass(slots=True)
class Held:
    """Actions of a composite alarm that wait: for its suppressor (`WaitPeriod`), for its end (`Alarm`), or after it (`ExtensionPeriod`)."""

    by: str
    # Lab's clock; 0: no end of its own.
    until: float = 0.0


@dataclass(slots=True)
class Alarm:
    """`document` is what DescribeAlarms tells; change it through `set`."""

    name: str
    arn: str
    document: dict[str, Any]
    rule: Term | None = None
    children: tuple[str, ...] = ()
    suppressor: str = ""
    held: Held | None = None
    text: str = ""

    @property
    def type(self) -> str:
        return METRIC if self.rule is None else COMPOSITE

    @property
    def state(self) -> str:
        return str(self.document["StateValue"])

    def set(self, **values: Any) -> None:
        """None takes a member away."""
        self.document = {key: value for key, value in (self.document | values).items() if value is not None}
        self.text = ""

    def json(self) -> str:
        self.text = self.text or compact(self.document)
        return self.text


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an alarm's history."""

    alarm: str
    alarm_type: str
    at: datetime
    kind: str
    summary: str
    data: str

    def document(self) -> dict[str, Any]:
        return {
            "AlarmName": self.alarm,
            "AlarmType": self.alarm_type,
            "Timestamp": self.at,
            "HistoryItemType": self.kind,
            "HistorySummary": self.summary,
            "HistoryData": self.data,
        }


@dataclass(slots=True)
class Watch:
    """The alarms of one account and region; `parents` maps an alarm to the composites whose rules name it."""

    account: str
    region: str
    alarms: dict[str, Alarm] = field(default_factory=dict)
    composites: dict[str, Alarm] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    parents: dict[str, set[str]] = field(default_factory=dict)
    history: list[Entry] = field(default_factory=list)

    def arn(self, name: str) -> str:
        return f"arn:aws:cloudwatch:{self.region}:{self.account}:alarm:{name}"

    def name_of(self, reference: str) -> str:
        """An alarm's name by name or ARN; '' for an ARN of elsewhere: a rule names alarms of its own account and region only."""
        if not reference.startswith("arn:"):
            return reference
        prefix = self.arn("")
        return reference.removeprefix(prefix) if reference.startswith(prefix) else ""

    def find(self, reference: str) -> Alarm | None:
        return self.alarms.get(self.name_of(reference))

    def state_of(self, reference: str) -> str:
        alarm = self.find(reference)
        return "" if alarm is None else alarm.state

    def put(self, alarm: Alarm) -> None:
        old = self.alarms.get(alarm.name)
        for child in old.children if old is not None else ():
            self.parents[child].discard(alarm.name)
        if old is None:
            insort(self.names, alarm.name)
        self.alarms[alarm.name] = alarm
        if alarm.rule is not None:
            self.composites[alarm.name] = alarm
        for child in alarm.children:
            self.parents.setdefault(child, set()).add(alarm.name)

    def remove(self, name: str) -> Alarm | None:
        alarm = self.alarms.pop(name, None)
        if alarm is None:
            return None
        self.composites.pop(name, None)
        del self.names[bisect_left(self.names, name)]
        for child in alarm.children:
            self.parents[child].discard(name)
        self.parents.pop(name, None)
        return alarm

    def note(self, alarm: Alarm, kind: str, summary: str, data: dict[str, Any], at: datetime) -> None:
        """The summary has at most 255 characters, the data 4,095 (AlarmHistoryItem)."""
        self.history.append(Entry(alarm.name, alarm.type, at, kind, summary[:255], compact({"version": "1.0"} | data)[:4095]))


def records(params: dict[str, Any], default: int = DEFAULT_RECORDS) -> int:
    size = int(params.get("MaxRecords") or default)
    if not 1 <= size <= MOST_RECORDS:
        raise AwsFault("ValidationError", f"MaxRecords must be between 1 and {MOST_RECORDS}.", 400)
    return size


def start_of(params: dict[str, Any]) -> str:
    token = str(params.get("NextToken") or "")
    if token and not token.startswith("after:"):
        raise AwsFault("InvalidNextToken", "The next token specified is invalid.", 400)
    return token.removeprefix("after:")

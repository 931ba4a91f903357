"""What alarms' states and their history mean: which fire, which flap, which could not tell anybody, which cannot judge, which have no data. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from securebase.resources.cloudwatch.composite_model import CompositeAlarm

HOUR: Final = 3_600.0
DAY: Final = 86_400.0
CHANGES_AN_HOUR: Final = 6
"""More changes of its state within an hour are flapping: three incidents with their ends, each of which told somebody."""


class AlarmState(StrEnum):
    """As CloudWatch names them."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an alarm is about. `severity`: critical, warning or info; `service`: "" where it is of none."""

    severity: str
    service: str = ""


@dataclass(frozen=True, slots=True, order=True)
class WatchedMetric:
    """A metric as an alarm asks for it. `dimensions`: sorted pairs; `account`: "" = the alarm's own."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()
    unit: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """One alarm as last read.

    since    Unix seconds since when it is in its state; 0 = not known
    changed  Unix seconds since when it is configured as it is; 0 = not known
    watches  the metrics whose silence means that it sees nothing
    broken   CloudWatch cannot evaluate it as it is configured
    """

    alarm: str
    state: AlarmState
    since: float = 0.0
    meaning: Meaning = Meaning("warning")
    region: str = ""
    changed: float = 0.0
    watches: frozenset[WatchedMetric] = frozenset()
    broken: bool = False

    @property
    def urgent(self) -> bool:
        """Fires, and is critical."""
        return self.state is AlarmState.ALARM and self.meaning.severity == "critical"


@dataclass(frozen=True, slots=True)
class Transition:
    """An alarm's state became another, at Unix seconds `at`."""

    alarm: str
    at: float
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Told:
    """An alarm told (or tried to tell) the receiver of one of its actions. `error`: "" where it succeeded."""

    alarm: str
    at: float
    receiver: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """What is worth a person's look, by alarm name."""

    firing: tuple[str, ...] = ()
    flapping: tuple[str, ...] = ()
    failed_actions: tuple[str, ...] = ()
    no_data: tuple[str, ...] = ()
    evaluation_errors: tuple[str, ...] = ()


_NAMES: Final = re.compile(r'"([^"]+)"')
_RANK: Final = {"critical": 0, "warning": 1, "info": 2}


def health(
    standings: Iterable[Standing], transitions: Iterable[Transition], told: Iterable[Told], flapped: Iterable[str], now: float, silent: Iterable[str] = ()
) -> Health:
    """`flapped`: what was flapping before; `silent`: of whose metrics none has data. History of alarms that do not stand here is somebody else's."""
    every = {standing.alarm: standing for standing in standings}
    firing = sorted((one for one in every.values() if one.state is AlarmState.ALARM), key=lambda one: (_RANK.get(one.meaning.severity, len(_RANK)), one.alarm))
    return Health(
        firing=tuple(one.alarm for one in firing),
        flapping=tuple(sorted(flapping(transitions, flapped, now) & every.keys())),
        failed_actions=tuple(sorted(untold(told, now).keys() & every.keys())),
        no_data=tuple(sorted(without_data(every.values(), now) | (frozenset(silent) & every.keys()))),
        evaluation_errors=tuple(sorted(one.alarm for one in every.values() if one.broken)),
    )


def flapping(transitions: Iterable[Transition], before: Iterable[str], now: float, limit: int = CHANGES_AN_HOUR) -> frozenset[str]:
    """Alarms that changed more than `limit` times in the last hour; one that did so `before` still does until it is down to half of that."""
    counts: dict[str, int] = {}
    for one in transitions:
        if now - HOUR < one.at <= now + HOUR and one.before != one.after:
            counts[one.alarm] = counts.get(one.alarm, 0) + 1
    known = frozenset(before)
    return frozenset(alarm for alarm, count in counts.items() if count > (limit // 2 if alarm in known else limit))


def untold(told: Iterable[Told], now: float) -> Mapping[str, str]:
    """Alarm -> error, of those of which a receiver did not get the last thing it was to be told, within a day."""
    last: dict[tuple[str, str], Told] = {}
    for one in told:
        known = last.get((one.alarm, one.receiver))
        if one.at > now - DAY and (known is None or one.at >= known.at):
            last[one.alarm, one.receiver] = one
    return {one.alarm: one.error for one in last.values() if one.error}


def without_data(standings: Iterable[Standing], now: float) -> frozenset[str]:
    """Alarms that could not judge for a day. One that treats missing data as good (or bad) can always judge, and is never among them: of those
    only their metrics tell."""
    return frozenset(one.alarm for one in standings if one.state is AlarmState.INSUFFICIENT_DATA and one.since and now - one.since >= DAY)


def paged(composites: Iterable[CompositeAlarm]) -> frozenset[str]:
    """Names of the alarms whose state makes a composite tell somebody, through other composites or by itself."""
    by_name = {one.name: one for one in composites}
    rules = [one.rule for one in by_name.values() if one.alarm_actions]
    found = set[str]()
    while rules:
        new = frozenset(_NAMES.findall(rules.pop())) - found
        found |= new
        rules += [by_name[name].rule for name in new & by_name.keys()]
    return frozenset(found)

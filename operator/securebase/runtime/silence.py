"""Which alarms see no data at all: asked of their metrics once a day, all alarms of an account and region together."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, Protocol

from securebase.clients.aws import AwsAccountConfig
from securebase.core.errors import ReconcileError
from securebase.core.identity import digest
from securebase.resources.cloudwatch.alarm_health import DAY, HOUR, Standing, WatchedMetric

log = logging.getLogger(__name__)
FIRST_SECONDS: Final = 300.0
"""Not before that after the start, and within the hour that follows: accounts do not all come at once, and a process that restarts over and over
asks for nothing."""

Place = tuple[AwsAccountConfig, str]


class Data(Protocol):
    """Of one account and region: `resources.cloudwatch.metric_data.MetricData`."""

    def silent(self, metrics: AbstractSet[WatchedMetric]) -> frozenset[WatchedMetric]:
        """Raises the errors of `core.errors`."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """`at`: when it was asked for."""

    at: float
    silent: bool


@dataclass(slots=True)
class _Asked:
    """What is known of one account and region, by alarm."""

    next_at: float
    answers: dict[str, _Answer] = field(default_factory=dict)


class Silences:
    """An alarm that takes missing data as good never leaves OK, whatever it looks at: only its metrics tell that there is nothing. Thread-safe."""

    def __init__(self, data_of: Callable[[AwsAccountConfig, str], Data], clock: Callable[[], float]) -> None:
        self._data_of, self._clock = data_of, clock
        self._begun = clock()
        self._lock = threading.Lock()
        self._places: dict[Place, _Asked] = {}

    def look(self, account: AwsAccountConfig, standings: Iterable[Standing]) -> None:
        """Ask, where it is time, for those of which nothing is known of the last day. `standings`: all of the account."""
        by_region: dict[str, list[Standing]] = {}
        for one in standings:
            by_region.setdefault(one.region, []).append(one)
        for region, there in by_region.items():
            now = self._clock()
            asked = self._place((account, region))
            if now >= asked.next_at:
                asked.next_at = now + HOUR
                self._ask(account, region, asked, there)

    def silent(self, account: AwsAccountConfig, standings: Iterable[Standing], before: Collection[str]) -> frozenset[str]:
        """Names of alarms of whose metrics none had data for a day. `before`: what was told by the process before, which stands until it is asked
        anew. One that changed its state since has seen something."""
        named = set()
        for one in standings:
            known = self._place((account, one.region)).answers.get(one.alarm)
            if known is None:
                known = _Answer(self._begun, one.alarm in before and bool(one.watches))
            if known.silent and one.since <= known.at:
                named.add(one.alarm)
        return frozenset(named)

    def retain(self, accounts: Collection[AwsAccountConfig]) -> None:
        """Let go of what is known of every other account."""
        with self._lock:
            self._places = {place: asked for place, asked in self._places.items() if place[0] in accounts}

    def _place(self, place: Place) -> _Asked:
        with self._lock:
            if place not in self._places:
                own = int(digest(place[0].account_id, place[1]), 16) % int(HOUR)
                self._places[place] = _Asked(self._begun + FIRST_SECONDS + own)
            return self._places[place]

    def _ask(self, account: AwsAccountConfig, region: str, asked: _Asked, standings: Collection[Standing]) -> None:
        """Who was asked for half a day ago comes along with who is due, so that in the end all are asked for at once."""
        now = self._clock()
        asked.answers = {alarm: answer for alarm, answer in asked.answers.items() if now - answer.at < 2 * DAY}
        old = [one for one in standings if one.watches and 0.0 < one.changed <= now - DAY]
        age = {one.alarm: now - asked.answers[one.alarm].at if one.alarm in asked.answers else DAY for one in old}
        if not any(one >= DAY for one in age.values()):
            return
        due = [one for one in old if age[one.alarm] >= DAY / 2]
        try:
            silent = self._data_of(account, region).silent(frozenset(metric for one in due for metric in one.watches))
        except ReconcileError as error:
            log.warning("whether the alarms in %s of account %s have data could not be read: %s", region, account.account_id, error)
            return
        asked.answers |= {one.alarm: _Answer(now, one.watches <= silent) for one in due}

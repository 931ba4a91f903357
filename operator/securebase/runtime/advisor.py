"""The advisor: judges by measured facts what runs, every 15 minutes, with one batch of reads for all objects of an account and region."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from securebase.clients.aws import AwsAccountConfig
from securebase.core.errors import ReconcileError, Terminal
from securebase.core.kind import AdviceSubject, Advises, Kind
from securebase.cost.advice import CacheFacts, Measured, Thresholds, advise
from securebase.cost.book import PriceBook
from securebase.cost.collect import KEPT_SECONDS, Watched
from securebase.cost.sizes import NodeSizes
from securebase.runtime.engine import parsed
from securebase.runtime.objects import Entry, Objects
from securebase.runtime.queue import Key

log = logging.getLogger(__name__)
Place = tuple[AwsAccountConfig, str]
"""An account and a region."""

_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_FIGURES: Final = ("reason", "measuredAt")
"""What moves every hour without the advice being another."""


class Measures(Protocol):
    """Where measured facts of one account and region come from: `cost.collect.CacheMetrics`."""

    def measured(self, caches: Mapping[str, Watched]) -> Mapping[str, Measured]:
        """Raises the errors of `core.errors`."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """One object in a round, with what it was when the round began."""

    entry: Entry
    subject: AdviceSubject
    region: str
    watched: Watched


@dataclass(slots=True)
class _Round:
    measures: Measures
    began: float = float("-inf")


@dataclass(slots=True)
class Advisor:
    """Leaves advice at the entries of settled objects; writes nothing itself. Called from one thread at a time."""

    kinds: Mapping[str, Kind]
    objects: Objects
    measures_of: Callable[[AwsAccountConfig, str], Measures]
    book: PriceBook
    sizes: NodeSizes
    clock: Callable[[], float]
    _rounds: dict[Place, _Round] = field(default_factory=dict)

    def run(self) -> list[Key]:
        """Looks after every place that is due; keys whose status tells something else than is advised now."""
        places = self._places()
        self._rounds = {place: self._rounds.get(place) or _Round(self.measures_of(*place)) for place in places}
        changed: list[Key] = []
        for place, entries in places.items():
            began, now = self._rounds[place].began, self.clock()
            if now - began >= KEPT_SECONDS:
                self._rounds[place].began = now
                changed += self._judge(place, entries)
        return changed

    def _places(self) -> dict[Place, list[Entry]]:
        found: dict[Place, list[Entry]] = {}
        for entry in self.objects:
            if isinstance(self.kinds.get(entry.key.kind), Advises) and entry.settled and not entry.deleting and entry.account and entry.subject:
                found.setdefault((entry.account.config, entry.subject.region), []).append(entry)
        return found

    def _judge(self, place: Place, entries: Sequence[Entry]) -> list[Key]:
        every = [judged for entry in entries if (judged := self._judged(entry, place[1])) is not None]
        if not every:
            return []
        try:
            measured = self._rounds[place].measures.measured({str(one.entry.key): one.watched for one in every})
        except ReconcileError as error:
            log.warning("no advice about %d objects in %s of account %s: %s", len(every), place[1], place[0].account_id, error)
            return []
        except Exception:
            log.exception("the advice about %d objects in %s of account %s failed unexpectedly", len(every), place[1], place[0].account_id)
            return []
        return [one.entry.key for one in every if self._leave(one, measured[str(one.entry.key)])]

    def _judged(self, entry: Entry, region: str) -> _Judged | None:
        kind = self.kinds[entry.key.kind]
        try:
            subject = kind.advice_subject(parsed(kind, entry.body), entry.status.get("outputs") or {}) if isinstance(kind, Advises) else None
        except Terminal:
            return None  # its own pass says what is wrong with the spec
        if subject is None:
            return None
        return _Judged(entry, subject, region, Watched(subject.members, subject.days, _seconds(entry.status.get("sizedAt"))))

    def _leave(self, one: _Judged, measured: Measured) -> bool:
        """Leave the advice for the next status; whether there is a reason for one now."""
        if not one.entry.settled or _seconds(one.entry.status.get("sizedAt")) != one.watched.since:
            return False  # changed meanwhile: the next round judges what it is then
        facts = CacheFacts(one.subject.node_type, one.subject.engine, len(one.subject.members), one.region, measured)
        limits = Thresholds(hit_percent=one.subject.hit_percent, memory_percent=one.subject.memory_percent, memory_days=float(one.subject.days))
        advice = advise(facts, self.book, self.sizes, limits)
        at = _time(measured.at)
        one.entry.advice = {
            "recommendations": [recommended.as_status() | {"measuredAt": at} for recommended in advice.recommendations],
            "unjudged": list(advice.unknown),
        }
        return _essence(one.entry.advice) != _essence(one.entry.status)


def advice_status(kind: Kind, spec: Any, entry: Entry, outputs: Mapping[str, str], now: float) -> dict[str, Any]:
    """What the next status tells of the advice; what is empty is not told. What was advised about another size or engine is over."""
    if not isinstance(kind, Advises):
        return {}
    status = entry.status
    before, runs = kind.advice_subject(spec, status.get("outputs") or {}), kind.advice_subject(spec, outputs)
    told: dict[str, Any] = {name: status.get(name) for name in ("recommendations", "unjudged", "sizedAt")}
    if before is None and runs is None:
        return told | {"recommendations": None, "unjudged": None}
    if before is not None and runs is not None and (before.node_type, before.engine) != (runs.node_type, runs.engine):
        entry.advice = None
        return dict.fromkeys(told) | {"sizedAt": _time(now)}
    return told | dict(entry.advice or {})


def _essence(told: Mapping[str, Any]) -> tuple[Any, ...]:
    """What is advised and what could not be judged, without the figures."""
    advised = [sorted((name, value) for name, value in one.items() if name not in _FIGURES) for one in told.get("recommendations") or ()]
    return sorted(advised), sorted(what.partition(":")[0] for what in told.get("unjudged") or ())


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime(_TIME)


def _seconds(told: Any) -> float:
    """A status may have been written by another version: what is no time is none."""
    try:
        return datetime.strptime(str(told), _TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0

"""The alarm watch: tells of the states that alarms are in, as sweeps and passes read them anyway: series, status, Events."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, Final, Protocol, runtime_checkable

from securebase.clients.aws import AwsAccountConfig
from securebase.clients.kubernetes import Conflict, Gone, Kubernetes, namespaced
from securebase.core.driver import Answer, Observed
from securebase.core.errors import ReconcileError
from securebase.core.graph import Graph, Node
from securebase.core.kind import Kind, ObjectRef
from securebase.core.subject import Subject
from securebase.resources.cloudwatch.alarm_health import AlarmState, Health, Meaning, Standing, health, paged, untold
from securebase.resources.cloudwatch.composite_model import CompositeAlarm
from securebase.resources.cloudwatch.history import Recent
from securebase.resources.cloudwatch.metric_data import watched
from securebase.resources.cloudwatch.model import Alarm
from securebase.runtime.engine import parsed
from securebase.runtime.events import Recorder
from securebase.runtime.objects import Entry, Objects
from securebase.runtime.queue import Key
from securebase.runtime.silence import Silences
from securebase.telemetry.alarm_series import AlarmReading, AlarmsReading
from securebase.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
ALARM_TYPES: Final = frozenset({"cloudwatch/alarm", "cloudwatch/composite-alarm"})
HISTORY_AGE: Final = 30.0
"""Sweeps of one account come close together; one look at what happened serves them all."""

MOVING_SECONDS: Final = 900.0
"""How often status tells of what moves without an alarm that starts or ends."""

NAMED: Final = 20
LIST_BYTES: Final = 900
_STATES: Final = frozenset(state.value for state in AlarmState)
_LISTED: Final = 5
_TARGET: Final = "discovery/target"
_LACKS: Final = {_TARGET: "missingTargets", "sns/topic": "unconfirmedSubscriptions"}
"""Which list of a status nodes of a type add to."""
_Lacking = Mapping[tuple[str, str], frozenset[str]]
_TOLD_AT_ONCE: Final = ("flapping", "failedActions", "noData", "evaluationErrors", "missingTargets", "unconfirmedSubscriptions", "pagingBeside")


@runtime_checkable
class MeansAlarms(Protocol):
    """A kind that knows what its alarms are about, and whose status tells how they stand."""

    def alarm_meanings(self, spec: Any, graph: Graph) -> Mapping[str, Meaning]:
        """By node; alarms that are left out are about nothing themselves."""


class History(Protocol):
    """What happened to the alarms of one account and region: `resources.cloudwatch.history.AlarmHistory`."""

    def recent(self, max_age: float = 0.0) -> Recent:
        """Raises the errors of `core.errors`."""


@dataclass(frozen=True, slots=True)
class Look:
    """One object, what it was composed to, and what was just read of it, by node."""

    key: Key
    graph: Graph
    subject: Subject
    answers: Mapping[str, Answer]


@dataclass(slots=True)
class _Known:
    """What is remembered of one object. `graph`: that `meanings` are of; `beside`: objects whose alarms page beside its composites; `lacking`: by list
    of the status and node, what that adds to it: targets that are missing, subscriptions that nobody confirmed."""

    graph: Graph | None = None
    meanings: Mapping[str, Meaning] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    health: Health = field(default_factory=Health)
    refs: frozenset[ObjectRef] = frozenset()
    beside: tuple[str, ...] = ()
    lacking: _Lacking = field(default_factory=dict)
    told_at: float = float("-inf")


class AlarmWatch:
    """Reads nothing but the history, once for an account and region, and once a day whether metrics have data; writes nothing but statuses that
    tell something else. Thread-safe."""

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        objects: Objects,
        history_of: Callable[[AwsAccountConfig, str], History],
        silences: Silences,
        api: Kubernetes,
        events: Recorder,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._kinds, self._objects, self._history_of, self._silences = kinds, objects, history_of, silences
        self._api, self._events, self._metrics, self._clock = api, events, metrics, clock
        self._lock = threading.Lock()
        self._of_account: dict[AwsAccountConfig, threading.Lock] = {}
        self._histories: dict[tuple[AwsAccountConfig, str], History] = {}
        self._known: dict[Key, _Known] = {}

    def saw(self, account: AwsAccountConfig, looks: Iterable[Look]) -> None:
        """These objects were just read. What could not be read stands as it did."""
        with self._lock:
            self._let_go()
            turn = self._of_account.setdefault(account, threading.Lock())
        with turn:  # an account that is slow holds up nobody else
            happened: dict[str, Recent | None] = {}
            for look in looks:
                entry = self._objects.get(look.key)
                if entry is None or entry.deleting:
                    continue
                try:
                    self._take(entry, look, account, happened)
                except Exception:
                    log.exception("the alarms of %s could not be told of", look.key)
            self._silences.look(account, self._of(account))

    def _let_go(self) -> None:
        """Of objects that are gone, go, or are paused: nobody looks at their alarms."""
        for key in list(self._known):
            entry = self._objects.get(key)
            if entry is None or entry.deleting or entry.graph is None:
                self._known.pop(key, None)
                self._metrics.forget_alarms(*key)
        used = {entry.account.config for entry in self._objects if entry.account is not None}
        for place in [place for place in list(self._histories) if place[0] not in used]:
            self._histories.pop(place, None)
        for account in [account for account, turn in self._of_account.items() if account not in used and not turn.locked()]:
            del self._of_account[account]
        self._silences.retain(used)

    def _of(self, account: AwsAccountConfig) -> list[Standing]:
        """How every alarm of an account stands."""
        keys = [entry.key for entry in self._objects if entry.account is not None and entry.account.config == account]
        return [standing for key in keys if (known := self._known.get(key)) is not None for standing in known.standings.values()]

    def _take(self, entry: Entry, look: Look, account: AwsAccountConfig, happened: dict[str, Recent | None]) -> None:
        nodes = [node for node in look.graph if node.type in ALARM_TYPES]
        if not nodes and look.key not in self._known:
            return
        known = self._known.get(look.key) or self._remembered(entry)
        meanings = self._meanings(entry, look, known)
        before, known.standings = known.standings, dict(_standings(nodes, look, meanings, known.standings))
        for region in {standing.region for standing in known.standings.values()} - happened.keys():
            happened[region] = self._happened(account, region)
        recent = [happened[region] for region in sorted({standing.region for standing in known.standings.values()})]
        told, known.health = known.health, self._health(account, known, recent)
        known.beside = self._beside(look, known)
        known.lacking = _lacking(look, known.lacking, entry.status)
        self._known[look.key] = known
        self._publish(entry, known)
        self._announce(entry, before, known, told, recent)
        if isinstance(self._kinds[entry.key.kind], MeansAlarms):
            self._tell(entry, known, _others(known, self._absent(known)) | {"pagingBeside": _fitting(known.beside)})

    def _remembered(self, entry: Entry) -> _Known:
        """What the process before told: it is no news."""
        status = entry.status
        standings = {f"told {name}": Standing(name, AlarmState.ALARM, 0.0, Meaning("critical")) for name in status.get("firing") or ()}
        return _Known(standings=standings, health=Health((), *(tuple(status.get(name) or ()) for name in ("flapping", "failedActions", "noData"))))

    def _meanings(self, entry: Entry, look: Look, known: _Known) -> Mapping[str, Meaning]:
        kind = self._kinds[entry.key.kind]
        if known.graph is not look.graph:
            if isinstance(kind, MeansAlarms):
                spec = parsed(kind, entry.body)
                known.meanings, known.refs = kind.alarm_meanings(spec, look.graph), kind.needs(spec, entry.key.namespace).objects_if_there
            else:
                urgent = set(((entry.status.get("outputs") or {}).get("criticalAlarmNames") or "").split(","))
                names = {node.id: getattr(node.desired, "name", "") for node in look.graph if node.type in ALARM_TYPES}
                known.meanings = {node: Meaning("critical" if name in urgent else "warning") for node, name in names.items()}
            known.graph = look.graph
        return known.meanings

    def _absent(self, known: _Known) -> list[str]:
        """Objects that are referred to and do not exist."""
        return [f"{ref.kind} {ref.name}" for ref in known.refs if self._objects.get(Key(ref.kind, ref.namespace, ref.name)) is None]

    def _beside(self, look: Look, known: _Known) -> tuple[str, ...]:
        """Objects that are referred to and whose alarms tell a topic by themselves, while a composite over them tells people too."""
        answers = [look.answers.get(node.id) for node in look.graph if node.type == "cloudwatch/composite-alarm"]
        if any(isinstance(answer, Exception) for answer in answers):
            return known.beside
        values = [answer.value for answer in answers if isinstance(answer, Observed)]
        names, found = paged(value for value in values if isinstance(value, CompositeAlarm)), list[str]()
        for ref in sorted(known.refs):
            other = self._objects.get(Key(ref.kind, ref.namespace, ref.name))
            outputs = (other.status.get("outputs") or {}) if other is not None else {}
            if outputs.get("alarmsTell") and names & {*str(outputs.get("alarmNames", "")).split(",")}:
                found.append(f"{ref.kind} {ref.name}")
        return tuple(found)

    def _happened(self, account: AwsAccountConfig, region: str) -> Recent | None:
        history = self._histories.get((account, region))
        if history is None:
            history = self._histories[account, region] = self._history_of(account, region)
        try:
            return history.recent(HISTORY_AGE)
        except ReconcileError as error:
            log.warning("what happened to the alarms in %s of account %s could not be read: %s", region, account.account_id, error)
            return None

    def _health(self, account: AwsAccountConfig, known: _Known, recent: Sequence[Recent | None]) -> Health:
        read = [one for one in recent if one is not None]
        transitions = [change for one in read for change in one.transitions]
        told = [word for one in read for word in one.told]
        silent = self._silences.silent(account, known.standings.values(), known.health.no_data)
        found = health(known.standings.values(), transitions, told, known.health.flapping, self._clock(), silent)
        if len(read) == len(recent):
            return found
        return replace(found, flapping=known.health.flapping, failed_actions=known.health.failed_actions)

    def _publish(self, entry: Entry, known: _Known) -> None:
        every = known.standings.values()
        alarms = tuple(AlarmReading(one.alarm, one.meaning.severity, one.meaning.service, one.region, one.state.value) for one in every)
        found = known.health
        names = ("flapping", "failed_actions", "no_data", "evaluation_errors")
        troubled = {name: len(getattr(found, name)) for name in names}
        self._metrics.alarms(*entry.key, AlarmsReading(alarms, troubled))
        if self._objects.get(entry.key) is not entry:  # it went meanwhile, and its series with it
            self._metrics.forget_alarms(*entry.key)

    def _announce(self, entry: Entry, before: Mapping[str, Standing], known: _Known, told: Health, recent: Sequence[Recent | None]) -> None:
        """What began or ended since the last look. Those that flap are told of once, not each time."""
        quiet = {*known.health.flapping, *told.flapping}
        was = {one.alarm for one in before.values() if one.urgent}
        critical = [one for one in sorted(known.standings.values(), key=lambda one: one.alarm) if one.meaning.severity == "critical" and one.alarm not in quiet]
        begun = [one for one in critical if one.urgent and one.alarm not in was]
        ended = [one.alarm for one in critical if not one.urgent and one.alarm in was]
        if begun:
            self._events.warning(entry.body, "AlarmFiring", f"critical: {_listed([_words(one) for one in begun])}")
        if ended:
            self._events.normal(entry.body, "AlarmEnded", f"no longer in ALARM: {_listed(ended)}")
        if flaps := sorted(set(known.health.flapping) - set(told.flapping)):
            self._events.warning(entry.body, "AlarmFlapping", f"changed too often within an hour: {_listed(flaps)}")
        if failed := sorted(set(known.health.failed_actions) - set(told.failed_actions)):
            errors = untold((word for one in recent if one is not None for word in one.told), self._clock())
            self._events.warning(entry.body, "AlarmActionFailed", _listed([f"{name}: {errors.get(name, '')[:200]}" for name in failed]))

    def _tell(self, entry: Entry, known: _Known, others: Mapping[str, list[str]]) -> None:
        """Write the status where it says something else: at once what starts or ends, else at most every 15 minutes."""
        block = {**_block(known), **others}
        status, now = entry.status, self._clock()
        if all((status.get(name) or None) == (value or None) for name, value in block.items()):
            return
        if "alarms" not in status and not known.standings and not any(value for name, value in block.items() if name != "alarms"):
            return  # being made: there is nothing to tell of yet
        if _essence(block) == _essence(status, block) and now - known.told_at < MOVING_SECONDS:
            return
        patch = {"metadata": {"uid": entry.metadata["uid"]}, "status": {name: value or None for name, value in block.items()}}
        path = namespaced(self._kinds[entry.key.kind].plural, entry.key.namespace, entry.key.name, "status")
        try:
            self._objects.written(entry, self._api.merge(path, patch))
            known.told_at = now
        except Gone:
            return
        except (ReconcileError, Conflict) as error:
            log.warning("how the alarms of %s stand could not be told: %s", entry.key, error)


def _standings(nodes: Sequence[Node], look: Look, meanings: Mapping[str, Meaning], before: Mapping[str, Standing]) -> Iterator[tuple[str, Standing]]:
    for node in nodes:
        answer = look.answers.get(node.id)
        if isinstance(answer, Exception) and node.id in before:
            yield node.id, before[node.id]
        elif isinstance(answer, Observed) and node.id in meanings and answer.attributes.get("state", "") in _STATES:
            yield node.id, _standing(answer, meanings[node.id], node.region or look.subject.region, before.get(node.id))


def _standing(answer: Observed[Any], meaning: Meaning, region: str, before: Standing | None) -> Standing:
    told = answer.attributes
    name, changed = told.get("name", answer.external_id), float(told.get("changed") or 0.0)
    if before is not None and changed and (before.alarm, before.changed) == (name, changed):
        watches = before.watches
    else:
        watches = watched(answer.value) if isinstance(answer.value, Alarm) else frozenset()
    broken = told.get("evaluation") == "EVALUATION_ERROR"
    return Standing(name, AlarmState(told["state"]), float(told.get("since") or 0.0), meaning, region, changed, watches, broken)


def _lacking(look: Look, before: _Lacking, status: Mapping[str, Any]) -> _Lacking:
    """What could not be read stands as it did; of what this process never read, as it was told."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for node in look.graph:
        if node.type not in _LACKS:
            continue
        name, answer, target = _LACKS[node.type], look.answers.get(node.id), frozenset({node.id.partition("-")[2]})
        if isinstance(answer, Exception):
            told = frozenset(status.get(name) or ())
            found[name, node.id] = before.get((name, node.id), told & target if node.type == _TARGET else told)
        elif isinstance(answer, Observed) and node.type == _TARGET:
            found[name, node.id] = target if answer.attributes.get("exists") == "false" else frozenset()
        elif isinstance(answer, Observed):
            found[name, node.id] = frozenset(one for one in answer.attributes.get("pending", "").split(",") if one)
    return found


def _others(known: _Known, absent: Sequence[str]) -> dict[str, list[str]]:
    """What else the status names: targets that are missing, subscriptions that nobody confirmed."""
    lists = {name: set[str]() for name in _LACKS.values()}
    lists[_LACKS[_TARGET]].update(absent)
    for (name, _), names in known.lacking.items():
        lists[name].update(names)
    return {name: _fitting(sorted(names)) for name, names in lists.items()}


def _block(known: _Known) -> dict[str, Any]:
    counts, found = Counter(one.state for one in known.standings.values()), known.health
    return {
        "alarms": {
            "total": len(known.standings),
            "ok": counts[AlarmState.OK],
            "alarm": counts[AlarmState.ALARM],
            "insufficientData": counts[AlarmState.INSUFFICIENT_DATA],
        },
        "firing": _fitting(found.firing),
        "flapping": _fitting(found.flapping),
        "failedActions": _fitting(found.failed_actions),
        "noData": _fitting(found.no_data),
        "evaluationErrors": _fitting(found.evaluation_errors),
    }


def _fitting(names: Sequence[str]) -> list[str]:
    """As many names as a status has room for."""
    lengths = accumulate(len(name) + 3 for name in names)
    return [name for name, length in zip(names[:NAMED], lengths, strict=False) if length <= LIST_BYTES]


def _essence(told: Mapping[str, Any], beside: Mapping[str, Any] | None = None) -> tuple[Any, ...]:
    """What is told at once: names, but for the comings and goings of what flaps, and how many alarms there are."""
    flapping = {*(told.get("flapping") or ()), *((beside or {}).get("flapping") or ())}
    lists = [sorted(told.get(name) or ()) for name in _TOLD_AT_ONCE]
    return sorted(set(told.get("firing") or ()) - flapping), lists, (told.get("alarms") or {}).get("total")


def _words(one: Standing) -> str:
    return f"{one.alarm} ({one.meaning.service})" if one.meaning.service else one.alarm


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")

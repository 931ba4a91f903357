"""The sweeper: compares the outside with the plan at each object's interval, batched over all objects of one account."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from securebase.clients.aws import AwsAccountConfig
from securebase.core.driver import Answer, Depth, Observed, State, Target
from securebase.core.errors import ReconcileError, ReferenceNotFound, Terminal
from securebase.core.graph import Graph, Known, Role
from securebase.core.identity import Identity
from securebase.core.observe import make_plan, targets_of
from securebase.core.plan import Action, Plan, Prior, Step
from securebase.core.policy import Mode
from securebase.core.subject import Subject
from securebase.runtime.accounts import Account
from securebase.runtime.alarm_watch import AlarmWatch, Look
from securebase.runtime.engine import problem_of
from securebase.runtime.objects import Entry, Objects
from securebase.runtime.queue import Key
from securebase.runtime.shared import AccountWorld, Process
from securebase.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
_Answers = dict[Key, dict[str, Answer]]
_Attributes = dict[Key, Known]


@dataclass(frozen=True, slots=True)
class _Swept:
    """One object in a sweep, with what it was composed to when the sweep began."""

    key: Key
    graph: Graph
    subject: Subject


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Looks for differences; changes nothing outside. Called from one thread at a time."""

    process: Process
    objects: Objects
    metrics: Metrics
    clock: Callable[[], float]
    alarms: AlarmWatch | None = None

    def due(self) -> list[tuple[Account, list[Entry]]]:
        """Objects whose interval has passed, by account. One that is due takes all of its account along that are half due."""
        now, found = self.clock(), dict[AwsAccountConfig, tuple[Account, list[Entry]]]()
        for entry in self.objects:
            if entry.account is not None and entry.graph is not None and entry.subject is not None and not entry.deleting:
                found.setdefault(entry.account.config, (entry.account, []))[1].append(entry)
        return [
            (account, [entry for entry in entries if _age(entry, now) >= 0.5])
            for account, entries in found.values()
            if any(_age(entry, now) >= 1.0 for entry in entries)
        ]

    def sweep(self, account: Account, entries: Iterable[Entry]) -> list[Key]:
        """Keys that need a pass: something differs, changed its state, could not be read, or was not settled anyway."""
        now, world = self.clock(), self.process.world(account, _no_intents)
        chosen: list[_Swept] = []
        wanted: list[Key] = []
        restless: set[Key] = set()
        for entry in entries:
            entry.swept_at = now
            if entry.graph is None or entry.subject is None or entry.subject.policy.mode is Mode.PAUSED:
                continue
            if not entry.settled:
                restless.add(entry.key)
                wanted.append(entry.key)
            if entry.settled or any(node.role is Role.EXTERNAL for node in entry.graph):  # sweeps count who of others' is gone, at rest or not
                chosen.append(_Swept(entry.key, entry.graph, entry.subject))
        answers, attributes, heard = self._observe(chosen, world)
        if self.alarms is not None:
            self.alarms.saw(account.config, [Look(swept.key, swept.graph, swept.subject, answers[swept.key]) for swept in chosen])
        claimed: set[tuple[str, str]] = set()
        for swept in (one for one in chosen if one.key not in restless):
            plan = make_plan(swept.graph, swept.subject, world, answers[swept.key], {}, attributes[swept.key])
            changed = self._remarks_changed(swept, answers[swept.key]) or swept.graph.outdated(attributes[swept.key])
            if changed or ((differing := _differing(plan, swept.graph)) and not _left_to_another(differing, swept.subject, claimed)):
                wanted.append(swept.key)
        silent = {region for region, answered in heard.items() if not answered}
        for region in {node.region or swept.subject.region for swept in chosen for node in swept.graph} - silent:
            self.metrics.swept(account.config.account_id, region, now)
        for region, oldest in _oldest(chosen, answers, now).items():
            self.metrics.oldest_observation(account.config.account_id, region, oldest)
        return wanted

    def _remarks_changed(self, swept: _Swept, answers: Mapping[str, Answer]) -> bool:
        """Whether a resource tells something else than at the last look: a status would go on telling it. What could not be read,
        or is silent, tells what it did. A sweep goes by the sweep before, as a driver may know more when it looks hard."""
        entry = self.objects.get(swept.key)
        if entry is None:
            return False
        before = entry.remarks or {}
        heard = {name: answer.message for name, answer in answers.items() if isinstance(answer, Observed) and not answer.silent}
        now = {node.id: heard.get(node.id, before.get(node.id, "")) for node in swept.graph}
        entry.remarks = {node: remark for node, remark in now.items() if remark}
        return entry.remarks != {node: remark for node, remark in before.items() if node in swept.graph.nodes}

    def _observe(self, chosen: list[_Swept], world: AccountWorld) -> tuple[_Answers, _Attributes, dict[str, bool]]:
        """Observe all objects wave by wave: one call of a driver for everything of its type in a region. With it, which regions answered."""
        heard: dict[str, bool] = {}
        answers: _Answers = {swept.key: {} for swept in chosen}
        attributes: _Attributes = {swept.key: Known() for swept in chosen}
        for wave in range(max((len(swept.graph.reading_waves) for swept in chosen), default=0)):
            batches: dict[tuple[str, str], list[tuple[Key, Target[Any]]]] = {}
            for swept in chosen:
                if wave >= len(swept.graph.reading_waves):
                    continue
                targets = targets_of(swept.graph, swept.subject, attributes[swept.key], swept.graph.reading_waves[wave])
                for node in swept.graph.reading_waves[wave]:
                    batch = batches.setdefault((node.type, node.region or swept.subject.region), [])
                    batch.append((swept.key, targets[node.id]))
            for (type_, region), batch in batches.items():
                found = self._observe_batch(world, type_, region, [target for _, target in batch])
                heard[region] = heard.get(region, False) or any(not isinstance(answer, Exception) for answer in found.values())
                for key, target in batch:
                    answer = answers[key][target.node] = found.get(target.key)
                    if isinstance(answer, Observed):
                        attributes[key].note(target.node, answer.attributes, answer.secrets)
        return answers, attributes, heard

    def _observe_batch(self, world: AccountWorld, type_: str, region: str, targets: list[Target[Any]]) -> Mapping[tuple[Identity, str], Answer]:
        """One driver's answers; its failure as a whole is every target's, and no other driver's."""
        try:
            return world.driver(type_, region).observe(targets, Depth.SWEEP)
        except ReconcileError as error:
            log.warning("a sweep could not read %s in %s: %s", type_, region, error)
            return dict.fromkeys([target.key for target in targets], error)
        except Exception as error:
            log.exception("a sweep over %s in %s failed unexpectedly", type_, region)
            return dict.fromkeys([target.key for target in targets], problem_of(error))


def _oldest(chosen: list[_Swept], answers: _Answers, now: float) -> dict[str, float]:
    """Unix time of the oldest read the sweep went by, by region."""
    oldest: dict[str, float] = {}
    for swept in chosen:
        for node in swept.graph:
            answer = answers[swept.key].get(node.id)
            if isinstance(answer, Observed):
                region = node.region or swept.subject.region
                oldest[region] = min(oldest.get(region, now), answer.checked_at or now)
    return oldest


def _age(entry: Entry, now: float) -> float:
    """Share of the interval that has passed since the last sweep."""
    interval = entry.subject.policy.interval if entry.subject is not None else 60.0
    return (now - entry.swept_at) / interval


def _differing(plan: Plan, graph: Graph) -> list[Step]:
    """The steps that are worth a pass. What could not be read is unknown, not different: the next sweep looks again."""
    known = [step for step in plan.steps if not _unreadable(step)]
    return [step for step in known if step.action is not Action.NONE or (step.observed is not None and _moving(step, step.observed, graph))]


def _moving(step: Step, observed: Observed[Any], graph: Graph) -> bool:
    """Whether a pass may find it further on. What is somebody else's and no node takes anything from is worth a pass when it tells something else."""
    if step.node.role is Role.EXTERNAL and not graph.is_needed(step.node.id):
        return False
    return observed.state is not State.READY or bool(observed.due)


def _left_to_another(differing: Sequence[Step], subject: Subject, claimed: set[tuple[str, str]]) -> bool:
    """Whether nothing differs but what many objects share, and one of them looks after it already: one pass puts it right for all.

    Who only observes tells each difference itself, and puts nothing right for others.
    """
    if subject.policy.mode is not Mode.ENFORCE or any(step.node.role is not Role.SHARED or step.observed is None for step in differing):
        return False
    shared = {(step.node.type, step.observed.external_id) for step in differing if step.observed is not None}
    if shared <= claimed:
        return True
    claimed |= shared
    return False


def _unreadable(step: Step) -> bool:
    return step.action is Action.HOLD and step.observed is None and not isinstance(step.problem, (Terminal, ReferenceNotFound))


def _no_intents(*priors: Prior) -> None:
    raise AssertionError("a sweep never writes")

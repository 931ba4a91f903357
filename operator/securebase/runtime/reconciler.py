"""One pass over one object, with its effects on the cluster: finalizer, status, outputs, Events, metrics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from securebase.clients.kubernetes import Conflict, Gone, Kubernetes
from securebase.core.conditions import READY, RECONCILING, STALLED, SYNCED, Condition
from securebase.core.driver import State
from securebase.core.errors import ReconcileError, Terminal, Waiting
from securebase.core.fields import spelled
from securebase.core.graph import Role, refers
from securebase.core.kind import Kind, OwnStatus, TellsStatus
from securebase.core.observe import prunable
from securebase.core.outcome import Outcome, of_error, of_more_to_come, of_report
from securebase.core.outputs import outputs_now
from securebase.core.policy import Mode
from securebase.core.reconcile import reconcile
from securebase.core.subject import NodeResult, Report
from securebase.cost.book import PriceBook
from securebase.cost.estimate import estimate_graph
from securebase.runtime.advisor import advice_status
from securebase.runtime.alarm_watch import AlarmWatch, Look
from securebase.runtime.effects import Effects, same_account
from securebase.runtime.engine import (
    PREFIX,
    Composed,
    Request,
    Sources,
    compose,
    no_intents,
    policy_of,
    problem_of,
    with_omitted,
)
from securebase.runtime.events import Recorder
from securebase.runtime.farewells import Farewells
from securebase.runtime.objects import Entry, Objects
from securebase.runtime.queue import Key, Reason
from securebase.runtime.shared import Process
from securebase.runtime.status import Written, omitted, told_by
from securebase.telemetry.metrics import Metrics

log = logging.getLogger(__name__)


_CHANGED_MEANWHILE = Outcome("conflict", (), backoff=True)
"""The object was changed while a pass ran: nothing is told, it is read again."""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Runs passes. Called from worker threads, one pass a key at a time."""

    process: Process
    sources: Sources
    effects: Effects
    farewells: Farewells
    book: PriceBook
    clock: Callable[[], float]
    alarms: AlarmWatch | None = None

    def run(self, key: Key, reason: Reason) -> Outcome | None:
        """One pass; None when there is nothing to do any more."""
        entry = self.effects.objects.get(key)
        if entry is None:
            self.effects.gone(key)
            return None
        kind = self.effects.kinds[key.kind]
        try:
            return self.farewells.run(kind, entry) if entry.deleting else self._pass(kind, entry, reason)
        except Gone:
            self.effects.gone(key)
            return None
        except Conflict:
            return _CHANGED_MEANWHILE
        except ReconcileError as error:
            return self._failed(kind, entry, error)
        except Exception as error:
            log.exception("a pass over %s failed unexpectedly", key)
            return self._failed(kind, entry, problem_of(error))

    def _failed(self, kind: Kind, entry: Entry, error: ReconcileError) -> Outcome | None:
        """Tell what went wrong; when even that fails, the queue comes back."""
        if entry.deleting and not isinstance(error, Waiting):
            self.effects.events.warning(entry.body, "DeletionBlocked", f"{error.reason}: {error.message}")
        try:
            return self.effects.record(kind, entry, of_error(error), None)
        except Gone:
            self.effects.gone(entry.key)
            return None
        except (Conflict, ReconcileError) as untold:
            log.warning("%s: %s; the status could not be written: %s", entry.key, error, untold)
            return replace(_CHANGED_MEANWHILE, name="transient")

    def _pass(self, kind: Kind, entry: Entry, reason: Reason) -> Outcome | None:
        request = self.effects.request(kind, entry)
        policy = policy_of(kind, request.spec, entry.annotations)
        if policy.mode is Mode.PAUSED:
            entry.settled, entry.graph = True, None
            return self.effects.record(kind, entry, _paused(), None)
        refreshed = self._refresh_asked(entry)
        if refreshed or entry.status.get("observedGeneration") != entry.metadata.get("generation"):
            entry.memory.fights.forget()
        self.effects.note_references(kind, request)
        composed = self._composed(entry, request)
        if entry.graph is None and entry.ours and policy.mode is Mode.ENFORCE and entry.at_rest() and not prunable(composed.graph, composed.subject):
            return self._taken_up(entry, composed)
        if policy.mode is Mode.ENFORCE and not entry.ours:
            self.effects.put_finalizer(entry)
        progress_only = reason is Reason.POLL and entry.graph is not None and not refreshed
        self._note_shared(composed)
        world = self.effects.world(entry, composed.account)
        report = _with_what_stands(reconcile(composed.graph, composed.subject, world, entry.memory, progress_only=progress_only), told_by(entry.status))
        entry.graph, entry.account = composed.graph, composed.account
        entry.subject = replace(composed.subject, prior={node.prior.id: node.prior for node in report.results})
        if not progress_only:
            entry.swept_at = self.clock()
            self._show_alarms(entry, report)
        self._note_shared(composed, report.results)
        told = {result.prior.id: result.message for result in report.results if result.message}
        entry.remarks = told if entry.remarks is None else told | dict(entry.remarks)
        return self._concluded(kind, entry, request, composed, report)

    def _show_alarms(self, entry: Entry, report: Report) -> None:
        """What is not at rest is read by its passes alone."""
        if self.alarms is not None and entry.graph is not None and entry.subject is not None and entry.account is not None:
            answers = {step.node.id: step.observed or step.problem for step in report.plan.steps}
            self.alarms.saw(entry.account.config, [Look(entry.key, entry.graph, entry.subject, answers)])

    def _composed(self, entry: Entry, request: Request) -> Composed:
        """The object's graph; after a restart with what its last status had no room for."""
        composed = compose(request, self.process, self.sources)
        same_account(entry, composed.account)
        if entry.subject is not None or not (left_out := omitted(entry.status)):
            return composed
        subject = with_omitted(composed.subject, left_out, self.process.world(composed.account, no_intents), composed.graph)
        return replace(composed, subject=subject)

    def _concluded(self, kind: Kind, entry: Entry, request: Request, composed: Composed, report: Report) -> Outcome:
        """What a pass that got as far as a plan leaves behind."""
        outcome = of_report(report, composed.subject.policy)
        entry.settled = outcome.name == "ready" and not any(step.held for step in report.plan.steps)
        if entry.settled and composed.graph.outdated(report.attributes):
            entry.settled, outcome = False, of_more_to_come()
        if entry.settled:
            entry.memory.seen.clear()  # whole configurations, of use only while something is under way
        written = self._written(kind, request, composed, report)
        told, interval = entry.status.get("outputs") or {}, composed.subject.policy.interval
        partial = not composed.graph.complete and entry.status.get("observedGeneration") == entry.metadata.get("generation")
        written = replace(written, outputs=outputs_now(told, written.outputs, ready=outcome.name == "ready", partial=partial))
        self.effects.tell(entry, report)
        self._tell_of_others(entry, report)
        if not self.effects.publish(entry, written.outputs):
            written = replace(written, outputs=told)  # not told as published: tried again
            entry.settled, outcome = False, replace(outcome, after=min(outcome.after or interval, interval))
        advice = advice_status(kind, request.spec, entry, written.outputs, self.clock())
        own = kind.own_status(request.spec, report.attributes, entry.status) if isinstance(kind, TellsStatus) else OwnStatus()
        for news, message in own.news:
            self.effects.events.warning(entry.body, news, message)
        written = replace(written, acknowledged={**written.acknowledged, **own.acknowledged}, own={**advice, **own.fields})
        return self.effects.record(kind, entry, outcome, replace(written, cost=self._cost(entry, composed)))

    def _tell_of_others(self, entry: Entry, report: Report) -> None:
        """What nothing waits for and a person has to mend: no condition tells of it."""
        told = told_by(entry.status)
        for result in report.results:
            if result.beside and result.state != State.READY.value and result.message != told.get(result.prior.id):
                self.effects.events.warning(entry.body, result.reason, result.message)

    def _taken_up(self, entry: Entry, composed: Composed) -> Outcome:
        """After a restart: what its status calls ready is compared by the next sweep, together with all the others."""
        entry.graph, entry.account, entry.subject, entry.settled = composed.graph, composed.account, composed.subject, True
        entry.remarks = told_by(entry.status)
        self._note_shared(composed, (NodeResult(prior, State.READY.value) for prior in composed.subject.prior.values()))
        self.effects.price(entry, self._cost(entry, composed))
        labels = (entry.key.kind, entry.key.namespace, entry.key.name)
        self.effects.metrics.ready(*labels, True)
        self.effects.metrics.drift(*labels, 0, self.clock())
        return Outcome("taken_up", ())

    def _cost(self, entry: Entry, composed: Composed) -> Mapping[str, Any]:
        """What the object costs by its spec and the price book alone. While not all of it is known, what was told before stays."""
        told: Mapping[str, Any] = entry.status.get("cost") or {}
        if told and not composed.graph.complete:
            return told
        return estimate_graph(composed.graph, composed.subject.region, self.book).as_status()

    def _refresh_asked(self, entry: Entry) -> bool:
        asked = entry.annotations.get(f"{PREFIX}refresh", "")
        return bool(asked) and asked != (entry.status.get("acknowledged") or {}).get("refresh")

    def _note_shared(self, composed: Composed, results: Iterable[NodeResult] | None = None) -> None:
        """Whom the shared resources of this object are kept for: before a pass for those it wants as well, after it for exactly those it has."""
        account, identity = composed.account.config.account_id, composed.subject.identity
        used = {(node.type, node.desired.name) for node in composed.graph if node.role is Role.SHARED}
        if results is None:
            self.process.shared.about_to_use(account, identity, used)
            return
        there = {(result.prior.type, result.prior.external_id) for result in results if result.prior.role is Role.SHARED}
        self.process.shared.use(account, identity, used | there)

    def _written(self, kind: Kind, request: Request, composed: Composed, report: Report) -> Written:
        acknowledged = dict(request.acknowledged)
        if refresh := request.annotations.get(f"{PREFIX}refresh"):
            acknowledged["refresh"] = refresh
        if request.annotations.get(f"{PREFIX}approve", "") != acknowledged.get("approve"):
            acknowledged.pop("approve", None)
        if report.plan.approved:
            acknowledged["approve"] = report.plan.approved  # used; what it opened stays open until it is carried out
        results = [result for result in report.results if result.prior.role is not Role.EXTERNAL or result.state != State.READY.value or result.message]
        asked = request.requests()
        tasks: dict[str, Mapping[str, Any]] = {}
        for annotation, node in kind.tasks.items():
            result = next((result for result in report.results if result.prior.id == node), None)
            if result is not None and annotation in asked:
                tasks[node] = _task_status(result, composed.graph.nodes[node].desired)
                if tasks[node]["status"] in ("Completed", "Failed"):
                    acknowledged[annotation] = asked[annotation]
        outputs = kind.outputs(request.spec, report.attributes)
        subject, observing = composed.subject, composed.subject.policy.mode is Mode.OBSERVE
        return Written(results, report.plan, outputs, composed.account.config.account_id, subject.region, acknowledged, tasks, observing)


def _with_what_stands(report: Report, told: Mapping[str, str]) -> Report:
    """The report with what was told of those that were not written and that no read can tell of."""
    written = {*report.created, *report.updated}
    silent = {step.node.id for step in report.plan.steps if step.observed is not None and step.observed.silent} - written
    stands = [replace(result, message=result.message or told.get(result.prior.id, "")) if result.prior.id in silent else result for result in report.results]
    return replace(report, results=tuple(stands))


def reconciler_of(
    process: Process,
    kinds: Mapping[str, Kind],
    objects: Objects,
    api: Kubernetes,
    sources: Sources,
    events: Recorder,
    metrics: Metrics,
    book: PriceBook,
    clock: Callable[[], float],
    alarms: AlarmWatch | None = None,
) -> Reconciler:
    """A reconciler with the parts it is made of."""
    effects = Effects(process, kinds, objects, api, events, metrics, clock)
    return Reconciler(process, sources, effects, Farewells(process, sources, effects), book, clock, alarms)


def _paused() -> Outcome:
    why = "policy.mode is Paused, or the annotation securebase.io/pause is set: nothing is read or written"
    unknown = (Condition(name, None, "Paused", why) for name in (READY, SYNCED))
    return Outcome("paused", (*unknown, Condition(RECONCILING, False, "Paused"), Condition(STALLED, False, "Paused")))


def _task_status(result: NodeResult, desired: Any) -> dict[str, Any]:
    """How a task asked for by annotation stands: what was asked for, and Completed, Failed or InProgress."""
    asked = {spelled(name): sorted(value) if isinstance(value, frozenset) else value for name, value in _fields(desired) if not refers(value)}
    status = "Completed" if result.state == State.READY.value else "Failed" if isinstance(result.problem, Terminal) else "InProgress"
    external_id = result.prior.external_id.rpartition("/")[2]
    return asked | {"status": status} | {name: value for name, value in (("id", external_id), ("message", result.message[:1000])) if value}


def _fields(desired: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(desired):
        yield field.name, getattr(desired, field.name)

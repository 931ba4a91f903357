"""One pass over one object, with its effects on the cluster: finalizer, status, outputs, Events, metrics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from securebase.clients.kubernetes import Conflict, Gone, Kubernetes, namespaced
from securebase.core.conditions import READY, RECONCILING, STALLED, SYNCED, Condition
from securebase.core.driver import State
from securebase.core.errors import ReconcileError, Terminal, Waiting
from securebase.core.fields import spelled
from securebase.core.finalise import Farewell, finalise
from securebase.core.graph import Graph, Role, refers
from securebase.core.identity import Identity
from securebase.core.kind import Kind
from securebase.core.outcome import Outcome, of_error, of_farewell, of_report
from securebase.core.plan import Prior
from securebase.core.policy import Mode, OnDelete, Policy
from securebase.core.reconcile import reconcile
from securebase.core.subject import NodeResult, Report, Subject
from securebase.runtime.accounts import Account
from securebase.runtime.engine import (
    PREFIX,
    AccountWorld,
    Composed,
    Request,
    Sources,
    account_and_subject,
    compose,
    parsed,
    policy_of,
    problem_of,
    proven_account,
)
from securebase.runtime.events import Recorder
from securebase.runtime.objects import FINALIZER, Entry, Objects
from securebase.runtime.queue import Key, Reason
from securebase.runtime.shared import Process
from securebase.runtime.status import Written, entry_of, priors, status_of
from securebase.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
RESYNC_SECONDS = 60.0


_CHANGED_MEANWHILE = Outcome("conflict", (), backoff=True)
"""The object was changed while a pass ran: nothing is told, it is read again."""


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Runs passes. Called from worker threads, one pass a key at a time."""

    process: Process
    kinds: Mapping[str, Kind]
    objects: Objects
    api: Kubernetes
    sources: Sources
    events: Recorder
    metrics: Metrics
    clock: Callable[[], float]

    def run(self, key: Key, reason: Reason) -> Outcome | None:
        """One pass; None when there is nothing to do any more."""
        entry = self.objects.get(key)
        if entry is None:
            self._gone(key)
            return None
        kind = self.kinds[key.kind]
        try:
            return self._farewell(kind, entry) if entry.deleting else self._pass(kind, entry, reason)
        except Gone:
            self._gone(key)
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
            self.events.warning(entry.body, "DeletionBlocked", f"{error.reason}: {error.message}")
        try:
            return self._record(kind, entry, of_error(error), None)
        except Gone:
            self._gone(entry.key)
            return None
        except (Conflict, ReconcileError) as untold:
            log.warning("%s: %s; the status could not be written: %s", entry.key, error, untold)
            return replace(_CHANGED_MEANWHILE, name="transient")

    def _gone(self, key: Key) -> None:
        """The object does not exist any more, whether or not the watch has said so."""
        self.objects.drop(key)
        self.metrics.forget(*key)

    # --- reconciling

    def _pass(self, kind: Kind, entry: Entry, reason: Reason) -> Outcome | None:
        request = self._request(kind, entry)
        policy = policy_of(kind, request.spec, entry.annotations)
        if policy.mode is Mode.PAUSED:
            entry.settled, entry.graph = True, None
            return self._record(kind, entry, _paused(), None)
        refreshed = self._refresh_asked(entry)
        if refreshed or entry.status.get("observedGeneration") != entry.metadata.get("generation"):
            entry.memory.fights.forget()
        self._note_references(kind, request)
        composed = compose(request, self.process.accounts, self.sources)
        _same_account(entry, composed.account)
        if entry.graph is None and entry.ours and policy.mode is Mode.ENFORCE and entry.at_rest():
            return self._taken_up(entry, composed)
        if policy.mode is Mode.ENFORCE and not entry.ours:
            self._put_finalizer(entry)
        world = self._world(entry, composed.account)
        progress_only = reason is Reason.POLL and entry.graph is not None and not refreshed
        report = reconcile(composed.graph, composed.subject, world, entry.memory, progress_only=progress_only)
        entry.graph, entry.account = composed.graph, composed.account
        if not progress_only:
            entry.swept_at = self.clock()
        outcome = of_report(report, policy)
        entry.settled = outcome.name == "ready" and not any(step.held for step in report.plan.steps)
        if entry.settled:
            entry.memory.seen.clear()  # whole configurations, of use only while something is under way
        self._note_shared(composed, report)
        written = self._written(kind, request, composed, report)
        entry.subject = replace(composed.subject, prior={node.prior.id: node.prior for node in report.results})
        self._tell(entry, report)
        if not self._publish(entry, written.outputs):
            written = replace(written, outputs=entry.status.get("outputs") or {})  # not told as published: tried again
        return self._record(kind, entry, outcome, written)

    def _taken_up(self, entry: Entry, composed: Composed) -> Outcome:
        """After a restart: what its status calls ready is compared by the next sweep, together with all the others."""
        entry.graph, entry.account, entry.subject, entry.settled = composed.graph, composed.account, composed.subject, True
        used = {(prior.type, prior.external_id) for prior in composed.subject.prior.values() if prior.role is Role.SHARED}
        self.process.shared.use(composed.account.config.account_id, composed.subject.identity, used)
        labels = (entry.key.kind, entry.key.namespace, entry.key.name)
        self.metrics.ready(*labels, True)
        self.metrics.drift(*labels, 0, self.clock())
        return Outcome("taken_up", ())

    def _request(self, kind: Kind, entry: Entry) -> Request:
        identity = Identity(self.process.instance, entry.key.kind, entry.key.namespace, entry.key.name)
        known = entry.subject.prior if entry.subject is not None else priors(entry.status)
        return Request(kind, identity, parsed(kind, entry.body), entry.annotations, known, entry.status.get("acknowledged") or {})

    def _refresh_asked(self, entry: Entry) -> bool:
        asked = entry.annotations.get(f"{PREFIX}refresh", "")
        return bool(asked) and asked != (entry.status.get("acknowledged") or {}).get("refresh")

    def _note_references(self, kind: Kind, request: Request) -> None:
        needs = kind.needs(request.spec, request.identity.namespace)
        account = request.spec.account_ref.name if request.spec.account_ref else "default"
        references = {("Secret", ref.namespace, ref.name) for ref in needs.secrets} | {(ref.kind, ref.namespace, ref.name) for ref in needs.objects}
        key = Key(request.identity.kind, request.identity.namespace, request.identity.name)
        self.objects.depends(key, frozenset(references | {("AwsAccount", "", account)}))

    def _put_finalizer(self, entry: Entry) -> None:
        metadata = {"resourceVersion": entry.metadata["resourceVersion"], "finalizers": [*(entry.metadata.get("finalizers") or ()), FINALIZER]}
        self.objects.written(entry, self.api.merge(self._path(entry), {"metadata": metadata}))

    def _path(self, entry: Entry, subresource: str = "") -> str:
        return namespaced(self.kinds[entry.key.kind].plural, entry.key.namespace, entry.key.name, subresource)

    def _world(self, entry: Entry, account: Account) -> AccountWorld:
        def store_intent(*intents: Prior) -> None:
            known = {item["id"]: item for item in entry.status.get("resources") or ()}
            known |= {prior.id: entry_of(prior, "WAITING") for prior in intents}
            patch = {"metadata": {"uid": entry.metadata["uid"]}, "status": {"resources": list(known.values())}}
            self.objects.written(entry, self.api.merge(self._path(entry, "status"), patch))

        return self.process.world(account, store_intent)

    def _note_shared(self, composed: Composed, report: Report) -> None:
        used = {(node.prior.type, node.prior.external_id) for node in report.results if node.prior.role is Role.SHARED and node.prior.external_id}
        self.process.shared.use(composed.account.config.account_id, composed.subject.identity, used)

    def _written(self, kind: Kind, request: Request, composed: Composed, report: Report) -> Written:
        acknowledged = dict(request.acknowledged)
        if refresh := request.annotations.get(f"{PREFIX}refresh"):
            acknowledged["refresh"] = refresh
        if request.annotations.get(f"{PREFIX}approve", "") != acknowledged.get("approve"):
            acknowledged.pop("approve", None)
        if report.plan.approved:
            acknowledged["approve"] = report.plan.approved  # used; what it opened stays open until it is carried out
        results = [result for result in report.results if result.prior.role is not Role.EXTERNAL or result.state != State.READY.value]
        asked = request.requests()
        tasks: dict[str, Mapping[str, Any]] = {}
        for annotation, node in kind.tasks.items():
            result = next((result for result in report.results if result.prior.id == node), None)
            if result is not None and annotation in asked:
                tasks[node] = _task_status(result, composed.graph.nodes[node].desired)
                if tasks[node]["status"] in ("Completed", "Failed"):
                    acknowledged[annotation] = asked[annotation]
        outputs = {name: value for name, value in kind.outputs(request.spec, report.attributes).items() if value}
        subject, observing = composed.subject, composed.subject.policy.mode is Mode.OBSERVE
        return Written(results, report.plan, outputs, composed.account.config.account_id, subject.region, acknowledged, tasks, observing)

    # --- finalising

    def _farewell(self, kind: Kind, entry: Entry) -> Outcome | None:
        if not entry.ours:
            return None
        try:
            request = self._request(kind, entry)
        except Terminal as error:
            return self._blind_farewell(kind, entry, error)
        policy = policy_of(kind, request.spec, entry.annotations)
        if policy.on_delete is OnDelete.RETAIN or self._definition_goes(kind):
            self._retain(entry)
            return None
        if policy.mode is not Mode.ENFORCE:
            why = f"policy.mode is {policy.mode.value}: nothing is deleted outside; set Enforce to delete it, or policy.onDelete: Retain to let it go"
            raise Waiting("DeletionPaused", why, policy.interval)
        self._note_references(kind, request)
        account, subject = account_and_subject(request, self.process.accounts)
        _same_account(entry, account)
        if not policy.deletion_protection:
            self._admit(account, entry, subject)
        graph = None
        try:
            graph = compose(request, self.process.accounts, self.sources).graph
        except ReconcileError as error:
            log.info("%s goes by what its status records: %s", entry.key, error)
        return self._finalised(kind, entry, account, subject, graph)

    def _blind_farewell(self, kind: Kind, entry: Entry, error: Terminal) -> Outcome | None:
        """The stored spec is not valid for this version: it goes by what its status records, where its status says."""
        said = (entry.body.get("spec") or {}).get("policy") or {}
        if said.get("onDelete") == OnDelete.RETAIN.value or self._definition_goes(kind):
            self._retain(entry)
            return None
        if said.get("deletionProtection") or said.get("mode", Mode.ENFORCE.value) != Mode.ENFORCE.value:
            raise error
        identity = Identity(self.process.instance, *entry.key)
        named = (entry.body.get("spec") or {}).get("accountRef") or {}
        account = proven_account(self.process.accounts, named.get("name"), entry.key.namespace)
        _same_account(entry, account)
        subject = Subject(identity, Policy(), entry.status.get("region") or account.region, priors(entry.status))
        self._admit(account, entry, subject)
        return self._finalised(kind, entry, account, subject, None)

    def _finalised(self, kind: Kind, entry: Entry, account: Account, subject: Subject, graph: Graph | None) -> Outcome | None:
        farewell = finalise(graph, subject, self._world(entry, account), entry.memory)
        entry.account, entry.graph = account, None
        entry.subject = replace(subject, prior={result.prior.id: result.prior for result in farewell.results})
        self._tell_farewell(entry, farewell)
        if farewell.done:
            self._let_go(entry)
            return None
        acknowledged = entry.status.get("acknowledged") or {}
        written = Written(farewell.results, None, {}, account.config.account_id, subject.region, acknowledged)
        return self._record(kind, entry, of_farewell(farewell), written)

    def _retain(self, entry: Entry) -> None:
        self.events.normal(entry.body, "Retained", "the outside resources stay as they are")
        self._let_go(entry)

    def _admit(self, account: Account, entry: Entry, subject: Subject) -> None:
        scope = f"AwsAccount {account.name or '(ambient)'}"
        self.process.breaker.admit(scope, str(entry.key), max(1, self.objects.of_account(account.name or "default")), confirmed=subject.confirmed)

    def _definition_goes(self, kind: Kind) -> bool:
        """A CRD that is being deleted takes its objects with it; it must not take AWS with it."""
        definition = self.api.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.plural}.securebase.io")
        return bool(definition["metadata"].get("deletionTimestamp"))

    def _let_go(self, entry: Entry) -> None:
        rest = [name for name in entry.metadata.get("finalizers") or () if name != FINALIZER]
        self.api.merge(self._path(entry), {"metadata": {"resourceVersion": entry.metadata["resourceVersion"], "finalizers": rest}})
        if entry.account is not None:
            identity = Identity(self.process.instance, *entry.key)
            self.process.shared.use(entry.account.config.account_id, identity, set())
        if not rest:
            self._gone(entry.key)

    def _tell_farewell(self, entry: Entry, farewell: Farewell) -> None:
        for told in farewell.left_alone:
            self.events.warning(entry.body, "LeftAlone", told)
        stuck = [result for result in farewell.results if result.state == State.FAILED.value]
        if stuck:
            self.events.warning(entry.body, "DeletionBlocked", f"{stuck[0].prior.id}: {stuck[0].message}")

    # --- what both leave behind

    def _record(self, kind: Kind, entry: Entry, outcome: Outcome, written: Written | None) -> Outcome:
        """Write the status when it changed, and nothing else."""
        generation = int(entry.metadata.get("generation") or 0)
        now = datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        outcome = _without_false_alarm(outcome, entry)
        status = status_of(entry.status, outcome, written, generation, now)
        if status != entry.status:
            patch = {"metadata": {"uid": entry.metadata["uid"]}, "status": _merge_patch(entry.status, status)}
            self.objects.written(entry, self.api.merge(self._path(entry, "status"), patch))
        if outcome.name in ("terminal", "denied"):
            entry.settled = False
            why = outcome.conditions[-1]
            self.events.warning(entry.body, why.reason, why.message)
            if outcome.after is None and not outcome.backoff:  # a state, not the end: looked at again at each interval
                outcome = replace(outcome, after=entry.subject.policy.interval if entry.subject is not None else RESYNC_SECONDS)
        self._measure(entry, outcome, written)
        return outcome

    def _measure(self, entry: Entry, outcome: Outcome, written: Written | None) -> None:
        labels = (entry.key.kind, entry.key.namespace, entry.key.name)
        for condition in outcome.conditions:
            if condition.type == READY and condition.status is not None:
                self.metrics.ready(*labels, condition.status)
        if written is not None and written.plan is not None:
            drift = frozenset(f"{result.prior.id}.{path}" for result in written.results for path in result.drift)
            entry.drift_since = (entry.drift_since or self.clock()) if drift else 0.0
            self.metrics.drift(*labels, len(drift), entry.drift_since)
            self.metrics.pending(*labels, written.plan.pending)

    def _tell(self, entry: Entry, report: Report) -> None:
        labels = (entry.key.kind, entry.key.namespace, entry.key.name)
        drifted = frozenset(report.drift) | frozenset(report.corrected)
        if fresh := drifted - entry.drift:
            self.metrics.drift_detected(*labels, len(fresh))
            self.events.warning(entry.body, "DriftDetected", f"changed outside: {_listed(fresh)}")
        entry.drift = drifted - frozenset(report.corrected)
        if report.corrected:
            self.metrics.drift_corrected(*labels, len(report.corrected))
            self.events.normal(entry.body, "DriftCorrected", f"put back: {_listed(report.corrected)}")
        if report.created:
            self.events.normal(entry.body, "Created", _listed(report.created))
        if report.removed:
            self.events.normal(entry.body, "Removed", _listed(report.removed))
        if report.plan.hash:
            self.events.warning(entry.body, "ApprovalRequired", f"{PREFIX}approve={report.plan.hash} lets {report.plan.impact.value} changes happen")

    def _publish(self, entry: Entry, outputs: Mapping[str, str]) -> bool:
        """The outputs as a ConfigMap owned by the object, written when they changed; whether they stand there now."""
        if not outputs or dict(entry.status.get("outputs") or {}) == dict(outputs):
            return True
        try:
            self._write_outputs(entry, outputs)
        except (ReconcileError, Conflict, Gone) as error:
            log.warning("%s: the outputs could not be published: %s", entry.key, error)
            self.events.warning(entry.body, "OutputsNotPublished", f"ConfigMap {entry.key.name}-outputs: {error}")
            return False
        return True

    def _write_outputs(self, entry: Entry, outputs: Mapping[str, str]) -> None:
        name, metadata = f"{entry.key.name}-outputs", entry.metadata
        collection = f"/api/v1/namespaces/{entry.key.namespace}/configmaps"
        owner = {"apiVersion": entry.body["apiVersion"], "kind": entry.key.kind, "name": entry.key.name, "uid": metadata["uid"], "controller": True}
        body = {"metadata": {"name": name, "ownerReferences": [owner]}, "data": dict(outputs)}
        try:
            self.api.create(collection, {"apiVersion": "v1", "kind": "ConfigMap", **body})
        except Conflict:
            there = self.api.get(f"{collection}/{name}")
            if not any(reference.get("uid") == metadata["uid"] for reference in there["metadata"].get("ownerReferences") or ()):
                raise Terminal("NameTaken", "exists and belongs to somebody else; rename or remove it") from None
            gone = dict.fromkeys((there.get("data") or {}).keys() - outputs.keys())
            self.api.merge(f"{collection}/{name}", {"data": {**outputs, **gone}})


def _paused() -> Outcome:
    why = "policy.mode is Paused, or the annotation securebase.io/pause is set: nothing is read or written"
    unknown = (Condition(name, None, "Paused", why) for name in (READY, SYNCED))
    return Outcome("paused", (*unknown, Condition(RECONCILING, False, "Paused"), Condition(STALLED, False, "Paused")))


def _same_account(entry: Entry, account: Account) -> None:
    """What was made in one account is not found in another: it would be made again there, and left behind here."""
    before = entry.status.get("account")
    if before and account.config.account_id != before:
        raise Terminal(
            "AccountChanged",
            f"the resources are in account {before}, and the object now leads to {account.config.account_id}; "
            "name the AwsAccount of the old one in accountRef, or make a second object and delete this one",
        )


def _task_status(result: NodeResult, desired: Any) -> dict[str, Any]:
    """How a task asked for by annotation stands: what was asked for, and Completed, Failed or InProgress."""
    asked = {spelled(name): sorted(value) if isinstance(value, frozenset) else value for name, value in _fields(desired) if not refers(value)}
    status = "Completed" if result.state == State.READY.value else "Failed" if isinstance(result.problem, Terminal) else "InProgress"
    external_id = result.prior.external_id.rpartition("/")[2]
    return asked | {"status": status} | {name: value for name, value in (("id", external_id), ("message", result.message[:1000])) if value}


def _fields(desired: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(desired):
        yield field.name, getattr(desired, field.name)


def _without_false_alarm(outcome: Outcome, entry: Entry) -> Outcome:
    """That AWS could not be asked for a moment says nothing about what runs there: Ready and Synced stay as they were."""
    known = {condition.get("type") for condition in entry.status.get("conditions") or ()}
    if entry.deleting or READY not in known or not (outcome.name == "transient" or any(condition.reason == "RateLimited" for condition in outcome.conditions)):
        return outcome
    return replace(outcome, conditions=tuple(condition for condition in outcome.conditions if condition.type not in (READY, SYNCED)))


def _merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7386 between two statuses: changed top-level fields, null for those that went; nested maps likewise."""
    patch: dict[str, Any] = {}
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        patch[name] = _merge_patch(old, new) if isinstance(old, Mapping) and isinstance(new, Mapping) else new
    return patch


def _listed(names: Any) -> str:
    found = sorted(names)
    return ", ".join(found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")

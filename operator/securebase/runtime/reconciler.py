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
from securebase.core.errors import ReconcileError, Terminal, Transient
from securebase.core.fields import spelled
from securebase.core.finalise import Farewell, finalise
from securebase.core.graph import Role, refers
from securebase.core.identity import Identity
from securebase.core.kind import Kind
from securebase.core.outcome import Outcome, of_error, of_farewell, of_report
from securebase.core.policy import Mode, OnDelete
from securebase.core.reconcile import reconcile
from securebase.core.subject import NodeResult, Report, Subject
from securebase.runtime.accounts import Account
from securebase.runtime.engine import PREFIX, AccountWorld, Composed, Request, Sources, account_and_subject, compose, parsed, policy_of, problem_of
from securebase.runtime.events import Recorder
from securebase.runtime.objects import FINALIZER, Entry, Objects
from securebase.runtime.queue import Key, Reason
from securebase.runtime.shared import Process
from securebase.runtime.status import Written, priors, status_of
from securebase.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
RESYNC_SECONDS = 60.0


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
            return None
        kind = self.kinds[key.kind]
        try:
            if entry.deleting:
                return self._farewell(kind, entry)
            return self._pass(kind, entry, reason)
        except Gone:
            return None  # deleted under us; the watch will say so
        except Conflict:
            return self._record(kind, entry, of_error(Transient("ObjectChanged", "the object was changed meanwhile; reading it again")), None)
        except ReconcileError as error:
            return self._record(kind, entry, of_error(error), None)
        except Exception as error:
            log.exception("a pass over %s failed unexpectedly", key)
            return self._record(kind, entry, of_error(problem_of(error)), None)

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
        self._note_shared(composed, report)
        written = self._written(kind, request, composed, report)
        if written.outputs:
            self._publish(entry, written.outputs)
        self._tell(entry, report)
        entry.subject = replace(composed.subject, prior={node.prior.id: node.prior for node in report.results})
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
        def store_intent(node: str, incarnation: int) -> None:
            known = {name: dict(item) for name, item in ((item["id"], item) for item in entry.status.get("resources") or ())}
            if node in known:
                known[node]["incarnation"] = incarnation
                body = self.api.merge(self._path(entry, "status"), {"status": {"resources": list(known.values())}})
                self.objects.written(entry, body)

        return self.process.world(account, store_intent)

    def _note_shared(self, composed: Composed, report: Report) -> None:
        used = {(node.prior.type, node.prior.external_id) for node in report.results if node.prior.role is Role.SHARED and node.prior.external_id}
        self.process.shared.use(composed.account.config.account_id, composed.subject.identity, used)

    def _written(self, kind: Kind, request: Request, composed: Composed, report: Report) -> Written:
        acknowledged = dict(request.acknowledged)
        if refresh := request.annotations.get(f"{PREFIX}refresh"):
            acknowledged["refresh"] = refresh
        if report.plan.approved and all(result.problem is None for result in report.results):
            acknowledged["approve"] = report.plan.approved
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
        request = self._request(kind, entry)
        policy = policy_of(kind, request.spec, entry.annotations)
        if policy.on_delete is OnDelete.RETAIN or self._definition_goes(kind):
            self.events.normal(entry.body, "Retained", "the outside resources stay as they are")
            self._let_go(entry)
            return None
        self._note_references(kind, request)
        account, subject = account_and_subject(request, self.process.accounts)
        if not policy.deletion_protection:
            self._admit(account, entry, subject)
        graph = None
        try:
            graph = compose(request, self.process.accounts, self.sources).graph
        except ReconcileError as error:
            log.info("%s goes by what its status records: %s", entry.key, error)
        world = self._world(entry, account)
        farewell = finalise(graph, subject, world, entry.memory)
        entry.account = account
        if farewell.done:
            self._let_go(entry)
            return None
        entry.subject = replace(subject, prior={result.prior.id: result.prior for result in farewell.results})
        self._tell_farewell(entry, farewell)
        outcome = of_farewell(farewell)
        acknowledged = dict(request.acknowledged)
        return self._record(kind, entry, outcome, Written(farewell.results, None, {}, account.config.account_id, subject.region, acknowledged))

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

    def _tell_farewell(self, entry: Entry, farewell: Farewell) -> None:
        stuck = [result for result in farewell.results if result.state == State.FAILED.value]
        if stuck:
            self.events.warning(entry.body, "DeletionBlocked", f"{stuck[0].prior.id}: {stuck[0].message}")

    # --- what both leave behind

    def _record(self, kind: Kind, entry: Entry, outcome: Outcome, written: Written | None) -> Outcome:
        """Write the status when it changed, and nothing else."""
        generation = int(entry.metadata.get("generation") or 0)
        now = datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = status_of(entry.status, outcome, written, generation, now)
        if status != entry.status:
            self.objects.written(entry, self.api.merge(self._path(entry, "status"), {"status": _merge_patch(entry.status, status)}))
        if outcome.name in ("terminal", "denied"):
            entry.settled = False
            ready = outcome.conditions[0]
            self.events.warning(entry.body, ready.reason, ready.message)
            if outcome.after is None and not outcome.backoff:  # a state, not the end: looked at again at each interval
                outcome = replace(outcome, after=entry.subject.policy.interval if entry.subject is not None else RESYNC_SECONDS)
        self._measure(entry, outcome, written)
        return outcome

    def _measure(self, entry: Entry, outcome: Outcome, written: Written | None) -> None:
        labels = (entry.key.kind, entry.key.namespace, entry.key.name)
        ready = any(condition.type == "Ready" and condition.status for condition in outcome.conditions)
        self.metrics.ready(*labels, ready)
        if written is not None and written.plan is not None:
            drift = frozenset(f"{result.prior.id}.{path}" for result in written.results for path in result.drift)
            entry.drift_since = (entry.drift_since or self.clock()) if drift else 0.0
            self.metrics.drift(*labels, len(drift), entry.drift_since)
            self.metrics.pending(*labels, written.plan.pending)

    def _tell(self, entry: Entry, report: Report) -> None:
        labels = (entry.key.kind, entry.key.namespace, entry.key.name)
        drifted = frozenset(f"{step.node.id}.{path}" if path else step.node.id for step in report.plan.steps for path in step.drift)
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

    def _publish(self, entry: Entry, outputs: Mapping[str, str]) -> None:
        """The outputs as a ConfigMap owned by the object; applied only when they changed."""
        if dict(entry.status.get("outputs") or {}) == dict(outputs):
            return
        name, metadata = entry.key.name, entry.metadata
        owner = {"apiVersion": entry.body["apiVersion"], "kind": entry.key.kind, "name": name, "uid": metadata["uid"], "controller": True}
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{name}-outputs", "namespace": entry.key.namespace, "ownerReferences": [owner]},
            "data": dict(outputs),
        }
        self.api.apply(f"/api/v1/namespaces/{entry.key.namespace}/configmaps/{name}-outputs", body)


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

"""What a pass leaves in the cluster and in the metrics: finalizer, intents, status, outputs, Events, series."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from securebase.clients.kubernetes import Conflict, Gone, Kubernetes, namespaced
from securebase.core.conditions import READY, SYNCED
from securebase.core.driver import State
from securebase.core.errors import ReconcileError, Terminal
from securebase.core.finalise import Farewell
from securebase.core.identity import Identity
from securebase.core.kind import Kind
from securebase.core.outcome import Outcome
from securebase.core.plan import Prior
from securebase.core.subject import Report
from securebase.runtime.accounts import Account
from securebase.runtime.engine import PREFIX, Request, parsed
from securebase.runtime.events import Recorder
from securebase.runtime.objects import FINALIZER, Entry, Objects
from securebase.runtime.queue import Key
from securebase.runtime.shared import AccountWorld, Process
from securebase.runtime.status import Written, entry_of, priors, status_of
from securebase.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
RESYNC_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Effects:
    """Everything written by a pass but the outside resources themselves. Called from worker threads."""

    process: Process
    kinds: Mapping[str, Kind]
    objects: Objects
    api: Kubernetes
    events: Recorder
    metrics: Metrics
    clock: Callable[[], float]

    def request(self, kind: Kind, entry: Entry) -> Request:
        identity = Identity(self.process.instance, entry.key.kind, entry.key.namespace, entry.key.name)
        known = entry.subject.prior if entry.subject is not None else priors(entry.status)
        return Request(
            kind, identity, parsed(kind, entry.body), entry.annotations, known, entry.status.get("acknowledged") or {}, str(entry.metadata.get("uid", ""))
        )

    def note_references(self, kind: Kind, request: Request) -> None:
        """Whose changes concern this object. Its connection Secret is one of them: clients are cut off while it is wrong."""
        needs = kind.needs(request.spec, request.identity.namespace)
        account = request.spec.account_ref.name if request.spec.account_ref else "default"
        references = {("Secret", ref.namespace, ref.name) for ref in needs.secrets} | {
            (ref.kind, ref.namespace, ref.name) for ref in needs.objects | needs.objects_if_there
        }
        references |= {("Secret", request.identity.namespace, name) for name in kind.publishes(request.spec, request.identity.name)}
        key = Key(request.identity.kind, request.identity.namespace, request.identity.name)
        self.objects.depends(key, frozenset(references | {("AwsAccount", "", account)}))

    def put_finalizer(self, entry: Entry) -> None:
        metadata = {"resourceVersion": entry.metadata["resourceVersion"], "finalizers": [*(entry.metadata.get("finalizers") or ()), FINALIZER]}
        self.objects.written(entry, self.api.merge(self.path(entry), {"metadata": metadata}))

    def path(self, entry: Entry, subresource: str = "") -> str:
        return namespaced(self.kinds[entry.key.kind].plural, entry.key.namespace, entry.key.name, subresource)

    def world(self, entry: Entry, account: Account) -> AccountWorld:
        def store_intent(*intents: Prior) -> None:
            known = {item["id"]: item for item in entry.status.get("resources") or ()}
            known |= {prior.id: entry_of(prior, "WAITING") for prior in intents}
            patch = {"metadata": {"uid": entry.metadata["uid"]}, "status": {"resources": list(known.values())}}
            self.objects.written(entry, self.api.merge(self.path(entry, "status"), patch))

        return self.process.world(account, store_intent)

    def let_go(self, entry: Entry) -> None:
        rest = [name for name in entry.metadata.get("finalizers") or () if name != FINALIZER]
        self.api.merge(self.path(entry), {"metadata": {"resourceVersion": entry.metadata["resourceVersion"], "finalizers": rest}})
        if entry.account is not None:
            identity = Identity(self.process.instance, *entry.key)
            self.process.shared.use(entry.account.config.account_id, identity, set())
        if not rest:
            self.gone(entry.key)

    def tell_farewell(self, entry: Entry, farewell: Farewell) -> None:
        for told in farewell.left_alone:
            self.events.warning(entry.body, "LeftAlone", told)
        stuck = [result for result in farewell.results if result.state == State.FAILED.value]
        if stuck:
            self.events.warning(entry.body, "DeletionBlocked", f"{stuck[0].prior.id}: {stuck[0].message}")

    def record(self, kind: Kind, entry: Entry, outcome: Outcome, written: Written | None) -> Outcome:
        """Write the status when it changed, and nothing else."""
        generation = int(entry.metadata.get("generation") or 0)
        now = datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        outcome = _without_false_alarm(outcome, entry)
        status = status_of(entry.status, _with_verdict(outcome, entry), written, generation, now)
        if status != entry.status:
            patch = {"metadata": {"uid": entry.metadata["uid"]}, "status": _merge_patch(entry.status, status)}
            self.objects.written(entry, self.api.merge(self.path(entry, "status"), patch))
        if outcome.name in ("terminal", "denied"):
            entry.settled = False
            why = outcome.conditions[-1]
            self.events.warning(entry.body, why.reason, why.message)
            if outcome.after is None and not outcome.backoff:  # a state, not the end: looked at again at each interval
                outcome = replace(outcome, after=entry.subject.policy.interval if entry.subject is not None else RESYNC_SECONDS)
        self.measure(entry, outcome, written)
        return outcome

    def price(self, entry: Entry, cost: Mapping[str, Any]) -> None:
        """What an object costs, of which nothing else is to be told: written where prices changed."""
        before = entry.status.get("cost") or {}
        if cost != before:
            patch = {"metadata": {"uid": entry.metadata["uid"]}, "status": {"cost": _merge_patch(before, cost)}}
            self.objects.written(entry, self.api.merge(self.path(entry, "status"), patch))
        self._measure_cost(entry)

    def measure(self, entry: Entry, outcome: Outcome, written: Written | None) -> None:
        labels = (entry.key.kind, entry.key.namespace, entry.key.name)
        for condition in outcome.conditions:
            if condition.type == READY and condition.status is not None:
                self.metrics.ready(*labels, condition.status)
        if written is not None and written.plan is not None:
            drift = frozenset(f"{result.prior.id}.{path}" for result in written.results for path in result.drift)
            entry.drift_since = (entry.drift_since or self.clock()) if drift else 0.0
            self.metrics.drift(*labels, len(drift), entry.drift_since)
            self.metrics.pending(*labels, written.plan.pending)
        self._measure_cost(entry)

    def _measure_cost(self, entry: Entry) -> None:
        """As its status tells it: also of what is paused or could not be looked at. What is no number is unknown."""
        told = (entry.status.get("cost") or {}).get("monthlyUsd")
        try:
            monthly = None if told is None else float(told)
        except ValueError:
            monthly = None
        self.metrics.cost(entry.key.kind, entry.key.namespace, entry.key.name, monthly)

    def tell(self, entry: Entry, report: Report) -> None:
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
        for words in report.last_words:
            self.events.normal(entry.body, "Removing", words)
        if report.removed:
            self.events.normal(entry.body, "Removed", _listed(report.removed))
        if report.plan.hash:
            self.events.warning(entry.body, "ApprovalRequired", f"{PREFIX}approve={report.plan.hash} lets {report.plan.impact.value} changes happen")

    def publish(self, entry: Entry, outputs: Mapping[str, str]) -> bool:
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

    def gone(self, key: Key) -> None:
        """The object does not exist any more, whether or not the watch has said so."""
        self.objects.drop(key)
        self.metrics.forget(*key)


def same_account(entry: Entry, account: Account) -> None:
    """What was made in one account is not found in another: it would be made again there, and left behind here."""
    before = entry.status.get("account")
    if before and account.config.account_id != before:
        raise Terminal(
            "AccountChanged",
            f"the resources are in account {before}, and the object now leads to {account.config.account_id}; "
            "name the AwsAccount of the old one in accountRef, or make a second object and delete this one",
        )


def _with_verdict(outcome: Outcome, entry: Entry) -> Outcome:
    """With what a real client found: of the service, not of the pass, so that it decides nothing else."""
    verdict = entry.verified.verdict
    return outcome if verdict is None else replace(outcome, conditions=(*outcome.conditions, verdict))


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

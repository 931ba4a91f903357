"""Objects that are being deleted: what becomes of their resources, until the finalizer may go."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from securebase.core.errors import ReconcileError, Terminal, Waiting
from securebase.core.finalise import finalise
from securebase.core.graph import Graph
from securebase.core.identity import Identity
from securebase.core.kind import Kind
from securebase.core.outcome import Outcome, of_farewell
from securebase.core.policy import Mode, OnDelete, Policy
from securebase.core.subject import Subject
from securebase.runtime.accounts import Account
from securebase.runtime.effects import Effects, same_account
from securebase.runtime.engine import Sources, account_and_subject, compose, no_intents, policy_of, proven_account, with_omitted
from securebase.runtime.objects import Entry
from securebase.runtime.shared import Process
from securebase.runtime.status import Written, omitted, priors

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Farewells:
    """Takes objects' resources away, a pass at a time. Called from worker threads, one pass a key at a time."""

    process: Process
    sources: Sources
    effects: Effects

    def run(self, kind: Kind, entry: Entry) -> Outcome | None:
        if not entry.ours:
            return None
        try:
            request = self.effects.request(kind, entry)
        except Terminal as error:
            return self._blind_farewell(kind, entry, error)
        policy = policy_of(kind, request.spec, entry.annotations)
        if policy.on_delete is OnDelete.RETAIN or self._definition_goes(kind):
            self._retain(entry)
            return None
        if policy.mode is not Mode.ENFORCE:
            why = f"policy.mode is {policy.mode.value}: nothing is deleted outside; set Enforce to delete it, or policy.onDelete: Retain to let it go"
            raise Waiting("DeletionPaused", why, policy.interval)
        self.effects.note_references(kind, request)
        account, subject = account_and_subject(request, self.process.accounts)
        same_account(entry, account)
        if not policy.deletion_protection:
            self._admit(account, entry, subject)
        graph = None
        try:
            graph = compose(request, self.process, self.sources).graph
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
        same_account(entry, account)
        subject = Subject(identity, Policy(), entry.status.get("region") or account.region, priors(entry.status))
        self._admit(account, entry, subject)
        return self._finalised(kind, entry, account, subject, None)

    def _finalised(self, kind: Kind, entry: Entry, account: Account, subject: Subject, graph: Graph | None) -> Outcome | None:
        if entry.subject is None and (left_out := omitted(entry.status)):
            subject = with_omitted(subject, left_out, self.process.world(account, no_intents), graph)
        farewell = finalise(graph, subject, self.effects.world(entry, account), entry.memory)
        entry.account, entry.graph = account, None
        entry.subject = replace(subject, prior={result.prior.id: result.prior for result in farewell.results})
        self.effects.tell_farewell(entry, farewell)
        if farewell.done:
            self.effects.let_go(entry)
            return None
        acknowledged = entry.status.get("acknowledged") or {}
        # Outputs go first: an alarm that somebody else's composite names cannot be deleted until that one stops using it. What is protected goes on serving.
        outputs = dict(entry.status.get("outputs") or {}) if subject.policy.deletion_protection else {}
        written = Written(farewell.results, None, outputs, account.config.account_id, subject.region, acknowledged)
        return self.effects.record(kind, entry, of_farewell(farewell), written)

    def _retain(self, entry: Entry) -> None:
        self.effects.events.normal(entry.body, "Retained", "the outside resources stay as they are")
        self.effects.let_go(entry)

    def _admit(self, account: Account, entry: Entry, subject: Subject) -> None:
        scope = f"AwsAccount {account.name or '(ambient)'}"
        self.process.breaker.admit(scope, str(entry.key), max(1, self.effects.objects.of_account(account.name or "default")), confirmed=subject.confirmed)

    def _definition_goes(self, kind: Kind) -> bool:
        """A CRD that is being deleted takes its objects with it; it must not take AWS with it."""
        definition = self.effects.api.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.plural}.securebase.io")
        return bool(definition["metadata"].get("deletionTimestamp"))

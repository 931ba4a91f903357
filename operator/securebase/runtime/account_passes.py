"""Passes over AwsAccounts: is the way in what it says, who uses it, and may it go."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from securebase.clients.kubernetes import Conflict, Gone, Kubernetes, clustered
from securebase.core.conditions import READY, RECONCILING, STALLED, SYNCED, Condition, merged
from securebase.core.errors import ReconcileError, Transient
from securebase.core.outcome import Outcome, of_error
from securebase.runtime.accounts import Accounts
from securebase.runtime.engine import problem_of
from securebase.runtime.events import Recorder
from securebase.runtime.objects import FINALIZER, Entry, Objects
from securebase.runtime.queue import Key
from securebase.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
KIND, PLURAL = "AwsAccount", "awsaccounts"


@dataclass(frozen=True, slots=True)
class AccountPasses:
    """Runs passes over AwsAccounts."""

    accounts: Accounts
    known: Objects
    objects: Objects
    api: Kubernetes
    events: Recorder
    metrics: Metrics
    clock: Callable[[], float]

    def run(self, key: Key) -> Outcome | None:
        """One pass; None when there is nothing to do any more."""
        entry = self.known.get(key)
        if entry is None:
            return None
        try:
            used_by = self.objects.of_account(key.name)
            if entry.deleting:
                return self._leave(entry, used_by)
            if used_by and not entry.ours:
                finalizers = [*(entry.metadata.get("finalizers") or ()), FINALIZER]
                entry.body = self._patch(entry, {"resourceVersion": entry.metadata["resourceVersion"], "finalizers": finalizers})
            return self._verify(entry, used_by)
        except Gone:
            return None
        except Conflict:
            return of_error(Transient("ObjectChanged", "the AwsAccount was changed meanwhile"))
        except ReconcileError as error:
            log.warning("%s: %s", key, error)
            return of_error(error)
        except Exception as error:
            log.exception("a pass over %s failed unexpectedly", key)
            return of_error(problem_of(error))

    def _leave(self, entry: Entry, used_by: int) -> Outcome | None:
        if not entry.ours:
            return None
        if used_by:
            why = f"{used_by} objects still use this account; delete them or give them another accountRef"
            self.events.warning(entry.body, "InUse", why)
            held = tuple(Condition(name, False, "InUse", why) for name in (READY, SYNCED))
            return self._record(
                entry, Outcome("held", (*held, Condition(RECONCILING, True, "InUse", why), Condition(STALLED, False, "NotStalled")), after=10.0), used_by
            )
        rest = [name for name in entry.metadata.get("finalizers") or () if name != FINALIZER]
        self._patch(entry, {"resourceVersion": entry.metadata["resourceVersion"], "finalizers": rest})
        return None

    def _verify(self, entry: Entry, used_by: int) -> Outcome:
        try:
            account = self.accounts.find(entry.key.name, _anyone(entry))
            identity = self.accounts.verified(account)
        except ReconcileError as error:
            outcome = of_error(error)
            self.events.warning(entry.body, error.reason, error.message)
            return self._record(entry, Outcome(outcome.name, outcome.conditions, after=60.0), used_by)
        told = f"account {identity.account_id} as {identity.arn}"
        conditions = (
            Condition(READY, True, "Verified", told),
            Condition(SYNCED, True, "Verified", told),
            Condition(RECONCILING, False, "Settled"),
            Condition(STALLED, False, "NotStalled"),
        )
        return self._record(entry, Outcome("ready", conditions, after=300.0), used_by, identity.arn)

    def _record(self, entry: Entry, outcome: Outcome, used_by: int, caller: str = "") -> Outcome:
        generation = int(entry.metadata.get("generation") or 0)
        now = datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status: dict[str, Any] = {
            "observedGeneration": generation,
            "usedBy": used_by,
            "conditions": merged(entry.status.get("conditions") or (), outcome.conditions, generation, now),
        }
        if caller:
            status["callerArn"] = caller
        changed = {name: value for name, value in status.items() if entry.status.get(name) != value}
        if changed:
            entry.body = self.api.merge(clustered(PLURAL, entry.key.name, "status"), {"status": changed})
        ready = any(condition.type == READY and condition.status for condition in outcome.conditions)
        self.metrics.ready(KIND, "", entry.key.name, ready)
        return outcome

    def _patch(self, entry: Entry, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return self.api.merge(clustered(PLURAL, entry.key.name), {"metadata": metadata})


def _anyone(entry: Entry) -> str:
    """A namespace the account allows: the verification is not about namespaces."""
    allowed = (entry.body.get("spec") or {}).get("allowedNamespaces") or ["*"]
    return str(allowed[0])

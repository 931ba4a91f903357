"""Leadership by a Lease, with a fence: nothing is written before it is held, nor after it may have been lost.

The library's election is not used because it has no fence: it compares wall-clock times and tells of a loss only after the next
renewal failed, so that a process stopped past its lease would go on writing for a moment. See docs/decisions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from securebase.clients.kubernetes import Conflict, Gone, Kubernetes
from securebase.core.errors import ReconcileError

log = logging.getLogger(__name__)


class LeadershipLost(BaseException):
    """Raised instead of a write when the lease may belong to somebody else. Not an Exception: nothing may swallow it."""


class Lease:
    """Holds `coordination.k8s.io/v1` Lease `namespace/name` as `identity`.

    duration        seconds after which others may take it
    renew_deadline  seconds after the start of the last successful renewal at which `fence` begins to refuse; less than duration
    monotonic       a clock that goes on while the process is stopped
    """

    def __init__(
        self, api: Kubernetes, namespace: str, name: str, identity: str, duration: float, renew_deadline: float, monotonic: Callable[[], float]
    ) -> None:
        if renew_deadline >= duration:
            raise ValueError(f"lease_renew_deadline ({renew_deadline}) must be less than lease_duration ({duration})")
        self._api = api
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name, self._identity = name, identity
        self._duration, self._deadline = duration, renew_deadline
        self._monotonic = monotonic
        self._renewed: float | None = None
        self._seen: tuple[str, float] = ("", float("-inf"))

    def held(self) -> bool:
        """Whether a write may start now."""
        return self._renewed is not None and self._monotonic() < self._renewed + self._deadline

    def fence(self) -> None:
        """Raise LeadershipLost unless the lease is held for certain."""
        if not self.held():
            raise LeadershipLost

    async def acquire(self) -> None:
        """Returns when the lease is held."""
        while not await asyncio.to_thread(self._try):
            await asyncio.sleep(self._deadline / 5)
        log.info("leading as %s", self._identity)

    async def keep(self) -> None:
        """Renew until it is lost; then return."""
        while self.held():
            await asyncio.sleep(self._deadline / 5)
            if not self.held():
                break
            await asyncio.to_thread(self._try)
        log.error("the lease is lost; no new write starts")

    def release(self) -> None:
        """Give it up so that another replica can start at once."""
        held, self._renewed = self.held(), float("-inf")  # first: nothing is written any more once another may lead
        if held:
            self._put(self._api.get(f"{self._collection}/{self._name}"), holder="")

    def _try(self) -> bool:
        started = self._monotonic()
        try:
            taken = self._take()
        except (ReconcileError, Conflict, Gone) as error:
            log.warning("the lease could not be renewed: %s", error)
            return False
        if taken:
            self._renewed = started
        elif self._renewed is not None:
            self._renewed = float("-inf")  # somebody else holds it
        return taken

    def _take(self) -> bool:
        try:
            lease = self._api.get(f"{self._collection}/{self._name}")
        except Gone:
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": self._name}, "spec": self._spec({})}
            self._api.create(self._collection, body)
            return True
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder and holder != self._identity and not self._expired(lease):
            return False
        if self._renewed is not None and holder != self._identity:
            return False  # lost once: this process never leads again
        self._put(lease, holder=self._identity)
        return True

    def _expired(self, lease: dict[str, Any]) -> bool:
        """Clocks of two machines are never compared: the record must have stood still for a whole duration as we saw it."""
        version, now = lease["metadata"]["resourceVersion"], self._monotonic()
        if self._seen[0] != version:
            self._seen = (version, now)
        duration = float((lease.get("spec") or {}).get("leaseDurationSeconds") or self._duration)
        return now - self._seen[1] >= duration

    def _put(self, lease: dict[str, Any], holder: str) -> None:
        lease["spec"] = self._spec(lease.get("spec") or {}) | {"holderIdentity": holder}
        self._api.replace(f"{self._collection}/{self._name}", lease)

    def _spec(self, before: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        same = before.get("holderIdentity") == self._identity
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._duration)),
            "acquireTime": before.get("acquireTime") if same else now,
            "renewTime": now,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (0 if same else 1),
        }

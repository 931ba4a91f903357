"""Kubernetes conditions (kstatus): truthful transition times, one place that says which there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

READY, SYNCED, RECONCILING, STALLED = "Ready", "Synced", "Reconciling", "Stalled"
_MESSAGE_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition without its time. `status` is True, False or None for Unknown."""

    type: str
    status: bool | None
    reason: str
    message: str = ""


def merged(previous: Sequence[Mapping[str, Any]], wanted: Iterable[Condition], generation: int, now: str) -> list[dict[str, Any]]:
    """Conditions as status holds them. `lastTransitionTime` moves only when the status flips; conditions of others stay."""
    before = {str(condition.get("type")): condition for condition in previous}
    ours = {condition.type: _written(condition, before.get(condition.type), generation, now) for condition in wanted}
    kept = [dict(condition) for name, condition in before.items() if name not in ours]
    return [*ours.values(), *kept]


def _written(condition: Condition, before: Mapping[str, Any] | None, generation: int, now: str) -> dict[str, Any]:
    status = {True: "True", False: "False", None: "Unknown"}[condition.status]
    same = before is not None and before.get("status") == status
    message = condition.message if len(condition.message) <= _MESSAGE_LIMIT else condition.message[: _MESSAGE_LIMIT - 1] + "…"
    return {
        "type": condition.type,
        "status": status,
        "reason": condition.reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": before["lastTransitionTime"] if same and before and before.get("lastTransitionTime") else now,
    }

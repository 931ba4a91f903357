"""`spec.policy` as the core reads it, and the gates it puts before a change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from securebase.core.fields import Impact, Paths


class Mode(StrEnum):
    ENFORCE = "Enforce"
    OBSERVE = "Observe"
    PAUSED = "Paused"


class Adopt(StrEnum):
    NEVER = "Never"
    IF_OWNED = "IfOwned"
    ALWAYS = "Always"


class OnDelete(StrEnum):
    DELETE = "Delete"
    RETAIN = "Retain"
    SNAPSHOT = "Snapshot"


class Changes(StrEnum):
    AUTO = "Auto"
    APPROVE = "Approve"
    WINDOW = "Window"


@dataclass(frozen=True, slots=True)
class Policy:
    """How far the operator may go with one object. `window` answers whether a moment (UTC) lies in the change window."""

    mode: Mode = Mode.ENFORCE
    adopt: Adopt = Adopt.IF_OWNED
    on_delete: OnDelete = OnDelete.DELETE
    deletion_protection: bool = False
    changes: Changes = Changes.AUTO
    window: Callable[[datetime], bool] | None = None
    ignore: tuple[str, ...] = ()
    interval: float = 60.0

    def ignore_paths(self, node: str) -> tuple[str, ...]:
        """Paths of one node that are left to somebody else: `distribution.comment` for the node `distribution`."""
        return tuple(path[len(node) + 1 :] for path in self.ignore if path.startswith(f"{node}."))

    def ignored(self, node: str) -> Paths:
        """The same as a set that holds every leaf below."""
        return Paths(self.ignore_paths(node))


class Gate(StrEnum):
    """When a change may happen."""

    NOW = "NOW"
    WINDOW = "WINDOW"
    APPROVAL = "APPROVAL"
    FIGHT = "FIGHT"  # repaired too often and undone again
    IMPOSSIBLE = "IMPOSSIBLE"  # a replacement that could not keep the data


def gate(impact: Impact, policy: Policy, now: datetime) -> Gate:
    """The table of the API conventions: impact x `policy.changes`. Repairing drift obeys the same gates."""
    match impact, policy.changes:
        case Impact.ONLINE, _:
            return Gate.NOW
        case Impact.DISRUPTIVE, Changes.AUTO:
            return Gate.NOW
        case Impact.DISRUPTIVE, Changes.WINDOW:
            return Gate.NOW if policy.window is not None and policy.window(now) else Gate.WINDOW
        case _:
            return Gate.APPROVAL

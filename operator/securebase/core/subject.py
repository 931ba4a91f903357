"""What a pass works with: the object, what is remembered of it, what may be touched, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from securebase.core.breakers import Fights
from securebase.core.driver import Driver, Observed
from securebase.core.errors import ReconcileError
from securebase.core.identity import Identity
from securebase.core.plan import Plan, Prior
from securebase.core.policy import Policy

FIRST_POLL, LONGEST_POLL = 2.0, 15.0
"""How soon something PENDING is looked at again: a quarter of the time it has been pending, within these seconds."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The object of a pass, as the core needs it. `approved` is the plan hash a person approved; `key` keys the applied-digests."""

    identity: Identity
    policy: Policy
    region: str
    prior: Mapping[str, Prior] = field(default_factory=dict)
    approved: str = ""
    confirmed: bool = False

    @property
    def key(self) -> bytes:
        """The key of the applied-digests: survives a rebuilt cluster."""
        return self.identity.owner("").encode()


@dataclass(slots=True)
class Memory:
    """What this process knows of one object beyond its status. May be lost at any time."""

    fights: Fights = field(default_factory=Fights)
    wrote_at: dict[str, float] = field(default_factory=dict)
    absent_since: dict[str, float] = field(default_factory=dict)
    seen: dict[str, Observed[Any]] = field(default_factory=dict)
    pending_since: dict[str, float] = field(default_factory=dict)
    in_use_since: dict[str, float] = field(default_factory=dict)
    saved_at: dict[str, float] = field(default_factory=dict)
    written: dict[str, tuple[float, str, str]] = field(default_factory=dict)
    granted: frozenset[str] = frozenset()
    settle_scale: float = 1.0

    def pending_for(self, node: str, now: float) -> float:
        """Seconds since something was first found pending."""
        return now - self.pending_since.setdefault(node, now)

    def poll_after(self, node: str, now: float) -> float:
        """When to look at something pending again."""
        return min(LONGEST_POLL, max(FIRST_POLL, self.pending_for(node, now) / 4))


class World(Protocol):
    """What a pass may touch outside itself."""

    def driver(self, type: str, region: str) -> Driver:
        """The driver of a type in the object's account."""

    def now(self) -> float:
        """Unix seconds."""

    def intend(self, *priors: Prior) -> None:
        """Store these before something is made that must not be made twice; returns once they are stored."""

    def used_elsewhere(self, identity: Identity, type: str, name: str) -> bool:
        """Whether another object of this operator uses the shared resource of this name or external id, or is about to."""

    def admit_deletion(self, scope: str, what: str, total: int, *, confirmed: bool) -> None:
        """The breaker against mass deletion; raises Terminal."""


@dataclass(frozen=True, slots=True)
class NodeResult:
    """How one resource stands after the pass. `state` is a `State`, or WAITING, HELD, ABSENT; `problem` is why. `beside`: it is somebody else's and
    nothing is made of it, so that it is told and keeps nothing from being ready."""

    prior: Prior
    state: str
    problem: ReconcileError | None = None
    reason: str = ""
    message: str = ""
    drift: tuple[str, ...] = ()
    after: float | None = None
    task: bool = False
    beside: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a pass found and did. `corrected` are repaired drift paths (`node.path`), `created`/`removed` node ids.
    `last_words` is what there is to be told of something before its removal is asked for."""

    plan: Plan
    results: tuple[NodeResult, ...]
    attributes: Mapping[str, Mapping[str, str]]
    corrected: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    last_words: tuple[str, ...] = ()

    @property
    def drift(self) -> tuple[str, ...]:
        """Every drifted path, `node.path`."""
        return tuple(f"{result.prior.id}.{path}" if path else result.prior.id for result in self.results for path in result.drift)

"""What a driver promises the core: read a batch, and three idempotent writes. Drivers live in `resources/<service>/driver.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from securebase.core.diff import Change
from securebase.core.fields import SecretValue
from securebase.core.graph import Role
from securebase.core.identity import Identity, digest, shared_owner

D = TypeVar("D")

IN_USE = "InUse"
"""Reason of the `Waiting` by which a driver says that something else still refers to what is to be deleted."""
RETIRED = "~"
"""In a node's id: what stands before an older incarnation's number. The old one carries the owner tag of the node it was."""


class State(StrEnum):
    """How far an existing resource is."""

    READY = "READY"
    PENDING = "PENDING"
    FAILED = "FAILED"


class Depth(StrEnum):
    """How hard to look.

    FRESH  somebody is about to act on the answer: by id, not from a list that may lag and not from a cache
    SWEEP  the periodic comparison of a whole account: lists first; a full read only where a list's summary changed; what no list
           returns is read in turns
    """

    FRESH = "FRESH"
    SWEEP = "SWEEP"


@dataclass(frozen=True, slots=True)
class Target(Generic[D]):
    """One resource somebody wants to know about or act on.

    desired       with references filled in as far as known; None when only the external id is known (prune, deletion)
    external_id   as recorded after the create; empty when never recorded (a new object, a status that was lost)
    incarnation   how often it was made again; part of the name where a successor stands beside what it replaces (`incarnated_name`)
    restore_from  name of the snapshot that `create` must start from
    """

    identity: Identity
    node: str
    type: str
    desired: D | None
    external_id: str = ""
    role: Role = Role.OWNED
    incarnation: int = 0
    restore_from: str = ""

    @property
    def key(self) -> tuple[Identity, str]:
        """What answers are keyed by."""
        return self.identity, self.node

    @property
    def owner(self) -> str:
        """Value of the owner tag that proves the resource is this target's."""
        return shared_owner(self.identity.instance) if self.role is Role.SHARED else self.identity.owner(self.node.partition(RETIRED)[0])

    def want(self) -> D:
        """The desired value, where the caller knows there is one."""
        if self.desired is None:
            raise ValueError(f"{self.node}: no desired value")
        return self.desired


@dataclass(frozen=True, slots=True)
class Observed(Generic[D]):
    """An existing resource as just read.

    value       the same dataclass as the desired one, filled from the outside and normalised: equal to it when nothing differs
    owner       value of the owner tag; "" when it has none. A driver of a type without tags returns the target's own owner where
                the resource's name, made from the identity, proves it
    attributes  what other nodes may refer to. An attribute that is not usable yet (an ARN of a certificate that is not issued) is left out
    about       what it watches; what is about the same thing goes with it, and counts as one in the breaker against mass deletion
    raw         the whole object as read, for whole-object writes; opaque to the core
    secrets     secret attributes, for whoever asks with a `SecretFrom`
    incarnation  how often it was made again, as its name tells: what a lost status no longer says
    under_way   leaf paths whose wanted value the outside reports as being applied
    left        paths that an update has still to bring to what is wanted, because the outside takes one change at a time
    due         the next step the resource itself has to take (`Advances`), in words; "" = none
    drifted     with it: paths that somebody changed outside although no value shows it, and that this step puts right
    again_at    Unix seconds at which something will be due that nobody else will tell; 0 = nothing known
    checked_at  Unix seconds of the read behind `value`; 0 = now
    silent      there may be something to tell that no read tells: what was told before stands
    """

    external_id: str
    value: D
    state: State = State.READY
    reason: str = ""
    message: str = ""
    owner: str = ""
    etag: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    about: str = ""
    raw: Any = field(default=None, repr=False)
    secrets: Mapping[str, SecretValue] = field(default_factory=dict, repr=False)
    under_way: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    due: str = ""
    drifted: tuple[str, ...] = ()
    again_at: float = 0.0
    checked_at: float = 0.0
    incarnation: int = 0
    silent: bool = False


Key = tuple[Identity, str]
Answer = Observed[Any] | None | Exception
"""An observation, None (proven absent), or why this one target could not be read. One failure never hides its siblings."""


@runtime_checkable
class Driver(Protocol):
    """Knows one external object type, in one account and region. Thread-safe. Raises the four errors of `core.errors` only."""

    type: ClassVar[str]

    def observe(self, targets: Sequence[Target[Any]], depth: Depth) -> Mapping[Key, Answer]:
        """Read a batch: never one call per target where the outside lists. A target whose locator still holds an unresolved reference
        and that has no external id is absent."""

    def create(self, target: Target[Any], token: str) -> Observed[Any]:
        """Make it; `token` is the same for every try of the same incarnation. Safe to call when an earlier try did succeed."""

    def update(self, target: Target[Any], observed: Observed[Any], changes: Sequence[Change]) -> Observed[Any]:
        """Make `observed` equal `target.desired`; `changes` says what differs. Whole-object writes start from `observed.raw`."""

    def delete(self, target: Target[Any], observed: Observed[Any]) -> Observed[Any] | None:
        """Take the next step towards absence: None = gone; an observation = under way, to be called again later. What something else still
        refers to raises `Waiting(IN_USE)`."""


@runtime_checkable
class Adopts(Protocol):
    """Optional: can mark an existing resource as ours."""

    def adopt(self, target: Target[Any], observed: Observed[Any]) -> Observed[Any]:
        """Put our owner tag on a resource that has none."""


@runtime_checkable
class Inventory(Protocol):
    """Optional: can find what an identity owns without being told its ids (a status that was lost)."""

    def owned(self, identity: Identity) -> Mapping[str, str]:
        """Node id -> external id of every resource of this type whose owner tag names this identity; what was replaced and still serves stands
        under the predecessor's id (`group~0`)."""


@runtime_checkable
class Locates(Protocol):
    """Optional: finds its resources by something that needs no other resource, while the rest of what is desired is not known yet."""

    def locatable(self, target: Target[Any]) -> bool:
        """Whether `observe` could look for it: then an absence told before the references were filled in still stands after."""


@runtime_checkable
class Checks(Protocol):
    """Optional: knows some of what the outside would refuse."""

    def problems(self, desired: Any) -> Iterable[str]:
        """In words for a person; none where nothing is known to be wrong. Never asks the outside."""


@runtime_checkable
class Advances(Protocol):
    """Optional: a resource with steps of its own to take (a rotation), each safe to repeat and none of them a difference from what is wanted."""

    def advance(self, target: Target[Any], observed: Observed[Any]) -> Observed[Any]:
        """Take the step that `observed.due` names and tell how it stands then. Called again while something is due."""


class Saved(StrEnum):
    """How far a snapshot is."""

    UNDER_WAY = "UNDER_WAY"
    DONE = "DONE"


@runtime_checkable
class Snapshots(Protocol):
    """Optional: holds data that can be kept when the resource goes, and that a successor can start from."""

    def snapshot(self, target: Target[Any], observed: Observed[Any], name: str) -> Saved:
        """Make the snapshot of this name if it is not there yet, and tell how far it is. Never a second one of the name."""

    def saved_at(self, name: str) -> float | None:
        """Unix seconds of the state that a finished snapshot holds; None while there is none of the name."""

    def discard(self, observed: Observed[Any], name: str) -> bool:
        """Remove the snapshot of this name, if it is one of this very resource: True once there is none. What a successor was made from is
        a snapshot of another, and stays."""

    def written_since(self, target: Target[Any], observed: Observed[Any], name: str) -> str:
        """What was written to it since the snapshot of this name, in words for whoever decides on its end; "" where nobody knows."""

    def delete_with_snapshot(self, target: Target[Any], observed: Observed[Any], name: str) -> Observed[Any] | None:
        """`delete`, the last thing that is kept being a snapshot of this name."""


@runtime_checkable
class Restores(Protocol):
    """Optional, beside `Snapshots`: knows what a successor cannot start from."""

    def unrestorable(self, desired: Any, observed: Observed[Any]) -> Iterable[str]:
        """Why what is wanted cannot be made from a snapshot of what is there, each with what to do instead; none where it can. Never asks
        the outside."""


def incarnated_name(name: str, target: Target[Any], limit: int) -> str:
    """The outside name of a target whose successor stands beside what it replaces: `name`, then `name-1`, ... within `limit` characters."""
    if not target.incarnation:
        return name
    tail = f"-{target.incarnation}"
    if len(name) + len(tail) > limit:
        tail = f"-{digest(name, length=4)}{tail}"
    return name[: limit - len(tail)].rstrip("-") + tail


def locatable(driver: Driver, target: Target[Any]) -> bool:
    """Whether a driver could look for a target as it stands; False where it cannot tell."""
    return isinstance(driver, Locates) and driver.locatable(target)


def guards(driver: Driver) -> bool:
    """True where removing a resource of the type takes traffic or data away (`GUARDS = True` on the driver)."""
    return bool(getattr(driver, "GUARDS", False))


def replaces_in_place(driver: Driver) -> bool:
    """True where the external name cannot change, so that a replacement must delete first (`DELETE_FIRST = True` on the driver)."""
    return bool(getattr(driver, "DELETE_FIRST", False))


def settle_seconds(driver: Driver) -> float:
    """How long after our own write a difference is not called drift (`SETTLE_SECONDS` on the driver, default 60)."""
    return float(getattr(driver, "SETTLE_SECONDS", 60.0))


def replaced_grace(driver: Driver) -> float:
    """How long a replaced resource goes on serving beside its successor (`REPLACED_GRACE_SECONDS` on the driver, default 0)."""
    return float(getattr(driver, "REPLACED_GRACE_SECONDS", 0.0))

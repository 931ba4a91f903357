"""An outside made of a dictionary, and a driver for it: the core's promises can be tested without any cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from securebase.core.breakers import MassDeletion
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Driver, Key, Observed, State, Target
from securebase.core.fields import Impact, SecretValue, managed
from securebase.core.graph import Graph, Node, references
from securebase.core.identity import Identity
from securebase.core.plan import Prior
from securebase.core.policy import Policy
from securebase.core.reconcile import reconcile
from securebase.core.subject import Memory, Report, Subject

IDENTITY = Identity("test", "Thing", "team", "one")


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a keyed list."""

    id: str
    size: int = 1


@dataclass(frozen=True, slots=True)
class Thing:
    """A desired value with one field of each sort."""

    name: str
    color: str = managed(default="red")
    speed: int = managed(default=1, impact=Impact.DISRUPTIVE)
    shape: str = managed(default="round", impact=Impact.REPLACE)
    keep_days: int = managed(default=7, impact=lambda have, want: Impact.PROTECTION_LOSS if (want or 0) < (have or 0) else Impact.ONLINE)
    items: tuple[Item, ...] = managed(default=(), key="id", ordered=True)
    tags: Mapping[str, str] = managed(default=None, open=True)
    password: SecretValue | None = managed(default=None, secret=True)
    partner: str = ""


def thing(name: str, **fields: Any) -> Thing:
    """A Thing with an empty tag map."""
    return Thing(name, **{"tags": {}, **fields})


@dataclass(slots=True)
class Outside:
    """Everything that exists, by external id, and a log of writes."""

    things: dict[str, tuple[str, Thing, State]] = field(default_factory=dict)
    writes: list[tuple[str, str]] = field(default_factory=list)
    reads: list[tuple[str, int, Depth]] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    failing: dict[str, Exception] = field(default_factory=dict)
    born: State = State.READY
    slow_delete: bool = False
    made: int = 0

    def by_name(self, name: str) -> str | None:
        """External id of a thing."""
        return next((key for key, (_, value, _) in self.things.items() if value.name == name), None)

    def change(self, name: str, **fields: Any) -> None:
        """Somebody else edits it."""
        key = self.by_name(name)
        assert key is not None
        owner, value, state = self.things[key]
        self.things[key] = owner, replace(value, **fields), state

    def remove(self, name: str) -> None:
        """Somebody else deletes it."""
        key = self.by_name(name)
        assert key is not None
        del self.things[key]


class ThingDriver:
    """The driver of `fake/thing`."""

    type: ClassVar[str] = "fake/thing"
    DELETE_FIRST = False

    def __init__(self, outside: Outside) -> None:
        self.outside = outside

    def observe(self, targets: Sequence[Target[Any]], depth: Depth) -> Mapping[Key, Answer]:
        self.outside.reads.append((self.type, len(targets), depth))
        return {target.key: self._one(target) for target in targets}

    def locatable(self, target: Target[Any]) -> bool:
        return target.desired is not None and not any(references(target.desired.name))

    def _one(self, target: Target[Any]) -> Answer:
        if target.node in self.outside.failing:
            return self.outside.failing[target.node]
        key = target.external_id if target.external_id in self.outside.things else None
        if key is None and target.desired is not None:
            named = [key for key, (_, value, _) in self.outside.things.items() if value.name == target.desired.name]
            key = named[-1] if named else None  # a successor has the name of what it replaces, and is the younger one
        return self._observed(key) if key else None

    def _observed(self, key: str) -> Observed[Thing]:
        owner, value, state = self.outside.things[key]
        attributes = {"id": key} | ({"ready": "yes"} if state is State.READY else {})
        return Observed(key, value, state, "" if state is State.READY else "Busy", owner=owner, attributes=attributes)

    def create(self, target: Target[Any], token: str) -> Observed[Any]:
        self._write("create", target)
        if token not in self.outside.tokens or self.outside.tokens[token] not in self.outside.things:
            self.outside.made += 1
            self.outside.tokens[token] = f"t-{self.outside.made}"
            self.outside.things[self.outside.tokens[token]] = target.owner, target.want(), self.outside.born
        return self._observed(self.outside.tokens[token])

    def update(self, target: Target[Any], observed: Observed[Any], changes: Sequence[Change]) -> Observed[Any]:
        self._write("update", target)
        owner, _, state = self.outside.things[observed.external_id]
        self.outside.things[observed.external_id] = owner, target.want(), state
        return self._observed(observed.external_id)

    def delete(self, target: Target[Any], observed: Observed[Any]) -> Observed[Any] | None:
        self._write("delete", target)
        if self.outside.slow_delete:
            self.outside.slow_delete = False
            return replace(observed, state=State.PENDING, message="being switched off")
        self.outside.things.pop(observed.external_id, None)
        return None

    def adopt(self, target: Target[Any], observed: Observed[Any]) -> Observed[Any]:
        self._write("adopt", target)
        _, value, state = self.outside.things[observed.external_id]
        self.outside.things[observed.external_id] = target.owner, value, state
        return self._observed(observed.external_id)

    def _write(self, verb: str, target: Target[Any]) -> None:
        if (error := self.outside.failing.get(f"{verb} {target.node}")) is not None:
            raise error
        self.outside.writes.append((verb, target.node))


@dataclass(slots=True)
class FakeWorld:
    """`core.subject.World` over an Outside, with a clock that tests turn."""

    outside: Outside = field(default_factory=Outside)
    time: float = 1_700_000_000.0
    intents: list[tuple[str, int]] = field(default_factory=list)
    users: set[tuple[str, str]] = field(default_factory=set)
    limit: MassDeletion | None = None

    def driver(self, type: str, region: str) -> Driver:
        return ThingDriver(self.outside)

    def now(self) -> float:
        return self.time

    def intend(self, *priors: Prior) -> None:
        self.intents += [(prior.id, prior.incarnation) for prior in priors]

    def used_elsewhere(self, identity: Identity, type: str, name: str) -> bool:
        return (type, name) in self.users

    def admit_deletion(self, scope: str, what: str, total: int, *, confirmed: bool) -> None:
        if self.limit is not None:
            self.limit.admit(scope, what, total, confirmed=confirmed)


@dataclass(slots=True)
class Bench:
    """One object, pass after pass: keeps status and memory like the runtime does."""

    world: FakeWorld = field(default_factory=FakeWorld)
    policy: Policy = field(default_factory=Policy)
    subject: Subject = field(default_factory=lambda: Subject(IDENTITY, Policy(), "eu-central-1"))
    memory: Memory = field(default_factory=Memory)

    def run(self, *nodes: Node, approved: str = "", complete: bool = True, wait: float = 120.0, **options: Any) -> Report:
        """One pass over these nodes, `wait` seconds after the last."""
        self.world.time += wait
        graph = Graph(nodes, complete=complete)
        subject = replace(self.subject, policy=self.policy, approved=approved)
        report = reconcile(graph, subject, self.world, self.memory, **options)
        self.subject = replace(subject, prior={result.prior.id: result.prior for result in report.results})
        return report

    def writes(self) -> list[tuple[str, str]]:
        """What was written since the last call."""
        done, self.world.outside.writes = self.world.outside.writes, []
        return done


def node(name: str, *, id: str = "", desired: Thing | None = None, **fields: Any) -> Node:
    """A node of type `fake/thing`; keyword arguments of Node and of Thing."""
    own = {key: fields.pop(key) for key in ("role", "after", "guards", "task", "region") if key in fields}
    return Node(id or name, ThingDriver.type, desired or thing(name, **fields), **own)


def states(report: Report) -> dict[str, str]:
    """Node id -> state."""
    return {result.prior.id: result.state for result in report.results}

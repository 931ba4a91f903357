"""The resource graph of one object: nodes with desired values, references between them, order of execution."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from securebase.core.fields import SecretValue, Undisclosed

# Private-use characters: no name, ARN, URL or header of a spec holds them, so a reference can stand anywhere inside a text.
_OPEN, _CLOSE = "\ue000", "\ue001"
_REFERENCE = re.compile(f"{_OPEN}([^{_OPEN}{_CLOSE}]+)/([^{_OPEN}{_CLOSE}/]+){_CLOSE}")


class Ref(str):
    """A value that exists only after another node does: `Ref("distribution", "arn")`. May be part of a longer text."""

    __slots__ = ()

    def __new__(cls, node: str, attribute: str) -> Ref:
        return super().__new__(cls, f"{_OPEN}{node}/{attribute}{_CLOSE}")


@dataclass(frozen=True, slots=True)
class SecretFrom(Undisclosed):
    """A secret that exists only after another node does: `SecretFrom("secret", "password")`. Resolved to a `SecretValue`."""

    node: str
    attribute: str

    def __str__(self) -> str:
        return f"(secret ${{{self.node}.{self.attribute}}})"


def references(text: str) -> Iterator[tuple[str, str]]:
    """(node, attribute) of every reference in a text."""
    if _OPEN not in text:
        return
    for match in _REFERENCE.finditer(text):
        yield match.group(1), match.group(2)


def refers(value: Any) -> bool:
    """Whether a value is, or holds, a reference."""
    return isinstance(value, str) and _OPEN in value


def shown(value: Any) -> Any:
    """A value with its references in a form for people: `${distribution.arn}`."""
    if isinstance(value, str):
        return _REFERENCE.sub(r"${\1.\2}", value)
    if isinstance(value, tuple):
        return tuple(shown(item) for item in value)
    return value


class Role(StrEnum):
    """Whose a node is."""

    OWNED = "OWNED"  # this object's alone
    SHARED = "SHARED"  # immutable, named by its content, used by many objects, deleted when nobody uses it
    EXTERNAL = "EXTERNAL"  # somebody else's: read, never written


@dataclass(frozen=True, slots=True)
class Node:
    """One outside resource that an object wants.

    id       unique in the graph, stable: it is part of the resource's identity and of the paths people write in `policy.ignore`
    type     names the driver, e.g. `cloudfront/distribution`
    desired  the driver's frozen dataclass; text in it may hold references
    region   where it lives; empty = the object's region
    after    nodes that must exist first although no value of theirs is needed
    guards   pruning it takes data or traffic away: needs approval
    lingers  on deletion it goes among the last, not before what it refers to (a bucket's permission for a distribution still serving)
    named    found by a name that refers to nothing: it is read together with what it refers to, not after it
    partial  composed without something that could not be looked up: what exists of it loses nothing, being added to if it `Grows`, else left as it is
    keeps_until  nodes that must hold all they are to hold before anything is taken out of this one, if it `HandsOver`: what moves is in both meanwhile
    task     done once and then forgotten (an invalidation): never counts against readiness, leaves the graph when acknowledged
    starts_empty  what replaces it does not begin with what it held
    """

    id: str
    type: str
    desired: Any
    region: str = ""
    role: Role = Role.OWNED
    after: frozenset[str] = frozenset()
    guards: bool = False
    task: bool = False
    lingers: bool = False
    named: bool = False
    partial: bool = False
    keeps_until: frozenset[str] = frozenset()
    starts_empty: bool = False

    def dependencies(self) -> frozenset[str]:
        """Ids of the nodes this one needs."""
        return self.after | self.references()

    def references(self) -> frozenset[str]:
        """Ids of the nodes whose attributes stand in what is desired."""
        return frozenset(_needed(self.desired))


@runtime_checkable
class Grows(Protocol):
    """Optional for a desired value: can be added to what exists, so that nothing is taken out of it."""

    def grown(self, there: Any, leaving: frozenset[str]) -> Any | None:
        """What is wanted together with what is `there`, but for `leaving`: external ids of what the object removes. None where the two cannot be one."""


@runtime_checkable
class HandsOver(Protocol):
    """Optional for a desired value: what it is made of can move to another resource, added there before it is taken out here."""

    def lacks(self, there: Any) -> bool:
        """Whether something that is wanted is not in what is `there`."""

    def kept(self, there: Any) -> Any:
        """What is wanted together with what is `there`; what is there alone, where one cannot hold both."""


class InvalidGraph(ValueError):
    """A composition that cannot be executed: a programming error of a kind, never the user's."""


class Graph:
    """Nodes by id, in topological waves. Built once, never changed.

    waves          the order of writes: what a node needs comes before it
    reading_waves  the order of reads: what a node takes a value from comes before it. Fewer, so that more of one type is read at once
    """

    __slots__ = ("_needed", "_unsure", "complete", "gathered", "needs", "nodes", "reading_waves", "removal_wave_of", "wave_of", "waves")

    def __init__(
        self,
        nodes: Iterable[Node],
        *,
        complete: bool = True,
        gathered: Attributes = MappingProxyType({}),
        unsure: Callable[[str], bool] = lambda name: False,
    ) -> None:
        """`complete=False`: composed from an incomplete gathering; what is missing here is then never pruned.

        `gathered`: the attributes of own nodes that the composition went by. Once they are others, it has to be composed anew.
        `unsure`: of a complete one, which missing nodes are not pruned all the same, because what they depend on is not known yet.
        """
        self.nodes: dict[str, Node] = {}
        for node in nodes:
            if node.id in self.nodes:
                raise InvalidGraph(f"two nodes are named {node.id!r}")
            self.nodes[node.id] = node
        self.needs: dict[str, frozenset[str]] = {node.id: node.dependencies() for node in self.nodes.values()}
        for name, needed in self.needs.items():
            if unknown := (needed | self.nodes[name].keeps_until) - self.nodes.keys():
                raise InvalidGraph(f"{name!r} refers to {sorted(unknown)}, which the graph does not have")
        self._needed = frozenset[str]().union(*self.needs.values())
        self.waves: tuple[tuple[Node, ...], ...] = tuple(self._waves(self.needs))
        self.reading_waves = tuple(self._waves({node.id: frozenset() if node.named else node.references() for node in self.nodes.values()}))
        self.wave_of: dict[str, int] = {node.id: wave for wave, nodes in enumerate(self.waves) for node in nodes}
        self.removal_wave_of = {name: 0 if self.nodes[name].lingers else wave for name, wave in self.wave_of.items()}
        self.complete = complete
        self.gathered = gathered
        self._unsure = unsure

    def spares(self, name: str) -> bool:
        """Whether the absence of a node does not mean that it is no longer wanted."""
        return not self.complete or self._unsure(name)

    def is_needed(self, name: str) -> bool:
        """Whether another node takes something from it, or goes after it."""
        return name in self._needed

    def outdated(self, attributes: Attributes) -> bool:
        """Whether the attributes it was composed by are known to be others now."""
        return any(name in attributes and attributes[name].get(key, "") != value for name, known in self.gathered.items() for key, value in known.items())

    def _waves(self, needs: Mapping[str, frozenset[str]]) -> Iterator[tuple[Node, ...]]:
        sorter = TopologicalSorter(needs)
        try:
            sorter.prepare()
        except CycleError as cycle:
            raise InvalidGraph(f"nodes need each other in a circle: {cycle.args[1]}") from cycle
        while sorter.is_active():
            ready = sorted(sorter.get_ready())
            yield tuple(self.nodes[name] for name in ready)
            sorter.done(*ready)

    def __iter__(self) -> Iterator[Node]:
        for wave in self.waves:
            yield from wave

    def __len__(self) -> int:
        return len(self.nodes)


Attributes = Mapping[str, Mapping[str, str]]
"""What is known of existing nodes: node id -> attribute -> value."""


class Known(dict[str, Mapping[str, str]]):
    """`Attributes`, and beside them the secret ones, which nothing but a `SecretFrom` gets to see."""

    __slots__ = ("secrets",)

    def __init__(self, attributes: Attributes = MappingProxyType({}), secrets: Mapping[str, Mapping[str, SecretValue]] = MappingProxyType({})) -> None:
        super().__init__(attributes)
        self.secrets = dict(secrets)

    def note(self, node: str, attributes: Mapping[str, str], secrets: Mapping[str, SecretValue]) -> None:
        """What one existing node offers."""
        self[node] = attributes
        if secrets:
            self.secrets[node] = secrets

    def copy(self) -> Known:
        """Another one, to be added to."""
        return Known(self, self.secrets)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A desired value with every known reference filled in; `missing` names the (node, attribute) pairs still unknown."""

    desired: Any
    missing: frozenset[tuple[str, str]]


def resolve(desired: Any, attributes: Attributes) -> Resolved:
    """Fill in references; unknown ones stay as they are."""
    missing: set[tuple[str, str]] = set()
    return Resolved(_resolve(desired, attributes, missing), frozenset(missing))


def _resolve(value: Any, attributes: Attributes, missing: set[tuple[str, str]]) -> Any:
    if isinstance(value, str):
        return _resolve_text(value, attributes, missing) if _OPEN in value else value
    if isinstance(value, SecretValue):
        return value
    if isinstance(value, SecretFrom):
        return _resolve_secret(value, attributes, missing)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {}
        for field in dataclasses.fields(value):
            have = getattr(value, field.name)
            new = _resolve(have, attributes, missing)
            if new is not have:
                changes[field.name] = new
        return dataclasses.replace(value, **changes) if changes else value
    if isinstance(value, tuple):
        items = tuple(_resolve(item, attributes, missing) for item in value)
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    if isinstance(value, frozenset):
        return frozenset(_resolve(item, attributes, missing) for item in value)
    if isinstance(value, Mapping):
        return {key: _resolve(item, attributes, missing) for key, item in value.items()}
    return value


def _resolve_secret(wanted: SecretFrom, attributes: Attributes, missing: set[tuple[str, str]]) -> Any:
    found = attributes.secrets.get(wanted.node, {}).get(wanted.attribute) if isinstance(attributes, Known) else None
    if found is None:
        missing.add((wanted.node, wanted.attribute))
        return wanted
    return found


def _resolve_text(text: str, attributes: Attributes, missing: set[tuple[str, str]]) -> str:
    def fill(match: re.Match[str]) -> str:
        found = attributes.get(match.group(1), {}).get(match.group(2))
        if found is None:
            missing.add((match.group(1), match.group(2)))
            return match.group(0)
        return found

    return _REFERENCE.sub(fill, text)


def _needed(value: Any) -> Iterator[str]:
    """Ids of the nodes a desired value refers to, as often as it does."""
    if isinstance(value, str):
        yield from (node for node, _ in references(value))
    elif isinstance(value, SecretFrom):
        yield value.node
    elif isinstance(value, SecretValue):
        return
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _needed(getattr(value, field.name))
    elif isinstance(value, (tuple, frozenset)):
        for item in value:
            yield from _needed(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _needed(item)

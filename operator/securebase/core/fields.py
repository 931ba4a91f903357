"""Desired values as frozen dataclasses: per field what a change costs, and the leaves a value is compared by."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Impact(StrEnum):
    """What a change costs those who depend on the resource, from harmless to dangerous."""

    ONLINE = "ONLINE"
    DISRUPTIVE = "DISRUPTIVE"
    REPLACE = "REPLACE"
    PROTECTION_LOSS = "PROTECTION_LOSS"


ImpactRule = Impact | Callable[[Any, Any], Impact]
"""A fixed impact, or a function of (have, want): a longer retention is ONLINE, a shorter one PROTECTION_LOSS."""


class _Unmanaged:
    """The type of `UNMANAGED`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNMANAGED"


UNMANAGED: Final[Any] = _Unmanaged()
"""A field with this value is left to whoever set it outside: neither compared nor written."""

ABSENT: Final[Any] = None
"""How a leaf that one side lacks shows in a change."""


class Undisclosed:
    """What is, or stands for, a secret: one leaf whatever it is made of, and never shown."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SecretValue(Undisclosed):
    """A secret and the version it was read at. Compared by value, remembered by version, printed as neither."""

    value: str = dataclasses.field(repr=False)
    version: str

    def __str__(self) -> str:
        return f"(secret, version {self.version})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretValue) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)


def managed(
    *, impact: ImpactRule = Impact.ONLINE, secret: bool = False, key: str = "", ordered: bool = False, open: bool = False, default: Any = dataclasses.MISSING
) -> Any:
    """Declare a managed field.

    impact   what a change of this field (and of everything below it that says nothing else) costs
    secret   the value never appears in a change, log or digest
    key      for a tuple of dataclasses: the attribute that names an item
    ordered  for such a tuple: the order of the items matters
    open     for a mapping: keys that somebody else added stay (tags)
    """
    metadata = {"impact": impact, "secret": secret, "key": key, "ordered": ordered, "open": open}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One comparable value of a desired or observed dataclass. `value` is hashable and printable."""

    value: Any
    impact: ImpactRule = Impact.ONLINE
    secret: bool = False
    open: bool = False


@functools.cache
def spelled(name: str) -> str:
    """A field's name as paths spell it, in the API's lowerCamelCase: `default_root_object` -> `defaultRootObject`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def leaves(value: Any) -> dict[str, Leaf]:
    """Every managed leaf of a dataclass, by path: `comment`, `origins[s3].domainName`, `tags[team]`, `behaviors.order`."""
    return {path: leaf for path, leaf in _dataclass_leaves(value, "", Impact.ONLINE, False) if leaf.value is not UNMANAGED}


def unmanaged_paths(value: Any) -> Paths:
    """The paths left to others: an UNMANAGED field has no leaf, and everything below it on the other side is not ours either."""
    return Paths(path for path, leaf in _dataclass_leaves(value, "", Impact.ONLINE, False) if leaf.value is UNMANAGED)


def _dataclass_leaves(value: Any, prefix: str, impact: ImpactRule, secret: bool) -> Iterator[tuple[str, Leaf]]:
    for field in dataclasses.fields(value):
        own = field.metadata
        yield from _leaves(getattr(value, field.name), f"{prefix}{spelled(field.name)}", own.get("impact", impact), own.get("secret", secret) or secret, own)


def _leaves(value: Any, path: str, impact: ImpactRule, secret: bool, own: Mapping[str, Any]) -> Iterator[tuple[str, Leaf]]:
    if isinstance(value, Undisclosed):
        yield path, Leaf(value, impact, True)
    elif dataclasses.is_dataclass(value):
        yield from _dataclass_leaves(value, f"{path}.", impact, secret)
    elif isinstance(value, Mapping):
        for name in sorted(value):
            yield f"{path}[{name}]", Leaf(value[name], impact, secret or isinstance(value[name], Undisclosed), bool(own.get("open")))
    elif own.get("key"):
        yield from _keyed_leaves(value, path, impact, secret, own)
    elif isinstance(value, (set, frozenset)):
        yield path, Leaf(tuple(sorted(value)), impact, secret)
    else:
        yield path, Leaf(value, impact, secret)


def _keyed_leaves(items: Iterable[Any], path: str, impact: ImpactRule, secret: bool, own: Mapping[str, Any]) -> Iterator[tuple[str, Leaf]]:
    key = own["key"]
    names = []
    for item in items:
        name = getattr(item, key)
        names.append(name)
        yield from _dataclass_leaves(item, f"{path}[{name}].", impact, secret)
    if own.get("ordered"):
        yield f"{path}.order", Leaf(tuple(names), impact, secret)


class Paths:
    """A set of paths as a person writes them; holds a leaf when it names the leaf or anything above it."""

    __slots__ = ("_pattern",)

    def __init__(self, paths: Iterable[str]) -> None:
        chosen = sorted(set(paths))
        self._pattern = re.compile("|".join(re.escape(path) + r"(?=$|[.\[])" for path in chosen)) if chosen else None

    def __contains__(self, path: str) -> bool:
        return self._pattern is not None and self._pattern.match(path) is not None

    def __bool__(self) -> bool:
        return self._pattern is not None


def graft(want: Any, have: Any, paths: Paths) -> Any:
    """`want` with every leaf in `paths` as it stands in `have`: how ignored and not yet allowed changes are sent back unchanged."""
    return _graft(want, have, "", paths, {}) if paths else want


def _graft(want: Any, have: Any, path: str, paths: Paths, own: Mapping[str, Any]) -> Any:
    if path and path in paths:
        return have
    if want is UNMANAGED or have is UNMANAGED:
        return want
    if dataclasses.is_dataclass(want) and not isinstance(want, (type, Undisclosed)) and type(want) is type(have):
        prefix = f"{path}." if path else ""
        changed = {
            field.name: _graft(getattr(want, field.name), getattr(have, field.name), f"{prefix}{spelled(field.name)}", paths, field.metadata)
            for field in dataclasses.fields(want)
        }
        return dataclasses.replace(want, **changed)
    if isinstance(want, Mapping) and isinstance(have, Mapping):
        names = [name for name in {**want, **have} if (name in have if f"{path}[{name}]" in paths else name in want)]
        return {name: have[name] if f"{path}[{name}]" in paths else want[name] for name in names}
    if own.get("key") and isinstance(have, tuple):
        return _graft_keyed(want, have, path, paths, own["key"])
    return want


def _graft_keyed(want: tuple[Any, ...], have: tuple[Any, ...], path: str, paths: Paths, key: str) -> tuple[Any, ...]:
    wanted = {getattr(item, key): item for item in want}
    there = {getattr(item, key): item for item in have}
    grafted: dict[str, Any] = {}
    for name in {**wanted, **there}:
        whole = f"{path}[{name}]"
        if name in wanted and name in there:
            grafted[name] = _graft(wanted[name], there[name], whole, paths, {})
        elif name in wanted and not _wholly_held(wanted[name], whole, paths):
            grafted[name] = wanted[name]
        elif name in there and _wholly_held(there[name], whole, paths):
            grafted[name] = there[name]
    order = there if f"{path}.order" in paths else wanted
    rank = {name: at for at, name in enumerate(order)}
    return tuple(grafted[name] for name in sorted(grafted, key=lambda name: rank.get(name, len(rank))))


def _wholly_held(item: Any, path: str, paths: Paths) -> bool:
    return path in paths or all(f"{path}.{below}" in paths for below in leaves(item))

"""Typed differences between what is wanted and what is there, and whether each is drift or pending."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from securebase.core.fields import ABSENT, Impact, Leaf, Paths, SecretValue, leaves, unmanaged_paths
from securebase.core.graph import shown

_PATH_BYTES, _VALUE_BYTES = 3, 3
_SHOWN = 200


class Cause(StrEnum):
    """Why two sides differ."""

    DRIFT = "DRIFT"  # the outside is no longer what was last applied
    PENDING = "PENDING"  # the spec is no longer what was last applied
    BOTH = "BOTH"
    ADOPTING = "ADOPTING"  # nobody remembers what was applied


@dataclass(frozen=True, slots=True)
class Change:
    """One leaf that differs. `have` and `want` are printable; None = not there. A secret shows as its version."""

    path: str
    have: Any
    want: Any
    impact: Impact
    cause: Cause = Cause.PENDING

    @property
    def drifted(self) -> bool:
        """Somebody changed it outside."""
        return self.cause in (Cause.DRIFT, Cause.BOTH)


class Applied:
    """The memory of what was last applied to one resource: 8 characters a leaf, by a keyed digest.

    Each leaf is 3 bytes of its path's and 3 bytes of its value's digest. Secrets enter by version, never by value, so nothing can be
    guessed from it. A lost or unreadable memory is no error: differences are `ADOPTING` then.
    """

    __slots__ = ("_leaves",)

    def __init__(self, known: Mapping[bytes, bytes]) -> None:
        self._leaves = dict(known)

    @classmethod
    def decode(cls, text: str) -> Applied | None:
        """From the form in status; None when empty or damaged."""
        try:
            raw = base64.b64decode(text, validate=True)
        except ValueError:
            return None
        size = _PATH_BYTES + _VALUE_BYTES
        if not raw or len(raw) % size:
            return None
        return cls({raw[at : at + _PATH_BYTES]: raw[at + _PATH_BYTES : at + size] for at in range(0, len(raw), size)})

    @classmethod
    def of(cls, value: Any, key: bytes, *, leaving_out: Paths | None = None, kept: Applied | None = None) -> Applied:
        """What was just applied; paths in `leaving_out` are remembered as in `kept`, or not at all."""
        known: dict[bytes, bytes] = {}
        for path, leaf in leaves(value).items():
            name = _path_digest(path)
            if leaving_out is None or path not in leaving_out:
                known[name] = _value_digest(key, path, leaf.value)
            elif kept is not None and name in kept._leaves:
                known[name] = kept._leaves[name]
        return cls(known)

    def encode(self) -> str:
        """The form in status."""
        return base64.b64encode(b"".join(name + value for name, value in sorted(self._leaves.items()))).decode()

    def knows(self, path: str) -> bool:
        """Whether this leaf was ever applied by us."""
        return _path_digest(path) in self._leaves

    def is_(self, key: bytes, path: str, leaf: Leaf | None) -> bool:
        """Whether this leaf (None = absent) is what was last applied."""
        known = self._leaves.get(_path_digest(path))
        return known is None if leaf is None else known == _value_digest(key, path, leaf.value)


def _path_digest(path: str) -> bytes:
    return hashlib.sha256(path.encode()).digest()[:_PATH_BYTES]


def _value_digest(key: bytes, path: str, value: Any) -> bytes:
    text = f"version {value.version}" if isinstance(value, SecretValue) else repr(value)
    return hmac.new(key, f"{path}\0{text}".encode(), hashlib.sha256).digest()[:_VALUE_BYTES]


def diff(want: Any, have: Any, applied: Applied | None, key: bytes, *, ignore: Paths | None = None) -> tuple[Change, ...]:
    """Every managed leaf in which two dataclasses of one type differ, sorted by path.

    A key of an open mapping (a tag) that only the outside has counts only when we once put it there.
    """
    if want == have:  # nearly always, in a sweep: told without taking either apart
        return ()
    wanted, there, unmanaged = leaves(want), leaves(have), unmanaged_paths(want)
    changes = []
    for path in sorted(wanted.keys() | there.keys()):
        w, h = wanted.get(path), there.get(path)
        leaf = w or h
        if leaf is None or path in unmanaged or (ignore is not None and path in ignore) or (w is not None and h is not None and w.value == h.value):
            continue
        if w is None and leaf.open and not (applied is not None and applied.knows(path)):
            continue
        weighed = want.impact_of(path) if isinstance(want, Weighs) else None
        changes.append(Change(path, _printable(h), _printable(w), weighed or _impact(leaf, h, w), _cause(path, w, h, applied, key)))
    return tuple(changes)


def _cause(path: str, want: Leaf | None, have: Leaf | None, applied: Applied | None, key: bytes) -> Cause:
    if applied is None:
        return Cause.ADOPTING
    spec_moved = not applied.is_(key, path, want)
    if any(leaf.secret for leaf in (want, have) if leaf is not None):
        return Cause.PENDING if spec_moved else Cause.DRIFT  # the version behind an observed secret cannot be known
    outside_moved = not applied.is_(key, path, have)
    if outside_moved and spec_moved:
        return Cause.BOTH
    return Cause.DRIFT if outside_moved else Cause.PENDING


@runtime_checkable
class Weighs(Protocol):
    """Optional, of a desired dataclass: knows what a change costs where that depends on other fields than the one that changes."""

    def impact_of(self, path: str) -> Impact | None:
        """The cost of bringing this leaf to what is wanted; None = what the field itself says."""


def _impact(leaf: Leaf, have: Leaf | None, want: Leaf | None) -> Impact:
    if isinstance(leaf.impact, Impact):
        return leaf.impact
    return leaf.impact(have.value if have else ABSENT, want.value if want else ABSENT)


def _printable(leaf: Leaf | None) -> Any:
    if leaf is None:
        return None
    if leaf.secret:
        return str(leaf.value) if isinstance(leaf.value, SecretValue) else "(secret)"
    value = shown(leaf.value)
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    text = ", ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"

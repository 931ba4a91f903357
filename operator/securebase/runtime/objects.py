"""Every watched object as last seen, what this process remembers of it, and who depends on what."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from securebase.core.conditions import READY, SYNCED, Condition
from securebase.core.graph import Graph
from securebase.core.subject import Memory, Subject
from securebase.core.verification import Figures
from securebase.runtime.accounts import Account
from securebase.runtime.queue import Key

PREFIX = "securebase.io/"
FINALIZER = f"{PREFIX}finalizer"


@dataclass(slots=True)
class Verified:
    """What a real client found, as far as this process has looked. Written by the verifier alone.

    verdict    the condition `Verified` that the next pass writes; None = nothing to say
    figures    of the last look that got any; `own_reads`: what was read since by the verifier itself
    """

    asked_at: float = 0.0
    proven_at: float = 0.0
    verdict: Condition | None = None
    figures: Figures | None = None
    own_reads: int = 0


@dataclass(slots=True)
class Entry:
    """One object. `graph`, `subject` and `account` are those of the last pass that got as far as a plan.

    advice     `recommendations` and `unjudged` as the advisor last found them; None = not judged by this process yet
    settled    the last pass ended without anything left to do, so only a difference outside is a reason for another
    remarks    what resources last told, by node; None = none was looked at by this process yet
    signature  what decides whether an event is an edit: generation, our annotations, deletion
    """

    key: Key
    body: dict[str, Any]
    memory: Memory = field(default_factory=Memory)
    graph: Graph | None = None
    subject: Subject | None = None
    account: Account | None = None
    settled: bool = False
    swept_at: float = 0.0
    drift: frozenset[str] = frozenset()
    drift_since: float = 0.0
    signature: tuple[Any, ...] = ()
    remarks: Mapping[str, str] | None = None
    verified: Verified = field(default_factory=Verified)
    advice: Mapping[str, Any] | None = None

    @property
    def status(self) -> Mapping[str, Any]:
        """The last status."""
        return self.body.get("status") or {}

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The object's metadata."""
        found: Mapping[str, Any] = self.body["metadata"]
        return found

    @property
    def deleting(self) -> bool:
        """Whether its deletion was asked for."""
        return bool(self.metadata.get("deletionTimestamp"))

    @property
    def ours(self) -> bool:
        """Whether our finalizer is on it."""
        return FINALIZER in (self.metadata.get("finalizers") or ())

    @property
    def annotations(self) -> Mapping[str, str]:
        """Its annotations."""
        return self.metadata.get("annotations") or {}

    def at_rest(self) -> bool:
        """Whether the last status says that this very spec is ready and synced, with nothing asked for since."""
        said = {condition.get("type"): condition.get("status") for condition in self.status.get("conditions") or ()}
        asked = {name[len(PREFIX) :]: value for name, value in self.annotations.items() if name.startswith(PREFIX)}
        done = self.status.get("acknowledged") or {}
        return (
            self.status.get("observedGeneration") == self.metadata.get("generation")
            and said.get(READY) == said.get(SYNCED) == "True"
            and not any(asked.get(name, "") != done.get(name, "") for name in ("refresh", "invalidate"))
            and not self.deleting
        )


def account_name(body: Mapping[str, Any]) -> str:
    """The AwsAccount an object names; `default` where it names none."""
    return str(((body.get("spec") or {}).get("accountRef") or {}).get("name") or "default")


def signature_of(body: Mapping[str, Any]) -> tuple[Any, ...]:
    """Changes when a person did something; not when only our status or somebody's label moved."""
    metadata = body["metadata"]
    ours = {name: value for name, value in (metadata.get("annotations") or {}).items() if name.startswith("securebase.io/")}
    return metadata.get("uid"), metadata.get("generation"), bool(metadata.get("deletionTimestamp")), tuple(sorted(ours.items()))


def version_of(body: Mapping[str, Any]) -> int:
    """resourceVersion as a number: comparable within one resource type (KEP-5504)."""
    text = str(body["metadata"].get("resourceVersion") or "0")
    return int(text) if text.isdigit() else 0


class Objects:
    """The entries, by key, and the index of references. Thread-safe; an entry itself belongs to whoever holds its key."""

    def __init__(self, fight_rounds: int = 5, settle_scale: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._entries: dict[Key, Entry] = {}
        self._users: dict[tuple[str, str, str], set[Key]] = {}
        self._uses: dict[Key, frozenset[tuple[str, str, str]]] = {}
        self._fight_rounds, self._settle_scale = fight_rounds, settle_scale

    def seen(self, key: Key, body: dict[str, Any]) -> tuple[Entry, bool]:
        """Take in a watched body unless we know a newer one; whether it is an edit."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.metadata.get("uid") != body["metadata"].get("uid"):
                entry = self._entries[key] = Entry(key, body)
                entry.memory.fights.limit, entry.memory.settle_scale = self._fight_rounds, self._settle_scale
            elif version_of(body) >= version_of(entry.body):
                entry.body = body
            signature = signature_of(entry.body)
            edited, entry.signature = signature != entry.signature, signature
            return entry, edited

    def written(self, entry: Entry, body: dict[str, Any]) -> None:
        """Take in what a write of ours was answered with."""
        body["metadata"].pop("managedFields", None)
        with self._lock:
            if version_of(body) >= version_of(entry.body):
                entry.body = body

    def get(self, key: Key) -> Entry | None:
        """The entry, or None when the object is gone."""
        with self._lock:
            return self._entries.get(key)

    def drop(self, key: Key) -> Entry | None:
        """The object is gone."""
        with self._lock:
            self._forget_uses(key)
            return self._entries.pop(key, None)

    def depends(self, key: Key, on: frozenset[tuple[str, str, str]]) -> None:
        """What a key refers to: (kind, namespace, name) triples."""
        with self._lock:
            self._forget_uses(key)
            self._uses[key] = on
            for reference in on:
                self._users.setdefault(reference, set()).add(key)

    def dependants(self, kind: str, namespace: str, name: str) -> tuple[Key, ...]:
        """Who refers to it."""
        with self._lock:
            return tuple(self._users.get((kind, namespace, name), ()))

    def _forget_uses(self, key: Key) -> None:
        for reference in self._uses.pop(key, frozenset()):
            users = self._users.get(reference, set())
            users.discard(key)
            if not users:
                self._users.pop(reference, None)

    def of_account(self, name: str) -> int:
        """How many objects name an account."""
        with self._lock:
            return sum(1 for entry in self._entries.values() if account_name(entry.body) == name)

    def __iter__(self) -> Iterator[Entry]:
        with self._lock:
            return iter(list(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

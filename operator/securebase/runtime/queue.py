"""The work queue: one pass per object at a time, edits before progress polls before sweeps, backoff with jitter per key."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple


class Reason(IntEnum):
    """Why a key is looked at; lower goes first."""

    EDIT = 0
    POLL = 1
    SWEEP = 2


class Key(NamedTuple):
    """One custom resource."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(slots=True)
class _Waiting:
    due: float
    reason: Reason
    number: int
    whole: bool  # an edit or a sweep is among the reasons: a poll's short look is not enough


@dataclass(slots=True)
class WorkQueue:
    """Keys to look at, each at most once, each in one hand at a time. Belongs to one event loop."""

    clock: Callable[[], float]
    rng: random.Random
    base: float = 1.0
    longest: float = 300.0
    _waiting: dict[Key, _Waiting] = field(default_factory=dict)
    _ready: list[tuple[int, int, Key]] = field(default_factory=list)
    _later: list[tuple[float, int, Key]] = field(default_factory=list)
    _held: set[Key] = field(default_factory=set)
    _failures: dict[Key, int] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, key: Key, reason: Reason, after: float = 0.0) -> None:
        """Ask for a look at a key in `after` seconds; an earlier or more urgent request for the same key stands."""
        due, whole = self.clock() + after, reason is not Reason.POLL
        known = self._waiting.get(key)
        if known is not None:
            due, reason, whole = min(due, known.due), min(reason, known.reason), whole or known.whole
            if (due, reason) == (known.due, known.reason):
                known.whole = whole
                return
        number = next(self._numbers)
        self._waiting[key] = _Waiting(due, reason, number, whole)
        heapq.heappush(self._later, (due, number, key))
        self._changed.set()

    def retry(self, key: Key) -> float:
        """Ask for another look after a failure; returns the delay: doubling from `base` to `longest`, with jitter."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(self.longest, self.base * float(1 << min(failures - 1, 20))) * self.rng.uniform(0.5, 1.0)
        self.add(key, Reason.SWEEP, delay)
        return delay

    def succeeded(self, key: Key) -> None:
        """The key's backoff starts over."""
        self._failures.pop(key, None)

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._waiting.pop(key, None)
        self._failures.pop(key, None)

    def done(self, key: Key) -> None:
        """Give a key back that `get` handed out."""
        self._held.discard(key)
        self._changed.set()

    async def get(self) -> tuple[Key, Reason]:
        """The most urgent due key that nobody holds; waits for one. Give it back with `done`."""
        while True:
            self._changed.clear()
            if (found := self._next()) is not None:
                self._changed.set()  # another worker may find one too
                return found
            await self._wait()

    def _next(self) -> tuple[Key, Reason] | None:
        now = self.clock()
        while self._later and self._later[0][0] <= now:
            _, number, key = heapq.heappop(self._later)
            if (entry := self._waiting.get(key)) is not None and entry.number == number:
                heapq.heappush(self._ready, (entry.reason, number, key))
        passed_over = []
        found = None
        while self._ready and found is None:
            item = heapq.heappop(self._ready)
            entry = self._waiting.get(item[2])
            if entry is None or entry.number != item[1]:
                continue
            if item[2] in self._held:
                passed_over.append(item)
                continue
            found = item[2], Reason.SWEEP if entry.reason is Reason.POLL and entry.whole else entry.reason
        for item in passed_over:
            heapq.heappush(self._ready, item)
        if found is not None:
            del self._waiting[found[0]]
            self._held.add(found[0])
        return found

    async def _wait(self) -> None:
        timeout = max(0.0, self._later[0][0] - self.clock()) if self._later else None
        try:
            await asyncio.wait_for(self._changed.wait(), timeout)
        except TimeoutError:
            return

    def __len__(self) -> int:
        return len(self._waiting) + len(self._held)

    def idle(self) -> bool:
        """Whether nothing is due or in hand."""
        now = self.clock()
        return not self._held and all(entry.due > now for entry in self._waiting.values())

"""Two breakers: against deleting much at once, and against fighting with somebody over a field."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from securebase.core.errors import Terminal

WINDOW_SECONDS = 600.0
ADMITTED_SECONDS = 86_400.0
"""How long something that may go is remembered: a distribution takes minutes to go, a certificate in use may take hours."""
CONFIRM_ANNOTATION = "securebase.io/confirm-deletion"


def deletion_limit(total: int) -> int:
    """How many of `total` may go within ten minutes: 20 %, but at least 5."""
    return max(5, total // 5)


class MassDeletion:
    """Counts deletions of a sliding ten minutes, by scope (an account's objects, one object's resources). Thread-safe.

    What was let through once stays let through: nothing is stopped half-way. Once tripped, a scope stays so until its deletions are
    confirmed, or nobody has asked for ten minutes.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._scopes: dict[str, _Deletions] = {}

    def admit(self, scope: str, what: str, total: int, *, confirmed: bool) -> None:
        """Let one deletion through, or raise Terminal `MassDeletion`. Asking again for the same thing costs nothing.

        `total` counts what the scope holds now; the largest of the window stands, so that deleting does not shrink the limit.
        """
        now = self._clock()
        with self._lock:
            seen = self._scopes.setdefault(scope, _Deletions())
            seen.expire(now)
            if what in seen.admitted:
                return
            seen.peak = max(total, seen.peak)
            limit = deletion_limit(seen.peak)
            if not confirmed and (len(seen.recent) >= limit or seen.refused_at is not None):
                seen.refused_at = now
                raise Terminal(
                    "MassDeletion",
                    f"more than {limit} of {seen.peak} would be deleted within 10 minutes in {scope}; annotate {CONFIRM_ANNOTATION}=yes if that is meant",
                )
            seen.recent.append(now)
            seen.admitted[what] = now


@dataclass(slots=True)
class _Deletions:
    """What one scope saw."""

    recent: deque[float] = field(default_factory=deque)
    admitted: dict[str, float] = field(default_factory=dict)
    peak: int = 0
    refused_at: float | None = None

    def expire(self, now: float) -> None:
        while self.recent and self.recent[0] <= now - WINDOW_SECONDS:
            self.recent.popleft()
        if not self.recent:
            self.peak = 0
        if self.refused_at is not None and now - self.refused_at > WINDOW_SECONDS:
            self.refused_at = None
        self.admitted = {what: at for what, at in self.admitted.items() if at > now - ADMITTED_SECONDS}


@dataclass(slots=True)
class Fights:
    """Repairs of one object that were undone again: after `limit` rounds of the same path within an hour the repair stops."""

    limit: int = 5
    span: float = 3600.0
    _rounds: dict[str, deque[float]] = field(default_factory=dict)

    def repaired(self, paths: frozenset[str], now: float) -> None:
        """Note a repair of drift in these paths (`node.path`)."""
        for path in paths:
            rounds = self._rounds.setdefault(path, deque(maxlen=self.limit))
            rounds.append(now)

    def lost(self, paths: frozenset[str], now: float) -> tuple[str, ...]:
        """Those of the drifted paths that were repaired `limit` times within the span: no further repair."""
        return tuple(sorted(path for path in paths if len(rounds := self._rounds.get(path, deque())) >= self.limit and rounds[0] > now - self.span))

    def forget(self) -> None:
        """A person has looked: the spec changed or a refresh was asked for."""
        self._rounds.clear()

"""Two breakers: against deleting much at once, and against fighting with somebody over a field."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from securebase.core.errors import Terminal

WINDOW_SECONDS = 600.0
CONFIRM_ANNOTATION = "securebase.io/confirm-deletion"


def deletion_limit(total: int) -> int:
    """How many of `total` may go within ten minutes: 20 %, but at least 5."""
    return max(5, total // 5)


class MassDeletion:
    """Counts deletions of a sliding ten minutes, by scope (an account's objects, one object's resources). Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, deque[tuple[float, str]]] = {}
        self._peak: dict[str, int] = {}

    def admit(self, scope: str, what: str, total: int, *, confirmed: bool) -> None:
        """Let one deletion through, or raise Terminal `MassDeletion`. Asking again for the same thing costs nothing.

        `total` counts what the scope holds now; the largest of the window stands, so that deleting does not shrink the limit.
        """
        now = self._clock()
        with self._lock:
            seen = self._seen.setdefault(scope, deque())
            while seen and seen[0][0] <= now - WINDOW_SECONDS:
                seen.popleft()
            peak = self._peak[scope] = max(total, self._peak.get(scope, 0) if seen else 0)
            if any(known == what for _, known in seen):
                return
            limit = deletion_limit(peak)
            if len(seen) >= limit and not confirmed:
                raise Terminal(
                    "MassDeletion",
                    f"more than {limit} of {peak} would be deleted within 10 minutes in {scope}; annotate {CONFIRM_ANNOTATION}=yes if that is meant",
                )
            seen.append((now, what))


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

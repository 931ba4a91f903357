"""How often a sweep asks again for what hardly ever changes outside."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from securebase.core.errors import ReconcileError
from securebase.resources.listing import Listing

K = TypeVar("K")
V = TypeVar("V")


class Pace:
    """Every n-th sweep is due, and the one after a write of our own: what is kept in between is then older than the write."""

    def __init__(self, clock: Callable[[], float], every: int) -> None:
        self._clock = clock
        self._every = every
        self._lock = threading.Lock()
        self._left = 0
        self._at = 0.0

    def due(self) -> bool:
        """Count a sweep; whether it has to ask."""
        with self._lock:
            due = self._left == 0
            self._left = (self._every if due else self._left) - 1
            if due:
                self._at = self._clock()
            return due

    def get(self, listing: Listing[K, V]) -> Mapping[K, V]:
        """Count a sweep; a new listing where it is due, else the last one. A failed one is due again."""
        try:
            return listing.get(0.0 if self.due() else float("inf"))
        except ReconcileError:
            self.wrote()
            raise

    def asked(self) -> None:
        """Somebody else asked for us in this sweep: the next that is due is the n-th from here."""
        with self._lock:
            self._left, self._at = self._every - 1, self._clock()

    def wrote(self) -> None:
        """We changed something: the next sweep is due."""
        with self._lock:
            self._left = 0

    @property
    def asked_at(self) -> float:
        """Clock seconds of the last sweep that asked."""
        return self._at

"""Complete listings shared by everybody who asks at the same time, and turns for what no listing returns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

STORM_SECONDS: Final = 60.0
"""How old a listing may be for a search that a hundred passes make at once. Our own writes are in it at any age."""

LAG_SECONDS: Final = 60.0
"""How long an outside's listing may miss what we just wrote."""

KEPT_SECONDS: Final = 6 * 3600.0
"""How long the answer to something that nobody asks for any more is kept."""

_NEVER: Final = float("-inf")


def tells_all(stamp: datetime, read_at: float) -> bool:
    """Whether a modification time that a list shows again proves that what was read at `read_at` is unchanged. Where the outside
    counts in whole seconds, a read within the same second may have missed a change."""
    return stamp.microsecond != 0 or read_at - stamp.timestamp() >= 2.0


@dataclass(frozen=True, slots=True)
class _Note(Generic[V]):
    """What we know of one key since `at`; None = it is gone. `wins` over a listing begun soon after."""

    at: float
    value: V | None
    wins: bool = False

    def applied(self, key: K, items: Mapping[K, V]) -> Mapping[K, V]:
        """The items with this in their place."""
        others = {name: item for name, item in items.items() if name != key}
        return others if self.value is None else {**others, key: self.value}


class Listing(Generic[K, V]):
    """Everything of one type, by key. `read` lists all of it; it runs once for all threads that ask while it would run.

    What we did ourselves shows at once: lists are eventually consistent, so a key we `put` is in every listing begun within
    `LAG_SECONDS` after, one we `wrote` with our value, and one we `drop`ped in none.
    """

    def __init__(self, read: Callable[[], Mapping[K, V]], clock: Callable[[], float]) -> None:
        self._read = read
        self._clock = clock
        self._flight = threading.Lock()
        self._state = threading.Lock()
        self._begun = _NEVER
        self._items: Mapping[K, V] = {}
        self._failed = _NEVER
        self._error: Exception | None = None
        self._noted: dict[K, _Note[V]] = {}

    def get(self, max_age: float = 0.0) -> Mapping[K, V]:
        """A listing begun at most `max_age` seconds before this call; with 0, one begun after it.

        A failed read fails all who waited for it, and nobody who asks later.
        """
        asked = self._clock()
        if (items := self._known(asked, max_age)) is not None:
            return items
        with self._flight:
            if (items := self._known(asked, max_age)) is not None:
                return items
            begun = self._clock()
            try:
                read = self._read()
            except Exception as error:
                with self._state:
                    self._failed, self._error = begun, error
                raise
            with self._state:
                self._begun, self._items = begun, self._with_notes(read, begun)
                return self._items

    def known(self) -> int:
        """How many there were when last seen."""
        with self._state:
            return len(self._items)

    @property
    def begun(self) -> float:
        """Clock seconds at which the last listing was begun; minus infinity before the first."""
        with self._state:
            return self._begun

    def forget(self) -> None:
        """The next who asks gets a new listing, however old a one would do."""
        with self._state:
            self._begun = _NEVER

    def put(self, key: K, value: V) -> None:
        """It is there, by its id. A listing that has it says better what it is."""
        self._note(key, _Note(self._clock(), value))

    def wrote(self, key: K, value: V) -> None:
        """We made it so: for a while listings may still show what it was, and do not count."""
        self._note(key, _Note(self._clock(), value, wins=True))

    def drop(self, key: K) -> None:
        """We removed it, or saw by its id that it is gone."""
        self._note(key, _Note(self._clock(), None, wins=True))

    def _note(self, key: K, note: _Note[V]) -> None:
        with self._state:
            before = self._noted.get(key)
            if not note.wins and before is not None and before.wins and before.value is not None and note.at - before.at < LAG_SECONDS:
                return
            self._noted[key] = note
            self._items = note.applied(key, self._items)

    def _known(self, asked: float, max_age: float) -> Mapping[K, V] | None:
        with self._state:
            if self._error is not None and self._failed >= asked:
                raise self._error
            return self._items if self._begun >= asked - max_age else None

    def _with_notes(self, read: Mapping[K, V], begun: float) -> Mapping[K, V]:
        self._noted = {key: note for key, note in self._noted.items() if note.at > begun - LAG_SECONDS}
        items = read
        for key, note in self._noted.items():
            if note.wins or key not in items:
                items = note.applied(key, items)
        return items


@dataclass(frozen=True, slots=True)
class Read(Generic[V]):
    """An answer and when (clock seconds) it was read."""

    value: V
    at: float


class Turns(Generic[K, V]):
    """Answers of what can only be read one by one: each round a slice of the keys is read again, the longest unread first.

    A round may be about some of the keys only: objects are compared at intervals of their own. What is gone for `KEPT_SECONDS` is forgotten.
    `at_most`: how many are read in one round, also of those that were never read; the others have no answer until it is their turn.
    """

    def __init__(self, clock: Callable[[], float], share: float = 0.1, at_least: int = 10, at_most: int | None = None) -> None:
        self._clock = clock
        self._share = share
        self._at_least = at_least
        self._at_most = at_most
        self._lock = threading.Lock()
        self._reads: dict[K, Read[V]] = {}
        self._asked: dict[K, float] = {}

    def round(self, keys: Iterable[K], read: Callable[[Sequence[K]], Mapping[K, V]], *, unread_only: bool = False) -> Mapping[K, Read[V]]:
        """Answers for all the keys that were ever read, those whose turn it is just now. `unread_only`: nobody has a turn but those without an answer."""
        with self._lock:
            wanted = list(dict.fromkeys(keys))
            self._forget_old(wanted)
            due = sorted(wanted, key=lambda key: self._reads[key].at if key in self._reads else float("-inf"))
            unread = sum(key not in self._reads for key in wanted)
            turns = 0 if unread_only else max(self._at_least, round(len(wanted) * self._share))
            due = due[: max(unread, turns)][: self._at_most]
        now = self._clock()
        fresh = read(due)
        with self._lock:
            self._reads.update({key: Read(value, now) for key, value in fresh.items()})
            return {key: self._reads[key] for key in wanted if key in self._reads}

    def _forget_old(self, wanted: Iterable[K]) -> None:
        now = self._clock()
        self._asked.update(dict.fromkeys(wanted, now))
        self._reads = {key: read for key, read in self._reads.items() if now - max(read.at, self._asked.get(key, read.at)) < KEPT_SECONDS}
        self._asked = {key: at for key, at in self._asked.items() if now - at < KEPT_SECONDS}

    def known(self, keys: Iterable[K]) -> Mapping[K, Read[V]]:
        """The last answers, of those that were ever read."""
        with self._lock:
            return {key: self._reads[key] for key in keys if key in self._reads}

    def forget(self, key: K) -> None:
        """What was read does not count any more: the next round reads it again."""
        with self._lock:
            self._reads.pop(key, None)

    def put(self, key: K, value: V) -> None:
        """Remember an answer that was read, or written, out of turn."""
        with self._lock:
            self._reads[key] = Read(value, self._clock())

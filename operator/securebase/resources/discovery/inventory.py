"""What there is of every kind of service in one account and region: one list a kind for all who ask, and the proof that something is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from securebase.clients.aws import AwsScope, Refusal
from securebase.resources.discovery.services import SERVICES
from securebase.resources.listing import Listing, Turns

Attributes = Mapping[str, str]
Things = Mapping[str, Attributes]
"""Name -> attributes."""

SWEEPS: Final = 3
"""In how many complete sweeps something must be missed before a read by its id decides that it is gone."""


class Inventory:
    """Thread-safe. The same for all drivers of a scope, so that a service is listed once a sweep."""

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._lock = threading.Lock()
        self._listings: dict[str, Listing[str, Attributes]] = {kind: Listing(partial(self._list, kind), clock) for kind in SERVICES}
        self._beside: dict[str, Turns[str, Attributes]] = {kind: Turns(clock, share=0.02, at_least=2) for kind in SERVICES}

    def listed(self, kind: str, max_age: float) -> Things:
        """By name, from a list begun at most `max_age` seconds ago."""
        return self._listings[kind].get(max_age)

    def with_beside(self, kind: str, found: Things) -> Things:
        """With what no list tells: read once for each, then again in turns."""
        beside = SERVICES[kind].beside
        reads = self._beside[kind].round(sorted(found), lambda due: {name: beside(self._aws, name) for name in due})
        return {name: {**attributes, **(reads[name].value if name in reads else {})} for name, attributes in found.items()}

    def absent(self, kind: str, name: str) -> bool:
        """Whether a read by its id, or a new complete list where there is no such read, says that there is none."""
        read = SERVICES[kind].read
        if read is None:
            return name not in self._listings[kind].get()
        client, operation, parameter, gone = read
        return isinstance(self._aws.attempt(client, operation, gone, **{parameter: name}), Refusal)

    def _list(self, kind: str) -> dict[str, Attributes]:
        service = SERVICES[kind]
        client, operation, path = service.list
        found: dict[str, Attributes] = {}
        for page in self._aws.pages(client, operation, **service.parameters):
            for entry in _within(page, path):
                told = {key: value for key, value in service.told(entry, self._aws).items() if value}
                found[service.named(entry)] = {"name": service.named(entry), **told}
        return found


def _within(page: Mapping[str, Any], path: Iterable[str]) -> Iterable[Any]:
    found: Any = page
    for member in path:
        found = found.get(member) or ()
    return tuple(found)


class _Inventories:
    """One inventory a scope, for as long as anybody uses the scope."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: WeakKeyDictionary[AwsScope, Inventory] = WeakKeyDictionary()

    def of(self, aws: AwsScope, clock: Callable[[], float]) -> Inventory:
        """The inventory that every driver of the scope shares."""
        with self._lock:
            if aws not in self._known:
                self._known[aws] = Inventory(aws, clock)
            return self._known[aws]


INVENTORIES: Final = _Inventories()


class Presence:
    """Who is there, where being missed is not yet being gone. Thread-safe.

    A name that was there once stays until it was missed in `SWEEPS` complete sweeps and `gone` proves it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Attributes] = {}
        self._missed: dict[str, int] = {}
        self._sweeps = 0

    def settled(self) -> bool:
        """Whether there were enough complete sweeps since the process began to believe in an absence that was never seen before."""
        return self._sweeps >= SWEEPS

    def seen(self, there: Things, about: Iterable[str] | None, *, sweep: bool) -> None:
        """Take in a complete list. `about`: the names it was asked for; None = it tells of all."""
        with self._lock:
            self._sweeps += sweep
            self._known.update(there)
            for name in there:
                self._missed.pop(name, None)
            for name in self._known if about is None else about:
                if sweep and name not in there:
                    self._missed[name] = self._missed.get(name, 0) + 1

    def kept(self, gone: Callable[[str], bool]) -> Things:
        """Everybody who is there, or was and is not proven gone."""
        with self._lock:
            doubtful = [name for name in self._known if self._missed.get(name, 0) >= SWEEPS]
        for name in doubtful:
            if gone(name):
                with self._lock:
                    self._known.pop(name, None)
                    self._missed.pop(name, None)
        with self._lock:
            return dict(self._known)

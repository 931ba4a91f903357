"""What all passes of one process share: accounts, drivers, breaker, who uses which shared resource."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from securebase.core.breakers import MassDeletion
from securebase.core.driver import Driver
from securebase.core.identity import Identity
from securebase.core.plan import Prior
from securebase.resources.registry import Drivers
from securebase.runtime.accounts import Account, Accounts


class SharedUse:
    """Who uses which shared resource, as far as this process has seen. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: dict[tuple[str, str, str], set[Identity]] = {}

    def use(self, account: str, identity: Identity, used: set[tuple[str, str]]) -> None:
        """This object uses exactly these (type, external id or name) pairs now."""
        with self._lock:
            for (where, type_, external_id), users in list(self._users.items()):
                if where == account and (type_, external_id) not in used:
                    users.discard(identity)
                    if not users:
                        del self._users[where, type_, external_id]
            for type_, external_id in used:
                self._users.setdefault((account, type_, external_id), set()).add(identity)

    def about_to_use(self, account: str, identity: Identity, wanted: set[tuple[str, str]]) -> None:
        """Beside what it uses already, this object is going to use these: nobody removes them meanwhile."""
        with self._lock:
            for type_, name in wanted:
                self._users.setdefault((account, type_, name), set()).add(identity)

    def others(self, account: str, identity: Identity, type_: str, external_id: str) -> bool:
        """Whether anybody else uses it."""
        with self._lock:
            return bool(self._users.get((account, type_, external_id), set()) - {identity})


@dataclass(slots=True)
class AccountWorld:
    """`core.reconcile.World` of one object: its account's drivers, and what the process shares."""

    drivers: Drivers
    account: Account
    clock: Callable[[], float]
    shared: SharedUse
    breaker: MassDeletion
    store_intent: Callable[..., None]

    def driver(self, type: str, region: str) -> Driver:
        return self.drivers.of(self.account.config, region, type)

    def now(self) -> float:
        return self.clock()

    def intend(self, *priors: Prior) -> None:
        self.store_intent(*priors)

    def used_elsewhere(self, identity: Identity, type: str, name: str) -> bool:
        return self.shared.others(self.account.config.account_id, identity, type, name)

    def admit_deletion(self, scope: str, what: str, total: int, *, confirmed: bool) -> None:
        self.breaker.admit(scope, what, total, confirmed=confirmed)


@dataclass(frozen=True, slots=True)
class Process:
    """Made once, by the composition root."""

    instance: str
    drivers: Drivers
    accounts: Accounts
    shared: SharedUse
    breaker: MassDeletion
    clock: Callable[[], float]

    def world(self, account: Account, store_intent: Callable[..., None]) -> AccountWorld:
        """The outside of one object's pass."""
        return AccountWorld(self.drivers, account, self.clock, self.shared, self.breaker, store_intent)

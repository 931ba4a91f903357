"""What all passes of one process share: accounts, drivers, breaker, who uses which shared resource."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from securebase.core.breakers import MassDeletion
from securebase.resources.registry import Drivers
from securebase.runtime.accounts import Account, Accounts
from securebase.runtime.engine import AccountWorld, SharedUse


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

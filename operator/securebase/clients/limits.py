"""Client-side rate limits: below AWS's documented rates, slower when AWS says so, in the order of asking."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from securebase.clients.rates import GLOBAL_SERVICES, RATES, Rates, rate_of
from securebase.core.errors import Waiting

MARGIN = 0.95
"""Share of a documented rate that is used: the console, Terraform and the clock's unevenness need the rest."""
LONGEST_WAIT = 10.0
"""Seconds a caller is held at most; beyond that it is told when to come back, so that its worker can serve others."""
SLOWEST = 1 / 32
"""Share of the rate below which throttling does not push."""
RECOVERY_SECONDS = 60.0
"""Time from the slowest back to the full rate without being throttled."""
COOL_DOWN = 1.0
"""Seconds within which further throttling answers count as one: requests under way at the same moment all get it."""


@dataclass(slots=True)
class _Bucket:
    """A token bucket kept as the time at which it would be full again (the generic cell rate algorithm): one number, no refilling thread."""

    rate: float
    burst: float
    full_at: float = 0.0
    share: float = 1.0
    throttled_at: float = float("-inf")
    recovered_at: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until a token is free."""
        per_token = 1.0 / (self.rate * self.share)
        return max(0.0, self.full_at - now - (self.burst - 1.0) * per_token)

    def take(self, now: float) -> None:
        """Reserve the next token. Later callers queue behind it."""
        self.full_at = max(self.full_at, now) + 1.0 / (self.rate * self.share)

    def recover(self, now: float) -> None:
        """Additive increase, linear in the time since the last throttling."""
        if self.share < 1.0:
            self.share = min(1.0, self.share + (now - self.recovered_at) / RECOVERY_SECONDS)
        self.recovered_at = now

    def slow_down(self, now: float) -> None:
        """Multiplicative decrease; the bucket is empty then."""
        self.recover(now)
        if now - self.throttled_at < COOL_DOWN:
            return
        self.throttled_at = now
        self.share = max(SLOWEST, self.share / 2)
        self.full_at = max(self.full_at, now + self.burst / (self.rate * self.share))


class RateLimiter:
    """Buckets per account, region and operation (or group of operations that share a rate). Thread-safe."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        rates: Rates = RATES,
        scale: float = 1.0,
        longest_wait: float = LONGEST_WAIT,
        is_open: bool = False,
    ) -> None:
        """`scale` multiplies every rate (an account with raised quotas, a bench on a scaled clock); `is_open` holds nobody back."""
        self._clock = clock
        self._sleep = sleep
        self._rates = rates
        self._scale = scale
        self._longest_wait = longest_wait
        self._open = is_open
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str, str, str], _Bucket] = {}

    def acquire(self, account: str, region: str, service: str, operation: str) -> float:
        """Wait for the turn of this operation (`GetDistribution`); the seconds waited. Raises Waiting `RateLimited` when it is too far off."""
        if self._open:
            return 0.0
        with self._lock:
            bucket = self._bucket(account, region, service, operation)
            now = self._clock()
            bucket.recover(now)
            wait = bucket.wait(now)
            if wait > self._longest_wait:
                raise Waiting(
                    "RateLimited",
                    f"{service}:{operation}: requests to account {account or 'of the ambient credentials'} are queued up to AWS's rate",
                    after=wait,
                )
            bucket.take(now)
        if wait > 0.0:
            self._sleep(wait)
        return wait

    def throttled(self, account: str, region: str, service: str, operation: str) -> None:
        """AWS answered that it was too much."""
        if self._open:
            return
        with self._lock:
            self._bucket(account, region, service, operation).slow_down(self._clock())

    def allowed(self, account: str, region: str, service: str, operation: str) -> float:
        """Requests a second that pass at the moment."""
        with self._lock:
            bucket = self._bucket(account, region, service, operation)
            return bucket.rate * bucket.share

    def _bucket(self, account: str, region: str, service: str, operation: str) -> _Bucket:
        asked = (account, region, service, operation)
        if asked not in self._buckets:
            name, rate = rate_of(self._rates, service, operation)
            shared = (account, "" if service in GLOBAL_SERVICES else region, service, f"#{name}")
            fresh = _Bucket(rate.per_second * MARGIN * self._scale, max(1.0, rate.burst * self._scale))
            self._buckets[asked] = self._buckets.setdefault(shared, fresh)
        return self._buckets[asked]

"""From measured facts of a cache to recommendations, each with its reason in figures and the monthly price of the change. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from securebase.cost.book import PriceBook
from securebase.cost.estimate import cents, monthly
from securebase.cost.sizes import NodeSizes

_COMPLETE: Final = 0.95
"""Share of the hours of a window that must have data: the last one may be late, and a node's replacement leaves a gap."""


@dataclass(frozen=True, slots=True)
class Span:
    """A series of percentages in three figures, over `days` days with data."""

    least: float
    most: float
    average: float
    days: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What CloudWatch holds of a cache's member nodes over a window of `days` days. None = no data, which is never 0 and never "met".

    hits, misses, evictions  sums over all members
    memory                   the fullest member of each hour, percent of its memory
    at                       Unix seconds of the window's end
    """

    days: float
    at: float
    hits: float | None = None
    misses: float | None = None
    evictions: float | None = None
    memory: Span | None = None

    @property
    def lookups(self) -> float | None:
        """Reads that either hit or missed."""
        return None if self.hits is None or self.misses is None else self.hits + self.misses

    @property
    def hit_percent(self) -> float | None:
        """Hits as a share of lookups: CacheHitRate itself is a percentage and cannot be averaged."""
        return 100.0 * self.hits / self.lookups if self.hits is not None and self.lookups else None


@dataclass(frozen=True, slots=True)
class CacheFacts:
    """A cache as it is, and what was measured of it.

    engine  its name alone: `redis` or `valkey`
    nodes   how many there are, primaries and replicas
    """

    node_type: str
    engine: str
    nodes: int
    region: str
    measured: Measured


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What counts as too small and too big.

    hit_percent     below it, with evictions, the data does not fit
    lookups         fewer say nothing about the hit rate
    memory_percent  a cache that stays below it for `memory_days` is too big
    room_percent    how full a smaller node may become at the most
    """

    hit_percent: float = 80.0
    lookups: float = 1_000.0
    memory_percent: float = 20.0
    memory_days: float = 3.0
    room_percent: float = 60.0


class Advised(StrEnum):
    """What is recommended."""

    BIGGER = "TooSmall"
    SMALLER = "TooBig"
    VALKEY = "CheaperEngine"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One change worth making.

    node_type, engine   what to change to; node_type "" = no bigger one is known
    monthly_change_usd  what a month costs more (less, where negative); None = unknown, `missing` names the price
    """

    advised: Advised
    reason: str
    node_type: str
    engine: str
    monthly_change_usd: Decimal | None = None
    missing: str = ""

    def as_status(self) -> dict[str, Any]:
        """An entry of `status.recommendations`; no `monthlyChangeUsd` = unknown."""
        told: dict[str, Any] = {"type": self.advised.value, "reason": self.reason, "engine": self.engine}
        if self.node_type:
            told["nodeType"] = self.node_type
        if self.monthly_change_usd is not None:
            told["monthlyChangeUsd"] = cents(self.monthly_change_usd)
        if self.missing:
            told["missing"] = self.missing
        return told


@dataclass(frozen=True, slots=True)
class Advice:
    """Recommendations, and what could not be judged for lack of data."""

    recommendations: tuple[Recommendation, ...] = ()
    unknown: tuple[str, ...] = ()


def advise(facts: CacheFacts, book: PriceBook, sizes: NodeSizes, thresholds: Thresholds | None = None) -> Advice:
    """What to change about a cache."""
    limits = thresholds or Thresholds()
    found = (_bigger(facts, book, sizes, limits), _smaller(facts, book, sizes, limits), _valkey(facts, book))
    return Advice(tuple(one for one in found if one is not None), tuple(_unknown(facts, sizes, limits)))


def _bigger(facts: CacheFacts, book: PriceBook, sizes: NodeSizes, limits: Thresholds) -> Recommendation | None:
    seen = facts.measured
    if seen.hit_percent is None or not seen.evictions or (seen.lookups or 0) < limits.lookups or seen.hit_percent >= limits.hit_percent:
        return None
    now, larger = sizes.of(facts.node_type), sizes.larger(facts.node_type)
    reason = (
        f"hit rate {seen.hit_percent:.1f} % of {seen.lookups:,.0f} lookups in {seen.days:g} days, under {limits.hit_percent:g} %, "
        f"with {seen.evictions:,.0f} evictions"
    )
    if now is None:
        return Recommendation(Advised.BIGGER, f"{reason}; the size of {facts.node_type} is not known", "", facts.engine, missing=f"size of {facts.node_type}")
    if larger is None:
        reason += f"; no bigger node than {facts.node_type} is known: add shards"
        return Recommendation(Advised.BIGGER, reason, "", facts.engine, missing="price of shards")
    reason += f": {now.memory:g} GiB a node are too few, {larger.name} has {larger.memory:g}"
    return _change(Advised.BIGGER, reason, facts, larger.name, facts.engine, book)


def _smaller(facts: CacheFacts, book: PriceBook, sizes: NodeSizes, limits: Thresholds) -> Recommendation | None:
    memory, evictions = facts.measured.memory, facts.measured.evictions
    # Evictions below a fifth of the memory come of a limit somebody set (maxmemory, reserved memory): a smaller node would not be cheaper for the same.
    if memory is None or evictions is None or evictions > 0 or not _long_enough(memory, limits) or memory.most >= limits.memory_percent:
        return None
    now, smaller = sizes.of(facts.node_type), sizes.smaller(facts.node_type)
    if now is None or smaller is None:
        return None
    then = memory.most * now.memory / smaller.memory
    if then > limits.room_percent:
        return None
    reason = (
        f"at most {memory.most:.1f} % of the memory used in {memory.days:.1f} days (average {memory.average:.1f} %, least {memory.least:.1f} %), under "
        f"{limits.memory_percent:g} %, and nothing evicted: {smaller.name} with {smaller.memory:g} instead of {now.memory:g} GiB would be {then:.1f} % full"
    )
    return _change(Advised.SMALLER, reason, facts, smaller.name, facts.engine, book)


def _valkey(facts: CacheFacts, book: PriceBook) -> Recommendation | None:
    if facts.engine != "redis":
        return None
    now, then = (_monthly(facts.node_type, engine, facts, book) for engine in ("redis", "valkey"))
    if now is None or then is None:
        reason = "Valkey is cheaper than Redis OSS on the same nodes"
    elif then < now:
        reason = f"Valkey costs {cents(then)} instead of {cents(now)} USD a month on the same {facts.nodes} nodes ({100 * (1 - then / now):.0f} % less)"
    else:
        return None
    return _change(Advised.VALKEY, reason, facts, facts.node_type, "valkey", book)


def _change(advised: Advised, reason: str, facts: CacheFacts, node_type: str, engine: str, book: PriceBook) -> Recommendation:
    now, then = _monthly(facts.node_type, facts.engine, facts, book), _monthly(node_type, engine, facts, book)
    if now is not None and then is not None:
        return Recommendation(advised, reason, node_type, engine, then - now)
    unpriced = [f"{name} ({what})" for name, what, usd in ((facts.node_type, facts.engine, now), (node_type, engine, then)) if usd is None]
    return Recommendation(advised, reason, node_type, engine, missing=f"no price of {' and '.join(unpriced)} in {facts.region}")


def _monthly(node_type: str, engine: str, facts: CacheFacts, book: PriceBook) -> Decimal | None:
    price = book.price(f"elasticache/node/{engine}", node_type, facts.region)
    return monthly(price, facts.nodes) if price is not None else None


def _unknown(facts: CacheFacts, sizes: NodeSizes, limits: Thresholds) -> Iterator[str]:
    seen = facts.measured
    if seen.lookups is None:
        yield f"hit rate: no data in {seen.days:g} days"
    elif seen.lookups < limits.lookups:
        yield f"hit rate: {seen.lookups:,.0f} lookups in {seen.days:g} days are too few"
    if seen.evictions is None:
        yield f"evictions: no data in {seen.days:g} days"
    if seen.memory is None:
        yield f"memory: no data in {seen.days:g} days"
    elif not _long_enough(seen.memory, limits):
        yield f"memory: {seen.memory.days:.1f} days of data, {limits.memory_days:g} are needed"
    if sizes.of(facts.node_type) is None:
        yield f"size: the memory of {facts.node_type} is not known"


def _long_enough(memory: Span, limits: Thresholds) -> bool:
    return memory.days >= limits.memory_days * _COMPLETE

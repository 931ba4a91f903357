"""The price book: what one unit of something costs, where, since when and how well known. Pure; `cost.data` reads the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

GLOBAL: Final = "global"
"""The region of what AWS prices the same wherever it is asked for (CloudFront)."""


class Per(StrEnum):
    """What a price is charged for."""

    HOUR = "hour"
    MONTH = "month"
    USE = "use"


@dataclass(frozen=True, slots=True)
class Price:
    """One unit's price.

    item     what is paid for (`elasticache/node/redis`); variant: which one (`cache.r7g.large`, `standard`)
    usd      US dollars a unit; None = billed by use at a price that is not known
    unit     in words
    check    known from one weak source only
    """

    item: str
    variant: str
    region: str
    per: Per
    unit: str
    usd: Decimal | None
    as_of: date
    source: str
    check: bool = False


@dataclass(frozen=True, slots=True)
class Derived:
    """An item priced as a share of another one, variant by variant, wherever the other's price is known."""

    item: str
    of: str
    factor: Decimal
    as_of: date
    source: str
    check: bool = False


PriceKey = tuple[str, str, str]
"""(item, variant, region)."""


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Every known price. What is not in it is unknown: never 0 and never a guess."""

    prices: Mapping[PriceKey, Price] = field(default_factory=dict)
    derived: Mapping[str, Derived] = field(default_factory=dict)
    free: frozenset[str] = frozenset()

    def price(self, item: str, variant: str, region: str) -> Price | None:
        """The price in a region, or the one that holds everywhere; an item's own price goes before a derived one."""
        for where in (region, GLOBAL):
            found = self.prices.get((item, variant, where))
            if found is not None:
                return found
        rule = self.derived.get(item)
        base = self.price(rule.of, variant, region) if rule is not None and rule.of != item else None
        if rule is None or base is None or base.usd is None:
            return None
        return replace(
            base,
            item=item,
            usd=base.usd * rule.factor,
            as_of=min(base.as_of, rule.as_of),
            source=f"{rule.factor:.0%} of {rule.of} ({rule.source})",
            check=base.check or rule.check,
        )

    def extended(self, other: PriceBook) -> PriceBook:
        """This book with everything that another one says instead or besides."""
        return PriceBook({**self.prices, **other.prices}, {**self.derived, **other.derived}, self.free | other.free)

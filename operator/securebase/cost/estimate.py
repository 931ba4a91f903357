"""From the nodes of a graph to what they cost a month: what is certain, what depends on use, and what nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from securebase.core.graph import Graph, Node, Role
from securebase.cost.book import Per, Price, PriceBook
from securebase.cost.charges import Charge, Unclear, charges_of

HOURS_A_MONTH: Final = Decimal(730)
"""As AWS's own calculator has it."""

_CENT: Final = Decimal("0.01")
_LISTED: Final = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One priced part: `quantity` units (node-hours, metrics, ...) a month at `price`."""

    resource: str
    quantity: Decimal
    price: Price
    usd: Decimal

    def as_document(self) -> dict[str, Any]:
        """For JSON: amounts as decimal text."""
        document = {"resource": self.resource, "item": self.price.item, "variant": self.price.variant, "quantity": plain(self.quantity)}
        document |= {"unit": self.price.unit, "unitUsd": plain(self.price.usd or Decimal(0)), "usd": cents(self.usd)}
        return document | _origin(self.price)


@dataclass(frozen=True, slots=True)
class Use:
    """One part that is billed by use: what a unit costs. Not in the total."""

    resource: str
    price: Price

    def as_document(self) -> dict[str, Any]:
        """For JSON; no `unitUsd` = unknown."""
        document: dict[str, Any] = {"resource": self.resource, "item": self.price.item, "variant": self.price.variant, "unit": self.price.unit}
        return document | ({"unitUsd": plain(self.price.usd)} if self.price.usd is not None else {}) | _origin(self.price)


@dataclass(frozen=True, slots=True)
class Missing:
    """One part whose price is unknown."""

    resource: str
    what: str

    def __str__(self) -> str:
        return f"{self.resource}: {self.what}"


_REST: Final = Missing("(others)", "what there is besides is known once the first resources exist")


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is known of a month's cost."""

    lines: tuple[Line, ...] = ()
    uses: tuple[Use, ...] = ()
    missing: tuple[Missing, ...] = ()

    @property
    def monthly_usd(self) -> Decimal | None:
        """The sum of what is certain, in cents: a lower bound where something is missing or billed by use. None = nothing is known; 0 = all is free."""
        if not self.lines and (self.missing or self.uses):
            return None
        return sum((line.usd for line in self.lines), Decimal(0)).quantize(_CENT, ROUND_HALF_UP)

    @property
    def as_of(self) -> date | None:
        """Date of the oldest price in the sum."""
        return min((line.price.as_of for line in self.lines), default=None)

    @property
    def to_check(self) -> tuple[str, ...]:
        """Items in the sum that stand on one weak source."""
        return tuple(sorted({f"{line.price.item} {line.price.variant}" for line in self.lines if line.price.check}))

    def as_status(self) -> dict[str, Any]:
        """`status.cost`: no `monthlyUsd` = unknown; `missing` names what is not in it, the first twenty."""
        told: dict[str, Any] = {}
        if self.monthly_usd is not None:
            told["monthlyUsd"] = cents(self.monthly_usd)
        if self.as_of is not None:
            told["asOf"] = self.as_of.isoformat()
        if self.missing:
            told["missing"] = [str(one) for one in self.missing[:_LISTED]]
        if self.uses:
            told["byUse"] = sorted({use.price.item for use in self.uses})[:_LISTED]
        return told

    def as_document(self) -> dict[str, Any]:
        """For JSON: everything."""
        whole = {"monthlyUsd": cents(self.monthly_usd)} if self.monthly_usd is not None else {"monthlyUsd": None}
        return {
            **whole,
            "asOf": self.as_of.isoformat() if self.as_of else None,
            "lines": [line.as_document() for line in self.lines],
            "byUse": [use.as_document() for use in self.uses],
            "missing": [{"resource": one.resource, "what": one.what} for one in self.missing],
            "check": list(self.to_check),
        }


def estimate(nodes: Iterable[Node], region: str, book: PriceBook) -> Estimate:
    """What the nodes of one object cost a month. `region`: where those live that name none. What is somebody else's, and tasks, are not the object's cost."""
    lines: list[Line] = []
    uses: list[Use] = []
    missing: list[Missing] = []
    for node in nodes:
        if node.role is Role.EXTERNAL or node.task or node.type in book.free:
            continue
        charged = charges_of(node)
        for charge in (Unclear(f"nothing is known of the cost of {node.type}"),) if charged is None else charged:
            match _priced(node.id, charge, node.region or region, book):
                case Line() as line:
                    lines.append(line)
                case Use() as use:
                    uses.append(use)
                case Missing() as one:
                    missing.append(one)
    return Estimate(tuple(lines), tuple(uses), tuple(missing))


def estimate_graph(graph: Graph, region: str, book: PriceBook) -> Estimate:
    """What an object costs a month; of a graph that is not complete as far as it goes, and it says so."""
    found = estimate(graph, region, book)
    return found if graph.complete else together((found, Estimate(missing=(_REST,))))


def together(estimates: Iterable[Estimate]) -> Estimate:
    """Several objects' estimates as one."""
    every = tuple(estimates)
    return Estimate(
        tuple(line for one in every for line in one.lines),
        tuple(use for one in every for use in one.uses),
        tuple(what for one in every for what in one.missing),
    )


def monthly(price: Price, count: int) -> Decimal | None:
    """What `count` units cost a month; None where that depends on use or the price is unknown."""
    match price.per:
        case Per.HOUR if price.usd is not None:
            return price.usd * count * HOURS_A_MONTH
        case Per.MONTH if price.usd is not None:
            return price.usd * count
        case _:
            return None


def _priced(resource: str, charge: Charge | Unclear, region: str, book: PriceBook) -> Line | Use | Missing:
    if isinstance(charge, Unclear):
        return Missing(resource, charge.what)
    price = book.price(charge.item, charge.variant, region)
    if price is None:
        return Missing(resource, f"no price of {charge.item} {charge.variant} in {region or 'an unknown region'}")
    usd = monthly(price, charge.count)
    if usd is None:
        return Use(resource, price)
    quantity = Decimal(charge.count) * (HOURS_A_MONTH if price.per is Per.HOUR else 1)
    return Line(resource, quantity, price, usd)


def _origin(price: Price) -> dict[str, Any]:
    return {"asOf": price.as_of.isoformat(), "source": price.source} | ({"check": True} if price.check else {})


def cents(amount: Decimal) -> str:
    """An amount of dollars to the cent: `-54.75`."""
    return str(amount.quantize(_CENT, ROUND_HALF_UP))


def plain(number: Decimal) -> str:
    """A number without exponent and without trailing zeros: `0.1752`, `1460`."""
    return f"{number.normalize():f}"

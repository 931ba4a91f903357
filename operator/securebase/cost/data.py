"""Reads price books and size tables: the ones that are shipped, and files of the same format that override or extend them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from securebase.cost.book import Derived, Per, Price, PriceBook
from securebase.cost.sizes import Family, NodeSizes


class InvalidData(ValueError):
    """A file that is no price book or size table; the message names it and what is wrong."""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class _PriceListQuery(_Document):
    """How to find a tariff again with the Price List API: GetProducts of a service, and the attribute that names the variant."""

    service_code: str
    filters: dict[str, str] = Field(default_factory=dict)
    variant: str = ""


class _Tariff(_Document):
    item: Annotated[str, Field(min_length=1)]
    region: Annotated[str, Field(min_length=1)]
    per: Per
    unit: str
    as_of: date
    source: str
    confidence: Literal["confirmed", "check"] = "confirmed"
    confirmed: frozenset[str] = frozenset()
    price_list: _PriceListQuery | None = None
    usd: dict[str, Annotated[Decimal, Field(gt=0)] | None]


class _Derived(_Document):
    item: str
    of: str
    factor: Annotated[Decimal, Field(gt=0)]
    as_of: date
    source: str
    confidence: Literal["confirmed", "check"] = "confirmed"


class _Book(_Document):
    currency: Literal["USD"] = "USD"
    tariffs: tuple[_Tariff, ...] = ()
    derived: tuple[_Derived, ...] = ()
    free: frozenset[str] = frozenset()


class _Family(_Document):
    memory_gib: dict[str, Annotated[float, Field(gt=0)]] = Field(alias="memoryGiB")
    larger: str = ""
    smaller: str = ""


class _Sizes(_Document):
    as_of: date
    source: str
    families: dict[str, _Family]


Document = TypeVar("Document", bound=_Document)


def shipped_book() -> PriceBook:
    """The price book of this version."""
    return parse_book(_shipped("prices.yaml"), "prices.yaml")


def book_with(path: str) -> PriceBook:
    """The shipped price book, with what a file says instead or besides; "" = no such file."""
    if not path:
        return shipped_book()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidData(f"{path}: {error.strerror if isinstance(error, OSError) else 'is no UTF-8 text'}") from None
    return shipped_book().extended(parse_book(text, path))


def shipped_sizes() -> NodeSizes:
    """The node sizes of this version."""
    return parse_sizes(_shipped("node_sizes.yaml"), "node_sizes.yaml")


def parse_book(text: str, name: str) -> PriceBook:
    """A price book from YAML or JSON; `name` is what an InvalidData calls it."""
    document = _read(_Book, text, name)
    prices = {}
    for tariff in document.tariffs:
        for variant, usd in tariff.usd.items():
            if usd is None and tariff.per is not Per.USE:
                raise InvalidData(f"{name}: {tariff.item} {variant}: only what is billed by use may have an unknown price; leave it out instead")
            check = tariff.confidence == "check" and variant not in tariff.confirmed
            key = (tariff.item, variant, tariff.region)
            prices[key] = Price(tariff.item, variant, tariff.region, tariff.per, tariff.unit, usd, tariff.as_of, tariff.source, check)
    derived = {rule.item: Derived(rule.item, rule.of, rule.factor, rule.as_of, rule.source, rule.confidence == "check") for rule in document.derived}
    return PriceBook(prices, derived, document.free)


def parse_sizes(text: str, name: str) -> NodeSizes:
    """A table of node sizes from YAML or JSON."""
    document = _read(_Sizes, text, name)
    return NodeSizes({family: Family(family, said.memory_gib, said.larger, said.smaller) for family, said in document.families.items()})


def _shipped(name: str) -> str:
    return resources.files("securebase.cost").joinpath(name).read_text(encoding="utf-8")


def _read(model: type[Document], text: str, name: str) -> Document:
    try:
        content: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidData(f"{name}: neither YAML nor JSON: {error}") from None
    try:
        return model.model_validate(content if content is not None else {})
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        told = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems[:5])
        raise InvalidData(f"{name}: {told}") from None

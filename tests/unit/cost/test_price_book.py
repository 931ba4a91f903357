"""The price book: what is in it is dated and sourced, what is not in it is unknown, and a file may say otherwise."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from securebase.cost.book import Per, PriceBook
from securebase.cost.data import InvalidData, book_with, parse_book, shipped_book, shipped_sizes

REDIS, VALKEY = "elasticache/node/redis", "elasticache/node/valkey"


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return shipped_book()


def test_every_price_is_positive_dated_and_sourced(book: PriceBook) -> None:
    assert len(book.prices) > 100
    for price in book.prices.values():
        assert price.usd is None or price.usd > 0
        assert price.usd is not None or price.per is Per.USE
        assert price.as_of >= date(2026, 8, 1)
        assert price.source


@pytest.mark.parametrize(
    ("item", "variant", "region", "usd"),
    [
        (REDIS, "cache.t4g.micro", "us-east-1", "0.016"),
        (REDIS, "cache.r7g.large", "us-east-1", "0.219"),
        (VALKEY, "cache.r7g.large", "us-east-1", "0.1752"),
        (VALKEY, "cache.r8g.large", "us-east-1", "0.1756"),
        ("cloudwatch/alarm", "standard", "us-east-1", "0.10"),
        ("cloudwatch/alarm", "high-resolution", "us-east-1", "0.30"),
        ("cloudfront/additional-metrics", "standard", "eu-central-1", "2.40"),
    ],
)
def test_known_prices(book: PriceBook, item: str, variant: str, region: str, usd: str) -> None:
    price = book.price(item, variant, region)
    assert price is not None
    assert price.usd == Decimal(usd)


@pytest.mark.parametrize(
    ("item", "variant", "region"),
    [
        (REDIS, "cache.r99.large", "us-east-1"),
        (REDIS, "cache.r7g.large", "mars-north-1"),
        (VALKEY, "cache.r7g.large", "mars-north-1"),
        (REDIS, "cache.r8g.large", "us-east-1"),
        ("elasticache/node/memcached", "cache.r7g.large", "us-east-1"),
        ("cloudwatch/alarm", "standard", "eu-central-1"),
    ],
)
def test_what_is_not_in_it_is_unknown(book: PriceBook, item: str, variant: str, region: str) -> None:
    assert book.price(item, variant, region) is None


def test_what_stands_on_one_source_is_marked(book: PriceBook) -> None:
    firm, weak = book.price(REDIS, "cache.r7g.large", "us-east-1"), book.price(REDIS, "cache.r7g.xlarge", "us-east-1")
    assert firm is not None and not firm.check
    assert weak is not None and weak.check
    derived = book.price(VALKEY, "cache.r7g.xlarge", "us-east-1")
    assert derived is not None and derived.check
    assert "80% of elasticache/node/redis" in derived.source


def test_a_file_overrides_and_extends(book: PriceBook) -> None:
    other = parse_book(
        """
        tariffs:
          - {item: elasticache/node/redis, region: eu-central-1, per: hour, unit: hour, asOf: 2026-11-01, source: us, usd: {cache.r7g.large: 0.25}}
          - {item: cloudwatch/alarm, region: us-east-1, per: month, unit: metric, asOf: 2026-11-01, source: us, usd: {standard: 0.05}}
        free: [our/thing]
        """,
        "ours.yaml",
    )
    both = book.extended(other)
    alarm, there = both.price("cloudwatch/alarm", "standard", "us-east-1"), both.price(VALKEY, "cache.r7g.large", "eu-central-1")
    assert alarm is not None and alarm.usd == Decimal("0.05")
    assert there is not None and there.usd == Decimal("0.2"), "the derived price follows in every region"
    assert there.as_of == date(2026, 10, 2), "the older of the two dates"
    assert both.price("cloudwatch/alarm", "high-resolution", "us-east-1") == book.price("cloudwatch/alarm", "high-resolution", "us-east-1")
    assert both.free == book.free | {"our/thing"}


TARIFF = "{item: a, region: r, per: month, unit: u, asOf: 2026-11-01, source: s, usd: {standard: %s}}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"tariffs: [{TARIFF % '-1'}]", "greater than 0"),
        (f"tariffs: [{TARIFF % '0'}]", "greater than 0"),
        (f"tariffs: [{TARIFF % 'null'}]", "only what is billed by use may have an unknown price"),
        (f"tariffs: [{(TARIFF % '1').replace('month', 'week')}]", "per"),
        ("prices: []", "prices"),
        ("currency: EUR", "currency"),
        ("{", "neither YAML nor JSON"),
    ],
)
def test_a_file_that_is_no_price_book_is_refused_by_name(text: str, told: str) -> None:
    with pytest.raises(InvalidData, match=r"ours\.yaml: .*") as refused:
        parse_book(text, "ours.yaml")
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("node_type", "larger", "smaller"),
    [
        ("cache.t4g.micro", "cache.t4g.small", None),
        ("cache.t4g.medium", "cache.m7g.large", "cache.t4g.small"),
        ("cache.m7g.large", "cache.m7g.xlarge", None),
        ("cache.m7g.16xlarge", "cache.r7g.12xlarge", "cache.m7g.12xlarge"),
        ("cache.r7g.large", "cache.r7g.xlarge", "cache.m7g.large"),
        ("cache.r6g.4xlarge", "cache.r6g.8xlarge", "cache.r6g.2xlarge"),
        ("cache.r7g.16xlarge", None, "cache.r7g.12xlarge"),
        ("cache.x1.large", None, None),
        ("db.r7g.large", None, None),
        ("cache.r7g", None, None),
        ("", None, None),
    ],
)
def test_neighbours_of_a_node_type(node_type: str, larger: str | None, smaller: str | None) -> None:
    sizes = shipped_sizes()
    up, down = sizes.larger(node_type), sizes.smaller(node_type)
    assert (up.name if up else None, down.name if down else None) == (larger, smaller)


def test_sizes_rise_within_a_family() -> None:
    for family in shipped_sizes().families.values():
        memory = list(family.memory.values())
        assert memory == sorted(memory)
        assert all(one in shipped_sizes().families for one in (family.larger, family.smaller) if one)


def test_the_book_of_the_page_is_one() -> None:
    page = (Path(__file__).parents[3] / "docs" / "costs.md").read_text()
    blocks = [block.split("```")[0] for block in page.split("```yaml\n")[1:]]
    [book] = [parse_book(block, "docs/costs.md") for block in blocks if "tariffs:" in block]
    price = book.price(VALKEY, "cache.r7g.large", "eu-central-1")
    assert price is not None and price.usd == Decimal("0.2")
    assert all(yaml.safe_load(block) for block in blocks)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "No such file"),
        ("tariffs:\n  - {item: x\nfree: []", "line 3"),
        ("tariffs:\n  - item: elasticache/node/redis\n    region: us-east-1", "tariffs.0.per"),
    ],
)
def test_a_broken_file_is_told_by_name_and_place(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "prices.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidData) as refused:
        book_with(str(path))
    assert str(path) in str(refused.value) and told in str(refused.value)


def test_without_a_file_the_book_is_the_shipped_one(book: PriceBook) -> None:
    assert book_with("") == book

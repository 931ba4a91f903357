"""Recommendations: only from measured facts, with their figures and the price of the change."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securebase.cost.advice import Advice, Advised, CacheFacts, Measured, Span, Thresholds, advise
from securebase.cost.data import shipped_book, shipped_sizes

BOOK, SIZES = shipped_book(), shipped_sizes()
WELL = Measured(3.0, 1_700_000_000, hits=95_000, misses=5_000, evictions=0, memory=Span(40, 60, 50, 3.0))


def advised(node_type: str = "cache.r7g.large", engine: str = "valkey", nodes: int = 2, region: str = "us-east-1", **measured: Any) -> Advice:
    return advise(CacheFacts(node_type, engine, nodes, region, replace(WELL, **measured)), BOOK, SIZES)


def test_a_cache_that_does_well_is_left_alone() -> None:
    assert advised() == Advice()


def test_misses_with_evictions_ask_for_the_next_size() -> None:
    [one] = advised(hits=60_000, misses=40_000, evictions=1_234).recommendations
    assert (one.advised, one.node_type, one.engine) == (Advised.BIGGER, "cache.r7g.xlarge", "valkey")
    # 2 nodes x 730 h x 0.8 x (0.437 - 0.219)
    assert one.monthly_change_usd == Decimal("254.6240")
    assert one.reason == (
        "hit rate 60.0 % of 100,000 lookups in 3 days, under 80 %, with 1,234 evictions: 13.07 GiB a node are too few, cache.r7g.xlarge has 26.32"
    )
    assert one.as_status() == {
        "type": "TooSmall",
        "reason": one.reason,
        "engine": "valkey",
        "nodeType": "cache.r7g.xlarge",
        "monthlyChangeUsd": "254.62",
    }


@pytest.mark.parametrize(
    "measured",
    [
        {"evictions": 0},
        {"evictions": None},
        {"hits": 80_000, "misses": 20_000},
        {"hits": None},
        {"hits": 0.0, "misses": 0.0},
        {"hits": 10, "misses": 90},
    ],
    ids=["nothing evicted", "evictions unknown", "at the target", "hits unknown", "no lookups", "too few lookups"],
)
def test_no_bigger_node_without_both_signs(measured: dict[str, Any]) -> None:
    assert advised(**({"hits": 60_000, "misses": 40_000, "evictions": 10} | measured)).recommendations == ()


def test_the_biggest_node_gets_shards() -> None:
    [one] = advised("cache.r7g.16xlarge", hits=60_000, misses=40_000, evictions=10).recommendations
    assert (one.node_type, one.monthly_change_usd) == ("", None)
    assert "add shards" in one.reason


def test_an_empty_cache_asks_for_the_next_smaller_size() -> None:
    [one] = advised(memory=Span(2.0, 12.4, 7.1, 3.0)).recommendations
    assert (one.advised, one.node_type) == (Advised.SMALLER, "cache.m7g.large")
    assert one.monthly_change_usd == Decimal("-71.248")
    assert "at most 12.4 % of the memory used in 3.0 days (average 7.1 %, least 2.0 %), under 20 %" in one.reason
    assert "25.4 % full" in one.reason


@pytest.mark.parametrize(
    "measured",
    [
        {"memory": Span(2, 20, 5, 3.0)},
        {"memory": Span(2, 5, 3, 2.5)},
        {"memory": None},
        {"memory": Span(2, 5, 3, 3.0), "evictions": 1},
        {"memory": Span(2, 5, 3, 3.0), "evictions": None},
    ],
    ids=["not under the bound", "not for long enough", "no data", "evictions", "evictions unknown"],
)
def test_no_smaller_node_without_proof(measured: dict[str, Any]) -> None:
    assert advised(**measured).recommendations == ()


def test_no_smaller_node_that_would_be_full() -> None:
    facts = CacheFacts("cache.t4g.small", "valkey", 1, "us-east-1", replace(WELL, memory=Span(1, 19, 10, 3.0)))
    assert advise(facts, BOOK, SIZES, Thresholds(room_percent=50)).recommendations == ()
    assert [one.node_type for one in advise(facts, BOOK, SIZES).recommendations] == ["cache.t4g.micro"]


def test_redis_is_told_what_valkey_saves() -> None:
    [one] = advised(engine="redis").recommendations
    assert (one.advised, one.node_type, one.engine, one.monthly_change_usd) == (Advised.VALKEY, "cache.r7g.large", "valkey", Decimal("-63.948"))
    assert one.reason == "Valkey costs 255.79 instead of 319.74 USD a month on the same 2 nodes (20 % less)"


def test_an_unknown_price_stays_unknown() -> None:
    found = advised(engine="redis", region="mars-north-1", hits=60_000, misses=40_000, evictions=10).recommendations
    assert [one.monthly_change_usd for one in found] == [None, None]
    assert found[0].missing == "no price of cache.r7g.large (redis) and cache.r7g.xlarge (redis) in mars-north-1"
    assert all("monthlyChangeUsd" not in one.as_status() for one in found)


def test_an_unknown_size_proposes_nothing() -> None:
    found = advised("cache.r99.large", hits=60_000, misses=40_000, evictions=10, memory=Span(1, 2, 1, 3.0))
    assert [(one.advised, one.node_type, one.missing) for one in found.recommendations] == [(Advised.BIGGER, "", "size of cache.r99.large")]
    assert found.unknown == ("size: the memory of cache.r99.large is not known",)


def test_no_data_is_said() -> None:
    assert advise(CacheFacts("cache.r7g.large", "valkey", 2, "us-east-1", Measured(3.0, 0)), BOOK, SIZES).unknown == (
        "hit rate: no data in 3 days",
        "evictions: no data in 3 days",
        "memory: no data in 3 days",
    )
    assert advised(hits=9.0, misses=1.0, memory=Span(1, 2, 1, 1.0)).unknown == (
        "hit rate: 10 lookups in 3 days are too few",
        "memory: 1.0 days of data, 3 are needed",
    )


COUNTS = st.one_of(st.none(), st.floats(0, 1e12))
PERCENT = st.floats(0, 100)
SPANS = st.one_of(st.none(), st.builds(lambda a, b, c, d: Span(min(a, b), max(a, b), c, d), PERCENT, PERCENT, PERCENT, st.floats(0, 3)))


@given(COUNTS, COUNTS, COUNTS, SPANS, st.sampled_from(["redis", "valkey"]), st.sampled_from(["cache.r7g.large", "cache.t3.micro", "cache.r99.large"]))
def test_bigger_and_smaller_exclude_each_other(
    hits: float | None, misses: float | None, evictions: float | None, memory: Span | None, engine: str, node_type: str
) -> None:
    found = advise(CacheFacts(node_type, engine, 3, "us-east-1", Measured(3.0, 0, hits, misses, evictions, memory)), BOOK, SIZES)
    kinds = [one.advised for one in found.recommendations]
    assert not {Advised.BIGGER, Advised.SMALLER} <= set(kinds)
    for one in found.recommendations:
        assert (one.monthly_change_usd is None) == bool(one.missing)
        if one.advised is not Advised.BIGGER and one.monthly_change_usd is not None:
            assert one.monthly_change_usd < 0

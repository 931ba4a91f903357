"""What an object costs: told with its status, and again only when the spec or a price changes. A broken price book is told at start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from securebase.app import build
from securebase.cost.book import PriceBook
from securebase.settings import Settings
from securebase.telemetry.redaction import Redactor
from tests.unit.core.fake import ThingDriver
from tests.unit.runtime.test_restarts import Cluster, Life

FREE = PriceBook(free=frozenset({ThingDriver.type}))


def version(life: Life) -> int:
    return int(life.cluster.body["metadata"]["resourceVersion"])


def series(life: Life) -> list[str]:
    text = life.reconciler.effects.metrics.exposition().decode()
    return [line for line in text.splitlines() if line.startswith("securebase_cost_monthly_usd{")]


def restart(life: Life, book: PriceBook) -> None:
    life.restart()
    life.reconciler = replace(life.reconciler, book=book)


def test_what_is_unknown_is_named_and_has_no_series() -> None:
    life = Life(Cluster(2))
    life.run()
    assert [what.partition(":")[0] for what in life.cluster.status["cost"]["missing"]] == ["member-0000", "member-0001"]
    assert series(life) == []


def test_the_same_cost_is_not_written_again() -> None:
    life = Life(Cluster(2))
    restart(life, FREE)
    life.run()
    assert life.cluster.status["cost"] == {"monthlyUsd": "0.00"}
    before = version(life)
    life.run()
    restart(life, FREE)
    outcome = life.run()
    assert outcome is not None and outcome.name == "taken_up"
    assert version(life) == before and series(life) == ['securebase_cost_monthly_usd{kind="Crowd",name="one",namespace="team"} 0.0']


def test_new_prices_are_told_after_a_restart_with_one_write() -> None:
    life = Life(Cluster(2))
    life.run()
    before, resources = version(life), life.cluster.status["resources"]
    restart(life, FREE)
    outcome = life.run()
    assert outcome is not None and outcome.name == "taken_up"
    assert life.cluster.status["cost"] == {"monthlyUsd": "0.00"} and life.cluster.status["resources"] == resources
    assert version(life) == before + 1 and len(series(life)) == 1


def test_a_broken_price_book_ends_the_start_with_its_name_and_place(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("tariffs:\n  - item: elasticache/node/redis\n    region: us-east-1\n")
    with pytest.raises(SystemExit) as ended:
        build(Settings(price_book=str(path)), Redactor())
    assert str(path) in str(ended.value) and "tariffs.0.per" in str(ended.value)

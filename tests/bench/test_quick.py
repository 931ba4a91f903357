"""Every bench still runs, in a small size; counts hold at any size, times are not looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.__main__ import QUICK_DEPLOY, QUICK_OBJECTS, benches
from bench.results import Figure, percentile, write
from bench.stage import Stage

BENCHES = benches(QUICK_OBJECTS, quick=True)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage(deploy_seconds=QUICK_DEPLOY) as stage:
        yield stage


@pytest.mark.parametrize("name", BENCHES)
def test_a_small_run_gives_figures_and_keeps_every_count(name: str, stage: Stage, tmp_path: Path) -> None:
    figures = BENCHES[name](stage)
    document = json.loads(write(name, figures, tmp_path).read_text())
    assert document.keys() == {"bench", "versions", "figures"} and document["bench"] == name
    assert document["versions"].keys() == {"python", "boto3", "kopf", "kubernetes", "operator"}
    assert all(figure.keys() == {"name", "value", "unit", "goal"} for figure in document["figures"])
    counted = [figure for figure in figures if figure.goal and figure.unit in ("writes", "calls", "commands")]
    assert all(figure.met() for figure in counted), counted


def test_a_goal_is_met_or_missed_by_its_own_sign() -> None:
    assert Figure("a", 12, "writes", "<= 12").met() and not Figure("a", 13, "writes", "<= 12").met()
    assert not Figure("a", 300, "ms", "< 300").met() and Figure("a", 0.9, "ratio", ">= 0.9").met()
    assert Figure("a", 0, "calls", "== 0").met() and Figure("a", 5, "s").met()


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 0.95) == 95.0
    assert percentile([7.0], 0.95) == 7.0

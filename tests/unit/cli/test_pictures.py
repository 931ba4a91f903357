"""The pictures in the documentation: there, small, shown, and made of data that is the same each time."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hack.pictures import HOURS, INCIDENT, SEED, SHAPES, readings

ROOT = Path(__file__).parents[3]
PICTURES = ROOT / "docs" / "pictures"


@pytest.mark.parametrize("name", ["performance", "uptime"])
def test_a_picture_is_there_small_and_shown(name: str) -> None:
    path = PICTURES / f"{name}.png"
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert 20_000 < path.stat().st_size < 300_000
    assert f"](../pictures/{name}.png)" in (ROOT / "docs" / "kinds" / "perfalarmset.md").read_text()


def test_the_readme_shows_what_will_be_watched() -> None:
    assert "](docs/pictures/performance.png)" in (ROOT / "README.md").read_text()


def test_the_data_is_the_same_each_time() -> None:
    once, again = ([list(readings(shape, random.Random(SEED))) for shape in SHAPES.values()] for _ in range(2))
    assert once == again


def test_something_happens_at_the_end() -> None:
    latency = [sum(datum["Values"]) / len(datum["Values"]) for datum in readings(SHAPES["Latency"], random.Random(SEED))]
    assert len(latency) == HOURS * 60
    assert min(latency[INCIDENT.start :]) > max(latency[: INCIDENT.start])

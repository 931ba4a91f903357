"""Figures, the versions they were measured with, and the file they are written to."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from securebase import __version__

RESULTS = Path(__file__).parent / "results"
_LIBRARIES = ("boto3", "kopf", "kubernetes")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. `goal` is what it must reach ("<= 12"), empty where it is only reported."""

    name: str
    value: float
    unit: str
    goal: str = ""

    def met(self) -> bool:
        """Whether the goal is reached; what has none is."""
        if not self.goal:
            return True
        sign, bound = self.goal.split()
        limit = float(bound)
        return {"<": self.value < limit, "<=": self.value <= limit, ">=": self.value >= limit, "==": self.value == limit}[sign]


def versions() -> dict[str, str]:
    """Of everything that decides a figure."""
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}, "operator": __version__}


def write(bench: str, figures: Sequence[Figure], directory: Path = RESULTS) -> Path:
    """`<directory>/<bench>.json`."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{bench}.json"
    document = {"bench": bench, "versions": versions(), "figures": [asdict(figure) for figure in figures]}
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]

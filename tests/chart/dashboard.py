"""The chart's Grafana dashboards as data: its panels, what each asks of Prometheus, and with which variables."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).parents[2] / "charts" / "securebase-operator" / "files" / "dashboards" / "securebase-operator.json"

RATE_WINDOW = "5m"
_RANGE = "1h"


@dataclass(frozen=True, slots=True)
class Query:
    """One target of a panel; `expression` as Prometheus gets it."""

    panel: str
    expression: str
    legend: str

    def __str__(self) -> str:
        return f"{self.panel}: {self.expression}"


def dashboard() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def boards() -> list[Mapping[str, Any]]:
    """Every dashboard of the chart."""
    return [json.loads(path.read_text()) for path in sorted(DASHBOARD.parent.glob("*.json"))]


def all_queries() -> list[Query]:
    """Every target of every panel of every dashboard."""
    return [query for board in boards() for query in queries(board)]


def panels(board: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All that show something; rows are headings."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(board: Mapping[str, Any], rate_window: str = RATE_WINDOW) -> list[Query]:
    """Every target of every panel, with all values of every variable chosen. A variable that nobody defines is a KeyError."""
    values = {variable["name"]: variable["allValue"] for variable in board["templating"]["list"] if variable["type"] == "query"}
    values |= {"__rate_interval": rate_window, "__range": _RANGE}

    def interpolated(expression: str) -> str:
        return re.sub(r"\$\{?(\w+)\}?", lambda found: values[found[1]], expression)

    return [Query(panel["title"], interpolated(target["expr"]), target.get("legendFormat", "")) for panel in panels(board) for target in panel["targets"]]

"""The chart's Grafana dashboard as data: its panels, what each asks of Prometheus, and with which variables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).parents[2] / "charts" / "securebase-operator" / "files" / "dashboards" / "securebase-operator.json"

RATE_WINDOW = "5m"
_OF_GRAFANA = {"__rate_interval": RATE_WINDOW, "__range": "1h"}
_EVERYTHING = ".*"
"""What Grafana puts in for a variable of which all values are chosen (`allValue`)."""


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


def panels(board: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """All that show something; rows are headings."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(board: Mapping[str, Any], rate_window: str = RATE_WINDOW) -> Iterator[Query]:
    """Every target of every panel. A variable that the dashboard does not define is a KeyError."""
    values = {variable["name"]: variable["allValue"] for variable in board["templating"]["list"] if variable["type"] == "query"}
    values |= {**_OF_GRAFANA, "__rate_interval": rate_window}
    for panel in panels(board):
        for target in panel["targets"]:
            expression = re.sub(r"\$\{?(\w+)\}?", lambda found: values[found[1]], target["expr"])
            yield Query(panel["title"], expression, target.get("legendFormat", ""))

"""CloudWatch dashboards: widgets on a grid of 24 columns, and their body as PutDashboard takes it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from securebase.core.fields import Impact, managed

WIDGETS: Final = 500
METRICS_A_WIDGET: Final = 500
METRICS: Final = 2_500
"""Limits of a dashboard (CloudWatch User Guide, "CloudWatch service quotas")."""


@dataclass(frozen=True, slots=True)
class Widget:
    """One widget. `properties`: canonical JSON; text in it may hold references."""

    id: str
    type: str
    x: int
    y: int
    width: int
    height: int
    properties: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard. Its name is the account's alone, in whatever region. Attributes: `name`, `arn`.

    Everything beside the widgets (variables, the time range, how periods adapt) is whoever's who set it.

    A widget has no name in CloudWatch: what is read is matched with what is wanted by place, so that a difference names the widget.
    """

    name: str = managed(impact=Impact.REPLACE)
    widgets: tuple[Widget, ...] = managed(key="id", default=())


def body(dashboard: Dashboard, there: str = "") -> str:
    """The body of PutDashboard, which replaces the whole: the widgets over the body as it was read."""
    whole = {**parsed(there), "widgets": [_widget(widget) for widget in dashboard.widgets]}
    return json.dumps(whole, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def parsed(body: str) -> Mapping[str, Any]:
    """What a body holds; nothing where it is none."""
    try:
        whole = json.loads(body)
    except ValueError:
        return {}
    return whole if isinstance(whole, dict) else {}


def _widget(widget: Widget) -> dict[str, Any]:
    place = {"type": widget.type, "x": widget.x, "y": widget.y, "width": widget.width, "height": widget.height}
    return place | {"properties": json.loads(widget.properties)}


def problems(dashboard: Dashboard) -> Iterator[str]:
    """What CloudWatch would refuse or not show."""
    if len(dashboard.widgets) > WIDGETS:
        yield f"{len(dashboard.widgets)} widgets; a dashboard has at most {WIDGETS}"
    counts = {widget.id: len(json.loads(widget.properties).get("metrics") or ()) for widget in dashboard.widgets}
    if over := [name for name, count in counts.items() if count > METRICS_A_WIDGET]:
        yield f"more than {METRICS_A_WIDGET} metrics in {', '.join(over)}"
    if sum(counts.values()) > METRICS:
        yield f"{sum(counts.values())} metrics; a dashboard has at most {METRICS}"

"""Widgets on dashboards: within CloudWatch's limits, side by side, and on a further dashboard when one is full."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from securebase.resources.cloudwatch.dashboard_model import METRICS, METRICS_A_WIDGET, WIDGETS, Widget

ALARMS_A_WIDGET: Final = 100
"""Dashboard body structure, "Properties of an Alarm Widget Object"."""

COLUMNS: Final = 24


@dataclass(frozen=True, slots=True)
class Draft:
    """A widget without its place.

    many   the property that may have to be split over several widgets: `metrics` or `alarms`, and
    items  what stands there
    """

    id: str
    type: str
    title: str
    properties: dict[str, Any] = field(default_factory=dict)
    many: str = ""
    items: tuple[Any, ...] = ()
    width: int = 12
    height: int = 6

    @property
    def metrics(self) -> int:
        """How many count towards the dashboard's limit."""
        return len(self.items) if self.many == "metrics" else 0


def laid_out(drafts: Sequence[Draft]) -> Iterator[tuple[Widget, ...]]:
    """One tuple of placed widgets for each dashboard that is needed."""
    page: list[Draft] = []
    for draft in (part for whole in drafts for part in _parts(whole)):
        if page and (len(page) == WIDGETS or sum(one.metrics for one in page) + draft.metrics > METRICS):
            yield tuple(_placed(page))
            page = []
        page.append(draft)
    if page:
        yield tuple(_placed(page))


def _parts(draft: Draft) -> Iterator[Draft]:
    """The draft, or several where it has too many items for one. What an expression needs stays together: a draft with one is not split."""
    most = ALARMS_A_WIDGET if draft.many == "alarms" else METRICS_A_WIDGET
    if len(draft.items) <= most:
        yield draft
        return
    runs = [draft.items[at : at + most] for at in range(0, len(draft.items), most)]
    for number, run in enumerate(runs, 1):
        id = draft.id if number == 1 else f"{draft.id}-{number}"
        yield replace(draft, id=id, title=f"{draft.title} ({number} of {len(runs)})", items=run)


def _placed(drafts: Sequence[Draft]) -> Iterator[Widget]:
    """From left to right; a row is as high as its highest widget."""
    x = y = height = 0
    for draft in drafts:
        if x + draft.width > COLUMNS:
            x, y, height = 0, y + height, 0
        yield Widget(draft.id, draft.type, x, y, draft.width, draft.height, _properties(draft))
        x, height = x + draft.width, max(height, draft.height)


def _properties(draft: Draft) -> str:
    """Canonical, so that equal ones are equal text; references in it stay what they are."""
    told = {**draft.properties, **({draft.many: list(draft.items)} if draft.many else {})}
    if draft.title:
        told["title"] = draft.title
    return json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

"""The two dashboards, Performance and Uptime: widgets from the targets there are, with the alarms' thresholds drawn in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from securebase.api.alarmset import CustomWidget, PerfAlarmSetSpec
from securebase.core.graph import Node
from securebase.core.kind import Context
from securebase.kinds.alarmset.alarms import Planned
from securebase.kinds.alarmset.catalogue import Line, WidgetRecipe, catalogue
from securebase.kinds.alarmset.composites import Group
from securebase.kinds.alarmset.gathering import Foreign, Found
from securebase.kinds.alarmset.layout import Draft, laid_out
from securebase.kinds.alarmset.logs import cold_start_metric, counts_cold_starts, namespace
from securebase.kinds.alarmset.names import LONG, slug
from securebase.kinds.alarmset.queries import log_widgets
from securebase.resources.cloudwatch.dashboard_model import METRICS_A_WIDGET, Dashboard
from securebase.resources.cloudwatch.model import MetricQuery

PERFORMANCE: Final = "performance"
UPTIME: Final = "uptime"

_COLOURS: Final = {"critical": "#d62728", "warning": "#ff7f0e", "info": "#1f77b4"}
_SUMMED: Final = ("Sum", "SampleCount")
_THRESHOLDS: Final = 20
"""Lines for thresholds on one graph; more hide what they are for."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything that dashboards are made of. complete: whether every lookup has its answer; until then none loses a widget."""

    spec: PerfAlarmSetSpec
    context: Context
    found: tuple[Found, ...]
    planned: tuple[Planned, ...]
    groups: tuple[Group, ...]
    foreign: tuple[Foreign, ...] = ()
    complete: bool = True


def dashboard_nodes(shown: Shown) -> Iterator[Node]:
    """The dashboards that are wanted and have something to show. Names are the account's alone, in whatever region."""
    spec = shown.spec.dashboards
    if not spec.enabled:
        return
    wanted = [name for name, on in ((PERFORMANCE, spec.performance), (UPTIME, spec.uptime)) if on]
    for name in wanted:
        drafts = [*_defaults(name, shown)]
        if name == wanted[0]:
            drafts += [*_custom(shown), *_left_out(shown)]
        for number, widgets in enumerate(laid_out(drafts), 1):
            node = f"dashboard-{name}{'' if number == 1 else f'-{number}'}"
            yield Node(node, "cloudwatch/dashboard", Dashboard(shown.context.identity.external_name(node, LONG), widgets), partial=not shown.complete)


def _defaults(dashboard: str, shown: Shown) -> Iterator[Draft]:
    for recipe in catalogue().widgets:
        if recipe.dashboard == dashboard and (draft := _graph(recipe, shown)) is not None:
            yield draft
    yield from log_widgets(dashboard, shown.found, shown.context.region)
    if dashboard == UPTIME and (states := _states(shown)) is not None:
        yield states


def _graph(recipe: WidgetRecipe, shown: Shown) -> Draft | None:
    things = [thing for thing in shown.found if thing.target.type in recipe.types]
    regions = sorted({thing.region for thing in things}, key=lambda region: (region != shown.context.region, region))
    rows = list({json.dumps(row): row for thing in things for row in _rows(recipe, thing, regions[0], shown)}.values())
    if not rows:
        return None
    axes = {side: {"label": label, "showUnits": False} for side, label in (("left", recipe.left), ("right", recipe.right)) if label}
    properties: dict[str, Any] = {"view": "timeSeries", "stacked": False, "region": regions[0], "period": recipe.period}
    properties |= {"yAxis": axes} if axes else {}
    rows = _with_bands(rows, recipe, shown.planned)
    if lines := _thresholds(recipe, shown.planned, things):
        properties["annotations"] = {"horizontal": lines}
    return Draft(recipe.id, "metric", recipe.title, properties, "metrics", tuple(rows))


def _rows(recipe: WidgetRecipe, thing: Found, region: str, shown: Shown) -> Iterator[list[Any]]:
    """One line of the graph for each metric and member."""
    elsewhere = {"region": thing.region} if thing.region != region else {}
    if (metric := thing.target.metric) is not None:
        statistic = "Sum" if metric.unit in (None, "None", "Count") else "Average"
        options = {"label": thing.target.id, "stat": statistic, **elsewhere}
        yield [metric.namespace, metric.name, *_flat(dict(metric.dimensions)), options]
        return
    for member in thing.members if thing.type.by_member else ("",):
        who = member or (f"{thing.name} {thing.stage}" if thing.stage else thing.name)
        for line in recipe.lines:
            if not line.types or thing.target.type in line.types:
                yield _row(line, thing, member, {"label": f"{who} {line.label}".strip(), "stat": line.statistic, **elsewhere})
    if recipe.cold_starts and counts_cold_starts(shown.spec, thing):
        counted = cold_start_metric(thing)
        yield [namespace(shown.context), counted, {"label": f"{counted.partition('-')[2]} cold start", "stat": "Average"}]


def _row(line: Line, thing: Found, member: str, options: dict[str, str]) -> list[Any]:
    if line.axis == "right":
        options["yAxis"] = "right"
    return [thing.type.namespace, line.metric, *_flat(thing.dimensions(member) | dict(line.more)), options]


def _flat(dimensions: dict[str, str]) -> list[str]:
    return [text for name in sorted(dimensions) for text in (name, dimensions[name])]


def _thresholds(recipe: WidgetRecipe, planned: Sequence[Planned], things: Sequence[Found]) -> list[dict[str, Any]]:
    """A line for each threshold of the alarms on what the graph shows, each once."""
    lines: dict[tuple[float, str], dict[str, Any]] = {}
    for one in planned:
        if _is_drawn(one, recipe) and one.wanted.threshold is not None and not one.wanted.band:
            label = f"{one.wanted.id} ({one.severity})"
            lines[one.wanted.threshold, label] = {"color": _COLOURS[one.severity], "label": label, "value": one.wanted.threshold}
    shown = {line.metric for line in recipe.lines if line.axis == "left" and line.statistic not in _SUMMED}
    for limit in (limit for thing in things for limit in thing.limits if limit.metric in shown):
        label = f"{limit.metric} ({limit.severity})"
        lines[limit.value, label] = {"color": _COLOURS[limit.severity], "label": label, "value": limit.value}
    return [lines[key] for key in sorted(lines)][:_THRESHOLDS]


def _is_drawn(one: Planned, recipe: WidgetRecipe) -> bool:
    """Whether the alarm looks at what the graph shows. A sum is one of its period: over another one it says nothing."""
    own = one.wanted.widget == recipe.id or (recipe.id == "business" and one.found.target.metric is not None and not one.wanted.expression)
    summed = any(metric.statistic in _SUMMED for metric in one.wanted.metrics)
    return own and (not summed or one.wanted.period == recipe.period)


def _with_bands(rows: list[list[Any]], recipe: WidgetRecipe, planned: Sequence[Planned]) -> list[list[Any]]:
    """The rows, each followed by the band that an alarm expects it in. CloudWatch keeps a band for each metric and statistic: of another
    statistic than the one drawn it would be beside the line."""
    watched = {_watched(one.alarm.metrics[0], recipe.period): one for one in planned if one.wanted.band and not one.wanted.expression}
    drawn: list[list[Any]] = []
    for number, row in enumerate(rows):
        *metric, options = row
        one = watched.get((*metric, options["stat"], recipe.period))
        if one is None:
            drawn.append(row)
            continue
        expected = {key: value for key, value in options.items() if key in ("region", "yAxis")}
        expected |= {"expression": f"ANOMALY_DETECTION_BAND(m{number}, {one.wanted.band:g})", "id": f"band{number}"}
        drawn += [[*metric, {**options, "id": f"m{number}"}], [{**expected, "label": f"{one.wanted.id} ({one.severity}): expected"}]]
    return drawn if len(drawn) <= METRICS_A_WIDGET else rows  # what is split over widgets would lose the metric that its band is of


def _watched(query: MetricQuery, period: int) -> tuple[Any, ...]:
    """What an alarm looks at, as a row has it. A sum is one of its period."""
    seen = query.period if query.stat in _SUMMED else period
    return (query.namespace, query.metric_name, *_flat(dict(query.dimensions)), query.stat, seen)


def _states(shown: Shown) -> Draft | None:
    """How every alarm stands: composites first, then what they are made of."""
    context = shown.context
    names = [(group.region, context.identity.external_name(group.node(context.region), LONG)) for group in shown.groups]
    names += [(one.found.region, one.alarm.name) for one in shown.planned]
    names += [(thing.region, name) for thing in shown.found for name in thing.borrowed]
    arns = tuple(f"arn:{context.partition}:cloudwatch:{region}:{context.account_id}:alarm:{name}" for region, name in dict.fromkeys(names))
    return Draft("alarms", "alarm", "Alarms", {"sortBy": "stateUpdatedTimestamp"}, "alarms", arns, width=24, height=6) if arns else None


def _left_out(shown: Shown) -> Iterator[Draft]:
    if shown.foreign:
        lines = "\n".join(f"- {one}" for one in shown.foreign)
        yield Draft("left-out", "text", "", {"markdown": f"**Not watched here**, as it is in another account than this set:\n\n{lines}"}, width=24, height=3)


def _custom(shown: Shown) -> list[Draft]:
    drafts: list[Draft] = []
    taken: set[str] = set()
    for widget in shown.spec.dashboards.widgets:
        id = name = f"custom-{slug(widget.title)}"
        number = 1
        while id in taken:
            number += 1
            id = f"{name}-{number}"
        taken.add(id)
        drafts.append(_custom_draft(id, widget, shown))
    return drafts


def _custom_draft(id: str, widget: CustomWidget, shown: Shown) -> Draft:
    region = shown.context.region
    match widget.type:
        case "text":
            draft = Draft(id, "text", "", {"markdown": widget.markdown or ""})
        case "log":
            sources = " | ".join(f"SOURCE '{group}'" for group in widget.log_groups)
            draft = Draft(id, "log", widget.title, {"view": "table", "region": region, "query": f"{sources} | {widget.query}"})
        case "metric":
            rows = tuple([one.namespace, one.name, *_flat(dict(one.dimensions)), {"stat": one.statistic or "Average"}] for one in widget.metrics)
            draft = Draft(id, "metric", widget.title, {"view": "timeSeries", "stacked": False, "region": region, "period": 300}, "metrics", rows)
    return replace(draft, width=widget.width or draft.width, height=widget.height or draft.height)

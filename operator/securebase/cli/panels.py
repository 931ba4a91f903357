"""What a dashboard shows, before anybody draws it: its widgets with the data of now. The data is read here; nothing else is asked."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from securebase.clients.aws import AwsScope
from securebase.resources.cloudwatch.dashboard_model import Dashboard, Widget
from securebase.runtime.engine import Composed
from securebase.runtime.shared import Process

COLUMNS: Final = 24
QUERIES: Final = 500
"""Metrics of one GetMetricData request (API reference)."""
_POINTS: Final = 100_800
"""Data points of one answer; more come in pages (API reference)."""

Points = tuple[tuple[float, float], ...]
"""(Unix seconds, value) in order of time."""


@dataclass(frozen=True, slots=True)
class Line:
    """One metric. `right`: on the axis to the right."""

    label: str
    points: Points = ()
    right: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """What is expected of a metric: (Unix seconds, from, to) in order of time."""

    label: str
    points: tuple[tuple[float, float, float], ...] = ()
    right: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """A threshold that is drawn across."""

    label: str
    value: float
    colour: str = "#d62728"


@dataclass(frozen=True, slots=True)
class Panel:
    """One widget with its data. Sizes in columns and rows of CloudWatch's grid.

    states  (alarm, state) of a widget that shows alarms
    text    of a widget that shows a text, or why there is nothing to see
    """

    title: str
    x: int
    y: int
    width: int
    height: int
    lines: tuple[Line, ...] = ()
    bands: tuple[Band, ...] = ()
    limits: tuple[Limit, ...] = ()
    states: tuple[tuple[str, str], ...] = ()
    text: str = ""
    left_unit: str = ""
    right_unit: str = ""

    def as_document(self) -> dict[str, Any]:
        """For `-o json`."""
        return {
            "title": self.title,
            "place": {"x": self.x, "y": self.y, "width": self.width, "height": self.height},
            "lines": [{"label": line.label, "axis": "right" if line.right else "left", "points": line.points} for line in self.lines],
            "bands": [{"label": band.label, "axis": "right" if band.right else "left", "points": band.points} for band in self.bands],
            "limits": [{"label": limit.label, "value": limit.value} for limit in self.limits],
            "alarms": [{"name": name, "state": state} for name, state in self.states],
            "text": self.text,
        }


@dataclass(frozen=True, slots=True)
class Picture:
    """One dashboard. `id`: of its node, `dashboard-uptime`."""

    title: str
    panels: tuple[Panel, ...]
    span: tuple[float, float] = (0.0, 0.0)
    notes: tuple[str, ...] = field(default=())
    id: str = ""

    @property
    def has_data(self) -> bool:
        """Whether any line of any graph has a point."""
        return any(line.points for panel in self.panels for line in panel.lines)

    def as_document(self) -> dict[str, Any]:
        """For `-o json`."""
        return {"id": self.id, "title": self.title, "span": self.span, "notes": self.notes, "panels": [panel.as_document() for panel in self.panels]}


def picture(node: str, dashboard: Dashboard, composed: Composed, process: Process, span: tuple[float, float], notes: Sequence[str] = ()) -> Picture:
    """A dashboard with what CloudWatch has for it in that time."""
    series = _series(dashboard.widgets, composed, process, span)
    panels = tuple(_panel(widget, series.get(widget.id, ()), composed, process) for widget in dashboard.widgets)
    return Picture(dashboard.name, panels, span, tuple(notes), node)


def _panel(widget: Widget, series: Iterable[Line | Band], composed: Composed, process: Process) -> Panel:
    properties: dict[str, Any] = json.loads(widget.properties)
    place = (str(properties.get("title", "")), widget.x, widget.y, widget.width, widget.height)
    match widget.type:
        case "metric":
            axes = properties.get("yAxis") or {}
            every = tuple(series)
            return Panel(
                *place,
                lines=tuple(one for one in every if isinstance(one, Line)),
                bands=tuple(one for one in every if isinstance(one, Band) and one.points),
                limits=limits_of(properties),
                left_unit=str((axes.get("left") or {}).get("label", "")),
                right_unit=str((axes.get("right") or {}).get("label", "")),
            )
        case "alarm":
            return Panel(*place, states=tuple(_states(properties.get("alarms") or (), composed, process)))
        case "text":
            return Panel(*place, text=plain(str(properties.get("markdown", ""))))
        case _:
            return Panel(*place, text=f"A query, which costs by what it reads and is not run here: {properties.get('query', '')}")


def plain(markdown: str) -> str:
    """Markdown without its marks, which a picture cannot set."""
    return re.sub(r"\*\*|__|`|^#+ *", "", markdown, flags=re.MULTILINE)


def limits_of(properties: Mapping[str, Any]) -> tuple[Limit, ...]:
    """The thresholds in a metric widget's annotations."""
    found = (properties.get("annotations") or {}).get("horizontal") or ()
    return tuple(Limit(str(one.get("label", "")), float(one["value"]), str(one.get("color", "#d62728"))) for one in found if "value" in one)


def _states(arns: Sequence[str], composed: Composed, process: Process) -> Iterator[tuple[str, str]]:
    """How each alarm stands; one that is not there yet has no data."""
    regions: dict[str, list[str]] = defaultdict(list)
    for arn in arns:
        regions[arn.split(":")[3]].append(arn.rpartition(":alarm:")[2])
    for region, names in regions.items():
        scope, known = process.drivers.scope(composed.account.config, region), dict[str, str]()
        for at in range(0, len(names), 100):
            answer = scope.call("cloudwatch", "describe_alarms", AlarmNames=names[at : at + 100], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
            found = [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]
            known |= {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}
        yield from ((name, known.get(name, "not there yet")) for name in names)


@dataclass(frozen=True, slots=True)
class _Row:
    """One entry of a metric widget. `id`: what expressions of the same widget call it; `query`: MetricStat, or Expression and Period."""

    id: str
    region: str
    query: Mapping[str, Any]
    label: str
    right: bool

    @property
    def is_band(self) -> bool:
        return str(self.query.get("Expression", "")).startswith("ANOMALY_DETECTION_BAND(")


def _series(widgets: Sequence[Widget], composed: Composed, process: Process, span: tuple[float, float]) -> Mapping[str, Sequence[Line | Band]]:
    """By widget, in the order of its rows. What one expression needs is asked together with it: a widget is never split over requests."""
    batches: dict[str, list[list[tuple[str, list[_Row]]]]] = defaultdict(lambda: [[]])
    for widget in widgets:
        regions: dict[str, list[_Row]] = defaultdict(list)
        for row in _rows(widget, composed.subject.region) if widget.type == "metric" else ():
            regions[row.region].append(row)
        for region, rows in regions.items():
            if sum(len(asked) for _, asked in batches[region][-1]) + len(rows) > QUERIES:
                batches[region].append([])
            batches[region][-1].append((widget.id, rows))
    found: dict[str, list[Line | Band]] = defaultdict(list)
    for region, every in batches.items():
        scope = process.drivers.scope(composed.account.config, region)
        for batch in every:
            for name, answers in _asked(scope, batch, span):
                found[name] += answers
    return found


def _asked(scope: AwsScope, batch: Sequence[tuple[str, list[_Row]]], span: tuple[float, float]) -> Iterator[tuple[str, list[Line | Band]]]:
    named = [(widget, [(f"w{at}r{number}", row) for number, row in enumerate(rows)]) for at, (widget, rows) in enumerate(batch)]
    queries = [{"Id": id, "ReturnData": True, **_renamed(row, rows)} for _, rows in named for id, row in rows]
    points = _data(scope, queries, span)
    for widget, rows in named:
        yield widget, [_band(row, points.get(id, ())) if row.is_band else Line(row.label, tuple(points.get(id, ())), row.right) for id, row in rows]


def _renamed(row: _Row, rows: Sequence[tuple[str, _Row]]) -> Mapping[str, Any]:
    """The query, with the ids that are unique in the request in place of those unique in the widget."""
    if "Expression" not in row.query:
        return row.query
    ids = {one.id: id for id, one in rows if one.id}
    return {**row.query, "Expression": re.sub(r"[a-z]\w*", lambda word: ids.get(word[0], word[0]), row.query["Expression"])}


def _band(row: _Row, points: Sequence[tuple[float, float]]) -> Band:
    """GetMetricData answers a band with two series under one id: the lower bound and the upper."""
    sides: dict[float, list[float]] = defaultdict(list)
    for at, value in points:
        sides[at].append(value)
    return Band(row.label, tuple((at, min(values), max(values)) for at, values in sorted(sides.items()) if len(values) == 2), row.right)


def _rows(widget: Widget, home: str) -> Iterator[_Row]:
    """The rows of a widget as our own composition writes them: namespace, name, dimensions in pairs, options last; or an expression alone."""
    properties: dict[str, Any] = json.loads(widget.properties)
    for row in properties.get("metrics") or ():
        options = row[-1] if isinstance(row[-1], dict) else {}
        texts = [text for text in row if isinstance(text, str)]
        stat, region = str(options.get("stat") or properties.get("stat") or "Average"), str(options.get("region") or properties.get("region") or home)
        period = int(options.get("period") or properties.get("period") or 300)
        id, right = str(options.get("id", "")), options.get("yAxis") == "right"
        if "expression" in options:
            yield _Row(id, region, {"Expression": options["expression"], "Period": period}, str(options.get("label") or options["expression"]), right)
            continue
        dimensions = [{"Name": name, "Value": value} for name, value in zip(texts[2::2], texts[3::2], strict=True)]
        metric = {"Namespace": texts[0], "MetricName": texts[1], "Dimensions": dimensions}
        query = {"MetricStat": {"Metric": metric, "Period": period, "Stat": stat}}
        yield _Row(id, region, query, str(options.get("label") or f"{texts[1]} {stat}"), right)


def _data(scope: AwsScope, queries: Sequence[Mapping[str, Any]], span: tuple[float, float]) -> dict[str, list[tuple[float, float]]]:
    """Points by query, in order of time."""
    start, end = (datetime.fromtimestamp(at, UTC) for at in span)
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    asked = {"MetricDataQueries": list(queries), "StartTime": start, "EndTime": end, "ScanBy": "TimestampAscending", "MaxDatapoints": _POINTS}
    for page in scope.pages("cloudwatch", "get_metric_data", **asked) if queries else ():
        for result in page["MetricDataResults"]:
            found[result["Id"]] += [(at.timestamp(), float(value)) for at, value in zip(result["Timestamps"], result["Values"], strict=True)]
    return {name: sorted(points) for name, points in found.items()}

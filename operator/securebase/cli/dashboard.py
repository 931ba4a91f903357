"""`securebase dashboard`: what a PerfAlarmSet's dashboards would show, with the data there is now."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from securebase.cli import Picturing
from securebase.cli.charts import Line, NothingToDrawWith, Panel, Picture, as_html, as_png, limits_of
from securebase.cli.documents import FileSources, Manifests, Unreadable, read
from securebase.cli.plan import accounts_among
from securebase.cli.surroundings import reading_process
from securebase.clients.aws import AwsScope
from securebase.core.errors import ReconcileError
from securebase.core.identity import Identity
from securebase.kinds.alarmset.kind import PerfAlarmSetKind
from securebase.resources.cloudwatch.dashboard_model import Dashboard, Widget
from securebase.runtime.accounts import Account
from securebase.runtime.engine import Composed, Request, compose, parsed
from securebase.runtime.shared import Process
from securebase.telemetry.redaction import Redactor

QUERIES: Final = 500
"""Metrics of one GetMetricData request (API reference)."""
KIND: Final = PerfAlarmSetKind()


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for."""

    name: str
    files: tuple[str, ...]
    instance: str
    namespace: str
    kind: Picturing
    into: Path
    hours: float


def draw(wish: Wish) -> int:
    """Write the pictures; the exit code. Each file that was written is named."""
    errors = Console(stderr=True, highlight=False)
    try:
        manifests = read(wish.files, wish.namespace)
        composed, process = _composed(wish, manifests)
        pictures = [_picture(name, dashboard, composed, process, wish.hours) for name, dashboard in _dashboards(composed)]
        if not pictures:
            raise Unreadable(f"{wish.name} has no dashboards: none is wanted, or nothing of its targets exists yet")
        written = list(_written(pictures, wish))
    except (Unreadable, ReconcileError, NothingToDrawWith) as error:
        errors.print(str(error), markup=False)
        return 1
    for path in written:
        Console(highlight=False).print(str(path), markup=False)
    return 0


def _composed(wish: Wish, manifests: Manifests) -> tuple[Composed, Process]:
    sets = [one for one in manifests.objects if one.get("kind") == KIND.kind]
    document = next((one for one in sets if one["metadata"].get("name") == wish.name and one["metadata"]["namespace"] == wish.namespace), None)
    document = document or next((one for one in sets if one["metadata"].get("name") == wish.name), None)
    if document is None:
        known = ", ".join(sorted(str(one["metadata"].get("name")) for one in sets)) or "none"
        raise Unreadable(f"no PerfAlarmSet {wish.name} among the files; there are: {known}")
    accounts: dict[str, Account] = accounts_among(manifests)
    process = reading_process(wish.instance or "preview", accounts, Redactor())
    metadata = document["metadata"]
    identity = Identity(process.instance, KIND.kind, str(metadata["namespace"]), str(metadata["name"]))
    return compose(Request(KIND, identity, parsed(KIND, document)), process, FileSources(manifests)), process


def _dashboards(composed: Composed) -> Iterator[tuple[str, Dashboard]]:
    for node in composed.graph:
        if isinstance(node.desired, Dashboard):
            yield node.id, node.desired


def _picture(name: str, dashboard: Dashboard, composed: Composed, process: Process, hours: float) -> Picture:
    end = time.time() // 60 * 60  # what is newer than a whole minute is not complete
    span = (end - hours * 3600, end)
    lines = _lines(dashboard.widgets, composed, process, span)
    panels = tuple(_panel(widget, lines.get(widget.id, ()), composed, process) for widget in dashboard.widgets)
    return Picture(f"{dashboard.name} ({name})", panels, span)


def _panel(widget: Widget, lines: Sequence[Line], composed: Composed, process: Process) -> Panel:
    properties: dict[str, Any] = json.loads(widget.properties)
    place = (str(properties.get("title", "")), widget.x, widget.y, widget.width, widget.height)
    match widget.type:
        case "metric":
            return Panel(*place, lines=tuple(lines), limits=limits_of(properties))
        case "alarm":
            return Panel(*place, states=tuple(_states(properties.get("alarms") or (), composed, process)))
        case "text":
            return Panel(*place, text=str(properties.get("markdown", "")))
        case _:
            return Panel(*place, text=f"A query, which costs by what it reads and is not run here: {properties.get('query', '')}")


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
    """One line of a metric widget."""

    widget: str
    region: str
    query: Mapping[str, Any]
    label: str
    right: bool


def _lines(widgets: Sequence[Widget], composed: Composed, process: Process, span: tuple[float, float]) -> Mapping[str, Sequence[Line]]:
    rows: dict[str, list[_Row]] = defaultdict(list)
    for widget in widgets:
        if widget.type == "metric":
            for row in _rows(widget, composed.subject.region):
                rows[row.region].append(row)
    found: dict[str, list[Line]] = defaultdict(list)
    for region, wanted in rows.items():
        scope = process.drivers.scope(composed.account.config, region)
        for at in range(0, len(wanted), QUERIES):
            part = wanted[at : at + QUERIES]
            points = _data(scope, part, span)
            for number, row in enumerate(part):
                found[row.widget].append(Line(row.label, points.get(f"m{number}", ()), row.right))
    return found


def _rows(widget: Widget, home: str) -> Iterator[_Row]:
    """The metrics of a widget as our own composition writes them: namespace, name, dimensions in pairs, options last."""
    properties: dict[str, Any] = json.loads(widget.properties)
    for row in properties.get("metrics") or ():
        options = row[-1] if isinstance(row[-1], dict) else {}
        texts = [text for text in row if isinstance(text, str)]
        dimensions = [{"Name": name, "Value": value} for name, value in zip(texts[2::2], texts[3::2], strict=True)]
        stat = str(options.get("stat") or properties.get("stat") or "Average")
        period = int(options.get("period") or properties.get("period") or 300)
        metric = {"Namespace": texts[0], "MetricName": texts[1], "Dimensions": dimensions}
        region = str(options.get("region") or properties.get("region") or home)
        label = str(options.get("label") or f"{texts[1]} {stat}")
        yield _Row(widget.id, region, {"Metric": metric, "Period": period, "Stat": stat}, label, options.get("yAxis") == "right")


def _data(scope: AwsScope, rows: Sequence[_Row], span: tuple[float, float]) -> dict[str, tuple[tuple[float, float], ...]]:
    queries = [{"Id": f"m{number}", "MetricStat": dict(row.query), "ReturnData": True} for number, row in enumerate(rows)]
    start, end = (datetime.fromtimestamp(at, UTC) for at in span)
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for page in scope.pages("cloudwatch", "get_metric_data", MetricDataQueries=queries, StartTime=start, EndTime=end, ScanBy="TimestampAscending"):
        for result in page["MetricDataResults"]:
            found[result["Id"]] += [(at.timestamp(), float(value)) for at, value in zip(result["Timestamps"], result["Values"], strict=True)]
    return {name: tuple(sorted(points)) for name, points in found.items()}


def _written(pictures: Sequence[Picture], wish: Wish) -> Iterator[Path]:
    wish.into.mkdir(parents=True, exist_ok=True)
    if wish.kind is Picturing.HTML:
        path = wish.into / f"{wish.name}.html"
        path.write_text(as_html(pictures))
        yield path
        return
    for picture in pictures:
        path = wish.into / f"{picture.title.rpartition('(')[2].rstrip(')').replace('dashboard', wish.name)}.png"
        path.write_bytes(as_png(picture))
        yield path

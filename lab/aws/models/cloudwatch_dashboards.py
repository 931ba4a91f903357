"""CloudWatch's dashboards, which belong to an account and to no region: bodies checked, errors and warnings told as DashboardValidationMessages.

CloudWatch API reference, PutDashboard ("If there are any errors, the dashboard is not created or modified"; warnings come with a success),
"Dashboard body structure and syntax" (grid of 24 columns, properties by type), "CloudWatch service quotas": 500 widgets, 500 metrics a widget,
2,500 metrics a dashboard. DeleteDashboards: all or none. An error's messages stand in its text too, as the SDKs show it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lab.aws.context import Lab
from lab.aws.models.cloudwatch_state import now, start_of
from lab.aws.wire import AwsFault, Call, Reply, answer

MOST_WIDGETS, MOST_METRICS_A_WIDGET, MOST_METRICS = 500, 500, 2500
_PAGE = 1000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_COLUMNS = 24
# type -> required properties, further ones known.
_PROPERTIES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "metric": (
        ("region",),
        (
            "metrics", "annotations", "title", "view", "stacked", "period", "stat", "yAxis", "legend", "liveData", "sparkline", "timezone", "trend",
            "setPeriodToTimeRange", "singleValueFullPrecision", "table", "labels", "start", "end", "accountId", "gauge", "theme",
        ),
    ),
    "text": (("markdown",), ("background",)),
    "log": (("query", "region"), ("title", "view", "stacked", "accountId", "queryLanguage", "queryBy", "logGroupPrefixes", "table")),
    "alarm": (("alarms",), ("title", "sortBy", "states")),
    "explorer": (("metrics",), ("labels", "aggregateBy", "period", "splitBy", "title", "widgetOptions")),
    "custom": (("endpoint",), ("params", "title", "updateOn")),
    "chart": ((), ()),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    path: str
    message: str
    fatal: bool = True

    def document(self) -> dict[str, str]:
        return {"DataPath": self.path, "Message": self.message}


@dataclass(frozen=True, slots=True)
class Dashboard:
    name: str
    arn: str
    body: str
    modified: datetime


def findings(body: str) -> Iterator[Finding]:
    """What CloudWatch says of a body."""
    try:
        document = json.loads(body)
    except ValueError:
        yield Finding("", "The field DashboardBody must be a valid JSON object")
        return
    if not isinstance(document, dict) or not isinstance(document.get("widgets"), list):
        yield Finding("", "Should have required property 'widgets'" if isinstance(document, dict) else "The field DashboardBody must be a valid JSON object")
        return
    widgets = document["widgets"]
    if len(widgets) > MOST_WIDGETS:
        yield Finding("/widgets", f"Should NOT have more than {MOST_WIDGETS} items")
    if document.get("periodOverride") not in (None, "auto", "inherit"):
        yield Finding("/periodOverride", "Should be equal to one of the allowed values")
    if "end" in document and "start" not in document:
        yield Finding("", "Should have property start when property end is present", fatal=False)
    total = 0
    for index, widget in enumerate(widgets):
        yield from _widget(f"/widgets/{index}", widget)
        metrics = widget.get("properties", {}).get("metrics", []) if isinstance(widget, dict) and isinstance(widget.get("properties"), dict) else []
        total += len(metrics) if isinstance(metrics, list) else 0
    if total > MOST_METRICS:
        yield Finding("/widgets", f"Should NOT have more than {MOST_METRICS} metrics in all widgets together")


def _widget(path: str, widget: Any) -> Iterator[Finding]:
    if not isinstance(widget, dict):
        yield Finding(path, "Should be object")
        return
    for name, low, high in (("x", 0, _COLUMNS - 1), ("y", 0, None), ("width", 1, _COLUMNS), ("height", 1, 1000)):
        value = widget.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or value < low:
            yield Finding(f"{path}/{name}", f"Should be >= {low}")
        elif high is not None and value > high:
            yield Finding(f"{path}/{name}", f"Should be <= {high}")
    known = _PROPERTIES.get(str(widget.get("type")))
    if known is None:
        yield Finding(f"{path}/type", "Should be equal to one of the allowed values" if "type" in widget else "Should have required property 'type'")
        return
    properties = widget.get("properties")
    if not isinstance(properties, dict):
        yield Finding(path, "Should have required property 'properties'")
        return
    required, more = known
    for name in required:
        if not properties.get(name):
            yield Finding(f"{path}/properties", f"Should have required property '{name}'")
    if widget["type"] == "metric":
        yield from _metric(f"{path}/properties", properties)
    for name in properties if more else ():
        if name not in required and name not in more:
            yield Finding(f"{path}/properties", f"Should NOT have additional properties: '{name}'", fatal=False)


def _metric(path: str, properties: dict[str, Any]) -> Iterator[Finding]:
    annotations = properties.get("annotations")
    alarms = isinstance(annotations, dict) and annotations.get("alarms")
    if "metrics" not in properties and not alarms:
        yield Finding(path, "Should have required property 'metrics'")
        yield Finding(path, "The metric widget should have specified a region and a data source or an alarm annotation")
        return
    metrics = properties.get("metrics", [])
    if not isinstance(metrics, list):
        yield Finding(f"{path}/metrics", "Should be array")
        return
    if len(metrics) > MOST_METRICS_A_WIDGET:
        yield Finding(f"{path}/metrics", f"Should NOT have more than {MOST_METRICS_A_WIDGET} items")
    for index, line in enumerate(metrics):
        if not isinstance(line, list):
            yield Finding(f"{path}/metrics/{index}", "Should be array")
        elif not line or not all(isinstance(part, str) for part in line[:-1]) or not isinstance(line[-1], str | dict):
            yield Finding(
                f"{path}/metrics/{index}", 'Field "metrics" has to be an array of array of strings, with an optional metricRenderer object as last element'
            )
        else:
            yield from _line(f"{path}/metrics/{index}", line)


def _line(path: str, line: list[Any]) -> Iterator[Finding]:
    """Namespace, name, then dimensions in pairs; or an expression alone in the last object."""
    names = line[:-1] if isinstance(line[-1], dict) else line
    if not names and "expression" not in line[-1]:
        yield Finding(path, "Should have required property 'expression'")
    elif names and (len(names) < 2 or len(names) % 2):
        yield Finding(path, 'Invalid metric field type, only "String" type is allowed: a namespace, a name and pairs of dimension name and value')


class Dashboards:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._made: dict[tuple[str, str], Dashboard] = {}
        self._operations: dict[str, Callable[[Call], dict[str, Any]]] = {
            "PutDashboard": self._put,
            "GetDashboard": self._get,
            "ListDashboards": self._list,
            "DeleteDashboards": self._delete,
        }

    def reset(self) -> None:
        self._made.clear()

    def exists(self, account: str, arn: str) -> bool:
        return any(made.arn == arn for (owner, _), made in self._made.items() if owner == account)

    def operation(self, name: str) -> Callable[[Call], Reply] | None:
        found = self._operations.get(name)
        return None if found is None else lambda call: answer(call, found(call))

    def _put(self, call: Call) -> dict[str, Any]:
        name, body = call.params["DashboardName"], call.params["DashboardBody"]
        if not _NAME.fullmatch(name):
            raise AwsFault("InvalidParameterValue", f"The value {name} for field DashboardName is invalid: 1 to 255 characters of A-Z, a-z, 0-9, - and _", 400)
        found = list(findings(body))
        if wrong := [one for one in found if one.fatal]:
            told = json.dumps([{"dataPath": one.path, "message": one.message} for one in wrong], indent=1)
            raise AwsFault("InvalidParameterInput", f"The dashboard body is invalid, there are {len(wrong)} validation errors:\n{told}", 400)
        arn = f"arn:aws:cloudwatch::{call.account}:dashboard/{name}"
        if (call.account, name) not in self._made:
            self._lab.tagged[arn] = {tag["Key"]: tag.get("Value", "") for tag in call.params.get("Tags", [])}
        self._made[call.account, name] = Dashboard(name, arn, body, now())
        return {"DashboardValidationMessages": [one.document() for one in found]}

    def _found(self, call: Call, name: str) -> Dashboard:
        if (made := self._made.get((call.account, name))) is None:
            raise AwsFault("ResourceNotFound", f"Dashboard {name} does not exist", 404)
        return made

    def _get(self, call: Call) -> dict[str, Any]:
        made = self._found(call, call.params["DashboardName"])
        return {"DashboardArn": made.arn, "DashboardBody": made.body, "DashboardName": made.name}

    def _list(self, call: Call) -> dict[str, Any]:
        prefix, after = call.params.get("DashboardNamePrefix", ""), start_of(call.params)
        mine = sorted(name for account, name in self._made if account == call.account and name.startswith(prefix) and name > after)
        rows = [self._made[call.account, name] for name in mine[:_PAGE]]
        entries = [{"DashboardName": made.name, "DashboardArn": made.arn, "LastModified": made.modified, "Size": len(made.body.encode())} for made in rows]
        return {"DashboardEntries": entries} | ({"NextToken": f"after:{rows[-1].name}"} if len(mine) > _PAGE else {})

    def _delete(self, call: Call) -> dict[str, Any]:
        names = call.params["DashboardNames"]
        for name in names:
            self._found(call, name)
        for name in names:
            made = self._made.pop((call.account, name), None)
            if made is not None:
                self._lab.tagged.pop(made.arn, None)
        return {}

"""The catalogue of alarms, default widgets and saved queries: data of the package, parsed once into frozen values."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib import resources
from typing import Any, Final, Literal

import yaml

Severity = Literal["critical", "warning", "info"]
SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "warning", "info")

MEMBER: Final = "member"
"""In a dimension: the metric exists for each member, not for the whole."""


class InvalidCatalogue(ValueError):
    """The shipped data is wrong: a mistake of this package, never the user's."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A figure, or a factor of an attribute that was observed; `otherwise` where there is no such attribute, none where it is under `least`."""

    value: float | None = None
    attribute: str = ""
    factor: float = 1.0
    least: float = 0.0
    otherwise: Threshold | None = None

    def of(self, attributes: Mapping[str, str]) -> float | None:
        """None: without the attribute, with one so small, or while nobody has read whether there is one, there is no such alarm."""
        if not self.attribute:
            return self.value
        if self.attribute in attributes.get("unread", "").split(","):
            return None
        if not (known := attributes.get(self.attribute, "")):
            return None if self.otherwise is None else self.otherwise.of(attributes)
        return None if float(known) < self.least else round(float(known) * self.factor, 6)


@dataclass(frozen=True, slots=True)
class MathsMetric:
    """One metric of an expression."""

    id: str
    metric: str
    statistic: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """One alarm of the catalogue. `of`: the attribute whose value stands in the dimension instead of the target's name."""

    id: str
    title: str
    unit: str
    comparison: str
    threshold: Threshold
    period: int
    evaluation_periods: int
    datapoints_to_alarm: int
    missing_data: str
    severity: Severity
    runbook: str
    source: str
    metric: str = ""
    statistic: str = ""
    expression: str = ""
    metrics: tuple[MathsMetric, ...] = ()
    low_sample: str = ""
    of: str = ""
    needs: str = ""
    widget: str = ""


@dataclass(frozen=True, slots=True)
class TargetType:
    """What CloudWatch knows of one type of target. dimensions: name -> what stands there (`name`, `id`, `stage`, `member`, or `=` and a text)."""

    name: str
    namespace: str
    dimensions: Mapping[str, str]
    alarms: tuple[Recipe, ...]

    @property
    def by_member(self) -> bool:
        """Whether its metrics exist for each member."""
        return MEMBER in self.dimensions.values()

    def recipe(self, id: str) -> Recipe | None:
        """The alarm of that id."""
        return next((alarm for alarm in self.alarms if alarm.id == id), None)


@dataclass(frozen=True, slots=True)
class Line:
    """One metric of a default widget. types: the target types it is drawn for; empty = all of the widget's."""

    metric: str
    statistic: str
    label: str = ""
    axis: str = "left"
    more: Mapping[str, str] = field(default_factory=dict)
    types: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class WidgetRecipe:
    """One default widget, drawn where there are targets of its types."""

    id: str
    dashboard: str
    title: str
    types: frozenset[str]
    period: int
    left: str
    right: str
    lines: tuple[Line, ...]
    cold_starts: bool


@dataclass(frozen=True, slots=True)
class ColdStarts:
    """How initialisations are found in a function's log of one format, and where the milliseconds stand."""

    pattern: str
    value: str


@dataclass(frozen=True, slots=True)
class QueryRecipe:
    """One saved query over the log groups of a target.

    fields  placeholder -> context variables of an access log, the first that the log has stands for it; without any there is no such query
    needs   attribute with a comma list that stands for the placeholder of its name; without it there is no such query
    """

    id: str
    types: frozenset[str]
    query: str
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    needs: str = ""


@dataclass(frozen=True, slots=True)
class LogWidget:
    """One default widget that shows what a query finds, drawn where the query has something to look at."""

    dashboard: str
    title: str
    view: str
    query: QueryRecipe


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that is made by default. as_of: when the sources were read."""

    as_of: date
    types: Mapping[str, TargetType]
    widgets: tuple[WidgetRecipe, ...]
    cold_starts: Mapping[str, ColdStarts]
    queries: tuple[QueryRecipe, ...]
    log_widgets: tuple[LogWidget, ...]


@functools.cache
def catalogue() -> Catalogue:
    """The catalogue of this version."""
    alarms, rest = _shipped("catalogue.yaml"), _shipped("widgets.yaml")
    try:
        return Catalogue(
            as_of=alarms["asOf"],
            types={name: _target_type(name, said) for name, said in alarms["targets"].items()},
            widgets=tuple(_widget(said) for said in rest["widgets"]),
            cold_starts={name: ColdStarts(**said) for name, said in rest["coldStarts"].items()},
            queries=tuple(_query(said) for said in rest["queries"]),
            log_widgets=tuple(LogWidget(said["dashboard"], said["title"], said["view"], _query(said)) for said in rest["logWidgets"]),
        )
    except (KeyError, TypeError) as error:
        raise InvalidCatalogue(f"{type(error).__name__}: {error}") from error


def _target_type(name: str, said: Mapping[str, Any]) -> TargetType:
    return TargetType(name, said["namespace"], said["dimensions"], tuple(_recipe(one, said["runbook"]) for one in said["alarms"]))


def _recipe(said: Mapping[str, Any], runbook: str) -> Recipe:
    maths = said.get("maths", {})
    return Recipe(
        id=said["id"],
        title=said["title"],
        unit=said["unit"],
        comparison=said["comparison"],
        threshold=_threshold(said["threshold"]),
        period=said["period"],
        evaluation_periods=said["evaluationPeriods"],
        datapoints_to_alarm=said["datapointsToAlarm"],
        missing_data=said["missingData"],
        severity=said["severity"],
        runbook=said.get("runbook", runbook),
        source=said["source"],
        metric=said.get("metric", ""),
        statistic=said.get("statistic", ""),
        expression=maths.get("expression", ""),
        metrics=tuple(MathsMetric(**one) for one in maths.get("metrics", ())),
        low_sample=said.get("lowSample", ""),
        of=said.get("of", ""),
        needs=said.get("needs", ""),
        widget=said.get("widget", ""),
    )


def _threshold(said: Any) -> Threshold:
    if not isinstance(said, Mapping):
        return Threshold(float(said))
    otherwise = _threshold(said["otherwise"]) if "otherwise" in said else None
    return Threshold(None, said["attribute"], float(said["factor"]), float(said.get("least", 0)), otherwise)


def _widget(said: Mapping[str, Any]) -> WidgetRecipe:
    return WidgetRecipe(
        id=said["id"],
        dashboard=said["dashboard"],
        title=said["title"],
        types=frozenset(said["types"]),
        period=said["period"],
        left=said["left"],
        right=said.get("right", ""),
        lines=tuple(_line(one) for one in said["lines"]),
        cold_starts=said.get("coldStarts", False),
    )


def _query(said: Mapping[str, Any]) -> QueryRecipe:
    fields = {name: tuple(variables) for name, variables in said.get("fields", {}).items()}
    return QueryRecipe(said["id"], frozenset(said["types"]), said["query"].strip(), fields, said.get("needs", ""))


def _line(said: Mapping[str, Any]) -> Line:
    return Line(said["metric"], said["statistic"], said.get("label", ""), said.get("axis", "left"), said.get("with", {}), frozenset(said.get("types", ())))


def _shipped(name: str) -> Any:
    return yaml.safe_load(resources.files("securebase.kinds.alarmset").joinpath(name).read_text(encoding="utf-8"))

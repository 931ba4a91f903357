"""One alarm as it is wanted: what the catalogue says, changed by what the spec says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from securebase.api.alarmset import AlarmChange, Target
from securebase.core.errors import Terminal
from securebase.kinds.alarmset.catalogue import Recipe, Severity
from securebase.kinds.alarmset.gathering import Found

_WORDS: Final = {
    "GreaterThan": "above",
    "GreaterThanOrEqual": "at or above",
    "LessThan": "below",
    "LessThanOrEqual": "at or below",
    "Outside": "outside",
}
_STATISTICS: Final = frozenset({"Average", "Sum", "Minimum", "Maximum", "SampleCount"})


@dataclass(frozen=True, slots=True)
class Watched:
    """A metric. `dimensions` None: those of the target."""

    metric: str
    statistic: str
    namespace: str
    dimensions: Mapping[str, str] | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An alarm of one found thing, or of each of its members.

    of            the attribute whose value stands in the dimension instead of the name
    band          the width of an anomaly band; 0 = a fixed threshold
    missing_data  "" = by what it watches
    """

    id: str
    title: str
    severity: Severity
    comparison: str
    evaluation_periods: int
    datapoints_to_alarm: int
    period: int
    missing_data: str
    threshold: float | None = None
    unit: str = ""
    runbook: str = ""
    metrics: tuple[Watched, ...] = ()
    expression: str = ""
    low_sample: str = ""
    of: str = ""
    widget: str = ""
    band: float = 0.0
    described: bool = field(default=True)

    @property
    def words(self) -> str:
        """What it tells, for people."""
        shown = f"{self.threshold:g}" if self.threshold is not None else ""
        if self.described and not self.band:
            return self.title.format(threshold=shown)
        what = self.expression or f"{self.metrics[0].statistic} of {self.metrics[0].metric}"
        limit = f"the band of what is expected ({self.band:g} deviations)" if self.band else shown
        return f"{what} {_WORDS[self.comparison]} {limit}"


def wanted_alarms(found: Found) -> Iterator[Wanted]:
    """Every alarm of one thing. What a referenced object makes by itself is not made again: there only added ones are."""
    changes = {change.id: change for change in found.target.alarms}
    for recipe in found.type.alarms:
        change = changes.pop(recipe.id, None)
        if found.target.ref is not None:
            _refuse_change(found.target, change)
            continue
        if change is not None and not change.enabled:
            continue
        if (wanted := _of_recipe(recipe, found, change)) is not None:
            yield wanted
    for change in changes.values():
        if change.enabled:
            yield _added(change, found)


def extended(statistic: str) -> bool:
    """Whether a statistic is one of those that PutMetricAlarm takes as ExtendedStatistic."""
    return statistic not in _STATISTICS


def _refuse_change(target: Target, change: AlarmChange | None) -> None:
    if change is None or target.ref is None:
        return
    where = f"{target.ref.kind} {target.ref.name}"
    raise Terminal("AlarmOfAnother", f"targets[{target.id}].alarms[{change.id}]: {where} makes its own alarms; change it there, or give this one another id")


def _of_recipe(recipe: Recipe, found: Found, change: AlarmChange | None) -> Wanted | None:
    threshold = recipe.threshold.of(found.attributes)
    given = change is not None and (change.threshold is not None or change.anomaly is not None)
    if (threshold is None and not given) or (recipe.needs and not found.attributes.get(recipe.needs)):
        return None
    base = Wanted(
        id=recipe.id,
        title=recipe.title,
        severity=recipe.severity,
        comparison=recipe.comparison,
        evaluation_periods=recipe.evaluation_periods,
        datapoints_to_alarm=recipe.datapoints_to_alarm,
        period=recipe.period,
        missing_data=recipe.missing_data,
        threshold=threshold,
        unit=recipe.unit,
        runbook=recipe.runbook,
        metrics=tuple(_recipe_metrics(recipe, found)),
        expression=recipe.expression,
        low_sample=recipe.low_sample,
        of=recipe.of,
        widget=recipe.widget,
    )
    return base if change is None else _changed(base, change, found)


def _recipe_metrics(recipe: Recipe, found: Found) -> Iterator[Watched]:
    namespace = found.type.namespace
    if recipe.metric:
        yield Watched(recipe.metric, recipe.statistic, namespace)
    for one in recipe.metrics:
        yield Watched(one.metric, one.statistic, namespace, id=one.id)


def _added(change: AlarmChange, found: Found) -> Wanted:
    """An alarm that the catalogue does not know: on a metric or an expression of its own, or on the one metric of a custom target."""
    if (change.metric is None and change.expression is None and found.target.metric is None) or (change.threshold is None and change.anomaly is None):
        known = ", ".join(recipe.id for recipe in found.type.alarms) or "none"
        raise Terminal(
            "UnknownAlarm",
            f"targets[{found.target.id}].alarms[{change.id}] is not in the catalogue of {found.type.name} ({known}); "
            "an added alarm needs a metric or an expression, and a threshold or an anomaly band",
        )
    periods = change.evaluation_periods or change.datapoints_to_alarm or 3
    base = Wanted(
        id=change.id,
        title="",
        severity="warning",
        comparison="GreaterThan",
        evaluation_periods=periods,
        datapoints_to_alarm=periods,
        period=60,
        missing_data="",
        metrics=tuple(_custom_metrics(found)),
        runbook=found.type.alarms[0].runbook if found.type.alarms else "",
        described=False,
    )
    return _changed(base, change, found)


def _custom_metrics(found: Found) -> Iterator[Watched]:
    if (metric := found.target.metric) is not None:
        yield Watched(metric.name, "Average", metric.namespace, dict(metric.dimensions))


def _changed(base: Wanted, change: AlarmChange, found: Found) -> Wanted:
    periods, datapoints = _m_of_n(base, change)
    changed = replace(
        base,
        severity=change.severity or base.severity,
        comparison=change.comparison or base.comparison,
        threshold=base.threshold if change.threshold is None else float(change.threshold),
        period=change.period_seconds or base.period,
        evaluation_periods=periods,
        datapoints_to_alarm=datapoints,
        missing_data=change.missing_data or base.missing_data,
        runbook=change.runbook or base.runbook,
        band=float(change.anomaly.bandwidth) if change.anomaly is not None else 0.0,
    )
    changed = _on_metrics(changed, change, found)
    return _described(replace(changed, missing_data=changed.missing_data or _missing_data(changed)), base)


def _missing_data(wanted: Wanted) -> str:
    """Of too little of something that is counted: where nothing happens nothing is published, and no data is the worst case."""
    counted = not wanted.band and not wanted.expression and wanted.metrics[0].statistic in ("Sum", "SampleCount")
    return "breaching" if counted and wanted.comparison.startswith("Less") else "notBreaching"


def _m_of_n(base: Wanted, change: AlarmChange) -> tuple[int, int]:
    """One that is given takes the other along, so that a smaller N alone makes no alarm that can never fire."""
    datapoints = change.datapoints_to_alarm or min(base.datapoints_to_alarm, change.evaluation_periods or base.evaluation_periods)
    return change.evaluation_periods or max(base.evaluation_periods, datapoints), datapoints


def _on_metrics(base: Wanted, change: AlarmChange, found: Found) -> Wanted:
    metrics, expression, of = base.metrics, base.expression, base.of
    if change.expression is not None or change.metric is not None:
        of = ""  # it told which dimension the metric that was there has
    if change.expression is not None:
        expression = change.expression
        metrics = tuple(
            Watched(one.name, one.statistic or "Sum", one.namespace or found.type.namespace, _given(one.dimensions), one.id) for one in change.metrics
        )
    elif change.metric is not None:
        expression = ""
        namespace = change.metric.namespace or found.type.namespace
        metrics = (Watched(change.metric.name, "Average", namespace, _given(change.metric.dimensions)),)
    if change.statistic is not None and change.expression is None and len(metrics) == 1:
        metrics = (replace(metrics[0], statistic=change.statistic),)
    percentile = not expression and len(metrics) == 1 and metrics[0].statistic.startswith("p")
    return replace(base, metrics=metrics, expression=expression, of=of, low_sample=(change.low_sample or "ignore") if percentile else "")


def _given(dimensions: Mapping[str, str] | None) -> Mapping[str, str] | None:
    return dict(dimensions) if dimensions else None


def _described(changed: Wanted, base: Wanted) -> Wanted:
    same = (changed.metrics, changed.expression, changed.comparison) == (base.metrics, base.expression, base.comparison)
    return replace(changed, described=base.described and same)

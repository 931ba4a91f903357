"""Alarms of every found thing, member by member where its metrics are, as nodes of the graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from securebase.api.alarmset import PerfAlarmSetSpec, Target
from securebase.core.graph import Node
from securebase.core.kind import Context
from securebase.kinds.alarmset.catalogue import Severity
from securebase.kinds.alarmset.gathering import Found
from securebase.kinds.alarmset.names import CDN_REGION, LONG, alarm_id, slug
from securebase.kinds.alarmset.wanted import Wanted, Watched, extended, wanted_alarms
from securebase.resources.cloudwatch.model import Alarm, MetricQuery

_DESCRIPTION: Final = 1024
_BAND: Final = "band"
_COMPARISONS: Final = {
    "GreaterThan": "GreaterThanThreshold",
    "GreaterThanOrEqual": "GreaterThanOrEqualToThreshold",
    "LessThan": "LessThanThreshold",
    "LessThanOrEqual": "LessThanOrEqualToThreshold",
}


@dataclass(frozen=True, slots=True)
class Planned:
    """An alarm to be made, and what composites and dashboards need to know of it. `member`: "" where it is of the whole."""

    node: str
    found: Found
    wanted: Wanted
    member: str
    alarm: Alarm

    @property
    def severity(self) -> Severity:
        return self.wanted.severity

    @property
    def service(self) -> str:
        return self.found.service


def planned_alarms(found: tuple[Found, ...], context: Context) -> Iterator[Planned]:
    """Every alarm, without actions yet."""
    for one in found:
        for wanted in wanted_alarms(one):
            for member in _members(one, wanted):
                node = alarm_id(one.target.id, _slug(one, member), wanted.id)
                yield Planned(node, one, wanted, member, _alarm(node, one, wanted, member, context))


def foreseen_severities(spec: PerfAlarmSetSpec, target: Target) -> frozenset[Severity]:
    """Of the messages that a distribution which is not there yet may bring. A CdnDistribution's own alarms are like the catalogue's unless it says
    otherwise, and tell somebody here through a composite alone."""
    found = Found(target, target.name or "", CDN_REGION)
    own = {wanted.severity for wanted in wanted_alarms(found)}
    borrowed = {recipe.severity for recipe in found.type.alarms} if target.ref is not None and of_service(spec, found.service) else set()
    return frozenset(own | borrowed)


def alarm_nodes(planned: tuple[Planned, ...], told: Mapping[str, frozenset[str]], region: str) -> Iterator[Node]:
    """told: by node, whom an alarm tells itself; children of a composite tell nobody."""
    for one in planned:
        actions = told.get(one.node, frozenset())
        alarm = replace(one.alarm, alarm_actions=actions, ok_actions=actions)
        yield Node(one.node, "cloudwatch/alarm", alarm, "" if one.found.region == region else one.found.region)


def of_service(spec: PerfAlarmSetSpec, name: str) -> bool:
    """Whether a service's alarms make composites."""
    return all(service.composite for service in spec.services if service.name == name)


def _members(found: Found, wanted: Wanted) -> tuple[str, ...]:
    of_the_whole = all(metric.dimensions is not None for metric in wanted.metrics)
    return found.members if found.type.by_member and not of_the_whole else ("",)


def _slug(found: Found, member: str) -> str:
    return slug(member) if member else "" if found.single else slug(found.name)


def _alarm(node: str, found: Found, wanted: Wanted, member: str, context: Context) -> Alarm:
    identity = context.identity
    queries = tuple(_queries(found, wanted, member))
    single = wanted.metrics[0] if not queries else None
    dimensions = _dimensions(found, wanted, single, member) if single is not None else {}
    return Alarm(
        name=identity.external_name(node, LONG),
        tags=context.tags,
        comparison=_comparison(wanted),
        evaluation_periods=wanted.evaluation_periods,
        datapoints_to_alarm=wanted.datapoints_to_alarm,
        threshold=None if wanted.band else wanted.threshold,
        treat_missing_data=wanted.missing_data,
        description=_description(found, wanted, member, context),
        namespace=single.namespace if single is not None else "",
        metric_name=single.metric if single is not None else "",
        dimensions=dimensions,
        statistic=single.statistic if single is not None and not extended(single.statistic) else "",
        extended_statistic=single.statistic if single is not None and extended(single.statistic) else "",
        period=wanted.period if single is not None else 0,
        metrics=queries,
        threshold_metric_id=_BAND if wanted.band else "",
        evaluate_low_sample=wanted.low_sample if single is not None else "",
    )


def _queries(found: Found, wanted: Wanted, member: str) -> Iterator[MetricQuery]:
    """Lines of a metric-math alarm; none where it looks at one metric against a threshold."""
    if not wanted.expression and not wanted.band:
        return
    taken = {metric.id for metric in wanted.metrics}
    result = next(name for name in ("value", "result", "watched", *(f"value{number}" for number in range(20))) if name not in taken)
    for metric in wanted.metrics:
        yield MetricQuery(
            id=metric.id or result,
            namespace=metric.namespace,
            metric_name=metric.metric,
            dimensions=_dimensions(found, wanted, metric, member),
            stat=metric.statistic,
            period=wanted.period,
            returns_data=not wanted.expression,
        )
    if wanted.expression:
        yield MetricQuery(id=result, expression=wanted.expression, label=wanted.words[:100], returns_data=True)
    if wanted.band:
        yield MetricQuery(id=_BAND, expression=f"ANOMALY_DETECTION_BAND({result}, {wanted.band:g})", label="expected", returns_data=True)


def _dimensions(found: Found, wanted: Wanted, metric: Watched, member: str) -> Mapping[str, str]:
    if metric.dimensions is not None:
        return metric.dimensions
    if wanted.of:
        return found.dimensions(member) | dict.fromkeys(found.type.dimensions, found.attributes[wanted.of])
    return found.dimensions(member)


def _comparison(wanted: Wanted) -> str:
    if not wanted.band:
        return _COMPARISONS[wanted.comparison]
    if wanted.comparison == "Outside":
        return "LessThanLowerOrGreaterThanUpperThreshold"
    return "GreaterThanUpperThreshold" if wanted.comparison.startswith("Greater") else "LessThanLowerThreshold"


def _description(found: Found, wanted: Wanted, member: str, context: Context) -> str:
    """What is wrong, since when, of which object, and what to do: it is what a notification shows."""
    identity = context.identity
    what = f"{member or found.name}{f' ({found.stage})' if found.stage else ''}"
    when = f"{wanted.datapoints_to_alarm} of {wanted.evaluation_periods} times {wanted.period} s"
    told = f"{wanted.severity}: {what}: {wanted.words}, {when} (PerfAlarmSet {identity.namespace}/{identity.name})."
    return f"{told} {wanted.runbook}".strip()[:_DESCRIPTION]

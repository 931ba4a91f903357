"""What is watched: named, referred to, found by tags, or a metric of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from annotated_types import MaxLen, MinLen
from pydantic import StringConstraints

from securebase.api.alarmset.alarms import DAY, WEEK, AlarmChange, AlarmChanges, OwnMetric, longest
from securebase.api.alarmset.scalars import Id
from securebase.api.base import ApiModel, ListMap, MapBounds, Rule, Rules
from securebase.api.scalars import ObjectName

TargetType = Literal["ApiGatewayRest", "ApiGatewayHttp", "Lambda", "DynamoDB", "Aurora", "ElastiCache", "CloudFront", "Sqs", "Custom"]

_PERCENT_ALARMS = {
    "ApiGatewayRest": ("rate-5xx", "rate-4xx"),
    "ApiGatewayHttp": ("rate-5xx", "rate-4xx"),
    "Aurora": ("cpu", "buffer-cache"),
    "ElastiCache": ("engine-cpu", "memory", "memory-critical", "hit-rate"),
    "CloudFront": ("errors-5xx", "errors-4xx", "hit-rate"),
}

_MATHS_ALARMS = {
    "ApiGatewayRest": ("rate-5xx", "rate-4xx"),
    "ApiGatewayHttp": ("rate-5xx", "rate-4xx"),
    "DynamoDB": ("read-throttles", "write-throttles"),
}
"""Alarms of the catalogue that are an expression."""


_PERCENTILE_ALARMS = {
    "ApiGatewayRest": ("latency-p95", "latency-p90"),
    "ApiGatewayHttp": ("latency-p95", "latency-p90"),
    "Lambda": ("duration",),
}
"""Alarms of the catalogue on a percentile."""

_LONG_ALARMS = {
    "Lambda": {"concurrency": 10},
    "Aurora": {"replica-lag": 10, "reader-lag": 10, "buffer-cache": 10},
    "Sqs": {"oldest-message": 15, "in-flight": 15},
}
"""Evaluation periods of those alarms of the catalogue that have so many that a longer period alone may be too long."""


class TargetRef(ApiModel):
    """Another object in this namespace."""

    kind: Literal["CdnDistribution", "CacheCluster"]
    """Its kind."""
    name: ObjectName
    """Its name."""


class Selector(ApiModel):
    """Everything of the type that carries all of these tags, whenever it comes or goes."""

    tags: Annotated[dict[str, str], MapBounds(max_properties=10, value=256)]
    """Tags with their values."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="size(self.tags) > 0",
            holds=lambda selector: bool(selector.tags),
            message="selector.tags is empty and would find everything of the account; give at least one tag",
            field=".tags",
        ),
    )


def _names(alarms: Mapping[str, Sequence[str]]) -> str:
    """A map of CEL."""
    return f"{{{', '.join(f'{type_!r}: {list(names)!r}' for type_, names in alarms.items())}}}"


def _counts(alarms: Mapping[str, Mapping[str, int]]) -> str:
    """A map of maps of CEL."""
    return f"{{{', '.join(f'{type_!r}: {dict(counts)!r}' for type_, counts in alarms.items())}}}"


def _fits_catalogue(target: Target) -> bool:
    periods = _LONG_ALARMS.get(target.type, {})
    changed = (alarm for alarm in target.alarms if alarm.evaluation_periods is None and alarm.id in periods)
    return all(alarm.period_seconds is None or alarm.period_seconds * periods[alarm.id] <= longest(alarm.period_seconds) for alarm in changed)


def _low_samples_count(target: Target) -> bool:
    return all(alarm.low_sample is None or _is_percentile(alarm, target.type) for alarm in target.alarms)


def _is_percentile(alarm: AlarmChange, type_: str) -> bool:
    if alarm.expression is not None or alarm.anomaly is not None:
        return False
    if alarm.statistic is not None:
        return alarm.statistic.startswith("p")
    return alarm.metric is None and alarm.id in _PERCENTILE_ALARMS.get(type_, ())


def _thresholds(target: Target) -> Iterator[tuple[str, float]]:
    """Of alarms on the target's own metrics, by the alarm's id."""
    on_its_own = (alarm for alarm in target.alarms if alarm.metric is None and alarm.expression is None)
    return ((alarm.id, alarm.threshold) for alarm in on_its_own if alarm.threshold is not None)


def _sensible(target: Target) -> bool:
    names = _PERCENT_ALARMS.get(target.type, ())
    return all(id not in names or threshold <= 100 for id, threshold in _thresholds(target))


def _not_below_zero(target: Target) -> bool:
    return target.type == "Custom" or all(threshold >= 0 for _, threshold in _thresholds(target))


def _within_percent(target: Target) -> bool:
    return target.metric is None or target.metric.unit != "Percent" or all(threshold <= 100 for _, threshold in _thresholds(target))


def _is_own(namespace: str | None) -> bool:
    return namespace is not None and not namespace.startswith("AWS/")


def _short_periods_fit(target: Target) -> bool:
    return all(alarm.period_seconds is None or alarm.period_seconds >= 60 or _is_on_own(alarm, target) for alarm in target.alarms)


def _is_on_own(alarm: AlarmChange, target: Target) -> bool:
    if alarm.expression is not None:
        return all(_is_own(metric.namespace) for metric in alarm.metrics)
    if alarm.metric is not None and alarm.metric.namespace is not None:
        return _is_own(alarm.metric.namespace)
    return target.metric is not None and _is_own(target.metric.namespace)


def _statistics_are_used(target: Target) -> bool:
    fixed = _MATHS_ALARMS.get(target.type, ())
    return all(alarm.statistic is None or alarm.metric is not None or alarm.expression is not None or alarm.id not in fixed for alarm in target.alarms)


def _ways(target: Target) -> int:
    return sum(way is not None for way in (target.name, target.ref, target.selector, target.metric))


class Target(ApiModel):
    """One thing, or all things of a type with some tags."""

    id: Id
    """Name of the target within the set."""
    type: TargetType
    """What it is."""
    service: Id = "platform"
    """Service it belongs to: alarms of one service tell as one."""
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    """Name of the function, table, cluster, queue or REST API; id of the HTTP API, distribution or replication group."""
    stage: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    """Stage of an API."""
    ref: TargetRef | None = None
    """An object that makes it and its alarms."""
    selector: Selector | None = None
    """Tags to find it by."""
    metric: OwnMetric | None = None
    """The metric of type Custom."""
    alarms: AlarmChanges = ()
    """Alarms that differ from the catalogue's, and alarms of one's own."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="(has(self.name) ? 1 : 0) + (has(self.ref) ? 1 : 0) + (has(self.selector) ? 1 : 0) + (has(self.metric) ? 1 : 0) == 1",
            holds=lambda target: _ways(target) == 1,
            message="a target is given in exactly one way: name, ref, selector, or metric for type Custom",
        ),
        Rule(
            cel="(self.type == 'Custom') == has(self.metric)",
            holds=lambda target: (target.type == "Custom") == (target.metric is not None),
            message="metric belongs to type Custom, and type Custom needs it",
            field=".metric",
        ),
        Rule(
            cel="""!has(self.ref) || (self.ref.kind == 'CdnDistribution' && self.type == 'CloudFront')
                || (self.ref.kind == 'CacheCluster' && self.type == 'ElastiCache')""",
            holds=lambda target: target.ref is None or (target.ref.kind, target.type) in (("CdnDistribution", "CloudFront"), ("CacheCluster", "ElastiCache")),
            message="ref.kind does not fit type: CdnDistribution is for CloudFront, CacheCluster for ElastiCache",
            field=".ref.kind",
        ),
        Rule(
            cel="!has(self.selector) || !(self.type in ['CloudFront', 'Custom'])",
            holds=lambda target: target.selector is None or target.type not in ("CloudFront", "Custom"),
            message="selector does not find distributions; name the distribution or refer to its CdnDistribution",
            field=".selector",
        ),
        Rule(
            cel="self.type != 'ApiGatewayHttp' || has(self.stage)",
            holds=lambda target: target.type != "ApiGatewayHttp" or target.stage is not None,
            message="stage is required for an HTTP API, whose metrics are published by stage; the default one is called $default",
            field=".stage",
        ),
        Rule(
            cel="!has(self.stage) || self.type in ['ApiGatewayRest', 'ApiGatewayHttp']",
            holds=lambda target: target.stage is None or target.type in ("ApiGatewayRest", "ApiGatewayHttp"),
            message="stage belongs to an API Gateway; leave it out",
            field=".stage",
        ),
        Rule(
            cel=f"""!has(self.alarms) || self.alarms.all(a, !has(a.threshold) || a.threshold <= 100.0 || has(a.metric) || has(a.expression)
                || !(self.type in {_names(_PERCENT_ALARMS)} && a.id in {_names(_PERCENT_ALARMS)}[self.type]))""",
            holds=_sensible,
            message="alarms holds a threshold over 100 for something in percent, which could never fire; give one of 0 to 100",
            field=".alarms",
        ),
        Rule(
            cel="""self.type == 'Custom' || !has(self.alarms)
                || self.alarms.all(a, !has(a.threshold) || a.threshold >= 0.0 || has(a.metric) || has(a.expression))""",
            holds=_not_below_zero,
            message="alarms holds a threshold below zero, which no metric of the catalogue ever is; give one of 0 or more",
            field=".alarms",
        ),
        Rule(
            cel="""!has(self.metric) || !has(self.metric.unit) || self.metric.unit != 'Percent' || !has(self.alarms)
                || self.alarms.all(a, !has(a.threshold) || a.threshold <= 100.0 || has(a.metric) || has(a.expression))""",
            holds=_within_percent,
            message="alarms holds a threshold over 100, and the unit of metric is Percent; give one of 0 to 100, or leave the unit out",
            field=".alarms",
        ),
        Rule(
            cel="""self.type != 'Custom' || !has(self.alarms)
                || self.alarms.all(a, has(a.threshold) || has(a.anomaly) || (has(a.enabled) && !a.enabled))""",
            holds=lambda target: target.type != "Custom" or all(a.threshold is not None or a.anomaly is not None or not a.enabled for a in target.alarms),
            message="the catalogue has no alarm on a metric of your own: each of alarms needs a threshold or an anomaly band",
            field=".alarms",
        ),
        Rule(
            cel="""!has(self.alarms) || self.alarms.all(a, !has(a.periodSeconds) || a.periodSeconds >= 60
                || (has(a.expression) ? has(a.metrics) && a.metrics.all(m, has(m.namespace) && !m.namespace.startsWith('AWS/'))
                    : has(a.metric) && has(a.metric.namespace) ? !a.metric.namespace.startsWith('AWS/')
                    : has(self.metric) && !self.metric.namespace.startsWith('AWS/')))""",
            holds=_short_periods_fit,
            message="alarms holds a period of 10, 20 or 30 seconds on a metric of AWS, which has no data as fine; give 60 or a multiple of it",
            field=".alarms",
        ),
        Rule(
            cel=f"""!has(self.alarms) || self.alarms.all(a, !has(a.statistic) || has(a.metric) || has(a.expression)
                || !(self.type in {_names(_MATHS_ALARMS)} && a.id in {_names(_MATHS_ALARMS)}[self.type]))""",
            holds=_statistics_are_used,
            message="alarms holds a statistic for an alarm of the catalogue that is an expression, where it changes nothing; leave it out",
            field=".alarms",
        ),
        Rule(
            cel=f"""!(self.type in {list(_LONG_ALARMS)!r}) || !has(self.alarms) || self.alarms.all(a, !has(a.periodSeconds)
                || has(a.evaluationPeriods) || !(a.id in {_counts(_LONG_ALARMS)}[self.type])
                || a.periodSeconds * {_counts(_LONG_ALARMS)}[self.type][a.id] <= (a.periodSeconds >= 3600 ? {WEEK} : {DAY}))""",
            holds=_fits_catalogue,
            message="alarms holds a periodSeconds too long for as many evaluation periods as the catalogue's alarm has: together they may take a day, "
            "or a week if each is an hour or more; lower it, or give evaluationPeriods",
            field=".alarms",
        ),
        Rule(
            cel=f"""!has(self.alarms) || self.alarms.all(a, !has(a.lowSample) || (!has(a.expression) && !has(a.anomaly)
                && (has(a.statistic) ? a.statistic.startsWith('p') : !has(a.metric)
                    && self.type in {_names(_PERCENTILE_ALARMS)} && a.id in {_names(_PERCENTILE_ALARMS)}[self.type])))""",
            holds=_low_samples_count,
            message="alarms holds a lowSample for what is no percentile, where CloudWatch takes none; leave it out, or give a statistic like p95",
            field=".alarms",
        ),
    )


Targets = Annotated[tuple[Target, ...], MinLen(1), MaxLen(200), ListMap("id")]

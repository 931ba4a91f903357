"""What a target's alarms may be told to be: changes to the catalogue's, and alarms of one's own."""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge, Le, MaxLen
from pydantic import Field, StringConstraints

from securebase.api.alarmset.scalars import (
    Comparison,
    Dimensions,
    Id,
    LowSample,
    MathId,
    MetricNamespace,
    MetricUnit,
    MissingData,
    Name,
    Period,
    Periods,
    Runbook,
    Severity,
    Statistic,
)
from securebase.api.base import ApiModel, ListMap, Rule, Rules

DAY = 86_400
WEEK = 7 * DAY

_PERCENT_METRICS = (
    "401ErrorRate",
    "403ErrorRate",
    "404ErrorRate",
    "4xxErrorRate",
    "502ErrorRate",
    "503ErrorRate",
    "504ErrorRate",
    "5xxErrorRate",
    "ACUUtilization",
    "BufferCacheHitRatio",
    "CPUUtilization",
    "CacheHitRate",
    "DatabaseCapacityUsageCountedForEvictPercentage",
    "DatabaseCapacityUsagePercentage",
    "DatabaseMemoryUsageCountedForEvictPercentage",
    "DatabaseMemoryUsagePercentage",
    "EngineCPUUtilization",
    "TotalErrorRate",
)
"""Metrics that AWS publishes in percent."""


def _fits_periods(alarm: AlarmChange) -> bool:
    if alarm.period_seconds is None:
        return True
    return alarm.period_seconds * (alarm.evaluation_periods or alarm.datapoints_to_alarm or 1) <= longest(alarm.period_seconds)


def longest(period: int) -> int:
    """Seconds that all periods of an alarm may take together (PutMetricAlarm, API reference)."""
    return WEEK if period >= 3600 else DAY


class Metric(ApiModel):
    """One metric of CloudWatch."""

    name: Name
    """Name of the metric."""
    namespace: MetricNamespace | None = None
    """Namespace of the metric; the target's if omitted."""
    dimensions: Dimensions | None = None
    """Dimensions of the metric; the target's if omitted."""


class OwnMetric(ApiModel):
    """A metric that an application publishes."""

    namespace: MetricNamespace
    """Namespace of the metric, like Shop/Orders."""
    name: Name
    """Name of the metric."""
    dimensions: Dimensions = Field(default_factory=dict)
    """Dimensions, every one that it is published with."""
    unit: MetricUnit | None = None
    """Unit that it is published in; Count and none are summed in graphs, others averaged."""


class MathMetric(ApiModel):
    """One metric of an expression."""

    id: MathId
    """Its name in the expression."""
    name: Name
    """Name of the metric."""
    namespace: MetricNamespace | None = None
    """Namespace of the metric; the target's if omitted."""
    dimensions: Dimensions | None = None
    """Dimensions of the metric; the target's if omitted."""
    statistic: Statistic | None = None
    """Statistic of the metric; Sum if omitted."""


class Anomaly(ApiModel):
    """A band around what CloudWatch expects of the metric, learned from two weeks of it."""

    bandwidth: Annotated[float, Ge(1), Le(10)]
    """Standard deviations on either side."""


class AlarmChange(ApiModel):
    """An alarm of the catalogue, by its id, with what shall be different; or an alarm of one's own under a new id."""

    id: Id
    """Id in the catalogue, or a new one."""
    enabled: bool = True
    """Whether there is such an alarm."""
    severity: Severity | None = None
    """Who is told: the catalogue's, or warning."""
    threshold: float | None = None
    """Where the alarm begins, in the metric's unit."""
    statistic: Statistic | None = None
    """Statistic of the metric: Average, Sum, Minimum, Maximum, SampleCount, p95, tm90. Those of an expression stand in `metrics`."""
    period_seconds: Period | None = None
    """Length of one period: a multiple of 60; on a metric of your own 10, 20 and 30 too."""
    evaluation_periods: Periods | None = None
    """N of M of N: how many periods are looked at."""
    datapoints_to_alarm: Periods | None = None
    """M of M of N: in how many of them the threshold must be passed."""
    comparison: Comparison | None = None
    """Which side of the threshold is bad; Outside: both sides of an anomaly band."""
    missing_data: MissingData | None = None
    """What a period without data counts as. Of an alarm of one's own notBreaching, but breaching for too small a Sum or SampleCount."""
    low_sample: LowSample | None = None
    """Whether a percentile of too few samples to be sure of counts: ignore if omitted."""
    runbook: Runbook | None = None
    """Page that says what to do."""
    metric: Metric | None = None
    """Metric of an alarm of one's own."""
    expression: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None
    """Metric maths over `metrics`: 100 * errors / requests."""
    metrics: Annotated[tuple[MathMetric, ...], MaxLen(10), ListMap("id")] = ()
    """Metrics of the expression."""
    anomaly: Anomaly | None = None
    """A band instead of a threshold."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="!has(self.periodSeconds) || self.periodSeconds in [10, 20, 30] || self.periodSeconds % 60 == 0",
            holds=lambda alarm: alarm.period_seconds is None or alarm.period_seconds in (10, 20, 30) or alarm.period_seconds % 60 == 0,
            message="periodSeconds is 10, 20, 30 or a multiple of 60; CloudWatch takes no other",
            field=".periodSeconds",
        ),
        Rule(
            cel="!has(self.datapointsToAlarm) || !has(self.evaluationPeriods) || self.datapointsToAlarm <= self.evaluationPeriods",
            holds=lambda alarm: alarm.datapoints_to_alarm is None or alarm.evaluation_periods is None or alarm.datapoints_to_alarm <= alarm.evaluation_periods,
            message="datapointsToAlarm is more than evaluationPeriods; the alarm could never fire, lower it",
            field=".datapointsToAlarm",
        ),
        Rule(
            cel=f"""!has(self.periodSeconds) || self.periodSeconds * (has(self.evaluationPeriods) ? self.evaluationPeriods :
                has(self.datapointsToAlarm) ? self.datapointsToAlarm : 1) <= (self.periodSeconds >= 3600 ? {WEEK} : {DAY})""",
            holds=_fits_periods,
            message="periodSeconds by evaluationPeriods is more than a day (a week for periods of an hour or more), which CloudWatch refuses; lower one",
            field=".periodSeconds",
        ),
        Rule(
            cel="!has(self.anomaly) || !has(self.threshold)",
            holds=lambda alarm: alarm.anomaly is None or alarm.threshold is None,
            message="an alarm has a threshold or an anomaly band, not both; leave one out",
            field=".threshold",
        ),
        Rule(
            cel="!has(self.comparison) || self.comparison != 'Outside' || has(self.anomaly)",
            holds=lambda alarm: alarm.comparison != "Outside" or alarm.anomaly is not None,
            message="comparison is Outside, and only an anomaly band has two sides; give anomaly, or compare with the threshold",
            field=".comparison",
        ),
        Rule(
            cel="!has(self.expression) || (has(self.metrics) && size(self.metrics) > 0)",
            holds=lambda alarm: alarm.expression is None or bool(alarm.metrics),
            message="expression needs the metrics it speaks of; name them in metrics",
            field=".expression",
        ),
        Rule(
            cel="!has(self.metrics) || size(self.metrics) == 0 || has(self.expression)",
            holds=lambda alarm: not alarm.metrics or alarm.expression is not None,
            message="metrics are those of an expression, and there is none; give one, or name a single metric in metric",
            field=".metrics",
        ),
        Rule(
            cel="!has(self.metric) || !has(self.expression)",
            holds=lambda alarm: alarm.metric is None or alarm.expression is None,
            message="an alarm is on one metric or on an expression over several; leave metric or expression out",
            field=".metric",
        ),
        Rule(
            cel="!has(self.anomaly) || !has(self.expression)",
            holds=lambda alarm: alarm.anomaly is None or alarm.expression is None,
            message="an anomaly band is around one metric; leave expression out",
            field=".anomaly",
        ),
        Rule(
            cel="!has(self.statistic) || !has(self.expression)",
            holds=lambda alarm: alarm.statistic is None or alarm.expression is None,
            message="statistic is of one metric, and an expression has several; give each its own in metrics",
            field=".statistic",
        ),
        Rule(
            cel=f"""!has(self.threshold) || !has(self.metric) || self.threshold <= 100.0 ||
                !(self.metric.name in [{", ".join(f"'{name}'" for name in _PERCENT_METRICS)}])""",
            holds=lambda alarm: alarm.threshold is None or alarm.metric is None or alarm.threshold <= 100 or alarm.metric.name not in _PERCENT_METRICS,
            message="threshold is over 100, and the metric is in percent, so it is never passed; give one of 0 to 100",
            field=".threshold",
        ),
    )


AlarmChanges = Annotated[tuple[AlarmChange, ...], MaxLen(20), ListMap("id")]

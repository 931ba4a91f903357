"""CloudWatch metric alarms, on one metric or on an expression over several, and what CloudWatch accepts of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from securebase.core.fields import Impact, managed

MISSING_DATA: Final = ("breaching", "notBreaching", "ignore", "missing")
ACTIONS_A_STATE: Final = 5
_SHORT_PERIODS: Final = (10, 20, 30)
_DAY: Final = 86_400
_NAME_LENGTH: Final = 255


@dataclass(frozen=True, slots=True)
class MetricQuery:
    """One line of a metric-math alarm: an expression, or a metric with a statistic. Exactly one of an alarm's lines returns data.

    period  seconds; for an expression 0 leaves it to CloudWatch
    """

    id: str
    expression: str = ""
    namespace: str = ""
    metric_name: str = ""
    dimensions: Mapping[str, str] = field(default_factory=dict)
    stat: str = ""
    period: int = 0
    unit: str = ""
    label: str = ""
    returns_data: bool = False
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A metric alarm: on one metric (`namespace`, `metric_name`, `dimensions`, a statistic, `period`), or on `metrics`.

    statistic            Average, Sum, Minimum, Maximum or SampleCount; or else
    extended_statistic   a percentile and the like: p95, TM(2%:98%)
    threshold            None for anomaly detection, where `threshold_metric_id` names the band
    comparison           GreaterThanThreshold and so on
    evaluation_periods   N, and
    datapoints_to_alarm  M of "M of N"
    evaluate_low_sample  "evaluate" (CloudWatch's default) or "ignore"; for percentiles only, "" elsewhere
    *_actions            ARNs, at most five a state

    Attributes: `arn`, `name`, `state` (OK, ALARM, INSUFFICIENT_DATA), `since` and `changed` (Unix seconds of its state and of its configuration; ""
    where nobody tells), `evaluation` ("", PARTIAL_DATA, EVALUATION_ERROR, EVALUATION_FAILURE).
    """

    name: str = managed(impact=Impact.REPLACE)
    tags: Mapping[str, str] = managed(open=True)
    comparison: str = managed()
    evaluation_periods: int = managed()
    datapoints_to_alarm: int = managed()
    threshold: float | None = None
    treat_missing_data: str = "missing"
    description: str = ""
    namespace: str = ""
    metric_name: str = ""
    dimensions: Mapping[str, str] = field(default_factory=dict)
    statistic: str = ""
    extended_statistic: str = ""
    period: int = 0
    unit: str = ""
    metrics: tuple[MetricQuery, ...] = managed(key="id", default=())
    threshold_metric_id: str = ""
    evaluate_low_sample: str = ""
    actions_enabled: bool = True
    alarm_actions: frozenset[str] = frozenset()
    ok_actions: frozenset[str] = frozenset()
    insufficient_data_actions: frozenset[str] = frozenset()


def problems(alarm: Alarm) -> Iterator[str]:
    """What CloudWatch would refuse, in words for a person (PutMetricAlarm, API reference). Emulators accept all of it."""
    if not 0 < len(alarm.name) <= _NAME_LENGTH:
        yield f"an alarm's name has 1 to {_NAME_LENGTH} characters"
    if bool(alarm.metrics) == bool(alarm.metric_name):
        yield "an alarm watches either one metric or a list of metric queries"
    elif alarm.metrics:
        yield from _query_problems(alarm)
    else:
        yield from _metric_problems(alarm)
    if (alarm.threshold is None) != bool(alarm.threshold_metric_id):
        yield "an alarm has either a threshold or the id of an anomaly band"
    if not 1 <= alarm.datapoints_to_alarm <= alarm.evaluation_periods:
        yield f"datapoints to alarm must be between 1 and the evaluation periods ({alarm.evaluation_periods})"
    if alarm.treat_missing_data not in MISSING_DATA:
        yield f"missing data is treated as one of {', '.join(MISSING_DATA)}"
    for state, actions in (("ALARM", alarm.alarm_actions), ("OK", alarm.ok_actions), ("INSUFFICIENT_DATA", alarm.insufficient_data_actions)):
        if len(actions) > ACTIONS_A_STATE:
            yield f"{len(actions)} actions for {state}; CloudWatch takes {ACTIONS_A_STATE}"


def _metric_problems(alarm: Alarm) -> Iterator[str]:
    if bool(alarm.statistic) == bool(alarm.extended_statistic):
        yield "an alarm on one metric has either a statistic or an extended statistic"
    if alarm.evaluate_low_sample and not alarm.extended_statistic:
        yield "evaluation of low sample counts concerns percentiles only"
    yield from _period_problems(alarm.period, alarm.evaluation_periods)


def _query_problems(alarm: Alarm) -> Iterator[str]:
    returning = [query.id for query in alarm.metrics if query.returns_data]
    banded = 2 if alarm.threshold_metric_id else 1
    if len(returning) != banded:
        yield f"{banded} of an alarm's metric queries must return data, {len(returning)} do"
    for query in alarm.metrics:
        if bool(query.expression) == bool(query.metric_name):
            yield f"query {query.id} has either an expression or a metric"
        elif query.metric_name:
            yield from _period_problems(query.period, alarm.evaluation_periods)


def _period_problems(period: int, periods: int) -> Iterator[str]:
    if period not in _SHORT_PERIODS and (period <= 0 or period % 60):
        yield f"a period of {period} s; CloudWatch takes 10, 20, 30 and multiples of 60"
    limit = 7 * _DAY if period >= 3600 else _DAY
    if period * periods > limit:
        yield f"{periods} periods of {period} s look back further than {limit // _DAY} day{'s' if limit > _DAY else ''}"

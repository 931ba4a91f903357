"""Declared maintenance: the alarm that is in ALARM during the windows and keeps composites from telling anybody.

CloudWatch has no alarm on the time of day. Metric maths has: DAY, HOUR and MINUTE give, in UTC, the time of each period of a metric (User Guide, "Using
metric math", functions on time). The metric must exist in every account and region, and go on existing: CallCount of CloudWatch's own DescribeAlarms in
AWS/Usage (User Guide, "CloudWatch usage metrics": the calls of the account, every minute) does, because the operator's sweeps make these calls, others
may, and its value does not matter. A minute without any call has no data: that is not breaching, so that it is paging, not silence, that is left.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from securebase.api.alarmset import Maintenance
from securebase.core.errors import Terminal
from securebase.core.kind import Context
from securebase.kinds.alarmset.names import CDN_REGION, LONG
from securebase.resources.cloudwatch.model import Alarm, MetricQuery

_WEEK: Final = 7 * 1440
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = {"Service": "CloudWatch", "Type": "API", "Resource": "DescribeAlarms", "Class": "None"}


def window_alarm(node: str, windows: Iterable[str], context: Context) -> Alarm:
    """In ALARM during the windows. Periods are labelled by their beginning and come in a minute or two late, which the composite's wait covers."""
    identity, windows = context.identity, sorted(windows)
    return Alarm(
        name=identity.external_name(node, LONG),
        tags=context.tags,
        comparison="GreaterThanOrEqualToThreshold",
        evaluation_periods=1,
        datapoints_to_alarm=1,
        threshold=1.0,
        treat_missing_data="notBreaching",
        description=f"In ALARM during maintenance, {', '.join(windows)} UTC, when composites tell nobody (PerfAlarmSet {identity.namespace}/{identity.name})",
        metrics=(
            MetricQuery(id="calls", namespace="AWS/Usage", metric_name="CallCount", dimensions=_CLOCK, stat="Sum", period=60),
            MetricQuery(id="week_minute", expression="1440 * (DAY(calls) - 1) + 60 * HOUR(calls) + MINUTE(calls)"),
            MetricQuery(id="inside", expression=f"IF({inside(windows)}, 1, 0)", label="maintenance", returns_data=True),
        ),
    )


def given_suppressor(maintenance: Maintenance, region: str, home: str) -> str:
    """The alarm that somebody else makes, for composites of a region; "" where there are windows. A composite takes one of its own region only:
    Terminal where none is given, as what concerns that region would page during the maintenance."""
    if maintenance.suppressor_alarm is None or region == home:
        return maintenance.suppressor_alarm or ""
    if region == CDN_REGION and maintenance.us_east1_suppressor_alarm:
        return maintenance.us_east1_suppressor_alarm
    fix = "give usEast1SuppressorAlarm, or" if region == CDN_REGION else "give"
    told = f"maintenance.suppressorAlarm is an alarm of {home}, and would hold nothing in {region}, where targets have alarms too"
    raise Terminal("SuppressorRegion", f"{told}; {fix} windows, which hold in every region")


def inside(windows: Iterable[str]) -> str:
    """The condition on `week_minute`, the minute of the week (0 = Monday 00:00 UTC); ends are outside. A window over the end of the week is two."""
    spans = sorted({span for window in windows for span in _spans(window)})
    return " OR ".join(f"(week_minute >= {start} AND week_minute < {end})" for start, end in spans) or "week_minute < 0"


def _spans(window: str) -> Iterable[tuple[int, int]]:
    start, end = (_minute_of_week(time) for time in window.split("-"))
    if start <= end:
        return ((start, end),) if start < end else ()
    return tuple(span for span in ((start, _WEEK), (0, end)) if span[0] < span[1])


def _minute_of_week(time: str) -> int:
    day, hour, minute = time.split(":")
    return _DAYS.index(day) * 1440 + int(hour) * 60 + int(minute)

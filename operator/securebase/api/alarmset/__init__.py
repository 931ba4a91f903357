"""PerfAlarmSet: alarms, dashboards, metric filters, saved queries and who is told, for a whole platform."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import MaxLen
from pydantic import Field

from securebase.api.alarmset.alarms import AlarmChange, Anomaly, MathMetric, Metric, OwnMetric
from securebase.api.alarmset.notices import CreateTopic, Maintenance, Notification, Notifications, Service, Services
from securebase.api.alarmset.set_rules import RULES
from securebase.api.alarmset.targets import Selector, Target, TargetRef, Targets
from securebase.api.alarmset.views import (
    CustomWidget,
    Dashboards,
    LogGroupSetting,
    LogGroupSettingsList,
    MetricFilters,
    MetricFilterSpec,
    SavedQueries,
    SavedQuery,
)
from securebase.api.base import Atomic, Rules
from securebase.api.meta import KubernetesObject, ResourceSpec
from securebase.api.status import Count, ResourceStatusBlock, StatusModel

__all__ = [
    "AlarmChange",
    "Anomaly",
    "CreateTopic",
    "CustomWidget",
    "LogGroupSetting",
    "Maintenance",
    "MathMetric",
    "Metric",
    "MetricFilterSpec",
    "Notification",
    "OwnMetric",
    "PerfAlarmSet",
    "PerfAlarmSetSpec",
    "PerfAlarmSetStatus",
    "SavedQuery",
    "Selector",
    "Service",
    "Target",
    "TargetRef",
]


class PerfAlarmSetSpec(ResourceSpec):
    """What is watched, and who is told."""

    targets: Targets
    """What is watched."""
    services: Services = ()
    """What is known of services besides their targets."""
    maintenance: Maintenance | None = None
    """When composites tell nobody."""
    notifications: Notifications = ()
    """Who is told, by severity. Without any, alarms only show their state."""
    dashboards: Dashboards = Field(default_factory=Dashboards)
    """Dashboards in CloudWatch."""
    metric_filters: MetricFilters = ()
    """Metrics that are made of logs."""
    cold_starts: bool = True
    """Whether a filter on each function's log measures its cold starts."""
    log_groups: LogGroupSettingsList = ()
    """Retention and encryption of log groups that exist."""
    queries: SavedQueries = ()
    """Logs Insights queries that are saved for everybody."""
    standard_queries: bool = True
    """Whether the usual ones are saved for every target with logs: slowest requests, errors by endpoint, cold starts."""

    rules: ClassVar[Rules] = RULES


class AlarmCounts(StatusModel):
    """How many alarms are in which state."""

    total: Count | None = None
    ok: Count | None = None
    alarm: Count | None = None
    insufficient_data: Count | None = None


Names = Annotated[tuple[str, ...], MaxLen(20), Atomic()]


class PerfAlarmSetStatus(ResourceStatusBlock):
    """How the set stands."""

    alarms: AlarmCounts | None = None
    """How the alarms stand."""
    firing: Names = ()
    """Alarms that fire, the critical ones first."""
    flapping: Names = ()
    """Alarms that changed their state too often in an hour."""
    failed_actions: Names = ()
    """Alarms that could not tell whom they should."""
    no_data: Names = ()
    """Alarms that had no data for a day."""
    evaluation_errors: Names = ()
    """Alarms that CloudWatch cannot evaluate as they are configured."""
    missing_targets: Names = ()
    """Targets that do not exist."""
    unconfirmed_subscriptions: Names = ()
    """Subscriptions that nobody confirmed yet."""
    paging_beside: Names = ()
    """Referenced objects whose alarms tell a topic by themselves, beside the composite over them."""


class PerfAlarmSet(KubernetesObject):
    """Alarms, dashboards, filters, queries and notifications for a whole platform."""

    kind: Literal["PerfAlarmSet"] = "PerfAlarmSet"
    spec: PerfAlarmSetSpec
    status: PerfAlarmSetStatus | None = None

"""What is looked at: dashboards with widgets of one's own, metric filters, log groups and saved queries."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le, MaxLen
from pydantic import Field, StringConstraints

from securebase.api.alarmset.scalars import Dimensions, FilterValue, Id, KeyArn, LogGroupName, MetricNamespace, MetricUnit, Name, Size, Statistic
from securebase.api.base import ApiModel, Atomic, ListMap, ListSet, MapBounds, Matches, Rule, Rules

RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""What PutRetentionPolicy takes (CloudWatch Logs API reference)."""

LogGroups = Annotated[tuple[LogGroupName, ...], MaxLen(50), ListSet()]
Query = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]


class WidgetMetric(ApiModel):
    """One line of a graph."""

    namespace: MetricNamespace
    """Namespace of the metric."""
    name: Name
    """Name of the metric."""
    dimensions: Dimensions = Field(default_factory=dict)
    """Dimensions of the metric."""
    statistic: Statistic | None = None
    """Statistic that is drawn; Average if omitted."""


class CustomWidget(ApiModel):
    """A widget of one's own, below those that the targets make."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    """What stands above it."""
    type: Literal["metric", "text", "log"]
    """Lines of metrics, a text, or the result of a query."""
    markdown: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    """The text."""
    metrics: Annotated[tuple[WidgetMetric, ...], MaxLen(50), Atomic()] = ()
    """The lines."""
    query: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    """The Logs Insights query."""
    log_groups: Annotated[tuple[LogGroupName, ...], MaxLen(20), Atomic()] = ()
    """Log groups of the query."""
    width: Size | None = None
    """Columns of 24; 12 if omitted."""
    height: Size | None = None
    """Rows; 6 if omitted."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="(self.type == 'text') == has(self.markdown)",
            holds=lambda widget: (widget.type == "text") == (widget.markdown is not None),
            message="markdown belongs to a widget of type text, and that needs it",
            field=".markdown",
        ),
        Rule(
            cel="(self.type == 'metric') == (has(self.metrics) && size(self.metrics) > 0)",
            holds=lambda widget: (widget.type == "metric") == bool(widget.metrics),
            message="metrics belongs to a widget of type metric, and that needs at least one",
            field=".metrics",
        ),
        Rule(
            cel="(self.type == 'log') == (has(self.query) && has(self.logGroups) && size(self.logGroups) > 0)",
            holds=lambda widget: (widget.type == "log") == (widget.query is not None and bool(widget.log_groups)),
            message="query and logGroups belong to a widget of type log, and that needs both",
            field=".query",
        ),
    )


class Dashboards(ApiModel):
    """The dashboards Performance and Uptime."""

    enabled: bool = True
    """Whether there are any."""
    performance: bool = True
    """Whether there is one with latencies, loads and hit rates."""
    uptime: bool = True
    """Whether there is one with errors, throttles and how every alarm stands."""
    widgets: Annotated[tuple[CustomWidget, ...], MaxLen(100), Atomic()] = ()
    """Widgets of one's own."""


class FilterMetric(ApiModel):
    """The metric that a filter makes."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=255), Matches(r"^[^:*$]+$", "a metric's name has no colon, * or $")]
    """Name of the metric."""
    namespace: Annotated[MetricNamespace, Matches(r"^[^:*$]+$", "a namespace has no colon, * or $")] | None = None
    """Namespace of the metric; SecureBase/<object> if omitted."""
    value: FilterValue | None = None
    """What is counted for each event: a number, or a field like $.durationMs. 1 if omitted."""
    default: float | None = None
    """What is published where no event matches; nothing if omitted."""
    unit: MetricUnit | None = None
    """Unit of the metric."""
    dimensions: Annotated[dict[str, str], MapBounds(max_properties=3, value=255)] = Field(default_factory=dict)
    """Dimension names, and the fields of the event that give their values: {endpoint: $.route}."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="!has(self.default) || !has(self.dimensions) || size(self.dimensions) == 0",
            holds=lambda metric: metric.default is None or not metric.dimensions,
            message="default and dimensions exclude each other (PutMetricFilter); leave one out",
            field=".default",
        ),
    )


class MetricFilterSpec(ApiModel):
    """Counts events of a log group."""

    id: Id
    """Name of the filter within the set."""
    log_group: LogGroupName
    """Where the events are."""
    pattern: Annotated[str, StringConstraints(max_length=1024)] = ""
    """Which events: {$.level = "ERROR"}, [ip, user, status = 5*], ERROR. Empty for all."""
    metric: FilterMetric
    """What is made of them."""


class LogGroupSetting(ApiModel):
    """How long a log group that exists keeps its events, and what encrypts them."""

    name: LogGroupName
    """Name of the log group."""
    retention_days: Annotated[int, Ge(1), Le(3653)]
    """Days."""
    kms_key_arn: KeyArn | None = None
    """Customer key; its policy must let logs.<region>.amazonaws.com use it."""

    rules: ClassVar[Rules] = (
        Rule(
            cel=f"self.retentionDays in [{', '.join(map(str, RETENTION_DAYS))}]",
            holds=lambda group: group.retention_days in RETENTION_DAYS,
            message=f"retentionDays is one of {', '.join(map(str, RETENTION_DAYS))}",
            field=".retentionDays",
        ),
    )


class SavedQuery(ApiModel):
    """A Logs Insights query for everybody to open."""

    id: Id
    """Name of the query within the set."""
    query: Query
    """The query: fields @timestamp, @message | filter level = "ERROR" | limit 20."""
    log_groups: LogGroups = ()
    """Where it looks."""
    target: Id | None = None
    """The target whose log groups it looks at."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="has(self.target) != (has(self.logGroups) && size(self.logGroups) > 0)",
            holds=lambda query: (query.target is not None) != bool(query.log_groups),
            message="a query looks at logGroups or at those of a target; give one of the two",
            field=".logGroups",
        ),
    )


MetricFilters = Annotated[tuple[MetricFilterSpec, ...], MaxLen(100), ListMap("id")]
LogGroupSettingsList = Annotated[tuple[LogGroupSetting, ...], MaxLen(100), ListMap("name")]
SavedQueries = Annotated[tuple[SavedQuery, ...], MaxLen(100), ListMap("id")]

"""What is made of logs: metric filters, settings of groups that others made, and saved queries."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from securebase.api.alarmset import MetricFilterSpec, PerfAlarmSetSpec
from securebase.core.graph import Node
from securebase.core.identity import digest
from securebase.core.kind import Context
from securebase.kinds.alarmset.catalogue import catalogue
from securebase.kinds.alarmset.gathering import Found
from securebase.kinds.alarmset.names import LONG, slug
from securebase.kinds.alarmset.queries import FUNCTIONS_GROUP, log_groups, query_nodes
from securebase.resources.logs.filter_model import MetricFilter
from securebase.resources.logs.group_model import LogGroupSettings

# A node's id stands in status, which keeps 253 characters of it; a log group's name has up to 512.
_LONGEST_IN_ID: Final = 200

_LAMBDAS_FORMAT: Final = "Text"
"""What a function writes that was told nothing else (Lambda Developer Guide, "Configuring JSON and plain text log formats")."""


def log_nodes(spec: PerfAlarmSetSpec, found: Sequence[Found], context: Context, unknown: Collection[str] = ()) -> Iterator[Node]:
    """Filters, settings and queries. unknown: ids of targets that could not be looked up; a query over their logs loses none."""
    for wanted in spec.metric_filters:
        yield Node(f"filter-{wanted.id}", "logs/metric-filter", _filter(wanted, context))
    yield from _cold_starts([thing for thing in found if counts_cold_starts(spec, thing)], context)
    for group in spec.log_groups:
        settings = LogGroupSettings(group.name, group.retention_days, group.kms_key_arn or "")
        yield Node(f"logs-{_short(group.name)}", "logs/log-group-settings", settings)
    yield from query_nodes(spec, found, context, unknown)


def namespace(context: Context) -> str:
    """Of the custom metrics that filters make, where none is given."""
    return f"SecureBase/{context.identity.name}"


def counts_cold_starts(spec: PerfAlarmSetSpec, found: Found) -> bool:
    """Whether a filter tells how long a function's initialisations take."""
    return spec.cold_starts and found.target.type == "Lambda"


def cold_start_metric(found: Found) -> str:
    """A filter's dimensions come from fields of the event, and Lambda's report names no function: the metric's name does. It counts
    whatever writes to the log group, so that functions which share one have one metric, named by the group."""
    return f"InitDuration-{_group(found).removeprefix(FUNCTIONS_GROUP)}"


def _cold_starts(found: Sequence[Found], context: Context) -> Iterator[Node]:
    """One filter for each log group and format. It is patient: a function that never ran has no log group, and nothing is wrong with that."""
    filters: dict[tuple[str, str], Node] = {}
    for thing in sorted(found, key=lambda thing: not _has_own_group(thing)):
        format_ = thing.attributes.get("logFormat") or _LAMBDAS_FORMAT
        filters.setdefault((_group(thing), format_), _cold_start_filter(thing, format_, context))
    yield from filters.values()


def _group(function: Found) -> str:
    [group] = log_groups(function)
    return group


def _has_own_group(found: Found) -> bool:
    return _group(found) == f"{FUNCTIONS_GROUP}{found.name}"


def _cold_start_filter(found: Found, format_: str, context: Context) -> Node:
    recipe = catalogue().cold_starts[format_]
    of = f"{found.target.id}{'' if found.single else f'_{slug(found.name)}'}" if _has_own_group(found) else f"_{slug(_group(found))}_{format_.lower()}"
    node = f"filter-{of}_cold-starts"
    wanted = MetricFilter(
        name=context.identity.external_name(node, LONG),
        log_group=_group(found),
        pattern=recipe.pattern,
        metric_name=cold_start_metric(found),
        metric_namespace=namespace(context),
        metric_value=recipe.value,
        unit="Milliseconds",
        patient=True,
    )
    return Node(node, "logs/metric-filter", wanted)


def _filter(wanted: MetricFilterSpec, context: Context) -> MetricFilter:
    metric = wanted.metric
    return MetricFilter(
        name=context.identity.external_name(f"filter-{wanted.id}", LONG),
        log_group=wanted.log_group,
        pattern=wanted.pattern,
        metric_name=metric.name,
        metric_namespace=metric.namespace or namespace(context),
        metric_value=metric.value or "1",
        default_value=None if metric.default is None else float(metric.default),
        unit=metric.unit or "None",
        dimensions=dict(metric.dimensions),
    )


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_IN_ID else f"{name[:_LONGEST_IN_ID]}-{digest(name)}"

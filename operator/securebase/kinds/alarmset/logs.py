"""What is made of logs: metric filters, settings of groups that others made, and saved queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from securebase.api.alarmset import MetricFilterSpec, PerfAlarmSetSpec
from securebase.core.graph import Node
from securebase.core.identity import digest
from securebase.core.kind import Context
from securebase.kinds.alarmset.catalogue import catalogue
from securebase.kinds.alarmset.gathering import Found
from securebase.kinds.alarmset.names import LONG, slug
from securebase.resources.logs.filter_model import MetricFilter
from securebase.resources.logs.group_model import LogGroupSettings
from securebase.resources.logs.query_model import MOST_GROUPS, QueryDefinition

# A node's id stands in status, which keeps 253 characters of it; a log group's name has up to 512.
_LONGEST_IN_ID: Final = 200
_FUNCTIONS_GROUP: Final = "/aws/lambda/"


def log_nodes(spec: PerfAlarmSetSpec, found: Sequence[Found], context: Context) -> Iterator[Node]:
    """Filters, settings and queries."""
    for wanted in spec.metric_filters:
        yield Node(f"filter-{wanted.id}", "logs/metric-filter", _filter(wanted, context))
    yield from _cold_starts([thing for thing in found if counts_cold_starts(spec, thing)], context)
    for group in spec.log_groups:
        settings = LogGroupSettings(group.name, group.retention_days, group.kms_key_arn or "")
        yield Node(f"logs-{_short(group.name)}", "logs/log-group-settings", settings)
    yield from _own_queries(spec, found, context)
    if spec.standard_queries:
        yield from _standard_queries(found, context)


def namespace(context: Context) -> str:
    """Of the custom metrics that filters make, where none is given."""
    return f"SecureBase/{context.identity.name}"


def counts_cold_starts(spec: PerfAlarmSetSpec, found: Found) -> bool:
    """Whether a filter tells how long a function's initialisations take."""
    return spec.cold_starts and found.target.type == "Lambda" and not found.elsewhere


def cold_start_metric(found: Found) -> str:
    """A filter's dimensions come from fields of the event, and Lambda's report names no function: the metric's name does. It counts
    whatever writes to the log group, so that functions which share one have one metric, named by the group."""
    return f"InitDuration-{log_group(found).removeprefix(_FUNCTIONS_GROUP)}"


def _cold_starts(found: Sequence[Found], context: Context) -> Iterator[Node]:
    """One filter for each log group and format. It is patient: a function that never ran has no log group, and nothing is wrong with that."""
    filters: dict[tuple[str, str], Node] = {}
    for thing in sorted(found, key=lambda thing: not _has_own_group(thing)):
        format_ = thing.attributes.get("logFormat") or "JSON"
        filters.setdefault((log_group(thing), format_), _cold_start_filter(thing, format_, context))
    yield from filters.values()


def _has_own_group(found: Found) -> bool:
    return log_group(found) == f"{_FUNCTIONS_GROUP}{found.name}"


def _cold_start_filter(found: Found, format_: str, context: Context) -> Node:
    recipe = catalogue().cold_starts[format_]
    of = f"{found.target.id}{'' if found.single else f'_{slug(found.name)}'}" if _has_own_group(found) else f"_{slug(log_group(found))}_{format_.lower()}"
    node = f"filter-{of}_cold-starts"
    wanted = MetricFilter(
        name=context.identity.external_name(node, LONG),
        log_group=log_group(found),
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


def log_group(found: Found) -> str:
    """Where a thing writes its log; "" where nobody says. Lambda's default is documented (Lambda Developer Guide, "CloudWatch Logs")."""
    told = found.attributes.get("logGroup", "")
    return told or (f"{_FUNCTIONS_GROUP}{found.name}" if found.target.type == "Lambda" else "")


def _groups(found: Sequence[Found], target: str) -> tuple[str, ...]:
    return tuple(sorted({group for thing in found if thing.target.id == target and (group := log_group(thing))}))


def _own_queries(spec: PerfAlarmSetSpec, found: Sequence[Found], context: Context) -> Iterator[Node]:
    for wanted in spec.queries:
        groups = tuple(wanted.log_groups) if wanted.target is None else _groups(found, wanted.target)
        yield from _query_nodes(f"query-{wanted.id}", wanted.query, groups, context)


def _standard_queries(found: Sequence[Found], context: Context) -> Iterator[Node]:
    types = {thing.target.id: thing.target.type for thing in found}
    for target, type_ in sorted(types.items()):
        for recipe in catalogue().queries:
            if type_ in recipe.types:
                yield from _query_nodes(f"query-{target}_{recipe.id}", recipe.query, _groups(found, target), context)


def _query_nodes(node: str, query: str, groups: Sequence[str], context: Context) -> Iterator[Node]:
    """One query, or several where it is over more log groups than one may have; none without any."""
    for at in range(0, len(groups), MOST_GROUPS):
        id = node if at == 0 else f"{node}_{at // MOST_GROUPS + 1}"
        wanted = QueryDefinition(context.identity.external_name(id, LONG), query, frozenset(groups[at : at + MOST_GROUPS]))
        yield Node(id, "logs/query-definition", wanted, whole=True)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_IN_ID else f"{name[:_LONGEST_IN_ID]}-{digest(name)}"

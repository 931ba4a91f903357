"""Metric filters of CloudWatch Logs, and what CloudWatch accepts of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from securebase.core.fields import Impact, managed
from securebase.core.graph import refers
from securebase.resources.logs.patterns import SELECTOR, field_names, pattern_problem

MOST_FILTERS: Final = 100
"""Metric filters a log group may have (PutMetricFilter, API reference)."""
_MOST_DIMENSIONS: Final = 3
_NUMBER: Final = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_FIELD_VALUE: Final = re.compile(r"\$(?:[A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class MetricFilter:
    """Makes data points of a metric from the events of a log group that match a pattern. Counts only what comes after it was made.

    log_group      name of the group
    pattern        "" matches every event
    metric_value   a number as text, or the field that holds it: `$.latency` of JSON events, `$latency` of space-delimited ones
    default_value  published for periods in which events come and none matches; None = nothing. Excludes dimensions
    unit           CloudWatch's unit; "None" = none
    dimensions     name -> field of the event that gives its value, at most three; needs a JSON or space-delimited pattern. Each value a metric of its own
    patient        as long as there is no log group nothing is missing: it counts as ready, and is made once something writes there. For filters that
                   nobody asked for by name: a function that never runs has no log group, and starts to be counted. Otherwise a missing group is told

    External id: `<log group>:<name>`, and `<log group>:` of a patient one that is not made yet. Attributes: `name`, `logGroup`, `metricName`,
    `metricNamespace`.
    """

    name: str = managed(impact=Impact.REPLACE)
    log_group: str = managed(impact=Impact.REPLACE)
    pattern: str = managed()
    metric_name: str = managed()
    metric_namespace: str = managed()
    metric_value: str = managed(default="1")
    default_value: float | None = None
    unit: str = "None"
    dimensions: Mapping[str, str] = field(default_factory=dict)
    patient: bool = False


def problems(wanted: MetricFilter) -> Iterator[str]:
    """What CloudWatch Logs would refuse, in words for a person (PutMetricFilter and MetricTransformation, API reference)."""
    if problem := pattern_problem(wanted.pattern):
        yield str(problem)
    if not 0 < len(wanted.name) <= 512 or re.search(r"[:*]", wanted.name):
        yield "a filter's name has 1 to 512 characters, none of them a colon or *"
    for what, text in (("metric's name", wanted.metric_name), ("metric's namespace", wanted.metric_namespace)):
        if not 0 < len(text) <= 255 or re.search(r"[:*$]", text):
            yield f"a {what} has 1 to 255 characters, none of them a colon, * or $"
    yield from _value_problems(wanted)
    yield from _dimension_problems(wanted)


def _value_problems(wanted: MetricFilter) -> Iterator[str]:
    value = wanted.metric_value
    if not refers(value) and not _NUMBER.fullmatch(value):
        yield from _field_problems(wanted, "the metric's value", value)
    if len(value) > 100:
        yield "the metric's value has at most 100 characters"
    if wanted.default_value is not None and not math.isfinite(wanted.default_value):
        yield "the default value must be a number"


def _dimension_problems(wanted: MetricFilter) -> Iterator[str]:
    if not wanted.dimensions:
        return
    if len(wanted.dimensions) > _MOST_DIMENSIONS:
        yield f"{len(wanted.dimensions)} dimensions; CloudWatch takes {_MOST_DIMENSIONS}"
    if wanted.default_value is not None:
        yield "a default value and dimensions exclude each other"
    for name, value in sorted(wanted.dimensions.items()):
        yield from _field_problems(wanted, f"dimension {name}", value)


def _field_problems(wanted: MetricFilter, what: str, value: str) -> Iterator[str]:
    """A field must be of the kind that the pattern takes events apart into."""
    match wanted.pattern.strip()[:1]:
        case "{":
            if not SELECTOR.fullmatch(value) or value == "$":
                yield f"{what} is {value}: with a JSON pattern it names a field as $.field"
        case "[":
            names = field_names(wanted.pattern)
            if not _FIELD_VALUE.fullmatch(value):
                yield f"{what} is {value}: with a space-delimited pattern it names a field as $field"
            elif value[1:] not in names:
                yield f"{what} is {value}, which the pattern does not name; it names {', '.join(names) or 'none'}"
        case _:
            yield f"{what} is {value}: only a JSON or space-delimited pattern has fields"

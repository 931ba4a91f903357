"""Keeps metric filters. One list tells all filters of the account, whole; a log group's own list is the read by id."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, Target
from securebase.core.errors import ReconcileError, Terminal
from securebase.resources.listing import Listing, Read, Turns
from securebase.resources.logs.filter_model import MOST_FILTERS, MetricFilter, problems
from securebase.resources.logs.group_model import missing_group
from securebase.resources.logs.patterns import pattern_problem
from securebase.resources.tagging import unresolved

_GONE: Final = ("ResourceNotFoundException",)
_REFUSED: Final = (*_GONE, "InvalidParameterException", "LimitExceededException")
_FEW_GROUPS: Final = 3
"""Up to so many log groups are read one by one before acting; for more, one list of everything is the smaller price."""
_OVERLAID: Final = ("applyOnTransformedLogs", "fieldSelectionCriteria", "emitSystemFieldDimensions")
"""What PutMetricFilter takes besides what the model says; sent back as it was."""

Place = tuple[str, str]
"""(log group, name)."""
Entry = Mapping[str, Any]
InGroup = Mapping[str, Entry]
"""Filters of one log group by name."""
_NO_GROUP: Final[InGroup] = MappingProxyType({})
"""What is read where there is no such log group: this very value, told from an empty one by being it."""


class MetricFilterDriver:
    """`logs/metric-filter`. External id: `<log group>:<name>`; neither holds a colon. The name, made from the identity, proves whose it is.

    A patient filter whose log group is missing is told as ready, with the external id `<log group>:`. Once the group is there its making is `due`: so it
    is neither drift, nor something lost that is looked for a second time before it is made again.
    """

    type: ClassVar[str] = "logs/metric-filter"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._listing: Listing[Place, Entry] = Listing(self._list_all, clock)
        self._pages = 0
        self._turns: Turns[str, InGroup] = Turns(clock)
        self._lock = threading.Lock()
        self._written: set[str] = set()

    def observe(self, targets: Sequence[Target[MetricFilter]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: by log group, or by the list and by log group what it lacks. SWEEP: by the list while it has fewer pages than there are groups."""
        places = {target.key: _place(target) for target in targets}
        groups = sorted({group for group, name in places.values() if not unresolved(group, name)})
        known: frozenset[Place] = frozenset(places[target.key] for target in targets if target.external_id)
        unmade = frozenset(places[target.key][0] for target in targets if _is_unmade(target.external_id))
        failed: dict[str, ReconcileError] = {}
        if depth is Depth.SWEEP and self._pages > len(groups):
            reads = self._in_turns(groups, failed)
        elif len(groups) > _FEW_GROUPS or depth is Depth.SWEEP:
            reads = self._listed(groups, known, unmade if depth is Depth.SWEEP else frozenset(), failed)
        else:
            reads = _now(self._by_group(groups, failed))
        return {target.key: _answer(target, places[target.key], reads, failed) for target in targets}

    def locatable(self, target: Target[MetricFilter]) -> bool:
        """By log group and name, whatever it counts."""
        return not unresolved(*_place(target))

    def create(self, target: Target[MetricFilter], token: str) -> Observed[MetricFilter]:
        """Put it; the name makes it repeatable."""
        return self._put(target, {})

    def update(self, target: Target[MetricFilter], observed: Observed[MetricFilter], changes: Sequence[Change]) -> Observed[MetricFilter]:
        """Put the whole filter anew. What it has published stays."""
        return self._put(target, observed.raw or {})

    def advance(self, target: Target[MetricFilter], observed: Observed[MetricFilter]) -> Observed[MetricFilter]:
        """Make a patient one whose log group has come."""
        return self._put(target, {})

    def problems(self, desired: MetricFilter) -> Iterable[str]:
        """What CloudWatch Logs would refuse, known without asking."""
        return problems(desired)

    def delete(self, target: Target[MetricFilter], observed: Observed[MetricFilter]) -> None:
        """Gone at once; its metric stays until it expires."""
        if _is_unmade(observed.external_id):
            return
        group, _, name = observed.external_id.partition(":")
        self._aws.attempt("logs", "delete_metric_filter", _GONE, logGroupName=group, filterName=name)
        self._listing.drop((group, name))
        self._wrote(group)

    def _put(self, target: Target[MetricFilter], raw: Entry) -> Observed[MetricFilter]:
        want = target.want()
        if wrong := pattern_problem(want.pattern):
            raise Terminal("InvalidPattern", f"{wrong}. The pattern: {want.pattern}")
        if others := list(problems(want)):
            raise Terminal("InvalidFilter", "; ".join(others))
        params = {key: raw[key] for key in _OVERLAID if key in raw} | _params(want)
        answer = self._aws.attempt("logs", "put_metric_filter", _REFUSED, **params)
        if isinstance(answer, Refusal):
            if answer.code in _GONE and want.patient:
                return _unmade(target, want.log_group)
            raise _refused(want, answer)
        self._listing.wrote((want.log_group, want.name), params)
        self._wrote(want.log_group)
        return _observed(target, params)

    def _listed(self, groups: Iterable[str], known: frozenset[Place], unmade: frozenset[str], failed: dict[str, ReconcileError]) -> Mapping[str, Read[InGroup]]:
        """By the list. What was there before and is not in it is looked for in its log group: a list may lag. Of groups that `unmade`
        filters wait for a few are looked at, in turns: of hundreds of functions that never run each read tells nothing new."""
        listed = self._listing.get()
        found: dict[str, dict[str, Entry]] = {group: {} for group in groups}
        for (group, name), entry in listed.items():
            if group in found:
                found[group][name] = entry
        lost = sorted({group for group, name in known if group in found and name not in found[group]})
        waiting = self._turns.round(sorted(unmade.intersection(lost)), lambda due: self._by_group(due, failed))
        return {**_now(found | self._by_group([group for group in lost if group not in unmade], failed)), **waiting}

    def _in_turns(self, groups: Sequence[str], failed: dict[str, ReconcileError]) -> Mapping[str, Read[InGroup]]:
        """A tenth of the log groups, and those that we changed since."""
        with self._lock:
            changed = sorted(self._written.intersection(groups))
            self._written.clear()
        for group, filters in self._by_group(changed, failed).items():
            self._turns.put(group, filters)
        return self._turns.round(groups, lambda due: self._by_group(due, failed))

    def _wrote(self, group: str) -> None:
        with self._lock:
            self._written.add(group)

    def _by_group(self, groups: Sequence[str], failed: dict[str, ReconcileError]) -> dict[str, InGroup]:
        found: dict[str, InGroup] = {}
        for group in groups:
            try:
                found[group] = self._read(group)
            except ReconcileError as error:
                failed[group] = error
        return found

    def _read(self, group: str) -> InGroup:
        """One look tells whether there is such a log group, the pages after it the rest."""
        first = self._aws.attempt("logs", "describe_metric_filters", _GONE, logGroupName=group)
        if isinstance(first, Refusal):
            return _NO_GROUP
        entries = list(first.get("metricFilters", []))
        if first.get("nextToken"):
            pages = self._aws.pages("logs", "describe_metric_filters", logGroupName=group)
            entries = [entry for page in pages for entry in page.get("metricFilters", [])]
        return {entry["filterName"]: entry for entry in entries}

    def _list_all(self) -> dict[Place, Entry]:
        pages = list(self._aws.pages("logs", "describe_metric_filters"))
        self._pages = len(pages)
        return {(entry["logGroupName"], entry["filterName"]): entry for page in pages for entry in page.get("metricFilters", [])}


def _now(found: Mapping[str, InGroup]) -> dict[str, Read[InGroup]]:
    return {group: Read(filters, 0.0) for group, filters in found.items()}


def _place(target: Target[MetricFilter]) -> Place:
    if target.external_id:
        group, _, name = target.external_id.partition(":")
        return group, name or (target.desired.name if target.desired is not None else "")
    want = target.want()
    return want.log_group, want.name


def _answer(target: Target[MetricFilter], place: Place, reads: Mapping[str, Read[InGroup]], failed: Mapping[str, ReconcileError]) -> Answer:
    group, name = place
    if group in failed:
        return failed[group]
    read = reads.get(group)
    if read is None:
        return None
    if (entry := read.value.get(name)) is not None:
        return replace(_observed(target, entry), checked_at=read.at)
    if target.desired is None or not target.desired.patient or not target.external_id:
        return None
    if read.value is _NO_GROUP:
        return replace(_unmade(target, group), checked_at=read.at)
    return replace(_unmade(target, group), due="it is made, as its log group is there now") if _is_unmade(target.external_id) else None


def _is_unmade(external_id: str) -> bool:
    return external_id.endswith(":")


def _unmade(target: Target[MetricFilter], group: str) -> Observed[MetricFilter]:
    """A patient filter that nothing can be counted by yet."""
    missing = missing_group(group)
    return Observed(f"{group}:", replace(target.want(), log_group=group), reason=missing.reason, message=missing.message, owner=target.owner)


def _observed(target: Target[MetricFilter], entry: Entry) -> Observed[MetricFilter]:
    group, name = entry["logGroupName"], entry["filterName"]
    made = (entry.get("metricTransformations") or [{}])[0]
    default = made.get("defaultValue")
    value = MetricFilter(
        name=name,
        log_group=group,
        pattern=entry.get("filterPattern", ""),
        metric_name=made.get("metricName", ""),
        metric_namespace=made.get("metricNamespace", ""),
        metric_value=made.get("metricValue", ""),
        default_value=None if default is None else float(default),
        unit=made.get("unit") or "None",
        dimensions=dict(made.get("dimensions") or {}),
        patient=target.desired is not None and target.desired.patient,
    )
    attributes = {"name": name, "logGroup": group, "metricName": value.metric_name, "metricNamespace": value.metric_namespace}
    return Observed(f"{group}:{name}", value, owner=target.owner, attributes=attributes, raw=entry)


def _params(want: MetricFilter) -> dict[str, Any]:
    transformation: dict[str, Any] = {
        "metricName": want.metric_name,
        "metricNamespace": want.metric_namespace,
        "metricValue": want.metric_value,
        "unit": want.unit,
    }
    if want.default_value is not None:
        transformation["defaultValue"] = want.default_value
    if want.dimensions:
        transformation["dimensions"] = dict(want.dimensions)
    return {"logGroupName": want.log_group, "filterName": want.name, "filterPattern": want.pattern, "metricTransformations": [transformation]}


def _refused(want: MetricFilter, refusal: Refusal) -> ReconcileError:
    match refusal.code:
        case "InvalidParameterException":
            return Terminal("InvalidPattern", f"CloudWatch Logs refuses {want.pattern}: {refusal.message}")
        case "LimitExceededException":
            most = f"log group {want.log_group} has {MOST_FILTERS} metric filters, or five with regular expressions; it takes no more"
            return Terminal("TooManyFilters", f"{most} ({refusal.message})")
        case _:
            return missing_group(want.log_group)

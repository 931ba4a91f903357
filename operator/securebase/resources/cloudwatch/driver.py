"""Keeps metric alarms: a hundred a read, whole-object writes on top of what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import IN_USE, Answer, Depth, Key, Observed, Target
from securebase.core.errors import ReconcileError, Terminal, Waiting
from securebase.core.identity import OWNER_TAG, Identity
from securebase.resources.cloudwatch.model import Alarm, MetricQuery, problems
from securebase.resources.listing import STORM_SECONDS
from securebase.resources.tagging import INDEXES, SweptTags, Tagged, owned_nodes, tag_list, tag_map, tags_to_put, tags_to_remove, unresolved

BATCH: Final = 100
IN_USE_SECONDS: Final = 15.0

WRITABLE: Final = frozenset({
    "AlarmName", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "InsufficientDataActions", "MetricName", "Namespace", "Statistic",
    "ExtendedStatistic", "Dimensions", "Period", "Unit", "EvaluationPeriods", "DatapointsToAlarm", "Threshold", "ComparisonOperator", "TreatMissingData",
    "EvaluateLowSampleCountPercentile", "Metrics", "ThresholdMetricId", "EvaluationWindow", "WarmUpConfiguration", "EvaluationCriteria", "EvaluationInterval",
    "ActionConfiguration",
})  # fmt: skip
"""What PutMetricAlarm takes of what DescribeAlarms gives; it replaces the whole alarm, so that what is left out is lost."""

MANAGED: Final = WRITABLE - {"EvaluationWindow", "WarmUpConfiguration", "EvaluationCriteria", "EvaluationInterval", "ActionConfiguration"}
"""What the model says; everything else is sent back as it was."""


class MetricAlarmDriver:
    """`cloudwatch/alarm`. External id: the name. Both depths read by name, up to a hundred alarms a request.

    DescribeAlarms returns no tags: a few are read one by one before acting, many from the tagging API, which is asked in every tenth sweep too.
    """

    type: ClassVar[str] = "cloudwatch/alarm"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._index = INDEXES.of(aws, clock, "cloudwatch:alarm")  # of both types of alarm
        self._tags = SweptTags(self._index, self._read_tags, clock, few=BATCH)

    def observe(self, targets: Sequence[Target[Alarm]], depth: Depth) -> Mapping[Key, Answer]:
        """Alarms by name; tags as the depth demands."""
        names = {target.key: target.external_id or target.want().name for target in targets}
        alarms = self._read(sorted({name for name in names.values() if not unresolved(name)}))
        found = [alarm["AlarmArn"] for alarm in alarms.values() if not isinstance(alarm, ReconcileError)]
        swept = self._tags.sweep(found) if depth is Depth.SWEEP else {}
        fresh = {} if depth is Depth.SWEEP else self._tags.fresh_all(found)
        answers: dict[Key, Answer] = {}
        for target in targets:
            alarm = alarms.get(names[target.key])
            if alarm is None or isinstance(alarm, ReconcileError):
                answers[target.key] = alarm
                continue
            read = swept.get(alarm["AlarmArn"])
            tagged = read.value if read else fresh[alarm["AlarmArn"]]
            answers[target.key] = tagged if isinstance(tagged, ReconcileError) else replace(_observed(alarm, tagged), checked_at=read.at if read else 0.0)
        return answers

    def create(self, target: Target[Alarm], token: str) -> Observed[Alarm]:
        """Put it with its tags; the name makes it repeatable."""
        want = target.want()
        self._put(want, {}, Tags=tag_list(tag_map(target.owner, want.tags)))
        return self._written(want, {}, Tagged(target.owner, want.tags))

    def update(self, target: Target[Alarm], observed: Observed[Alarm], changes: Sequence[Change]) -> Observed[Alarm]:
        """Put the whole alarm anew when more than tags differs. PutMetricAlarm ignores tags of an existing alarm: they have calls of their own."""
        want, arn = target.want(), observed.attributes["arn"]
        raw = observed.raw or {}
        if any(not change.path.startswith("tags[") for change in changes):
            self._put(want, raw)
        if put := tags_to_put(want.tags, observed.value.tags):
            self._aws.call("cloudwatch", "tag_resource", ResourceARN=arn, Tags=tag_list(put))
        if gone := tags_to_remove(changes, want.tags):
            self._aws.call("cloudwatch", "untag_resource", ResourceARN=arn, TagKeys=gone)
        tags = {key: value for key, value in {**observed.value.tags, **put}.items() if key not in gone}
        return self._written(want, raw, Tagged(observed.owner, tags))

    def problems(self, desired: Alarm) -> Iterable[str]:
        """What CloudWatch would refuse, known without asking."""
        return problems(desired)

    def delete(self, target: Target[Alarm], observed: Observed[Alarm]) -> None:
        """Gone at once. What a composite is over cannot go before that was changed."""
        answer = self._aws.attempt("cloudwatch", "delete_alarms", ("ResourceNotFound", "ValidationError"), AlarmNames=[observed.external_id])
        if isinstance(answer, Refusal) and answer.code == "ValidationError":
            raise Waiting(IN_USE, answer.message, IN_USE_SECONDS)

    def adopt(self, target: Target[Alarm], observed: Observed[Alarm]) -> Observed[Alarm]:
        """Put our owner tag on it."""
        arn = observed.attributes["arn"]
        self._aws.call("cloudwatch", "tag_resource", ResourceARN=arn, Tags=tag_list({OWNER_TAG: target.owner}))
        self._tags.wrote(arn, Tagged(target.owner, observed.value.tags))
        return replace(observed, owner=target.owner)

    def locatable(self, target: Target[Alarm]) -> bool:
        """By its name, whatever it is to watch."""
        return not unresolved(target.external_id or target.want().name)

    def owned(self, identity: Identity) -> Mapping[str, str]:
        """By the owner tag, as the tagging API knows it."""
        return {node: arn.rpartition(":alarm:")[2] for node, arn in owned_nodes(self._index.owners(STORM_SECONDS), identity).items()}

    def _read(self, names: Sequence[str]) -> dict[str, dict[str, Any] | ReconcileError]:
        found: dict[str, dict[str, Any] | ReconcileError] = {}
        for batch in batches(names):
            try:
                # A composite alarm may have the name, and is left out of the answer unless asked for.
                answer = self._aws.call("cloudwatch", "describe_alarms", AlarmNames=batch, AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=BATCH)
            except ReconcileError as error:
                found.update(dict.fromkeys(batch, error))
                continue
            found.update({alarm["AlarmName"]: alarm for alarm in answer.get("MetricAlarms", [])})
            for alarm in answer.get("CompositeAlarms", []):
                found[alarm["AlarmName"]] = Terminal("NameTaken", f"{alarm['AlarmName']} is the name of a composite alarm")
        return found

    def _put(self, want: Alarm, raw: Mapping[str, Any], **more: Any) -> None:
        if wrong := "; ".join(problems(want)):
            raise Terminal("InvalidAlarm", f"alarm {want.name}: {wrong}")
        self._aws.call("cloudwatch", "put_metric_alarm", **alarm_input(want, raw), **more)

    def _written(self, want: Alarm, raw: Mapping[str, Any], tagged: Tagged) -> Observed[Alarm]:
        """What was put, without another read: right after its creation an alarm has no data, and an ARN made of its name."""
        arn = f"arn:{self._aws.partition}:cloudwatch:{self._aws.region}:{self._aws.account_id}:alarm:{want.name}"
        before = raw or {"AlarmArn": arn, "StateValue": "INSUFFICIENT_DATA"}
        kept = {key: value for key, value in before.items() if key not in MANAGED}
        self._tags.wrote(before["AlarmArn"], tagged)
        return _observed({**kept, **alarm_input(want, raw)}, tagged)

    def _read_tags(self, arn: str) -> Tagged:
        answer = self._aws.attempt("cloudwatch", "list_tags_for_resource", ("ResourceNotFound", "ResourceNotFoundException"), ResourceARN=arn)
        return Tagged("", {}) if isinstance(answer, Refusal) else Tagged.of_list(answer.get("Tags", []))


def alarm_input(want: Alarm, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of PutMetricAlarm: the model's fields over what was there. Empty ones are left out, which is how they are unset."""
    kept = {key: value for key, value in raw.items() if key in WRITABLE - MANAGED}
    managed: dict[str, Any] = {
        "AlarmName": want.name,
        "AlarmDescription": want.description,
        "ActionsEnabled": want.actions_enabled,
        "OKActions": sorted(want.ok_actions),
        "AlarmActions": sorted(want.alarm_actions),
        "InsufficientDataActions": sorted(want.insufficient_data_actions),
        "EvaluationPeriods": want.evaluation_periods,
        "DatapointsToAlarm": want.datapoints_to_alarm,
        "Threshold": want.threshold,
        "ComparisonOperator": want.comparison,
        "TreatMissingData": want.treat_missing_data,
        "EvaluateLowSampleCountPercentile": want.evaluate_low_sample,
        "ThresholdMetricId": want.threshold_metric_id,
        "Metrics": [_query_input(query) for query in want.metrics],
        "MetricName": want.metric_name,
        "Namespace": want.namespace,
        "Statistic": want.statistic,
        "ExtendedStatistic": want.extended_statistic,
        "Dimensions": _dimensions_input(want.dimensions),
        "Period": want.period,
        "Unit": want.unit,
    }
    return kept | {key: value for key, value in managed.items() if value is not None and value not in ("", []) and not (key == "Period" and not value)}


def _query_input(query: MetricQuery) -> dict[str, Any]:
    line: dict[str, Any] = {"Id": query.id, "ReturnData": query.returns_data}
    line |= {key: value for key, value in (("Label", query.label), ("AccountId", query.account_id)) if value}
    if query.expression:
        return line | {"Expression": query.expression} | ({"Period": query.period} if query.period else {})
    metric = {"Namespace": query.namespace, "MetricName": query.metric_name, "Dimensions": _dimensions_input(query.dimensions)}
    return line | {"MetricStat": {"Metric": metric, "Period": query.period, "Stat": query.stat} | ({"Unit": query.unit} if query.unit else {})}


def _dimensions_input(dimensions: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in sorted(dimensions.items())]


def _observed(alarm: Mapping[str, Any], tagged: Tagged) -> Observed[Alarm]:
    name, arn = alarm["AlarmName"], alarm["AlarmArn"]
    attributes = {"arn": arn, "name": name, "state": alarm.get("StateValue", ""), "since": since(alarm)}
    attributes |= {"changed": _seconds(alarm.get("AlarmConfigurationUpdatedTimestamp")), "evaluation": alarm.get("EvaluationState") or ""}
    value = alarm_value(alarm, tagged.rest)
    about = ",".join(f"{key}={value.dimensions[key]}" for key in sorted(value.dimensions))
    return Observed(name, value, owner=tagged.owner, attributes=attributes, about=about, raw=dict(alarm))


def since(alarm: Mapping[str, Any]) -> str:
    """Unix seconds since when it is in its state; "" where nobody tells."""
    return _seconds(alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp"))


def _seconds(stamp: datetime | None) -> str:
    return str(int(stamp.timestamp())) if stamp is not None else ""


def alarm_value(alarm: Mapping[str, Any], tags: Mapping[str, str]) -> Alarm:
    """The model of an alarm as DescribeAlarms gives it."""
    periods = int(alarm.get("EvaluationPeriods", 1))
    threshold = alarm.get("Threshold")
    band = alarm.get("ThresholdMetricId") or ""
    return Alarm(
        name=alarm["AlarmName"],
        tags=tags,
        comparison=alarm["ComparisonOperator"],
        evaluation_periods=periods,
        datapoints_to_alarm=int(alarm.get("DatapointsToAlarm") or periods),
        threshold=None if threshold is None or band else float(threshold),
        treat_missing_data=alarm.get("TreatMissingData") or "missing",
        description=alarm.get("AlarmDescription") or "",
        namespace=alarm.get("Namespace") or "",
        metric_name=alarm.get("MetricName") or "",
        dimensions=_dimensions(alarm.get("Dimensions")),
        statistic="" if alarm.get("ExtendedStatistic") else alarm.get("Statistic") or "",
        extended_statistic=alarm.get("ExtendedStatistic") or "",
        period=int(alarm.get("Period") or 0),
        unit=alarm.get("Unit") or "",
        metrics=tuple(_queries(alarm.get("Metrics") or [])),
        threshold_metric_id=band,
        evaluate_low_sample=alarm.get("EvaluateLowSampleCountPercentile") or "",
        actions_enabled=bool(alarm.get("ActionsEnabled", True)),
        alarm_actions=frozenset(alarm.get("AlarmActions") or ()),
        ok_actions=frozenset(alarm.get("OKActions") or ()),
        insufficient_data_actions=frozenset(alarm.get("InsufficientDataActions") or ()),
    )


def _queries(lines: Sequence[Mapping[str, Any]]) -> Iterator[MetricQuery]:
    for line in lines:
        stat = line.get("MetricStat") or {}
        metric = stat.get("Metric") or {}
        yield MetricQuery(
            id=line["Id"],
            expression=line.get("Expression") or "",
            namespace=metric.get("Namespace") or "",
            metric_name=metric.get("MetricName") or "",
            dimensions=_dimensions(metric.get("Dimensions")),
            stat=stat.get("Stat") or "",
            period=int(stat.get("Period") or line.get("Period") or 0),
            unit=stat.get("Unit") or "",
            label=line.get("Label") or "",
            returns_data=bool(line.get("ReturnData", True)),
            account_id=line.get("AccountId") or "",
        )


def _dimensions(pairs: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    return {pair["Name"]: pair["Value"] for pair in pairs or ()}


def batches(names: Sequence[str]) -> Iterator[list[str]]:
    """As many as DescribeAlarms takes at once."""
    for at in range(0, len(names), BATCH):
        yield list(names[at : at + BATCH])

"""Keeps composite alarms: a hundred a read, whole-object writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import IN_USE, Answer, Depth, Key, Observed, Target
from securebase.core.errors import ReconcileError, Terminal, Waiting
from securebase.core.identity import OWNER_TAG, Identity
from securebase.resources.cloudwatch.composite_model import CompositeAlarm, problems
from securebase.resources.cloudwatch.driver import IN_USE_SECONDS, batches, since
from securebase.resources.listing import STORM_SECONDS
from securebase.resources.tagging import INDEXES, SweptTags, Tagged, owned_nodes, tag_list, tag_map, tags_to_put, tags_to_remove, unresolved

_GONE: Final = ("ResourceNotFound", "ResourceNotFoundException")

_MANAGED: Final = frozenset({
    "AlarmName", "AlarmRule", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "InsufficientDataActions", "ActionsSuppressor",
    "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod",
})  # fmt: skip
"""What the model says."""

_LEFT: Final = frozenset({"ActionConfiguration"})
"""What PutCompositeAlarm takes of what DescribeAlarms gives and the model does not say; it replaces the whole alarm, so that what is left out is lost."""


class CompositeAlarmDriver:
    """`cloudwatch/composite-alarm`. External id: the name. Both depths read by name, up to a hundred alarms a request."""

    type: ClassVar[str] = "cloudwatch/composite-alarm"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._index = INDEXES.of(aws, clock, "cloudwatch:alarm")  # of both types of alarm
        self._tags = SweptTags(self._index, self._read_tags, clock, few=0)

    def observe(self, targets: Sequence[Target[CompositeAlarm]], depth: Depth) -> Mapping[Key, Answer]:
        """Composites by name; tags as the depth demands."""
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
            answers[target.key] = tagged if isinstance(tagged, ReconcileError) else replace(self._observed(alarm, tagged), checked_at=read.at if read else 0.0)
        return answers

    def create(self, target: Target[CompositeAlarm], token: str) -> Observed[CompositeAlarm]:
        """Put it with its tags; the name makes it repeatable."""
        want = target.want()
        self._put(want, {}, Tags=tag_list(tag_map(target.owner, want.tags)))
        return self._written(want, {}, Tagged(target.owner, want.tags))

    def update(self, target: Target[CompositeAlarm], observed: Observed[CompositeAlarm], changes: Sequence[Change]) -> Observed[CompositeAlarm]:
        """Put the whole alarm anew when more than tags differs; it ignores tags of an existing alarm."""
        want, arn, raw = target.want(), observed.attributes["arn"], observed.raw or {}
        if any(not change.path.startswith("tags[") for change in changes):
            self._put(want, raw)
        if put := tags_to_put(want.tags, observed.value.tags):
            self._aws.call("cloudwatch", "tag_resource", ResourceARN=arn, Tags=tag_list(put))
        if gone := tags_to_remove(changes, want.tags):
            self._aws.call("cloudwatch", "untag_resource", ResourceARN=arn, TagKeys=gone)
        tags = {key: value for key, value in {**observed.value.tags, **put}.items() if key not in gone}
        return replace(self._written(want, raw, Tagged(observed.owner, tags)), again_at=observed.again_at)

    def problems(self, desired: CompositeAlarm) -> Iterable[str]:
        """What CloudWatch would refuse, known without asking."""
        return problems(desired)

    def delete(self, target: Target[CompositeAlarm], observed: Observed[CompositeAlarm]) -> None:
        """Gone at once. One a call: DeleteAlarms takes no second composite beside it. What another composite is over cannot go before that was changed."""
        answer = self._aws.attempt("cloudwatch", "delete_alarms", ("ResourceNotFound", "ValidationError"), AlarmNames=[observed.external_id])
        if isinstance(answer, Refusal) and answer.code == "ValidationError":
            raise Waiting(IN_USE, answer.message, IN_USE_SECONDS)

    def adopt(self, target: Target[CompositeAlarm], observed: Observed[CompositeAlarm]) -> Observed[CompositeAlarm]:
        """Put our owner tag on it."""
        arn = observed.attributes["arn"]
        self._aws.call("cloudwatch", "tag_resource", ResourceARN=arn, Tags=tag_list({OWNER_TAG: target.owner}))
        self._tags.wrote(arn, Tagged(target.owner, observed.value.tags))
        return replace(observed, owner=target.owner)

    def locatable(self, target: Target[CompositeAlarm]) -> bool:
        """By its name, whatever it is over."""
        return not unresolved(target.external_id or target.want().name)

    def owned(self, identity: Identity) -> Mapping[str, str]:
        """By the owner tag, as the tagging API knows it; metric alarms are of the same type there."""
        found = {node: arn.rpartition(":alarm:")[2] for node, arn in owned_nodes(self._index.owners(STORM_SECONDS), identity).items()}
        composites = {name for name, alarm in self._read(sorted(found.values())).items() if not isinstance(alarm, ReconcileError)}
        return {node: name for node, name in found.items() if name in composites}

    def _read(self, names: Sequence[str]) -> dict[str, dict[str, Any] | ReconcileError]:
        found: dict[str, dict[str, Any] | ReconcileError] = {}
        for batch in batches(names):
            try:
                answer = self._aws.call("cloudwatch", "describe_alarms", AlarmNames=batch, AlarmTypes=["CompositeAlarm"], MaxRecords=len(batch))
            except ReconcileError as error:
                found.update(dict.fromkeys(batch, error))
                continue
            found.update({alarm["AlarmName"]: alarm for alarm in answer.get("CompositeAlarms", [])})
        return found

    def _put(self, want: CompositeAlarm, raw: Mapping[str, Any], **more: Any) -> None:
        if wrong := "; ".join(problems(want)):
            raise Terminal("InvalidAlarm", f"composite alarm {want.name}: {wrong}")
        self._aws.call("cloudwatch", "put_composite_alarm", **composite_input(want, raw), **more)

    def _written(self, want: CompositeAlarm, raw: Mapping[str, Any], tagged: Tagged) -> Observed[CompositeAlarm]:
        arn = f"{self._prefix()}{want.name}"
        self._tags.wrote(arn, tagged)
        kept = {key: value for key, value in raw.items() if key not in _MANAGED}
        return self._observed({"StateValue": "INSUFFICIENT_DATA", **kept, "AlarmArn": arn, **composite_input(want, raw)}, tagged)

    def _observed(self, alarm: Mapping[str, Any], tagged: Tagged) -> Observed[CompositeAlarm]:
        name, suppressor = alarm["AlarmName"], alarm.get("ActionsSuppressor") or ""
        value = CompositeAlarm(
            name=name,
            tags=tagged.rest,
            rule=" ".join(str(alarm["AlarmRule"]).split()),
            description=alarm.get("AlarmDescription") or "",
            actions_enabled=bool(alarm.get("ActionsEnabled", True)),
            alarm_actions=frozenset(alarm.get("AlarmActions") or ()),
            ok_actions=frozenset(alarm.get("OKActions") or ()),
            insufficient_data_actions=frozenset(alarm.get("InsufficientDataActions") or ()),
            suppressor=suppressor.removeprefix(self._prefix()),  # given by its name, told by its ARN
            suppressor_wait=int(alarm.get("ActionsSuppressorWaitPeriod") or 0),
            suppressor_extension=int(alarm.get("ActionsSuppressorExtensionPeriod") or 0),
        )
        attributes = {"arn": alarm["AlarmArn"], "name": name, "state": alarm.get("StateValue", ""), "since": since(alarm)}
        return Observed(name, value, owner=tagged.owner, attributes=attributes, raw=dict(alarm))

    def _prefix(self) -> str:
        return f"arn:{self._aws.partition}:cloudwatch:{self._aws.region}:{self._aws.account_id}:alarm:"

    def _read_tags(self, arn: str) -> Tagged:
        answer = self._aws.attempt("cloudwatch", "list_tags_for_resource", _GONE, ResourceARN=arn)
        return Tagged("", {}) if isinstance(answer, Refusal) else Tagged.of_list(answer.get("Tags", []))


def composite_input(want: CompositeAlarm, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of PutCompositeAlarm: the model's fields over what was there. Empty ones are left out, which is how they are unset."""
    kept = {key: value for key, value in raw.items() if key in _LEFT}
    told: dict[str, Any] = {
        "AlarmName": want.name,
        "AlarmRule": want.rule,
        "AlarmDescription": want.description,
        "ActionsEnabled": want.actions_enabled,
        "OKActions": sorted(want.ok_actions),
        "AlarmActions": sorted(want.alarm_actions),
        "InsufficientDataActions": sorted(want.insufficient_data_actions),
    }
    if want.suppressor:
        told |= {
            "ActionsSuppressor": want.suppressor,
            "ActionsSuppressorWaitPeriod": want.suppressor_wait,
            "ActionsSuppressorExtensionPeriod": want.suppressor_extension,
        }
    return kept | {key: value for key, value in told.items() if value not in ("", [])}

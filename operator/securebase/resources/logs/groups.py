"""Sets retention and key of log groups that others made: fifty a read, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, Target
from securebase.core.errors import ReconcileError, Terminal
from securebase.resources.logs.group_model import FOR_EVER, LogGroupSettings, missing_group, problems
from securebase.resources.tagging import unresolved

_GONE: Final = ("ResourceNotFoundException",)
_REFUSED: Final = (*_GONE, "InvalidParameterException")
_BATCH: Final = 50
"""logGroupIdentifiers of one DescribeLogGroups (API reference)."""

Entry = Mapping[str, Any]


class LogGroupSettingsDriver:
    """`logs/log-group-settings`. External id: the group's name. A group is never made or deleted; what was set stays when we let go of it."""

    type: ClassVar[str] = "logs/log-group-settings"
    DELETE_FIRST: ClassVar[bool] = True

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws

    def observe(self, targets: Sequence[Target[LogGroupSettings]], depth: Depth) -> Mapping[Key, Answer]:
        """Both depths by name. A group that is missing is absent: making its settings waits for it."""
        names = {target.key: _name(target) for target in targets}
        wanted = sorted({name for name in names.values() if not unresolved(name)})
        found: dict[str, Entry | ReconcileError] = {}
        for at in range(0, len(wanted), _BATCH):
            batch = wanted[at : at + _BATCH]
            try:
                pages = self._aws.pages("logs", "describe_log_groups", logGroupIdentifiers=batch)
                found |= {group["logGroupName"]: group for page in pages for group in page.get("logGroups", [])}
            except ReconcileError as error:
                found |= dict.fromkeys(batch, error)
        return {target.key: _answer(target, found.get(names[target.key])) for target in targets}

    def locatable(self, target: Target[LogGroupSettings]) -> bool:
        """By name, whatever is set."""
        return not unresolved(_name(target))

    def create(self, target: Target[LogGroupSettings], token: str) -> Observed[LogGroupSettings]:
        """Never makes a group: waits for it, or sets what it finds there since."""
        found = self.observe([target], Depth.FRESH)[target.key]
        match found:
            case Observed():
                return self.update(target, found, ())
            case None:
                raise missing_group(_name(target))
            case _:
                raise found

    def update(self, target: Target[LogGroupSettings], observed: Observed[LogGroupSettings], changes: Sequence[Change]) -> Observed[LogGroupSettings]:
        """One call for what differs of the two."""
        want, have, raw = target.want(), observed.value, dict(observed.raw or {})
        if wrong := list(problems(want)):
            raise Terminal("InvalidLogGroupSettings", "; ".join(wrong))
        if want.retention_days != have.retention_days:
            if want.retention_days == FOR_EVER:
                self._write("delete_retention_policy", want)
                raw.pop("retentionInDays", None)
            else:
                self._write("put_retention_policy", want, retentionInDays=want.retention_days)
                raw["retentionInDays"] = want.retention_days
        if want.kms_key and want.kms_key != have.kms_key:
            self._write("associate_kms_key", want, kmsKeyId=want.kms_key)
            raw["kmsKeyId"] = want.kms_key
        return _observed(target, raw)

    def problems(self, desired: LogGroupSettings) -> Iterable[str]:
        """What CloudWatch Logs would refuse, known without asking."""
        return problems(desired)

    def delete(self, target: Target[LogGroupSettings], observed: Observed[LogGroupSettings]) -> None:
        """Nothing: neither is a group ours to delete, nor is what it was set to before known."""

    def _write(self, operation: str, want: LogGroupSettings, **params: Any) -> None:
        answer = self._aws.attempt("logs", operation, _REFUSED, logGroupName=want.name, **params)
        if not isinstance(answer, Refusal):
            return
        if answer.code in _GONE:
            raise missing_group(want.name)
        if operation == "associate_kms_key":
            use = f"logs.{self._aws.region}.amazonaws.com use it for the log groups of account {self._aws.account_id}"
            raise Terminal("KeyNotUsable", f"log group {want.name} cannot be encrypted with {want.kms_key}; its policy must let {use}: {answer.message}")
        raise Terminal("InvalidLogGroupSettings", f"log group {want.name}: {answer.message}")


def _name(target: Target[LogGroupSettings]) -> str:
    return target.desired.name if target.desired is not None else target.external_id


def _answer(target: Target[LogGroupSettings], found: Entry | ReconcileError | None) -> Answer:
    return found if found is None or isinstance(found, ReconcileError) else _observed(target, found)


def _observed(target: Target[LogGroupSettings], group: Entry) -> Observed[LogGroupSettings]:
    name, key = group["logGroupName"], group.get("kmsKeyId", "")
    # A key that nobody asks for is left as it is, so it is no difference.
    asked = target.desired is not None and target.desired.kms_key != ""
    value = LogGroupSettings(name, group.get("retentionInDays", FOR_EVER), key if asked else "")
    attributes = {"name": name, "arn": group.get("logGroupArn") or group.get("arn", "").removesuffix(":*")} | ({"kmsKey": key} if key else {})
    return Observed(name, value, owner=target.owner, attributes=attributes, raw=group)

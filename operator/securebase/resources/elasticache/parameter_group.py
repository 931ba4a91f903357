"""Keeps parameter groups: our parameters at our values, every other one at its family's default."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, State, Target
from securebase.core.errors import ReconcileError, Terminal, Transient, Waiting
from securebase.core.identity import Identity
from securebase.resources.elasticache.model import CLUSTER_PARAMETER, ParameterGroup, split_parameters
from securebase.resources.elasticache.names import made_as, outside_name, told_name
from securebase.resources.elasticache.tags import CacheTags
from securebase.resources.listing import Listing, Turns
from securebase.resources.tagging import Tagged, tag_list, tag_map

_NOT_FOUND: Final = ("CacheParameterGroupNotFound",)
_EXISTS: Final = ("CacheParameterGroupAlreadyExists",)
_BUSY: Final = ("InvalidCacheParameterGroupState",)
_NAME_LENGTH: Final = 255
_AT_ONCE: Final = 20
"""Parameters a request (ModifyCacheParameterGroup, API reference)."""


@dataclass(frozen=True, slots=True)
class Read:
    """A parameter group, and what differs in it from its family's defaults."""

    group: Mapping[str, Any]
    parameters: Mapping[str, str]


class ParameterGroupDriver:
    """`elasticache/parameter-group`. External id: the name.

    A sweep lists the groups; the parameters of a group are in no list and read in turns, a fiftieth each time.
    """

    type: ClassVar[str] = "elasticache/parameter-group"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._listing: Listing[str, Mapping[str, Any]] = Listing(self._list, clock)
        self._turns: Turns[str, Mapping[str, str]] = Turns(clock, share=0.02, at_least=3)
        self._tags = CacheTags(aws, clock, "parametergroup")

    def observe(self, targets: Sequence[Target[ParameterGroup]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: by name. SWEEP: a list, and turns."""
        names = {target.key: outside_name(target, _NAME_LENGTH) for target in targets}
        answers: dict[Key, Answer] = {}
        if depth is Depth.SWEEP:
            answers = self._swept(targets, names)
        for target in targets:
            if target.key not in answers:
                try:
                    answers[target.key] = self._fresh(target, names[target.key])
                except ReconcileError as error:
                    answers[target.key] = error
        return answers

    def create(self, target: Target[ParameterGroup], token: str) -> Observed[ParameterGroup]:
        """Make it with its family's defaults, then set ours; the name makes it repeatable."""
        want = target.want()
        name = made_as(want, target, _NAME_LENGTH)
        said = {"CacheParameterGroupName": name, "CacheParameterGroupFamily": want.family, "Description": want.description}
        answer = self._aws.attempt("elasticache", "create_cache_parameter_group", _EXISTS, **said, Tags=tag_list(tag_map(target.owner, want.tags)))
        if isinstance(answer, Refusal):
            found = self._fresh(target, name)
            if found is None:
                raise Transient("NotVisibleYet", f"parameter group {name} exists, but cannot be read yet")
            if found.owner != target.owner:
                raise Terminal("NameTaken", f"parameter group {name} exists and is not ours; remove it, or give this one another name")
            return self.update(target, found, ())
        group, tagged = answer["CacheParameterGroup"], Tagged(target.owner, want.tags)
        self._tags.wrote(self._arn(group), tagged)
        self._listing.put(name, group)
        self._set(name, parameters_of(want))
        return self._observed(target, Read(group, parameters_of(want)), tagged)

    def update(self, target: Target[ParameterGroup], observed: Observed[ParameterGroup], changes: Sequence[Change]) -> Observed[ParameterGroup]:
        """Set what differs, reset what is not ours."""
        want, name, read = target.want(), observed.external_id, observed.raw
        wanted = parameters_of(want)
        self._set(name, {key: value for key, value in wanted.items() if read.parameters.get(key) != value})
        self._write("reset_cache_parameter_group", name, {key: value for key, value in read.parameters.items() if key not in wanted})
        tags = self._tags.change(observed.attributes["arn"], want.tags, Tagged(observed.owner, observed.value.tags), changes)
        self._turns.put(name, wanted)
        return self._observed(target, Read(read.group, wanted), Tagged(observed.owner, tags))

    def delete(self, target: Target[ParameterGroup], observed: Observed[ParameterGroup]) -> Observed[ParameterGroup] | None:
        """Gone at once, unless a cache still uses it."""
        answer = self._aws.attempt("elasticache", "delete_cache_parameter_group", (*_BUSY, *_NOT_FOUND), CacheParameterGroupName=observed.external_id)
        if isinstance(answer, Refusal) and answer.code in _BUSY:
            return replace(observed, state=State.PENDING, reason="InUse", message="a cache still uses it")
        self._listing.drop(observed.external_id)
        return None

    def adopt(self, target: Target[ParameterGroup], observed: Observed[ParameterGroup]) -> Observed[ParameterGroup]:
        """Put our owner tag on it."""
        self._tags.adopt(observed.attributes["arn"], target.owner, observed.value.tags)
        return replace(observed, owner=target.owner)

    def locatable(self, target: Target[ParameterGroup]) -> bool:
        """By its name, whatever it is to hold."""
        return bool(outside_name(target, _NAME_LENGTH))

    def owned(self, identity: Identity) -> Mapping[str, str]:
        """By the owner tag, as the tagging API knows it."""
        return self._tags.owned(identity)

    def _swept(self, targets: Sequence[Target[ParameterGroup]], names: Mapping[Key, str]) -> dict[Key, Answer]:
        """Answers for those a list has; a failed turn fails nobody else."""
        listed = self._listing.get()
        there = sorted({name for name in names.values() if name in listed})
        failed: dict[str, ReconcileError] = {}
        reads = self._turns.round(there, lambda due: self._read_all(due, failed))
        swept = self._tags.sweep([self._arn(listed[name]) for name in there])
        answers: dict[Key, Answer] = {}
        for target in targets:
            name = names[target.key]
            if name in failed:
                answers[target.key] = failed[name]
            elif name in reads and (tagged := swept.get(self._arn(listed[name]))) is not None:
                observed = self._observed(target, Read(listed[name], reads[name].value), tagged.value)
                answers[target.key] = replace(observed, checked_at=min(reads[name].at, tagged.at))
        return answers

    def _read_all(self, names: Sequence[str], failed: dict[str, ReconcileError]) -> dict[str, Mapping[str, str]]:
        found: dict[str, Mapping[str, str]] = {}
        for name in names:
            try:
                parameters = self._parameters(name)
            except ReconcileError as error:
                failed[name] = error
            else:
                if parameters is not None:
                    found[name] = parameters
        return found

    def _list(self) -> dict[str, Mapping[str, Any]]:
        pages = self._aws.pages("elasticache", "describe_cache_parameter_groups", MaxRecords=100)
        return {group["CacheParameterGroupName"]: group for page in pages for group in page.get("CacheParameterGroups", [])}

    def _fresh(self, target: Target[ParameterGroup], name: str) -> Observed[ParameterGroup] | None:
        if not name:
            return None
        answer = self._aws.attempt("elasticache", "describe_cache_parameter_groups", _NOT_FOUND, CacheParameterGroupName=name)
        group = None if isinstance(answer, Refusal) else next(iter(answer.get("CacheParameterGroups", [])), None)
        parameters = self._parameters(name) if group is not None else None
        if group is None or parameters is None:
            self._listing.drop(name)
            return None
        self._turns.put(name, parameters)
        return self._observed(target, Read(group, parameters), self._tags.fresh(self._arn(group)))

    def _parameters(self, name: str) -> Mapping[str, str] | None:
        found: dict[str, str] = {}
        marker: dict[str, str] = {}
        while True:
            answer = self._aws.attempt("elasticache", "describe_cache_parameters", _NOT_FOUND, CacheParameterGroupName=name, Source="user", **marker)
            if isinstance(answer, Refusal):
                return None
            told = [each for each in answer.get("Parameters", []) if each.get("Source") == "user"]
            found |= {each["ParameterName"]: each.get("ParameterValue") or "" for each in told}
            if not answer.get("Marker"):
                return found
            marker = {"Marker": answer["Marker"]}

    def _set(self, name: str, parameters: Mapping[str, str]) -> None:
        self._write("modify_cache_parameter_group", name, parameters)

    def _write(self, operation: str, name: str, parameters: Mapping[str, str]) -> None:
        for batch in _batches(parameters):
            answer = self._aws.attempt("elasticache", operation, _BUSY, CacheParameterGroupName=name, ParameterNameValues=batch)
            if isinstance(answer, Refusal):
                raise Waiting("Busy", f"parameter group {name}: {answer.message}")

    def _arn(self, group: Mapping[str, Any]) -> str:
        return group.get("ARN") or self._tags.arn(group["CacheParameterGroupName"])

    def _observed(self, target: Target[ParameterGroup], read: Read, tagged: Tagged) -> Observed[ParameterGroup]:
        group = read.group
        name = group["CacheParameterGroupName"]
        told = told_name(name, target, _NAME_LENGTH)
        at_once, at_restart = split_parameters({key: value for key, value in read.parameters.items() if key != CLUSTER_PARAMETER})
        value = ParameterGroup(
            name=told,
            tags=tagged.rest,
            family=group["CacheParameterGroupFamily"],
            parameters=at_once,
            reboot_parameters=at_restart,
            description=group.get("Description") or "",
            cluster_enabled=read.parameters.get(CLUSTER_PARAMETER) == "yes",
        )
        attributes = {"arn": self._arn(group), "name": name, "family": value.family}
        return Observed(name, value, owner=tagged.owner, attributes=attributes, raw=read)


def parameters_of(want: ParameterGroup) -> dict[str, str]:
    """Everything to be set in it."""
    return {**want.parameters, **want.reboot_parameters} | ({CLUSTER_PARAMETER: "yes"} if want.cluster_enabled else {})


def _batches(parameters: Mapping[str, str]) -> Iterator[list[dict[str, str]]]:
    pairs = [{"ParameterName": name, "ParameterValue": value} for name, value in sorted(parameters.items())]
    for at in range(0, len(pairs), _AT_ONCE):
        yield pairs[at : at + _AT_ONCE]

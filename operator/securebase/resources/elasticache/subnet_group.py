"""Keeps the subnet groups that caches live in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, State, Target
from securebase.core.errors import ReconcileError, Terminal, Transient
from securebase.core.identity import Identity
from securebase.resources.elasticache.model import SubnetGroup
from securebase.resources.elasticache.names import made_as, outside_name, told_name
from securebase.resources.elasticache.tags import CacheTags
from securebase.resources.listing import Listing
from securebase.resources.tagging import Tagged, tag_list, tag_map

# The API reference writes it with "Fault", the answers of other operations come without.
_NOT_FOUND: Final = ("CacheSubnetGroupNotFoundFault", "CacheSubnetGroupNotFound")
_EXISTS: Final = ("CacheSubnetGroupAlreadyExists",)
_IN_USE: Final = ("CacheSubnetGroupInUse",)
_NAME_LENGTH: Final = 255

_WORDS: Final[Mapping[str, str]] = {
    "SubnetInUse": "nodes live in a subnet that is to go: replace the cache, or keep the subnet",
    "SubnetNotAllowedFault": "the subnet is of a kind ElastiCache cannot use (an Outpost's, or of a zone without ElastiCache)",
    "InvalidSubnet": "the subnets must exist and be of one VPC",
}


class SubnetGroupDriver:
    """`elasticache/subnet-group`. External id: the name. A list tells everything but the tags."""

    type: ClassVar[str] = "elasticache/subnet-group"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._listing: Listing[str, Mapping[str, Any]] = Listing(self._list, clock)
        self._tags = CacheTags(aws, clock, "subnetgroup")

    def observe(self, targets: Sequence[Target[SubnetGroup]], depth: Depth) -> Mapping[Key, Answer]:
        """SWEEP: from a list, and by name what it lacks. FRESH: by name."""
        names = {target.key: outside_name(target, _NAME_LENGTH) for target in targets}
        listed = self._listing.get() if depth is Depth.SWEEP else {}
        swept = self._tags.sweep([self._arn(listed[name]) for name in sorted(set(names.values())) if name in listed]) if listed else {}
        answers: dict[Key, Answer] = {}
        for target in targets:
            name = names[target.key]
            try:
                tagged = swept.get(self._arn(listed[name])) if name in listed else None
                if tagged is None:
                    answers[target.key] = self._fresh(target, name)
                else:
                    answers[target.key] = replace(self._observed(target, listed[name], tagged.value), checked_at=tagged.at)
            except ReconcileError as error:
                answers[target.key] = error
        return answers

    def create(self, target: Target[SubnetGroup], token: str) -> Observed[SubnetGroup]:
        """Make it; the name makes it repeatable."""
        want = target.want()
        name = made_as(want, target, _NAME_LENGTH)
        tags = tag_list(tag_map(target.owner, want.tags))
        said = {"CacheSubnetGroupName": name, "CacheSubnetGroupDescription": want.description, "SubnetIds": sorted(want.subnet_ids)}
        answer = self._ask("create_cache_subnet_group", _EXISTS, **said, Tags=tags)
        if isinstance(answer, Refusal):
            return self._made_before(target, name)
        group, tagged = answer["CacheSubnetGroup"], Tagged(target.owner, want.tags)
        self._tags.wrote(self._arn(group), tagged)
        self._listing.put(name, group)
        return self._observed(target, group, tagged)

    def update(self, target: Target[SubnetGroup], observed: Observed[SubnetGroup], changes: Sequence[Change]) -> Observed[SubnetGroup]:
        """Subnets and description in one call, tags in theirs."""
        want, have = target.want(), observed.value
        group = observed.raw
        if (want.subnet_ids, want.description) != (have.subnet_ids, have.description):
            said = {"CacheSubnetGroupDescription": want.description, "SubnetIds": sorted(want.subnet_ids)}
            answer = self._ask("modify_cache_subnet_group", (), CacheSubnetGroupName=observed.external_id, **said)
            group = answer["CacheSubnetGroup"] if not isinstance(answer, Refusal) else group
        tags = self._tags.change(observed.attributes["arn"], want.tags, Tagged(observed.owner, have.tags), changes)
        return self._observed(target, group, Tagged(observed.owner, tags))

    def delete(self, target: Target[SubnetGroup], observed: Observed[SubnetGroup]) -> Observed[SubnetGroup] | None:
        """Gone at once, unless a cache still lives in it."""
        answer = self._aws.attempt("elasticache", "delete_cache_subnet_group", (*_IN_USE, *_NOT_FOUND), CacheSubnetGroupName=observed.external_id)
        if isinstance(answer, Refusal) and answer.code in _IN_USE:
            return replace(observed, state=State.PENDING, reason="InUse", message="a cache still lives in it")
        self._listing.drop(observed.external_id)
        return None

    def adopt(self, target: Target[SubnetGroup], observed: Observed[SubnetGroup]) -> Observed[SubnetGroup]:
        """Put our owner tag on it."""
        self._tags.adopt(observed.attributes["arn"], target.owner, observed.value.tags)
        return replace(observed, owner=target.owner)

    def locatable(self, target: Target[SubnetGroup]) -> bool:
        """By its name, whatever subnets it is to have."""
        return bool(outside_name(target, _NAME_LENGTH))

    def owned(self, identity: Identity) -> Mapping[str, str]:
        """By the owner tag, as the tagging API knows it."""
        return self._tags.owned(identity)

    def _list(self) -> dict[str, Mapping[str, Any]]:
        pages = self._aws.pages("elasticache", "describe_cache_subnet_groups", MaxRecords=100)
        return {group["CacheSubnetGroupName"]: group for page in pages for group in page.get("CacheSubnetGroups", [])}

    def _fresh(self, target: Target[SubnetGroup], name: str) -> Observed[SubnetGroup] | None:
        if not name:
            return None
        answer = self._aws.attempt("elasticache", "describe_cache_subnet_groups", _NOT_FOUND, CacheSubnetGroupName=name)
        group = None if isinstance(answer, Refusal) else next(iter(answer.get("CacheSubnetGroups", [])), None)
        if group is None:
            self._listing.drop(name)
            return None
        return self._observed(target, group, self._tags.fresh(self._arn(group)))

    def _made_before(self, target: Target[SubnetGroup], name: str) -> Observed[SubnetGroup]:
        found = self._fresh(target, name)
        if found is None:
            raise Transient("NotVisibleYet", f"subnet group {name} exists, but cannot be read yet")
        if found.owner != target.owner:
            raise Terminal("NameTaken", f"subnet group {name} exists and is not ours; remove it, or give this one another name")
        return found

    def _ask(self, operation: str, expect: Sequence[str], **params: Any) -> dict[str, Any] | Refusal:
        answer = self._aws.attempt("elasticache", operation, (*expect, *_WORDS), **params)
        if isinstance(answer, Refusal) and answer.code in _WORDS:
            raise Terminal(answer.code, f"{answer.message} {_WORDS[answer.code]}")
        return answer

    def _arn(self, group: Mapping[str, Any]) -> str:
        return group.get("ARN") or self._tags.arn(group["CacheSubnetGroupName"])

    def _observed(self, target: Target[SubnetGroup], group: Mapping[str, Any], tagged: Tagged) -> Observed[SubnetGroup]:
        name = group["CacheSubnetGroupName"]
        told = told_name(name, target, _NAME_LENGTH)
        subnets = frozenset(subnet["SubnetIdentifier"] for subnet in group.get("Subnets", []))
        value = SubnetGroup(told, tagged.rest, subnets, group.get("CacheSubnetGroupDescription") or "")
        attributes = {"arn": self._arn(group), "name": name} | ({"vpcId": group["VpcId"]} if group.get("VpcId") else {})
        return Observed(name, value, owner=tagged.owner, attributes=attributes, raw=group)

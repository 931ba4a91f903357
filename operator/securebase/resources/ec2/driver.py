"""Keeps security groups: two hundred a read, rules added and revoked by difference, deletion as patient as AWS's network interfaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, State, Target, incarnated_name
from securebase.core.errors import ReconcileError, Terminal, Transient
from securebase.core.identity import OWNER_TAG, Identity
from securebase.resources.ec2.model import IngressRule, SecurityGroup
from securebase.resources.listing import STORM_SECONDS, Listing
from securebase.resources.tagging import Tagged, owned_nodes, tag_list, tag_map, tags_to_put, tags_to_remove, unresolved

_NAME_LIMIT: Final = 255
_BATCH: Final = 200
"""Values that one filter takes (EC2 User Guide, "List and filter your resources")."""
_GONE: Final = ("InvalidGroup.NotFound", "InvalidGroupId.NotFound", "InvalidGroupId.Malformed")
_IN_USE: Final = ("DependencyViolation", "InvalidGroup.InUse")
_PORTED: Final = ("tcp", "udp", "icmp", "icmpv6")
_SOURCES: Final = (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6"), ("PrefixListIds", "PrefixListId"), ("UserIdGroupPairs", "GroupId"))


@dataclass(frozen=True, slots=True)
class Group:
    """A security group as DescribeSecurityGroups tells it, egress apart."""

    id: str
    name: str
    description: str
    vpc_id: str
    rules: tuple[IngressRule, ...]
    tags: Mapping[str, str]


class SecurityGroupDriver:
    """`ec2/security-group`. External id: the group id. A sweep lists the groups with an owner tag, a thousand a page."""

    type: ClassVar[str] = "ec2/security-group"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._listing: Listing[str, Group] = Listing(self._list, clock)

    def observe(self, targets: Sequence[Target[SecurityGroup]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: by id, else by name and VPC. SWEEP: from the list; what it does not have is read FRESH."""
        listed = self._listing.get() if depth is Depth.SWEEP else {}
        answers: dict[Key, Answer] = {target.key: self._observed(target, listed[target.external_id]) for target in targets if target.external_id in listed}
        rest = [target for target in targets if target.key not in answers]
        known = self._by_id([target.external_id for target in rest if target.external_id])
        places = {target.key: place for target in rest if not target.external_id and (place := self._place(target))}
        named = self._by_name(places.values())
        for target in rest:
            found = known.get(target.external_id) if target.external_id else named.get(places.get(target.key, ("", "")))
            answers[target.key] = self._observed(target, found) if isinstance(found, Group) else found
        return answers

    def create(self, target: Target[SecurityGroup], token: str) -> Observed[SecurityGroup]:
        """Make it with its tags, then let in whom it is to let in; what an earlier try made is brought to that."""
        want, place = target.want(), self._place(target)
        if place is None:
            raise Transient("NotResolved", f"the VPC of {want.name} is not known yet")
        found = self._by_name([place]).get(place)
        if isinstance(found, ReconcileError):
            raise found
        group = found or self._make(target, *place)
        if group.tags.get(OWNER_TAG) != target.owner:
            raise Terminal("NameTaken", f"{group.vpc_id} has a security group {group.name} ({group.id}) that is not ours")
        return self.update(target, self._observed(target, group), ())

    def update(self, target: Target[SecurityGroup], observed: Observed[SecurityGroup], changes: Sequence[Change]) -> Observed[SecurityGroup]:
        """Who is new is let in before anybody is shut out."""
        want, have, group_id = target.want(), observed.value, observed.external_id
        wanted, there = {rule.id: rule for rule in want.ingress}, {rule.id: rule for rule in have.ingress}
        for name in wanted.keys() - there.keys():
            self._authorize(group_id, wanted[name])
        for name in wanted.keys() & there.keys():
            if wanted[name].description != there[name].description:
                self._aws.call("ec2", "update_security_group_rule_descriptions_ingress", GroupId=group_id, IpPermissions=[permission(wanted[name])])
        for name in there.keys() - wanted.keys():
            gone = ("InvalidPermission.NotFound",)
            self._aws.attempt("ec2", "revoke_security_group_ingress", gone, GroupId=group_id, IpPermissions=[permission(there[name])])
        if put := tags_to_put(want.tags, have.tags):
            self._aws.call("ec2", "create_tags", Resources=[group_id], Tags=tag_list(put))
        if removed := tags_to_remove(changes, want.tags):
            self._aws.call("ec2", "delete_tags", Resources=[group_id], Tags=[{"Key": key} for key in removed])
        tags = {key: value for key, value in {**observed.raw.tags, **put}.items() if key not in removed}
        group = replace(observed.raw, rules=tuple(wanted[name] for name in sorted(wanted)), tags=tags)
        self._listing.wrote(group_id, group)
        return self._observed(target, group)

    def delete(self, target: Target[SecurityGroup], observed: Observed[SecurityGroup]) -> Observed[SecurityGroup] | None:
        """Refused while anything uses it: the network interfaces of a deleted cache linger for minutes."""
        answer = self._aws.attempt("ec2", "delete_security_group", (*_GONE, *_IN_USE), GroupId=observed.external_id)
        if isinstance(answer, Refusal) and answer.code in _IN_USE:
            used = "still used by network interfaces (those of a deleted cache linger for minutes) or named in another group's rules"
            return replace(observed, state=State.PENDING, reason="InUse", message=used)
        self._listing.drop(observed.external_id)
        return None

    def adopt(self, target: Target[SecurityGroup], observed: Observed[SecurityGroup]) -> Observed[SecurityGroup]:
        """Put our owner tag on it."""
        self._aws.call("ec2", "create_tags", Resources=[observed.external_id], Tags=tag_list({OWNER_TAG: target.owner}))
        group = replace(observed.raw, tags={**observed.raw.tags, OWNER_TAG: target.owner})
        self._listing.wrote(observed.external_id, group)
        return self._observed(target, group)

    def locatable(self, target: Target[SecurityGroup]) -> bool:
        """By name and VPC, whoever it is to let in."""
        return bool(target.external_id) or self._place(target) is not None

    def owned(self, identity: Identity) -> Mapping[str, str]:
        """By the owner tag."""
        return owned_nodes({found.id: found.tags.get(OWNER_TAG, "") for found in self._listing.get(STORM_SECONDS).values()}, identity)

    def _place(self, target: Target[SecurityGroup]) -> tuple[str, str] | None:
        """VPC and name; None while they are not known."""
        want = target.desired
        if want is None or unresolved(want.name, want.vpc_id):
            return None
        return want.vpc_id, incarnated_name(want.name, target, _NAME_LIMIT)

    def _by_id(self, ids: Sequence[str]) -> dict[str, Group | ReconcileError | None]:
        """A filter leaves out what does not exist, where a list of ids would be refused as a whole; what it left out is asked for alone."""
        found: dict[str, Group | ReconcileError | None] = {}
        for batch in _batches(sorted(set(ids))):
            try:
                groups = self._describe([{"Name": "group-id", "Values": batch}])
                found |= {group.id: group for group in groups}
            except ReconcileError as error:
                found |= dict.fromkeys(batch, error)
        for group_id in set(ids) - found.keys():
            try:
                found[group_id] = self._one(group_id)
            except ReconcileError as error:
                found[group_id] = error
        return found

    def _one(self, group_id: str) -> Group | None:
        answer = self._aws.attempt("ec2", "describe_security_groups", _GONE, GroupIds=[group_id])
        if isinstance(answer, Refusal):
            self._listing.drop(group_id)
            return None
        return next((group_of(entry) for entry in answer["SecurityGroups"]), None)

    def _by_name(self, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Group | ReconcileError]:
        found: dict[tuple[str, str], Group | ReconcileError] = {}
        wanted = sorted(set(places))
        for vpc_id in sorted({vpc_id for vpc_id, _ in wanted}):
            for batch in _batches([name for where, name in wanted if where == vpc_id]):
                try:
                    groups = self._describe([{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "group-name", "Values": batch}])
                    found |= {(group.vpc_id, group.name): group for group in groups}
                except ReconcileError as error:
                    found |= dict.fromkeys(((vpc_id, name) for name in batch), error)
        return found

    def _describe(self, filters: Sequence[Mapping[str, Any]]) -> Iterator[Group]:
        for page in self._aws.pages("ec2", "describe_security_groups", Filters=filters, MaxResults=1000):
            yield from map(group_of, page.get("SecurityGroups", []))

    def _list(self) -> dict[str, Group]:
        return {group.id: group for group in self._describe([{"Name": "tag-key", "Values": [OWNER_TAG]}])}

    def _make(self, target: Target[SecurityGroup], vpc_id: str, name: str) -> Group:
        want, tags = target.want(), tag_map(target.owner, target.want().tags)
        tagged = [{"ResourceType": "security-group", "Tags": tag_list(tags)}]
        taken = ("InvalidGroup.Duplicate",)
        answer = self._aws.attempt("ec2", "create_security_group", taken, GroupName=name, Description=want.description, VpcId=vpc_id, TagSpecifications=tagged)
        if isinstance(answer, Refusal):
            raise Transient("NotVisibleYet", f"a security group {name} is in {vpc_id}, but cannot be seen yet")
        group = Group(answer["GroupId"], name, want.description, vpc_id, (), tags)
        self._listing.put(group.id, group)
        return group

    def _authorize(self, group_id: str, rule: IngressRule) -> None:
        expected = ("InvalidPermission.Duplicate", "InvalidPermission.Malformed")
        answer = self._aws.attempt("ec2", "authorize_security_group_ingress", expected, GroupId=group_id, IpPermissions=[permission(rule)])
        if isinstance(answer, Refusal) and answer.code == expected[1]:
            raise Terminal(answer.code, f"{rule.id}: {answer.message}")

    def _observed(self, target: Target[SecurityGroup], group: Group) -> Observed[SecurityGroup]:
        tagged, want = Tagged.of(group.tags), target.desired
        name = want.name if want is not None and group.name == incarnated_name(want.name, target, _NAME_LIMIT) else group.name
        value = SecurityGroup(name, group.description, group.vpc_id, tagged.rest, as_wanted(group.rules, want.ingress if want is not None else ()))
        arn = f"arn:{self._aws.partition}:ec2:{self._aws.region}:{self._aws.account_id}:security-group/{group.id}"
        return Observed(group.id, value, owner=tagged.owner, attributes={"id": group.id, "arn": arn}, raw=group)


def group_of(entry: Mapping[str, Any]) -> Group:
    """From an answer of DescribeSecurityGroups."""
    tags = {tag["Key"]: tag.get("Value", "") for tag in entry.get("Tags") or ()}
    rules = sorted(_rules(entry), key=lambda rule: rule.id)
    return Group(entry["GroupId"], entry["GroupName"], entry["Description"], entry.get("VpcId", ""), tuple(rules), tags)


def _rules(entry: Mapping[str, Any]) -> Iterator[IngressRule]:
    """A rule for each source: AWS puts those that share protocol and ports together."""
    for each in entry.get("IpPermissions") or ():
        first, last = each.get("FromPort", -1), each.get("ToPort", -1)
        for family, name in _SOURCES:
            for source in each.get(family) or ():
                text = source.get(name, "")
                if family == "UserIdGroupPairs" and source.get("UserId", entry["OwnerId"]) != entry["OwnerId"]:
                    text = f"{source['UserId']}/{text}"
                yield IngressRule(text, first, 0 if last == first else last, each["IpProtocol"], source.get("Description", ""))


def as_wanted(rules: Sequence[IngressRule], want: Sequence[IngressRule]) -> tuple[IngressRule, ...]:
    """Observed rules in the order and the spelling in which they are wanted, others after them."""
    there = {rule.id: rule for rule in rules}
    known = [replace(rule, description=there.pop(rule.id).description) for rule in want if rule.id in there]
    return (*known, *there.values())


def permission(rule: IngressRule) -> dict[str, Any]:
    """The rule as EC2 takes it."""
    account, _, group = rule.source.rpartition("/sg-")
    if rule.source.startswith("sg-"):
        family, source = "UserIdGroupPairs", {"GroupId": rule.source}
    elif account:
        family, source = "UserIdGroupPairs", {"GroupId": f"sg-{group}", "UserId": account}
    elif rule.source.startswith("pl-"):
        family, source = "PrefixListIds", {"PrefixListId": rule.source}
    elif ":" in rule.source:
        family, source = "Ipv6Ranges", {"CidrIpv6": rule.source}
    else:
        family, source = "IpRanges", {"CidrIp": rule.source}
    described = {"Description": rule.description} if rule.description else {}
    ports = {"FromPort": rule.port, "ToPort": rule.last_port or rule.port} if rule.protocol in _PORTED else {}
    return {"IpProtocol": rule.protocol, **ports, family: [source | described]}


def _batches(values: Sequence[str]) -> Iterator[list[str]]:
    for at in range(0, len(values), _BATCH):
        yield list(values[at : at + _BATCH])

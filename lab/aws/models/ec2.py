"""EC2 security groups: those in use cannot go, pages, and the tagging API finds them. moto keeps them and their rules.

EC2 API reference, DeleteSecurityGroup ("if you attempt to delete a security group that is associated with an instance or network interface, ...
or is referenced by another security group in the same VPC, the operation fails with DependencyViolation"), DescribeSecurityGroups (MaxResults, NextToken).
An ElastiCache node has a network interface in each of its groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.aws.context import Lab
from lab.aws.wire import AwsFault, Call, Reply, answer, result_of

Users = Callable[[str, str, str], list[str]]


def _arn(call: Call, identifier: str) -> str:
    return f"arn:aws:ec2:{call.region}:{call.account}:security-group/{identifier}"


def _referenced(group: dict[str, Any]) -> set[str]:
    permissions = [*group.get("IpPermissions", []), *group.get("IpPermissionsEgress", [])]
    return {pair["GroupId"] for permission in permissions for pair in permission.get("UserIdGroupPairs", []) if "GroupId" in pair}


class Ec2:
    services = frozenset({"ec2"})

    def __init__(self, lab: Lab, users: Users) -> None:
        """`users`: who has a network interface in the group of this account, region and id."""
        self._lab, self._users = lab, users

    def reset(self) -> None:
        """It keeps nothing but tags, which the lab clears."""

    async def before(self, call: Call) -> Reply | None:
        match call.operation:
            case "DeleteSecurityGroup" if call.params.get("GroupId"):
                await self._check_unused(call, call.params["GroupId"])
            case "DescribeSecurityGroups" if "MaxResults" in call.params or "NextToken" in call.params:
                return await self._page(call)
        return None

    async def _all(self, call: Call, params: dict[str, Any]) -> list[dict[str, Any]]:
        listed = await self._lab.backends.ask("ec2", "DescribeSecurityGroups", params, call.account, call.region)
        found: list[dict[str, Any]] = listed["SecurityGroups"]
        return found

    async def _check_unused(self, call: Call, identifier: str) -> None:
        others = [group["GroupId"] for group in await self._all(call, {}) if group["GroupId"] != identifier and identifier in _referenced(group)]
        if others or self._users(call.account, call.region, identifier):
            raise AwsFault("DependencyViolation", f"resource {identifier} has a dependent object")

    async def _page(self, call: Call) -> Reply:
        params = dict(call.params)
        size, start = int(params.pop("MaxResults", 1000)), int(params.pop("NextToken", 0))
        if not 5 <= size <= 1000:
            raise AwsFault("InvalidParameterValue", "Value for parameter MaxResults is invalid. Expecting 5 to 1000.")
        groups = await self._all(call, params)
        told: dict[str, Any] = {"SecurityGroups": groups[start : start + size]}
        return answer(call, told | ({"NextToken": str(start + size)} if start + size < len(groups) else {}))

    async def after(self, call: Call, reply: Reply) -> Reply:
        if not reply.ok or not call.is_write:
            return reply
        params = call.params
        match call.operation:
            case "CreateSecurityGroup":
                tags = [tag for entry in params.get("TagSpecifications", []) for tag in entry.get("Tags", [])]
                self._tag(_arn(call, result_of(call, reply)["GroupId"]), tags)
            case "CreateTags":
                for identifier in params["Resources"]:
                    if identifier.startswith("sg-"):
                        self._tag(_arn(call, identifier), params["Tags"])
            case "DeleteTags":
                for identifier in params["Resources"]:
                    known = self._lab.tagged.get(_arn(call, identifier), {})
                    for key in [tag["Key"] for tag in params.get("Tags", [])] or list(known):
                        known.pop(key, None)
            case "DeleteSecurityGroup":
                self._lab.tagged.pop(_arn(call, params.get("GroupId", "")), None)
        return reply

    def _tag(self, arn: str, tags: list[dict[str, str]]) -> None:
        self._lab.tagged.setdefault(arn, {}).update({tag["Key"]: tag.get("Value", "") for tag in tags})

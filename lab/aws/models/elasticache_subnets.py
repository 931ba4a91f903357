"""ElastiCache subnet groups over the emulator's subnets: one VPC, subnets and groups in use.

ElastiCache API reference, CreateCacheSubnetGroup, ModifyCacheSubnetGroup (SubnetInUse), DeleteCacheSubnetGroup (CacheSubnetGroupInUse).
"""

from __future__ import annotations

from typing import Any

from lab.aws.models.elasticache_rules import refuse
from lab.aws.models.elasticache_state import Desk, Store, SubnetGroup, page
from lab.aws.wire import AwsFault

_QUOTA = 150
_MOST_SUBNETS = 20


def find_group(store: Store, name: str) -> SubnetGroup:
    try:
        return store.subnet_groups[name.lower()]
    except KeyError:
        raise AwsFault("CacheSubnetGroupNotFoundFault", f"CacheSubnetGroup {name} not found.") from None


async def _subnets(desk: Desk, wanted: list[str]) -> tuple[str, dict[str, str]]:
    """The VPC, and each subnet's zone."""
    if len(wanted) > desk.store.quota("elasticache.subnets_per_group", _MOST_SUBNETS):
        raise AwsFault("CacheSubnetQuotaExceededFault", f"A subnet group can have at most {_MOST_SUBNETS} subnets.")
    try:
        listed = await desk.lab.backends.ask("ec2", "DescribeSubnets", {"SubnetIds": wanted}, desk.call.account, desk.call.region)
    except AwsFault as missing:
        raise AwsFault("InvalidSubnet", f"Some input subnets are invalid: {missing.message}") from missing
    found = {subnet["SubnetId"]: subnet for subnet in listed["Subnets"]}
    if unknown := [subnet for subnet in wanted if subnet not in found]:
        raise AwsFault("InvalidSubnet", f"Some input subnets in {unknown} are invalid.")
    vpcs = {found[subnet]["VpcId"] for subnet in wanted}
    if len(vpcs) != 1:
        raise AwsFault("InvalidSubnet", "The subnets are not all in the same VPC.")
    return vpcs.pop(), {subnet: found[subnet]["AvailabilityZone"] for subnet in wanted}


def _document(group: SubnetGroup) -> dict[str, Any]:
    subnets = [
        {"SubnetIdentifier": subnet, "SubnetAvailabilityZone": {"Name": zone}, "SupportedNetworkTypes": ["ipv4"]}
        for subnet, zone in sorted(group.subnets.items())
    ]
    return {
        "CacheSubnetGroupName": group.name,
        "CacheSubnetGroupDescription": group.description,
        "VpcId": group.vpc_id,
        "Subnets": subnets,
        "ARN": group.arn,
        "SupportedNetworkTypes": ["ipv4"],
    }


async def create(desk: Desk) -> dict[str, Any]:
    params, store = desk.params, desk.store
    name = params["CacheSubnetGroupName"].lower()
    if name == "default" or not 1 <= len(name) <= 255:
        raise refuse("CacheSubnetGroupName must be 1 to 255 characters, and not 'default'.")
    if name in store.subnet_groups:
        raise AwsFault("CacheSubnetGroupAlreadyExists", f"Cache subnet group {name} already exists.")
    if len(store.subnet_groups) >= store.quota("elasticache.subnet_groups", _QUOTA):
        raise AwsFault("CacheSubnetGroupQuotaExceeded", "Quota exceeded for subnet groups.")
    vpc, subnets = await _subnets(desk, params["SubnetIds"])
    group = SubnetGroup(name, store.arn("subnetgroup", name), params["CacheSubnetGroupDescription"], vpc, subnets)
    store.subnet_groups[name] = group
    store.tag(group.arn, params.get("Tags", []))
    return {"CacheSubnetGroup": _document(group)}


async def describe(desk: Desk) -> dict[str, Any]:
    if name := desk.params.get("CacheSubnetGroupName"):
        return page(desk.params, "CacheSubnetGroups", [_document(find_group(desk.store, name))])
    return page(desk.params, "CacheSubnetGroups", [_document(group) for _, group in sorted(desk.store.subnet_groups.items())])


async def modify(desk: Desk) -> dict[str, Any]:
    params = desk.params
    group = find_group(desk.store, params["CacheSubnetGroupName"])
    if wanted := params.get("SubnetIds"):
        vpc, subnets = await _subnets(desk, wanted)
        users = [other for other in desk.store.groups.values() if other.subnet_group == group.name]
        if users and vpc != group.vpc_id:
            raise AwsFault("InvalidSubnet", "The subnet group is in use in another VPC.")
        zones = set(subnets.values())
        held = sorted({member.zone for other in users for _, member in other.members()} - zones)
        if held:
            raise AwsFault("SubnetInUse", f"Subnets in {', '.join(held)} are currently in use by a cache cluster.")
        group.vpc_id, group.subnets = vpc, subnets
    group.description = params.get("CacheSubnetGroupDescription", group.description)
    return {"CacheSubnetGroup": _document(group)}


async def delete(desk: Desk) -> dict[str, Any]:
    group = find_group(desk.store, desk.params["CacheSubnetGroupName"])
    if any(other.subnet_group == group.name for other in desk.store.groups.values()):
        raise AwsFault("CacheSubnetGroupInUse", f"Cache subnet group {group.name} is currently in use by a cache cluster.")
    del desk.store.subnet_groups[group.name]
    desk.lab.tagged.pop(group.arn, None)
    return {}

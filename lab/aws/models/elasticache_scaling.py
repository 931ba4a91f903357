"""ElastiCache groups change their size and roles: replicas, shards, failover, replaced members.

ElastiCache API reference, IncreaseReplicaCount, DecreaseReplicaCount ("ApplyImmediately=False is not currently supported"),
ModifyReplicationGroupShardConfiguration, TestFailover (TestFailoverNotAvailableFault), ListAllowedNodeTypeModifications.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from lab.aws.models.elasticache_groups import check_quota, new_members
from lab.aws.models.elasticache_modify import start
from lab.aws.models.elasticache_rules import MOST_REPLICAS, clash, node_type_modifications, refuse
from lab.aws.models.elasticache_state import Desk, Group, Member, Pending, Shard
from lab.aws.wire import AwsFault


def _now(desk: Desk) -> None:
    if not desk.params.get("ApplyImmediately"):
        raise refuse("ApplyImmediately=False is not currently supported.")


def _counts(desk: Desk, group: Group) -> dict[str, int]:
    """Replicas wanted by shard: one count for all, or one for each that is named."""
    params = desk.params
    if ("NewReplicaCount" in params) == bool(params.get("ReplicaConfiguration")) and "ReplicasToRemove" not in params:
        raise clash("Exactly one of NewReplicaCount and ReplicaConfiguration is needed.")
    counts = {shard.id: params.get("NewReplicaCount", len(shard.members) - 1) for shard in group.shards}
    for entry in params.get("ReplicaConfiguration", []):
        if entry["NodeGroupId"] not in counts:
            raise AwsFault("NodeGroupNotFoundFault", f"Node group {entry['NodeGroupId']} not found.")
        counts[entry["NodeGroupId"]] = entry["NewReplicaCount"]
    return counts


def _number(member: Member) -> int:
    return int(member.id.rsplit("-", 1)[1])


def _free(shard: Shard, count: int) -> list[int]:
    """The lowest numbers no member has."""
    taken = {_number(member) for member in shard.members}
    return [number for number in range(1, len(taken) + count + 1) if number not in taken][:count]


def _add(desk: Desk, group: Group, shard: Shard, count: int) -> None:
    made = new_members(desk, group, shard.id, _free(shard, count))
    shard.members += made
    for member in made:
        desk.store.tag(desk.store.arn("cluster", member.id), [{"Key": key, "Value": value} for key, value in desk.lab.tagged.get(group.arn, {}).items()])


def _drop(desk: Desk, shard: Shard, gone: list[Member]) -> None:
    shard.members = [member for member in shard.members if member not in gone]
    for member in gone:
        desk.lab.tagged.pop(desk.store.arn("cluster", member.id), None)


def _scale(desk: Desk, group: Group, deed: Callable[[], None], told: dict[str, Any] | None = None) -> Group:
    start(desk, group, [Pending(deed, told or {})])
    group.until += desk.lab.settings.elasticache_scale_s - desk.lab.settings.elasticache_modify_s
    desk.wake(desk.lab.settings.elasticache_scale_s)
    return group


async def increase(desk: Desk) -> Group:
    _now(desk)
    group = desk.store.available(desk.params["ReplicationGroupId"])
    counts = _counts(desk, group)
    more = {shard.id: counts[shard.id] - (len(shard.members) - 1) for shard in group.shards}
    if any(count > MOST_REPLICAS for count in counts.values()):
        raise refuse("The number of replicas per node group must be between 0 and 5.")
    if any(count < 0 for count in more.values()):
        raise refuse("The new replica count must be greater than the present one.")
    if not any(more.values()):
        raise AwsFault("NoOperationFault", "The operation was not performed because no changes were required.")
    check_quota(desk, sum(more.values()))
    # New members are listed while they are being created.
    for shard in group.shards:
        _add(desk, group, shard, more[shard.id])
    return _scale(desk, group, lambda: None)


def _leaving(desk: Desk, shard: Shard, wanted: int) -> list[Member]:
    named = [name.lower() for name in desk.params.get("ReplicasToRemove", [])]
    if named:
        if shard.primary.id in named:
            raise refuse(f"{shard.primary.id} is a primary and cannot be removed.")
        return [member for member in shard.members if member.id in named]
    replicas = sorted(shard.members[1:], key=_number)
    return replicas[wanted:] if wanted < len(replicas) else []


async def decrease(desk: Desk) -> Group:
    _now(desk)
    group = desk.store.available(desk.params["ReplicationGroupId"])
    counts = _counts(desk, group)
    if any(counts[shard.id] > len(shard.members) - 1 for shard in group.shards):
        raise refuse("The new replica count must be less than the present one.")
    leaving = {shard.id: _leaving(desk, shard, counts[shard.id]) for shard in group.shards}
    if not any(leaving.values()):
        raise AwsFault("NoOperationFault", "The operation was not performed because no changes were required.")
    if group.automatic_failover and any(len(shard.members) - len(leaving[shard.id]) < 2 for shard in group.shards):
        raise clash("At least one replica per node group is needed while automatic failover is enabled.")

    def deed() -> None:
        for shard in group.shards:
            _drop(desk, shard, leaving.get(shard.id, []))

    return _scale(desk, group, deed)


def _removed_shards(desk: Desk, group: Group, wanted: int) -> list[Shard]:
    remove, retain = desk.params.get("NodeGroupsToRemove", []), desk.params.get("NodeGroupsToRetain", [])
    if bool(remove) == bool(retain):
        raise clash("Exactly one of NodeGroupsToRemove and NodeGroupsToRetain is needed to remove node groups.")
    gone = [shard for shard in group.shards if (shard.id in remove if remove else shard.id not in retain)]
    if len(group.shards) - len(gone) != wanted:
        raise clash("NodeGroupCount does not fit the node groups to remove or retain.")
    return gone


async def reshard(desk: Desk) -> Group:
    _now(desk)
    group = desk.store.available(desk.params["ReplicationGroupId"])
    wanted = desk.params["NodeGroupCount"]
    if group.cluster_mode != "enabled":
        raise refuse("The number of node groups can be changed with cluster mode enabled only.")
    if wanted < 1:
        raise refuse("NodeGroupCount must be at least 1.")
    told = {"Resharding": {"SlotMigration": {"ProgressPercentage": 0.0}}}
    if wanted < len(group.shards):
        gone = _removed_shards(desk, group, wanted)

        def shrink() -> None:
            for shard in gone:
                _drop(desk, shard, list(shard.members))
            group.shards = [shard for shard in group.shards if shard not in gone]

        return _scale(desk, group, shrink, told)
    more = wanted - len(group.shards)
    check_quota(desk, more * (group.replicas + 1))
    last = max(int(shard.id) for shard in group.shards)
    replicas = group.replicas
    for number in range(last + 1, last + 1 + more):
        shard = Shard(f"{number:04d}", [])
        _add(desk, group, shard, replicas + 1)
        group.shards.append(shard)
    return _scale(desk, group, lambda: None, told if more else None)


def flip(shard: Shard) -> None:
    """The first replica becomes primary, the primary the last replica."""
    shard.members = [*shard.members[1:], shard.members[0]]


async def test_failover(desk: Desk) -> Group:
    group = desk.store.available(desk.params["ReplicationGroupId"])
    found = [shard for shard in group.shards if shard.id == desk.params["NodeGroupId"]]
    if not found:
        raise AwsFault("NodeGroupNotFoundFault", f"Node group {desk.params['NodeGroupId']} not found.")
    if not group.automatic_failover:
        raise AwsFault("TestFailoverNotAvailableFault", "Automatic failover is not enabled.")
    group.under_way = [Pending(partial(flip, found[0]))]
    start(desk, group, group.under_way)
    return group


async def allowed_node_types(desk: Desk) -> dict[str, Any]:
    params, store = desk.params, desk.store
    if name := params.get("ReplicationGroupId"):
        node_type = store.group(name).node_type
    else:
        owners = [group for group in store.groups.values() for _, member in group.members() if member.id == params.get("CacheClusterId", "").lower()]
        if not owners:
            raise AwsFault("CacheClusterNotFound", f"CacheCluster {params.get('CacheClusterId')} not found.")
        node_type = owners[0].node_type
    larger, smaller = node_type_modifications(node_type)
    return {"ScaleUpModifications": larger, "ScaleDownModifications": smaller}

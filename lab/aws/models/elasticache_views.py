"""How ElastiCache tells replication groups and their members: DescribeReplicationGroups and DescribeCacheClusters.

ElastiCache API reference, ReplicationGroup, NodeGroupMember (CurrentRole: "only applicable for cluster mode disabled") and CacheCluster.
Engine version, parameter group, security groups, maintenance window, subnet group and pending node types stand in CacheCluster only.
Names: User Guide, "Finding connection endpoints" (rg-001 with cluster mode disabled, rg-0001-001 with it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from lab.aws.models.elasticache_state import Desk, Group, Member, Shard, Store, host_suffix, page
from lab.aws.wire import AwsFault

SLOTS = 16384


class Addresses(Protocol):
    """Where a group can really be reached; None where no real server stands behind it."""

    def address(self, arn: str) -> tuple[str, int] | None: ...


def _endpoint(store: Store, group: Group, prefix: str, addresses: Addresses | None) -> dict[str, Any]:
    real = addresses.address(group.arn) if addresses is not None else None
    if real is not None:
        return {"Address": real[0], "Port": real[1]}
    return {"Address": f"{prefix}.{host_suffix(store.account, store.region)}", "Port": group.port}


def _merged(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for part in parts:
        result |= part
    return result


def _logs(group: Group) -> list[dict[str, Any]]:
    status = "active" if group.status == "available" else "enabling"
    return [{key: value for key, value in entry.items() if key != "Enabled"} | {"Status": status} for entry in group.logs]


def _shared(group: Group) -> dict[str, Any]:
    """What a group and its members tell alike."""
    told: dict[str, Any] = {
        "SnapshotRetentionLimit": group.snapshot_retention,
        "SnapshotWindow": group.snapshot_window,
        "CacheNodeType": group.node_type,
        "AuthTokenEnabled": bool(group.tokens),
        "TransitEncryptionEnabled": group.transit,
        "AtRestEncryptionEnabled": group.at_rest,
        "LogDeliveryConfigurations": _logs(group),
        "AutoMinorVersionUpgrade": group.auto_minor,
        "NetworkType": group.network_type,
        "IpDiscovery": group.ip_discovery,
        "Engine": group.engine,
    }
    if group.token_changed is not None:
        told["AuthTokenLastModifiedDate"] = group.token_changed
    if group.transit:
        told["TransitEncryptionMode"] = group.transit_mode
    return told


def _shard(store: Store, group: Group, shard: Shard, index: int, addresses: Addresses | None) -> dict[str, Any]:
    each = SLOTS // len(group.shards)
    last = SLOTS - 1 if index == len(group.shards) - 1 else (index + 1) * each - 1
    told: dict[str, Any] = {"NodeGroupId": shard.id, "Status": "available" if group.status != "modifying" else "modifying"}
    if group.cluster_mode == "disabled":
        told["PrimaryEndpoint"] = _endpoint(store, group, f"master.{group.id}" if group.transit else f"{group.id}.ng.0001", addresses)
        told["ReaderEndpoint"] = _endpoint(store, group, f"replica.{group.id}" if group.transit else f"{group.id}-ro", addresses)
    else:
        told["Slots"] = f"{index * each}-{last}"
    told["NodeGroupMembers"] = [_member(store, group, shard, member, addresses) for member in sorted(shard.members, key=lambda member: member.id)]
    return told


def _member(store: Store, group: Group, shard: Shard, member: Member, addresses: Addresses | None) -> dict[str, Any]:
    told: dict[str, Any] = {"CacheClusterId": member.id, "CacheNodeId": "0001", "PreferredAvailabilityZone": member.zone}
    if group.cluster_mode == "disabled":
        told["CurrentRole"] = "primary" if member is shard.primary else "replica"
        told["ReadEndpoint"] = _endpoint(store, group, f"{member.id}.{group.id}", addresses)
    return told


def group_document(store: Store, group: Group, addresses: Addresses | None) -> dict[str, Any]:
    told = _shared(group) | {
        "ReplicationGroupId": group.id,
        "ARN": group.arn,
        "Description": group.description,
        "Status": group.status,
        "PendingModifiedValues": _merged(pending.of_group for pending in group.pending()),
        "MemberClusters": sorted(member.id for _, member in group.members()),
        "AutomaticFailover": "enabled" if group.automatic_failover else "disabled",
        "MultiAZ": "enabled" if group.multi_az else "disabled",
        "ClusterEnabled": group.sharded,
        "ClusterMode": group.cluster_mode,
        "StorageEncryptionType": "sse-kms" if group.kms_key else "sse-elasticache" if group.at_rest else "none",
        "UserGroupIds": list(group.user_groups),
        "ReplicationGroupCreateTime": group.created,
        "DataTiering": "enabled" if group.data_tiering else "disabled",
    }
    if group.kms_key:
        told["KmsKeyId"] = group.kms_key
    if not group.sharded and group.snapshot_retention:
        told["SnapshottingClusterId"] = group.snapshotting_member or sorted(member.id for _, member in group.members())[-1]
    # Node groups and endpoints appear when the group is available for the first time.
    if group.status not in ("creating", "create-failed"):
        told["NodeGroups"] = [_shard(store, group, shard, index, addresses) for index, shard in enumerate(group.shards)]
        if group.sharded:
            told["ConfigurationEndpoint"] = _endpoint(store, group, f"clustercfg.{group.id}", addresses)
    return told


def member_document(store: Store, group: Group, member: Member, addresses: Addresses | None, nodes: bool) -> dict[str, Any]:
    changing = "CacheParameterGroupName" in _merged(pending.of_members for pending in group.under_way)
    told = _shared(group) | {
        "CacheClusterId": member.id,
        "ReplicationGroupId": group.id,
        "ARN": store.arn("cluster", member.id),
        "CacheClusterStatus": group.status,
        "EngineVersion": group.version,
        "NumCacheNodes": 1,
        "PreferredAvailabilityZone": member.zone,
        "CacheClusterCreateTime": member.created,
        "PreferredMaintenanceWindow": group.maintenance_window,
        "PendingModifiedValues": {
            name: value for name, value in _merged(pending.of_members for pending in group.pending()).items() if name != "CacheParameterGroupName"
        },
        "CacheSecurityGroups": [],
        "CacheParameterGroup": {
            "CacheParameterGroupName": group.parameter_group,
            "ParameterApplyStatus": "applying" if changing else "pending-reboot" if member.reboot_needed else "in-sync",
            "CacheNodeIdsToReboot": ["0001"] if member.reboot_needed else [],
        },
        "CacheSubnetGroupName": group.subnet_group,
        "SecurityGroups": [{"SecurityGroupId": identifier, "Status": "active"} for identifier in group.security_groups],
        "ReplicationGroupLogDeliveryEnabled": bool(group.logs),
    }
    if group.topic:
        told["NotificationConfiguration"] = {"TopicArn": group.topic, "TopicStatus": "active" if group.topic_active else "inactive"}
    if nodes:
        node: dict[str, Any] = {"CacheNodeId": "0001", "CacheNodeStatus": group.status, "CacheNodeCreateTime": member.created}
        node |= {"ParameterGroupStatus": told["CacheParameterGroup"]["ParameterApplyStatus"], "CustomerAvailabilityZone": member.zone}
        if group.status != "creating":
            node["Endpoint"] = _endpoint(store, group, f"{member.id}.{group.id}", addresses)
        told["CacheNodes"] = [node]
    return told


async def describe_groups(desk: Desk, addresses: Addresses | None) -> dict[str, Any]:
    store = desk.store
    wanted = desk.params.get("ReplicationGroupId")
    chosen = [store.group(wanted)] if wanted else [store.groups[name] for name in sorted(store.groups)]
    return page(desk.params, "ReplicationGroups", [group_document(store, group, addresses) for group in chosen])


async def describe_members(desk: Desk, addresses: Addresses | None) -> dict[str, Any]:
    store, params = desk.store, desk.params
    every = {member.id: (group, member) for group in store.groups.values() for _, member in group.members()}
    if wanted := params.get("CacheClusterId"):
        if wanted.lower() not in every:
            raise AwsFault("CacheClusterNotFound", f"CacheCluster {wanted} not found.")
        every = {wanted.lower(): every[wanted.lower()]}
    # Every cluster kept here belongs to a replication group.
    chosen = [] if params.get("ShowCacheClustersNotInReplicationGroups") else [every[name] for name in sorted(every)]
    nodes = bool(params.get("ShowCacheNodeInfo"))
    return page(params, "CacheClusters", [member_document(store, group, member, addresses, nodes) for group, member in chosen])

"""ElastiCache snapshots: taken while the group is `snapshotting`, restored from, copied, deleted.

ElastiCache API reference, CreateSnapshot, DescribeSnapshots, DeleteSnapshot; User Guide, "Snapshot and restore" (t1 nodes have none; 24 a day and node).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lab.aws.models.elasticache_rules import check_name, clash, version_key
from lab.aws.models.elasticache_state import Desk, Group, Snapshot, page
from lab.aws.wire import AwsFault

_QUOTA = 500


def find(desk: Desk, name: str) -> Snapshot:
    try:
        return desk.store.snapshots[name.lower()]
    except KeyError:
        raise AwsFault("SnapshotNotFoundFault", f"Snapshot {name} not found.") from None


def restorable(desk: Desk, name: str) -> Snapshot:
    found = find(desk, name)
    if found.status not in ("available", "restoring"):
        raise AwsFault("InvalidSnapshotState", f"Snapshot {name} is {found.status}.")
    return found


def check_restore(source: Snapshot, engine: str, version: str, cluster_mode: str, tiering: bool) -> None:
    """User Guide, "Restoring from a backup into a new cache": not out of cluster mode, nor out of data tiering (into it, any). "Version management":
    no older engine; "How to downgrade from Valkey to Redis OSS": but Valkey 7.2 as Redis OSS 7.1."""
    told = source.document
    if source.cluster_mode == "enabled" and cluster_mode == "disabled":
        raise clash(f"Snapshot {source.name} of a cluster mode enabled cluster cannot be restored to a cluster mode disabled one.")
    if told["DataTiering"] == "enabled" and not tiering:
        raise clash(f"Snapshot {source.name} of a cluster with data tiering can only be restored to one with data tiering.")
    have, want = version_key(told["EngineVersion"]), version_key(version)
    onward = want >= have if told["Engine"] == engine else engine == "valkey"
    if not onward and (told["Engine"], have[:2], engine, want[:2]) != ("valkey", (7, 2), "redis", (7, 1)):
        raise clash(f"Snapshot {source.name} of {told['Engine']} {told['EngineVersion']} cannot be restored to {engine} {version}.")


def _document(desk: Desk, group: Group, name: str, source: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    subnets = desk.store.subnet_groups.get(group.subnet_group)
    told: dict[str, Any] = {
        "SnapshotName": name,
        "ReplicationGroupId": group.id,
        "ReplicationGroupDescription": group.description,
        "SnapshotSource": source,
        "CacheNodeType": group.node_type,
        "Engine": group.engine,
        "EngineVersion": group.version,
        "PreferredMaintenanceWindow": group.maintenance_window,
        "Port": group.port,
        "CacheParameterGroupName": group.parameter_group,
        "CacheSubnetGroupName": group.subnet_group,
        "VpcId": subnets.vpc_id if subnets else "",
        "AutoMinorVersionUpgrade": group.auto_minor,
        "SnapshotRetentionLimit": group.snapshot_retention,
        "SnapshotWindow": group.snapshot_window,
        "NumNodeGroups": len(group.shards),
        "AutomaticFailover": "enabled" if group.automatic_failover else "disabled",
        "DataTiering": "enabled" if group.data_tiering else "disabled",
        "ARN": desk.store.arn("snapshot", name),
        "NodeSnapshots": [
            {"NodeGroupId": shard.id, "CacheClusterId": shard.members[-1].id, "CacheNodeId": "0001", "CacheSize": "1 MB", "SnapshotCreateTime": now}
            for shard in group.shards
        ],
    }
    return told | ({"KmsKeyId": group.kms_key} if group.kms_key else {})


def take(desk: Desk, group: Group, wanted: str, source: str) -> Snapshot:
    name = check_name(wanted, "SnapshotName")
    store = desk.store
    if name in store.snapshots:
        raise AwsFault("SnapshotAlreadyExistsFault", f"Snapshot with specified name already exists: {name}")
    if len(store.snapshots) >= store.quota("elasticache.snapshots", _QUOTA):
        raise AwsFault("SnapshotQuotaExceededFault", "The request cannot be processed because it would exceed the maximum number of snapshots.")
    document = _document(desk, group, name, source)
    until = desk.lab.clock() + desk.lab.settings.elasticache_snapshot_s
    snapshot = Snapshot(name, document["ARN"], document, "creating", until, cluster_mode=group.cluster_mode)
    if desk.dump is not None:
        snapshot.data = desk.dump(group.arn)
    store.snapshots[name] = snapshot
    store.tag(snapshot.arn, desk.params.get("Tags", []))
    return snapshot


def told(snapshot: Snapshot, nodes: bool = True) -> dict[str, Any]:
    return {name: value for name, value in snapshot.document.items() if nodes or name != "NodeSnapshots"} | {"SnapshotStatus": snapshot.status}


async def create(desk: Desk) -> dict[str, Any]:
    params, store = desk.params, desk.store
    if "ReplicationGroupId" not in params and "CacheClusterId" not in params:
        raise clash("ReplicationGroupId or CacheClusterId is needed.")
    name = params.get("ReplicationGroupId")
    if name is None:
        owners = [group.id for group in store.groups.values() for _, member in group.members() if member.id == params["CacheClusterId"].lower()]
        if not owners:
            raise AwsFault("CacheClusterNotFound", f"CacheCluster {params['CacheClusterId']} not found.")
        name = owners[0]
    group = store.available(name)
    snapshot = take(desk, group, params["SnapshotName"], "manual")
    desk.occupy(group, "snapshotting", desk.lab.settings.elasticache_snapshot_s)
    return {"Snapshot": told(snapshot)}


async def describe(desk: Desk) -> dict[str, Any]:
    params = desk.params
    name = params.get("SnapshotName")
    chosen = [find(desk, name)] if name else [snapshot for _, snapshot in sorted(desk.store.snapshots.items())]
    for key in ("ReplicationGroupId", "CacheClusterId"):
        if wanted := params.get(key):
            chosen = [snapshot for snapshot in chosen if snapshot.document.get(key) == wanted.lower()]
    if source := params.get("SnapshotSource"):
        kind = {"user": "manual", "system": "automated"}.get(source, source)
        chosen = [snapshot for snapshot in chosen if snapshot.document["SnapshotSource"] == kind]
    return page(params, "Snapshots", [told(snapshot) for snapshot in chosen])


async def delete(desk: Desk) -> dict[str, Any]:
    snapshot = find(desk, desk.params["SnapshotName"])
    if snapshot.status not in ("available", "failed"):
        raise AwsFault("InvalidSnapshotState", f"Snapshot {snapshot.name} is {snapshot.status}.")
    desk.store.snapshots.pop(snapshot.name)
    desk.lab.tagged.pop(snapshot.arn, None)
    return {"Snapshot": told(snapshot) | {"SnapshotStatus": "deleting"}}

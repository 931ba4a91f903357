"""ElastiCache replication groups are made and deleted: creating, available, deleting, with what AWS refuses at creation.

ElastiCache API reference, CreateReplicationGroup and DeleteReplicationGroup (FinalSnapshotIdentifier); messages as the provider's
acceptance tests of Terraform quote them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lab.aws.models import elasticache_rules as rules
from lab.aws.models import elasticache_snapshots as snapshots
from lab.aws.models import elasticache_subnets as subnets
from lab.aws.models.elasticache_parameters import cluster_enabled, find_group
from lab.aws.models.elasticache_rules import clash, refuse
from lab.aws.models.elasticache_state import Desk, Group, Member, Shard
from lab.aws.wire import AwsFault

_NODE_QUOTA = 300
_DEFAULT_PORT = 6379


def check_quota(desk: Desk, more: int) -> None:
    """AWS General Reference, ElastiCache endpoints and quotas: nodes per Region, 300 by default."""
    nodes = sum(1 for group in desk.store.groups.values() for _ in group.members())
    quota = desk.store.quota("elasticache.nodes", _NODE_QUOTA)
    if nodes + more > quota:
        raise AwsFault("NodeQuotaForCustomerExceeded", f"The request cannot be processed because it would exceed the allowed number of {quota} cache nodes.")


def check_failover(automatic: bool, multi_az: bool, replicas: int) -> None:
    if automatic and replicas < 1:
        raise clash("When using automatic failover, there must be at least 2 cache clusters in the replication group.")
    if multi_az and not automatic:
        raise clash("Multi-AZ requires automatic failover to be enabled.")


def check_family(desk: Desk, name: str, family: str) -> None:
    found = find_group(desk.store, name)
    if found.family != family:
        raise clash(f"Expected a parameter group of family {family} but found one of family {found.family}.")


def check_user_groups(desk: Desk, wanted: list[str], engine: str) -> None:
    if len(wanted) > 1:
        raise clash("A replication group can have one user group.")
    for identifier in wanted:
        found = desk.store.user_groups.get(identifier.lower())
        if found is None:
            raise AwsFault("UserGroupNotFound", f"User group {identifier} not found.")
        if found.status not in ("active", "modifying"):
            raise AwsFault("InvalidUserGroupState", f"User group {identifier} is {found.status}.")
        if found.engine != engine:
            raise clash(f"User group {identifier} is of engine {found.engine}, the replication group of {engine}.")


async def check_security_groups(desk: Desk, wanted: list[str]) -> None:
    for identifier in wanted:
        try:
            await desk.lab.backends.ask("ec2", "DescribeSecurityGroups", {"GroupIds": [identifier]}, desk.call.account, desk.call.region)
        except AwsFault as missing:
            raise refuse(f"Some security group ids are invalid: {identifier}") from missing


def _shape(params: dict[str, Any], sharded: bool, restored: int) -> tuple[int, int]:
    """Shards and replicas of each."""
    if "NumCacheClusters" in params:
        if "ReplicasPerNodeGroup" in params or params.get("NumNodeGroups", 1) > 1:
            raise clash("NumCacheClusters cannot be used together with NumNodeGroups or ReplicasPerNodeGroup.")
        shards, replicas = 1, params["NumCacheClusters"] - 1
    else:
        given = params.get("NodeGroupConfiguration", [])
        shards = params.get("NumNodeGroups", len(given) or restored or 1)
        replicas = params.get("ReplicasPerNodeGroup", max((entry.get("ReplicaCount", 0) for entry in given), default=0))
    if not 0 <= replicas <= rules.MOST_REPLICAS:
        raise refuse("The number of replicas per node group must be between 0 and 5.")
    if shards > 1 and not sharded:
        raise clash("More than one node group needs a parameter group with cluster-enabled.")
    if not 1 <= shards <= 500:
        raise AwsFault("NodeGroupsPerReplicationGroupQuotaExceeded", "The number of node groups must be between 1 and 500.")
    return shards, replicas


def _cluster_mode(desk: Desk, parameter_group: str) -> str:
    asked = desk.params.get("ClusterMode")
    by_parameters = cluster_enabled(find_group(desk.store, parameter_group))
    if asked in ("enabled", "compatible") and not by_parameters:
        raise clash(f"ClusterMode {asked} needs a parameter group with cluster-enabled.")
    if asked == "disabled" and by_parameters:
        raise clash("ClusterMode disabled cannot be used with a parameter group with cluster-enabled.")
    return str(asked or ("enabled" if by_parameters else "disabled"))


def _check_encryption(params: dict[str, Any], at_rest: bool, version: str) -> None:
    transit = bool(params.get("TransitEncryptionEnabled"))
    rules.check_transit_mode(version, params.get("TransitEncryptionMode"))
    if params.get("KmsKeyId") and not at_rest:
        raise clash("KmsKeyId needs encryption at rest.")
    if params.get("TransitEncryptionMode") and not transit:
        raise clash("TransitEncryptionMode needs encryption in transit.")
    if params.get("AuthToken") and params.get("UserGroupIds"):
        raise clash("AuthToken and UserGroupIds cannot be used together.")
    if (params.get("AuthToken") or params.get("UserGroupIds")) and not transit:
        raise clash("AuthToken and UserGroupIds need encryption in transit.")
    if params.get("AuthToken"):
        rules.check_token(params["AuthToken"])
    if (transit or at_rest) and not params.get("CacheSubnetGroupName"):
        raise clash("Encryption features are not supported for engine redis without a subnet group.")


def new_members(desk: Desk, group: Group, shard: str, numbers: list[int]) -> list[Member]:
    """Members named as AWS names them, spread over the subnet group's zones."""
    found = desk.store.subnet_groups.get(group.subnet_group)
    zones = sorted(set(found.subnets.values())) if found else [f"{desk.store.region}a", f"{desk.store.region}b"]
    stem = f"{group.id}-{shard}" if group.cluster_mode == "enabled" else group.id
    return [Member(f"{stem}-{number:03d}", zones[(number - 1) % len(zones)], datetime.now(UTC)) for number in numbers]


async def _checked(desk: Desk) -> tuple[Group, int, int]:
    """The group as asked for, with how many shards and replicas; nothing is kept yet."""
    params, store = desk.params, desk.store
    name = rules.check_name(params["ReplicationGroupId"])
    if name in store.groups:
        raise AwsFault("ReplicationGroupAlreadyExists", f"Replication group {name} already exists.")
    source = snapshots.restorable(desk, params["SnapshotName"]) if params.get("SnapshotName") else None
    origin = source.document if source else {}
    engine = params.get("Engine", origin.get("Engine", "redis"))
    version, family = rules.engine_version(engine, params.get("EngineVersion", origin.get("EngineVersion")))
    node_type = params.get("CacheNodeType", origin.get("CacheNodeType", ""))
    rules.check_node_type(node_type)
    rules.check_tiering(node_type, bool(params.get("DataTieringEnabled")))
    rules.check_engine_of_nodes(engine, node_type)
    parameter_group = params.get("CacheParameterGroupName", f"default.{family}").lower()
    check_family(desk, parameter_group, family)
    mode = _cluster_mode(desk, parameter_group)
    if source is not None:
        snapshots.check_restore(source, engine, version, mode, bool(params.get("DataTieringEnabled")))
    shards, replicas = _shape(params, mode != "disabled", origin.get("NumNodeGroups", 0))
    automatic = params.get("AutomaticFailoverEnabled", mode == "enabled" and replicas > 0)
    check_failover(automatic, bool(params.get("MultiAZEnabled")), replicas)
    at_rest = params.get("AtRestEncryptionEnabled", engine == "valkey" and "CacheSubnetGroupName" in params)
    _check_encryption(params, at_rest, version)
    check_user_groups(desk, params.get("UserGroupIds", []), engine)
    if params.get("CacheSubnetGroupName"):
        subnets.find_group(store, params["CacheSubnetGroupName"])
    await check_security_groups(desk, params.get("SecurityGroupIds", []))
    windows = (params.get("PreferredMaintenanceWindow", "sun:06:00-sun:07:00"), params.get("SnapshotWindow", "03:00-04:00"))
    rules.check_windows(*windows)
    rules.check_retention(params.get("SnapshotRetentionLimit", 0))
    rules.check_log_deliveries(version, params.get("LogDeliveryConfigurations", []))
    check_quota(desk, shards * (replicas + 1))
    tokens = (params["AuthToken"],) if params.get("AuthToken") else ()
    transit = bool(params.get("TransitEncryptionEnabled"))
    now = datetime.now(UTC)
    group = Group(
        name, store.arn("replicationgroup", name), now, params["ReplicationGroupDescription"], node_type, engine, version, parameter_group,
        params.get("CacheSubnetGroupName", "").lower(), params.get("Port", _DEFAULT_PORT), list(params.get("SecurityGroupIds", [])),
        *windows, params.get("SnapshotRetentionLimit", 0), params.get("AutoMinorVersionUpgrade", True), automatic, bool(params.get("MultiAZEnabled")),
        at_rest, params.get("KmsKeyId", ""), transit, params.get("TransitEncryptionMode", "required") if transit else "", mode,
        bool(params.get("DataTieringEnabled")), params.get("NetworkType", "ipv4"), params.get("IpDiscovery", "ipv4"), params.get("NotificationTopicArn", ""),
        [entry for entry in params.get("LogDeliveryConfigurations", []) if entry.get("Enabled", True)],
        [identifier.lower() for identifier in params.get("UserGroupIds", [])], tokens, now if tokens else None,
    )  # fmt: skip
    group.restored_from = source.name if source else ""
    return group, shards, replicas


async def create(desk: Desk) -> Group:
    group, shards, replicas = await _checked(desk)
    store = desk.store
    for number in range(1, shards + 1):
        identifier = f"{number:04d}"
        group.shards.append(Shard(identifier, new_members(desk, group, identifier, list(range(1, replicas + 2)))))
    store.groups[group.id] = group
    for arn in (group.arn, *(store.arn("cluster", member.id) for _, member in group.members())):
        store.tag(arn, desk.params.get("Tags", []))
    source = store.snapshots.get(group.restored_from)
    if source is not None:
        source.status = "restoring"

    def created() -> None:
        if source is not None:
            source.status = "available"

    desk.occupy(group, "creating", desk.lab.settings.elasticache_create_s, created)
    return group


async def delete(desk: Desk) -> Group:
    params, store = desk.params, desk.store
    group = store.group(params["ReplicationGroupId"])
    if group.status not in ("available", "create-failed"):
        raise AwsFault("InvalidReplicationGroupState", f"Replication group {group.id} has status {group.status} which is not valid for deletion.")
    seconds = desk.lab.settings.elasticache_delete_s
    if final := params.get("FinalSnapshotIdentifier"):
        snapshots.take(desk, group, final, "manual")
        seconds += desk.lab.settings.elasticache_snapshot_s

    def gone() -> None:
        store.groups.pop(group.id, None)
        for arn in (group.arn, *(store.arn("cluster", member.id) for _, member in group.members())):
            store.lab.tagged.pop(arn, None)

    group.deferred, group.under_way = [], []
    desk.occupy(group, "deleting", seconds, gone)
    return group

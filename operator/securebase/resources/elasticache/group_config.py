"""Replication groups between our model and ElastiCache's API: what was read, what to create with. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from securebase.core.fields import SecretValue
from securebase.resources.elasticache.model import (
    ClusterMode,
    LogDelivery,
    ReplicationGroup,
    Transit,
    engine,
    engine_parts,
    has_transit_modes,
    same_release,
    version_numbers,
)

Group = Mapping[str, Any]
Clusters = Sequence[Mapping[str, Any]]


def group_value(group: Group, clusters: Clusters, tags: Mapping[str, str], want: ReplicationGroup | None) -> ReplicationGroup:
    """A group as the model says it, in the words of what is wanted where both mean the same.

    What DescribeReplicationGroups does not tell stands in the members, which are alike once the group is `available`. What nobody
    tells yet (a group that is being created has no node groups) is taken to be as wanted.
    """
    value = _as_told(group, clusters, tags, want)
    return value if want is None else _in_words_of(want, value)


def _as_told(group: Group, clusters: Clusters, tags: Mapping[str, str], want: ReplicationGroup | None) -> ReplicationGroup:
    member = clusters[0] if clusters else {}
    return ReplicationGroup(
        name=group["ReplicationGroupId"],
        tags=tags,
        engine=_engine(group, clusters, want),
        node_type=group.get("CacheNodeType") or member.get("CacheNodeType") or (want.node_type if want else ""),
        description=group.get("Description") or "",
        parameter_group=(member.get("CacheParameterGroup") or {}).get("CacheParameterGroupName") or (want.parameter_group if want else ""),
        subnet_group=member.get("CacheSubnetGroupName") or (want.subnet_group if want else ""),
        security_groups=_security_groups(member, want),
        port=endpoint(group).get("Port") or (want.port if want else 0),
        shards=len(group.get("NodeGroups") or ()) or (want.shards if want else 1),
        replicas=_replicas(group, want),
        cluster_mode=cluster_mode(group),
        automatic_failover=group.get("AutomaticFailover") in ("enabled", "enabling"),
        multi_az=group.get("MultiAZ") == "enabled",
        at_rest_encryption=bool(group.get("AtRestEncryptionEnabled")),
        kms_key=group.get("KmsKeyId") or "",
        transit_encryption=_transit(group),
        auth_token=want.auth_token if want else None,
        user_groups=frozenset(group.get("UserGroupIds") or ()),
        network_type=group.get("NetworkType") or member.get("NetworkType") or "ipv4",
        ip_discovery=group.get("IpDiscovery") or member.get("IpDiscovery") or "",
        data_tiering=group.get("DataTiering") == "enabled",
        maintenance_window=member.get("PreferredMaintenanceWindow") or (want.maintenance_window if want else ""),
        snapshot_window=group.get("SnapshotWindow") or "",
        snapshot_retention=int(group.get("SnapshotRetentionLimit") or 0),
        auto_minor_upgrade=bool(group.get("AutoMinorVersionUpgrade", True)),
        log_deliveries=_log_deliveries(group),
        notification_topic=_topic(member),
        snapshot_name=want.snapshot_name if want else "",
    )


def _in_words_of(want: ReplicationGroup, have: ReplicationGroup) -> ReplicationGroup:
    def chosen(wanted: str, there: str) -> str:
        return wanted if not wanted or wanted.lower() == there.lower() else there

    (name, version), (running, release) = engine_parts(want.engine), engine_parts(have.engine)
    same_engine = name == running and same_release(version, release, minor_moves=True)  # what AWS upgraded, it does not take back
    return replace(
        have,
        engine=want.engine if same_engine else have.engine,
        parameter_group=chosen(want.parameter_group, have.parameter_group),
        subnet_group=chosen(want.subnet_group, have.subnet_group),
        security_groups=have.security_groups if want.security_groups else frozenset(),
        kms_key=want.kms_key if _same_key(want.kms_key, have.kms_key) else have.kms_key,
        ip_discovery=chosen(want.ip_discovery, have.ip_discovery),
        maintenance_window=chosen(want.maintenance_window, have.maintenance_window),
        snapshot_window=chosen(want.snapshot_window, have.snapshot_window),
        log_deliveries=have.log_deliveries,
    )


def _same_key(want: str, have: str) -> bool:
    """A key may be given by id or ARN. An alias cannot be compared here: whatever key there is, is taken for it."""
    if not want or not have:
        return want == have
    return want.rpartition("/")[2] == have.rpartition("/")[2] or "alias/" in want


def _engine(group: Group, clusters: Clusters, want: ReplicationGroup | None) -> str:
    wanted, asked = engine_parts(want.engine) if want else ("redis", "")
    name = group.get("Engine") or next((str(member["Engine"]) for member in clusters if member.get("Engine")), wanted)
    return engine(name, running_version(clusters) or asked)


def running_version(clusters: Clusters) -> str:
    """The lowest version any member runs; "" when none tells."""
    return min((str(member["EngineVersion"]) for member in clusters if member.get("EngineVersion")), key=version_numbers, default="")


def _security_groups(member: Mapping[str, Any], want: ReplicationGroup | None) -> frozenset[str]:
    if "SecurityGroups" not in member:
        return want.security_groups if want and not member else frozenset()
    return frozenset(each["SecurityGroupId"] for each in member["SecurityGroups"] if each.get("Status") != "removing")


def _replicas(group: Group, want: ReplicationGroup | None) -> int:
    """Replicas per shard; where the shards differ, a number that is not the wanted one."""
    counts = {max(count - 1, 0) for count in shard_sizes(group)}
    wanted = want.replicas if want else 0
    return min(counts - {wanted}, default=wanted) if counts else wanted


def shard_sizes(group: Group) -> list[int]:
    """How many nodes each shard has."""
    return [len(shard.get("NodeGroupMembers") or ()) for shard in group.get("NodeGroups") or ()]


def cluster_mode(group: Group) -> str:
    """Groups of old engines have no ClusterMode, only ClusterEnabled."""
    return group.get("ClusterMode") or (ClusterMode.ENABLED.value if group.get("ClusterEnabled") else ClusterMode.DISABLED.value)


def _transit(group: Group) -> str:
    if not group.get("TransitEncryptionEnabled"):
        return Transit.OFF.value
    return group.get("TransitEncryptionMode") or Transit.REQUIRED.value


def _topic(member: Mapping[str, Any]) -> str:
    told = member.get("NotificationConfiguration") or {}
    return (told.get("TopicArn") or "") if told.get("TopicStatus", "active") == "active" else ""


def _log_deliveries(group: Group) -> tuple[LogDelivery, ...]:
    configured = (each for each in group.get("LogDeliveryConfigurations") or () if each.get("Status") != "disabling")
    return tuple(sorted((log_delivery(each) for each in configured), key=lambda each: each.type))


def log_delivery(told: Mapping[str, Any]) -> LogDelivery:
    """One configuration, in force or pending."""
    details = told.get("DestinationDetails") or {}
    group = (details.get("CloudWatchLogsDetails") or {}).get("LogGroup")
    stream = (details.get("KinesisFirehoseDetails") or {}).get("DeliveryStream")
    return LogDelivery(told["LogType"], group or stream or "", told.get("DestinationType") or "cloudwatch-logs", told.get("LogFormat") or "text")


def log_delivery_input(want: LogDelivery) -> dict[str, Any]:
    """As CreateReplicationGroup and ModifyReplicationGroup take it."""
    cloudwatch = want.destination_type == "cloudwatch-logs"
    details = {"CloudWatchLogsDetails": {"LogGroup": want.destination}} if cloudwatch else {"KinesisFirehoseDetails": {"DeliveryStream": want.destination}}
    return {"LogType": want.type, "DestinationType": want.destination_type, "DestinationDetails": details, "LogFormat": want.format, "Enabled": True}


def endpoint(group: Group) -> Mapping[str, Any]:
    """Where clients write: the primary, or in cluster mode the configuration endpoint. Empty while there is none."""
    return _endpoint(group, "PrimaryEndpoint")


def reader_endpoint(group: Group) -> Mapping[str, Any]:
    """Where clients read."""
    return _endpoint(group, "ReaderEndpoint")


def _endpoint(group: Group, of_shard: str) -> Mapping[str, Any]:
    configuration: Mapping[str, Any] = group.get("ConfigurationEndpoint") or {}
    if cluster_mode(group) == ClusterMode.ENABLED:
        return configuration
    return next((shard.get(of_shard) or {} for shard in group.get("NodeGroups") or ()), {}) or configuration


def member_roles(group: Group) -> str:
    """`cache-001:primary,cache-002:replica`, sorted. In cluster mode AWS tells no roles."""
    members = (member for shard in group.get("NodeGroups") or () for member in shard.get("NodeGroupMembers") or ())
    return ",".join(sorted(f"{member['CacheClusterId']}:{member.get('CurrentRole') or 'member'}" for member in members))


def group_attributes(group: Group, clusters: Clusters) -> dict[str, str]:
    """What other nodes may refer to; what is not known yet is left out."""
    at, reader = endpoint(group), reader_endpoint(group)
    changed, created = group.get("AuthTokenLastModifiedDate"), group.get("ReplicationGroupCreateTime")
    member: Mapping[str, Any] = clusters[0] if clusters else {}
    told = {
        "id": group["ReplicationGroupId"],
        "arn": group.get("ARN") or "",
        "host": at.get("Address") or "",
        "readerHost": reader.get("Address") or at.get("Address") or "",
        "port": str(at.get("Port") or ""),
        "members": member_roles(group),
        "nodeType": group.get("CacheNodeType") or "",
        "engine": group.get("Engine") or member.get("Engine") or "",
        "engineVersion": running_version(clusters),
        "subnetGroup": member.get("CacheSubnetGroupName") or "",
        "createdAt": created.isoformat() if created else "",
        "tokenModifiedAt": changed.isoformat() if changed else "",
    }
    always = {
        "status": group.get("Status") or "",
        "transit": _transit(group),
        "authTokenEnabled": "true" if group.get("AuthTokenEnabled") else "false",
        "tokenPending": (group.get("PendingModifiedValues") or {}).get("AuthTokenStatus") or "",
        "pendingReboot": "true" if waits_for_restart(clusters) else "false",
    }
    return {name: value for name, value in told.items() if value} | always


def waits_for_restart(clusters: Clusters) -> bool:
    """Whether nodes run with parameters that a restart would change."""
    return any((each.get("CacheParameterGroup") or {}).get("ParameterApplyStatus") == "pending-reboot" for each in clusters)


def under_way(group: Group, clusters: Clusters, want: ReplicationGroup, have: ReplicationGroup) -> frozenset[str]:
    """Paths whose wanted value ElastiCache reports as being applied."""
    pending = group.get("PendingModifiedValues") or {}
    users = pending.get("UserGroups") or {}
    members = [each.get("PendingModifiedValues") or {} for each in clusters]
    transit = pending.get("TransitEncryptionMode") or (Transit.OFF.value if pending.get("TransitEncryptionEnabled") is False else "")
    coming: dict[str, bool] = {
        "automaticFailover": pending.get("AutomaticFailoverStatus") == ("enabled" if want.automatic_failover else "disabled"),
        "userGroups": bool(users) and _applied(have.user_groups, users) == want.user_groups,
        "transitEncryption": transit == want.transit_encryption,
        "clusterMode": pending.get("ClusterMode") == want.cluster_mode,
        "nodeType": any(each.get("CacheNodeType") == want.node_type for each in members),
        "engine": any(_is_release(want.engine, each.get("EngineVersion")) for each in members) and engine_parts(want.engine)[0] == engine_parts(have.engine)[0],
    }
    logs = {log_delivery(each) for each in pending.get("LogDeliveryConfigurations") or () if each.get("DestinationDetails")}
    deliveries = frozenset(f"logDeliveries[{each.type}]" for each in want.log_deliveries if each in logs)
    return frozenset(path for path, is_coming in coming.items() if is_coming) | _leaves_of(deliveries)


def _leaves_of(deliveries: frozenset[str]) -> frozenset[str]:
    return frozenset(f"{path}.{name}" for path in deliveries for name in ("type", "destination", "destinationType", "format"))


def _applied(have: frozenset[str], pending: Mapping[str, Any]) -> frozenset[str]:
    return (have | frozenset(pending.get("UserGroupIdsToAdd") or ())) - frozenset(pending.get("UserGroupIdsToRemove") or ())


def _is_release(want: str, version: Any) -> bool:
    return bool(version) and same_release(engine_parts(want)[1], str(version))


def create_input(want: ReplicationGroup, name: str, tags: Sequence[Mapping[str, str]], snapshot: str) -> dict[str, Any]:
    """Parameters of CreateReplicationGroup. What is empty is left to ElastiCache."""
    engine_name, version = engine_parts(want.engine)
    in_shards: dict[str, Any] = {"NumNodeGroups": want.shards, "ReplicasPerNodeGroup": want.replicas}
    if version_numbers(version) >= (7,):  # of older engines the parameter group alone decides
        in_shards["ClusterMode"] = want.cluster_mode
    said: dict[str, Any] = {
        "ReplicationGroupId": name,
        "ReplicationGroupDescription": want.description or name,
        "Engine": engine_name,
        "EngineVersion": version,
        "CacheNodeType": want.node_type,
        "CacheParameterGroupName": want.parameter_group,
        "CacheSubnetGroupName": want.subnet_group,
        "SecurityGroupIds": sorted(want.security_groups),
        "KmsKeyId": want.kms_key,
        "UserGroupIds": sorted(want.user_groups),
        "NetworkType": want.network_type if want.network_type != "ipv4" else "",
        "IpDiscovery": want.ip_discovery,
        "PreferredMaintenanceWindow": want.maintenance_window,
        "SnapshotWindow": want.snapshot_window,
        "LogDeliveryConfigurations": [log_delivery_input(each) for each in want.log_deliveries],
        "NotificationTopicArn": want.notification_topic,
        "SnapshotName": snapshot,
        "Tags": list(tags),
    }
    always: dict[str, Any] = {
        "Port": want.port,
        "AutomaticFailoverEnabled": want.automatic_failover,
        "MultiAZEnabled": want.multi_az,
        "AtRestEncryptionEnabled": want.at_rest_encryption,
        "TransitEncryptionEnabled": want.transit_encryption != Transit.OFF,
        "SnapshotRetentionLimit": want.snapshot_retention,
        "AutoMinorVersionUpgrade": want.auto_minor_upgrade,
    }
    always |= {"NumCacheClusters": want.replicas + 1} if want.cluster_mode == ClusterMode.DISABLED else in_shards
    always |= {"DataTieringEnabled": True} if want.data_tiering else {}
    always |= {"TransitEncryptionMode": want.transit_encryption} if want.transit_encryption != Transit.OFF and has_transit_modes(want.engine) else {}
    always |= {"AuthToken": want.auth_token.value} if isinstance(want.auth_token, SecretValue) else {}
    return {key: value for key, value in said.items() if value} | always

"""ModifyReplicationGroup: what it takes at once, what waits for the maintenance window, the steps of TLS, cluster mode and AUTH.

ElastiCache API reference, ModifyReplicationGroup (AuthTokenUpdateStrategy: "ROTATE - default, SET - allowed only after ROTATE, DELETE - allowed
only when transitioning to RBAC"); User Guide, "Authenticating with the AUTH command" (two tokens at most; the first ROTATE keeps clients without
a token), "Enabling in-transit encryption on an existing cluster", "Modifying cluster mode", "Version management" (no downgrade, redis to valkey).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from lab.aws.models import elasticache_rules as rules
from lab.aws.models.elasticache_groups import check_failover, check_family, check_security_groups, check_user_groups
from lab.aws.models.elasticache_parameters import find_group
from lab.aws.models.elasticache_rules import clash, refuse
from lab.aws.models.elasticache_state import Desk, Group, Pending
from lab.aws.wire import AwsFault

_MOST_TOKENS = 2


def _set(group: Group, **values: Any) -> None:
    for name, value in values.items():
        setattr(group, name, value)


def _log_changes(desk: Desk, group: Group) -> Iterator[Pending]:
    asked = desk.params.get("LogDeliveryConfigurations")
    if not asked:
        return
    rules.check_log_deliveries(group.version, asked)
    kinds = {entry["LogType"] for entry in asked}
    logs = [entry for entry in group.logs if entry["LogType"] not in kinds] + [entry for entry in asked if entry.get("Enabled", True)]
    told = [{name: value for name, value in entry.items() if name != "Enabled"} for entry in asked]
    shown = {"LogDeliveryConfigurations": told}
    yield Pending(partial(_set, group, logs=logs), shown, shown)


def _encryption(desk: Desk, group: Group) -> Iterator[Pending]:
    enabled, mode = desk.params.get("TransitEncryptionEnabled", group.transit), desk.params.get("TransitEncryptionMode")
    if "TransitEncryptionEnabled" not in desk.params and mode is None:
        return
    rules.check_transit_mode(group.version, mode)
    if enabled and not group.transit:
        if mode != "preferred":
            raise clash("To enable encryption in transit on an existing cluster set TransitEncryptionMode to preferred first.")
    elif not enabled and group.transit:
        if group.transit_mode != "preferred" or group.tokens or group.user_groups:
            raise clash("To disable encryption in transit the mode must be preferred, without AUTH token or user groups.")
    elif mode and not group.transit:
        raise clash("TransitEncryptionMode needs TransitEncryptionEnabled.")
    mode = (mode or group.transit_mode) if enabled else ""
    if (enabled, mode) == (group.transit, group.transit_mode):
        return
    if group.tokens or group.user_groups:
        raise clash("Modification of transit encryption is not supported for access control enabled clusters.")
    shown: dict[str, Any] = {"TransitEncryptionEnabled": enabled} | ({"TransitEncryptionMode": mode} if mode else {})
    yield Pending(partial(_set, group, transit=enabled, transit_mode=mode), shown, shown)


def _cluster_mode(desk: Desk, group: Group) -> Iterator[Pending]:
    wanted = desk.params.get("ClusterMode")
    if wanted is None or wanted == group.cluster_mode:
        return
    if (group.cluster_mode, wanted) not in {("disabled", "compatible"), ("compatible", "enabled"), ("compatible", "disabled")}:
        raise clash(f"Cluster mode cannot be changed from {group.cluster_mode} to {wanted}. It must be compatible in between.")
    if not group.automatic_failover or rules.version_key(group.version) < (7, 0):
        raise clash("Changing cluster mode needs automatic failover and engine version 7.0 or later.")
    yield Pending(partial(_set, group, cluster_mode=wanted), {"ClusterMode": wanted})


def _engine(desk: Desk, group: Group) -> Iterator[Pending]:
    params = desk.params
    engine, asked = params.get("Engine", group.engine), params.get("EngineVersion")
    if group.engine == "valkey" and engine == "redis":
        raise clash("Modifying the engine from valkey to redis is not supported.")
    if engine != group.engine and asked is None:
        raise clash("EngineVersion is needed to change the engine.")
    version, family = rules.engine_version(engine, asked or group.version)
    name = params.get("CacheParameterGroupName", "").lower()
    if (engine, version) == (group.engine, group.version):
        if name:
            check_family(desk, name, family)
        return
    if rules.version_key(version) < rules.version_key(group.version):
        raise clash(f"Engine version downgrade from {group.version} to {version} is not supported.")
    if not name and find_group(desk.store, group.parameter_group).family != family:
        if not group.parameter_group.startswith("default."):
            raise clash(f"CacheParameterGroupName of family {family} is needed with engine version {version}.")
        name = f"default.{family}" + (".cluster.on" if group.parameter_group.endswith(".cluster.on") else "")
    if name:
        check_family(desk, name, family)
    values = {"engine": engine, "version": version} | ({"parameter_group": name} if name else {})
    yield Pending(partial(_set, group, **values), of_members={"EngineVersion": version})


def _parameter_group(desk: Desk, group: Group) -> Iterator[Pending]:
    name = desk.params.get("CacheParameterGroupName", "").lower()
    if not name or name == group.parameter_group:
        return
    find_group(desk.store, name)
    if rules.engine_version(desk.params.get("Engine", group.engine), desk.params.get("EngineVersion", group.version))[0] != group.version:
        return  # it goes with the engine
    yield Pending(partial(_set, group, parameter_group=name), of_members={"CacheParameterGroupName": name})


def _node_type(desk: Desk, group: Group) -> Iterator[Pending]:
    wanted = desk.params.get("CacheNodeType")
    if wanted is None or wanted == group.node_type:
        return
    rules.check_node_type(wanted)
    rules.check_engine_of_nodes(desk.params.get("Engine", group.engine), wanted)
    if wanted not in [name for names in rules.node_type_modifications(group.node_type) for name in names]:
        raise refuse(f"The cache node type {wanted} is not an allowed modification of {group.node_type}.")
    yield Pending(partial(_set, group, node_type=wanted), of_members={"CacheNodeType": wanted})


def _rotated(group: Group, token: str) -> None:
    if not group.tokens:
        group.token_optional = True
    group.tokens = (*(other for other in group.tokens if other != token), token)[-_MOST_TOKENS:]
    group.token_changed = datetime.now(UTC)


def _fixed(group: Group, token: str) -> None:
    group.tokens, group.token_optional, group.token_changed = (token,), False, datetime.now(UTC)


def _token_change(desk: Desk, group: Group) -> Iterator[Pending]:
    params = desk.params
    token, strategy = params.get("AuthToken"), params.get("AuthTokenUpdateStrategy", "ROTATE")
    if token is None and "AuthTokenUpdateStrategy" not in params:
        return
    if not params.get("TransitEncryptionEnabled", group.transit):
        raise refuse("The AUTH token modification is only supported when encryption-in-transit is enabled.")
    if strategy == "DELETE":
        if token is not None or not params.get("UserGroupIdsToAdd"):
            raise refuse("Auth token update strategy DELETE is only supported together with adding user groups.")
        yield Pending(partial(_set, group, tokens=(), token_optional=False))
        return
    if token is None:
        raise clash("AuthToken is needed with this AuthTokenUpdateStrategy.")
    rules.check_token(token)
    leaving = params.get("RemoveUserGroups") or set(params.get("UserGroupIdsToRemove", [])) >= set(group.user_groups)
    if params.get("UserGroupIdsToAdd") or (group.user_groups and not leaving):
        raise clash("An AUTH token cannot be used together with user groups.")
    if strategy == "ROTATE":
        shown = {"AuthTokenStatus": "ROTATING"}
        yield Pending(partial(_rotated, group, token), shown, shown)
        return
    after_rotation = len(group.tokens) == _MOST_TOKENS or group.token_optional
    if not group.user_groups and not (after_rotation and group.tokens[-1] == token):
        raise refuse("AuthTokenUpdateStrategy SET is allowed only after ROTATE, with the token that was rotated in last.")
    shown = {"AuthTokenStatus": "SETTING"}
    yield Pending(partial(_fixed, group, token), shown, shown)


def _user_group_change(desk: Desk, group: Group) -> Iterator[Pending]:
    params = desk.params
    add = [name.lower() for name in params.get("UserGroupIdsToAdd", [])]
    remove = [name.lower() for name in params.get("UserGroupIdsToRemove", [])]
    if params.get("RemoveUserGroups"):
        remove = list(group.user_groups)
    if not add and not remove:
        return
    if missing := sorted(set(remove) - set(group.user_groups)):
        raise refuse(f"User groups {missing} are not associated with the replication group.")
    if add and not params.get("TransitEncryptionEnabled", group.transit):
        raise clash("User groups need encryption in transit.")
    if add and group.tokens and params.get("AuthTokenUpdateStrategy") != "DELETE":
        raise clash("To move from an AUTH token to user groups use AuthTokenUpdateStrategy DELETE.")
    wanted = [name for name in group.user_groups if name not in remove] + [name for name in add if name not in group.user_groups]
    check_user_groups(desk, wanted, group.engine)
    shown = {name: value for name, value in (("UserGroupIdsToAdd", add), ("UserGroupIdsToRemove", remove)) if value}
    yield Pending(partial(_set, group, user_groups=wanted), {"UserGroups": shown})


def _availability(desk: Desk, group: Group) -> Iterator[Pending]:
    automatic = desk.params.get("AutomaticFailoverEnabled", group.automatic_failover)
    multi_az = desk.params.get("MultiAZEnabled", group.multi_az)
    check_failover(automatic, multi_az, min((len(shard.members) - 1 for shard in group.shards), default=0))
    if not automatic and group.sharded:
        raise clash("Automatic failover cannot be disabled with cluster mode enabled.")
    if (automatic, multi_az) != (group.automatic_failover, group.multi_az):
        shown = {"AutomaticFailoverStatus": "enabled" if automatic else "disabled"} if automatic != group.automatic_failover else {}
        yield Pending(partial(_set, group, automatic_failover=automatic, multi_az=multi_az), shown)


async def _security_groups(desk: Desk, group: Group) -> list[Pending]:
    wanted = desk.params.get("SecurityGroupIds")
    if wanted is None or sorted(wanted) == sorted(group.security_groups):
        return []
    await check_security_groups(desk, wanted)
    return [Pending(partial(_set, group, security_groups=list(wanted)))]


def _promotion(desk: Desk, group: Group) -> Iterator[Pending]:
    wanted = desk.params.get("PrimaryClusterId")
    if not wanted:
        return
    found = [(shard, member) for shard, member in group.members() if member.id == wanted.lower()]
    if not found:
        raise AwsFault("CacheClusterNotFound", f"CacheCluster {wanted} not found.")
    if group.automatic_failover:
        raise clash("A primary cannot be chosen while automatic failover is enabled.")
    shard, member = found[0]
    if member is not shard.primary:
        others = [other for other in shard.members if other is not member]
        yield Pending(partial(setattr, shard, "members", [member, *others]), {"PrimaryClusterId": member.id})


def _plain(desk: Desk, group: Group) -> dict[str, Any]:
    """What is in force as soon as it is answered."""
    names = {
        "ReplicationGroupDescription": "description",
        "PreferredMaintenanceWindow": "maintenance_window",
        "SnapshotWindow": "snapshot_window",
        "SnapshotRetentionLimit": "snapshot_retention",
        "AutoMinorVersionUpgrade": "auto_minor",
        "SnapshottingClusterId": "snapshotting_member",
        "NotificationTopicArn": "topic",
        "IpDiscovery": "ip_discovery",
    }
    plain = {names[name]: desk.params[name] for name in names if name in desk.params}
    if "NotificationTopicStatus" in desk.params:
        plain["topic_active"] = desk.params["NotificationTopicStatus"] == "active"
    rules.check_windows(plain.get("maintenance_window", group.maintenance_window), plain.get("snapshot_window", group.snapshot_window))
    rules.check_retention(plain.get("snapshot_retention", 0))
    return plain


def finish(group: Group) -> None:
    """The changes under way are in force."""
    for change in group.under_way:
        change.apply()
    group.under_way = []


def start(desk: Desk, group: Group, changes: list[Pending]) -> None:
    group.under_way = changes
    slow = any("CacheNodeType" in change.of_members or "EngineVersion" in change.of_members for change in changes)
    settings = desk.lab.settings
    desk.occupy(group, "modifying", settings.elasticache_scale_s if slow else settings.elasticache_modify_s, partial(finish, group))


async def modify(desk: Desk) -> Group:
    group = desk.store.available(desk.params["ReplicationGroupId"])
    plain = _plain(desk, group)
    now = [*_log_changes(desk, group), *_user_group_change(desk, group), *_availability(desk, group), *_promotion(desk, group)]
    now += await _security_groups(desk, group)
    later = [*_encryption(desk, group), *_cluster_mode(desk, group), *_engine(desk, group), *_parameter_group(desk, group)]
    later += [*_node_type(desk, group), *_token_change(desk, group)]
    _set(group, **plain)
    # "this parameter causes the modifications in this request and any pending modifications to be applied".
    if desk.params.get("ApplyImmediately"):
        now, group.deferred = [*group.deferred, *later, *now], []
    else:
        group.deferred += later
    if now:
        start(desk, group, now)
    return group

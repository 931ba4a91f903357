"""The order in which a replication group is changed: one request at a time, each leaving the group in a state the next one needs. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from securebase.core.fields import SecretValue, spelled
from securebase.resources.elasticache.group_config import Group, log_delivery_input, shard_sizes
from securebase.resources.elasticache.model import ClusterMode, ReplicationGroup, Transit, engine_parts, has_transit_modes

_MODIFY: Final = "modify_replication_group"


@dataclass(frozen=True, slots=True)
class Step:
    """One request: what is sent besides the group's id, and the fields of the model that it brings to these values."""

    operation: str
    params: Mapping[str, Any] = field(repr=False)  # may hold a token
    brings: Mapping[str, Any]

    @property
    def fields(self) -> str:
        """For a message."""
        return ", ".join(sorted(map(spelled, self.brings)))


def next_step(want: ReplicationGroup, have: ReplicationGroup, group: Group) -> Step | None:
    """The first request that is needed; None when there is nothing left to ask ElastiCache for.

    In `compatible` mode ElastiCache takes no change but the way out of it (User Guide, "Modifying cluster mode"), so it is left first
    and entered last. Failover is switched off before the last replica goes and on after the first has come.
    """
    leaving = _cluster_mode if have.cluster_mode == ClusterMode.COMPATIBLE else _nothing
    order: tuple[Callable[[ReplicationGroup, ReplicationGroup, Group], Step | None], ...] = (
        leaving, _settings, _engine, _node_type, _transit, _more_replicas, _failover, _shards, _fewer_replicas, _cluster_mode,
    )  # fmt: skip
    return next((step for make in order if (step := make(want, have, group)) is not None), None)


_CREATE_ONLY: Final = frozenset({"name", "tags", "auth_token", "snapshot_name"})


def unreached(want: ReplicationGroup, have: ReplicationGroup) -> list[str]:
    """Fields, as their paths are spelled, in which a group still differs."""
    names = (each.name for each in dataclasses.fields(want) if each.name not in _CREATE_ONLY)
    return sorted(spelled(name) for name in names if getattr(want, name) != getattr(have, name))


def _nothing(want: ReplicationGroup, have: ReplicationGroup, group: Group) -> Step | None:
    return None


def _settings(want: ReplicationGroup, have: ReplicationGroup, group: Group) -> Step | None:
    """What ElastiCache takes together, without anybody noticing."""
    params: dict[str, Any] = {}
    brings: dict[str, Any] = {}
    for name, said in _simple_settings(want, have, group):
        params |= said
        brings[name] = getattr(want, name)
    if have.multi_az and not want.multi_az:
        params["MultiAZEnabled"], brings["multi_az"] = False, False
    if have.automatic_failover and not want.automatic_failover:
        params["AutomaticFailoverEnabled"], brings["automatic_failover"] = False, False
    return Step(_MODIFY, params, brings) if brings else None


def _simple_settings(want: ReplicationGroup, have: ReplicationGroup, group: Group) -> Iterator[tuple[str, dict[str, Any]]]:
    texts = {
        "description": "ReplicationGroupDescription",
        "ip_discovery": "IpDiscovery",
        "maintenance_window": "PreferredMaintenanceWindow",
        "snapshot_window": "SnapshotWindow",
        "auto_minor_upgrade": "AutoMinorVersionUpgrade",
    }
    for name, said in texts.items():
        if getattr(want, name) != getattr(have, name):
            yield name, {said: getattr(want, name)}
    if want.security_groups != have.security_groups:
        yield "security_groups", {"SecurityGroupIds": sorted(want.security_groups)}
    # A parameter group of the new engine, or one for cluster mode, is refused without that change beside it.
    if want.parameter_group != have.parameter_group and (want.engine, want.cluster_mode) == (have.engine, have.cluster_mode):
        yield "parameter_group", {"CacheParameterGroupName": want.parameter_group}
    if want.snapshot_retention != have.snapshot_retention:
        yield "snapshot_retention", {"SnapshotRetentionLimit": want.snapshot_retention} | _snapshot_source(have, group)
    if want.log_deliveries != have.log_deliveries:
        yield "log_deliveries", {"LogDeliveryConfigurations": list(_log_changes(want, have))}
    if want.notification_topic != have.notification_topic:
        on = {"NotificationTopicArn": want.notification_topic, "NotificationTopicStatus": "active"}
        yield "notification_topic", on if want.notification_topic else {"NotificationTopicStatus": "inactive"}
    if want.user_groups != have.user_groups:
        yield "user_groups", _users(want, have, group)


def _snapshot_source(have: ReplicationGroup, group: Group) -> dict[str, str]:
    """A group that kept no snapshots yet has to be told which node makes them: a replica, to spare the primary. Cluster mode has no such thing."""
    if have.snapshot_retention or have.cluster_mode != ClusterMode.DISABLED or group.get("SnapshottingClusterId"):
        return {}
    members = [member for shard in group.get("NodeGroups") or () for member in shard.get("NodeGroupMembers") or ()]
    chosen = sorted(members, key=lambda member: (member.get("CurrentRole") == "primary", member["CacheClusterId"]))
    return {"SnapshottingClusterId": chosen[0]["CacheClusterId"]} if chosen else {}


def _log_changes(want: ReplicationGroup, have: ReplicationGroup) -> Iterator[dict[str, Any]]:
    wanted = {each.type for each in want.log_deliveries}
    yield from (log_delivery_input(each) for each in want.log_deliveries if each not in have.log_deliveries)
    yield from ({"LogType": each.type, "Enabled": False} for each in have.log_deliveries if each.type not in wanted)


def _users(want: ReplicationGroup, have: ReplicationGroup, group: Group) -> dict[str, Any]:
    """Between a token and users in one request, so that the cache is open to everybody at no moment (User Guide, "Migrating from RBAC to AUTH")."""
    add, remove = sorted(want.user_groups - have.user_groups), sorted(have.user_groups - want.user_groups)
    if not want.user_groups:
        said: dict[str, Any] = {"RemoveUserGroups": True}
        return said | ({"AuthToken": want.auth_token.value, "AuthTokenUpdateStrategy": "SET"} if isinstance(want.auth_token, SecretValue) else {})
    said = {"UserGroupIdsToAdd": add, "UserGroupIdsToRemove": remove} if remove else {"UserGroupIdsToAdd": add}
    return said | ({"AuthTokenUpdateStrategy": "DELETE"} if group.get("AuthTokenEnabled") else {})


def _engine(want: ReplicationGroup, have: ReplicationGroup, group: Group) -> Step | None:
    if want.engine == have.engine:
        return None
    (name, version), (running, _) = engine_parts(want.engine), engine_parts(have.engine)
    params = {"EngineVersion": version} | ({"Engine": name} if name != running else {})
    return Step(_MODIFY, params | _parameter_group(want, have), {"engine": want.engine, "parameter_group": want.parameter_group})


def _parameter_group(want: ReplicationGroup, have: ReplicationGroup) -> dict[str, str]:
    return {"CacheParameterGroupName": want.parameter_group} if want.parameter_group and want.parameter_group != have.parameter_group else {}


def _node_type(want: ReplicationGroup, have: ReplicationGroup, group: Group) -> Step | None:
    return Step(_MODIFY, {"CacheNodeType": want.node_type}, {"node_type": want.node_type}) if want.node_type != have.node_type else None


def _transit(want: ReplicationGroup, have: ReplicationGroup, group: Group) -> Step | None:
    """One rung of off, preferred, required; in either direction. An engine without rungs has to become a newer one first."""
    if want.transit_encryption == have.transit_encryption or not has_transit_modes(have.engine):
        return None
    rungs = list(Transit)
    at, to = rungs.index(Transit(have.transit_encryption)), rungs.index(Transit(want.transit_encryption))
    rung = rungs[at + (1 if to > at else -1)]
    params: dict[str, Any] = {"TransitEncryptionEnabled": rung is not Transit.OFF}
    return Step(_MODIFY, params | ({"TransitEncryptionMode": rung.value} if rung is not Transit.OFF else {}), {"transit_encryption": rung.value})


def _more_replicas(want: ReplicationGroup, have: ReplicationGroup, group: Group) -> Step | None:
    if min(shard_sizes(group), default=want.replicas + 1) > want.replicas or want.replicas == have.replicas:
        return None
    return Step("increase_replica_count", {"NewReplicaCount": want.replicas}, {"replicas": want.replicas})


def _fewer_replicas(want: ReplicationGroup, have: ReplicationGroup, group: Group) -> Step | None:
    needed = have.multi_az or (have.automatic_failover and have.cluster_mode == ClusterMode.DISABLED)
    if want.replicas == have.replicas or (not want.replicas and needed):
        return None  # the last replica stays for as long as what needs it may not be switched off
    return Step("decrease_replica_count", {"NewReplicaCount": want.replicas}, {"replicas": want.replicas})


def _failover(want: ReplicationGroup, have: ReplicationGroup, group: Group) -> Step | None:
    brings = {name: True for name in ("automatic_failover", "multi_az") if getattr(want, name) and not getattr(have, name)}
    said = {"automatic_failover": "AutomaticFailoverEnabled", "multi_az": "MultiAZEnabled"}
    return Step(_MODIFY, {said[name]: True for name in brings}, brings) if brings else None


def _shards(want: ReplicationGroup, have: ReplicationGroup, group: Group) -> Step | None:
    """Shards go from the end; their keys move to those that stay."""
    if want.shards == have.shards or have.cluster_mode != ClusterMode.ENABLED:
        return None
    ids = sorted(shard["NodeGroupId"] for shard in group.get("NodeGroups") or ())
    params: dict[str, Any] = {"NodeGroupCount": want.shards}
    if want.shards < len(ids):
        params["NodeGroupsToRemove"] = ids[want.shards :]
    return Step("modify_replication_group_shard_configuration", params, {"shards": want.shards})


def _cluster_mode(want: ReplicationGroup, have: ReplicationGroup, group: Group) -> Step | None:
    """Nothing may stand beside the mode but the parameter group, whose `cluster-enabled` has to agree with it."""
    if want.cluster_mode in (have.cluster_mode, ClusterMode.DISABLED):
        return None
    mode = ClusterMode.COMPATIBLE if have.cluster_mode == ClusterMode.DISABLED else ClusterMode.ENABLED
    brings = {"cluster_mode": mode.value, "parameter_group": want.parameter_group}
    return Step(_MODIFY, {"ClusterMode": mode.value} | _parameter_group(want, have), brings)

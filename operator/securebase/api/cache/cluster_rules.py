"""The rules between the parts of a cache: nodes and shards, versions, windows, what prod does not let go of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from securebase.api.base import Rule, Transition
from securebase.api.cache.engines import DEFAULT_VERSIONS, VERSIONS, FamilyName, parameter_family, release
from securebase.api.cache.nodes import FAMILIES_WITHOUT_IPV6, TIERING_FAMILY, VALKEY_FAMILIES, node_family
from securebase.api.cache.parameters import DEFAULT_EVICTION_POLICY, TIERING_EVICTION_POLICIES, names_outside, unknown_to
from securebase.api.cache.profiles import PROFILES
from securebase.api.cache.windows import (
    LEAST_MINUTES,
    MOST_MAINTENANCE_MINUTES,
    cel_is_daily,
    cel_is_weekly,
    cel_overlap,
    cel_weekly_length,
    overlap,
    weekly_span,
)
from securebase.api.cel import given, one_of

if TYPE_CHECKING:
    from securebase.api.cache import CacheClusterSpec

MOST_REPLICAS = 5
# "Quotas for ElastiCache": nodes per cluster; 90 until it is raised.
MOST_NODES = 500


def _by_profile(field: str, dev: str, prod: str) -> str:
    """CEL for a field after the profile's own value."""
    return f"(has(self.{field}) ? self.{field} : self.profile == 'prod' ? {prod} : {dev})"


def _on(path: str) -> str:
    """CEL for a switch that is on unless it is off."""
    return f"(!({given(path)}) || {path})"


_ENGINE = "(has(self.engine) ? self.engine : 'valkey')"
_VERSION = f"(has(self.version) ? self.version : {_ENGINE} == 'redis' ? '{DEFAULT_VERSIONS['redis']}' : '{DEFAULT_VERSIONS['valkey']}')"
_OLD_VERSION = _VERSION.replace("self.", "oldSelf.")
_OLD_ENGINE = _ENGINE.replace("self.", "oldSelf.")
_IS_VERSION = "matches('^[0-9]+[.][0-9]+$')"
_NODE = _by_profile("nodeType", f"'{PROFILES['dev'].node_type}'", f"'{PROFILES['prod'].node_type}'")
_REPLICAS = _by_profile("replicas", str(PROFILES["dev"].replicas), str(PROFILES["prod"].replicas))
_MULTI_AZ = _by_profile("multiAz", "false", "true")
_SHARDS = "(has(self.shards) ? self.shards : 1)"
_MODE = "(has(self.clusterMode) ? self.clusterMode : 'disabled')"
_AUTH = "(has(self.auth) && has(self.auth.mode) ? self.auth.mode : 'token')"
_TIERED = f"{_NODE}.startsWith('cache.{TIERING_FAMILY}.')"
_EVICTION = f"(has(self.parameters) && has(self.parameters.maxmemoryPolicy) ? self.parameters.maxmemoryPolicy : '{DEFAULT_EVICTION_POLICY}')"
_BEFORE_7 = f"({_ENGINE} == 'redis' && {_VERSION} == '6.2')"
_WEEKLY, _DAILY = "self.maintenanceWindow", "self.snapshot.window"


def _cel_parameters_known() -> str:
    """One phrase for each family: what exists, but not there."""
    phrases = []
    for engine, versions in VERSIONS.items():
        families: dict[FamilyName, list[str]] = {}
        for version in versions:
            families.setdefault(parameter_family(engine, version), []).append(version)
        for family, members in families.items():
            chosen = f"{_ENGINE} == '{engine}' && {_VERSION} in {one_of(tuple(members))}"
            phrases.append(f"({chosen}) ? !self.parameters.values.exists(name, name in {one_of(names_outside(family))})")
    return f"!({given('self.parameters.values')}) || ({' : '.join(phrases)} : true)"


def _version_is_known(spec: CacheClusterSpec) -> bool:
    return spec.effective_version in VERSIONS[spec.engine]


def _parameters_are_known(spec: CacheClusterSpec) -> bool:
    return not _version_is_known(spec) or not unknown_to(spec.parameters.values, spec.parameter_family)


def _no_downgrade(old: CacheClusterSpec, new: CacheClusterSpec) -> bool:
    return old.engine != new.engine or release(new.effective_version) >= release(old.effective_version)


def _maintenance_has_length(spec: CacheClusterSpec) -> bool:
    return spec.maintenance_window is None or LEAST_MINUTES <= weekly_span(spec.maintenance_window)[1] <= MOST_MAINTENANCE_MINUTES


def _windows_stay_apart(spec: CacheClusterSpec) -> bool:
    weekly, daily = spec.maintenance_window, spec.snapshot.window
    return weekly is None or daily is None or not overlap(weekly, daily)


def _tiering_fits(spec: CacheClusterSpec) -> bool:
    return spec.data_tiering is None or spec.data_tiering == spec.effective_data_tiering


def _tiering_can_evict(spec: CacheClusterSpec) -> bool:
    return not spec.effective_data_tiering or spec.parameters.maxmemory_policy in TIERING_EVICTION_POLICIES


def _node_speaks_ipv6(spec: CacheClusterSpec) -> bool:
    return spec.network.network_type == "ipv4" or node_family(spec.effective_node_type) not in FAMILIES_WITHOUT_IPV6


def _node_runs_engine(spec: CacheClusterSpec) -> bool:
    return spec.engine == "valkey" or node_family(spec.effective_node_type) not in VALKEY_FAMILIES


def _version_can(spec: CacheClusterSpec) -> bool:
    asks = spec.cluster_mode == "compatible" or spec.encryption.transit_mode == "preferred"
    return not asks or (spec.engine, spec.effective_version) != ("redis", "6.2")


def _deletion_is_clear(spec: CacheClusterSpec) -> bool:
    told, final = spec.policy.on_delete, spec.snapshot.final_snapshot
    return told is None or final is None or (told == "Snapshot") == final


def _events_topic_is_in_region(spec: CacheClusterSpec) -> bool:
    return spec.region is None or spec.notification_topic_arn is None or spec.notification_topic_arn.split(":")[3] == spec.region


def _topic_is_in_region(spec: CacheClusterSpec) -> bool:
    return spec.region is None or spec.alarms.topic_arn is None or spec.alarms.topic_arn.split(":")[3] == spec.region


SHAPE = (
    Rule(
        cel=f"{_REPLICAS} <= {MOST_REPLICAS}",
        holds=lambda spec: spec.effective_replicas <= MOST_REPLICAS,
        message="replicas is more than ElastiCache's most of 5 a shard; lower it, and for more capacity use shards with clusterMode: enabled",
        field=".replicas",
    ),
    Rule(
        cel=f"!{_MULTI_AZ} || {_REPLICAS} > 0",
        holds=lambda spec: not spec.effective_multi_az or spec.effective_replicas > 0,
        message="multiAz needs a replica to take over (it is on in prod unless switched off); set replicas to 1 or more, or multiAz: false",
        field=".multiAz",
    ),
    Rule(
        cel=f"!has(self.shards) || {_MODE} == 'enabled'",
        holds=lambda spec: spec.shards is None or spec.cluster_mode == "enabled",
        message="shards need clusterMode: enabled; set that (clients must then speak the cluster protocol), or remove shards",
        field=".shards",
    ),
    Rule(
        cel=f"{_MODE} != 'compatible' || {_REPLICAS} > 0",
        holds=lambda spec: spec.cluster_mode != "compatible" or spec.effective_replicas > 0,
        message="clusterMode: compatible needs automatic failover, and that a replica; set replicas to 1 or more",
        field=".clusterMode",
    ),
    Rule(
        cel=f"{_SHARDS} * ({_REPLICAS} + 1) <= {MOST_NODES}",
        holds=lambda spec: spec.node_count <= MOST_NODES,
        message="shards times nodes of a shard is more than ElastiCache's most of 500 nodes; lower shards or replicas",
        field=".shards",
    ),
    Rule(
        cel=f"!has(self.dataTiering) || self.dataTiering == {_TIERED}",
        holds=_tiering_fits,
        message="dataTiering goes with r6gd nodes, which cannot do without it, and with no others; remove dataTiering, or set nodeType to cache.r6gd.xlarge or "
        "larger with dataTiering: true",
        field=".dataTiering",
    ),
    Rule(
        cel=f"!{_TIERED} || {_EVICTION} in {one_of(TIERING_EVICTION_POLICIES)}",
        holds=_tiering_can_evict,
        message="parameters.maxmemoryPolicy is none that data tiering can do; use volatile-lru, allkeys-lru or noeviction with r6gd nodes",
        field=".parameters",
    ),
    Rule(
        cel=f"""!has(self.network.networkType) || self.network.networkType == 'ipv4'
            || !({" || ".join(f"{_NODE}.startsWith('cache.{family}.')" for family in FAMILIES_WITHOUT_IPV6)})""",
        holds=_node_speaks_ipv6,
        message="network.networkType needs nodes that speak IPv6, and t2, m4 and r4 do not; choose a newer nodeType, or networkType: ipv4",
        field=".network",
    ),
)

VERSION_RULES = (
    Rule(
        cel=f"""{_ENGINE} == 'valkey' || !({" || ".join(f"{_NODE}.startsWith('cache.{family}.')" for family in VALKEY_FAMILIES)})""",
        holds=_node_runs_engine,
        message="nodeType is of a family that runs valkey only (m8g, r8g and c8gn do); choose another one, like cache.r7g.large, or engine: valkey",
        field=".nodeType",
    ),
    Rule(
        cel=" || ".join(f"{_ENGINE} == '{engine}' && {_VERSION} in {one_of(known)}" for engine, known in VERSIONS.items()),
        holds=_version_is_known,
        message=f"version is none of the engine's; valkey has {', '.join(VERSIONS['valkey'])} and redis {', '.join(VERSIONS['redis'])}",
        field=".version",
    ),
    Rule(
        cel=f"!{_BEFORE_7} || ({_MODE} != 'compatible' && !({given('self.encryption.transitMode')} && self.encryption.transitMode == 'preferred'))",
        holds=_version_can,
        message="version 6.2 has neither clusterMode: compatible nor encryption.transitMode: preferred; take redis '7.0' or later, or valkey",
        field=".version",
    ),
    Rule(
        cel=_cel_parameters_known(),
        holds=_parameters_are_known,
        message="parameters.values has a name that this engine version does not know (lazyfree-* ended with valkey 8, *-ziplist-* became *-listpack-* with 7, "
        "commandlog-* began with valkey 8); remove it or change version",
        field=".parameters",
    ),
    Transition(
        cel=f"""{_ENGINE} != {_OLD_ENGINE} || !{_VERSION}.{_IS_VERSION} || !{_OLD_VERSION}.{_IS_VERSION}
            || double({_VERSION}) >= double({_OLD_VERSION})""",
        holds=_no_downgrade,
        message="version cannot go back: ElastiCache downgrades no engine; keep the newer version, or make a second object of the older one",
        field=".version",
    ),
)

WINDOWS = (
    Rule(
        cel=f"""!has({_WEEKLY}) || !{cel_is_weekly(_WEEKLY)}
            || [{cel_weekly_length(_WEEKLY)}].exists(length, length >= {LEAST_MINUTES} && length <= {MOST_MAINTENANCE_MINUTES})""",
        holds=_maintenance_has_length,
        message="maintenanceWindow must last from an hour to a day, as ElastiCache demands; move its end",
        field=".maintenanceWindow",
    ),
    Rule(
        cel=f"""!has({_WEEKLY}) || !({given(_DAILY)}) || !{cel_is_weekly(_WEEKLY)} || !{cel_is_daily(_DAILY)}
            || !{cel_overlap(_WEEKLY, _DAILY)}""",
        holds=_windows_stay_apart,
        message="snapshot.window meets maintenanceWindow, which ElastiCache refuses; move one of them so that they do not overlap on any day",
        field=".snapshot",
    ),
)

SAFETY = (
    Rule(
        cel=f"self.profile != 'prod' || ({_on('self.encryption.atRest')} && {_on('self.encryption.inTransit')})",
        holds=lambda spec: spec.profile != "prod" or (spec.encryption.at_rest and spec.encryption.in_transit),
        message="encryption cannot be switched off in prod, neither atRest nor inTransit; remove the switch, or use profile: dev (there clients "
        "without TLS are moved with transitMode: preferred)",
        field=".encryption",
    ),
    Rule(
        cel=f"self.profile != 'prod' || {_AUTH} != 'none'",
        holds=lambda spec: spec.profile != "prod" or spec.auth.mode != "none",
        message="auth.mode none lets everybody in, which prod does not allow; use token or rbac, or profile: dev",
        field=".auth",
    ),
    Rule(
        cel=f"{_on('self.encryption.inTransit')} || {_AUTH} == 'none'",
        holds=lambda spec: spec.encryption.in_transit or spec.auth.mode == "none",
        message="auth.mode token and rbac need TLS, or the secret would travel in the open; remove encryption.inTransit: false, or set auth.mode: none",
        field=".auth",
    ),
    Rule(
        cel=f"!({given('self.encryption.transitMode')}) || self.encryption.transitMode != 'preferred' || {_AUTH} == 'none'",
        holds=lambda spec: spec.encryption.transit_mode != "preferred" or spec.auth.mode == "none",
        message="encryption.transitMode preferred lets clients without TLS in, of whom ElastiCache asks no secret; set auth.mode: none for as long as "
        "clients are moved, or transitMode: required",
        field=".auth",
    ),
    Transition(
        cel=f"{_AUTH} != 'none' || {_AUTH.replace('self.', 'oldSelf.')} == 'none'",
        holds=lambda old, new: new.auth.mode != "none" or old.auth.mode == "none",
        message="auth.mode cannot go back to none: a cache that asks for a secret does not stop; keep token or rbac, or make a second object",
        field=".auth",
    ),
    Transition(
        cel=f"{_AUTH} != 'rbac' || {_AUTH.replace('self.', 'oldSelf.')} != 'none'",
        holds=lambda old, new: new.auth.mode != "rbac" or old.auth.mode != "none",
        message="auth.mode cannot go from none to rbac at once, as clients without a secret would be cut off; set token first, which lets them in until "
        "its grace is over, and rbac then",
        field=".auth",
    ),
    Rule(
        cel=f"!({given('self.rotation.every')}) || {_AUTH} != 'none'",
        holds=lambda spec: spec.rotation.every is None or spec.auth.mode != "none",
        message="rotation.every has no secret to change with auth.mode: none; remove it, or use token or rbac",
        field=".rotation",
    ),
    Rule(
        cel=f"""!({given("self.policy.onDelete")}) || !({given("self.snapshot.finalSnapshot")})
            || (self.policy.onDelete == 'Snapshot') == self.snapshot.finalSnapshot""",
        holds=_deletion_is_clear,
        message="snapshot.finalSnapshot and policy.onDelete contradict each other about the deletion; keep one (finalSnapshot: true is onDelete: Snapshot)",
        field=".snapshot",
    ),
    Rule(
        cel=f"!has(self.region) || !({given('self.alarms.topicArn')}) || self.alarms.topicArn.contains(':sns:' + self.region + ':')",
        holds=_topic_is_in_region,
        message="alarms.topicArn is in another region than the cache, and alarms only tell topics beside them; name one in region, or use createTopic",
        field=".alarms",
    ),
    Rule(
        cel="!has(self.region) || !has(self.notificationTopicArn) || self.notificationTopicArn.contains(':sns:' + self.region + ':')",
        holds=_events_topic_is_in_region,
        message="notificationTopicArn is in another region than the cache, and ElastiCache only tells topics beside it; name one in region",
        field=".notificationTopicArn",
    ),
)

RULES = (*SHAPE, *VERSION_RULES, *WINDOWS, *SAFETY)

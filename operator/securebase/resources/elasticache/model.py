"""ElastiCache replication groups, parameter groups and subnet groups: desired values, what each change costs, what AWS refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from securebase.core.fields import Impact, SecretValue, managed
from securebase.core.graph import SecretFrom, refers

REBOOT_PARAMETERS: Final = frozenset({"activerehashing", "databases"})
"""Parameters that take effect only when a node restarts (ElastiCache User Guide, "Rebooting nodes"); all others at once."""

CLUSTER_PARAMETER: Final = "cluster-enabled"

TIERED_FAMILY: Final = "cache.r6gd."
MOST_REPLICAS: Final = 5
MOST_RETENTION_DAYS: Final = 35
NAME_LENGTH: Final = 40
_NAME = re.compile(r"[a-z](?!.*--)[a-z0-9-]*(?<!-)")


class Transit(StrEnum):
    """Encryption in transit. `preferred` takes clients with and without TLS, so that they can move one by one."""

    OFF = "off"
    PREFERRED = "preferred"
    REQUIRED = "required"


class ClusterMode(StrEnum):
    """`compatible` speaks both protocols on one shard, so that clients can move. There is no way back from `enabled`."""

    DISABLED = "disabled"
    COMPATIBLE = "compatible"
    ENABLED = "enabled"


def engine(name: str, version: str) -> str:
    """How a replication group names its engine: `valkey 8.0`. One value, because AWS changes both in one request or refuses."""
    return f"{name} {version}"


def engine_parts(text: str) -> tuple[str, str]:
    """Name and version of an engine."""
    name, _, version = text.partition(" ")
    return name, version


def version_numbers(version: str) -> tuple[int, ...]:
    """`7.1.0` -> (7, 1, 0); `6.x` -> (6,)."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def same_release(want: str, have: str, *, minor_moves: bool = False) -> bool:
    """Whether a version that runs is what was asked for: AWS picks the patch, and with automatic upgrades (`minor_moves`) later minors of a major."""
    wanted, there = version_numbers(want), version_numbers(have)
    if there[: len(wanted)] == wanted:
        return True
    return minor_moves and len(wanted) > 1 and there[:1] == wanted[:1] and there > wanted


def moved_on(want: str, running: str) -> bool:
    """Whether a version that runs is a later minor one than the engine that was asked for, as AWS's own upgrades bring it about."""
    wanted = engine_parts(want)[1]
    return not same_release(wanted, running) and same_release(wanted, running, minor_moves=True)


def has_transit_modes(engine_text: str) -> bool:
    """Whether TLS can be switched on and off later, by way of a mode that takes both kinds of clients. AWS says otherwise: "Transit encryption mode
    is not supported for engine version 6.2.6. Please use engine version 7.0.5 or higher"; of 7.0, it runs a later patch."""
    name, version = engine_parts(engine_text)
    return name != "redis" or version_numbers(version) >= ((7, 0, 5) if len(version_numbers(version)) > 2 else (7, 0))


def parameter_family(engine_text: str) -> str:
    """The parameter group family of an engine: valkey8, redis7, redis6.x, redis5.0 (CreateCacheParameterGroup, API reference)."""
    name, version = engine_parts(engine_text)
    numbers = (*version_numbers(version), 0, 0)
    if name == "valkey" or numbers[0] >= 7:
        return f"{name}{numbers[0]}"
    return f"{name}6.x" if numbers[0] == 6 else f"{name}{numbers[0]}.{numbers[1]}"


def _engine_impact(have: Any, want: Any) -> Impact:
    (old, before), (new, after) = engine_parts(have or ""), engine_parts(want or "")
    if old != new:
        return Impact.ONLINE if (old, new) == ("redis", "valkey") else Impact.REPLACE
    return Impact.REPLACE if version_numbers(after) < version_numbers(before) else Impact.DISRUPTIVE


def _ranked(order: type[StrEnum], backwards: Impact) -> Callable[[Any, Any], Impact]:
    ranks = {member.value: rank for rank, member in enumerate(order)}
    return lambda have, want: backwards if ranks.get(want, 0) < ranks.get(have, 0) else Impact.ONLINE


def _less_guarded(have: Any, want: Any) -> Impact:
    """Of retention days, failover and Multi-AZ: less of it is a loss of protection."""
    return Impact.PROTECTION_LOSS if (want or 0) < (have or 0) else Impact.ONLINE


def _last_goes(have: Any, want: Any) -> Impact:
    """Of replicas: without any, a node that fails takes its data along."""
    return Impact.PROTECTION_LOSS if have and not want else Impact.ONLINE


@dataclass(frozen=True, slots=True)
class LogDelivery:
    """Where one log goes.

    type              slow-log or engine-log
    destination       a log group's name, or with destination_type kinesis-firehose a stream's
    destination_type  cloudwatch-logs or kinesis-firehose
    format            json or text
    """

    type: str
    destination: str
    destination_type: str = "cloudwatch-logs"
    format: str = "json"


@dataclass(frozen=True, slots=True)
class ReplicationGroup:
    """A replication group with its nodes.

    name              1 to 40 characters, lower case; the id
    engine            as `engine()` spells it; a version may leave out the patch (`valkey 8.0`)
    shards, replicas  replicas are per shard; without cluster mode there is one shard
    kms_key           "" = AWS's own key
    auth_token        given at creation and never compared: the API does not return it, and rotating it is not this type's work
    user_groups       ids; AWS takes one
    snapshot_name     a snapshot to be made from; of no meaning afterwards
    maintenance_window, snapshot_window, ip_discovery    "" = as AWS chooses
    notification_topic    an SNS topic's ARN; "" = nobody is told

    Attributes: `id`, `arn`, `host` (primary, or configuration endpoint in cluster mode), `readerHost`, `port`, `members`
    ("cache-001:primary,cache-002:replica", sorted; ids as CloudWatch's CacheClusterId has them; role `member` where AWS tells none),
    `nodeType`, `engine`, `engineVersion` (whole), `status`, `transit` (off, preferred or required, as in force), `subnetGroup`, `createdAt`,
    `authTokenEnabled` ("true", "false"), `tokenModifiedAt` (ISO 8601), `tokenPending` (ROTATING, SETTING or ""), `pendingReboot` ("true" while
    nodes run with old parameters).
    """

    name: str = managed(impact=Impact.REPLACE)
    tags: Mapping[str, str] = managed(open=True)
    engine: str = managed(impact=_engine_impact)
    node_type: str = managed(impact=Impact.DISRUPTIVE)
    description: str = managed(default="kept by the SecureBase operator")
    parameter_group: str = ""
    subnet_group: str = managed(impact=Impact.REPLACE, default="")
    security_groups: frozenset[str] = frozenset()
    port: int = managed(impact=Impact.REPLACE, default=6379)
    shards: int = 1
    replicas: int = managed(impact=_last_goes, default=0)
    cluster_mode: str = managed(impact=_ranked(ClusterMode, Impact.REPLACE), default=ClusterMode.DISABLED.value)
    automatic_failover: bool = managed(impact=_less_guarded, default=False)
    multi_az: bool = managed(impact=_less_guarded, default=False)
    at_rest_encryption: bool = managed(impact=Impact.REPLACE, default=True)
    kms_key: str = managed(impact=Impact.REPLACE, default="")
    transit_encryption: str = managed(impact=_ranked(Transit, Impact.PROTECTION_LOSS), default=Transit.REQUIRED.value)
    auth_token: SecretValue | SecretFrom | None = managed(secret=True, default=None)
    user_groups: frozenset[str] = frozenset()
    network_type: str = managed(impact=Impact.REPLACE, default="ipv4")
    ip_discovery: str = ""
    data_tiering: bool = managed(impact=Impact.REPLACE, default=False)
    maintenance_window: str = ""
    snapshot_window: str = ""
    snapshot_retention: int = managed(impact=_less_guarded, default=0)
    auto_minor_upgrade: bool = True
    log_deliveries: tuple[LogDelivery, ...] = managed(key="type", default=())
    notification_topic: str = ""
    snapshot_name: str = ""

    def impact_of(self, path: str) -> Impact | None:
        """Satisfies `core.diff.Weighs`: where TLS has no modes, only another group has it or has it not."""
        return Impact.REPLACE if path == "transitEncryption" and not has_transit_modes(self.engine) else None


def problems(group: ReplicationGroup) -> Iterator[str]:
    """What ElastiCache would refuse, in words for a person (CreateReplicationGroup, API reference)."""
    if not refers(group.name) and (len(group.name) > NAME_LENGTH or not _NAME.fullmatch(group.name)):
        yield f"{group.name!r} is no id: 1 to {NAME_LENGTH} lower-case letters, digits and single hyphens, a letter first"
    if not 0 <= group.replicas <= MOST_REPLICAS:
        yield f"{group.replicas} replicas; a shard has at most {MOST_REPLICAS}"
    if group.multi_az and not group.automatic_failover:
        yield "Multi-AZ needs automatic failover"
    if group.automatic_failover and not group.replicas and group.cluster_mode == ClusterMode.DISABLED:
        yield "automatic failover needs at least one replica"
    yield from _cluster_problems(group)
    yield from _encryption_problems(group)
    if not 0 <= group.snapshot_retention <= MOST_RETENTION_DAYS:
        yield f"snapshots are kept for at most {MOST_RETENTION_DAYS} days"
    if group.data_tiering != group.node_type.startswith(TIERED_FAMILY):
        yield f"data tiering and {TIERED_FAMILY}* nodes need each other"


def _cluster_problems(group: ReplicationGroup) -> Iterator[str]:
    if group.shards > 1 and group.cluster_mode != ClusterMode.ENABLED:
        yield f"{group.shards} shards need cluster mode"
    if group.cluster_mode != ClusterMode.DISABLED and not group.automatic_failover:
        yield "cluster mode needs automatic failover"


def _encryption_problems(group: ReplicationGroup) -> Iterator[str]:
    if group.kms_key and not group.at_rest_encryption:
        yield "a KMS key without encryption at rest"
    if (group.auth_token is not None or group.user_groups) and group.transit_encryption != Transit.REQUIRED:
        yield "a token or users need encryption in transit to be required"
    if group.auth_token is not None and group.user_groups:
        yield "a replication group has either an AUTH token or a user group"
    if len(group.user_groups) > 1:
        yield "a replication group takes one user group"


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """Parameters of one engine family; what is not named here stands at the family's default.

    parameters         those that take effect at once, as text
    reboot_parameters  those that wait for a restart of each node; `split_parameters` tells which
    cluster_enabled    of groups in cluster mode, `compatible` included; AWS does not let it be changed while the group is used

    Attributes: `arn`, `name`, `family`.
    """

    name: str = managed(impact=Impact.REPLACE)
    tags: Mapping[str, str] = managed(open=True)
    family: str = managed(impact=Impact.REPLACE)
    parameters: Mapping[str, str] = managed()
    reboot_parameters: Mapping[str, str] = managed(impact=Impact.DISRUPTIVE)
    description: str = managed(impact=Impact.REPLACE, default="kept by the SecureBase operator")
    cluster_enabled: bool = managed(impact=Impact.REPLACE, default=False)


def split_parameters(parameters: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Those that take effect at once, and those that wait for a restart."""
    now = {name: value for name, value in parameters.items() if name not in REBOOT_PARAMETERS}
    return now, {name: value for name, value in parameters.items() if name in REBOOT_PARAMETERS}


@dataclass(frozen=True, slots=True)
class SubnetGroup:
    """The subnets of one VPC that nodes may live in. Attributes: `arn`, `name`, `vpcId`."""

    name: str = managed(impact=Impact.REPLACE)
    tags: Mapping[str, str] = managed(open=True)
    subnet_ids: frozenset[str] = managed()
    description: str = "kept by the SecureBase operator"

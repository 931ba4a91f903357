"""What the lab knows of ElastiCache in one account and region: groups, their shards and members, parameter, subnet and user groups, snapshots."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lab.aws.context import Lab
from lab.aws.wire import AwsFault, Call

_SHORT = {"us": "us", "eu": "eu", "ap": "ap", "ca": "ca", "sa": "sa", "af": "af", "me": "me"}
_SIDES = {"north": "n", "south": "s", "east": "e", "west": "w", "central": "c", "northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw"}
DEFAULT_PAGE = 100


@dataclass(slots=True)
class Member:
    """A node of a replication group: a cache cluster of one node, whose id is also its CacheClusterId dimension."""

    id: str
    zone: str
    created: datetime
    reboot_needed: bool = False


@dataclass(slots=True)
class Shard:
    """A node group; the first member is the primary."""

    id: str
    members: list[Member]

    @property
    def primary(self) -> Member:
        return self.members[0]


@dataclass(slots=True)
class Pending:
    """An accepted change that is not in force yet: how PendingModifiedValues tells it (of the group, of each member), and the deed."""

    apply: Callable[[], None]
    of_group: dict[str, Any] = field(default_factory=dict)
    of_members: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Group:
    """A replication group. Names follow the API's; `tokens` is oldest first, `token_optional` after the first ROTATE without a token before."""

    id: str
    arn: str
    created: datetime
    description: str
    node_type: str
    engine: str
    version: str
    parameter_group: str
    subnet_group: str
    port: int
    security_groups: list[str]
    maintenance_window: str
    snapshot_window: str
    snapshot_retention: int
    auto_minor: bool
    automatic_failover: bool
    multi_az: bool
    at_rest: bool
    kms_key: str
    transit: bool
    transit_mode: str
    cluster_mode: str
    data_tiering: bool
    network_type: str
    ip_discovery: str
    topic: str
    logs: list[dict[str, Any]]
    user_groups: list[str]
    tokens: tuple[str, ...]
    token_changed: datetime | None
    shards: list[Shard] = field(default_factory=list)
    snapshotting_member: str = ""
    token_optional: bool = False
    topic_active: bool = True
    restored_from: str = ""
    status: str = "creating"
    until: float = 0.0
    done: Callable[[], None] | None = None
    deferred: list[Pending] = field(default_factory=list)
    under_way: list[Pending] = field(default_factory=list)

    @property
    def sharded(self) -> bool:
        """Cluster mode, as seen by clients: `compatible` speaks both."""
        return self.cluster_mode in ("enabled", "compatible")

    def members(self) -> Iterator[tuple[Shard, Member]]:
        for shard in self.shards:
            for member in shard.members:
                yield shard, member

    @property
    def replicas(self) -> int:
        return max((len(shard.members) - 1 for shard in self.shards), default=0)

    def pending(self) -> list[Pending]:
        return [*self.under_way, *self.deferred]


@dataclass(slots=True)
class ParameterGroup:
    name: str
    arn: str
    family: str
    description: str
    values: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class SubnetGroup:
    name: str
    arn: str
    description: str
    vpc_id: str
    subnets: dict[str, str]


@dataclass(slots=True)
class Snapshot:
    """`document` is what DescribeSnapshots tells; `data` the keys of a real Redis (name, milliseconds to live, DUMP payload)."""

    name: str
    arn: str
    document: dict[str, Any]
    status: str
    until: float
    data: list[tuple[bytes, int, bytes]] = field(default_factory=list)
    cluster_mode: str = "disabled"


@dataclass(slots=True)
class User:
    id: str
    name: str
    arn: str
    engine: str
    access: str
    passwords: tuple[str, ...]
    mode: str
    status: str = "active"
    until: float = 0.0
    done: Callable[[], None] | None = None


@dataclass(slots=True)
class UserGroup:
    id: str
    arn: str
    engine: str
    users: list[str]
    status: str = "active"
    until: float = 0.0
    pending: dict[str, list[str]] = field(default_factory=dict)
    done: Callable[[], None] | None = None


@dataclass(slots=True)
class Store:
    """One account and region."""

    lab: Lab
    account: str
    region: str
    groups: dict[str, Group] = field(default_factory=dict)
    parameter_groups: dict[str, ParameterGroup] = field(default_factory=dict)
    subnet_groups: dict[str, SubnetGroup] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    user_groups: dict[str, UserGroup] = field(default_factory=dict)

    def arn(self, kind: str, name: str) -> str:
        return f"arn:aws:elasticache:{self.region}:{self.account}:{kind}:{name}"

    def group(self, name: str) -> Group:
        try:
            return self.groups[name.lower()]
        except KeyError:
            raise AwsFault("ReplicationGroupNotFoundFault", f"ReplicationGroup {name} not found.") from None

    def available(self, name: str) -> Group:
        """The group, ready for a change. Facts: a state other than `available` is InvalidReplicationGroupState."""
        group = self.group(name)
        if group.status != "available":
            raise AwsFault("InvalidReplicationGroupState", f"Cluster not in available state to perform this operation: {group.id} is {group.status}.")
        return group

    def tag(self, arn: str, tags: Iterable[Mapping[str, str]]) -> None:
        self.lab.tagged.setdefault(arn, {}).update({tag["Key"]: tag.get("Value", "") for tag in tags})

    def quota(self, name: str, default: int) -> int:
        return self.lab.settings.quotas.get(name, default)


@dataclass(slots=True)
class Desk:
    """One call at work: whose it is, and what it may change."""

    store: Store
    call: Call
    wake: Callable[[float], None]
    dump: Callable[[str], list[tuple[bytes, int, bytes]]] | None = None

    @property
    def lab(self) -> Lab:
        return self.store.lab

    @property
    def params(self) -> dict[str, Any]:
        return self.call.params

    def occupy(self, group: Group, status: str, seconds: float, done: Callable[[], None] | None = None) -> None:
        """The group has `status` for `seconds` of the lab's clock; then `done`, and it is available."""
        group.status, group.until, group.done = status, self.lab.clock() + seconds, done
        self.wake(seconds)


def page(params: Mapping[str, Any], name: str, entries: list[Any]) -> dict[str, Any]:
    """MaxRecords (20 to 100) and Marker, the same in every Describe of the ElastiCache API reference."""
    size = int(params.get("MaxRecords") or DEFAULT_PAGE)
    if not 20 <= size <= DEFAULT_PAGE:
        raise AwsFault("InvalidParameterValue", "MaxRecords must be between 20 and 100.")
    start = int(params.get("Marker") or 0)
    result: dict[str, Any] = {name: entries[start : start + size]}
    if start + size < len(entries):
        result["Marker"] = str(start + size)
    return result


def short_region(region: str) -> str:
    """us-east-1 as ElastiCache's host names have it: use1."""
    first, side, number = region.split("-", maxsplit=1)[0], region.split("-")[-2], region.rsplit("-", maxsplit=1)[-1]
    return f"{_SHORT.get(first, first)}{_SIDES.get(side, side[:1])}{number}"


def host_suffix(account: str, region: str) -> str:
    digest = hashlib.sha256(f"{account}/{region}".encode()).hexdigest()[:6]
    return f"{digest}.{short_region(region)}.cache.amazonaws.com"

"""CacheCluster: an ElastiCache replication group with everything around it, as one object."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le
from pydantic import Field, StringConstraints

from securebase.api.base import Atomic, ListMap, Rules
from securebase.api.cache import cluster_rules
from securebase.api.cache.access import Auth, Encryption, Rotation, User
from securebase.api.cache.alarms import Alarms
from securebase.api.cache.engines import DEFAULT_VERSIONS, EngineName, EngineVersion, FamilyName, parameter_family
from securebase.api.cache.network import Network
from securebase.api.cache.nodes import TIERING_FAMILY, NodeType, most_clients, node_family
from securebase.api.cache.parameters import Parameters
from securebase.api.cache.profiles import PROFILES, OnDelete, Profile, ProfileName
from securebase.api.cache.upkeep import Logs, NotificationTopicArn, Recommendations, Snapshot, Verify
from securebase.api.meta import KubernetesObject, ResourceSpec, Window
from securebase.api.status import ResourceStatusBlock, StatusModel, Timestamp

__all__ = ["CacheCluster", "CacheClusterSpec", "CacheClusterStatus", "User"]


class CacheClusterSpec(ResourceSpec):
    """What the cache shall be."""

    description: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    """Shown in the console; namespace and name if omitted."""
    profile: ProfileName
    """dev: one cache.t4g.micro. prod: cache.r7g.large with a replica in another zone, protected from deletion. Every value can be overridden."""
    engine: EngineName = "valkey"
    """valkey, which costs 20 % less a node, or redis. redis to valkey is a change in place, valkey to redis a replacement."""
    version: EngineVersion | None = None
    """Major and minor version, in quotes; valkey '8.1' and redis '7.1' if omitted."""
    node_type: NodeType | None = None
    """Type of every node; cache.t4g.micro in dev and cache.r7g.large in prod if omitted."""
    replicas: Annotated[int, Ge(0)] | None = None
    """Replicas of each shard's primary, at most 5; none in dev and 1 in prod if omitted."""
    multi_az: bool | None = None
    """Whether the nodes of a shard stand in different zones and one takes over for another; in prod if omitted."""
    cluster_mode: Literal["disabled", "compatible", "enabled"] = "disabled"
    """enabled: data is spread over shards, clients speak the cluster protocol. compatible: the way there, both kinds of clients are served."""
    shards: Annotated[int, Ge(1), Le(500)] | None = None
    """With clusterMode enabled: how many shards; 1 if omitted."""
    data_tiering: bool | None = None
    """Whether what is seldom read goes to SSD. Exactly the r6gd nodes do that, and cannot do without."""
    port: Annotated[int, Ge(1), Le(65_535)] = 6379
    """Port of every node. A change is a replacement."""
    maintenance_window: Window | None = None
    """Weekly window in UTC for AWS's own maintenance, an hour to a day, like sun:05:00-sun:06:00; AWS chooses one if omitted."""
    auto_minor_version_upgrade: bool = True
    """Whether AWS installs new minor versions in the maintenance window."""
    notification_topic_arn: NotificationTopicArn | None = None
    """SNS topic of the same account and region that ElastiCache tells its events, like failovers and maintenance; nobody is told if omitted."""
    network: Network
    """Where the cache stands, and who gets in."""
    encryption: Encryption = Field(default_factory=Encryption)
    """Encryption at rest and in transit: both on."""
    auth: Auth = Field(default_factory=Auth)
    """How clients prove who they are: by a generated AUTH token."""
    rotation: Rotation = Field(default_factory=Rotation)
    """When secrets change."""
    snapshot: Snapshot = Field(default_factory=Snapshot)
    """Daily snapshots, the last one, and the one to begin with."""
    logs: Logs = Field(default_factory=Logs)
    """Where logs are delivered to."""
    parameters: Parameters = Field(default_factory=Parameters)
    """Parameters of the engine."""
    alarms: Alarms = Field(default_factory=Alarms)
    """Alarms on every member node."""
    verify: Verify = Field(default_factory=Verify)
    """The proof by a real client."""
    recommendations: Recommendations = Field(default_factory=Recommendations)
    """Advice from measured facts."""

    rules: ClassVar[Rules] = cluster_rules.RULES

    @property
    def defaults(self) -> Profile:
        """What the profile says of everything left out."""
        return PROFILES[self.profile]

    @property
    def effective_version(self) -> str:
        return self.version or DEFAULT_VERSIONS[self.engine]

    @property
    def parameter_family(self) -> FamilyName:
        """Family of the parameter group."""
        return parameter_family(self.engine, self.effective_version)

    @property
    def effective_node_type(self) -> str:
        return self.node_type or self.defaults.node_type

    @property
    def max_clients(self) -> int:
        """How many clients one node lets in."""
        return most_clients(self.effective_node_type)

    @property
    def effective_replicas(self) -> int:
        """Replicas of each shard."""
        return self.defaults.replicas if self.replicas is None else self.replicas

    @property
    def effective_shards(self) -> int:
        return self.shards or 1

    @property
    def node_count(self) -> int:
        """Primaries and replicas of all shards."""
        return self.effective_shards * (1 + self.effective_replicas)

    @property
    def effective_multi_az(self) -> bool:
        return self.defaults.multi_az if self.multi_az is None else self.multi_az

    @property
    def automatic_failover(self) -> bool:
        """Wherever there is a replica; and with cluster mode always, as CreateReplicationGroup demands (AutomaticFailoverEnabled)."""
        return self.effective_replicas > 0 or self.cluster_mode == "enabled"

    @property
    def effective_data_tiering(self) -> bool:
        return node_family(self.effective_node_type) == TIERING_FAMILY

    @property
    def effective_retention_days(self) -> int:
        kept = self.snapshot.retention_days
        return self.defaults.retention_days if kept is None else kept

    @property
    def effective_on_delete(self) -> OnDelete:
        """policy.onDelete, else snapshot.finalSnapshot, else the profile."""
        if self.policy.on_delete is not None:
            return self.policy.on_delete
        match self.snapshot.final_snapshot:
            case None:
                return self.defaults.on_delete
            case True:
                return "Snapshot"
            case False:
                return "Delete"

    @property
    def effective_deletion_protection(self) -> bool:
        protected = self.policy.deletion_protection
        return self.defaults.deletion_protection if protected is None else protected

    @property
    def effective_parameters(self) -> dict[str, str]:
        """Every parameter that is ours, by AWS's name. A group whose cluster-enabled differs is another group: the value cannot change in one that is used."""
        clustered = {} if self.cluster_mode == "disabled" else {"cluster-enabled": "yes"}
        return {**self.parameters.values, "maxmemory-policy": self.parameters.maxmemory_policy, **clustered}


class LoginRotation(StatusModel):
    """The rotation of one secret that is under way, or the last one."""

    version: str | None = None
    """Version of the secret in Secrets Manager that the cache accepts and clients are told."""
    step: str | None = None
    """What is done (PutPending, Rotate, SetToken, ...) or waited for (WaitsForGroup, GracePeriod, ...); Done at rest."""
    requested: str | None = None
    """What securebase.io/rotate said when it was last taken up."""
    immediate: bool | None = None
    """Clients with the value before are cut off as soon as the new one is published."""
    started_at: Timestamp | None = None
    """When the value that the cache accepts was made."""
    grace_ends_at: Timestamp | None = None
    """Until when the value before works."""


class UserRotation(LoginRotation):
    """The rotation of a user's password."""

    name: str
    """The user's."""


class RotationStatus(LoginRotation):
    """The rotation of the AUTH token, or of each user's password."""

    users: Annotated[tuple[UserRotation, ...], ListMap("name")] = ()
    """With auth.mode rbac."""


class Recommendation(StatusModel):
    """One piece of advice from measured facts."""

    type: str
    """TooSmall, TooBig or CheaperEngine."""
    reason: str
    """Why, in figures."""
    engine: str | None = None
    """Engine to change to, or to stay with."""
    node_type: str | None = None
    """Node type to change to, or to stay with."""
    monthly_change_usd: str | None = None
    """What the change costs a month, negative where it saves; unknown when omitted."""
    missing: str | None = None
    """The price that is not known."""
    measured_at: Timestamp | None = None
    """End of the hours that the figures are of."""


class CacheClusterStatus(ResourceStatusBlock):
    """How the cache stands. The condition Verified tells of the client's proof."""

    rotation: RotationStatus | None = None
    recommendations: Annotated[tuple[Recommendation, ...], Atomic()] = ()
    unjudged: Annotated[tuple[str, ...], Atomic()] = ()
    """What could not be judged for lack of data."""
    sized_at: Timestamp | None = None
    """When node type or engine last changed: what was measured before says nothing about what runs now."""


class CacheCluster(KubernetesObject):
    """An ElastiCache replication group with its network, parameters, secrets, alarms and proof."""

    kind: Literal["CacheCluster"] = "CacheCluster"
    spec: CacheClusterSpec
    status: CacheClusterStatus | None = None

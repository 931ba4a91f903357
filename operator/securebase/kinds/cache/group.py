"""The replication group itself, and the parameters of its engine."""

from __future__ import annotations

from collections.abc import Iterator

from securebase.api.cache import CacheClusterSpec
from securebase.api.cache.upkeep import LogDelivery as LogSpec
from securebase.core.graph import Node, Ref, SecretFrom
from securebase.core.kind import Context
from securebase.kinds.cache.access import SECRET, USERS, Access
from securebase.kinds.cache.names import GROUP, GROUP_LENGTH, cache_id
from securebase.kinds.cache.network import security_groups, subnet_group_name
from securebase.resources.elasticache.model import CLUSTER_PARAMETER, LogDelivery, ParameterGroup, ReplicationGroup, engine, split_parameters


def parameters_id(spec: CacheClusterSpec) -> str:
    """A group of parameters belongs to one family and to one side of cluster mode: another one is another node, made before the cache is
    moved to it and pruned after."""
    clustered = "" if spec.cluster_mode == "disabled" else "-cluster"
    return f"parameters-{spec.parameter_family.replace('.', '-')}{clustered}"


def group_nodes(spec: CacheClusterSpec, access: Access, context: Context) -> Iterator[Node]:
    """The parameter group and the replication group."""
    name = parameters_id(spec)
    values = {key: value for key, value in spec.effective_parameters.items() if key != CLUSTER_PARAMETER}
    now, after_reboot = split_parameters(values)
    parameters = ParameterGroup(
        name=cache_id(context.identity, name, 200),
        tags=context.tags,
        family=spec.parameter_family,
        parameters=now,
        reboot_parameters=after_reboot,
        cluster_enabled=spec.cluster_mode != "disabled",
    )
    yield Node(name, "elasticache/parameter-group", parameters)
    empty = spec.snapshot.replacement == "empty"
    yield Node(GROUP, "elasticache/replication-group", _group(spec, access, context, name), guards=True, starts_empty=empty)


def _group(spec: CacheClusterSpec, access: Access, context: Context, parameters: str) -> ReplicationGroup:
    tls = spec.encryption.effective_transit_mode
    return ReplicationGroup(
        name=cache_id(context.identity, GROUP, GROUP_LENGTH),
        tags=context.tags,
        engine=engine(spec.engine, spec.effective_version),
        node_type=spec.effective_node_type,
        description=spec.description or f"CacheCluster {context.identity.namespace}/{context.identity.name}",
        parameter_group=Ref(parameters, "name"),
        subnet_group=subnet_group_name(spec),
        security_groups=security_groups(spec),
        port=spec.port,
        shards=spec.effective_shards,
        replicas=spec.effective_replicas,
        cluster_mode=spec.cluster_mode,
        automatic_failover=spec.automatic_failover,
        multi_az=spec.effective_multi_az,
        at_rest_encryption=spec.encryption.at_rest,
        kms_key=spec.encryption.kms_key_id or "",
        transit_encryption=tls or "off",
        auth_token=SecretFrom(SECRET, "password") if access.has_token else None,
        user_groups=frozenset({Ref(USERS, "id")}) if access.on_users else frozenset(),
        network_type=spec.network.network_type,
        ip_discovery=spec.network.effective_ip_discovery,
        data_tiering=spec.effective_data_tiering,
        maintenance_window=str(spec.maintenance_window or ""),
        snapshot_window=spec.snapshot.window or "",
        snapshot_retention=spec.effective_retention_days,
        auto_minor_upgrade=spec.auto_minor_version_upgrade,
        log_deliveries=tuple(_deliveries(spec)),
        notification_topic=spec.notification_topic_arn or "",
        snapshot_name=spec.snapshot.restore_from or "",
    )


def _deliveries(spec: CacheClusterSpec) -> Iterator[LogDelivery]:
    for type_, wanted in (("engine-log", spec.logs.engine), ("slow-log", spec.logs.slow)):
        if wanted is not None:
            yield _delivery(type_, wanted)


def _delivery(type_: str, wanted: LogSpec) -> LogDelivery:
    if wanted.log_group is not None:
        return LogDelivery(type_, wanted.log_group, "cloudwatch-logs", wanted.format)
    return LogDelivery(type_, wanted.firehose or "", "kinesis-firehose", wanted.format)

"""What is known of a resource before it exists, for kinds that compose by the attributes of their own nodes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from securebase.core.graph import Graph, Node
from securebase.core.kind import Context
from securebase.resources.cloudfront.model import Distribution
from securebase.resources.cloudwatch.model import Alarm
from securebase.resources.discovery.model import KnownTarget
from securebase.resources.elasticache.login_model import LoginState
from securebase.resources.elasticache.model import ClusterMode, ReplicationGroup, engine_parts
from securebase.resources.sns.model import Topic

NOT_MADE: Final = "not-made-yet"
"""Stands for an id that AWS alone gives."""


def foreseen(graph: Graph, wanted: frozenset[str]) -> dict[str, Mapping[str, str]]:
    """Attributes of those wanted nodes that can be foretold; what cannot is left out."""
    return {name: attributes for name in sorted(wanted & graph.nodes.keys()) if (attributes := _attributes(graph.nodes[name]))}


def foretold(graph: Graph, context: Context) -> dict[str, Mapping[str, str]]:
    """Attributes by node of what others ask of an object: its alarms and their topic, whose names its identity makes, and where its main resource
    will be."""
    told: dict[str, Mapping[str, str]] = {}
    for node in graph:
        region = node.region or context.region
        match node.desired:
            case Alarm(name=name):
                told[node.id] = {"name": name}
            case Topic(name=name):
                told[node.id] = {"arn": f"arn:{context.partition}:sns:{region}:{context.account_id}:{name}"}
            case ReplicationGroup(name=name):
                arn = f"arn:{context.partition}:elasticache:{region}:{context.account_id}:replicationgroup:{name}"
                told[node.id] = {**_attributes(node), "id": name, "arn": arn}
            case Distribution():
                told[node.id] = {"id": NOT_MADE, "arn": f"arn:{context.partition}:cloudfront::{context.account_id}:distribution/{NOT_MADE}"}
    return told


def _attributes(node: Node) -> Mapping[str, str]:
    match node.desired:
        case ReplicationGroup(engine=str(), node_type=str(), shards=int(), replicas=int()) as group:
            name, version = engine_parts(group.engine)
            return {"id": group.name, "members": _members(group), "nodeType": group.node_type, "engine": name, "engineVersion": version}
        case LoginState(way=way):
            return {"stage": way}
        case KnownTarget("Aurora" | "ElastiCache", name):
            return {"exists": "true", "name": name}  # how many members it has only AWS knows: what is told of it is not all
        case KnownTarget(_, name):
            return {"exists": "true", "name": name, "arn": ""}
        case _:
            return {}


def _members(group: ReplicationGroup) -> str:
    """As AWS names them: `rg-001`, and `rg-0001-001` in cluster mode (User Guide, "Cluster and node names"), where it tells no roles."""
    nodes = range(1, 2 + group.replicas)
    if group.cluster_mode == ClusterMode.ENABLED:
        return ",".join(f"{group.name}-{shard:04}-{node:03}:member" for shard in range(1, 1 + group.shards) for node in nodes)
    return ",".join(f"{group.name}-{node:03}:{'primary' if node == 1 else 'replica'}" for node in nodes)

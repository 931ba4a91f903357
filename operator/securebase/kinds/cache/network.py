"""Where a cache stands and who gets in: subnet group and security group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from securebase.api.cache import CacheClusterSpec
from securebase.core.graph import Node, Ref, Role
from securebase.core.kind import Context
from securebase.kinds.cache.names import cache_id
from securebase.resources.ec2.model import IngressRule, SecurityGroup
from securebase.resources.elasticache.model import SubnetGroup

SUBNETS: Final = "subnets"
# Another node than our own: moving from one to the other removes ours, and never takes somebody else's for it.
GIVEN_SUBNETS: Final = "given-subnets"
SECURITY_GROUP: Final = "security-group"


def network_nodes(spec: CacheClusterSpec, context: Context, ports: frozenset[int]) -> Iterator[Node]:
    """The subnet group, ours or one that exists, and the security group that `ingress` asks for.

    ports  in use now, whatever is wanted: they stay open until nothing listens there any more
    """
    network = spec.network
    if network.subnet_ids is not None:
        subnets = SubnetGroup(cache_id(context.identity, SUBNETS, 200), context.tags, frozenset(network.subnet_ids), _described(context))
        yield Node(SUBNETS, "elasticache/subnet-group", subnets)
    elif network.subnet_group_name is not None:
        yield Node(GIVEN_SUBNETS, "elasticache/subnet-group", SubnetGroup(network.subnet_group_name, {}, frozenset()), role=Role.EXTERNAL)
    if network.ingress is not None:
        sources = (*sorted(network.ingress.security_group_ids), *sorted(network.ingress.cidrs))
        group = SecurityGroup(
            name=cache_id(context.identity, SECURITY_GROUP, 200),
            description=_described(context),
            vpc_id=network.vpc_id or Ref(SUBNETS if network.makes_subnet_group else GIVEN_SUBNETS, "vpcId"),
            tags=context.tags,
            ingress=tuple(IngressRule(source, port) for source in sources for port in sorted({spec.port, *ports})),
        )
        yield Node(SECURITY_GROUP, "ec2/security-group", group)


def subnet_group_name(spec: CacheClusterSpec) -> str:
    """The name of the subnet group, once it is there."""
    return spec.network.subnet_group_name or Ref(SUBNETS, "name")


def security_groups(spec: CacheClusterSpec) -> frozenset[str]:
    """Ids of every security group of the nodes."""
    own = {Ref(SECURITY_GROUP, "id")} if spec.network.ingress is not None else set()
    return frozenset({*spec.network.security_group_ids, *own})


def _described(context: Context) -> str:
    return f"CacheCluster {context.identity.namespace}/{context.identity.name}"

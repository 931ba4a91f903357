"""Where a cache stands in a VPC and who gets in: subnets, security groups, ingress, address family."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, ClassVar, Literal

from annotated_types import MaxLen, MinLen
from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

from securebase.api.base import ApiModel, ListSet, Matches, Rule, Rules
from securebase.api.cel import count, none

SubnetId = Annotated[
    str, StringConstraints(min_length=1, max_length=64), Matches(r"^subnet-[0-9a-f]{8,17}$", "a subnet is its id, subnet-0123456789abcdef0, no ARN and no name")
]
SecurityGroupId = Annotated[
    str, StringConstraints(min_length=1, max_length=64), Matches(r"^sg-[0-9a-f]{8,17}$", "a security group is its id, sg-0123456789abcdef0, no ARN and no name")
]
VpcId = Annotated[str, StringConstraints(min_length=1, max_length=64), Matches(r"^vpc-[0-9a-f]{8,17}$", "vpcId is written like vpc-0123456789abcdef0")]
SubnetGroupName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    Matches(r"^[A-Za-z0-9._-]+$", "subnetGroupName is the name of a cache subnet group that exists: letters, digits, '.', '_' and '-'"),
]


def _is_network(text: str) -> str:
    """EC2 keeps a rule's network with its host bits cleared: any other spelling would differ for ever."""
    try:
        canonical = str(ip_network(text, strict=False))
    except ValueError as error:
        raise PydanticCustomError("rule", "{broken}", {"broken": f"{text} is no network: {error}"}) from None
    if canonical != text.lower():
        raise PydanticCustomError("rule", "{broken}", {"broken": f"{text} is not how EC2 spells this network; write {canonical}"})
    return text


Cidr = Annotated[
    str,
    StringConstraints(min_length=1, max_length=49),
    Matches(
        r"^([0-9]{1,3}([.][0-9]{1,3}){3}/([0-9]|[12][0-9]|3[0-2])|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*/([0-9]|[1-9][0-9]|1[01][0-9]|12[0-8]))$",
        "a network is written with its length: 10.0.0.0/16, 10.0.3.7/32 or 2001:db8::/64",
    ),
    AfterValidator(_is_network),
]


class Ingress(ApiModel):
    """Who may connect to the port. Makes a security group of the object's own with exactly these rules."""

    security_group_ids: Annotated[tuple[SecurityGroupId, ...], MaxLen(40), ListSet()] = ()
    """Security groups whose members may connect."""
    cidrs: Annotated[tuple[Cidr, ...], MaxLen(40), ListSet()] = ()
    """Networks that may connect; never all of them."""

    rules: ClassVar[Rules] = (
        Rule(
            cel=none("self.cidrs", "c", "c.endsWith('/0')"),
            holds=lambda ingress: not any(cidr.endswith("/0") for cidr in ingress.cidrs),
            message="ingress.cidrs lets the whole world in (0.0.0.0/0 or ::/0); name the networks of the clients, or their security groups in securityGroupIds",
            field=".cidrs",
        ),
        Rule(
            cel=f"{count('self.securityGroupIds')} + {count('self.cidrs')} > 0",
            holds=lambda ingress: bool(ingress.security_group_ids or ingress.cidrs),
            message="ingress lets nobody in; give securityGroupIds or cidrs, or remove it and give network.securityGroupIds",
        ),
    )


class Network(ApiModel):
    """Where the cache stands, and who gets in."""

    subnet_ids: Annotated[tuple[SubnetId, ...], MinLen(1), MaxLen(20), ListSet()] | None = None
    """Subnets of one VPC, in different zones for Multi-AZ. A subnet group of the object's own is made of them."""
    subnet_group_name: SubnetGroupName | None = None
    """A subnet group that exists, instead of subnetIds."""
    vpc_id: VpcId | None = None
    """VPC of the security group that ingress makes; that of the subnet group if omitted."""
    security_group_ids: Annotated[tuple[SecurityGroupId, ...], MaxLen(15), ListSet()] = ()
    """Security groups that exist, besides the one that ingress makes."""
    ingress: Ingress | None = None
    """Who may connect to the port."""
    network_type: Literal["ipv4", "ipv6", "dual_stack"] = "ipv4"
    """Address families of the nodes. A change is a replacement."""
    ip_discovery: Literal["ipv4", "ipv6"] | None = None
    """Which address cluster-mode clients are told of; ipv6 for networkType ipv6, else ipv4, if omitted."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="has(self.subnetIds) != has(self.subnetGroupName)",
            holds=lambda network: (network.subnet_ids is None) != (network.subnet_group_name is None),
            message="network needs exactly one of subnetIds (a subnet group is made of them) and subnetGroupName (one that exists)",
            field=".subnetIds",
        ),
        Rule(
            cel=f"has(self.ingress) || {count('self.securityGroupIds')} > 0",
            holds=lambda network: network.ingress is not None or bool(network.security_group_ids),
            message="network lets no client in; give ingress (a security group is made) or securityGroupIds (some that exist)",
            field=".ingress",
        ),
        Rule(
            cel="""!has(self.ipDiscovery) || !has(self.networkType) && self.ipDiscovery == 'ipv4'
                || has(self.networkType) && self.networkType in ['dual_stack', self.ipDiscovery]""",
            holds=lambda network: network.ip_discovery is None or network.network_type in ("dual_stack", network.ip_discovery),
            message="network.ipDiscovery names an address family that networkType does not have; remove it, or set networkType: dual_stack",
            field=".ipDiscovery",
        ),
    )

    @property
    def effective_ip_discovery(self) -> Literal["ipv4", "ipv6"]:
        """What cluster-mode clients are told of."""
        if self.ip_discovery is not None:
            return self.ip_discovery
        return "ipv6" if self.network_type == "ipv6" else "ipv4"

    @property
    def makes_security_group(self) -> bool:
        return self.ingress is not None

    @property
    def makes_subnet_group(self) -> bool:
        return self.subnet_ids is not None

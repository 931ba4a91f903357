"""Security groups and who they let in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from securebase.core.fields import Impact, managed


@dataclass(frozen=True, slots=True)
class IngressRule:
    """One source that may connect.

    source     an IPv4 or IPv6 CIDR, a security group (`sg-...`, of another account `<account>/sg-...`) or a prefix list (`pl-...`)
    port       the first port; -1 = all, where the protocol has none
    last_port  of a range; 0 = `port` alone
    protocol   `tcp`, `udp`, `icmp`, `icmpv6`, a number, or `-1` for all
    """

    source: str
    port: int
    last_port: int = 0
    protocol: str = "tcp"
    description: str = ""

    @property
    def id(self) -> str:
        """`tcp:6379:10.0.0.0/8`: what AWS tells rules apart by."""
        ports = "all" if self.port < 0 else f"{self.port}-{self.last_port}" if self.last_port not in (0, self.port) else str(self.port)
        return f"{self.protocol}:{ports}:{canonical(self.source)}"


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A security group of ours. `ingress` is the whole set of its rules: one that somebody adds is drift. Egress is left as it is.

    A description or a VPC cannot change: a successor is made under the next name.

    Attributes: `id`, `arn`.
    """

    name: str = managed(impact=Impact.REPLACE)
    description: str = managed(impact=Impact.REPLACE)
    vpc_id: str = managed(impact=Impact.REPLACE)
    tags: Mapping[str, str] = managed(open=True)
    ingress: tuple[IngressRule, ...] = managed(key="id", default=())


def canonical(source: str) -> str:
    """A CIDR as AWS answers with it, host bits off (API reference, IpRange); anything else as it is."""
    try:
        return str(ip_network(source, strict=False))
    except ValueError:
        return source

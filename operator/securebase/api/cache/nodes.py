"""Node types: the families and sizes that a new cache may have, and what only some of them can do."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from securebase.api.base import Matches

_SMALL = "micro|small|medium"
_GRAVITON = "large|xlarge|2xlarge|4xlarge|8xlarge|12xlarge|16xlarge"

# "Supported node types" without the generations of which AWS makes no new clusters (t1, m1 to m3, r3, c1).
NODE_EXPRESSION = (
    rf"^cache[.]((t2|t3|t4g)[.]({_SMALL})"
    r"|m4[.](large|xlarge|2xlarge|4xlarge|10xlarge)"
    r"|r4[.](large|xlarge|2xlarge|4xlarge|8xlarge|16xlarge)"
    r"|(m5|r5)[.](large|xlarge|2xlarge|4xlarge|12xlarge|24xlarge)"
    rf"|(m6g|m7g|m8g|r6g|r7g|r8g|c7gn|c8gn)[.]({_GRAVITON})"
    r"|r6gd[.](xlarge|2xlarge|4xlarge|8xlarge|12xlarge|16xlarge))$"
)
NodeType = Annotated[
    str,
    StringConstraints(min_length=1, max_length=32),
    Matches(
        NODE_EXPRESSION,
        "nodeType is not of a known family and size; families are t2, t3, t4g, m4, m5, m6g, m7g, m8g, r4, r5, r6g, r6gd, r7g, r8g, c7gn and c8gn: "
        "cache.t4g.micro, cache.r7g.large",
    ),
]

TIERING_FAMILY = "r6gd"
# IPv6 needs the Nitro system ("Choosing a network type in ElastiCache"); these run on what came before it.
FAMILIES_WITHOUT_IPV6 = ("t2", "m4", "r4")
# "Supported node types" has them in Valkey's table and not in that of Redis OSS.
VALKEY_FAMILIES = ("m8g", "r8g", "c8gn")

_MOST_CLIENTS = 65_000
# "Engine specific parameters", maxclients by node type.
_FEWER_CLIENTS = {
    "cache.t2.micro": 20_000,
    "cache.t2.small": 20_000,
    "cache.t2.medium": 20_000,
    "cache.t3.micro": 20_000,
    "cache.t3.small": 46_000,
    "cache.t3.medium": 46_000,
    "cache.t4g.micro": 20_000,
}


def node_family(node_type: str) -> str:
    """The family of a node type: r7g of cache.r7g.large."""
    return node_type.split(".")[1]


def most_clients(node_type: str) -> int:
    """How many clients a node lets in (maxclients), which no parameter changes."""
    return _FEWER_CLIENTS.get(node_type, _MOST_CLIENTS)

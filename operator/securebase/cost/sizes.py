"""Sizes of cache nodes: how much memory a node type has, and which one is next. Pure; `cost.data` reads the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_STEP: Final = 1.25
"""Families overlap: the m type beside an r type has 1 % less memory at a higher price. A step is at least this much more, or less."""


@dataclass(frozen=True, slots=True)
class Family:
    """Node types of one kind of machine (`r7g`).

    memory           GiB by size (`large`)
    larger, smaller  the family to go on with beyond this one's ends; "" = none
    """

    name: str
    memory: Mapping[str, float]
    larger: str = ""
    smaller: str = ""


@dataclass(frozen=True, slots=True)
class NodeType:
    """A node type and its memory in GiB."""

    name: str
    memory: float


@dataclass(frozen=True, slots=True)
class NodeSizes:
    """Every known node type. What is not in it has an unknown size and no neighbours."""

    families: Mapping[str, Family] = field(default_factory=dict)

    def of(self, node_type: str) -> NodeType | None:
        """The node type of that name (`cache.r7g.large`)."""
        prefix, _, rest = node_type.partition(".")
        name, _, size = rest.partition(".")
        family = self.families.get(name)
        if prefix != "cache" or family is None or size not in family.memory:
            return None
        return NodeType(node_type, family.memory[size])

    def larger(self, node_type: str) -> NodeType | None:
        """The next bigger one of its family, else the smallest of the family above that is bigger; None = there is none, or not known."""
        return next((found for found in self._around(node_type, up=True)), None)

    def smaller(self, node_type: str) -> NodeType | None:
        """The next smaller one of its family, else the biggest of the family below that is smaller; None = there is none, or not known."""
        return next((found for found in self._around(node_type, up=False)), None)

    def extended(self, other: NodeSizes) -> NodeSizes:
        """These sizes with every family that another table says instead or besides."""
        return NodeSizes({**self.families, **other.families})

    def _around(self, node_type: str, *, up: bool) -> list[NodeType]:
        now = self.of(node_type)
        if now is None:
            return []
        family = self.families[node_type.split(".")[1]]
        beyond = self.families.get(family.larger if up else family.smaller)
        found = []
        for group in (family, beyond) if beyond is not None else (family,):
            types = [NodeType(f"cache.{group.name}.{size}", memory) for size, memory in group.memory.items()]
            other = [each for each in types if (each.memory >= now.memory * _STEP if up else each.memory * _STEP <= now.memory)]
            found += sorted(other, key=lambda each: each.memory, reverse=not up)
        return found

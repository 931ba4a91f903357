"""The engines of a cache and their versions, as data: which exist, in which order, and which parameter group family each needs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import StringConstraints

from securebase.api.base import Matches

EngineName = Literal["valkey", "redis"]
FamilyName = Literal["valkey7", "valkey8", "valkey9", "redis6.x", "redis7"]
EngineVersion = Annotated[
    str,
    StringConstraints(min_length=1, max_length=8),
    Matches(r"^[0-9]+[.][0-9]+$", "version is major and minor in quotes, '8.1' or '7.1'; AWS chooses the patch"),
]

# "Engine versions and upgrading in ElastiCache", the oldest first. Older ones lack RBAC, engine logs or are at the end of their life.
VERSIONS: Mapping[EngineName, tuple[str, ...]] = MappingProxyType({"valkey": ("7.2", "8.0", "8.1", "8.2", "9.0", "9.1"), "redis": ("6.2", "7.0", "7.1")})

# What an omitted version means. A newer default would upgrade every cache that omits it.
DEFAULT_VERSIONS: Mapping[EngineName, str] = MappingProxyType({"valkey": "8.1", "redis": "7.1"})

FAMILIES: tuple[FamilyName, ...] = ("redis6.x", "redis7", "valkey7", "valkey8", "valkey9")


def parameter_family(engine: EngineName, version: str) -> FamilyName:
    """The family of parameter groups that a version takes ("Engine specific parameters"); Redis 6 alone has an x in its name."""
    major = version.partition(".")[0]
    name = "redis6.x" if (engine, major) == ("redis", "6") else f"{engine}{major}"
    for family in FAMILIES:
        if family == name:
            return family
    raise ValueError(f"no parameter group family for {engine} {version}")


def release(version: str) -> tuple[int, int]:
    """A version as numbers, to be compared."""
    major, _, minor = version.partition(".")
    return int(major), int(minor)

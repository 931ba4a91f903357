"""The two profiles of a cache, as data: what a field means that a spec leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

ProfileName = Literal["dev", "prod"]
OnDelete = Literal["Delete", "Retain", "Snapshot"]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a cache is unless it says otherwise. `replicas` are those of each shard."""

    node_type: str
    replicas: int
    multi_az: bool
    retention_days: int
    deletion_protection: bool
    on_delete: OnDelete


PROFILES: Mapping[ProfileName, Profile] = MappingProxyType(
    {
        "dev": Profile("cache.t4g.micro", replicas=0, multi_az=False, retention_days=5, deletion_protection=False, on_delete="Delete"),
        "prod": Profile("cache.r7g.large", replicas=1, multi_az=True, retention_days=7, deletion_protection=True, on_delete="Snapshot"),
    }
)

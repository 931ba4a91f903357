"""Names of a cache's resources, within what ElastiCache takes as an id."""

from __future__ import annotations

import re
from typing import Final

from securebase.core.identity import Identity

GROUP: Final = "group"
CONNECTION: Final = "connection"

GROUP_LENGTH: Final = 36
"""Of the 40 characters a replication group's id may have; the rest is for the number of a successor."""


def connection_name(name: str) -> str:
    """The Secret by which an object of this name tells clients how to connect."""
    return f"{name}-connection"


def cache_id(identity: Identity, resource: str, limit: int) -> str:
    """An id as ElastiCache wants it: lower-case letters, digits and single hyphens, a letter first (CreateReplicationGroup, API reference).
    A namespace may start with a digit, and cutting may leave two hyphens side by side."""
    name = re.sub(r"-+", "-", identity.external_name(resource, limit - 1).lower().replace("_", "-"))
    return name if name[0].isalpha() else f"c{name}"

"""The kind CacheCluster."""

from __future__ import annotations

from typing import Final

from securebase.core.kind import Kind
from securebase.kinds.cache.kind import CacheClusterKind

__all__ = ["CACHE"]

CACHE: Final[Kind] = CacheClusterKind()

"""The kind CdnDistribution."""

from __future__ import annotations

from typing import Final

from securebase.core.kind import Kind
from securebase.kinds.cdn.kind import CdnDistributionKind

__all__ = ["CDN"]

CDN: Final[Kind] = CdnDistributionKind()

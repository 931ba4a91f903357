"""What advice about a cache goes by: what runs, as it was published, and the limits of its spec."""

from __future__ import annotations

from collections.abc import Mapping

from securebase.api.cache import CacheClusterSpec
from securebase.core.kind import AdviceSubject
from securebase.kinds.cache.alarms import members


def advice_subject(spec: CacheClusterSpec, outputs: Mapping[str, str]) -> AdviceSubject | None:
    """None while the members are not known, or where no advice is wanted."""
    limits, nodes = spec.recommendations, members(outputs.get("members", ""))
    if not (limits.enabled and nodes):
        return None
    return AdviceSubject(
        engine=outputs.get("engine") or spec.engine,
        node_type=outputs.get("nodeType") or spec.effective_node_type,
        members=tuple(sorted(node.id for node in nodes)),
        hit_percent=limits.target_hit_rate_percent,
        memory_percent=limits.low_memory_percent,
        days=limits.look_back_days,
    )

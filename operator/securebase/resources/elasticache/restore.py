"""What ElastiCache makes from a snapshot and what it does not, as far as its documentation tells. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from securebase.resources.elasticache.model import ClusterMode, ReplicationGroup, engine, engine_parts, version_numbers

_INSTEAD: Final = "make another object and move the data with a client, or set snapshot.replacement: empty and let the successor begin with nothing"


def unrestorable(have: ReplicationGroup, want: ReplicationGroup) -> Iterator[str]:
    """Why a snapshot of one group cannot become the other, each reason with what to do instead; none where it can.

    User Guide, "Restoring from a backup into a new cache" (cluster mode, data tiering; into data tiering it may be any backup: "Data
    tiering in ElastiCache"), "How to downgrade from Valkey to Redis OSS" and "Version management".
    """
    if have.cluster_mode == ClusterMode.ENABLED and want.cluster_mode == ClusterMode.DISABLED:
        yield f"ElastiCache restores no snapshot of a cache in cluster mode into one without; {_INSTEAD}"
    if have.data_tiering and not want.data_tiering:
        yield f"ElastiCache restores a snapshot of nodes with data tiering (r6gd) only to such nodes; {_INSTEAD}"
    if not _can_start_from(have.engine, want.engine):
        yield f"ElastiCache restores no snapshot of {have.engine} into {want.engine}, which is older; {_INSTEAD}"


def _can_start_from(have: str, want: str) -> bool:
    (old, before), (new, after) = engine_parts(have), engine_parts(want)
    if old == new:
        return not version_numbers(before) or version_numbers(after) >= version_numbers(before)[: len(version_numbers(after))]
    # The one way back that the documentation names.
    return new == "valkey" or (version_numbers(before)[:2], version_numbers(after)[:2]) == ((7, 2), (7, 1))


def engine_of_successor(want: str, saved: str) -> str:
    """The engine to ask for: the wanted one, or, where AWS upgraded what the snapshot was made of within that major, as new as that."""
    (name, version), (other, there) = engine_parts(want), engine_parts(saved)
    wanted, running = version_numbers(version), version_numbers(there)
    if name != other or wanted[:1] != running[:1] or running[: len(wanted)] <= wanted:
        return want
    return engine(name, ".".join(str(number) for number in running[: len(wanted)]))

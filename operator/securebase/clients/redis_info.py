"""INFO of Redis and Valkey as figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from securebase.core.verification import Figures

_LARGEST = "replica_lag"


def figures_of(info: Mapping[str, Any]) -> Figures:
    """One server's figures. A Valkey names itself in `valkey_version`; its `redis_version` is that of the Redis it is compatible with."""
    return Figures(
        hits=_number(info, "keyspace_hits"),
        misses=_number(info, "keyspace_misses"),
        evicted_keys=_number(info, "evicted_keys"),
        used_memory=_number(info, "used_memory"),
        max_memory=_number(info, "maxmemory") or None,
        connected_clients=_number(info, "connected_clients"),
        max_clients=_number(info, "maxclients"),
        # Without a replica there was never a backlog, and the offset stands still (replicationFeedReplicas in replication.c).
        replication_offset=_number(info, "master_repl_offset") if info.get("repl_backlog_active") else None,
        replica_lag=_replica_lag(info),
        role=str(info.get("role", "")),
        version=str(info.get("valkey_version") or info.get("redis_version") or ""),
    )


def combined(shards: Iterable[Figures]) -> Figures:
    """Those of all primaries of a sharded cache. What one of them does not tell is unknown of the whole."""
    told = list(shards)
    if not told:
        return Figures()
    sums: dict[str, Any] = {"role": told[0].role, "version": told[0].version}
    for name in (each.name for each in fields(Figures) if each.name not in sums):
        values = [getattr(each, name) for each in told]
        known = [value for value in values if value is not None]
        if name == _LARGEST:
            sums[name] = max(known, default=None)
        else:
            sums[name] = sum(known) if len(known) == len(values) else None
    return Figures(**sums)


def _number(info: Mapping[str, Any], name: str) -> int | None:
    value = info.get(name)
    return int(value) if isinstance(value, (int, float)) else None


def _replica_lag(info: Mapping[str, Any]) -> int | None:
    """From the lines `slave0:ip=...,port=...,state=online,offset=...,lag=...`; one that is still being filled has no say."""
    written, number = _number(info, "master_repl_offset"), _number(info, "connected_slaves") or 0
    if written is None or info.get("role") != "master":
        return None
    replicas = (info.get(f"slave{index}") for index in range(number))
    offsets = [int(each["offset"]) for each in replicas if isinstance(each, Mapping) and each.get("state") == "online" and "offset" in each]
    return max((max(0, written - offset) for offset in offsets), default=None)

"""Snapshots of replication groups, and what was written after one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.driver import Saved
from securebase.resources.elasticache.model import engine

_MISSING: Final = ("SnapshotNotFoundFault",)
_BUSY: Final = ("InvalidSnapshotState",)
_AVAILABLE: Final = "available"


class GroupSnapshots:
    """Snapshots of one account and region, by name."""

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock

    def read(self, name: str) -> Mapping[str, Any] | None:
        """As AWS tells it; None when there is none of the name."""
        answer = self._aws.attempt("elasticache", "describe_snapshots", _MISSING, SnapshotName=name)
        return None if isinstance(answer, Refusal) else next(iter(answer.get("Snapshots", [])), None)

    def engine_in(self, name: str) -> str:
        """Engine and version of what it was made of; "" where that is not told."""
        there = self.read(name) or {}
        return engine(there["Engine"], there.get("EngineVersion") or "") if there.get("Engine") else ""

    def saved_at(self, name: str) -> float | None:
        """Unix seconds of the oldest part of a finished one."""
        there = self.read(name)
        since = _since(there) if there is not None and saved(there) is Saved.DONE else None
        return since.timestamp() if since is not None else None

    def discard(self, group: str, name: str) -> bool:
        """Remove it, if it is of this group: True once there is nothing of it."""
        there = self.read(name)
        if there is None or there.get("ReplicationGroupId") != group:
            return True
        answer = self._aws.attempt("elasticache", "delete_snapshot", (*_MISSING, *_BUSY), SnapshotName=name)
        return not isinstance(answer, Refusal) or answer.code in _MISSING

    def written_since(self, group: Mapping[str, Any], name: str) -> str:
        """Write commands as CloudWatch counted them (SetTypeCmds, a sum per node and minute); "" where it did not.

        In cluster mode AWS tells no roles. All nodes of a shard carry out its writes, the primary first: the highest of their sums is the
        shard's, whoever was its primary when.
        """
        since = _since(self.read(name) or {})
        if since is None:
            return ""
        counts = [self._of_shard(shard, since) for shard in group.get("NodeGroups") or ()]
        if not counts or None in counts:
            return ""
        return f"{sum(count or 0 for count in counts)} write commands went to it since the snapshot {name}; its successor lacks them"

    def _of_shard(self, shard: Mapping[str, Any], since: datetime) -> int | None:
        counts = (self._write_commands(member["CacheClusterId"], since) for member in shard.get("NodeGroupMembers") or ())
        return max((count for count in counts if count is not None), default=None)

    def _write_commands(self, member: str, since: datetime) -> int | None:
        """None where CloudWatch has no data of the node."""
        now = datetime.fromtimestamp(self._clock() // 60 * 60 + 60, UTC)  # with the minute that is not over: what is counted can only grow
        start, hours = since.replace(second=0, microsecond=0), max(1, int((now - since).total_seconds() // 3600))
        answer = self._aws.call(
            "cloudwatch", "get_metric_statistics", Namespace="AWS/ElastiCache", MetricName="SetTypeCmds", Statistics=["Sum"],
            Dimensions=[{"Name": "CacheClusterId", "Value": member}], StartTime=start, EndTime=max(now, start + timedelta(minutes=1)),
            Period=60 * -(-hours // 24),  # at most 1,440 points an answer
        )  # fmt: skip
        points = answer.get("Datapoints") or ()
        return round(sum(point["Sum"] for point in points)) if points else None


def saved(snapshot: Mapping[str, Any]) -> Saved:
    """How far a snapshot is. One that something is being made from (`restoring`) is finished."""
    return Saved.DONE if snapshot.get("SnapshotStatus") in (_AVAILABLE, "restoring") else Saved.UNDER_WAY


def _since(snapshot: Mapping[str, Any]) -> datetime | None:
    parts = snapshot.get("NodeSnapshots") or ()
    return min((part["SnapshotCreateTime"] for part in parts if part.get("SnapshotCreateTime")), default=None)

"""Snapshots of replication groups, and what was written after one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.driver import Saved
from securebase.core.errors import ReconcileError
from securebase.core.identity import OWNER_TAG, Identity
from securebase.resources.elasticache.group_config import endpoint
from securebase.resources.elasticache.model import engine
from securebase.resources.tagging import tag_list

_MISSING: Final = ("SnapshotNotFoundFault",)
_BUSY: Final = ("InvalidSnapshotState",)
_AVAILABLE: Final = "available"
OFFSET_TAG: Final = "securebase.io/replication-offset"
"""On a snapshot: how far the replication streams of its group were when it was asked for; what it lacks is rather counted too high than too low."""

_KEEPALIVE_BYTES, _KEEPALIVE_SECONDS = 14, 10
"""A primary with replicas writes a PING to its stream now and then (replicationCron in replication.c; repl-ping-replica-period, default 10 s)."""


class Offsets(Protocol):
    """Who can ask the nodes of an object's cache."""

    def __call__(self, identity: Identity, host: str, port: int) -> int | None:
        """Bytes in the replication streams of all primaries behind this address; None where that could not be found out."""


class GroupSnapshots:
    """Snapshots of one account and region, by name."""

    def __init__(self, aws: AwsScope, clock: Callable[[], float], offsets: Offsets | None = None) -> None:
        """`offsets` None: nobody stands where the nodes could be asked."""
        self._aws = aws
        self._clock = clock
        self._offsets = offsets

    def tags(self, identity: Identity, owner: str, group: Mapping[str, Any]) -> list[dict[str, str]]:
        """What one that is asked for now is to carry."""
        offset = self._offset(identity, group)
        return tag_list({OWNER_TAG: owner} | ({} if offset is None else {OFFSET_TAG: str(offset)}))

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

    def written_since(self, identity: Identity, group: Mapping[str, Any], name: str) -> str:
        """Bytes by the replication offsets, where the nodes can be asked now and could when the snapshot was; write commands as CloudWatch counted
        them, where it did. "" where neither is known."""
        there = self.read(name) or {}
        since = _since(there)
        if since is None:
            return ""
        try:
            written = self._bytes_since(identity, group, there, since)
        except ReconcileError:
            written = None
        try:
            commands = self._commands_since(group, since)
        except ReconcileError:
            if written is None:
                raise
            commands = None
        counted = f"{commands} write commands went to it since the snapshot {name}, by CloudWatch" if commands is not None else ""
        if written is None:
            return f"{counted}; its successor lacks them" if counted else ""
        also = f"; {counted}" if counted else ""
        return f"its replication offset has grown by {written} since the snapshot {name} was asked for{also}; its successor lacks what was written"

    def _offset(self, identity: Identity, group: Mapping[str, Any]) -> int | None:
        where = endpoint(group)
        return self._offsets(identity, str(where["Address"]), int(where["Port"])) if self._offsets is not None and where else None

    def _bytes_since(self, identity: Identity, group: Mapping[str, Any], snapshot: Mapping[str, Any], since: datetime) -> str | None:
        """In words: with how much of it may be no data. None where one of the two offsets is not known, or they are not of the same streams
        (a primary without replicas begins anew when it is restarted)."""
        now = self._offset(identity, group) if snapshot.get("ARN") else None
        if now is None:
            return None
        answer = self._aws.attempt("elasticache", "list_tags_for_resource", _MISSING, ResourceName=snapshot["ARN"])
        tags = {} if isinstance(answer, Refusal) else {tag["Key"]: tag.get("Value", "") for tag in answer.get("TagList", [])}
        before = tags.get(OFFSET_TAG, "")
        if not before.isdecimal() or int(before) > now:
            return None
        pings = int(self._clock() - since.timestamp()) // _KEEPALIVE_SECONDS * _KEEPALIVE_BYTES * len(group.get("NodeGroups") or ())
        return f"{now - int(before)} bytes (keep-alives are up to {max(0, pings)} of them)"

    def _commands_since(self, group: Mapping[str, Any], since: datetime) -> int | None:
        """SetTypeCmds, a sum per node and minute; None where CloudWatch has none of a shard.

        In cluster mode AWS tells no roles. All nodes of a shard carry out its writes, the primary first: the highest of their sums is the
        shard's, whoever was its primary when.
        """
        counts = [self._of_shard(shard, since) for shard in group.get("NodeGroups") or ()]
        known = [count for count in counts if count is not None]
        return sum(known) if known and len(known) == len(counts) else None

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

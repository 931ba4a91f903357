"""What is done with a running cache: snapshots, logs, verification by a client, recommendations."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le
from pydantic import StringConstraints

from securebase.api.base import ApiModel, Matches, Rule, Rules
from securebase.api.cache.windows import LEAST_MINUTES, DailyWindow, cel_daily_length, cel_is_daily, daily_span

MOST_RETENTION_DAYS = 35

SnapshotName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    Matches(
        r"^(automatic[.])?[A-Za-z][A-Za-z0-9.-]*$", "restoreFrom is the name of a snapshot in this region and account: automatic.sessions-2026-05-01-03-00"
    ),
]
LogGroupName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(r"^[A-Za-z0-9_/.#-]+$", "logGroup is the name of a CloudWatch log group, /elasticache/sessions, no ARN"),
]
StreamName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    Matches(r"^[A-Za-z0-9_.-]+$", "firehose is the name of a delivery stream, no ARN"),
]
NotificationTopicArn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(
        r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$",
        "notificationTopicArn must be that of an SNS standard topic: arn:aws:sns:eu-central-1:123456789012:ops",
    ),
]
Host = Annotated[
    str,
    StringConstraints(min_length=1, max_length=253),
    Matches(r"^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$", "verify.host is a name or an address without scheme and port; the port is verify.port"),
]


class Snapshot(ApiModel):
    """Daily snapshots, the last one, and the one to begin with."""

    window: DailyWindow | None = None
    """Daily window in UTC, like 03:00-05:00; AWS chooses one if omitted."""
    retention_days: Annotated[int, Ge(0)] | None = None
    """How long daily snapshots are kept, 0 for none; 7 in prod and 5 in dev if omitted. Shorter than before waits for approval."""
    final_snapshot: bool | None = None
    """Whether deletion leaves a snapshot behind; what policy.onDelete says if omitted, in prod it does."""
    restore_from: SnapshotName | None = None
    """Snapshot to make the cache from. Only read when it is made for the first time."""
    replacement: Literal["restore", "empty"] = "restore"
    """What an approved replacement begins with: a last snapshot of what it replaces, or nothing, where ElastiCache could not restore that."""

    rules: ClassVar[Rules] = (
        Rule(
            cel=f"!has(self.window) || !{cel_is_daily('self.window')} || {cel_daily_length('self.window')} >= {LEAST_MINUTES}",
            holds=lambda snapshot: snapshot.window is None or daily_span(snapshot.window)[1] >= LEAST_MINUTES,
            message="snapshot.window is shorter than ElastiCache's least of 60 minutes; let it end later",
            field=".window",
        ),
        Rule(
            cel=f"!has(self.retentionDays) || self.retentionDays <= {MOST_RETENTION_DAYS}",
            holds=lambda snapshot: snapshot.retention_days is None or snapshot.retention_days <= MOST_RETENTION_DAYS,
            message="snapshot.retentionDays is more than ElastiCache's most of 35; lower it, and copy snapshots that shall live longer",
            field=".retentionDays",
        ),
    )


class LogDelivery(ApiModel):
    """Where one log goes: exactly one of logGroup and firehose."""

    log_group: LogGroupName | None = None
    """Name of a CloudWatch log group that exists."""
    firehose: StreamName | None = None
    """Name of a Firehose delivery stream that exists."""
    format: Literal["json", "text"] = "json"
    """Format of a line."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="has(self.logGroup) != has(self.firehose)",
            holds=lambda delivery: (delivery.log_group is None) != (delivery.firehose is None),
            message="a log needs exactly one destination; give logGroup or firehose",
            field=".logGroup",
        ),
    )


class Logs(ApiModel):
    """Logs of the nodes. What is omitted is not delivered."""

    slow: LogDelivery | None = None
    """Commands slower than slowlog-log-slower-than."""
    engine: LogDelivery | None = None
    """What the engine itself says."""


class Verify(ApiModel):
    """The proof by a real client: TLS, login, ping, a write and a read of a key of its own, and the engine's own figures."""

    enabled: bool = True
    """Whether a client connects."""
    host: Host | None = None
    """Where to connect instead of the primary's address, like the end of a tunnel. The certificate is still that of the primary."""
    port: Annotated[int, Ge(1), Le(65_535)] | None = None
    """Port to connect to; the cache's if omitted."""


class Recommendations(ApiModel):
    """Advice from measured facts, with its monthly price."""

    enabled: bool = True
    """Whether there is any."""
    target_hit_rate_percent: Annotated[float, Gt(0), Le(100)] = 80
    """A hit rate below this together with evictions: too small."""
    low_memory_percent: Annotated[float, Gt(0), Le(100)] = 20
    """Less memory in use than this for the whole look-back: too big."""
    look_back_days: Annotated[int, Ge(1), Le(60)] = 3
    """How many days must agree."""

"""Settings of log groups that others made: how long events are kept, and the key that encrypts them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from securebase.core.errors import Waiting
from securebase.core.fields import ABSENT, Impact, managed

FOR_EVER: Final = 0
RETENTION_DAYS: Final = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""What PutRetentionPolicy takes (API reference); `FOR_EVER` takes the policy away."""

LOOK_SECONDS: Final = 60.0
"""How long after a missing log group is looked for again. It may be days until something writes to it."""


def _shortening(have: int | None, want: int | None) -> Impact:
    """Events older than the retention are deleted, and no key or copy brings them back. A group that never had a retention is the
    usual case, and giving it one the purpose: only a retention that somebody chose is protected."""
    chosen = have not in (ABSENT, FOR_EVER)
    return Impact.PROTECTION_LOSS if chosen and want and have and want < have else Impact.ONLINE


@dataclass(frozen=True, slots=True)
class LogGroupSettings:
    """What we set on a log group. The group is somebody else's: it is never made or deleted, and keeps what was set when we let go of it.

    retention_days  days, one of `RETENTION_DAYS`; `FOR_EVER` = events never expire
    kms_key         ARN of a customer key whose policy lets `logs.<region>.amazonaws.com` use it; "" leaves the group's key, or none, as it is

    External id: the name. Attributes: `name`, `arn`, `kmsKey` where it has one.
    """

    name: str = managed(impact=Impact.REPLACE)
    retention_days: int = managed(impact=_shortening, default=FOR_EVER)
    kms_key: str = ""


def problems(wanted: LogGroupSettings) -> Iterator[str]:
    """What CloudWatch Logs would refuse, in words for a person."""
    if wanted.retention_days != FOR_EVER and wanted.retention_days not in RETENTION_DAYS:
        yield f"a log group keeps events for one of {', '.join(map(str, RETENTION_DAYS))} days, or for ever (0)"
    if wanted.kms_key and not wanted.kms_key.startswith("arn:"):
        yield "the key of a log group is given by its ARN"


def missing_group(name: str) -> Waiting:
    """What is told of a log group that is not there: who makes it, and that nothing else has to be done."""
    if name.startswith("/aws/lambda/"):
        made = f"a function's first run makes it (function {name.removeprefix('/aws/lambda/')})"
    elif name.startswith(("API-Gateway-Execution-Logs_", "/aws/apigateway/", "/aws/rds/", "/aws/elasticache/")):
        made = "the service that writes to it makes it with its first log event, once logging is switched on there"
    else:
        made = "whoever writes to it makes it, usually with the first log event"
    return Waiting("LogGroupMissing", f"log group {name} does not exist; {made}; looked for again by itself", after=LOOK_SECONDS)

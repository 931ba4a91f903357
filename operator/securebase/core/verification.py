"""What a real client found where an object says its service is, and what a person is told of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from securebase.core.conditions import Condition

VERIFIED = "Verified"


class Finding(StrEnum):
    """What came of one verification; the value is the condition's reason."""

    PROVEN = "Verified"
    REFUSED = "Refused"  # the published credentials are not accepted
    WRONG = "WrongAnswer"  # it answers, and does not do what it is there for
    UNREACHABLE = "Unreachable"  # nothing is known: no name, no route, no TLS
    RESTRICTED = "NotPermitted"  # it answers, and the user may not do what proves more


@dataclass(frozen=True, slots=True)
class Figures:
    """What an engine tells of itself; None or "" = unknown. Of a sharded cache the sums over all primaries, and the largest lag.

    hits, misses, evicted_keys  since the server started
    used_memory, max_memory     bytes; max_memory is None where there is no limit
    replication_offset          bytes of the replication stream written so far; None where there never was a replica to write it for
    replica_lag                 bytes by which the slowest connected replica is behind; None without a replica
    """

    hits: int | None = None
    misses: int | None = None
    evicted_keys: int | None = None
    used_memory: int | None = None
    max_memory: int | None = None
    connected_clients: int | None = None
    max_clients: int | None = None
    replication_offset: int | None = None
    replica_lag: int | None = None
    role: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """One verification. `message` is for a person and holds neither secrets nor figures that move."""

    finding: Finding
    message: str
    figures: Figures = field(default_factory=Figures)

    @property
    def condition(self) -> Condition:
        """The condition `Verified`: Unknown where nothing was found out."""
        match self.finding:
            case Finding.PROVEN:
                status: bool | None = True
            case Finding.REFUSED | Finding.WRONG:
                status = False
            case Finding.UNREACHABLE | Finding.RESTRICTED:
                status = None
        return Condition(VERIFIED, status, self.finding.value, self.message)


def hit_ratio(before: Figures | None, now: Figures, own_reads: int) -> float | None:
    """Share of the reads between two looks that found their key; the first time, or after a restart, of all since the server started.

    None while nobody read anything. `own_reads`: hits between the looks that are the verification's own, which an idle cache would
    else be praised for.
    """
    if now.hits is None or now.misses is None:
        return None
    hits, misses = now.hits, now.misses
    if before is not None and before.hits is not None and before.misses is not None and before.hits <= hits and before.misses <= misses:
        hits, misses = max(0, hits - before.hits - own_reads), misses - before.misses
    return hits / (hits + misses) if hits + misses else None

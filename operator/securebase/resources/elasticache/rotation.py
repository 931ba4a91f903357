"""Rotation of what clients of a cache log in with: what is known of it outside, and the one step that follows. Pure.

Nothing of a rotation is kept in a status. The values are versions of a secret: AWSCURRENT is what is published, AWSPENDING what is to come.
How far a rotation is stands in tags of the secret, because one request changes several of them at once and staging labels only change one by one:
which version the cache accepts (`in_force`), beside which it accepts no other (`alone`), what is about to be asked of it (`intent`), and what
AuthTokenLastModifiedDate was before (`base`). When that date moves, what was asked has happened.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from securebase.resources.elasticache.rotation_record import IMMEDIATE, Access, Ask, Record, seconds, stamp_of
from securebase.resources.elasticache.rotation_request import refusal

LOOK_SECONDS: Final = 60.0
"""How long a cache that shows no sign of what was asked of it is watched before it is asked again. ElastiCache keeps the two latest tokens:
the same one asked for twice could push out the one that is in use (User Guide, "Authenticating with the AUTH command")."""

POLL_SECONDS: Final = 10.0
SKEW_SECONDS: Final = 300.0
"""How far the clocks of Secrets Manager and ElastiCache may be apart."""

_CUT: Final = "the rotation is immediate: clients with the value before are cut off"


@dataclass(frozen=True, slots=True)
class Credential:
    """What clients of a cache log in with: the AUTH token, or the password of one user.

    group          id of the replication group
    secret         ARN of the secret with the value
    user           id of the user; "" = the AUTH token
    every_seconds  how old a value may become; 0 = rotated on request only
    request        rotated once for each new text here; one that has a `refusal` (`rotation_request`) is told and rotates nothing
    immediate      the request is because of a compromise: no grace for what was in force

    Attributes: `version` (that the cache accepts), `requested` (the request that was taken up last), `step`, `startedAt` (RFC 3339: when the value
    in force was put there), `immediate` (true, where it is or will be one that replaces a compromised one). Secret attribute: `password`, at that
    version. Version, time and password are left out until the cache is known to accept one.
    """

    group: str
    secret: str
    user: str = ""
    every_seconds: int = 0
    request: str = ""
    immediate: bool = False


@dataclass(frozen=True, slots=True)
class CredentialRetirement:
    """The end of what was in force before: some time after the new one was published, the cache accepts that one alone.

    version        that was published
    published_at   RFC 3339: when
    grace_seconds  how long what was published before goes on working
    request        as of the credential: an immediate one that is not taken up yet ends the grace of the rotation before it
    immediate      as of the credential

    Attributes: `version` (beside which the cache accepts no other), `step`, `graceEndsAt` (RFC 3339, while there is one to wait for).
    """

    group: str
    secret: str
    version: str
    published_at: str
    user: str = ""
    grace_seconds: int = 86_400
    request: str = ""
    immediate: bool = False


CHANGED_OUTSIDE: Final = "ChangedOutside"
"""Reason of a step that answers what somebody else did."""


class Do(StrEnum):
    """One step. Each may be repeated after a crash at any point of it."""

    NOTHING = ""
    ADOPT = "Adopt"
    REBASE = "Rebase"
    PUT = "PutPending"
    ACKNOWLEDGE = "Acknowledge"
    RECLAIM = "Reclaim"
    ROTATE = "Rotate"
    PROMOTE = "Promote"
    FINISH = "MoveLabels"
    SET = "SetToken"
    ALONE = "RecordAlone"
    GIVE_UP = "RotateAgain"


@dataclass(frozen=True, slots=True)
class Move:
    """What to do next and, for a person, why; or until when there is nothing to do. `version` is the one that it is about."""

    do: Do
    reason: str
    message: str
    again_at: float = 0.0
    version: str = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a step is decided by.

    created  Unix seconds at which the value in force (else the current one) was made; 0 = not known
    waited   seconds since we asked for what is intended, or first saw that it is intended and has not happened; < 0 = not at all
    asked    whether this process asked for it
    proven   whether a login with the version in question works; None = nobody can tell
    look     seconds in which what was asked for may not show yet
    """

    record: Record
    access: Access
    now: float
    created: float = 0.0
    waited: float = -1.0
    asked: bool = False
    proven: bool | None = None
    look: float = LOOK_SECONDS

    @property
    def moved(self) -> bool:
        return self.record.moved(self.access)


def asks_anew(want: Credential | CredentialRetirement, record: Record) -> bool:
    """Whether a rotation is asked for that was not taken up yet."""
    return want.request not in ("", record.acknowledged) and not refusal(want.request)


def rotation_move(want: Credential, at: Situation) -> Move:
    """The next step of a credential."""
    record = at.record
    if not record.in_force and not record.rotates:
        return _first(at)
    if record.unfinished:
        return Move(Do.FINISH, "Rotating", "the cache accepts the new value; it becomes the current one", version=record.in_force)
    candidate = record.candidate
    if not candidate:
        return _rest(want, at)
    if record.alone and candidate != record.current and asks_anew(want, record):
        return Move(Do.ACKNOWLEDGE, "Rotating", f"request {want.request} is answered by the rotation under way", version=candidate)
    move = _candidate(at, candidate)
    return replace(move, message=f"{move.message}; {_CUT}") if record.tags.get(IMMEDIATE) == candidate else move


def _first(at: Situation) -> Move:
    """The version there is was given to the cache when that was made, unless the cache has something older, or nothing."""
    record, access = at.record, at.access
    if not access.ready:
        return _wait(at, "WaitsForGroup", f"the cache is {access.status}")
    older = bool(access.since and at.created) and access.since < at.created - SKEW_SECONDS
    if not access.enabled or at.proven is False or (older and at.proven is None):
        return Move(Do.ROTATE, "Introducing", "the cache does not know the current value yet", version=record.current)
    return Move(Do.ADOPT, "Adopting", "the cache was made with the current value", version=record.current)


def _rest(want: Credential, at: Situation) -> Move:
    """Nothing is being rotated."""
    record, access = at.record, at.access
    if not record.alone:
        return Move(Do.NOTHING, "GracePeriod", "the value before still works; no other rotation begins until it is retired")
    if access.ready and not record.of_group(access):
        return Move(Do.REBASE, "Rebase", "the cache is another one, made with the current value", version=record.in_force)
    if access.ready and (at.moved or (access.user and (access.passwords != 1 or at.proven is False))):
        return Move(Do.PUT, CHANGED_OUTSIDE, "somebody else changed what clients log in with", version=record.in_force)
    if asks_anew(want, record):
        return Move(Do.PUT, "Requested", f"rotation {want.request} is requested", version=record.in_force)
    due = at.created + want.every_seconds if want.every_seconds and at.created else 0.0
    if 0 < due <= at.now:
        return Move(Do.PUT, "Due", f"the value is older than {want.every_seconds} s", version=record.in_force)
    return Move(Do.NOTHING, "", "", due)


def _candidate(at: Situation, candidate: str) -> Move:
    record, access = at.record, at.access
    if record.intends(Ask.ROTATE, candidate) and record.of_group(access):
        return _rotating(at, candidate)
    if record.intends(Ask.RECLAIM, candidate) and record.of_group(access):
        return _reclaiming(at, candidate)
    if record.in_force and not record.alone:
        return Move(Do.NOTHING, "GracePeriod", "the value before still works; no other rotation begins until it is retired")
    if not access.ready:
        return _wait(at, "WaitsForGroup", f"the new value is ready; the cache is {access.status}")
    lost = record.rotates not in ("", candidate)
    if record.in_force and not access.user and record.of_group(access) and (at.moved or lost) and record.tags.get(IMMEDIATE) != candidate:
        return _reclaim(candidate)
    return Move(Do.ROTATE, "Rotating", "the cache is to accept the new value beside the one in force", version=candidate)


def _reclaim(candidate: str) -> Move:
    """Of two tokens, the older goes when a third comes: the published one must not be it."""
    return Move(Do.RECLAIM, "Reclaiming", "another token came in between; the published one is made the latest again first", version=candidate)


def _rotating(at: Situation, candidate: str) -> Move:
    access = at.access
    if not access.ready:
        return _wait(at, "Rotating", f"the cache is taking the new value ({access.status})")
    happened = at.moved
    if access.user:
        happened = at.asked and access.passwords == (2 if at.record.in_force else 1)
    if at.proven is not False and (happened or (at.proven and (access.user or at.waited >= at.look))):
        return Move(Do.PROMOTE, "Rotating", "the cache accepts the new value", version=candidate)
    repeats = bool(access.user) and not at.asked
    if at.waited < at.look and not repeats:
        return _wait(at, "Rotating", "watching whether the cache has taken the new value")
    if at.moved and not access.user and at.record.in_force:
        return _reclaim(candidate)
    return Move(Do.ROTATE, "Rotating", "the cache was not asked to accept the new value, or did not", version=candidate)


def _reclaiming(at: Situation, candidate: str) -> Move:
    if not at.access.ready:
        return _wait(at, "Reclaiming", f"the cache is taking the published value again ({at.access.status})")
    if at.moved:
        return Move(Do.ROTATE, "Rotating", "the published value is safe; the cache is to accept the new one", version=candidate)
    return _wait(at, "Reclaiming", "watching the cache") if at.asked and at.waited < at.look else _reclaim(candidate)


def retirement_move(want: CredentialRetirement, at: Situation) -> Move:
    """The next step of the end of what was in force before."""
    record, access = at.record, at.access
    if record.alone:
        return Move(Do.NOTHING, "", "")
    if not record.in_force or want.version != record.in_force or record.unfinished:
        return Move(Do.NOTHING, "WaitsForCredential", "the new value is not in force yet", at.now + POLL_SECONDS)
    if access.ready and not record.of_group(access):
        return Move(Do.ALONE, "Rebase", "the cache is another one, made with the current value alone", version=record.in_force)
    if record.intends(Ask.SET, record.in_force):
        move = _setting(at)
        return replace(move, message=f"{move.message}; {_CUT}") if hurried(want, record) else move
    if access.ready and at.moved and not access.user:
        return Move(Do.GIVE_UP, CHANGED_OUTSIDE, "somebody else changed the token in the grace period; it is rotated again", version=record.in_force)
    end = grace_ends(want, record)
    if end is None:
        return Move(Do.NOTHING, "NotPublished", "the new value is not published yet; the one before works until it was", at.now + POLL_SECONDS)
    if at.now < end:
        return Move(Do.NOTHING, "GracePeriod", f"the value before works until {stamp_of(end)}", end)
    if not access.ready:
        return _wait(at, "WaitsForGroup", f"the grace period is over; the cache is {access.status}")
    return _set(record.in_force, hurried(want, record))


def _setting(at: Situation) -> Move:
    record, access = at.record, at.access
    if not access.ready:
        return _wait(at, "Retiring", f"the cache is dropping the value before ({access.status})")
    if access.passwords == 1 if access.user else at.moved:
        if at.proven is False:
            return Move(Do.GIVE_UP, CHANGED_OUTSIDE, "somebody else changed the token meanwhile; it is rotated again", version=record.in_force)
        return Move(Do.ALONE, "Retiring", "the cache accepts the new value alone", version=record.in_force)
    if at.waited < at.look and (at.asked or not access.user):
        return _wait(at, "Retiring", "watching whether the cache has dropped the value before")
    return _set(record.in_force, False)


def _set(version: str, cut: bool) -> Move:
    told = _CUT if cut else "the grace period is over: the value before stops working"
    return Move(Do.SET, "Retiring", told, version=version)


def cuts_off(record: Record) -> bool:
    """Whether the version in force, or the one that is to be, replaces a compromised one."""
    return record.tags.get(IMMEDIATE, "") in {record.in_force, record.candidate} - {""}


def hurried(want: CredentialRetirement, record: Record) -> bool:
    """Whether there is no grace: what is in force replaces a compromised one, or is itself to be replaced at once."""
    return record.tags.get(IMMEDIATE) == record.in_force or (want.immediate and asks_anew(want, record))


def grace_ends(want: CredentialRetirement, record: Record) -> float | None:
    """Unix seconds; counted from the publication. None while what is published is older than what is in force, or nobody knows."""
    published = seconds(want.published_at)
    if not published or not record.since or published < record.since:
        return None
    return published if hurried(want, record) else published + want.grace_seconds


def _wait(at: Situation, reason: str, message: str) -> Move:
    return Move(Do.NOTHING, reason, message, at.now + POLL_SECONDS)

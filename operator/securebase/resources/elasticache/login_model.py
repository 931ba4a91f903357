"""How clients log in to a cache: with its AUTH token, as users, or on their way from one to the other. Pure.

The way between the two is the user `default`, who is whoever logs in without a name. A token is that user's password to a client, so that a
user `default` whose password is the token lets the same clients in while a cache is open to users (ElastiCache User Guide, "Role-Based Access
Control", "Authenticating with the AUTH command"). Whoever moves has both ways for a grace: the new one is published first, the old one ends after it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from securebase.core.fields import managed
from securebase.resources.elasticache.rotation_record import seconds, stamp_of

MOVED: Final = "securebase.io/token-moved"
"""Tag of the token's secret: which way clients move to, since when they know, and what was asked for when that began."""

EVERYTHING: Final = "on ~* &* +@all"
"""Access string of the user `default` while it stands for the token, which lets its clients do everything."""


class Way(StrEnum):
    """What the spec wants clients to log in with."""

    OPEN = "open"
    TOKEN = "token"
    USERS = "users"


class Stage(StrEnum):
    """How things are to stand now, for the way that is wanted."""

    OPEN = "open"
    TOKEN = "token"
    USERS = "users"
    TO_TOKEN = "to-token"  # open to users still; the token is the password of `default` among them, and published
    TO_USERS = "to-users"  # open to users, who are published; `default` has the token as its password
    STAYS = "stays"  # asked to let everybody in, which a cache that asks for a secret does not learn again


@dataclass(frozen=True, slots=True)
class LoginState:
    """A look at how a cache lets clients in, by names that nothing else has to be known for. Never written.

    secret         name of the token's secret
    user_group     id of the cache's user group; that of a successor counts too
    way            what is wanted
    shares_token   a user `default` is among those wanted: the token is its password for good
    grace_seconds  how long the way before goes on
    request        what `securebase.io/rotate` asks for, and
    immediate      whether it is a compromise: asked for during a move, it ends the way before

    Attributes: `stage`; `users` (JSON: name -> access string of the users the cache is open to) where the stage is to-token; `graceEndsAt` (RFC 3339).
    """

    secret: str
    user_group: str
    way: str
    shares_token: bool = False
    grace_seconds: int = 86_400
    request: str = ""
    immediate: bool = False


@dataclass(frozen=True, slots=True)
class LoginMove:
    """That clients are being moved, noted on the token's secret: begun before they are told of the new way, `told` after it. The grace counts
    from the second.

    secret   ARN of the token's secret
    to       users or token
    request  what `securebase.io/rotate` asked for when it began; not compared afterwards

    Attributes: `since` (RFC 3339, once they were told).
    """

    secret: str
    to: str = managed()
    told: bool = False
    request: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """The tag `MOVED`: `<to>/<since>/<request>`, without a time before clients were told."""

    to: str = ""
    since: str = ""
    request: str = ""

    @classmethod
    def of(cls, noted: str) -> Move:
        """From the tag's value."""
        to, _, rest = noted.partition("/")
        since, _, request = rest.partition("/")
        return cls(to, since, request)

    def __str__(self) -> str:
        return f"{self.to}/{self.since}/{self.request}"

    def at(self, now: float) -> Move:
        """The same, told now."""
        return replace(self, since=stamp_of(now))


@dataclass(frozen=True, slots=True)
class Logins:
    """What is known outside.

    token     there is a secret with a token, which others may want to have deleted
    on_users  the cache is open to users of its group
    settled   no rotation of the token is under way or about to be: the one value that is accepted is the current one
    move      that is noted
    """

    token: bool = False
    on_users: bool = False
    settled: bool = True
    move: Move = Move()

    def grace_ends(self, want: LoginState) -> float | None:
        """Unix seconds; None before clients were told. There is none for a way that turns out to be compromised meanwhile."""
        since = seconds(self.move.since)
        if self.move.to != want.way or not since:
            return None
        return since if want.immediate and want.request != self.move.request else since + want.grace_seconds


def stage(want: LoginState, there: Logins, now: float) -> Stage:
    """How things are to stand now. Nobody is moved while a rotation gives the token's clients two values, and none of the old way ends
    before the grace since the new one was published, nor while the cache does not take the new one yet."""
    ends = there.grace_ends(want)
    over = ends is not None and now >= ends
    match want.way:
        case Way.USERS:
            if there.token and not there.on_users and not there.settled:
                return Stage.TOKEN
            return Stage.TO_USERS if there.token and not want.shares_token and not (over and there.on_users) else Stage.USERS
        case Way.TOKEN:
            return Stage.TO_TOKEN if there.on_users and not (over and there.settled) else Stage.TOKEN
        case _:
            return Stage.STAYS if there.token or there.on_users else Stage.OPEN

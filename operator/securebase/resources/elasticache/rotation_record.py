"""What is known outside of a rotation: how a cache lets clients in, and what our tags on the secret say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from securebase.resources.elasticache.rotation_request import read_back

CURRENT: Final = "AWSCURRENT"
PENDING: Final = "AWSPENDING"

_PREFIX: Final = "securebase.io/token-"
IN_FORCE: Final = f"{_PREFIX}in-force"
"""Tag: the version that the cache is known to accept, and that is published."""
SINCE: Final = f"{_PREFIX}in-force-since"
"""Tag: when that became known, before it was published."""
ALONE: Final = f"{_PREFIX}alone"
"""Tag: the version beside which the cache accepts no other."""
BASE: Final = f"{_PREFIX}modified"
"""Tag: group, user and AuthTokenLastModifiedDate before what is intended, else as we left them."""
INTENT: Final = f"{_PREFIX}intent"
"""Tag: what the cache is about to be asked, and about which version."""
IMMEDIATE: Final = f"{_PREFIX}immediate"
"""Tag: the version that replaces a compromised one."""
ACKNOWLEDGED: Final = "securebase.io/rotation"
"""Tag: the request that was taken up last."""
RETIRES: Final = f"{_PREFIX}retirement"
"""Tag: what was before is retired."""


@dataclass(frozen=True, slots=True)
class Access:
    """How a cache lets clients in, as far as ElastiCache tells.

    ready      it takes a change now, and none is under way
    enabled    somebody has to know something to get in
    modified   AuthTokenLastModifiedDate in ISO 8601; "" where there is none, as with users
    since      Unix seconds: how long what is in force has been; 0 = nobody knows
    passwords  of the user; 0 with a token
    """

    group: str
    user: str = ""
    ready: bool = True
    status: str = ""
    enabled: bool = True
    modified: str = ""
    since: float = 0.0
    passwords: int = 0

    @property
    def stamp(self) -> str:
        """What `base` holds: another one later means that something was changed."""
        return "/".join((self.group, self.user, self.modified))

    @property
    def long_ago(self) -> str:
        """A `base` after which something was changed, whatever the date is."""
        return "/".join((self.group, self.user, "1970-01-01T00:00:00+00:00"))


@dataclass(frozen=True, slots=True)
class Record:
    """A secret as a rotation sees it: versions by staging label, and our tags."""

    labels: Mapping[str, str]
    tags: Mapping[str, str]

    @property
    def current(self) -> str:
        return self.labels.get(CURRENT, "")

    @property
    def in_force(self) -> str:
        return self.tags.get(IN_FORCE, "")

    @property
    def alone(self) -> bool:
        return bool(self.in_force) and self.tags.get(ALONE) == self.in_force

    @property
    def base(self) -> str:
        return self.tags.get(BASE, "")

    @property
    def acknowledged(self) -> str:
        return read_back(self.tags.get(ACKNOWLEDGED, ""))

    @property
    def since(self) -> float:
        """Unix seconds since when `in_force` is; 0 where that is lost."""
        return seconds(self.tags.get(SINCE, ""))

    @property
    def unfinished(self) -> bool:
        """Accepted, but not current yet. A current version that somebody else put there is no such thing."""
        return bool(self.in_force) and self.labels.get(PENDING) == self.in_force

    @property
    def candidate(self) -> str:
        """The version that the cache is to accept next."""
        pending = self.labels.get(PENDING, "")
        if not self.in_force:
            return self.current
        if pending not in ("", self.in_force):
            return pending
        return self.current if self.current != self.in_force and not self.unfinished else ""

    def intends(self, what: Ask, version: str) -> bool:
        return self.tags.get(INTENT) == intent(what, version)

    @property
    def rotates(self) -> str:
        """The version that the cache was, or was about to be, asked to accept beside the one in force."""
        what, _, version = self.tags.get(INTENT, "").partition("/")
        return version if what == Ask.ROTATE else ""

    def of_group(self, access: Access) -> bool:
        """Whether `base` is about this very group and user."""
        return self.base.rpartition("/")[0] == access.stamp.rpartition("/")[0]

    def moved(self, access: Access) -> bool:
        """Whether somebody changed the token since `base` was noted. A read may be older than that: then it tells nothing."""
        return seconds(access.modified) > seconds(self.base.rpartition("/")[2])

    def next_base(self, access: Access) -> str:
        """What to note now."""
        return access.stamp if self.moved(access) or not self.of_group(access) else self.base


class Ask(StrEnum):
    """What is asked of a cache."""

    ROTATE = "rotate"  # accept this one too
    RECLAIM = "reclaim"  # let the one in force be among the two latest again
    SET = "set"  # accept this one alone


def intent(what: Ask, version: str) -> str:
    """Value of the tag."""
    return f"{what}/{version}"


def stamp_of(moment: float) -> str:
    """RFC 3339, whole seconds: as publications are stamped."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    """Unix seconds of an RFC 3339 text; 0 where it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return moment.timestamp() if moment.tzinfo is not None else 0.0

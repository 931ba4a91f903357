"""Users of a cache and the groups that bind them to it (role-based access control)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from securebase.core.fields import Impact, SecretValue, managed
from securebase.core.graph import SecretFrom

DISABLED: Final = "off ~* -@all"
"""Access string of a user that nobody can be."""

ID_LENGTH: Final = 40

_ALIASES: Final = {"allkeys": "~*", "allchannels": "&*", "allcommands": "+@all", "nocommands": "-@all"}


def engine_impact(have: Any, want: Any) -> Impact:
    """Redis to Valkey is a modification; there is no way back."""
    return Impact.ONLINE if (have, want) == ("redis", "valkey") else Impact.REPLACE


@dataclass(frozen=True, slots=True)
class User:
    """One user.

    user_id         lower case, at most 40 characters
    user_name       what clients log in as; `default` is who they are without a name
    access_string   as Redis' ACL spells it, without passwords
    passwords       one or two, set at creation, when the user is switched on, and when `authentication` has to be put right, else not compared:
                    rotating them is another type's work. A user that is off needs none: it gets one that nobody knows, because a group of
                    engine valkey takes no user without
    authentication  `password` or `iam`; with `iam` id and name must be equal
    password_version  of the one password, where that is to be kept by this type; "" = not compared. It is noted in a tag

    Attributes: `id`, `arn`, `name`, `status`, `passwordCount`.
    """

    user_id: str = managed(impact=Impact.REPLACE)
    user_name: str = managed(impact=Impact.REPLACE)
    engine: str = managed(impact=engine_impact)
    tags: Mapping[str, str] = managed(open=True)
    access_string: str = DISABLED
    passwords: tuple[SecretValue | SecretFrom, ...] = managed(secret=True, default=())
    authentication: str = "password"
    password_version: str = ""


@dataclass(frozen=True, slots=True)
class UserGroup:
    """The users of a cache; the whole set. Of engine redis, one of them must have the name `default`.

    Attributes: `id`, `arn`, `status`.
    """

    group_id: str = managed(impact=Impact.REPLACE)
    engine: str = managed(impact=engine_impact)
    tags: Mapping[str, str] = managed(open=True)
    user_ids: frozenset[str] = managed()


def default_user(group_id: str, engine: str, tags: Mapping[str, str]) -> User:
    """A user `default` that nobody can be, for one group: a group must have one, and AWS's own may do everything without a password."""
    return User(f"{group_id[: ID_LENGTH - 8].rstrip('-')}-default", "default", engine, tags)


def is_off(access_string: str) -> bool:
    """Whether nobody can log in with it; a string that says neither `on` nor `off` is off."""
    return [word for word in access_string.split() if word in ("on", "off")][-1:] != ["on"]


def access(access_string: str) -> tuple[Any, ...]:
    """What an access string means, for comparing: AWS answers `on ~app:* -@all +@read` when it was given `on ~app:* +@read`.

    Keys and channels are sets; of commands the order counts, and one that says `@all` outdoes those before it.
    """
    words = [_ALIASES.get(word, word) for word in access_string.split()]
    if any(word.startswith("(") for word in words):  # selectors: not taken apart
        return tuple(words)
    keys: set[str] = set()
    channels: set[str] = set()
    commands: list[str] = []
    for word in words:
        match word[0]:
            case "~" | "%":
                keys.add(word)
            case "&":
                channels.add(word)
            case "+" | "-":
                commands = _with_command(commands, word.lower())
            case _:
                keys, channels = _reset(word, keys, channels)
    return is_off(access_string), frozenset(keys), frozenset(channels), tuple(commands)


def _with_command(commands: list[str], word: str) -> list[str]:
    if word == "-@all":
        return []
    return [word] if word == "+@all" else [*commands, word]


def _reset(word: str, keys: set[str], channels: set[str]) -> tuple[set[str], set[str]]:
    match word:
        case "resetkeys":
            return set(), channels
        case "resetchannels":
            return keys, set()
        case _:
            return keys, channels

"""Whether a cache lets somebody in, proven by a login where it can be reached from here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from securebase.resources.elasticache.credential_reads import Sight
from securebase.resources.elasticache.group_config import endpoint
from securebase.resources.elasticache.user_model import is_off

UNREACHABLE_SECONDS: Final = 30.0
"""How long a cache that gave no answer is not tried again: many users of one cache would else wait for each try in turn."""


class LoginProof(Protocol):
    """Who can try a login at a cache."""

    def login(self, host: str, port: int, password: str, username: str = "") -> bool | None:
        """Whether it is accepted; None where that could not be found out."""


class Doors:
    """Tries logins at caches, and remembers which of them gave no answer. Thread-safe."""

    def __init__(self, proof: LoginProof | None, clock: Callable[[], float]) -> None:
        """`proof` None: nobody can tell."""
        self._proof = proof
        self._clock = clock
        self._silent: dict[tuple[str, int], float] = {}

    def accepts(self, sight: Sight, password: str) -> bool | None:
        """None where it cannot be told. A user that is off is refused whatever the password is: that says nothing about it."""
        where, user = endpoint(sight.group), sight.user
        if self._proof is None or not where or (user is not None and is_off(str(user.get("AccessString") or ""))):
            return None
        door, now = (str(where["Address"]), int(where["Port"])), self._clock()
        if now - self._silent.get(door, float("-inf")) < UNREACHABLE_SECONDS:
            return None
        answer = self._proof.login(*door, password, str(user["UserName"]) if user is not None else "")
        if answer is None:
            self._silent[door] = now
        else:
            self._silent.pop(door, None)
        return answer

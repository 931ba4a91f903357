"""How a cache's logins are to stand, for every way that is wanted and everything that may be known of it."""

from __future__ import annotations

import itertools

import pytest

from securebase.resources.elasticache.login_model import Logins, LoginState, Stage, Way, moved, stage

NOW = 1_800_000_000.0
GRACE = 600.0


def wanting(way: Way, *, shares_token: bool = False) -> LoginState:
    return LoginState("secret", "users", way.value, shares_token, int(GRACE))


def told(to: str, ago: float) -> str:
    return moved(to, NOW - ago)


@pytest.mark.parametrize(
    ("way", "there", "expected"),
    [
        (Way.TOKEN, Logins(), Stage.TOKEN),
        (Way.TOKEN, Logins(token=True), Stage.TOKEN),
        (Way.TOKEN, Logins(on_users=True), Stage.TO_TOKEN),
        (Way.TOKEN, Logins(True, True), Stage.TO_TOKEN),
        (Way.TOKEN, Logins(True, True, moved=told("token", GRACE - 1)), Stage.TO_TOKEN),
        (Way.TOKEN, Logins(True, True, moved=told("token", GRACE)), Stage.TOKEN),
        (Way.TOKEN, Logins(True, True, settled=False, moved=told("token", GRACE)), Stage.TO_TOKEN),
        (Way.TOKEN, Logins(True, True, moved=told("users", 10 * GRACE)), Stage.TO_TOKEN),
        (Way.TOKEN, Logins(True, False, moved=told("token", GRACE)), Stage.TOKEN),
        (Way.USERS, Logins(), Stage.USERS),
        (Way.USERS, Logins(on_users=True), Stage.USERS),
        (Way.USERS, Logins(token=True), Stage.TO_USERS),
        (Way.USERS, Logins(token=True, settled=False), Stage.TOKEN),
        (Way.USERS, Logins(True, True, settled=False), Stage.TO_USERS),
        (Way.USERS, Logins(True, True, moved=told("users", GRACE - 1)), Stage.TO_USERS),
        (Way.USERS, Logins(True, True, moved=told("users", GRACE)), Stage.USERS),
        (Way.USERS, Logins(True, True, moved=told("token", 10 * GRACE)), Stage.TO_USERS),
        (Way.USERS, Logins(True, True, moved="users/nonsense"), Stage.TO_USERS),
        (Way.OPEN, Logins(), Stage.OPEN),
        (Way.OPEN, Logins(token=True), Stage.STAYS),
        (Way.OPEN, Logins(on_users=True), Stage.STAYS),
    ],
)
def test_stages(way: Way, there: Logins, expected: Stage) -> None:
    assert stage(wanting(way), there, NOW) is expected


def test_a_user_default_among_the_wanted_keeps_the_token_for_good() -> None:
    want = wanting(Way.USERS, shares_token=True)
    assert stage(want, Logins(token=True), NOW) is Stage.USERS
    assert stage(want, Logins(token=True, settled=False), NOW) is Stage.TOKEN
    assert stage(want, Logins(True, True), NOW) is Stage.USERS


def test_nobody_is_cut_off_before_the_grace_is_over() -> None:
    """The way that a cache is on goes on working for as long as clients were not told of the other for a grace."""
    knowns = [
        Logins(token, on_users, settled, note)
        for token, on_users, settled in itertools.product((False, True), repeat=3)
        for note in ("", told("token", 1), told("users", 1), told("token", GRACE + 1), told("users", GRACE + 1))
    ]
    for there in knowns:
        if there.on_users and there.moved != told("token", GRACE + 1):
            assert stage(wanting(Way.TOKEN), there, NOW) is Stage.TO_TOKEN, there
        if there.token and there.moved != told("users", GRACE + 1):
            assert stage(wanting(Way.USERS), there, NOW) in (Stage.TO_USERS, Stage.TOKEN), there

"""How a cache's logins are to stand, for every way that is wanted and everything that may be known of it."""

from __future__ import annotations

import itertools

import pytest

from securebase.resources.elasticache.login_model import Logins, LoginState, Move, Stage, Way, stage

NOW = 1_800_000_000.0
GRACE = 600.0


def wanting(way: Way, *, shares_token: bool = False, request: str = "", immediate: bool = False) -> LoginState:
    return LoginState("secret", "users", way.value, shares_token, int(GRACE), request, immediate)


def told(to: str, ago: float, request: str = "") -> Move:
    return Move(to, request=request).at(NOW - ago)


@pytest.mark.parametrize(
    ("way", "there", "expected"),
    [
        (Way.TOKEN, Logins(), Stage.TOKEN),
        (Way.TOKEN, Logins(token=True), Stage.TOKEN),
        (Way.TOKEN, Logins(on_users=True), Stage.TO_TOKEN),
        (Way.TOKEN, Logins(True, True), Stage.TO_TOKEN),
        (Way.TOKEN, Logins(True, True, move=told("token", GRACE - 1)), Stage.TO_TOKEN),
        (Way.TOKEN, Logins(True, True, move=told("token", GRACE)), Stage.TOKEN),
        (Way.TOKEN, Logins(True, True, settled=False, move=told("token", GRACE)), Stage.TO_TOKEN),
        (Way.TOKEN, Logins(True, True, move=told("users", 10 * GRACE)), Stage.TO_TOKEN),
        (Way.TOKEN, Logins(True, False, move=told("token", GRACE)), Stage.TOKEN),
        (Way.USERS, Logins(), Stage.USERS),
        (Way.USERS, Logins(on_users=True), Stage.USERS),
        (Way.USERS, Logins(token=True), Stage.TO_USERS),
        (Way.USERS, Logins(token=True, settled=False), Stage.TOKEN),
        (Way.USERS, Logins(True, True, settled=False), Stage.TO_USERS),
        (Way.USERS, Logins(True, True, move=Move("users")), Stage.TO_USERS),
        (Way.USERS, Logins(True, False, move=told("users", 2 * GRACE)), Stage.TO_USERS),
        (Way.USERS, Logins(True, True, move=told("users", GRACE - 1)), Stage.TO_USERS),
        (Way.USERS, Logins(True, True, move=told("users", GRACE)), Stage.USERS),
        (Way.USERS, Logins(True, True, move=told("token", 10 * GRACE)), Stage.TO_USERS),
        (Way.USERS, Logins(True, True, move=Move("users", "nonsense")), Stage.TO_USERS),
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


def test_what_is_compromised_meanwhile_has_no_grace() -> None:
    under_way = Logins(True, True, move=told("users", 1, request="monthly"))
    assert stage(wanting(Way.USERS, request="monthly", immediate=True), under_way, NOW) is Stage.TO_USERS, "asked for before it began"
    assert stage(wanting(Way.USERS, request="leak,immediate", immediate=True), under_way, NOW) is Stage.USERS
    assert stage(wanting(Way.USERS, request="another"), under_way, NOW) is Stage.TO_USERS
    begun = Logins(True, True, move=Move("users", request="monthly"))
    assert stage(wanting(Way.USERS, request="leak,immediate", immediate=True), begun, NOW) is Stage.TO_USERS, "clients do not know the new way yet"


def test_a_move_is_read_as_it_was_noted() -> None:
    for move in (Move(), Move("users"), Move("token", request="a/b c"), told("users", 1, "a/b")):
        assert Move.of(str(move)) == move


def test_nobody_is_cut_off_before_the_grace_is_over() -> None:
    """The way that a cache is on goes on working for as long as clients were not told of the other for a grace."""
    knowns = [
        Logins(token, on_users, settled, note)
        for token, on_users, settled in itertools.product((False, True), repeat=3)
        for note in (Move(), Move("users"), Move("token"), told("token", 1), told("users", 1), told("token", GRACE + 1), told("users", GRACE + 1))
    ]
    for there in knowns:
        if there.on_users and there.move != told("token", GRACE + 1):
            assert stage(wanting(Way.TOKEN), there, NOW) is Stage.TO_TOKEN, there
        if there.token and there.move != told("users", GRACE + 1):
            assert stage(wanting(Way.USERS), there, NOW) in (Stage.TO_USERS, Stage.TOKEN), there

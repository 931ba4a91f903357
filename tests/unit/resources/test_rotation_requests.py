"""Rotations that a person asks for, and users whose password somebody else replaced or who are switched off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from securebase.core.driver import Depth, Observed, State, Target
from securebase.resources.elasticache import rotation_record as noted
from securebase.resources.elasticache.credential import CredentialDriver
from securebase.resources.elasticache.login_proof import UNREACHABLE_SECONDS
from securebase.resources.elasticache.rotation import Credential
from securebase.resources.elasticache.rotation_request import asked, noted_as, read_back, refusal
from tests.unit.resources.rotating import ARN, FIRST, GRACE, IDENTITY, OUTSIDE, TAG_VALUE, Door, Operator, World, begun, rotated

USERS = pytest.mark.parametrize("user", ["", "app"])


def requested(operator: Operator, annotation: str) -> None:
    request, immediate = asked(annotation)
    operator.want = replace(operator.want, request=request, immediate=immediate)


def seen(operator: Operator) -> Observed[Credential]:
    target: Target[Credential] = Target(IDENTITY, "credential", CredentialDriver.type, operator.want)
    found = operator.credential.observe([target], Depth.FRESH)[target.key]
    assert isinstance(found, Observed)
    return found


@USERS
def test_the_same_token_is_another_request_once_it_is_immediate(user: str) -> None:
    operator = begun(user)
    requested(operator, "leak")
    operator.run(150)
    assert len(operator.world.tokens) == 2 and seen(operator).attributes["requested"] == "leak"
    operator.promised = {}
    requested(operator, "leak,immediate")
    operator.run(300)
    assert rotated(operator) and len(operator.world.versions) == 3
    told = seen(operator).attributes
    assert (told["requested"], told["immediate"]) == ("leak,immediate", "true")
    operator.run(GRACE)
    assert len(operator.world.versions) == 3, "a request is answered once"


def test_a_request_that_becomes_immediate_before_it_is_carried_out_has_no_grace() -> None:
    operator = begun()
    operator.world.takes = 60.0
    requested(operator, "leak")
    operator.run(10)
    assert len(operator.world.versions) == 2 and not operator.world.tags[noted.INTENT].startswith("set")
    requested(operator, "leak,immediate")
    operator.run(400)
    assert rotated(operator)


@USERS
@pytest.mark.parametrize(
    ("annotation", "named"),
    [
        ("leak,Immediate", "only immediate may follow the comma"),
        ("leak,now", "only immediate may follow the comma"),
        ("leak,", "only immediate may follow the comma"),
        ("leak,immediate,now", "only immediate may follow the comma"),
        (",immediate", "a token is 1 to 200"),
        ("leak#7", "a token is 1 to 200"),
        ("two words", "a token is 1 to 200"),
        ("x" * 201, "a token is 1 to 200"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused_before_anything_is_written(annotation: str, named: str, user: str) -> None:
    operator = begun(user)
    before, published = operator.world.writes, operator.published
    requested(operator, annotation)
    operator.run(120)
    assert (operator.world.writes, operator.published, set(operator.world.versions)) == (before, published, {FIRST})
    told = seen(operator)
    assert (told.state, told.reason, told.due) == (State.FAILED, "InvalidRequest", "")
    assert f"securebase.io/rotate={annotation[:60]}" in told.message and named in told.message and "write" in told.message
    assert told.secrets["password"] == published, "what is published goes on being kept"


def test_a_refused_request_does_not_stop_what_is_due_and_is_taken_up_once_it_is_right() -> None:
    operator = begun(every_seconds=3000)
    requested(operator, "leak,now")
    operator.run(3200)
    assert len(operator.world.tokens) == 2, "rotated by age, with its grace"
    operator.run(GRACE + 300)
    requested(operator, "leak,immediate")
    operator.run(300)
    assert operator.at_rest and seen(operator).attributes["requested"] == "leak,immediate"


@pytest.mark.parametrize("annotation", ["now-1", "2024-05-01T10:00:00+02:00", "a/b@c=d_e", "x" * 200])
def test_every_request_that_is_taken_up_fits_into_a_tag(annotation: str) -> None:
    for text in (annotation, f"{annotation},immediate"):
        request, immediate = asked(text)
        assert not refusal(request) and immediate == text.endswith("immediate")
        assert TAG_VALUE.fullmatch(noted_as(request)) and read_back(noted_as(request)) == request


def test_a_users_password_that_somebody_else_replaced_is_rotated_away_where_a_login_can_tell() -> None:
    operator = begun("app", proof=True)
    operator.strict = False
    operator.world.change_outside(OUTSIDE)
    assert seen(operator).drifted == ("value",)
    operator.run(200)
    assert operator.published is not None and operator.published.version != FIRST
    assert operator.published.value in operator.world.tokens and OUTSIDE not in operator.world.tokens
    operator.run(GRACE + 300)
    assert rotated(operator)


def test_a_user_at_rest_is_tried_and_left_alone() -> None:
    operator = begun("app", proof=True)
    before = operator.world.writes
    operator.run(300)
    assert operator.world.writes == before


def test_of_a_user_that_is_off_no_login_tells_anything() -> None:
    world = World(user="app", access="off ~app:* +@read")
    operator = Operator(world, Credential("cache", ARN, "app"), proof=Door(world))
    operator.run(20)
    assert operator.at_rest, "published, although nobody can log in with it yet"
    before = world.writes
    operator.run(600)
    assert world.writes == before
    requested(operator, "one")
    operator.run(GRACE + 300)
    assert rotated(operator)


def test_a_user_that_is_switched_off_is_not_taken_for_one_whose_password_was_replaced() -> None:
    operator = begun("app", proof=True)
    operator.world.access, before = "off ~* -@all", operator.world.writes
    operator.run(300)
    assert operator.world.writes == before and not seen(operator).due


def test_a_cache_that_gave_no_answer_is_not_tried_for_a_while() -> None:
    world = World(user="app")
    door = Door(world, reachable=False)
    operator = Operator(world, Credential("cache", ARN, "app"), proof=door)
    operator.run(20)
    assert operator.at_rest and door.tried == 1
    operator.run(UNREACHABLE_SECONDS * 3, every=5.0)
    assert 3 <= door.tried <= 5
    door.reachable, before = True, door.tried
    operator.run(UNREACHABLE_SECONDS + 50, every=5.0)
    assert door.tried > before + 5

"""Rotations against a cache that takes its time and a process that dies at any write: one valid value is published, and none is refused too early."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from securebase.core.driver import Depth, Observed, Target
from securebase.resources.elasticache import rotation_record as noted
from securebase.resources.elasticache.credential import CredentialDriver
from securebase.resources.elasticache.rotation import Credential, CredentialRetirement, Do, Situation, retirement_move, rotation_move
from securebase.resources.elasticache.rotation_record import Access, Record
from tests.unit.resources.rotating import ARN, BEGIN, FIRST, GRACE, IDENTITY, OUTSIDE, Operator, World, begun, rotated

USERS = pytest.mark.parametrize("user", ["", "app"])


@USERS
def test_a_cache_at_rest_is_left_alone(user: str) -> None:
    operator = begun(user)
    before = operator.world.writes
    operator.run(300)
    assert operator.world.writes == before
    assert operator.world.reads["get_secret_value"] == 1


@USERS
def test_a_request_rotates_once(user: str) -> None:
    operator = begun(user)
    operator.want = replace(operator.want, request="one")
    operator.run(300)
    assert sorted(operator.world.tokens, key=operator.world.tokens.index)[0] == operator.world.password(FIRST), "the old one works in the grace"
    assert len(operator.world.tokens) == 2
    operator.run(GRACE + 300)
    assert rotated(operator)
    after = operator.published
    operator.run(2000)
    assert operator.published == after and len(operator.world.versions) == 2


@USERS
def test_an_old_value_rotates_by_itself(user: str) -> None:
    operator = begun(user, every_seconds=5000)
    operator.run(4800)
    assert operator.published is not None and operator.published.version == FIRST
    operator.run(1500)
    assert rotated(operator)


@USERS
def test_immediate_ends_the_grace(user: str) -> None:
    operator = begun(user)
    operator.want = replace(operator.want, request="one", immediate=True)
    operator.run(150)
    assert rotated(operator)


def test_an_immediate_request_ends_a_running_grace_and_is_forgotten_later() -> None:
    operator = begun(every_seconds=3000)
    operator.run(3050)
    assert len(operator.world.tokens) == 2
    operator.want, operator.promised = replace(operator.want, request="leak", immediate=True), {}
    operator.run(300)
    assert rotated(operator) and len(operator.world.versions) == 3
    operator.run(3000 - 100)
    assert len(operator.world.tokens) == 2, "the annotation stays, but the next rotation by age has its grace"


@USERS
def test_what_is_not_published_retires_nothing(user: str) -> None:
    operator = begun(user)
    operator.want, operator.publishes = replace(operator.want, request="one", immediate=True), False
    operator.run(GRACE * 5)
    assert len(operator.world.tokens) == 2
    operator.publishes = True
    operator.run(200)
    assert rotated(operator)


@USERS
@pytest.mark.parametrize("proof", [False, True])
@settings(max_examples=60, deadline=None)
@given(
    crashes=st.sets(st.tuples(st.integers(1, 16), st.booleans()), max_size=4),
    immediate=st.booleans(),
    takes=st.sampled_from([0.0, 20.0, 200.0]),
    lag=st.sampled_from([0.0, 40.0]),
)
def test_a_crash_at_any_write(user: str, proof: bool, crashes: set[tuple[int, bool]], immediate: bool, takes: float, lag: float) -> None:
    operator = begun(user, proof)
    world = operator.world
    world.takes, world.lag, world.crashes = takes, lag, {(world.writes + write, after) for write, after in crashes}
    operator.want = replace(operator.want, request="one", immediate=immediate)
    operator.run(GRACE + 2500)
    assert rotated(operator) and not operator.refusals
    assert len(world.versions) == 2, "one rotation, one new version"


@pytest.mark.parametrize("proof", [False, True])
@settings(max_examples=60, deadline=None)
@given(
    at=st.integers(0, 160),
    kept=st.booleans(),
    request=st.booleans(),
    crashes=st.sets(st.tuples(st.integers(1, 16), st.booleans()), max_size=2),
    lag=st.sampled_from([0.0, 40.0]),
)
def test_a_change_outside_is_answered_by_a_rotation(proof: bool, at: int, kept: bool, request: bool, crashes: set[tuple[int, bool]], lag: float) -> None:
    operator = begun("", proof)
    world = operator.world
    operator.strict = False
    world.lag = lag
    world.crashes = {(world.writes + write, after) for write, after in crashes}
    operator.want = replace(operator.want, request="one" if request else "")
    operator.run(at * 5)
    assume(not world.tags[noted.INTENT])
    assume(not (kept and world.now <= operator.published_at + GRACE <= world.now + lag))  # beside our own, which the test below is about
    world.change_outside(*([*world.tokens, OUTSIDE][-2:] if kept else [OUTSIDE]))
    operator.run(4 * GRACE + 4000)
    assert rotated(operator) and OUTSIDE not in world.tokens and operator.refusals <= 1
    assert operator.published is not None and operator.published.value in world.tokens


@pytest.mark.parametrize("asked", ["rotate/", "set/"])
@settings(max_examples=8, deadline=None)
@given(later=st.integers(0, 5), kept=st.booleans(), lag=st.sampled_from([0.0, 40.0]))
def test_a_change_outside_beside_our_own_is_told_by_a_login(asked: str, later: int, kept: bool, lag: float) -> None:
    """Both move the same date: nothing else tells them apart."""
    operator = begun("", proof=True)
    world, operator.strict = operator.world, False
    world.lag, operator.want = lag, replace(operator.want, request="one")
    for _ in range(GRACE):
        if world.tags[noted.INTENT].startswith(asked):
            break
        operator.run(5)
    operator.run(later * 5)
    assume(world.tags[noted.INTENT].startswith(asked))
    world.change_outside(*([*world.tokens, OUTSIDE][-2:] if kept else [OUTSIDE]))
    operator.run(4 * GRACE + 4000)
    assert operator.published is not None and operator.published.value in world.tokens
    if not kept:  # else the published one goes on being accepted, and no login tells that there is another one beside it
        assert rotated(operator)


def test_the_published_token_survives_somebody_elses_rotation() -> None:
    operator = begun()
    operator.world.change_outside(operator.world.tokens[0], OUTSIDE)
    operator.run(GRACE + 1000)
    assert rotated(operator)


def test_a_cache_without_a_token_learns_the_current_one() -> None:
    world = World()
    world.tokens = []
    operator = Operator(world, Credential("cache", ARN))
    operator.run(20)
    assert operator.published is None, "it does not work yet"
    operator.run(100)
    assert operator.published is not None and world.tokens == [operator.published.value]


def test_a_secret_made_later_than_the_token_is_introduced() -> None:
    world = World()
    world.made[FIRST] = BEGIN + 1000
    world.tokens = [OUTSIDE]
    operator = Operator(world, Credential("cache", ARN))
    operator.run(GRACE + 300)
    assert operator.at_rest


@USERS
def test_a_value_somebody_makes_current_is_taken_over_without_a_gap(user: str) -> None:
    operator = begun(user)
    world = operator.world
    world.put_secret_value(ARN, "p" * 32, json.dumps({"password": "a-person-chose-this-0123456789"}), ["AWSCURRENT"])
    operator.run(GRACE + 500)
    assert rotated(operator) and operator.published is not None and operator.published.version == "p" * 32


def test_a_lost_or_useless_pending_value_starts_again() -> None:
    operator = begun()
    world = operator.world
    operator.want = replace(operator.want, request="one")
    operator.run(10)
    pending = next(version for version, names in world.labels.items() if "AWSPENDING" in names)
    del world.versions[pending], world.labels[pending], world.made[pending]
    operator.run(GRACE + 1000)
    assert rotated(operator)
    world.put_secret_value(ARN, "q" * 32, "no json", ["AWSPENDING"])
    operator.run(60)
    assert rotated(operator)


def test_a_replaced_cache_made_with_the_current_value_needs_no_rotation() -> None:
    operator = begun()
    operator.world.tags[noted.BASE] = "another//2020-01-01T00:00:00+00:00"
    operator.run(100)
    assert operator.at_rest and operator.published is not None and operator.published.version == FIRST


def test_a_sweep_costs_one_list_each() -> None:
    operator = begun()
    target: Target[Credential] = Target(IDENTITY, "credential", CredentialDriver.type, operator.want)
    operator.credential.observe([target], Depth.SWEEP)
    operator.world.reads = {}
    for _ in range(3):
        operator.world.pass_time(60)
        seen = operator.credential.observe([target] * 5, Depth.SWEEP)[target.key]
        assert isinstance(seen, Observed) and not seen.due
    assert operator.world.reads == {"list_secrets": 3, "describe_replication_groups": 3}


@settings(max_examples=200)
@given(data=st.data())
def test_every_situation_has_a_next_step_or_a_reason(data: st.DataObject) -> None:
    """No combination of tags and labels, however odd, is an error."""
    version = st.sampled_from(["a", "b", "c"])
    labels: Mapping[str, str] = {"AWSCURRENT": data.draw(version)} | data.draw(st.fixed_dictionaries({}, optional={"AWSPENDING": version}))
    asks = st.sampled_from(["", "rotate/a", "rotate/b", "reclaim/b", "set/a", "set/c", "?"])
    bases = st.sampled_from(["g//1", "g//2", "h//1", ""])
    tags = data.draw(st.fixed_dictionaries({noted.BASE: bases}, optional={noted.IN_FORCE: version, noted.ALONE: version, noted.INTENT: asks}))
    access = Access("g", ready=data.draw(st.booleans()), modified="1", enabled=data.draw(st.booleans()))
    waited, asked = data.draw(st.sampled_from([-1.0, 1.0, 100.0])), data.draw(st.booleans())
    at = Situation(Record(labels, tags), access, BEGIN, BEGIN, waited, asked, data.draw(st.sampled_from([None, True, False])))
    first = rotation_move(Credential("g", ARN, request=data.draw(st.sampled_from(["", "r"]))), at)
    second = retirement_move(CredentialRetirement("g", ARN, tags.get(noted.IN_FORCE, ""), "2024-01-01T00:00:00Z"), at)
    asking = {Do.RECLAIM, Do.ROTATE, Do.SET}
    for move in (first, second):
        assert move.do is Do.NOTHING or move.version
        assert access.ready or move.do not in asking, "asked while it takes nothing"
    assert not (first.do in asking and second.do in asking), "both halves ask at once"

"""How a cache lets clients in, as it is looked at; and the note that clients were told another way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from securebase.core.driver import Depth, Observed, Target
from securebase.core.errors import Denied, Transient
from securebase.core.graph import Ref, Role
from securebase.resources.elasticache.login_model import MOVED, LoginMove, LoginState, Move
from securebase.resources.elasticache.logins import RECENT_SECONDS, LoginMoveDriver, LoginStateDriver
from securebase.resources.elasticache.rotation_record import ALONE, IN_FORCE
from securebase.resources.secretsmanager.driver import RETIRED_TAG
from tests.contract.harness import Contract, Lab, check_contract, eventually, observe, write

PASSWORD = {"Type": "password", "Passwords": ["a-password-of-32-characters-long"]}


@pytest.fixture(autouse=True)
def fast(lab: Lab) -> Iterator[None]:
    settings = lab.control.settings
    before, settings.elasticache_user_s = settings.elasticache_user_s, 0.2
    yield
    settings.elasticache_user_s = before


def secret(lab: Lab, name: str = "") -> str:
    """ARN of somebody's secret."""
    return str(lab.raw("secretsmanager").create_secret(Name=name or f"token-{uuid4().hex[:8]}", SecretString='{"password": "x"}')["ARN"])


class Asked:
    """One cache's look, and what there is of it."""

    def __init__(self, lab: Lab, way: str) -> None:
        self.lab, self.driver = lab, LoginStateDriver(lab.scope("us-east-1"), lab.clock)
        self.want = LoginState(f"token-{uuid4().hex[:8]}", f"users-{uuid4().hex[:8]}", way, grace_seconds=600)
        self.target: Target[LoginState] = lab.target(self.driver.type, self.want, role=Role.EXTERNAL)

    def told(self, depth: Depth = Depth.FRESH) -> Observed[LoginState]:
        self.lab.clock.advance(RECENT_SECONDS + 1)
        seen = observe(self.driver, self.target, depth)
        assert seen is not None
        return seen

    def becomes(self, stage: str, why: str = "") -> Observed[LoginState]:
        """What is told once reads show the writes before."""
        return eventually(self.told, lambda seen: seen.attributes["stage"] == stage, why or stage)

    def tag(self, **tags: str) -> None:
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        self.lab.raw("secretsmanager").tag_resource(SecretId=self.want.secret, Tags=pairs)

    def group(self, *users: tuple[str, str]) -> None:
        """Of users (name, access string), in use by a cache."""
        cache = self.lab.raw("elasticache")
        made = [
            cache.create_user(UserId=f"{name}-{uuid4().hex[:8]}", UserName=name, Engine="valkey", AccessString=access, AuthenticationMode=PASSWORD)["UserId"]
            for name, access in users
        ]
        cache.create_user_group(UserGroupId=self.want.user_group, Engine="valkey", UserIds=made)

    def used(self) -> None:
        cache = self.lab.raw("elasticache")
        name = f"cache-{uuid4().hex[:8]}"
        subnets = [subnet["SubnetId"] for subnet in self.lab.raw("ec2").describe_subnets()["Subnets"]]
        cache.create_cache_subnet_group(CacheSubnetGroupName=name, CacheSubnetGroupDescription="x", SubnetIds=subnets[:2])
        common: dict[str, Any] = {"ReplicationGroupDescription": "x", "Engine": "valkey", "EngineVersion": "8.0", "CacheNodeType": "cache.t4g.micro"}

        def make() -> bool:
            try:
                cache.create_replication_group(
                    ReplicationGroupId=name, TransitEncryptionEnabled=True, UserGroupIds=[self.want.user_group], CacheSubnetGroupName=name, **common
                )
            except cache.exceptions.InvalidUserGroupStateFault:
                return False
            return True

        eventually(make, bool, "a cache that is open to the users")


@pytest.mark.parametrize(("way", "stage"), [("token", "token"), ("users", "users"), ("open", "open")])
def test_of_what_is_not_there_what_is_wanted_is_told(lab: Lab, way: str, stage: str) -> None:
    asked = Asked(lab, way)
    for depth in Depth:
        seen = asked.told(depth)
        assert (seen.attributes, seen.message, seen.again_at) == ({"stage": stage}, "", 0)


def test_a_token_moves_to_users_in_steps(lab: Lab) -> None:
    asked = Asked(lab, "users")
    secret(lab, asked.want.secret)
    asked.becomes("to-users")
    [first] = lab.raw("secretsmanager").describe_secret(SecretId=asked.want.secret)["VersionIdsToStages"]
    asked.tag(**{IN_FORCE: first, ALONE: "v1"})
    assert "rotation" in asked.becomes("token").message
    asked.tag(**{ALONE: first})
    asked.becomes("to-users")
    asked.tag(**{MOVED: str(Move("users").at(lab.clock() - 10))})
    seen = asked.told(Depth.SWEEP)
    assert seen.attributes["stage"] == "to-users" and seen.again_at > lab.clock() and seen.attributes["graceEndsAt"] in seen.message
    lab.clock.advance(600)
    assert asked.told(Depth.SWEEP).attributes["stage"] == "to-users", "the cache is not open to users yet"
    asked.group(("app", "on ~app:* +@read"))
    asked.used()
    eventually(lambda: asked.told(Depth.SWEEP).attributes["stage"], lambda stage: stage == "users", "open to users, and long enough")


def test_users_move_to_a_token_in_steps(lab: Lab) -> None:
    asked = Asked(lab, "token")
    asked.group(("app", "on ~app:* +@read"), ("default", "off ~* -@all"))
    asked.becomes("token", "nobody uses the group")
    asked.used()
    seen = asked.becomes("to-token")
    [(name, access)] = json.loads(seen.attributes["users"]).items()
    assert name == "app" and access.startswith("on ~app:*"), "who is off is nobody"
    secret(lab, asked.want.secret)
    asked.tag(**{MOVED: str(Move("token").at(lab.clock() - 601))})
    asked.becomes("token")
    open_again = replace(asked.target, desired=replace(asked.want, way="open"))
    again = observe(asked.driver, open_again)
    assert again is not None and again.attributes["stage"] == "stays"


def test_another_wish_is_looked_at_anew_at_once(lab: Lab) -> None:
    asked = Asked(lab, "users")
    asked.group(("app", "on ~app:* +@read"))
    asked.used()
    asked.becomes("users")
    back = observe(asked.driver, replace(asked.target, desired=replace(asked.want, way="token")))
    assert back is not None and json.loads(back.attributes["users"]).keys() == {"app"}


def test_a_user_that_cannot_be_seen_is_no_answer(lab: Lab) -> None:
    asked = Asked(lab, "token")
    asked.group(("app", "on ~app:* +@read"), ("jobs", "on ~jobs:* +@read"))
    asked.used()
    lab.control.fail("elasticache", "DescribeUsers", "UserNotFound", 404, account=lab.account, times=1)
    with pytest.raises(Transient):
        asked.told()
    assert json.loads(asked.told().attributes["users"]).keys() == {"app", "jobs"}


def test_users_of_a_successor_count(lab: Lab) -> None:
    asked = Asked(lab, "token")
    base = asked.want
    asked.want = replace(base, user_group=f"{base.user_group}-1")
    asked.group(("app", "on ~app:* +@read"))
    asked.used()
    asked.want = base
    asked.becomes("to-token")


def test_another_value_that_is_current_is_a_rotation(lab: Lab) -> None:
    asked = Asked(lab, "users")
    arn = secret(lab, asked.want.secret)
    [first] = lab.raw("secretsmanager").describe_secret(SecretId=arn)["VersionIdsToStages"]
    asked.tag(**{IN_FORCE: first, ALONE: first})
    asked.becomes("to-users")
    lab.raw("secretsmanager").put_secret_value(SecretId=arn, SecretString='{"password": "y"}')
    asked.becomes("token")


def test_a_secret_that_somebody_deletes_still_counts(lab: Lab) -> None:
    asked = Asked(lab, "users")
    arn = secret(lab, asked.want.secret)
    lab.raw("secretsmanager").delete_secret(SecretId=arn, RecoveryWindowInDays=7)
    asked.becomes("to-users", "the token is let in all the same")
    lab.raw("secretsmanager").restore_secret(SecretId=arn)
    asked.tag(**{RETIRED_TAG: "yes"})
    asked.becomes("users", "we let it go")


def test_sweeps_look_only_at_those_who_move(lab: Lab) -> None:
    resting, moving = Asked(lab, "users"), Asked(lab, "users")
    secret(lab, moving.want.secret)
    for asked in (resting, moving):
        asked.told()
    mark = len(lab.control.log.reads())
    for asked in (resting, moving):
        asked.told(Depth.SWEEP)
    assert {call.operation for call in lab.control.log.reads()[mark:]} == {"DescribeSecret", "DescribeUserGroups"}
    assert len(lab.control.log.reads()) - mark == 2, "one of them alone"


def test_a_look_that_is_denied_is_no_answer(lab: Lab) -> None:
    asked = Asked(lab, "token")
    lab.control.fail("elasticache", "DescribeUserGroups", "AccessDenied", 403, account=lab.account)
    with pytest.raises(Denied):
        asked.told()
    lab.control.clear_rules()
    asked.becomes("token")


def test_a_move_begins_before_clients_are_told(lab: Lab) -> None:
    arn, driver = secret(lab), LoginMoveDriver(lab.scope("us-east-1"), lab.clock)
    begun = lab.target(driver.type, LoginMove(arn, "users", request="monthly"), node="login-move")
    told = lab.target(driver.type, LoginMove(arn, "users", told=True, request="later"), node="login-told")
    assert observe(driver, begun) is None
    assert driver.create(begun, "t").attributes == {} and observe(driver, told) is None
    assert driver.create(told, "t").attributes["since"]
    [tag] = [tag["Value"] for tag in lab.raw("secretsmanager").describe_secret(SecretId=arn)["Tags"] if tag["Key"] == MOVED]
    assert Move.of(tag).request == "monthly", "what was asked for when it began"
    assert observe(driver, begun) is not None and observe(driver, told) is not None


def test_a_move_is_noted_once(lab: Lab) -> None:
    arn = secret(lab)
    contract = Contract(LoginMoveDriver, LoginMove(arn, "users", told=True), {"the other way": LoginMove(arn, "token", told=True)}, deletes=False)
    check_contract(lab, contract)
    driver = LoginMoveDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, LoginMove(arn, "users", told=True), node="login-told")
    since = observe(driver, target)
    assert since is not None
    driver.delete(target, since)
    lab.clock.advance(120.0)
    again = observe(driver, target)
    assert again is not None and again.attributes == since.attributes, "what is let go and noted again began when it began"
    turned = write(driver, replace(target, desired=LoginMove(arn, "token", told=True)))
    assert turned.attributes["since"] > since.attributes["since"]
    unknown = lab.target(driver.type, LoginMove(Ref("secret", "arn"), "users"))
    assert observe(driver, unknown) is None

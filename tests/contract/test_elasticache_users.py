"""Users of caches and their groups: access strings, passwords, members, what is in use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from securebase.core.driver import Depth, Observed, State, Target
from securebase.core.errors import Denied, Terminal, Waiting
from securebase.core.fields import Impact, SecretValue
from securebase.core.graph import Ref
from securebase.resources.elasticache.user_model import DISABLED, User, UserGroup, access, default_user, engine_impact, is_off
from securebase.resources.elasticache.users import UserDriver, UserGroupDriver, authentication_mode
from tests.contract.harness import Contract, Lab, check_contract, delete, differences, eventually, observe, settled, write

PASSWORD = SecretValue("a-password-of-32-characters-long", "v1")


@pytest.fixture(autouse=True)
def fast(lab: Lab) -> Iterator[None]:
    settings = lab.control.settings
    before, settings.elasticache_user_s = settings.elasticache_user_s, 0.2
    yield
    settings.elasticache_user_s = before


def user(name: str = "app", engine: str = "valkey", **more: Any) -> User:
    given = {"access_string": "on ~app:* +@read", "passwords": (PASSWORD,)} | more
    return User(f"{name}-{uuid4().hex[:8]}", name, engine, {"team": "web"}, **given)


def raw_user(lab: Lab, name: str, engine: str = "redis") -> str:
    """Somebody's user; its id."""
    made = lab.raw("elasticache").create_user(
        UserId=f"{name}-{uuid4().hex[:8]}", UserName=name, Engine=engine, AccessString="off", AuthenticationMode={"Type": "password", "Passwords": ["x" * 16]}
    )
    return str(made["UserId"])


def user_driver(lab: Lab) -> UserDriver:
    return UserDriver(lab.scope("us-east-1"), lab.clock)


def group_driver(lab: Lab) -> UserGroupDriver:
    return UserGroupDriver(lab.scope("us-east-1"), lab.clock)


def made_user(lab: Lab, desired: User) -> tuple[UserDriver, Target[User]]:
    driver = user_driver(lab)
    target = lab.target(driver.type, desired)
    target = replace(target, external_id=driver.create(target, "t").external_id)
    settled(driver, target)
    return driver, target


def made_group(lab: Lab, desired: UserGroup) -> tuple[UserGroupDriver, Target[UserGroup]]:
    driver = group_driver(lab)
    target = lab.target(driver.type, desired)
    target = replace(target, external_id=driver.create(target, "t").external_id)
    settled(driver, target)
    return driver, target


def group(*users: str, engine: str = "redis") -> UserGroup:
    return UserGroup(f"cache-{uuid4().hex[:8]}", engine, {"team": "web"}, frozenset(users))


def test_a_user_lives_as_promised(lab: Lab) -> None:
    wanted = user(engine="redis")
    changes = {
        "access": replace(wanted, access_string="on ~app:* ~shared:* +@read +@write -@dangerous"),
        "off": replace(wanted, access_string=DISABLED),
        "tag value": replace(wanted, tags={"team": "platform"}),
    }

    def drift(seen: Observed[User]) -> None:
        lab.raw("elasticache").modify_user(UserId=seen.external_id, AccessString="on ~* +@all")

    check_contract(lab, Contract(UserDriver, wanted, changes, drift, "accessString"))


def test_a_group_lives_as_promised(lab: Lab) -> None:
    default, first, second = raw_user(lab, "default"), raw_user(lab, "first"), raw_user(lab, "second")
    wanted = group(default, first)
    changes = {
        "another user": replace(wanted, user_ids=frozenset({default, second})),
        "one more": replace(wanted, user_ids=frozenset({default, first, second})),
        "tag value": replace(wanted, tags={"team": "platform"}),
    }

    def drift(seen: Observed[UserGroup]) -> None:
        lab.raw("elasticache").modify_user_group(UserGroupId=seen.external_id, UserIdsToAdd=[second])

    check_contract(lab, Contract(UserGroupDriver, wanted, changes, drift, "userIds"))


def test_redis_becomes_valkey_but_not_back(lab: Lab) -> None:
    driver, target = made_user(lab, user(engine="redis"))
    valkey = replace(target, desired=replace(target.want(), engine="valkey"))
    assert [change.impact for change in differences(valkey, settled(driver, target))] == [Impact.ONLINE]
    write(driver, valkey)
    settled(driver, valkey)
    assert engine_impact("valkey", "redis") is Impact.REPLACE
    default = raw_user(lab, "default")
    groups, members = made_group(lab, group(default))
    moved = replace(members, desired=replace(members.want(), engine="valkey"))
    write(groups, moved)
    settled(groups, moved)


def test_passwords_are_not_compared_but_having_one_is(lab: Lab) -> None:
    driver, target = made_user(lab, user(engine="redis"))
    other = replace(target, desired=replace(target.want(), passwords=(SecretValue("another-password-of-32-characters", "v2"),)))
    seen = settled(driver, other)
    assert seen.attributes["passwordCount"] == "1"
    assert PASSWORD.value not in repr(seen)
    lab.raw("elasticache").modify_user(UserId=target.external_id, NoPasswordRequired=True)
    now = eventually(lambda: observe(driver, target), lambda now: bool(differences(target, now)), "the open door shows")
    assert [(change.path, change.have) for change in differences(target, now)] == [("authentication", "no-password")]
    write(driver, target)
    settled(driver, target)


@pytest.mark.parametrize("engine", ["redis", "valkey"])
def test_a_group_has_a_default_user_that_nobody_can_be(lab: Lab, engine: str) -> None:
    wanted = default_user("cache-web", engine, {})
    assert wanted.user_name == "default" and is_off(wanted.access_string)
    _, target = made_user(lab, replace(wanted, user_id=f"{uuid4().hex[:8]}x"[::-1]))
    _, members = made_group(lab, group(target.external_id, engine=engine))
    told = lab.raw("elasticache").describe_users(UserId=target.external_id)["Users"][0]
    assert (told["Authentication"]["Type"], is_off(told["AccessString"])) == ("password", True)
    assert told["UserGroupIds"] == [members.external_id]


def test_a_group_of_redis_without_a_default_user_is_refused(lab: Lab) -> None:
    driver = group_driver(lab)
    with pytest.raises(Terminal, match=r"DefaultUserRequired.*name default"):
        driver.create(lab.target(driver.type, group(raw_user(lab, "app"))), "t")
    with pytest.raises(Terminal, match="DuplicateUserName"):
        driver.create(lab.target(driver.type, group(raw_user(lab, "default"), raw_user(lab, "default"))), "t")


def test_a_user_that_is_not_there_yet_is_waited_for(lab: Lab) -> None:
    driver = group_driver(lab)
    with pytest.raises(Waiting, match="UserNotFound"):
        driver.create(lab.target(driver.type, group("nobody")), "t")


def test_what_is_modified_is_pending_and_takes_no_change(lab: Lab) -> None:
    lab.control.settings.elasticache_user_s = 5.0
    driver, target = made_user(lab, user())
    changed = replace(target, desired=replace(target.want(), access_string="on ~* +@all"))
    seen = settled(driver, target)
    written = driver.update(changed, seen, differences(changed, seen))
    assert (written.state, written.reason, differences(changed, written)) == (State.PENDING, "Modifying", ())
    with pytest.raises(Waiting, match="InvalidUserState"):
        driver.update(changed, seen, differences(changed, seen))
    left = driver.delete(target, seen)
    assert left is not None and (left.state, left.reason) == (State.PENDING, "Busy")
    lab.control.advance(6.0)
    settled(driver, changed)


def test_what_is_in_use_does_not_go(lab: Lab) -> None:
    users, app = made_user(lab, user())
    groups, members = made_group(lab, group(app.external_id, engine="valkey"))
    seen = observe(users, app)
    assert seen is not None
    left = users.delete(app, seen)
    assert left is not None and (left.reason, left.message) == ("InUse", f"still in user group {members.external_id}")
    delete(groups, members)
    delete(users, app)


def test_denied_is_not_absent(lab: Lab) -> None:
    driver, target = made_user(lab, user())
    lab.control.fail("elasticache", "DescribeUsers", code="AccessDenied", status=403, account=lab.account)
    with pytest.raises(Denied, match="elasticache:DescribeUsers"):
        observe(driver, target)


def test_an_id_that_another_has_is_not_taken(lab: Lab) -> None:
    theirs = raw_user(lab, "app")
    driver = user_driver(lab)
    target = lab.target(driver.type, replace(user(engine="redis"), user_id=theirs, user_name="app"))
    with pytest.raises(Terminal, match="NameTaken"):
        driver.create(target, "t")
    seen = observe(driver, target)
    assert seen is not None and seen.owner == ""
    driver.adopt(target, seen)
    eventually(lambda: observe(driver, target), lambda now: now is not None and now.owner == target.owner, "ours")


def test_a_replacement_has_the_next_id(lab: Lab) -> None:
    driver, target = made_user(lab, user())
    successor = replace(target, external_id="", incarnation=1)
    found = driver.create(successor, "t1")
    assert found.external_id == f"{target.external_id}-1"
    assert settled(driver, replace(successor, external_id=found.external_id)).value.user_id == target.want().user_id


def test_is_found_by_its_identity(lab: Lab) -> None:
    _, target = made_user(lab, user())
    eventually(lambda: user_driver(lab).owned(target.identity), lambda found: found == {target.node: target.external_id}, "found")


def test_a_sweep_costs_one_list(lab: Lab) -> None:
    driver = user_driver(lab)
    targets = []
    for _ in range(4):
        target = lab.target(driver.type, user())
        targets.append(replace(target, external_id=driver.create(target, "t").external_id))
    driver.observe(targets, Depth.SWEEP)
    before = len(lab.control.log.reads())
    for _ in range(10):
        lab.clock.advance(61.0)
        driver.observe(targets, Depth.SWEEP)
    assert (len(lab.control.log.reads()) - before) / 10 / len(targets) < 1.0


def test_without_its_id_it_is_nowhere(lab: Lab) -> None:
    driver = user_driver(lab)
    target = lab.target(driver.type, replace(user(), user_id=Ref("x", "id")))
    assert observe(driver, target) is None and not driver.locatable(target)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("on ~app:* +@read", "on ~app:* -@all +@read", True),
        ("on allkeys allcommands", "on ~* +@all", True),
        ("off", "", True),
        ("on ~* +@all", "off ~* +@all", False),
        ("on ~a ~b +@all", "on ~b ~a +@all", True),
        ("on ~a resetkeys ~b +get", "on ~b -@all +GET", True),
        ("on ~* &* +@all", "on ~* allchannels +@all", True),
        ("on ~* &a resetchannels +@all", "on ~* +@all", True),
        ("on ~* +@all -@dangerous", "on ~* -@dangerous +@all", False),
        ("on ~* +get +@all", "on ~* +@all", True),
        ("on ~* +get nocommands +set", "on ~* -@all +set", True),
        ("on (~a +get) ~b", "on (~a  +get) ~b", True),
        ("on (~a +get) ~b", "on (~a +set) ~b", False),
        ("on %R~a +get", "on ~a +get", False),
        ("on off ~*", "off ~*", True),
    ],
)
def test_an_access_string_has_many_spellings(one: str, other: str, same: bool) -> None:
    assert (access(one) == access(other)) is same


def test_nobody_logs_in_without_a_password() -> None:
    with pytest.raises(Terminal, match="NoPassword"):
        authentication_mode(user(passwords=()))
    assert len(authentication_mode(user(passwords=(), access_string="off"))["Passwords"][0]) == 128
    assert authentication_mode(user(authentication="iam", passwords=())) == {"Type": "iam"}
    long = default_user("a" * 40, "redis", {})
    assert len(long.user_id) == 40 and long.user_id.endswith("-default")

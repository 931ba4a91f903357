"""Replication groups: their life, their steps, what ElastiCache makes wait or refuses, snapshots, members."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest

from lab.aws.endpoint import AwsEndpoint
from securebase.core.driver import Depth, Driver, Observed, Saved, Snapshots, State, Target
from securebase.core.errors import Terminal, Transient, Waiting
from securebase.core.fields import Impact, SecretValue
from securebase.resources.elasticache.model import LogDelivery, ReplicationGroup, engine
from securebase.resources.elasticache.replication_group import ReplicationGroupDriver
from tests.contract.harness import Contract, Lab, check_contract, delete, differences, eventually, observe, settled, write

VALKEY = engine("valkey", "8.0")
TOKEN = SecretValue("a-token-of-the-contract-tests-0123456789", "v1")


@pytest.fixture(autouse=True)
def fast_nodes(aws_endpoint: AwsEndpoint) -> Iterator[None]:
    """Changes of nodes take a moment."""
    settings = aws_endpoint.control.settings
    times = ("create", "modify", "scale", "snapshot", "delete")
    before = {f"elasticache_{each}_s": getattr(settings, f"elasticache_{each}_s") for each in times}
    for name in before:
        setattr(settings, name, 0.15)
    yield
    for name, value in before.items():
        setattr(settings, name, value)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a group refers to, made by somebody else."""

    subnet_group: str
    security_groups: tuple[str, str]
    user_group: str


def surroundings(lab: Lab) -> Surroundings:
    ec2, cache, name = lab.raw("ec2"), lab.raw("elasticache"), f"test-{uuid4().hex[:8]}"
    subnets = ec2.describe_subnets()["Subnets"]
    vpc = subnets[0]["VpcId"]
    groups = tuple(ec2.create_security_group(GroupName=f"{name}-{n}", Description="cache", VpcId=vpc)["GroupId"] for n in range(2))
    cache.create_cache_subnet_group(
        CacheSubnetGroupName=name, CacheSubnetGroupDescription="cache", SubnetIds=[each["SubnetId"] for each in subnets if each["VpcId"] == vpc]
    )
    return Surroundings(name, (groups[0], groups[1]), name)


def users(lab: Lab, name: str) -> str:
    cache = lab.raw("elasticache")
    cache.create_user(UserId=f"{name}-default", UserName="default", Engine="valkey", AccessString="off -@all", NoPasswordRequired=True)
    cache.create_user_group(UserGroupId=name, Engine="valkey", UserIds=[f"{name}-default"])
    eventually(lambda: cache.describe_user_groups(UserGroupId=name)["UserGroups"][0]["Status"], lambda status: status == "active", "users")
    return name


def cache(around: Surroundings) -> ReplicationGroup:
    return ReplicationGroup(
        name=f"cache-{uuid4().hex[:10]}",
        tags={"team": "web"},
        engine=VALKEY,
        node_type="cache.r7g.large",
        parameter_group="default.valkey8",
        subnet_group=around.subnet_group,
        security_groups=frozenset(around.security_groups[:1]),
        replicas=1,
        automatic_failover=True,
        multi_az=True,
        auth_token=TOKEN,
        maintenance_window="sun:05:00-sun:06:00",
        snapshot_window="02:00-03:00",
        snapshot_retention=5,
        log_deliveries=(LogDelivery("engine-log", "/cache/engine"), LogDelivery("slow-log", "/cache/slow")),
    )


def driver_of(lab: Lab) -> ReplicationGroupDriver:
    return ReplicationGroupDriver(lab.scope("us-east-1"), lab.clock)


def made(lab: Lab, desired: ReplicationGroup) -> tuple[ReplicationGroupDriver, Target[ReplicationGroup]]:
    driver = driver_of(lab)
    target = lab.target(driver.type, desired)
    target = replace(target, external_id=driver.create(target, "t").external_id)
    settled(driver, target)
    return driver, target


def wanting(target: Target[ReplicationGroup], **changes: Any) -> Target[ReplicationGroup]:
    return replace(target, desired=replace(target.want(), **changes))


def test_lives_as_promised(lab: Lab) -> None:
    around = surroundings(lab)
    group = cache(around)
    changes = {
        "security groups": replace(group, security_groups=frozenset(around.security_groups)),
        "windows": replace(group, maintenance_window="mon:07:00-mon:08:00", snapshot_window="04:00-05:00"),
        "longer retention": replace(group, snapshot_retention=14),
        "no snapshots": replace(group, snapshot_retention=0),
        "one log less": replace(group, log_deliveries=group.log_deliveries[:1]),
        "another log group": replace(group, log_deliveries=(group.log_deliveries[0], LogDelivery("slow-log", "/cache/other", format="text"))),
        "no automatic upgrades": replace(group, auto_minor_upgrade=False),
        "a replica more": replace(group, replicas=2),
        "no Multi-AZ": replace(group, multi_az=False),
        "one node": replace(group, replicas=0, automatic_failover=False, multi_az=False),
        "node type": replace(group, node_type="cache.r7g.xlarge"),
        "TLS preferred": replace(group, auth_token=None, description="changed"),
        "tag value": replace(group, tags={"team": "platform"}),
    }

    def drift(seen: Observed[ReplicationGroup]) -> None:
        lab.raw("elasticache").modify_replication_group(ReplicationGroupId=seen.external_id, SnapshotRetentionLimit=1, ApplyImmediately=True)

    check_contract(lab, Contract(ReplicationGroupDriver, group, changes, drift, "snapshotRetention"))


def test_a_new_group_is_pending_and_tells_its_members_when_it_is_ready(lab: Lab) -> None:
    driver = driver_of(lab)
    assert isinstance(driver, Driver)
    assert isinstance(driver, Snapshots)
    target = lab.target(driver.type, cache(surroundings(lab)))
    first = driver.create(target, "t")
    assert (first.state, first.reason) == (State.PENDING, "Creating")
    assert "host" not in first.attributes
    assert TOKEN.value not in repr(first)
    ready = settled(driver, replace(target, external_id=first.external_id)).attributes
    name = first.external_id
    assert ready["members"] == f"{name}-001:primary,{name}-002:replica"
    assert (ready["host"].split(".")[0], ready["port"], ready["authTokenEnabled"]) == ("master", "6379", "true")
    assert ready["engineVersion"].startswith("8.0.")
    assert ready["tokenModifiedAt"]


def test_members_are_those_metrics_have(lab: Lab) -> None:
    driver, target = made(lab, replace(cache(surroundings(lab)), auth_token=None))
    found = settled(driver, target)
    ids = {each.partition(":")[0] for each in found.attributes["members"].split(",")}
    assert ids == set(lab.raw("elasticache").describe_replication_groups(ReplicationGroupId=found.external_id)["ReplicationGroups"][0]["MemberClusters"])


def test_a_failover_moves_the_roles(lab: Lab) -> None:
    driver, target = made(lab, cache(surroundings(lab)))
    lab.raw("elasticache").test_failover(ReplicationGroupId=target.external_id, NodeGroupId="0001")
    wanted = f"{target.external_id}-001:replica,{target.external_id}-002:primary"
    eventually(lambda: observe(driver, target), lambda seen: seen is not None and seen.attributes["members"] == wanted, "the roles are others")


def test_while_it_is_busy_nothing_is_sent(lab: Lab) -> None:
    driver, target = made(lab, cache(surroundings(lab)))
    lab.raw("elasticache").create_snapshot(ReplicationGroupId=target.external_id, SnapshotName=f"s-{uuid4().hex[:8]}")
    busy = observe(driver, target)
    assert busy is not None
    assert (busy.state, busy.reason) == (State.PENDING, "Snapshotting")
    wanted = wanting(target, snapshot_retention=9)
    with pytest.raises(Waiting, match="snapshotting"):
        driver.update(wanted, busy, differences(wanted, busy))
    settled(driver, target)
    write(driver, wanted)


def test_aws_refusing_because_it_is_busy_is_no_error(lab: Lab) -> None:
    driver, target = made(lab, cache(surroundings(lab)))
    seen = settled(driver, target)
    wanted = wanting(target, snapshot_retention=9)
    lab.control.settings.elasticache_snapshot_s = 5.0
    lab.raw("elasticache").create_snapshot(ReplicationGroupId=target.external_id, SnapshotName=f"s-{uuid4().hex[:8]}")
    with pytest.raises(Waiting):
        driver.update(wanted, seen, differences(wanted, seen))
    left = driver.delete(target, seen)
    assert left is not None
    assert left.state is State.PENDING


def test_one_request_at_a_time(lab: Lab) -> None:
    driver, target = made(lab, cache(surroundings(lab)))
    wanted = wanting(target, node_type="cache.r7g.xlarge", replicas=2, snapshot_retention=9)
    seen = settled(driver, target)
    assert driver.update(wanted, seen, differences(wanted, seen)).left == {"nodeType", "replicas"}
    write(driver, wanted)
    settled(driver, wanted)


def test_tls_comes_and_goes_in_steps(lab: Lab) -> None:
    driver, target = made(lab, replace(cache(surroundings(lab)), auth_token=None, transit_encryption="off"))
    wanted = wanting(target, transit_encryption="required")
    seen = settled(driver, target)
    assert driver.update(wanted, seen, differences(wanted, seen)).left == {"transitEncryption"}
    halfway = wanting(target, transit_encryption="preferred")
    settled(driver, halfway)
    write(driver, wanted)
    settled(driver, wanted)
    write(driver, target)
    settled(driver, target)


def test_cluster_mode_comes_in_steps_and_takes_shards(lab: Lab) -> None:
    driver, target = made(lab, replace(cache(surroundings(lab)), multi_az=False))
    wanted = wanting(target, cluster_mode="enabled", parameter_group="default.valkey8.cluster.on")
    write(driver, wanted)
    ready = settled(driver, wanted)
    assert ready.attributes["host"].startswith("clustercfg.")
    more = wanting(wanted, shards=3)
    write(driver, more)
    assert len(settled(driver, more).attributes["members"].split(",")) == 6
    write(driver, wanted)
    settled(driver, wanted)


def test_redis_becomes_valkey_together_with_its_parameter_group(lab: Lab) -> None:
    redis = replace(cache(surroundings(lab)), engine=engine("redis", "7.1"), parameter_group="default.redis7")
    driver, target = made(lab, redis)
    wanted = wanting(target, engine=VALKEY, parameter_group="default.valkey8")
    seen = settled(driver, target)
    assert {change.path: change.impact.value for change in differences(wanted, seen)} == {"engine": "ONLINE", "parameterGroup": "ONLINE"}
    write(driver, wanted)
    settled(driver, wanted)


def test_a_parameter_group_of_another_family_waits_for_the_engine(lab: Lab) -> None:
    redis = replace(cache(surroundings(lab)), engine=engine("redis", "7.1"), parameter_group="default.redis7")
    driver, target = made(lab, redis)
    seen = settled(driver, target)
    held = wanting(target, parameter_group="default.valkey8")
    asked = writes(lab)
    waits = driver.update(held, seen, differences(held, seen))
    assert (waits.state, waits.left, waits.value) == (State.READY, {"parameterGroup"}, seen.value), "it is as healthy as before"
    assert writes(lab) == asked


def writes(lab: Lab) -> int:
    """How often ElastiCache was asked for a change."""
    return sum(call.write for call in lab.control.log.records() if call.account == lab.account and call.service == "elasticache")


def test_a_parameter_group_for_another_cluster_mode_waits_for_that(lab: Lab) -> None:
    sharded = replace(cache(surroundings(lab)), cluster_mode="enabled", parameter_group="default.valkey8.cluster.on", multi_az=False)
    driver, target = made(lab, sharded)
    seen, asked = settled(driver, target), writes(lab)
    held = wanting(target, parameter_group="default.valkey8")
    assert driver.update(held, seen, differences(held, seen)).left == {"parameterGroup"}
    assert writes(lab) == asked


def test_the_last_replica_stays_as_long_as_multi_az_does(lab: Lab) -> None:
    sharded = replace(cache(surroundings(lab)), cluster_mode="enabled", parameter_group="default.valkey8.cluster.on")
    driver, target = made(lab, sharded)
    seen, asked = settled(driver, target), writes(lab)
    held = wanting(target, replicas=0)
    assert [(change.path, change.impact) for change in differences(held, seen)] == [("replicas", Impact.PROTECTION_LOSS)]
    assert driver.update(held, seen, differences(held, seen)).left == {"replicas"} and writes(lab) == asked


def test_a_node_type_that_cannot_be_reached_names_those_that_can(lab: Lab) -> None:
    driver, target = made(lab, cache(surroundings(lab)))
    wanted = wanting(target, node_type="cache.nosuch.large")
    seen = settled(driver, target)
    with pytest.raises(Terminal, match=r"cache\.r7g\.xlarge"):
        driver.update(wanted, seen, differences(wanted, seen))


def test_capacity_and_quotas_are_told_with_what_to_change(lab: Lab) -> None:
    driver = driver_of(lab)
    target = lab.target(driver.type, cache(surroundings(lab)))
    lab.control.fail("elasticache", "CreateReplicationGroup", "InsufficientCacheClusterCapacity", 400, times=1, account=lab.account)
    with pytest.raises(Transient, match="another node type"):
        driver.create(target, "t")
    lab.control.fail("elasticache", "CreateReplicationGroup", "NodeQuotaForCustomerExceeded", 400, times=1, account=lab.account)
    with pytest.raises(Terminal, match="raise the quota"):
        driver.create(target, "t")


def test_between_a_token_and_users_in_one_request(lab: Lab) -> None:
    around = surroundings(lab)
    driver, target = made(lab, cache(around))
    wanted = wanting(target, auth_token=None, user_groups=frozenset({users(lab, around.user_group)}))
    write(driver, wanted)
    assert settled(driver, wanted).attributes["authTokenEnabled"] == "false"
    write(driver, target)
    assert settled(driver, target).attributes["authTokenEnabled"] == "true"


def test_what_others_scheduled_is_under_way(lab: Lab) -> None:
    driver, target = made(lab, cache(surroundings(lab)))
    lab.raw("elasticache").modify_replication_group(ReplicationGroupId=target.external_id, CacheNodeType="cache.r7g.xlarge", ApplyImmediately=False)
    wanted, other = wanting(target, node_type="cache.r7g.xlarge"), wanting(target, node_type="cache.r7g.2xlarge")
    eventually(lambda: observe(driver, wanted), lambda seen: seen is not None and "nodeType" in seen.under_way, "what is wanted is under way")
    seen = observe(driver, other)
    assert seen is not None
    assert "nodeType" not in seen.under_way


def test_a_snapshot_is_made_once_and_restored_from(lab: Lab) -> None:
    driver, target = made(lab, cache(surroundings(lab)))
    seen, name = settled(driver, target), f"final-{uuid4().hex[:8]}"
    assert driver.snapshot(target, seen, name) is Saved.UNDER_WAY
    eventually(lambda: driver.snapshot(target, seen, name), lambda saved: saved is Saved.DONE, "the snapshot")
    successor = replace(target, external_id="", incarnation=1, restore_from=name)
    new = driver.create(successor, "u")
    assert new.external_id == f"{target.external_id}-1"
    found = settled(driver, replace(successor, external_id=new.external_id))
    assert found.value == target.desired
    with pytest.raises(Terminal, match="is of"):
        driver.snapshot(successor, found, name)


def test_it_goes_with_a_last_snapshot(lab: Lab) -> None:
    driver, target = made(lab, cache(surroundings(lab)))
    name = f"final-{uuid4().hex[:8]}"
    left = driver.delete_with_snapshot(target, settled(driver, target), name)
    assert left is not None
    assert (left.state, left.reason) == (State.PENDING, "Deleting")
    eventually(lambda: observe(driver, target), lambda seen: seen is None, "it is gone")
    kept = lab.raw("elasticache").describe_snapshots(SnapshotName=name)["Snapshots"]
    assert [each["ReplicationGroupId"] for each in kept] == [target.external_id]


def test_somebody_elses_group_is_not_taken(lab: Lab) -> None:
    desired = cache(surroundings(lab))
    lab.raw("elasticache").create_replication_group(ReplicationGroupId=desired.name, ReplicationGroupDescription="theirs", CacheNodeType="cache.t4g.micro")
    driver = driver_of(lab)
    target = lab.target(driver.type, desired)
    eventually(lambda: observe(driver, target), lambda seen: seen is not None and seen.state is State.READY, "theirs is ready")
    with pytest.raises(Terminal, match="not ours"):
        driver.create(target, "t")


def test_a_sweep_reads_lists_only(lab: Lab) -> None:
    around = surroundings(lab)
    driver = driver_of(lab)
    targets = []
    for _ in range(8):
        target = lab.target(driver.type, cache(around))
        targets.append(replace(target, external_id=driver.create(target, "t").external_id))
    for target in targets:
        settled(driver, target)
        settled(driver, target, Depth.SWEEP)
    before = len(lab.control.log.reads())
    answers = driver.observe(targets, Depth.SWEEP)
    assert not [answer for answer in answers.values() if not isinstance(answer, Observed)]
    assert len(lab.control.log.reads()) - before <= 5, "two lists, and the tags of a few"


def test_whose_it_is_is_known_while_elasticache_does_not_tell(lab: Lab) -> None:
    driver, target = made(lab, cache(surroundings(lab)))
    lab.control.fail("elasticache", "ListTagsForResource", "InvalidReplicationGroupState", 400, account=lab.account)
    seen = eventually(lambda: observe(driver, target), bool, "read from the tagging API")
    assert seen is not None
    assert (seen.owner, seen.value.tags) == (target.owner, {"team": "web"})


def test_one_that_could_not_be_made_has_failed(lab: Lab) -> None:
    driver, target = made(lab, cache(surroundings(lab)))
    seen = settled(driver, target)
    broken = replace(seen, raw=replace(seen.raw, group={**seen.raw.group, "Status": "create-failed"}))
    with pytest.raises(Terminal, match="could not make it"):
        driver.update(wanting(target, snapshot_retention=9), broken, ())


def test_it_is_found_again_by_its_owner(lab: Lab) -> None:
    driver, target = made(lab, cache(surroundings(lab)))
    found = eventually(lambda: driver.owned(target.identity), bool, "listed")
    assert found == {target.node: target.external_id}


def test_deleting_takes_its_time(lab: Lab) -> None:
    driver, target = made(lab, cache(surroundings(lab)))
    left = driver.delete(target, settled(driver, target))
    assert left is not None
    again = observe(driver, target)
    assert again is None or driver.delete(target, again) is not None
    delete(driver, target)

"""Models of caches: what a change costs, versions and families, what ElastiCache would refuse, the order of requests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from securebase.core.diff import diff
from securebase.core.fields import Impact, SecretValue
from securebase.resources.elasticache.group_config import create_input, group_attributes, group_value, under_way
from securebase.resources.elasticache.group_steps import next_step, unreached
from securebase.resources.elasticache.model import (
    LogDelivery,
    ParameterGroup,
    ReplicationGroup,
    engine,
    parameter_family,
    problems,
    same_release,
    split_parameters,
)

VALKEY, REDIS = engine("valkey", "8.0"), engine("redis", "7.1")
TOKEN = SecretValue("a-token-of-the-unit-tests-0123456789", "v1")

CACHE = ReplicationGroup(
    name="cache",
    tags={},
    engine=VALKEY,
    node_type="cache.r7g.large",
    parameter_group="pg",
    subnet_group="subnets",
    security_groups=frozenset({"sg-1"}),
    replicas=1,
    automatic_failover=True,
    multi_az=True,
    snapshot_retention=5,
    maintenance_window="sun:05:00-sun:06:00",
    snapshot_window="02:00-03:00",
    log_deliveries=(LogDelivery("slow-log", "/cache/slow"),),
)


def told(**more: Any) -> dict[str, Any]:
    """CACHE as DescribeReplicationGroups tells it."""
    members = [{"CacheClusterId": f"cache-00{n}", "CurrentRole": role} for n, role in ((1, "replica"), (2, "primary"))]
    shard = {"NodeGroupId": "0001", "PrimaryEndpoint": {"Address": "master.cache", "Port": 6379}, "NodeGroupMembers": members}
    return {
        "ReplicationGroupId": "cache",
        "Description": CACHE.description,
        "Status": "available",
        "Engine": "valkey",
        "CacheNodeType": "cache.r7g.large",
        "MemberClusters": ["cache-001", "cache-002"],
        "NodeGroups": [shard | {"ReaderEndpoint": {"Address": "replica.cache", "Port": 6379}}],
        "AutomaticFailover": "enabled",
        "MultiAZ": "enabled",
        "ClusterMode": "disabled",
        "AtRestEncryptionEnabled": True,
        "TransitEncryptionEnabled": True,
        "TransitEncryptionMode": "required",
        "SnapshotRetentionLimit": 5,
        "SnapshotWindow": "02:00-03:00",
        "IpDiscovery": "ipv4",
        "LogDeliveryConfigurations": [
            {"LogType": "slow-log", "DestinationType": "cloudwatch-logs", "DestinationDetails": {"CloudWatchLogsDetails": {"LogGroup": "/cache/slow"}}}
            | {"LogFormat": "json", "Status": "active"}
        ],
    } | more


def member(**more: Any) -> dict[str, Any]:
    """A member as DescribeCacheClusters tells it."""
    return {
        "CacheClusterId": "cache-001",
        "EngineVersion": "8.0.1",
        "CacheParameterGroup": {"CacheParameterGroupName": "pg"},
        "CacheSubnetGroupName": "subnets",
        "SecurityGroups": [{"SecurityGroupId": "sg-1", "Status": "active"}],
        "PreferredMaintenanceWindow": "sun:05:00-sun:06:00",
    } | more


def impacts(want: ReplicationGroup, have: ReplicationGroup = CACHE) -> dict[str, Impact]:
    return {change.path: change.impact for change in diff(want, have, None, b"")}


@pytest.mark.parametrize(
    ("changes", "impact"),
    [
        ({"replicas": 2}, Impact.ONLINE),
        ({"shards": 3}, Impact.ONLINE),
        ({"security_groups": frozenset({"sg-2"})}, Impact.ONLINE),
        ({"maintenance_window": "mon:05:00-mon:06:00"}, Impact.ONLINE),
        ({"snapshot_window": "03:00-04:00"}, Impact.ONLINE),
        ({"user_groups": frozenset({"users"})}, Impact.ONLINE),
        ({"snapshot_retention": 7}, Impact.ONLINE),
        ({"snapshot_retention": 4}, Impact.PROTECTION_LOSS),
        ({"snapshot_retention": 0}, Impact.PROTECTION_LOSS),
        ({"multi_az": False}, Impact.PROTECTION_LOSS),
        ({"cluster_mode": "compatible"}, Impact.ONLINE),
        ({"transit_encryption": "preferred"}, Impact.PROTECTION_LOSS),
        ({"node_type": "cache.r7g.xlarge"}, Impact.DISRUPTIVE),
        ({"engine": engine("valkey", "8.1")}, Impact.DISRUPTIVE),
        ({"engine": engine("valkey", "7.2")}, Impact.REPLACE),
        ({"engine": REDIS}, Impact.REPLACE),
        ({"at_rest_encryption": False}, Impact.REPLACE),
        ({"kms_key": "alias/cache"}, Impact.REPLACE),
        ({"subnet_group": "others"}, Impact.REPLACE),
        ({"port": 6380}, Impact.REPLACE),
        ({"network_type": "dual_stack"}, Impact.REPLACE),
        ({"data_tiering": True}, Impact.REPLACE),
    ],
)
def test_what_a_change_costs(changes: dict[str, Any], impact: Impact) -> None:
    assert set(impacts(replace(CACHE, **changes)).values()) == {impact}


def test_ways_back() -> None:
    assert impacts(replace(CACHE, cluster_mode="disabled"), replace(CACHE, cluster_mode="enabled")) == {"clusterMode": Impact.REPLACE}
    assert impacts(CACHE, replace(CACHE, transit_encryption="off")) == {"transitEncryption": Impact.ONLINE}
    assert impacts(CACHE, replace(CACHE, engine=REDIS)) == {"engine": Impact.ONLINE}
    assert impacts(CACHE, replace(CACHE, multi_az=False)) == {"multiAz": Impact.ONLINE}


@pytest.mark.parametrize(
    ("want", "have", "minor_moves", "same"),
    [
        ("8.0", "8.0.1", False, True),
        ("8", "8.1.0", False, True),
        ("6.x", "6.2.6", False, True),
        ("7.1.0", "7.1.0", False, True),
        ("8.0", "8.1.0", False, False),
        ("8.0", "8.1.0", True, True),
        ("8.1", "8.0.1", True, False),
        ("7.2", "8.0.1", True, False),
    ],
)
def test_a_version_that_runs_is_what_was_asked_for(want: str, have: str, minor_moves: bool, same: bool) -> None:
    assert same_release(want, have, minor_moves=minor_moves) is same


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("valkey 7.2", "valkey7"),
        ("valkey 8.0", "valkey8"),
        ("redis 7.1", "redis7"),
        ("redis 6.2", "redis6.x"),
        ("redis 6.x", "redis6.x"),
        ("redis 5.0.6", "redis5.0"),
    ],
)
def test_each_engine_has_its_parameter_family(text: str, family: str) -> None:
    assert parameter_family(text) == family


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Cache"}, "is no id"),
        ({"name": "a" * 41}, "is no id"),
        ({"name": "a--b"}, "is no id"),
        ({"name": "a-"}, "is no id"),
        ({"replicas": 6}, "at most 5"),
        ({"replicas": 0}, "at least one replica"),
        ({"automatic_failover": False}, "Multi-AZ needs"),
        ({"shards": 2}, "need cluster mode"),
        ({"cluster_mode": "enabled", "automatic_failover": False, "multi_az": False}, "cluster mode needs"),
        ({"at_rest_encryption": False, "kms_key": "k"}, "without encryption at rest"),
        ({"auth_token": TOKEN, "transit_encryption": "preferred"}, "to be required"),
        ({"auth_token": TOKEN, "user_groups": frozenset({"u"})}, "either an AUTH token"),
        ({"user_groups": frozenset({"u", "v"})}, "one user group"),
        ({"snapshot_retention": 36}, "35 days"),
        ({"data_tiering": True}, "need each other"),
    ],
)
def test_what_elasticache_would_refuse(changes: dict[str, Any], words: str) -> None:
    assert words in "; ".join(problems(replace(CACHE, **changes)))


def test_nothing_is_wrong_with_a_good_one() -> None:
    assert list(problems(CACHE)) == []


def test_what_is_told_is_what_was_wanted() -> None:
    assert group_value(told(), [member()], {}, CACHE) == CACHE


@pytest.mark.parametrize("automatic", [True, False])
def test_what_aws_upgraded_is_not_taken_back(automatic: bool) -> None:
    want = replace(CACHE, auto_minor_upgrade=automatic)
    assert diff(want, group_value(told(AutoMinorVersionUpgrade=automatic), [member(EngineVersion="8.1.2")], {}, want), None, b"") == ()


def test_what_is_left_to_aws_is_no_difference() -> None:
    want = replace(CACHE, maintenance_window="", snapshot_window="", parameter_group="", security_groups=frozenset())
    assert group_value(told(), [member()], {}, want) == want


def test_a_key_is_the_same_by_id_and_by_arn() -> None:
    key = "arn:aws:kms:us-east-1:1:key/k-1"
    assert group_value(told(KmsKeyId=key), [member()], {}, replace(CACHE, kms_key="k-1")).kms_key == "k-1"
    assert group_value(told(KmsKeyId=key), [member()], {}, replace(CACHE, kms_key="k-2")).kms_key == key
    assert group_value(told(), [member()], {}, replace(CACHE, kms_key="alias/a")).kms_key == ""


def test_while_it_is_created_what_nobody_tells_is_taken_as_wanted() -> None:
    young = told(Status="creating")
    del young["NodeGroups"]
    assert group_value(young, [], {}, CACHE) == CACHE
    assert "host" not in group_attributes(young, [])


def test_shards_of_unequal_size_differ() -> None:
    shards = [{"NodeGroupId": f"000{n}", "NodeGroupMembers": [{"CacheClusterId": f"cache-000{n}-00{m}"} for m in range(n + 1)]} for n in (1, 2)]
    uneven = told(NodeGroups=shards, ClusterMode="enabled", ConfigurationEndpoint={"Address": "cfg", "Port": 6379})
    want = replace(CACHE, cluster_mode="enabled", shards=2)
    have = group_value(uneven, [member()], {}, want)
    assert (have.shards, have.replicas) == (2, 2)
    step = next_step(want, have, uneven)
    assert step is not None
    assert step.operation == "decrease_replica_count"


def test_members_have_their_roles() -> None:
    attributes = group_attributes(told(), [member()])
    assert attributes["members"] == "cache-001:replica,cache-002:primary"
    assert (attributes["host"], attributes["readerHost"], attributes["engineVersion"]) == ("master.cache", "replica.cache", "8.0.1")


def test_pending_counts_only_where_it_is_what_is_wanted() -> None:
    group = told(PendingModifiedValues={"TransitEncryptionEnabled": True, "TransitEncryptionMode": "preferred", "ClusterMode": "compatible"})
    clusters = [member(PendingModifiedValues={"EngineVersion": "8.1.0", "CacheNodeType": "cache.r7g.xlarge"})]
    have = group_value(group, clusters, {}, CACHE)
    coming = replace(CACHE, cluster_mode="compatible", node_type="cache.r7g.xlarge", engine=engine("valkey", "8.1"))
    assert under_way(group, clusters, coming, have) == {"clusterMode", "nodeType", "engine"}
    assert under_way(group, clusters, CACHE, have) == frozenset()


def test_a_new_group_is_asked_for_whole() -> None:
    said = create_input(replace(CACHE, auth_token=TOKEN), "cache-1", [{"Key": "a", "Value": "b"}], "snap")
    assert (said["NumCacheClusters"], said["AuthToken"], said["SnapshotName"], said["Engine"], said["EngineVersion"]) == (
        2,
        TOKEN.value,
        "snap",
        "valkey",
        "8.0",
    )
    assert "NumNodeGroups" not in said
    clustered = create_input(replace(CACHE, cluster_mode="enabled", shards=3), "cache", [], "")
    assert (clustered["NumNodeGroups"], clustered["ReplicasPerNodeGroup"], clustered["ClusterMode"]) == (3, 1, "enabled")
    assert not {"NumCacheClusters", "SnapshotName", "Tags", "KmsKeyId", "AuthToken"} & clustered.keys()


@pytest.mark.parametrize(
    ("version", "mode"),
    [(engine("redis", "6.2"), None), (engine("redis", "7.0"), "required"), (REDIS, "required"), (engine("valkey", "7.2"), "required")],
)
def test_an_engine_that_has_no_modes_of_tls_is_asked_for_none(version: str, mode: str | None) -> None:
    said = create_input(replace(CACHE, engine=version), "cache", [], "")
    assert (said["TransitEncryptionEnabled"], said.get("TransitEncryptionMode")) == (True, mode)


@pytest.mark.parametrize(("have", "want"), [("off", "required"), ("required", "off")])
def test_where_tls_has_no_modes_only_another_cache_has_it_or_not(have: str, want: str) -> None:
    old = replace(CACHE, engine=engine("redis", "6.2"), parameter_group="default.redis6.x", transit_encryption=have)
    assert impacts(replace(old, transit_encryption=want), old) == {"transitEncryption": Impact.REPLACE}
    assert next_step(replace(old, transit_encryption=want), old, told()) is None
    newer = replace(old, engine=REDIS, parameter_group="default.redis7", transit_encryption=want)
    assert next(iter(sequence(newer, old))) == {"engine": REDIS, "parameter_group": "default.redis7"}, "with modes come the steps"


def sequence(want: ReplicationGroup, have: ReplicationGroup, **more: Any) -> list[dict[str, Any]]:
    """Every request on the way from `have` to `want`, as what each brings."""
    steps: list[dict[str, Any]] = []
    while (step := next_step(want, have, told(**more))) is not None:
        steps.append(dict(step.brings))
        have = replace(have, **step.brings)
        if "replicas" in step.brings:
            members = [{"CacheClusterId": f"cache-00{n}"} for n in range(1, have.replicas + 2)]
            more["NodeGroups"] = [{"NodeGroupId": "0001", "NodeGroupMembers": members}]
        assert len(steps) < 20, steps
    assert unreached(want, have) == []
    return steps


def test_requests_come_in_an_order_that_aws_takes() -> None:
    alone = replace(CACHE, replicas=0, automatic_failover=False, multi_az=False)
    one = {"NodeGroups": [{"NodeGroupId": "0001", "NodeGroupMembers": [{"CacheClusterId": "cache-001"}]}]}
    assert sequence(CACHE, alone, **one) == [{"replicas": 1}, {"automatic_failover": True, "multi_az": True}]
    assert sequence(alone, CACHE) == [{"multi_az": False, "automatic_failover": False}, {"replicas": 0}]


def test_steps_that_cannot_be_skipped() -> None:
    plain = replace(CACHE, transit_encryption="off")
    assert [step["transit_encryption"] for step in sequence(CACHE, plain)] == ["preferred", "required"]
    assert [step["transit_encryption"] for step in sequence(plain, CACHE)] == ["preferred", "off"]
    clustered = replace(CACHE, cluster_mode="enabled", parameter_group="pg-1", snapshot_retention=9)
    assert [sorted(step) for step in sequence(clustered, CACHE)] == [["snapshot_retention"], *[["cluster_mode", "parameter_group"]] * 2]
    halfway = replace(CACHE, cluster_mode="compatible", parameter_group="pg-1")
    assert [sorted(step) for step in sequence(clustered, halfway)] == [["cluster_mode", "parameter_group"], ["snapshot_retention"]]


def test_the_engine_takes_its_parameter_group_along() -> None:
    step = next_step(replace(CACHE, parameter_group="pg-1"), replace(CACHE, engine=REDIS), told())
    assert step is not None
    assert step.params == {"Engine": "valkey", "EngineVersion": "8.0", "CacheParameterGroupName": "pg-1"}


def test_between_token_and_users_the_cache_is_never_open() -> None:
    users = replace(CACHE, user_groups=frozenset({"users"}))
    there = next_step(users, CACHE, told(AuthTokenEnabled=True))
    back = next_step(replace(CACHE, auth_token=TOKEN), users, told())
    assert there is not None
    assert back is not None
    assert there.params == {"UserGroupIdsToAdd": ["users"], "AuthTokenUpdateStrategy": "DELETE"}
    assert back.params == {"RemoveUserGroups": True, "AuthToken": TOKEN.value, "AuthTokenUpdateStrategy": "SET"}
    assert TOKEN.value not in repr(back)


def test_the_last_replica_stays_while_failover_may_not_go() -> None:
    want = replace(CACHE, replicas=0)
    assert next_step(want, CACHE, told()) is None
    assert unreached(want, CACHE) == ["replicas"]


def test_snapshots_are_made_of_a_replica_when_they_begin() -> None:
    step = next_step(CACHE, replace(CACHE, snapshot_retention=0), told())
    assert step is not None
    assert step.params == {"SnapshotRetentionLimit": 5, "SnapshottingClusterId": "cache-001"}


def test_parameters_that_wait_for_a_restart_are_told_apart() -> None:
    assert split_parameters({"databases": "32", "timeout": "60"}) == ({"timeout": "60"}, {"databases": "32"})
    group = ParameterGroup("p", {}, "valkey8", {"timeout": "60"}, {"databases": "32"})
    changed = replace(group, parameters={"timeout": "30"}, reboot_parameters={"databases": "16"}, cluster_enabled=True)
    found = {change.path: change.impact for change in diff(changed, group, None, b"")}
    assert found == {
        "clusterEnabled": Impact.REPLACE,
        "parameters[timeout]": Impact.ONLINE,
        "rebootParameters[databases]": Impact.DISRUPTIVE,
    }

"""Replication groups at the lab's endpoint: states, members, roles, changes at once and deferred, refusals, tags."""

from __future__ import annotations

from typing import Any

import pytest

from lab.aws.endpoint import Control
from tests.lab.aws_objects import refused
from tests.lab.conftest import MakeClient

TOKEN, OTHER = "first-token-0123456789", "second-token-0123456789"


@pytest.fixture
def cache(client: MakeClient, control: Control) -> Any:
    """Every step takes 600 s of the lab's clock: it ends only when a test says so."""
    for name in ("create", "modify", "scale", "snapshot", "delete", "user"):
        setattr(control.settings, f"elasticache_{name}_s", 600.0)
    return client("elasticache")


def subnet_group(client: MakeClient, control: Control, name: str = "subnets", **more: Any) -> dict[str, Any]:
    # boto3 takes a second to load EC2's model; the endpoint has it already.
    subnets = control.ask("ec2", "DescribeSubnets", {})["Subnets"]
    vpc = subnets[0]["VpcId"]
    chosen = [subnet["SubnetId"] for subnet in subnets if subnet["VpcId"] == vpc]
    made: dict[str, Any] = client("elasticache").create_cache_subnet_group(
        CacheSubnetGroupName=name, CacheSubnetGroupDescription="d", SubnetIds=chosen, **more
    )["CacheSubnetGroup"]
    return made


def create(client: MakeClient, control: Control, name: str = "rg", wait: bool = True, **more: Any) -> dict[str, Any]:
    cache = client("elasticache")
    if not cache.describe_cache_subnet_groups()["CacheSubnetGroups"]:
        subnet_group(client, control)
    base = {
        "ReplicationGroupId": name, "ReplicationGroupDescription": "d", "CacheNodeType": "cache.t4g.micro", "Engine": "redis", "EngineVersion": "7.1",
        "CacheSubnetGroupName": "subnets", "TransitEncryptionEnabled": True, "AtRestEncryptionEnabled": True,
    }  # fmt: skip
    if "NumNodeGroups" not in more:
        base |= {"NumCacheClusters": 2, "AutomaticFailoverEnabled": True, "MultiAZEnabled": True}
    made: dict[str, Any] = cache.create_replication_group(**(base | more))["ReplicationGroup"]
    if wait:
        control.advance(601)
    return made


def group(cache: Any, name: str = "rg") -> dict[str, Any]:
    found: dict[str, Any] = cache.describe_replication_groups(ReplicationGroupId=name)["ReplicationGroups"][0]
    return found


def members(cache: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cache.describe_cache_clusters(ShowCacheNodeInfo=True)["CacheClusters"]
    return found


def roles(cache: Any) -> dict[str, str]:
    return {member["CacheClusterId"]: member["CurrentRole"] for member in group(cache)["NodeGroups"][0]["NodeGroupMembers"]}


def test_a_group_is_created_and_deleted_in_its_time(cache: Any, client: MakeClient, control: Control) -> None:
    made = create(client, control, wait=False, LogDeliveryConfigurations=[log("slow-log")], KmsKeyId="arn:aws:kms:us-east-1:000000000000:key/k")
    assert (made["Status"], made["MemberClusters"], "NodeGroups" in made) == ("creating", ["rg-001", "rg-002"], False)
    refused("InvalidReplicationGroupState", cache.modify_replication_group, ReplicationGroupId="rg", SnapshotRetentionLimit=1, ApplyImmediately=True)
    refused("InvalidReplicationGroupState", cache.delete_replication_group, ReplicationGroupId="rg")
    control.advance(601)
    ready = group(cache)
    assert (ready["Status"], ready["StorageEncryptionType"], ready["TransitEncryptionMode"]) == ("available", "sse-kms", "required")
    assert ready["LogDeliveryConfigurations"][0]["Status"] == "active"
    assert ready["NodeGroups"][0]["PrimaryEndpoint"]["Address"].startswith("master.rg.")
    assert roles(cache) == {"rg-001": "primary", "rg-002": "replica"}
    assert [member["EngineVersion"] for member in members(cache)] == ["7.1.0", "7.1.0"]
    refused("ReplicationGroupAlreadyExists", create, client=client, control=control)
    cache.delete_replication_group(ReplicationGroupId="rg", FinalSnapshotIdentifier="last")
    assert group(cache)["Status"] == "deleting"
    control.advance(1201)
    refused("ReplicationGroupNotFoundFault", cache.describe_replication_groups, ReplicationGroupId="rg")
    assert cache.describe_snapshots(SnapshotName="last")["Snapshots"][0]["SnapshotStatus"] == "available"
    create(client, control, "again", SnapshotName="last")
    assert group(cache, "again")["Status"] == "available"


def log(kind: str) -> dict[str, Any]:
    return {
        "LogType": kind, "DestinationType": "cloudwatch-logs", "DestinationDetails": {"CloudWatchLogsDetails": {"LogGroup": "g"}}, "LogFormat": "json",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("InvalidParameterCombination", {"NumCacheClusters": 1}),
        ("InvalidParameterCombination", {"AutomaticFailoverEnabled": False}),
        ("InvalidParameterValue", {"NumCacheClusters": 7}),
        ("InvalidParameterValue", {"CacheNodeType": "cache.z9.large"}),
        ("InvalidParameterCombination", {"EngineVersion": "9.9"}),
        ("InvalidParameterCombination", {"CacheParameterGroupName": "default.valkey8"}),
        ("CacheParameterGroupNotFound", {"CacheParameterGroupName": "none"}),
        ("CacheSubnetGroupNotFoundFault", {"CacheSubnetGroupName": "none"}),
        ("InvalidParameterValue", {"PreferredMaintenanceWindow": "sun:05:00-sun:06:00", "SnapshotWindow": "05:30-06:30"}),
        ("InvalidParameterValue", {"PreferredMaintenanceWindow": "sunday"}),
        ("InvalidParameterValue", {"SnapshotRetentionLimit": 36}),
        ("InvalidParameterCombination", {"AuthToken": TOKEN, "TransitEncryptionEnabled": False}),
        ("InvalidParameterValue", {"AuthToken": "with/slash-0123456789"}),
        ("UserGroupNotFound", {"UserGroupIds": ["none"]}),
        ("SnapshotNotFoundFault", {"SnapshotName": "none"}),
        ("InvalidParameterValue", {"SecurityGroupIds": ["sg-0123456789abcdef0"]}),
    ],
)
def test_what_creation_refuses(cache: Any, client: MakeClient, control: Control, code: str, wrong: dict[str, Any]) -> None:
    refused(code, create, client=client, control=control, **wrong)
    assert cache.describe_replication_groups()["ReplicationGroups"] == []


def test_quotas_and_capacity(cache: Any, client: MakeClient, control: Control) -> None:
    control.settings.quotas["elasticache.nodes"] = 1
    refused("NodeQuotaForCustomerExceeded", create, client=client, control=control)
    control.settings.quotas.clear()
    control.fail("elasticache", "CreateReplicationGroup", "InsufficientCacheClusterCapacity", times=1)
    refused("InsufficientCacheClusterCapacity", create, client=client, control=control)
    create(client, control)


def test_changes_wait_for_the_window_unless_asked_otherwise(cache: Any, client: MakeClient, control: Control) -> None:
    create(client, control)
    cache.modify_replication_group(ReplicationGroupId="rg", CacheNodeType="cache.t4g.small", SnapshotRetentionLimit=7)
    assert (group(cache)["Status"], group(cache)["CacheNodeType"], group(cache)["SnapshotRetentionLimit"]) == ("available", "cache.t4g.micro", 7)
    assert members(cache)[0]["PendingModifiedValues"] == {"CacheNodeType": "cache.t4g.small"}
    cache.modify_replication_group(ReplicationGroupId="rg", EngineVersion="8.0", Engine="valkey", ApplyImmediately=True)
    assert group(cache)["Status"] == "modifying"
    assert members(cache)[0]["PendingModifiedValues"] == {"CacheNodeType": "cache.t4g.small", "EngineVersion": "8.0.1"}
    refused("InvalidReplicationGroupState", cache.test_failover, ReplicationGroupId="rg", NodeGroupId="0001")
    control.advance(601)
    assert (group(cache)["Engine"], group(cache)["CacheNodeType"], group(cache)["PendingModifiedValues"]) == ("valkey", "cache.t4g.small", {})
    assert members(cache)[0]["CacheParameterGroup"]["CacheParameterGroupName"] == "default.valkey8"
    for change in ({"EngineVersion": "7.2"}, {"Engine": "redis", "EngineVersion": "7.1"}):
        refused("InvalidParameterCombination", cache.modify_replication_group, ReplicationGroupId="rg", ApplyImmediately=True, **change)
    cache.modify_replication_group(ReplicationGroupId="rg", CacheNodeType="cache.t4g.medium")
    control.elasticache("maintenance", "rg")
    assert group(cache)["CacheNodeType"] == "cache.t4g.medium"
    allowed = cache.list_allowed_node_type_modifications(ReplicationGroupId="rg")
    assert "cache.r7g.large" in allowed["ScaleUpModifications"] and "cache.t4g.micro" in allowed["ScaleDownModifications"]
    refused("InvalidParameterValue", cache.modify_replication_group, ReplicationGroupId="rg", ApplyImmediately=True, CacheNodeType="cache.r6gd.xlarge")


def test_encryption_in_transit_goes_step_by_step(cache: Any, client: MakeClient, control: Control) -> None:
    create(client, control, TransitEncryptionEnabled=False)
    modify = {"ReplicationGroupId": "rg", "ApplyImmediately": True, "TransitEncryptionEnabled": True}
    refused("InvalidParameterCombination", cache.modify_replication_group, **modify, TransitEncryptionMode="required")
    refused("InvalidParameterCombination", cache.modify_replication_group, **modify)
    cache.modify_replication_group(**modify, TransitEncryptionMode="preferred")
    assert group(cache)["PendingModifiedValues"]["TransitEncryptionMode"] == "preferred"
    control.advance(601)
    cache.modify_replication_group(**modify, TransitEncryptionMode="required")
    control.advance(601)
    assert group(cache)["TransitEncryptionMode"] == "required"


def test_cluster_mode_goes_through_compatible(cache: Any, client: MakeClient, control: Control) -> None:
    create(client, control)
    modify = {"ReplicationGroupId": "rg", "ApplyImmediately": True}
    refused("InvalidParameterCombination", cache.modify_replication_group, **modify, ClusterMode="enabled")
    for mode in ("compatible", "enabled"):
        cache.modify_replication_group(**modify, ClusterMode=mode)
        assert group(cache)["PendingModifiedValues"] == {"ClusterMode": mode}
        control.advance(601)
        assert group(cache)["ClusterMode"] == mode
    refused("InvalidParameterCombination", cache.modify_replication_group, **modify, ClusterMode="compatible")
    assert group(cache)["MemberClusters"] == ["rg-001", "rg-002"]


def test_auth_strategies(cache: Any, client: MakeClient, control: Control) -> None:
    create(client, control)
    modify = {"ReplicationGroupId": "rg", "ApplyImmediately": True}
    refused("InvalidParameterValue", cache.modify_replication_group, **modify, AuthToken=TOKEN, AuthTokenUpdateStrategy="SET")
    refused("InvalidParameterValue", cache.modify_replication_group, **modify, AuthTokenUpdateStrategy="DELETE")
    assert "AuthTokenLastModifiedDate" not in group(cache)
    for strategy, told in (("ROTATE", "ROTATING"), ("SET", "SETTING")):
        cache.modify_replication_group(**modify, AuthToken=TOKEN, AuthTokenUpdateStrategy=strategy)
        assert group(cache)["PendingModifiedValues"] == {"AuthTokenStatus": told}
        control.advance(601)
    first = group(cache)["AuthTokenLastModifiedDate"]
    refused("InvalidParameterValue", cache.modify_replication_group, **modify, AuthToken=TOKEN, AuthTokenUpdateStrategy="SET")
    cache.modify_replication_group(**modify, AuthToken=OTHER, AuthTokenUpdateStrategy="ROTATE")
    control.advance(601)
    refused("InvalidParameterValue", cache.modify_replication_group, **modify, AuthToken=TOKEN, AuthTokenUpdateStrategy="SET")
    cache.modify_replication_group(**modify, AuthToken=OTHER, AuthTokenUpdateStrategy="SET")
    control.advance(601)
    assert group(cache)["AuthTokenLastModifiedDate"] > first
    changed = group(cache)["AuthTokenLastModifiedDate"]
    control.elasticache("auth-token", "rg", token="from-outside-0123456789")
    assert group(cache)["AuthTokenLastModifiedDate"] > changed


def test_replicas_come_and_go(cache: Any, client: MakeClient, control: Control) -> None:
    create(client, control, Tags=[{"Key": "owner", "Value": "me"}])
    change = {"ReplicationGroupId": "rg", "ApplyImmediately": True}
    refused("NoOperationFault", cache.increase_replica_count, **change, NewReplicaCount=1)
    refused("InvalidParameterValue", cache.increase_replica_count, **change, NewReplicaCount=6)
    cache.increase_replica_count(**change, NewReplicaCount=3)
    control.advance(601)
    assert list(roles(cache)) == ["rg-001", "rg-002", "rg-003", "rg-004"]
    arn = members(cache)[3]["ARN"]
    assert cache.list_tags_for_resource(ResourceName=arn)["TagList"] == [{"Key": "owner", "Value": "me"}]
    refused("InvalidParameterCombination", cache.decrease_replica_count, **change, NewReplicaCount=0)
    cache.decrease_replica_count(**change, NewReplicaCount=1, ReplicasToRemove=["rg-002", "rg-003"])
    assert len(roles(cache)) == 4
    control.advance(601)
    assert list(roles(cache)) == ["rg-001", "rg-004"]


def test_failover_and_replacement(cache: Any, client: MakeClient, control: Control) -> None:
    create(client, control)
    refused("NodeGroupNotFoundFault", cache.test_failover, ReplicationGroupId="rg", NodeGroupId="0009")
    cache.test_failover(ReplicationGroupId="rg", NodeGroupId="0001")
    control.advance(601)
    assert roles(cache) == {"rg-001": "replica", "rg-002": "primary"}
    control.elasticache("failover", "rg")
    assert roles(cache)["rg-001"] == "primary"
    assert control.elasticache("replace-member", "rg", member="rg-002") == "rg-003"
    assert roles(cache) == {"rg-001": "primary", "rg-003": "replica"}
    assert control.elasticache("series", "rg")[0] == [{"Name": "CacheClusterId", "Value": "rg-001"}]


def test_shards(cache: Any, client: MakeClient, control: Control) -> None:
    sharded: dict[str, Any] = {
        "NumNodeGroups": 2,
        "ReplicasPerNodeGroup": 1,
        "CacheParameterGroupName": "default.redis7.cluster.on",
        "AutomaticFailoverEnabled": True,
    }
    refused("InvalidParameterCombination", create, client=client, control=control, **(sharded | {"CacheParameterGroupName": "default.redis7"}))
    create(client, control, **sharded)
    found = group(cache)
    assert found["MemberClusters"] == ["rg-0001-001", "rg-0001-002", "rg-0002-001", "rg-0002-002"]
    assert "CurrentRole" not in found["NodeGroups"][0]["NodeGroupMembers"][0] and found["ConfigurationEndpoint"]
    reshard = {"ReplicationGroupId": "rg", "ApplyImmediately": True}
    refused("InvalidParameterCombination", cache.modify_replication_group_shard_configuration, **reshard, NodeGroupCount=1)
    cache.modify_replication_group_shard_configuration(**reshard, NodeGroupCount=3)
    assert "Resharding" in group(cache)["PendingModifiedValues"]
    control.advance(601)
    cache.modify_replication_group_shard_configuration(**reshard, NodeGroupCount=2, NodeGroupsToRemove=["0002"])
    control.advance(601)
    assert [shard["NodeGroupId"] for shard in group(cache)["NodeGroups"]] == ["0001", "0003"]


def test_pages_and_accounts(cache: Any, client: MakeClient, control: Control) -> None:
    for number in range(21):
        create(client, control, f"rg{number:02d}", wait=False)
    control.advance(601)
    pages = list(cache.get_paginator("describe_cache_clusters").paginate(PaginationConfig={"PageSize": 20}))
    assert [len(page["CacheClusters"]) for page in pages] == [20, 20, 2]
    assert client("elasticache", account="111122223333").describe_replication_groups()["ReplicationGroups"] == []


def test_tags_are_found_and_wait_for_the_group(cache: Any, client: MakeClient, control: Control) -> None:
    arn = create(client, control, wait=False, Tags=[{"Key": "owner", "Value": "me"}])["ARN"]
    refused("InvalidReplicationGroupState", cache.add_tags_to_resource, ResourceName=arn, Tags=[{"Key": "a", "Value": "b"}])
    control.advance(601)
    cache.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "a", "Value": "b"}])
    cache.remove_tags_from_resource(ResourceName=arn, TagKeys=["a"])
    found = client("resourcegroupstaggingapi").get_resources(
        TagFilters=[{"Key": "owner", "Values": ["me"]}], ResourceTypeFilters=["elasticache:replicationgroup"]
    )
    assert [(entry["ResourceARN"], entry["Tags"]) for entry in found["ResourceTagMappingList"]] == [(arn, [{"Key": "owner", "Value": "me"}])]


def test_snapshots_occupy_the_group(cache: Any, client: MakeClient, control: Control) -> None:
    create(client, control)
    cache.create_snapshot(ReplicationGroupId="rg", SnapshotName="s")
    assert group(cache)["Status"] == "snapshotting"
    assert cache.describe_snapshots(SnapshotName="s")["Snapshots"][0]["SnapshotStatus"] == "creating"
    refused("InvalidReplicationGroupState", cache.create_snapshot, ReplicationGroupId="rg", SnapshotName="t")
    control.advance(601)
    refused("SnapshotAlreadyExistsFault", cache.create_snapshot, ReplicationGroupId="rg", SnapshotName="s")
    cache.delete_snapshot(SnapshotName="s")
    refused("SnapshotNotFoundFault", cache.describe_snapshots, SnapshotName="s")

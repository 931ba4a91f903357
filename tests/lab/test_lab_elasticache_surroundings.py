"""ElastiCache's parameter and subnet groups, users and user groups at the lab's endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from lab.aws.endpoint import Control
from tests.lab.aws_objects import refused
from tests.lab.conftest import MakeClient
from tests.lab.test_lab_elasticache import create, group, members, subnet_group

PASSWORDS = ["first-password-0123", "second-password-0123"]


@pytest.fixture
def cache(client: MakeClient, control: Control) -> Any:
    for name in ("create", "modify", "user"):
        setattr(control.settings, f"elasticache_{name}_s", 600.0)
    return client("elasticache")


def parameter(cache: Any, name: str, **more: Any) -> dict[str, Any]:
    pages = cache.get_paginator("describe_cache_parameters").paginate(CacheParameterGroupName="p", **more)
    found: dict[str, Any] = next(entry for page in pages for entry in page["Parameters"] if entry["ParameterName"] == name)
    return found


def modify(cache: Any, **values: str) -> None:
    entries = [{"ParameterName": name.replace("_", "-"), "ParameterValue": value} for name, value in values.items()]
    cache.modify_cache_parameter_group(CacheParameterGroupName="p", ParameterNameValues=entries)


def test_parameters_are_checked_and_reset(cache: Any) -> None:
    refused("InvalidParameterValue", cache.create_cache_parameter_group, CacheParameterGroupName="p", CacheParameterGroupFamily="redis9", Description="d")
    cache.create_cache_parameter_group(CacheParameterGroupName="p", CacheParameterGroupFamily="redis7", Description="d")
    assert parameter(cache, "maxmemory-policy")["ParameterValue"] == "volatile-lru"
    modify(cache, maxmemory_policy="allkeys-lru", timeout="300")
    found = parameter(cache, "maxmemory-policy", Source="user")
    assert (found["ParameterValue"], found["ChangeType"], found["Source"]) == ("allkeys-lru", "immediate", "user")
    for wrong in ({"maxmemory_policy": "sometimes"}, {"timeout": "7"}, {"no_such": "1"}, {"maxclients": "10"}, {"hash_max_ziplist_entries": "1"}):
        refused("InvalidParameterValue", modify, cache=cache, **wrong)
    cache.reset_cache_parameter_group(CacheParameterGroupName="p", ParameterNameValues=[{"ParameterName": "timeout"}])
    assert parameter(cache, "timeout")["ParameterValue"] == "0"
    cache.reset_cache_parameter_group(CacheParameterGroupName="p", ResetAllParameters=True)
    assert cache.describe_cache_parameters(CacheParameterGroupName="p", Source="user")["Parameters"] == []
    refused("InvalidCacheParameterGroupState", cache.delete_cache_parameter_group, CacheParameterGroupName="default.redis7")


def test_a_parameter_may_wait_for_a_reboot(cache: Any, client: MakeClient, control: Control) -> None:
    cache.create_cache_parameter_group(CacheParameterGroupName="p", CacheParameterGroupFamily="redis7", Description="d")
    create(client, control, CacheParameterGroupName="p")
    modify(cache, maxmemory_policy="allkeys-lru")
    assert members(cache)[0]["CacheParameterGroup"]["ParameterApplyStatus"] == "in-sync"
    modify(cache, databases="32")
    assert members(cache)[0]["CacheParameterGroup"]["ParameterApplyStatus"] == "pending-reboot"
    cache.reboot_cache_cluster(CacheClusterId="rg-001", CacheNodeIdsToReboot=["0001"])
    control.advance(601)
    assert [member["CacheParameterGroup"]["ParameterApplyStatus"] for member in members(cache)] == ["in-sync", "pending-reboot"]
    refused("InvalidCacheParameterGroupState", cache.delete_cache_parameter_group, CacheParameterGroupName="p")
    cache.delete_replication_group(ReplicationGroupId="rg")
    control.advance(601)
    cache.delete_cache_parameter_group(CacheParameterGroupName="p")
    refused("CacheParameterGroupNotFound", cache.describe_cache_parameter_groups, CacheParameterGroupName="p")


def test_subnet_groups(cache: Any, client: MakeClient, control: Control) -> None:
    made = subnet_group(client, control, Tags=[{"Key": "a", "Value": "b"}])
    assert made["VpcId"].startswith("vpc-") and len(made["Subnets"]) > 1
    refused("CacheSubnetGroupAlreadyExists", subnet_group, client=client, control=control)
    refused("InvalidSubnet", cache.modify_cache_subnet_group, CacheSubnetGroupName="subnets", SubnetIds=["subnet-0123456789abcdef0"])
    one = made["Subnets"][0]["SubnetIdentifier"]
    create(client, control)
    refused("SubnetInUse", cache.modify_cache_subnet_group, CacheSubnetGroupName="subnets", SubnetIds=[one])
    refused("CacheSubnetGroupInUse", cache.delete_cache_subnet_group, CacheSubnetGroupName="subnets")
    assert cache.list_tags_for_resource(ResourceName=made["ARN"])["TagList"] == [{"Key": "a", "Value": "b"}]


def user(cache: Any, identifier: str, name: str, engine: str = "redis") -> dict[str, Any]:
    made: dict[str, Any] = cache.create_user(UserId=identifier, UserName=name, Engine=engine, AccessString="on ~* +@all", Passwords=PASSWORDS[:1])
    return made


def test_users_have_two_passwords(cache: Any, control: Control) -> None:
    assert user(cache, "app", "app")["Authentication"] == {"Type": "password", "PasswordCount": 1}
    refused("UserAlreadyExists", user, cache=cache, identifier="app", name="app")
    refused("InvalidParameterValue", cache.modify_user, UserId="app", Passwords=["short"])
    refused("InvalidParameterValue", cache.modify_user, UserId="app", Passwords=[*PASSWORDS, "third-password-0123"])
    assert cache.modify_user(UserId="app", Passwords=PASSWORDS)["Status"] == "modifying"
    refused("InvalidUserState", cache.modify_user, UserId="app", Passwords=PASSWORDS[1:])
    assert cache.describe_users(UserId="app")["Users"][0]["Authentication"]["PasswordCount"] == 1
    control.advance(601)
    found = cache.describe_users(UserId="app")["Users"][0]
    assert (found["Status"], found["Authentication"]["PasswordCount"]) == ("active", 2)


def test_user_groups_in_use_and_from_auth_to_rbac(cache: Any, client: MakeClient, control: Control) -> None:
    for identifier, name in (("app", "app"), ("ours", "default")):
        user(cache, identifier, name)
    refused("DefaultUserRequired", cache.create_user_group, UserGroupId="g", Engine="redis", UserIds=["app"])
    refused("DuplicateUserName", cache.create_user_group, UserGroupId="g", Engine="redis", UserIds=["default", "ours"])
    assert cache.create_user_group(UserGroupId="g", Engine="redis", UserIds=["app", "ours"])["Status"] == "creating"
    control.advance(601)
    create(client, control, AuthToken="a-token-of-0123456789")
    change = {"ReplicationGroupId": "rg", "ApplyImmediately": True, "UserGroupIdsToAdd": ["g"]}
    refused("InvalidParameterCombination", cache.modify_replication_group, **change)
    cache.modify_replication_group(**change, AuthTokenUpdateStrategy="DELETE")
    assert group(cache)["PendingModifiedValues"]["UserGroups"] == {"UserGroupIdsToAdd": ["g"]}
    control.advance(601)
    assert (group(cache)["UserGroupIds"], group(cache)["AuthTokenEnabled"]) == (["g"], False)
    refused("InvalidUserGroupState", cache.delete_user_group, UserGroupId="g")
    refused("DefaultUserAssociatedToUserGroup", cache.delete_user, UserId="ours")
    cache.delete_user(UserId="app")
    assert cache.describe_user_groups(UserGroupId="g")["UserGroups"][0]["Status"] == "modifying"
    control.advance(601)
    found = cache.describe_user_groups(UserGroupId="g")["UserGroups"][0]
    assert (found["UserIds"], found["ReplicationGroups"]) == (["ours"], ["rg"])
    back = {"AuthToken": "a-token-of-9876543210", "AuthTokenUpdateStrategy": "SET", "RemoveUserGroups": True}
    cache.modify_replication_group(ReplicationGroupId="rg", ApplyImmediately=True, **back)
    control.advance(601)
    cache.delete_user_group(UserGroupId="g")
    control.advance(601)
    refused("UserGroupNotFound", cache.describe_user_groups, UserGroupId="g")

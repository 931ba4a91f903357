"""Secrets Manager and EC2 security groups at the lab's endpoint, where they differ from what the emulators do by themselves."""

from __future__ import annotations

from typing import Any

import pytest

from lab.aws.endpoint import Control
from tests.lab.aws_objects import refused
from tests.lab.conftest import MakeClient
from tests.lab.test_lab_elasticache import create

ONE, TWO, THREE = "1" * 32, "2" * 32, "3" * 32
GRACE = "securebase-grace"


@pytest.fixture
def secrets(client: MakeClient) -> Any:
    made = client("secretsmanager")
    made.create_secret(Name="s", ClientRequestToken=ONE, SecretString="v1", Tags=[{"Key": "owner", "Value": "me"}])
    return made


def stages(secrets: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = secrets.describe_secret(SecretId="s")["VersionIdsToStages"]
    return found


def test_a_token_stands_for_one_value(secrets: Any) -> None:
    assert secrets.create_secret(Name="s", ClientRequestToken=ONE, SecretString="v1")["VersionId"] == ONE
    refused("ResourceExistsException", secrets.create_secret, Name="s", ClientRequestToken=ONE, SecretString="v2")
    for _ in range(2):
        secrets.put_secret_value(SecretId="s", ClientRequestToken=TWO, SecretString="v2", VersionStages=["AWSPENDING"])
    refused("ResourceExistsException", secrets.put_secret_value, SecretId="s", ClientRequestToken=TWO, SecretString="v3", VersionStages=["AWSPENDING"])
    assert secrets.get_secret_value(SecretId="s", VersionStage="AWSPENDING")["SecretString"] == "v2"
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "v1"


def test_staging_labels_move_one_at_a_time(secrets: Any) -> None:
    secrets.put_secret_value(SecretId="s", ClientRequestToken=TWO, SecretString="v2", VersionStages=["AWSPENDING"])
    secrets.update_secret_version_stage(SecretId="s", VersionStage=GRACE, MoveToVersionId=ONE)
    refused("InvalidParameterException", secrets.update_secret_version_stage, SecretId="s", VersionStage="AWSCURRENT", MoveToVersionId=TWO)
    secrets.update_secret_version_stage(SecretId="s", VersionStage="AWSCURRENT", MoveToVersionId=TWO, RemoveFromVersionId=ONE)
    assert stages(secrets) == {ONE: ["AWSPREVIOUS", GRACE], TWO: ["AWSCURRENT", "AWSPENDING"]}
    refused("InvalidParameterException", secrets.update_secret_version_stage, SecretId="s", VersionStage="AWSCURRENT", RemoveFromVersionId=TWO)
    secrets.update_secret_version_stage(SecretId="s", VersionStage="AWSPENDING", RemoveFromVersionId=TWO)
    secrets.update_secret_version_stage(SecretId="s", VersionStage=GRACE, RemoveFromVersionId=ONE)
    secrets.put_secret_value(SecretId="s", ClientRequestToken=THREE, SecretString="v3")
    assert stages(secrets) == {TWO: ["AWSPREVIOUS"], THREE: ["AWSCURRENT"]}
    listed = secrets.list_secret_version_ids(SecretId="s", IncludeDeprecated=True)["Versions"]
    assert (listed[0]["VersionId"], listed[0]["VersionStages"]) == (ONE, [])
    assert len(secrets.list_secret_version_ids(SecretId="s")["Versions"]) == 2


def test_a_secret_without_a_value_has_no_version(secrets: Any) -> None:
    secrets.create_secret(Name="empty")
    refused("ResourceNotFoundException", secrets.get_secret_value, SecretId="empty")
    secrets.put_secret_value(SecretId="empty", SecretString="v", VersionStages=["AWSPENDING"])
    assert secrets.get_secret_value(SecretId="empty")["VersionStages"] == ["AWSCURRENT", "AWSPENDING"]


def test_deletion_has_a_window(secrets: Any, client: MakeClient, control: Control) -> None:
    arn = secrets.delete_secret(SecretId="s", RecoveryWindowInDays=7)["ARN"]
    refused("InvalidRequestException", secrets.get_secret_value, SecretId="s")
    refused("InvalidRequestException", secrets.create_secret, Name="s", SecretString="v")
    assert secrets.list_secrets()["SecretList"] == []
    assert secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"][0]["ARN"] == arn
    secrets.restore_secret(SecretId="s")
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == "v1"
    found = client("resourcegroupstaggingapi").get_resources(TagFilters=[{"Key": "owner", "Values": ["me"]}], ResourceTypeFilters=["secretsmanager:secret"])
    assert [entry["ResourceARN"] for entry in found["ResourceTagMappingList"]] == [arn]
    secrets.delete_secret(SecretId="s", RecoveryWindowInDays=7)
    control.advance(7 * 86_400 + 1)
    refused("ResourceNotFoundException", secrets.describe_secret, SecretId="s")
    secrets.create_secret(Name="s", SecretString="again")
    secrets.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
    refused("ResourceNotFoundException", secrets.describe_secret, SecretId="s")


def permission(*cidrs: str, **more: Any) -> list[dict[str, Any]]:
    return [{"IpProtocol": "tcp", "FromPort": 6379, "ToPort": 6379, "IpRanges": [{"CidrIp": cidr, "Description": "d"} for cidr in cidrs]} | more]


def test_rules_of_a_security_group(client: MakeClient) -> None:
    ec2 = client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    one = ec2.create_security_group(GroupName="one", Description="d", VpcId=vpc)["GroupId"]
    two = ec2.create_security_group(GroupName="two", Description="d", VpcId=vpc)["GroupId"]
    assert [found["GroupId"] for found in ec2.describe_security_groups(Filters=[{"Name": "group-id", "Values": [one]}])["SecurityGroups"]] == [one]
    refused("InvalidGroup.NotFound", ec2.describe_security_groups, GroupIds=["sg-0123456789abcdef0"])
    ec2.authorize_security_group_ingress(GroupId=one, IpPermissions=permission("10.0.0.0/16", "10.1.0.0/16"))
    refused("InvalidPermission.Duplicate", ec2.authorize_security_group_ingress, GroupId=one, IpPermissions=permission("10.0.0.0/16"))
    pair = {"GroupId": two, "Description": "d"}
    ec2.authorize_security_group_ingress(GroupId=one, IpPermissions=permission(UserIdGroupPairs=[pair], IpRanges=[]))
    ec2.revoke_security_group_ingress(GroupId=one, IpPermissions=permission("10.1.0.0/16"))
    refused("InvalidPermission.NotFound", ec2.revoke_security_group_ingress, GroupId=one, IpPermissions=permission("10.9.0.0/16"))
    found = ec2.describe_security_groups(GroupIds=[one])["SecurityGroups"][0]["IpPermissions"]
    assert [entry for part in found for entry in part["IpRanges"]] == [{"CidrIp": "10.0.0.0/16", "Description": "d"}]
    assert [(entry["GroupId"], entry["Description"]) for part in found for entry in part["UserIdGroupPairs"]] == [(two, "d")]
    refused("DependencyViolation", ec2.delete_security_group, GroupId=two)
    assert len(ec2.describe_security_groups(MaxResults=5)["SecurityGroups"]) == 3


def test_a_group_behind_a_cache_is_in_use_and_found_by_tag(client: MakeClient, control: Control) -> None:
    control.settings.elasticache_create_s = control.settings.elasticache_delete_s = 600
    ec2 = client("ec2")
    tags = [{"ResourceType": "security-group", "Tags": [{"Key": "owner", "Value": "me"}]}]
    identifier = ec2.create_security_group(GroupName="g", Description="d", VpcId=ec2.describe_vpcs()["Vpcs"][0]["VpcId"], TagSpecifications=tags)["GroupId"]
    found = client("resourcegroupstaggingapi").get_resources(TagFilters=[{"Key": "owner"}], ResourceTypeFilters=["ec2:security-group"])
    assert [entry["ResourceARN"].rpartition("/")[2] for entry in found["ResourceTagMappingList"]] == [identifier]
    create(client, control, SecurityGroupIds=[identifier])
    refused("DependencyViolation", ec2.delete_security_group, GroupId=identifier)
    client("elasticache").delete_replication_group(ReplicationGroupId="rg")
    control.advance(601)
    ec2.delete_security_group(GroupId=identifier)
    refused("InvalidGroup.NotFound", ec2.describe_security_groups, GroupIds=[identifier])

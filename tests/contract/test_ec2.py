"""Security groups: the whole set of ingress rules, tags, deletion while in use."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from securebase.core.driver import Depth, Observed, State, Target
from securebase.core.errors import Denied, Terminal
from securebase.core.graph import Ref
from securebase.resources.ec2.driver import SecurityGroupDriver, as_wanted, group_of, permission
from securebase.resources.ec2.model import IngressRule, SecurityGroup
from tests.contract.harness import Contract, Lab, check_contract, delete, differences, eventually, observe, settled, write

NET, OTHER_NET = IngressRule("10.0.0.0/16", 6379, description="applications"), IngressRule("10.1.0.0/16", 6379)


@pytest.fixture
def vpc(lab: Lab) -> str:
    return str(lab.raw("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])


def group(vpc: str, *ingress: IngressRule) -> SecurityGroup:
    return SecurityGroup(f"cache-{uuid4().hex[:10]}", "clients of a cache", vpc, {"team": "web"}, ingress or (NET, OTHER_NET))


def driver_of(lab: Lab) -> SecurityGroupDriver:
    return SecurityGroupDriver(lab.scope("us-east-1"), lab.clock)


def made(lab: Lab, desired: SecurityGroup) -> tuple[SecurityGroupDriver, Target[SecurityGroup]]:
    driver = driver_of(lab)
    target = lab.target(driver.type, desired)
    target = replace(target, external_id=eventually(lambda: driver.create(target, "t"), lambda _: True, "made").external_id)
    settled(driver, target)
    return driver, target


def test_lives_as_promised(lab: Lab, vpc: str) -> None:
    wanted = group(vpc)
    other = lab.raw("ec2").create_security_group(GroupName="clients", Description="clients", VpcId=vpc)["GroupId"]
    changes = {
        "one source less": replace(wanted, ingress=(NET,)),
        "no source": replace(wanted, ingress=()),
        "another port": replace(wanted, ingress=(replace(NET, port=6380), OTHER_NET)),
        "range": replace(wanted, ingress=(replace(NET, last_port=6380), OTHER_NET)),
        "description of a rule": replace(wanted, ingress=(replace(NET, description="others"), OTHER_NET)),
        "a group": replace(wanted, ingress=(NET, OTHER_NET, IngressRule(other, 6379, description="by group"))),
        "IPv6": replace(wanted, ingress=(NET, IngressRule("2001:db8::/32", 6379))),
        "tag value": replace(wanted, tags={"team": "platform"}),
    }

    def drift(seen: Observed[SecurityGroup]) -> None:
        theirs = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        lab.raw("ec2").authorize_security_group_ingress(GroupId=seen.external_id, IpPermissions=[theirs])

    check_contract(lab, Contract(SecurityGroupDriver, wanted, changes, drift, "ingress[tcp:22:0.0.0.0/0].port"))


def test_is_made_with_tags_and_egress_stays(lab: Lab, vpc: str) -> None:
    driver, target = made(lab, group(vpc))
    entry = lab.raw("ec2").describe_security_groups(GroupIds=[target.external_id])["SecurityGroups"][0]
    assert {tag["Key"]: tag["Value"] for tag in entry["Tags"]} == {"team": "web", "securebase.io/owner": target.owner}
    assert [each["IpProtocol"] for each in entry["IpPermissionsEgress"]] == ["-1"]
    seen = settled(driver, target)
    assert seen.attributes["id"] == target.external_id
    assert seen.attributes["arn"] == f"arn:aws:ec2:us-east-1:{lab.account}:security-group/{target.external_id}"


@pytest.mark.parametrize("depth", Depth)
def test_a_revoked_rule_is_seen_and_comes_back(lab: Lab, vpc: str, depth: Depth) -> None:
    driver, target = made(lab, group(vpc))
    lab.raw("ec2").revoke_security_group_ingress(GroupId=target.external_id, IpPermissions=[permission(NET)])

    def minutes_later() -> Observed[SecurityGroup] | None:
        lab.clock.advance(61.0)
        return observe(driver, target, depth)

    eventually(minutes_later, lambda seen: any("10.0.0.0/16" in change.path for change in differences(target, seen)), "the missing rule shows")
    write(driver, target)
    settled(driver, target)


def test_somebody_elses_tag_stays(lab: Lab, vpc: str) -> None:
    driver, target = made(lab, group(vpc))
    lab.raw("ec2").create_tags(Resources=[target.external_id], Tags=[{"Key": "theirs", "Value": "x"}])
    eventually(lambda: observe(driver, target), lambda seen: seen is not None and "theirs" in seen.value.tags, "their tag shows")
    write(driver, replace(target, desired=replace(target.want(), tags={"team": "platform"})))
    tags = lab.raw("ec2").describe_tags(Filters=[{"Name": "resource-id", "Values": [target.external_id]}])["Tags"]
    assert {tag["Key"] for tag in tags} == {"team", "theirs", "securebase.io/owner"}


def test_many_are_read_at_once(lab: Lab, vpc: str) -> None:
    driver = driver_of(lab)
    targets = []
    for number in range(5):
        target = lab.target(driver.type, group(vpc))
        found = eventually(partial(driver.create, target, "t"), lambda _: True, "made")
        targets.append(replace(target, external_id=found.external_id if number % 2 else ""))
    for depth in (Depth.FRESH, Depth.SWEEP):
        before = len(lab.control.log.reads("ec2"))
        answers = eventually(partial(driver.observe, targets, depth), lambda found: all(isinstance(each, Observed) for each in found.values()), "all seen")
        assert {target.key for target in targets} == answers.keys()
        if not lab.stale:
            assert len(lab.control.log.reads("ec2")) - before == 2, "one by id or list, one by name"


@pytest.mark.parametrize("external_id", ["sg-0123456789abcdef0", "sg-0f"])
def test_one_that_is_gone_hides_no_sibling(lab: Lab, vpc: str, external_id: str) -> None:
    driver, target = made(lab, group(vpc))
    gone = lab.target(driver.type, group(vpc))
    gone = replace(gone, external_id=external_id)
    answers = driver.observe([gone, target], Depth.FRESH)
    assert answers[gone.key] is None
    assert isinstance(answers[target.key], Observed)


def test_its_deletion_waits_while_it_is_in_use(lab: Lab, vpc: str) -> None:
    driver, target = made(lab, group(vpc))
    _, user = made(lab, group(vpc, IngressRule(target.external_id, 6379)))
    left = driver.delete(target, settled(driver, target))
    assert left is not None and (left.state, left.reason) == (State.PENDING, "InUse")
    delete(driver, user)
    delete(driver, target)


def test_a_replacement_stands_beside_what_it_replaces(lab: Lab, vpc: str) -> None:
    driver, target = made(lab, group(vpc))
    successor = replace(target, desired=replace(target.want(), description="another"), external_id="", incarnation=1)
    assert differences(successor, observe(driver, replace(successor, external_id=target.external_id)))
    found = eventually(lambda: driver.create(successor, "t1"), lambda _: True, "the successor is made")
    assert found.external_id != target.external_id
    seen = settled(driver, replace(successor, external_id=found.external_id))
    assert seen.value.name == target.want().name
    assert lab.raw("ec2").describe_security_groups(GroupIds=[found.external_id])["SecurityGroups"][0]["GroupName"] == f"{target.want().name}-1"
    settled(driver, target)


def test_a_name_that_another_has_is_not_taken(lab: Lab, vpc: str) -> None:
    driver = driver_of(lab)
    target = lab.target(driver.type, group(vpc))
    theirs = lab.raw("ec2").create_security_group(GroupName=target.want().name, Description="theirs", VpcId=vpc)["GroupId"]
    seen = observe(driver, target)
    assert seen is not None and (seen.external_id, seen.owner) == (theirs, "")
    with pytest.raises(Terminal, match="NameTaken"):
        driver.create(target, "t")
    assert driver.adopt(target, seen).owner == target.owner
    eventually(lambda: observe(driver, target), lambda found: found is not None and found.owner == target.owner, "ours")


def test_denied_is_not_absent(lab: Lab, vpc: str) -> None:
    driver, target = made(lab, group(vpc))
    lab.control.fail("ec2", "DescribeSecurityGroups", code="UnauthorizedOperation", status=403, account=lab.account)
    for each in (target, replace(target, external_id="")):
        with pytest.raises(Denied, match="ec2:DescribeSecurityGroups"):
            observe(driver, each)


def test_is_found_by_its_identity(lab: Lab, vpc: str) -> None:
    _, target = made(lab, group(vpc))
    eventually(lambda: driver_of(lab).owned(target.identity), lambda found: found == {target.node: target.external_id}, "found")


def test_without_its_vpc_it_is_nowhere(lab: Lab) -> None:
    driver = driver_of(lab)
    target = lab.target(driver.type, group(Ref("subnets", "vpcId")))
    assert observe(driver, target) is None and not driver.locatable(target)


def entry(**permission: Any) -> dict[str, Any]:
    return {"GroupId": "sg-1", "GroupName": "n", "Description": "d", "VpcId": "vpc-1", "OwnerId": "111111111111", "IpPermissions": [permission]}


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (
            {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "x"}]},
            IngressRule("10.0.0.0/8", 1, description="x"),
        ),
        ({"IpProtocol": "udp", "FromPort": 1, "ToPort": 9, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}, IngressRule("::/0", 1, 9, "udp")),
        ({"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-1"}]}, IngressRule("pl-1", -1, protocol="-1")),
        ({"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, IngressRule("10.0.0.0/8", -1, protocol="icmp")),
        (
            {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [{"GroupId": "sg-2", "UserId": "222222222222"}]},
            IngressRule("222222222222/sg-2", 1),
        ),
    ],
)
def test_a_rule_is_read_as_it_is_written(given: dict[str, Any], rule: IngressRule) -> None:
    assert group_of(entry(**given)).rules == (rule,)
    assert permission(rule) == given


def test_rules_come_in_the_wanted_order_and_spelling() -> None:
    found = (IngressRule("10.0.0.0/8", 1), IngressRule("10.1.0.0/16", 2, description="there"), IngressRule("::/0", 3))
    wanted = (IngressRule("10.1.2.3/16", 2, description="here"), IngressRule("10.0.0.0/8", 1))
    assert as_wanted(found, wanted) == (IngressRule("10.1.2.3/16", 2, description="there"), IngressRule("10.0.0.0/8", 1), IngressRule("::/0", 3))

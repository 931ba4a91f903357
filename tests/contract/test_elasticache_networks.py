"""Subnet groups and parameter groups of caches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from securebase.core.driver import Depth, Observed, State, Target
from securebase.core.errors import Terminal
from securebase.resources.elasticache.model import ParameterGroup, SubnetGroup
from securebase.resources.elasticache.parameter_group import ParameterGroupDriver
from securebase.resources.elasticache.subnet_group import SubnetGroupDriver
from tests.contract.harness import Contract, Lab, check_contract, delete, eventually, observe, settled, write


def subnets(lab: Lab) -> list[str]:
    """The subnets of the account's default VPC."""
    return sorted(subnet["SubnetId"] for subnet in lab.raw("ec2").describe_subnets()["Subnets"])


def subnet_group(lab: Lab) -> SubnetGroup:
    return SubnetGroup(f"cache-{uuid4().hex[:10]}", {"team": "web"}, frozenset(subnets(lab)[:2]), "of the cache")


def parameter_group() -> ParameterGroup:
    return ParameterGroup(
        name=f"cache-{uuid4().hex[:10]}",
        tags={"team": "web"},
        family="valkey8",
        parameters={"maxmemory-policy": "allkeys-lru", "timeout": "300"},
        reboot_parameters={"databases": "32"},
        description="of the cache",
    )


def test_a_subnet_group_lives_as_promised(lab: Lab) -> None:
    group = subnet_group(lab)
    changes = {
        "another subnet": replace(group, subnet_ids=frozenset(subnets(lab)[:3])),
        "description": replace(group, description="changed"),
        "tag value": replace(group, tags={"team": "platform"}),
    }

    def drift(seen: Observed[SubnetGroup]) -> None:
        lab.raw("elasticache").modify_cache_subnet_group(CacheSubnetGroupName=seen.external_id, SubnetIds=subnets(lab)[:1])

    check_contract(lab, Contract(SubnetGroupDriver, group, changes, drift, "subnetIds"))


def test_a_parameter_group_lives_as_promised(lab: Lab) -> None:
    group = parameter_group()
    changes = {
        "value": replace(group, parameters={"maxmemory-policy": "volatile-ttl", "timeout": "300"}),
        "back to the default": replace(group, parameters={"maxmemory-policy": "allkeys-lru"}),
        "one more": replace(group, parameters={**group.parameters, "slowlog-max-len": "256"}),
        "a parameter that waits for a restart": replace(group, reboot_parameters={"databases": "64"}),
        "tag value": replace(group, tags={"team": "platform"}),
    }

    def drift(seen: Observed[ParameterGroup]) -> None:
        parameters = [{"ParameterName": "tcp-keepalive", "ParameterValue": "60"}]
        lab.raw("elasticache").modify_cache_parameter_group(CacheParameterGroupName=seen.external_id, ParameterNameValues=parameters)

    check_contract(lab, Contract(ParameterGroupDriver, group, changes, drift, "parameters[tcp-keepalive]"))


def test_more_parameters_than_a_request_takes(lab: Lab) -> None:
    many = {
        "hash-max-listpack-entries": "64", "hash-max-listpack-value": "64", "set-max-intset-entries": "64", "zset-max-listpack-entries": "64",
        "zset-max-listpack-value": "32", "slowlog-max-len": "64", "slowlog-log-slower-than": "5000", "maxmemory-samples": "5", "timeout": "60",
        "tcp-keepalive": "60", "stream-node-max-bytes": "2048", "stream-node-max-entries": "50", "repl-backlog-ttl": "60", "lfu-log-factor": "5",
        "lfu-decay-time": "2", "list-compress-depth": "1", "min-replicas-max-lag": "20", "reserved-memory-percent": "30", "activedefrag": "yes",
        "lazyfree-lazy-eviction": "yes", "lazyfree-lazy-expire": "yes", "maxmemory-policy": "allkeys-lfu",
    }  # fmt: skip
    driver = ParameterGroupDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, replace(parameter_group(), parameters=many))
    made = driver.create(target, "t")
    target = replace(target, external_id=made.external_id)
    assert settled(driver, target).value.parameters == many
    none = replace(target, desired=replace(target.want(), parameters={}, reboot_parameters={}))
    write(driver, none)
    assert settled(driver, none).value.parameters == {}


def test_a_successor_stands_beside_what_it_replaces(lab: Lab) -> None:
    driver = ParameterGroupDriver(lab.scope("us-east-1"), lab.clock)
    first = lab.target(driver.type, parameter_group())
    old = driver.create(first, "t")
    second = replace(first, incarnation=1, desired=replace(first.want(), family="valkey7"))
    new = driver.create(second, "u")
    assert (old.external_id, new.external_id) == (first.want().name, f"{first.want().name}-1")
    assert settled(driver, replace(second, external_id=new.external_id)).value == second.desired
    retired: Target[Any] = replace(first, node=f"{first.node}~0", desired=None, external_id=old.external_id)
    delete(driver, retired)
    assert observe(driver, replace(second, external_id=new.external_id)) is not None


def test_a_name_that_somebody_else_has_is_not_taken(lab: Lab) -> None:
    group = subnet_group(lab)
    lab.raw("elasticache").create_cache_subnet_group(CacheSubnetGroupName=group.name, CacheSubnetGroupDescription="theirs", SubnetIds=subnets(lab)[:1])
    driver = SubnetGroupDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, group)
    with pytest.raises(Terminal, match="not ours"):
        driver.create(target, "t")
    found = eventually(lambda: observe(driver, target), bool, "seen")
    assert found is not None
    assert found.owner == ""
    assert driver.adopt(target, found).owner == target.owner
    assert settled_owner(driver, target) == target.owner


def settled_owner(driver: SubnetGroupDriver, target: Target[SubnetGroup]) -> str:
    found = eventually(lambda: observe(driver, target), lambda seen: seen is not None and bool(seen.owner), "adopted")
    assert found is not None
    return found.owner


def test_a_subnet_that_does_not_exist_is_told(lab: Lab) -> None:
    driver = SubnetGroupDriver(lab.scope("us-east-1"), lab.clock)
    with pytest.raises(Terminal, match="one VPC"):
        driver.create(lab.target(driver.type, replace(subnet_group(lab), subnet_ids=frozenset({"subnet-none"}))), "t")


def test_what_a_cache_uses_is_removed_later(lab: Lab) -> None:
    driver = SubnetGroupDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, subnet_group(lab))
    made = driver.create(target, "t")
    raw = lab.raw("elasticache")
    raw.create_replication_group(
        ReplicationGroupId=target.want().name, ReplicationGroupDescription="uses it", CacheNodeType="cache.t4g.micro", CacheSubnetGroupName=made.external_id
    )
    left = driver.delete(target, made)
    assert left is not None
    assert (left.state, left.reason) == (State.PENDING, "InUse")


def test_many_are_swept_in_few_calls(lab: Lab) -> None:
    driver = SubnetGroupDriver(lab.scope("us-east-1"), lab.clock)
    targets = [lab.target(driver.type, subnet_group(lab)) for _ in range(12)]
    for target in targets:
        driver.create(target, "t")
    assert all(eventually(lambda: sweep(driver, targets), lambda found: None not in found, "all are seen"))
    before = len(lab.control.log.reads())
    sweep(driver, targets)
    assert len(lab.control.log.reads()) - before <= 4


def sweep(driver: SubnetGroupDriver, targets: list[Target[SubnetGroup]]) -> list[Any]:
    return list(driver.observe(targets, Depth.SWEEP).values())

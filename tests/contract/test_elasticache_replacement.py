"""Replication groups and snapshots of others: what ElastiCache restores and refuses, old engines, what lives on after a replacement."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from bench.clients import connect
from securebase.clients.redis import RedisProbe
from securebase.core.driver import Saved, Target
from securebase.core.errors import Terminal, Transient, Waiting
from securebase.core.fields import Impact
from securebase.core.identity import Identity
from securebase.resources.elasticache.model import ReplicationGroup, engine
from securebase.resources.elasticache.replication_group import ReplicationGroupDriver
from tests.contract.harness import Lab, differences, eventually, observe, settled, write
from tests.contract.test_elasticache_group import TOKEN, cache, driver_of, fast_nodes, made, surroundings, wanting

__all__ = ["fast_nodes"]

REDIS_6 = engine("redis", "6.2")
R6GD: dict[str, Any] = {"node_type": "cache.r6gd.xlarge", "data_tiering": True}


def plain(lab: Lab, **more: Any) -> ReplicationGroup:
    """One without a token, so that its engine and its TLS may be any."""
    return replace(cache(surroundings(lab)), auth_token=None, **more)


def saved(lab: Lab, desired: ReplicationGroup) -> tuple[Target[ReplicationGroup], str]:
    """A group, and the name of a finished snapshot of it."""
    driver, target = made(lab, desired)
    seen, name = settled(driver, target), f"s-{uuid4().hex[:8]}"
    eventually(lambda: driver.snapshot(target, seen, name), lambda how: how is Saved.DONE, "the snapshot")
    return target, name


def successor(target: Target[ReplicationGroup], snapshot: str, **changes: Any) -> Target[ReplicationGroup]:
    return replace(wanting(target, **changes), external_id="", incarnation=1, restore_from=snapshot)


def count_writes(lab: Lab, member: str, writes: float) -> None:
    """What ElastiCache publishes of a node."""
    point = {"MetricName": "SetTypeCmds", "Dimensions": [{"Name": "CacheClusterId", "Value": member}], "Value": writes}
    lab.raw("cloudwatch").put_metric_data(Namespace="AWS/ElastiCache", MetricData=[{**point, "Timestamp": datetime.now(UTC)}])


def refused(lab: Lab, **params: Any) -> str:
    """What AWS answers to whom asks for it without asking us."""
    with pytest.raises(ClientError) as error:
        lab.raw("elasticache").create_replication_group(ReplicationGroupDescription="theirs", **params)
    return str(error.value)


# --- TLS before Redis 7.0.5


def test_an_old_engine_has_tls_from_the_beginning_or_not_at_all(lab: Lab) -> None:
    driver, target = made(lab, plain(lab, engine=REDIS_6, parameter_group="default.redis6.x"))
    [group] = lab.raw("elasticache").describe_replication_groups(ReplicationGroupId=target.external_id)["ReplicationGroups"]
    assert group["TransitEncryptionEnabled"] is True
    off = wanting(target, transit_encryption="off")
    assert [change.impact for change in differences(off, settled(driver, target))] == [Impact.REPLACE]


def test_the_modes_of_tls_are_refused_with_an_old_engine_as_aws_does(lab: Lab) -> None:
    words = "Transit encryption mode is not supported for engine version 6.2.6. Please use engine version 7.0.5 or higher"
    around, name = surroundings(lab), f"c-{uuid4().hex[:8]}"
    base = {"ReplicationGroupId": name, "Engine": "redis", "EngineVersion": "6.2", "CacheNodeType": "cache.r7g.large", "NumCacheClusters": 1}
    tls = {"TransitEncryptionEnabled": True, "TransitEncryptionMode": "required"}
    assert words in refused(lab, **base, CacheSubnetGroupName=around.subnet_group, **tls)
    driver, target = made(lab, plain(lab, engine=REDIS_6, parameter_group="default.redis6.x", transit_encryption="off"))
    settled(driver, target)
    with pytest.raises(ClientError, match=words):
        lab.raw("elasticache").modify_replication_group(
            ReplicationGroupId=target.external_id, TransitEncryptionEnabled=True, TransitEncryptionMode="preferred", ApplyImmediately=True
        )


# --- what a snapshot becomes


@pytest.mark.parametrize(
    ("have", "want"),
    [
        ({"cluster_mode": "enabled", "parameter_group": "default.valkey8.cluster.on"}, {"cluster_mode": "disabled", "parameter_group": "default.valkey8"}),
        (R6GD, {"node_type": "cache.r7g.large", "data_tiering": False}),
        ({}, {"engine": engine("redis", "7.1"), "parameter_group": "default.redis7"}),
        ({"engine": engine("valkey", "8.1")}, {"engine": engine("valkey", "7.2"), "parameter_group": "default.valkey7"}),
    ],
    ids=["out of cluster mode", "out of data tiering", "valkey to redis", "older"],
)
def test_what_is_called_impossible_elasticache_refuses(have: dict[str, Any], want: dict[str, Any], lab: Lab) -> None:
    target, name = saved(lab, plain(lab, **have))
    driver, wanted = driver_of(lab), successor(target, name, **want)
    seen = observe(driver, target)
    assert seen is not None and len(list(driver.unrestorable(wanted.want(), seen))) == 1
    with pytest.raises(Terminal, match=r"cannot be restored|can only be restored"):
        driver.create(wanted, "t")


@pytest.mark.parametrize(
    ("have", "want"),
    [
        ({}, R6GD),
        ({"multi_az": False}, {"cluster_mode": "enabled", "parameter_group": "default.valkey8.cluster.on", "shards": 2}),
        (
            {"engine": engine("valkey", "7.2"), "parameter_group": "default.valkey7"},
            {"engine": engine("redis", "7.1"), "parameter_group": "default.redis7", "port": 6380},
        ),
    ],
    ids=["into data tiering", "into cluster mode", "the way back that there is"],
)
def test_what_is_not_called_impossible_elasticache_does(have: dict[str, Any], want: dict[str, Any], lab: Lab) -> None:
    target, name = saved(lab, plain(lab, **have))
    driver, wanted = driver_of(lab), successor(target, name, **want)
    seen = observe(driver, target)
    assert seen is not None and list(driver.unrestorable(wanted.want(), seen)) == []
    settled(driver, replace(wanted, external_id=driver.create(wanted, "t").external_id))


def test_what_aws_upgraded_is_replaced_by_one_no_older(lab: Lab) -> None:
    driver, target = made(lab, plain(lab, auto_minor_upgrade=False))
    lab.raw("elasticache").modify_replication_group(ReplicationGroupId=target.external_id, EngineVersion="8.1", ApplyImmediately=True)
    upgraded = eventually(lambda: observe(driver, target), lambda seen: seen is not None and "8.1" in seen.message, "the upgrade to be told")
    assert upgraded is not None and differences(target, upgraded) == ()
    name = f"s-{uuid4().hex[:8]}"
    eventually(lambda: driver.snapshot(target, upgraded, name), lambda how: how is Saved.DONE, "the snapshot")
    wanted = successor(target, name, port=6380)
    new = replace(wanted, external_id=driver.create(wanted, "t").external_id)
    assert settled(driver, new).attributes["engineVersion"].startswith("8.1")


def test_what_it_shall_begin_with_only_the_first_begins_with(lab: Lab) -> None:
    _, name = saved(lab, plain(lab))
    driver = driver_of(lab)
    first = lab.target(driver.type, replace(plain(lab), snapshot_name=name))
    made_from = replace(first, external_id=driver.create(first, "t").external_id)
    settled(driver, made_from)
    lab.raw("elasticache").delete_snapshot(SnapshotName=name)
    with pytest.raises(Transient, match="not found"):
        driver.create(lab.target(driver.type, replace(plain(lab), snapshot_name=name)), "u")
    assert driver.create(replace(first, incarnation=1), "v").external_id == f"{made_from.external_id}-1", "the second asks for none"


# --- snapshots come to their end


def test_only_its_own_snapshot_is_discarded(lab: Lab) -> None:
    target, name = saved(lab, plain(lab))
    driver, seen = driver_of(lab), settled(driver_of(lab), target)
    assert driver.saved_at(name) == pytest.approx(datetime.now(UTC).timestamp(), abs=60)
    assert driver.saved_at("none") is None
    other = replace(seen, external_id="another")
    assert driver.discard(other, name) and driver.saved_at(name) is not None, "what a successor was made from stays"
    assert driver.discard(seen, name)
    eventually(lambda: driver.saved_at(name), lambda at: at is None, "it is gone")
    assert driver.discard(seen, name)


def test_what_is_still_being_made_is_not_there_to_be_discarded(lab: Lab) -> None:
    driver, target = made(lab, plain(lab))
    seen, name = settled(driver, target), f"s-{uuid4().hex[:8]}"
    lab.control.settings.elasticache_snapshot_s = 5.0
    assert driver.snapshot(target, seen, name) is Saved.UNDER_WAY
    assert (driver.saved_at(name), driver.discard(seen, name)) == (None, False)


def test_what_a_sharded_one_was_given_is_counted_once(lab: Lab) -> None:
    sharded = plain(lab, cluster_mode="enabled", parameter_group="default.valkey8.cluster.on", shards=2)
    target, name = saved(lab, sharded)
    driver, seen = driver_of(lab), settled(driver_of(lab), target)
    assert driver.written_since(target, seen, name) == "", "CloudWatch has nothing yet"

    for member, writes in (("0001-001", 30.0), ("0001-002", 29.0)):
        count_writes(lab, f"{target.external_id}-{member}", writes)
    assert driver.written_since(target, seen, name) == "", "of one shard nobody knows"
    for member, writes in (("0002-001", 4.0), ("0002-002", 5.0)):
        count_writes(lab, f"{target.external_id}-{member}", writes)
    assert driver.written_since(target, seen, name).startswith("35 write commands")


def test_what_was_written_is_told_by_the_offsets_of_the_nodes(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.control.settings, "elasticache_redis", True)
    _, target = made(lab, cache(surroundings(lab)))
    probe, reachable = RedisProbe(str(lab.control.redis_certificate_file)), True

    def offsets(identity: Identity, host: str, port: int) -> int | None:
        assert identity == target.identity
        return probe.replication_offset(host, port, TOKEN.value) if reachable else None

    driver, name = ReplicationGroupDriver(lab.scope("us-east-1"), lab.clock, offsets), f"s-{uuid4().hex[:8]}"
    seen = settled(driver, target)
    with connect(seen.attributes | {"tls": "true", "password": TOKEN.value}, str(lab.control.redis_certificate_file)) as client:
        client.set("before", "v" * 5_000)
        eventually(lambda: driver.snapshot(target, seen, name), lambda how: how is Saved.DONE, "the snapshot")
        assert written(eventually(lambda: driver.written_since(target, seen, name), bool, "it is told")) < 100
        client.set("after", "v" * 1_000)
        assert 1_000 <= written(driver.written_since(target, seen, name)) < 1_200
        count_writes(lab, f"{target.external_id}-001", 2.0)
        told = eventually(lambda: driver.written_since(target, seen, name), lambda told: "2 write commands" in told, "CloudWatch's count beside it")
        assert 1_000 <= written(told) < 1_200 and told.endswith("its successor lacks what was written")
        client.execute_command("FLUSHALL")
    reachable = False
    assert driver.written_since(target, seen, name).startswith("2 write commands"), "then by CloudWatch"


def written(told: str) -> int:
    """Bytes that a text about offsets tells of."""
    found = re.match(r"its replication offset has grown by (\d+) bytes", told)
    assert found, told
    return int(found[1])


# --- a lost status


def test_what_was_replaced_is_found_again_as_the_predecessor(lab: Lab) -> None:
    target, name = saved(lab, plain(lab))
    driver, wanted = driver_of(lab), successor(target, name, port=6380)
    new = driver.create(wanted, "t").external_id
    lost = replace(wanted, incarnation=0, restore_from="")
    node = target.node
    eventually(lambda: driver_of(lab).owned(target.identity), lambda found: found == {node: new, f"{node}~0": target.external_id}, "both are listed")
    seen = eventually(lambda: observe(driver_of(lab), lost), lambda seen: seen is not None and seen.external_id == new, "the younger one is the node")
    assert seen is not None and seen.incarnation == 1, "its own successor gets another name"


# --- who is told of events


def test_a_topic_is_told_and_told_no_more(lab: Lab) -> None:
    topics = [lab.raw("sns").create_topic(Name=f"events-{uuid4().hex[:8]}")["TopicArn"] for _ in range(2)]
    driver, target = made(lab, plain(lab, notification_topic=topics[0]))
    for topic in (topics[1], "", topics[0]):
        wanted = wanting(target, notification_topic=topic)
        with contextlib.suppress(Waiting, Transient):
            write(driver, wanted)
        settled(driver, wanted)

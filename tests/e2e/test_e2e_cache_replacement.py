"""A cache that is replaced: its data come along or it is refused, clients follow, and what was replaced goes when nobody loses anything by it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import yaml

from tests.e2e.caches import Cache
from tests.e2e.harness import INSTANCE, MERGE, Own, kill, securebase
from tests.e2e.test_e2e_cache import METRICS


def ports(cache: Cache) -> set[int]:
    return {rule["FromPort"] for rule in cache.security_group()["IpPermissions"]}


def test_another_port_is_another_cache(cache: Cache) -> None:
    cache.made()
    old, before = cache.group(), cache.connection()
    cache.change(port=6380)
    cache.says("Synced", "False", "ApprovalRequired")
    assert [change["path"] for change in cache.get()["status"]["plan"]["changes"]] == ["port"]
    assert cache.connection() == before, "clients are told of the port that is in use"
    assert 6379 in ports(cache)
    at = cache.tenant.mark()
    cache.approve()
    cache.until(lambda: len(cache.groups()) == 2, "the successor")
    [new] = [group for group in cache.groups() if group["ReplicationGroupId"] != old["ReplicationGroupId"]]
    cache.until(lambda: cache.connection()["port"] == "6380", "the new endpoint to be published")
    assert cache.connection()["host"] != before["host"]
    assert cache.connection()["password"] == before["password"]
    cache.ready()
    [snapshot] = cache.elasticache.describe_snapshots()["Snapshots"]
    assert snapshot["ReplicationGroupId"] == old["ReplicationGroupId"]
    writes = [name for name in cache.tenant.writes(at) if name in ("CreateSnapshot", "CreateReplicationGroup", "DeleteReplicationGroup")]
    assert writes == ["CreateSnapshot", "CreateReplicationGroup"], "the old one stays for the grace"
    assert ports(cache) == {6379, 6380}, "both can be reached for the grace"
    cache.refresh()
    assert len(cache.groups()) == 2
    assert cache.resource("group")["externalId"] == new["ReplicationGroupId"]
    cache.until(lambda: cache.alarms(new) == {metric: set(new["MemberClusters"]) for metric in METRICS}, "the alarms of the new node alone")


def test_what_was_written_before_is_in_the_new_one_and_what_came_after_is_counted(real: Cache) -> None:
    real.made(verify={"enabled": True}, nodeType="cache.t4g.small", replicas=1)
    with real.client() as old:
        assert old.set("basket", "three apples")
        real.change(port=6380)
        real.says("Synced", "False", "ApprovalRequired")
        real.approve()
        real.until(lambda: real.connection()["port"] == "6380", "the new endpoint to be published")
        real.ready()
        with real.client() as client:
            assert client.get("basket") == b"three apples"
        before = bytes_lost(real)
        assert old.set("forgotten", "v" * 10_000)
        real.refresh()
        assert 10_000 <= bytes_lost(real) - before < 11_000, "what only the old one has is told, by its replication offset"


def bytes_lost(cache: Cache) -> int:
    """What its status tells of the predecessor's offset."""
    said = cache.until(lambda: re.search(r"replication offset has grown by (\d+) bytes", told_of_predecessor(cache)), "it to be told")
    return int(said[1])


def test_what_could_not_keep_the_data_is_refused_before_anything_is_done(cache: Cache) -> None:
    cache.made(clusterMode="enabled", replicas=1)
    [before], at = cache.groups(), cache.tenant.mark()
    cache.change(clusterMode="disabled")
    assert "restores no snapshot of a cache in cluster mode" in cache.says("Stalled", "True", "NotRestorable")
    assert cache.get()["status"]["plan"].get("hash", "") == "", "there is nothing to approve"
    text = yaml.safe_dump_all([cache.tenant.account_manifest(), cache.manifest(clusterMode="disabled", replicas=1)])
    planned = securebase(cache.tenant, "plan", "-f", "-", "--instance", INSTANCE, stdin=text)
    assert "make another object and move the data with a client" in planned.stdout + planned.stderr
    assert not {"CreateSnapshot", "ModifyReplicationGroup"} & set(cache.tenant.writes(at))
    cache.change(snapshot={"replacement": "empty"})
    cache.says("Synced", "False", "ApprovalRequired")
    cache.approve()
    cache.until(lambda: len(cache.groups()) == 2, "the empty successor")
    assert cache.ready()["status"]["outputs"]["id"] != before["ReplicationGroupId"]
    assert "CreateSnapshot" not in cache.tenant.writes(at)


def replaced(cache: Cache, **spec: Any) -> tuple[str, str]:
    """Ids of a cache and of its successor, which serves now."""
    cache.made(alarms={"enabled": False}, **spec)
    old = cache.group()["ReplicationGroupId"]
    cache.change(port=6380)
    cache.says("Synced", "False", "ApprovalRequired")
    cache.approve()
    cache.until(lambda: len(cache.groups()) == 2, "the successor")
    new = cache.ready()["status"]["outputs"]["id"]
    return old, new


def told_of_predecessor(cache: Cache) -> str:
    """What its status says of it; "" while there is no status or none of it."""
    entries = cache.get().get("status", {}).get("resources", [])
    return next((str(entry.get("message", "")) for entry in entries if entry["id"] == "group~0"), "")


def end_grace(cache: Cache, id: str) -> None:
    """A day more has passed since a successor took over. Nobody else may write meanwhile."""
    resources = cache.get()["status"]["resources"]
    [retired] = [entry for entry in resources if entry["id"] == id]
    retired["retiredAt"] -= 90_000
    cache.tenant.plane.call("PATCH", f"{cache.tenant.path(cache.name)}/status", {"status": {"resources": resources}}, content_type=MERGE)


def test_what_was_replaced_goes_when_its_grace_is_over(own_tenant: Own) -> None:
    operator = own_tenant.operator()
    cache = Cache.of(own_tenant.tenant)
    old, new = replaced(cache)
    point = {"MetricName": "SetTypeCmds", "Dimensions": [{"Name": "CacheClusterId", "Value": f"{old}-001"}], "Timestamp": datetime.now(UTC), "Value": 42.0}
    cache.tenant.aws("cloudwatch").put_metric_data(Namespace="AWS/ElastiCache", MetricData=[point])
    cache.refresh()
    cache.until(lambda: "42 write commands" in cache.resource("group~0")["message"], "the writes that the successor lacks to be told")
    kill(operator)
    end_grace(cache, "group~0")
    own_tenant.operator()
    cache = Cache.of(own_tenant.tenant)
    cache.until(lambda: [group["ReplicationGroupId"] for group in cache.groups()] == [new], "the old one to go")
    cache.ready()
    assert any("42 write commands" in told for told in cache.events("Removing")), "what goes with it is told once more"
    cache.until(lambda: ports(cache) == {6380}, "the old port to be closed")
    [snapshot] = cache.elasticache.describe_snapshots()["Snapshots"]
    assert snapshot["ReplicationGroupId"] == old


def test_what_was_replaced_leaves_its_last_state_behind_where_the_policy_says_so(own_tenant: Own) -> None:
    operator = own_tenant.operator()
    cache = Cache.of(own_tenant.tenant)
    old, new = replaced(cache, policy={"onDelete": "Snapshot"})
    [first] = cache.elasticache.describe_snapshots()["Snapshots"]
    kill(operator)
    end_grace(cache, "group~0")
    own_tenant.operator()
    cache = Cache.of(own_tenant.tenant)
    cache.until(lambda: [group["ReplicationGroupId"] for group in cache.groups()] == [new], "the old one to go")
    kept = {one["SnapshotName"]: one["ReplicationGroupId"] for one in cache.elasticache.describe_snapshots()["Snapshots"]}
    assert len(kept) == 2 and set(kept.values()) == {old} and first["SnapshotName"] in kept


def test_what_was_replaced_is_not_forgotten_with_the_status(own_tenant: Own) -> None:
    operator = own_tenant.operator()
    cache = Cache.of(own_tenant.tenant)
    old, new = replaced(cache)
    kill(operator)
    cache.tenant.plane.call("PATCH", f"{cache.tenant.path(cache.name)}/status", {"status": None}, content_type=MERGE)
    at = cache.tenant.mark()
    operator = own_tenant.operator()
    cache = Cache.of(own_tenant.tenant)
    cache.until(lambda: "replaced, and serves until" in told_of_predecessor(cache), "the old one to be known again")
    assert (cache.resource("group~0")["externalId"], cache.ready()["status"]["outputs"]["id"]) == (old, new)
    assert ports(cache) == {6379, 6380}
    assert not [name for name in cache.tenant.writes(at) if "ReplicationGroup" in name or "SecurityGroup" in name], "it is only looked at"
    kill(operator)
    end_grace(cache, "group~0")
    own_tenant.operator()
    cache = Cache.of(own_tenant.tenant)
    assert "group~0" in cache.says("Synced", "False", "ApprovalRequired")
    assert "unknown" in told_of_predecessor(cache) and len(cache.groups()) == 2
    cache.approve()
    cache.until(lambda: [group["ReplicationGroupId"] for group in cache.groups()] == [new], "the old one to go")

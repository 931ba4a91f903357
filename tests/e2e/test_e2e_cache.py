"""A cache from `kubectl apply` to the last snapshot: what it is made of, how its alarms follow its nodes, what changes cost, how it ends."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from lab.operator import OperatorProcess
from tests.e2e.caches import Cache
from tests.e2e.harness import INSTANCE, MERGE, Own, conditions, kill, securebase, until

METRICS = {
    "EngineCPUUtilization", "DatabaseMemoryUsagePercentage", "Evictions", "NewConnections", "CurrConnections", "CacheHitRate",
}  # fmt: skip
KEYS = {"host", "readerHost", "port", "tls", "username", "password", "url"}


def closed_window() -> str:
    """An hour of the week that is far away."""
    day = (datetime.now(UTC) + timedelta(days=3)).strftime("%a").lower()
    return f"{day}:03:00-{day}:04:00"


def replicated(cache: Cache) -> dict[str, str]:
    """A primary and a replica, ready; their roles."""
    cache.made(replicas=1)
    return cache.roles()


# --- what it is made of


def test_a_dev_cache_with_all_that_belongs_to_it(cache: Cache) -> None:
    body = cache.made(maintenanceWindow="sun:05:00-sun:06:00", parameters={"maxmemoryPolicy": "allkeys-lru"}, tags={"team": "web"})
    group, node = cache.group(), cache.node()
    assert (group["AtRestEncryptionEnabled"], group["TransitEncryptionMode"], group["AuthTokenEnabled"]) == (True, "required", True)
    assert (group["CacheNodeType"], group["SnapshotRetentionLimit"], node["Engine"]) == ("cache.t4g.micro", 5, "valkey")
    assert node["PreferredMaintenanceWindow"] == "sun:05:00-sun:06:00"
    [subnets] = cache.elasticache.describe_cache_subnet_groups()["CacheSubnetGroups"]
    assert (subnets["CacheSubnetGroupName"], len(subnets["Subnets"])) == (node["CacheSubnetGroupName"], 2)
    name = node["CacheParameterGroup"]["CacheParameterGroupName"]
    values = cache.elasticache.describe_cache_parameters(CacheParameterGroupName=name)["Parameters"]
    assert [one["ParameterValue"] for one in values if one["ParameterName"] == "maxmemory-policy"] == ["allkeys-lru"]
    own = cache.security_group()
    assert [one["SecurityGroupId"] for one in node["SecurityGroups"]] == [own["GroupId"]]
    [rule] = own["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"], [one["CidrIp"] for one in rule["IpRanges"]]) == (6379, 6379, ["10.0.0.0/16"])
    assert {metric: len(members) for metric, members in cache.alarms().items()} == dict.fromkeys(METRICS, 1)
    outputs = body["status"]["outputs"]
    assert (outputs["id"], outputs["connectionSecret"]) == (group["ReplicationGroupId"], "sessions-connection")
    tags = {tag["Key"]: tag["Value"] for tag in cache.elasticache.list_tags_for_resource(ResourceName=group["ARN"])["TagList"]}
    assert tags["team"] == "web" and tags["securebase.io/owner"].endswith("/group")


def test_a_client_logs_in_with_what_is_published(real: Cache) -> None:
    real.made(verify={})
    told = real.connection()
    assert told.keys() == KEYS
    assert (told["tls"], told["username"], told["password"]) == ("true", "default", real.current())
    assert len(told["password"]) >= 32
    assert told["url"].startswith("rediss://default:") and told["url"].endswith(f"@{told['host']}:{told['port']}")
    with real.client() as client:
        assert client.set("k", "v") and client.get("k") == b"v"
    assert not real.lets_in({**told, "password": "a" * 32})
    assert real.says("Verified", "True", "Verified")
    [owner] = real.tenant.plane.call("GET", real.connection_path())["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("CacheCluster", "sessions")


RBAC = [{"name": "app", "accessString": "on ~app:* +@read"}, {"name": "jobs", "accessString": "on ~jobs:* +@all"}]


@pytest.mark.parametrize(
    ("auth", "refused"),
    [({}, "ModifyReplicationGroup"), ({"mode": "rbac", "users": RBAC}, "ModifyUser")],
    ids=["token", "rbac"],
)
def test_the_password_is_told_nowhere_else(auth: dict[str, Any], refused: str, cache: Cache, operator: OperatorProcess) -> None:
    cache.made(auth=auth)
    password, known = cache.connection()["password"], cache.values()
    assert password in known and len(known) == max(1, len(auth.get("users", ())))
    theirs = "somebody-elses-password-0123456789"
    cache.tenant.plane.call("PATCH", cache.connection_path(), {"stringData": {"password": theirs}}, content_type=MERGE)
    cache.refresh()
    cache.until(lambda: cache.connection()["password"] == password, "the published password to be put back")
    message = f"The parameter {' '.join(known)} is not allowed."
    cache.tenant.endpoint.control.fail("elasticache", refused, "InvalidParameterValue", 400, account=cache.tenant.account, message=message)
    users = [{**user, "accessString": user["accessString"] + " -@dangerous"} for user in auth.get("users", ())]
    cache.change(description="changed", auth={**auth, **({"users": users} if users else {})})
    cache.until(lambda: conditions(cache.get())["Synced"][0] == "False", "the refusal to be told")
    namespace = cache.tenant.namespace
    text = yaml.safe_dump_all([cache.tenant.account_manifest(), cache.manifest(description="planned", auth=auth)])
    planned = securebase(cache.tenant, "plan", "-f", "-", "--instance", INSTANCE, stdin=text)
    drifted = securebase(cache.tenant, "drift", "-n", namespace, "--instance", INSTANCE)
    assert (planned.returncode, "description" in planned.stdout) == (2, True), planned.stderr
    for where, shown in {
        "the object": json.dumps(cache.get()),
        "the Events": json.dumps(cache.tenant.plane.call("GET", f"/api/v1/namespaces/{namespace}/events")),
        "the ConfigMaps": json.dumps(cache.tenant.plane.call("GET", f"/api/v1/namespaces/{namespace}/configmaps")),
        "the metrics": operator.metrics(),
        "the log": operator.log.read_text(),
        "the plan": planned.stdout + planned.stderr,
        "the drift": drifted.stdout + drifted.stderr,
    }.items():
        assert not [secret for secret in (*known, theirs) if secret in shown], where


# --- alarms follow the nodes


def test_alarms_follow_the_replicas(cache: Cache) -> None:
    cache.made()
    for replicas in (2, 1):
        cache.change(replicas=replicas)
        cache.until(lambda wanted=replicas: len(cache.roles()) == 1 + wanted and cache.group()["Status"] == "available", f"{replicas} replicas")
        cache.until(lambda: cache.alarms() == wanted_alarms(cache), "the alarms of the nodes that there are now")
        assert cache.ready()["status"]["outputs"]["members"].count("replica") == replicas


def wanted_alarms(cache: Cache) -> dict[str, set[str]]:
    """One of each for every node, and of the lag for every replica."""
    roles = cache.roles()
    lagging = {member for member, role in roles.items() if role == "replica"}
    return {metric: set(roles) for metric in METRICS} | {"ReplicationLag": lagging}


def test_a_failover_moves_the_alarm_on_the_lag(cache: Cache) -> None:
    before = replicated(cache)
    [old] = [member for member, role in before.items() if role == "primary"]
    assert cache.alarms()["ReplicationLag"] == before.keys() - {old}
    cache.act("failover")
    cache.until(lambda: cache.alarms().get("ReplicationLag") == {old}, "the alarm to follow")
    assert cache.ready()["status"]["driftedFields"] == 0


def test_a_replaced_node_takes_its_alarms_along(cache: Cache) -> None:
    before = replicated(cache)
    [replica] = [member for member, role in before.items() if role == "replica"]
    new = cache.act("replace-member", member=replica)
    cache.until(lambda: cache.alarms().get("ReplicationLag") == {new}, "the alarm of the new node")
    cache.until(lambda: cache.alarms().get("Evictions") == {*before} - {replica} | {new}, "the alarms of the new node")


# --- drift


def move_maintenance(cache: Cache) -> None:
    cache.elasticache.modify_replication_group(
        ReplicationGroupId=cache.group()["ReplicationGroupId"], PreferredMaintenanceWindow="mon:01:00-mon:02:00", ApplyImmediately=True
    )


def let_everybody_in(cache: Cache) -> None:
    rule = {"IpProtocol": "tcp", "FromPort": 6379, "ToPort": 6379, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    cache.tenant.aws("ec2").authorize_security_group_ingress(GroupId=cache.security_group()["GroupId"], IpPermissions=[rule])


def publish_another_host(cache: Cache) -> None:
    cache.tenant.plane.call("PATCH", cache.connection_path(), {"stringData": {"host": "elsewhere.example.com"}}, content_type=MERGE)


def sources(cache: Cache) -> list[str]:
    return [one["CidrIp"] for rule in cache.security_group()["IpPermissions"] for one in rule["IpRanges"]]


@pytest.mark.parametrize(
    ("edit", "seen", "path"),
    [
        (move_maintenance, lambda cache: cache.node()["PreferredMaintenanceWindow"], "group.maintenanceWindow"),
        (let_everybody_in, sources, "security-group.ingress"),
        (publish_another_host, lambda cache: cache.connection()["host"], "connection.data[host]"),
    ],
)
def test_what_somebody_changes_is_put_back(edit: Any, seen: Any, path: str, cache: Cache) -> None:
    cache.made(maintenanceWindow="sun:05:00-sun:06:00")
    ours = seen(cache)
    edit(cache)
    assert seen(cache) != ours
    cache.refresh()
    cache.until(lambda: seen(cache) == ours, "it to be put back")
    [told] = cache.until(lambda: cache.events("DriftDetected"), "the drift to be told")
    assert path in told
    cache.until(lambda: (cache.metric("drift_corrected_total") or 0) >= 1, "the metric")


# --- what changes cost


def test_another_node_type_waits_for_the_window(cache: Cache) -> None:
    cache.made()
    cache.change(nodeType="cache.t4g.small", policy={"changes": "Window", "window": closed_window()})
    assert "group.nodeType" in cache.says("Synced", "False", "OutsideWindow")
    assert cache.group()["CacheNodeType"] == "cache.t4g.micro"
    cache.change(policy={"changes": "Approve", "window": None})
    cache.says("Synced", "False", "ApprovalRequired")
    at = cache.tenant.mark()
    cache.approve()
    cache.until(lambda: cache.group()["CacheNodeType"] == "cache.t4g.small", "the larger node")
    cache.ready()
    assert cache.tenant.writes(at).count("ModifyReplicationGroup") == 1


def test_shorter_retention_waits_and_longer_does_not(cache: Cache) -> None:
    cache.made(snapshot={"retentionDays": 7})
    cache.change(snapshot={"retentionDays": 9})
    cache.until(lambda: cache.group()["SnapshotRetentionLimit"] == 9, "the longer retention")
    cache.ready()
    cache.change(snapshot={"retentionDays": 1})
    cache.says("Synced", "False", "ApprovalRequired")
    assert [change["impact"] for change in cache.get()["status"]["plan"]["changes"]] == ["PROTECTION_LOSS"]
    assert cache.group()["SnapshotRetentionLimit"] == 9
    cache.approve()
    cache.until(lambda: cache.group()["SnapshotRetentionLimit"] == 1, "the approved retention")
    cache.ready()


def test_a_change_that_comes_while_it_is_busy_waits(cache: Cache) -> None:
    cache.made()
    cache.act("status", status="modifying", seconds=4)
    cache.change(description="changed meanwhile")
    cache.until(lambda: cache.get()["status"]["observedGeneration"] == cache.get()["metadata"]["generation"], "the edit to be seen")
    told = conditions(cache.get())
    assert (told["Stalled"][0] if "Stalled" in told else "False") == "False"
    cache.until(lambda: cache.group()["Description"] == "changed meanwhile", "the change")
    cache.ready()
    refused = [call for call in cache.tenant.calls() if call.code == "InvalidReplicationGroupState"]
    assert len(refused) <= 1, "it was known to be busy"


# --- its end


def everything(cache: Cache) -> dict[str, list[str]]:
    """What of a cache is there, snapshots apart. A secret that waits for its deletion is not."""
    ec2 = cache.tenant.aws("ec2").describe_security_groups(Filters=[{"Name": "tag-key", "Values": ["securebase.io/owner"]}])
    parameters = cache.elasticache.describe_cache_parameter_groups()["CacheParameterGroups"]
    return {
        "groups": [one["ReplicationGroupId"] for one in cache.groups()],
        "subnet groups": [one["CacheSubnetGroupName"] for one in cache.elasticache.describe_cache_subnet_groups()["CacheSubnetGroups"]],
        "parameter groups": [one["CacheParameterGroupName"] for one in parameters if not one["CacheParameterGroupName"].startswith("default.")],
        "security groups": [one["GroupId"] for one in ec2["SecurityGroups"]],
        "secrets": [one["Name"] for one in cache.secrets()],
        "alarms": [one["AlarmName"] for one in cache.tenant.aws("cloudwatch").describe_alarms()["MetricAlarms"]],
    }


def test_the_end_leaves_one_snapshot_and_nothing_else(cache: Cache) -> None:
    cache.made(policy={"onDelete": "Snapshot"})
    id = cache.group()["ReplicationGroupId"]
    assert all(everything(cache).values())
    cache.delete()
    cache.gone()
    [snapshot] = cache.elasticache.describe_snapshots()["Snapshots"]
    assert (snapshot["ReplicationGroupId"], snapshot["SnapshotSource"]) == (id, "manual")
    assert not any(everything(cache).values()), everything(cache)
    until(lambda: f"{cache.name}-connection" not in cache.tenant.kubectl("get", "secrets", "-o", "name").stdout, "the connection Secret to go with its owner")


def test_without_a_policy_a_dev_cache_leaves_nothing(cache: Cache) -> None:
    cache.made()
    cache.delete()
    cache.gone()
    assert cache.elasticache.describe_snapshots()["Snapshots"] == []
    assert not any(everything(cache).values()), everything(cache)


def test_deletion_protection_waits_and_says_why(cache: Cache) -> None:
    cache.made(policy={"deletionProtection": True})
    before, at = everything(cache), cache.tenant.mark()
    cache.delete()
    cache.until(lambda: "policy.deletionProtection is true" in conditions(cache.get())["Ready"][2], "the reason")
    assert conditions(cache.get())["Reconciling"][1] == "DeletionProtected"
    assert (everything(cache), cache.tenant.writes(at)) == (before, [])
    cache.change(policy={"deletionProtection": False})
    cache.gone()


# --- identity


def test_a_lost_status_costs_no_write(own_tenant: Own) -> None:
    operator = own_tenant.operator()
    cache = Cache.of(own_tenant.tenant)
    before = cache.made(replicas=1)["status"]["outputs"]
    kill(operator)
    cache.tenant.plane.call("PATCH", f"{cache.tenant.path(cache.name)}/status", {"status": None}, content_type=MERGE)
    at = cache.tenant.mark()
    own_tenant.operator()
    cache = Cache.of(own_tenant.tenant)
    assert cache.ready()["status"]["outputs"] == before
    cache.refresh()
    assert cache.tenant.writes(at) == []

"""What holds for every valid CacheCluster, and single decisions of its composition."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securebase.api.cache import CacheClusterSpec
from securebase.core.driver import State, Target, incarnated_name
from securebase.core.errors import Terminal
from securebase.core.fields import SecretValue, leaves
from securebase.core.graph import Graph, Known, Node, Ref, Role, SecretFrom, references, resolve
from securebase.core.kind import Kind, Needs, PolicyDefaults, Probe, Verifies
from securebase.core.outputs import outputs_now
from securebase.core.policy import Adopt, OnDelete, Policy
from securebase.kinds.cache import CACHE
from securebase.kinds.cache.alarms import Member, members
from securebase.kinds.cache.network import network_nodes
from securebase.kinds.registry import KINDS, by_kind
from securebase.resources.cloudwatch.model import Alarm
from securebase.resources.cloudwatch.model import problems as alarm_problems
from securebase.resources.ec2.model import SecurityGroup
from securebase.resources.elasticache.login_model import LoginMove, LoginState
from securebase.resources.elasticache.model import ParameterGroup, ReplicationGroup, SubnetGroup
from securebase.resources.elasticache.model import problems as group_problems
from securebase.resources.elasticache.rotation import Credential, CredentialRetirement
from securebase.resources.elasticache.user_model import User, UserGroup
from securebase.resources.kubernetes.model import ObjectSecret, texts_of
from securebase.resources.secretsmanager.model import ManagedSecret
from tests.unit.core.fake import Bench, states
from tests.unit.kinds.any_cache import PAIR, SUBNETS, TOPIC, cache_specs, composed, context, members_of, names, namespaces, small, stages_of
from tests.unit.kinds.composing import as_text

ID = re.compile(r"[a-z](-?[a-z0-9])*")
"""ElastiCache's ids: letters, digits and single hyphens, a letter first, no hyphen last."""

PASSWORD = "hunter2hunter2hunter2hunter2hunter2"

# What each driver promises to tell of an existing resource.
ATTRIBUTES = {
    "ec2/security-group": {"id", "arn"},
    "elasticache/credential": {"version", "requested", "step", "startedAt"},
    "elasticache/parameter-group": {"arn", "name", "family"},
    "elasticache/replication-group": {"id", "arn", "host", "readerHost", "port", "members"},
    "elasticache/subnet-group": {"arn", "name", "vpcId"},
    "elasticache/login-move": {"since"},
    "elasticache/login-state": {"stage"},
    "elasticache/user": {"id", "arn", "name"},
    "elasticache/user-group": {"id", "arn"},
    "kubernetes/secret": {"name", "publishedAt"},
    "secretsmanager/secret": {"arn", "name", "currentVersion"},
    "sns/topic": {"arn", "name"},
}
SECRETS = {"secretsmanager/secret": {"password"}, "elasticache/credential": {"password"}}
RBAC: dict[str, Any] = {"mode": "rbac", "users": [{"name": "app", "accessString": "on ~* +@read"}, {"name": "jobs", "accessString": "on ~* +@all"}]}


def desired(graph: Graph, node: str, type_: type[Any]) -> Any:
    found = graph.nodes[node].desired
    assert isinstance(found, type_)
    return found


def alarms(graph: Graph) -> dict[str, Alarm]:
    return {node.id: node.desired for node in graph if isinstance(node.desired, Alarm)}


def secrets_in(value: object) -> Iterator[SecretFrom]:
    """Every reference to a secret in a desired value."""
    for leaf in leaves(value).values():
        for item in leaf.value if isinstance(leaf.value, tuple) else (leaf.value,):
            if isinstance(item, SecretFrom):
                yield item


def texts_in(value: object) -> Iterator[str]:
    for leaf in leaves(value).values():
        yield from (item for item in (leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)) if isinstance(item, str))


def everything(graph: Graph) -> Known:
    """Every attribute and every secret of every node, known."""
    attributes = {node.id: {name: f"{node.id}-{name}" for name in ATTRIBUTES.get(node.type, ())} for node in graph}
    secrets = {node.id: {name: SecretValue(PASSWORD, f"v-{node.id}") for name in SECRETS[node.type]} for node in graph if node.type in SECRETS}
    return Known(attributes, secrets)


def test_the_kind_is_found_by_its_name() -> None:
    kind: Kind = by_kind("CacheCluster")
    assert kind is CACHE and CACHE in KINDS


@pytest.mark.parametrize(
    ("spec", "defaults"),
    [
        ({"profile": "dev"}, PolicyDefaults(OnDelete.DELETE, False)),
        ({"profile": "prod"}, PolicyDefaults(OnDelete.SNAPSHOT, True)),
        ({"profile": "prod", "snapshot": {"finalSnapshot": False}}, PolicyDefaults(OnDelete.DELETE, True)),
        ({"profile": "prod", "policy": {"onDelete": "Retain", "deletionProtection": False}}, PolicyDefaults(OnDelete.RETAIN, False)),
        ({"profile": "dev", "snapshot": {"finalSnapshot": True}}, PolicyDefaults(OnDelete.SNAPSHOT, False)),
    ],
    ids=["dev", "prod", "prod without", "prod otherwise", "dev with"],
)
def test_a_prod_cache_is_protected_and_leaves_a_snapshot(spec: dict[str, Any], defaults: PolicyDefaults) -> None:
    assert CACHE.defaults(small(**spec)) == defaults


def test_dev_is_one_small_encrypted_node_with_a_token() -> None:
    group = desired(composed(small(), "x-001:primary"), "group", ReplicationGroup)
    assert (group.node_type, group.replicas, group.multi_az, group.automatic_failover) == ("cache.t4g.micro", 0, False, False)
    assert group.at_rest_encryption and group.transit_encryption == "required" and group.auth_token == SecretFrom("secret", "password")
    assert group.snapshot_retention == 5 and not group.user_groups


def test_prod_is_a_pair_in_two_zones() -> None:
    group = desired(composed(small(profile="prod"), PAIR), "group", ReplicationGroup)
    assert (group.node_type, group.replicas, group.multi_az, group.automatic_failover) == ("cache.r7g.large", 1, True, True)
    assert group.snapshot_retention == 7


def test_users_have_passwords_of_their_own_and_nobody_comes_without_a_name() -> None:
    graph = composed(small(auth=RBAC), PAIR)
    assert desired(graph, "user-app", User).passwords == (SecretFrom("secret-app", "password"),)
    assert desired(graph, "user-jobs", User).passwords == (SecretFrom("secret-jobs", "password"),)
    nobody = desired(graph, "user-default", User)
    assert nobody.passwords == () and nobody.access_string.startswith("off")
    assert len(desired(graph, "users", UserGroup).user_ids) == 3
    group = desired(graph, "group", ReplicationGroup)
    assert group.auth_token is None and {pair for text in group.user_groups for pair in references(text)} == {("users", "id")}
    assert {"credential-app", "credential-jobs", "retirement-app", "retirement-jobs"} <= graph.nodes.keys() and "secret" not in graph.nodes


def whose(graph: Graph) -> set[str]:
    """Nodes that take part in how clients log in."""
    parts = ("secret", "user-", "users", "credential", "retirement", "login-")
    return {node.id for node in graph if node.id.startswith(parts)}


def test_on_the_way_to_users_the_user_default_has_the_token() -> None:
    graph = composed(small(auth=RBAC), PAIR, login={"stage": "to-users"})
    default = desired(graph, "user-default", User)
    assert default.access_string == "on ~* &* +@all" and default.passwords == (SecretFrom("secret", "password"),)
    group = desired(graph, "group", ReplicationGroup)
    assert group.auth_token is None and group.user_groups
    assert desired(graph, "login-move", LoginMove).to == "users" and graph.nodes["connection"].after == {"login-move"}
    assert desired(graph, "login-told", LoginMove).told and graph.nodes["login-told"].after == {"connection"}
    assert default.password_version == Ref("secret", "currentVersion") and desired(graph, "user-app", User).password_version == ""
    assert graph.nodes["credential-app"].after == {"user-app"}
    assert "credential" not in graph.nodes and desired(graph, "connection", ObjectSecret).data["username"] == "app"
    after = composed(small(auth=RBAC), PAIR, login={"stage": "users"})
    assert whose(graph) - whose(after) == {"secret", "login-move", "login-told"} and desired(after, "user-default", User).access_string.startswith("off")


def test_users_wait_for_a_rotation_of_the_token() -> None:
    graph = composed(small(auth=RBAC), PAIR, login={"stage": "token"})
    assert whose(graph) == whose(composed(small(), PAIR)) == {"secret", "credential", "retirement"}
    assert desired(graph, "group", ReplicationGroup).auth_token == SecretFrom("secret", "password")


def test_on_the_way_to_a_token_users_stay_as_they_are() -> None:
    there = {"app": "on ~* +@read", "default": "on ~app:* +@read"}
    graph = composed(small(), PAIR, login={"stage": "to-token", "users": json.dumps(there)})
    assert whose(graph) == {"secret", "secret-app", "user-app", "user-default", "users", "credential", "retirement", "login-move", "login-told"}
    assert desired(graph, "user-app", User).access_string == "on ~* +@read"
    assert desired(graph, "user-default", User).access_string == "on ~* &* +@all"
    group, credential = desired(graph, "group", ReplicationGroup), desired(graph, "credential", Credential)
    assert group.auth_token is None and group.user_groups and credential.user == Ref("user-default", "id")
    connection = desired(graph, "connection", ObjectSecret)
    assert connection.data["username"] == "default" and connection.data["password"] == SecretFrom("credential", "password")
    assert whose(composed(small(), PAIR, login={"stage": "token"})) == {"secret", "credential", "retirement"}


def test_a_user_default_has_the_secret_of_the_token() -> None:
    auth = {"mode": "rbac", "users": [RBAC["users"][0], {"name": "default", "accessString": "on ~* +@read"}]}
    graph = composed(small(auth=auth), PAIR, login={"stage": "users"})
    assert {"secret", "credential", "retirement", "secret-app"} <= graph.nodes.keys() and "secret-default" not in graph.nodes
    assert desired(graph, "login", LoginState).shares_token and desired(graph, "user-default", User).access_string == "on ~* +@read"


def test_a_cache_that_asks_for_a_secret_does_not_stop() -> None:
    with pytest.raises(Terminal, match="cannot stop"):
        composed(small(auth={"mode": "none"}), PAIR, login={"stage": "stays"})


def test_the_connection_has_what_every_client_needs() -> None:
    graph = composed(small(auth=RBAC), PAIR, uid="u-1")
    connection = desired(graph, "connection", ObjectSecret)
    known = everything(graph)
    told = texts_of(resolve(connection, known).desired.data)
    assert told["url"] == f"rediss://app:{PASSWORD}@group-host:{told['port']}" and told["tls"] == "true"
    assert told["jobs-username"] == "jobs" and told["jobs-password"] == told["password"] == PASSWORD
    assert told["readerHost"] == "group-readerHost"
    assert (connection.namespace, connection.name, connection.owner.uid) == ("web", "cache-connection", "u-1")


@pytest.mark.parametrize(
    ("wanted", "in_force", "told"),
    [
        (False, "required", "true"), (False, "preferred", "false"), (False, "off", "false"), (True, "off", "false"), (True, "preferred", "true"),
        (True, None, "true"), (False, None, "false"),
    ],
)  # fmt: skip
def test_clients_are_told_to_use_tls_when_the_cache_does(wanted: bool, in_force: str | None, told: str) -> None:
    spec = small(auth={"mode": "none"}, encryption={"inTransit": wanted})
    graph = composed(spec, group={"members": PAIR} | ({"transit": in_force} if in_force else {}))
    data = desired(graph, "connection", ObjectSecret).data
    assert (data["tls"], str(data["url"]).partition(":")[0]) == (told, "rediss" if told == "true" else "redis")
    if in_force:
        assert graph.outdated({"group": {"members": PAIR, "transit": "elsewhere"}}), "it is composed anew when that changes"


def test_the_alarm_on_connections_goes_by_the_nodes_that_run() -> None:
    spec = small(profile="prod", nodeType="cache.r7g.large")

    def threshold(graph: Graph) -> float | None:
        return alarms(graph)["alarm-connections-x-001"].threshold

    running = threshold(composed(spec, group={"members": "x-001:primary", "nodeType": "cache.t4g.micro"}))
    wanted, small_ones = threshold(composed(spec, "x-001:primary")), threshold(composed(small(nodeType="cache.t4g.micro"), "x-001:primary"))
    assert running == small_ones != wanted


def test_without_a_secret_the_connection_has_none() -> None:
    for auth, encryption in (({"mode": "none"}, {}), ({"mode": "none"}, {"transitMode": "preferred"}), ({"mode": "none"}, {"inTransit": False})):
        graph = composed(small(auth=auth, encryption=encryption), "x-001:primary")
        connection = desired(graph, "connection", ObjectSecret)
        assert not any(secrets_in(connection)) and not {"username", "password"} & connection.data.keys()
        assert connection.data["url"].startswith("redis://" if encryption.get("inTransit") is False else "rediss://")
        assert not any(isinstance(node.desired, ManagedSecret) for node in graph)


@pytest.mark.parametrize(
    ("annotation", "asked"),
    [
        ("", ("", False)),
        ("now-1", ("now-1", False)),
        ("leak-7,immediate", ("leak-7,immediate", True)),
        (" leak-7 , immediate ", ("leak-7,immediate", True)),
        ("leak-7,now", ("leak-7,now", False)),
    ],
)
def test_a_rotation_is_asked_for_by_annotation(annotation: str, asked: tuple[str, bool]) -> None:
    graph = composed(small(rotation={"every": "30d", "grace": "12h"}), "x-001:primary", annotations={"rotate": annotation} if annotation else {})
    credential, retirement = desired(graph, "credential", Credential), desired(graph, "retirement", CredentialRetirement)
    assert (credential.request, credential.immediate, credential.every_seconds) == (*asked, 30 * 86_400)
    assert (retirement.immediate, retirement.grace_seconds) == (asked[1], 12 * 3_600)


@pytest.mark.parametrize("spec", [{}, {"auth": RBAC}, {"auth": {"mode": "none"}, "encryption": {"inTransit": False}}])
def test_what_is_verified_is_what_is_published_whatever_is_wanted_by_now(spec: dict[str, Any]) -> None:
    assert isinstance(CACHE, Verifies)
    outputs = {"host": "cache.test", "port": "7000", "connectionSecret": "cache-connection"}
    assert CACHE.verification(small(**spec), outputs) == Probe("cache.test", 7000, "cache-connection", "cache.test")
    assert CACHE.verification(small(**spec), {"host": "cache.test"}) is None


def test_the_old_secret_ends_only_after_the_new_one_was_published() -> None:
    graph = composed(small(), "x-001:primary")
    order = graph.wave_of
    assert order["secret"] < order["group"] < order["credential"] < order["connection"] < order["retirement"]


def test_another_family_is_another_parameter_group_and_cluster_mode_too() -> None:
    found = {
        version + mode: next(node.id for node in composed(small(engine="redis", version=version, clusterMode=mode, replicas=1)) if "parameters" in node.id)
        for version, mode in (("6.2", "disabled"), ("7.0", "disabled"), ("7.1", "disabled"), ("7.1", "compatible"), ("7.1", "enabled"))
    }
    assert found["7.0disabled"] == found["7.1disabled"] and found["7.1compatible"] == found["7.1enabled"]
    assert len(set(found.values())) == 3 and all("." not in name for name in found.values())


def test_a_subnet_group_that_exists_is_never_written() -> None:
    graph = composed(small(network={"subnetGroupName": "platform", "securityGroupIds": ["sg-0123456789abcdef0"]}))
    assert graph.nodes["given-subnets"].role is Role.EXTERNAL and not {"subnets", "security-group"} & graph.nodes.keys()
    assert desired(graph, "group", ReplicationGroup).subnet_group == "platform"


@pytest.mark.parametrize("adopt", [Adopt.IF_OWNED, Adopt.ALWAYS])
def test_moving_between_an_own_and_a_given_subnet_group_touches_the_own_one_alone(adopt: Adopt) -> None:
    bench = Bench(policy=Policy(adopt=adopt))
    platform: Any = SubnetGroup("platform", {}, frozenset({"subnet-platform"}))
    bench.world.outside.things["platform"] = "", platform, State.READY

    def owned_after(**network: Any) -> set[type[Any]]:
        spec = small(network={"vpcId": "vpc-0123456789abcdef0", "ingress": {"cidrs": ["10.0.0.0/8"]}, **network})
        report = bench.run(*network_nodes(spec, context(), frozenset()))
        assert set(states(report).values()) == {"READY"}
        return {type(value) for owner, value, _ in bench.world.outside.things.values() if owner}

    for _ in range(2):
        assert owned_after(subnetGroupName="platform") == {SecurityGroup}
        assert owned_after(subnetIds=SUBNETS) == {SecurityGroup, SubnetGroup}
    assert bench.world.outside.things["platform"] == ("", platform, State.READY)


def test_members_are_read_as_the_driver_tells_them() -> None:
    assert members(PAIR) == (Member("x-001", "primary"), Member("x-002", "replica")) and members("") == ()
    assert members("x-0001-001:member") == (Member("x-0001-001", "member"),)


def test_there_is_an_alarm_of_each_kind_for_each_member_and_lag_of_replicas_alone() -> None:
    found = alarms(composed(small(profile="prod", alarms={"topicArn": TOPIC}), PAIR))
    by_member: dict[str, set[str]] = {}
    for alarm in found.values():
        by_member.setdefault(alarm.dimensions["CacheClusterId"], set()).add(alarm.metric_name)
        assert alarm.alarm_actions == alarm.ok_actions == frozenset({TOPIC}) and alarm.treat_missing_data == "notBreaching"
    assert by_member["x-002"] - by_member["x-001"] == {"ReplicationLag"} and len(by_member["x-001"]) == 6 and len(found) == 15


def test_after_a_failover_the_lag_alarm_is_the_other_nodes_and_the_others_stay() -> None:
    spec = small(profile="prod")
    before, after = composed(spec, PAIR), composed(spec, "x-001:replica,x-002:primary")
    assert alarms(before).keys() - alarms(after).keys() == {"alarm-replication-lag-x-002"}
    assert alarms(after).keys() - alarms(before).keys() == {"alarm-replication-lag-x-001"}
    assert all(alarms(before)[name] == alarms(after)[name] for name in alarms(before).keys() & alarms(after).keys())
    assert before.outdated({"group": {"members": "x-001:replica,x-002:primary"}}) and not before.outdated({"group": {"members": PAIR}})


def test_shards_have_alarms_on_every_node() -> None:
    spec = small(profile="prod", clusterMode="enabled", shards=3)
    found = alarms(composed(spec, members_of(spec)))
    assert {alarm.dimensions["CacheClusterId"] for alarm in found.values()} == {f"cache-{shard:04}-{node:03}" for shard in (1, 2, 3) for node in (1, 2)}
    assert sum(alarm.metric_name == "ReplicationLag" for alarm in found.values()) == 6, "AWS tells no roles, and a primary publishes none"


@pytest.mark.parametrize("group", [None, {}, {"id": "x", "members": ""}], ids=["not there", "nothing told", "none yet"])
def test_while_members_are_unknown_nothing_is_pruned_and_the_graph_is_soon_outdated(group: dict[str, str] | None) -> None:
    graph = composed(small(profile="prod"), group=group)
    assert not graph.complete and not alarms(graph) and graph.outdated({"group": {"members": PAIR}})
    assert "group" in graph.nodes and "connection" in graph.nodes


def test_without_alarms_members_do_not_matter() -> None:
    graph = composed(small(alarms={"enabled": False, "createTopic": {}}))
    assert graph.complete and not alarms(graph) and "topic" not in graph.nodes and not graph.outdated({"group": {"members": PAIR}})


def test_the_group_is_asked_for_before_composing() -> None:
    assert CACHE.needs(small(), "web") == Needs(nodes=frozenset({"group", "login"}), vital=frozenset({"login"}))


def test_outputs_tell_where_to_connect_and_nothing_secret() -> None:
    graph = composed(small(), PAIR)
    told = CACHE.outputs(small(), everything(graph))
    assert told["host"] == "group-host" and told["connectionSecret"] == "connection-name" and told["secretArn"] == "secret-arn"
    assert PASSWORD not in str(told) and outputs_now({}, CACHE.outputs(small(), {}), ready=False) == {}


def test_outputs_name_the_alarms_the_urgent_ones_first() -> None:
    nodes = ",".join(f"critical-{number:03}:replica" for number in range(1, 61))
    group = {"arn": "arn:aws:elasticache:eu-west-1:123456789012:replicationgroup:critical", "members": nodes}
    graph = composed(small(), group=group)
    names = {node.id: {"name": f"name-of-{node.id}"} for node in graph if node.type == "cloudwatch/alarm"}
    told = CACHE.outputs(small(), {**names, "group": group})
    urgent = told["criticalAlarmNames"].split(",")
    assert told["region"] == "eu-west-1" and len(names) > 100 == len(told["alarmNames"].split(","))
    assert urgent == [name for name in told["alarmNames"].split(",") if "-engine-cpu-" in name or "-memory-critical-" in name] and len(urgent) == 100


def test_alarms_that_are_switched_off_are_not_named_although_they_are_still_there() -> None:
    there = {"host": "h", "members": PAIR}
    graph = composed(small(), PAIR)
    names = {node.id: {"name": f"name-of-{node.id}"} for node in graph if node.type == "cloudwatch/alarm"}
    before = outputs_now({}, CACHE.outputs(small(), {**names, "group": there}), ready=True)
    off = outputs_now(before, CACHE.outputs(small(alarms={"enabled": False}), {**names, "group": there}), ready=False)
    assert before["alarmNames"] and off == {name: value for name, value in before.items() if not name.endswith("AlarmNames") and name != "alarmNames"}
    fewer = outputs_now(before, CACHE.outputs(small(alarms={"engineCpu": {"enabled": False}}), {**names, "group": there}), ready=False)
    assert "engine-cpu" in before["criticalAlarmNames"] and "engine-cpu" not in fewer["alarmNames"] + fewer["criticalAlarmNames"]
    unknown = outputs_now(before, CACHE.outputs(small(), {**names, "group": {"host": "h"}}), ready=False)
    assert unknown == before, "whose members cannot be read now"


def test_outputs_tell_whom_the_alarms_tell_by_themselves() -> None:
    given, made = small(alarms={"topicArn": TOPIC}), small(alarms={"createTopic": {}})
    assert CACHE.outputs(given, {"group": {"members": PAIR}})["alarmsTell"] == TOPIC
    assert CACHE.outputs(made, {"group": {"members": PAIR}, "topic": {"arn": "arn:t"}})["alarmsTell"] == "arn:t"
    assert CACHE.outputs(small(alarms={"enabled": False, "createTopic": {}}), {"topic": {"arn": "arn:t"}})["alarmsTell"] == ""


@settings(max_examples=150, deadline=None)
@given(cache_specs(), names, namespaces, st.booleans())
def test_any_spec_of_any_object_composes_within_the_limits_of_what_it_makes(spec: CacheClusterSpec, name: str, namespace: str, known: bool) -> None:
    graph = composed(spec, members_of(spec) if known else "", name=name, namespace=namespace)
    assert graph.complete == (known or not spec.alarms.enabled)
    group = desired(graph, "group", ReplicationGroup)
    target = Target(context(name, namespace).identity, "group", "elasticache/replication-group", group)
    for incarnation in (0, 1, 12, 345):
        outside = incarnated_name(group.name, replace(target, incarnation=incarnation), 40)
        assert len(outside) <= 40 and ID.fullmatch(outside), outside
    resolved = resolve(group, everything(graph))
    assert not resolved.missing and list(group_problems(resolved.desired)) == []
    for node in graph:
        assert len(node.id) <= 253 and node.type in CACHE.types, node.id
        _within_limits(node)
    assert len({alarm.name for alarm in alarms(graph).values()}) == len(alarms(graph))
    assert all(node.guards == (node.id == "group") for node in graph)


def _within_limits(node: Node) -> None:
    match node.desired:
        case ReplicationGroup(name=name) | User(user_id=name) | UserGroup(group_id=name):
            assert len(name) <= 40 and ID.fullmatch(name), name
        case ParameterGroup(name=name):
            assert len(name) <= 255 and ID.fullmatch(name), name
        case SubnetGroup(name=name):
            assert len(name) <= 255 and (node.role is Role.EXTERNAL or ID.fullmatch(name)), name
        case ManagedSecret(name=name):
            assert len(name) <= 512 and re.fullmatch(r"[A-Za-z0-9/_+=.@-]+", name), name
        case ObjectSecret(name=name):
            assert len(name) <= 253
        case Alarm(name=name):
            assert len(name) <= 255 and list(alarm_problems(node.desired)) == []
        case _:
            pass


@settings(max_examples=100, deadline=None)
@given(cache_specs())
def test_an_alarm_looks_at_exactly_one_member(spec: CacheClusterSpec) -> None:
    there = members_of(spec)
    roles = {member.id: member.role for member in members(there)}
    for alarm in alarms(composed(spec, there)).values():
        assert alarm.dimensions.keys() == {"CacheClusterId"} and alarm.namespace == "AWS/ElastiCache"
        role = roles[alarm.dimensions["CacheClusterId"]]
        assert alarm.metric_name != "ReplicationLag" or role != "primary"


@settings(max_examples=100, deadline=None)
@given(cache_specs(), st.data())
def test_every_reference_is_to_what_its_driver_tells(spec: CacheClusterSpec, data: st.DataObject) -> None:
    graph = composed(spec, members_of(spec), login=data.draw(st.sampled_from(stages_of(spec))))
    for node in graph:
        for name, attribute in {pair for text in texts_in(node.desired) for pair in references(text)}:
            assert attribute in ATTRIBUTES[graph.nodes[name].type], (node.id, name, attribute)
        for secret in secrets_in(node.desired):
            assert secret.attribute in SECRETS[graph.nodes[secret.node].type]
        assert resolve(node.desired, everything(graph)).missing == frozenset()


@settings(max_examples=100, deadline=None)
@given(cache_specs(), st.data())
def test_no_secret_ever_stands_in_a_nodes_text(spec: CacheClusterSpec, data: st.DataObject) -> None:
    graph = composed(spec, members_of(spec), login=data.draw(st.sampled_from(stages_of(spec))))
    known = everything(graph)
    resolved = Graph(
        [replace(node, desired=resolve(node.desired, known).desired, after=frozenset()) for node in graph], complete=graph.complete, gathered=graph.gathered
    )
    assert PASSWORD not in as_text(graph) + as_text(resolved) + repr(resolved.nodes)
    secured = spec.auth.mode != "none"
    assert any(SecretValue(PASSWORD, "") in texts for texts in _secret_leaves(resolved)) == secured


def _secret_leaves(graph: Graph) -> Iterator[tuple[Any, ...]]:
    for node in graph:
        for leaf in leaves(node.desired).values():
            yield leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)


@settings(max_examples=50, deadline=None)
@given(cache_specs())
def test_the_same_spec_is_the_same_graph(spec: CacheClusterSpec) -> None:
    turned = spec.model_copy(update={"network": spec.network.model_copy(update={"subnet_ids": tuple(reversed(spec.network.subnet_ids or ())) or None})})
    assert composed(spec, PAIR).nodes == composed(spec.model_copy(deep=True), PAIR).nodes == composed(turned, PAIR).nodes


def test_names_of_objects_that_begin_alike_differ() -> None:
    graphs = [composed(small(), name=f"platform-production-sessions-of-customer-{number}") for number in range(300)]
    for node in ("group", "subnets", "secret", "parameters-valkey8"):
        assert len({graph.nodes[node].desired.name for graph in graphs}) == 300, node
    assert SUBNETS[0] in graphs[0].nodes["subnets"].desired.subnet_ids


@pytest.mark.parametrize(("snapshot", "empty"), [({}, False), ({"replacement": "restore"}, False), ({"replacement": "empty"}, True)])
def test_a_successor_begins_with_the_data_unless_the_spec_says_otherwise(snapshot: dict[str, str], empty: bool) -> None:
    assert composed(small(snapshot=snapshot)).nodes["group"].starts_empty is empty

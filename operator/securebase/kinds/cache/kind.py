"""The kind CacheCluster: from a spec, and the members that were observed, to everything a cache needs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from securebase.api.cache import CacheCluster, CacheClusterSpec
from securebase.core.driver import RETIRED
from securebase.core.graph import Graph
from securebase.core.kind import AdviceSubject, Context, Facts, Needs, OwnStatus, PolicyDefaults, Probe
from securebase.core.outputs import Promised
from securebase.core.policy import OnDelete
from securebase.kinds.cache import advice
from securebase.kinds.cache.access import LOGIN, access_nodes, access_of, login_node, secret_node, speaks_tls
from securebase.kinds.cache.alarms import alarm_nodes, alarm_outputs, alarm_thresholds, members
from securebase.kinds.cache.group import group_nodes
from securebase.kinds.cache.names import CONNECTION, GROUP, connection_name
from securebase.kinds.cache.network import network_nodes
from securebase.kinds.cache.rotations import rotation_status


class CacheClusterKind:
    """Satisfies `core.kind.Kind`."""

    kind = "CacheCluster"
    plural = "cacheclusters"
    model = CacheCluster
    tasks: Mapping[str, str] = MappingProxyType({})

    types = frozenset(
        {
            "cloudwatch/alarm",
            "ec2/security-group",
            "elasticache/credential",
            "elasticache/credential-retirement",
            "elasticache/login-move",
            "elasticache/login-state",
            "elasticache/parameter-group",
            "elasticache/replication-group",
            "elasticache/subnet-group",
            "elasticache/user",
            "elasticache/user-group",
            "kubernetes/secret",
            "secretsmanager/secret",
            "sns/topic",
        }
    )

    def publishes(self, spec: CacheClusterSpec, name: str) -> frozenset[str]:
        """How clients connect."""
        return frozenset({connection_name(name)})

    def defaults(self, spec: CacheClusterSpec) -> PolicyDefaults:
        """A prod cache is protected, and leaves a snapshot behind."""
        return PolicyDefaults(OnDelete(spec.effective_on_delete), spec.effective_deletion_protection)

    def needs(self, spec: CacheClusterSpec, namespace: str) -> Needs:
        """The members decide which alarms there are; the port in use stays open while another one is wanted. How clients log in decides who is
        let in: not knowing it, nobody could say whom a change would lock out."""
        return Needs(nodes=frozenset({GROUP, LOGIN}), vital=frozenset({LOGIN}))

    def compose(self, spec: CacheClusterSpec, facts: Facts, context: Context) -> Graph:
        """All resources of one cache. While its members are not known nothing is pruned: their alarms are only not composed."""
        known, access = facts.nodes.get(GROUP, {}).get("members", ""), access_of(spec, facts)
        return Graph(
            [
                *network_nodes(spec, context, _ports(facts)),
                *group_nodes(spec, access, context),
                login_node(spec, context),
                *access_nodes(spec, access, context, speaks_tls(spec, facts)),
                *alarm_nodes(spec, context, members(known), facts.nodes.get(GROUP, {}).get("nodeType", "")),
            ],
            complete=bool(known) or not spec.alarms.enabled,
            gathered=_gathered(spec, facts, known),
        )

    def verification(self, spec: CacheClusterSpec, outputs: Mapping[str, str]) -> Probe | None:
        """The primary, as clients are told to log in there: what is wanted may still wait for an approval or a window."""
        host, published = outputs.get("host", ""), outputs.get("connectionSecret", "")
        if not spec.verify.enabled or not host or not published:
            return None
        return Probe(spec.verify.host or host, spec.verify.port or int(outputs.get("port") or spec.port), published, server_name=host)

    def outputs(self, spec: CacheClusterSpec, attributes: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
        """What is known so far: id, arn, region, host, readerHost, port, nodeType, engine, engineVersion, members, connectionSecret, secretArn,
        alarmNames, criticalAlarmNames, alarmsTell, alarmThresholds."""
        group = attributes.get(GROUP, {})
        known = {name: group.get(name, "") for name in ("id", "arn", "host", "readerHost", "port", "nodeType", "engine", "engineVersion", "members")}
        known |= {
            "connectionSecret": attributes.get(CONNECTION, {}).get("name", ""),
            "secretArn": attributes.get(secret_node(spec), {}).get("arn", ""),
            "region": _region(known["arn"]),
            "alarmThresholds": alarm_thresholds(spec, known["nodeType"]) if known["id"] else "",
            **alarm_outputs(spec, attributes, members(known["members"])),
        }
        return {name: value for name, value in known.items() if value or isinstance(value, Promised)}

    def own_status(self, spec: CacheClusterSpec, attributes: Mapping[str, Mapping[str, str]], status: Mapping[str, Any]) -> OwnStatus:
        """Satisfies `core.kind.TellsStatus`."""
        return rotation_status(spec, attributes, status)

    def advice_subject(self, spec: CacheClusterSpec, outputs: Mapping[str, str]) -> AdviceSubject | None:
        """Satisfies `core.kind.Advises`."""
        return advice.advice_subject(spec, outputs)


def _gathered(spec: CacheClusterSpec, facts: Facts, members: str) -> dict[str, dict[str, str]]:
    """What the composition went by."""
    by_login = {LOGIN: {name: facts.nodes[LOGIN].get(name, "") for name in ("stage", "users")}} if LOGIN in facts.nodes else {}
    group = {name: value for name in ("transit", "nodeType") if (value := facts.nodes.get(GROUP, {}).get(name))}  # of one to be made, as wanted
    return by_login | {GROUP: group | ({"members": members} if spec.alarms.enabled else {})}


def _region(arn: str) -> str:
    parts = arn.split(":")
    return parts[3] if len(parts) > 3 else ""


def _ports(facts: Facts) -> frozenset[int]:
    """On which the cache listens, and what it replaced as long as that serves."""
    groups = (attributes for node, attributes in facts.nodes.items() if node.partition(RETIRED)[0] == GROUP)
    return frozenset(int(port) for attributes in groups if (port := attributes.get("port")))

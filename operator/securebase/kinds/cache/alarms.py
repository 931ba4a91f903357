"""Alarms on every member node: ElastiCache publishes its metrics per node and never per replication group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from securebase.api.cache import CacheClusterSpec
from securebase.api.cache.alarms import (
    CacheHitRate,
    CreateTopic,
    CurrentConnections,
    DatabaseMemory,
    DatabaseMemoryCritical,
    EngineCpu,
    Evictions,
    NewConnections,
    ReplicationLag,
)
from securebase.api.cache.nodes import most_clients
from securebase.core.graph import Node, Ref
from securebase.core.kind import Context
from securebase.core.outputs import Promised, SoFar, promised
from securebase.kinds.cache.names import GROUP
from securebase.resources.cloudwatch.model import Alarm
from securebase.resources.sns.model import Topic

TOPIC: Final = "topic"
# PutMetricAlarm takes 255 characters of a name, CreateTopic 256.
_LONG: Final = 200
# Which of them mean that clients suffer already.
_URGENT: Final = ("engine-cpu", "memory-critical")
# As many as one composite alarm may have children (PutCompositeAlarm).
_TOLD: Final = 100


@dataclass(frozen=True, slots=True)
class Member:
    """One node, as CloudWatch's dimension CacheClusterId names it. role: primary, replica, or member where AWS does not tell."""

    id: str
    role: str


@dataclass(frozen=True, slots=True)
class _Measure:
    """What one alarm looks at. `of_replicas`: a primary publishes no such metric."""

    node: str
    wanted: EngineCpu | DatabaseMemory | DatabaseMemoryCritical | Evictions | ReplicationLag | NewConnections | CurrentConnections | CacheHitRate
    metric: str
    statistic: str
    threshold: float
    described: str
    below: bool = False
    of_replicas: bool = False


def members(text: str) -> tuple[Member, ...]:
    """The members of a replication group's attribute: `cache-001:primary,cache-002:replica`."""
    pairs = (entry.rpartition(":") for entry in text.split(",") if entry)
    return tuple(Member(name, role) for name, _, role in pairs)


def alarm_nodes(spec: CacheClusterSpec, context: Context, nodes: tuple[Member, ...], node_type: str) -> Iterator[Node]:
    """The topic, and each alarm for each member it can ever have data of. `node_type` as it runs, "" = as wanted."""
    if not spec.alarms.enabled:
        return
    if spec.alarms.create_topic is not None:
        yield Node(TOPIC, "sns/topic", _topic(spec.alarms.create_topic, context))
    for measure, member in _wanted(spec, nodes, node_type):
        yield _alarm(spec, measure, member, context)


def alarm_outputs(spec: CacheClusterSpec, attributes: Mapping[str, Mapping[str, str]], nodes: tuple[Member, ...]) -> dict[str, Promised]:
    """Names of the alarms that are wanted and there, the urgent ones once more by themselves (a big cache has more than outputs have room for, and
    tells those first), and the topic that they tell. One that is no longer wanted is not named: others let go of it, and then it can be deleted."""
    if not spec.alarms.enabled:
        return {"alarmNames": Promised(), "criticalAlarmNames": Promised(), "alarmsTell": Promised()}
    topics = [attributes.get(TOPIC, {}).get("arn", "")] if spec.alarms.create_topic is not None else [spec.alarms.topic_arn] if spec.alarms.topic_arn else []
    if not nodes:  # who the members are is not known now: what was told of their alarms stands
        return {"alarmNames": SoFar(), "criticalAlarmNames": SoFar(), "alarmsTell": promised(topics)}
    urgent = {f"alarm-{measure}-{member.id}" for measure in _URGENT for member in nodes}
    every = sorted((_node(measure, member) for measure, member in _wanted(spec, nodes)), key=lambda node: (node not in urgent, node))
    names = {node: attributes.get(node, {}).get("name", "") for node in every[:_TOLD]}
    return {
        "alarmNames": promised(names.values()),
        "criticalAlarmNames": promised(name for node, name in names.items() if node in urgent),
        "alarmsTell": promised(topics if names else ()),
    }


def alarm_thresholds(spec: CacheClusterSpec, node_type: str) -> str:
    """`EngineCPUUtilization=90:critical,...`: at which values of which metrics the wanted alarms fire, for who draws those metrics."""
    wanted = [measure for measure in _measures(spec, node_type) if measure.wanted.enabled] if spec.alarms.enabled else []
    return ",".join(f"{one.metric}={one.threshold:g}:{'critical' if one.node in _URGENT else 'warning'}" for one in wanted)


def _wanted(spec: CacheClusterSpec, nodes: tuple[Member, ...], node_type: str = "") -> Iterator[tuple[_Measure, Member]]:
    for measure in _measures(spec, node_type):
        if measure.wanted.enabled:
            for member in nodes:
                if not measure.of_replicas or (member.role != "primary" and spec.effective_replicas > 0):
                    yield measure, member


def _node(measure: _Measure, member: Member) -> str:
    return f"alarm-{measure.node}-{member.id}"


def _topic(wanted: CreateTopic, context: Context) -> Topic:
    return Topic(
        name=context.identity.external_name(TOPIC, _LONG),
        tags=context.tags,
        publishers=frozenset({"cloudwatch.amazonaws.com"}),
        emails=frozenset(wanted.emails),
        kms_key=wanted.kms_key_arn or "",
    )


def _measures(spec: CacheClusterSpec, node_type: str) -> Iterator[_Measure]:
    alarms = spec.alarms
    cpu, memory, critical = alarms.engine_cpu, alarms.database_memory, alarms.database_memory_critical
    yield _Measure("engine-cpu", cpu, "EngineCPUUtilization", "Average", cpu.threshold_percent, f"engine CPU above {cpu.threshold_percent:g} %")
    for name, wanted in (("memory", memory), ("memory-critical", critical)):
        yield _Measure(name, wanted, "DatabaseMemoryUsagePercentage", "Average", wanted.threshold_percent, f"memory above {wanted.threshold_percent:g} %")
    evicted, lag = alarms.evictions, alarms.replication_lag
    yield _Measure("evictions", evicted, "Evictions", "Sum", evicted.threshold_count, f"more than {evicted.threshold_count} keys evicted")
    described = f"replica more than {lag.threshold_seconds:g} s behind"
    yield _Measure("replication-lag", lag, "ReplicationLag", "Average", lag.threshold_seconds, described, of_replicas=True)
    new, current, hits = alarms.new_connections, alarms.current_connections, alarms.cache_hit_rate
    yield _Measure("new-connections", new, "NewConnections", "Sum", new.threshold_count, f"more than {new.threshold_count} new connections")
    possible = most_clients(node_type) if node_type else spec.max_clients
    most = round(possible * current.threshold_percent / 100)
    described = f"more than {current.threshold_percent:g} % of {possible} possible connections"
    yield _Measure("connections", current, "CurrConnections", "Average", most, described)
    yield _Measure("hit-rate", hits, "CacheHitRate", "Average", hits.threshold_percent, f"hit rate below {hits.threshold_percent:g} %", below=True)


def _alarm(spec: CacheClusterSpec, measure: _Measure, member: Member, context: Context) -> Node:
    wanted, node = measure.wanted, _node(measure, member)
    told = frozenset({Ref(TOPIC, "arn")} if spec.alarms.create_topic is not None else {spec.alarms.topic_arn} if spec.alarms.topic_arn else set())
    alarm = Alarm(
        name=context.identity.external_name(node, _LONG),
        tags=context.tags,
        comparison="LessThanThreshold" if measure.below else "GreaterThanThreshold",
        evaluation_periods=wanted.evaluation_periods,
        datapoints_to_alarm=wanted.datapoints_to_alarm,
        threshold=float(measure.threshold),
        # A node without traffic has no hit rate, and one that became primary has no lag: neither is an incident.
        treat_missing_data="notBreaching",
        description=f"{member.id}: {measure.described} (CacheCluster {context.identity.namespace}/{context.identity.name})",
        namespace="AWS/ElastiCache",
        metric_name=measure.metric,
        dimensions={"CacheClusterId": member.id},
        statistic=measure.statistic,
        period=wanted.period_seconds,
        alarm_actions=told,
        ok_actions=told,
    )
    return Node(node, "cloudwatch/alarm", alarm, after=frozenset({GROUP}))

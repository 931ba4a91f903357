"""One alarm for a service, a region and a severity: what tells people, so that one incident tells them once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from securebase.api.alarmset import PerfAlarmSetSpec
from securebase.core.graph import Node, Ref
from securebase.core.identity import digest
from securebase.core.kind import Context
from securebase.kinds.alarmset.alarms import Planned, of_service
from securebase.kinds.alarmset.catalogue import SEVERITIES, Severity
from securebase.kinds.alarmset.gathering import Gathered
from securebase.kinds.alarmset.maintenance import given_suppressor, window_alarm
from securebase.kinds.alarmset.names import LONG, SUPPRESSOR, regional
from securebase.kinds.alarmset.topics import Topics
from securebase.resources.cloudwatch.composite_model import CHILDREN, LONGEST_RULE, OR, CompositeAlarm, term

_ROOM: Final = 0.7
"""How full a rule is made: the rest is for what comes while something else cannot be looked up, when nothing is taken out."""

_DESCRIPTION: Final = 1024


@dataclass(frozen=True, slots=True)
class Child:
    """One alarm in a rule. `name`: as it will be; `text`: the name, or a reference to who has it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """The alarms of one service, region and severity. partial: there may be more of them than are known."""

    service: str
    region: str
    severity: Severity
    children: tuple[Child, ...]
    partial: bool = False

    def node(self, home: str) -> str:
        """Critical ones bear the service's name alone."""
        return regional(composite_id(self.service, self.severity), self.region, home)


def composite_id(service: str, severity: Severity) -> str:
    """At home, where nothing has to tell regions apart."""
    return f"composite-{service}{'' if severity == 'critical' else f'_{severity}'}"


def groups(spec: PerfAlarmSetSpec, planned: Sequence[Planned], known: Gathered) -> tuple[Group, ...]:
    """What composites there are. A referenced object's alarms take part by name: the urgent ones as critical, the others as warnings."""
    children: dict[tuple[str, str, Severity], list[Child]] = {}
    for one in planned:
        if of_service(spec, one.service):
            child = Child(one.alarm.name, Ref(one.node, "name"))
            children.setdefault((one.service, one.found.region, one.severity), []).append(child)
    for thing in known.found:
        if of_service(spec, thing.service):
            for name in thing.borrowed:
                severity: Severity = "critical" if name in thing.critical else "warning"
                children.setdefault((thing.service, thing.region, severity), []).append(Child(name, name))
    every = {key: tuple(sorted(set(those), key=lambda child: child.name)) for key, those in children.items()}
    order = sorted(every, key=lambda key: (key[0], key[1], SEVERITIES.index(key[2])))
    return tuple(Group(*key, every[key], partial=key[0] in known.unsure) for key in order)


def told_alone(spec: PerfAlarmSetSpec, planned: Sequence[Planned], topics: Topics) -> dict[str, frozenset[str]]:
    """By node, whom those alarms tell that are in no composite."""
    return {one.node: topics.told(one.severity, one.found.region) for one in planned if not of_service(spec, one.service)}


def composite_nodes(spec: PerfAlarmSetSpec, every: Sequence[Group], topics: Topics, context: Context, known: Gathered) -> Iterator[Node]:
    """Suppressors first, then a composite for each group, over others where one rule cannot hold all children. Each tells what it is without."""
    nodes = dict(_suppressors(spec, every, context))
    yield from nodes.values()
    suppressors = {region: _suppressor(spec, region, nodes, context) for region in {group.region for group in every}}
    for group in every:
        yield from _composites(spec, group, topics, suppressors[group.region], context, [str(one) for one in known.foreign if one.service == group.service])


def _suppressors(spec: PerfAlarmSetSpec, every: Sequence[Group], context: Context) -> Iterator[tuple[str, Node]]:
    """By region: composites and their suppressor live in the same one."""
    if spec.maintenance is None or not spec.maintenance.windows:
        return
    for region in sorted({group.region for group in every}):
        node = regional(SUPPRESSOR, region, context.region)
        alarm = window_alarm(node, spec.maintenance.windows, context)
        yield region, Node(node, "cloudwatch/alarm", alarm, "" if region == context.region else region)


def _composites(spec: PerfAlarmSetSpec, group: Group, topics: Topics, suppressor: str, context: Context, without: Sequence[str]) -> Iterator[Node]:
    node = group.node(context.region)
    levels, children = _levels(group, context)
    told = topics.told(group.severity, group.region)
    held = spec.maintenance if suppressor else None
    composite = CompositeAlarm(
        name=context.identity.external_name(node, LONG),
        tags=context.tags,
        rule=_rule(children),
        description=_description(spec, group, context, without),
        alarm_actions=told,
        ok_actions=told,
        suppressor=suppressor,
        suppressor_wait=held.wait_seconds if held is not None else 0,
        suppressor_extension=held.extension_seconds if held is not None else 0,
    )
    yield from _handing_over([*levels, [_node(node, composite, group, context)]])


def _levels(group: Group, context: Context) -> tuple[list[list[Node]], tuple[Child, ...]]:
    """Parts, the lowest first, and what is left for the composite over them."""
    node, level, number = group.node(context.region), group.children, 0
    levels: list[list[Node]] = []
    while len(parts := _parts(level)) > 1:
        nodes, above = [], []
        for part in parts:
            number += 1
            if not part:
                continue
            nested = CompositeAlarm(
                name=context.identity.external_name(f"{node}_{number}", LONG),
                tags=context.tags,
                rule=_rule(part),
                description=f"Part {number} of {node}: tells nobody by itself",
            )
            nodes.append(_node(f"{node}_{number}", nested, group, context))
            above.append(Child(nested.name, Ref(f"{node}_{number}", "name")))
        levels.append(nodes)
        level = tuple(above)
    return levels, level


def _handing_over(levels: Sequence[Sequence[Node]]) -> Iterator[Node]:
    """With another number of parts children move. A part lets go of them once those above name every part, and those above let go of a part, or of
    what is in parts now, once the parts have it: whatever is refused in between, each child is in something that tells people."""
    every = frozenset(node.id for level in levels for node in level)
    for level in levels:
        others = every - {node.id for node in level}
        yield from (replace(node, keeps_until=others) for node in level)


def _node(id: str, composite: CompositeAlarm, group: Group, context: Context) -> Node:
    return Node(id, "cloudwatch/composite-alarm", composite, "" if group.region == context.region else group.region, named=True, partial=group.partial)


def _suppressor(spec: PerfAlarmSetSpec, region: str, nodes: Mapping[str, Node], context: Context) -> str:
    if spec.maintenance is None:
        return ""
    return Ref(nodes[region].id, "name") if region in nodes else given_suppressor(spec.maintenance, region, context.region)


def _parts(children: Sequence[Child]) -> tuple[tuple[Child, ...], ...]:
    """Children in runs that a rule each can hold, with room to spare. Where one belongs goes by itself and their number alone (rendezvous hashing),
    so that what comes or goes leaves the others where they are."""
    count = max(math.ceil(len(children) / (CHILDREN * _ROOM)), math.ceil(len(_rule(children, by_name=True)) / (LONGEST_RULE * _ROOM)))
    while True:
        parts = _dealt(children, count)
        if all(len(part) <= CHILDREN and len(_rule(part, by_name=True)) <= LONGEST_RULE for part in parts):
            return parts
        count += 1


def _dealt(children: Sequence[Child], count: int) -> tuple[tuple[Child, ...], ...]:
    parts: list[list[Child]] = [[] for _ in range(count)]
    for child in children:
        parts[max(range(count), key=lambda number: digest(str(number), child.text)) if count > 1 else 0].append(child)
    return tuple(tuple(part) for part in parts)


def _rule(children: Sequence[Child], *, by_name: bool = False) -> str:
    return OR.join(term(child.name if by_name else child.text) for child in children)


def _description(spec: PerfAlarmSetSpec, group: Group, context: Context, without: Sequence[str]) -> str:
    service = next((service for service in spec.services if service.name == group.service), None)
    about = f" {service.description.rstrip('.')}." if service is not None and service.description else ""
    runbook = f" {service.runbook}" if service is not None and service.runbook else ""
    state = "is unhealthy" if group.severity == "critical" else "needs a look" if group.severity == "warning" else "has something to tell"
    lacking = f" Without {', '.join(without)}." if without else ""
    told = f"{group.severity}: {group.service} {state} in {group.region}: at least one of its alarms is in ALARM.{about}{lacking}"
    return f"{told} (PerfAlarmSet {context.identity.namespace}/{context.identity.name}){runbook}"[:_DESCRIPTION]

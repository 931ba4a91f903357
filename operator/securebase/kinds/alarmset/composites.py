"""One alarm for a service, a region and a severity: what tells people, so that one incident tells them once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from securebase.api.alarmset import PerfAlarmSetSpec
from securebase.core.graph import Node, Ref
from securebase.core.kind import Context
from securebase.kinds.alarmset.alarms import Planned, of_service
from securebase.kinds.alarmset.catalogue import SEVERITIES, Severity
from securebase.kinds.alarmset.gathering import Foreign, Found
from securebase.kinds.alarmset.maintenance import window_alarm
from securebase.kinds.alarmset.names import LONG, regional
from securebase.kinds.alarmset.topics import Topics
from securebase.resources.cloudwatch.composite_model import LONGEST_RULE, CompositeAlarm

SUPPRESSOR: Final = "suppressor"
CHILDREN: Final = 100
"""Of one rule (PutCompositeAlarm, API reference). Its 500 elements are not reached: a rule of ours has one for each child."""

_OR: Final = " OR "
_DESCRIPTION: Final = 1024


@dataclass(frozen=True, slots=True)
class Child:
    """One alarm in a rule. `name`: as it will be; `text`: the name, or a reference to who has it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """The alarms of one service, region and severity."""

    service: str
    region: str
    severity: Severity
    children: tuple[Child, ...]

    def node(self, home: str) -> str:
        """Critical ones bear the service's name alone."""
        return regional(f"composite-{self.service}{'' if self.severity == 'critical' else f'_{self.severity}'}", self.region, home)


def groups(spec: PerfAlarmSetSpec, planned: Sequence[Planned], found: Sequence[Found]) -> tuple[Group, ...]:
    """What composites there are. A referenced object's alarms take part by name: the urgent ones as critical, the others as warnings."""
    children: dict[tuple[str, str, Severity], list[Child]] = {}
    for one in planned:
        if not one.found.elsewhere and of_service(spec, one.service):
            child = Child(one.alarm.name, Ref(one.node, "name"))
            children.setdefault((one.service, one.found.region, one.severity), []).append(child)
    for thing in found:
        if not thing.elsewhere and of_service(spec, thing.service):
            for name in thing.borrowed:
                severity: Severity = "critical" if name in thing.critical else "warning"
                children.setdefault((thing.service, thing.region, severity), []).append(Child(name, name))
    every = {key: tuple(sorted(set(those), key=lambda child: child.name)) for key, those in children.items()}
    return tuple(Group(*key, every[key]) for key in sorted(every, key=lambda key: (key[0], key[1], SEVERITIES.index(key[2]))))


def told_alone(spec: PerfAlarmSetSpec, planned: Sequence[Planned], topics: Topics) -> dict[str, frozenset[str]]:
    """By node, whom those alarms tell that are in no composite."""
    return {one.node: topics.told(one.severity, one.found.region) for one in planned if one.found.elsewhere or not of_service(spec, one.service)}


def composite_nodes(spec: PerfAlarmSetSpec, every: Sequence[Group], topics: Topics, context: Context, foreign: Sequence[Foreign] = ()) -> Iterator[Node]:
    """Suppressors first, then a composite for each group, over others where one rule cannot hold all children. Each tells what it is without."""
    suppressors = dict(_suppressors(spec, every, context))
    yield from suppressors.values()
    for group in every:
        yield from _composites(spec, group, topics, suppressors, context, [str(one) for one in foreign if one.service == group.service])


def _suppressors(spec: PerfAlarmSetSpec, every: Sequence[Group], context: Context) -> Iterator[tuple[str, Node]]:
    """By region: composites and their suppressor live in the same one."""
    if spec.maintenance is None or not spec.maintenance.windows:
        return
    for region in sorted({group.region for group in every}):
        node = regional(SUPPRESSOR, region, context.region)
        alarm = window_alarm(node, spec.maintenance.windows, context)
        yield region, Node(node, "cloudwatch/alarm", alarm, "" if region == context.region else region)


def _composites(
    spec: PerfAlarmSetSpec, group: Group, topics: Topics, suppressors: Mapping[str, Node], context: Context, without: Sequence[str]
) -> Iterator[Node]:
    node = group.node(context.region)
    level, number = group.children, 0
    while len(parts := tuple(_parts(level))) > 1:
        above = []
        for part in parts:
            number += 1
            nested = CompositeAlarm(
                name=context.identity.external_name(f"{node}_{number}", LONG),
                tags=context.tags,
                rule=_rule(part),
                description=f"Part {number} of {node}: tells nobody by itself",
            )
            yield _node(f"{node}_{number}", nested, group, context)
            above.append(Child(nested.name, Ref(f"{node}_{number}", "name")))
        level = tuple(above)
    told = topics.told(group.severity, group.region)
    suppressor = _suppressor(spec, group, suppressors, context)
    held = spec.maintenance if suppressor else None
    composite = CompositeAlarm(
        name=context.identity.external_name(node, LONG),
        tags=context.tags,
        rule=_rule(level),
        description=_description(spec, group, context, without),
        alarm_actions=told,
        ok_actions=told,
        suppressor=suppressor,
        suppressor_wait=held.wait_seconds if held is not None else 0,
        suppressor_extension=held.extension_seconds if held is not None else 0,
    )
    yield _node(node, composite, group, context)


def _node(id: str, composite: CompositeAlarm, group: Group, context: Context) -> Node:
    return Node(id, "cloudwatch/composite-alarm", composite, "" if group.region == context.region else group.region, named=True, whole=True)


def _suppressor(spec: PerfAlarmSetSpec, group: Group, suppressors: Mapping[str, Node], context: Context) -> str:
    """A given alarm is one of the object's own region, and holds the composites there."""
    if spec.maintenance is None:
        return ""
    if group.region in suppressors:
        return Ref(suppressors[group.region].id, "name")
    return spec.maintenance.suppressor_alarm or "" if group.region == context.region else ""


def _parts(children: Sequence[Child]) -> Iterator[tuple[Child, ...]]:
    """Children in runs that one rule can hold."""
    part: list[Child] = []
    length = 0
    for child in children:
        more = len(_term(child.name)) + len(_OR)
        if part and (len(part) == CHILDREN or length + more > LONGEST_RULE):
            yield tuple(part)
            part, length = [], 0
        part.append(child)
        length += more
    if part:
        yield tuple(part)


def _rule(children: Sequence[Child]) -> str:
    return _OR.join(_term(child.text) for child in children)


def _term(name: str) -> str:
    return f'ALARM("{name}")'


def _description(spec: PerfAlarmSetSpec, group: Group, context: Context, without: Sequence[str]) -> str:
    service = next((service for service in spec.services if service.name == group.service), None)
    about = f" {service.description.rstrip('.')}." if service is not None and service.description else ""
    runbook = f" {service.runbook}" if service is not None and service.runbook else ""
    state = "is unhealthy" if group.severity == "critical" else "needs a look" if group.severity == "warning" else "has something to tell"
    which = f"one of its {len(group.children)} alarms" if len(group.children) > 1 else "its one alarm"
    lacking = f" Without {', '.join(without)}." if without else ""
    told = f"{group.severity}: {group.service} {state} in {group.region}: {which} is in ALARM.{about}{lacking}"
    return f"{told} (PerfAlarmSet {context.identity.namespace}/{context.identity.name}){runbook}"[:_DESCRIPTION]

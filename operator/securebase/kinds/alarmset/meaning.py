"""What each alarm of a set is about: how urgent, and of which service."""

from __future__ import annotations

from collections.abc import Iterator

from securebase.api.alarmset import PerfAlarmSetSpec
from securebase.core.graph import Graph
from securebase.kinds.alarmset.catalogue import SEVERITIES
from securebase.resources.cloudwatch.alarm_health import Meaning
from securebase.resources.cloudwatch.composite_model import CompositeAlarm
from securebase.resources.cloudwatch.model import Alarm

_ALARM, _COMPOSITE = "alarm-", "composite-"


def alarm_meanings(spec: PerfAlarmSetSpec, graph: Graph) -> Iterator[tuple[str, Meaning]]:
    """By node. Suppressors and the parts of a composite are about nothing themselves."""
    services = {target.id: target.service or "platform" for target in spec.targets}
    for node in graph:
        match node.desired:
            case Alarm(description=told) if node.id.startswith(_ALARM):
                service = services.get(_first(node.id, _ALARM), "")
            case CompositeAlarm(description=told) if node.id.startswith(_COMPOSITE):
                service = _first(node.id, _COMPOSITE)
            case _:
                continue
        if severity := _severity(told):
            yield node.id, Meaning(severity, service)


def _first(node: str, prefix: str) -> str:
    return node.removeprefix(prefix).partition("_")[0]


def _severity(description: str) -> str:
    """Descriptions begin with it, as it is what a notification shows."""
    said = description.partition(":")[0]
    return said if said in SEVERITIES else ""

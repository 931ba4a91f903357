"""The kind PerfAlarmSet: from a spec, and the targets that were found, to alarms, dashboards, filters, queries and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from securebase.api.alarmset import PerfAlarmSet, PerfAlarmSetSpec
from securebase.core.graph import Graph
from securebase.core.kind import Context, Facts, Needs, PolicyDefaults
from securebase.kinds.alarmset.alarms import alarm_nodes, planned_alarms
from securebase.kinds.alarmset.composites import composite_nodes, groups, told_alone
from securebase.kinds.alarmset.dashboards import Shown, dashboard_nodes
from securebase.kinds.alarmset.gathering import gathered, lookup_needs, lookup_nodes, missing
from securebase.kinds.alarmset.logs import log_nodes
from securebase.kinds.alarmset.meaning import alarm_meanings
from securebase.kinds.alarmset.notes import notes
from securebase.kinds.alarmset.topics import Topics
from securebase.kinds.alarmset.unsure import unsure
from securebase.resources.cloudwatch.alarm_health import Meaning

_TOLD: Final = 50
"""Missing targets named in the outputs; the status has little room."""


class PerfAlarmSetKind:
    """Satisfies `core.kind.Kind`."""

    kind = "PerfAlarmSet"
    plural = "perfalarmsets"
    model = PerfAlarmSet
    tasks: Mapping[str, str] = MappingProxyType({})

    types = frozenset(
        {
            "cloudwatch/alarm",
            "cloudwatch/composite-alarm",
            "cloudwatch/dashboard",
            "discovery/search",
            "discovery/target",
            "kms/policy-statement",
            "logs/log-group-settings",
            "logs/metric-filter",
            "logs/query-definition",
            "sns/given-topic",
            "sns/topic",
        }
    )

    def publishes(self, spec: PerfAlarmSetSpec, name: str) -> frozenset[str]:
        """None: what it tells is no secret."""
        return frozenset()

    def defaults(self, spec: PerfAlarmSetSpec) -> PolicyDefaults:
        """Alarms hold no data: they go with their object."""
        return PolicyDefaults()

    def needs(self, spec: PerfAlarmSetSpec, namespace: str) -> Needs:
        """What exists of the targets, and the alarms that referenced objects make."""
        return lookup_needs(spec, namespace)

    def compose(self, spec: PerfAlarmSetSpec, facts: Facts, context: Context) -> Graph:
        """Everything for the targets that exist. While any is unknown nothing is pruned; one that is missing makes nothing."""
        known = gathered(spec, facts, context)
        found = known.found
        planned = tuple(planned_alarms(found, context))
        every = groups(spec, planned, known)
        topics = Topics(spec, context, known.regions, open=any(target.ref is not None for target in known.away))
        return Graph(
            [
                *lookup_nodes(spec),
                *topics.nodes(),
                *alarm_nodes(planned, told_alone(spec, planned, topics), context.region),
                *composite_nodes(spec, every, topics, context, known),
                *dashboard_nodes(Shown(spec, context, found, planned, every, known.foreign, known.complete)),
                *log_nodes(spec, found, context, {target.id for target in (*known.unknown, *known.left)}),
            ],
            complete=known.complete,
            gathered=known.known,
            unsure=unsure(spec, known.unknown),
        )

    def outputs(self, spec: PerfAlarmSetSpec, attributes: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
        """What is known so far: dashboards, <severity>TopicArn, in other regions <severity>TopicArnUsEast1, alarms, compositeAlarms, missingTargets,
        notes."""
        names = sorted(attributes)
        dashboards = [attributes[node].get("name", "") for node in names if node.startswith("dashboard-")]
        told = {
            "dashboards": ",".join(name for name in dashboards if name),
            "alarms": str(sum(node.startswith("alarm-") for node in names)),
            "compositeAlarms": str(sum(node.startswith("composite-") for node in names)),
            "missingTargets": ",".join(list(missing(spec, attributes))[:_TOLD]),
            "notes": "; ".join(notes(spec, attributes)),
        }
        told |= {_topic_output(node): attributes[node].get("arn", "") for node in names if node.startswith("topic-")}
        return {name: value for name, value in told.items() if value}

    def alarm_meanings(self, spec: PerfAlarmSetSpec, graph: Graph) -> Mapping[str, Meaning]:
        """By node: how urgent an alarm is, and of which service."""
        return dict(alarm_meanings(spec, graph))


def _topic_output(node: str) -> str:
    """`topic-critical` -> `criticalTopicArn`, `topic-critical-eu-west-1` -> `criticalTopicArnEuWest1`."""
    _, severity, *region = node.split("-")
    parts = ["us", "east", "1"] if region == ["use1"] else region
    return f"{severity}TopicArn{''.join(part.capitalize() for part in parts)}"

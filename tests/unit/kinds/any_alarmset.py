"""Specs of PerfAlarmSet, what lookups answered for them, and their graphs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from securebase.api.alarmset import PerfAlarmSet, PerfAlarmSetSpec
from securebase.core.graph import Graph, Node, shown
from securebase.core.identity import Identity
from securebase.core.kind import Context, Facts, ObjectRef
from securebase.kinds.alarmset import ALARMS
from securebase.resources.cloudwatch.composite_model import CompositeAlarm
from securebase.resources.cloudwatch.dashboard_model import Dashboard
from securebase.resources.cloudwatch.model import Alarm
from tests.unit.kinds.composing import ACCOUNT

THERE = {"exists": "true", "arn": "arn:there", "settled": "true"}


def spec_of(document: Mapping[str, Any]) -> PerfAlarmSetSpec:
    """The spec of a whole manifest."""
    return PerfAlarmSet.model_validate(document).spec


def small(*targets: Mapping[str, Any], **more: Any) -> PerfAlarmSetSpec:
    """A spec of these targets, and whatever else is given."""
    metadata = {"name": "platform", "namespace": "web"}
    spec = {"targets": [dict(target) for target in targets], **more}
    return spec_of({"apiVersion": "securebase.io/v1alpha1", "kind": "PerfAlarmSet", "metadata": metadata, "spec": spec})


def context(name: str = "platform", namespace: str = "web", instance: str = "unit", region: str = "eu-central-1", **more: Any) -> Context:
    return Context(Identity(instance, "PerfAlarmSet", namespace, name), ACCOUNT, region, **more)


def facts_of(said: Mapping[str, Any], namespace: str = "web") -> Facts:
    """From `nodes` by id, and `objects` by Kind/name. What is there has an ARN, as every service's list tells it."""
    nodes = {id: {"arn": "arn:there", **known} if known.get("exists") == "true" else known for id, known in said.get("nodes", {}).items()}
    objects = {ObjectRef(kind, namespace, name): outputs for key, outputs in said.get("objects", {}).items() for kind, name in [key.split("/")]}
    return Facts(nodes=nodes, objects=objects)


def composed(spec: PerfAlarmSetSpec, nodes: Mapping[str, Mapping[str, str]] | None = None, *, objects: Mapping[str, Any] | None = None, **more: Any) -> Graph:
    """The graph of a spec. Without `nodes` every named target is there."""
    known = nodes if nodes is not None else {f"target-{target.id}": THERE for target in spec.targets if target.name is not None}
    return ALARMS.compose(spec, facts_of({"nodes": known, "objects": objects or {}}), context(**more))


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A manifest, and what was gathered for it."""
    manifest, said = yaml.safe_load_all(path.read_text())
    return manifest, said


def found_by_tags(*names: str, settled: bool = True, details: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, str]:
    """What a search answers."""
    return {"members": json.dumps(sorted(names)), "details": json.dumps(details or {}), "settled": "true" if settled else "false"}


def alarms(graph: Graph) -> dict[str, Alarm]:
    return {node.id: node.desired for node in graph if isinstance(node.desired, Alarm)}


def composites(graph: Graph) -> dict[str, CompositeAlarm]:
    return {node.id: node.desired for node in graph if isinstance(node.desired, CompositeAlarm)}


def dashboards(graph: Graph) -> dict[str, Dashboard]:
    return {node.id: node.desired for node in graph if isinstance(node.desired, Dashboard)}


def widget(graph: Graph, id: str) -> dict[str, Any]:
    """The properties of one widget, wherever it is."""
    found = [one for dashboard in dashboards(graph).values() for one in dashboard.widgets if one.id == id]
    assert len(found) == 1, id
    properties: dict[str, Any] = json.loads(found[0].properties)
    return properties


def picture(graph: Graph) -> str:
    """The dashboards of a graph for a reviewer: where each widget stands, and what it shows."""
    told = {id: {"name": dashboard.name, "widgets": [_drawn(one) for one in dashboard.widgets]} for id, dashboard in sorted(dashboards(graph).items())}
    return yaml.safe_dump(told, sort_keys=False, width=170, allow_unicode=True)


def _drawn(widget: Any) -> dict[str, Any]:
    properties = json.loads(shown(widget.properties))
    if "metrics" in properties:
        properties["metrics"] = [json.dumps(row, ensure_ascii=False) for row in properties["metrics"]]
    return {"id": widget.id, "type": widget.type, "at": f"{widget.x},{widget.y} {widget.width}x{widget.height}", "properties": properties}


def without_dashboards(graph: Graph) -> Graph:
    """The rest, for the other golden file."""
    rest: list[Node] = [node for node in graph if not isinstance(node.desired, Dashboard)]
    return Graph(rest, complete=graph.complete, gathered=graph.gathered)

"""What each type of target makes, alarms and all that goes with them in one reviewed file and dashboards in another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from securebase.core.graph import Graph
from securebase.resources.cloudwatch import dashboard_model, model
from securebase.resources.cloudwatch.dashboard_model import Dashboard
from securebase.resources.cloudwatch.model import Alarm
from securebase.resources.kms import model as kms_model
from securebase.resources.kms.model import KeyStatement
from securebase.resources.logs import filter_model, group_model, query_model
from securebase.resources.logs.filter_model import MetricFilter
from securebase.resources.logs.group_model import LogGroupSettings
from securebase.resources.logs.query_model import QueryDefinition
from tests.unit.kinds.any_alarmset import composed, composites, picture, read, spec_of, without_dashboards
from tests.unit.kinds.composing import as_text

CHECKS: Mapping[type, Callable[[Any], Iterable[str]]] = {
    Alarm: model.problems,
    Dashboard: dashboard_model.problems,
    KeyStatement: kms_model.problems,
    LogGroupSettings: group_model.problems,
    MetricFilter: filter_model.problems,
    QueryDefinition: query_model.problems,
}
HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / "alarmset"
SPECS = sorted((HERE / "specs" / "alarmset").glob("*.yaml"))


def graph_of(path: Path) -> Graph:
    document, said = read(path)
    return composed(spec_of(document), said.get("nodes", {}), objects=said.get("objects"), name=document["metadata"]["name"], tags={"team": "web"})


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_graph_and_dashboards_are_the_reviewed_ones(path: Path, update_golden: bool) -> None:
    graph = graph_of(path)
    for name, text in ((path.stem, as_text(without_dashboards(graph))), (f"{path.stem}.dashboards", picture(graph))):
        golden = GOLDEN / f"{name}.yaml"
        if update_golden:
            golden.write_text(text)
        assert golden.exists(), "no golden file yet: run pytest tests/unit/kinds --update-golden and review it"
        assert text == golden.read_text()


def test_every_golden_file_has_a_spec() -> None:
    assert {path.name.split(".")[0] for path in GOLDEN.glob("*.yaml")} == {path.stem for path in SPECS}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_children_of_composites_tell_nobody(path: Path) -> None:
    graph = graph_of(path)
    children = {node for composite in composites(graph).values() for node in graph.nodes if f'"\ue000{node}/name\ue001"' in composite.rule}
    for node in children:
        told = graph.nodes[node].desired
        assert not (told.alarm_actions | told.ok_actions | told.insufficient_data_actions), node


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_everything_would_be_accepted(path: Path) -> None:
    refused = [f"{node.id}: {problem}" for node in graph_of(path) if (check := CHECKS.get(type(node.desired))) for problem in check(node.desired)]
    assert refused == []

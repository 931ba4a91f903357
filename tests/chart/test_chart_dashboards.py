"""The chart's Grafana dashboard: rendered, understood by promtool, and made of series that the operator really has."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from lab.cache import Unavailable
from lab.tools import prometheus_is_built, promtool
from securebase.core.fields import Impact
from securebase.telemetry.alarm_series import AlarmReading, AlarmsReading
from securebase.telemetry.cache_series import CacheReading
from securebase.telemetry.metrics import Metrics
from tests.chart.conftest import CHART, Helm, Render, of_kind, the
from tests.chart.dashboard import DASHBOARD, Query, all_queries, boards, dashboard, panels, queries

ON = {"metrics": {"dashboards": {"enabled": True}}}
OF_THE_TARGET = {"job", "instance"}
"""Labels that a scrape adds."""


@pytest.fixture(scope="module")
def tool() -> Path:
    """A first build takes minutes: not inside a test."""
    if not prometheus_is_built():
        raise Unavailable("promtool (the dashboard's expressions)", "it is not built yet: python -m lab fetch prometheus, 5 to 6 minutes, once")
    return promtool()


@pytest.fixture(scope="module")
def series() -> Mapping[str, set[str]]:
    """Labels by name of every sample that the operator exposes once everything has happened to it."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, "0.1.0")
    labels = ("CdnDistribution", "web", "site")
    metrics.reconciled("CdnDistribution", "ready", 0.1)
    metrics.queue_depth(1)
    metrics.swept("123456789012", "us-east-1", 1e9)
    metrics.oldest_observation("123456789012", "us-east-1", 1e9)
    metrics.aws_call("cloudfront", "GetDistribution", "OK", 0.1)
    metrics.aws_throttle_wait("cloudfront", "GetDistribution", 0.1)
    metrics.ready(*labels, True)
    metrics.drift(*labels, 1, 1e9)
    metrics.drift_detected(*labels, 1)
    metrics.drift_corrected(*labels, 1)
    metrics.pending(*labels, {Impact.REPLACE: 1})
    metrics.cost(*labels, 2.4)
    metrics.cache("CacheCluster", "web", "sessions", CacheReading(True, *([1.0] * 10)))
    metrics.alarms("PerfAlarmSet", "web", "all", AlarmsReading((AlarmReading("api", "critical", "api", "us-east-1", "ALARM"),), {"flapping": 1}))
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def names(expression: str) -> set[str]:
    """Metrics of an expression: the words that are left without strings, selectors, ranges, label lists, functions and operators."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|without|ignoring)\s*\([^)]*\)', " ", expression)
    return set(re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)) - {"and", "or", "unless", "bool"}


def words(text: str, pattern: str) -> set[str]:
    return {word for found in re.findall(pattern, text) for word in re.findall(r"\w+", found)}


def test_nothing_is_rendered_unless_asked_for(render: Render) -> None:
    assert of_kind(render(), "ConfigMap") == []


def test_the_sidecar_finds_the_dashboard_as_it_stands_in_the_chart(render: Render) -> None:
    config_map = the(render(ON), "ConfigMap")
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert "annotations" not in config_map["metadata"]
    assert config_map["data"].keys() == {path.name for path in DASHBOARD.parent.glob("*.json")}
    assert json.loads(config_map["data"][DASHBOARD.name]) == dashboard()


def test_labels_and_annotations_are_the_values_own(render: Render) -> None:
    own = {"enabled": True, "labels": {"grafana_dashboard": None, "dashboards": "here"}, "annotations": {"grafana_folder": "Platform"}}
    metadata = the(render({"metrics": {"dashboards": own}}), "ConfigMap")["metadata"]
    assert metadata["labels"]["dashboards"] == "here"
    assert "grafana_dashboard" not in metadata["labels"]
    assert metadata["annotations"] == {"grafana_folder": "Platform"}


def test_helm_lint_finds_nothing(run_helm: Helm) -> None:
    answer = run_helm("lint", "--strict", CHART, values=ON)
    assert "[WARNING]" not in answer.stdout
    assert "[ERROR]" not in answer.stdout


def test_a_misspelt_value_is_refused(run_helm: Helm) -> None:
    answer = run_helm("template", "sb", CHART, values={"metrics": {"dashboards": {"enable": True}}}, check=False)
    assert "additional properties 'enable' not allowed" in answer.stderr


def test_every_expression_is_promql(tool: Path, tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": query.expression} for number, query in enumerate(all_queries())]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    answer = subprocess.run([tool, "check", "rules", path], capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"{len(rules)} rules found" in answer.stdout


@pytest.mark.parametrize("query", all_queries(), ids=str)
def test_an_expression_names_series_and_labels_that_exist(query: Query, series: Mapping[str, set[str]]) -> None:
    used = names(query.expression)
    assert used
    assert used <= series.keys()
    known = OF_THE_TARGET.union(*(series[name] for name in used))
    assert words(query.expression, r"\b(?:by|on)\s*\(([^)]*)\)") <= known
    for name, selector in re.findall(r"(\w+)\{([^}]*)\}", query.expression):
        assert set(re.findall(r"(\w+)(?:=~|!~|!=|=)", selector)) <= series[name]


@pytest.mark.parametrize("query", all_queries(), ids=str)
def test_a_legend_names_labels_that_are_left(query: Query) -> None:
    outermost = re.search(r"\bby \(([^)]*)\)", query.expression)
    left = set(outermost[1].split(", ")) if outermost else set()
    assert words(query.legend, r"\{\{(.*?)\}\}") <= left


def test_every_metric_of_the_operator_is_shown(series: Mapping[str, set[str]]) -> None:
    shown = {name for query in all_queries() for name in names(query.expression)}
    families = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in series if name.startswith("securebase_")}
    counted = {re.sub(r"_total$", "", name) for name in families}
    assert {name for name in counted if not any(metric.startswith(name) for metric in shown)} == set()


@pytest.mark.parametrize("board", boards(), ids=lambda board: board["uid"])
def test_variables_are_asked_of_series_that_exist(board: Mapping[str, Any], series: Mapping[str, set[str]]) -> None:
    asked = {variable["name"]: variable["query"]["query"] for variable in board["templating"]["list"] if variable["type"] == "query"}
    assert asked.keys() == {"kind", "namespace"} or asked.keys() == {"namespace"}
    for name, query in asked.items():
        found = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", query)
        assert found is not None
        assert found[2] == name
        assert found[2] in series[found[1]]


@pytest.mark.parametrize("board", boards(), ids=lambda board: board["uid"])
def test_a_panel_says_what_it_shows_in_which_unit_from_the_chosen_source(board: Mapping[str, Any]) -> None:
    assert "id" not in board
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in panels(board):
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


@pytest.mark.parametrize("board", boards(), ids=lambda board: board["uid"])
def test_no_panel_covers_another(board: Mapping[str, Any]) -> None:
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


STATE = 'securebase_alarm_state{kind="PerfAlarmSet",namespace="web",name="all",alarm="%s",severity="%s",service="%s",region="us-east-1"}'


def alarm_stats() -> dict[str, str]:
    """Expressions of the figures at the head of the alarms' dashboard, by title."""
    [board] = [board for board in boards() if board["uid"] == "securebase-alarms"]
    told = {query.panel: query.expression for query in queries(board)}
    return {panel["title"]: told[panel["title"]] for panel in panels(board) if panel["type"] == "stat"}


def series_of(*alarms: tuple[str, str, str, str]) -> list[dict[str, str]]:
    return [{"series": STATE % (name, severity, service), "values": values} for name, severity, service, values in alarms]


@pytest.mark.parametrize(
    ("alarms", "expected"),
    [
        ((), {"Critical services": None, "Other alarms": None, "Without data": None, "Read ago": None, "In trouble": None}),
        (
            (("a", "critical", "api", "0x2"), ("b", "warning", "api", "0x2")),
            {"Critical services": 0, "Other alarms": 0, "Without data": 0},
        ),
        (
            (("child", "critical", "api", "1x2"), ("composite", "critical", "api", "1x2"), ("b", "warning", "api", "1x2"), ("c", "info", "db", "-1x2")),
            {"Critical services": 1, "Other alarms": 1, "Without data": 1},
        ),
    ],
)
def test_a_figure_of_alarms_is_unknown_without_series_and_0_where_all_is_well(
    alarms: tuple[tuple[str, str, str, str], ...], expected: dict[str, int | None], tool: Path, tmp_path: Path
) -> None:
    stats = alarm_stats()
    asked = [
        {"expr": stats[title], "eval_time": "1m", "exp_samples": [] if value is None else [{"labels": "{}", "value": value}]}
        for title, value in expected.items()
    ]
    path = tmp_path / "stats.yaml"
    path.write_text(yaml.safe_dump({"tests": [{"interval": "1m", "input_series": series_of(*alarms), "promql_expr_test": asked}]}))
    answer = subprocess.run([tool, "test", "rules", path], capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_figure_of_alarms_is_that_of_now() -> None:
    """The last value of a range would stand for hours after the operator is gone."""
    [board] = [board for board in boards() if board["uid"] == "securebase-alarms"]
    for panel in panels(board):
        assert panel["type"] != "stat" or all(target["instant"] and not target["range"] for target in panel["targets"]), panel["title"]

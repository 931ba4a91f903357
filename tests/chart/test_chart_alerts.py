"""The chart's alert rules under promtool, and against the metrics that the operator really has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry

from lab.tools import prometheus_is_built, promtool
from securebase.telemetry.alarm_series import AlarmSeries
from securebase.telemetry.cache_series import CacheSeries
from securebase.telemetry.metrics import Metrics
from tests.chart.conftest import Render, the

CASES = Path(__file__).with_name("alerts.yaml")


@pytest.fixture(scope="module")
def rules(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Prometheus gets out of the PrometheusRule, as a file."""
    path = tmp_path_factory.mktemp("alerts") / "rules.yaml"
    documents = render({"metrics": {"prometheusRule": {"enabled": True, "cloudWatchAlarms": True}}})
    path.write_text(yaml.safe_dump(the(documents, "PrometheusRule")["spec"]))
    return path


@pytest.fixture(scope="module")
def tool() -> Path:
    """A first build takes minutes: not inside a test. Left out by name where nobody asked for it, a failure in CI."""
    if not prometheus_is_built():
        reason = "not tested: alert rules, for promtool is not built yet (python -m lab fetch prometheus, 5 to 6 minutes, once)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return promtool()


def test_every_alert_fires_when_it_must_and_stays_silent_otherwise(rules: Path, tool: Path) -> None:
    cases = shutil.copy(CASES, rules.parent)
    answer = subprocess.run([tool, "test", "rules", cases], capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_alert_has_a_case_that_fires_and_one_that_does_not(rules: Path) -> None:
    alerts = {rule["alert"] for group in yaml.safe_load(rules.read_text())["groups"] for rule in group["rules"]}
    tried = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in tried if case.get("exp_alerts")} == alerts
    assert {case["alertname"] for case in tried if not case.get("exp_alerts")} == alerts


def test_the_rules_name_metrics_and_labels_that_exist(rules: Path) -> None:
    registry = CollectorRegistry()
    Metrics(registry, "test")
    families = [*registry.collect(), *CacheSeries().describe(), *AlarmSeries().describe()]
    known = {sample for family in families for sample in (family.name, f"{family.name}_total")}
    used = set(re.findall(r"securebase_\w+", rules.read_text()))
    assert used <= known

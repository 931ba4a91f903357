"""What a real Prometheus gets out of the operator: objects under their own names, the chart's alerts, the dashboard's panels."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cache import Unavailable
from lab.operator import OperatorProcess
from lab.processes import loopback_environment
from lab.servers import Prometheus
from lab.tools import helm, prometheus_is_built
from tests.chart.dashboard import Query, dashboard, queries
from tests.e2e.harness import CHART, SYSTEM, Tenant, until

SCRAPE_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Monitoring:
    """A Prometheus that scrapes the operator as the chart's ServiceMonitor says, with the rules of its PrometheusRule."""

    server: Prometheus
    alerts: frozenset[str]

    def get(self, path: str, **parameters: str) -> Any:
        """`data` of an answer of the HTTP API."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.server.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as response:
            return json.load(response)["data"]

    def query(self, expression: str) -> list[Mapping[str, Any]]:
        """The samples of an instant query."""
        found: list[Mapping[str, Any]] = self.get("query", query=expression)["result"]
        return found

    def rules(self) -> dict[str, Mapping[str, Any]]:
        """Every loaded rule by name, with its health and state."""
        return {rule["name"]: rule for group in self.get("rules")["groups"] for rule in group["rules"]}


def names_what_is_wrong(query: Query) -> bool:
    """A panel that is empty as long as all is well."""
    return query.panel == "Refused requests" or (query.panel in ("Not ready", "Drifted") and not query.expression.startswith("sum("))


def rendered(directory: Path) -> dict[str, Mapping[str, Any]]:
    """The chart's documents for the Prometheus Operator, by kind."""
    switches = ("metrics.serviceMonitor.enabled=true", "metrics.prometheusRule.enabled=true")
    command: Sequence[str | Path] = (helm(), "template", "sb", CHART, "--namespace", SYSTEM, "--set", ",".join(switches))
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**loopback_environment(), "HOME": str(directory)})
    assert done.returncode == 0, done.stderr
    return {document["kind"]: document for document in yaml.safe_load_all(done.stdout) if document}


@pytest.fixture(scope="module")
def monitoring(operator: OperatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    if not prometheus_is_built():
        raise Unavailable("prometheus", "it is not built yet: python -m lab fetch prometheus, 5 to 6 minutes, once")
    directory = tmp_path_factory.mktemp("prometheus")
    documents = rendered(directory)
    rules = documents["PrometheusRule"]["spec"]
    (directory / "rules.yaml").write_text(yaml.safe_dump(rules))
    [endpoint] = documents["ServiceMonitor"]["spec"]["endpoints"]
    # Discovery puts the Pod's own namespace on its target; `name` is what only relabelling could add.
    target = {"targets": [f"127.0.0.1:{operator.port}"], "labels": {"namespace": SYSTEM, "name": "pod"}}
    scrape = {"job_name": "operator", "metrics_path": endpoint["path"], "honor_labels": endpoint["honorLabels"], "static_configs": [target]}
    interval = f"{SCRAPE_SECONDS}s"
    configuration = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [str(directory / "rules.yaml")],
        "scrape_configs": [scrape],
    }
    names = frozenset(rule["alert"] for group in rules["groups"] for rule in group["rules"])
    with Prometheus(yaml.safe_dump(configuration), directory / "state") as server:
        yield Monitoring(server, names)


def test_an_object_is_found_under_its_own_kind_namespace_and_name(monitoring: Monitoring, tenant: Tenant, operator: OperatorProcess) -> None:
    labels = {"kind": "CdnDistribution", "namespace": tenant.namespace, "name": "site"}
    selector = ",".join(f'{name}="{value}"' for name, value in labels.items())
    expression = f"securebase_resource_ready{{{selector}}}"

    def values() -> list[str]:
        return [sample["value"][1] for sample in monitoring.query(expression)]

    tenant.apply(tenant.cdn())
    tenant.ready()
    until(lambda: values() == ["1"], "Prometheus to see the object ready", operator=operator)
    [sample] = monitoring.query(expression)
    assert sample["metric"] == {"__name__": "securebase_resource_ready", "job": "operator", "instance": f"127.0.0.1:{operator.port}", **labels}
    tenant.delete("site")
    tenant.gone("site")
    until(lambda: values() == [], "Prometheus to see the object gone", operator=operator)


def test_the_scrape_finds_nothing_to_complain_about(monitoring: Monitoring, operator: OperatorProcess) -> None:
    def scraped() -> Mapping[str, Any] | None:
        found = monitoring.get("targets")["activeTargets"]
        return found[0] if [target["health"] for target in found] not in ([], ["unknown"]) else None

    target = until(scraped, "the first scrape", operator=operator)
    assert target is not None
    assert (target["health"], target["lastError"]) == ("up", "")
    assert "exported_namespace" not in monitoring.get("labels")


def test_the_charts_alerts_are_loaded_and_evaluated(monitoring: Monitoring, operator: OperatorProcess) -> None:
    assert monitoring.rules().keys() == monitoring.alerts

    def evaluated() -> bool:
        return all(rule["health"] != "unknown" for rule in monitoring.rules().values())

    until(evaluated, "every rule to be evaluated", operator=operator)
    assert {name: rule.get("lastError", "") for name, rule in monitoring.rules().items() if rule["health"] != "ok"} == {}
    until(lambda: monitoring.rules()["SecureBaseOperatorAbsent"]["state"] == "inactive", "the operator to be seen", operator=operator)


def test_every_panel_of_the_dashboard_has_something_to_show(monitoring: Monitoring, tenant: Tenant, operator: OperatorProcess) -> None:
    tenant.apply(tenant.cdn())
    tenant.ready()
    # A rate needs two scrapes; Grafana takes four intervals.
    asked = [query for query in queries(dashboard(), rate_window=f"{4 * SCRAPE_SECONDS}s") if not names_what_is_wrong(query)]
    assert asked
    for query in asked:
        until(lambda query=query: monitoring.query(query.expression), str(query), operator=operator)  # type: ignore[misc]


def test_what_is_not_ready_or_has_drifted_is_named(monitoring: Monitoring, tenant: Tenant, operator: OperatorProcess) -> None:
    tables = [query for query in queries(dashboard()) if query.panel in ("Not ready", "Drifted") and names_what_is_wrong(query)]
    assert len(tables) == 3

    def named() -> set[tuple[str, str]]:
        found = {(query.panel, sample["metric"]["name"]) for query in tables for sample in monitoring.query(query.expression)}
        return {(panel, name) for panel, name in found if name in ("edited", "never-made")}

    tenant.apply(tenant.cdn("edited"))
    tenant.ready("edited")
    tenant.apply(tenant.cdn("edited", policy={"mode": "Observe"}), tenant.cdn("never-made", policy={"mode": "Observe"}))
    tenant.says("Synced", "False", "DriftObserved", "never-made")
    tenant.edit(tenant.id("edited"), lambda config: config.update(Comment="theirs"))
    until(lambda: named() == {("Not ready", "never-made"), ("Drifted", "edited")}, "the tables to name them", operator=operator)

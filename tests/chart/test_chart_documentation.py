"""What the pages say about the chart and its metrics: values with their defaults, alerts with their runbooks, every series."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from securebase.telemetry.alarm_series import AlarmSeries
from securebase.telemetry.cache_series import CacheSeries
from tests.chart.conftest import CHART, ROOT, Document, Render, the

INSTALL = (ROOT / "docs" / "install.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
DESCRIBED = ("caches", "priceBook", "metrics.prometheusRule")
"""Parts of the values whose every key stands in a table."""


def rules(render: Render, **values: Any) -> list[Document]:
    (group,) = the(render({"metrics": {"prometheusRule": {"enabled": True, **values}}}), "PrometheusRule")["spec"]["groups"]
    return list(group["rules"])


def anchors(page: str) -> set[str]:
    """Of a page's headings, as GitHub and GitLab make them."""
    return {re.sub(r"[^\w -]", "", heading).strip().replace(" ", "-").lower() for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE)}


def leaves(values: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{at}{key}.")
        else:
            yield f"{at}{key}", value


def test_values_are_told_with_the_defaults_that_they_have() -> None:
    parts = tuple(f"{part}." for part in DESCRIBED)
    there = {name: value for name, value in leaves(yaml.safe_load((CHART / "values.yaml").read_text())) if name.startswith(parts)}
    told = {name: yaml.safe_load(default) for name, default in re.findall(r"^\| `([\w.]+)` \| `([^`]*)` \|", INSTALL, re.MULTILINE)}
    assert told == there


def test_every_alert_says_what_it_is_and_leads_to_what_to_do(render: Render) -> None:
    for rule in rules(render, cloudWatchAlarms=True):
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}, rule["alert"]
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert (ROOT / page).read_text() == OPERATIONS
        assert anchor in anchors(OPERATIONS), rule["alert"]
        assert f"| `{rule['alert']}` |" in INSTALL


def test_runbooks_may_be_read_elsewhere(render: Render) -> None:
    (one, *_) = rules(render, runbooks="https://wiki.example.com/operator")
    assert one["annotations"]["runbook_url"] == "https://wiki.example.com/operator#securebaseoperatorabsent"


def test_critical_alarms_page_by_themselves_unless_asked_for(render: Render) -> None:
    assert {rule["alert"] for rule in rules(render, cloudWatchAlarms=True)} - {rule["alert"] for rule in rules(render)} == {"SecureBaseCloudWatchAlarm"}


def test_every_metric_of_caches_and_alarms_is_told() -> None:
    told = set(re.findall(r"^\| `(securebase_\w+)", OPERATIONS, re.MULTILINE))
    families = [*CacheSeries().describe(), *AlarmSeries().describe()]
    assert {f"{family.name}_total" if family.type == "counter" else family.name for family in families} == told - {"securebase_cost_monthly_usd"}


def test_links_inside_the_operations_page_lead_somewhere() -> None:
    assert set(re.findall(r"\]\(#([\w-]+)\)", OPERATIONS)) <= anchors(OPERATIONS)

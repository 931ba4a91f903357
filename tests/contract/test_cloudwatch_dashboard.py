"""Dashboards: drift names the widget, what CloudWatch warns of is told, limits are told before the call."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from securebase.core.driver import Depth, Observed
from securebase.core.errors import Terminal
from securebase.resources.cloudwatch.dashboard_model import Dashboard, Widget, body
from securebase.resources.cloudwatch.dashboards import DashboardDriver
from tests.contract.harness import Contract, Lab, check_contract, eventually, settled, write


def text(properties: dict[str, Any]) -> str:
    return json.dumps(properties, sort_keys=True, separators=(",", ":"))


def performance() -> Dashboard:
    latency = {
        "metrics": [["AWS/ApiGateway", "Latency", "ApiName", "orders", {"stat": "p95"}]],
        "region": "us-east-1",
        "title": "API latency",
        "view": "timeSeries",
    }
    return Dashboard(
        f"performance-{uuid4().hex[:10]}",
        (Widget("latency", "metric", 0, 0, 12, 6, text(latency)), Widget("about", "text", 12, 0, 12, 6, text({"markdown": "# Orders"}))),
    )


def test_lives_as_promised(lab: Lab) -> None:
    dashboard = performance()
    latency, about = dashboard.widgets
    changes = {
        "text": replace(dashboard, widgets=(latency, replace(about, properties=text({"markdown": "# Shop"})))),
        "place": replace(dashboard, widgets=(replace(latency, y=6), about)),
        "one less": replace(dashboard, widgets=(latency,)),
        "one more": replace(dashboard, widgets=(latency, about, Widget("more", "text", 0, 12, 24, 3, text({"markdown": "more"})))),
    }

    def drift(seen: Observed[Dashboard]) -> None:
        altered = replace(dashboard, widgets=(latency, replace(about, properties=text({"markdown": "somebody was here"}))))
        lab.raw("cloudwatch").put_dashboard(DashboardName=dashboard.name, DashboardBody=body(altered))

    chosen = dict(list(changes.items())[:1]) if lab.stale else changes
    check_contract(lab, Contract(DashboardDriver, dashboard, chosen, drift, "widgets[about].properties"))


def test_a_widget_that_somebody_added_is_named_by_its_place(lab: Lab) -> None:
    driver = DashboardDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, performance())
    driver.create(target, "t")
    added = replace(target.want(), widgets=(*target.want().widgets, Widget("theirs", "text", 0, 30, 6, 6, text({"markdown": "hi"}))))
    lab.raw("cloudwatch").put_dashboard(DashboardName=added.name, DashboardBody=body(added))
    seen = driver._read(added.name)
    assert seen is not None
    assert [widget.id for widget in driver._observed(target, added.name, seen).value.widgets] == ["latency", "about", "at-0-30"]


def test_limits_are_told_before_the_call(lab: Lab) -> None:
    driver = DashboardDriver(lab.scope("us-east-1"), lab.clock)
    metrics = [["AWS/Lambda", "Errors", "FunctionName", f"f{number}"] for number in range(501)]
    wide = Dashboard("wide", (Widget("all", "metric", 0, 0, 24, 6, text({"metrics": metrics, "region": "us-east-1"})),))
    with pytest.raises(Terminal, match="more than 500 metrics in all"):
        driver.create(lab.target(driver.type, wide), "t")


def test_what_cloudwatch_warns_of_is_told_as_long_as_that_body_stands(lab: Lab) -> None:
    driver = DashboardDriver(lab.scope("us-east-1"), lab.clock)
    latency, _ = performance().widgets
    odd = Widget("about", "text", 12, 0, 12, 6, text({"markdown": "# Orders", "colour": "red"}))
    target = lab.target(driver.type, replace(performance(), widgets=(latency, odd)))
    made = driver.create(target, "t")
    assert "colour" in made.message and made.message.startswith("CloudWatch warns: /widgets/1")
    for depth in (Depth.FRESH, Depth.SWEEP, Depth.SWEEP):
        lab.clock.advance(61.0)
        seen = driver.observe([target], depth)[target.key]
        assert isinstance(seen, Observed) and seen.message == made.message and not seen.silent, depth
        restarted = DashboardDriver(lab.scope("us-east-1"), lab.clock).observe([target], depth)[target.key]
        assert isinstance(restarted, Observed) and restarted.silent, "who did not put it does not know what there was to tell"
    plain = replace(target.want(), widgets=(latency,))
    lab.raw("cloudwatch").put_dashboard(DashboardName=plain.name, DashboardBody=body(plain))
    seen = driver.observe([target], Depth.FRESH)[target.key]
    assert isinstance(seen, Observed) and seen.message == "", "another body was never warned of"
    assert driver.update(replace(target, desired=plain), seen, ()).message == ""


def test_what_others_set_beside_the_widgets_stays(lab: Lab) -> None:
    driver = DashboardDriver(lab.scope("us-east-1"), lab.clock)
    dashboard = performance()
    target = lab.target(driver.type, dashboard)
    driver.create(target, "t")
    variable = {"type": "pattern", "pattern": "orders", "inputType": "input", "id": "api", "label": "API", "defaultValue": "orders", "visible": True}
    theirs = {"start": "2026-11-01T00:00:00Z", "end": "2026-11-02T00:00:00Z", "periodOverride": "inherit", "variables": [variable]}
    lab.raw("cloudwatch").put_dashboard(DashboardName=dashboard.name, DashboardBody=json.dumps({**json.loads(body(dashboard)), **theirs}))

    def whole() -> dict[str, Any]:
        told: dict[str, Any] = json.loads(lab.raw("cloudwatch").get_dashboard(DashboardName=dashboard.name)["DashboardBody"])
        return told

    eventually(whole, lambda told: told.get("variables") == [variable], "their settings")
    settled(driver, target)
    fewer = replace(dashboard, widgets=dashboard.widgets[:1])
    write(driver, replace(target, desired=fewer))
    found = eventually(whole, lambda told: len(told["widgets"]) == 1, "our change")
    assert {name: found.get(name) for name in theirs} == theirs

"""What an alarm set costs a month: alarms by metric and resolution, composites, dashboards, custom metrics."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from securebase.core.kind import Facts
from securebase.cost.data import shipped_book
from securebase.cost.estimate import Estimate, estimate_graph
from securebase.cost.foresight import foreseen
from securebase.kinds.alarmset import ALARMS
from tests.unit.kinds.any_alarmset import composed, context, facts_of, small

BOOK = shipped_book()
FUNCTION = {"id": "f", "type": "Lambda", "service": "shop", "name": "f"}
API = {"id": "api", "type": "ApiGatewayRest", "service": "shop", "name": "api", "stage": "prod"}


def cost_of(*targets: dict[str, Any], **more: Any) -> Estimate:
    return estimate_graph(composed(small(*targets, **more), region="us-east-1"), "us-east-1", BOOK)


def of_items(estimate: Estimate) -> dict[str, str]:
    sums: dict[str, Decimal] = {}
    for line in estimate.lines:
        name = f"{line.price.item.removeprefix('cloudwatch/')} {line.price.variant}"
        sums[name] = sums.get(name, Decimal(0)) + line.usd
    return {name: str(usd.quantize(Decimal("0.01"))) for name, usd in sums.items()}


def test_a_set_as_reviewed() -> None:
    found = cost_of(FUNCTION, API, maintenance={"windows": ["sun:03:00-sun:05:00"]})
    # The function: errors, throttles, concurrency; the API: three on one metric, two on two; the maintenance alarm on one.
    assert of_items(found) == {"alarm standard": "1.10", "composite-alarm standard": "1.00", "dashboard standard": "6.00", "custom-metric standard": "0.30"}
    assert found.monthly_usd == Decimal("8.40") and found.missing == ()
    assert found.as_status()["monthlyUsd"] == "8.40"


@pytest.mark.parametrize(
    ("alarm", "usd"),
    [
        (
            {"id": "own", "metric": {"namespace": "Shop", "name": "Fast"}, "threshold": 1, "periodSeconds": 10},
            {"alarm standard": "0.30", "alarm high-resolution": "0.30"},
        ),
        ({"id": "errors", "anomaly": {"bandwidth": 2}}, {"alarm standard": "0.50"}),
        ({"id": "errors", "enabled": False}, {"alarm standard": "0.20"}),
        (
            {"id": "own", "expression": "a + b", "metrics": [{"id": "a", "name": "Errors"}, {"id": "b", "name": "Throttles"}], "threshold": 1},
            {"alarm standard": "0.50"},
        ),
    ],
)
def test_resolution_bands_and_maths_count_by_the_metric(alarm: dict[str, Any], usd: dict[str, str]) -> None:
    plain = {"services": [{"name": "shop", "composite": False}], "dashboards": {"enabled": False}, "coldStarts": False}
    assert of_items(cost_of({**FUNCTION, "alarms": [alarm]}, **plain)) == usd


def test_a_filter_with_dimensions_costs_more_than_is_known() -> None:
    metric = {"name": "Slow", "dimensions": {"endpoint": "$.route"}}
    found = cost_of(FUNCTION, metricFilters=[{"id": "slow", "logGroup": "/shop", "pattern": "SLOW", "metric": metric}])
    assert [one.resource for one in found.missing] == ["filter-slow"] and "combination" in found.missing[0].what
    assert of_items(found)["custom-metric standard"] == "0.60"


def test_log_groups_are_billed_by_use_and_queries_not_at_all() -> None:
    found = cost_of(FUNCTION, logGroups=[{"name": "/shop", "retentionDays": 30}], queries=[{"id": "q", "query": "limit 1", "logGroups": ["/shop"]}])
    assert {use.price.variant for use in found.uses} == {"store"} and found.missing == ()


def test_named_targets_are_foreseen() -> None:
    spec = small(FUNCTION, API)
    graph = ALARMS.compose(spec, facts_of({}), context(region="us-east-1"))
    assert not graph.complete
    nodes = foreseen(graph, ALARMS.needs(spec, "web").nodes)
    assert ALARMS.compose(spec, facts_of({"nodes": nodes}), context(region="us-east-1")).nodes.keys() == composed(spec, region="us-east-1").nodes.keys()


def test_of_a_database_that_nobody_has_seen_not_all_is_foreseen() -> None:
    spec = small({"id": "db", "type": "Aurora", "name": "main"})
    nodes = foreseen(ALARMS.compose(spec, facts_of({}), context()), ALARMS.needs(spec, "web").nodes)
    assert not ALARMS.compose(spec, Facts(nodes=nodes), context()).complete

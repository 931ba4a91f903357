"""What graphs show beside their lines: thresholds of alarms that others make, and the bands in which alarms expect a metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from securebase.api.cdn import CdnDistributionSpec
from securebase.core.graph import Graph
from securebase.kinds.cache import CACHE
from securebase.kinds.cdn import CDN
from securebase.resources.cloudwatch.dashboard_model import METRICS_A_WIDGET
from tests.unit.kinds import any_cache
from tests.unit.kinds.any_alarmset import composed, found_by_tags, small, widget

SITE = {"id": "site", "type": "CloudFront", "service": "web", "ref": {"kind": "CdnDistribution", "name": "site"}}
CACHE_OF = {"id": "cache", "type": "ElastiCache", "service": "data", "ref": {"kind": "CacheCluster", "name": "cache"}}
GROUP = {"id": "g", "arn": "arn:aws:elasticache:eu-central-1:123456789012:replicationgroup:g", "members": "g-001:primary,g-002:replica"}


def site_spec(**more: Any) -> CdnDistributionSpec:
    """The least distribution, and whatever else is given."""
    origins = [{"id": "web", "custom": {"domainName": "origin.example.com"}}]
    return CdnDistributionSpec.model_validate({"origins": origins, "behaviors": [{"path": "*", "origin": "web", "preset": "html"}], **more})


def with_objects(**outputs: Mapping[str, str]) -> Graph:
    """A set of both references, with what the objects tell."""
    objects = {"CdnDistribution/site": outputs.get("site", {}), "CacheCluster/cache": outputs.get("cache", {})}
    return composed(small(SITE, CACHE_OF), objects=objects)


def thresholds(graph: Graph, id: str) -> dict[str, float]:
    lines = widget(graph, id).get("annotations", {}).get("horizontal", [])
    return {line["label"]: line["value"] for line in lines}


def test_thresholds_of_a_referenced_cache_are_drawn_on_what_they_are_of() -> None:
    spec = any_cache.small(alarms={"databaseMemory": {"thresholdPercent": 70}, "cacheHitRate": {"enabled": False}})
    graph = with_objects(cache=CACHE.outputs(spec, {"group": GROUP}))
    assert thresholds(graph, "cache") == {"DatabaseMemoryUsagePercentage (warning)": 70, "DatabaseMemoryUsagePercentage (critical)": 90}, (
        "evictions are counted on the other axis, and nothing is drawn of the engine's CPU"
    )


def test_thresholds_of_a_referenced_distribution_are_drawn() -> None:
    spec = site_spec(alarms={"cacheHitRate": {"thresholdPercent": 75}})
    graph = with_objects(site=CDN.outputs(spec, {"distribution": {"id": "E1"}}))
    assert thresholds(graph, "cdn") == {"5xxErrorRate (critical)": 5, "CacheHitRate (warning)": 75}


@pytest.mark.parametrize("told", ["", "CacheHitRate", "CacheHitRate=often:warning", "CacheHitRate=80:loud"])
def test_what_another_version_told_of_thresholds_is_passed_over(told: str) -> None:
    assert thresholds(with_objects(site={"id": "E1", "region": "us-east-1", "alarmThresholds": told}), "cdn") == {}


@pytest.mark.parametrize(("kind", "spec"), [(CDN, site_spec(alarms={"enabled": False})), (CACHE, any_cache.small(alarms={"enabled": False}))])
def test_without_alarms_there_are_no_thresholds(kind: Any, spec: Any) -> None:
    assert not kind.outputs(spec, {"group": GROUP, "distribution": {"id": "E1"}}).get("alarmThresholds")


def banded(**alarm: Any) -> dict[str, Any]:
    metric = {"namespace": "Shop", "name": "Sales", "dimensions": {"plan": "team"}, "unit": "Count"}
    return {"id": "sales", "type": "Custom", "metric": metric, "alarms": [{"id": "unusual", "anomaly": {"bandwidth": 2.5}, **alarm}]}


def test_a_band_follows_the_line_it_is_of() -> None:
    [line, band] = widget(composed(small(banded(statistic="Sum", periodSeconds=300))), "business")["metrics"]
    assert line == ["Shop", "Sales", "plan", "team", {"id": "m0", "label": "sales", "stat": "Sum"}]
    assert band == [{"expression": "ANOMALY_DETECTION_BAND(m0, 2.5)", "id": "band0", "label": "unusual (warning): expected"}]


@pytest.mark.parametrize(
    "alarm",
    [{"statistic": "Average"}, {"statistic": "Sum", "periodSeconds": 60}, {"statistic": "Sum", "periodSeconds": 300, "metric": {"name": "Other"}}],
    ids=["another statistic", "a sum of another period", "another metric"],
)
def test_a_band_of_something_else_than_the_line_is_not_drawn(alarm: dict[str, Any]) -> None:
    [row] = widget(composed(small(banded(**alarm))), "business")["metrics"]
    assert "id" not in row[-1]


def test_lines_that_fill_the_graph_have_no_bands() -> None:
    functions = {"id": "f", "type": "Lambda", "selector": {"tags": {"a": "b"}}, "alarms": [{"id": "errors", "anomaly": {"bandwidth": 2}}]}
    names = [f"f{number:03}" for number in range(METRICS_A_WIDGET // 2)]
    few, many = (composed(small(functions), {"search-f": found_by_tags(*some)}) for some in (names[:10], names))
    assert sum("expression" in row[-1] for row in widget(few, "lambda-errors")["metrics"]) == 10
    assert not any("expression" in row[-1] for row in widget(many, "lambda-errors")["metrics"])

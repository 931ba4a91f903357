"""The series that exist, and that they go with their objects."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from securebase.core.fields import Impact
from securebase.telemetry.metrics import Metrics

SHOP = ("CdnDistribution", "web", "shop")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry(), "1.2.3")


def series(metrics: Metrics) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def value(metrics: Metrics, series: str, /, **labels: str) -> float:
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            if sample.name == series and sample.labels == labels:
                return sample.value
    raise AssertionError(f"no {series}{labels}")


def exercise(metrics: Metrics) -> None:
    metrics.reconciled("CdnDistribution", "ready", 0.2)
    metrics.queue_depth(3)
    metrics.swept("111122223333", "us-east-1", 1_700_000_000)
    metrics.aws_call("cloudfront", "GetDistribution", "OK", 0.1)
    metrics.aws_throttle_wait("cloudfront", "GetDistribution", 0)
    metrics.ready(*SHOP, True)
    metrics.drift(*SHOP, 2, 1_700_000_000)
    metrics.drift_detected(*SHOP, 2)
    metrics.drift_corrected(*SHOP, 1)
    metrics.pending(*SHOP, {Impact.REPLACE: 1})
    metrics.cost(*SHOP, 54.75)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("securebase_reconcile_total", {"kind", "outcome"}),
        ("securebase_reconcile_duration_seconds_count", {"kind"}),
        ("securebase_queue_depth", set()),
        ("securebase_last_sweep_timestamp_seconds", {"account", "region"}),
        ("securebase_aws_calls_total", {"service", "operation", "code"}),
        ("securebase_aws_call_duration_seconds_count", {"service", "operation"}),
        ("securebase_aws_throttle_wait_seconds_count", {"service", "operation"}),
        ("securebase_build_info", {"version"}),
        ("securebase_resource_ready", {"kind", "namespace", "name"}),
        ("securebase_drifted_fields", {"kind", "namespace", "name"}),
        ("securebase_drift_since_timestamp_seconds", {"kind", "namespace", "name"}),
        ("securebase_drift_detected_total", {"kind", "namespace", "name"}),
        ("securebase_drift_corrected_total", {"kind", "namespace", "name"}),
        ("securebase_plan_pending_changes", {"kind", "namespace", "name", "impact"}),
        ("securebase_cost_monthly_usd", {"kind", "namespace", "name"}),
    ],
)
def test_names_and_labels(metrics: Metrics, name: str, labels: set[str]) -> None:
    exercise(metrics)
    assert set(series(metrics)[name][0]) == labels


def test_series_of_a_deleted_object_disappear_and_others_stay(metrics: Metrics) -> None:
    exercise(metrics)
    metrics.ready("CdnDistribution", "web", "docs", False)
    metrics.forget(*SHOP)
    left = [labels for found in series(metrics).values() for labels in found if "name" in labels]
    assert {labels["name"] for labels in left} == {"docs"}
    metrics.forget(*SHOP)


def test_the_time_of_a_drift_goes_with_the_drift(metrics: Metrics) -> None:
    metrics.drift(*SHOP, 1, 1_700_000_000)
    metrics.drift(*SHOP, 0, 0)
    assert "securebase_drift_since_timestamp_seconds" not in series(metrics)
    assert value(metrics, "securebase_drifted_fields", kind=SHOP[0], namespace=SHOP[1], name=SHOP[2]) == 0


def test_an_unknown_cost_is_no_series(metrics: Metrics) -> None:
    metrics.cost(*SHOP, 54.75)
    assert value(metrics, "securebase_cost_monthly_usd", kind=SHOP[0], namespace=SHOP[1], name=SHOP[2]) == 54.75
    metrics.cost(*SHOP, None)
    assert "securebase_cost_monthly_usd" not in series(metrics)
    metrics.cost(*SHOP, None)


def test_counters_exist_before_they_count(metrics: Metrics) -> None:
    metrics.ready(*SHOP, True)
    assert value(metrics, "securebase_drift_detected_total", kind=SHOP[0], namespace=SHOP[1], name=SHOP[2]) == 0


def test_impacts_that_are_not_named_have_nothing_pending(metrics: Metrics) -> None:
    metrics.pending(*SHOP, {Impact.REPLACE: 1, Impact.ONLINE: 4})
    metrics.pending(*SHOP, {Impact.REPLACE: 1})
    labels = dict(zip(("kind", "namespace", "name"), SHOP, strict=True))
    assert value(metrics, "securebase_plan_pending_changes", **labels, impact="ONLINE") == 0
    assert value(metrics, "securebase_plan_pending_changes", **labels, impact="REPLACE") == 1


def test_an_account_that_is_gone_is_not_stale(metrics: Metrics) -> None:
    metrics.swept("1", "r", 1)
    metrics.forget_sweep("1", "r")
    assert "securebase_last_sweep_timestamp_seconds" not in series(metrics)


def test_histograms_reach_past_the_longest_wait(metrics: Metrics) -> None:
    exercise(metrics)
    bounds = [float(labels["le"]) for labels in series(metrics)["securebase_reconcile_duration_seconds_bucket"]]
    assert sorted(bounds)[-2] >= 600


def test_two_registries_do_not_share_series() -> None:
    first, second = Metrics(CollectorRegistry(), "1"), Metrics(CollectorRegistry(), "1")
    first.ready(*SHOP, True)
    assert "securebase_resource_ready" not in series(second)

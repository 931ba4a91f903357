"""Alarms on a band that CloudWatch expects: over one metric, and over an expression. The band's model comes with the alarm."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from securebase.core.driver import Observed
from securebase.resources.cloudwatch.driver import MetricAlarmDriver, alarm_input
from securebase.resources.cloudwatch.model import Alarm, MetricQuery
from tests.contract.harness import Contract, Lab, check_contract

LATENCY = MetricQuery("m1", namespace="AWS/ApiGateway", metric_name="Latency", dimensions={"ApiName": "orders"}, stat="p95", period=60, returns_data=True)


def expected(width: float, over: str = "m1") -> MetricQuery:
    return MetricQuery("band", f"ANOMALY_DETECTION_BAND({over}, {width:g})", label="expected", returns_data=True)


def unusual() -> Alarm:
    return Alarm(
        name=f"unusual-{uuid4().hex[:10]}",
        tags={"team": "web"},
        comparison="GreaterThanUpperThreshold",
        evaluation_periods=5,
        datapoints_to_alarm=3,
        treat_missing_data="notBreaching",
        metrics=(LATENCY, expected(2)),
        threshold_metric_id="band",
    )


def test_a_band_lives_as_promised(lab: Lab) -> None:
    alarm = unusual()
    ratio = (replace(LATENCY, returns_data=False), MetricQuery("e1", "m1 * 2", returns_data=True), expected(2, "e1"))
    changes = {"width": replace(alarm, metrics=(LATENCY, expected(4))), "lower": replace(alarm, comparison="LessThanLowerThreshold")}
    if not lab.stale:
        changes |= {
            "over an expression": replace(alarm, metrics=ratio),
            "threshold": replace(alarm, metrics=(LATENCY,), threshold_metric_id="", threshold=100.0, comparison="GreaterThanThreshold"),
        }

    def drift(seen: Observed[Alarm]) -> None:
        lab.raw("cloudwatch").put_metric_alarm(**alarm_input(replace(alarm, metrics=(LATENCY, expected(9))), {}))

    check_contract(lab, Contract(MetricAlarmDriver, alarm, changes, drift, "metrics[band].expression"))


def test_the_model_of_a_band_needs_no_call_of_its_own(lab: Lab) -> None:
    driver = MetricAlarmDriver(lab.scope("us-east-1"), lab.clock)
    driver.create(lab.target(driver.type, unusual()), "t")
    detectors = lab.raw("cloudwatch").describe_anomaly_detectors(MetricName="Latency")["AnomalyDetectors"]
    assert [(one["MetricName"], one["Stat"]) for one in detectors] == [("Latency", "p95")]

"""The series of alarms: one each, counts by state, gone with their object."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from securebase.telemetry.alarm_series import AlarmReading, AlarmsReading
from securebase.telemetry.metrics import Metrics

PLATFORM = ("PerfAlarmSet", "web", "platform")


def reading(*states: str) -> AlarmsReading:
    return AlarmsReading(tuple(AlarmReading(f"a{at}", "critical", "api", "us-east-1", state) for at, state in enumerate(states)), {"flapping": 1, "no_data": 0})


def series(metrics: Metrics, name: str) -> dict[str, float]:
    lines = [line for line in metrics.exposition().decode().splitlines() if line.startswith(f"{name}{{")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_one_series_an_alarm_whose_value_is_its_state() -> None:
    metrics = Metrics(CollectorRegistry(), "0")
    assert series(metrics, "securebase_alarm_state") == {}
    metrics.alarms(*PLATFORM, reading("OK", "ALARM", "INSUFFICIENT_DATA"))
    found = series(metrics, "securebase_alarm_state")
    assert list(found.values()) == [0.0, 1.0, -1.0]
    assert all(f'{label}="' in next(iter(found)) for label in ("kind", "namespace", "name", "alarm", "severity", "service", "region"))
    assert list(series(metrics, "securebase_alarms").values()) == [1.0, 1.0, 1.0]
    assert list(series(metrics, "securebase_alarms_troubled").values()) == [1.0, 0.0]


def test_series_go_with_their_alarm_and_with_their_object() -> None:
    metrics = Metrics(CollectorRegistry(), "0")
    metrics.alarms(*PLATFORM, reading("OK", "ALARM"))
    metrics.alarms(*PLATFORM, reading("OK"))
    assert list(series(metrics, "securebase_alarm_state").values()) == [0.0]
    metrics.forget(*PLATFORM)
    assert b"securebase_alarm" not in metrics.exposition()


def test_three_thousand_alarms_are_three_thousand_series() -> None:
    metrics = Metrics(CollectorRegistry(), "0")
    metrics.alarms(*PLATFORM, reading(*["OK"] * 3_000))
    assert len(series(metrics, "securebase_alarm_state")) == 3_000
    assert len(metrics.exposition()) < 700_000

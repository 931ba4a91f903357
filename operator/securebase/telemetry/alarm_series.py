"""The series of CloudWatch's alarms: one an alarm, whose value is its state, and counts by state for each object.

A set of series by state, one of them 1, would be three times as many (9,000 for an object with 3,000 alarms) and tell no more than `== 1` does.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_OBJECT: Final = ("kind", "namespace", "name")
_ALARM: Final = (*_OBJECT, "alarm", "severity", "service", "region")
_VALUES: Final = {"OK": 0.0, "ALARM": 1.0, "INSUFFICIENT_DATA": -1.0}


@dataclass(frozen=True, slots=True)
class AlarmReading:
    """One alarm as last read. `state` as CloudWatch names it; one that nobody knows is no series."""

    alarm: str
    severity: str
    service: str
    region: str
    state: str


@dataclass(frozen=True, slots=True)
class AlarmsReading:
    """The alarms of one object. `troubled`: by trouble (flapping, failed_actions, no_data, evaluation_errors), how many."""

    alarms: tuple[AlarmReading, ...] = ()
    troubled: Mapping[str, int] = field(default_factory=dict)


class AlarmSeries(Collector):
    """The last reading of each object's alarms. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: dict[tuple[str, str, str], AlarmsReading] = {}

    def put(self, labels: tuple[str, str, str], reading: AlarmsReading) -> None:
        """The reading takes the place of the one before: series of alarms that are not in it are gone."""
        with self._lock:
            self._readings[labels] = reading

    def forget(self, labels: tuple[str, str, str]) -> None:
        """The object is gone, or nobody looks any more."""
        with self._lock:
            self._readings.pop(labels, None)

    def describe(self) -> Iterable[Metric]:
        """Names and kinds, without series."""
        return _families()

    def collect(self) -> Iterable[Metric]:
        """What is known now."""
        with self._lock:
            readings = sorted(self._readings.items(), key=lambda item: item[0])
        states, counts, troubled = _families()
        for labels, reading in readings:
            for one in reading.alarms:
                if one.state in _VALUES:
                    states.add_metric((*labels, one.alarm, one.severity, one.service, one.region), _VALUES[one.state])
            by_state = Counter(one.state for one in reading.alarms)
            for state in _VALUES:
                counts.add_metric((*labels, state), float(by_state[state]))
            for trouble, number in sorted(reading.troubled.items()):
                troubled.add_metric((*labels, trouble), float(number))
        return (states, counts, troubled) if readings else ()


def _families() -> tuple[GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
    text = "Alarms that need a look themselves: flapping, failed_actions (a receiver was not reached), no_data (for a day), evaluation_errors"
    return (
        GaugeMetricFamily("securebase_alarm_state", "State of an alarm in CloudWatch: 0 OK, 1 ALARM, -1 INSUFFICIENT_DATA", labels=_ALARM),
        GaugeMetricFamily("securebase_alarms", "Alarms in CloudWatch by their state", labels=(*_OBJECT, "state")),
        GaugeMetricFamily("securebase_alarms_troubled", text, labels=(*_OBJECT, "trouble")),
    )

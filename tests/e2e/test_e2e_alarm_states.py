"""Alarm states end to end: what fires in CloudWatch shows in status, Events and series, and a status at rest is not written."""

from __future__ import annotations

from typing import Any

from tests.e2e.test_e2e_alarmset import AlarmSet, alarm_set

__all__ = ["alarm_set"]


def test_a_critical_alarm_that_fires_is_told_and_so_is_its_end(alarm_set: AlarmSet) -> None:
    tenant = alarm_set.tenant
    alarm_set.function("orders")
    alarm_set.made(targets=[{"id": "orders", "type": "Lambda", "name": "orders", "service": "shop"}], dashboards={"enabled": False})

    def status() -> dict[str, Any]:
        found: dict[str, Any] = tenant.get(alarm_set.name)["status"]
        return found

    total = len(alarm_set.alarms()) + len(alarm_set.alarms("CompositeAlarm"))
    alarm_set.until(lambda: status().get("alarms", {}).get("total") == total, "every alarm to be counted")
    [errors] = [name for name, alarm in alarm_set.alarms().items() if alarm.get("MetricName") == "Errors"]
    [composite] = [name for name, alarm in alarm_set.alarms("CompositeAlarm").items() if errors in alarm["AlarmRule"]]
    tenant.endpoint.control.alarm_state(tenant.account, "us-east-1", errors, "ALARM")
    alarm_set.until(lambda: status().get("firing") == sorted([errors, composite]), "what fires to be named")
    alarm_set.until(lambda: tenant.events(alarm_set.name, "AlarmFiring"), "the Event")
    assert tenant.operator is not None
    labels = {"namespace": tenant.namespace, "name": alarm_set.name, "alarm": errors}
    assert tenant.operator.sample("securebase_alarm_state", severity="critical", service="shop", region="us-east-1", **labels) == 1.0
    tenant.endpoint.control.alarm_state(tenant.account, "us-east-1", errors, "OK")
    alarm_set.until(lambda: "firing" not in status(), "its end to be told")
    alarm_set.until(lambda: tenant.events(alarm_set.name, "AlarmEnded"), "the other Event")
    assert tenant.operator.sample("securebase_alarm_state", **labels) == 0.0

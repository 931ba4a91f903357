"""What an alarm set does when something it watches goes, cannot be looked up, or was never there: nobody is held up, and nobody stops being paged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.harness import Tenant
from tests.e2e.test_e2e_alarmset import NONE, AlarmSet

LOST = {"id": "lost", "type": "DynamoDB", "name": "sessions"}
PAGED = [{"severity": "critical", "createTopic": {"emails": ["ops@example.com"]}}]


@pytest.fixture
def alarm_set(tenant: Tenant) -> Iterator[AlarmSet]:
    yield AlarmSet(replace(tenant, plural="perfalarmsets"))


def test_an_object_that_is_referred_to_can_be_deleted(alarm_set: AlarmSet) -> None:
    cdn = replace(alarm_set.tenant, plural="cdndistributions")
    cdn.apply(cdn.cdn(alarms={}))
    cdn.ready("site")
    alarm_set.function("orders")
    site = {"id": "site", "type": "CloudFront", "ref": {"kind": "CdnDistribution", "name": "site"}, "service": "web"}
    alarm_set.made(targets=[site, _function("orders")], notifications=PAGED)
    alarm_set.until(lambda: any("site" in alarm["AlarmRule"] for alarm in alarm_set.alarms("CompositeAlarm").values()), "the distribution's alarms to page")
    cdn.delete("site")
    cdn.gone("site")
    alarm_set.until(lambda: not any("site" in alarm["AlarmRule"] for alarm in alarm_set.alarms("CompositeAlarm").values()), "no rule to name what is gone")


def test_a_target_that_is_not_there_does_not_keep_what_is_no_longer_wanted(alarm_set: AlarmSet) -> None:
    for name in ("one", "two"):
        alarm_set.function(name)
    alarm_set.apply(targets=[_function("one"), _function("two"), LOST], dashboards={"enabled": False})
    alarm_set.until(lambda: alarm_set.functions_watched() == {"one", "two"}, "both functions to be watched")
    alarm_set.apply(targets=[_function("one"), LOST], dashboards={"enabled": False})
    alarm_set.until(lambda: alarm_set.functions_watched() == {"one"}, "what was taken out of the spec to be gone")


def test_a_lookup_that_fails_takes_nothing_out_of_what_pages(alarm_set: AlarmSet) -> None:
    tenant = alarm_set.tenant
    alarm_set.function("orders")
    tenant.aws("sqs").create_queue(QueueName="jobs")

    def spec(seconds: int) -> dict[str, Any]:
        queue = {"id": "q", "type": "Sqs", "name": "jobs", "alarms": [{"id": "oldest-message", "severity": "critical", "threshold": seconds}]}
        return {"targets": [_function("orders"), queue], "notifications": PAGED}

    alarm_set.made(**spec(900))
    before = {name: alarm["AlarmRule"] for name, alarm in alarm_set.alarms("CompositeAlarm").items()}
    assert any("orders" in rule and "oldest-message" in rule for rule in before.values())
    tenant.endpoint.control.fail("lambda", "ListFunctions", "TooManyRequestsException", 429, account=tenant.account, message="Rate exceeded")
    alarm_set.apply(**spec(901))
    alarm_set.until(lambda: any(alarm.get("Threshold") == 901 for alarm in alarm_set.alarms().values()), "the edit to arrive")
    assert {name: alarm["AlarmRule"] for name, alarm in alarm_set.alarms("CompositeAlarm").items()} == before


def _function(name: str) -> dict[str, Any]:
    return {"id": name, "type": "Lambda", "name": name, "alarms": NONE}

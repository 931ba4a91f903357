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


@pytest.mark.parametrize("off", [{"enabled": False}, {"errorRate5xx": {"enabled": False}}], ids=["all of them", "the critical one"])
def test_alarms_of_an_object_that_is_referred_to_can_be_switched_off(alarm_set: AlarmSet, off: dict[str, Any]) -> None:
    cdn = replace(alarm_set.tenant, plural="cdndistributions")
    cdn.apply(cdn.cdn(alarms={}))
    cdn.ready("site")
    alarm_set.function("orders")
    site = {"id": "site", "type": "CloudFront", "ref": {"kind": "CdnDistribution", "name": "site"}, "service": "web"}
    alarm_set.made(targets=[site, _function("orders")], notifications=PAGED)

    def named(alarm: str) -> bool:
        return any(f'"{alarm}"' in one["AlarmRule"] for one in alarm_set.alarms("CompositeAlarm").values())

    [critical] = [name for name, alarm in alarm_set.alarms().items() if alarm.get("MetricName") == "5xxErrorRate"]
    alarm_set.until(lambda: named(critical), "the distribution's critical alarm to page")
    every = set(cdn.get("site")["status"]["outputs"]["alarmNames"].split(","))
    gone = every if off == {"enabled": False} else {critical}
    cdn.apply(cdn.cdn(alarms=off))
    alarm_set.until(lambda: not any(map(named, gone)), "the rules to let go")
    alarm_set.until(lambda: not gone & alarm_set.alarms().keys(), "the alarms to vanish")
    outputs = cdn.ready("site")["status"]["outputs"]
    assert set(filter(None, outputs.get("alarmNames", "").split(","))) == every - gone and "criticalAlarmNames" not in outputs
    assert all(map(named, every - gone)), "those that are left still page"
    alarm_set.ready()


def test_an_object_whose_alarms_page_beside_the_composite_is_named(alarm_set: AlarmSet) -> None:
    tenant = alarm_set.tenant
    cdn = replace(tenant, plural="cdndistributions")
    topic = tenant.aws("sns").create_topic(Name="ops")["TopicArn"]
    cdn.apply(cdn.cdn(alarms={"topicArn": topic}))
    cdn.ready("site")
    site = {"id": "site", "type": "CloudFront", "ref": {"kind": "CdnDistribution", "name": "site"}, "service": "web"}
    alarm_set.made(targets=[site], notifications=PAGED)

    def told() -> list[str] | None:
        found: list[str] | None = tenant.get(alarm_set.name)["status"].get("pagingBeside")
        return found

    alarm_set.until(lambda: told() == ["CdnDistribution site"], "who pages beside the composite to be named")
    cdn.apply(cdn.cdn(alarms={}))
    alarm_set.until(lambda: told() is None, "nobody to page beside it")


def test_a_target_that_is_not_there_does_not_keep_what_is_no_longer_wanted(alarm_set: AlarmSet) -> None:
    for name in ("one", "two"):
        alarm_set.function(name)
    alarm_set.apply(targets=[_function("one"), _function("two"), LOST], dashboards={"enabled": False})
    alarm_set.until(lambda: alarm_set.functions_watched() == {"one", "two"}, "both functions to be watched")
    alarm_set.apply(targets=[_function("one"), LOST], dashboards={"enabled": False})
    alarm_set.until(lambda: alarm_set.functions_watched() == {"one"}, "what was taken out of the spec to be gone")


def test_a_lookup_that_fails_takes_nothing_out_of_what_pages_and_what_is_new_pages(alarm_set: AlarmSet) -> None:
    tenant = alarm_set.tenant
    alarm_set.function("orders")
    for name in ("jobs", "mails"):
        tenant.aws("sqs").create_queue(QueueName=name)

    def spec(*queues: str) -> dict[str, Any]:
        changed = [{"id": "oldest-message", "severity": "critical"}]
        targets = [{"id": name, "type": "Sqs", "name": name, "alarms": changed} for name in queues]
        return {"targets": [_function("orders"), *targets], "notifications": PAGED}

    def paging() -> set[str]:
        """Names in the rules of composites that tell somebody."""
        told = [alarm["AlarmRule"] for alarm in alarm_set.alarms("CompositeAlarm").values() if alarm["AlarmActions"]]
        return {name for rule in told for name in rule.split('"')[1::2]}

    alarm_set.made(**spec("jobs"))
    before = paging()
    assert any("orders" in name for name in before) and any("jobs_oldest-message" in name for name in before)
    tenant.endpoint.control.fail("lambda", "ListFunctions", "TooManyRequestsException", 429, account=tenant.account, message="Rate exceeded")
    alarm_set.apply(**spec("jobs", "mails"))
    alarm_set.until(lambda: any("mails_oldest-message" in name for name in paging()), "what is new to page")
    assert before <= paging()


def _function(name: str) -> dict[str, Any]:
    return {"id": name, "type": "Lambda", "name": name, "alarms": NONE}

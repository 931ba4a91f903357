"""PerfAlarmSet end to end: alarms, composites, dashboards and topics of what is there, and of what comes and goes."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.e2e.harness import INSTANCE, Manifest, Tenant, securebase, until

SLOW = 45.0
"""Three sweeps and a pass."""


@dataclass(frozen=True, slots=True)
class AlarmSet:
    """One PerfAlarmSet of a tenant, and the account as somebody else sees it."""

    tenant: Tenant
    name: str = "platform"

    def manifest(self, **spec: Any) -> Manifest:
        said: Manifest = {"accountRef": {"name": self.tenant.account_name}, "policy": {"interval": "10s"}, "standardQueries": False, "coldStarts": False}
        metadata = {"name": self.name, "namespace": self.tenant.namespace}
        return {"apiVersion": "securebase.io/v1alpha1", "kind": "PerfAlarmSet", "metadata": metadata, "spec": {**said, **spec}}

    def apply(self, **spec: Any) -> None:
        self.tenant.apply(self.manifest(**spec))

    def made(self, **spec: Any) -> Manifest:
        self.apply(**spec)
        return self.ready()

    def ready(self, deadline: float = SLOW) -> Manifest:
        return self.tenant.ready(self.name, deadline)

    def until(self, look: Any, what: str, deadline: float = SLOW) -> Any:
        return until(look, what, deadline, self.tenant.operator)

    def function(self, name: str, **tags: str) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.py", "def handler(event, context): return 1")
        self.tenant.aws("lambda").create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=f"arn:aws:iam::{self.tenant.account}:role/f",
            Handler="index.handler",
            Code={"ZipFile": packed.getvalue()},
            Tags=tags,
        )

    def alarms(self, kind: str = "MetricAlarm", region: str = "us-east-1") -> dict[str, Manifest]:
        """By node, as the end of the name tells it."""
        found: list[Manifest] = []
        for page in self.tenant.aws("cloudwatch", region).get_paginator("describe_alarms").paginate(AlarmTypes=[kind]):
            found += page["MetricAlarms" if kind == "MetricAlarm" else "CompositeAlarms"]
        return {alarm["AlarmName"]: alarm for alarm in found}

    def functions_watched(self) -> set[str]:
        dimensions = [one for alarm in self.alarms().values() for one in alarm.get("Dimensions") or ()]
        return {one["Value"] for one in dimensions if one["Name"] == "FunctionName"}


NONE = [{"id": name, "enabled": False} for name in ("throttles", "concurrency", "duration")]
"""One alarm of a function is left: its errors."""


@pytest.fixture
def alarm_set(tenant: Tenant) -> Iterator[AlarmSet]:
    yield AlarmSet(replace(tenant, plural="perfalarmsets"))


def test_a_platform_is_watched_and_only_composites_page(alarm_set: AlarmSet) -> None:
    tenant = alarm_set.tenant
    alarm_set.function("orders")
    tenant.aws("sqs").create_queue(QueueName="jobs")
    body = alarm_set.made(
        targets=[
            {"id": "orders", "type": "Lambda", "name": "orders", "service": "api", "alarms": [{"id": "errors", "threshold": 3}]},
            {"id": "jobs", "type": "Sqs", "name": "jobs", "service": "jobs"},
            {
                "id": "sales",
                "type": "Custom",
                "metric": {"namespace": "Shop", "name": "Sales"},
                "alarms": [{"id": "none", "threshold": 1, "comparison": "LessThan"}],
            },
        ],
        notifications=[{"severity": "critical", "createTopic": {"emails": ["ops@example.com"]}}],
        maintenance={"windows": ["sun:03:00-sun:05:00"]},
    )
    outputs, metric, composites = body["status"]["outputs"], alarm_set.alarms(), alarm_set.alarms("CompositeAlarm")
    assert [alarm["Threshold"] for alarm in metric.values() if alarm.get("MetricName") == "Errors"] == [3.0]
    assert {action for alarm in metric.values() for action in alarm["AlarmActions"]} == set(), "one incident pages once"
    paging = [alarm for alarm in composites.values() if alarm["AlarmActions"]]
    assert paging and {tuple(alarm["AlarmActions"]) for alarm in paging} == {(outputs["criticalTopicArn"],)}
    assert all("suppressor" in alarm["ActionsSuppressor"] for alarm in paging)
    names = tenant.aws("cloudwatch").list_dashboards()["DashboardEntries"]
    assert sorted(outputs["dashboards"].split(",")) == sorted(entry["DashboardName"] for entry in names)
    shown = json.loads(tenant.aws("cloudwatch").get_dashboard(DashboardName=outputs["dashboards"].split(",")[0])["DashboardBody"])
    assert any("Duration" in json.dumps(widget["properties"]) for widget in shown["widgets"])
    tenant.delete(alarm_set.name)
    tenant.gone(alarm_set.name, deadline=SLOW)
    assert (alarm_set.alarms(), alarm_set.alarms("CompositeAlarm"), tenant.aws("cloudwatch").list_dashboards()["DashboardEntries"]) == ({}, {}, [])


def test_a_missing_target_is_told_and_stops_no_other(alarm_set: AlarmSet) -> None:
    alarm_set.function("orders")
    alarm_set.apply(targets=[{"id": "orders", "type": "Lambda", "name": "orders"}, {"id": "lost", "type": "DynamoDB", "name": "sessions"}])
    told = alarm_set.tenant.says("Ready", "False", "TargetMissing", alarm_set.name, SLOW)
    assert "there is no DynamoDB sessions" in told
    assert alarm_set.functions_watched() == {"orders"}
    assert alarm_set.tenant.get(alarm_set.name)["status"]["outputs"]["missingTargets"] == "lost"


def test_what_carries_the_tag_gets_its_alarms_and_loses_them(alarm_set: AlarmSet) -> None:
    alarm_set.function("one", team="shop")
    alarm_set.function("stranger", team="mail")
    alarm_set.made(targets=[{"id": "functions", "type": "Lambda", "selector": {"tags": {"team": "shop"}}}], dashboards={"enabled": False})
    alarm_set.until(lambda: alarm_set.functions_watched() == {"one"}, "the tagged function to be watched")
    alarm_set.function("two", team="shop")
    alarm_set.until(lambda: alarm_set.functions_watched() == {"one", "two"}, "the new one to be watched")
    alarm_set.tenant.aws("lambda").delete_function(FunctionName="one")
    alarm_set.until(lambda: alarm_set.functions_watched() == {"two"}, "the deleted one to lose its alarms", 90)
    alarm_set.ready()


def test_drift_in_an_alarm_is_found_and_put_back(alarm_set: AlarmSet) -> None:
    alarm_set.function("orders")
    alarm_set.made(targets=[{"id": "orders", "type": "Lambda", "name": "orders"}])
    [name] = [name for name, alarm in alarm_set.alarms().items() if alarm.get("MetricName") == "Errors"]
    mark = alarm_set.tenant.mark()
    alarm_set.tenant.aws("cloudwatch").put_metric_alarm(
        AlarmName=name, ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1, Threshold=99999.0, MetricName="Errors", Namespace="AWS/Lambda",
        Dimensions=[{"Name": "FunctionName", "Value": "orders"}], Period=300, Statistic="Sum",
    )  # fmt: skip
    alarm_set.until(lambda: alarm_set.alarms()[name]["Threshold"] == 10.0, "the threshold to be put back")
    alarm_set.ready()
    assert alarm_set.tenant.writes(mark) == ["PutMetricAlarm"]


def test_alarms_of_a_referenced_object_are_used_and_not_made_again(alarm_set: AlarmSet) -> None:
    tenant = alarm_set.tenant
    cdn = replace(tenant, plural="cdndistributions")
    alarm_set.function("orders")
    site = {"id": "site", "type": "CloudFront", "ref": {"kind": "CdnDistribution", "name": "site"}, "service": "web"}
    alarm_set.apply(targets=[site, {"id": "orders", "type": "Lambda", "name": "orders", "alarms": NONE}])
    missing = ["CdnDistribution site"]
    alarm_set.until(lambda: alarm_set.tenant.get(alarm_set.name).get("status", {}).get("missingTargets") == missing, "the missing object to be named")
    cdn.apply(cdn.cdn(alarms={}))
    cdn.ready("site")
    before = {name for name, alarm in alarm_set.alarms().items() if alarm["Namespace"] == "AWS/CloudFront"}
    alarm_set.until(
        lambda: any(next(iter(before)) in one["AlarmRule"] for one in alarm_set.alarms("CompositeAlarm").values()),
        "the composite over the distribution's alarms",
    )
    alarm_set.ready()
    assert {name for name, alarm in alarm_set.alarms().items() if alarm["Namespace"] == "AWS/CloudFront"} == before
    rules = " ".join(alarm["AlarmRule"] for alarm in alarm_set.alarms("CompositeAlarm").values())
    assert all(f'"{name}"' in rules for name in before)


def test_the_plan_names_what_would_be_made(alarm_set: AlarmSet) -> None:
    alarm_set.function("orders")
    manifests = [alarm_set.tenant.account_manifest(), alarm_set.manifest(targets=[{"id": "orders", "type": "Lambda", "name": "orders"}])]
    planned = securebase(alarm_set.tenant, "plan", "-f", "-", "--instance", INSTANCE, stdin="\n---\n".join(map(json.dumps, manifests)))
    assert "alarm-orders_errors" in planned.stdout, planned.stderr


def test_a_pattern_that_would_be_refused_is_told_with_its_position_before_the_merge_and_after(alarm_set: AlarmSet) -> None:
    tenant = alarm_set.tenant
    tenant.aws("logs").create_log_group(logGroupName="/app")
    alarm_set.function("orders")
    wrong = [{"id": "broken", "logGroup": "/app", "pattern": "{ $.level = }", "metric": {"name": "Broken"}}]
    spec = {"targets": [{"id": "orders", "type": "Lambda", "name": "orders"}], "metricFilters": wrong}
    manifests = "\n---\n".join(map(json.dumps, [tenant.account_manifest(), alarm_set.manifest(**spec)]))
    planned = securebase(tenant, "plan", "-f", "-", "--instance", INSTANCE, stdin=manifests)
    assert planned.returncode == 1 and "filter-broken: filter pattern, character 13" in planned.stdout + planned.stderr
    alarm_set.apply(**spec)
    assert "character 13" in tenant.says("Stalled", "True", "InvalidPattern", alarm_set.name)
    alarm_set.until(lambda: alarm_set.functions_watched() == {"orders"}, "the others to be watched all the same")

"""The commands beside a running operator: the same engine, nothing written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import yaml

from tests.e2e.harness import INSTANCE, Manifest, Tenant, securebase
from tests.e2e.test_e2e_alarmset import NONE, AlarmSet


def plan(tenant: Tenant, *manifests: Manifest, output: str = "text") -> tuple[int, str, str]:
    """(exit code, standard output, standard error)."""
    text = yaml.safe_dump_all([tenant.account_manifest(), *manifests])
    answer = securebase(tenant, "plan", "-f", "-", "--instance", INSTANCE, "-o", output, stdin=text)
    return answer.returncode, answer.stdout, answer.stderr


def test_what_is_not_there_would_be_made(tenant: Tenant) -> None:
    code, told, _ = plan(tenant, tenant.cdn())
    assert code == 2
    assert "+ distribution (cloudfront/distribution)" in told
    assert f"CdnDistribution {tenant.namespace}/site" in told
    assert tenant.distributions() == []
    assert tenant.writes() == []


def test_what_is_as_wanted_would_not_be_changed(tenant: Tenant) -> None:
    manifest = tenant.cdn(alarms={}, behaviors=[{"path": "*", "origin": "assets", "preset": "html", "spa": True}])
    tenant.apply(manifest)
    tenant.ready()
    at = tenant.mark()
    code, told, errors = plan(tenant, manifest)
    assert (code, errors) == (0, "")
    assert "nothing would change" in told
    assert tenant.writes(at) == []


def test_json_names_every_change(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn(comment="before"))
    tenant.ready()
    code, told, _ = plan(tenant, tenant.cdn(comment="after"), output="json")
    assert code == 2
    [one] = json.loads(told)["objects"]
    [step] = one["steps"]
    assert (step["resource"], step["action"], step["externalId"]) == ("distribution", "UPDATE", tenant.id())
    [change] = step["changes"]
    assert (change["path"], change["have"], change["want"], change["impact"]) == ("comment", "before", "after", "ONLINE")
    assert one["hash"] == "", "nothing waits for approval"


def test_a_misspelt_field_gets_the_nearest_name(tenant: Tenant) -> None:
    code, told, errors = plan(tenant, tenant.cdn(priceclass="PriceClass_100"))
    assert code == 1
    assert "priceclass" in told + errors
    assert "priceClass" in told + errors


def test_a_spec_that_cannot_be_is_an_error(tenant: Tenant) -> None:
    code, told, errors = plan(tenant, tenant.cdn(behaviors=[{"path": "*", "origin": "nowhere", "preset": "static"}]))
    assert code == 1
    assert "behaviors names an origin that does not exist" in told + errors


def test_a_file_that_is_not_there_is_an_error(tenant: Tenant) -> None:
    answer = securebase(tenant, "plan", "-f", "no-such-file.yaml", "--instance", INSTANCE)
    assert answer.returncode == 1
    assert "no such file" in answer.stderr


def test_what_is_found_by_tags_or_missing_is_planned_at_one_look(tenant: Tenant) -> None:
    alarm_set = AlarmSet(replace(tenant, plural="perfalarmsets"))
    alarm_set.function("one", team="shop")
    for name in ("jobs", "mails"):
        tenant.aws("sqs").create_queue(QueueName=name)
    tagged = {"id": "functions", "type": "Lambda", "selector": {"tags": {"team": "shop"}}, "alarms": NONE}
    queues = [{"id": name, "type": "Sqs", "name": name} for name in ("jobs", "mails")]
    alarm_set.made(targets=[tagged, *queues], notifications=[])
    lost = {"id": "lost", "type": "DynamoDB", "name": "sessions"}
    at = tenant.mark()
    code, told, errors = plan(tenant, alarm_set.manifest(targets=[tagged, queues[0], lost], notifications=[]), output="json")
    [found] = json.loads(told)["objects"]
    actions = {step["resource"]: step["action"] for step in found["steps"]}
    assert (code, found["problems"]) == (2, []), (told, errors)
    assert {action for resource, action in actions.items() if resource.startswith("alarm-mails_")} == {"DELETE"}
    assert actions["dashboard-performance"] == "UPDATE"
    assert tenant.writes(at) == []


def drift(tenant: Tenant, *arguments: str) -> tuple[int, str, str]:
    answer = securebase(tenant, "drift", "-n", tenant.namespace, "--instance", INSTANCE, *arguments)
    return answer.returncode, answer.stdout, answer.stderr


def test_drift_lists_what_was_changed_outside(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn(comment="ours", policy={"mode": "Enforce", "interval": "1h"}))
    id = tenant.ready()["status"]["outputs"]["id"]
    code, told, errors = drift(tenant)
    assert (code, errors) == (0, "")
    assert "1 objects compared, no drift" in told
    tenant.edit(id, lambda config: config.update(Comment="theirs"))
    at = tenant.mark()
    code, told, _ = drift(tenant)
    assert code == 2
    assert 'distribution.comment: "ours" became "theirs"' in told
    code, told, _ = drift(tenant, "-o", "json")
    found: dict[str, Any] = json.loads(told)["objects"][0]
    assert [change["cause"] for step in found["steps"] for change in step["changes"]] == ["DRIFT"]
    assert tenant.writes(at) == []


def test_drift_knows_what_objects_of_other_kinds_tell(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn(alarms={}))
    tenant.ready()
    alarm_set = AlarmSet(replace(tenant, plural="perfalarmsets"))
    site = {"id": "site", "type": "CloudFront", "ref": {"kind": "CdnDistribution", "name": "site"}, "service": "web"}
    told_by = [{"severity": "critical", "createTopic": {"emails": ["ops@example.com"]}}]
    alarm_set.made(targets=[site], notifications=told_by, policy={"mode": "Enforce", "interval": "1h"})
    code, told, errors = drift(tenant)
    assert (code, errors) == (0, ""), told
    assert "2 objects compared, no drift" in told
    composite, *_ = alarm_set.alarms("CompositeAlarm").values()
    tenant.aws("cloudwatch").put_composite_alarm(AlarmName=composite["AlarmName"], AlarmRule=composite["AlarmRule"], AlarmDescription="somebody was here")
    code, told, _ = drift(tenant)
    assert code == 2 and "somebody was here" in told

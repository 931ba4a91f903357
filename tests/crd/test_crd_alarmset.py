"""What the API server makes of PerfAlarmSet: columns, the words and fields of refusals, status, shared targets, the cost of the largest spec."""

from __future__ import annotations

from typing import Any

import pytest

from lab.kubernetes import ApiError, ControlPlane
from tests.unit.api.alarmset_rule_cases import KEY, TOPIC, USE1_KEY, alarm, alarms, quiet, told, topic, watching

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
FUNCTION = {"id": "orders", "type": "Lambda", "name": "orders"}


def sets(namespace: str) -> str:
    return f"/apis/securebase.io/v1alpha1/namespaces/{namespace}/perfalarmsets"


def placed_in(namespace: str, manifest: dict[str, Any]) -> dict[str, Any]:
    manifest["metadata"]["namespace"] = namespace
    return manifest


def refusal(plane: ControlPlane, namespace: str, manifest: dict[str, Any]) -> str:
    with pytest.raises(ApiError) as refused:
        plane.call("POST", f"{sets(namespace)}?dryRun=All&fieldValidation=Strict", placed_in(namespace, manifest))
    return str(refused.value)


def with_widgets(count: int) -> dict[str, Any]:
    return alarms(dashboards={"widgets": [{"title": f"w{n}", "type": "text", "markdown": "# Shop"} for n in range(count)]})


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (alarms(targets=[FUNCTION, FUNCTION]), 'spec.targets[1]: Duplicate value: {"id":"orders"}'),
        (watching(name="orders", alarms=[{"id": "errors"}, {"id": "errors"}]), 'spec.targets[0].alarms[1]: Duplicate value: {"id":"errors"}'),
        (alarms(notifications=[{"severity": "info", "topicArns": [TOPIC]}] * 2), 'spec.notifications[1]: Duplicate value: {"severity":"info"}'),
        (told(topicArns=[TOPIC, TOPIC]), "spec.notifications[0].topicArns[1]: Duplicate value"),
        (with_widgets(101), "spec.dashboards.widgets: Too many: 101: must have at most 100 items"),
        (alarms(targets=[]), "spec.targets: Invalid value: 0: spec.targets in body should have at least 1 items"),
        (watching(type="EC2", name="a"), "spec.targets[0].type: Unsupported value"),
        (told(severity="urgent", topicArns=[TOPIC]), "spec.notifications[0].severity: Unsupported value"),
        (alarm(threshold="80%"), "spec.targets[0].alarms[0].threshold in body must be of type number"),
        (alarm(periodSeconds=45), "spec.targets[0].alarms[0].periodSeconds: Invalid value"),
        (alarm(datapointsToAlarm=4, evaluationPeriods=3), "spec.targets[0].alarms[0].datapointsToAlarm: Invalid value"),
        (watching(type="Aurora", name="a", alarms=[{"id": "cpu", "threshold": 101}]), "spec.targets[0].alarms: Invalid value"),
        (alarm(treshold=1), 'unknown field "spec.targets[0].alarms[0].treshold"'),
    ],
)
def test_a_refusal_names_the_field(manifest: dict[str, Any], words: str, plane: ControlPlane, namespace: str) -> None:
    assert words in refusal(plane, namespace, manifest)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (topic(kmsKeyArn="alias/aws/sns"), "alias/aws/sns would drop alarms silently"),
        (topic(usEast1KmsKeyArn="alias/aws/sns"), "alias/aws/sns would drop alarms silently"),
        (told(topicArns=["ops"]), "topicArns holds ARNs of SNS standard topics"),
        (quiet(windows=["sunday"]), "a window is two times of the week"),
    ],
)
def test_a_wrong_grammar_is_told_in_its_own_words_only(manifest: dict[str, Any], words: str, plane: ControlPlane, namespace: str) -> None:
    manifest["spec"]["region"] = "eu-central-1"
    said = refusal(plane, namespace, manifest)
    assert words in said
    assert "evaluating rule" not in said
    assert said.count("Invalid value") == 1


def test_a_hundred_widgets_are_taken(plane: ControlPlane, namespace: str) -> None:
    plane.call("POST", f"{sets(namespace)}?dryRun=All&fieldValidation=Strict", placed_in(namespace, with_widgets(100)))


def test_short_name_and_columns(plane: ControlPlane, namespace: str) -> None:
    plane.call("POST", sets(namespace), placed_in(namespace, alarms()))
    conditions = [
        {"type": name, "status": "True", "reason": "Told", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"} for name in ("Ready", "Synced")
    ]
    status = {"conditions": conditions, "driftedFields": 1, "alarms": {"total": 12, "alarm": 2}, "cost": {"monthlyUsd": "7.20"}}
    plane.call("PATCH", f"{sets(namespace)}/case/status", {"status": status}, content_type=MERGE)
    header, row = (line.split() for line in plane.kubectl("get", "pas", "-n", namespace).stdout.splitlines())
    assert header == ["NAME", "READY", "SYNCED", "DRIFT", "ALARMS", "FIRING", "COST", "AGE"]
    assert row[:7] == ["case", "True", "True", "1", "12", "2", "7.20"]


def test_a_full_status_is_kept_as_written(plane: ControlPlane, namespace: str) -> None:
    plane.call("POST", sets(namespace), placed_in(namespace, alarms()))
    names = [f"securebase-default-case-alarm-orders_{n}" for n in range(20)]
    written = {
        "alarms": {"total": 60, "ok": 20, "alarm": 20, "insufficientData": 20},
        "firing": names,
        "flapping": names,
        "failedActions": names,
        "noData": names,
        "evaluationErrors": names,
        "pagingBeside": ["CdnDistribution site"],
        "missingTargets": ["CdnDistribution site", "orders"],
        "unconfirmedSubscriptions": ["ops@example.com", "https://pager.example.com/in"],
        "outputs": {"alarms": "60", "compositeAlarms": "3"},
    }
    plane.call("PATCH", f"{sets(namespace)}/case/status", {"status": written}, content_type=MERGE)
    assert plane.call("GET", f"{sets(namespace)}/case")["status"] == written


def test_two_managers_keep_each_its_own_target(plane: ControlPlane, namespace: str) -> None:
    path = f"{sets(namespace)}/case"
    identity = {name: value for name, value in placed_in(namespace, alarms()).items() if name != "spec"}
    jobs = {"id": "jobs", "type": "Sqs", "name": "jobs"}
    first = identity | {"spec": {"targets": [FUNCTION]}}
    second = identity | {"spec": {"targets": [jobs, {"id": "orders", "type": "Lambda", "alarms": [{"id": "errors", "threshold": 3}]}]}}
    plane.call("PATCH", f"{path}?fieldManager=web", first, content_type=APPLY)
    plane.call("PATCH", f"{path}?fieldManager=jobs", second, content_type=APPLY)
    plane.call("PATCH", f"{path}?fieldManager=web", first, content_type=APPLY)
    kept = {target["id"]: target for target in plane.call("GET", path)["spec"]["targets"]}
    assert kept == {"orders": FUNCTION | {"alarms": [{"id": "errors", "threshold": 3}]}, "jobs": jobs}
    plane.call("PATCH", f"{path}?fieldManager=jobs", identity, content_type=APPLY)
    assert plane.call("GET", path)["spec"]["targets"] == [FUNCTION]


def test_a_large_spec_stays_within_the_runtime_cost(plane: ControlPlane, namespace: str) -> None:
    """Every list full, but for the alarms of a target: 4,000 of them take the API server seconds."""
    figures = {"threshold": 1, "periodSeconds": 60, "evaluationPeriods": 5, "datapointsToAlarm": 3}
    maths = [{"id": f"m{n}", "name": "Errors", "dimensions": {"FunctionName": "orders"}} for n in range(10)]
    plain = [{"id": f"a{n}", "metric": {"name": "Errors"}, "runbook": "https://wiki.example.com/x", "statistic": "p99.9"} | figures for n in range(20)]
    expressions = [{"id": f"e{n}", "expression": "m0 + m1", "metrics": maths} | figures for n in range(20)]
    made = {"kmsKeyArn": KEY, "usEast1KmsKeyArn": USE1_KEY, "emails": [f"ops{n}@example.com" for n in range(20)]}
    large = with_widgets(100)
    large["spec"] |= {
        "region": "eu-central-1",
        "targets": [
            {"id": f"t{n}", "type": "ApiGatewayHttp", "name": f"api{n}", "stage": "$default", "alarms": expressions if n < 3 else plain[:4]} for n in range(200)
        ],
        "notifications": [{"severity": one, "topicArns": [f"{TOPIC}{n}" for n in range(4)], "createTopic": made} for one in ("critical", "warning", "info")],
        "queries": [{"id": f"q{n}", "query": "fields @timestamp, @message", "target": f"t{199 - n}"} for n in range(100)],
        "metricFilters": [{"id": f"f{n}", "logGroup": "/app", "pattern": "ERROR", "metric": {"name": "Errors"}} for n in range(100)],
        "logGroups": [{"name": f"/app/{n}", "retentionDays": 30} for n in range(100)],
        "maintenance": {"windows": [f"sun:0{n}:00-mon:05:00" for n in range(10)]},
    }
    plane.call("POST", f"{sets(namespace)}?dryRun=All&fieldValidation=Strict", placed_in(namespace, large))


def test_explain_tells_what_a_field_is_for(plane: ControlPlane) -> None:
    assert "Standard deviations" in plane.kubectl("explain", "pas.spec.targets.alarms.anomaly.bandwidth").stdout

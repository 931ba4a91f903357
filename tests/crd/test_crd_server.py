"""What the API server makes of our kinds: names, columns, strict validation, shared ownership, status."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from lab.kubernetes import ApiError, ControlPlane
from tests.unit.api.rule_cases import behavior, bucket, cdn

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


def distributions(namespace: str) -> str:
    return f"/apis/securebase.io/v1alpha1/namespaces/{namespace}/cdndistributions"


def named(namespace: str, **spec: Any) -> dict[str, Any]:
    manifest = cdn(**spec)
    manifest["metadata"]["namespace"] = namespace
    return manifest


def spelt(manifest: dict[str, Any]) -> str:
    return yaml.safe_dump(manifest)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"comments": "x"}, 'unknown field "spec.comments"'),
        ({"behaviors": [behavior(prest="html")]}, 'unknown field "spec.behaviors[0].prest"'),
        ({"responseHeaders": {"hsts": {"maxAge": 1}}}, 'unknown field "spec.responseHeaders.hsts.maxAge"'),
    ],
)
def test_an_unknown_field_is_refused(spec: dict[str, Any], words: str, plane: ControlPlane, namespace: str) -> None:
    refused = plane.kubectl("apply", "-f", "-", stdin=spelt(named(namespace, **spec)), check=False)
    assert refused.returncode != 0
    assert words in refused.stderr


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"enabled": "yes"}, 'spec.enabled: Invalid value: "string": spec.enabled in body must be of type boolean'),
        ({"priceClass": "PriceClass_50"}, "spec.priceClass: Unsupported value"),
        ({"certificate": {"request": {}, "minimumProtocolVersion": "TLSv1.2_2019"}}, "spec.certificate.minimumProtocolVersion: Unsupported value"),
        ({"errorPages": [{"code": 404, "path": "/e", "responseCode": 200}]}, "spec.errorPages[0].responseCode: Unsupported value"),
        ({"behaviors": [behavior(ttl={"minSeconds": -1})]}, "spec.behaviors[0].ttl.minSeconds: Invalid value"),
        ({"alarms": {"errorRate5xx": {"thresholdPercent": 0}}}, "spec.alarms.errorRate5xx.thresholdPercent: Invalid value"),
        ({"origins": []}, "spec.origins: Invalid value: 0: spec.origins in body should have at least 1 items"),
    ],
)
def test_a_wrong_value_is_refused_in_the_servers_words(spec: dict[str, Any], words: str, plane: ControlPlane, namespace: str) -> None:
    with pytest.raises(ApiError) as refusal:
        plane.call("POST", distributions(namespace), named(namespace, **spec))
    assert words in str(refusal.value)


def test_two_managers_keep_each_its_own_behavior(plane: ControlPlane, namespace: str) -> None:
    path = f"{distributions(namespace)}/case"
    identity = {name: value for name, value in named(namespace).items() if name != "spec"}
    first = identity | {"spec": {"origins": [bucket()], "behaviors": [behavior("/docs/*", preset="html"), behavior()]}}
    second = identity | {"spec": {"behaviors": [behavior("/img/*")]}}
    plane.call("PATCH", f"{path}?fieldManager=pages", first, content_type=APPLY)
    plane.call("PATCH", f"{path}?fieldManager=images", second, content_type=APPLY)
    plane.call("PATCH", f"{path}?fieldManager=pages", first, content_type=APPLY)
    kept = plane.call("GET", path)
    assert sorted(item["path"] for item in kept["spec"]["behaviors"]) == ["*", "/docs/*", "/img/*"]
    plane.call("PATCH", f"{path}?fieldManager=images", identity, content_type=APPLY)
    assert [item["path"] for item in plane.call("GET", path)["spec"]["behaviors"]] == ["/docs/*", "*"]


def test_short_names_and_columns(plane: ControlPlane, namespace: str) -> None:
    plane.call("POST", distributions(namespace), named(namespace))
    conditions = [
        {"type": name, "status": status, "reason": "Told", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        for name, status in (("Ready", "True"), ("Synced", "False"), ("SLOMet", "Unknown"))
    ]
    status = {"conditions": conditions, "driftedFields": 3, "cost": {"monthlyUsd": "12.40", "items": [{"name": "requests"}]}}
    plane.call("PATCH", f"{distributions(namespace)}/case/status", {"status": status}, content_type=MERGE)
    header, row = (line.split() for line in plane.kubectl("get", "cdn", "-n", namespace).stdout.splitlines())
    assert header == ["NAME", "READY", "SYNCED", "DRIFT", "SLO", "COST", "AGE"]
    assert row[:6] == ["case", "True", "False", "3", "Unknown", "12.40"]
    assert plane.kubectl("get", "awsacc").returncode == 0
    assert plane.call("GET", f"{distributions(namespace)}/case")["status"]["cost"]["items"] == [{"name": "requests"}]


def test_a_full_status_is_kept_as_written(plane: ControlPlane, namespace: str) -> None:
    plane.call("POST", distributions(namespace), named(namespace))
    written = {
        "observedGeneration": 1,
        "account": "123456789012",
        "region": "us-east-1",
        "resources": [
            {
                "id": "distribution",
                "type": "cloudfront.distribution",
                "externalId": "E123",
                "state": "PENDING",
                "reason": "Deploying",
                "message": "InProgress",
                "drift": ["comment"],
                "wave": 2,
                "applied": "comment=0a1b",
                "incarnation": 1,
                "region": "us-east-1",
                "role": "SHARED",
                "guards": True,
                "checkedAt": "2026-01-01T00:00:00Z",
            }
        ],
        "resourceCounts": {"PENDING": 1},
        "driftedFields": 1,
        "plan": {
            "hash": "f" * 64,
            "impact": "REPLACE",
            "approved": False,
            "changes": [{"resource": "distribution", "path": "comment", "have": "a", "want": "b" * 4000, "impact": "REPLACE"}],
        },
        "outputs": {"domainName": "d1.cloudfront.net"},
        "acknowledged": {"refresh": "1", "invalidate": "2 /a", "approve": "f" * 64},
        "invalidation": {"token": "2", "id": "I1", "status": "Completed", "paths": ["/a"], "message": "done"},
        "slo": {"measuredAt": "2026-01-01T00:00:00Z", "availability": {"sli": "0.9991"}},
    }
    plane.call("PATCH", f"{distributions(namespace)}/case/status", {"status": written}, content_type=MERGE)
    assert plane.call("GET", f"{distributions(namespace)}/case")["status"] == written


def test_the_largest_spec_stays_within_the_runtime_cost(plane: ControlPlane, namespace: str) -> None:
    """The estimate is for the worst case, but the API server counts again as it evaluates."""
    origins = [bucket(f"o{number}") for number in range(25)]
    groups = [{"id": f"g{n}", "primary": f"o{n}", "secondary": f"o{n + 1}"} for n in range(10)]
    keyed = {"headers": [f"x-key-{n}" for n in range(6)]}
    paths = [behavior(f"/p{n}/*", f"o{n % 25}", "api", cacheKey=keyed, forward={"headers": [f"x-f-{m}" for m in range(10)]}) for n in range(49)]
    aliases = [f"h{n}.example.com" for n in range(100)]
    spec = {"origins": origins, "originGroups": groups, "behaviors": [*paths, behavior(origin="o0")], "aliases": aliases}
    spec |= {"certificate": {"request": {"domainNames": ["*.example.com"]}}, "dns": {"zoneName": "example.com"}}
    plane.call("POST", f"{distributions(namespace)}?dryRun=All", named(namespace, **spec))


def test_explain_tells_what_a_field_is_for(plane: ControlPlane) -> None:
    told = plane.kubectl("explain", "cdn.spec.behaviors.preset").stdout
    assert "immutable" in told
    assert "noCache" in told


def test_the_server_finds_nothing_wrong_with_the_definitions(plane: ControlPlane) -> None:
    for name in ("awsaccounts", "cdndistributions"):
        definition = json.loads(plane.kubectl("get", "crd", f"{name}.securebase.io", "-o", "json").stdout)
        conditions = {condition["type"]: condition["status"] for condition in definition["status"]["conditions"]}
        assert conditions["Established"] == "True"
        assert "NonStructuralSchema" not in conditions

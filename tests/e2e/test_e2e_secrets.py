"""A Secret's value goes to CloudFront and nowhere else."""

from __future__ import annotations

import json

import yaml

from lab.operator import OperatorProcess
from tests.e2e.harness import INSTANCE, Tenant, securebase, until

MARKER = "e2e-do-not-show-this-7f3a"


def test_a_secret_never_appears(tenant: Tenant, operator: OperatorProcess) -> None:
    header = {"name": "x-origin-verify", "valueFrom": {"secretKeyRef": {"name": "verify", "key": "token"}}}
    secret = tenant.secret("verify", token=MARKER)
    manifest = tenant.cdn(origins=[{"id": "assets", "custom": {"domainName": "api.example.com"}, "headers": [header]}])
    tenant.apply(secret, manifest)
    id = tenant.ready()["status"]["outputs"]["id"]
    [origin] = tenant.config(id)["Origins"]["Items"]
    assert origin["CustomHeaders"]["Items"][0]["HeaderValue"] == MARKER

    def leak(config: dict[str, object]) -> None:
        origins: dict[str, list[dict[str, dict[str, list[dict[str, str]]]]]] = config["Origins"]  # type: ignore[assignment]
        origins["Items"][0]["CustomHeaders"]["Items"][0]["HeaderValue"] = f"{MARKER}-theirs"

    tenant.edit(id, leak)
    tenant.annotate("site", refresh="look")
    until(lambda: tenant.events(reason="DriftCorrected"), "the drift to be told and repaired", operator=operator)
    message = f"The parameter HeaderValue {MARKER} is not allowed."
    tenant.endpoint.control.fail("cloudfront", "UpdateDistribution", "InvalidArgument", 400, account=tenant.account, message=message)
    tenant.patch("site", {"spec": {"comment": "changed"}})
    tenant.says("Stalled", "True", "InvalidArgument")
    tenant.endpoint.control.clear_rules()

    text = yaml.safe_dump_all([tenant.account_manifest(), secret, {**manifest, "spec": {**manifest["spec"], "comment": "other"}}])
    planned = securebase(tenant, "plan", "-f", "-", "--instance", INSTANCE, stdin=text)
    as_json = securebase(tenant, "plan", "-f", "-", "--instance", INSTANCE, "-o", "json", stdin=text)
    drifted = securebase(tenant, "drift", "-n", tenant.namespace, "--instance", INSTANCE)
    for where, shown in {
        "the status": json.dumps({**tenant.get(), "spec": None}),
        "the Events": json.dumps(tenant.plane.call("GET", f"/api/v1/namespaces/{tenant.namespace}/events")),
        "the ConfigMap": json.dumps(tenant.plane.call("GET", f"/api/v1/namespaces/{tenant.namespace}/configmaps")),
        "the metrics": operator.metrics(),
        "the log": operator.log.read_text(),
        "the plan": planned.stdout + planned.stderr + as_json.stdout + as_json.stderr,
        "the drift": drifted.stdout + drifted.stderr,
    }.items():
        assert MARKER not in shown, where

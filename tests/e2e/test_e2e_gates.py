"""What must wait: protection, pauses, approvals, windows, and deletions in masses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from tests.e2e.harness import FINALIZER, INSTANCE, Manifest, Own, Tenant, conditions, install_definitions, securebase, until


def acl(tenant: Tenant) -> str:
    return f"arn:aws:wafv2:us-east-1:{tenant.account}:global/webacl/shield/a1b2c3d4-0000-4000-8000-000000000000"


def plan(tenant: Tenant, *manifests: Manifest) -> dict[str, Any]:
    """The one object's plan, as the command prints it before anything is merged."""
    answer = securebase(tenant, "plan", "-f", "-", "-o", "json", "--instance", INSTANCE, stdin=yaml.safe_dump_all([tenant.account_manifest(), *manifests]))
    assert answer.returncode == 2, answer.stderr
    found: dict[str, Any] = yaml.safe_load(answer.stdout)["objects"][0]
    return found


def closed_window() -> str:
    """An hour of the week that is far away."""
    day = (datetime.now(UTC) + timedelta(days=3)).strftime("%a").lower()
    return f"{day}:03:00-{day}:04:00"


def test_deletion_protection_waits_and_says_why(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn(policy={"deletionProtection": True}))
    tenant.ready()
    at = tenant.mark()
    tenant.delete("site")
    told = until(lambda: "policy.deletionProtection is true" in conditions(tenant.get())["Ready"][2] and conditions(tenant.get()), "the reason")
    assert told["Reconciling"][1] == "DeletionProtected"
    assert tenant.get()["metadata"]["finalizers"] == [FINALIZER]
    assert tenant.writes(at) == []
    tenant.patch("site", {"spec": {"policy": {"deletionProtection": False}}})
    tenant.gone("site")
    assert tenant.distributions() == []


def test_a_paused_object_is_not_even_read(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn(comment="before"))
    id = tenant.ready()["status"]["outputs"]["id"]
    tenant.annotate("site", pause="true")
    tenant.says("Ready", "Unknown", "Paused")
    at = tenant.mark()
    tenant.apply(tenant.cdn(comment="after"))
    until(lambda: tenant.get()["status"]["observedGeneration"] == 2, "the edit to be seen", operator=tenant.operator)
    assert [call.operation for call in tenant.calls(at) if call.service != "sts"] == []
    tenant.annotate("site", pause=None)
    tenant.ready()
    assert tenant.config(id)["Comment"] == "after"


def test_less_protection_waits_for_the_hash_that_the_plan_printed(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn(comment="before", webAclArn=acl(tenant)))
    id = tenant.ready()["status"]["outputs"]["id"]
    without = tenant.cdn(comment="after")
    planned = plan(tenant, without)
    assert planned["impact"] == "PROTECTION_LOSS"

    tenant.apply(without)
    told = tenant.says("Synced", "False", "ApprovalRequired")
    assert f"securebase.io/approve={planned['hash']}" in told
    status = tenant.get()["status"]["plan"]
    assert (status["hash"], status["impact"]) == (planned["hash"], "PROTECTION_LOSS")
    assert [change["path"] for change in status["changes"]] == ["webAclId"]
    until(lambda: tenant.config(id)["Comment"] == "after", "what needs no approval to happen", operator=tenant.operator)
    assert tenant.config(id)["WebACLId"] == acl(tenant)

    tenant.annotate("site", approve="0123456789abcdef")
    until(lambda: tenant.events(reason="ApprovalRequired"), "the Event", operator=tenant.operator)
    assert tenant.config(id)["WebACLId"] == acl(tenant), "another hash opens nothing"
    tenant.annotate("site", approve=planned["hash"])
    body = tenant.ready()
    assert tenant.config(id)["WebACLId"] == ""
    assert "plan" not in body["status"]


def test_an_approval_is_used_once(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn(webAclArn=acl(tenant)))
    id = tenant.ready()["status"]["outputs"]["id"]
    hash = plan(tenant, tenant.cdn())["hash"]
    tenant.apply(tenant.cdn())
    tenant.says("Synced", "False", "ApprovalRequired")
    tenant.annotate("site", approve=hash)
    tenant.ready()
    tenant.apply(tenant.cdn(webAclArn=acl(tenant)))
    tenant.ready()
    tenant.apply(tenant.cdn())
    tenant.says("Synced", "False", "ApprovalRequired")
    assert tenant.config(id)["WebACLId"] == acl(tenant)


def test_what_could_be_felt_waits_for_the_window(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn(comment="before"))
    id = tenant.ready()["status"]["outputs"]["id"]
    tenant.apply(tenant.cdn(comment="after", enabled=False, policy={"changes": "Window", "window": closed_window()}))
    assert "distribution.enabled" in tenant.says("Synced", "False", "OutsideWindow")
    until(lambda: tenant.config(id)["Comment"] == "after", "what nobody feels to happen", operator=tenant.operator)
    assert tenant.config(id)["Enabled"] is True
    tenant.patch("site", {"spec": {"policy": {"changes": "Auto", "window": None}}})
    tenant.ready()
    assert tenant.config(id)["Enabled"] is False


def test_deletion_in_masses_stops_until_it_is_confirmed(tenant: Tenant) -> None:
    names = [f"site-{number}" for number in range(7)]
    tenant.apply(*(tenant.cdn(name) for name in names))
    for name in names:
        tenant.ready(name)
    tenant.delete(*names)

    def stopped() -> list[str]:
        left = [name for name in names if tenant.exists(name)]
        return left if len(left) == 2 and all(conditions(tenant.get(name))["Stalled"][:2] == ("True", "MassDeletion") for name in left) else []

    left = until(stopped, "five to go and two to stop", operator=tenant.operator)
    assert len(tenant.distributions()) == 2
    for name in left:
        assert "securebase.io/confirm-deletion=yes" in tenant.says("Stalled", "True", "MassDeletion", name)
        tenant.annotate(name, confirm_deletion="yes")
    tenant.gone(*left)
    assert tenant.distributions() == []


def test_a_definition_that_goes_takes_nothing_in_aws_with_it(own_tenant: Own) -> None:
    """`kubectl delete crd` means Retain for every object, whatever its policy. The definition is put back for whoever comes next."""
    tenant = own_tenant.tenant
    operator = own_tenant.operator()
    tenant.apply(tenant.cdn("plain", alarms={}), tenant.cdn("protected", {"deletionProtection": True}), tenant.cdn("told", {"onDelete": "Delete"}))
    before = [tenant.ready(name)["status"]["outputs"]["id"] for name in ("plain", "protected", "told")]
    definition = "cdndistributions.securebase.io"
    at = tenant.mark()
    tenant.plane.call("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition}")
    try:
        until(lambda: definition not in tenant.plane.kubectl("get", "crd", "-o", "name").stdout, "the definition to go", operator=operator)
        assert [tenant.events(name, "Retained") for name in ("plain", "protected", "told")] == [["the outside resources stay as they are"]] * 3
        gone = f'namespace="{tenant.namespace}"'
        until(lambda: gone not in operator.metrics(), "the objects' series to disappear", operator=operator)
        assert tenant.writes(at) == []
        assert {one["Id"]: one["Enabled"] for one in tenant.distributions()} == dict.fromkeys(before, True)
        assert len(tenant.aws("cloudwatch").describe_alarms()["MetricAlarms"]) == 4
        until(lambda: "not watched, for want of a definition: cdndistributions" in operator.log.read_text(), "the watch to be given up", operator=operator)
    finally:
        install_definitions(tenant.plane)
    at = tenant.mark()
    tenant.apply(tenant.cdn("plain", alarms={}))
    [entry] = [entry for entry in tenant.ready("plain")["status"]["resources"] if entry["id"] == "distribution"]
    assert entry["externalId"] == before[0], "taken over by the one that is made again"
    assert tenant.writes(at) == []

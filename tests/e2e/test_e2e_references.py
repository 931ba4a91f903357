"""What an object refers to: a rotated Secret, a grant that is withdrawn, an AwsAccount that is still in use."""

from __future__ import annotations

from tests.e2e.harness import FINALIZER, GROUP, Manifest, Tenant, conditions, until


def verified(tenant: Tenant, name: str = "site") -> Manifest:
    """An origin that is told a secret."""
    header = {"name": "x-origin-verify", "valueFrom": {"secretKeyRef": {"name": "verify", "key": "token"}}}
    return tenant.cdn(name, origins=[{"id": "assets", "custom": {"domainName": "api.example.com"}, "headers": [header]}])


def sent(tenant: Tenant, id: str) -> str:
    """The header's value as CloudFront has it."""
    [origin] = tenant.config(id)["Origins"]["Items"]
    return str(origin["CustomHeaders"]["Items"][0]["HeaderValue"])


def test_a_rotated_secret_follows_within_seconds(tenant: Tenant) -> None:
    tenant.apply(tenant.secret("verify", token="first"), verified(tenant))
    id = tenant.ready()["status"]["outputs"]["id"]
    assert sent(tenant, id) == "first"
    tenant.apply(tenant.secret("verify", token="second"))
    until(lambda: sent(tenant, id) == "second", "the header to follow its Secret", 5, tenant.operator)
    tenant.ready()
    assert tenant.events(reason="DriftDetected") == [], "a rotation is no drift"


def test_a_secret_of_nobody_moves_nothing(tenant: Tenant) -> None:
    tenant.apply(tenant.secret("verify", token="first"), verified(tenant), tenant.cdn("other"))
    tenant.ready()
    tenant.ready("other")
    at = tenant.mark()
    tenant.apply(tenant.secret("unrelated", token="x"))
    tenant.apply(tenant.secret("verify", token="second"))
    until(lambda: "UpdateDistribution" in tenant.writes(at), "the rotation", operator=tenant.operator)
    assert tenant.writes(at) == ["UpdateDistribution"]


def test_a_withdrawn_grant_stops_all_writes(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn(comment="before"))
    id = tenant.ready()["status"]["outputs"]["id"]
    at = tenant.mark()
    tenant.account_patch({"spec": {"allowedNamespaces": ["somebody-else"]}})
    assert tenant.namespace in tenant.says("Stalled", "True", "NamespaceNotAllowed", deadline=5)
    tenant.apply(tenant.cdn(comment="after"))
    until(lambda: tenant.get()["status"]["observedGeneration"] == 2, "the edit to be seen", operator=tenant.operator)
    assert conditions(tenant.get())["Stalled"][:2] == ("True", "NamespaceNotAllowed")
    assert tenant.writes(at) == []
    tenant.delete("site")
    until(lambda: conditions(tenant.get())["Stalled"][:2] == ("True", "NamespaceNotAllowed"), "the deletion to wait", operator=tenant.operator)
    assert tenant.get()["metadata"]["finalizers"] == [FINALIZER]
    assert tenant.writes(at) == []
    assert tenant.config(id)["Comment"] == "before"
    tenant.account_patch({"spec": {"allowedNamespaces": [tenant.namespace]}})
    tenant.gone("site")
    assert tenant.distributions() == []


def test_an_account_in_use_is_held_until_its_last_user_is_gone(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn("first"), tenant.cdn("second"))
    tenant.ready("first")
    tenant.ready("second")
    until(lambda: FINALIZER in tenant.account_object()["metadata"].get("finalizers", ()), "the account to be held", operator=tenant.operator)
    tenant.plane.call("DELETE", f"{GROUP}/awsaccounts/{tenant.account_name}")
    held = until(lambda: conditions(tenant.account_object())["Ready"][1] == "InUse" and conditions(tenant.account_object())["Ready"], "InUse")
    assert "2 objects still use this account" in held[2]
    tenant.delete("first")
    tenant.gone("first")
    assert tenant.account_object()["metadata"]["finalizers"] == [FINALIZER]
    tenant.delete("second")
    tenant.gone("second")
    listed = f"{GROUP}/awsaccounts"
    until(lambda: tenant.account_name not in [item["metadata"]["name"] for item in tenant.plane.call("GET", listed)["items"]], "the account to go")
    assert tenant.distributions() == []


def test_an_account_says_who_the_operator_is(tenant: Tenant) -> None:
    ready = until(lambda: conditions(tenant.account_object()).get("Ready", ("", "", ""))[0] == "True" and tenant.account_object(), "the account")
    assert ready["status"]["callerArn"].startswith(f"arn:aws:sts::{tenant.account}:assumed-role/securebase/")

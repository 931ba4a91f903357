"""Objects that are synced from git: two managers of one object, and no difference that the operator makes."""

from __future__ import annotations

import yaml

from tests.e2e.harness import FINALIZER, Manifest, Tenant


def apply_as(tenant: Tenant, manager: str, manifest: Manifest) -> None:
    tenant.kubectl("apply", "--server-side", "--field-manager", manager, "-f", "-", stdin=yaml.safe_dump(manifest))


def behaviors_of(tenant: Tenant, *behaviors: Manifest) -> Manifest:
    """A manifest that holds nothing but behaviours."""
    full = tenant.cdn()
    return {**full, "spec": {"behaviors": list(behaviors)}}


def test_two_managers_keep_each_others_behaviours(tenant: Tenant) -> None:
    apply_as(tenant, "platform", tenant.cdn())
    apply_as(tenant, "shop", behaviors_of(tenant, {"path": "/shop/*", "origin": "assets", "preset": "html"}))
    id = tenant.ready()["status"]["outputs"]["id"]
    assert [behavior["PathPattern"] for behavior in tenant.config(id)["CacheBehaviors"]["Items"]] == ["/shop/*"]
    apply_as(tenant, "platform", {**tenant.cdn(comment="from the platform")})
    tenant.ready()
    config = tenant.config(id)
    assert config["Comment"] == "from the platform"
    assert [behavior["PathPattern"] for behavior in config["CacheBehaviors"]["Items"]] == ["/shop/*"]
    apply_as(tenant, "shop", behaviors_of(tenant))
    tenant.ready()
    assert tenant.config(id)["CacheBehaviors"]["Quantity"] == 0, "what a manager no longer asks for goes"


def test_the_operator_makes_no_difference_to_what_was_applied(tenant: Tenant) -> None:
    """Finalizer and status are there, and `kubectl diff` has nothing to say."""
    manifest = yaml.safe_dump(tenant.cdn(comment="the shop", alarms={}, policy={"interval": "1m"}))
    tenant.kubectl("apply", "-f", "-", stdin=manifest)
    body = tenant.ready()
    assert body["metadata"]["finalizers"] == [FINALIZER]
    diff = tenant.kubectl("diff", "-f", "-", stdin=manifest, check=False)
    assert (diff.returncode, diff.stdout) == (0, "")
    again = tenant.kubectl("apply", "-f", "-", stdin=manifest)
    assert again.stdout.strip().endswith("unchanged")
    assert tenant.get()["metadata"]["generation"] == 1, "the operator never edits the spec"


def test_the_same_with_server_side_apply(tenant: Tenant) -> None:
    manifest = tenant.cdn(comment="the shop")
    apply_as(tenant, "argocd", manifest)
    tenant.ready()
    before = tenant.get()["metadata"]
    diff = tenant.kubectl("diff", "--server-side", "--field-manager", "argocd", "-f", "-", stdin=yaml.safe_dump(manifest), check=False)
    assert (diff.returncode, diff.stdout) == (0, "")
    owners = {entry["manager"]: entry.get("subresource", "") for entry in before["managedFields"]}
    assert owners["argocd"] == ""

"""What is asked for once, by annotation: an invalidation, a look now."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.aws.endpoint import AwsEndpoint
from tests.e2e.harness import Own, Tenant, kill, until


def invalidations(tenant: Tenant, id: str) -> list[list[str]]:
    """Paths of each invalidation of a distribution."""
    cloudfront = tenant.aws("cloudfront")
    listed = cloudfront.list_invalidations(DistributionId=id)["InvalidationList"].get("Items", [])
    found = [cloudfront.get_invalidation(DistributionId=id, Id=one["Id"])["Invalidation"] for one in listed]
    return [sorted(one["InvalidationBatch"]["Paths"]["Items"]) for one in found]


def completed(tenant: Tenant, token: str) -> dict[str, object]:
    def done() -> dict[str, object] | None:
        said: dict[str, object] = tenant.get()["status"].get("invalidation") or {}
        return said if (said.get("token"), said.get("status")) == (token, "Completed") else None

    return until(done, "the invalidation to be completed", operator=tenant.operator)


def test_an_invalidation_is_made_once_and_told(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn())
    id = tenant.ready()["status"]["outputs"]["id"]
    tenant.annotate("site", invalidate="release-7 /index.html /assets/*")
    said = completed(tenant, "release-7")
    assert said["paths"] == ["/assets/*", "/index.html"]
    assert tenant.get()["status"]["acknowledged"]["invalidate"].startswith("release-7")
    tenant.ready()
    tenant.annotate("site", refresh="look")
    until(lambda: tenant.get()["status"]["acknowledged"].get("refresh") == "look", "another pass", operator=tenant.operator)
    assert invalidations(tenant, id) == [["/assets/*", "/index.html"]]


def test_a_new_token_is_a_new_invalidation(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn())
    id = tenant.ready()["status"]["outputs"]["id"]
    for token in ("first", "second"):
        tenant.annotate("site", invalidate=f"{token} /*")
        completed(tenant, token)
    assert invalidations(tenant, id) == [["/*"], ["/*"]]


@pytest.fixture
def slow(endpoint: AwsEndpoint) -> Iterator[None]:
    """Invalidations take long enough to ask for another one meanwhile."""
    settings = endpoint.control.settings
    before, settings.invalidation_s = settings.invalidation_s, 6.0
    yield
    settings.invalidation_s = before


@pytest.mark.usefixtures("slow")
def test_one_asked_for_while_another_runs_is_made_once_too(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn())
    id = tenant.ready()["status"]["outputs"]["id"]
    at = tenant.mark()
    for token in ("first", "second", "third"):
        tenant.annotate("site", invalidate=f"{token} /{token}")
        until(lambda token=token: [f"/{token}"] in invalidations(tenant, id), "it to be asked for", operator=tenant.operator)  # type: ignore[misc]
    assert completed(tenant, "third")["paths"] == ["/third"]
    assert tenant.get()["status"]["acknowledged"]["invalidate"].startswith("third")
    tenant.annotate("site", refresh="look")
    until(lambda: tenant.get()["status"]["acknowledged"].get("refresh") == "look", "another pass", operator=tenant.operator)
    assert sorted(invalidations(tenant, id)) == [["/first"], ["/second"], ["/third"]]
    assert tenant.writes(at) == ["CreateInvalidation"] * 3


def test_a_running_invalidation_survives_kill_9(own_tenant: Own) -> None:
    tenant = own_tenant.tenant
    operator = own_tenant.operator()
    tenant.apply(tenant.cdn())
    id = tenant.ready()["status"]["outputs"]["id"]
    at = tenant.mark()
    tenant.annotate("site", invalidate="release-7 /*")
    until(lambda: "CreateInvalidation" in tenant.writes(at), "the invalidation", operator=operator)
    kill(operator)
    own_tenant.operator()
    completed(tenant, "release-7")
    assert invalidations(tenant, id) == [["/*"]]


def test_a_refresh_is_acknowledged(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn(policy={"interval": "1h"}))
    id = tenant.ready()["status"]["outputs"]["id"]
    tenant.edit(id, lambda config: config.update(PriceClass="PriceClass_100"))
    tenant.annotate("site", refresh="token-1")
    until(lambda: tenant.config(id)["PriceClass"] == "PriceClass_All", "the repair", 5, tenant.operator)
    until(lambda: tenant.get()["status"].get("acknowledged", {}).get("refresh") == "token-1", "the acknowledgement", operator=tenant.operator)

"""What bad input and a bad day get: a condition in plain words, nothing half-made forgotten, nothing of others touched."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lab.certificates import CertificateAuthority
from tests.e2e.harness import FINALIZER, INSTANCE, OWNER_TAG, Manifest, Tenant, conditions, until
from tests.lab.aws_objects import distribution, items


def alias(tenant: Tenant) -> str:
    """A name that CloudFront has not seen: an alias is one distribution's in the whole world."""
    return f"{tenant.namespace}.example.com"


def goes_on(tenant: Tenant, since: float) -> None:
    """The missing reference is no longer complained of, five seconds after `since` at the latest."""
    rest = 5 - (time.monotonic() - since)
    until(lambda: conditions(tenant.get())["Ready"][1] != "ReferenceNotFound", "the object to go on", rest, tenant.operator)
    tenant.ready()


def denied(tenant: Tenant, operation: str) -> None:
    """As IAM says it."""
    arn = f"arn:aws:cloudfront::{tenant.account}:distribution/*"
    who = f"arn:aws:sts::{tenant.account}:assumed-role/securebase/securebase-operator"
    message = f"User: {who} is not authorized to perform: cloudfront:{operation} on resource: {arn} because no identity-based policy allows it"
    names = {"CreateDistribution": "CreateDistribution*"}
    tenant.endpoint.control.fail("cloudfront", names.get(operation, operation), "AccessDenied", 403, account=tenant.account, message=message)


def certificate(tenant: Tenant, directory: Path, name: str) -> str:
    """ARN of an issued certificate for a name."""
    pem, key = CertificateAuthority(directory).server("app", [name], [])
    answer = tenant.aws("acm").import_certificate(Certificate=pem.read_bytes(), PrivateKey=key.read_bytes())
    return str(answer["CertificateArn"])


def named(tenant: Tenant, arn: str, name: str = "site", **spec: Any) -> Manifest:
    """A distribution with the alias."""
    return tenant.cdn(name, aliases=[alias(tenant)], certificate={"arn": arn}, **spec)


def theirs(tenant: Tenant, arn: str, name: str, **tags: str) -> str:
    """Somebody else's distribution with that alias, made by hand; its id."""
    viewer = {"ACMCertificateArn": arn, "SSLSupportMethod": "sni-only", "MinimumProtocolVersion": "TLSv1.2_2021"}
    config = distribution("theirs", Comment="theirs", Aliases=items(name), ViewerCertificate=viewer)
    tagged = {"Items": [{"Key": OWNER_TAG, "Value": value} for value in tags.values()]}
    cloudfront = tenant.aws("cloudfront")
    made = cloudfront.create_distribution_with_tags(DistributionConfigWithTags={"DistributionConfig": config, "Tags": tagged})
    return str(made["Distribution"]["Id"])


def test_a_missing_account_is_waited_for(tenant: Tenant) -> None:
    tenant.plane.call("DELETE", f"/apis/securebase.io/v1alpha1/awsaccounts/{tenant.account_name}")
    tenant.apply(tenant.cdn())
    assert tenant.account_name in tenant.says("Ready", "False", "ReferenceNotFound")
    appeared = time.monotonic()
    tenant.apply(tenant.account_manifest())
    goes_on(tenant, appeared)


def test_a_missing_secret_is_waited_for(tenant: Tenant) -> None:
    header = {"name": "x-origin-verify", "valueFrom": {"secretKeyRef": {"name": "verify", "key": "token"}}}
    tenant.apply(tenant.cdn(origins=[{"id": "assets", "custom": {"domainName": "api.example.com"}, "headers": [header]}]))
    assert f"Secret {tenant.namespace}/verify key token does not exist" in tenant.says("Ready", "False", "ReferenceNotFound")
    assert tenant.distributions() == []
    appeared = time.monotonic()
    tenant.apply(tenant.secret("verify", token="s3cret"))
    goes_on(tenant, appeared)


def test_a_missing_bucket_is_waited_for(tenant: Tenant) -> None:
    late = f"{tenant.bucket}-late"
    tenant.apply(tenant.cdn(origins=[{"id": "assets", "s3": {"bucket": late}}]))
    assert "bucket-assets" in tenant.says("Ready", "False", "ReferenceNotFound")
    appeared = time.monotonic()
    tenant.make_bucket(late)
    goes_on(tenant, appeared)


def test_a_denied_create_names_action_and_arn(tenant: Tenant) -> None:
    denied(tenant, "CreateDistribution")
    tenant.apply(tenant.cdn())
    told = tenant.says("Stalled", "True", "AccessDenied")
    assert "cloudfront:CreateDistribution" in told
    assert f"arn:aws:cloudfront::{tenant.account}:distribution/*" in told
    assert tenant.get()["metadata"]["finalizers"] == [FINALIZER]
    tenant.endpoint.control.clear_rules()
    tenant.ready()


def test_a_denied_read_is_not_absence(tenant: Tenant) -> None:
    """Deletion may neither skip the distribution nor let the object go."""
    tenant.apply(tenant.cdn())
    tenant.ready()
    denied(tenant, "GetDistribution")
    at = tenant.mark()
    tenant.delete("site")
    assert "cloudfront:GetDistribution" in tenant.says("Stalled", "True", "AccessDenied")
    assert tenant.get()["metadata"]["finalizers"] == [FINALIZER]
    assert "DeleteDistribution" not in tenant.writes(at)
    assert len(tenant.distributions()) == 1
    tenant.endpoint.control.clear_rules()
    tenant.gone("site")
    assert tenant.distributions() == []


def test_an_alias_of_another_account_stalls_one_object_alone(tenant: Tenant, tmp_path: Path) -> None:
    other = Tenant(tenant.plane, tenant.endpoint, "elsewhere")
    theirs(other, certificate(other, tmp_path / "other", alias(tenant)), alias(tenant))
    arn = certificate(tenant, tmp_path / "ours", alias(tenant))
    tenant.apply(named(tenant, arn), tenant.cdn("sibling"))
    tenant.ready("sibling")
    told = tenant.says("Stalled", "True", "CNAMEAlreadyExists")
    assert "another distribution already has one of the aliases" in told
    tenant.delete("site")
    tenant.gone("site")
    policies = tenant.aws("cloudfront").list_cache_policies(Type="custom")["CachePolicyList"]
    assert policies.get("Quantity") == 1, "what the sibling shares with it stays"


def test_a_certificate_of_another_region_stalls(tenant: Tenant) -> None:
    tenant.apply(named(tenant, f"arn:aws:acm:eu-west-1:{tenant.account}:certificate/5b1a3f6e-0000-4000-8000-000000000000"))
    until(lambda: conditions(tenant.get()).get("Stalled", ("",))[0] == "True", "Stalled", operator=tenant.operator)
    assert "us-east-1" in conditions(tenant.get())["Ready"][2]
    assert tenant.distributions() == []


def test_a_quota_stalls_and_is_named(tenant: Tenant) -> None:
    tenant.endpoint.control.fail("cloudfront", "CreateCachePolicy", "TooManyCachePolicies", 400, account=tenant.account)
    tenant.apply(tenant.cdn())
    assert "quota" in tenant.says("Stalled", "True", "TooManyCachePolicies").lower()
    tenant.endpoint.control.clear_rules()
    tenant.ready()


def test_deletion_waits_for_aws_to_come_back(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn())
    tenant.ready()
    tenant.endpoint.control.fail("*", "*", "ServiceUnavailable", 503, account=tenant.account)
    at = tenant.mark()
    tenant.delete("site")
    until(lambda: len([call for call in tenant.calls(at) if call.status == 503]) >= 2, "a retry", operator=tenant.operator)
    until(lambda: conditions(tenant.get())["Ready"][0] == "False", "the object to say so", operator=tenant.operator)
    assert tenant.get()["metadata"]["finalizers"] == [FINALIZER]
    until(lambda: tenant.events(reason="DeletionBlocked"), "an Event about it", operator=tenant.operator)
    tenant.endpoint.control.clear_rules()
    tenant.gone("site")
    assert tenant.distributions() == []


def test_retain_lets_go_at_once_even_when_aws_is_down(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn(policy={"onDelete": "Retain"}))
    tenant.ready()
    tenant.endpoint.control.fail("*", "*", "ServiceUnavailable", 503, account=tenant.account)
    tenant.delete("site")
    tenant.gone("site", deadline=5)
    assert tenant.events(reason="Retained") == ["the outside resources stay as they are"]
    tenant.endpoint.control.clear_rules()
    [kept] = tenant.distributions()
    assert kept["Enabled"] is True


def test_what_is_not_ours_is_not_touched(tenant: Tenant, tmp_path: Path) -> None:
    arn = certificate(tenant, tmp_path, alias(tenant))
    id = theirs(tenant, arn, alias(tenant))
    before = tenant.config(id)
    tenant.apply(named(tenant, arn))
    told = tenant.says("Stalled", "True", "NotOwned")
    assert id in told
    assert "policy.adopt: Always" in told
    assert tenant.config(id) == before
    tenant.delete("site")
    tenant.gone("site")
    assert tenant.config(id) == before, "deleting the object is no reason either"


def test_adopt_always_takes_over_what_nobody_owns(tenant: Tenant, tmp_path: Path) -> None:
    arn = certificate(tenant, tmp_path, alias(tenant))
    id = theirs(tenant, arn, alias(tenant))
    tenant.apply(named(tenant, arn, comment="ours", policy={"adopt": "Always"}))
    assert tenant.ready()["status"]["outputs"]["id"] == id
    assert tenant.config(id)["Comment"] == "ours"
    assert tenant.tags(id)[OWNER_TAG] == f"{INSTANCE}/CdnDistribution/{tenant.namespace}/site/distribution"
    assert len(tenant.distributions()) == 1


def test_another_instances_is_never_taken(tenant: Tenant, tmp_path: Path) -> None:
    arn = certificate(tenant, tmp_path, alias(tenant))
    owner = "production/CdnDistribution/web/site/distribution"
    id = theirs(tenant, arn, alias(tenant), owner=owner)
    before = tenant.config(id)
    tenant.apply(named(tenant, arn, policy={"adopt": "Always"}))
    assert owner in tenant.says("Stalled", "True", "OwnedByAnother")
    assert tenant.config(id) == before
    assert tenant.tags(id) == {OWNER_TAG: owner}


def test_credentials_of_another_account_are_refused(tenant: Tenant) -> None:
    """Without a role these are the operator's own credentials, which belong to an account of their own."""
    tenant.account_patch({"spec": {"roleArn": None}})

    def refused() -> str | None:
        ready = conditions(tenant.account_object()).get("Ready", ("", "", ""))
        return ready[2] if ready[:2] == ("False", "WrongAccount") else None

    assert tenant.account in until(refused, "the account to be refused", operator=tenant.operator)
    at = tenant.mark()
    tenant.apply(tenant.cdn())
    tenant.says("Stalled", "True", "WrongAccount")
    assert tenant.writes(at) == []
    assert "finalizers" not in tenant.get()["metadata"]


def test_an_object_that_never_wrote_goes_at_once(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn(origins=[{"id": "assets", "s3": {"bucket": f"{tenant.bucket}-never"}}]))
    tenant.says("Ready", "False", "ReferenceNotFound")
    tenant.delete("site")
    tenant.gone("site")

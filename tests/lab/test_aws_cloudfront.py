"""CloudFront at the lab's endpoint: deployments, references, names, what is in use, quotas, defaults and pages."""

from __future__ import annotations

from typing import Any

import pytest

from lab.aws.endpoint import Control
from tests.lab.aws_objects import CACHING_OPTIMIZED, cache_policy, distribution, items, refused
from tests.lab.conftest import MakeClient


@pytest.fixture
def cloudfront(client: MakeClient) -> Any:
    return client("cloudfront")


def create(cloudfront: Any, **changes: Any) -> tuple[str, str]:
    """Id and ETag of a new distribution."""
    made = cloudfront.create_distribution(DistributionConfig=distribution(**changes))
    return made["Distribution"]["Id"], made["ETag"]


def status_of(cloudfront: Any, identifier: str) -> tuple[str, str]:
    """By id and in the list."""
    listed = cloudfront.list_distributions()["DistributionList"]["Items"]
    return cloudfront.get_distribution(Id=identifier)["Distribution"]["Status"], next(d["Status"] for d in listed if d["Id"] == identifier)


def test_create_and_update_are_in_progress_until_deployed(cloudfront: Any, control: Control) -> None:
    made = cloudfront.create_distribution(DistributionConfig=distribution())
    identifier, etag = made["Distribution"]["Id"], made["ETag"]
    assert made["Distribution"]["Status"] == "InProgress"
    assert status_of(cloudfront, identifier) == ("InProgress", "InProgress")
    control.advance(601)
    assert status_of(cloudfront, identifier) == ("Deployed", "Deployed")
    cloudfront.update_distribution(Id=identifier, IfMatch=etag, DistributionConfig=distribution(Comment="new"))
    assert status_of(cloudfront, identifier) == ("InProgress", "InProgress")


def test_delete_waits_for_the_disabling_to_be_deployed(cloudfront: Any, control: Control) -> None:
    identifier, etag = create(cloudfront)
    control.advance(601)
    refused("DistributionNotDisabled", cloudfront.delete_distribution, Id=identifier, IfMatch=etag)
    disabled = cloudfront.update_distribution(Id=identifier, IfMatch=etag, DistributionConfig=distribution(Enabled=False))
    refused("DistributionNotDisabled", cloudfront.delete_distribution, Id=identifier, IfMatch=disabled["ETag"])
    control.advance(601)
    refused("PreconditionFailed", cloudfront.delete_distribution, Id=identifier, IfMatch=etag)
    cloudfront.delete_distribution(Id=identifier, IfMatch=disabled["ETag"])
    refused("NoSuchDistribution", cloudfront.get_distribution, Id=identifier)


def test_the_list_carries_the_current_etag_and_a_time_with_milliseconds(cloudfront: Any) -> None:
    identifier, etag = create(cloudfront)
    before = cloudfront.list_distributions()["DistributionList"]["Items"][0]
    assert before["ETag"] == etag
    updated = cloudfront.update_distribution(Id=identifier, IfMatch=etag, DistributionConfig=distribution(Comment="2"))
    after = cloudfront.list_distributions()["DistributionList"]["Items"][0]
    assert after["ETag"] == updated["ETag"] != etag
    assert after["LastModifiedTime"] > before["LastModifiedTime"]


def test_two_updates_in_one_second_differ_in_time(cloudfront: Any) -> None:
    made = cloudfront.create_cache_policy(CachePolicyConfig=cache_policy("p"))
    identifier, times = made["CachePolicy"]["Id"], [made["CachePolicy"]["LastModifiedTime"]]
    updated = cloudfront.update_cache_policy(Id=identifier, IfMatch=made["ETag"], CachePolicyConfig=cache_policy("p", default=61))
    times.append(updated["CachePolicy"]["LastModifiedTime"])
    listed = cloudfront.list_cache_policies(Type="custom")["CachePolicyList"]["Items"][0]["CachePolicy"]["LastModifiedTime"]
    assert times[0] < times[1] == listed == cloudfront.get_cache_policy(Id=identifier)["CachePolicy"]["LastModifiedTime"]
    config = {"Comment": "", "Runtime": "cloudfront-js-2.0"}
    first = cloudfront.create_function(Name="f", FunctionConfig=config, FunctionCode=b"1")
    cloudfront.update_function(Name="f", IfMatch=first["ETag"], FunctionConfig=config, FunctionCode=b"2")
    shown = cloudfront.list_functions(Stage="DEVELOPMENT")["FunctionList"]["Items"][0]["FunctionMetadata"]["LastModifiedTime"]
    assert shown > first["FunctionSummary"]["FunctionMetadata"]["LastModifiedTime"]


def test_what_was_left_out_comes_back_filled_in(cloudfront: Any) -> None:
    identifier, _ = create(cloudfront)
    config = cloudfront.get_distribution_config(Id=identifier)["DistributionConfig"]
    assert config["HttpVersion"] == "http2"
    assert config["ViewerCertificate"]["CloudFrontDefaultCertificate"] is True
    assert config["DefaultCacheBehavior"]["AllowedMethods"]["Items"] == ["HEAD", "GET"]
    assert config["Origins"]["Items"][0]["ConnectionAttempts"] == 3


def test_what_was_given_comes_back_unchanged(cloudfront: Any) -> None:
    methods = items("GET", "HEAD", "OPTIONS") | {"CachedMethods": items("GET", "HEAD")}
    identifier, _ = create(cloudfront, Comment="c", PriceClass="PriceClass_100", behavior={"Compress": True, "AllowedMethods": methods})
    config = cloudfront.get_distribution_config(Id=identifier)["DistributionConfig"]
    assert (config["Comment"], config["PriceClass"]) == ("c", "PriceClass_100")
    assert config["DefaultCacheBehavior"]["Compress"] is True
    assert set(config["DefaultCacheBehavior"]["AllowedMethods"]["Items"]) == {"GET", "HEAD", "OPTIONS"}


def test_a_caller_reference_is_used_once(cloudfront: Any) -> None:
    identifier, etag = create(cloudfront)
    refused("DistributionAlreadyExists", cloudfront.create_distribution, DistributionConfig=distribution())
    refused("IllegalUpdate", cloudfront.update_distribution, Id=identifier, IfMatch=etag, DistributionConfig=distribution("two"))


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("NoSuchCachePolicy", {"behavior": {"CachePolicyId": "none-such"}}),
        ("NoSuchOriginRequestPolicy", {"behavior": {"OriginRequestPolicyId": "none-such"}}),
        ("NoSuchResponseHeadersPolicy", {"behavior": {"ResponseHeadersPolicyId": "none-such"}}),
        (
            "InvalidFunctionAssociation",
            {"behavior": {"FunctionAssociations": items({"FunctionARN": "arn:aws:cloudfront::000000000000:function/no", "EventType": "viewer-request"})}},
        ),
        ("InvalidOriginAccessControl", {"origin": {"OriginAccessControlId": "none-such"}}),
        ("NoSuchOrigin", {"behavior": {"TargetOriginId": "none-such"}}),
        ("InvalidViewerCertificate", {"Aliases": items("a.example.com")}),
        (
            "InvalidViewerCertificate",
            {
                "ViewerCertificate": {
                    "ACMCertificateArn": "arn:aws:acm:us-east-1:000000000000:certificate/no",
                    "SSLSupportMethod": "sni-only",
                }
            },
        ),
        ("InvalidWebACLId", {"WebACLId": "arn:aws:wafv2:eu-west-1:000000000000:regional/webacl/a/b"}),
        ("InvalidDefaultRootObject", {"DefaultRootObject": "/index.html"}),
        ("InvalidArgument", {"HttpVersion": "http9"}),
        ("InvalidArgument", {"behavior": {"AllowedMethods": items("GET", "HEAD", "POST")}}),
        ("InconsistentQuantities", {"Aliases": {"Quantity": 2, "Items": ["a.example.com"]}}),
        (
            "InvalidLambdaFunctionAssociation",
            {
                "behavior": {
                    "LambdaFunctionAssociations": items(
                        {"LambdaFunctionARN": "arn:aws:lambda:eu-west-1:000000000000:function:f:1", "EventType": "origin-request"}
                    )
                }
            },
        ),
    ],
)
def test_a_distribution_is_refused(cloudfront: Any, code: str, changes: dict[str, Any]) -> None:
    refused(code, cloudfront.create_distribution, DistributionConfig=distribution(**changes))
    assert "Items" not in cloudfront.list_distributions()["DistributionList"]


@pytest.mark.parametrize(
    "wrong",
    [
        cache_policy("p", low=100, default=10),
        cache_policy("p", default=100, high=10),
        cache_policy("p", default=0, high=0, EnableAcceptEncodingGzip=True),
        cache_policy("p", default=0, high=0, HeadersConfig={"HeaderBehavior": "whitelist", "Headers": items("X-A")}),
        cache_policy("p", default=0, high=0, QueryStringsConfig={"QueryStringBehavior": "all"}),
        cache_policy("p", HeadersConfig={"HeaderBehavior": "whitelist"}),
    ],
)
def test_a_cache_policy_is_refused(cloudfront: Any, wrong: dict[str, Any]) -> None:
    refused("InvalidArgument", cloudfront.create_cache_policy, CachePolicyConfig=wrong)


def test_authorization_is_refused_in_an_origin_request_policy(cloudfront: Any) -> None:
    config = {
        "Name": "p",
        "HeadersConfig": {"HeaderBehavior": "whitelist", "Headers": items("Authorization")},
        "CookiesConfig": {"CookieBehavior": "none"},
        "QueryStringsConfig": {"QueryStringBehavior": "none"},
    }
    assert "Authorization" in refused("InvalidArgument", cloudfront.create_origin_request_policy, OriginRequestPolicyConfig=config)


def test_a_policy_given_no_lists_has_none(cloudfront: Any) -> None:
    made = cloudfront.create_cache_policy(CachePolicyConfig=cache_policy("p"))["CachePolicy"]
    key = made["CachePolicyConfig"]["ParametersInCacheKeyAndForwardedToOrigin"]
    assert key["CookiesConfig"] == {"CookieBehavior": "none"}
    assert key["HeadersConfig"] == {"HeaderBehavior": "none"}


def test_managed_policies_exist(cloudfront: Any) -> None:
    listed = cloudfront.list_cache_policies(Type="managed")["CachePolicyList"]["Items"]
    assert CACHING_OPTIMIZED in {entry["CachePolicy"]["Id"] for entry in listed}
    assert {entry["Type"] for entry in listed} == {"managed"}
    create(
        cloudfront,
        behavior={
            "OriginRequestPolicyId": "b689b0a8-53d0-40ab-baf2-68738e2966ac",
            "ResponseHeadersPolicyId": "67f7725c-6f97-4210-82d7-5512b31e9d03",
        },
    )
    for identifier in ("4135ea2d-6df8-44a3-9df3-4b5a84be39ad", CACHING_OPTIMIZED):
        assert cloudfront.get_cache_policy(Id=identifier)["CachePolicy"]["Id"] == identifier
    assert cloudfront.get_origin_request_policy(Id="216adef6-5c7f-47e4-b989-5492eafa07d3")


def test_what_a_distribution_uses_cannot_be_deleted(cloudfront: Any) -> None:
    policy = cloudfront.create_cache_policy(CachePolicyConfig=cache_policy("p"))
    oac_config = {"Name": "o", "SigningProtocol": "sigv4", "SigningBehavior": "always", "OriginAccessControlOriginType": "s3"}
    oac = cloudfront.create_origin_access_control(OriginAccessControlConfig=oac_config)
    function = cloudfront.create_function(Name="f", FunctionConfig={"Comment": "", "Runtime": "cloudfront-js-2.0"}, FunctionCode=b"x")
    arn = function["FunctionSummary"]["FunctionMetadata"]["FunctionARN"]
    used: dict[str, Any] = {
        "behavior": {
            "CachePolicyId": policy["CachePolicy"]["Id"],
            "FunctionAssociations": items({"FunctionARN": arn, "EventType": "viewer-request"}),
        },
        "origin": {"OriginAccessControlId": oac["OriginAccessControl"]["Id"]},
    }
    refused("InvalidFunctionAssociation", cloudfront.create_distribution, DistributionConfig=distribution(**used))
    live = cloudfront.publish_function(Name="f", IfMatch=function["ETag"])
    assert live["FunctionSummary"]["FunctionMetadata"]["Stage"] == "LIVE"
    identifier, etag = create(cloudfront, **used)
    refused("CachePolicyInUse", cloudfront.delete_cache_policy, Id=policy["CachePolicy"]["Id"], IfMatch=policy["ETag"])
    refused("OriginAccessControlInUse", cloudfront.delete_origin_access_control, Id=oac["OriginAccessControl"]["Id"], IfMatch=oac["ETag"])
    refused("FunctionInUse", cloudfront.delete_function, Name="f", IfMatch=function["ETag"])
    assert cloudfront.list_distributions_by_cache_policy_id(CachePolicyId=policy["CachePolicy"]["Id"])["DistributionIdList"]["Items"] == [identifier]
    cloudfront.update_distribution(Id=identifier, IfMatch=etag, DistributionConfig=distribution())
    cloudfront.delete_cache_policy(Id=policy["CachePolicy"]["Id"], IfMatch=policy["ETag"])
    cloudfront.delete_origin_access_control(Id=oac["OriginAccessControl"]["Id"], IfMatch=oac["ETag"])


def test_the_quota_of_custom_cache_policies_is_twenty(cloudfront: Any, client: MakeClient) -> None:
    for number in range(20):
        cloudfront.create_cache_policy(CachePolicyConfig=cache_policy(f"p{number}"))
    refused("TooManyCachePolicies", cloudfront.create_cache_policy, CachePolicyConfig=cache_policy("p20"))
    client("cloudfront", account="111122223333").create_cache_policy(CachePolicyConfig=cache_policy("p20"))
    one = next(entry["CachePolicy"] for entry in cloudfront.list_cache_policies(Type="custom")["CachePolicyList"]["Items"])
    cloudfront.delete_cache_policy(Id=one["Id"], IfMatch=cloudfront.get_cache_policy(Id=one["Id"])["ETag"])
    cloudfront.create_cache_policy(CachePolicyConfig=cache_policy("p20"))


def test_quotas_can_be_set(cloudfront: Any, control: Control) -> None:
    control.settings.quotas = {"distributions": 1, "Function": 0, "OriginAccessControl": 0}
    create(cloudfront)
    refused("TooManyDistributions", cloudfront.create_distribution, DistributionConfig=distribution("two"))
    config = {"Comment": "", "Runtime": "cloudfront-js-2.0"}
    refused("TooManyFunctions", cloudfront.create_function, Name="f", FunctionConfig=config, FunctionCode=b"x")


def test_a_policy_has_a_quota_of_distributions(cloudfront: Any, control: Control) -> None:
    control.settings.quotas = {"distributions_per_CachePolicy": 1}
    policy = cloudfront.create_cache_policy(CachePolicyConfig=cache_policy("p"))["CachePolicy"]["Id"]
    identifier, etag = create(cloudfront, behavior={"CachePolicyId": policy})
    second = distribution("two", behavior={"CachePolicyId": policy})
    refused("TooManyDistributionsAssociatedToCachePolicy", cloudfront.create_distribution, DistributionConfig=second)
    cloudfront.update_distribution(Id=identifier, IfMatch=etag, DistributionConfig=distribution(Comment="mine", behavior={"CachePolicyId": policy}))


def test_lists_come_in_pages(cloudfront: Any) -> None:
    made = [create(cloudfront, reference=str(number))[0] for number in range(7)]
    first = cloudfront.list_distributions(MaxItems="3")["DistributionList"]
    assert (first["Quantity"], first["IsTruncated"]) == (3, True)
    pages = cloudfront.get_paginator("list_distributions").paginate(PaginationConfig={"PageSize": 3})
    assert [entry["Id"] for page in pages for entry in page["DistributionList"]["Items"]] == made
    whole = cloudfront.list_distributions()["DistributionList"]
    assert (whole["Quantity"], whole["IsTruncated"]) == (7, False)
    policies = cloudfront.list_cache_policies(MaxItems="2")["CachePolicyList"]
    assert (policies["Quantity"], bool(policies["NextMarker"])) == (2, True)


def test_an_invalidation_is_in_progress_for_a_while(cloudfront: Any, control: Control) -> None:
    identifier, _ = create(cloudfront)
    batch = {"CallerReference": "a", "Paths": items("/a", "/b/*")}
    made = cloudfront.create_invalidation(DistributionId=identifier, InvalidationBatch=batch)["Invalidation"]
    assert made["Status"] == "InProgress"
    assert cloudfront.list_invalidations(DistributionId=identifier)["InvalidationList"]["Items"][0]["Status"] == "InProgress"
    assert cloudfront.get_distribution(Id=identifier)["Distribution"]["InProgressInvalidationBatches"] == 1
    control.advance(601)
    assert cloudfront.get_invalidation(DistributionId=identifier, Id=made["Id"])["Invalidation"]["Status"] == "Completed"


def test_too_many_invalidations_in_progress(cloudfront: Any, control: Control) -> None:
    identifier, _ = create(cloudfront)
    paths = items(*(f"/{number}/*" for number in range(15)))
    cloudfront.create_invalidation(DistributionId=identifier, InvalidationBatch={"CallerReference": "a", "Paths": paths})
    more = {"CallerReference": "b", "Paths": items("/more/*")}
    refused("TooManyInvalidationsInProgress", cloudfront.create_invalidation, DistributionId=identifier, InvalidationBatch=more)
    control.advance(601)
    cloudfront.create_invalidation(DistributionId=identifier, InvalidationBatch=more)

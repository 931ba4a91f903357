"""kubectl apply to AWS, and back again."""

from __future__ import annotations

import json
from typing import Any

from lab.operator import OperatorProcess
from tests.e2e.harness import FINALIZER, INSTANCE, OWNER_TAG, Manifest, Tenant, until, user_name

OTHERS_STATEMENT = {
    "Sid": "Backup",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::PLACEHOLDER/*",
}


def full(tenant: Tenant) -> Manifest:
    """With everything that needs no domain: two origins, a single-page application, an API, all alarms and their topic."""
    return tenant.cdn(
        comment="the shop",
        defaultRootObject="index.html",
        origins=[
            {"id": "assets", "s3": {"bucket": tenant.bucket}},
            {"id": "api", "custom": {"domainName": "api.example.com"}, "headers": [{"name": "x-via", "value": "cdn"}]},
        ],
        behaviors=[
            {"path": "/api/*", "origin": "api", "preset": "api"},
            {"path": "*", "origin": "assets", "preset": "html", "spa": True},
        ],
        alarms={"createTopic": {"emails": ["ops@example.com"]}},
    )


def statements(tenant: Tenant) -> list[dict[str, Any]]:
    s3 = tenant.aws("s3")
    try:
        found: list[dict[str, Any]] = json.loads(s3.get_bucket_policy(Bucket=tenant.bucket)["Policy"])["Statement"]
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucketPolicy":
            return []
        raise
    return found


def put_others_statement(tenant: Tenant) -> dict[str, Any]:
    others = {**OTHERS_STATEMENT, "Resource": f"arn:aws:s3:::{tenant.bucket}/*"}
    tenant.aws("s3").put_bucket_policy(Bucket=tenant.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [others]}))
    return others


def custom(answer: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer[f"{kind}List"].get("Items", [])
    return found


def test_the_distribution_is_as_the_spec_says(tenant: Tenant) -> None:
    tenant.apply(full(tenant))
    body = tenant.ready()
    [distribution] = tenant.distributions()
    config = tenant.config(distribution["Id"])
    assert body["metadata"]["finalizers"] == [FINALIZER]
    assert (config["Comment"], config["DefaultRootObject"], config["Enabled"]) == ("the shop", "index.html", True)
    assert {origin["Id"] for origin in config["Origins"]["Items"]} == {"assets", "api"}
    assert [behavior["PathPattern"] for behavior in config["CacheBehaviors"]["Items"]] == ["/api/*"]
    assert config["DefaultCacheBehavior"]["FunctionAssociations"]["Quantity"] == 1
    assert tenant.tags(distribution["Id"])[OWNER_TAG] == f"{INSTANCE}/CdnDistribution/{tenant.namespace}/site/distribution"


def test_the_outputs_stand_in_status_and_in_a_config_map(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn())
    body = tenant.ready()
    [distribution] = tenant.distributions()
    outputs = body["status"]["outputs"]
    assert (outputs["id"], outputs["arn"], outputs["domainName"]) == (distribution["Id"], distribution["ARN"], distribution["DomainName"])
    assert outputs["url"] == f"https://{distribution['DomainName']}"
    config_map = tenant.plane.call("GET", f"/api/v1/namespaces/{tenant.namespace}/configmaps/site-outputs")
    assert config_map["data"] == outputs
    assert [owner["uid"] for owner in config_map["metadata"]["ownerReferences"]] == [body["metadata"]["uid"]]


def test_the_outputs_are_published_once_their_name_is_free(tenant: Tenant) -> None:
    """As after a deletion and a new object at once: the ConfigMap of the old one goes a moment later."""
    taken = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "site-outputs", "namespace": tenant.namespace}, "data": {"theirs": "1"}}
    tenant.apply(taken, tenant.cdn())
    tenant.ready()
    [told] = tenant.events(reason="OutputsNotPublished")
    assert "NameTaken" in told
    path = f"/api/v1/namespaces/{tenant.namespace}/configmaps/site-outputs"
    assert tenant.plane.call("GET", path)["data"] == {"theirs": "1"}
    tenant.plane.call("DELETE", path)
    outputs = until(lambda: tenant.get()["status"].get("outputs"), "the outputs", operator=tenant.operator)
    assert tenant.plane.call("GET", path)["data"] == outputs


def test_only_this_distribution_is_let_into_the_bucket(tenant: Tenant) -> None:
    others = put_others_statement(tenant)
    tenant.apply(tenant.cdn())
    arn = tenant.ready()["status"]["outputs"]["arn"]
    theirs, ours = sorted(statements(tenant), key=lambda statement: statement["Sid"] != "Backup")
    assert theirs == others
    assert ours["Condition"]["StringEquals"] == {"AWS:SourceArn": arn, "aws:SourceAccount": tenant.account}


def test_deletion_leaves_nothing_behind(tenant: Tenant, operator: OperatorProcess) -> None:
    others = put_others_statement(tenant)
    tenant.apply(full(tenant))
    tenant.ready()
    labels = {"kind": "CdnDistribution", "namespace": tenant.namespace, "name": "site"}
    assert operator.sample("securebase_resource_ready", **labels) == 1
    tenant.delete("site")
    tenant.gone("site")
    cloudfront = tenant.aws("cloudfront")
    assert tenant.distributions() == []
    assert custom(cloudfront.list_cache_policies(Type="custom"), "CachePolicy") == []
    assert custom(cloudfront.list_origin_request_policies(Type="custom"), "OriginRequestPolicy") == []
    assert custom(cloudfront.list_response_headers_policies(Type="custom"), "ResponseHeadersPolicy") == []
    assert custom(cloudfront.list_origin_access_controls(), "OriginAccessControl") == []
    assert custom(cloudfront.list_functions(), "Function") == []
    assert tenant.aws("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert tenant.aws("sns").list_topics()["Topics"] == []
    assert statements(tenant) == [others]
    until(lambda: operator.sample("securebase_resource_ready", **labels) is None, "the object's series to disappear")
    assert f'namespace="{tenant.namespace}"' not in operator.metrics()


def test_a_changed_spec_is_carried_out(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn(comment="before"))
    id = tenant.ready()["status"]["outputs"]["id"]
    tenant.apply(tenant.cdn(comment="after", behaviors=[{"path": "*", "origin": "assets", "preset": "html"}]))
    tenant.ready()
    assert tenant.config(id)["Comment"] == "after"
    policies = custom(tenant.aws("cloudfront").list_cache_policies(Type="custom"), "CachePolicy")
    assert [policy["CachePolicy"]["CachePolicyConfig"]["DefaultTTL"] for policy in policies] == [3600], "the policy of the old preset is pruned"


def test_a_resource_the_spec_no_longer_wants_is_removed(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn(alarms={}))
    tenant.ready()
    assert len(tenant.aws("cloudwatch").describe_alarms()["MetricAlarms"]) == 4
    tenant.apply(tenant.cdn(alarms={"cacheHitRate": {"enabled": False}}))
    tenant.ready()
    names = [alarm["MetricName"] for alarm in tenant.aws("cloudwatch").describe_alarms()["MetricAlarms"]]
    assert sorted(names) == ["4xxErrorRate", "5xxErrorRate", "OriginLatency"]


def test_two_objects_share_what_is_equal(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn("first"), tenant.cdn("second"))
    tenant.ready("first")
    tenant.ready("second")
    cloudfront = tenant.aws("cloudfront")
    assert len(custom(cloudfront.list_cache_policies(Type="custom"), "CachePolicy")) == 1
    tenant.delete("first")
    tenant.gone("first")
    assert len(custom(cloudfront.list_cache_policies(Type="custom"), "CachePolicy")) == 1, "the other still uses it"
    tenant.delete("second")
    tenant.gone("second")
    assert custom(cloudfront.list_cache_policies(Type="custom"), "CachePolicy") == []


def test_an_idle_object_costs_no_write(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn())
    tenant.ready()
    at, position = tenant.mark(), tenant.plane.audit_log.mark()
    until(lambda: any(call.operation == "ListDistributions" for call in tenant.calls(at)), "a sweep of the account")
    again = tenant.mark()
    until(lambda: any(call.operation == "ListDistributions" for call in tenant.calls(again)), "another sweep of the account")
    assert tenant.writes(at) == []
    written = tenant.plane.audit_log.writes(since=position, user=user_name("securebase-operator"))
    assert [write.resource for write in written if write.namespace == tenant.namespace] == []

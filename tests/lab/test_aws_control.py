"""The controls of the lab's AWS endpoint: the log, delays, errors, lost answers, rates, stale reads, and the same over HTTP."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from lab.aws.endpoint import AwsEndpoint, Control
from lab.aws.limits import LIMITS, limit_of
from lab.aws.stale import resource_type
from lab.aws.wire import Call, service_model
from tests.lab.aws_objects import alarm, cache_policy, distribution, refused
from tests.lab.conftest import MakeClient


def ids(cloudfront: Any) -> list[str]:
    return [entry["Id"] for entry in cloudfront.list_distributions()["DistributionList"].get("Items", [])]


def test_every_call_is_logged(client: MakeClient, control: Control) -> None:
    cloudfront = client("cloudfront", account="111122223333", user_agent="operator/1")
    made = cloudfront.create_distribution(DistributionConfig=distribution())["Distribution"]["Id"]
    cloudfront.get_distribution(Id=made)
    refused("NoSuchDistribution", cloudfront.get_distribution, Id="none")
    written, read, failed = control.log.records()
    assert (written.service, written.operation, written.write, written.status) == ("cloudfront", "CreateDistribution", True, 201)
    assert (read.operation, read.write, read.resource) == ("GetDistribution", False, made)
    assert (failed.status, failed.code) == (404, "NoSuchDistribution")
    assert written.account == written.access_key == "111122223333"
    assert "operator/1" in written.user_agent
    assert written.latency_ms > 0
    assert control.log.counts() == {("cloudfront", "CreateDistribution"): 1, ("cloudfront", "GetDistribution"): 2}
    assert len(control.log.writes()) == 1
    control.log.clear()
    assert control.log.counts() == {}


def test_protocols_are_all_identified(client: MakeClient, control: Control) -> None:
    client("sns").list_topics()
    client("cloudwatch").describe_alarms()
    client("route53").list_hosted_zones()
    client("s3").list_buckets()
    client("logs").describe_deliveries()
    client("resourcegroupstaggingapi").get_resources()
    client("sts").get_caller_identity()
    assert [(record.service, record.operation) for record in control.log.records()] == [
        ("sns", "ListTopics"),
        ("cloudwatch", "DescribeAlarms"),
        ("route53", "ListHostedZones"),
        ("s3", "ListBuckets"),
        ("logs", "DescribeDeliveries"),
        ("resourcegroupstaggingapi", "GetResources"),
        ("sts", "GetCallerIdentity"),
    ]


def test_requests_are_checked_against_the_service_model(client: MakeClient) -> None:
    cloudwatch = client("cloudwatch", parameter_validation=False)
    refused("ValidationError", cloudwatch.put_metric_alarm, AlarmName="no more than a name")


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("cloudfront", "list_distributions", "AccessDenied"),
        ("sns", "list_topics", "AuthorizationError"),
        ("acm", "list_certificates", "AccessDeniedException"),
        ("cloudwatch", "describe_alarms", "AccessDenied"),
        ("s3", "list_buckets", "AccessDenied"),
        ("route53", "list_hosted_zones", "AccessDenied"),
    ],
)
def test_an_error_is_injected_in_the_protocol_of_the_service(client: MakeClient, control: Control, service: str, operation: str, code: str) -> None:
    control.fail(service, "*", code, status=403, times=1)
    call = getattr(client(service), operation)
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    call()


def test_an_error_hits_one_resource_only(client: MakeClient, control: Control) -> None:
    control.fail("cloudwatch", "PutMetricAlarm", "InternalServiceFault", status=500, contains='"bad"')
    cloudwatch = client("cloudwatch")
    cloudwatch.put_metric_alarm(**alarm("good"))
    refused("InternalServiceFault", cloudwatch.put_metric_alarm, **alarm("bad"))
    control.clear_rules()
    cloudwatch.put_metric_alarm(**alarm("bad"))


def test_an_answer_is_lost_after_the_deed(client: MakeClient, control: Control) -> None:
    control.lose_answer("cloudfront", "CreateDistribution")
    cloudfront = client("cloudfront")
    with pytest.raises(ConnectionClosedError):
        cloudfront.create_distribution(DistributionConfig=distribution())
    assert len(ids(cloudfront)) == 1
    assert [record.status for record in control.log.writes()] == [201]


def test_a_delay(client: MakeClient, control: Control) -> None:
    rule = control.delay(0.3, "sns")
    started = time.perf_counter()
    client("sns").list_topics()
    assert time.perf_counter() - started >= 0.3
    assert rule.hits == 1


def test_throttling_at_the_documented_rate(client: MakeClient, control: Control) -> None:
    control.throttle()
    cloudwatch = client("cloudwatch")
    for number in range(3):
        cloudwatch.put_metric_alarm(**alarm(f"a{number}"))
    refused("Throttling", cloudwatch.put_metric_alarm, **alarm("a3"))
    cloudwatch.describe_alarms()
    client("cloudwatch", account="111122223333").put_metric_alarm(**alarm())
    control.advance(0.34)
    cloudwatch.put_metric_alarm(**alarm("a3"))
    assert len(control.log.throttled()) == 1


def test_all_of_route_53_shares_one_rate_and_a_clock_may_be_scaled(client: MakeClient, control: Control) -> None:
    control.throttle()
    route53 = client("route53")
    for _ in range(4):
        route53.list_hosted_zones()
    route53.create_hosted_zone(Name="example.com", CallerReference="a")
    refused("Throttling", route53.list_hosted_zones)
    control.throttle(1000)
    for _ in range(20):
        route53.list_hosted_zones()


def test_every_limit_names_real_operations_and_its_source() -> None:
    for limit in LIMITS:
        model = service_model(limit.service)
        assert model is not None and limit.source
        assert {name for name in limit.operations if name[0] not in "*("} <= set(model.operation_names), limit
    assert limit_of(Call("GET", "/", {}, b"", service="iam", operation="ListRoles")) is None  # type: ignore[arg-type]


def test_lists_lag_behind_writes_and_reads_by_id_do_not(client: MakeClient, control: Control) -> None:
    control.stale(5)
    cloudfront = client("cloudfront")
    assert ids(cloudfront) == []
    made = cloudfront.create_distribution(DistributionConfig=distribution())["Distribution"]["Id"]
    assert ids(cloudfront) == []
    assert cloudfront.get_distribution(Id=made)["Distribution"]["Id"] == made
    assert control.stale_served == 1
    control.advance(5.1)
    assert ids(cloudfront) == [made]


def test_the_tagging_api_lags_behind_creates_and_deletes(client: MakeClient, control: Control) -> None:
    cloudwatch, tagging = client("cloudwatch"), client("resourcegroupstaggingapi")

    def tagged() -> int:
        return len(tagging.get_resources()["ResourceTagMappingList"])

    control.stale(5)
    assert tagged() == 0
    cloudwatch.put_metric_alarm(**alarm(), Tags=[{"Key": "k", "Value": "v"}])
    assert tagged() == 0
    control.advance(5.1)
    assert tagged() == 1
    cloudwatch.delete_alarms(AlarmNames=["errors"])
    assert tagged() == 1
    control.advance(5.1)
    assert tagged() == 0


def test_staleness_is_bounded_under_steady_writes(client: MakeClient, control: Control) -> None:
    control.stale(5)
    cloudfront = client("cloudfront")
    seen = [len(ids(cloudfront))]
    for number in range(5):
        cloudfront.create_distribution(DistributionConfig=distribution(str(number)))
        control.advance(2)
        seen.append(len(ids(cloudfront)))
    # The first list is served until its first missing write is 5 s old; then a fresh one.
    assert seen == [0, 0, 0, 3, 3, 3]


def test_reads_by_id_may_lag_too(client: MakeClient, control: Control) -> None:
    cloudfront = client("cloudfront")
    made = cloudfront.create_distribution(DistributionConfig=distribution())
    identifier = made["Distribution"]["Id"]
    control.stale(5, "reads")
    old = cloudfront.get_distribution(Id=identifier)["ETag"]
    cloudfront.update_distribution(Id=identifier, IfMatch=old, DistributionConfig=distribution(Comment="new"))
    assert cloudfront.get_distribution(Id=identifier)["ETag"] == old
    refused("PreconditionFailed", cloudfront.update_distribution, Id=identifier, IfMatch=old, DistributionConfig=distribution())
    control.advance(5.1)
    assert cloudfront.get_distribution(Id=identifier)["ETag"] != old


def test_what_is_new_may_be_absent_by_id(client: MakeClient, control: Control) -> None:
    control.stale(5, "absent")
    cloudfront = client("cloudfront")
    identifier = cloudfront.create_distribution(DistributionConfig=distribution())["Distribution"]["Id"]
    refused("NoSuchDistribution", cloudfront.get_distribution, Id=identifier)
    policy = cloudfront.create_cache_policy(CachePolicyConfig=cache_policy("p"))["CachePolicy"]["Id"]
    refused("NoSuchCachePolicy", cloudfront.get_cache_policy, Id=policy)
    control.advance(5.1)
    cloudfront.get_distribution(Id=identifier)


@pytest.mark.parametrize(
    ("service", "operations"),
    [
        (
            "cloudfront",
            (
                "CreateDistribution",
                "CreateDistributionWithTags",
                "UpdateDistribution",
                "GetDistributionConfig",
                "GetDistribution",
                "ListDistributions",
                "ListDistributionsByCachePolicyId",
            ),
        ),
        ("cloudfront", ("CreateCachePolicy", "ListCachePolicies", "GetCachePolicyConfig", "DeleteCachePolicy")),
        ("cloudwatch", ("PutMetricAlarm", "DescribeAlarms", "DeleteAlarms", "SetAlarmState")),
        ("acm", ("RequestCertificate", "DescribeCertificate", "ListCertificates")),
        ("route53", ("ChangeResourceRecordSets", "ListResourceRecordSets")),
        ("sns", ("CreateTopic", "ListTopics", "GetTopicAttributes", "SetTopicAttributes")),
        ("logs", ("CreateDelivery", "DescribeDeliveries", "GetDelivery", "UpdateDeliveryConfiguration")),
        ("s3", ("PutBucketPolicy", "GetBucketPolicy", "DeleteBucketPolicy")),
    ],
)
def test_operations_of_one_resource_type_share_a_noun(service: str, operations: tuple[str, ...]) -> None:
    calls = [Call("POST", "/", {}, b"", service=service, operation=operation) for operation in operations]  # type: ignore[arg-type]
    assert len({resource_type(call) for call in calls}) == 1, [resource_type(call) for call in calls]


def http(endpoint: AwsEndpoint, method: str, path: str, document: Any = None) -> Any:
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(f"{endpoint.url}/_lab/{path}", body, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return json.load(answer)


def test_the_controls_over_http(aws_endpoint: AwsEndpoint, client: MakeClient) -> None:
    sns = client("sns")
    http(
        aws_endpoint,
        "POST",
        "rules",
        {"action": "fail", "service": "sns", "operation": "ListTopics", "code": "InternalError", "status": 500},
    )
    refused("InternalError", sns.list_topics)
    assert http(aws_endpoint, "GET", "rules")[0]["hits"] == 1
    http(aws_endpoint, "DELETE", "rules")
    sns.create_topic(Name="t")
    calls = http(aws_endpoint, "GET", "calls?service=sns&code=InternalError")
    assert [(call["operation"], call["status"]) for call in calls] == [("ListTopics", 500)]
    assert http(aws_endpoint, "GET", "counts") == {"sns:CreateTopic": 1, "sns:ListTopics": 1}
    http(aws_endpoint, "POST", "stale", {"lag_s": 5})
    http(aws_endpoint, "POST", "throttle", {"scale": 1})
    http(aws_endpoint, "POST", "settings", {"distribution_deploy_s": 3})
    http(aws_endpoint, "POST", "reset")
    assert sns.list_topics()["Topics"] == []


def test_state_is_kept_apart_by_account_and_region(client: MakeClient) -> None:
    client("sns").create_topic(Name="t")
    assert client("sns", region="eu-west-1").list_topics()["Topics"] == []
    assert client("sns", account="111122223333").list_topics()["Topics"] == []

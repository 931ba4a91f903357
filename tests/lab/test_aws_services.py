"""CloudWatch, Logs, S3, SNS, STS and the tagging API at the lab's endpoint: what the emulators lack."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from lab.aws.endpoint import AwsEndpoint, Control
from tests.lab.aws_objects import alarm, distribution, refused
from tests.lab.conftest import MakeClient


def tags(**pairs: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def tagged_distribution(cloudfront: Any, reference: str = "one", **pairs: str) -> str:
    config = {"DistributionConfig": distribution(reference), "Tags": {"Items": tags(**pairs)}}
    return str(cloudfront.create_distribution_with_tags(DistributionConfigWithTags=config)["Distribution"]["ARN"])


@pytest.mark.parametrize(
    "changes",
    [
        {"Period": 7},
        {"DatapointsToAlarm": 9},
        {"Period": 3600, "EvaluationPeriods": 200},
        {"Period": 60, "EvaluationPeriods": 1441, "DatapointsToAlarm": 1},
        {"Statistic": "Average", "ExtendedStatistic": "p90"},
        {"AlarmActions": ["arn:aws:sns:eu-west-1:000000000000:topic"]},
        {"AlarmActions": [f"arn:aws:sns:us-east-1:000000000000:t{number}" for number in range(6)]},
        {"TreatMissingData": "whatever"},
        {"ComparisonOperator": "Like"},
    ],
)
def test_an_alarm_is_refused(client: MakeClient, changes: dict[str, Any]) -> None:
    refused("ValidationError", client("cloudwatch").put_metric_alarm, **alarm(**changes))


def test_an_alarm_keeps_its_dimensions_and_metric_maths(client: MakeClient) -> None:
    cloudwatch = client("cloudwatch")
    cloudwatch.put_metric_alarm(**alarm())
    metric = {"Namespace": "AWS/CloudFront", "MetricName": "Requests", "Dimensions": [{"Name": "Region", "Value": "Global"}]}
    maths = [
        {"Id": "requests", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, "ReturnData": False},
        {"Id": "double", "Expression": "requests * 2", "Label": "double", "ReturnData": True},
    ]
    cloudwatch.put_metric_alarm(AlarmName="maths", Metrics=maths, EvaluationPeriods=1, Threshold=1.0, ComparisonOperator="LessThanThreshold")
    found = {entry["AlarmName"]: entry for entry in cloudwatch.describe_alarms(AlarmNames=["errors", "maths"])["MetricAlarms"]}
    assert found["errors"]["Dimensions"] == alarm()["Dimensions"]
    assert "AlarmDescription" not in found["errors"]
    assert found["maths"]["Metrics"] == maths
    assert "MetricName" not in found["maths"]


def test_alarms_come_in_pages_of_at_most_a_hundred(client: MakeClient) -> None:
    cloudwatch = client("cloudwatch")
    for number in range(105):
        cloudwatch.put_metric_alarm(**alarm(f"a{number:03}"))
    first = cloudwatch.describe_alarms(MaxRecords=100)
    assert len(first["MetricAlarms"]) == 100
    assert len(cloudwatch.describe_alarms(MaxRecords=100, NextToken=first["NextToken"])["MetricAlarms"]) == 5


def test_tagged_resources_of_all_services_are_found_by_tag(client: MakeClient) -> None:
    cloudfront = tagged_distribution(client("cloudfront"), owner="me")
    tagged_distribution(client("cloudfront"), "two", owner="you")
    client("cloudwatch").put_metric_alarm(**alarm(), Tags=tags(owner="me"))
    client("cloudwatch").put_metric_alarm(**alarm(), Tags=tags(owner="ignored on an existing alarm"))
    topic = client("sns").create_topic(Name="t", Tags=tags(owner="me"))["TopicArn"]
    tagging = client("resourcegroupstaggingapi")
    mine = tagging.get_resources(TagFilters=[{"Key": "owner", "Values": ["me"]}])["ResourceTagMappingList"]
    assert {entry["ResourceARN"] for entry in mine} == {cloudfront, topic, "arn:aws:cloudwatch:us-east-1:000000000000:alarm:errors"}
    alarms = tagging.get_resources(TagFilters=[{"Key": "owner"}], ResourceTypeFilters=["cloudwatch:alarm"])["ResourceTagMappingList"]
    assert [entry["Tags"] for entry in alarms] == [tags(owner="me")]
    elsewhere = client("resourcegroupstaggingapi", region="eu-west-1").get_resources()
    assert elsewhere["ResourceTagMappingList"] == []


def test_the_tagging_api_follows_changes_and_pages(client: MakeClient) -> None:
    cloudwatch, tagging = client("cloudwatch"), client("resourcegroupstaggingapi")
    arns = []
    for number in range(3):
        cloudwatch.put_metric_alarm(**alarm(f"a{number}"), Tags=tags(owner="me"))
        arns.append(f"arn:aws:cloudwatch:us-east-1:000000000000:alarm:a{number}")
    pages = tagging.get_paginator("get_resources").paginate(PaginationConfig={"PageSize": 2})
    assert [entry["ResourceARN"] for page in pages for entry in page["ResourceTagMappingList"]] == arns
    cloudwatch.untag_resource(ResourceARN=arns[0], TagKeys=["owner"])
    cloudwatch.delete_alarms(AlarmNames=["a1"])
    assert [entry["ResourceARN"] for entry in tagging.get_resources()["ResourceTagMappingList"]] == [arns[2]]


@pytest.fixture
def delivery(client: MakeClient) -> dict[str, Any]:
    logs = client("logs")
    logs.put_delivery_source(name="cdn", resourceArn=tagged_distribution(client("cloudfront")), logType="ACCESS_LOGS")
    to = {"destinationResourceArn": "arn:aws:s3:::logs"}
    destination = logs.put_delivery_destination(name="bucket", outputFormat="json", deliveryDestinationConfiguration=to)
    arn = destination["deliveryDestination"]["arn"]
    made: dict[str, Any] = logs.create_delivery(deliverySourceName="cdn", deliveryDestinationArn=arn, recordFields=["date"])["delivery"]
    return made


def test_a_delivery_is_updated(client: MakeClient, delivery: dict[str, Any]) -> None:
    logs = client("logs")
    logs.update_delivery_configuration(id=delivery["id"], recordFields=["date", "time"], s3DeliveryConfiguration={"suffixPath": "{yyyy}"})
    current = logs.get_delivery(id=delivery["id"])["delivery"]
    assert current["recordFields"] == ["date", "time"]
    assert logs.describe_deliveries()["deliveries"][0]["s3DeliveryConfiguration"]["suffixPath"] == "{yyyy}"
    refused("ResourceNotFoundException", logs.update_delivery_configuration, id="none", recordFields=["date"])


def test_delivery_ends_in_use_are_not_deleted(client: MakeClient, delivery: dict[str, Any]) -> None:
    logs = client("logs")
    refused("ConflictException", logs.delete_delivery_source, name="cdn")
    refused("ConflictException", logs.delete_delivery_destination, name="bucket")
    logs.delete_delivery(id=delivery["id"])
    logs.delete_delivery_source(name="cdn")
    logs.delete_delivery_destination(name="bucket")


def test_a_delivery_source_is_refused(client: MakeClient, delivery: dict[str, Any]) -> None:
    logs = client("logs")
    arn = logs.get_delivery_source(name="cdn")["deliverySource"]["resourceArns"][0]
    refused("ConflictException", logs.put_delivery_source, name="again", resourceArn=arn, logType="ACCESS_LOGS")
    refused("ResourceNotFoundException", logs.put_delivery_source, name="x", resourceArn=f"{arn}X", logType="ACCESS_LOGS")
    refused("ValidationException", client("logs", region="eu-west-1").put_delivery_source, name="x", resourceArn=arn, logType="ACCESS_LOGS")


def test_a_bucket_policy_must_be_one(client: MakeClient) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="site-bucket")
    statement = {"Sid": "a", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::site-bucket/*"}
    for wrong in (
        "{",
        json.dumps({"Statement": []}),
        json.dumps({"Statement": [{"Effect": "Allow"}]}),
        json.dumps({"Statement": [statement, statement]}),
    ):
        refused("MalformedPolicy", s3.put_bucket_policy, Bucket="site-bucket", Policy=wrong)
    good = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(Bucket="site-bucket", Policy=good)
    assert json.loads(s3.get_bucket_policy(Bucket="site-bucket")["Policy"]) == json.loads(good)
    refused("NoSuchBucket", s3.get_bucket_policy, Bucket="no-such-bucket")


def test_s3_objects_pass(client: MakeClient, control: Control) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="site-bucket")
    s3.put_object(Bucket="site-bucket", Key="a b/ü.html", Body=b"<html>", ContentType="text/html")
    assert s3.get_object(Bucket="site-bucket", Key="a b/ü.html")["Body"].read() == b"<html>"
    assert s3.head_object(Bucket="site-bucket", Key="a b/ü.html")["ContentLength"] == 6
    large = b"x" * 3_000_000
    s3.put_object(Bucket="site-bucket", Key="large", Body=large)
    assert s3.get_object(Bucket="site-bucket", Key="large")["Body"].read() == large
    control.log.clear()
    s3.put_object(Bucket="site-bucket", Key="small", Body=b"x")
    s3.head_object(Bucket="site-bucket", Key="small")
    counts = control.log.counts()
    assert counts["s3", "PutObject"] == counts["s3", "HeadObject"] == 1


def test_a_body_is_asked_for(aws_endpoint: AwsEndpoint) -> None:
    """botocore waits a second for this line before it sends an S3 object."""
    port = int(aws_endpoint.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"PUT /site-bucket/key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")


def test_a_topic_is_created_again_only_as_it_was(client: MakeClient) -> None:
    sns = client("sns")
    arn = sns.create_topic(Name="t", Tags=tags(owner="me"))["TopicArn"]
    assert sns.create_topic(Name="t", Tags=tags(owner="me"))["TopicArn"] == arn
    refused("InvalidParameter", sns.create_topic, Name="t", Tags=tags(owner="you"))


def test_an_assumed_role_works_in_its_account(client: MakeClient, control: Control) -> None:
    credentials = client("sts").assume_role(RoleArn="arn:aws:iam::111122223333:role/r", RoleSessionName="test")["Credentials"]
    session = client("sns", account=credentials["AccessKeyId"])
    assert session.create_topic(Name="t")["TopicArn"] == "arn:aws:sns:us-east-1:111122223333:t"
    assert control.log.records()[-1].account == "111122223333"

"""Log groups, metric filters, saved queries, subscriptions, key policies and what there is to watch, at the lab's endpoint."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from multidict import CIMultiDict

from lab.aws.endpoint import Control
from lab.aws.models.logs_patterns import check_pattern
from lab.aws.stale import resource_type
from lab.aws.wire import AwsFault, Call
from tests.lab.aws_objects import refused
from tests.lab.conftest import MakeClient

ACCOUNT = "000000000000"
GROUP = "/aws/lambda/f"


@pytest.fixture
def logs(client: MakeClient) -> Any:
    made = client("logs")
    made.create_log_group(logGroupName=GROUP)
    return made


def transformation(**changes: Any) -> list[dict[str, Any]]:
    return [{"metricName": "ColdStarts", "metricNamespace": "Test", "metricValue": "1"} | changes]


def key_policy(*principals: str) -> str:
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
    grants = [{"Effect": "Allow", "Principal": {"Service": one}, "Action": "kms:*", "Resource": "*"} for one in principals]
    return json.dumps({"Version": "2012-10-17", "Statement": [root, *grants]})


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "ERROR",
        '?ERROR ?"Task timed out" -DEBUG',
        "%ERR[0-9]+%",
        '{ $.type = "platform.report" && $.record.metrics.initDurationMs > 0 }',
        "{ ($.a[0].b = 4* || $['c d'] != %x.*%) && $.d IS NULL && $.e NOT EXISTS }",
        "{ $.latency >= -1.5e3 }",
        "[ip, user, ..., request = *html*, status_code = 4* || status_code = 5*, bytes > 1000]",
        '[report="REPORT", ..., init_label="Init", init_name="Duration:", init, unit]',
    ],
)
def test_a_pattern_is_taken(pattern: str) -> None:
    check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("status=401", "Invalid character(s) in term '='"),
        ('"open', "Invalid metric filter pattern"),
        ("{ $.a = 1", "If a filter pattern starts with '{' it must end with '}'"),
        ("[a, b", "If a filter pattern starts with '[' it must end with ']'"),
        ("{ a = 1 }", "Invalid metric filter pattern"),
        ("{ $.a = }", "Invalid metric filter pattern"),
        ("{ $.a = 1 && }", "Invalid metric filter pattern"),
        ("{ $.a IS GOOD }", "Invalid metric filter pattern"),
        ("{ ($.a = 1 }", "Invalid metric filter pattern"),
        ("[a b]", "Invalid metric filter pattern"),
        ("%(a)%", "regular expression"),
        ("{ $.a = %a% && $.b = %b% && $.c = %c% }", "at most 2 regular expressions"),
    ],
)
def test_a_pattern_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(AwsFault, match="InvalidParameterException") as caught:
        check_pattern(pattern)
    assert message in caught.value.message


def test_metric_filters(logs: Any) -> None:
    json_pattern = "{ $.a = 1 }"
    put = {"logGroupName": GROUP, "filterName": "one"}
    dimensions = {"Function": "$.name"}
    refused("InvalidParameterException", logs.put_metric_filter, **put, filterPattern="a=b", metricTransformations=transformation())
    refused("InvalidParameterException", logs.put_metric_filter, **put, filterPattern="a", metricTransformations=transformation(dimensions=dimensions))
    both = transformation(dimensions=dimensions, defaultValue=0.0)
    refused("InvalidParameterException", logs.put_metric_filter, **put, filterPattern=json_pattern, metricTransformations=both)
    refused("InvalidParameterException", logs.put_metric_filter, **put, filterPattern=json_pattern, metricTransformations=transformation(metricValue="one"))
    wanted = transformation(dimensions=dimensions, metricValue="$.ms", unit="Milliseconds")
    for pattern in ("{ $.b = 2 }", json_pattern):
        logs.put_metric_filter(**put, filterPattern=pattern, metricTransformations=wanted)
    found = logs.describe_metric_filters(logGroupName=GROUP, filterNamePrefix="one")["metricFilters"]
    assert [(one["filterPattern"], one["metricTransformations"]) for one in found] == [(json_pattern, wanted)]
    for number in range(99):
        logs.put_metric_filter(logGroupName=GROUP, filterName=f"f{number}", filterPattern="", metricTransformations=transformation())
    more = {"logGroupName": GROUP, "filterName": "more", "filterPattern": "", "metricTransformations": transformation()}
    refused("LimitExceededException", logs.put_metric_filter, **more)
    logs.put_metric_filter(**more | {"filterName": "one"})
    logs.delete_metric_filter(logGroupName=GROUP, filterName="one")
    refused("ResourceNotFoundException", logs.delete_metric_filter, logGroupName=GROUP, filterName="one")
    refused("ResourceNotFoundException", logs.put_metric_filter, **more | {"logGroupName": "none"})


def test_settings_of_log_groups(logs: Any, client: MakeClient) -> None:
    logs.create_log_group(logGroupName="/other")
    refused("InvalidParameterException", logs.put_retention_policy, logGroupName=GROUP, retentionInDays=8)
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=7)
    key = client("kms").create_key()["KeyMetadata"]["Arn"]
    refused("InvalidParameterException", logs.associate_kms_key, logGroupName=GROUP, kmsKeyId=key)
    client("kms").put_key_policy(KeyId=key, Policy=key_policy("logs.us-east-1.amazonaws.com"))
    logs.associate_kms_key(logGroupName=GROUP, kmsKeyId=key)
    found = logs.describe_log_groups(logGroupIdentifiers=[GROUP, "/none"])["logGroups"]
    assert [(one["logGroupName"], one["retentionInDays"], one["kmsKeyId"]) for one in found] == [(GROUP, 7, key)]
    assert logs.describe_log_groups(logGroupNamePrefix="/aws")["logGroups"][0]["kmsKeyId"] == key
    logs.disassociate_kms_key(logGroupName=GROUP)
    logs.delete_retention_policy(logGroupName=GROUP)
    assert not {"kmsKeyId", "retentionInDays"} & set(logs.describe_log_groups(logGroupIdentifiers=[GROUP])["logGroups"][0])
    refused("ResourceNotFoundException", logs.associate_kms_key, logGroupName="/none", kmsKeyId=key)


def test_saved_queries(logs: Any, control: Control) -> None:
    token = "0" * 36
    first = logs.put_query_definition(name="app/slow", queryString="fields @message", logGroupNames=[GROUP], clientToken=token)["queryDefinitionId"]
    assert logs.put_query_definition(name="app/slow", queryString="fields @message", logGroupNames=[GROUP], clientToken=token)["queryDefinitionId"] == first
    second = logs.put_query_definition(name="app/errors", queryString="fields @message")["queryDefinitionId"]
    logs.put_query_definition(name="other", queryString="fields @message")
    page = logs.describe_query_definitions(queryDefinitionNamePrefix="app/", maxResults=1)
    rest = logs.describe_query_definitions(queryDefinitionNamePrefix="app/", maxResults=1, nextToken=page["nextToken"])
    assert [one["queryDefinitionId"] for one in page["queryDefinitions"] + rest["queryDefinitions"]] == [second, first]
    assert "nextToken" not in rest
    logs.put_query_definition(queryDefinitionId=first, name="app/slow", queryString="limit 1")
    changed = logs.describe_query_definitions(queryDefinitionNamePrefix="app/slow")["queryDefinitions"][0]
    assert (changed["queryString"], "logGroupNames" in changed) == ("limit 1", False)
    refused("ResourceNotFoundException", logs.put_query_definition, queryDefinitionId="none", name="x", queryString="limit 1")
    control.settings.quotas["logs.query_definitions"] = 3
    refused("LimitExceededException", logs.put_query_definition, name="x", queryString="limit 1")
    logs.delete_query_definition(queryDefinitionId=first)
    refused("ResourceNotFoundException", logs.delete_query_definition, queryDefinitionId=first)


def test_saved_queries_may_be_listed_late(logs: Any, control: Control) -> None:
    assert logs.describe_query_definitions()["queryDefinitions"] == []
    control.stale(30)
    assert logs.describe_query_definitions()["queryDefinitions"] == []
    logs.put_query_definition(name="q", queryString="limit 1")
    assert logs.describe_query_definitions()["queryDefinitions"] == []
    control.advance(31)
    assert len(logs.describe_query_definitions()["queryDefinitions"]) == 1


@pytest.mark.parametrize(
    ("service", "operations"),
    [
        ("cloudwatch", ("PutCompositeAlarm", "PutMetricAlarm", "DescribeAlarms", "DeleteAlarms")),
        ("cloudwatch", ("PutDashboard", "ListDashboards", "DeleteDashboards")),
        ("logs", ("CreateLogGroup", "PutRetentionPolicy", "AssociateKmsKey", "DescribeLogGroups")),
        ("logs", ("PutMetricFilter", "DescribeMetricFilters")),
        ("sns", ("Subscribe", "Unsubscribe", "ListSubscriptions", "ListSubscriptionsByTopic")),
        ("apigateway", ("CreateRestApi", "GetRestApis")),
        ("rds", ("CreateDBCluster", "DescribeDBClusters")),
    ],
)
def test_lists_lag_behind_the_writes_of_their_type(service: str, operations: tuple[str, ...]) -> None:
    calls = [Call("POST", "/", CIMultiDict(), b"", service=service, operation=operation) for operation in operations]
    assert len({resource_type(call) for call in calls}) == 1, [resource_type(call) for call in calls]


def test_subscriptions_wait_for_their_confirmation(client: MakeClient, control: Control) -> None:
    sns = client("sns")
    topic = sns.create_topic(Name="pager")["TopicArn"]
    queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:pager"
    client("sqs").create_queue(QueueName="pager")
    for protocol, endpoint in (("email", "ops@example.com"), ("https", "https://hooks.example.com/x")):
        assert sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint)["SubscriptionArn"] == "pending confirmation"
    whole = sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="ops@example.com", ReturnSubscriptionArn=True)["SubscriptionArn"]
    refused("InvalidParameter", sns.unsubscribe, SubscriptionArn=whole)
    refused("InvalidParameter", sns.unsubscribe, SubscriptionArn="PendingConfirmation")
    refused("InvalidParameter", sns.subscribe, TopicArn=topic, Protocol="https", Endpoint="hooks.example.com")
    confirmed = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)["SubscriptionArn"]
    rows = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert {one["Endpoint"]: one["SubscriptionArn"] for one in rows} == {
        "ops@example.com": "PendingConfirmation", "https://hooks.example.com/x": "PendingConfirmation", queue: confirmed,
    }  # fmt: skip
    assert sns.list_subscriptions()["Subscriptions"] == rows
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsPending"] == "2"
    assert control.confirm_subscription(topic, "ops@example.com") == whole
    control.advance(49 * 3600)
    assert len(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]) == 2
    sns.unsubscribe(SubscriptionArn=whole)
    sns.unsubscribe(SubscriptionArn=confirmed)
    assert sns.list_subscriptions()["Subscriptions"] == []
    twice = json.dumps({"Statement": [{"Sid": "a", "Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": topic}] * 2})
    refused("InvalidParameter", sns.set_topic_attributes, TopicArn=topic, AttributeName="Policy", AttributeValue=twice)


def test_a_key_policy_must_leave_a_way_back(client: MakeClient) -> None:
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    service = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": "kms:*", "Resource": "*"}]}
    for wrong in ("{", json.dumps({"Statement": []}), json.dumps(service)):
        refused("MalformedPolicyDocumentException", kms.put_key_policy, KeyId=key, Policy=wrong)
    kms.put_key_policy(KeyId=key, Policy=json.dumps(service), BypassPolicyLockoutSafetyCheck=True)
    kms.put_key_policy(KeyId=key, Policy=key_policy("cloudwatch.amazonaws.com"))
    assert json.loads(kms.get_key_policy(KeyId=key)["Policy"]) == json.loads(key_policy("cloudwatch.amazonaws.com"))


def code() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): ...")
    return packed.getvalue()


def test_functions_tell_their_log_groups_in_pages(client: MakeClient) -> None:
    functions = client("lambda")
    base = {"Runtime": "python3.11", "Role": f"arn:aws:iam::{ACCOUNT}:role/r", "Handler": "index.handler", "Code": {"ZipFile": code()}}
    for number in range(51):
        functions.create_function(FunctionName=f"f{number:02}", **base, **({"LoggingConfig": {"LogGroup": "/own"}} if number == 1 else {}))
    first = functions.list_functions(MaxItems=100)
    rest = functions.list_functions(Marker=first["NextMarker"])["Functions"]
    assert (len(first["Functions"]), [one["FunctionName"] for one in rest]) == (50, ["f50"])
    assert [one["LoggingConfig"]["LogGroup"] for one in first["Functions"][:2]] == ["/aws/lambda/f00", "/own"]
    assert functions.get_function_configuration(FunctionName="f02")["LoggingConfig"]["LogGroup"] == "/aws/lambda/f02"
    refused("ResourceNotFoundException", functions.get_function_configuration, FunctionName="none")


def test_databases_and_apis_come_in_pages(client: MakeClient) -> None:
    databases, rest, http = client("rds"), client("apigateway"), client("apigatewayv2")
    for number in range(22):
        databases.create_db_cluster(DBClusterIdentifier=f"c{number}", Engine="aurora-postgresql", MasterUsername="u", MasterUserPassword="password1")
    page = databases.describe_db_clusters(MaxRecords=20)
    assert (len(page["DBClusters"]), len(databases.describe_db_clusters(MaxRecords=20, Marker=page["Marker"])["DBClusters"])) == (20, 2)
    refused("DBClusterNotFoundFault", databases.describe_db_clusters, DBClusterIdentifier="none")
    refused("InvalidParameterValue", databases.describe_db_clusters, MaxRecords=5)
    apis = [http.create_api(Name=f"h{number}", ProtocolType="HTTP")["ApiId"] for number in range(3)]
    found = http.get_apis(MaxResults="2")
    assert [one["ApiId"] for one in found["Items"] + http.get_apis(MaxResults="2", NextToken=found["NextToken"])["Items"]] == apis
    for name in ("a", "b", "c"):
        rest.create_rest_api(name=name)
    assert [one["name"] for page in rest.get_paginator("get_rest_apis").paginate(limit=2) for one in page["items"]] == ["a", "b", "c"]
    refused("NotFoundException", http.get_stages, ApiId="none")


def test_what_there_is_to_watch_is_found_by_tags(client: MakeClient) -> None:
    tags = {"service": "shop", "stage": "prod"}
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    client("lambda").create_function(
        FunctionName="f", Runtime="python3.11", Role=f"arn:aws:iam::{ACCOUNT}:role/r", Handler="index.handler", Code={"ZipFile": code()}, Tags=tags
    )
    key = {"AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}]}
    client("dynamodb").create_table(TableName="table", BillingMode="PAY_PER_REQUEST", Tags=listed, **key)
    client("sqs").create_queue(QueueName="queue", tags=tags)
    databases = client("rds")
    databases.create_db_cluster(DBClusterIdentifier="c", Engine="aurora-postgresql", MasterUsername="u", MasterUserPassword="password1", Tags=listed)
    rest = client("apigateway").create_rest_api(name="rest", tags=tags)["id"]
    http = client("apigatewayv2").create_api(Name="http", ProtocolType="HTTP", Tags={"service": "shop"})["ApiId"]
    tagging = client("resourcegroupstaggingapi")

    def found(*types: str, **values: str) -> list[str]:
        filters = [{"Key": name, "Values": [value, "other"]} for name, value in values.items()]
        answer = tagging.get_resources(TagFilters=filters, ResourceTypeFilters=list(types))["ResourceTagMappingList"]
        return [one["ResourceARN"].split(":", 5)[5] for one in answer]

    assert found(**tags) == [f"/restapis/{rest}", "table/table", "function:f", "cluster:c", "queue"]
    assert found("sqs:queue", "rds:cluster", "apigateway:apis", service="shop") == [f"/apis/{http}", "cluster:c", "queue"]
    assert found("lambda:function", service="others") == []
    client("apigatewayv2").tag_resource(ResourceArn=f"arn:aws:apigateway:us-east-1::/apis/{http}", Tags={"stage": "prod"})
    assert client("apigatewayv2").get_api(ApiId=http)["Tags"] == tags
    databases.remove_tags_from_resource(ResourceName=f"arn:aws:rds:us-east-1:{ACCOUNT}:cluster:c", TagKeys=["stage"])
    client("lambda").delete_function(FunctionName="f")
    assert found("apigateway", "rds", "lambda", **tags) == [f"/apis/{http}", f"/restapis/{rest}"]

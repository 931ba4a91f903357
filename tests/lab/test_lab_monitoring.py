"""CloudWatch at the lab's endpoint: composite alarms, history, actions that fail, dashboards, anomaly bands, metric maths."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.aws.endpoint import Control
from lab.aws.models.cloudwatch_dashboards import MOST_METRICS_A_WIDGET, MOST_WIDGETS
from tests.lab.aws_objects import alarm, refused
from tests.lab.conftest import MakeClient

ACCOUNT = "000000000000"
BOTH = ["MetricAlarm", "CompositeAlarm"]


def arn(name: str) -> str:
    return f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:{name}"


def state(cloudwatch: Any, name: str, value: str) -> None:
    cloudwatch.set_alarm_state(AlarmName=name, StateValue=value, StateReason="test")


def composite(cloudwatch: Any, name: str = "service") -> dict[str, Any]:
    found: dict[str, Any] = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"][0]
    return found


@pytest.fixture
def cloudwatch(client: MakeClient) -> Any:
    made = client("cloudwatch")
    for name in ("errors", "latency"):
        made.put_metric_alarm(**alarm(name))
    return made


def test_a_composite_follows_its_children(cloudwatch: Any) -> None:
    cloudwatch.put_composite_alarm(AlarmName="service", AlarmRule=f'ALARM("errors") OR (ALARM({arn("latency")}) AND NOT OK(errors))')
    assert composite(cloudwatch)["StateValue"] == "OK"
    cloudwatch.put_composite_alarm(AlarmName="above", AlarmRule="AT_LEAST(1, ALARM, (service, latency))")
    state(cloudwatch, "latency", "ALARM")
    assert [composite(cloudwatch, name)["StateValue"] for name in ("service", "above")] == ["ALARM", "ALARM"]
    for name in ("latency", "errors"):
        state(cloudwatch, name, "OK")
    assert [composite(cloudwatch, name)["StateValue"] for name in ("service", "above")] == ["OK", "OK"]
    told = cloudwatch.describe_alarms(ParentsOfAlarmName="latency")["CompositeAlarms"]
    assert [one["AlarmName"] for one in told] == ["above", "service"]
    assert [one["AlarmName"] for one in cloudwatch.describe_alarms(ChildrenOfAlarmName="service")["MetricAlarms"]] == ["errors", "latency"]
    assert cloudwatch.describe_alarms(AlarmNames=["service"])["MetricAlarms"] == []


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("ALARM(errors) XOR OK(latency)", "Unsupported token 'XOR' at char 14, must be: <EOF>, 'AND', 'OR'"),
        ("ALARM(errors", "Unsupported token '<EOF>' at char 12"),
        ("(ALARM(errors)", "Unsupported token '<EOF>'"),
        ("AT_LEAST(x, ALARM, (errors))", "Unsupported token 'x'"),
        ("ALARM(errors) OR ALARM(none)", f"alarms [{arn('none')}] in the alarm rule do not exist"),
        ("ALARM(arn:aws:cloudwatch:eu-west-1:000000000000:alarm:errors)", "do not exist"),
        (" OR ".join(["TRUE"] * 501), "500 elements"),
    ],
)
def test_a_rule_is_refused(cloudwatch: Any, rule: str, message: str) -> None:
    assert message in refused("ValidationError", cloudwatch.put_composite_alarm, AlarmName="service", AlarmRule=rule)


def test_what_a_composite_needs_is_not_deleted(cloudwatch: Any) -> None:
    periods = {"ActionsSuppressorWaitPeriod": 60, "ActionsSuppressorExtensionPeriod": 60}
    refused("ValidationError", cloudwatch.put_composite_alarm, AlarmName="service", AlarmRule="TRUE", ActionsSuppressor="latency")
    refused("ValidationError", cloudwatch.put_composite_alarm, AlarmName="service", AlarmRule="TRUE", ActionsSuppressor="none", **periods)
    cloudwatch.put_composite_alarm(AlarmName="service", AlarmRule="ALARM(errors)", ActionsSuppressor="latency", **periods)
    message = "Cannot delete errors,latency as there are composite alarm(s) depending on them."
    cloudwatch.put_metric_alarm(**alarm("free"))
    assert message in refused("ValidationError", cloudwatch.delete_alarms, AlarmNames=["free", "errors", "latency"])
    assert len(cloudwatch.describe_alarms(AlarmNames=["free"])["MetricAlarms"]) == 1
    cloudwatch.put_composite_alarm(AlarmName="above", AlarmRule="ALARM(service)")
    cloudwatch.put_composite_alarm(AlarmName="service", AlarmRule="ALARM(above)")
    refused("ValidationError", cloudwatch.delete_alarms, AlarmNames=["above"])
    cloudwatch.put_composite_alarm(AlarmName="service", AlarmRule="FALSE")
    refused("ValidationError", cloudwatch.delete_alarms, AlarmNames=["above", "service"])
    for names in (["above"], ["service", "errors", "latency", "unknown"]):
        cloudwatch.delete_alarms(AlarmNames=names)


def test_a_suppressor_holds_actions_back(cloudwatch: Any, client: MakeClient, control: Control) -> None:
    topic = client("sns").create_topic(Name="pager")["TopicArn"]
    periods = {"ActionsSuppressorWaitPeriod": 60, "ActionsSuppressorExtensionPeriod": 120}
    cloudwatch.put_composite_alarm(AlarmName="service", AlarmRule="ALARM(errors)", AlarmActions=[topic], ActionsSuppressor="latency", **periods)

    def actions() -> int:
        return len(cloudwatch.describe_alarm_history(AlarmTypes=BOTH, HistoryItemType="Action")["AlarmHistoryItems"])

    state(cloudwatch, "errors", "ALARM")
    assert (composite(cloudwatch)["ActionsSuppressedBy"], actions()) == ("WaitPeriod", 0)
    state(cloudwatch, "latency", "ALARM")
    control.advance(600)
    assert (composite(cloudwatch)["ActionsSuppressedBy"], actions()) == ("Alarm", 0)
    state(cloudwatch, "latency", "OK")
    assert composite(cloudwatch)["ActionsSuppressedBy"] == "ExtensionPeriod"
    control.advance(121)
    assert ("ActionsSuppressedBy" in composite(cloudwatch), actions()) == (False, 1)


def test_history_is_kept_filtered_and_paged(cloudwatch: Any, control: Control) -> None:
    past = datetime.now(UTC) - timedelta(days=2)
    for number in range(130):
        control.alarm_state(ACCOUNT, "us-east-1", "errors", ("ALARM", "OK")[number % 2], at=past + timedelta(minutes=number))
    cloudwatch.delete_alarms(AlarmNames=["errors"])
    asked = {"AlarmName": "errors", "HistoryItemType": "StateUpdate", "EndDate": past + timedelta(minutes=119, seconds=30)}
    first = cloudwatch.describe_alarm_history(**asked, MaxRecords=100)
    rest = cloudwatch.describe_alarm_history(**asked, MaxRecords=100, NextToken=first["NextToken"])["AlarmHistoryItems"]
    assert (len(first["AlarmHistoryItems"]), len(rest)) == (100, 20)
    assert first["AlarmHistoryItems"][0]["HistorySummary"] == "Alarm updated from ALARM to OK"
    assert json.loads(rest[-1]["HistoryData"])["oldState"]["stateValue"] == "INSUFFICIENT_DATA"
    oldest = cloudwatch.describe_alarm_history(**asked, ScanBy="TimestampAscending", MaxRecords=1)["AlarmHistoryItems"]
    assert oldest[0]["Timestamp"] == rest[-1]["Timestamp"]
    updates = cloudwatch.describe_alarm_history(HistoryItemType="ConfigurationUpdate")["AlarmHistoryItems"]
    assert [one["HistorySummary"] for one in updates] == ['Alarm "errors" deleted', 'Alarm "latency" created', 'Alarm "errors" created']
    refused("InvalidNextToken", cloudwatch.describe_alarm_history, NextToken="x")


def test_actions_arrive_or_fail(client: MakeClient, cloudwatch: Any) -> None:
    sns, kms = client("sns"), client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    topics = {
        name: sns.create_topic(Name=name, Attributes={"KmsMasterKeyId": encrypted} if encrypted else {})["TopicArn"]
        for name, encrypted in (("open", ""), ("managed", "alias/aws/sns"), ("customer", key), ("closed", ""))
    }
    other = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish", "Resource": topics["closed"]}
    sns.set_topic_attributes(TopicArn=topics["closed"], AttributeName="Policy", AttributeValue=json.dumps({"Statement": [other]}))
    gone = f"arn:aws:sns:us-east-1:{ACCOUNT}:gone"
    cloudwatch.put_metric_alarm(**alarm("errors", AlarmActions=[*topics.values(), gone]))

    def fired() -> dict[str, str]:
        state(cloudwatch, "errors", "OK")
        state(cloudwatch, "errors", "ALARM")
        items = cloudwatch.describe_alarm_history(AlarmName="errors", HistoryItemType="Action", MaxRecords=5)["AlarmHistoryItems"]
        told = [json.loads(one["HistoryData"]) for one in items]
        assert all(one["HistorySummary"].startswith(("Failed to execute action arn:", "Successfully executed action arn:")) for one in items)
        return {one["notificationResource"].rpartition(":")[2]: one["error"] or one["actionState"] for one in told}

    errors = fired()
    assert errors["open"] == "Succeeded"
    assert errors["managed"] == errors["customer"] == "CloudWatch Alarms does not have authorization to access the SNS topic encryption key."
    assert "not authorized to perform: SNS:Publish" in errors["closed"]
    assert errors["gone"] == "Topic does not exist"
    policy = json.loads(kms.get_key_policy(KeyId=key)["Policy"])
    grant = {"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Resource": "*"}
    kms.put_key_policy(KeyId=key, Policy=json.dumps(policy | {"Statement": [*policy["Statement"], grant]}))
    assert fired()["customer"] == "Succeeded"


def test_tags_of_alarms(cloudwatch: Any) -> None:
    cloudwatch.put_composite_alarm(AlarmName="service", AlarmRule="ALARM(errors)", Tags=[{"Key": "owner", "Value": "me"}])
    cloudwatch.tag_resource(ResourceARN=arn("service"), Tags=[{"Key": "team", "Value": "web"}])
    cloudwatch.untag_resource(ResourceARN=arn("service"), TagKeys=["owner"])
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn("service"))["Tags"] == [{"Key": "team", "Value": "web"}]
    refused("ResourceNotFoundException", cloudwatch.list_tags_for_resource, ResourceARN=arn("none"))


def test_an_anomaly_band_brings_its_model(cloudwatch: Any) -> None:
    metric = {"Namespace": "AWS/Lambda", "MetricName": "Duration", "Dimensions": [{"Name": "FunctionName", "Value": "f"}]}
    queries = [
        {"Id": "m1", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "p95"}, "ReturnData": True},
        {"Id": "band", "Expression": "ANOMALY_DETECTION_BAND(m1, 2)", "ReturnData": True},
    ]
    base = {"AlarmName": "band", "Metrics": queries, "EvaluationPeriods": 3, "ComparisonOperator": "GreaterThanUpperThreshold"}
    refused("ValidationError", cloudwatch.put_metric_alarm, **base, Threshold=1.0)
    refused("ValidationError", cloudwatch.put_metric_alarm, **base, ThresholdMetricId="m1")
    cloudwatch.put_metric_alarm(**base, ThresholdMetricId="band")
    found = cloudwatch.describe_alarms(AlarmNames=["band"])["MetricAlarms"][0]
    assert (found["Metrics"], found["ThresholdMetricId"]) == (queries, "band")
    assert [one["SingleMetricAnomalyDetector"]["Stat"] for one in cloudwatch.describe_anomaly_detectors(MetricName="Duration")["AnomalyDetectors"]] == ["p95"]
    cloudwatch.delete_anomaly_detector(SingleMetricAnomalyDetector=metric | {"Stat": "p95"})
    refused("ResourceNotFoundException", cloudwatch.delete_anomaly_detector, SingleMetricAnomalyDetector=metric | {"Stat": "p95"})


def widget(**properties: Any) -> dict[str, Any]:
    return {
        "type": "metric",
        "x": 0,
        "y": 0,
        "width": 12,
        "height": 6,
        "properties": {"region": "us-east-1", "metrics": [["AWS/Lambda", "Errors"]]} | properties,
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "must be a valid JSON object"),
        ({}, "Should have required property 'widgets'"),
        ({"widgets": [widget() | {"x": 24}]}, "/widgets/0/x"),
        ({"widgets": [widget() | {"type": "chart3"}]}, "Should be equal to one of the allowed values"),
        ({"widgets": [widget(region="")]}, "Should have required property 'region'"),
        ({"widgets": [widget(metrics=["AWS/Lambda"])]}, "Should be array"),
        ({"widgets": [widget(metrics=[["AWS/Lambda", "Errors", "FunctionName"]])]}, "/widgets/0/properties/metrics/0"),
        ({"widgets": [widget()] * (MOST_WIDGETS + 1)}, "Should NOT have more than 500 items"),
        ({"widgets": [widget(metrics=[["AWS/Lambda", "Errors"]] * (MOST_METRICS_A_WIDGET + 1))]}, "/widgets/0/properties/metrics"),
        ({"widgets": [widget(metrics=[["AWS/Lambda", "Errors"]] * 500)] * 6}, "more than 2500 metrics"),
        ({"widgets": [{"type": "text", "properties": {}}]}, "Should have required property 'markdown'"),
    ],
)
def test_a_dashboard_is_refused(client: MakeClient, body: Any, message: str) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    assert message in refused("InvalidParameterInput", client("cloudwatch").put_dashboard, DashboardName="d", DashboardBody=text)


def test_dashboards_belong_to_the_account(client: MakeClient) -> None:
    here, elsewhere = client("cloudwatch"), client("cloudwatch", region="eu-west-1")
    body = json.dumps({"widgets": [widget(colour="red")]})
    warned = here.put_dashboard(DashboardName="one", DashboardBody=body)["DashboardValidationMessages"]
    assert [one["DataPath"] for one in warned] == ["/widgets/0/properties"]
    assert elsewhere.get_dashboard(DashboardName="one")["DashboardBody"] == body
    assert elsewhere.list_dashboards(DashboardNamePrefix="on")["DashboardEntries"][0]["Size"] == len(body)
    refused("ResourceNotFound", here.delete_dashboards, DashboardNames=["one", "two"])
    here.delete_dashboards(DashboardNames=["one"])
    refused("ResourceNotFound", here.get_dashboard, DashboardName="one")
    refused("InvalidParameterValue", here.put_dashboard, DashboardName="a b", DashboardBody=body)


def test_metric_maths(client: MakeClient) -> None:
    cloudwatch = client("cloudwatch")
    end = datetime.now(UTC).replace(second=30, microsecond=0)
    for name, values in (("Errors", (1.0, 2.0)), ("Invocations", (4.0, 4.0, 4.0))):
        points = [{"MetricName": name, "Value": value, "Timestamp": end - timedelta(minutes=number)} for number, value in enumerate(values, 1)]
        cloudwatch.put_metric_data(Namespace="Test", MetricData=points)
    stats = {"Period": 60, "Stat": "Sum"}
    queries = [
        {"Id": "rate", "Expression": "100 * FILL(e, 0) / i", "Label": "error rate"},
        {"Id": "bad", "Expression": "IF(rate > 30 AND e > 1, 1, 0)"},
        {"Id": "search", "Expression": "SEARCH('{Test} Errors', 'Sum')"},
        {"Id": "e", "MetricStat": {"Metric": {"Namespace": "Test", "MetricName": "Errors"}} | stats, "ReturnData": False},
        {"Id": "i", "MetricStat": {"Metric": {"Namespace": "Test", "MetricName": "Invocations"}} | stats},
    ]
    found = cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=end - timedelta(hours=1), EndTime=end)["MetricDataResults"]
    told = {one["Label"]: one["Values"] for one in found}
    assert told == {"error rate": [25.0, 50.0, 0.0], "bad": [0.0, 1.0], "search": [], "Invocations": [4.0, 4.0, 4.0]}
    assert found[0]["Timestamps"] == sorted(found[0]["Timestamps"], reverse=True)


def test_a_band_is_two_series_under_one_id(client: MakeClient) -> None:
    cloudwatch = client("cloudwatch")
    end = datetime.now(UTC).replace(second=30, microsecond=0)
    points = [{"MetricName": "Sales", "Value": value, "Timestamp": end - timedelta(minutes=number)} for number, value in enumerate((4.0, 6.0, 5.0), 1)]
    cloudwatch.put_metric_data(Namespace="Bands", MetricData=points)
    queries = [
        {"Id": "m1", "MetricStat": {"Metric": {"Namespace": "Bands", "MetricName": "Sales"}, "Period": 60, "Stat": "Sum"}},
        {"Id": "band", "Expression": "ANOMALY_DETECTION_BAND(m1, 2)"},
    ]
    found = cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=end - timedelta(hours=1), EndTime=end)["MetricDataResults"]
    assert [one["Id"] for one in found] == ["m1", "band", "band"]
    lower, upper = (one["Values"] for one in found[1:])
    assert all(low < 5.0 < high for low, high in zip(lower, upper, strict=True)) and len(lower) == 3

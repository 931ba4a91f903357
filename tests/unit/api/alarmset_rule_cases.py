"""For every rule of PerfAlarmSet one manifest that it lets pass and one that it refuses."""

from __future__ import annotations

import copy
from typing import Any

from tests.unit.api.rule_cases import Case, ChangeCase, Manifest

TOPIC = "arn:aws:sns:eu-central-1:123456789012:ops"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-1111-2222-3333-444455556666"
USE1_KEY = "arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d-1111-2222-3333-444455556666"
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:page"
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:alarms"
SALES: dict[str, Any] = {"namespace": "Shop", "name": "Sales"}


def alarms(name: str = "case", **spec: Any) -> Manifest:
    """A set that watches one function; `spec` replaces whole fields."""
    base: Manifest = {"targets": [{"id": "orders", "type": "Lambda", "name": "orders"}]}
    return {
        "apiVersion": "securebase.io/v1alpha1",
        "kind": "PerfAlarmSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": copy.deepcopy(base | spec),
    }


def watching(**target: Any) -> Manifest:
    """One target with these fields."""
    return alarms(targets=[{"id": "orders", "type": "Lambda"} | target])


def alarm(**change: Any) -> Manifest:
    """One alarm of the function changed so."""
    return watching(name="orders", alarms=[{"id": "errors"} | change])


def own(**change: Any) -> Manifest:
    """One alarm on a metric of one's own."""
    return watching(type="Custom", metric=SALES, alarms=[{"id": "a", "threshold": 1} | change])


def told(**notification: Any) -> Manifest:
    return alarms(notifications=[{"severity": "critical"} | notification])


def topic(**made: Any) -> Manifest:
    return told(createTopic=made)


def quiet(**maintenance: Any) -> Manifest:
    return alarms(maintenance=maintenance)


def widget(**said: Any) -> Manifest:
    return alarms(dashboards={"widgets": [{"title": "w"} | said]})


def counted(**metric: Any) -> Manifest:
    """One metric filter whose metric is so."""
    return alarms(metricFilters=[{"id": "errors", "logGroup": "/app", "pattern": "ERROR", "metric": {"name": "Errors"} | metric}])


def saved(**query: Any) -> Manifest:
    return alarms(queries=[{"id": "slow", "query": "fields @message"} | query])


MATHS: list[Manifest] = [{"id": "e", "name": "Errors"}, {"id": "n", "name": "Invocations"}]

TARGETS = [
    Case("id of a target", "an id has lower case letters", watching(name="a"), watching(id="Orders", name="a")),
    Case("one way to name it", "given in exactly one way", watching(name="a"), watching(name="a", selector={"tags": {"team": "web"}})),
    Case("some way to name it", "given in exactly one way", watching(name="a"), watching()),
    Case("metric of a custom target", "metric belongs to type Custom", watching(type="Custom", metric=SALES), watching(metric=SALES)),
    Case(
        "kind of a reference",
        "ref.kind does not fit type",
        watching(type="CloudFront", ref={"kind": "CdnDistribution", "name": "site"}),
        watching(type="CloudFront", ref={"kind": "CacheCluster", "name": "site"}),
    ),
    Case(
        "distributions are not found by tags",
        "selector does not find distributions",
        watching(selector={"tags": {"team": "web"}}),
        watching(type="CloudFront", selector={"tags": {"team": "web"}}),
    ),
    Case("tags of a selector", "selector.tags is empty", watching(selector={"tags": {"team": "web"}}), watching(selector={"tags": {}})),
    Case(
        "stage of an HTTP API",
        "stage is required for an HTTP API",
        watching(type="ApiGatewayHttp", name="a1", stage="$default"),
        watching(type="ApiGatewayHttp", name="a1"),
    ),
    Case("stage elsewhere", "stage belongs to an API Gateway", watching(type="ApiGatewayRest", name="a", stage="v1"), watching(name="a", stage="v1")),
    Case(
        "percent of the catalogue",
        "for something in percent, which could never fire; give one of 0 to 100",
        watching(type="Aurora", name="main", alarms=[{"id": "cpu", "threshold": 100}]),
        watching(type="Aurora", name="main", alarms=[{"id": "cpu", "threshold": 101}]),
    ),
    Case(
        "limit of a metric of one's own",
        "the catalogue has no alarm on a metric of your own",
        watching(type="Custom", metric=SALES, alarms=[{"id": "few", "threshold": 1}]),
        watching(type="Custom", metric=SALES, alarms=[{"id": "few"}]),
    ),
]

PERIODS = [
    Case("fine period of AWS", "a period of 10, 20 or 30 seconds", alarm(periodSeconds=60), alarm(periodSeconds=30)),
    Case(
        "fine period of one metric",
        "a period of 10, 20 or 30 seconds",
        alarm(id="own", metric=SALES, threshold=1, periodSeconds=10),
        alarm(id="own", metric={"name": "Errors", "namespace": "AWS/Lambda"}, threshold=1, periodSeconds=10),
    ),
    Case(
        "fine period of an expression",
        "a period of 10, 20 or 30 seconds",
        alarm(id="own", expression="a", metrics=[{"id": "a"} | SALES], threshold=1, periodSeconds=20),
        alarm(id="own", expression="a", metrics=[{"id": "a", "name": "Errors"}], threshold=1, periodSeconds=20),
    ),
    Case(
        "fine period of a custom metric of AWS",
        "a period of 10, 20 or 30 seconds",
        own(periodSeconds=20),
        watching(type="Custom", metric={"namespace": "AWS/Billing", "name": "x"}, alarms=[{"id": "a", "threshold": 1, "periodSeconds": 20}]),
    ),
]

ALARMS = [
    Case(
        "statistic of an alarm that is an expression",
        "alarms holds a statistic for an alarm of the catalogue that is an expression",
        watching(type="ApiGatewayRest", name="api", alarms=[{"id": "latency-p95", "statistic": "p99"}]),
        watching(type="ApiGatewayRest", name="api", alarms=[{"id": "rate-5xx", "statistic": "p99"}]),
    ),
    Case(
        "statistic beside an expression",
        "statistic is of one metric, and an expression has several",
        alarm(id="own", expression="a", metrics=[{"id": "a", "name": "Errors", "statistic": "Sum"}], threshold=1),
        alarm(id="own", expression="a", metrics=[{"id": "a", "name": "Errors"}], threshold=1, statistic="Sum"),
    ),
    Case("period of an alarm", "periodSeconds is 10, 20, 30 or a multiple of 60", own(periodSeconds=30), alarm(periodSeconds=45)),
    *PERIODS,
    Case(
        "M of N of an alarm set",
        "datapointsToAlarm is more than evaluationPeriods; the alarm could never fire",
        alarm(datapointsToAlarm=2, evaluationPeriods=3),
        alarm(datapointsToAlarm=4, evaluationPeriods=3),
    ),
    Case(
        "look-back of an alarm set",
        "is more than a day (a week for periods of an hour or more)",
        alarm(periodSeconds=3600, evaluationPeriods=100),
        alarm(periodSeconds=1800, evaluationPeriods=100),
    ),
    Case(
        "period of an alarm of the catalogue that looks back far",
        "too long for as many evaluation periods as the catalogue's alarm has",
        watching(type="Sqs", name="jobs", alarms=[{"id": "oldest-message", "periodSeconds": 5760}]),
        watching(type="Sqs", name="jobs", alarms=[{"id": "oldest-message", "periodSeconds": 43200}]),
    ),
    Case(
        "fewer periods of an alarm of the catalogue that looks back far",
        "too long for as many evaluation periods as the catalogue's alarm has",
        watching(type="Sqs", name="jobs", alarms=[{"id": "oldest-message", "periodSeconds": 86400, "evaluationPeriods": 7}]),
        watching(type="Sqs", name="jobs", alarms=[{"id": "in-flight", "periodSeconds": 86400, "datapointsToAlarm": 1}]),
    ),
    Case(
        "two sides of a band",
        "comparison is Outside, and only an anomaly band has two sides",
        alarm(comparison="Outside", anomaly={"bandwidth": 2}),
        alarm(comparison="Outside", threshold=1),
    ),
    Case(
        "low samples of an alarm of the catalogue",
        "alarms holds a lowSample for what is no percentile",
        alarm(id="duration", lowSample="evaluate"),
        alarm(lowSample="evaluate"),
    ),
    Case(
        "low samples of an alarm of one's own",
        "alarms holds a lowSample for what is no percentile",
        alarm(id="own", metric={"name": "Duration"}, statistic="p95", threshold=1, lowSample="evaluate"),
        alarm(id="own", metric={"name": "Duration"}, threshold=1, lowSample="evaluate"),
    ),
    Case(
        "low samples of a band",
        "alarms holds a lowSample for what is no percentile",
        alarm(id="duration", statistic="p99", lowSample="ignore"),
        alarm(id="duration", anomaly={"bandwidth": 2}, lowSample="ignore"),
    ),
    Case("a band or a threshold", "a threshold or an anomaly band, not both", alarm(anomaly={"bandwidth": 2}), alarm(anomaly={"bandwidth": 2}, threshold=3)),
    Case("metrics of an expression", "expression needs the metrics it speaks of", alarm(expression="e / n", metrics=MATHS), alarm(expression="e / n")),
    Case("expression of metrics", "metrics are those of an expression", alarm(expression="e / n", metrics=MATHS), alarm(metrics=MATHS)),
    Case(
        "one metric or an expression",
        "on one metric or on an expression over several",
        alarm(metric={"name": "Errors"}, threshold=1),
        alarm(metric={"name": "Errors"}, expression="e / n", metrics=MATHS),
    ),
    Case(
        "a band around a metric",
        "an anomaly band is around one metric",
        alarm(anomaly={"bandwidth": 2}, metric={"name": "Errors"}),
        alarm(anomaly={"bandwidth": 2}, expression="e / n", metrics=MATHS),
    ),
    Case(
        "percent of a metric",
        "threshold is over 100, and the metric is in percent",
        alarm(metric={"name": "CPUUtilization"}, threshold=95),
        alarm(metric={"name": "CPUUtilization"}, threshold=950),
    ),
    Case("negative threshold", "holds a threshold below zero", alarm(threshold=0), alarm(threshold=-1)),
    Case(
        "negative threshold of a metric of one's own",
        "holds a threshold below zero",
        watching(type="Custom", metric=SALES, alarms=[{"id": "refunds", "threshold": -1, "comparison": "LessThan"}]),
        alarm(threshold=-0.5),
    ),
    Case(
        "percent of a metric of one's own",
        "the unit of metric is Percent",
        watching(type="Custom", metric=SALES, alarms=[{"id": "many", "threshold": 101}]),
        watching(type="Custom", metric=SALES | {"unit": "Percent"}, alarms=[{"id": "many", "threshold": 101}]),
    ),
    Case("statistic", "a statistic is Average, Sum", alarm(statistic="p99.9"), alarm(statistic="p101")),
    Case(
        "id in an expression",
        "the id of a metric starts with a lower case letter",
        alarm(expression="e / n", metrics=MATHS),
        alarm(expression="E", metrics=[{"id": "E", "name": "x"}]),
    ),
    Case("runbook", "a runbook is the address of a page", alarm(runbook="https://wiki.example.com/x"), alarm(runbook="wiki")),
    Case(
        "namespace", "a namespace does not start with a colon", alarm(metric={"name": "a", "namespace": "A/B"}), alarm(metric={"name": "a", "namespace": ":A"})
    ),
]

NOTICES = [
    Case("somebody is told", "a notification names topics in topicArns", told(topicArns=[TOPIC]), told()),
    Case(
        "five topics",
        "an alarm tells at most five topics",
        told(topicArns=[TOPIC], createTopic={}),
        told(topicArns=[f"{TOPIC}{n}" for n in range(5)], createTopic={}),
    ),
    Case("standard topics", "topicArns holds ARNs of SNS standard topics", told(topicArns=[TOPIC]), told(topicArns=[f"{TOPIC}.fifo"])),
    Case("key of a topic", "the key of a topic must be a customer key's ARN", topic(kmsKeyArn=KEY), topic(kmsKeyArn="alias/aws/sns")),
    Case("function that is told", "a function is given by its ARN", topic(lambdaArns=[FUNCTION]), topic(lambdaArns=["page"])),
    Case("queue that is told", "a queue is given by its ARN", topic(sqsArns=[QUEUE]), topic(sqsArns=["alarms"])),
    Case(
        "endpoint that is told",
        "an endpoint is written like https://pager",
        topic(https=["https://pager.example.com/in"]),
        topic(https=["https://me:pw@pager.example.com"]),
    ),
    Case("address that is told", "an address is written like ops@example.com", topic(emails=["ops@example.com"]), topic(emails=["ops"])),
    Case(
        "region of a topic",
        "notifications names a topic of another region",
        alarms(region="eu-central-1", notifications=[{"severity": "critical", "topicArns": [TOPIC]}]),
        alarms(region="eu-west-1", notifications=[{"severity": "critical", "topicArns": [TOPIC]}]),
    ),
    Case(
        "region of a topic for a cache",
        "notifications names a topic of another region",
        alarms(
            region="eu-west-1",
            targets=[{"id": "c", "type": "ElastiCache", "ref": {"kind": "CacheCluster", "name": "c"}}],
            notifications=[{"severity": "critical", "topicArns": [TOPIC]}],
        ),
        alarms(
            region="eu-west-1",
            targets=[{"id": "c", "type": "ElastiCache", "name": "c"}],
            notifications=[{"severity": "critical", "topicArns": [TOPIC]}],
        ),
    ),
    Case(
        "region of a key",
        "createTopic names a key of another region",
        alarms(region="eu-central-1", notifications=[{"severity": "info", "createTopic": {"kmsKeyArn": KEY, "usEast1KmsKeyArn": USE1_KEY}}]),
        alarms(region="eu-central-1", notifications=[{"severity": "info", "createTopic": {"kmsKeyArn": USE1_KEY}}]),
    ),
    Case(
        "how it is kept quiet",
        "maintenance has either suppressorAlarm",
        quiet(suppressorAlarm="deploy"),
        quiet(suppressorAlarm="deploy", windows=["sun:03:00-sun:05:00"]),
    ),
    Case(
        "suppressor in us-east-1",
        "usEast1SuppressorAlarm stands beside suppressorAlarm",
        quiet(suppressorAlarm="deploy", usEast1SuppressorAlarm="release"),
        quiet(windows=["sun:03:00-sun:05:00"], usEast1SuppressorAlarm="release"),
    ),
    Case("empty maintenance", "maintenance has either suppressorAlarm", quiet(windows=["sun:03:00-sun:05:00"]), quiet()),
    Case(
        "length of a maintenance window",
        "windows of maintenance holds an empty one",
        quiet(windows=["sun:03:00-sun:05:00"]),
        quiet(windows=["sun:03:00-sun:03:00"]),
    ),
]

VIEWS = [
    Case("text of a widget", "markdown belongs to a widget of type text", widget(type="text", markdown="# Shop"), widget(type="text")),
    Case("metrics of a widget", "metrics belongs to a widget of type metric", widget(type="metric", metrics=[SALES]), widget(type="metric")),
    Case(
        "query of a widget",
        "query and logGroups belong to a widget of type log",
        widget(type="log", query="fields @message", logGroups=["/app"]),
        widget(type="log", query="q"),
    ),
    Case("name of a metric", "a metric's name has no colon", counted(), counted(name="a:b")),
    Case("namespace of a filter", "a namespace has no colon, * or $", counted(namespace="Shop"), counted(namespace="Shop$")),
    Case("value of a filter", "value is a number, or a field of the event", counted(value="$.ms"), counted(value="ms")),
    Case("default and dimensions", "default and dimensions exclude each other", counted(default=0), counted(default=0, dimensions={"route": "$.route"})),
    Case("name of a log group", "a log group's name has letters", saved(logGroups=["/app"]), saved(logGroups=["/app log"])),
    Case(
        "retention",
        "retentionDays is one of",
        alarms(logGroups=[{"name": "/app", "retentionDays": 30}]),
        alarms(logGroups=[{"name": "/app", "retentionDays": 31}]),
    ),
    Case(
        "key of a log group",
        "a key is given by its ARN",
        alarms(logGroups=[{"name": "/app", "retentionDays": 30, "kmsKeyArn": KEY}]),
        alarms(logGroups=[{"name": "/app", "retentionDays": 30, "kmsKeyArn": "alias/logs"}]),
    ),
    Case("where a query looks", "a query looks at logGroups or at those of a target", saved(logGroups=["/app"]), saved(logGroups=["/app"], target="orders")),
    Case("target of a query", "queries names a target that is not among targets", saved(target="orders"), saved(target="nobody")),
    Case("no snapshot of alarms", "alarms hold no data to keep", alarms(policy={"onDelete": "Retain"}), alarms(policy={"onDelete": "Snapshot"})),
]

ALARMSET_CASES = [*TARGETS, *ALARMS, *NOTICES, *VIEWS]

ALARMSET_CHANGES = [
    ChangeCase(
        "region of a set",
        "region cannot be changed",
        alarms(region="eu-central-1"),
        alarms(region="eu-central-1", coldStarts=False),
        alarms(region="eu-west-1"),
    ),
    ChangeCase(
        "account of a set", "accountRef cannot be changed", alarms(accountRef={"name": "a"}), alarms(accountRef={"name": "a"}, coldStarts=False), alarms()
    ),
]

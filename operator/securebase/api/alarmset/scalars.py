"""Strings of an alarm set that have a grammar: ids, statistics, metric names, ARNs of topics and keys."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import Field, StringConstraints

from securebase.api.base import MapBounds, Matches

Id = Annotated[
    str,
    StringConstraints(min_length=1, max_length=40),
    Matches(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "an id has lower case letters, digits and -, and neither starts nor ends with -"),
]
MathId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=40),
    Matches(r"^[a-z][a-zA-Z0-9_]*$", "the id of a metric starts with a lower case letter: m1, errors"),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Severity = Literal["critical", "warning", "info"]
Comparison = Literal["GreaterThan", "GreaterThanOrEqual", "LessThan", "LessThanOrEqual", "Outside"]
LowSample = Literal["evaluate", "ignore"]
MissingData = Literal["breaching", "notBreaching", "ignore", "missing"]
Statistic = Annotated[
    str,
    StringConstraints(min_length=1, max_length=16),
    Matches(
        r"^(Average|Sum|Minimum|Maximum|SampleCount|IQM|(p|tm|tc|ts|wm)(100|[0-9]{1,2}([.][0-9]{1,10})?))$",
        "a statistic is Average, Sum, Minimum, Maximum, SampleCount, a percentile like p95 or p99.9, or a trimmed one like tm90",
    ),
]
Period = Annotated[int, Ge(10), Le(86_400)]
Periods = Annotated[int, Ge(1), Le(100)]
Runbook = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(r"^https://[^ ]+$", "a runbook is the address of a page: https://wiki.example.com/runbooks/api"),
]
MetricNamespace = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    Matches(r"^[^:].*$", "a namespace does not start with a colon: AWS/Lambda, Shop/Orders"),
]
Dimensions = Annotated[dict[str, str], MapBounds(max_properties=10, value=1024)]
MetricUnit = Literal[
    "Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits", "Kilobits", "Megabits", "Gigabits",
    "Terabits", "Percent", "Count", "Bytes/Second", "Kilobytes/Second", "Megabytes/Second", "Gigabytes/Second", "Terabytes/Second", "Bits/Second",
    "Kilobits/Second", "Megabits/Second", "Gigabits/Second", "Terabits/Second", "Count/Second", "None",
]  # fmt: skip
LogGroupName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(r"^[.A-Za-z0-9_/#-]+$", "a log group's name has letters, digits and . - _ / #"),
]
TopicArn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(
        r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$",
        "topicArns holds ARNs of SNS standard topics: arn:aws:sns:eu-central-1:123456789012:ops; CloudWatch tells no FIFO topic",
    ),
]
TopicKeyArn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(
        r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$",
        "the key of a topic must be a customer key's ARN, arn:aws:kms:eu-central-1:123456789012:key/...; alias/aws/sns would drop alarms silently",
    ),
]
KeyArn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", "a key is given by its ARN: arn:aws:kms:eu-central-1:123456789012:key/..."),
]
LambdaArn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    Matches(
        r"^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:.+$", "a function is given by its ARN: arn:aws:lambda:eu-central-1:123456789012:function:notify"
    ),
]
SqsArn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    Matches(r"^arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]{12}:.+$", "a queue is given by its ARN: arn:aws:sqs:eu-central-1:123456789012:alarms"),
]
HttpsUrl = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(r"^https://[^ @]+$", "an endpoint is written like https://pager.example.com/in, without a login, which all could read"),
]
Email = Annotated[str, StringConstraints(min_length=3, max_length=254), Matches(r"^[^@ ]+@[^@ ]+[.][^@ ]+$", "an address is written like ops@example.com")]
FilterValue = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    Matches(r"^([$].+|-?[0-9]+([.][0-9]+)?)$", "value is a number, or a field of the event: $.durationMs"),
]
Size = Annotated[int, Field(ge=1, le=24)]

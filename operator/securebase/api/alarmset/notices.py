"""Who is told, by severity, and when nobody is."""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge, Le, MaxLen
from pydantic import StringConstraints

from securebase.api.alarmset.scalars import Email, HttpsUrl, Id, LambdaArn, Runbook, Severity, SqsArn, TopicArn, TopicKeyArn
from securebase.api.base import ApiModel, ListMap, ListSet, Rule, Rules
from securebase.api.scalars import Window


class CreateTopic(ApiModel):
    """A topic of the set's own in every region that has something to tell."""

    emails: Annotated[tuple[Email, ...], MaxLen(20), ListSet()] = ()
    """Addresses that are asked to confirm."""
    https: Annotated[tuple[HttpsUrl, ...], MaxLen(20), ListSet()] = ()
    """Endpoints that are asked to confirm."""
    lambda_arns: Annotated[tuple[LambdaArn, ...], MaxLen(20), ListSet()] = ()
    """Functions that are called; each must let sns.amazonaws.com call it."""
    sqs_arns: Annotated[tuple[SqsArn, ...], MaxLen(20), ListSet()] = ()
    """Queues that are filled; each must let sns.amazonaws.com send."""
    kms_key_arn: TopicKeyArn | None = None
    """Customer key that encrypts the topic. A statement for CloudWatch is added to its policy."""
    us_east1_kms_key_arn: TopicKeyArn | None = None
    """The same for the topic in us-east-1, where CloudFront's alarms are."""


class Notification(ApiModel):
    """Who is told of alarms of one severity."""

    severity: Severity
    """Of which alarms."""
    topic_arns: Annotated[tuple[TopicArn, ...], MaxLen(5), ListSet()] = ()
    """Topics that exist. Each is told of the alarms of its region."""
    create_topic: CreateTopic | None = None
    """A topic to be made."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="has(self.createTopic) || (has(self.topicArns) && size(self.topicArns) > 0)",
            holds=lambda told: told.create_topic is not None or bool(told.topic_arns),
            message="a notification names topics in topicArns, or has one made with createTopic; without both nobody is told",
        ),
        Rule(
            cel="!has(self.createTopic) || !has(self.topicArns) || size(self.topicArns) < 5",
            holds=lambda told: told.create_topic is None or len(told.topic_arns) < 5,
            message="an alarm tells at most five topics, and createTopic is one of them; leave out one of topicArns",
            field=".topicArns",
        ),
    )


class Service(ApiModel):
    """What is known of a service besides its targets."""

    name: Id
    """Name, as targets give it."""
    description: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    """What it is for: stands in what people are told."""
    runbook: Runbook | None = None
    """Page that says what to do when it is unhealthy."""
    composite: bool = True
    """Whether its alarms tell as one. Without, each tells by itself."""


class Maintenance(ApiModel):
    """When nobody is told: an alarm that is in ALARM then, or windows for which one is made."""

    suppressor_alarm: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    """Name of an alarm in the object's region."""
    us_east1_suppressor_alarm: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    """The same in us-east-1, for what concerns CloudFront."""
    windows: Annotated[tuple[Window, ...], MaxLen(10), ListSet()] = ()
    """Weekly windows in UTC, like sun:03:00-sun:05:00."""
    wait_seconds: Annotated[int, Ge(1), Le(3600)] = 120
    """How long each message waits for the suppressor, which comes a minute or two late; outside of maintenance too."""
    extension_seconds: Annotated[int, Ge(1), Le(3600)] = 300
    """How long it is quiet after the maintenance."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="has(self.suppressorAlarm) != (has(self.windows) && size(self.windows) > 0)",
            holds=lambda maintenance: (maintenance.suppressor_alarm is not None) != bool(maintenance.windows),
            message="maintenance has either suppressorAlarm, the name of an alarm, or windows",
        ),
        Rule(
            cel="!has(self.usEast1SuppressorAlarm) || has(self.suppressorAlarm)",
            holds=lambda maintenance: maintenance.us_east1_suppressor_alarm is None or maintenance.suppressor_alarm is not None,
            message="usEast1SuppressorAlarm stands beside suppressorAlarm, and there is none; give both, or windows, which hold in every region",
            field=".usEast1SuppressorAlarm",
        ),
        Rule(
            cel="!has(self.windows) || self.windows.all(w, size(w) < 19 || w.substring(0, 9) != w.substring(10))",
            holds=lambda maintenance: all(window[:9] != window[10:] for window in maintenance.windows),
            message="windows of maintenance holds an empty one, which ends when it begins; give it a length",
            field=".windows",
        ),
    )


Notifications = Annotated[tuple[Notification, ...], MaxLen(3), ListMap("severity")]
Services = Annotated[tuple[Service, ...], MaxLen(100), ListMap("name")]

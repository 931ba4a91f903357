"""Alarms on the metrics of each member node, with the thresholds' sources."""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le, MaxLen
from pydantic import Field, StringConstraints

from securebase.api.base import ApiModel, ListSet, Matches, Rule, Rules

# ElastiCache publishes once a minute; an alarm on a standard metric takes multiples of 60 s.
Period = Annotated[int, Ge(60), Le(86_400), Field(multiple_of=60)]
Periods = Annotated[int, Ge(1), Le(100)]
Percent = Annotated[float, Gt(0), Le(100)]
Email = Annotated[str, StringConstraints(min_length=3, max_length=254), Matches(r"^[^@ ]+@[^@ ]+[.][^@ ]+$", "an address is written like ops@example.com")]
TopicArn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(
        r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$",
        "alarms.topicArn must be that of an SNS standard topic: arn:aws:sns:eu-central-1:123456789012:ops; CloudWatch tells no FIFO topic",
    ),
]
TopicKeyArn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(
        r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$",
        "createTopic.kmsKeyArn must be that of a customer key, arn:aws:kms:eu-central-1:123456789012:key/...; alias/aws/sns would drop alarms silently",
    ),
]


class CreateTopic(ApiModel):
    """An SNS topic of the object's own."""

    emails: Annotated[tuple[Email, ...], MaxLen(10), ListSet()] = ()
    """Who is asked to confirm a subscription."""
    kms_key_arn: TopicKeyArn | None = None
    """Customer key that encrypts the topic; its policy must let cloudwatch.amazonaws.com Decrypt and GenerateDataKey, or alarms are dropped silently."""


def _datapoints_rules(evaluation: int, datapoints: int, period: int) -> tuple[Rule, Rule]:
    """M of N must be possible, and the whole must not look back further than CloudWatch can."""
    return (
        Rule(
            cel=f"self.?datapointsToAlarm.orValue({datapoints}) <= self.?evaluationPeriods.orValue({evaluation})",
            holds=lambda alarm: alarm.datapoints_to_alarm <= alarm.evaluation_periods,
            message=f"datapointsToAlarm is more than evaluationPeriods (defaults {datapoints} of {evaluation}); the alarm could never fire, lower it",
            field=".datapointsToAlarm",
        ),
        Rule(
            cel=f"self.?periodSeconds.orValue({period}) * self.?evaluationPeriods.orValue({evaluation}) <= 86400",
            holds=lambda alarm: alarm.period_seconds * alarm.evaluation_periods <= 86_400,
            message="periodSeconds times evaluationPeriods is more than a day (86400), which CloudWatch refuses; lower one of them",
            field=".periodSeconds",
        ),
    )


class EngineCpu(ApiModel):
    """EngineCPUUtilization of the one thread that answers: above 90 % in 5 of 5 minutes, as AWS recommends."""

    enabled: bool = True
    threshold_percent: Percent = 90
    period_seconds: Period = 60
    evaluation_periods: Periods = 5
    datapoints_to_alarm: Periods = 5

    rules: ClassVar[Rules] = _datapoints_rules(5, 5, 60)


class DatabaseMemory(ApiModel):
    """DatabaseMemoryUsagePercentage, replicas included: above 80 % in 3 of 5 minutes."""

    enabled: bool = True
    threshold_percent: Percent = 80
    period_seconds: Period = 60
    evaluation_periods: Periods = 5
    datapoints_to_alarm: Periods = 3

    rules: ClassVar[Rules] = _datapoints_rules(5, 3, 60)


class DatabaseMemoryCritical(ApiModel):
    """The same metric where it becomes urgent: above 90 % in 3 of 5 minutes."""

    enabled: bool = True
    threshold_percent: Percent = 90
    period_seconds: Period = 60
    evaluation_periods: Periods = 5
    datapoints_to_alarm: Periods = 3

    rules: ClassVar[Rules] = _datapoints_rules(5, 3, 60)


class Evictions(ApiModel):
    """Keys thrown out for want of memory: more than 100 in five minutes, in 2 of 3."""

    enabled: bool = True
    threshold_count: Annotated[int, Ge(0), Le(1_000_000_000)] = 100
    """Within one period."""
    period_seconds: Period = 300
    evaluation_periods: Periods = 3
    datapoints_to_alarm: Periods = 2

    rules: ClassVar[Rules] = _datapoints_rules(3, 2, 300)


class ReplicationLag(ApiModel):
    """Seconds that a replica is behind: above 1 s in 3 of 5 minutes. Primaries publish none, and missing data is not breaching."""

    enabled: bool = True
    threshold_seconds: Annotated[float, Gt(0), Le(3_600)] = 1
    period_seconds: Period = 60
    evaluation_periods: Periods = 5
    datapoints_to_alarm: Periods = 3

    rules: ClassVar[Rules] = _datapoints_rules(5, 3, 60)


class NewConnections(ApiModel):
    """Connections opened, which are dear with TLS: more than 1000 a minute, in 2 of 3 minutes."""

    enabled: bool = True
    threshold_count: Annotated[int, Ge(1), Le(10_000_000)] = 1_000
    """Within one period."""
    period_seconds: Period = 60
    evaluation_periods: Periods = 3
    datapoints_to_alarm: Periods = 2

    rules: ClassVar[Rules] = _datapoints_rules(3, 2, 60)


class CurrentConnections(ApiModel):
    """Clients connected: more than 80 % of the node's own limit (maxclients) in 3 of 5 minutes."""

    enabled: bool = True
    threshold_percent: Percent = 80
    """Of maxclients: 65,000, or 20,000 and 46,000 on the smallest nodes."""
    period_seconds: Period = 60
    evaluation_periods: Periods = 5
    datapoints_to_alarm: Periods = 3

    rules: ClassVar[Rules] = _datapoints_rules(5, 3, 60)


class CacheHitRate(ApiModel):
    """Share of reads that found their key: below 80 % in 4 of 6 times five minutes."""

    enabled: bool = True
    threshold_percent: Percent = 80
    """Below this the alarm fires."""
    period_seconds: Period = 300
    evaluation_periods: Periods = 6
    datapoints_to_alarm: Periods = 4

    rules: ClassVar[Rules] = _datapoints_rules(6, 4, 300)


class Alarms(ApiModel):
    """CloudWatch alarms, one of each kind for each member node."""

    enabled: bool = True
    """Whether there are any alarms."""
    topic_arn: TopicArn | None = None
    """Topic that is told. Without topicArn and createTopic, alarms only show their state."""
    create_topic: CreateTopic | None = None
    """A topic to be made and told."""
    engine_cpu: EngineCpu = Field(default_factory=EngineCpu)
    database_memory: DatabaseMemory = Field(default_factory=DatabaseMemory)
    database_memory_critical: DatabaseMemoryCritical = Field(default_factory=DatabaseMemoryCritical)
    evictions: Evictions = Field(default_factory=Evictions)
    replication_lag: ReplicationLag = Field(default_factory=ReplicationLag)
    new_connections: NewConnections = Field(default_factory=NewConnections)
    current_connections: CurrentConnections = Field(default_factory=CurrentConnections)
    cache_hit_rate: CacheHitRate = Field(default_factory=CacheHitRate)

    rules: ClassVar[Rules] = (
        Rule(
            cel="!(has(self.topicArn) && has(self.createTopic))",
            holds=lambda alarms: alarms.topic_arn is None or alarms.create_topic is None,
            message="alarms takes topicArn (one that exists) or createTopic (one to be made), not both",
            field=".topicArn",
        ),
    )

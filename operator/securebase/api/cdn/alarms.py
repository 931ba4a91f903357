"""Alarms on a distribution's metrics, with the thresholds' sources."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, MaxLen
from pydantic import Field, StringConstraints

from securebase.api.base import ApiModel, ListSet, Matches, Rule, Rules
from securebase.api.scalars import TopicArn

# CloudFront publishes per minute; an alarm on a standard metric takes multiples of 60 s.
Period = Annotated[int, Ge(60), Le(86_400), Field(multiple_of=60)]
Periods = Annotated[int, Ge(1), Le(100)]
Percent = Annotated[float, Gt(0), Le(100)]
Email = Annotated[str, StringConstraints(min_length=3, max_length=254), Matches(r"^[^@ ]+@[^@ ]+[.][^@ ]+$", "an address is written like ops@example.com")]


KmsKeyArn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(
        r"^arn:aws[a-z-]*:kms:us-east-1:[0-9]{12}:key/.+$",
        "kmsKeyArn must be the ARN of a customer key in us-east-1 (arn:aws:kms:us-east-1:123456789012:key/...): "
        "the topic lives there, and alias/aws/sns would drop alarms silently",
    ),
]


class CreateTopic(ApiModel):
    """An SNS topic of the object's own."""

    emails: Annotated[tuple[Email, ...], MaxLen(10), ListSet()] = ()
    """Who is asked to confirm a subscription."""
    kms_key_arn: KmsKeyArn | None = None
    """Customer key that encrypts the topic; its policy must let cloudwatch.amazonaws.com Decrypt and GenerateDataKey, or alarms are dropped silently."""


def _datapoints_rule(evaluation: int, datapoints: int, period: int) -> tuple[Rule, Rule]:
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


class ClientErrors(ApiModel):
    """Share of answers that are 4xx. Defaults as AWS recommends for API Gateway's 4XXError: above 5 % in 5 of 5 minutes."""

    enabled: bool = True
    threshold_percent: Percent = 5
    period_seconds: Period = 60
    evaluation_periods: Periods = 5
    datapoints_to_alarm: Periods = 5

    rules: ClassVar[Rules] = _datapoints_rule(5, 5, 60)


class ServerErrors(ApiModel):
    """Share of answers that are 5xx. Defaults as AWS recommends for API Gateway's 5XXError: above 5 % in 3 of 3 minutes."""

    enabled: bool = True
    threshold_percent: Percent = 5
    period_seconds: Period = 60
    evaluation_periods: Periods = 3
    datapoints_to_alarm: Periods = 3

    rules: ClassVar[Rules] = _datapoints_rule(3, 3, 60)


class OriginLatency(ApiModel):
    """Time to the origin's first byte. Defaults as AWS recommends for API Gateway's Latency: p90 of 2500 ms in 5 of 5 minutes.

    Needs the paid monitoring subscription, which is made with it.
    """

    enabled: bool = True
    threshold_milliseconds: Annotated[int, Ge(1), Le(120_000)] = 2_500
    statistic: Literal["p50", "p90", "p95", "p99"] = "p90"
    period_seconds: Period = 60
    evaluation_periods: Periods = 5
    datapoints_to_alarm: Periods = 5

    rules: ClassVar[Rules] = _datapoints_rule(5, 5, 60)


class CacheHitRate(ApiModel):
    """Share of cacheable requests answered by the edge: below 80 %, the platform's promise, in 4 of 6 times five minutes.

    Needs the paid monitoring subscription, which is made with it.
    """

    enabled: bool = True
    threshold_percent: Percent = 80
    """Below this the alarm fires."""
    period_seconds: Period = 300
    evaluation_periods: Periods = 6
    datapoints_to_alarm: Periods = 4

    rules: ClassVar[Rules] = _datapoints_rule(6, 4, 300)


class Alarms(ApiModel):
    """CloudWatch alarms in us-east-1, where CloudFront's metrics are."""

    enabled: bool = True
    """Whether there are any alarms."""
    topic_arn: TopicArn | None = None
    """Topic that is told. Without topicArn and createTopic, alarms only show their state."""
    create_topic: CreateTopic | None = None
    """A topic to be made and told."""
    error_rate_4xx: ClientErrors = Field(default_factory=ClientErrors, alias="errorRate4xx")
    error_rate_5xx: ServerErrors = Field(default_factory=ServerErrors, alias="errorRate5xx")
    origin_latency: OriginLatency = Field(default_factory=OriginLatency)
    cache_hit_rate: CacheHitRate = Field(default_factory=CacheHitRate)

    rules: ClassVar[Rules] = (
        Rule(
            cel="!(has(self.topicArn) && has(self.createTopic))",
            holds=lambda alarms: alarms.topic_arn is None or alarms.create_topic is None,
            message="alarms takes topicArn (one that exists) or createTopic (one to be made), not both",
            field=".topicArn",
        ),
    )

    @property
    def need_monitoring_subscription(self) -> bool:
        """OriginLatency and CacheHitRate are CloudFront's additional metrics ("Turning on additional CloudFront distribution metrics")."""
        return self.enabled and (self.origin_latency.enabled or self.cache_hit_rate.enabled)

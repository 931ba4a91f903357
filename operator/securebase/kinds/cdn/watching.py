"""What watches a distribution: alarms, the metrics they need, the topic they tell, and the log of every request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from securebase.api.cdn import CdnDistributionSpec
from securebase.api.cdn.alarms import Alarms, CacheHitRate, ClientErrors, CreateTopic, OriginLatency, ServerErrors
from securebase.core.graph import Node, Ref
from securebase.core.kind import Context
from securebase.core.outputs import Promised, promised
from securebase.kinds.cdn.shared import HOME
from securebase.resources.cloudfront.model import MonitoringSubscription
from securebase.resources.cloudwatch.model import Alarm
from securebase.resources.logs.model import Delivery, DeliveryDestination, DeliverySource
from securebase.resources.sns.model import Topic

# Names: PutMetricAlarm takes 255 characters, CreateTopic 256, PutDeliverySource and PutDeliveryDestination 60.
_LONG, _SHORT = 200, 60
_URGENT = ("alarm-5xx",)


@dataclass(frozen=True, slots=True)
class _Measure:
    """One alarm's metric. `additional`: one of those that the monitoring subscription pays for."""

    node: str
    wanted: ClientErrors | ServerErrors | OriginLatency | CacheHitRate
    metric: str
    described: str
    comparison: str
    threshold: float
    statistic: str = ""
    percentile: str = ""
    additional: bool = False


def alarm_nodes(spec: CdnDistributionSpec, context: Context) -> Iterator[Node]:
    """The alarms asked for, in us-east-1 where CloudFront's metrics are."""
    if not spec.alarms.enabled:
        return
    if spec.alarms.need_monitoring_subscription:
        subscription = MonitoringSubscription(Ref("distribution", "id"))
        yield Node("monitoring", "cloudfront/monitoring-subscription", subscription, HOME)
    if spec.alarms.create_topic is not None:
        yield _topic(spec.alarms.create_topic, context)
    told = _told(spec)
    for measure in _measures(spec.alarms):
        if measure.wanted.enabled:
            yield _alarm(measure, told, context)


def alarm_outputs(spec: CdnDistributionSpec, attributes: Mapping[str, Mapping[str, str]]) -> dict[str, Promised]:
    """Names of the alarms that are wanted and there, for who shows them or makes one of them all; the urgent ones once more by themselves; and the
    topic that they tell. One that is no longer wanted is not named: others let go of it, and then it can be deleted."""
    wanted = sorted(measure.node for measure in _measures(spec.alarms) if measure.wanted.enabled) if spec.alarms.enabled else []
    names = {node: attributes.get(node, {}).get("name", "") for node in wanted}
    topics = [attributes.get("topic", {}).get("arn", "")] if spec.alarms.create_topic is not None else [spec.alarms.topic_arn] if spec.alarms.topic_arn else []
    return {
        "alarmNames": promised(names.values()),
        "criticalAlarmNames": promised(name for node, name in names.items() if node in _URGENT),
        "alarmsTell": promised(topics if wanted else ()),
    }


def alarm_thresholds(spec: CdnDistributionSpec) -> str:
    """`5xxErrorRate=5:critical,...`: at which values of which metrics the wanted alarms fire, for who draws those metrics."""
    wanted = [measure for measure in _measures(spec.alarms) if measure.wanted.enabled] if spec.alarms.enabled else []
    return ",".join(f"{one.metric}={one.threshold:g}:{'critical' if one.node in _URGENT else 'warning'}" for one in wanted)


def log_nodes(spec: CdnDistributionSpec, context: Context) -> Iterator[Node]:
    """Standard logging, version 2: a source, a destination, and the delivery between them."""
    if spec.logging is None:
        return
    names = {part: context.identity.external_name(part, _SHORT) for part in ("log-source", "log-destination")}
    source = DeliverySource(names["log-source"], Ref("distribution", "arn"), context.tags)
    destination = DeliveryDestination(names["log-destination"], spec.logging.destination_arn, context.tags, spec.logging.format)
    delivery = Delivery(
        source_name=Ref("log-source", "name"),
        destination_arn=Ref("log-destination", "arn"),
        tags=context.tags,
        fields=tuple(spec.logging.fields),
        suffix_path=spec.logging.suffix_path or "",
    )
    yield Node("log-source", "logs/delivery-source", source, HOME)
    yield Node("log-destination", "logs/delivery-destination", destination, HOME)
    yield Node("log-delivery", "logs/delivery", delivery, HOME)


def _topic(wanted: CreateTopic, context: Context) -> Node:
    topic = Topic(
        name=context.identity.external_name("topic", _LONG),
        tags=context.tags,
        publishers=frozenset({"cloudwatch.amazonaws.com"}),
        emails=frozenset(wanted.emails),
        kms_key=wanted.kms_key_arn or "",
    )
    return Node("topic", "sns/topic", topic, HOME)


def _told(spec: CdnDistributionSpec) -> frozenset[str]:
    if spec.alarms.create_topic is not None:
        return frozenset({Ref("topic", "arn")})
    return frozenset({spec.alarms.topic_arn}) if spec.alarms.topic_arn else frozenset()


def _measures(alarms: Alarms) -> Iterator[_Measure]:
    for code, wanted in (("4xx", alarms.error_rate_4xx), ("5xx", alarms.error_rate_5xx)):
        described = f"More than {wanted.threshold_percent:g} % of all answers are {code}"
        yield _Measure(f"alarm-{code}", wanted, f"{code}ErrorRate", described, "GreaterThanThreshold", wanted.threshold_percent, "Average")
    latency = alarms.origin_latency
    described = f"{latency.statistic} of the time to the origin's first byte is {latency.threshold_milliseconds} ms or more"
    yield _Measure(
        "alarm-origin-latency", latency, "OriginLatency", described, "GreaterThanOrEqualToThreshold", latency.threshold_milliseconds,
        percentile=latency.statistic, additional=True,
    )  # fmt: skip
    hits = alarms.cache_hit_rate
    described = f"Less than {hits.threshold_percent:g} % of cacheable requests are answered by the edge"
    yield _Measure("alarm-cache-hit-rate", hits, "CacheHitRate", described, "LessThanThreshold", hits.threshold_percent, "Average", additional=True)


def _alarm(measure: _Measure, told: frozenset[str], context: Context) -> Node:
    wanted = measure.wanted
    alarm = Alarm(
        name=context.identity.external_name(measure.node, _LONG),
        tags=context.tags,
        comparison=measure.comparison,
        evaluation_periods=wanted.evaluation_periods,
        datapoints_to_alarm=wanted.datapoints_to_alarm,
        threshold=float(measure.threshold),
        # CloudFront publishes nothing for minutes without requests.
        treat_missing_data="notBreaching",
        description=f"{measure.described} (CdnDistribution {context.identity.namespace}/{context.identity.name})",
        namespace="AWS/CloudFront",
        metric_name=measure.metric,
        dimensions={"DistributionId": Ref("distribution", "id"), "Region": "Global"},
        statistic=measure.statistic,
        extended_statistic=measure.percentile,
        period=wanted.period_seconds,
        # Of a handful of requests a percentile is the slowest one.
        evaluate_low_sample="ignore" if measure.percentile else "",
        alarm_actions=told,
        ok_actions=told,
    )
    after = frozenset({"monitoring"}) if measure.additional else frozenset()
    return Node(measure.node, "cloudwatch/alarm", alarm, HOME, after=after)

"""What each type of resource is charged for: from a desired value to items of the price book, without any price."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from securebase.core.graph import Node, refers
from securebase.resources.cloudfront.model import MonitoringSubscription
from securebase.resources.cloudwatch.model import Alarm
from securebase.resources.elasticache.model import ReplicationGroup, engine_parts
from securebase.resources.logs.filter_model import MetricFilter

STANDARD: Final = "standard"
_MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class Charge:
    """So many units of an item; of what is billed by use the amount is not known, and only the unit's price is told."""

    item: str
    variant: str = STANDARD
    count: int = 1


@dataclass(frozen=True, slots=True)
class Unclear:
    """Something is charged, and the desired value does not say how much."""

    what: str


Charged = tuple[Charge | Unclear, ...]
Adapter = Callable[[Any], Charged]
"""From a type's desired value to what is charged for it."""


def replication_group(group: ReplicationGroup) -> Charged:
    """Every node of every shard; snapshots, where they are kept, by what they take."""
    named = (group.node_type, group.engine)
    if any(not isinstance(value, str) or not value or refers(value) for value in named) or not _counted(group.replicas, 0) or not _counted(group.shards, 1):
        return (Unclear("nodes of a size, engine or number that is not known yet"),)
    nodes = Charge(f"elasticache/node/{engine_parts(group.engine)[0]}", group.node_type, group.shards * (1 + group.replicas))
    return (nodes,) if group.snapshot_retention == 0 else (nodes, Charge("elasticache/backup-storage"))


def alarm(desired: Alarm) -> Charged:
    """Each metric it looks at, by the finest resolution (CloudWatch pricing: alarms on metric maths are billed by the metric).

    An anomaly band counts as two more metrics beside each one it is made of: its upper and its lower bound.
    """
    looked_at = [query for query in desired.metrics if not query.expression]
    if desired.metrics and not looked_at:
        return (Unclear("metrics that a query selects"),)
    periods = [query.period for query in looked_at] if desired.metrics else [desired.period]
    variant = "high-resolution" if any(0 < period < _MINUTE for period in periods) else STANDARD
    return (Charge("cloudwatch/alarm", variant, len(periods) * (3 if desired.threshold_metric_id else 1)),)


def monitoring_subscription(desired: MonitoringSubscription) -> Charged:
    """CloudFront's additional metrics, where they are on."""
    return (Charge("cloudfront/additional-metrics"),) if desired.enabled else ()


def distribution(desired: object) -> Charged:
    """What leaves it and what is asked of it."""
    return Charge("cloudfront/data-transfer", "us-eu"), Charge("cloudfront/requests", "https"), Charge("cloudfront/requests", "http")


def secret(desired: object) -> Charged:
    """Each secret a month, and the requests for it."""
    return Charge("secretsmanager/secret"), Charge("secretsmanager/requests")


def metric_filter(desired: MetricFilter) -> Charged:
    """The custom metric that it makes; with dimensions each combination of their values is one more (CloudWatch pricing: custom metrics)."""
    metric = Charge("cloudwatch/custom-metric")
    return (metric, Unclear("one custom metric for each combination of its dimensions' values")) if desired.dimensions else (metric,)


def _always(*charges: Charge) -> Adapter:
    return lambda desired: charges


def _counted(number: object, least: int) -> bool:
    return isinstance(number, int) and number >= least


ADAPTERS: Final[Mapping[str, Adapter]] = {
    "cloudfront/distribution": distribution,
    "cloudfront/function": _always(Charge("cloudfront/function")),
    "cloudfront/monitoring-subscription": monitoring_subscription,
    "cloudwatch/alarm": alarm,
    "cloudwatch/composite-alarm": _always(Charge("cloudwatch/composite-alarm")),
    "cloudwatch/dashboard": _always(Charge("cloudwatch/dashboard")),
    "elasticache/replication-group": replication_group,
    "logs/log-group-settings": _always(Charge("cloudwatch/logs", "store")),
    "logs/metric-filter": metric_filter,
    "logs/delivery": _always(Charge("logs/vended-delivery")),
    "secretsmanager/secret": secret,
    "sns/topic": _always(Charge("sns/notifications")),
}
"""By type. A type that is neither here nor free in the price book has an unknown cost."""


def charges_of(node: Node) -> Charged | None:
    """What a node is charged for; None when nobody said for its type."""
    adapter = ADAPTERS.get(node.type)
    return adapter(node.desired) if adapter is not None else None

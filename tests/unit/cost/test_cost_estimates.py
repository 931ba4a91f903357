"""Estimates: a reviewed one line by line, and that nothing unknown ever becomes 0."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securebase.core.fields import UNMANAGED
from securebase.core.graph import Graph, Node, Ref, Role
from securebase.cost.book import PriceBook
from securebase.cost.charges import ADAPTERS
from securebase.cost.data import shipped_book
from securebase.cost.estimate import Estimate, estimate, together
from securebase.cost.foresight import foreseen
from securebase.resources.cloudfront.model import MonitoringSubscription
from securebase.resources.cloudwatch.model import Alarm, MetricQuery
from securebase.resources.elasticache.model import ClusterMode, ReplicationGroup

GOLDEN = Path(__file__).parent / "golden" / "cache-prod.json"
BOOK = shipped_book()


def alarm(*queries: MetricQuery, period: int = 60, band: str = "") -> Alarm:
    return Alarm("a", {}, "GreaterThanThreshold", 1, 1, metric_name="" if queries else "m", period=period, metrics=queries, threshold_metric_id=band)


def group(region: str = "", **more: Any) -> Node:
    desired: dict[str, Any] = {"name": "rg", "tags": {}, "engine": "valkey 8.0", "node_type": "cache.r7g.large", "replicas": 1, "snapshot_retention": 7} | more
    return Node("group", "elasticache/replication-group", ReplicationGroup(**desired), region)


def of(*nodes: Node, region: str = "us-east-1", book: PriceBook = BOOK) -> Estimate:
    return estimate(nodes, region, book)


def test_a_production_cache_as_reviewed() -> None:
    hits = MetricQuery("h", namespace="n", metric_name="CacheHits", stat="Sum", period=300)
    misses = MetricQuery("m", namespace="n", metric_name="CacheMisses", stat="Sum", period=300)
    found = of(
        Node("subnets", "elasticache/subnet-group", None),
        Node("security-group", "ec2/security-group", None),
        Node("secret", "secretsmanager/secret", None),
        group(),
        Node("alarm-cpu-001", "cloudwatch/alarm", alarm()),
        Node("alarm-connections-001", "cloudwatch/alarm", alarm(period=10)),
        Node("alarm-hits-001", "cloudwatch/alarm", alarm(hits, misses, MetricQuery("r", expression="100*h/(h+m)", returns_data=True))),
        Node("connection", "kubernetes/secret", None),
    )
    assert found.as_document() == json.loads(GOLDEN.read_text())
    # 2 nodes x 730 h x 0.1752 + secret 0.40 + alarms 0.10 + 0.30 + 2 x 0.10
    assert found.monthly_usd == Decimal("256.79")
    assert found.as_of == date(2026, 8, 1)
    assert found.as_status() == {
        "monthlyUsd": "256.79",
        "asOf": "2026-08-01",
        "byUse": ["elasticache/backup-storage", "secretsmanager/requests"],
    }


@pytest.mark.parametrize(
    ("node", "lines"),
    [
        (group(shards=3, replicas=2, engine="redis 7.1", node_type="cache.t4g.micro"), ["105.12"]),
        (group(shards=1, replicas=0, node_type="cache.t4g.micro"), ["9.34"]),
        (Node("a", "cloudwatch/alarm", alarm()), ["0.10"]),
        (Node("a", "cloudwatch/alarm", alarm(period=30)), ["0.30"]),
        (Node("a", "cloudwatch/alarm", alarm(MetricQuery("x", metric_name="m", period=60), MetricQuery("b", expression="BAND(x)"), band="b")), ["0.30"]),
        (Node("m", "cloudfront/monitoring-subscription", MonitoringSubscription("E1")), ["2.40"]),
        (Node("m", "cloudfront/monitoring-subscription", MonitoringSubscription("E1", enabled=False)), []),
    ],
)
def test_parts(node: Node, lines: list[str]) -> None:
    found = of(node)
    assert [line["usd"] for line in found.as_document()["lines"]] == lines
    assert found.missing == ()


@pytest.mark.parametrize(
    ("node", "told"),
    [
        (group(node_type="cache.r99.large"), "no price of elasticache/node/valkey cache.r99.large in us-east-1"),
        (group("mars-north-1"), "cache.r7g.large in mars-north-1"),
        (group(engine="memcached 1.6"), "elasticache/node/memcached"),
        (group(node_type=Ref("other", "nodeType")), "not known yet"),
        (group(node_type=""), "not known yet"),
        (group(replicas=UNMANAGED), "not known yet"),
        (group(shards=0), "not known yet"),
        (Node("a", "cloudwatch/alarm", alarm(MetricQuery("s", expression="SELECT AVG(x) FROM y", returns_data=True))), "metrics that a query selects"),
        (Node("a", "cloudwatch/alarm", alarm(), "eu-central-1"), "in eu-central-1"),
        (Node("x", "never/heard-of", None), "nothing is known of the cost of never/heard-of"),
    ],
)
def test_what_is_unknown_is_named_and_never_0(node: Node, told: str) -> None:
    found = of(node)
    assert told in found.missing[0].what
    assert found.lines == ()
    assert found.monthly_usd is None
    assert "monthlyUsd" not in found.as_status()
    assert found.as_document()["monthlyUsd"] is None


def test_what_is_known_counts_beside_what_is_not() -> None:
    found = of(Node("a", "cloudwatch/alarm", alarm()), group(node_type="cache.r99.large"))
    assert found.as_status() == {
        "monthlyUsd": "0.10",
        "asOf": "2026-08-01",
        "missing": ["group: no price of elasticache/node/valkey cache.r99.large in us-east-1"],
        "byUse": ["elasticache/backup-storage"],
    }


def test_what_is_billed_by_use_is_unknown_and_not_free() -> None:
    found = of(Node("distribution", "cloudfront/distribution", None), Node("topic", "sns/topic", None))
    assert found.monthly_usd is None
    assert found.missing == ()
    assert {use.price.item: use.price.usd for use in found.uses} == {
        "cloudfront/data-transfer": Decimal("0.085"),
        "cloudfront/requests": Decimal("0.0075"),
        "sns/notifications": None,
    }


def test_what_is_free_costs_nothing_and_what_is_anothers_is_not_counted() -> None:
    found = of(Node("subnets", "elasticache/subnet-group", None), Node("zone", "route53/zone", None, role=Role.EXTERNAL), Node("t", "x/y", None, task=True))
    assert found == Estimate()
    assert found.monthly_usd == 0


def test_no_type_is_both_free_and_charged() -> None:
    assert not BOOK.free & ADAPTERS.keys()


def test_an_empty_book_knows_nothing() -> None:
    found = of(group(), Node("subnets", "elasticache/subnet-group", None), book=PriceBook())
    assert found.monthly_usd is None
    assert len(found.missing) == 3


NODE_TYPES = sorted({variant for item, variant, _ in BOOK.prices if item.startswith("elasticache/node/")})
GROUPS = st.builds(
    group,
    st.sampled_from(["", "us-east-1", "eu-central-1"]),
    node_type=st.sampled_from([*NODE_TYPES, "cache.r99.large", "", UNMANAGED]),
    engine=st.sampled_from(["redis 7.1", "valkey 8.0", "valkey", "memcached 1.6", UNMANAGED]),
    replicas=st.one_of(st.integers(-1, 5), st.just(UNMANAGED)),
    shards=st.one_of(st.integers(-1, 500), st.just(UNMANAGED)),
)


@given(GROUPS)
def test_a_group_is_either_priced_above_0_or_named_as_missing(node: Node) -> None:
    found = of(node)
    assert bool(found.lines) != bool(found.missing)
    for line in found.lines:
        assert line.usd > 0
    assert (found.monthly_usd is None) == bool(found.missing)


@given(st.lists(GROUPS, max_size=5))
def test_the_whole_is_the_sum_of_its_parts_and_never_negative(nodes: list[Node]) -> None:
    parts = [of(node) for node in nodes]
    whole = together(parts)
    assert sum((line.usd for line in whole.lines), Decimal(0)) == sum((line.usd for part in parts for line in part.lines), Decimal(0))
    assert whole.monthly_usd is None or whole.monthly_usd >= 0
    assert len(whole.missing) == sum(len(part.missing) for part in parts)


@given(st.integers(1, 90), st.integers(0, 5), st.sampled_from(NODE_TYPES))
def test_a_bigger_group_costs_more(shards: int, replicas: int, node_type: str) -> None:
    smaller, bigger = of(group(shards=shards, replicas=replicas, node_type=node_type)), of(group(shards=shards + 1, replicas=replicas, node_type=node_type))
    assert smaller.monthly_usd is not None and bigger.monthly_usd is not None
    assert smaller.monthly_usd < bigger.monthly_usd


def test_a_status_stays_small() -> None:
    found = of(*(Node(f"n{number}", "never/heard-of", None) for number in range(500)))
    assert len(found.as_status()["missing"]) == 20


def test_no_snapshots_no_storage() -> None:
    assert of(group(snapshot_retention=0)).uses == ()


@pytest.mark.parametrize(
    ("more", "members"),
    [
        ({"replicas": 0}, "rg-001:primary"),
        ({"replicas": 2}, "rg-001:primary,rg-002:replica,rg-003:replica"),
        ({"shards": 2, "cluster_mode": ClusterMode.ENABLED.value}, "rg-0001-001:member,rg-0001-002:member,rg-0002-001:member,rg-0002-002:member"),
    ],
)
def test_members_are_foreseen(more: dict[str, Any], members: str) -> None:
    graph = Graph([group(**more), Node("other", "x/y", None)])
    assert foreseen(graph, frozenset({"group", "other", "elsewhere"})) == {
        "group": {"id": "rg", "members": members, "nodeType": "cache.r7g.large", "engine": "valkey", "engineVersion": "8.0"}
    }


def test_what_is_left_to_others_is_not_foreseen() -> None:
    assert all(foreseen(Graph([group(**{name: UNMANAGED})]), frozenset({"group"})) == {} for name in ("replicas", "engine"))

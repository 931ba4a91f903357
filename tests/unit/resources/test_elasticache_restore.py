"""What ElastiCache makes from a snapshot: which replacements cannot keep the data, and which engine a successor is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from securebase.resources.elasticache.model import ReplicationGroup, engine
from securebase.resources.elasticache.names import by_age, count_in
from securebase.resources.elasticache.restore import engine_of_successor, unrestorable

PLAIN = ReplicationGroup("cache", {}, engine("valkey", "8.0"), "cache.r7g.large")
TIERED: dict[str, Any] = {"data_tiering": True, "node_type": "cache.r6gd.xlarge"}


@pytest.mark.parametrize(
    ("have", "want", "words"),
    [
        ({"cluster_mode": "enabled"}, {}, "in cluster mode"),
        (TIERED, {}, "data tiering"),
        ({}, {"engine": "redis 7.1"}, "valkey 8.0 into redis 7.1"),
        ({"engine": "valkey 7.2"}, {"engine": "redis 7.0"}, "valkey 7.2 into redis 7.0"),
        ({}, {"engine": "valkey 7.2"}, "valkey 8.0 into valkey 7.2"),
        ({"engine": "valkey 8.1.0"}, {"engine": "valkey 8.0"}, "older"),
        ({"engine": "redis 7.1"}, {"engine": "redis 6.2"}, "older"),
    ],
)
def test_what_no_snapshot_becomes_is_told_with_what_to_do_instead(have: dict[str, Any], want: dict[str, Any], words: str) -> None:
    [why] = unrestorable(replace(PLAIN, **have), replace(PLAIN, port=6380, **want))
    assert words in why and "make another object" in why and "snapshot.replacement: empty" in why


@pytest.mark.parametrize(
    ("have", "want"),
    [
        ({}, {"port": 6380}),
        ({}, {"cluster_mode": "enabled", "at_rest_encryption": False}),
        ({"cluster_mode": "compatible"}, {}),
        ({}, TIERED),
        ({"engine": "redis 7.1"}, {"engine": "valkey 8.0", "port": 6380}),
        ({"engine": "valkey 7.2"}, {"engine": "redis 7.1"}),
        ({"engine": "valkey 8.0.4"}, {"engine": "valkey 8.0"}),
        ({"engine": "redis "}, {"engine": "redis 7.1"}),
    ],
)
def test_everything_else_starts_from_one(have: dict[str, Any], want: dict[str, Any]) -> None:
    assert list(unrestorable(replace(PLAIN, **have), replace(PLAIN, **want))) == []


@pytest.mark.parametrize(
    ("want", "saved", "asked"),
    [
        ("valkey 8.0", "valkey 8.1.2", "valkey 8.1"),
        ("valkey 8.0", "valkey 8.0.3", "valkey 8.0"),
        ("valkey 8.1", "valkey 8.0.3", "valkey 8.1"),
        ("valkey 9.0", "valkey 8.1.2", "valkey 9.0"),
        ("valkey 7.2", "redis 7.1.0", "valkey 7.2"),
        ("valkey 8.0", "", "valkey 8.0"),
    ],
)
def test_a_successor_is_no_older_than_what_aws_upgraded(want: str, saved: str, asked: str) -> None:
    assert engine_of_successor(want, saved) == asked


def test_successors_are_told_apart_by_their_numbers() -> None:
    assert by_age(["c-10", "c-2", "c", "c-1"]) == ["c", "c-1", "c-2", "c-10"]
    assert [count_in(name) for name in ("web-cache-0123456789", "web-cache-0123456789-3")] == [0, 3]

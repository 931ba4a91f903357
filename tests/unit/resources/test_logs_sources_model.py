"""What CloudWatch Logs would refuse of filters, queries and settings, and what a change of retention costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from securebase.core.diff import diff
from securebase.core.fields import Impact
from securebase.resources.logs import filter_model, group_model, query_model
from securebase.resources.logs.filter_model import MetricFilter
from securebase.resources.logs.group_model import FOR_EVER, LogGroupSettings, missing_group
from securebase.resources.logs.query_model import MOST_GROUPS, QueryDefinition

JSON = MetricFilter("slow", "/aws/lambda/orders", "{ $.ms > 10 }", "Slow", "SecureBase/shop", "$.ms", dimensions={"route": "$.request.route"})
SPACED = MetricFilter("slow", "/var/log", "[ip, user, ms > 10]", "Slow", "SecureBase/shop", "$ms", dimensions={"user": "$user"})


def told(wanted: MetricFilter) -> str:
    return "; ".join(filter_model.problems(wanted))


@pytest.mark.parametrize(
    "wanted", [JSON, SPACED, MetricFilter("all", "g", "", "Events", "N"), replace(JSON, dimensions={}, metric_value="-1.5e3", default_value=0.0)]
)
def test_filters_that_are_taken(wanted: MetricFilter) -> None:
    assert told(wanted) == ""


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (replace(JSON, pattern="{ $.ms > }"), "character 10"),
        (replace(JSON, name="a:b"), "filter's name"),
        (replace(JSON, metric_name="a$b"), "metric's name"),
        (replace(JSON, metric_namespace=""), "metric's namespace"),
        (replace(JSON, metric_value="ms"), "names a field as $.field"),
        (replace(JSON, default_value=0.0), "exclude each other"),
        (replace(JSON, default_value=float("nan"), dimensions={}), "must be a number"),
        (replace(JSON, dimensions=dict.fromkeys("abcd", "$.x")), "4 dimensions"),
        (replace(JSON, dimensions={"route": "orders"}), "dimension route"),
        (replace(JSON, pattern="ERROR"), "only a JSON or space-delimited pattern has fields"),
        (replace(SPACED, metric_value="$.ms"), "names a field as $field"),
        (replace(SPACED, metric_value="$size"), "it names ip, user, ms"),
    ],
)
def test_filters_that_are_not(wanted: MetricFilter, words: str) -> None:
    assert words in told(wanted)


def test_queries() -> None:
    good = QueryDefinition("shop/slow", "fields @message", frozenset({"a"}))
    assert not list(query_model.problems(good))
    many = frozenset(str(at) for at in range(MOST_GROUPS + 1))
    assert len(list(query_model.problems(QueryDefinition("", "", many)))) == 3


def test_settings() -> None:
    assert not list(group_model.problems(LogGroupSettings("g", 30, "arn:aws:kms:us-east-1:111111111111:key/1")))
    assert not list(group_model.problems(LogGroupSettings("g", FOR_EVER)))
    assert len(list(group_model.problems(LogGroupSettings("g", 31, "alias/logs")))) == 2


@pytest.mark.parametrize(
    ("have", "want", "impact"),
    [
        (FOR_EVER, 30, Impact.ONLINE),
        (30, 90, Impact.ONLINE),
        (30, FOR_EVER, Impact.ONLINE),
        (90, 30, Impact.PROTECTION_LOSS),
    ],
)
def test_only_a_retention_that_somebody_chose_is_protected(have: int, want: int, impact: Impact) -> None:
    [change] = diff(LogGroupSettings("g", want), LogGroupSettings("g", have), None, b"key")
    assert change.impact is impact


@pytest.mark.parametrize(("name", "words"), [("/aws/lambda/orders", "first run"), ("/aws/rds/cluster/x", "switched on there"), ("/own", "whoever writes")])
def test_a_missing_group_says_who_makes_it(name: str, words: str) -> None:
    waiting = missing_group(name)
    assert waiting.reason == "LogGroupMissing"
    assert name in waiting.message
    assert words in waiting.message

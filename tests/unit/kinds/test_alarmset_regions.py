"""Alarms, composites and who is told in every region that there is something in; maintenance that holds all of it, or is refused."""

from __future__ import annotations

from typing import Any

import pytest

from securebase.core.errors import Terminal
from securebase.core.graph import references
from securebase.kinds.alarmset import ALARMS
from securebase.resources.sns.model import Topic
from tests.unit.kinds.any_alarmset import alarms, composed, composites, small, widget

FUNCTION = {"id": "checkout", "type": "Lambda", "service": "shop", "name": "checkout"}
SITE = {"id": "site", "type": "CloudFront", "service": "web", "ref": {"kind": "CdnDistribution", "name": "site"}}
CACHE = {"id": "c", "type": "ElastiCache", "service": "shop", "ref": {"kind": "CacheCluster", "name": "c"}}
MADE = {"id": "E1", "region": "us-east-1", "alarmNames": "site-4xx,site-5xx", "criticalAlarmNames": "site-5xx"}
FAR = {"id": "g", "region": "eu-west-1", "members": "g-001:primary", "alarmNames": "g-cpu,g-memory", "criticalAlarmNames": "g-cpu"}
THERE = {"CdnDistribution/site": MADE, "CacheCluster/c": FAR}
PAGER = {"severity": "critical", "createTopic": {"emails": ["ops@example.com"]}}
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-1111-2222-3333-444455556666"


def topic(region: str, name: str = "ops") -> str:
    return f"arn:aws:sns:{region}:123456789012:{name}"


def told(severity: str, *regions: str) -> dict[str, Any]:
    return {"severity": severity, "topicArns": [topic(region) for region in regions]}


def refused(*targets: dict[str, Any], objects: dict[str, Any] | None = None, **more: Any) -> tuple[str, str]:
    with pytest.raises(Terminal) as refusal:
        composed(small(*targets, **more), objects=objects or {})
    return refusal.value.reason, refusal.value.message


def test_a_cache_in_a_third_region_pages_from_there() -> None:
    own = {"id": "bytes", "metric": {"name": "BytesUsedForCache"}, "threshold": 10, "severity": "critical"}
    graph = composed(small(FUNCTION, {**CACHE, "alarms": [own]}, notifications=[PAGER]), objects=THERE)
    assert {node.id: node.region for node in graph if isinstance(node.desired, Topic)} == {"topic-critical": "", "topic-critical-eu-west-1": "eu-west-1"}
    far = {node.id for node in graph if node.region == "eu-west-1"}
    assert far == {"alarm-c_g-001_bytes", "composite-shop_eu-west-1", "composite-shop_warning_eu-west-1", "topic-critical-eu-west-1"}
    composite = composites(graph)["composite-shop_eu-west-1"]
    assert {node for text in composite.alarm_actions for node, _ in references(text)} == {"topic-critical-eu-west-1"}
    assert 'ALARM("g-cpu")' in composite.rule and {node for node, _ in references(composite.rule)} == {"alarm-c_g-001_bytes"}
    assert composites(graph)["composite-shop_warning_eu-west-1"].rule == 'ALARM("g-memory")'
    assert not alarms(graph)["alarm-c_g-001_bytes"].alarm_actions
    assert widget(graph, "cache")["region"] == "eu-west-1"
    assert all(graph.nodes[other].region == node.region for node in graph for other in node.references())
    outputs = ALARMS.outputs(small(FUNCTION), {node.id: {"arn": f"arn-of-{node.id}"} for node in graph})
    assert outputs["criticalTopicArnEuWest1"] == "arn-of-topic-critical-eu-west-1"


def test_alone_an_alarm_of_a_third_region_tells_a_topic_there() -> None:
    own = {"id": "bytes", "metric": {"name": "BytesUsedForCache"}, "threshold": 10, "severity": "critical"}
    services = [{"name": "shop", "composite": False}]
    graph = composed(small({**CACHE, "alarms": [own]}, notifications=[PAGER], services=services), objects=THERE)
    assert {node for text in alarms(graph)["alarm-c_g-001_bytes"].alarm_actions for node, _ in references(text)} == {"topic-critical-eu-west-1"}
    given = composed(small({**CACHE, "alarms": [own]}, notifications=[told("critical", "eu-west-1")], services=services), objects=THERE)
    assert alarms(given)["alarm-c_g-001_bytes"].alarm_actions == {topic("eu-west-1")}


@pytest.mark.parametrize(
    ("targets", "notification", "region"),
    [
        ([FUNCTION], told("critical", "us-east-1"), "eu-central-1"),
        ([FUNCTION], told("warning", "us-east-1"), "eu-central-1"),
        ([FUNCTION, SITE], told("critical", "eu-central-1"), "us-east-1"),
        ([FUNCTION, SITE], told("warning", "eu-central-1"), "us-east-1"),
        ([FUNCTION, CACHE], told("critical", "eu-central-1"), "eu-west-1"),
    ],
)
def test_a_severity_without_a_topic_where_there_are_alarms_is_refused(targets: list[dict[str, Any]], notification: dict[str, Any], region: str) -> None:
    reason, message = refused(*targets, objects=THERE, notifications=[notification])
    assert reason == "TopicMissingInRegion"
    assert f"notifications[{notification['severity']}]" in message and region in message and "topicArns" in message and "createTopic" in message


def test_a_distribution_that_is_still_to_come_is_foreseen() -> None:
    named = {"id": "cdn", "type": "CloudFront", "name": "E9"}
    for target in (SITE, named, {**named, "alarms": [{"id": "errors-5xx", "enabled": False}, {"id": "errors-4xx", "severity": "critical"}]}):
        assert refused(FUNCTION, target, notifications=[told("critical", "eu-central-1")])[0] == "TopicMissingInRegion"
    quiet = {**named, "alarms": [{"id": "errors-5xx", "enabled": False}]}
    assert composed(small(FUNCTION, quiet, notifications=[told("critical", "eu-central-1")]))


def test_only_severities_that_shall_be_told_need_a_topic() -> None:
    assert composed(small(FUNCTION, SITE), objects=THERE)
    assert composed(small(FUNCTION, SITE, notifications=[told("info", "us-east-1"), told("critical", "us-east-1", "eu-central-1")]), objects=THERE)
    foreign = {"CdnDistribution/site": {**MADE, "arn": "arn:aws:cloudfront::999999999999:distribution/E1"}}
    assert composed(small(FUNCTION, SITE, notifications=[told("critical", "eu-central-1")]), objects=foreign)


def test_a_topic_of_a_region_where_nothing_is_refused_once_all_regions_are_known() -> None:
    assert refused(FUNCTION, notifications=[told("critical", "eu-west-3", "eu-central-1")])[0] == "TopicRegion"
    both = [told("critical", "eu-central-1", "eu-west-1")]
    assert composed(small(FUNCTION, CACHE, notifications=both)) and composed(small(FUNCTION, CACHE, notifications=both), objects=THERE)
    assert refused(FUNCTION, CACHE, objects=THERE, notifications=[told("critical", "eu-west-3", "eu-west-1", "eu-central-1")])[0] == "TopicRegion"


def test_an_encrypted_topic_is_not_made_where_no_key_can_be_given() -> None:
    encrypted: dict[str, Any] = {"severity": "critical", "createTopic": {"kmsKeyArn": KEY}}
    reason, message = refused(FUNCTION, CACHE, objects=THERE, notifications=[encrypted])
    assert reason == "KeyMissing" and "name a topic of eu-west-1 in topicArns" in message
    graph = composed(small(FUNCTION, CACHE, notifications=[{**encrypted, "topicArns": [topic("eu-west-1")]}]), objects=THERE)
    assert [node.id for node in graph if isinstance(node.desired, Topic)] == ["topic-critical"]
    assert composites(graph)["composite-shop_eu-west-1"].alarm_actions == {topic("eu-west-1")}


def test_windows_hold_composites_of_every_region() -> None:
    graph = composed(small(SITE, FUNCTION, CACHE, maintenance={"windows": ["sun:03:00-sun:05:00"], "waitSeconds": 60}), objects=THERE)
    regions = {node.id: node.region for node in graph if node.id.startswith("suppressor")}
    assert regions == {"suppressor": "", "suppressor_use1": "us-east-1", "suppressor_eu-west-1": "eu-west-1"}
    for composite, suppressor in (
        ("composite-web_use1", "suppressor_use1"),
        ("composite-shop_eu-west-1", "suppressor_eu-west-1"),
        ("composite-shop", "suppressor"),
    ):
        held = composites(graph)[composite]
        assert list(references(held.suppressor)) == [(suppressor, "name")] and (held.suppressor_wait, held.suppressor_extension) == (60, 300)


def test_a_named_suppressor_holds_every_region_or_is_refused() -> None:
    home = composed(small(FUNCTION, maintenance={"suppressorAlarm": "deploying"}))
    assert {one.suppressor for one in composites(home).values()} == {"deploying"}
    for objects in ({}, THERE):
        reason, message = refused(FUNCTION, SITE, objects=objects, maintenance={"suppressorAlarm": "deploying"})
        assert reason == "SuppressorRegion" and "us-east-1" in message and "usEast1SuppressorAlarm" in message and "windows" in message
    both = {"suppressorAlarm": "deploying", "usEast1SuppressorAlarm": "releasing"}
    graph = composed(small(FUNCTION, SITE, maintenance=both), objects=THERE)
    assert (composites(graph)["composite-shop"].suppressor, composites(graph)["composite-web_use1"].suppressor) == ("deploying", "releasing")
    reason, message = refused(FUNCTION, CACHE, objects=THERE, maintenance=both)
    assert reason == "SuppressorRegion" and "eu-west-1" in message

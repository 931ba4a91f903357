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


NAMED = {"id": "cdn", "type": "CloudFront", "service": "web", "name": "E9"}
ALONE = [{"name": "web", "composite": False}]
QUIET = {"maintenance": {"suppressorAlarm": "deploying"}}


def notes(*targets: dict[str, Any], objects: dict[str, Any] | None = None, **more: Any) -> str:
    """What a set tells that was made all the same."""
    spec = small(*targets, region="eu-central-1", **more)
    graph = composed(spec, {"target-checkout": {"exists": "true", "arn": "arn:there"}}, objects=objects or {})
    return ALARMS.outputs(spec, {node.id: {"arn": f"arn:{node.id}"} for node in graph}).get("notes", "")


@pytest.mark.parametrize("site", [SITE, NAMED, {**NAMED, "alarms": [{"id": "errors-5xx", "enabled": False}, {"id": "errors-4xx", "severity": "critical"}]}])
def test_a_distribution_that_is_still_to_come_is_foreseen_and_stops_nobody(site: dict[str, Any]) -> None:
    told_there = notes(FUNCTION, site, notifications=[told("critical", "eu-central-1")])
    assert f"once targets[{site['id']}] is there, notifications[critical] needs a topic of us-east-1" in told_there
    encrypted = {"severity": "critical", "createTopic": {"kmsKeyArn": KEY}}
    assert "usEast1KmsKeyArn" in notes(FUNCTION, site, notifications=[encrypted])
    assert "usEast1SuppressorAlarm" in notes(FUNCTION, site, **QUIET)
    for fine in ({}, {"notifications": [PAGER]}, {"notifications": [told("critical", "us-east-1", "eu-central-1")]}):
        assert notes(FUNCTION, site, **fine) == ""


def test_what_a_distribution_will_not_tell_through_a_composite_is_not_foreseen() -> None:
    assert notes(FUNCTION, SITE, services=ALONE, notifications=[told("critical", "eu-central-1")]) == ""
    quiet = {**NAMED, "alarms": [{"id": "errors-5xx", "enabled": False}]}
    assert notes(FUNCTION, quiet, notifications=[told("critical", "eu-central-1")]) == ""
    assert "usEast1SuppressorAlarm" not in notes(FUNCTION, SITE, services=ALONE, **QUIET)
    assert notes(FUNCTION, SITE, objects=THERE, notifications=[told("info", "eu-central-1")]) == ""


def test_a_mistake_about_a_distribution_that_is_not_there_is_told_and_stops_nobody() -> None:
    wrong = {**SITE, "alarms": [{"id": "errors-5xx", "threshold": 1}]}
    assert "errors-5xx" in notes(FUNCTION, wrong)
    assert refused(FUNCTION, wrong, objects=THERE)[0] == "AlarmOfAnother"


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


def test_a_topic_that_is_given_stands_for_one_without_a_key_in_us_east_1_too() -> None:
    encrypted: dict[str, Any] = {"severity": "critical", "createTopic": {"kmsKeyArn": KEY}}
    reason, message = refused(FUNCTION, SITE, objects=THERE, notifications=[encrypted])
    assert reason == "KeyMissing" and "usEast1KmsKeyArn" in message and "topic of us-east-1" in message
    graph = composed(small(FUNCTION, SITE, notifications=[{**encrypted, "topicArns": [topic("us-east-1")]}]), objects=THERE)
    assert [node.id for node in graph if isinstance(node.desired, Topic)] == ["topic-critical"]
    assert composites(graph)["composite-web_use1"].alarm_actions == {topic("us-east-1")}


def test_a_key_is_asked_for_only_where_the_severity_has_an_alarm() -> None:
    encrypted: dict[str, Any] = {"severity": "info", "createTopic": {"kmsKeyArn": KEY}}
    graph = composed(small(FUNCTION, SITE, CACHE, notifications=[encrypted]), objects=THERE)
    assert [node.id for node in graph if isinstance(node.desired, Topic)] == ["topic-info"]


def test_maintenance_leaves_a_service_without_a_composite_to_tell_by_itself_and_says_so() -> None:
    alone = [{"name": "shop", "composite": False}]
    held: dict[str, Any] = {"services": alone, "maintenance": {"windows": ["sun:03:00-sun:05:00"]}, "notifications": [PAGER]}
    graph = composed(small(FUNCTION, {**FUNCTION, "id": "page", "name": "page", "service": "web"}, **held))
    assert alarms(graph)["alarm-checkout_errors"].alarm_actions and not alarms(graph)["alarm-page_errors"].alarm_actions
    assert composites(graph)["composite-web"].suppressor and "composite-shop" not in graph.nodes
    assert "services shop have none" in notes(FUNCTION, **held)


def test_windows_without_a_clock_of_ones_own_are_made_and_told() -> None:
    windows: dict[str, Any] = {"maintenance": {"windows": ["sun:03:00-sun:05:00"]}}
    assert "suppressor" in composed(small(FUNCTION, **windows, policy={"interval": "1h"})).nodes
    assert "sweeps every 1h do not" in notes(FUNCTION, **windows, policy={"interval": "1h"})
    assert notes(FUNCTION, **windows, policy={"interval": "1m"}) == ""


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
    nothing_there = composed(small(FUNCTION, SITE, CACHE, maintenance={"suppressorAlarm": "deploying"}))
    assert {one.suppressor for one in composites(nothing_there).values()} == {"deploying"}
    alone = composed(small(FUNCTION, SITE, maintenance={"suppressorAlarm": "deploying"}, services=ALONE), objects=THERE)
    assert "composite-web_use1" not in alone.nodes and composites(alone)["composite-shop"].suppressor == "deploying"
    reason, message = refused(FUNCTION, SITE, objects=THERE, maintenance={"suppressorAlarm": "deploying"})
    assert reason == "SuppressorRegion" and "us-east-1" in message and "usEast1SuppressorAlarm" in message and "windows" in message
    both = {"suppressorAlarm": "deploying", "usEast1SuppressorAlarm": "releasing"}
    graph = composed(small(FUNCTION, SITE, maintenance=both), objects=THERE)
    assert (composites(graph)["composite-shop"].suppressor, composites(graph)["composite-web_use1"].suppressor) == ("deploying", "releasing")
    reason, message = refused(FUNCTION, CACHE, objects=THERE, maintenance=both)
    assert reason == "SuppressorRegion" and "eu-west-1" in message

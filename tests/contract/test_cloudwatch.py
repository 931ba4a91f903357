"""Metric alarms: every field, whole-object writes that keep what is not ours, tags, and reads by the hundred."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from securebase.core.driver import Depth, Observed, Target
from securebase.core.errors import Denied, Terminal
from securebase.core.graph import Ref
from securebase.core.identity import OWNER_TAG
from securebase.resources.cloudwatch.driver import MetricAlarmDriver, alarm_input
from securebase.resources.cloudwatch.model import Alarm, MetricQuery
from tests.contract.harness import Contract, Lab, check_contract, delete, differences, eventually, in_sync, observe, settled, write
from tests.contract.not_in_lab import marks


def topic(lab: Lab, name: str = "alarms") -> str:
    return f"arn:aws:sns:us-east-1:{lab.account}:{name}"


def error_rate(lab: Lab, name: str = "") -> Alarm:
    return Alarm(
        name=name or f"errors-{uuid4().hex[:10]}",
        tags={"team": "web"},
        comparison="GreaterThanThreshold",
        evaluation_periods=5,
        datapoints_to_alarm=3,
        threshold=5.0,
        treat_missing_data="notBreaching",
        description="5xx of the distribution",
        namespace="AWS/CloudFront",
        metric_name="5xxErrorRate",
        dimensions={"DistributionId": "E1", "Region": "Global"},
        statistic="Average",
        period=60,
        unit="Percent",
        alarm_actions=frozenset({topic(lab)}),
        ok_actions=frozenset({topic(lab)}),
    )


def hit_rate(lab: Lab) -> Alarm:
    """Hits as a share of all requests: an average of percentages would be wrong."""
    hits = MetricQuery("hits", namespace="App", metric_name="Hits", dimensions={"Shard": "1"}, stat="Sum", period=300)
    return Alarm(
        name=f"hits-{uuid4().hex[:10]}",
        tags={},
        comparison="LessThanThreshold",
        evaluation_periods=6,
        datapoints_to_alarm=4,
        threshold=80.0,
        metrics=(
            hits,
            replace(hits, id="misses", metric_name="Misses", unit="Count"),
            MetricQuery("rate", "100*hits/(hits+misses)", label="hit rate", returns_data=True),
        ),
    )


def driver_of(lab: Lab) -> MetricAlarmDriver:
    return MetricAlarmDriver(lab.scope("us-east-1"), lab.clock)


def made(lab: Lab, desired: Alarm) -> tuple[MetricAlarmDriver, Target[Alarm]]:
    driver = driver_of(lab)
    target = lab.target(driver.type, desired)
    first = driver.create(target, "t")
    target = replace(target, external_id=first.external_id)
    settled(driver, target)
    return driver, target


def changes(lab: Lab, alarm: Alarm) -> dict[str, Alarm]:
    return {
        "comparison": replace(alarm, comparison="LessThanOrEqualToThreshold"),
        "threshold": replace(alarm, threshold=0.0),
        "m of n": replace(alarm, evaluation_periods=2, datapoints_to_alarm=2),
        "missing data": replace(alarm, treat_missing_data="breaching"),
        "description": replace(alarm, description=""),
        "metric": replace(alarm, namespace="AWS/ApiGateway", metric_name="Latency", unit="", dimensions={"ApiName": "a"}),
        "dimensions": replace(alarm, dimensions={}),
        "percentile": replace(alarm, statistic="", extended_statistic="p95"),
        "period": replace(alarm, period=300),
        "no actions": replace(alarm, alarm_actions=frozenset(), ok_actions=frozenset()),
        "other actions": replace(alarm, alarm_actions=frozenset({topic(lab), topic(lab, "pager")}), insufficient_data_actions=frozenset({topic(lab)})),
        "actions off": replace(alarm, actions_enabled=False),
        "tag value": replace(alarm, tags={"team": "platform"}),
        "new tag": replace(alarm, tags={"team": "web", "stage": "prod"}),
        "maths": replace(hit_rate(lab), name=alarm.name, tags=alarm.tags),
    }


def test_lives_as_promised(lab: Lab) -> None:
    alarm = error_rate(lab)

    def drift(seen: Observed[Alarm]) -> None:
        lab.raw("cloudwatch").put_metric_alarm(**alarm_input(replace(alarm, threshold=99.0), {}))

    every = changes(lab, alarm)
    chosen = dict(random.sample(sorted(every.items()), 4)) if lab.stale else every
    check_contract(lab, Contract(MetricAlarmDriver, alarm, chosen, drift, "threshold"))


@pytest.mark.parametrize("value", [pytest.param("ignore", marks=marks("cloudwatch/alarm: evaluate low sample"))])
def test_evaluation_of_low_samples_is_kept(lab: Lab, value: str) -> None:
    alarm = replace(error_rate(lab), statistic="", extended_statistic="p95", evaluate_low_sample=value)
    driver = driver_of(lab)
    target = lab.target(driver.type, alarm)
    driver.create(target, "t")
    seen = eventually(lambda: observe(driver, target), lambda seen: seen is not None, "made")
    assert seen is not None
    assert seen.value.evaluate_low_sample == value


def test_metric_maths_lives_as_promised(lab: Lab) -> None:
    alarm = hit_rate(lab)
    hits, misses, rate = alarm.metrics
    every = {
        "expression": replace(alarm, metrics=(hits, misses, replace(rate, expression="100-100*misses/(hits+misses)", label=""))),
        "stat": replace(alarm, metrics=(replace(hits, stat="SampleCount", unit="Count"), misses, rate)),
        "one more": replace(alarm, metrics=(hits, misses, rate, replace(hits, id="other", dimensions={"Shard": "2"}))),
    }

    def drift(seen: Observed[Alarm]) -> None:
        lab.raw("cloudwatch").put_metric_alarm(**alarm_input(replace(alarm, metrics=every["stat"].metrics), {}))

    check_contract(lab, Contract(MetricAlarmDriver, alarm, every, drift, "metrics[hits].stat"))


def test_an_alarm_of_another_region_is_another_alarm(lab: Lab) -> None:
    _, target = made(lab, error_rate(lab))
    elsewhere = MetricAlarmDriver(lab.scope("eu-west-1"), lab.clock)
    assert [observe(elsewhere, target, depth) for depth in Depth] == [None, None]


def test_what_we_do_not_manage_survives_an_update(lab: Lab) -> None:
    alarm = error_rate(lab)
    raw = {**alarm_input(alarm, {}), "AlarmArn": "arn:aws:cloudwatch:us-east-1:1:alarm:a", "StateValue": "OK", "EvaluationInterval": 30, "Unheard": 1}
    sent = alarm_input(replace(alarm, description="", threshold=7.0), raw)
    assert sent["EvaluationInterval"] == 30
    assert sent["Threshold"] == 7.0
    assert {"AlarmDescription", "AlarmArn", "StateValue", "Unheard"} & sent.keys() == set()


@pytest.mark.parametrize("depth", list(Depth))
def test_drift_of_tags_is_seen_and_foreign_tags_stay(lab: Lab, depth: Depth) -> None:
    driver, target = made(lab, error_rate(lab))
    arn = f"arn:aws:cloudwatch:us-east-1:{lab.account}:alarm:{target.external_id}"
    tags = [{"Key": "team", "Value": "theirs"}, {"Key": "added", "Value": "by them"}]
    lab.raw("cloudwatch").tag_resource(ResourceARN=arn, Tags=tags)
    drifted = eventually(lambda: observe(driver, target, depth), lambda seen: not in_sync(target)(seen), f"tag drift ({depth})")
    assert drifted is not None
    assert drifted.value.tags == {"team": "theirs", "added": "by them"}
    write(driver, target)

    def found() -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in lab.raw("cloudwatch").list_tags_for_resource(ResourceARN=arn)["Tags"]}

    eventually(found, lambda tags: tags == {"team": "web", "added": "by them", OWNER_TAG: target.owner}, "repaired, foreign tag kept")


def test_tags_alone_put_no_alarm(lab: Lab) -> None:
    driver, target = made(lab, error_rate(lab))
    before = lab.control.log.counts().get(("cloudwatch", "PutMetricAlarm"), 0)
    write(driver, replace(target, desired=replace(target.want(), tags={"team": "platform"})))
    assert lab.control.log.counts().get(("cloudwatch", "PutMetricAlarm"), 0) == before


def test_adoption_and_inventory(lab: Lab) -> None:
    alarm = error_rate(lab)
    lab.raw("cloudwatch").put_metric_alarm(**alarm_input(alarm, {}))
    driver = driver_of(lab)
    target = lab.target(driver.type, alarm)
    seen = eventually(lambda: observe(driver, target), lambda seen: seen is not None, "their alarm")
    assert seen is not None
    assert seen.owner == ""
    assert driver.adopt(target, seen).owner == target.owner
    eventually(lambda: observe(driver, target), lambda seen: seen is not None and seen.owner == target.owner, "adopted")
    lab.clock.advance(61)
    eventually(lambda: driver.owned(target.identity), lambda owned: owned == {target.node: alarm.name}, "in the inventory")


def test_a_composite_of_that_name_is_told(lab: Lab) -> None:
    driver, target = made(lab, error_rate(lab))
    name = f"composite-{uuid4().hex[:8]}"
    lab.raw("cloudwatch").put_composite_alarm(AlarmName=name, AlarmRule=f"ALARM({target.external_id})")
    with pytest.raises(Terminal, match="NameTaken"):
        eventually(lambda: observe(driver, lab.target(driver.type, error_rate(lab, name))), lambda _: False, "composite seen")


def test_what_cloudwatch_refuses_is_refused_with_words(lab: Lab) -> None:
    driver = driver_of(lab)
    with pytest.raises(Terminal, match="a period of 45 s"):
        driver.create(lab.target(driver.type, replace(error_rate(lab), period=45)), "t")
    assert lab.control.log.counts(lambda record: record.account == lab.account).get(("cloudwatch", "PutMetricAlarm"), 0) == 0


def test_unresolved_dimensions_do_not_hinder_looking(lab: Lab) -> None:
    driver = driver_of(lab)
    alarm = replace(error_rate(lab), dimensions={"DistributionId": Ref("distribution", "id")})
    assert [observe(driver, lab.target(driver.type, alarm), depth) for depth in Depth] == [None, None]


def test_refused_is_denied(lab: Lab) -> None:
    lab.control.fail("cloudwatch", "Describe*", "AccessDenied", 403, account=lab.account)
    driver = driver_of(lab)
    for depth in Depth:
        with pytest.raises(Denied):
            observe(driver, lab.target(driver.type, error_rate(lab)), depth)


def test_a_hundred_a_read(lab: Lab) -> None:
    driver = driver_of(lab)
    client: Any = lab.raw("cloudwatch")
    targets = [lab.target(driver.type, error_rate(lab, f"a{at:03}")) for at in range(210)]
    for target in targets:
        client.put_metric_alarm(**alarm_input(target.want(), {}), Tags=[{"Key": OWNER_TAG, "Value": target.owner}, {"Key": "team", "Value": "web"}])
    lab.control.stale(0.0)
    first = driver.observe(targets, Depth.SWEEP)
    assert all(in_sync(target)(first[target.key]) for target in targets)  # type: ignore[arg-type]
    mark = len(lab.control.log.reads())
    for _ in range(10):
        driver.observe(targets, Depth.SWEEP)
    per_sweep = (len(lab.control.log.reads()) - mark) / 10
    assert per_sweep <= 3 + 2 + 0.3, "three pages, the tags of two alarms in their turn, the index once"
    delete(driver, targets[0])
    assert driver.observe(targets, Depth.SWEEP)[targets[0].key] is None


def test_differences_are_empty_right_after_a_write(lab: Lab) -> None:
    driver = driver_of(lab)
    target = lab.target(driver.type, error_rate(lab))
    first = driver.create(target, "t")
    assert not differences(target, first)
    assert first.attributes["arn"] == f"arn:aws:cloudwatch:us-east-1:{lab.account}:alarm:{target.want().name}"
    changed = replace(target, desired=replace(target.want(), threshold=9.0, tags={"team": "platform"}))
    assert not differences(changed, driver.update(changed, first, differences(changed, first)))

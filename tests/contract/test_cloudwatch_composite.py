"""Composite alarms: every field, children first, suppressors, and that a metric alarm is not taken for one."""

from __future__ import annotations

import random
from dataclasses import replace
from uuid import uuid4

import pytest

from securebase.core.driver import IN_USE, Depth, Observed
from securebase.core.errors import Terminal, Waiting
from securebase.resources.cloudwatch.composite import CompositeAlarmDriver, composite_input
from securebase.resources.cloudwatch.composite_model import CompositeAlarm
from tests.contract.harness import Contract, Lab, check_contract, delete, eventually, observe, settled, write


def child(lab: Lab, name: str) -> str:
    """A metric alarm that somebody made."""
    lab.raw("cloudwatch").put_metric_alarm(
        AlarmName=name, ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1, Threshold=1.0, MetricName="Errors", Namespace="AWS/Lambda",
        Period=60, Statistic="Sum",
    )  # fmt: skip
    return name


def unhealthy(lab: Lab) -> CompositeAlarm:
    one, other = child(lab, "errors"), child(lab, "throttles")
    child(lab, "maintenance")
    return CompositeAlarm(
        name=f"api-{uuid4().hex[:10]}",
        tags={"team": "web"},
        rule=f'ALARM("{one}") OR ALARM("{other}")',
        description="the API is unhealthy",
        alarm_actions=frozenset({f"arn:aws:sns:us-east-1:{lab.account}:pager"}),
        suppressor="maintenance",
        suppressor_wait=120,
        suppressor_extension=300,
    )


def test_lives_as_promised(lab: Lab) -> None:
    alarm = unhealthy(lab)
    every = {
        "rule": replace(alarm, rule='ALARM("errors")'),
        "description": replace(alarm, description=""),
        "no actions": replace(alarm, alarm_actions=frozenset()),
        "ok": replace(alarm, ok_actions=alarm.alarm_actions, insufficient_data_actions=alarm.alarm_actions),
        "actions off": replace(alarm, actions_enabled=False),
        "wait": replace(alarm, suppressor_wait=60),
        "no suppressor": replace(alarm, suppressor="", suppressor_wait=0, suppressor_extension=0),
        "tag": replace(alarm, tags={"team": "platform", "stage": "prod"}),
    }

    def drift(seen: Observed[CompositeAlarm]) -> None:
        lab.raw("cloudwatch").put_composite_alarm(**composite_input(replace(alarm, rule='ALARM("throttles")'), {}))

    chosen = dict(random.sample(sorted(every.items()), 1)) if lab.stale else every
    check_contract(lab, Contract(CompositeAlarmDriver, alarm, chosen, drift, "rule"))


def test_a_metric_alarm_is_no_composite(lab: Lab) -> None:
    driver = CompositeAlarmDriver(lab.scope("us-east-1"), lab.clock)
    alarm = replace(unhealthy(lab), name="errors")
    assert [observe(driver, lab.target(driver.type, alarm), depth) for depth in Depth] == [None, None]


def test_what_cloudwatch_would_refuse_is_told_before(lab: Lab) -> None:
    driver = CompositeAlarmDriver(lab.scope("us-east-1"), lab.clock)
    with pytest.raises(Terminal, match="needs a wait and an extension"):
        driver.create(lab.target(driver.type, replace(unhealthy(lab), suppressor_wait=0)), "t")


def test_what_an_identity_owns_is_found_without_its_names(lab: Lab) -> None:
    driver = CompositeAlarmDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, unhealthy(lab))
    driver.create(target, "t")
    if not lab.stale:
        assert driver.owned(target.identity) == {target.node: target.want().name}


def test_what_others_set_and_the_model_does_not_know_stays(lab: Lab) -> None:
    driver = CompositeAlarmDriver(lab.scope("us-east-1"), lab.clock)
    alarm = unhealthy(lab)
    target = lab.target(driver.type, alarm)
    driver.create(target, "t")
    theirs = {"AlarmTagsPropagation": {"Enabled": True, "IncludedTagKeys": ["team"]}}
    lab.raw("cloudwatch").put_composite_alarm(**composite_input(alarm, {}), ActionConfiguration=theirs)
    eventually(lambda: observe(driver, target), lambda seen: seen is not None and seen.raw.get("ActionConfiguration") == theirs, "their setting")
    write(driver, replace(target, desired=replace(alarm, description="ours", suppressor="", suppressor_wait=0, suppressor_extension=0)))
    [found] = lab.raw("cloudwatch").describe_alarms(AlarmNames=[alarm.name], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert found["AlarmDescription"] == "ours" and found["ActionConfiguration"] == theirs and "ActionsSuppressor" not in found


def test_one_that_another_composite_is_over_is_waited_for(lab: Lab) -> None:
    driver = CompositeAlarmDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, unhealthy(lab))
    driver.create(target, "t")
    seen, over = settled(driver, target), f"over-{uuid4().hex[:8]}"
    lab.raw("cloudwatch").put_composite_alarm(AlarmName=over, AlarmRule=f'ALARM("{target.want().name}")')
    with pytest.raises(Waiting) as told:
        driver.delete(target, seen)
    assert told.value.reason == IN_USE and target.want().name in told.value.message
    lab.raw("cloudwatch").delete_alarms(AlarmNames=[over])
    delete(driver, target)

"""What happened to alarms, as the endpoint tells it: changes of state, and receivers that were not reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from securebase.resources.cloudwatch.history import AlarmHistory
from tests.contract.harness import Lab


def alarm(lab: Lab, name: str, *actions: str) -> None:
    lab.raw("cloudwatch").put_metric_alarm(
        AlarmName=name, ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1, Threshold=1.0, MetricName="Errors", Namespace="AWS/Lambda",
        Period=60, Statistic="Sum", AlarmActions=list(actions),
    )  # fmt: skip


def test_changes_and_failures_are_told_once_each(lab: Lab) -> None:
    missing = f"arn:aws:sns:us-east-1:{lab.account}:nowhere"
    alarm(lab, "errors", missing)
    alarm(lab, "throttles")
    lab.raw("cloudwatch").put_composite_alarm(AlarmName="api", AlarmRule='ALARM("errors") OR ALARM("throttles")')
    history = AlarmHistory(lab.scope("us-east-1"), lab.clock)
    assert [one for one in history.recent().transitions if one.after == "ALARM"] == []
    lab.raw("cloudwatch").set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")
    found = history.recent()
    assert {(one.alarm, one.after) for one in found.transitions} >= {("errors", "ALARM"), ("api", "ALARM")}
    assert [(one.alarm, one.receiver, bool(one.error)) for one in found.told] == [("errors", missing, True)]
    assert history.recent() == found


def test_more_than_a_page_is_read_and_other_regions_are_not(lab: Lab) -> None:
    alarm(lab, "flaps")
    begun = datetime.now(UTC) - timedelta(minutes=55)
    for number in range(130):
        lab.control.alarm_state(lab.account, "us-east-1", "flaps", ("ALARM", "OK")[number % 2], at=begun + timedelta(seconds=20 * number))
    assert len(AlarmHistory(lab.scope("us-east-1"), lab.clock).recent().transitions) == 130
    assert AlarmHistory(lab.scope("eu-west-1"), lab.clock).recent().transitions == ()


def test_a_storm_that_is_known_is_not_read_again(lab: Lab) -> None:
    alarm(lab, "flaps")
    begun = datetime.now(UTC) - timedelta(seconds=20)
    for number in range(250):
        lab.control.alarm_state(lab.account, "us-east-1", "flaps", ("ALARM", "OK")[number % 2], at=begun + timedelta(milliseconds=40 * number))
    history = AlarmHistory(lab.scope("us-east-1"), lab.clock)
    assert len(history.recent().transitions) == 250
    before = _looks(lab)
    assert len(history.recent().transitions) == 250
    assert _looks(lab) - before == 1
    lab.control.alarm_state(lab.account, "us-east-1", "flaps", "ALARM", at=begun + timedelta(seconds=15))
    before = _looks(lab)
    assert len(history.recent().transitions) == 251
    assert _looks(lab) - before == 2


def _looks(lab: Lab) -> int:
    return len(lab.control.log.records(lambda call: call.operation == "DescribeAlarmHistory" and call.account == lab.account))

"""What CloudWatch accepts of an alarm, and what a whole-object write carries over."""

from __future__ import annotations

from dataclasses import replace

import botocore.session
import pytest

from securebase.core.diff import diff
from securebase.core.fields import Impact
from securebase.resources.cloudwatch.composite_model import CHILDREN, OR, CompositeAlarm, term
from securebase.resources.cloudwatch.driver import WRITABLE, alarm_input, alarm_value
from securebase.resources.cloudwatch.model import Alarm, MetricQuery, problems

ALARM = Alarm(
    name="errors",
    tags={},
    comparison="GreaterThanThreshold",
    evaluation_periods=5,
    datapoints_to_alarm=3,
    threshold=5.0,
    namespace="AWS/CloudFront",
    metric_name="5xxErrorRate",
    dimensions={"DistributionId": "E1"},
    statistic="Average",
    period=60,
)
METRIC = MetricQuery("m1", namespace="App", metric_name="Hits", stat="Sum", period=60)
MATHS = replace(ALARM, namespace="", metric_name="", statistic="", period=0, dimensions={}, metrics=(METRIC, MetricQuery("e1", "m1*2", returns_data=True)))
BAND = replace(MATHS, threshold=None, threshold_metric_id="e1", metrics=(replace(METRIC, returns_data=True), MATHS.metrics[1]))


@pytest.mark.parametrize("alarm", [ALARM, MATHS, BAND, replace(ALARM, period=10), replace(ALARM, period=86_400, evaluation_periods=7)])
def test_what_is_accepted(alarm: Alarm) -> None:
    assert list(problems(alarm)) == []


@pytest.mark.parametrize(
    ("alarm", "words"),
    [
        (replace(ALARM, period=45), "a period of 45 s; CloudWatch takes 10, 20, 30 and multiples of 60"),
        (replace(ALARM, period=0), "a period of 0 s"),
        (replace(ALARM, period=300, evaluation_periods=289), "289 periods of 300 s look back further than 1 day"),
        (replace(ALARM, period=86_400, evaluation_periods=8), "8 periods of 86400 s look back further than 7 days"),
        (replace(ALARM, datapoints_to_alarm=6), "datapoints to alarm must be between 1 and the evaluation periods (5)"),
        (replace(ALARM, datapoints_to_alarm=0), "datapoints to alarm must be between 1"),
        (replace(ALARM, extended_statistic="p95"), "either a statistic or an extended statistic"),
        (replace(ALARM, statistic=""), "either a statistic or an extended statistic"),
        (replace(ALARM, evaluate_low_sample="ignore"), "concerns percentiles only"),
        (replace(ALARM, metrics=MATHS.metrics), "either one metric or a list"),
        (replace(MATHS, metrics=()), "either one metric or a list"),
        (replace(MATHS, metrics=(METRIC,)), "1 of an alarm's metric queries must return data, 0 do"),
        (replace(MATHS, metrics=(replace(METRIC, period=61), MATHS.metrics[1])), "a period of 61 s"),
        (replace(MATHS, metrics=(replace(METRIC, expression="1"), MATHS.metrics[1])), "query m1 has either an expression or a metric"),
        (replace(ALARM, threshold=None), "either a threshold or the id of an anomaly band"),
        (replace(BAND, threshold=1.0), "either a threshold or the id of an anomaly band"),
        (replace(ALARM, treat_missing_data="no"), "missing data is treated as one of"),
        (replace(ALARM, alarm_actions=frozenset("abcdef")), "6 actions for ALARM; CloudWatch takes 5"),
        (replace(ALARM, name="x" * 256), "1 to 255 characters"),
    ],
)
def test_what_is_refused_says_why(alarm: Alarm, words: str) -> None:
    assert any(words in problem for problem in problems(alarm)), list(problems(alarm))


@pytest.mark.parametrize("alarm", [ALARM, MATHS, BAND, replace(ALARM, statistic="", extended_statistic="p95", evaluate_low_sample="ignore", unit="Count")])
def test_what_is_written_reads_back_equal(alarm: Alarm) -> None:
    assert alarm_value(alarm_input(alarm, {}), {}) == alarm


def test_every_writable_field_of_the_service_model_is_known() -> None:
    """A newer boto3 may let an alarm have more: without a row it would be lost by our next write."""
    model = botocore.session.get_session().get_service_model("cloudwatch")
    assert model.shape_for("PutMetricAlarmInput").members.keys() & model.shape_for("MetricAlarm").members.keys() == WRITABLE  # type: ignore[attr-defined]


def test_defaults_of_the_server_are_no_difference() -> None:
    read = {key: value for key, value in alarm_input(replace(ALARM, datapoints_to_alarm=5), {}).items() if key not in ("DatapointsToAlarm", "TreatMissingData")}
    assert alarm_value(read, {}) == replace(ALARM, datapoints_to_alarm=5)


def test_only_another_name_is_another_alarm() -> None:
    other = replace(MATHS, name="other", threshold=1.0)
    impacts = {change.path: change.impact for change in diff(ALARM, other, None, b"")}
    assert impacts.pop("name") is Impact.REPLACE
    assert set(impacts.values()) == {Impact.ONLINE}


def over(*names: str) -> CompositeAlarm:
    return CompositeAlarm("c", {}, OR.join(term(name) for name in names), description="new")


def test_a_composite_that_hands_over_keeps_what_it_is_over_and_takes_what_it_shall() -> None:
    assert over("b", "c").kept(over("a", "b")) == over("a", "b", "c")
    assert over("b", "a").kept(over("a", "b")) == over("b", "a"), "nothing would be lost"
    full = over(*(f"a{number}" for number in range(CHILDREN)))
    assert over("b").kept(full) == full
    foreign = replace(full, rule='ALARM("a") AND ALARM("b")')
    assert over("b").kept(foreign) == over("b")


def test_a_composite_lacks_what_is_not_in_the_rule_there() -> None:
    assert over("a", "b").lacks(over("a", "c")) and not over("a").lacks(over("b", "a"))
    assert over("a").lacks(replace(over("a"), rule='NOT ALARM("a")'))

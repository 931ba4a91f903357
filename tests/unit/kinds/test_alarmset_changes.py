"""Alarms of the catalogue that a spec changes, and alarms that it adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from securebase.kinds.alarmset.catalogue import catalogue
from securebase.resources.cloudwatch.model import Alarm, problems
from tests.unit.kinds.any_alarmset import THERE, alarms, composed, small

FUNCTION = {"id": "checkout", "type": "Lambda", "name": "checkout"}
QUEUE = {"id": "jobs", "type": "Sqs", "name": "jobs"}
SALES = {"id": "sales", "type": "Custom", "metric": {"namespace": "Shop", "name": "Sales"}}


def changed(target: Mapping[str, Any], **alarm: Any) -> Alarm:
    """The alarm that comes of one change."""
    nodes = {f"target-{target['id']}": {**THERE, "dlq": "jobs-dead", "timeoutSeconds": "3"}}
    graph = composed(small({**target, "alarms": [alarm]}), nodes)
    found = alarms(graph)[f"alarm-{target['id']}_{alarm['id']}"]
    assert list(problems(found)) == []
    return found


def test_dead_letters_are_counted_in_the_dead_letter_queue_whatever_is_changed() -> None:
    for change in ({"statistic": "Average"}, {"threshold": 5}, {"comparison": "GreaterThanOrEqual"}, {"statistic": "Sum", "periodSeconds": 300}):
        assert changed(QUEUE, id="dead-letters", **change).dimensions == {"QueueName": "jobs-dead"}
    assert changed(QUEUE, id="dead-letters", metric={"name": "NumberOfMessagesSent"}).dimensions == {"QueueName": "jobs"}
    maths = {"expression": "a", "metrics": [{"id": "a", "name": "NumberOfMessagesSent"}]}
    assert changed(QUEUE, id="dead-letters", **maths).metrics[0].dimensions == {"QueueName": "jobs"}


def test_a_band_has_one_side_or_two() -> None:
    band = {"id": "band", "anomaly": {"bandwidth": 2}}
    sides = {side: changed(SALES, **band, comparison=side).comparison for side in ("GreaterThan", "LessThan", "Outside")}
    assert sides == {
        "GreaterThan": "GreaterThanUpperThreshold",
        "LessThan": "LessThanLowerThreshold",
        "Outside": "LessThanLowerOrGreaterThanUpperThreshold",
    }
    assert "outside the band of what is expected (2 deviations)" in changed(SALES, **band, comparison="Outside").description
    with pytest.raises(ValidationError, match="only an anomaly band has two sides"):
        changed(SALES, id="a", threshold=1, comparison="Outside")


def test_low_samples_of_a_percentile_count_where_somebody_says_so() -> None:
    assert changed(FUNCTION, id="duration", threshold=100).evaluate_low_sample == "ignore"
    assert changed(FUNCTION, id="duration", lowSample="evaluate").evaluate_low_sample == "evaluate"
    own = {"id": "slow", "metric": {"name": "Duration"}, "threshold": 1}
    assert changed(FUNCTION, **own, statistic="p99", lowSample="evaluate").evaluate_low_sample == "evaluate"
    for wrong in ({"id": "errors"}, own, {**own, "statistic": "Sum"}, {"id": "duration", "statistic": "Maximum"}):
        with pytest.raises(ValidationError, match="lowSample for what is no percentile"):
            changed(FUNCTION, **wrong, lowSample="ignore")


def test_every_percentile_of_the_catalogue_takes_low_samples() -> None:
    for type_ in catalogue().types.values():
        for recipe in type_.alarms:
            target = {"id": "t", "type": type_.name, "name": "n"} | ({"stage": "$default"} if type_.name == "ApiGatewayHttp" else {})
            spec = {**target, "alarms": [{"id": recipe.id, "lowSample": "evaluate"}]}
            if recipe.statistic.startswith("p"):
                assert small(spec)
            else:
                with pytest.raises(ValidationError, match="lowSample for what is no percentile"):
                    small(spec)


@pytest.mark.parametrize(
    ("change", "treated"),
    [
        ({"comparison": "LessThan", "statistic": "Sum"}, "breaching"),
        ({"comparison": "LessThanOrEqual", "statistic": "SampleCount"}, "breaching"),
        ({"comparison": "LessThan", "statistic": "Sum", "missingData": "ignore"}, "ignore"),
        ({"comparison": "LessThan"}, "notBreaching"),
        ({"comparison": "GreaterThan", "statistic": "Sum"}, "notBreaching"),
    ],
)
def test_too_little_of_what_is_counted_is_no_data_at_all(change: dict[str, Any], treated: str) -> None:
    assert changed(SALES, id="own", threshold=1, **change).treat_missing_data == treated


def test_the_catalogues_own_treatment_of_missing_data_stays() -> None:
    assert changed(FUNCTION, id="errors", comparison="LessThan").treat_missing_data == "notBreaching"
    assert changed(SALES, id="band", anomaly={"bandwidth": 2}, statistic="Sum", comparison="LessThan").treat_missing_data == "notBreaching"


def test_a_longer_period_fits_every_alarm_of_the_catalogue_or_is_refused() -> None:
    for type_ in catalogue().types.values():
        for recipe in type_.alarms:
            target = {"id": "t", "type": type_.name, "name": "n"} | ({"stage": "$default"} if type_.name == "ApiGatewayHttp" else {})
            for period in (300, 3540, 3600, 43_200, 86_400):
                spec = {**target, "alarms": [{"id": recipe.id, "periodSeconds": period}]}
                if period * recipe.evaluation_periods > (7 * 86_400 if period >= 3600 else 86_400):
                    with pytest.raises(ValidationError, match="as the catalogue's alarm has"):
                        small(spec)
                    assert small({**spec, "alarms": [{"id": recipe.id, "periodSeconds": period, "evaluationPeriods": 1}]})
                else:
                    assert small(spec)

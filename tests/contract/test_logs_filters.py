"""Metric filters: one list for all, patterns told with their position, log groups that are not there yet."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from securebase.core.driver import Depth, Observed, Target
from securebase.core.errors import Denied, Terminal, Waiting
from securebase.core.graph import Ref
from securebase.resources.logs.filter_model import MetricFilter
from securebase.resources.logs.filters import MetricFilterDriver
from tests.contract.harness import Contract, Lab, check_contract, delete, differences, eventually, in_sync, observe, settled, write

PLAIN = pytest.mark.parametrize("lab", ["plain"], indirect=True)


def made_group(lab: Lab, name: str = "") -> str:
    group = name or f"/aws/lambda/orders-{uuid4().hex[:6]}"
    lab.raw("logs").create_log_group(logGroupName=group)
    return group


def slow(group: str, name: str = "") -> MetricFilter:
    return MetricFilter(
        name=name or f"slow-{uuid4().hex[:8]}",
        log_group=group,
        pattern="{ $.durationMs > 1000 }",
        metric_name="SlowRequests",
        metric_namespace="SecureBase/shop",
        metric_value="$.durationMs",
        unit="Milliseconds",
        dimensions={"route": "$.route"},
    )


def driver_of(lab: Lab) -> MetricFilterDriver:
    return MetricFilterDriver(lab.scope("us-east-1"), lab.clock)


def made(driver: MetricFilterDriver, target: Target[MetricFilter]) -> Target[MetricFilter]:
    return replace(target, external_id=driver.create(target, "t").external_id)


def test_lives_as_promised(lab: Lab) -> None:
    group = made_group(lab)
    wanted = slow(group)
    changes = {
        "pattern": replace(wanted, pattern='{ $.level = "ERROR" }'),
        "metric": replace(wanted, metric_name="Slow", metric_namespace="Other", metric_value="1", unit="Count", dimensions={}, default_value=0.0),
    }

    def drift(seen: Observed[MetricFilter]) -> None:
        transformation = {"metricName": "SlowRequests", "metricNamespace": "SecureBase/shop", "metricValue": "2"}
        lab.raw("logs").put_metric_filter(logGroupName=group, filterName=wanted.name, filterPattern="", metricTransformations=[transformation])

    check_contract(lab, Contract(MetricFilterDriver, wanted, changes, drift, "metricValue"))


def test_a_missing_log_group_is_waited_for(lab: Lab) -> None:
    driver = driver_of(lab)
    target = lab.target(driver.type, slow("/aws/lambda/never-ran"))
    for depth in Depth:
        assert observe(driver, target, depth) is None
    with pytest.raises(Waiting, match=r"LogGroupMissing: log group /aws/lambda/never-ran .*first run makes it \(function never-ran\)"):
        driver.create(target, "t")
    made_group(lab, "/aws/lambda/never-ran")
    assert in_sync(target)(driver.create(target, "t"))


@PLAIN
def test_a_wrong_pattern_is_told_with_its_position(lab: Lab) -> None:
    driver = driver_of(lab)
    target = lab.target(driver.type, replace(slow(made_group(lab)), pattern="{ $.durationMs >> 1000 }"))
    with pytest.raises(Terminal, match="InvalidPattern: filter pattern, character 17") as refused:
        driver.create(target, "t")
    assert refused.value.reason == "InvalidPattern"
    fieldless = replace(target, desired=replace(target.want(), pattern="ERROR"))
    with pytest.raises(Terminal, match=r"InvalidFilter: .*only a JSON or space-delimited pattern has fields"):
        driver.create(fieldless, "t")


@PLAIN
def test_what_the_model_does_not_know_survives(lab: Lab) -> None:
    driver = driver_of(lab)
    target = made(driver, lab.target(driver.type, slow(made_group(lab))))
    seen = settled(driver, target)
    kept = replace(seen, raw={**seen.raw, "applyOnTransformedLogs": True})
    changed = replace(target, desired=replace(target.want(), metric_value="1"))
    assert driver.update(changed, kept, ()).raw["applyOnTransformedLogs"] is True


@PLAIN
def test_one_list_for_all(lab: Lab) -> None:
    driver = driver_of(lab)
    groups = [made_group(lab) for _ in range(8)]
    targets = [made(driver, lab.target(driver.type, slow(group))) for group in groups]
    for depth in Depth:
        before = len(lab.control.log.reads("logs"))
        answers = driver.observe(targets, depth)
        assert all(in_sync(target)(answers[target.key]) for target in targets)  # type: ignore[arg-type]
        assert len(lab.control.log.reads("logs")) - before == 1
    lab.raw("logs").delete_metric_filter(logGroupName=groups[0], filterName=targets[0].want().name)
    lab.clock.advance(61)
    before = len(lab.control.log.reads("logs"))
    assert driver.observe(targets, Depth.SWEEP)[targets[0].key] is None
    assert len(lab.control.log.reads("logs")) - before == 2, "the list, and a look in the log group of what it lacks"


@PLAIN
def test_few_log_groups_among_many_filters_are_read_in_turns(lab: Lab) -> None:
    driver = driver_of(lab)
    crowded = made_group(lab)
    for at in range(50):
        transformation = {"metricName": "Theirs", "metricNamespace": "Theirs", "metricValue": "1"}
        lab.raw("logs").put_metric_filter(logGroupName=crowded, filterName=f"theirs-{at:02}", filterPattern="", metricTransformations=[transformation])
    target = made(driver, lab.target(driver.type, slow(made_group(lab))))
    settled(driver, target, Depth.SWEEP)
    observe(driver, target, Depth.SWEEP)
    before = len(lab.control.log.reads("logs"))
    assert in_sync(target)(observe(driver, target, Depth.SWEEP))
    assert len(lab.control.log.reads("logs")) - before == 1
    changed = replace(target, desired=replace(target.want(), metric_value="1"))
    write(driver, changed)
    assert in_sync(changed)(observe(driver, changed, Depth.SWEEP)), "what we changed is read again at once"
    in_crowd = made(driver, lab.target(driver.type, slow(crowded, "zz-last")))
    assert in_sync(in_crowd)(observe(driver, in_crowd)), "on the last page of its log group"
    delete(driver, changed)
    assert observe(driver, changed, Depth.SWEEP) is None


@PLAIN
def test_a_full_log_group_is_told(lab: Lab) -> None:
    driver, group = driver_of(lab), made_group(lab)
    for at in range(5):
        driver.create(lab.target(driver.type, replace(slow(group, f"regex-{at}"), pattern=f"{{ $.route = %v{at}% }}")), "t")
    sixth = lab.target(driver.type, replace(slow(group), pattern="{ $.route = %v6% }"))
    with pytest.raises(Terminal, match=r"TooManyFilters: .*five with regular expressions"):
        eventually(lambda: driver.create(sixth, "t"), lambda _: False, "refused", 2.0)


@PLAIN
def test_unresolved_and_refused(lab: Lab) -> None:
    driver = driver_of(lab)
    assert observe(driver, lab.target(driver.type, slow(Ref("x", "logGroup")))) is None
    lab.control.fail("logs", "*", "AccessDeniedException", 400, account=lab.account)
    for depth in Depth:
        with pytest.raises(Denied):
            observe(driver, lab.target(driver.type, slow("/aws/lambda/a")), depth)


@PLAIN
def test_drift_names_the_field(lab: Lab) -> None:
    driver = driver_of(lab)
    target = made(driver, lab.target(driver.type, slow(made_group(lab))))
    other = replace(target, desired=replace(target.want(), unit="None"))
    assert [change.path for change in differences(other, settled(driver, target))] == ["unit"]

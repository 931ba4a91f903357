"""Settings of log groups: retention and key, on groups that others make and keep."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import uuid4

import pytest

from securebase.core.driver import Depth, Observed
from securebase.core.errors import Denied, Terminal, Waiting
from securebase.core.fields import Impact
from securebase.core.graph import Ref
from securebase.resources.logs.group_model import FOR_EVER, LogGroupSettings
from securebase.resources.logs.groups import LogGroupSettingsDriver
from tests.contract.harness import Lab, differences, eventually, in_sync, observe, settled, write

PLAIN = pytest.mark.parametrize("lab", ["plain"], indirect=True)


def made_group(lab: Lab) -> str:
    group = f"/aws/lambda/orders-{uuid4().hex[:6]}"
    lab.raw("logs").create_log_group(logGroupName=group)
    return group


def made_key(lab: Lab, *, for_logs: bool) -> str:
    administrators = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{lab.account}:root"}, "Action": "kms:*", "Resource": "*"}
    logs = {"Effect": "Allow", "Principal": {"Service": "logs.us-east-1.amazonaws.com"}, "Action": "kms:GenerateDataKey*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [administrators, logs] if for_logs else [administrators]}
    arn: str = lab.raw("kms").create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"]
    return arn


def driver_of(lab: Lab) -> LogGroupSettingsDriver:
    return LogGroupSettingsDriver(lab.scope("us-east-1"), lab.clock)


def test_settings_are_made_found_changed_and_let_go(lab: Lab) -> None:
    driver, group = driver_of(lab), made_group(lab)
    target = lab.target(driver.type, LogGroupSettings(group, 30))
    seen = eventually(lambda: observe(driver, target), lambda seen: seen is not None, "the group is seen")
    assert seen is not None
    assert [(change.path, change.impact) for change in differences(target, seen)] == [("retentionDays", Impact.ONLINE)]
    write(driver, target)
    for depth in Depth:
        assert settled(driver, target, depth).external_id == group
    lab.raw("logs").put_retention_policy(logGroupName=group, retentionInDays=90)
    drifted = eventually(lambda: observe(driver, target, Depth.SWEEP), lambda seen: not in_sync(target)(seen), "drift seen")
    assert [(change.path, change.impact) for change in differences(target, drifted)] == [("retentionDays", Impact.PROTECTION_LOSS)]
    write(driver, target)
    forever = replace(target, desired=LogGroupSettings(group, FOR_EVER))
    write(driver, forever)
    last: Observed[LogGroupSettings] = settled(driver, forever)
    assert driver.delete(forever, last) is None  # type: ignore[func-returns-value]
    assert settled(driver, forever), "the group is not ours to delete"


def test_a_missing_log_group_is_waited_for(lab: Lab) -> None:
    driver = driver_of(lab)
    target = lab.target(driver.type, LogGroupSettings("/aws/lambda/never-ran", 30))
    for depth in Depth:
        assert observe(driver, target, depth) is None
    with pytest.raises(Waiting, match="LogGroupMissing: log group /aws/lambda/never-ran"):
        driver.create(target, "t")
    lab.raw("logs").create_log_group(logGroupName="/aws/lambda/never-ran")
    assert eventually(lambda: driver.create(target, "t"), in_sync(target), "set once it is there")


@PLAIN
def test_a_group_gets_its_key(lab: Lab) -> None:
    driver, group = driver_of(lab), made_group(lab)
    refused = lab.target(driver.type, LogGroupSettings(group, 30, made_key(lab, for_logs=False)))
    with pytest.raises(Terminal, match=r"KeyNotUsable: .*logs\.us-east-1\.amazonaws\.com"):
        eventually(lambda: driver.create(refused, "t"), lambda _: False, "refused")
    target = replace(refused, desired=LogGroupSettings(group, 30, made_key(lab, for_logs=True)))
    write(driver, target)
    assert settled(driver, target).attributes["kmsKey"] == target.want().kms_key
    unasked = replace(target, desired=LogGroupSettings(group, 30))
    assert in_sync(unasked)(observe(driver, unasked)), "a key that nobody asks for stays"


@PLAIN
def test_fifty_a_read(lab: Lab) -> None:
    driver = driver_of(lab)
    targets = [lab.target(driver.type, LogGroupSettings(f"/aws/lambda/f{at}", 30)) for at in range(60)]
    before = len(lab.control.log.reads("logs"))
    assert set(driver.observe(targets, Depth.SWEEP).values()) == {None}
    assert len(lab.control.log.reads("logs")) - before == 2


@PLAIN
def test_unresolved_and_refused(lab: Lab) -> None:
    driver = driver_of(lab)
    assert observe(driver, lab.target(driver.type, LogGroupSettings(Ref("x", "logGroup"), 30))) is None
    lab.control.fail("logs", "*", "AccessDeniedException", 400, account=lab.account)
    for depth in Depth:
        with pytest.raises(Denied):
            observe(driver, lab.target(driver.type, LogGroupSettings("/a", 30)), depth)

"""Models keep what they are given: frozen, by camelCase, the same after a round trip."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from securebase.api.account import AwsAccount
from securebase.api.cdn import CdnDistribution
from securebase.api.status import parse_status
from tests.unit.api.rule_cases import account, behavior, cdn, custom


def test_specs_are_frozen() -> None:
    distribution = CdnDistribution.model_validate(cdn())
    with pytest.raises(ValidationError, match="frozen"):
        distribution.spec.comment = "changed"  # type: ignore[misc]


def test_a_round_trip_keeps_the_spelling() -> None:
    spec = cdn(policy={"interval": "90m", "window": "sat:22:30-sun:00:00"}, alarms={"errorRate4xx": {"thresholdPercent": 2.5}})["spec"]
    distribution = CdnDistribution.model_validate(cdn() | {"spec": spec})
    assert distribution.spec.model_dump(by_alias=True, exclude_unset=True, mode="json") == spec


def test_the_default_behavior_stands_anywhere() -> None:
    spec = CdnDistribution.model_validate(cdn(origins=[custom()], behaviors=[behavior(origin="api"), behavior("/a/*", "api", "api")])).spec
    assert spec.default_behavior.path == "*"
    assert [item.path for item in spec.path_behaviors] == ["/a/*"]


def test_the_monitoring_subscription_follows_its_alarms() -> None:
    quiet = {"originLatency": {"enabled": False}, "cacheHitRate": {"enabled": False}}
    assert CdnDistribution.model_validate(cdn()).spec.alarms.need_monitoring_subscription
    assert not CdnDistribution.model_validate(cdn(alarms=quiet)).spec.alarms.need_monitoring_subscription
    assert not CdnDistribution.model_validate(cdn(alarms={"enabled": False})).spec.alarms.need_monitoring_subscription


@pytest.mark.parametrize(("allowed", "inside"), [(["*"], True), (["web"], True), (["api", "other"], False)])
def test_which_namespaces_may_use_an_account(allowed: list[str], inside: bool) -> None:
    assert AwsAccount.model_validate(account(allowedNamespaces=allowed)).spec.allows("web") is inside


def test_an_account_for_nobody_is_refused() -> None:
    with pytest.raises(ValidationError, match="allowedNamespaces"):
        AwsAccount.model_validate(account(allowedNamespaces=[]))


def test_a_status_of_another_version_is_read() -> None:
    status = parse_status({"driftedFields": 2, "fromTheFuture": True, "cost": {"monthlyUsd": "1.00", "parts": []}})
    assert status.drifted_fields == 2
    assert parse_status(None).resources == ()

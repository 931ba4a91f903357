"""What belongs to one distribution: its additional metrics and its invalidations."""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from securebase.core.driver import Depth, State
from securebase.core.errors import Terminal, Waiting
from securebase.core.graph import Ref
from securebase.resources.cloudfront.invalidations import InvalidationDriver
from securebase.resources.cloudfront.managed import CACHING_OPTIMIZED
from securebase.resources.cloudfront.model import Invalidation, MonitoringSubscription
from securebase.resources.cloudfront.subscriptions import MonitoringSubscriptionDriver
from tests.contract.harness import Contract, Lab, check_contract, eventually, observe, settled


def distribution(lab: Lab) -> str:
    """Somebody's distribution."""
    config = {
        "CallerReference": uuid.uuid4().hex,
        "Comment": "",
        "Enabled": True,
        "Origins": {"Quantity": 1, "Items": [{"Id": "o", "DomainName": "b.s3.us-east-1.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}]},
        "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "https-only", "CachePolicyId": CACHING_OPTIMIZED},
    }
    return str(lab.raw("cloudfront").create_distribution(DistributionConfig=config)["Distribution"]["Id"])


def test_subscription_lives_as_promised(lab: Lab) -> None:
    desired = MonitoringSubscription(distribution(lab))
    client = lab.raw("cloudfront")
    check_contract(lab, Contract(MonitoringSubscriptionDriver, desired, {"off": replace(desired, enabled=False)}))
    driver = MonitoringSubscriptionDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, desired)
    driver.create(target, "token")
    client.delete_monitoring_subscription(DistributionId=settled(driver, target).external_id)
    lab.clock.advance(61.0)
    for depth in Depth:
        eventually(partial(observe, driver, target, depth), lambda seen: seen is None, f"the loss shows ({depth})")


def test_subscription_of_a_distribution_that_is_not_there_yet_is_absent(lab: Lab) -> None:
    driver = MonitoringSubscriptionDriver(lab.scope("us-east-1"), lab.clock)
    for depth in Depth:
        assert observe(driver, lab.target(driver.type, MonitoringSubscription(Ref("distribution", "id"))), depth) is None


def test_a_sweep_reads_a_slice_of_the_subscriptions(lab: Lab) -> None:
    driver = MonitoringSubscriptionDriver(lab.scope("us-east-1"), lab.clock)
    id = distribution(lab)
    targets = [lab.target(driver.type, MonitoringSubscription(f"{id}{number}")) for number in range(40)]
    driver.observe(targets, Depth.SWEEP)
    before = len(lab.control.log.records())
    driver.observe(targets, Depth.SWEEP)
    assert len(lab.control.log.records()) - before == 10


def test_invalidation_lives_as_promised(lab: Lab) -> None:
    desired = Invalidation(distribution(lab), frozenset({"/index.html", "/app/*"}), "release-7")
    check_contract(lab, Contract(InvalidationDriver, desired, findable=False, deletes=False))


def test_invalidation_is_pending_until_completed(lab: Lab) -> None:
    driver = InvalidationDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, Invalidation(distribution(lab), frozenset({"/*"}), "one"))
    made = driver.create(target, "token")
    assert (made.state, made.reason) == (State.PENDING, "InProgress")
    done = settled(driver, replace(target, external_id=made.external_id))
    before = len(lab.control.log.records())
    assert observe(driver, replace(target, external_id=done.external_id)) == done
    assert len(lab.control.log.records()) == before, "what is completed is not read again"


def test_too_many_invalidations_wait(lab: Lab) -> None:
    driver = InvalidationDriver(lab.scope("us-east-1"), lab.clock)
    id = distribution(lab)
    driver.create(lab.target(driver.type, Invalidation(id, frozenset(f"/{number}/*" for number in range(15)), "one")), "token")
    with pytest.raises(Waiting, match="TooManyInvalidationsInProgress"):
        driver.create(lab.target(driver.type, Invalidation(id, frozenset({"/more/*"}), "two")), "token")


def test_a_token_used_for_other_paths_is_refused(lab: Lab) -> None:
    driver = InvalidationDriver(lab.scope("us-east-1"), lab.clock)
    id = distribution(lab)

    def ask(path: str) -> Any:
        return driver.create(lab.target(driver.type, Invalidation(id, frozenset({path}), "same")), "token")

    first = ask("/a")
    assert ask("/a").external_id == first.external_id
    with pytest.raises(Terminal, match="the token same was used"):
        ask("/b")

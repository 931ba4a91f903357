"""The advisor: one batch of reads for all caches of a place, at most every 15 minutes, and a status only when the advice is another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from securebase.clients.aws import AwsAccountConfig
from securebase.core.errors import Denied
from securebase.core.identity import Identity
from securebase.core.policy import Policy
from securebase.core.subject import Subject
from securebase.cost.advice import Measured, Span
from securebase.cost.collect import KEPT_SECONDS, Watched
from securebase.cost.data import shipped_book, shipped_sizes
from securebase.kinds.registry import KINDS, by_kind
from securebase.runtime.accounts import Account
from securebase.runtime.advisor import Advisor, advice_status
from securebase.runtime.engine import parsed
from securebase.runtime.objects import Entry, Objects
from securebase.runtime.queue import Key

NOW = 1_700_000_000.0
CACHE = by_kind("CacheCluster")
ACCOUNT = AwsAccountConfig("123456789012", region="us-east-1")
IDLE = Measured(3.0, NOW, 900.0, 100.0, 0.0, Span(1.0, 5.0, 2.0, 3.0))
THRASHING = replace(IDLE, hits=300.0, misses=900.0, evictions=4_000.0, memory=Span(70.0, 99.0, 90.0, 3.0))


@dataclass(slots=True)
class Figures:
    """CloudWatch of one place; every batch that was asked for."""

    of: dict[str, Measured] = field(default_factory=dict)
    batches: list[dict[str, Watched]] = field(default_factory=list)
    refusal: Exception | None = None

    def measured(self, caches: Mapping[str, Watched]) -> dict[str, Measured]:
        self.batches.append(dict(caches))
        if self.refusal is not None:
            raise self.refusal
        return {cache: self.of.get(cache.rpartition("/")[2], IDLE) for cache in caches}


class Fleet:
    """Caches at rest, and an advisor whose clock stands still until it is moved."""

    def __init__(self) -> None:
        self.now, self.objects, self.figures = NOW, Objects(), dict[str, Figures]()
        self.advisor = Advisor({kind.kind: kind for kind in KINDS}, self.objects, self._measures, shipped_book(), shipped_sizes(), lambda: self.now)

    def _measures(self, account: AwsAccountConfig, region: str) -> Figures:
        return self.at(region)

    def at(self, region: str = "us-east-1") -> Figures:
        return self.figures.setdefault(region, Figures())

    def add(self, name: str, region: str = "us-east-1", status: Mapping[str, Any] | None = None, **spec: Any) -> Entry:
        network = {"subnetIds": ["subnet-0a1b2c3d4e5f60718"], "securityGroupIds": ["sg-0f1e2d3c4b5a69788"]}
        outputs = {"members": f"{name}-002:replica,{name}-001:primary", "nodeType": "cache.r7g.xlarge", "engine": "valkey"}
        body = {
            "apiVersion": "securebase.io/v1alpha1",
            "kind": "CacheCluster",
            "metadata": {"name": name, "namespace": "team", "uid": name, "generation": 1},
            "spec": {"profile": "prod", "nodeType": "cache.r7g.xlarge", "network": network, **spec},
            "status": {"outputs": outputs, **(status or {})},
        }
        entry, _ = self.objects.seen(Key("CacheCluster", "team", name), body)
        entry.account, entry.settled = Account("", ACCOUNT, "us-east-1"), True
        entry.subject = Subject(Identity("test", "CacheCluster", "team", name), Policy(), region)
        return entry

    def run(self) -> list[str]:
        """Names that need a status."""
        return sorted(key.name for key in self.advisor.run())


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def told(entry: Entry, outputs: Mapping[str, str] | None = None, now: float = NOW) -> dict[str, Any]:
    """What the next status would say."""
    return advice_status(CACHE, parsed(CACHE, entry.body), entry, entry.status["outputs"] if outputs is None else outputs, now)


def write(entry: Entry) -> None:
    """A pass that writes what there is to tell."""
    entry.body["status"] = {name: value for name, value in {**entry.status, **told(entry)}.items() if value}


def test_one_batch_for_all_caches_of_a_place(fleet: Fleet) -> None:
    for name in ("a", "b", "c"):
        fleet.add(name)
    fleet.add("far", region="eu-central-1")
    assert fleet.run() == ["a", "b", "c", "far"]
    [batch] = fleet.at().batches
    assert batch == {f"CacheCluster team/{name}": Watched((f"{name}-001", f"{name}-002")) for name in ("a", "b", "c")}
    assert len(fleet.at("eu-central-1").batches) == 1


def test_who_is_not_at_rest_or_wants_no_advice_is_not_measured(fleet: Fleet) -> None:
    fleet.add("calm")
    fleet.add("busy").settled = False
    fleet.add("silent", recommendations={"enabled": False})
    fleet.add("new", status={"outputs": {}})
    fleet.run()
    assert [list(batch) for batch in fleet.at().batches] == [["CacheCluster team/calm"]]


def test_nothing_is_read_again_within_a_quarter_of_an_hour(fleet: Fleet) -> None:
    fleet.add("a")
    fleet.run()
    fleet.add("late")
    for _ in range(3):
        fleet.now += KEPT_SECONDS / 4
        fleet.run()
    assert len(fleet.at().batches) == 1
    fleet.now += KEPT_SECONDS / 4
    fleet.run()
    assert len(fleet.at().batches) == 2


def test_a_status_is_asked_for_only_when_the_advice_is_another(fleet: Fleet) -> None:
    entry = fleet.add("a")
    assert fleet.run() == ["a"]
    write(entry)
    [recommended] = entry.status["recommendations"]
    assert (recommended["type"], recommended["nodeType"], recommended["measuredAt"]) == ("TooBig", "cache.r7g.large", "2023-11-14T22:13:20Z")
    assert float(recommended["monthlyChangeUsd"]) < 0
    fleet.at().of["a"] = replace(IDLE, at=NOW + 3_600, memory=Span(1.0, 6.0, 3.0, 3.0))
    fleet.now += KEPT_SECONDS
    assert fleet.run() == [], "other figures, the same advice"
    assert told(entry)["recommendations"][0]["measuredAt"] == "2023-11-14T23:13:20Z", "the next status has them all the same"
    fleet.at().of["a"] = THRASHING
    fleet.now += KEPT_SECONDS
    assert fleet.run() == ["a"]
    assert [one["type"] for one in told(entry)["recommendations"]] == ["TooSmall"]


def test_a_restarted_process_writes_nothing_when_the_advice_is_the_same(fleet: Fleet) -> None:
    entry = fleet.add("a")
    fleet.run()
    write(entry)
    again = Fleet()
    there = again.add("a", status=entry.status)
    assert told(there)["recommendations"] == entry.status["recommendations"], "kept until the first look"
    assert again.run() == []


def test_what_could_not_be_judged_is_named(fleet: Fleet) -> None:
    entry = fleet.add("a")
    fleet.at().of["a"] = Measured(3.0, NOW)
    assert fleet.run() == ["a"]
    write(entry)
    assert "recommendations" not in entry.status
    assert [what.partition(":")[0] for what in entry.status["unjudged"]] == ["hit rate", "evictions", "memory"]


def test_the_limits_are_those_of_the_spec(fleet: Fleet) -> None:
    fleet.add("a", recommendations={"lowMemoryPercent": 4})
    fleet.add("b", recommendations={"lookBackDays": 7})
    fleet.run()
    [batch] = fleet.at().batches
    assert batch["CacheCluster team/b"].days == 7
    for name in ("a", "b"):
        entry = fleet.objects.get(Key("CacheCluster", "team", name))
        assert entry is not None and entry.advice is not None and entry.advice["recommendations"] == []


def test_after_a_resize_the_old_advice_is_over_and_old_data_do_not_count(fleet: Fleet) -> None:
    entry = fleet.add("a")
    fleet.run()
    write(entry)
    resized = {**entry.status["outputs"], "nodeType": "cache.r7g.large"}
    told_then = told(entry, resized, NOW + 60)
    assert told_then == {"recommendations": None, "unjudged": None, "sizedAt": "2023-11-14T22:14:20Z"}
    entry.body["status"] = {"outputs": resized, "sizedAt": told_then["sizedAt"]}
    fleet.now += KEPT_SECONDS
    fleet.run()
    assert fleet.at().batches[-1]["CacheCluster team/a"].since == NOW + 60


def test_a_member_that_cannot_be_read_for_a_moment_keeps_the_advice(fleet: Fleet) -> None:
    entry = fleet.add("a")
    fleet.run()
    write(entry)
    assert told(entry, {})["recommendations"] == entry.status["recommendations"]


def test_switched_off_the_advice_goes(fleet: Fleet) -> None:
    entry = fleet.add("a")
    fleet.run()
    write(entry)
    entry.body["spec"]["recommendations"] = {"enabled": False}
    assert told(entry)["recommendations"] is None


def test_a_refusal_keeps_what_was_advised_and_is_tried_again_a_quarter_of_an_hour_later(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    fleet.add("a")
    fleet.at().refusal = Denied("cloudwatch:GetMetricData", "", "not authorized")
    assert fleet.run() == fleet.run() == []
    assert len(fleet.at().batches) == 1
    assert "cloudwatch:GetMetricData" in caplog.text
    fleet.at().refusal = None
    fleet.now += KEPT_SECONDS
    assert fleet.run() == ["a"]


def test_other_kinds_have_no_advice(fleet: Fleet) -> None:
    assert advice_status(by_kind("CdnDistribution"), None, fleet.add("a"), {}, NOW) == {}

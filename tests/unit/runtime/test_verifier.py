"""The verifier: who is looked at and when, what is told of it, and that it holds nobody up."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from lab.processes import wait_until
from securebase.api.cache import CacheCluster
from securebase.clients.kubernetes import Gone
from securebase.core.conditions import READY, Condition
from securebase.core.errors import Denied, ReferenceNotFound, Transient
from securebase.core.identity import Identity
from securebase.core.kind import Kind, PolicyDefaults, Probe, PublishedLogin
from securebase.core.outcome import Outcome
from securebase.core.policy import Policy
from securebase.core.subject import Subject
from securebase.core.verification import VERIFIED, Figures, Finding, Verification
from securebase.runtime.effects import Effects
from securebase.runtime.objects import Entry, Objects
from securebase.runtime.queue import Key
from securebase.runtime.verifier import AT_ONCE, Verifier
from securebase.telemetry.metrics import Metrics

PASSWORD = "published-password"
PROVEN = Verification(Finding.PROVEN, "wrote and read a key", Figures(hits=30, misses=10, evicted_keys=5, used_memory=100, connected_clients=3))
SPEC = {"profile": "dev", "network": {"subnetIds": ["subnet-0a1b2c3d4e5f60718"], "ingress": {"cidrs": ["10.0.0.0/16"]}}}


class CacheKind:
    """The part of a kind that the verifier needs."""

    kind, plural, model = "CacheCluster", "cacheclusters", CacheCluster

    def defaults(self, spec: Any) -> PolicyDefaults:
        return PolicyDefaults()

    def verification(self, spec: Any, outputs: Mapping[str, str]) -> Probe | None:
        if not spec.verify.enabled:
            return None
        return Probe(outputs["host"], 6379, "its-connection")


@dataclass
class Asked:
    """A client that answers as told, notes what it was asked, and may be held up."""

    answer: Verification = PROVEN
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    logins: list[PublishedLogin] = field(default_factory=list)
    going_on: threading.Event = field(default_factory=threading.Event)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.going_on.set()

    def verify(self, host: str, port: int, password: str, username: str, tls: bool, server_name: str, key: str) -> Verification:
        with self.lock:
            self.asked.append((host, password, key))
            self.logins.append(PublishedLogin(tls, username, password))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        assert self.going_on.wait(30)
        with self.lock:
            self.at_once -= 1
        return self.answer


class Fleet:
    """Objects, a clock that is set by hand, and a verifier."""

    def __init__(self, client: bool = True) -> None:
        self.now, self.flipped = 1_700_000_000.0, list[Key]()
        self.refusal: Exception | None = None
        self.told = PublishedLogin(True, "app", PASSWORD)
        self.objects, self.metrics, self.client = Objects(), Metrics(CollectorRegistry(), "0"), Asked()
        kinds = cast(Mapping[str, Kind], {"CacheCluster": CacheKind()})
        self.verifier = Verifier("test", kinds, self.objects, self._login, self.client if client else None, self.metrics, lambda: self.now)

    def _login(self, namespace: str, name: str) -> PublishedLogin:
        if self.refusal is not None:
            raise self.refusal
        assert (namespace, name) == ("web", "its-connection")
        return self.told

    def add(self, name: str = "sessions", *, interval: float = 60.0, outputs: bool = True, kind: str = "CacheCluster", **spec: Any) -> Entry:
        key = Key(kind, "web", name)
        status = {"outputs": {"host": f"{name}.cache.test"}} if outputs else {}
        metadata = {"name": name, "namespace": "web", "uid": name, "resourceVersion": "1", "generation": 1}
        body = {"apiVersion": "securebase.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": SPEC | spec, "status": status}
        entry, _ = self.objects.seen(key, body)
        entry.subject = Subject(Identity("test", kind, "web", name), Policy(interval=interval), "eu-central-1")
        return entry

    def tick(self, after: float = 0.0) -> list[str]:
        """What is looked at `after` seconds later."""
        self.now += after
        before = len(self.client.asked)
        self.verifier.start_due(self.flipped.append)
        wait_until(lambda: not self.verifier.busy(), "the verifications to end", deadline=10)
        return [host.partition(".")[0] for host, _, _ in self.client.asked[before:]]

    def pass_over(self, entry: Entry, outcome: Outcome | None = None) -> list[dict[str, Any]]:
        """What a pass writes: the conditions, [] where nothing changed."""
        api = Writes(entry)
        effects = Effects(*cast(Any, (None, {"CacheCluster": CacheKind()}, self.objects, api, None, self.metrics, lambda: self.now)))
        effects.record(cast(Kind, CacheKind()), entry, outcome or Outcome("ready", (Condition(READY, True, "Ready"),)), None)
        return list(api.patches[-1]["status"]["conditions"]) if api.patches else []

    def series(self) -> dict[str, float]:
        families = text_string_to_metric_families(self.metrics.exposition().decode())
        return {sample.name.removeprefix("securebase_cache_"): sample.value for family in families for sample in family.samples if "_cache_" in sample.name}


@dataclass
class Writes:
    """The API server, as far as a status is merged."""

    entry: Entry
    patches: list[dict[str, Any]] = field(default_factory=list)

    def merge(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path.endswith("/status")
        self.patches.append(body)
        metadata = {**self.entry.metadata, "resourceVersion": str(int(self.entry.metadata["resourceVersion"]) + 1)}
        return {**self.entry.body, "metadata": metadata, "status": {**self.entry.status, **body["status"]}}


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    made = Fleet()
    yield made
    made.client.going_on.set()
    made.verifier.stop()


def verified(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    return next(condition for condition in conditions if condition["type"] == VERIFIED)


def test_each_object_is_looked_at_at_its_own_interval(fleet: Fleet) -> None:
    fleet.add("often", interval=60)
    fleet.add("seldom", interval=300)
    assert sorted(fleet.tick()) == ["often", "seldom"]
    assert fleet.tick(59) == []
    assert fleet.tick(1) == ["often"]
    assert sorted(fleet.tick(240)) == ["often", "seldom"]


def test_only_what_has_published_something_is_looked_at(fleet: Fleet) -> None:
    fleet.add("young", outputs=False)
    fleet.add("thing", kind="Thing")
    leaving = fleet.add("leaving")
    leaving.body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert fleet.tick() == []


def test_the_published_password_is_used_and_a_key_of_its_own(fleet: Fleet) -> None:
    fleet.add("one")
    fleet.add("two")
    fleet.tick()
    assert {password for _, password, _ in fleet.client.asked} == {PASSWORD}
    keys = {key for _, _, key in fleet.client.asked}
    assert len(keys) == 2 and all(key.startswith("securebase:verify:") for key in keys)


def test_the_verdict_is_written_by_one_pass_and_only_when_it_flips(fleet: Fleet) -> None:
    entry = fleet.add()
    assert fleet.pass_over(entry), "a first status"
    fleet.tick()
    assert fleet.flipped == [entry.key]
    first = verified(fleet.pass_over(entry))
    assert (first["status"], first["reason"], first["lastTransitionTime"]) == ("True", "Verified", "2023-11-14T22:13:20Z")
    for _ in range(3):
        fleet.tick(60)
    assert fleet.flipped == [entry.key] and fleet.pass_over(entry) == [], "nothing to tell, nothing to write"
    fleet.client.answer = Verification(Finding.REFUSED, "refused (WRONGPASS)")
    fleet.tick(60)
    assert fleet.flipped == [entry.key] * 2
    conditions = fleet.pass_over(entry)
    assert (verified(conditions)["status"], verified(conditions)["reason"]) == ("False", "Refused")
    assert verified(conditions)["lastTransitionTime"] > first["lastTransitionTime"]
    assert next(each for each in conditions if each["type"] == READY)["status"] == "True", "and the object is as ready as before"


def test_a_verdict_stays_in_a_pass_that_failed_and_decides_nothing(fleet: Fleet) -> None:
    entry = fleet.add()
    fleet.tick()
    fleet.pass_over(entry)
    failed = fleet.pass_over(entry, Outcome("transient", (Condition("Reconciling", True, "Throttled"),), backoff=True))
    assert verified(failed)["status"] == "True"


def test_a_verdict_that_was_not_written_is_asked_for_again(fleet: Fleet) -> None:
    entry = fleet.add()
    fleet.tick()
    fleet.tick(60)
    assert fleet.flipped == [entry.key] * 2


@pytest.mark.parametrize(
    ("finding", "status", "up"),
    [
        (Finding.PROVEN, "True", 1.0),
        (Finding.RESTRICTED, "Unknown", 1.0),
        (Finding.REFUSED, "False", 0.0),
        (Finding.WRONG, "False", 0.0),
        (Finding.UNREACHABLE, "Unknown", None),
    ],
)
def test_what_each_finding_says(fleet: Fleet, finding: Finding, status: str, up: float | None) -> None:
    entry = fleet.add()
    fleet.client.answer = Verification(finding, "as told")
    fleet.tick()
    written = verified(fleet.pass_over(entry))
    assert (written["status"], written["reason"], written["message"]) == (status, finding.value, "as told")
    assert fleet.series().get("up") == up


def test_series_tell_what_the_engine_tells_and_nothing_else(fleet: Fleet) -> None:
    fleet.add()
    fleet.tick()
    assert fleet.series() == {
        "up": 1.0,
        "last_verified_timestamp_seconds": fleet.now,
        "hit_ratio": 0.75,
        "keyspace_hits_total": 30.0,
        "keyspace_misses_total": 10.0,
        "evictions_total": 5.0,
        "memory_used_bytes": 100.0,
        "connected_clients": 3.0,
    }
    fleet.client.answer = replace(PROVEN, figures=Figures(hits=34, misses=13, max_memory=200, max_clients=10, replica_lag=0))
    fleet.tick(60)
    told = fleet.series()
    assert told["hit_ratio"] == 0.5, "3 hits of clients, 3 misses; the fourth hit was the verifier's own"
    assert (told["memory_max_bytes"], told["max_clients"], told["replication_offset_lag_bytes"]) == (200.0, 10.0, 0.0)
    proven_at = fleet.now
    fleet.client.answer = Verification(Finding.UNREACHABLE, "no answer in time")
    fleet.tick(60)
    assert fleet.series() == {"last_verified_timestamp_seconds": proven_at}, "what is unknown is no series"


def test_series_go_with_the_object(fleet: Fleet) -> None:
    entry = fleet.add()
    fleet.tick()
    fleet.objects.drop(entry.key)
    fleet.metrics.forget(*entry.key)
    assert fleet.series() == {}


def test_series_of_an_object_that_goes_while_it_is_looked_at_do_not_come_back(fleet: Fleet) -> None:
    entry = fleet.add()
    fleet.client.going_on.clear()
    fleet.verifier.start_due(fleet.flipped.append)
    wait_until(lambda: bool(fleet.client.asked), "the client to be asked", deadline=10)
    fleet.objects.drop(entry.key)
    fleet.metrics.forget(*entry.key)
    fleet.client.going_on.set()
    fleet.tick()
    assert fleet.series() == {}


def test_series_of_what_is_being_deleted_are_let_go(fleet: Fleet) -> None:
    entry = fleet.add()
    fleet.tick()
    entry.body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    fleet.tick(60)
    assert fleet.series() == {}


def test_slow_ones_are_bounded_and_one_object_is_in_one_hand(fleet: Fleet) -> None:
    for number in range(AT_ONCE * 2):
        fleet.add(f"o{number}")
    fleet.client.going_on.clear()
    for _ in range(3):
        fleet.now += 60
        fleet.verifier.start_due(fleet.flipped.append)
    wait_until(lambda: fleet.client.at_once == AT_ONCE, "all threads to be busy", deadline=10)
    assert len({host for host, _, _ in fleet.client.asked}) == len(fleet.client.asked) == AT_ONCE
    fleet.client.going_on.set()
    wait_until(lambda: not fleet.verifier.busy(), "the verifications to end", deadline=10)
    fleet.tick()
    assert fleet.client.most_at_once == AT_ONCE and len(fleet.client.asked) == AT_ONCE * 2


def test_what_is_under_way_when_it_is_stopped_asks_for_nothing(fleet: Fleet) -> None:
    fleet.add()
    fleet.client.going_on.clear()
    fleet.verifier.start_due(fleet.flipped.append)
    fleet.verifier.stop()
    assert fleet.verifier.busy()
    fleet.client.going_on.set()
    assert len(fleet.tick(60)) <= 1
    assert fleet.flipped == [] and not fleet.verifier.busy()


@pytest.mark.parametrize("told", [PublishedLogin(True, "app", PASSWORD), PublishedLogin(False), PublishedLogin(True, "default", "another")], ids=str)
def test_what_is_proven_is_what_clients_are_told_now(fleet: Fleet, told: PublishedLogin) -> None:
    """Not what the spec wants: that may wait for an approval."""
    fleet.told = told
    fleet.add()
    fleet.tick()
    assert fleet.client.logins == [told] and PASSWORD not in str(told)


@pytest.mark.parametrize("refusal", [Transient("KubernetesUnreachable", "no route"), Gone("404")])
def test_what_cannot_be_asked_for_a_moment_changes_nothing(fleet: Fleet, refusal: Exception) -> None:
    entry = fleet.add()
    fleet.tick()
    before, told = entry.verified.verdict, fleet.series()
    fleet.refusal = refusal
    assert fleet.tick(60) == []
    assert entry.verified.verdict == before and fleet.series() == told


@pytest.mark.parametrize(("refusal", "reason"), [(ReferenceNotFound("no such Secret"), "ReferenceNotFound"), (Denied("get", "secrets", "no"), "AccessDenied")])
def test_without_the_published_password_nothing_is_known(fleet: Fleet, refusal: Exception, reason: str) -> None:
    entry = fleet.add()
    fleet.refusal = refusal
    assert fleet.tick() == []
    written = verified(fleet.pass_over(entry))
    assert (written["status"], written["reason"]) == ("Unknown", reason) and "up" not in fleet.series()


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"verify": {"enabled": False}}, "NotVerified"), ({"policy": {"mode": "Paused"}}, "Paused")],
)
def test_a_verdict_of_before_does_not_stand_for_ever(fleet: Fleet, change: dict[str, Any], reason: str) -> None:
    entry = fleet.add()
    fleet.tick()
    fleet.pass_over(entry)
    entry.body["spec"] = SPEC | change
    assert fleet.tick(60) == []
    written = verified(fleet.pass_over(entry))
    assert (written["status"], written["reason"]) == ("Unknown", reason) and "up" not in fleet.series()


def test_where_nobody_ever_looked_nothing_is_told(fleet: Fleet) -> None:
    entry = fleet.add(verify={"enabled": False})
    assert fleet.tick() == [] and entry.verified.verdict is None and fleet.flipped == [] and fleet.series() == {}


def test_who_only_observes_has_nothing_written_to_the_cache(fleet: Fleet) -> None:
    fleet.add(policy={"mode": "Observe"})
    fleet.tick()
    assert [key for _, _, key in fleet.client.asked] == [""]


def test_switched_off_it_says_so_where_a_verdict_stands() -> None:
    fleet = Fleet(client=False)
    fresh, known = fleet.add("fresh"), fleet.add("known")
    known.body["status"]["conditions"] = [{"type": VERIFIED, "status": "True", "reason": "Verified"}]
    assert fleet.tick() == []
    assert fleet.flipped == [known.key] and fresh.verified.verdict is None
    assert verified(fleet.pass_over(known))["reason"] == "NotVerified"
    fleet.verifier.stop()

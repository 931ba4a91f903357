"""Objects with more resources than a status has room for: what a restarted process knows of them, and what it publishes meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from typing import Any, Literal

import pytest
from kubernetes.client import Configuration
from prometheus_client import CollectorRegistry

from securebase.api.meta import KubernetesObject, ResourceSpec
from securebase.clients.aws import AwsAccountConfig, AwsClients, CallerIdentity
from securebase.clients.kubernetes import Kubernetes
from securebase.clients.limits import RateLimiter
from securebase.core.breakers import CONFIRM_ANNOTATION, MassDeletion
from securebase.core.driver import IN_USE, Observed, State, Target
from securebase.core.errors import Terminal, Transient, Waiting
from securebase.core.graph import Graph, Node, Role
from securebase.core.identity import Identity
from securebase.core.kind import Context, Facts, Needs, PolicyDefaults
from securebase.core.outcome import Outcome
from securebase.core.outputs import promised
from securebase.core.subject import FIRST_POLL
from securebase.cost.book import PriceBook
from securebase.resources.registry import Drivers
from securebase.resources.tagging import owned_nodes
from securebase.runtime.accounts import Account, Accounts
from securebase.runtime.events import Recorder
from securebase.runtime.objects import FINALIZER, Objects
from securebase.runtime.queue import Key, Reason
from securebase.runtime.reconciler import Reconciler, reconciler_of
from securebase.runtime.shared import Process, SharedUse
from securebase.telemetry.metrics import Metrics
from tests.unit.core.fake import Outside, Thing, ThingDriver, thing
from tests.unit.runtime.cluster import NoSources, merged

CROWD = Key("Crowd", "team", "one")
IDENTITY = Identity("test", *CROWD)
ACCOUNT = Account("default", AwsAccountConfig("123456789012", region="eu-central-1"), "eu-central-1")


class CrowdSpec(ResourceSpec):
    size: int


class Crowd(KubernetesObject):
    kind: Literal["Crowd"] = "Crowd"
    spec: CrowdSpec


class CrowdKind:
    """As many things as the spec says; none at all of 13."""

    kind, plural, model = "Crowd", "crowds", Crowd
    tasks: Mapping[str, str] = {}
    types = frozenset({ThingDriver.type})

    def publishes(self, spec: CrowdSpec, name: str) -> frozenset[str]:
        return frozenset()

    def defaults(self, spec: CrowdSpec) -> PolicyDefaults:
        return PolicyDefaults()

    def needs(self, spec: CrowdSpec, namespace: str) -> Needs:
        return Needs()

    def compose(self, spec: CrowdSpec, facts: Facts, context: Context) -> Graph:
        if spec.size == 13:
            raise Terminal("Unlucky", "not thirteen")
        return Graph(Node(f"member-{number:04}", ThingDriver.type, thing(context.identity.external_name(f"m{number}"))) for number in range(spec.size))

    def outputs(self, spec: CrowdSpec, attributes: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
        first = attributes.get("member-0000", {})
        return {"first": first.get("id", ""), "address": first.get("ready", "")}


class LitterKind(CrowdKind):
    """A mother, and her child once she is told to be ready."""

    def needs(self, spec: CrowdSpec, namespace: str) -> Needs:
        return Needs(nodes=frozenset({"mother"}))

    def compose(self, spec: CrowdSpec, facts: Facts, context: Context) -> Graph:
        ready = facts.nodes.get("mother", {}).get("ready", "")
        nodes = [Node(name, ThingDriver.type, thing(name)) for name in ("mother", *(("child",) if ready else ()))]
        return Graph(nodes, complete=bool(ready), gathered={"mother": {"ready": ready}})

    def outputs(self, spec: CrowdSpec, attributes: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
        return {}


class NamedKind(CrowdKind):
    """Tells the names of its things, for others to go by."""

    def outputs(self, spec: CrowdSpec, attributes: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
        wanted = [f"member-{number:04}" for number in range(spec.size)]
        return {"names": promised(attributes.get(node, {}).get("id", "") for node in wanted)}


class GivenKind(CrowdKind):
    """Beside its own things one that is somebody else's."""

    def compose(self, spec: CrowdSpec, facts: Facts, context: Context) -> Graph:
        given = Node("given", ThingDriver.type, thing("given"), role=Role.EXTERNAL)
        return Graph([*super().compose(spec, facts, context), given])


class LookedUpKind(GivenKind):
    """It is composed by what that other one is."""

    def compose(self, spec: CrowdSpec, facts: Facts, context: Context) -> Graph:
        return Graph(super().compose(spec, facts, context).nodes.values(), gathered={"given": {"ready": ""}})


class CrowdDriver(ThingDriver):
    """Finds by owner tag what nobody recorded; deletes nothing that somebody goes by."""

    def __init__(self, outside: Outside, used: Callable[[], str], remarks: Mapping[str, str], silent: Set[str]) -> None:
        super().__init__(outside)
        self._used, self._remarks, self._silent = used, remarks, silent

    def _observed(self, key: str) -> Observed[Thing]:
        return replace(super()._observed(key), message=self._remarks.get(key, ""), silent=key in self._silent)

    def delete(self, target: Target[Any], observed: Observed[Any]) -> Observed[Any] | None:
        if observed.external_id in self._used():
            raise Waiting(IN_USE, f"{observed.external_id} is in use", 15.0)
        return super().delete(target, observed)

    def owned(self, identity: Identity) -> Mapping[str, str]:
        return owned_nodes({key: owner for key, (owner, _, _) in self.outside.things.items()}, identity)


class Cluster(Kubernetes):
    """An API server with one object, whose status it refuses when it is too large."""

    def __init__(self, size: int, **annotations: str) -> None:
        super().__init__(Configuration())
        metadata = {"name": CROWD.name, "namespace": CROWD.namespace, "uid": "u", "generation": 1, "annotations": annotations, "resourceVersion": "1"}
        self.body: dict[str, Any] = {"apiVersion": "securebase.io/v1alpha1", "kind": "Crowd", "metadata": metadata, "spec": {"size": size}}
        self.outputs: dict[str, str] = {}
        self.events: list[tuple[str, str]] = []
        self.largest = 0

    def merge(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self.body = merged(self.body, body)
        self.body["metadata"]["resourceVersion"] = str(int(self.body["metadata"]["resourceVersion"]) + 1)
        self.largest = max(self.largest, len(json.dumps(self.body.get("status", {}), separators=(",", ":"))))
        found: dict[str, Any] = json.loads(json.dumps(self.body))
        return found

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if body["kind"] == "ConfigMap":
            self.outputs = dict(body["data"])
        if body["kind"] == "Event":
            self.events.append((body["reason"], body["message"]))
        return dict(body)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return {"metadata": {}}

    def edit(self, size: int) -> None:
        self.body["spec"] = {"size": size}
        self.body["metadata"]["generation"] += 1

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body["status"]
        return found


class Clients(AwsClients):
    def verify_account(self, account: AwsAccountConfig) -> CallerIdentity:
        return CallerIdentity("123456789012", "arn:aws:iam::123456789012:role/r")


class Life:
    """One operator process after another over the same cluster and the same outside."""

    def __init__(self, cluster: Cluster, kind: CrowdKind | None = None) -> None:
        self.kind = kind or CrowdKind()
        self.cluster, self.outside, self.time = cluster, Outside(), 1_700_000_000.0
        self.remarks: dict[str, str] = {}
        self.silent: set[str] = set()
        self.restart()

    def restart(self) -> None:
        self.objects = Objects()
        clients = Clients(limiter=RateLimiter(is_open=True), version="0")
        drivers = Drivers(clients, {ThingDriver.type: lambda scope, clock: CrowdDriver(self.outside, self.used, self.remarks, self.silent)}, self.now)
        process = Process("test", drivers, Accounts(clients, self.now, {"default": ACCOUNT}), SharedUse(), MassDeletion(self.now), self.now)
        events = Recorder(self.cluster, self.now, str)
        kinds = {"Crowd": self.kind}
        self.reconciler: Reconciler = reconciler_of(
            process, kinds, self.objects, self.cluster, NoSources(), events, Metrics(CollectorRegistry(), "0"), PriceBook(), self.now
        )

    def now(self) -> float:
        return self.time

    def used(self) -> str:
        """By those who go by the names that it tells."""
        return str((self.cluster.status.get("outputs") or {}).get("names", ""))

    def run(self, reason: Reason = Reason.EDIT) -> Outcome | None:
        self.time += 120
        self.objects.seen(CROWD, json.loads(json.dumps(self.cluster.body)))
        return self.reconciler.run(CROWD, reason)

    def name(self) -> str:
        outcome = self.run()
        return outcome.name if outcome is not None else "nothing"


def listed(status: Mapping[str, Any]) -> int:
    return len(status["resources"])


def test_a_status_of_3000_resources_is_small_and_says_what_it_left_out() -> None:
    life = Life(Cluster(3000))
    assert life.name() == "ready" and len(life.outside.things) == 3000
    status = life.cluster.status
    assert life.cluster.largest < 64 * 1024
    assert status["resourceCounts"] == {"READY": 3000}
    assert status["omitted"] == {"fake/thing@": 3000 - listed(status)} and listed(status) >= 300


@pytest.mark.parametrize("state", [State.PENDING, State.FAILED])
def test_a_status_of_3000_resources_that_are_not_ready_is_small_too(state: State) -> None:
    life = Life(Cluster(3000))
    life.outside.born = state
    life.run()
    assert life.cluster.largest < 64 * 1024 and life.cluster.status["resourceCounts"] == {state.value: 3000}
    assert sum(life.cluster.status["omitted"].values()) + listed(life.cluster.status) == 3000


def test_a_restarted_process_prunes_what_it_can_only_find_by_identity() -> None:
    life = Life(Cluster(1200, **{CONFIRM_ANNOTATION: "yes"}))
    life.run()
    left_out = sum(life.cluster.status["omitted"].values())
    assert left_out > 600
    stranger = Identity("test", "Crowd", "team", "another").owner("member-0001")
    life.outside.things["stranger"] = stranger, thing("stranger"), State.READY
    life.restart()
    life.cluster.edit(size=3)
    assert life.name() == "ready"
    assert sorted(life.outside.things) == ["stranger", "t-1", "t-2", "t-3"]
    assert "omitted" not in life.cluster.status and life.cluster.status["resourceCounts"] == {"READY": 3}


def test_a_restarted_process_makes_nothing_a_second_time() -> None:
    life = Life(Cluster(1200))
    life.run()
    life.restart()
    outcome = life.run()
    assert outcome is not None and outcome.name == "taken_up" and life.outside.made == 1200
    entry = life.objects.get(CROWD)
    assert entry is not None and entry.subject is not None and len(entry.subject.prior) == 1200, "the sweep compares all of them by id"


def test_the_second_pass_after_a_restart_remembers_them_as_well() -> None:
    life = Life(Cluster(1200, **{CONFIRM_ANNOTATION: "yes"}))
    life.run()
    life.restart()
    life.run()
    life.cluster.edit(size=2)
    assert life.name() == "ready" and len(life.outside.things) == 2


@pytest.mark.parametrize("size", [700, 13], ids=["composed", "not to be composed"])
def test_a_deletion_after_a_restart_takes_all_of_them(size: int) -> None:
    life = Life(Cluster(700))
    life.run()
    assert life.cluster.status["omitted"]
    life.restart()
    life.cluster.edit(size)
    life.cluster.body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert life.cluster.body["metadata"]["finalizers"] == [FINALIZER]
    for _ in range(3):
        life.run()
    assert life.outside.things == {}


def test_outputs_stand_as_published_while_they_cannot_be_read() -> None:
    life = Life(Cluster(2))
    life.run()
    assert life.cluster.outputs == {"first": "t-1", "address": "yes"}
    life.outside.failing["member-0000"] = Transient("Down", "down")
    life.cluster.edit(3)
    assert life.name() == "transient"
    assert life.cluster.outputs == life.cluster.status["outputs"] == {"first": "t-1", "address": "yes"}
    life.outside.failing.clear()
    owner, value, _ = life.outside.things["t-1"]
    life.outside.things["t-1"] = owner, value, State.PENDING
    assert life.name() == "progressing" and life.cluster.outputs == {"first": "t-1", "address": "yes"}
    life.outside.things["t-1"] = owner, value, State.READY
    assert life.name() == "ready" and life.cluster.outputs["address"] == "yes"


def test_an_output_that_there_is_no_more_goes_once_all_is_ready() -> None:
    life = Life(Cluster(1, **{CONFIRM_ANNOTATION: "yes"}))
    life.run()
    life.cluster.edit(0)
    assert life.name() == "ready" and "outputs" not in life.cluster.status


@pytest.mark.parametrize("left", [2, 0], ids=["some", "none"])
def test_what_is_no_longer_wanted_is_not_told_while_others_keep_it_from_going(left: int) -> None:
    life = Life(Cluster(3, **{CONFIRM_ANNOTATION: "yes"}), NamedKind())
    life.run()
    assert life.cluster.outputs == {"names": "t-1,t-2,t-3"}
    life.cluster.edit(left)
    assert life.name() == "waiting", "its name was told when it was to go"
    assert life.used() == ("t-1,t-2" if left else "")
    assert life.name() == "ready" and len(life.outside.things) == left


def test_what_is_ready_is_heard_also_of_what_is_somebody_elses() -> None:
    life = Life(Cluster(2), GivenKind())
    life.outside.things["theirs"] = "", thing("given"), State.READY
    life.remarks = {"theirs": "cannot be checked", "t-1": "not confirmed yet"}
    assert life.name() == "ready"

    def told() -> dict[str, str]:
        return {entry["id"]: entry["message"] for entry in life.cluster.status["resources"] if "message" in entry}

    assert told() == {"given": "cannot be checked", "member-0000": "not confirmed yet"}
    life.remarks.clear()
    assert life.name() == "ready" and told() == {}


def test_what_no_read_tells_stands_as_it_was_told_until_it_is_written() -> None:
    life = Life(Cluster(2))
    life.remarks = {"t-1": "warned of a widget"}
    life.run()
    life.remarks.clear()
    life.silent.add("t-1")
    life.restart()
    life.cluster.edit(3)
    assert life.name() == "ready"
    [told] = [entry["message"] for entry in life.cluster.status["resources"] if "message" in entry]
    assert told == "warned of a widget"
    life.silent.clear()
    assert life.name() == "ready" and not any("message" in entry for entry in life.cluster.status["resources"])


def test_what_nothing_is_made_of_waits_for_a_person_and_keeps_nothing_from_being_ready() -> None:
    life = Life(Cluster(2), GivenKind())
    life.outside.things["theirs"] = "", thing("given"), State.PENDING
    life.remarks = {"theirs": "alarms do not get through"}
    outcome = life.run()
    assert outcome is not None and (outcome.name, outcome.after) == ("ready", None), "the sweeper looks again"
    [told] = [entry for entry in life.cluster.status["resources"] if entry["id"] == "given"]
    assert (told["state"], told["message"]) == ("PENDING", "alarms do not get through")
    for _ in range(40):
        life.run()
    assert [event for event in life.cluster.events if event[0] == "Busy"] == [("Busy", "alarms do not get through")]


def test_what_was_composed_by_what_is_missing_is_not_ready_and_looks_again_at_its_interval() -> None:
    life = Life(Cluster(2), LookedUpKind())
    life.outside.things["theirs"] = "", thing("given"), State.PENDING
    for _ in range(3):
        outcome = life.run(Reason.POLL)
        assert outcome is not None and (outcome.name, outcome.after) == ("progressing", 60.0)


@pytest.mark.parametrize("observing", ["GivenKind", "LookedUpKind"])
def test_who_only_observes_says_the_same_of_what_is_somebody_elses(observing: str) -> None:
    kind = {"GivenKind": GivenKind(), "LookedUpKind": LookedUpKind()}[observing]
    life = Life(Cluster(0), kind)
    life.cluster.body["spec"]["policy"] = {"mode": "Observe"}
    life.outside.things["theirs"] = "", thing("given"), State.PENDING
    life.run()
    ready = next(condition for condition in life.cluster.status["conditions"] if condition["type"] == "Ready")
    assert ready["status"] == ("True" if observing == "GivenKind" else "False")


def test_what_is_protected_from_deletion_goes_on_telling_its_outputs() -> None:
    life = Life(Cluster(2))
    life.cluster.body["spec"]["policy"] = {"deletionProtection": True}
    life.run()
    outputs = {"first": "t-1", "address": "yes"}
    assert life.cluster.status["outputs"] == outputs
    life.cluster.body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    life.outside.slow_delete = True
    for policy in ({"deletionProtection": True}, {"mode": "Observe"}):
        life.cluster.body["spec"]["policy"] = policy
        for _ in range(2):
            assert life.name() in ("deleting", "waiting")
        assert life.cluster.status["outputs"] == outputs and len(life.outside.things) == 2, policy
    life.cluster.body["spec"]["policy"] = {}
    life.run()
    assert "outputs" not in life.cluster.status and life.outside.things, "what goes is told to nobody"


def test_a_list_of_which_some_could_not_be_read_loses_none() -> None:
    life = Life(Cluster(3), NamedKind())
    life.run()
    life.outside.failing["member-0001"] = Transient("Down", "down")
    life.cluster.edit(4)
    assert life.name() == "transient"
    assert sorted(life.cluster.outputs["names"].split(",")) == ["t-1", "t-2", "t-3", "t-4"]
    life.outside.failing.clear()
    assert life.name() == "ready" and life.cluster.outputs["names"] == "t-1,t-2,t-3,t-4"


def test_what_comes_to_be_in_a_pass_is_composed_by_in_the_next_one_soon() -> None:
    life = Life(Cluster(1), LitterKind())
    first = life.run()
    assert first is not None and first.after == FIRST_POLL and life.outside.by_name("child") is None
    second = life.run(Reason.POLL)
    assert second is not None and second.name == "ready" and second.after is None and life.outside.by_name("child")
    entry = life.objects.get(CROWD)
    assert entry is not None and entry.settled


@pytest.mark.parametrize("state", [None, State.PENDING], ids=["unreadable", "not ready"])
def test_while_it_is_not_known_what_there_should_be_nothing_is_pruned_or_forgotten(state: State | None) -> None:
    life = Life(Cluster(1), LitterKind())
    life.run()
    life.run()
    owner, value, _ = life.outside.things["t-1"]
    if state is None:
        life.outside.failing["mother"] = Transient("Down", "down")
    else:
        life.outside.things["t-1"] = owner, value, state
    life.run()
    life.restart()
    life.run()
    assert {entry["id"] for entry in life.cluster.status["resources"]} == {"mother", "child"} and life.outside.by_name("child")
    life.outside.failing.clear()
    life.outside.things["t-1"] = owner, value, State.READY
    assert life.name() == "ready" and life.outside.made == 2

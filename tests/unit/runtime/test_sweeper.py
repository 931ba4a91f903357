"""The sweeper: which objects need a pass, and that one look serves them all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from securebase.clients.aws import AwsAccountConfig, AwsClients
from securebase.clients.limits import RateLimiter
from securebase.core.breakers import MassDeletion
from securebase.core.driver import Depth, Observed, State
from securebase.core.errors import Transient
from securebase.core.graph import Graph, Node, Role
from securebase.core.identity import Identity, shared_owner
from securebase.core.plan import Prior
from securebase.core.policy import Mode, Policy
from securebase.core.subject import Subject
from securebase.resources.registry import Drivers
from securebase.runtime.accounts import Account, Accounts
from securebase.runtime.objects import Objects
from securebase.runtime.queue import Key
from securebase.runtime.shared import Process, SharedUse
from securebase.runtime.sweeper import Sweeper
from securebase.telemetry.metrics import Metrics
from tests.unit.core.fake import Outside, Thing, ThingDriver, node

ACCOUNT = Account("", AwsAccountConfig("123456789012", region="eu-central-1"), "eu-central-1")
NOW = 1_700_000_000.0


class DueDriver(ThingDriver):
    """Some of its things have a step of their own to take, some have something to tell, some do not know what there is to tell."""

    def __init__(self, outside: Outside, due: set[str], remarks: dict[str, str], silent: set[str]) -> None:
        super().__init__(outside)
        self.due, self.remarks, self.silent = due, remarks, silent

    def _observed(self, key: str) -> Observed[Thing]:
        due, message = "turn" if key in self.due else "", self.remarks.get(key, "")
        return replace(super()._observed(key), due=due, message=message, silent=key in self.silent)


class Fleet:
    """Objects that are ready, with one thing of their own and one that all share."""

    def __init__(self, size: int) -> None:
        self.outside, self.objects = Outside(), Objects()
        self.due: set[str] = set()
        self.remarks: dict[str, str] = {}
        self.silent: set[str] = set()
        clients = AwsClients(limiter=RateLimiter(is_open=True), version="0")
        drivers = Drivers(clients, {ThingDriver.type: lambda scope, clock: DueDriver(self.outside, self.due, self.remarks, self.silent)}, lambda: NOW)
        accounts = Accounts(clients, lambda: NOW)
        process = Process("test", drivers, accounts, SharedUse(), MassDeletion(lambda: NOW), lambda: NOW)
        self.sweeper = Sweeper(process, self.objects, Metrics(CollectorRegistry(), "0"), lambda: NOW)
        for number in range(size):
            self._add(number)

    def _add(self, number: int) -> None:
        name = f"o{number}"
        key, identity = Key("Thing", "team", name), Identity("test", "Thing", "team", name)
        own, shared = node(f"own-{number}", id="own"), node("shared", role=Role.SHARED)
        entry, _ = self.objects.seen(key, {"metadata": {"name": name, "namespace": "team", "uid": name}})
        priors = {each.id: Prior(each.id, each.type, self._make(identity, each), role=each.role) for each in (own, shared)}
        entry.graph, entry.account, entry.settled = Graph([own, shared]), ACCOUNT, True
        entry.subject = Subject(identity, Policy(), "eu-central-1", priors)

    def _make(self, identity: Identity, made: Node) -> str:
        owner = shared_owner("test") if made.role is Role.SHARED else identity.owner(made.id)
        self.outside.things.setdefault(made.desired.name, (owner, made.desired, State.READY))
        return str(made.desired.name)

    def sweep(self) -> list[str]:
        """Names that need a pass."""
        return sorted(key.name for key in self.sweeper.sweep(ACCOUNT, list(self.objects)))

    def mode(self, name: str, mode: Mode) -> None:
        entry = self.objects.get(Key("Thing", "team", name))
        assert entry is not None and entry.subject is not None
        entry.subject = replace(entry.subject, policy=Policy(mode=mode))


def test_a_fleet_at_rest_needs_no_pass_and_one_look_serves_all() -> None:
    fleet = Fleet(20)
    assert fleet.sweep() == []
    assert fleet.outside.reads == [(ThingDriver.type, 40, Depth.SWEEP)]


def test_who_differs_needs_a_pass() -> None:
    fleet = Fleet(3)
    fleet.outside.change("own-1", color="blue")
    fleet.outside.remove("own-2")
    assert fleet.sweep() == ["o1", "o2"]


def test_who_was_composed_by_what_is_another_now_needs_a_pass() -> None:
    fleet = Fleet(3)
    for number, ready in ((0, "yes"), (1, ""), (2, "no")):
        entry = fleet.objects.get(Key("Thing", "team", f"o{number}"))
        assert entry is not None and entry.graph is not None
        entry.graph = Graph(entry.graph.nodes.values(), gathered={"own": {"ready": ready}})
    assert fleet.sweep() == ["o1", "o2"]


def test_who_has_a_step_of_its_own_to_take_needs_a_pass() -> None:
    fleet = Fleet(3)
    fleet.due.add("own-1")
    assert fleet.sweep() == ["o1"]


def test_of_those_that_differ_only_in_what_they_share_one_puts_it_right() -> None:
    fleet = Fleet(5)
    fleet.outside.change("shared", color="blue")
    fleet.outside.change("own-3", color="blue")
    assert fleet.sweep() == ["o0", "o3"]


def test_who_only_observes_tells_the_difference_itself_and_leaves_the_repair_to_another() -> None:
    fleet = Fleet(3)
    fleet.mode("o0", Mode.OBSERVE)
    fleet.outside.change("shared", color="blue")
    assert fleet.sweep() == ["o0", "o1"]


def test_who_does_not_know_what_there_is_to_tell_takes_nothing_back() -> None:
    fleet = Fleet(1)
    entry = fleet.objects.get(Key("Thing", "team", "o0"))
    assert entry is not None
    entry.remarks = {"own": "warned of something"}
    fleet.silent.add("own-0")
    assert fleet.sweep() == [] and entry.remarks == {"own": "warned of something"}
    fleet.silent.clear()
    assert fleet.sweep() == ["o0"]


@pytest.mark.parametrize("needed", [False, True])
def test_what_is_somebody_elses_and_not_ready_is_worth_a_pass_only_to_who_needs_it(needed: bool) -> None:
    fleet = Fleet(1)
    entry = fleet.objects.get(Key("Thing", "team", "o0"))
    assert entry is not None and entry.graph is not None
    given, user = node("given", role=Role.EXTERNAL), node("own-0", id="own", after=frozenset({"given"} if needed else ()))
    assert entry.subject is not None
    entry.graph, entry.subject = Graph([given, user]), replace(entry.subject, prior={"own": entry.subject.prior["own"]})
    fleet.outside.things["given"] = "", given.desired, State.PENDING
    fleet.remarks["given"] = "is shut"
    assert fleet.sweep() == ["o0"], "it tells something new"
    assert fleet.sweep() == (["o0"] if needed else [])
    fleet.remarks.clear()
    assert fleet.sweep() == ["o0"]


def test_who_has_something_else_to_tell_needs_one_pass() -> None:
    fleet = Fleet(3)
    assert fleet.sweep() == []
    fleet.remarks["own-1"] = "not confirmed yet"
    assert fleet.sweep() == ["o1"] and fleet.sweep() == []
    fleet.outside.failing["own"] = Transient("Down", "down")
    assert fleet.sweep() == [], "what cannot be read tells what it did"
    fleet.outside.failing.clear()
    fleet.remarks.clear()
    assert fleet.sweep() == ["o1"] and fleet.sweep() == []

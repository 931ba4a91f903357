"""What went while nobody was told: an object that is not listed any more is let go, all that was kept of it with it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Iterator
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import Any, TypeVarTuple

import pytest
from kubernetes.client import Configuration
from prometheus_client import CollectorRegistry

from securebase.clients.aws import AwsClients
from securebase.clients.kubernetes import Gone, Kubernetes
from securebase.clients.limits import RateLimiter
from securebase.core.breakers import MassDeletion
from securebase.core.errors import Denied, Transient
from securebase.core.outcome import Outcome
from securebase.cost.book import PriceBook
from securebase.kinds.registry import KINDS
from securebase.resources.registry import Drivers, aws_drivers
from securebase.runtime.account_passes import AccountPasses
from securebase.runtime.accounts import Accounts
from securebase.runtime.events import Recorder
from securebase.runtime.heartbeat import Heartbeat
from securebase.runtime.lease import Lease
from securebase.runtime.objects import Objects
from securebase.runtime.operator import RECALL_SECONDS, Operator, Parts
from securebase.runtime.queue import Key, Reason, WorkQueue
from securebase.runtime.reconciler import reconciler_of
from securebase.runtime.secrets import ClusterSources, SecretWatch
from securebase.runtime.shared import Process, SharedUse
from securebase.runtime.sweeper import Sweeper
from securebase.telemetry.metrics import Metrics

Ts = TypeVarTuple("Ts")
KIND = "CdnDistribution"
NOW = 1_700_000_000.0
SHOP, BLOG = Key(KIND, "web", "shop"), Key(KIND, "web", "blog")


class HastyLoop(asyncio.SelectorEventLoop):
    """An event loop that skips its first sleep of minutes and tells when the second begins."""

    def __init__(self) -> None:
        super().__init__()
        self.naps, self.asleep_again = 0, asyncio.Event()

    def call_later(self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> asyncio.TimerHandle:
        if delay >= RECALL_SECONDS:
            self.naps += 1
            if self.naps == 1:
                delay = 0.0
            else:
                self.asleep_again.set()
        return super().call_later(delay, callback, *args, context=context)


def five_minutes_later(operator: Operator) -> None:
    """Runs the operator's relist until it has been made once."""

    async def once() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, HastyLoop)
        relisting = asyncio.create_task(operator._recall())
        awake = asyncio.create_task(loop.asleep_again.wait())
        await asyncio.wait({relisting, awake}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert awake.done() and not relisting.done()
        relisting.cancel()

    with asyncio.Runner(loop_factory=HastyLoop) as runner:
        runner.run(once())


@dataclass(slots=True)
class Cluster:
    """What the API server would list, and what happens right after it was asked."""

    there: set[tuple[str, str]] = field(default_factory=set)
    refusal: Exception | None = None
    meanwhile: Callable[[], None] = lambda: None

    def list_names(self, plural: str) -> Collection[tuple[str, str]]:
        if self.refusal is not None:
            raise self.refusal
        found = set(self.there) if plural == "cdndistributions" else set()
        if plural == "cdndistributions":
            self.meanwhile()
        return found


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def operator(cluster: Cluster) -> Iterator[Operator]:
    """Every part as the composition root makes it, but for the list; none of them is started."""
    api = Kubernetes(Configuration())
    yield Operator(_parts(api, cluster.list_names), WorkQueue(lambda: 0.0, random.Random(7)))
    api.close()


def _clock() -> float:
    return NOW


def _parts(api: Kubernetes, list_names: Callable[[str], Collection[tuple[str, str]]]) -> Parts:
    clients = AwsClients(limiter=RateLimiter(is_open=True), version="0")
    objects, account_objects, accounts = Objects(), Objects(), Accounts(clients, _clock)
    process = Process("test", Drivers(clients, aws_drivers(), _clock), accounts, SharedUse(), MassDeletion(_clock), _clock)
    metrics, events, kinds = Metrics(CollectorRegistry(), "0"), Recorder(api, _clock, str), {kind.kind: kind for kind in KINDS}
    sources = ClusterSources(api, lambda ref: None, lambda value: None)
    return Parts(
        kinds=kinds,
        objects=objects,
        account_objects=account_objects,
        accounts=accounts,
        reconciler=reconciler_of(process, kinds, objects, api, sources, events, metrics, PriceBook(), _clock),
        account_passes=AccountPasses(accounts, account_objects, objects, api, events, metrics, _clock),
        sweeper=Sweeper(process, objects, metrics, _clock),
        lease=Lease(api, "system", "lease", "pod", 15.0, 10.0, _clock),
        metrics=metrics,
        heartbeat=Heartbeat(_clock, 1),
        list_names=list_names,
        served=frozenset,
        watch_secrets=lambda changed: SecretWatch(api, (), changed),
        identity="pod",
        namespaces=(),
        workers=1,
        http_host="127.0.0.1",
        http_port=0,
    )


def document(key: Key, account: str = "default") -> dict[str, Any]:
    metadata = {"name": key.name, "namespace": key.namespace, "uid": key.name, "resourceVersion": "1", "generation": 1}
    return {"metadata": metadata, "spec": {"accountRef": {"name": account}}}


def know(operator: Operator, cluster: Cluster, *keys: Key) -> None:
    """Objects that exist, were seen, depend on something, are measured, and wait for another look."""
    for key in keys:
        cluster.there.add((key.namespace, key.name))
        operator.parts.objects.seen(key, document(key))
        operator.parts.objects.depends(key, frozenset({("Secret", key.namespace, "token")}))
        operator.parts.metrics.ready(*key, True)
        operator.parts.metrics.drift(*key, 2, NOW)
        operator.queue.add(key, Reason.POLL, 3600.0)


def test_what_is_on_its_way_is_looked_at_sooner_where_it_takes_less_time(operator: Operator) -> None:
    operator.parts = replace(operator.parts, poll_scale=0.2)
    for name, after in (("progressing", 10.0), ("ready", 3600.0), ("terminal", 10.0), ("waiting", None)):
        operator._again(Key("CdnDistribution", "web", name), Outcome(name, (), after))
    due = {key.name: (waiting.reason, waiting.due) for key, waiting in operator.queue._waiting.items()}
    assert due == {"progressing": (Reason.POLL, 2.0), "ready": (Reason.POLL, 3600.0), "terminal": (Reason.SWEEP, 10.0)}


def known(operator: Operator) -> set[Key]:
    return {entry.key for entry in operator.parts.objects}


def measured(operator: Operator, key: Key) -> bool:
    return f'name="{key.name}"' in operator.parts.metrics.exposition().decode()


def test_what_went_unnoticed_is_let_go(operator: Operator, cluster: Cluster) -> None:
    know(operator, cluster, SHOP, BLOG)
    cluster.there.remove(("web", "shop"))
    five_minutes_later(operator)
    assert known(operator) == {BLOG}
    assert not measured(operator, SHOP) and measured(operator, BLOG)
    assert operator.parts.objects.dependants("Secret", "web", "token") == (BLOG,)
    assert len(operator.queue) == 1, "and is not looked at again"


def test_what_is_there_is_kept(operator: Operator, cluster: Cluster) -> None:
    know(operator, cluster, SHOP, BLOG)
    entry = operator.parts.objects.get(SHOP)
    five_minutes_later(operator)
    assert known(operator) == {SHOP, BLOG} and operator.parts.objects.get(SHOP) is entry
    assert measured(operator, SHOP) and len(operator.queue) == 2


def test_how_many_use_its_account_is_told_anew(operator: Operator, cluster: Cluster) -> None:
    know(operator, cluster, SHOP)
    account = Key("AwsAccount", "", "default")
    operator.parts.account_objects.seen(account, {"metadata": {"name": "default", "uid": "u", "resourceVersion": "1"}})
    cluster.there.clear()
    five_minutes_later(operator)
    assert operator.parts.objects.of_account("default") == 0
    assert len(operator.queue) == 1, "a pass over the account waits, and nothing else"


def test_the_same_name_in_another_namespace_is_another_object(operator: Operator, cluster: Cluster) -> None:
    elsewhere = Key(KIND, "ops", "shop")
    know(operator, cluster, SHOP, elsewhere)
    cluster.there.remove(("ops", "shop"))
    five_minutes_later(operator)
    assert known(operator) == {SHOP}


@pytest.mark.parametrize(
    "refusal", [Transient("KubernetesUnreachable", "no route"), Denied("list", "cdndistributions", "no"), Gone("404")], ids=["away", "denied", "undefined"]
)
def test_a_list_that_failed_proves_nothing_and_is_made_again(refusal: Exception, operator: Operator, cluster: Cluster) -> None:
    know(operator, cluster, SHOP)
    cluster.there.clear()
    cluster.refusal = refusal
    five_minutes_later(operator)
    assert known(operator) == {SHOP} and measured(operator, SHOP)
    cluster.refusal = None
    five_minutes_later(operator)
    assert not known(operator) and not measured(operator, SHOP)


def test_what_is_made_while_the_list_is_read_is_kept(operator: Operator, cluster: Cluster) -> None:
    know(operator, cluster, SHOP)
    cluster.meanwhile = lambda: know(operator, Cluster(), BLOG)
    five_minutes_later(operator)
    assert known(operator) == {SHOP, BLOG}

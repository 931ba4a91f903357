"""The operator process: watches, workers, sweeper, lease, probes; start and drain."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from securebase.clients.kubernetes import Gone
from securebase.core.errors import ReconcileError
from securebase.core.kind import Kind
from securebase.core.outcome import Outcome
from securebase.core.subject import LONGEST_POLL
from securebase.runtime import account_passes, http
from securebase.runtime.account_passes import AccountPasses
from securebase.runtime.accounts import Accounts
from securebase.runtime.advisor import Advisor
from securebase.runtime.heartbeat import Heartbeat
from securebase.runtime.lease import LeadershipLost, Lease
from securebase.runtime.objects import Objects, account_name
from securebase.runtime.queue import Key, Reason, WorkQueue
from securebase.runtime.reconciler import Reconciler
from securebase.runtime.secrets import SecretWatch
from securebase.runtime.sweeper import Sweeper
from securebase.runtime.verifier import Verifier
from securebase.runtime.watches import Watches
from securebase.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
SWEEP_TICK = 1.0
VERIFY_TICK = 1.0
ADVICE_TICK = 10.0
RECALL_SECONDS = 300.0
CAUGHT_UP_SECONDS = 10.0
DRAIN_SECONDS = 20.0
LOST_LEADERSHIP = 70
"""Exit code of a replica that lost its lease."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the composition root made."""

    kinds: Mapping[str, Kind]
    objects: Objects
    account_objects: Objects
    accounts: Accounts
    reconciler: Reconciler
    account_passes: AccountPasses
    sweeper: Sweeper
    lease: Lease
    metrics: Metrics
    heartbeat: Heartbeat
    list_names: Callable[[str], Collection[tuple[str, str]]]
    served: Callable[[], Collection[str]]
    watch_secrets: Callable[[Callable[[str, str], None]], SecretWatch]
    identity: str
    namespaces: tuple[str, ...]
    workers: int
    http_host: str
    http_port: int
    poll_scale: float = 1.0
    verifier: Verifier | None = None
    advisor: Advisor | None = None


@dataclass(slots=True)
class Operator:
    """Runs until stopped."""

    parts: Parts
    queue: WorkQueue
    listening: Callable[[int], None] = lambda port: None
    _watching: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _outputs: dict[Key, dict[str, str]] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        """Watch, lead, work; returns when `stop` is set and what was in hand is done."""
        parts, loop = self.parts, asyncio.get_running_loop()
        pool = ThreadPoolExecutor(parts.workers, thread_name_prefix="worker")
        runner, port = await http.serve(parts.http_host, parts.http_port, parts.metrics.exposition, parts.heartbeat.problem, self._unready)
        self.listening(port)
        unwatch = asyncio.Event()
        handlers = {kind.plural: self._handler(kind.kind) for kind in parts.kinds.values()} | {account_passes.PLURAL: self._account_event}
        watching = Watches(handlers, parts.served, parts.identity, parts.namespaces, self._watching)
        watches = asyncio.create_task(watching.run(unwatch))

        def secret_changed(namespace: str, name: str) -> None:
            loop.call_soon_threadsafe(self._referenced_changed, "Secret", namespace, name)

        secrets = parts.watch_secrets(secret_changed)
        secrets.start()
        tasks = [asyncio.create_task(self._beat()), asyncio.create_task(self._lead(pool)), asyncio.create_task(self._recall())]
        stopped: asyncio.Task[Any] = asyncio.create_task(stop.wait())
        ended, _ = await asyncio.wait({watches, *tasks, stopped}, return_when=asyncio.FIRST_COMPLETED)
        await self._drain()
        unwatch.set()
        secrets.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(parts.lease.release)
        await asyncio.wait({watches}, timeout=5.0)
        await runner.cleanup()
        pool.shutdown(wait=False, cancel_futures=True)
        for task in ended:
            task.result()  # a watch or the leader that died says why

    # --- watches

    def _handler(self, kind: str) -> Callable[..., Awaitable[None]]:
        async def event(body: Any, type: str | None, **_: Any) -> None:
            document = _plain(body)
            metadata = document["metadata"]
            key = Key(kind, metadata["namespace"], metadata["name"])
            if type == "DELETED":
                self._gone(key)
                return
            edited = self.parts.objects.seen(key, document)[1]
            self._told(key, (document.get("status") or {}).get("outputs") or {})
            if edited:
                self.queue.add(key, Reason.EDIT)
                self._recount(document)
                self.parts.metrics.queue_depth(len(self.queue))

        return event

    async def _account_event(self, body: Any, type: str | None, **_: Any) -> None:
        document = _plain(body)
        key = Key(account_passes.KIND, "", document["metadata"]["name"])
        if type == "DELETED":
            self.parts.accounts.drop(key.name)
            self.parts.account_objects.drop(key)
            self.queue.forget(key)
            self.parts.metrics.forget(*key)
        else:
            self.parts.accounts.put(key.name, document)
            if not self.parts.account_objects.seen(key, document)[1]:
                return
            self.queue.add(key, Reason.EDIT)
        self._let_go_of_accounts()
        self._referenced_changed("AwsAccount", "", key.name)

    def _told(self, key: Key, outputs: Mapping[str, str]) -> None:
        """Who refers to an object goes by its outputs."""
        if self._outputs.get(key, {}) != outputs:
            self._outputs[key] = dict(outputs)
            self._referenced_changed(*key)

    def _gone(self, key: Key) -> None:
        if self._outputs.pop(key, None):
            self._referenced_changed(*key)
        entry = self.parts.objects.drop(key)
        self.queue.forget(key)
        self.parts.metrics.forget(*key)
        if entry is not None:
            self._recount(entry.body)

    def _recount(self, document: Mapping[str, Any]) -> None:
        """How many objects use an account may have changed. A second later, so that many at once are one status."""
        key = Key(account_passes.KIND, "", account_name(document))
        if self.parts.account_objects.get(key) is not None:
            self.queue.add(key, Reason.POLL, 1.0)

    def _let_go_of_accounts(self) -> None:
        in_use = [entry.account for entry in self.parts.objects if entry.account is not None]
        self.parts.reconciler.process.drivers.retain(self.parts.accounts.in_use(in_use))

    def _referenced_changed(self, kind: str, namespace: str, name: str) -> None:
        for key in self.parts.objects.dependants(kind, namespace, name):
            self.queue.add(key, Reason.EDIT)

    # --- work

    async def _lead(self, pool: ThreadPoolExecutor) -> None:
        await self.parts.lease.acquire()
        await self._caught_up()
        workers = [asyncio.create_task(self._work(number, pool)) for number in range(self.parts.workers)]
        keeping = asyncio.create_task(self.parts.lease.keep())
        beside = [asyncio.create_task(self._sweep()), asyncio.create_task(self._verify()), asyncio.create_task(self._advise())]
        try:
            done, _ = await asyncio.wait({keeping, *beside, *workers}, return_when=asyncio.FIRST_COMPLETED)
            if keeping in done and not self._stopping.is_set():
                _exit_without_lease()
            for task in done:
                task.result()
        finally:
            for task in (keeping, *beside, *workers):
                task.cancel()

    async def _caught_up(self) -> None:
        """Before the first pass everything there is has been told: to an object whose account or neighbour comes a moment later it would
        look as if that were missing, and a restart of the operator would show in every status."""
        await self._watching.wait()
        deadline = time.monotonic() + CAUGHT_UP_SECONDS
        while (there := await asyncio.to_thread(self._there)) is None and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
        while unseen := [key for key in there or () if self.parts.objects.get(key) is None and self.parts.account_objects.get(key) is None]:
            if time.monotonic() >= deadline:
                log.warning("not told of in %d s, and so not waited for: %s", CAUGHT_UP_SECONDS, ", ".join(map(str, unseen[:5])))
                return
            await asyncio.sleep(0.02)

    def _there(self) -> list[Key] | None:
        """Every object of ours; None while the API server does not tell."""
        kinds = {account_passes.KIND: account_passes.PLURAL} | {kind.kind: kind.plural for kind in self.parts.kinds.values()}
        try:
            return [Key(kind, *name) for kind, plural in kinds.items() for name in self.parts.list_names(plural)]
        except (ReconcileError, Gone) as error:
            log.warning("what there is could not be listed: %s", error)
            return None

    async def _work(self, number: int, pool: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            key, reason = await self.queue.get()
            try:
                if self._stopping.is_set():
                    return
                started = time.monotonic()
                outcome = await loop.run_in_executor(pool, self._pass, number, key, reason)
                self.parts.metrics.reconciled(key.kind, outcome.name if outcome is not None else "gone", time.monotonic() - started)
                self._again(key, outcome)
            except LeadershipLost:
                if self._stopping.is_set():
                    return  # given up by ourselves
                _exit_without_lease()
            except Exception:
                log.exception("a pass over %s could not be ended", key)
                self.queue.retry(key)
            finally:
                self.queue.done(key)
                self.parts.metrics.queue_depth(len(self.queue))

    def _pass(self, number: int, key: Key, reason: Reason) -> Outcome | None:
        with self.parts.heartbeat.working(number):
            self.parts.lease.fence()
            if key.kind == account_passes.KIND:
                return self.parts.account_passes.run(key)
            return self.parts.reconciler.run(key, reason)

    def _again(self, key: Key, outcome: Outcome | None) -> None:
        if outcome is None:
            self.queue.succeeded(key)
            return
        if outcome.backoff:
            delay = self.queue.retry(key)
            log.info("%s: %s, again in %.1f s", key, outcome.name, delay)
        else:
            self.queue.succeeded(key)
        if outcome.after is not None and outcome.name == "terminal":
            self.queue.add(key, Reason.SWEEP, outcome.after)
        elif outcome.after is not None:
            scale = self.parts.poll_scale if outcome.after <= LONGEST_POLL else 1.0
            self.queue.add(key, Reason.POLL, outcome.after * scale)

    async def _sweep(self) -> None:
        await self._watching.wait()
        while True:
            for way_in, entries in self.parts.sweeper.due():
                for found in await asyncio.to_thread(self.parts.sweeper.sweep, way_in, entries):
                    self.queue.add(found, Reason.SWEEP)
            await asyncio.sleep(SWEEP_TICK)

    async def _verify(self) -> None:
        await self._watching.wait()
        loop, verifier = asyncio.get_running_loop(), self.parts.verifier

        def flipped(key: Key) -> None:
            loop.call_soon_threadsafe(self.queue.add, key, Reason.SWEEP)

        while True:
            if verifier is not None:
                verifier.start_due(flipped)
            await asyncio.sleep(VERIFY_TICK)

    async def _advise(self) -> None:
        await self._watching.wait()
        while (advisor := self.parts.advisor) is not None:
            for key in await asyncio.to_thread(advisor.run):
                self.queue.add(key, Reason.SWEEP)
            await asyncio.sleep(ADVICE_TICK)
        await asyncio.Event().wait()  # a task that ends is taken for one that failed

    # --- life

    async def _recall(self) -> None:
        """A watch that had to start over tells what there is, not what went meanwhile: what is not listed any more is let go here."""
        while True:
            await asyncio.sleep(RECALL_SECONDS)
            for kind in self.parts.kinds.values():
                known = [entry.key for entry in self.parts.objects if entry.key.kind == kind.kind]
                try:
                    there = await asyncio.to_thread(self.parts.list_names, kind.plural)
                except (ReconcileError, Gone) as error:
                    log.warning("what there is of %s could not be listed: %s", kind.plural, error)
                    continue
                for key in known:
                    if (key.namespace, key.name) not in there:
                        self._gone(key)

    async def _beat(self) -> None:
        while True:
            self.parts.heartbeat.loop_turned()
            await asyncio.sleep(1.0)

    def _unready(self) -> str:
        return "" if self._watching.is_set() else "not watching yet"

    async def _drain(self) -> None:
        self._stopping.set()
        deadline, verifier = time.monotonic() + DRAIN_SECONDS, self.parts.verifier
        if verifier is not None:
            verifier.stop()
        while (self.parts.heartbeat.busy() or (verifier is not None and verifier.busy())) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)


def _exit_without_lease() -> None:
    """At once: a clean shutdown would have to write."""
    log.critical("leadership is lost; exiting")
    logging.shutdown()
    os._exit(LOST_LEADERSHIP)


def _plain(body: Any) -> dict[str, Any]:
    """kopf hands out read-only views; the raw document stands behind them. managedFields are large and nobody's business here."""
    document = dict(body)
    document["metadata"] = {name: value for name, value in dict(document["metadata"]).items() if name != "managedFields"}
    return document

"""The watches, kept by kopf. A definition that goes away takes its own watch along and nobody else's; when it is back, so is the watch."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import kopf
from kopf._cogs.clients.errors import APINotFoundError  # not exported, yet raised by kopf.operator() when a watched resource is gone

from securebase.clients.kubernetes import GROUP, VERSION
from securebase.core.errors import ReconcileError

log = logging.getLogger(__name__)
logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)  # it warns that it gets no signals, which is what is wanted

DEFINITIONS_SECONDS = 5.0
"""How often a definition that is missing is looked for."""

Handler = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Watches:
    """Tells every event of every kind that the API server knows, on the loop that runs it.

    kopf gets a thread and a loop of its own: when it ends, for whatever reason, it cancels every task of the loop it runs in
    (`kopf._core.reactor.running.run_tasks`), the Lease's renewal among them, and in the main thread it takes SIGTERM for itself.

    handlers    by plural: called with `body` and `type`
    served      plurals that the API server knows now
    namespaces  () = all
    ready       set once all watches have begun
    """

    handlers: Mapping[str, Handler]
    served: Callable[[], Collection[str]]
    identity: str
    namespaces: tuple[str, ...]
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, or until kopf fails for another reason than a missing definition."""
        known = frozenset(self.handlers)
        while not stop.is_set():
            begun, over = threading.Event(), threading.Event()
            beside = [asyncio.create_task(work) for work in (self._begun(begun), self._over(stop, over), self._returned(known, over))]
            try:
                await asyncio.to_thread(self._watch, asyncio.get_running_loop(), known, over, begun)
            except APINotFoundError:
                log.warning("a definition is gone; what its objects stand for stays as it is")
            finally:
                over.set()
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
            known = await self._known(stop, known)

    def _watch(self, loop: asyncio.AbstractEventLoop, plurals: Collection[str], over: threading.Event, begun: threading.Event) -> None:
        registry, settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
        settings.posting.enabled = False
        settings.scanning.disabled = True
        settings.watching.server_timeout = 270

        @kopf.on.login(registry=registry)
        def login(**kwargs: Any) -> Any:
            return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

        for plural in sorted(plurals):
            kopf.on.event(GROUP, VERSION, plural, registry=registry, id=plural)(_on(loop, self.handlers[plural]))
        watching = kopf.operator(
            registry=registry,
            settings=settings,
            standalone=True,
            identity=cast(Any, self.identity),  # its default asks for the user's name, which a bare uid in a container has not
            stop_flag=over,
            ready_flag=begun,
            **({"namespaces": self.namespaces} if self.namespaces else {"clusterwide": True}),
        )
        asyncio.run(_ending(watching, over))

    async def _begun(self, begun: threading.Event) -> None:
        while not begun.is_set():
            await asyncio.sleep(0.02)
        self.ready.set()

    async def _over(self, stop: asyncio.Event, over: threading.Event) -> None:
        await stop.wait()
        over.set()

    async def _returned(self, known: Collection[str], over: threading.Event) -> None:
        """Ends this round once a definition that was missing is there."""
        while known != frozenset(self.handlers):
            await asyncio.sleep(DEFINITIONS_SECONDS)
            if not (await self._there() or frozenset()) <= frozenset(known):
                over.set()
                return

    async def _known(self, stop: asyncio.Event, before: frozenset[str]) -> frozenset[str]:
        """What to watch next; waits while there is nothing."""
        while not stop.is_set():
            if there := await self._there():
                if missing := sorted(frozenset(self.handlers) - there):
                    log.warning("not watched, for want of a definition: %s", ", ".join(missing))
                return there
            await asyncio.sleep(1.0)
        return before

    async def _there(self) -> frozenset[str] | None:
        """What of ours the API server knows; None while it does not tell."""
        try:
            return frozenset(self.handlers) & frozenset(await asyncio.to_thread(self.served))
        except ReconcileError as error:
            log.warning("what the API server knows could not be read: %s", error)
            return None


async def _ending(watching: Coroutine[Any, Any, None], over: threading.Event) -> None:
    """A thread of kopf's waits for `over` to be set, and would hold up the end of the loop."""
    try:
        await watching
    finally:
        over.set()


def _on(loop: asyncio.AbstractEventLoop, handler: Handler) -> Handler:
    """The handler, run on another loop than the one that calls."""

    async def event(body: Any, type: str | None, **_: Any) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_call(handler, body, type), loop))

    return event


async def _call(handler: Handler, body: Any, type: str | None) -> None:
    await handler(body=body, type=type)

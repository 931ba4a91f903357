"""The router: takes every AWS request, finds its operation, applies rules, rates, staleness and models, and asks the emulator behind it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext

from aiohttp import web
from multidict import CIMultiDict

from lab.aws.admin import LAB_PREFIX, administer
from lab.aws.calls import CallLog, CallRecord
from lab.aws.checks import check_request
from lab.aws.context import Lab, Model
from lab.aws.limits import Throttle
from lab.aws.rules import Rules
from lab.aws.stale import Staleness
from lab.aws.wire import AwsFault, Call, Reply, fault, identify, parse_request

log = logging.getLogger(__name__)
_TWELVE_DIGITS = 12
_Send = Callable[[Call], Awaitable[Reply]]


class Router:
    """One endpoint for all services. Runs in one event loop; the log may be read from any thread."""

    def __init__(self, lab: Lab, models: Sequence[Model]) -> None:
        self.lab = lab
        self.models = tuple(models)
        self.log = CallLog()
        self.rules = Rules()
        self.throttle = Throttle(lab.clock)
        self.stale = Staleness(lab.clock)
        self._by_service: dict[str, list[Model]] = {}
        for model in models:
            for service in model.services:
                self._by_service.setdefault(service, []).append(model)
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.rel_url.raw_path.startswith(LAB_PREFIX):
            return await administer(self, request)
        started = time.perf_counter()
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            # botocore waits a second for this line before it sends an S3 object.
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await request.read()
        call = Call(request.method, request.raw_path, CIMultiDict(request.headers), body)
        lost = False
        served = "router"
        try:
            reply, served, lost = await self._answer(call)
        except AwsFault as error:
            reply = fault(call, error)
        except Exception as broken:  # a defect of the lab must be told from AWS's own errors
            log.exception("%s:%s", call.service, call.operation)
            reply = fault(call, AwsFault("LabRouterDefect", repr(broken), 500))
        self._record(call, reply, served, (time.perf_counter() - started) * 1000)
        if lost and request.transport is not None:
            request.transport.abort()
        return _response(reply, request.method)

    async def _answer(self, call: Call) -> tuple[Reply, str, bool]:
        """The reply, who gave it, and whether it must be lost on the way."""
        identify(call)
        call.account = self._account(call.access_key)
        lost = await self.rules.apply(call)
        self.throttle.admit(call)
        old = self.stale.instead(call)
        if old is not None:
            return old, "stale", lost
        parse_request(call)
        check_request(call)
        async with self._serialised(call):
            asked_at = self.lab.clock()
            reply, served = await self._through_models(call)
            self.stale.remember(call, reply, asked_at)
        return reply, served, lost

    def _account(self, access_key: str) -> str:
        if len(access_key) == _TWELVE_DIGITS and access_key.isdigit():
            return access_key
        return self.lab.sessions.get(access_key, "000000000000")

    def _serialised(self, call: Call) -> asyncio.Lock | nullcontext[None]:
        """Writes to a modelled service go one at a time per account: what a model checks must still hold when the backend does it."""
        if not call.is_write or call.service not in self._by_service:
            return nullcontext()
        return self._locks.setdefault((call.account, call.service), asyncio.Lock())

    async def _through_models(self, call: Call) -> tuple[Reply, str]:
        models = self._by_service.get(call.service, ())
        for model in models:
            reply = await model.before(call)
            if reply is not None:
                return reply, type(model).__name__
        reply = await self.lab.backends.send(call)
        for model in models:
            reply = await model.after(call, reply)
        return reply, "backend"

    def _record(self, call: Call, reply: Reply, served: str, latency_ms: float) -> None:
        resource = next(iter(call.uri_params.values()), "")
        self.log.add(
            CallRecord(
                time.time(), call.service, call.operation, call.account, call.region, call.access_key, call.caller,
                reply.status, reply.code, latency_ms, call.is_write, served, resource,
            )
        )  # fmt: skip

    async def reset(self) -> None:
        """Everything as just started: the emulators' state, the models', rules, rates, staleness and the log."""
        ministack, *others = self.lab.backends.urls
        await self.lab.backends.post(f"{ministack}/_ministack/reset")
        for url in others:
            await self.lab.backends.post(f"{url}/moto-api/reset")
        for model in self.models:
            model.reset()
        for table in (self.lab.dns, self.lab.certificate_users, self.lab.certificates, self.lab.distributions, self.lab.sessions):
            table.clear()
        self.rules.clear()
        self.throttle.set_scale(0)
        self.stale.configure(0)
        self.log.clear()


def _response(reply: Reply, method: str) -> web.Response:
    headers = CIMultiDict((key, value) for key, value in reply.headers.items() if key.lower() != "content-length" or method == "HEAD")
    return web.Response(status=reply.status, body=b"" if method == "HEAD" else reply.body, headers=headers)

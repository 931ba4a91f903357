"""/metrics, /healthz and /readyz."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST


async def serve(host: str, port: int, exposition: Callable[[], bytes], healthy: Callable[[], str], ready: Callable[[], str]) -> tuple[web.AppRunner, int]:
    """Start serving; the runner to clean up, and the port. `healthy` and `ready` answer "" or what is wrong."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def probe(check: Callable[[], str]) -> Callable[[web.Request], web.Response]:
        def answer(_: web.Request) -> web.Response:
            wrong = check()
            return web.Response(text=wrong or "ok", status=503 if wrong else 200)

        return answer

    async def health(request: web.Request) -> web.Response:
        return probe(healthy)(request)

    async def readiness(request: web.Request) -> web.Response:
        return probe(ready)(request)

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", health), web.get("/readyz", readiness)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    addresses = runner.addresses
    return runner, int(addresses[0][1])

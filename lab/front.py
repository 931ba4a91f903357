"""A loopback listener that takes TLS, plain text or both on one port and passes the bytes on: what a server without TLS lacks."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable

from lab.processes import free_port

Upstream = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
_TLS_HANDSHAKE = b"\x16"
_CHUNK = 65536


HOSTS = tuple(f"127.77.{block}.{number}" for block in range(2) for number in range(1, 255))
"""Loopback addresses that fronts listen on; certificates must name them all."""


class Front:
    """Listens on a port of loopback in the running event loop: on `port` of the first free address of HOSTS, for clients know a server by its
    port; where the system has but one loopback address (macOS), on any port of it. `mode`: '' takes plain text, 'required' TLS, 'preferred' both.

    The first byte tells which one a client speaks: a TLS record of the handshake begins with 22 (RFC 8446, 5.1), no Redis command does.
    """

    def __init__(self, context: ssl.SSLContext, upstream: Upstream, mode: str, port: int = 0) -> None:
        self._context, self._upstream, self.mode = context, upstream, mode
        self._socket = _listener(port)
        self._socket.setblocking(False)
        self.host, self.port = self._socket.getsockname()[:2]
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    def close(self) -> None:
        """Ends the listener and every connection. Called in the event loop."""
        self._accepting.cancel()
        self.drop()
        self._socket.close()

    def drop(self) -> None:
        """Cuts off every client, as a failover does."""
        for task in self._tasks:
            task.cancel()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._socket)
            task = loop.create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        try:
            tls = await _first_byte(connection) == _TLS_HANDSHAKE
            if (tls and not self.mode) or (not tls and self.mode == "required"):
                connection.close()
                return
            reader, writer = await _streams(connection, self._context if tls else None)
        except OSError:  # ssl.SSLError too: the client has gone, or spoke no TLS we know
            connection.close()
            return
        try:
            back_reader, back_writer = await self._upstream()
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(_pump(reader, back_writer), _pump(back_reader, writer))
        finally:
            writer.close()
            back_writer.close()


def _listener(port: int) -> socket.socket:
    for host in HOSTS:
        try:
            return socket.create_server((host, port), backlog=128)
        except OSError:
            continue
    return socket.create_server(("127.0.0.1", free_port()), backlog=128)


async def _first_byte(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(connection, tell)
    try:
        await readable
    finally:
        loop.remove_reader(connection)
    return connection.recv(1, socket.MSG_PEEK)


async def _streams(connection: socket.socket, context: ssl.SSLContext | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=context)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
    except OSError:
        return  # one side was cut off; the other is told below
    finally:
        target.close()

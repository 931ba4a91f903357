"""Clients of a cache that never stop working, and remember every command that failed."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from securebase.clients.redis import TlsConnection

PAUSE_SECONDS = 0.02
"""Between two rounds of one client."""
_SOCKET_SECONDS = 5.0

Told = Mapping[str, str]
"""What a connection Secret holds."""


def connect(told: Told, authority: str) -> Any:
    """A client that uses what is published, or was, logged in: one connection, every command one attempt."""
    client = client_of(told, authority)
    try:
        client.ping()
    except BaseException:
        client.close()
        raise
    return client


def client_of(told: Told, authority: str) -> Any:
    """The same, logged in by its first command."""
    once: dict[str, Any] = {"socket_timeout": _SOCKET_SECONDS, "retry": Retry(NoBackoff(), 0), "max_connections": 1}
    if told["tls"] == "true":
        once |= {"connection_class": TlsConnection, "context": trusting(authority), "server_name": told["host"]}
    login: dict[str, Any] = {"username": told.get("username"), "password": told.get("password")}
    return redis.Redis.from_pool(redis.ConnectionPool(host=told["host"], port=int(told["port"]), **login, **once))


@cache
def trusting(authority: str) -> ssl.SSLContext:
    """Of this authority's certificates alone. Made once: redis-py reads all that the system trusts for every connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority)
    return context


@dataclass(frozen=True, slots=True)
class Failure:
    """A command that did not do what it should. `at`: seconds since the epoch."""

    client: str
    at: float
    why: str


@dataclass(slots=True)
class Worker:
    """One client in a thread of its own: a login, a write and a read of its key, again and again."""

    name: str
    login: Callable[[], Any]
    stays: bool
    """Whether it keeps its connection; else every round is a new one, with a login of its own."""
    rounds: int = 0
    commands: int = 0
    failures: list[Failure] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when its last round is over."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(4 * _SOCKET_SECONDS)

    def _work(self) -> None:
        kept = None
        while not self._ended.is_set():
            try:
                client = kept or self.login()
                kept = client if self.stays else None
                self._round(client)
                if not self.stays:
                    client.close()
            except (redis.RedisError, OSError) as error:
                self.failures.append(Failure(self.name, time.time(), f"{type(error).__name__}: {error}"))
                kept = None
            self.rounds += 1
            self._ended.wait(PAUSE_SECONDS)
        if kept is not None:
            kept.close()

    def _round(self, client: Any) -> None:
        value = f"{self.rounds}".encode()
        client.set(self.name, value)
        if client.get(self.name) != value:
            self.failures.append(Failure(self.name, time.time(), "what was written is not what is read"))
        self.commands += 2 if self.stays else 3


@contextmanager
def working(told: Told, published: Callable[[], Told], authority: str) -> Iterator[dict[str, Worker]]:
    """Three of them. `stayed` logged in before and keeps its connection, `old` logs in anew with what was published before, `new` with what is
    published now. `published` may raise OSError."""
    workers = {
        "stayed": Worker("stayed", lambda: connect(told, authority), stays=True),
        "old": Worker("old", lambda: connect(told, authority), stays=False),
        "new": Worker("new", lambda: connect(published(), authority), stays=False),
    }
    for worker in workers.values():
        worker.start()
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.stop()

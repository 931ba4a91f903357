"""How much was written to a cache, asked of its own nodes as its clients would ask them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from securebase.clients.kubernetes import Gone
from securebase.core.errors import ReconcileError
from securebase.core.identity import Identity
from securebase.core.kind import Kind, PublishedLogin, Verifies
from securebase.runtime.engine import parsed
from securebase.runtime.objects import Objects
from securebase.runtime.queue import Key

SILENT_SECONDS = 60.0
"""How long a cache that did not tell is not asked again: a pass would wait for it each time."""


class Client(Protocol):
    """`clients.redis.RedisProbe`."""

    def replication_offset(self, host: str, port: int, password: str, username: str, tls: bool, server_name: str) -> int | None:
        """Bytes written to the replication streams of all primaries."""


class ReplicationOffsets:
    """Satisfies `resources.elasticache.snapshots.Offsets`. Logs in with what is published, where the object wants to be verified at all. Thread-safe."""

    def __init__(
        self, kinds: Mapping[str, Kind], objects: Objects, login: Callable[[str, str], PublishedLogin], client: Client, clock: Callable[[], float]
    ) -> None:
        """`login`: by namespace and name of a Secret."""
        self._kinds, self._objects, self._login, self._client, self._clock = kinds, objects, login, client, clock
        self._silent: dict[tuple[str, int], float] = {}

    def __call__(self, identity: Identity, host: str, port: int) -> int | None:
        """Of the cache at this address, which may be one that the object has replaced: None then, where only the present one is reached by a tunnel."""
        now = self._clock()
        if now - self._silent.get((host, port), float("-inf")) < SILENT_SECONDS:
            return None
        offset = self._ask(identity, host, port)
        if offset is None:
            self._silent = {at: since for at, since in self._silent.items() if now - since < SILENT_SECONDS} | {(host, port): now}
        return offset

    def _ask(self, identity: Identity, host: str, port: int) -> int | None:
        entry, kind = self._objects.get(Key(identity.kind, identity.namespace, identity.name)), self._kinds.get(identity.kind)
        if entry is None or not isinstance(kind, Verifies):
            return None
        probe = kind.verification(parsed(kind, entry.body), entry.status.get("outputs") or {})
        if probe is None:
            return None
        tunnelled = bool(probe.server_name) and probe.server_name != probe.host
        if tunnelled and host != probe.server_name:
            return None
        try:
            login = self._login(identity.namespace, probe.published)
        except (ReconcileError, Gone):
            return None
        where = (probe.host, probe.port) if tunnelled else (host, port)
        return self._client.replication_offset(*where, login.password, login.username, login.tls, host)

"""The verifier: a real client looks at what objects publish, at each object's interval, beside passes and sweeps and without holding them up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from securebase.clients.kubernetes import Gone
from securebase.core.conditions import Condition
from securebase.core.errors import ReconcileError, Transient
from securebase.core.identity import digest
from securebase.core.kind import Kind, Probe, PublishedLogin, Verifies
from securebase.core.policy import Mode
from securebase.core.verification import VERIFIED, Figures, Finding, Verification, hit_ratio
from securebase.runtime.engine import parsed, policy_of
from securebase.runtime.objects import Entry, Objects
from securebase.runtime.queue import Key
from securebase.telemetry.cache_series import CacheReading
from securebase.telemetry.metrics import Metrics

log = logging.getLogger(__name__)
AT_ONCE = 8
"""Verifications at the same time. One that gets no answer takes a few seconds."""
INTERVAL = 60.0
"""Until an object's own is known."""


class Client(Protocol):
    """`clients.redis.RedisProbe`."""

    def verify(self, host: str, port: int, password: str, username: str, tls: bool, server_name: str, key: str) -> Verification:
        """Log in, look, and write and read `key` unless it is ""."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be verified of an object: `probe` None = nothing, `why` then says so."""

    probe: Probe | None
    writes: bool
    why: Condition


class Verifier:
    """Its own few threads, at most one of them at an object.

    A verdict is left on the object's entry for the next pass to write; a pass is asked for only where it differs from what the status says.
    """

    def __init__(
        self,
        instance: str,
        kinds: Mapping[str, Kind],
        objects: Objects,
        login: Callable[[str, str], PublishedLogin],
        client: Client | None,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        """`login`: by namespace and name of a Secret. `client` None: verification is switched off, which is told of where a verdict stands."""
        self._instance, self._objects, self._login, self._client, self._metrics, self._clock = instance, objects, login, client, metrics, clock
        self._kinds = {name: kind for name, kind in kinds.items() if isinstance(kind, Verifies)}
        self._lock = threading.Lock()
        self._in_hand: set[Key] = set()
        self._stopped = False
        self._pool: ThreadPoolExecutor | None = None

    def start_due(self, flipped: Callable[[Key], None]) -> None:
        """Begin what is due, as far as a thread is free. `flipped` is called from one of the threads with keys whose status is to change."""
        with self._lock:
            if self._stopped or len(self._in_hand) >= AT_ONCE:
                return
            chosen = sorted(self._due(), key=lambda entry: entry.verified.asked_at)[: AT_ONCE - len(self._in_hand)]
            if not chosen:
                return
            if self._pool is None:
                self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="verifier")
            for entry in chosen:
                entry.verified.asked_at = self._clock()
                self._in_hand.add(entry.key)
                self._pool.submit(self._run, entry, flipped)

    def busy(self) -> bool:
        """Whether a verification is under way."""
        with self._lock:
            return bool(self._in_hand)

    def stop(self) -> None:
        """Begin none any more; those under way end within seconds and ask for nothing."""
        with self._lock:
            self._stopped = True
            if self._pool is not None:
                self._pool.shutdown(wait=False)

    def _due(self) -> Iterator[Entry]:
        """Those that have published something, whose interval has passed and that nobody looks at. What is being deleted is let go of."""
        now = self._clock()
        for entry in self._objects:
            if entry.key.kind not in self._kinds or entry.key in self._in_hand or not entry.status.get("outputs"):
                continue
            if entry.deleting:
                self._metrics.forget_cache(*entry.key)
                continue
            interval = entry.subject.policy.interval if entry.subject is not None else INTERVAL
            if now - entry.verified.asked_at >= interval:
                yield entry

    def _run(self, entry: Entry, flipped: Callable[[Key], None]) -> None:
        try:
            self.verify(entry)
            if not self._stopped and _is_news(entry):
                flipped(entry.key)
        except Exception:
            log.exception("a verification of %s failed unexpectedly", entry.key)
        finally:
            with self._lock:
                self._in_hand.discard(entry.key)

    def verify(self, entry: Entry) -> None:
        """One look at one object: its verdict and its series. What cannot be asked for a moment changes neither."""
        try:
            wanted = self._wanted(entry)
            login = self._login(entry.key.namespace, wanted.probe.published) if wanted.probe is not None else PublishedLogin()
        except Transient as error:
            log.info("%s could not be verified now: %s", entry.key, error)
            return
        except Gone:
            return
        except ReconcileError as error:
            self._nothing_known(entry, Condition(VERIFIED, None, error.reason, error.message))
            return
        if wanted.probe is None or self._client is None:
            self._nothing_known(entry, wanted.why)
            return
        probe, key = wanted.probe, self._own_key(entry.key) if wanted.writes else ""
        found = self._client.verify(probe.host, probe.port, login.password, login.username, login.tls, probe.server_name, key)
        self._note(entry, found, writes=wanted.writes)

    def _wanted(self, entry: Entry) -> _Wanted:
        kind = self._kinds[entry.key.kind]
        spec = parsed(kind, entry.body)
        mode = policy_of(kind, spec, entry.annotations).mode
        if mode is Mode.PAUSED:
            return _Wanted(None, False, Condition(VERIFIED, None, "Paused", "nothing is read or written"))
        probe = kind.verification(spec, entry.status.get("outputs") or {}) if isinstance(kind, Verifies) else None
        return _Wanted(probe, mode is Mode.ENFORCE, Condition(VERIFIED, None, "NotVerified", "no client is to connect"))

    def _own_key(self, key: Key) -> str:
        return f"securebase:verify:{digest(self._instance, *key, length=16)}"

    def _nothing_known(self, entry: Entry, why: Condition) -> None:
        """A verdict of before does not stand for ever; where there was none, none is made of nothing."""
        said = any(condition.get("type") == VERIFIED for condition in entry.status.get("conditions") or ())
        entry.verified.verdict = why if said or entry.verified.verdict is not None or why.reason not in ("Paused", "NotVerified") else None
        looked_for = why.reason not in ("Paused", "NotVerified")  # else its age would be taken for a failure
        self._publish(entry, CacheReading(last_verified=(entry.verified.proven_at or None) if looked_for else None))

    def _note(self, entry: Entry, found: Verification, *, writes: bool) -> None:
        known, now = entry.verified, found.figures
        if found.finding is Finding.PROVEN:
            known.proven_at = self._clock()
        known.verdict = found.condition
        self._publish(entry, _reading(found, known.figures, known.own_reads, known.proven_at))
        if now != Figures():
            known.figures, known.own_reads = now, 0
        if writes and found.finding is Finding.PROVEN:
            known.own_reads += 1

    def _publish(self, entry: Entry, reading: CacheReading) -> None:
        self._metrics.cache(*entry.key, reading)
        if self._objects.get(entry.key) is not entry:  # it went meanwhile, and its series with it
            self._metrics.forget_cache(*entry.key)


def _reading(found: Verification, before: Figures | None, own_reads: int, proven_at: float) -> CacheReading:
    match found.finding:
        case Finding.PROVEN | Finding.RESTRICTED:
            up: bool | None = True
        case Finding.REFUSED | Finding.WRONG:
            up = False
        case Finding.UNREACHABLE:
            up = None
    now = found.figures
    return CacheReading(
        up=up,
        last_verified=proven_at or None,
        hit_ratio=hit_ratio(before, now, own_reads),
        hits=now.hits,
        misses=now.misses,
        evictions=now.evicted_keys,
        memory_used=now.used_memory,
        memory_max=now.max_memory,
        connected_clients=now.connected_clients,
        max_clients=now.max_clients,
        replication_offset_lag=now.replica_lag,
    )


def _is_news(entry: Entry) -> bool:
    """Whether the status says something else than the verdict. The words may differ until the next pass: they follow the network's moods."""
    verdict = entry.verified.verdict
    if verdict is None:
        return False
    status = {True: "True", False: "False", None: "Unknown"}[verdict.status]
    said = [condition for condition in entry.status.get("conditions") or () if condition.get("type") == VERIFIED]
    return [(condition.get("status"), condition.get("reason")) for condition in said] != [(status, verdict.reason)]

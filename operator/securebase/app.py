"""The composition root: makes every part of the operator once and runs it."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import socket
import time

from prometheus_client import CollectorRegistry

from securebase import __version__
from securebase.clients.aws import AwsClients, ClientSettings
from securebase.clients.kubernetes import GROUP, VERSION, Gone, Kubernetes, load_configuration
from securebase.clients.limits import RateLimiter
from securebase.clients.redis import RedisProbe
from securebase.core.breakers import MassDeletion
from securebase.core.errors import Terminal
from securebase.core.kind import ObjectRef
from securebase.cost.book import PriceBook
from securebase.cost.collect import CacheMetrics
from securebase.cost.data import InvalidData, book_with, shipped_sizes
from securebase.kinds.registry import KINDS
from securebase.resources.cloudwatch.history import AlarmHistory
from securebase.resources.cloudwatch.metric_data import MetricData
from securebase.resources.registry import Drivers, aws_drivers, kubernetes_drivers
from securebase.runtime.account_passes import PLURAL as AWS_ACCOUNTS
from securebase.runtime.account_passes import AccountPasses
from securebase.runtime.accounts import Accounts
from securebase.runtime.advisor import Advisor
from securebase.runtime.alarm_watch import AlarmWatch
from securebase.runtime.events import Recorder
from securebase.runtime.heartbeat import Heartbeat
from securebase.runtime.lease import Lease
from securebase.runtime.objects import Objects
from securebase.runtime.offsets import ReplicationOffsets
from securebase.runtime.operator import Operator, Parts
from securebase.runtime.queue import Key, WorkQueue
from securebase.runtime.reconciler import reconciler_of
from securebase.runtime.secrets import ClusterSources, SecretWatch
from securebase.runtime.shared import Process, SharedUse
from securebase.runtime.silence import Silences
from securebase.runtime.sweeper import Sweeper
from securebase.runtime.verifier import Verifier
from securebase.settings import Settings
from securebase.telemetry.logging import Style, configure
from securebase.telemetry.metrics import Metrics
from securebase.telemetry.redaction import Redactor

log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Run the operator until SIGTERM or SIGINT. The exit code."""
    redactor = Redactor()
    configure(redactor, level=settings.log_level, style=Style(settings.log_format))
    asyncio.run(_run(settings, redactor))
    return 0


async def _run(settings: Settings, redactor: Redactor) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    parts = build(settings, redactor)
    queue = WorkQueue(time.monotonic, random.Random())
    await Operator(parts, queue, lambda port: log.info("serving /metrics, /healthz and /readyz on port %d", port)).run(stop)


def build(settings: Settings, redactor: Redactor) -> Parts:
    """Every part, connected."""
    book = _price_book(settings.price_book)
    metrics = Metrics(CollectorRegistry(), __version__)
    heartbeat = Heartbeat(time.monotonic, settings.workers)
    try:
        configuration = load_configuration(settings.workers + 16)
    except Terminal as error:
        raise SystemExit(error.message) from None
    # A dead connection must cost a fraction of the renew deadline, not all of it.
    unfenced = Kubernetes(configuration, timeout=(settings.lease_renew_deadline / 8, settings.lease_renew_deadline / 4))
    identity = settings.identity or f"{socket.gethostname()}-{os.getpid()}"
    lease = Lease(unfenced, settings.lease_namespace, settings.lease_name, identity, settings.lease_duration, settings.lease_renew_deadline, time.monotonic)
    api = Kubernetes(configuration, lease.fence)
    limiter = RateLimiter(clock=time.monotonic, sleep=time.sleep, scale=settings.aws_rate_scale, is_open=settings.aws_rate_scale == 0)
    clients = AwsClients(
        limiter=limiter,
        version=__version__,
        observer=_Observer(metrics, heartbeat),
        fence=lease.fence,
        redact=redactor,
        learn=redactor.register,
        settings=ClientSettings(max_connections=settings.workers + 8),
    )
    objects, account_objects = Objects(settings.fight_rounds, settings.settle_scale), Objects()
    accounts = Accounts(clients, time.time)
    kinds = {kind.kind: kind for kind in KINDS}

    def outputs_of(ref: ObjectRef) -> dict[str, str] | None:
        entry = objects.get(Key(ref.kind, ref.namespace, ref.name))
        if entry is None or (entry.deleting and not entry.status.get("outputs")):  # what is on its way out lets go of those who use it
            return None
        return dict(entry.status.get("outputs") or {})

    sources = ClusterSources(api, outputs_of, redactor.register)
    client = RedisProbe(settings.cache_ca_file) if settings.cache_verification else None
    offsets = ReplicationOffsets(kinds, objects, sources.login, client, time.time) if client is not None else None
    of_aws = aws_drivers(client, settings.settle_scale, offsets=offsets)
    drivers = Drivers(clients, of_aws | kubernetes_drivers(api, time.time, settings.watched()), time.time)
    _require_definitions(unfenced)
    instance = settings.instance or _cluster_uid(unfenced)
    process = Process(instance, drivers, accounts, SharedUse(), MassDeletion(time.time), time.time)
    events = Recorder(api, time.time, redactor)
    silences = Silences(lambda account, region: MetricData(clients.scope(account, region), time.time), time.time)
    alarms = AlarmWatch(
        kinds, objects, lambda account, region: AlarmHistory(clients.scope(account, region), time.time), silences, api, events, metrics, time.time
    )
    log.info("securebase-operator %s, instance %s, replica %s", __version__, instance, identity)
    return Parts(
        kinds=kinds,
        objects=objects,
        account_objects=account_objects,
        accounts=accounts,
        reconciler=reconciler_of(process, kinds, objects, api, sources, events, metrics, book, time.time, alarms),
        account_passes=AccountPasses(accounts, account_objects, objects, api, events, metrics, time.time),
        sweeper=Sweeper(process, objects, metrics, time.time, alarms),
        lease=lease,
        metrics=metrics,
        heartbeat=heartbeat,
        list_names=lambda plural: _names(api, plural, settings.watched()),
        served=lambda: _served(unfenced),
        watch_secrets=lambda changed: SecretWatch(api, settings.secrets_in(), changed),
        identity=identity,
        namespaces=settings.watched(),
        workers=settings.workers,
        http_host=settings.http_host,
        http_port=settings.http_port,
        poll_scale=settings.poll_scale,
        verifier=Verifier(instance, kinds, objects, sources.login, client, metrics, time.time),
        advisor=Advisor(kinds, objects, lambda account, region: CacheMetrics(clients.scope(account, region), time.time), book, shipped_sizes(), time.time),
    )


class _Observer:
    """Counts AWS calls, and takes each answered one as a sign of life."""

    def __init__(self, metrics: Metrics, heartbeat: Heartbeat) -> None:
        self._metrics, self._heartbeat = metrics, heartbeat

    def aws_call(self, service: str, operation: str, code: str, seconds: float) -> None:
        self._metrics.aws_call(service, operation, code, seconds)
        self._heartbeat.progress()

    def aws_throttle_wait(self, service: str, operation: str, seconds: float) -> None:
        self._metrics.aws_throttle_wait(service, operation, seconds)
        self._heartbeat.progress()


def _price_book(path: str) -> PriceBook:
    try:
        return book_with(path)
    except InvalidData as error:
        raise SystemExit(f"SECUREBASE_PRICE_BOOK: {error}") from None


def _names(api: Kubernetes, plural: str, namespaces: tuple[str, ...]) -> set[tuple[str, str]]:
    """(namespace, name) of every object of a kind of ours; by namespace where the watch is restricted to some (patterns are listed as a whole)."""
    exact = namespaces if namespaces and not any("*" in name for name in namespaces) else ()
    scopes = [f"/namespaces/{name}" for name in exact if plural != AWS_ACCOUNTS] or [""]
    found = (item for scope in scopes for item in api.list_metadata(f"/apis/{GROUP}/{VERSION}{scope}/{plural}"))
    return {(item.get("namespace", ""), item["name"]) for item in found}


def _served(api: Kubernetes) -> frozenset[str]:
    """Plurals of our group that the API server knows."""
    try:
        return frozenset(resource["name"] for resource in api.get(f"/apis/{GROUP}/{VERSION}")["resources"])
    except Gone:
        return frozenset()


def _require_definitions(api: Kubernetes) -> None:
    """Without its CRDs the operator would be ready and watch nothing."""
    if missing := sorted({AWS_ACCOUNTS, *(kind.plural for kind in KINDS)} - _served(api)):
        raise SystemExit(f"the API server does not know {', '.join(missing)} of {GROUP}; apply crds/ first, or let the chart do it (crds.install)")


def _cluster_uid(api: Kubernetes) -> str:
    """The instance's default: the UID of the namespace kube-system lives as long as the cluster."""
    return str(api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"])

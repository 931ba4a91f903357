"""What the router and the models share: a clock that can be advanced, settings, the emulators, and the interface of a model."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from lab.aws.wire import AwsFault, Call, Reply, error_code, outgoing, result_of

# Hop-by-hop headers, and those aiohttp writes itself.
_NOT_FORWARDED = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length", "expect", "date", "server"})
DROPPED = frozenset(_NOT_FORWARDED - {"content-length"})


class LabClock:
    """Seconds that only go forward; `advance` lets a test skip an hour."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds


@dataclass(slots=True)
class Settings:
    """How long AWS takes, in seconds of the lab's clock, and its quotas. May be changed while the endpoint runs."""

    distribution_deploy_s: float = 1.5
    invalidation_s: float = 1.5
    distribution_list_etag: bool = True
    certificate_visible_s: float = 0.0
    certificate_record_s: float = 0.5
    certificate_issue_s: float = 1.0
    certificate_timeout_s: float = 72 * 3600.0
    elasticache_create_s: float = 0.3
    elasticache_modify_s: float = 0.2
    elasticache_scale_s: float = 0.3
    elasticache_snapshot_s: float = 0.2
    elasticache_delete_s: float = 0.2
    elasticache_user_s: float = 0.1
    # A real Redis behind TLS for each replication group made while this is on.
    elasticache_redis: bool = False
    quotas: dict[str, int] = field(default_factory=dict)


class Certificate(Protocol):
    """What CloudFront asks of a certificate."""

    @property
    def status(self) -> str: ...

    def covers(self, alias: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A published CNAME: its value, and since when (lab's clock)."""

    value: str
    since: float


class Model(Protocol):
    """One service's missing behaviour. `before` may answer instead of the backend or raise AwsFault; `after` may change its answer."""

    services: frozenset[str]

    async def before(self, call: Call) -> Reply | None: ...

    async def after(self, call: Call, reply: Reply) -> Reply: ...

    def reset(self) -> None: ...


class Backends:
    """The emulators behind the router: one default, others by service, so that one resource type lives in exactly one."""

    def __init__(self, default: str, by_service: Mapping[str, str]) -> None:
        self._default, self._by_service = default, dict(by_service)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Backends:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=120), trust_env=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    def url_of(self, service: str) -> str:
        return self._by_service.get(service, self._default)

    @property
    def urls(self) -> tuple[str, ...]:
        return (self._default, *self._by_service.values())

    async def send(self, call: Call) -> Reply:
        """The backend's answer, unchanged but for hop-by-hop headers."""
        assert self._session is not None
        headers = CIMultiDict((key, value) for key, value in call.headers.items() if key.lower() not in _NOT_FORWARDED)
        # moto takes every access key for account 123456789012 unless told otherwise (moto/core/responses.py, get_current_account).
        headers["x-moto-account-id"] = call.account
        url = URL(self.url_of(call.service) + call.target, encoded=True)
        # aiohttp warns about large bodies given as bytes.
        data = io.BytesIO(call.body) if call.body else None
        async with self._session.request(call.method, url, headers=headers, data=data, allow_redirects=False) as response:
            body = await response.read()
            kept = CIMultiDict((key, value) for key, value in response.headers.items() if key.lower() not in DROPPED)
            reply = Reply(response.status, body, kept)
        reply.code = error_code(call, reply)
        return reply

    async def post(self, url: str) -> int:
        assert self._session is not None
        async with self._session.post(url, data=b"") as response:
            await response.read()
            return response.status

    async def ask(self, service: str, operation: str, params: Mapping[str, Any], account: str, region: str) -> dict[str, Any]:
        """A call of a model's own, not logged; an AWS error is raised as AwsFault."""
        call = outgoing(service, operation, params, account, region)
        reply = await self.send(call)
        if not reply.ok:
            raise AwsFault(reply.code, f"{service}:{operation} asked by the lab: {reply.body[:300].decode(errors='replace')}", reply.status)
        return result_of(call, reply)


@dataclass(slots=True)
class Lab:
    """Handed to every model. `dns` maps CNAME names (lower case, no last dot) to what Route 53 publishes for them."""

    clock: LabClock
    settings: Settings
    backends: Backends
    dns: dict[str, DnsRecord] = field(default_factory=dict)
    # Certificate ARN -> ARNs of the distributions that use it; kept by the CloudFront model, read by ACM's.
    certificate_users: dict[str, set[str]] = field(default_factory=dict)
    # Certificate ARN -> what it is; kept by ACM's model, read by CloudFront's.
    certificates: dict[str, Certificate] = field(default_factory=dict)
    # ARNs of the distributions that exist; kept by the CloudFront model, read by that of Logs.
    distributions: set[str] = field(default_factory=set)
    # Session key -> account, learned from AssumeRole's answers.
    sessions: dict[str, str] = field(default_factory=dict)
    # ARN -> tags of the types a model keeps whole, for the tagging API.
    tagged: dict[str, dict[str, str]] = field(default_factory=dict)
    # ARN that names no account -> the account, for the same.
    owners: dict[str, str] = field(default_factory=dict)
    # Where models may keep files; None: nowhere of the endpoint's.
    state_dir: Path | None = None

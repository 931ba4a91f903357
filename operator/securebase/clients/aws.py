"""AWS as drivers see it: one scope per account and region; every call is rate-limited, measured, fenced and its errors are translated."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.client import BaseClient
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.paginate import Paginator

from securebase.clients.aws_errors import RAW_ERRORS, Request, error_code, is_throttling, translate
from securebase.clients.aws_sessions import AwsAccountConfig, AwsSessions, ClientSettings, StaticCredentials
from securebase.clients.limits import RateLimiter
from securebase.clients.paging import page_rules
from securebase.core.errors import Terminal
from securebase.telemetry.redaction import hide_patterns

__all__ = ["AwsAccountConfig", "AwsClients", "AwsScope", "CallObserver", "CallerIdentity", "ClientSettings", "Refusal", "StaticCredentials"]

READS = ("Get", "List", "Describe", "Head", "BatchGet", "Search", "Lookup", "Filter")
"""What operations that change nothing begin with. Everything else is a write and fenced."""


class CallObserver(Protocol):
    """Who counts the calls (telemetry in the operator, nothing in a command)."""

    def aws_call(self, service: str, operation: str, code: str, seconds: float) -> None:
        """One request was answered, or failed: `code` is "OK", AWS's error code or the name of the failure."""

    def aws_throttle_wait(self, service: str, operation: str, seconds: float) -> None:
        """How long a request was held back to stay below AWS's rate; also called with 0."""


class Unobserved:
    """Counts nothing."""

    def aws_call(self, service: str, operation: str, code: str, seconds: float) -> None:
        """Nobody asked."""

    def aws_throttle_wait(self, service: str, operation: str, seconds: float) -> None:
        """Nobody asked."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """AWS said no in a way that the caller expected (`AwsScope.attempt`)."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """Who AWS says we are."""

    account_id: str
    arn: str

    @property
    def partition(self) -> str:
        """`aws`, `aws-cn`, `aws-us-gov`..."""
        return self.arn.split(":")[1]


def always_allowed() -> None:
    """Fence of a process that needs no leadership to write."""


def is_read(api: str) -> bool:
    """Whether the operation (as AWS writes it: `GetDistribution`) changes nothing."""
    return api.startswith(READS)


class AwsScope:
    """One account in one region. Thread-safe. Raises the four errors of `core.errors`, and whatever the fence raises."""

    def __init__(self, clients: AwsClients, account: AwsAccountConfig, region: str, *, pooled: bool = True) -> None:
        self.account_id = account.account_id
        self.region = region
        self.partition = clients.sessions.partition(region)
        self._account = account
        self._clients = clients
        self._pooled = pooled
        self._cache: dict[str, BaseClient] = {}

    def __repr__(self) -> str:
        return f"AwsScope({self.account_id or 'ambient'}, {self.region})"

    @contextmanager
    def elsewhere(self, region: str) -> Iterator[AwsScope]:
        """The same account in a region, for a few calls: its clients are its own, and closed at the end instead of kept for life."""
        scope = AwsScope(self._clients, self._account, region, pooled=False)
        try:
            yield scope
        finally:
            for client in scope._cache.values():
                client.close()

    def learn(self, secret: str) -> str:
        """A secret as it is read or made, before anything is done with it: from now on it is printed nowhere."""
        self._clients.learn(secret)
        return secret

    def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        """One request; `operation` in snake case as in boto3. The answer as botocore parses it."""
        with self._translating(service, operation, params):
            return self._request(service, operation, params)

    def attempt(self, service: str, operation: str, expect: Collection[str], /, **params: Any) -> dict[str, Any] | Refusal:
        """As `call`, but AWS's error codes in `expect` are answers, not errors."""
        with self._translating(service, operation, params):
            try:
                return self._request(service, operation, params)
            except ClientError as error:
                code = error_code(error)
                if code not in expect:
                    raise
                return Refusal(code, self._clients.redact(str(error.response.get("Error", {}).get("Message", ""))))

    def pages(self, service: str, operation: str, /, **params: Any) -> Iterator[dict[str, Any]]:
        """Every page of a list, one dict a page, each page rate-limited. A list that does not advance is Transient, never cut short."""
        with self._translating(service, operation, params):
            client = self._client(service)
            model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
            rules = page_rules(self._clients.sessions.loader, client.meta.service_model, model)
            if rules is None:
                yield self._request(service, operation, params)
                return

            def page(**position: Any) -> dict[str, Any]:
                return self._request(service, operation, position)

            method: Any = page  # the stubs say str
            paginator: Paginator[dict[str, Any]] = Paginator(method, rules, model)
            yield from paginator.paginate(**params)

    def _request(self, service: str, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        client = self._client(service)
        key = (self.account_id, self.region, service, client.meta.method_to_api_mapping[operation])
        pool = self._clients
        pool.observer.aws_throttle_wait(service, key[3], pool.limiter.acquire(*key))
        code, started = "OK", pool.timer()
        try:
            answer: dict[str, Any] = getattr(client, operation)(**params)
        except RAW_ERRORS as error:
            code = error_code(error)
            if is_throttling(code):
                pool.limiter.throttled(*key)
            raise
        except BaseException:
            code = "NotSent"  # the fence: botocore's own errors are above
            raise
        finally:
            pool.observer.aws_call(service, key[3], code, pool.timer() - started)
        return answer

    def _client(self, service: str) -> BaseClient:
        client = self._cache.get(service)
        if client is None:
            sessions = self._clients.sessions
            make = sessions.client if self._pooled else sessions.new_client
            client = make(self._account, self.region, service, self._clients.before_send)
            self._cache[service] = client
        return client

    @contextmanager
    def _translating(self, service: str, operation: str, params: Mapping[str, Any]) -> Iterator[None]:
        try:
            yield
        except RAW_ERRORS as error:
            about = self._about(service, operation, params)
            if isinstance(error, NoCredentialsError):
                self._cache = {}
                self._clients.sessions.without_credentials(self._account)
            raise translate(error, about, self._clients.redact) from error

    def _about(self, service: str, operation: str, params: Mapping[str, Any]) -> Request:
        """What the words of an error name. Of the parameters only what the request is about: others may be secret."""
        client = self._cache.get(service)
        api = client.meta.method_to_api_mapping[operation] if client else operation.title().replace("_", "")
        named = next((value for value in params.values() if isinstance(value, str) and value.startswith("arn:")), "")
        arn = f"arn:{self.partition}:s3:::{params['Bucket']}" if service == "s3" and "Bucket" in params else named
        return Request(service, api, self.account_id, self.region, arn)


class AwsClients:
    """The pool: one session per account, one client per account, region and service, made when first needed."""

    def __init__(
        self,
        *,
        limiter: RateLimiter,
        version: str,
        observer: CallObserver | None = None,
        fence: Callable[[], None] = always_allowed,
        redact: Callable[[str], str] = hide_patterns,
        learn: Callable[[str], None] = lambda secret: None,
        settings: ClientSettings | None = None,
        credentials: StaticCredentials | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fence` is called right before each write leaves and raises when writing is no longer allowed. `credentials` stand in for
        the ambient ones. `redact` cleans AWS's words before they become ours; `learn` is told every secret that is read or made."""
        self.limiter = limiter
        self.observer: CallObserver = observer or Unobserved()
        self.redact = redact
        self.learn = learn
        self.timer = timer
        self.sessions = AwsSessions(version, settings or ClientSettings(), credentials)
        self._fence = fence
        self._lock = threading.Lock()
        self._scopes: dict[tuple[AwsAccountConfig, str], AwsScope] = {}

    def scope(self, account: AwsAccountConfig, region: str) -> AwsScope:
        """The account in a region; the same object each time. Costs nothing until something is called."""
        key = (account, region)
        with self._lock:
            if key not in self._scopes:
                self._scopes[key] = AwsScope(self, account, region)
            return self._scopes[key]

    def retain(self, accounts: Collection[AwsAccountConfig]) -> None:
        """Let go of the sessions, credentials and clients of every other account (deleted, or with another role now)."""
        with self._lock:
            self._scopes = {key: scope for key, scope in self._scopes.items() if key[0] in accounts}
        self.sessions.retain(accounts)

    def close(self) -> None:
        """Close every connection. What is called later opens new ones."""
        self.sessions.close()

    def verify_account(self, account: AwsAccountConfig) -> CallerIdentity:
        """Ask AWS who we are. Raises Terminal `WrongAccount` when the credentials belong to another account than the one that is meant."""
        answer = self.scope(account, account.region).call("sts", "get_caller_identity")
        identity = CallerIdentity(str(answer["Account"]), str(answer["Arn"]))
        if account.account_id and identity.account_id != account.account_id:
            raise Terminal(
                "WrongAccount",
                f"the credentials belong to account {identity.account_id} ({identity.arn}), not to {account.account_id}: nothing is read or "
                "written there; correct accountId or roleArn, or give the operator credentials of that account",
            )
        return identity

    def before_send(self, event_name: str, **_: Any) -> None:
        """botocore's hook: the request is signed and about to leave, whichever attempt it is."""
        if not is_read(event_name.rsplit(".", 1)[-1]):
            self._fence()

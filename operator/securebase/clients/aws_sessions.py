"""Sessions, credentials and clients of botocore: which account, which role, which time-outs."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver, DeferredRefreshableCredentials
from botocore.exceptions import UnknownRegionError
from botocore.loaders import Loader
from botocore.session import Session

from securebase.core.errors import Terminal

SESSION_SECONDS = 3600
"""Duration of an assumed role: the most that role chaining allows
(https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html)."""


@dataclass(frozen=True, slots=True)
class AwsAccountConfig:
    """The way into one account. Without a role: the ambient credentials. `region` is where STS is asked."""

    account_id: str = ""
    role_arn: str = ""
    external_id: str = field(default="", repr=False)
    endpoint_url: str = field(default="", repr=False)
    session_name: str = "securebase-operator"
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class StaticCredentials:
    """Keys that are given instead of found in the environment."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Seconds and sizes of every client. `max_connections` is at least the number of threads that call."""

    connect_timeout: float = 3.0
    read_timeout: float = 20.0
    max_connections: int = 32


def utc_now() -> datetime.datetime:
    """Time zone aware, as botocore compares expiry with it."""
    return datetime.datetime.now(datetime.UTC)


class _AssumedRole(CredentialProvider):
    """Credentials of a role. botocore renews them 15 minutes before they expire, and goes on with the old ones when that fails early."""

    METHOD = "assume-role"

    def __init__(self, assume: Callable[[], dict[str, str]], now: Callable[[], datetime.datetime]) -> None:
        super().__init__()
        self._assume = assume
        self._now = now

    def load(self) -> DeferredRefreshableCredentials:
        """Nothing is asked before the first request needs a signature."""
        return DeferredRefreshableCredentials(self._assume, self.METHOD, self._now)


class AwsSessions:
    """A botocore session per account. Making clients is not thread-safe in botocore; it is here. A client itself is thread-safe."""

    def __init__(
        self,
        version: str,
        settings: ClientSettings,
        credentials: StaticCredentials | None = None,
        now: Callable[[], datetime.datetime] = utc_now,
    ) -> None:
        self._version = version
        self._settings = settings
        self._now = now
        self._lock = threading.RLock()
        self._sessions: dict[AwsAccountConfig, Session] = {}
        self._clients: dict[tuple[AwsAccountConfig, str, str], BaseClient] = {}
        self._ambient = Session()
        # The parsed service models are most of a session's memory (56 MB for 17 services): every session reads through one loader.
        self.loader: Loader = self._ambient.get_component("data_loader")
        if credentials:
            self._ambient.set_credentials(credentials.access_key, credentials.secret_key, credentials.token or None)
        self._name(self._ambient)

    def partition(self, region: str) -> str:
        """`aws`, `aws-cn`, ...; a region newer than this botocore counts as `aws`."""
        try:
            return str(self._ambient.get_partition_for_region(region))
        except UnknownRegionError:
            return "aws"

    def client(self, account: AwsAccountConfig, region: str, service: str, before_send: Callable[..., None] | None = None) -> BaseClient:
        """The client of a service; `before_send` is called with botocore's event right before each request of it leaves."""
        key = (account, region, service)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self.new_client(account, region, service, before_send)
            return self._clients[key]

    def new_client(self, account: AwsAccountConfig, region: str, service: str, before_send: Callable[..., None] | None = None) -> BaseClient:
        """As `client`, but nobody else's: whoever asks closes it."""
        with self._lock:
            made = self._create(self._session(account), account, region, service)
            if before_send is not None:
                made.meta.events.register("before-send", before_send)
            return made

    def without_credentials(self, account: AwsAccountConfig) -> None:
        """Drop the account's clients: one that was made when there were no credentials never looks for any again."""
        with self._lock:
            self._clients = {key: client for key, client in self._clients.items() if key[0] != account}

    def retain(self, accounts: Collection[AwsAccountConfig]) -> None:
        """Forget the sessions and clients of every other account."""
        with self._lock:
            self._sessions = {account: session for account, session in self._sessions.items() if account in accounts}
            self._clients = {key: client for key, client in self._clients.items() if key[0] in accounts}

    def close(self) -> None:
        """Close the connections of every client."""
        with self._lock:
            for client in self._clients.values():
                client.close()

    def _session(self, account: AwsAccountConfig) -> Session:
        if not account.role_arn:
            return self._ambient
        if account not in self._sessions:
            session = Session()
            session.register_component("data_loader", self.loader)
            provider = _AssumedRole(lambda: self._assume_role(account), self._now)
            session.register_component("credential_provider", CredentialResolver([provider]))
            self._name(session)
            self._sessions[account] = session
        return self._sessions[account]

    def _name(self, session: Session) -> None:
        session.user_agent_name = "securebase-operator"
        session.user_agent_version = self._version

    def _assume_role(self, account: AwsAccountConfig) -> dict[str, str]:
        """Fresh credentials in the form of botocore's refreshable ones."""
        with self._lock:
            sts = self._create(self._ambient, account, account.region, "sts")
        try:
            return _assumed(sts, account)
        finally:
            sts.close()

    def _create(self, session: Session, account: AwsAccountConfig, region: str, service: str) -> BaseClient:
        """`endpoint_url=None` leaves AWS_ENDPOINT_URL and the shared config file to botocore."""
        own = account.endpoint_url or None
        try:
            made: BaseClient = session.create_client(service, region_name=region, endpoint_url=own, config=self._config(own is not None))
        except ValueError as error:  # botocore's way to refuse an endpoint
            raise Terminal("InvalidEndpoint", f"no client for {service} in {region!r}: {error}") from error
        return made

    def _config(self, own_endpoint: bool) -> Config:
        return Config(
            connect_timeout=self._settings.connect_timeout,
            read_timeout=self._settings.read_timeout,
            max_pool_connections=self._settings.max_connections,
            retries={"total_max_attempts": 1, "mode": "standard"},
            tcp_keepalive=True,
            # Behind one endpoint of our own neither `bucket.host` nor `prefix.host` resolves.
            s3={"addressing_style": "path"} if own_endpoint else None,
            inject_host_prefix=not own_endpoint,
        )


def _assumed(sts: Any, account: AwsAccountConfig) -> dict[str, str]:
    extra = {"ExternalId": account.external_id} if account.external_id else {}
    answer: dict[str, Any] = sts.assume_role(RoleArn=account.role_arn, RoleSessionName=account.session_name, DurationSeconds=SESSION_SECONDS, **extra)
    fresh = answer["Credentials"]
    return {
        "access_key": fresh["AccessKeyId"],
        "secret_key": fresh["SecretAccessKey"],
        "token": fresh["SessionToken"],
        "expiry_time": fresh["Expiration"].isoformat(),
    }

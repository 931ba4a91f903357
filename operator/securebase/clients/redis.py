"""A real client of Redis and Valkey: logs in over TLS, proves that a cache keeps what is written, and reads what it tells of itself."""

from __future__ import annotations

import secrets
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    InvalidResponse,
    MovedError,
    NoPermissionError,
    TryAgainError,
)
from redis.retry import Retry

from securebase.clients.redis_info import combined, figures_of
from securebase.core.verification import Figures, Finding, Verification

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 2.0
SHARDS_SECONDS = 10.0
"""How long all primaries of a sharded cache together are asked for their figures."""
KEY_SECONDS = 60
"""The own key's time to live."""
_TRIES = 4
"""A full cache may evict the own key at once, and a slot may move to another shard: then it is tried anew."""
_SLOT_TRIES = 200_000
"""Keys looked through for one in a given range of the 16,384 slots: enough for a single slot, with a chance of 5 in a million to miss it."""


class _WrongAnswer(Exception):
    """It answers, but not as it should."""


@dataclass(frozen=True, slots=True)
class _Access:
    """Where and how to connect. `context` is None without TLS; the certificate must be that of `server_name`."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    context: ssl.SSLContext | None
    server_name: str

    @property
    def tunnelled(self) -> bool:
        """Whether the address is not the cache's own: addresses that the cache names do not lead to it either."""
        return self.server_name != self.host

    def at(self, host: str, port: int) -> _Access:
        """The same login at another node."""
        return replace(self, host=host, port=port, server_name=host)

    @contextmanager
    def opened(self) -> Iterator[redis.Redis]:
        """One connection, made at the first command and never again."""
        options: dict[str, Any] = {"context": self.context, "server_name": self.server_name} if self.context is not None else {}
        pool = ConnectionPool(
            connection_class=TlsConnection if self.context is not None else Connection,
            max_connections=1,
            host=self.host,
            port=self.port,
            username=self.username or None,
            password=self.password or None,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,
            **options,
        )
        try:
            yield redis.Redis(connection_pool=pool)
        finally:
            pool.disconnect()


class TlsConnection(Connection):
    """redis-py's own TLS connection expects the certificate of the address it connects to; at the end of a tunnel it is another's."""

    def __init__(self, *, context: ssl.SSLContext, server_name: str, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._context, self._server_name = context, server_name

    def _connect(self) -> socket.socket:
        plain: socket.socket = super()._connect()  # type: ignore[no-untyped-call]
        try:
            return self._context.wrap_socket(plain, server_hostname=self._server_name)
        except (OSError, ValueError):
            plain.close()
            raise


class RedisProbe:
    """Connects, looks and disconnects. Nothing it returns or raises holds a password. Thread-safe."""

    def __init__(self, ca_file: str = "") -> None:
        """`ca_file`: certificates (PEM) trusted besides those of the system, read anew when the file changes."""
        self._ca_file = ca_file
        self._trusted: tuple[int, ssl.SSLContext] | None = None

    def login(self, host: str, port: int, password: str, username: str = "", tls: bool = True, server_name: str = "") -> bool | None:
        """Whether these credentials are accepted now; None where that could not be found out."""
        try:
            with self._access(host, port, password, username, tls, server_name).opened() as client:
                return True if client.ping() else None
        except NoPermissionError:
            return True
        except (AuthenticationError, AuthorizationError):
            return False
        except (redis.RedisError, OSError, ValueError):
            return None

    def verify(self, host: str, port: int, password: str, username: str = "", tls: bool = True, server_name: str = "", key: str = "") -> Verification:
        """Login, PING, INFO, and a write and a read of `key` (none without one). Never raises for what the other side does."""
        try:
            return _verified(self._access(host, port, password, username, tls, server_name), key)
        except (redis.RedisError, OSError, ValueError, _WrongAnswer) as error:
            return _of_error(error, f"{host}:{port}")

    def replication_offset(self, host: str, port: int, password: str, username: str = "", tls: bool = True, server_name: str = "") -> int | None:
        """Bytes written to the replication streams of all primaries; None where that could not be found out."""
        try:
            access = self._access(host, port, password, username, tls, server_name)
            with access.opened() as client:
                info = _info(client)
                own = figures_of(info)
                figures = _figures_of_shards(access, client, own) if info.get("cluster_enabled") else own
        except (redis.RedisError, OSError, ValueError):
            return None
        return figures.replication_offset if figures.role == "master" else None

    def _access(self, host: str, port: int, password: str, username: str, tls: bool, server_name: str) -> _Access:
        # `AUTH default <anything>` is accepted where `default` needs no password; `AUTH <anything>` is not (ACLCheckUserCredentials in Redis's acl.c).
        named = "" if username == "default" else username
        return _Access(host, port, named, password, self._context() if tls else None, server_name or host)

    def _context(self) -> ssl.SSLContext:
        changed_at = Path(self._ca_file).stat().st_mtime_ns if self._ca_file else 0
        if self._trusted is None or self._trusted[0] != changed_at:
            context = ssl.create_default_context()
            if self._ca_file:
                context.load_verify_locations(self._ca_file)
            self._trusted = changed_at, context
        return self._trusted[1]


def _verified(access: _Access, key: str) -> Verification:
    over = "over TLS" if access.context is not None else "without TLS"
    with access.opened() as client:
        if not client.ping():
            raise _WrongAnswer("PING was not answered with PONG")
        info = _info(client)
        sharded = bool(info.get("cluster_enabled"))
        own = figures_of(info)
        figures = Figures(role=own.role, version=own.version) if sharded else own
        try:
            if sharded:
                figures = _figures_of_shards(access, client, own)
            if not key:
                return Verification(Finding.PROVEN, f"logged in {over}; nothing is written, because the policy only observes", figures)
            wrote = _wrote(access, client, key, sharded)
        except NoPermissionError:
            rules = f"~{key}* +set +get{' +cluster|slots +cluster|myid' if sharded else ''}"
            return Verification(Finding.RESTRICTED, f"logged in {over}; the user may not write and read a key of the operator's (needed: {rules})", figures)
        except (redis.RedisError, OSError, _WrongAnswer) as error:
            return replace(_of_error(error, f"{access.host}:{access.port}"), figures=figures)
    if not wrote:
        return Verification(Finding.WRONG, "a key written just before was not there, or not with its value", figures)
    untold = "" if info else "; the user may not ask for INFO, so there are no figures"
    return Verification(Finding.PROVEN, f"logged in {over}, wrote and read a key{untold}", figures)


def _info(client: redis.Redis) -> Mapping[str, Any]:
    """{} where the user may not ask."""
    try:
        found = client.info()
    except NoPermissionError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _wrote(access: _Access, client: redis.Redis, key: str, sharded: bool) -> bool:
    if not sharded:
        try:
            return _write_and_read(client, key)
        except MovedError:  # it is sharded after all: who may not ask for INFO learns it here
            pass
    return _write_and_read_sharded(access, client, key)


def _write_and_read(client: redis.Redis, key: str) -> bool:
    value = secrets.token_hex(16).encode()
    for _ in range(_TRIES):
        client.set(key, value, ex=KEY_SECONDS)
        if client.get(key) == value:
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Shard:
    """Slots `first` to `last`, and the primary that has them."""

    first: int
    last: int
    host: str
    port: int
    node: str


def _shards(client: redis.Redis) -> list[_Shard]:
    """CLUSTER SLOTS: `[first, last, [host, port, node id, ...], replicas...]`. A host that is empty or missing is the one that was asked."""
    answer: Any = client.execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]
    return [_Shard(int(first), int(last), _text(primary[0]), int(primary[1]), _text(primary[2])) for first, last, primary, *_ in answer]


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


def _write_and_read_sharded(access: _Access, client: redis.Redis, key: str) -> bool:
    for number in range(_TRIES):
        try:
            return _in_its_shard(access, client, f"{key}:{number}" if number else key)
        except (AskError, TryAgainError) as error:  # MovedError too: shards are being added or removed
            moved = error
    raise moved


def _in_its_shard(access: _Access, client: redis.Redis, key: str) -> bool:
    shards = _shards(client)
    if access.tunnelled:
        here = _text(client.execute_command("CLUSTER", "MYID"))  # type: ignore[no-untyped-call]
        mine = [shard for shard in shards if shard.node == here]
        if not mine:
            raise _WrongAnswer("the address leads to a replica, or to a node without slots")
        return _write_and_read(client, _key_of(mine, key))
    slot = key_slot(key.encode())
    shard = next((shard for shard in shards if shard.first <= slot <= shard.last), None)
    if shard is None:
        raise _WrongAnswer(f"no shard has the slot {slot}")
    with access.at(shard.host or access.host, shard.port).opened() as its:
        return _write_and_read(its, key)


def _key_of(shards: Sequence[_Shard], key: str) -> str:
    """A key of ours in one of these ranges of slots."""
    for number in range(_SLOT_TRIES):
        candidate = f"{key}:{number}"
        slot = key_slot(candidate.encode())
        if any(shard.first <= slot <= shard.last for shard in shards):
            return candidate
    raise _WrongAnswer("no key was found for the slots of this node")


def _figures_of_shards(access: _Access, client: redis.Redis, own: Figures) -> Figures:
    """Of all primaries together. Where one cannot be asked the figures are unknown: a part would be taken for the whole."""
    addresses = sorted({(shard.host or access.host, shard.port) for shard in _shards(client)})
    unknown = Figures(role=own.role, version=own.version)
    if access.tunnelled:
        return own if len(addresses) == 1 and own.role == "master" else unknown
    found, deadline = [], time.monotonic() + SHARDS_SECONDS
    for host, port in addresses:
        if time.monotonic() > deadline:
            return unknown
        try:
            with access.at(host, port).opened() as shard:
                found.append(figures_of(_info(shard)))
        except (redis.RedisError, OSError):
            return unknown
    return combined(found)


def _of_error(error: Exception, where: str) -> Verification:
    """What an error says of the cache. Never its text: an engine that does not know AUTH repeats the arguments."""
    code = str(getattr(error, "status_code", None) or "")
    match error:
        case _WrongAnswer():
            return Verification(Finding.WRONG, str(error))
        case AuthenticationError() | AuthorizationError():
            return Verification(Finding.REFUSED, f"the published credentials were refused ({code or 'ERR'})")
        case NoPermissionError():
            return Verification(Finding.RESTRICTED, "logged in; the user may not PING (+ping)")
        case BusyLoadingError():
            return Verification(Finding.WRONG, "it is loading its data (LOADING)")
        case InvalidResponse():
            return Verification(Finding.WRONG, f"{where} does not speak the protocol of Redis")
        case redis.ResponseError():
            return Verification(Finding.WRONG, f"a command was answered with an error ({code or _first_word(error)})")
        case redis.ConnectionError() if code == "ERR":
            return Verification(Finding.WRONG, "it takes no more clients (maxclients)")
        case _:
            return Verification(Finding.UNREACHABLE, f"{where} cannot be reached from here: {_why(error)}")


def _first_word(error: Exception) -> str:
    word = str(error).partition(" ")[0]
    return word if word.isascii() and word.isalpha() and word.isupper() and len(word) <= 20 else "ERR"


def _why(error: BaseException) -> str:
    """The reason below redis-py's own error, in words without addresses and arguments."""
    match error:
        case socket.gaierror() | UnicodeError():
            return "its name is not known"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not accepted ({error.verify_message})"
        case ssl.SSLError():
            return f"TLS cannot be established ({error.reason or type(error).__name__})"
        case TimeoutError() | redis.TimeoutError():
            return "no answer in time"
        case ConnectionRefusedError():
            return "the connection was refused"
        case FileNotFoundError() | PermissionError() | IsADirectoryError():
            return "the file of trusted certificates cannot be read"
        case OSError() if error.strerror:
            return error.strerror
        case _ if (cause := error.__cause__ or error.__context__) is not None:
            return _why(cause)
        case _:
            return "the connection was closed"

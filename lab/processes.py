"""Child processes of the lab: they die with their parent whatever happens to it, log to a file, and are awaited with a deadline."""

from __future__ import annotations

import errno
import fcntl
import functools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol, TypeVar

T = TypeVar("T")

_STATE_PREFIX = "securebase-lab-"
_STALE_AFTER_SECONDS = 60

# Runs in the child before the server does. A change of user clears the parent-death signal (prctl(2)), so it comes first, but after
# the imports: the new user may be unable to read the interpreter's files. Python ignores SIGPIPE, which would survive exec.
_SHIM = """
import ctypes, os, signal, sys
parent, uid, gid = (int(value) for value in sys.argv[1:4])
libc = ctypes.CDLL(None, use_errno=True)
if uid >= 0:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit("the parent was gone before the child was ready")
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.execv(sys.argv[4], sys.argv[4:])
"""

# Build machines point these at certificates, proxies and accounts; a server on loopback must not trip over them.
_FOREIGN_PREFIXES = ("AWS_", "ETCD_", "PG", "PIP_", "GATEWAY_", "MOTO_")
_FOREIGN_NAMES = frozenset(
    {
        "ALL_PROXY", "FTP_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "HTTPLIB2_CA_CERTS",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", "KUBECONFIG", "REDIS_HOST", "REDIS_PORT",
    }
)  # fmt: skip


class NotReady(Exception):
    """Something awaited did not happen; the message says what, for how long, and ends with the tail of the logs concerned."""


class ProcessEnded(Exception):
    """A server that should run has ended by itself."""


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged system user a child runs as."""

    uid: int
    gid: int


class Process(Protocol):
    """What is needed of a `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Child:
    """A running server: its name for messages, the process, and the file with both of its output streams."""

    name: str
    process: Process
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        return self.process.poll() is None

    def log_tail(self, lines: int = 20) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def check(self) -> None:
        """Raises ProcessEnded, with the end of its log, when the process has ended."""
        if not self.alive():
            raise ProcessEnded(f"{self.name} has ended with exit code {self.process.poll()}; {self.log} ends with\n{self.log_tail()}")

    def stop(self, *, how: signal.Signals = signal.SIGTERM, grace: float = 5.0) -> None:
        """Ends the process: `how` first, and after `grace` seconds SIGKILL for it and whatever it started. A second call does nothing."""
        if not self.alive():
            return
        if grace > 0:
            self.process.send_signal(how)
            try:
                self.process.wait(grace)
                return
            except subprocess.TimeoutExpired:
                pass
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start_child(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    account: Account | None = None,
) -> Child:
    """Starts `command` so that it is killed when this process ends, however that happens (on Linux; elsewhere `stop` must be called).

    Without `environment` the child gets `loopback_environment()`. It leads its own process group: Ctrl-C reaches it only through us.
    """
    executable = shutil.which(str(command[0]))
    if executable is None:
        raise FileNotFoundError(errno.ENOENT, "no such executable", str(command[0]))
    uid, gid = (account.uid, account.gid) if account else (-1, -1)
    shim = [sys.executable, "-I", "-S", "-c", _SHIM, str(os.getpid()), str(uid), str(gid), executable, *map(str, command[1:])]
    log.parent.mkdir(parents=True, exist_ok=True)

    def spawn() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                shim,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(loopback_environment() if environment is None else environment),
                cwd=directory,
                start_new_session=True,
            )

    return Child(name, _spawner(os.getpid()).run(spawn), log)


class _Spawner:
    """Forks every child from one thread that lives as long as the process.

    The kernel sends the parent-death signal when the *thread* that forked ends, not the process (prctl(2), PR_SET_PDEATHSIG).
    """

    def __init__(self) -> None:
        self._requests: SimpleQueue[tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]] = SimpleQueue()
        threading.Thread(target=self._serve, name="lab-spawner", daemon=True).start()

    def run(self, spawn: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._requests.put((spawn, answer))
        return answer.result()

    def _serve(self) -> None:
        while True:
            spawn, answer = self._requests.get()
            try:
                answer.set_result(spawn())
            except BaseException as error:  # noqa: BLE001  handed over: `run` raises it in the caller's thread
                answer.set_exception(error)


@functools.cache
def _spawner(_process: int) -> _Spawner:
    """One per process: a fork carries no threads over, so its copy would never answer."""
    return _Spawner()


def loopback_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """`base` (default: our own environment) without proxies, certificate bundles, cloud credentials and servers' own variables."""
    source = os.environ if base is None else base
    return {name: value for name, value in source.items() if name.upper() not in _FOREIGN_NAMES and not name.upper().startswith(_FOREIGN_PREFIXES)}


def wait_until(
    probe: Callable[[], T],
    what: str,
    *,
    deadline: float = 30.0,
    interval: float = 0.05,
    children: Sequence[Child] = (),
    retry_on: tuple[type[Exception], ...] = (OSError,),
) -> T:
    """Polls until `probe` returns something true and returns that.

    Raises NotReady after `deadline` seconds, or at once when one of `children` has ended. Exceptions in `retry_on` count as "not yet".
    """
    started = time.monotonic()
    last: object = None
    while True:
        try:
            result = probe()
            if result:
                return result
            last = result
        except retry_on as error:
            last = error
        waited = time.monotonic() - started
        ended = [child for child in children if not child.alive()]
        if ended or waited > deadline:
            raise NotReady(_complaint(what, waited, last, ended, children))
        time.sleep(interval)


def _complaint(what: str, waited: float, last: object, ended: Sequence[Child], children: Sequence[Child]) -> str:
    lines = [f"waited {waited:.1f} s for {what}; the last answer was {last!r}"]
    lines += [f"{child.name} has ended with exit code {child.process.poll()}" for child in ended]
    for child in ended or children:
        lines += [f"--- {child.log} ends with", child.log_tail()]
    return "\n".join(lines)


def free_port() -> int:
    """A loopback port nobody listens on, from below the range the kernel hands to outgoing connections (32768 on Linux).

    A port from that range may be taken by any client between this call and the server's bind. No other process that asks here gets the same
    one while this process lives: servers bind seconds later.
    """
    directory = Path(tempfile.gettempdir()) / f"securebase-ports-{os.getuid()}"
    directory.mkdir(exist_ok=True)
    for _ in range(200):
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
                _reserve(directory / str(port))
            except OSError:
                continue
            return port
    raise OSError(errno.EADDRINUSE, "no free loopback port found in 200 attempts")


_RESERVED: list[int] = []


def _reserve(path: Path) -> None:
    """Locked until this process ends; OSError when another one has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    _RESERVED.append(descriptor)


@contextmanager
def state_directory(purpose: str = "state") -> Iterator[Path]:
    """A temporary directory for a lab's state, gone at the end; those that killed processes left behind go as well.

    Others may traverse it but not list it: a server that drops its privileges must reach its data.
    """
    _remove_stale()
    directory = Path(tempfile.mkdtemp(prefix=f"{_STATE_PREFIX}{purpose}-"))
    directory.chmod(0o711)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _remove_stale() -> None:
    for directory in Path(tempfile.gettempdir()).glob(f"{_STATE_PREFIX}*"):
        try:
            age = time.time() - (directory / ".lock").stat().st_mtime
            if directory.lstat().st_uid != os.getuid() or age < _STALE_AFTER_SECONDS:
                continue
            with (directory / ".lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
        except OSError:
            continue  # held by a running lab, or removed by another one just now

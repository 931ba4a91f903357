"""Processes of the operator and of its command, forked from one that has imported everything: a fresh interpreter spends 2 s of a core on imports.

Beyond that they are processes as any other: with their own environment, session and end. `lab/warm_process.py` is the one they are forked from.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.processes import Child, loopback_environment, start_child, wait_until

_ROOT = Path(__file__).resolve().parents[1]
_READY_SECONDS = 60.0


@dataclass(slots=True)
class Forked:
    """Satisfies `lab.processes.Process`. The connection it was asked for on tells its exit code when it has ended."""

    pid: int
    connection: socket.socket
    code: int | None = field(default=None)

    def poll(self) -> int | None:
        return self._read(0.0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._read(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _read(self, timeout: float | None) -> int | None:
        if self.code is None:
            self.connection.settimeout(timeout if timeout is None else max(timeout, 1e-6))
            try:
                told = self.connection.recv(64)
            except (TimeoutError, BlockingIOError):
                return None
            self.code = int(told) if told else -signal.SIGKILL  # else all went together
            self.connection.close()
        return self.code


class Warm:
    """Context manager. `start` is as `lab.processes.start_child`, `run` as `subprocess.run`, of `securebase` with these arguments."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = ExitStack()
        self._count = 0

    def __enter__(self) -> Self:
        path = self._directory / "warm.sock"
        child = start_child("warm", [sys.executable, "-m", "lab.warm_process", path], log=self._directory / "warm.log", directory=_ROOT)
        self._stack.callback(child.stop)
        wait_until(path.exists, "the operator's modules to be imported", deadline=_READY_SECONDS, children=[child])
        self._path = path
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def start(self, name: str, arguments: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> Child:
        """A running process; both of its output streams go to `log`."""
        return Child(name, self._ask(arguments, environment, "", log, log), log)

    def run(self, *arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        """What it printed, and its exit code."""
        self._count += 1
        given, out, error = (self._directory / f"{self._count}.{stream}" for stream in ("in", "out", "err"))
        given.write_text(stdin)
        process = self._ask(arguments, loopback_environment() if environment is None else environment, str(given), out, error)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(["securebase", *arguments], code, out.read_text(), error.read_text())

    def _ask(self, arguments: Sequence[str], environment: Mapping[str, str], given: str, out: Path, error: Path) -> Forked:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self._path))
        wanted = {"arguments": list(arguments), "environment": dict(environment), "in": given or os.devnull, "out": str(out), "err": str(error)}
        connection.sendall(json.dumps(wanted).encode() + b"\n")
        return Forked(int(_line(connection)), connection)


def _line(connection: socket.socket) -> str:
    """Byte by byte: what follows may be the end of the process."""
    read = b""
    while not read.endswith(b"\n"):
        if not (byte := connection.recv(1)):
            raise ConnectionError("the process that forks has ended")
        read += byte
    return read.decode()

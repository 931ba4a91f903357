"""Processes of the operator and of its command, forked from one that has imported everything: a fresh interpreter spends 2 s of a core on imports.

Beyond that they are processes as any other: with their own environment, session and end.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from lab.processes import Child

_COMMANDS = ("cost", "dashboard", "drift", "plan", "report")
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["lab.warm", "securebase.app", *(f"securebase.cli.{name}" for name in _COMMANDS)])
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, prctl(2)


@dataclass(frozen=True, slots=True)
class _Forked:
    """Satisfies `lab.processes.Process`."""

    process: BaseProcess

    @property
    def pid(self) -> int:
        return self.process.pid or 0

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def start(name: str, arguments: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> Child:
    """`lab.processes.start_child` of `securebase` with these arguments."""
    return Child(name, _fork(arguments, environment, Path(os.devnull), log, log), log)


def run(*arguments: str, stdin: str, environment: Mapping[str, str], timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    """`subprocess.run` of `securebase` with these arguments: what it printed, and its exit code."""
    with tempfile.TemporaryDirectory(prefix="securebase-command-") as directory:
        given, out, error = (Path(directory) / name for name in ("in", "out", "err"))
        given.write_text(stdin)
        process = _fork(arguments, environment, given, out, error)
        try:
            code = process.wait(timeout)
        finally:
            process.send_signal(signal.SIGKILL)
        return subprocess.CompletedProcess(["securebase", *arguments], code, out.read_text(), error.read_text())


def _fork(arguments: Sequence[str], environment: Mapping[str, str], given: Path, out: Path, error: Path) -> _Forked:
    # Daemons: what a test left running ends with the tests, instead of being waited for.
    process = _SERVER.Process(target=_become, args=(list(arguments), dict(environment), str(given), str(out), str(error)), daemon=True)
    process.start()
    return _Forked(process)


def _become(arguments: list[str], environment: dict[str, str], given: str, out: str, error: str) -> None:
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    written = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for number, path, flags in ((0, given, os.O_RDONLY), (1, out, written), (2, error, written)):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        if opened != number:
            os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  for as long as the process lives
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["securebase", *arguments]

    from securebase.cli import main  # noqa: PLC0415  only here: who starts processes need not import what they run

    main()

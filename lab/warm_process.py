"""`python -m lab.warm_process SOCKET`: imports the operator and its command, and forks a process of them for whoever asks (`lab/warm.py`)."""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import securebase.app
import securebase.cli.cost
import securebase.cli.dashboard
import securebase.cli.drift
import securebase.cli.plan
import securebase.cli.report  # noqa: F401  all for the processes to come
from securebase.cli import main

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, prctl(2)


def serve(path: str) -> None:
    """Forks for every line that asks for it, and tells each asker how its process ended. Returns in the forked processes alone."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{path}.new")
    listening.listen(16)
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    askers: dict[int, socket.socket] = {}
    Path(f"{path}.new").rename(path)
    with selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == woken:
                    os.read(woken, 4096)
                    _tell_ends(askers)
                    continue
                asker, _ = listening.accept()
                wanted = json.loads(asker.makefile().readline())
                if (pid := os.fork()) == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for connection in (listening, asker, *askers.values()):
                        connection.close()
                    for end in (woken, wake):
                        os.close(end)
                    _become(wanted)
                    return
                asker.sendall(f"{pid}\n".encode())
                askers[pid] = asker


def _tell_ends(askers: dict[int, socket.socket]) -> None:
    for pid in list(askers):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            asker = askers.pop(pid)
            with suppress(OSError):  # nobody waits for it any more
                asker.sendall(str(os.waitstatus_to_exitcode(status)).encode())
            asker.close()


def _become(wanted: Mapping[str, Any]) -> None:
    parent = os.getppid()
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
    for number, name, flags in ((0, "in", os.O_RDONLY), (1, "out", os.O_WRONLY | os.O_CREAT | os.O_APPEND), (2, "err", os.O_WRONLY | os.O_CREAT | os.O_APPEND)):
        opened = os.open(wanted[name], flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(wanted["environment"])
    time.tzset()
    sys.argv = ["securebase", *wanted["arguments"]]


if __name__ == "__main__":
    serve(sys.argv[1])
    main()

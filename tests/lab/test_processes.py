"""Children of the lab: they end with their parent, and whoever waits for one learns why it is not ready."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from lab.processes import Child, NotReady, ProcessEnded, free_port, loopback_environment, start_child, state_directory, wait_until

_ROOT = Path(__file__).parents[2]


def sleeper(tmp_path: Path) -> Child:
    return start_child("sleeper", ["sleep", "300"], log=tmp_path / "sleeper.log")


def test_a_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    started: list[Child] = []
    thread = threading.Thread(target=lambda: started.append(sleeper(tmp_path)))
    thread.start()
    thread.join()
    (child,) = started
    try:
        wait_until(lambda: psutil.Process(child.pid).name() == "sleep", "the shim to become the command", children=[child])
        with pytest.raises(subprocess.TimeoutExpired):
            child.process.wait(0.2)
    finally:
        child.stop(grace=0)
    assert not child.alive()
    child.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal exists on Linux only")
def test_sigkill_of_the_parent_ends_the_child(tmp_path: Path, gone: Callable[[int], bool]) -> None:
    program = f"""
import pathlib, sys, threading
from lab.processes import start_child
started = []
thread = threading.Thread(target=lambda: started.append(start_child("s", ["sleep", "300"], log=pathlib.Path({str(tmp_path)!r}, "log"))))
thread.start()
thread.join()
print(started[0].pid, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not gone(pid)
        os.kill(parent.pid, signal.SIGKILL)
        wait_until(lambda: gone(pid), "the child to end with its parent", deadline=10)


def test_a_child_that_ends_is_reported_with_its_last_words(tmp_path: Path) -> None:
    child = start_child("failing", ["sh", "-c", "echo no room left; exit 3"], log=tmp_path / "failing.log")
    with pytest.raises(NotReady, match=r"waited .* for the moon[^$]*exit code 3[^$]*no room left"):
        wait_until(lambda: False, "the moon", deadline=10, children=[child])
    with pytest.raises(ProcessEnded, match="no room left"):
        child.check()


def test_a_wait_that_times_out_names_the_last_error() -> None:
    def refuse() -> bool:
        raise ConnectionRefusedError("nobody there")

    with pytest.raises(NotReady, match="nobody there"):
        wait_until(refuse, "an answer", deadline=0.1, interval=0.01)


def test_a_missing_executable_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-command"):
        start_child("missing", ["no-such-command"], log=tmp_path / "missing.log")


def test_servers_on_loopback_see_neither_proxies_nor_credentials() -> None:
    foreign = {"https_proxy": "http://proxy:3128", "AWS_CA_BUNDLE": "/x", "SSL_CERT_FILE": "/x", "ETCD_NAME": "x", "PGHOST": "x"}
    assert loopback_environment({**foreign, "PATH": "/bin", "HOME": "/home/x"}) == {"PATH": "/bin", "HOME": "/home/x"}


def test_free_ports_are_outside_the_range_of_outgoing_connections() -> None:
    assert all(15000 <= free_port() < 32000 for _ in range(20))


def test_state_directories_left_by_killed_processes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left_behind, fresh = tmp_path / "securebase-lab-old", tmp_path / "securebase-lab-new"
    for directory in (left_behind, fresh):
        directory.mkdir()
        (directory / ".lock").touch()
    os.utime(left_behind / ".lock", (0, 0))
    with state_directory() as held:
        os.utime(held / ".lock", (0, 0))
        with state_directory():
            assert held.exists()
        assert fresh.exists()
        assert not left_behind.exists()
    assert not held.exists()

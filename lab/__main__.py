"""The command `python -m lab`: brings the lab up and says what to export, or only fetches and builds what it needs."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab.cache import Say, Unavailable, say_on_stderr
from lab.controlplane.build import find_binaries
from lab.kubernetes import ControlPlane
from lab.processes import NotReady, ProcessEnded, state_directory
from lab.servers import Postgres, Prometheus, Redis, Server, postgres_installation, redis_command
from lab.tools import helm, prometheus_tools

_EXAMPLES = """\
examples:
  python -m lab up                                    Kubernetes and AWS, until Ctrl-C
  python -m lab up --with postgres,redis,prometheus   and these servers
  python -m lab up --without aws                      Kubernetes alone
  python -m lab up --env-file lab.env &               lab.env appears when everything is ready: . ./lab.env
  python -m lab controlplane                          build or find the Kubernetes binaries, print where they are
  python -m lab fetch helm redis                      fetch these now, so that a later run needs no network

What is built or fetched is kept under $XDG_CACHE_HOME/securebase (default ~/.cache/securebase).
KUBEBUILDER_ASSETS names a directory with etcd, kube-apiserver and kube-controller-manager to use instead of building them.
"""

_URL_VARIABLES = {"postgres": "DATABASE_URL", "redis": "REDIS_URL", "prometheus": "PROMETHEUS_URL"}
_PROMETHEUS_CONFIGURATION = "global: {scrape_interval: 5s}\nscrape_configs: []\n"
_CHECK_SECONDS = 1.0

_FETCHERS: dict[str, Callable[[Say], Path]] = {
    "controlplane": lambda say: find_binaries(say).directory,
    "helm": helm,
    "postgres": postgres_installation,
    "redis": redis_command,
    "prometheus": prometheus_tools,
}


class _Terminated(Exception):
    """SIGTERM or SIGINT arrived."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        match options.command:
            case "up":
                return _up(options)
            case "controlplane":
                print(find_binaries().directory)
                return 0
            case _:
                return _fetch(options.names)
    except (Unavailable, NotReady, ProcessEnded) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start the lab, print what to export, stop on Ctrl-C or SIGTERM")
    up.add_argument("--with", dest="extra", type=_names(tuple(_URL_VARIABLES)), default=(), metavar="NAMES", help=f"also: {', '.join(_URL_VARIABLES)}")
    up.add_argument("--without", type=_names(("aws",)), default=(), metavar="NAMES", help="leave out: aws")
    up.add_argument("--state-dir", type=Path, help="where state and logs go and stay (default: a temporary directory)")
    up.add_argument("--env-file", type=Path, help="also write the exports here once everything is ready; removed at the end")
    commands.add_parser("controlplane", help="only find or build the Kubernetes binaries")
    fetch = commands.add_parser("fetch", help="only fetch or build what these need")
    fetch.add_argument("names", nargs="+", choices=[*_FETCHERS], metavar="NAME", help=", ".join(_FETCHERS))
    return parser


def _names(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(name for name in text.split(",") if name)
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return names

    return parse


def _up(options: argparse.Namespace) -> int:
    try:
        with _signals(), ExitStack() as stack:
            directory = options.state_dir or stack.enter_context(state_directory())
            exports, checks = _start_all(directory.absolute(), options.extra, options.without, stack)
            lines = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in exports.items())
            print(lines, end="", flush=True)
            if options.env_file:
                _appear(options.env_file, lines)
                stack.callback(options.env_file.unlink, missing_ok=True)
            say_on_stderr(f"the lab is up; state and logs are in {directory}; Ctrl-C stops it")
            _watch(checks)
    except _Terminated:
        say_on_stderr("the lab is down")
    return 0


def _start_all(directory: Path, extra: Sequence[str], without: Sequence[str], stack: ExitStack) -> tuple[dict[str, str], list[Callable[[], None]]]:
    with _timed("Kubernetes"):
        plane = stack.enter_context(ControlPlane(directory / "kubernetes"))
    exports = {"KUBECONFIG": str(plane.kubeconfig)}
    checks = [plane.check]
    if "aws" not in without:
        from lab.aws.endpoint import AwsEndpoint  # noqa: PLC0415  botocore and moto take a second, which --help need not wait for

        with _timed("the AWS endpoint"):
            endpoint = stack.enter_context(AwsEndpoint(directory / "aws"))
        exports |= endpoint.environment
    for name in extra:
        with _timed(name):
            server = stack.enter_context(_server(name, directory / name))
        exports[_URL_VARIABLES[name]] = server.url
        checks.append(server.check)
    return exports, checks


def _server(name: str, directory: Path) -> Server:
    match name:
        case "postgres":
            return Postgres(directory)
        case "redis":
            return Redis(directory)
        case _:
            return Prometheus(_PROMETHEUS_CONFIGURATION, directory)


def _watch(checks: Sequence[Callable[[], None]]) -> None:
    """Until a signal ends it; a server that ends by itself ends the lab, with the tail of its log."""
    while True:
        for check in checks:
            check()
        time.sleep(_CHECK_SECONDS)


def _appear(path: Path, text: str) -> None:
    """The file is there whole or not at all: whoever waits for it may read it at once. It may hold a password."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.touch(mode=0o600)
    unfinished.write_text(text)
    unfinished.replace(path)


@contextmanager
def _signals() -> Iterator[None]:
    """SIGINT and SIGTERM raise _Terminated, once: a second one must not interrupt the stopping."""

    def terminate(number: int, _frame: object) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise _Terminated(number)

    previous = {each: signal.signal(each, terminate) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)


@contextmanager
def _timed(what: str) -> Iterator[None]:
    say_on_stderr(f"starting {what}")
    started = time.monotonic()
    yield
    say_on_stderr(f"  {what} ready in {time.monotonic() - started:.1f} s")


def _fetch(names: Sequence[str]) -> int:
    """Tries every one, so that one run tells all that is missing."""
    failed = 0
    for name in names:
        try:
            print(f"{name}: {_FETCHERS[name](say_on_stderr)}")
        except Unavailable as error:
            print(f"error: {error}", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())

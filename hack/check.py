"""`make check`: every static check, two at a time; the output of what failed, and how long each took."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_BIN = Path(sys.prefix) / "bin"


@dataclass(frozen=True, slots=True)
class Check:
    """One command that must end with 0, and what to do when it does not."""

    name: str
    command: Sequence[str | Path]
    remedy: str = ""


# The longest first: it shares the two processors with all the others.
CHECKS = (
    Check("types", (_BIN / "mypy", "operator", "lab", "hack", "bench")),
    Check("lint", (_BIN / "ruff", "check", "--quiet", "."), "make format mends some of it"),
    Check("format", (_BIN / "ruff", "format", "--check", "--quiet", "--output-format", "concise", "."), "make format"),
    Check("import contracts", (_BIN / "lint-imports",)),
    Check("crds current", (sys.executable, "-m", "securebase.api.schema", "--check", "crds"), "make generate"),
    Check("chart and manifests current", (sys.executable, "-m", "hack.render", "--check"), "make generate"),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a check."""

    check: Check
    failed: bool
    seconds: float
    output: str


def _run(check: Check) -> Result:
    started = time.monotonic()
    done = subprocess.run(check.command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return Result(check, done.returncode != 0, time.monotonic() - started, done.stdout)


def main() -> int:
    """Run all; 1 when any failed."""
    failed = []
    with ThreadPoolExecutor(2) as pool:
        for future in as_completed([pool.submit(_run, check) for check in CHECKS]):
            result = future.result()
            print(f"{'FAILED' if result.failed else 'ok':8}{result.check.name:30}{result.seconds:6.1f} s", flush=True)
            if result.failed:
                failed.append(result)
    for result in failed:
        print(f"\n--- {result.check.name}\n{result.output.rstrip()}")
        if result.check.remedy:
            print(f"to mend it: {result.check.remedy}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

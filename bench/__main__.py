"""`python -m bench [NAME...]`: measure, write bench/results/<bench>.json, and say which goals are met."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from bench import alarms, burst, cache_rotation, drift, idle, latency
from bench.results import RESULTS, Figure, write
from bench.stage import DEPLOY_SECONDS, Stage, say

QUICK_OBJECTS, QUICK_DEPLOY = 20, 0.0
Bench = Callable[[Stage], list[Figure]]


def benches(objects: int, *, quick: bool) -> dict[str, Bench]:
    """Every bench by name, in the size asked for."""
    samples, sweeps, drifts, quiet = (2, 1, 1, 0.0) if quick else (30, 10, 3, 2.5 * idle.INTERVAL)
    rotations, work = (1, 0.5) if quick else (5, 5.0)
    classes = drift.QUICK_CLASSES if quick else drift.CLASSES
    thousand = 40 if quick else 1000
    return {
        latency.BENCH: lambda stage: latency.run(stage, samples),
        burst.OPEN: lambda stage: burst.run_open(stage, objects),
        burst.RATED: lambda stage: burst.run_rated(stage, objects),
        idle.BENCH: lambda stage: idle.run(stage, objects, sweeps, drifts, classes, quiet=quiet),
        cache_rotation.BENCH: lambda stage: cache_rotation.run(stage, rotations, work),
        alarms.OPEN: lambda stage: alarms.run_open(stage, thousand, sweeps),
        alarms.RATED: lambda stage: alarms.run_rated(stage, thousand),
        alarms.LARGE: lambda stage: alarms.run_large(stage, 3 * thousand),
    }


def main() -> int:
    """0, or 1 when a goal is missed. A quick run is too small for the goals, and keeps its results to itself unless told where."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(benches(1, quick=True))} (default: all)")
    parser.add_argument("--objects", type=int, default=0, help="how many (default: 500; 20 with --quick)")
    parser.add_argument("--quick", action="store_true", help="small: does every bench still run?")
    parser.add_argument("--results", type=Path, default=None, help="directory of the results (default: bench/results)")
    given = parser.parse_args()
    known = benches(given.objects or (QUICK_OBJECTS if given.quick else 500), quick=given.quick)
    if unknown := set(given.names) - known.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    directory = given.results or (None if given.quick else RESULTS)
    missed = 0
    with Stage(deploy_seconds=QUICK_DEPLOY if given.quick else DEPLOY_SECONDS) as stage:
        for name, bench in known.items():
            if given.names and name not in given.names:
                continue
            say(f"{name} ...")
            started = time.monotonic()
            figures = bench(stage)
            say(f"  took {time.monotonic() - started:.0f} s")
            if directory is not None:
                write(name, figures, directory)
            missed += sum(_told(name, figure) for figure in figures)
    return 1 if missed and not given.quick else 0


def _told(bench: str, figure: Figure) -> bool:
    """Print a figure; whether it missed its goal."""
    goal = f"  goal {figure.goal}: {'met' if figure.met() else 'MISSED'}" if figure.goal else ""
    print(f"{bench:22}{figure.name:48}{figure.value:>12g} {figure.unit}{goal}", flush=True)
    return not figure.met()


if __name__ == "__main__":
    raise SystemExit(main())

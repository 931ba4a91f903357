"""`securebase dashboard`: what a PerfAlarmSet's dashboards would show, with the data there is now."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from securebase.cli import Picturing
from securebase.cli.charts import NothingToDrawWith, as_html, as_png
from securebase.cli.documents import Manifests, Unreadable, read
from securebase.cli.panels import Picture, picture
from securebase.cli.plan import accounts_among
from securebase.cli.references import FileSources, InAws
from securebase.cli.surroundings import ClusterStatuses, NoStatuses, instance_of, reading_cluster, reading_process
from securebase.core.errors import ReconcileError
from securebase.core.identity import Identity
from securebase.kinds.alarmset.kind import PerfAlarmSetKind
from securebase.resources.cloudwatch.dashboard_model import Dashboard
from securebase.runtime.engine import Composed, Request, compose, parsed
from securebase.runtime.shared import Process
from securebase.telemetry.redaction import Redactor

KIND: Final = PerfAlarmSetKind()
_UNNAMED: Final = "preview"
"""Stands for an instance that nobody said: data of metrics is the same, what is found by identity is not."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `until`: Unix seconds at which the pictures end; 0 = now."""

    name: str
    files: tuple[str, ...]
    instance: str
    namespace: str
    kind: Picturing
    into: Path
    hours: float
    cluster: bool = False
    until: float = 0.0


def draw(wish: Wish) -> int:
    """Write the pictures; the exit code. Each file that was written is named, and what the pictures lack is told."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        pictures, notes = _pictures(wish)
        for note in notes:
            errors.print(f"note: {note}", markup=False)
        if wish.kind is Picturing.JSON:
            print(json.dumps({"dashboards": [one.as_document() for one in pictures]}, indent=2))
            return 0
        written = list(_written(pictures, wish))
    except (Unreadable, ReconcileError, NothingToDrawWith, OSError) as error:
        errors.print(str(error), markup=False)
        return 1
    for path in written:
        Console(highlight=False, soft_wrap=True).print(str(path), markup=False)
    return 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A set as composed from the files. `notes`: what a person should know of it."""

    composed: Composed
    process: Process
    notes: tuple[str, ...]

    def dashboards(self) -> Iterator[tuple[str, Dashboard]]:
        """By node."""
        for node in self.composed.graph:
            if isinstance(node.desired, Dashboard):
                yield node.id, node.desired


def prepared(wish: Wish) -> Prepared:
    """The set with everything that its targets and the objects they refer to decide. Raises Unreadable and ReconcileError."""
    manifests = read(wish.files, wish.namespace)
    document = _chosen(manifests, wish)
    api = reading_cluster() if wish.cluster else None
    instance = wish.instance or (instance_of(api) if api is not None else _UNNAMED)
    process = reading_process(instance, accounts_among(manifests), Redactor(), api)
    sources = FileSources(manifests, InAws(process, NoStatuses() if api is None else ClusterStatuses(api)))
    identity = Identity(instance, KIND.kind, str(document["metadata"]["namespace"]), str(document["metadata"]["name"]))
    composed = compose(Request(KIND, identity, parsed(KIND, document)), process, sources)
    return Prepared(composed, process, (*sources.lacking, *_of_instance(instance)))


def _pictures(wish: Wish) -> tuple[list[Picture], list[str]]:
    """The dashboards with their data, and what a person should know of them."""
    known = prepared(wish)
    end = (wish.until or time.time()) // 60 * 60  # what is newer than a whole minute is not complete
    span = (end - wish.hours * 3600, end)
    pictures = [picture(name, dashboard, known.composed, known.process, span, known.notes) for name, dashboard in known.dashboards()]
    if not pictures:
        raise Unreadable("; ".join((f"PerfAlarmSet {wish.name} has no dashboards: none is wanted, or nothing of its targets exists yet", *known.notes)))
    notes = list(known.notes)
    if not any(one.has_data for one in pictures):
        notes.append(f"CloudWatch has no data of any target in the last {wish.hours:g} hours; --hours looks further back")
    return pictures, notes


def _of_instance(instance: str) -> Iterator[str]:
    if instance == _UNNAMED:
        yield "without --instance nothing is found by its identity: alarms, and what other objects made, show as not there yet"


def _chosen(manifests: Manifests, wish: Wish) -> Mapping[str, Any]:
    """The set of that name in the namespace, else the only one of that name."""
    sets = [one for one in manifests.objects if one.get("kind") == KIND.kind]
    named = [one for one in sets if one["metadata"].get("name") == wish.name]
    here = [one for one in named if one["metadata"]["namespace"] == wish.namespace]
    if len(here or named) == 1:
        return (here or named)[0]
    if named:
        where = ", ".join(sorted(str(one["metadata"]["namespace"]) for one in named))
        raise Unreadable(f"PerfAlarmSet {wish.name} is in several namespaces ({where}): choose one with --namespace")
    known = ", ".join(sorted(str(one["metadata"].get("name")) for one in sets)) or "none"
    raise Unreadable(f"no PerfAlarmSet {wish.name} among the files; there are: {known}")


def _written(pictures: Sequence[Picture], wish: Wish) -> Iterator[Path]:
    wish.into.mkdir(parents=True, exist_ok=True)
    if wish.kind is Picturing.HTML:
        path = wish.into / f"{wish.name}.html"
        path.write_text(as_html(pictures), encoding="utf-8")
        yield path
        return
    for one in pictures:
        path = wish.into / f"{wish.name}-{one.id.removeprefix('dashboard-')}.png"
        path.write_bytes(as_png(one))
        yield path

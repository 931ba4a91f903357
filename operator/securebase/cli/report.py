"""`securebase report`: every object of the cluster, how it is, what it costs, what would be worth changing and what could not be judged.

Read from status alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from securebase.cli.surroundings import reading_cluster
from securebase.clients.kubernetes import GROUP, VERSION, Gone
from securebase.core.errors import ReconcileError
from securebase.cost.estimate import cents
from securebase.kinds.registry import KINDS

_HEADER: Final = ("KIND", "NAMESPACE", "NAME", "READY", "DRIFT", "USD A MONTH")


@dataclass(frozen=True, slots=True)
class Reported:
    """One object as its status tells it. `monthly_usd` None = unknown."""

    kind: str
    namespace: str
    name: str
    ready: str
    reason: str
    drifted: int
    monthly_usd: Decimal | None
    as_of: str
    missing: tuple[str, ...]
    recommendations: tuple[Mapping[str, Any], ...]
    unjudged: tuple[str, ...]

    def as_document(self) -> dict[str, Any]:
        """For `-o json`."""
        return {
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "ready": self.ready,
            "reason": self.reason,
            "driftedFields": self.drifted,
            "cost": {"monthlyUsd": _text(self.monthly_usd), "asOf": self.as_of or None, "missing": list(self.missing)},
            "recommendations": [dict(one) for one in self.recommendations],
            "unjudged": list(self.unjudged),
        }


def report_of_cluster(namespace: str, *, as_json: bool) -> int:
    """Print the report of every object, or of one namespace's; the exit code."""
    errors = Console(stderr=True, highlight=False)
    scope = f"/namespaces/{namespace}" if namespace else ""
    found: list[Reported] = []
    try:
        api = reading_cluster()
        for kind in KINDS:
            found += [reported(kind.kind, item) for item in api.get(f"/apis/{GROUP}/{VERSION}{scope}/{kind.plural}")["items"]]
    except Gone:
        errors.print(f"the API server does not know the kinds of {GROUP}: apply crds/ first", markup=False)
        return 1
    except ReconcileError as error:
        errors.print(str(error), markup=False)
        return 1
    found.sort(key=lambda one: (one.kind, one.namespace, one.name))
    if as_json:
        print(json.dumps({"objects": [one.as_document() for one in found], "total": _total(found)}, indent=2))
    else:
        print_report(found, Console(highlight=False, soft_wrap=True))
    return 0


def reported(kind: str, document: Mapping[str, Any]) -> Reported:
    """What an object's status says; what it does not say is unknown."""
    metadata, status = document["metadata"], document.get("status") or {}
    ready: Mapping[str, str] = next((one for one in status.get("conditions") or () if one.get("type") == "Ready"), {})
    cost = status.get("cost") or {}
    return Reported(
        kind,
        metadata.get("namespace", ""),
        metadata["name"],
        ready.get("status", "Unknown"),
        ready.get("reason", ""),
        int(status.get("driftedFields") or 0),
        _amount(cost.get("monthlyUsd")),
        str(cost.get("asOf") or ""),
        tuple(map(str, cost.get("missing") or ())),
        tuple(status.get("recommendations") or ()),
        tuple(map(str, status.get("unjudged") or ())),
    )


def _amount(told: Any) -> Decimal | None:
    """A status may have been written by another version: what is no number is unknown."""
    try:
        return Decimal(str(told)) if told is not None else None
    except InvalidOperation:
        return None


def _text(amount: Decimal | None) -> str | None:
    return cents(amount) if amount is not None else None


def _total(found: Sequence[Reported]) -> dict[str, Any]:
    known = [one.monthly_usd for one in found if one.monthly_usd is not None]
    return {"monthlyUsd": cents(sum(known, Decimal(0))) if known else None, "objects": len(found), "unknown": len(found) - len(known)}


def print_report(found: Sequence[Reported], console: Console) -> None:
    """For a terminal: a line an object, then what is recommended, then what could not be judged: silence about it would read as praise."""
    if not found:
        console.print("no objects")
        return
    for line in _columns([_HEADER, *map(_row, found)]):
        console.print(line, markup=False)
    for one in found:
        for recommended in one.recommendations:
            console.print(Text(f"{one.kind} {one.namespace}/{one.name}: {_recommended(recommended)}", style="cyan"))
    for one in found:
        for what in one.unjudged:
            console.print(Text(f"{one.kind} {one.namespace}/{one.name}: not judged: {what}", style="yellow"))
    total = _total(found)
    unknown = f"; of {total['unknown']} of {total['objects']} objects the cost is unknown" if total["unknown"] else ""
    console.print(f"together {total['monthlyUsd'] or 'unknown'} USD a month{unknown}", markup=False)


def _row(one: Reported) -> tuple[str, ...]:
    ready = one.ready if one.ready == "True" or not one.reason else f"{one.ready} ({one.reason})"
    partly = ">" if one.missing and one.monthly_usd is not None else ""
    return one.kind, one.namespace, one.name, ready, str(one.drifted), f"{partly}{_text(one.monthly_usd) or 'unknown'}"


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Padded, never cut: people copy the names, and pipes have no width. The last column is a number."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *row, last in rows:
        yield "  ".join([*(f"{cell:{width}}" for cell, width in zip(row, widths[:-1], strict=True)), f"{last:>{widths[-1]}}"])


def _recommended(one: Mapping[str, Any]) -> str:
    target = f"{one.get('engine', '')} {one['nodeType']}".strip() if one.get("nodeType") else ""
    change = _amount(one.get("monthlyChangeUsd"))
    price = f"{change:+.2f} USD a month" if change is not None else "price of the change unknown"
    return f"{one.get('type', '')}{f' -> {target}' if target else ''} ({price}): {one.get('reason', '')}"

"""Status documents: read back what the last one remembers, and write the next one within its bounds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from securebase.core.conditions import merged
from securebase.core.driver import RETIRED, State
from securebase.core.graph import Role
from securebase.core.outcome import Outcome
from securebase.core.plan import Action, Plan, Prior
from securebase.core.subject import NodeResult

LIMIT_BYTES = 56 * 1024
"""What else stands in a status (the names of alarms that fire, and the like) has the rest of the 64 KiB."""
FULL_ENTRIES = 50
LISTED_ENTRIES = 500
PLANNED_CHANGES = 50
SHORT_TEXT, SHORT_DRIFT = 200, 8


def priors(status: Mapping[str, Any]) -> dict[str, Prior]:
    """What the last status remembers of each resource."""
    return {entry["id"]: _prior(entry) for entry in status.get("resources") or () if entry.get("id") and entry.get("type")}


def told_by(status: Mapping[str, Any]) -> dict[str, str]:
    """What the last status tells of resources, by id."""
    return {entry["id"]: entry["message"] for entry in status.get("resources") or () if entry.get("id") and entry.get("message")}


def _prior(entry: Mapping[str, Any]) -> Prior:
    return Prior(
        entry["id"],
        entry["type"],
        entry.get("externalId", ""),
        entry.get("region", ""),
        Role(entry.get("role", "OWNED")),
        bool(entry.get("guards", False)),
        int(entry.get("wave", 0)),
        entry.get("applied", ""),
        int(entry.get("incarnation", 0)),
        entry.get("snapshot", ""),
        int(entry.get("retiredAt", 0)),
    )


@dataclass(frozen=True, slots=True)
class Written:
    """What a pass contributes to a status besides conditions.

    own  fields of the kind's own; one that is empty is taken out
    """

    results: Sequence[NodeResult]
    plan: Plan | None
    outputs: Mapping[str, str]
    account: str
    region: str
    acknowledged: Mapping[str, str]
    tasks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    observing: bool = False
    cost: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)


def status_of(before: Mapping[str, Any], outcome: Outcome, written: Written | None, generation: int, now: str) -> dict[str, Any]:
    """The next status. Without `written` (the pass did not get as far as a plan) everything but the conditions stays."""
    status = dict(before)
    status["observedGeneration"] = generation
    status["conditions"] = merged(before.get("conditions") or (), outcome.conditions, generation, now)
    if written is None:
        return status
    status |= _optional(
        account=written.account,
        region=written.region,
        cost=dict(written.cost),
        **{name: dict(told) for name, told in written.tasks.items()},
    )
    status = {name: value for name, value in (status | dict(written.own)).items() if value or name not in written.own}
    for name, value in (("outputs", written.outputs), ("acknowledged", written.acknowledged)):
        if value:
            status[name] = dict(value)
        else:
            status.pop(name, None)
    plan = _plan(written.plan, everything=written.observing) if written.plan is not None else None
    if plan is None:
        status.pop("plan", None)
    else:
        status["plan"] = plan
    status["driftedFields"] = sum(len(result.drift) for result in written.results)
    status["resourceCounts"] = dict(sorted(Counter(result.state for result in written.results).items()))
    status["resources"] = _resources(written.results)
    return _with_omitted(_bounded(status), written.results)


def _with_omitted(status: dict[str, Any], results: Sequence[NodeResult]) -> dict[str, Any]:
    """Says of which types and regions some were left out, so that a restarted process knows where to look for them."""
    told = {entry["id"] for entry in status["resources"]}
    left_out = Counter(f"{result.prior.type}@{result.prior.region}" for result in results if result.prior.id not in told)
    if left_out:
        status["omitted"] = dict(sorted(left_out.items()))
    else:
        status.pop("omitted", None)
    return status


def omitted(status: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """(type, region) of what the last status had no room for."""
    return frozenset((type_, region) for type_, _, region in (name.partition("@") for name in status.get("omitted") or {}))


def _optional(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _resources(results: Sequence[NodeResult]) -> list[dict[str, Any]]:
    """Full entries for what is not ready, drifts or was replaced, and for what is ready and has something to tell (the first 50), then the rest as
    far as there is room; ordered by wave and id. What many that are ready tell is told by the first of them.

    What was ever replaced comes first: neither name nor owner tag tells which incarnation is the one that counts."""
    loud = [result for result in results if _is_loud(result)]
    told = {result.message: result for result in reversed(results) if result.message and not _is_loud(result)}
    telling = [result for result in results if told.get(result.message) is result]
    full = {id(result) for result in [*loud, *telling][:FULL_ENTRIES]}
    quiet = [result for result in results if not _is_loud(result) and told.get(result.message) is not result]
    chosen = sorted([*loud, *telling, *quiet], key=lambda result: not _irreplaceable(result.prior))[:LISTED_ENTRIES]
    entries = [_entry(result, id(result) in full) for result in chosen]
    return sorted(entries, key=lambda entry: (entry.get("wave", 0), entry["id"]))


def _is_loud(result: NodeResult) -> bool:
    return bool(result.state != State.READY.value or result.drift or result.prior.retired_at)


def _irreplaceable(prior: Prior) -> bool:
    return bool(prior.incarnation or prior.snapshot or RETIRED in prior.id)


def entry_of(prior: Prior, state: str) -> dict[str, Any]:
    """One resource as status remembers it."""
    return _entry(NodeResult(prior, state), full=False)


def _entry(result: NodeResult, full: bool) -> dict[str, Any]:
    prior = result.prior
    entry: dict[str, Any] = {"id": prior.id, "type": prior.type, "state": result.state}
    entry |= _optional(
        externalId=prior.external_id,
        region=prior.region,
        role=prior.role.value if prior.role is not Role.OWNED else None,
        guards=prior.guards,
        wave=prior.wave,
        applied=prior.applied,
        incarnation=prior.incarnation,
        snapshot=prior.snapshot,
        retiredAt=prior.retired_at,
        drift=list(result.drift[:64]),
    )
    if full:
        entry |= _optional(reason=result.reason, message=result.message[:1024])
    return entry


def _plan(plan: Plan, *, everything: bool) -> dict[str, Any] | None:
    """What is not done yet and why: held changes, or, where nothing may be written, all of them."""
    held = [(step, change) for step in plan.steps for change in step.changes if everything or change.path in step.held or step.action is Action.HOLD]
    if not held:
        return None
    changes = [
        {"resource": step.node.id, "path": change.path or "(existence)", "impact": change.impact.value}
        | {name: _text(value) for name, value in (("have", change.have), ("want", change.want)) if value is not None}
        for step, change in held[:PLANNED_CHANGES]
    ]
    return {"hash": plan.hash, "impact": plan.impact.value, "changes": changes} | _optional(approved=bool(plan.approved))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _bounded(status: dict[str, Any]) -> dict[str, Any]:
    """Below 64 KiB whatever the object's size: first the memory of what was applied goes, then the length of what is told, then entries of
    what is ready, then others."""
    if _size(status) <= LIMIT_BYTES:
        return status
    entries = [{name: value for name, value in entry.items() if name != "applied"} for entry in status["resources"]]
    status["resources"] = entries
    if _size(status) > LIMIT_BYTES:
        entries = status["resources"] = [_shortened(entry) for entry in entries]
        if "plan" in status:
            status["plan"] = status["plan"] | {"changes": [_shortened(change) for change in status["plan"]["changes"]]}
    leaving = sorted((entry for entry in entries if not _irreplaceable(_prior(entry))), key=_silence)
    while leaving and _size(status) > LIMIT_BYTES:
        dropped = {entry["id"] for entry in leaving[-50:]}
        leaving = leaving[:-50]
        status["resources"] = [entry for entry in status["resources"] if entry["id"] not in dropped]
    return status


def _silence(entry: Mapping[str, Any]) -> tuple[bool, bool]:
    """What is ready and tells nothing goes first, then what is ready."""
    return entry["state"] == State.READY.value, "message" not in entry


def _shortened(told: Mapping[str, Any]) -> dict[str, Any]:
    """With the first words and the first drifted paths only."""
    cut = {name: value[:SHORT_TEXT] for name, value in told.items() if name in ("message", "have", "want")}
    return {**told, **cut} | _optional(drift=told.get("drift", [])[:SHORT_DRIFT])


def _size(status: Mapping[str, Any]) -> int:
    return len(json.dumps(status, separators=(",", ":")).encode())

"""A resource and what replaces it: whether its data can be carried over, the snapshot that carries them, and the end of the predecessor."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from securebase.core.driver import RETIRED, Driver, Observed, Restores, Saved, Snapshots, State, Target, replaced_grace
from securebase.core.errors import ReconcileError, Waiting
from securebase.core.plan import Action, Prior, Step
from securebase.core.policy import OnDelete, Policy
from securebase.core.subject import FIRST_POLL, Memory, NodeResult, World

FRESH_SECONDS = 3600.0
"""How old a snapshot may be for a successor to start from: what was written since is missing there."""

RETOLD_SECONDS = 3600.0
"""How often a predecessor that still serves is looked at only to tell its figures anew."""
ASKED_SECONDS = 900.0
"""How long a figure is told before it is asked for again, however often there is a pass: it moves, and each telling writes the status."""


def possible(step: Step, driver: Driver) -> Step:
    """The step; where its replacement could not start from what is there, with the reason, and then it is not carried out whoever approves it."""
    if step.action is not Action.REPLACE or step.observed is None or step.node.starts_empty or not isinstance(driver, Restores):
        return step
    return replace(step, refused="; ".join(driver.unrestorable(step.target.want(), step.observed)))


def predecessor_id(step: Step) -> str:
    """Under which id the incarnation before a step's own is remembered."""
    return f"{step.node.id}{RETIRED}{step.prior.incarnation - 1 if step.prior else 0}"


@dataclass(frozen=True, slots=True)
class Source:
    """What a successor starts from: the resource whose data it takes over, and what is remembered while that goes on (`remembered[0]` of the
    node itself; whatever stands there is stored with the snapshot's name before that is asked for)."""

    target: Target[Any]
    observed: Observed[Any]
    remembered: tuple[Prior, ...]


def snapshot_to_start_from(source: Source, driver: Snapshots, world: World, memory: Memory) -> str:
    """Name of the snapshot to be made or waited for. The one under way, unless it has grown old because nothing could be made from it: that
    one goes, and another is made. After a crash the same one is waited for, and none of an earlier replacement is ever taken for it."""
    node, name, now = source.remembered[0], source.remembered[0].snapshot, world.now()
    if name and now - memory.saved_at.setdefault(name, driver.saved_at(name) or math.inf) <= FRESH_SECONDS:
        return name
    if name and not driver.discard(source.observed, name):
        raise Waiting("Snapshotting", f"snapshot {name} is too old to start from, and cannot be removed yet")
    memory.saved_at.pop(name, None)
    name = source.target.identity.snapshot_name(node.id, now)
    memory.saved_at[name] = math.inf  # as long as it takes to be made, it does not grow old
    world.intend(*(replace(prior, snapshot=name) for prior in source.remembered))
    return name


def await_snapshot(source: Source, name: str, driver: Snapshots, world: World, memory: Memory, poll: float) -> None:
    """Returns once the snapshot is finished."""
    if driver.snapshot(source.target, source.observed, name) is not Saved.DONE:
        raise Waiting("Snapshotting", f"snapshot {name} is being made, for the replacement to start from", poll)
    memory.saved_at[name] = min(memory.saved_at.get(name, math.inf), world.now())


def tidied(prior: Prior, name: str, observed: Observed[Any], driver: Driver) -> tuple[Prior, str]:
    """What to remember where a replacement was given up: nothing, once its snapshot is gone; and why that could not be removed."""
    if not isinstance(driver, Snapshots):
        return prior, ""
    try:
        return (prior, "") if driver.discard(observed, name) else (replace(prior, snapshot=name), "")
    except ReconcileError as error:
        return replace(prior, snapshot=name), f"snapshot {name} of a replacement that was given up could not be removed: {error.message}"


def end_of_predecessor(step: Step, prior: Prior, driver: Driver, policy: Policy, memory: Memory, now: float) -> NodeResult | None:
    """How a predecessor stands whose successor, and all who use that, are ready; None where it may go.

    It serves for its grace. Then what goes with it must be kept in a last snapshot, or be known (whoever approved the replacement approved
    that), or its end waits for an approval of its own.
    """
    prior = replace(prior, retired_at=prior.retired_at or int(now))
    rest = prior.retired_at + replaced_grace(driver) - now
    holds_data = isinstance(driver, Snapshots)
    written, figures = _figures(step, driver, memory, now, fresh=rest <= 0 and not step.held)
    if rest > 0:
        told = f"replaced, and serves until {datetime.fromtimestamp(now + rest, UTC):%Y-%m-%dT%H:%MZ}. {figures}".strip()
        guards = prior.guards and not holds_data
        return NodeResult(replace(prior, guards=guards), State.READY.value, reason="Replaced", message=told, after=min(rest, RETOLD_SECONDS))
    lost = holds_data and policy.on_delete is not OnDelete.SNAPSHOT and not written
    if holds_data and lost != prior.guards:
        return NodeResult(replace(prior, guards=lost), State.READY.value, reason="Replaced", message=figures, after=FIRST_POLL)
    if not step.held:
        return None
    why = f"{figures} Approve its removal, or keep its data with policy.onDelete: Snapshot" if lost else "its removal waits for approval"
    return NodeResult(prior, "HELD", reason="ApprovalRequired", message=why)


def last_words(step: Step, memory: Memory) -> str:
    """What there is to tell of a predecessor whose removal is about to be asked for; "" where it holds no data, or was asked to go before."""
    known = memory.written.get(step.node.id)
    return _sentence(*known[1:]) if known is not None and step.observed is not None and step.observed.state is State.READY else ""


def _figures(step: Step, driver: Driver, memory: Memory, now: float, *, fresh: bool) -> tuple[str, str]:
    """What a predecessor was given that its successor lacks, "" = unknown; and that as a sentence, "" of what holds no data."""
    if not isinstance(driver, Snapshots):
        return "", ""
    asked_at, written, why = memory.written.get(step.node.id, (-math.inf, "", ""))
    if fresh or not written or now - asked_at >= ASKED_SECONDS * memory.settle_scale:
        written, why = _written_since(step, driver)
        memory.written[step.node.id] = now, written, why
    return written, _sentence(written, why)


def _sentence(written: str, why: str) -> str:
    return f"{written[0].upper()}{written[1:]}." if written else f"How much was written to it that its successor lacks is unknown{why}."


def _written_since(step: Step, driver: Snapshots) -> tuple[str, str]:
    """What a predecessor was given after its successor's snapshot, "" = unknown; and why it is."""
    if step.observed is None or step.prior is None or not step.prior.snapshot:
        return "", ""
    try:
        return driver.written_since(step.target, step.observed, step.prior.snapshot), ""
    except ReconcileError as error:
        return "", f" ({error.reason})"

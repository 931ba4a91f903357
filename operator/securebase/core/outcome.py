"""From what came of a pass to conditions and to when the key is looked at again. The only place that decides either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from securebase.core.conditions import READY, RECONCILING, STALLED, SYNCED, Condition
from securebase.core.driver import State
from securebase.core.errors import Denied, ReconcileError, ReferenceNotFound, Terminal, Transient, Waiting
from securebase.core.finalise import Farewell
from securebase.core.plan import Plan
from securebase.core.policy import Gate, Mode, Policy
from securebase.core.subject import FIRST_POLL, NodeResult, Report


@dataclass(frozen=True, slots=True)
class Outcome:
    """Conditions, and the requeue: `after` seconds, or `backoff` (the queue's own growing delay), or neither (the sweeper's interval)."""

    name: str
    conditions: tuple[Condition, ...]
    after: float | None = None
    backoff: bool = False


def of_report(report: Report, policy: Policy) -> Outcome:
    """The outcome of a pass that got as far as a plan."""
    lasting = [result for result in report.results if not (result.task or result.beside)]
    problem, synced, soonest = _gravest(lasting), _synced(report, policy), _soonest(report.results)
    if problem is not None:
        error = problem.problem or Transient(problem.reason, problem.message)
        return of_error(error, problem.prior.id, synced=synced, after=_soonest_of_its_own(report.results))
    moving = [result for result in lasting if result.state != State.READY.value]
    if not moving:
        return Outcome("ready", (Condition(READY, True, "Ready", f"{len(lasting)} resources are ready"), synced, *_still()), after=soonest)
    why = _told(moving)
    if policy.mode is not Mode.ENFORCE:
        return Outcome("observed", (Condition(READY, False, "NotReady", why), synced, *_still()))
    if all(result.state == "HELD" for result in moving):
        return Outcome("held", (Condition(READY, True, "Ready", "what there is is ready"), synced, *_still()))
    ready = Condition(READY, False, moving[0].reason or "Progressing", why)
    busy = Condition(RECONCILING, True, moving[0].reason or "Progressing", why)
    return Outcome("progressing", (ready, synced, busy, _not_stalled()), after=soonest or FIRST_POLL)


def of_more_to_come() -> Outcome:
    """The outcome of a pass that only now learned what else there has to be."""
    why = "what the rest is composed by came to be in this pass; the rest follows"
    busy = Condition(RECONCILING, True, "Composing", why)
    return Outcome("progressing", (Condition(READY, False, "Composing", why), Condition(SYNCED, False, "Progressing", why), busy, _not_stalled()), FIRST_POLL)


def of_error(error: ReconcileError, node: str = "", *, synced: Condition | None = None, after: float | None = None) -> Outcome:
    """The outcome of one of the four errors."""
    message = f"{node}: {error.message}" if node else error.message
    ready = Condition(READY, False, error.reason, message)
    unsynced = synced if synced is not None and synced.status is False and synced.reason != "Progressing" else Condition(SYNCED, False, error.reason, message)
    match error:
        case Waiting():
            busy = Condition(RECONCILING, True, error.reason, message)
            return Outcome("waiting", (ready, unsynced, busy, _not_stalled()), after=min(error.after, after or error.after))
        case Terminal():
            return Outcome("terminal", (ready, unsynced, _settled(), Condition(STALLED, True, error.reason, message)), after=after)
        case Denied():
            return Outcome("denied", (ready, unsynced, _settled(), Condition(STALLED, True, error.reason, message)), after, backoff=True)
        case _:
            busy = Condition(RECONCILING, True, error.reason, message)
            return Outcome("transient", (ready, unsynced, busy, _not_stalled()), after, backoff=True)


def of_farewell(farewell: Farewell) -> Outcome:
    """The outcome of a finalising pass that is not done."""
    problem = _gravest(farewell.results)
    if problem is not None and problem.problem is not None and not isinstance(problem.problem, Waiting):
        return of_error(problem.problem, problem.prior.id)
    why = _told(farewell.results)
    reason = next((result.reason for result in farewell.results if result.reason != "WaitingFor"), "Deleting")
    conditions = (
        Condition(READY, False, "Deleting", why),
        Condition(SYNCED, False, "Deleting", why),
        Condition(RECONCILING, True, reason, why),
        _not_stalled(),
    )
    return Outcome("deleting", conditions, after=_soonest(farewell.results) or FIRST_POLL)


def _gravest(results: Sequence[NodeResult]) -> NodeResult | None:
    """The problem a person must know first: Terminal, then Denied, then Transient, then a missing reference, then a wait."""
    order = (Terminal, Denied, Transient, Waiting)
    troubled = [result for result in results if result.problem is not None]

    def rank(result: NodeResult) -> tuple[int, bool]:
        kind = next(at for at, cls in enumerate(order) if isinstance(result.problem, cls))
        return kind, result.reason == "WaitingFor"

    return min(troubled, key=rank, default=None)


def _synced(report: Report, policy: Policy) -> Condition:
    plan: Plan = report.plan
    held = {to for step in plan.steps for to in step.held.values()}
    if policy.mode is not Mode.ENFORCE:
        if plan.is_empty():
            return Condition(SYNCED, True, "Synced", "nothing differs")
        changed = [step.node.id for step in plan.steps if step.changes]
        return Condition(SYNCED, False, "DriftObserved", f"differs and is left alone (policy.mode: {policy.mode.value}): {', '.join(changed[:5])}")
    if Gate.APPROVAL in held:
        return Condition(SYNCED, False, "ApprovalRequired", f"{_held(plan)}; approve with the annotation securebase.io/approve={plan.hash}")
    if Gate.WINDOW in held:
        return Condition(SYNCED, False, "OutsideWindow", f"{_held(plan)}; waits for policy.window")
    if Gate.IMPOSSIBLE in held:
        return Condition(SYNCED, False, "NotRestorable", _held(plan))
    if Gate.FIGHT in held:
        return Condition(SYNCED, False, "Fight", _held(plan))
    if any(result.state not in (State.READY.value, State.PENDING.value) for result in report.results if not result.task):
        return Condition(SYNCED, False, "Progressing", _told([r for r in report.results if r.state != State.READY.value]))
    return Condition(SYNCED, True, "Synced", "AWS holds what the spec says")


def _held(plan: Plan) -> str:
    held = [f"{step.node.id}.{path}" if path else f"removal of {step.node.id}" for step in plan.steps for path in step.held]
    more = f" and {len(held) - 5} more" if len(held) > 5 else ""
    return f"{', '.join(held[:5])}{more}"


def _told(results: Sequence[NodeResult]) -> str:
    parts = [f"{result.prior.id}: {result.message or result.reason or result.state.lower()}" for result in results]
    more = f"; and {len(parts) - 3} more" if len(parts) > 3 else ""
    return "; ".join(parts[:3]) + more


def _soonest_of_its_own(results: Sequence[NodeResult]) -> float | None:
    """When to look again although something failed: for what AWS works on or a reference that may appear, not for what waits for another."""
    return _soonest([result for result in results if result.state == State.PENDING.value or isinstance(result.problem, ReferenceNotFound)])


def _soonest(results: Sequence[NodeResult]) -> float | None:
    return min((result.after for result in results if result.after is not None), default=None)


def _settled() -> Condition:
    return Condition(RECONCILING, False, "Settled")


def _not_stalled() -> Condition:
    return Condition(STALLED, False, "NotStalled")


def _still() -> tuple[Condition, Condition]:
    return _settled(), _not_stalled()

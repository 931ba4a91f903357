"""What a pass leaves to be remembered of each resource: as observed, as applied, and what a replacement under way needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from securebase.core.diff import Applied
from securebase.core.driver import RETIRED, Observed, State
from securebase.core.graph import Graph, Role
from securebase.core.plan import Prior, Step
from securebase.core.subject import NodeResult, Subject


def somebody_elses(prior: Prior, observed: Observed[Any], after: float | None, graph: Graph, subject: Subject) -> NodeResult:
    """How what is somebody else's stands. What no node takes anything from may wait for a person for weeks: where something was composed by it, it
    is looked at again at the interval, else by sweeps alone."""
    result = NodeResult(prior, observed.state.value, reason=observed.reason, message=observed.message, after=after)
    if graph.is_needed(prior.id):
        return result
    beside = prior.id not in graph.gathered
    return replace(result, after=None if beside or after is None else subject.policy.interval, beside=beside)


def observed_only(step: Step, graph: Graph, subject: Subject) -> NodeResult:
    """What came of a step where nothing may be written."""
    wave = graph.removal_wave_of.get(step.node.id, 0)
    if step.problem is not None:
        return NodeResult(remembered(step, wave), "HELD", step.problem, drift=step.drift)
    if step.observed is None:
        return NodeResult(remembered(step, wave), "ABSENT", reason="Absent", message="does not exist", drift=step.drift)
    if step.node.role is Role.EXTERNAL:
        return somebody_elses(remembered(step, wave, step.observed), step.observed, None, graph, subject)
    applied = "" if step.changes or step.left else Applied.of(step.target.desired, subject.key).encode() if step.target.desired is not None else ""
    prior = remembered(step, wave, step.observed, applied or (step.prior.applied if step.prior else ""))
    return NodeResult(prior, step.observed.state.value, reason=step.observed.reason, message=step.observed.message, drift=(*step.drift, *step.observed.drifted))


def remembered(step: Step, wave: int, observed: Observed[Any] | None = None, applied: str | None = None, incarnation: int | None = None) -> Prior:
    """What is known of a step's resource now. Once it is ready, no snapshot waits for a successor any more: a later one starts from a new one.
    A predecessor's is told until its end."""
    before = step.prior or Prior(step.node.id, step.node.type)
    over = observed is not None and observed.state is State.READY and RETIRED not in step.node.id
    return Prior(
        step.node.id,
        step.node.type,
        observed.external_id if observed else before.external_id,
        step.node.region,
        step.node.role,
        step.node.guards,
        wave,
        before.applied if applied is None else applied,
        max(before.incarnation, observed.incarnation if observed else 0) if incarnation is None else incarnation,
        "" if over else before.snapshot,
        before.retired_at,
    )


def not_composed(graph: Graph, subject: Subject, results: Iterable[NodeResult]) -> tuple[NodeResult, ...]:
    """What an incomplete composition leaves out is not unwanted: it stays remembered until a complete one says so."""
    unseen = {name for name in subject.prior.keys() - {result.prior.id for result in results} if graph.spares(name)}
    return tuple(NodeResult(subject.prior[name], State.READY.value, reason="NotComposed") for name in sorted(unseen))

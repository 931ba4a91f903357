"""Taking one object's resources away again: by recorded external id, dependants first, a step at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from securebase.core.driver import RETIRED, Answer, Depth, Inventory, State, Target
from securebase.core.errors import ReconcileError, Waiting
from securebase.core.graph import Graph, Role
from securebase.core.observe import observe_graph, observe_priors, prior_target, targets_of
from securebase.core.plan import Prior
from securebase.core.policy import OnDelete
from securebase.core.removal import remove_keeping_data, used_by_others
from securebase.core.subject import FIRST_POLL, Memory, NodeResult, Subject, World

_REMOVED, _NOT_OURS = "Removed", "NotOurs"


@dataclass(frozen=True, slots=True)
class Farewell:
    """What came of one finalising pass.

    done        every resource is proven gone or retained: the finalizer may go
    left_alone  what was not touched, because it carries somebody else's identity
    """

    done: bool
    results: tuple[NodeResult, ...] = ()
    removed: tuple[str, ...] = ()
    left_alone: tuple[str, ...] = ()


def finalise(graph: Graph | None, subject: Subject, world: World, memory: Memory) -> Farewell:
    """One pass of deletion; called again until `done`.

    graph  what the spec still composes to, if it can be composed: finds by name what a lost status no longer records
    """
    if subject.policy.on_delete is OnDelete.RETAIN:
        return Farewell(True)
    if subject.policy.deletion_protection:
        why = Waiting("DeletionProtected", "policy.deletionProtection is true; set it to false to let the deletion go on", subject.policy.interval)
        return Farewell(False, tuple(_waiting(prior, why) for prior in subject.prior.values()))
    going = _everything(graph, subject, world)
    results: dict[str, NodeResult] = {}
    for wave in sorted({one.prior.wave for one in going.values()}, reverse=True):
        members = {name: one for name, one in going.items() if one.prior.wave == wave}
        blocking = sorted(name for name, result in results.items() if result.state != "ABSENT")
        for name, one in members.items():
            if blocking:
                results[name] = _waiting(one.prior, Waiting("WaitingFor", f"goes after {', '.join(blocking[:3])}", FIRST_POLL))
            else:
                results[name] = _leave(one, subject, world, memory)
    left = tuple(result for result in results.values() if result.state != "ABSENT")
    removed = tuple(name for name, result in results.items() if result.reason == _REMOVED)
    alone = tuple(result.message for result in results.values() if result.reason == _NOT_OURS)
    return Farewell(not left, left, removed, alone)


@dataclass(frozen=True, slots=True)
class _Going:
    """One resource that is to go, as just observed."""

    prior: Prior
    target: Target[Any]
    answer: Answer = None


def _everything(graph: Graph | None, subject: Subject, world: World) -> dict[str, _Going]:
    """Recorded resources, composed ones, and what carries this identity although neither knows it; each observed once."""
    going: dict[str, _Going] = {}
    if graph is not None:
        answers, attributes = observe_graph(graph, subject, world, Depth.FRESH)
        for name, target in targets_of(graph, subject, attributes).items():
            node = graph.nodes[name]
            if node.role is not Role.EXTERNAL:
                made = Prior(name, node.type, "", node.region, node.role, node.guards, graph.removal_wave_of[name])
                recorded = subject.prior.get(name)
                going[name] = _Going(recorded if recorded is not None and recorded.type == node.type else made, target, answers.get(name))
    alone = {name: prior for name, prior in subject.prior.items() if name not in going and prior.role is not Role.EXTERNAL}
    alone |= {prior.id: prior for prior in _found_by_identity(going, subject, world)}
    found = observe_priors(alone.values(), subject, world)
    return going | {name: _Going(prior, prior_target(prior, subject), found.get(name)) for name, prior in alone.items()}


def _found_by_identity(known: Mapping[str, _Going], subject: Subject, world: World) -> Iterator[Prior]:
    """What else carries this identity, as the drivers of the types at hand tell: asked when the status records nothing, so was lost."""
    if subject.prior:
        return
    for type_, region in sorted({(one.prior.type, one.prior.region) for one in known.values()}):
        driver = world.driver(type_, region or subject.region)
        if isinstance(driver, Inventory):
            for name, external_id in driver.owned(subject.identity).items():
                if name not in known or known[name].answer is None:
                    node = name.partition(RETIRED)[0]
                    yield Prior(name, type_, external_id, region, wave=known[node].prior.wave if node in known else 0)


def _leave(one: _Going, subject: Subject, world: World, memory: Memory) -> NodeResult:
    """One step towards absence of one resource; a failure is this resource's alone."""
    answer, target = one.answer, one.target
    if isinstance(answer, Exception):
        return _failed(one.prior, answer)
    if answer is None:
        return NodeResult(one.prior, "ABSENT")
    prior = replace(one.prior, external_id=answer.external_id)
    if answer.owner != target.owner and (answer.owner or not one.prior.external_id):
        told = f"{prior.type} {answer.external_id} does not carry this object's identity; it is left as it is"
        return NodeResult(prior, "ABSENT", reason=_NOT_OURS, message=told)
    if used_by_others(world, subject, prior, answer):
        return NodeResult(prior, "ABSENT")
    try:
        left = remove_keeping_data(world, subject, memory, prior, target, answer)
    except ReconcileError as error:
        return _failed(prior, error)
    memory.wrote_at[prior.id] = world.now()
    if left is None:
        return NodeResult(prior, "ABSENT", reason=_REMOVED)
    return NodeResult(prior, State.PENDING.value, reason="Deleting", message=left.message or left.reason, after=memory.poll_after(prior.id, world.now()))


def _waiting(prior: Prior, why: Waiting) -> NodeResult:
    return NodeResult(prior, "WAITING", why, why.reason, why.message, after=why.after)


def _failed(prior: Prior, error: Exception) -> NodeResult:
    if isinstance(error, Waiting):
        return _waiting(prior, error)
    if isinstance(error, ReconcileError):
        return NodeResult(prior, State.FAILED.value, error, error.reason, error.message)
    raise error

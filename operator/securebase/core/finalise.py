"""Taking one object's resources away again: by recorded external id, dependants first, a step at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from securebase.core.driver import Answer, Depth, Inventory, State, Target
from securebase.core.errors import ReconcileError, Waiting
from securebase.core.graph import Graph, Role
from securebase.core.observe import observe_batch, targets_of
from securebase.core.plan import Prior
from securebase.core.policy import OnDelete
from securebase.core.subject import FIRST_POLL, Memory, NodeResult, Subject, World


@dataclass(frozen=True, slots=True)
class Farewell:
    """What came of one finalising pass. `done`: every resource is proven gone or retained, the finalizer may go."""

    done: bool
    results: tuple[NodeResult, ...] = ()
    removed: tuple[str, ...] = ()


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
    removed: list[str] = []
    for wave in sorted({prior.wave for prior, _ in going.values()}, reverse=True):
        members = {name: target for name, (prior, target) in going.items() if prior.wave == wave}
        if any(result.state != "ABSENT" for result in results.values()):
            blocking = sorted(name for name, result in results.items() if result.state != "ABSENT")
            why = Waiting("WaitingFor", f"goes after {', '.join(blocking[:3])}", FIRST_POLL)
            results.update({name: _waiting(going[name][0], why) for name in members})
            continue
        for name, answer in _observe(members, going, subject, world).items():
            results[name] = _leave(going[name][0], members[name], answer, subject, world, memory)
            if results[name].state == "ABSENT" and answer is not None:
                removed.append(name)
    done = all(result.state == "ABSENT" for result in results.values())
    left = tuple(result for result in results.values() if result.state != "ABSENT")
    return Farewell(done, left, tuple(removed))


def _everything(graph: Graph | None, subject: Subject, world: World) -> dict[str, tuple[Prior, Target[Any]]]:
    """Recorded resources, composed ones, and what carries this identity although neither knows it."""
    going: dict[str, tuple[Prior, Target[Any]]] = {}
    if graph is not None:
        targets = targets_of(graph, subject, {})
        for node in graph:
            if node.role is not Role.EXTERNAL:
                prior = Prior(node.id, node.type, "", node.region, node.role, node.guards, graph.removal_wave_of[node.id])
                going[node.id] = (prior, targets[node.id])
    for name, prior in subject.prior.items():
        if prior.role is Role.EXTERNAL:
            continue
        composed = going.get(name)
        desired = composed[1].desired if composed is not None and composed[0].type == prior.type else None
        going[name] = (prior, Target(subject.identity, name, prior.type, desired, prior.external_id, prior.role))
    for prior in _found_by_identity(going, subject, world):
        going[prior.id] = (prior, Target(subject.identity, prior.id, prior.type, None, prior.external_id, prior.role))
    return going


def _found_by_identity(known: Mapping[str, tuple[Prior, Target[Any]]], subject: Subject, world: World) -> Iterable[Prior]:
    """Ask the drivers of the types at hand what else carries this identity: only when the status records nothing, so was lost."""
    if subject.prior:
        return
    for type_, region in sorted({(prior.type, prior.region) for prior, _ in known.values()}):
        driver = world.driver(type_, region or subject.region)
        if isinstance(driver, Inventory):
            for name, external_id in driver.owned(subject.identity).items():
                if name not in known:
                    yield Prior(name, type_, external_id, region, wave=0)


def _observe(members: Mapping[str, Target[Any]], going: Mapping[str, tuple[Prior, Target[Any]]], subject: Subject, world: World) -> dict[str, Answer]:
    batches: dict[tuple[str, str], list[Target[Any]]] = {}
    for name, target in members.items():
        batches.setdefault((target.type, going[name][0].region or subject.region), []).append(target)
    answers: dict[str, Answer] = {}
    for (type_, region), targets in batches.items():
        answers.update(observe_batch(world, type_, region, targets, Depth.FRESH))
    return answers


def _leave(prior: Prior, target: Target[Any], answer: Answer, subject: Subject, world: World, memory: Memory) -> NodeResult:
    """One step towards absence of one resource; a failure is this resource's alone."""
    if isinstance(answer, Exception):
        return _failed(prior, answer)
    if answer is None:
        return NodeResult(prior, "ABSENT")
    prior = replace(prior, external_id=answer.external_id)
    if answer.owner != target.owner:
        return NodeResult(prior, "ABSENT", reason="NotOurs", message=f"{prior.type} {answer.external_id} does not carry this identity; it is left alone")
    if prior.role is Role.SHARED and world.used_elsewhere(subject.identity, prior.type, answer.external_id):
        return NodeResult(prior, "ABSENT")
    try:
        left = world.driver(prior.type, prior.region or subject.region).delete(target, answer)
    except ReconcileError as error:
        return _failed(prior, error)
    memory.wrote_at[prior.id] = world.now()
    if left is None:
        return NodeResult(prior, "ABSENT")
    return NodeResult(prior, State.PENDING.value, reason="Deleting", message=left.message or left.reason, after=memory.poll_after(prior.id, world.now()))


def _waiting(prior: Prior, why: Waiting) -> NodeResult:
    return NodeResult(prior, "WAITING", why, why.reason, why.message, after=why.after)


def _failed(prior: Prior, error: Exception) -> NodeResult:
    if isinstance(error, Waiting):
        return _waiting(prior, error)
    if isinstance(error, ReconcileError):
        return NodeResult(prior, State.FAILED.value, error, error.reason, error.message)
    raise error

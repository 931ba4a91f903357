"""Observing one object's resources, wave by wave and in batches, and the plan that follows. Reads only."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from securebase.core.driver import Answer, Depth, Observed, Target
from securebase.core.errors import ReconcileError, Transient
from securebase.core.graph import Attributes, Graph, Known, Node, Role, resolve
from securebase.core.handover import removed_later, steps_in_order
from securebase.core.plan import Plan, Prior, Step, gated, node_step, prune_step
from securebase.core.subject import Subject, World
from securebase.core.succession import possible

log = logging.getLogger(__name__)


def targets_of(graph: Graph, subject: Subject, attributes: Attributes, nodes: Iterable[Node] | None = None) -> dict[str, Target[Any]]:
    """A target per node (of the graph, or of those given), references filled in as far as known."""
    return {node.id: target_of(node, subject, attributes) for node in (graph if nodes is None else nodes)}


def target_of(node: Node, subject: Subject, attributes: Attributes) -> Target[Any]:
    known = _recorded(node, subject)
    desired = resolve(node.desired, attributes).desired
    if known is None or known.type != node.type:
        return Target(subject.identity, node.id, node.type, desired, role=node.role)
    return Target(subject.identity, node.id, node.type, desired, known.external_id, node.role, known.incarnation)


def _recorded(node: Node, subject: Subject) -> Prior | None:
    """What is remembered of a node. What is somebody else's is found by what is wanted now, and never remembered as our own."""
    known = subject.prior.get(node.id)
    return None if known is None or Role.EXTERNAL in (known.role, node.role) else known


def prunable(graph: Graph, subject: Subject) -> dict[str, Prior]:
    """What the last status holds and the spec no longer wants. Nothing when the composition is incomplete."""
    ours = {name: prior for name, prior in subject.prior.items() if prior.role is not Role.EXTERNAL and not graph.spares(name)}
    return {name: prior for name, prior in ours.items() if name not in graph.nodes or graph.nodes[name].type != prior.type}


def external_ids(priors: Mapping[str, Prior]) -> frozenset[str]:
    """What recorded resources are called outside."""
    return frozenset(prior.external_id for prior in priors.values() if prior.external_id)


def observe_graph(
    graph: Graph, subject: Subject, world: World, depth: Depth, cached: Mapping[str, Observed[Any]] | None = None
) -> tuple[dict[str, Answer], Known]:
    """Observe every node, wave by wave, one call a type and region. `cached` observations are taken as they are."""
    answers: dict[str, Answer] = {}
    attributes = Known()
    for wave in graph.reading_waves:
        batches: dict[tuple[str, str], list[Target[Any]]] = {}
        for node in wave:
            if cached and node.id in cached:
                answers[node.id] = cached[node.id]
            else:
                batches.setdefault((node.type, node.region or subject.region), []).append(target_of(node, subject, attributes))
        for (type_, region), targets in batches.items():
            answers.update(observe_batch(world, type_, region, targets, depth))
        for node in wave:
            if isinstance(found := answers.get(node.id), Observed):
                attributes.note(node.id, found.attributes, found.secrets)
    return answers, attributes


def observe_batch(world: World, type_: str, region: str, targets: list[Target[Any]], depth: Depth) -> dict[str, Answer]:
    """Answers of one driver by node id; a driver's failure as a whole is every target's answer."""
    answers: dict[str, Answer] = {target.node: None for target in targets if _nowhere(target)}
    asked = [target for target in targets if target.node not in answers]
    try:
        found = world.driver(type_, region).observe(asked, depth) if asked else {}
    except ReconcileError as error:
        return answers | {target.node: error for target in asked}
    except Exception as error:  # one odd document must not take its siblings along; the log has the words, which may hold a secret
        log.exception("observing %s in %s failed unexpectedly", type_, region)
        return answers | {target.node: Transient("Unexpected", f"{type(error).__name__} (see the operator's log)") for target in asked}
    return answers | {target.node: found.get(target.key) for target in asked}


def _nowhere(target: Target[Any]) -> bool:
    """Neither wanted nor ever recorded outside: it never came to be."""
    return target.desired is None and not target.external_id


def make_plan(
    graph: Graph,
    subject: Subject,
    world: World,
    answers: Mapping[str, Answer],
    pruned: Mapping[str, Answer],
    attributes: Attributes,
    granted: frozenset[str] = frozenset(),
) -> Plan:
    """The plan of one object, gates put on."""
    now = datetime.fromtimestamp(world.now(), UTC)
    leaving = prunable(graph, subject)
    gone = external_ids(leaving)

    def step_of(node: Node) -> Step:
        target, recorded = target_of(node, subject, attributes), _recorded(node, subject)
        step = node_step(node, target, answers.get(node.id), recorded, subject.policy, subject.key, gone)
        return possible(step, world.driver(node.type, node.region or subject.region))

    steps, keeps = steps_in_order(tuple(graph), step_of, world.now())
    for name in sorted(leaving, key=lambda name: -leaving[name].wave):
        step = prune_step(leaving[name], prior_target(leaving[name], subject), pruned.get(name))
        steps.append(removed_later(step) if keeps else step)
    return gated(Plan(tuple(steps)), subject.policy, now, subject.approved, granted)


def prior_target(prior: Prior, subject: Subject) -> Target[Any]:
    """A target known by its recorded external id alone."""
    return Target(subject.identity, prior.id, prior.type, None, prior.external_id, prior.role, prior.incarnation)


def observe_priors(priors: Iterable[Prior], subject: Subject, world: World) -> dict[str, Answer]:
    """Observe recorded resources, one call a type and region."""
    batches: dict[tuple[str, str], list[Target[Any]]] = {}
    for prior in priors:
        batches.setdefault((prior.type, prior.region or subject.region), []).append(prior_target(prior, subject))
    answers: dict[str, Answer] = {}
    for (type_, region), targets in batches.items():
        answers.update(observe_batch(world, type_, region, targets, Depth.FRESH))
    return answers

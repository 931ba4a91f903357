"""One object's plan for a command: the operator's engine up to the point where it would write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from securebase.cli.surroundings import no_intents
from securebase.core.driver import Checks, Depth
from securebase.core.errors import ReconcileError
from securebase.core.kind import Kind
from securebase.core.observe import make_plan, observe_graph, observe_priors, prunable
from securebase.core.plan import Action, Plan
from securebase.runtime.engine import Composed, Request, Sources, compose, owned
from securebase.runtime.shared import AccountWorld, Process


@dataclass(frozen=True, slots=True)
class Planned:
    """One object and its plan, or why there is none."""

    kind: str
    namespace: str
    name: str
    plan: Plan | None = None
    problem: str = ""
    refused: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """How a person names it."""
        return f"{self.kind} {self.namespace}/{self.name}"

    def troubles(self) -> list[str]:
        """What would keep the operator from carrying it out."""
        held = [f"{step.node.id}: {step.problem.message}" for step in self.plan.steps if step.problem is not None] if self.plan else []
        return [*([self.problem] if self.problem else ()), *held, *self.refused]

    def as_document(self) -> dict[str, Any]:
        """For `-o json`."""
        document: dict[str, Any] = {"kind": self.kind, "namespace": self.namespace, "name": self.name, "problems": self.troubles()}
        if self.plan is not None:
            steps = [
                {
                    "resource": step.node.id,
                    "type": step.node.type,
                    "action": step.action.value,
                    "externalId": step.observed.external_id if step.observed else None,
                    "changes": [
                        {"path": change.path, "have": change.have, "want": change.want, "impact": change.impact.value, "cause": change.cause.value}
                        | ({"gate": step.held[change.path].value} if change.path in step.held else {})
                        for change in step.changes
                    ],
                }
                for step in self.plan.steps
                if step.action.value != "NONE"
            ]
            document |= {"hash": self.plan.hash, "impact": self.plan.impact.value, "steps": steps}
        return document


def planned(request: Request, process: Process, sources: Sources, *, search: bool) -> Planned:
    """The plan of one object. `search`: there is no status, so what carries its identity is looked for outside."""
    identity = request.identity
    try:
        composed = compose(request, process, sources)
        world = process.world(composed.account, no_intents)
        if search:
            composed = _with_inventory(request.kind, composed, world)
        answers, attributes = observe_graph(composed.graph, composed.subject, world, Depth.FRESH)
        pruned = observe_priors(prunable(composed.graph, composed.subject).values(), composed.subject, world)
        plan = make_plan(composed.graph, composed.subject, world, answers, pruned, attributes)
    except ReconcileError as error:
        return Planned(identity.kind, identity.namespace, identity.name, problem=str(error))
    return Planned(identity.kind, identity.namespace, identity.name, plan, refused=tuple(_refused(plan, composed, world)))


def _refused(plan: Plan, composed: Composed, world: AccountWorld) -> Iterator[str]:
    """What would be written and is known to be refused, before anybody tries."""
    for step in plan.steps:
        if step.refused:
            yield f"{step.node.id}: {step.refused}"
        driver = world.driver(step.node.type, step.node.region or composed.subject.region)
        if step.action in (Action.CREATE, Action.UPDATE, Action.REPLACE) and step.target.desired is not None and isinstance(driver, Checks):
            yield from (f"{step.node.id}: {wrong}" for wrong in driver.problems(step.target.desired))


def _with_inventory(kind: Kind, composed: Composed, world: AccountWorld) -> Composed:
    """The object with what carries its identity outside although the spec no longer wants it: those would be pruned."""
    regions = sorted({node.region or composed.subject.region for node in composed.graph})
    where = ((type_, region) for region in regions for type_ in sorted(kind.types))
    found = {name: prior for name, prior in owned(composed.subject, world, where).items() if name not in composed.graph.nodes}
    return replace(composed, subject=replace(composed.subject, prior=found))

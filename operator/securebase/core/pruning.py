"""The end of a pass: what no node of the graph is any more goes, once all that is wanted is ready."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from securebase.core.driver import IN_USE, RETIRED, Observed, State
from securebase.core.errors import Waiting
from securebase.core.plan import Plan, Prior, Step
from securebase.core.removal import remove_keeping_data, used_by_others
from securebase.core.subject import Memory, NodeResult, Subject, World
from securebase.core.succession import RETOLD_SECONDS, end_of_predecessor, last_words


@dataclass(frozen=True, slots=True)
class Pruning:
    """Takes one step of a plan towards its absence.

    prior_now   what to remember of a step
    wanted      how every node of the graph stands
    removed     ids of what is gone
    last_words  what there is to tell of something before its removal is asked for
    """

    plan: Plan
    subject: Subject
    world: World
    memory: Memory
    prior_now: Callable[[Step], Prior]
    wanted: Sequence[Prior]
    removed: list[str] = field(default_factory=list)
    last_words: list[str] = field(default_factory=list)

    def later(self, step: Step) -> NodeResult:
        """While not everything is ready."""
        if step.problem is not None:
            raise step.problem
        if step.observed is None:
            return NodeResult(self.prior_now(step), "ABSENT")
        return NodeResult(self.prior_now(step), "WAITING", reason="PruneLater", message="removed once everything else is ready", after=self._poll(step))

    def now(self, step: Step) -> NodeResult:
        """Its removal, unless something speaks against it."""
        if step.problem is not None:
            raise step.problem
        if step.observed is None:
            return NodeResult(self.prior_now(step), "ABSENT")
        prior = self.prior_now(step)
        if step.held and RETIRED not in prior.id:
            return NodeResult(prior, "HELD", reason="ApprovalRequired", message="its removal waits for approval")
        if self._is_wanted(prior, step.observed) or used_by_others(self.world, self.subject, prior, step.observed):
            return NodeResult(prior, "ABSENT")
        if RETIRED in prior.id:  # its successor and all who use it are ready: from here on nobody needs it
            driver = self.world.driver(step.node.type, step.node.region or self.subject.region)
            stays = end_of_predecessor(step, prior, driver, self.subject.policy, self.memory, self.world.now())
            if stays is not None:
                return stays
            if words := last_words(step, self.memory):
                self.last_words.append(f"{prior.id}: {words}")
        return self._remove(step, prior, step.observed)

    def _remove(self, step: Step, prior: Prior, observed: Observed[Any]) -> NodeResult:
        scope = f"{self.subject.identity.kind} {self.subject.identity.namespace}/{self.subject.identity.name}"
        self.world.admit_deletion(scope, observed.about or step.node.id, len(self.subject.prior), confirmed=self.subject.confirmed)
        try:
            left = remove_keeping_data(self.world, self.subject, self.memory, prior, step.target, observed)
        except Waiting as why:
            if why.reason == IN_USE and self._predecessor_serves():
                return _goes_with_it(prior)
            raise
        if left is None:
            self.removed.append(step.node.id)
            return NodeResult(self.prior_now(step), "ABSENT")
        if left.reason == IN_USE and self._predecessor_serves():
            return _goes_with_it(prior)
        return NodeResult(self.prior_now(step), State.PENDING.value, reason="Deleting", message=left.message, after=self._poll(step))

    def _is_wanted(self, prior: Prior, observed: Observed[Any]) -> bool:
        """Whether a node of the graph is that very resource: taken for its own successor after a crash, or under another id."""
        return any((one.type, one.region, one.external_id) == (prior.type, prior.region, observed.external_id) for one in self.wanted)

    def _predecessor_serves(self) -> bool:
        return any(RETIRED in step.node.id and isinstance(step.observed, Observed) for step in self.plan.steps)

    def _poll(self, step: Step) -> float:
        return self.memory.poll_after(step.node.id, self.world.now())


def _goes_with_it(prior: Prior) -> NodeResult:
    """Used by what was replaced, for its grace: meanwhile the object is as ready as it will be."""
    return NodeResult(prior, State.READY.value, reason="Replaced", message="goes with what was replaced, which still uses it", after=RETOLD_SECONDS)

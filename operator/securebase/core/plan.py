"""What would be done to make one object's resources match, step by step, and the hash a person approves. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from securebase.core.diff import Applied, Cause, Change, diff
from securebase.core.driver import Answer, Observed, Target
from securebase.core.errors import ReconcileError, ReferenceNotFound, Terminal, Transient
from securebase.core.fields import Impact, Paths, graft, leaves
from securebase.core.graph import Grows, HandsOver, Node, Role, shown
from securebase.core.policy import Adopt, Gate, Policy, gate


class Action(StrEnum):
    """What a step does."""

    NONE = "NONE"
    CREATE = "CREATE"
    ADOPT = "ADOPT"
    UPDATE = "UPDATE"
    REPLACE = "REPLACE"
    DELETE = "DELETE"
    HOLD = "HOLD"  # nothing, for the reason in `problem`


@dataclass(frozen=True, slots=True)
class Prior:
    """One resource as the last status remembers it.

    snapshot    name of the snapshot its next incarnation starts from, while it is being replaced
    retired_at  Unix seconds at which its successor, and all who use that, were ready; 0 = not yet, or it is nobody's predecessor
    """

    id: str
    type: str
    external_id: str = ""
    region: str = ""
    role: Role = Role.OWNED
    guards: bool = False
    wave: int = 0
    applied: str = ""
    incarnation: int = 0
    snapshot: str = ""
    retired_at: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One node's part of a plan. `changes` holds what differs, `held` the subset that a gate holds back, `refused` why a replacement that is
    wanted is impossible. `left`: what differs is not even told, because it was composed without something that is not known yet."""

    node: Node
    target: Target[Any]
    action: Action
    observed: Observed[Any] | None = None
    changes: tuple[Change, ...] = ()
    held: Mapping[str, Gate] = field(default_factory=dict)
    problem: ReconcileError | None = None
    prior: Prior | None = None
    refused: str = ""
    left: bool = False

    @property
    def drift(self) -> tuple[str, ...]:
        """Paths somebody changed outside."""
        return tuple(change.path for change in self.changes if change.drifted)

    def allowed(self) -> tuple[Change, ...]:
        """The changes no gate holds back."""
        return tuple(change for change in self.changes if change.path not in self.held)


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps of one pass, in execution order; deletions last.

    approved  the hash by which a person opened its gates in this very pass
    granted   the changes that were approved, now or in an earlier pass, and are not carried out yet
    """

    steps: tuple[Step, ...]
    approved: str = ""
    granted: frozenset[str] = frozenset()

    @property
    def hash(self) -> str:
        """SHA-256 over the sorted (resource, path, wanted value, impact) of what needs approval; "" when nothing needs approval.

        Neither observed values nor times nor UIDs enter, so that `securebase plan` prints the same hash before the merge.
        """
        gated = sorted(_key(step, change) for step in self.steps for change in step.changes if step.held.get(change.path) is Gate.APPROVAL)
        return hashlib.sha256(json.dumps(gated).encode()).hexdigest()[:16] if gated else ""

    @property
    def pending(self) -> dict[Impact, int]:
        """How many changes of each impact are still to be made."""
        counts = dict.fromkeys(Impact, 0)
        for step in self.steps:
            for change in step.changes[:1] if step.action is Action.CREATE else step.changes:
                counts[change.impact] += 1
        return counts

    @property
    def impact(self) -> Impact:
        """The gravest impact of all changes."""
        order = list(Impact)
        return max((change.impact for step in self.steps for change in step.changes), key=order.index, default=Impact.ONLINE)

    def is_empty(self) -> bool:
        """Whether nothing at all would be done."""
        return all(step.action is Action.NONE for step in self.steps)


EXISTENCE = ""
"""The path of a change that makes or removes a whole resource."""


def node_step(node: Node, target: Target[Any], answer: Answer, prior: Prior | None, policy: Policy, key: bytes, leaving: frozenset[str] = frozenset()) -> Step:
    """The step that makes one node match its observation. Gates are put on later, by `gated`. `leaving`: external ids of what the object removes."""
    if isinstance(answer, ReconcileError):
        return Step(node, target, Action.HOLD, problem=answer, prior=prior)
    if isinstance(answer, Exception):
        return Step(node, target, Action.HOLD, problem=Transient("Unexpected", type(answer).__name__), prior=prior)
    if node.role is Role.EXTERNAL:
        if answer is None:
            return Step(node, target, Action.HOLD, problem=ReferenceNotFound(f"{node.type} {node.id} does not exist"), prior=prior)
        return Step(node, target, Action.NONE, observed=answer)
    if node.task and answer is not None and answer.value != target.desired:
        answer = prior = None  # what was asked for before: this is another request
    applied = Applied.decode(prior.applied) if prior else None
    if answer is None:
        known = prior is not None and bool(prior.external_id)
        missing = Change(EXISTENCE, None, "present", Impact.ONLINE, Cause.DRIFT if known and applied else Cause.PENDING)
        return Step(node, target, Action.CREATE, changes=(missing, *_contents(node.desired)), prior=prior)
    if problem := _not_ours(node, target, answer, policy, prior):
        return Step(node, target, Action.HOLD, observed=answer, problem=problem, prior=prior)
    wanted = _losing_nothing(node, target.desired, answer.value, leaving)
    target = target if wanted is None else replace(target, desired=wanted)
    changes = tuple(
        change for change in diff(target.desired, answer.value, applied, key, ignore=policy.ignored(node.id)) if change.path not in answer.under_way
    )
    action = _action(answer, target, changes)
    if wanted is None and action is Action.UPDATE:  # a lookup that failed tells so itself; one that is under way is nobody's problem
        return Step(node, target, Action.NONE, answer, prior=prior, left=True)
    return Step(node, target, action, answer, changes, prior=prior)


def _losing_nothing(node: Node, desired: Any, there: Any, leaving: frozenset[str]) -> Any | None:
    """What is wanted; of what was composed without something that could not be looked up, or is not taken over elsewhere yet, with all that is
    there. None where that cannot be told."""
    if node.partial:
        return desired.grown(there, leaving) if isinstance(desired, Grows) else None
    return desired.kept(there) if node.keeps_until and isinstance(desired, HandsOver) else desired


def _contents(desired: Any) -> Iterable[Change]:
    """A creation's values, as a person reads them in a plan."""
    for path, leaf in sorted(leaves(desired).items()):
        if leaf.value not in (None, "", (), False):
            want = str(leaf.value) if leaf.secret else shown(leaf.value)
            yield Change(path, None, want, Impact.ONLINE)


def _not_ours(node: Node, target: Target[Any], found: Observed[Any], policy: Policy, prior: Prior | None) -> Terminal | None:
    if found.owner == target.owner:
        if policy.adopt is Adopt.NEVER and prior is None and node.role is Role.OWNED:
            return Terminal("AdoptionRefused", f"{node.type} {found.external_id} exists and carries this object's identity, but policy.adopt is Never")
        return None
    if found.owner:
        return Terminal("OwnedByAnother", f"{node.type} {found.external_id} belongs to {found.owner}; it is never taken over")
    if policy.adopt is Adopt.ALWAYS:
        return None
    return Terminal("NotOwned", f"{node.type} {found.external_id} exists and is not ours; set policy.adopt: Always to take it over, or remove it")


def _action(found: Observed[Any], target: Target[Any], changes: tuple[Change, ...]) -> Action:
    if any(change.impact is Impact.REPLACE for change in changes):
        return Action.REPLACE
    if not found.owner and target.role is Role.OWNED:
        return Action.ADOPT
    return Action.UPDATE if changes else Action.NONE


def prune_step(prior: Prior, target: Target[Any], answer: Answer) -> Step:
    """The step that removes what the spec no longer wants; found by its recorded external id."""
    node = Node(prior.id, prior.type, None, prior.region, prior.role, guards=prior.guards)
    if isinstance(answer, ReconcileError):
        return Step(node, target, Action.HOLD, problem=answer, prior=prior)
    if isinstance(answer, Exception):
        return Step(node, target, Action.HOLD, problem=Transient("Unexpected", type(answer).__name__), prior=prior)
    if answer is None:
        return Step(node, target, Action.DELETE, prior=prior)
    if answer.owner and answer.owner != target.owner:
        problem = Terminal("OwnedByAnother", f"{prior.type} {answer.external_id} now belongs to {answer.owner}; it is left alone")
        return Step(node, target, Action.HOLD, observed=answer, problem=problem, prior=prior)
    impact = Impact.PROTECTION_LOSS if prior.guards else Impact.ONLINE
    return Step(node, target, Action.DELETE, answer, (Change(EXISTENCE, "present", None, impact),), prior=prior)


def _key(step: Step, change: Change) -> str:
    """What identifies a change to whoever approves it."""
    return json.dumps([step.node.id, change.path, json.dumps(change.want, default=str), change.impact.value])


def gated(plan: Plan, policy: Policy, now: datetime, approved: str, granted: frozenset[str] = frozenset()) -> Plan:
    """The plan with every change that may not happen yet marked.

    `approved` is the hash a person approved: it opens all that waits for approval, never a window. `granted` are changes approved
    in an earlier pass: they stay open until they are carried out, though the hash of what is left is another.
    """
    marked = Plan(tuple(_with_gates(step, policy, now) for step in plan.steps))
    waiting = {_key(step, change): (step, change) for step in marked.steps for change in step.changes if step.held.get(change.path) is Gate.APPROVAL}
    left = Plan(tuple(_opened(step, granted) for step in marked.steps))
    if approved and approved in (marked.hash, left.hash):
        return Plan(tuple(_opened(step, frozenset(waiting)) for step in marked.steps), approved, frozenset(waiting))
    return Plan(left.steps, granted=granted & waiting.keys())


def _opened(step: Step, granted: frozenset[str]) -> Step:
    opened = {change.path for change in step.changes if _key(step, change) in granted}
    return replace(step, held={path: to for path, to in step.held.items() if to is not Gate.APPROVAL or path not in opened})


def _with_gates(step: Step, policy: Policy, now: datetime) -> Step:
    def to(change: Change) -> Gate:
        return Gate.IMPOSSIBLE if step.refused and change.impact is Impact.REPLACE else gate(change.impact, policy, now)

    return replace(step, held={change.path: held for change in step.changes if (held := to(change)) is not Gate.NOW})


def wanted_now(step: Step, desired: Any, policy: Policy) -> Any:
    """What to write now: ignored paths and held changes stand as they are outside."""
    if step.observed is None:
        return desired
    return graft(desired, step.observed.value, Paths([*step.held, *policy.ignore_paths(step.node.id)]))

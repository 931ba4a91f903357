"""What moves from one resource of an object to another: it is added there first, and taken out here once it is there. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from securebase.core.errors import Waiting
from securebase.core.graph import HandsOver, Node
from securebase.core.plan import Action, Step

_AGAIN_SECONDS: Final = 2.0


def steps_in_order(nodes: Sequence[Node], step_of: Callable[[Node], Step], now: float) -> tuple[list[Step], bool]:
    """A step for each node, and whether any keeps what another is to take over. One that does is due again at once: the next pass takes it out."""
    plain = {node.id: step_of(replace(node, keeps_until=frozenset()) if node.keeps_until else node) for node in nodes}
    lacking = {name for name, step in plain.items() if _lacks(step)}
    steps, keeps = [], False
    for node in nodes:
        step = plain[node.id]
        if node.keeps_until & lacking and not node.partial and step.observed is not None:
            kept = step_of(node)
            if kept.target.desired != step.target.desired and kept.observed is not None:
                step, keeps = replace(kept, observed=replace(kept.observed, again_at=now)), True
        steps.append(step)
    return steps, keeps


def removed_later(step: Step) -> Step:
    """The removal of what may still be in something that keeps it."""
    if step.action is not Action.DELETE or step.observed is None:
        return step
    return replace(step, problem=Waiting("PruneLater", "removed once others have taken over what it was for", _AGAIN_SECONDS))


def _lacks(step: Step) -> bool:
    """Whether a step has still to add something. What matches lacks nothing, whatever was left to somebody else."""
    desired = step.target.desired
    if step.action is Action.NONE or not isinstance(desired, HandsOver):
        return False
    return step.observed is None or desired.lacks(step.observed.value)

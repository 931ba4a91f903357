"""One step towards the absence of one resource, as pruning and finalising both take it."""

from __future__ import annotations

from typing import Any

from securebase.core.driver import IN_USE, Observed, Snapshots, Target
from securebase.core.errors import Waiting
from securebase.core.graph import Role
from securebase.core.plan import Prior
from securebase.core.policy import OnDelete
from securebase.core.subject import Memory, Subject, World

SHARED_PATIENCE_SECONDS = 900.0
"""How long a shared resource that none of our objects uses is tried again while AWS calls it in use: longer than a distribution takes to
stop using a policy. Then somebody else uses it, and it is theirs to keep."""


def used_by_others(world: World, subject: Subject, prior: Prior, observed: Observed[Any]) -> bool:
    """Whether another of our objects uses, or is about to use, this shared resource."""
    if prior.role is not Role.SHARED:
        return False
    names = {observed.external_id, str(getattr(observed.value, "name", ""))} - {""}
    return any(world.used_elsewhere(subject.identity, prior.type, name) for name in names)


def remove(world: World, subject: Subject, memory: Memory, prior: Prior, target: Target[Any], observed: Observed[Any]) -> Observed[Any] | None:
    """The driver's next step of a deletion; None = gone, or let go of."""
    driver = world.driver(prior.type, prior.region or subject.region)
    try:
        left = driver.delete(target, observed)
    except Waiting as why:
        if prior.role is not Role.SHARED or why.reason != IN_USE:
            raise
        if world.now() - memory.in_use_since.setdefault(prior.id, world.now()) <= SHARED_PATIENCE_SECONDS:
            raise
        left = None
    memory.in_use_since.pop(prior.id, None)
    return left


def remove_keeping_data(world: World, subject: Subject, memory: Memory, prior: Prior, target: Target[Any], observed: Observed[Any]) -> Observed[Any] | None:
    """The same at an object's end: what holds data leaves a snapshot where the policy says so. The snapshot's name has the second in it,
    because an object of the same identity may have left one before."""
    driver = world.driver(prior.type, prior.region or subject.region)
    if subject.policy.on_delete is not OnDelete.SNAPSHOT or not isinstance(driver, Snapshots):
        return remove(world, subject, memory, prior, target, observed)
    return driver.delete_with_snapshot(target, observed, subject.identity.snapshot_name(prior.id, world.now()))

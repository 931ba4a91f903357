"""The outside names of ElastiCache's resources, whose successors stand beside what they replace."""

from __future__ import annotations

from typing import Any, Protocol

from securebase.core.driver import Target, incarnated_name
from securebase.resources.tagging import unresolved


class Named(Protocol):
    """A desired value that says its name."""

    @property
    def name(self) -> str: ...


def outside_name(target: Target[Any], limit: int) -> str:
    """What to look for: the recorded id, else the name of this incarnation; "" while that is not known."""
    if target.external_id or target.desired is None:
        return target.external_id
    return made_as(target.desired, target, limit)


def made_as(want: Named, target: Target[Any], limit: int) -> str:
    """The name this incarnation of a target is made with; "" while it is not known."""
    return "" if unresolved(want.name) else incarnated_name(want.name, target, limit)


def told_name(outside: str, target: Target[Any], limit: int) -> str:
    """A name read outside, as the model says it: an incarnation's name counts as the wanted one."""
    want = target.desired
    return str(want.name) if want is not None and outside == made_as(want, target, limit) else outside

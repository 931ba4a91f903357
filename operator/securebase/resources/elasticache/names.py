"""The outside names of ElastiCache's resources, whose successors stand beside what they replace."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, Protocol

from securebase.core.driver import Target, incarnated_name
from securebase.resources.tagging import unresolved

_COUNTED: Final = re.compile(r"-([1-9][0-9]{0,3})$")


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


def count_in(outside: str) -> int:
    """The number at the end of a successor's name; 0 where there is none."""
    counted = _COUNTED.search(outside)
    return int(counted[1]) if counted else 0


def by_age(names: Iterable[str]) -> list[str]:
    """Names of a resource and of its successors, the oldest first."""
    return sorted(names, key=lambda name: (count_in(name), len(name), name))


def incarnation_in(outside: str, target: Target[Any], limit: int) -> int:
    """Which incarnation a name read outside is of, also where the status that counted them was lost."""
    number = count_in(outside)
    named = target.desired is not None and outside == made_as(target.desired, replace(target, incarnation=number), limit)
    return number if named else target.incarnation


def is_made_as(outside: str, name: str, target: Target[Any], limit: int) -> bool:
    """Whether a name read outside is that of an incarnation of what is named so."""
    counted = _COUNTED.search(outside)
    known = {0, target.incarnation, int(counted[1]) if counted else 0}  # a status that was lost no longer counts
    return outside in {incarnated_name(name, replace(target, incarnation=number), limit) for number in known}


def told_name(outside: str, target: Target[Any], limit: int) -> str:
    """A name read outside, as the model says it: an incarnation's name counts as the wanted one."""
    want = target.desired
    if want is None or unresolved(want.name):
        return outside
    known = {0, target.incarnation, count_in(outside)}  # a status that was lost no longer counts
    return str(want.name) if outside in {incarnated_name(want.name, replace(target, incarnation=number), limit) for number in known} else outside

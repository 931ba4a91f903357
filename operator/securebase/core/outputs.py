"""What an object tells others, from one pass to the next: what stays as it was told while it cannot be read, and what is taken back at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Promised(str):
    """A list, with commas between, of what others may go by: what is no longer in it is about to go. It is told at once, also when it is empty,
    because what others still use may not be removable (an alarm in a composite).
    """

    __slots__ = ()


class SoFar(Promised):
    """Such a list, not all of which could be read: what was told before stands beside it."""

    __slots__ = ()


def listed(text: str) -> tuple[str, ...]:
    """The entries of a list with commas between."""
    return tuple(entry for entry in text.split(",") if entry)


def promised(names: Iterable[str]) -> Promised:
    """The list of those names; "" stands for one that is not known."""
    every = list(names)
    known = ",".join(name for name in every if name)
    return Promised(known) if all(every) else SoFar(known)


def outputs_now(told: Mapping[str, str], found: Mapping[str, str], *, ready: bool, partial: bool = False) -> dict[str, str]:
    """What to tell after a pass that found these outputs, where `told` was told before.

    Once the object is ready it is what was found. Before, what cannot be read now, or is being replaced, still serves as it was told: all of it,
    lest an old value stand beside a new one. Lists are told by themselves. `partial`: nothing else is wanted than before, and not all of what there is was
    looked up, so that what was told counts more than what was found.
    """
    lists = {name: _list_now(told.get(name, ""), value) for name, value in found.items() if isinstance(value, Promised)}
    values = {name: value for name, value in found.items() if name not in lists and value}
    before = {name: value for name, value in told.items() if name not in lists}
    if partial:
        values |= before
    return {**(before if not ready and before.keys() - values.keys() else values), **{name: value for name, value in lists.items() if value}}


def _list_now(told: str, found: Promised) -> str:
    return ",".join(dict.fromkeys([*listed(found), *listed(told)])) if isinstance(found, SoFar) else str(found)

"""Looks things up that somebody else made, by the names people give them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Final

from securebase.clients.aws import AwsScope
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, State, Target
from securebase.core.errors import ReconcileError, Terminal
from securebase.resources.discovery.inventory import INVENTORIES, Presence, Things
from securebase.resources.discovery.model import KnownTarget
from securebase.resources.discovery.services import SERVICES

RECENT_SECONDS: Final = 5.0
"""How old a list may be for a pass: it reads twice, once to compose and once to tell how things stand."""


class TargetDriver:
    """`discovery/target`. Never writes. External id: `<kind>:<name>`, so that it is found by that alone.

    Every lookup is answered: READY where it is there, PENDING where it is not. A sweep lists each kind once, however many are looked up.
    """

    type: ClassVar[str] = "discovery/target"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._inventory = INVENTORIES.of(aws, clock)
        self._presence = {kind: Presence() for kind in SERVICES}

    def observe(self, targets: Sequence[Target[KnownTarget]], depth: Depth) -> Mapping[Key, Answer]:
        """By kind: one list each. What one service refuses is the answer of its own targets only."""
        wanted: dict[str, dict[Key, KnownTarget]] = defaultdict(dict)
        for target in targets:
            known = target.desired or of_external_id(target.external_id)
            wanted[known.kind][target.key] = known
        answers: dict[Key, Answer] = {}
        for kind, asked in wanted.items():
            try:
                there = self._there(kind, {known.name for known in asked.values()}, depth)
                answers |= {key: self._answer(known, there) for key, known in asked.items()}
            except ReconcileError as error:
                answers |= dict.fromkeys(asked, error)
        return answers

    def _there(self, kind: str, names: Iterable[str], depth: Depth) -> Things:
        sweep, names = depth is Depth.SWEEP, sorted(names)
        listed = self._inventory.listed(kind, 0.0 if sweep else RECENT_SECONDS)
        presence = self._presence[kind]
        presence.seen({name: listed[name] for name in names if name in listed}, names, sweep=sweep)
        kept = presence.kept(lambda name: self._inventory.absent(kind, name))
        found = {name: kept[name] for name in names if name in kept}
        # A list may not know yet what was made a moment ago.
        late: Things = {name: {"name": name} for name in names if name not in found and not self._inventory.absent(kind, name)}
        return self._inventory.with_beside(kind, {**found, **late})

    def _answer(self, known: KnownTarget, there: Things) -> Observed[KnownTarget]:
        attributes = there.get(known.name)
        if attributes is not None:
            return Observed(external_id(known), known, attributes={**attributes, "exists": "true", "settled": "true"})
        settled = "true" if self._presence[known.kind].settled() else "false"
        told = {"exists": "false", "settled": settled, "name": known.name}
        return Observed(external_id(known), known, State.PENDING, "TargetMissing", f"there is no {known.kind} {known.name}", attributes=told)

    def create(self, target: Target[KnownTarget], token: str) -> Observed[KnownTarget]:
        """Never: it is somebody else's."""
        raise Terminal("NotOurs", "what is watched is made by others")

    def update(self, target: Target[KnownTarget], observed: Observed[KnownTarget], changes: Sequence[Change]) -> Observed[KnownTarget]:
        """Never: it is somebody else's."""
        raise Terminal("NotOurs", "what is watched is changed by others")

    def delete(self, target: Target[KnownTarget], observed: Observed[KnownTarget]) -> None:
        """Nothing: it is somebody else's."""


def external_id(known: KnownTarget) -> str:
    """What a lookup is remembered by."""
    return f"{known.kind}:{known.name}"


def of_external_id(text: str) -> KnownTarget:
    """The lookup that was remembered."""
    kind, _, name = text.partition(":")
    return KnownTarget(kind, name)

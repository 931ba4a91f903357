"""Looks things up that somebody else made, by the names people give them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar, Final

from securebase.clients.aws import AwsScope
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, State, Target
from securebase.core.errors import Denied, ReconcileError, Terminal
from securebase.resources.discovery.inventory import INVENTORIES, PATIENT, REFUSED, UNREAD, Patience, Presence, Things, by_name
from securebase.resources.discovery.model import KnownTarget
from securebase.resources.discovery.services import SERVICES

RECENT_SECONDS: Final = 5.0
"""How old a list may be for a pass: it reads twice, once to compose and once to tell how things stand."""


class TargetDriver:
    """`discovery/target`. Never writes. External id: `<kind>:<name>`, so that it is found by that alone.

    Every lookup is answered: READY where it is there, PENDING where it is not. A sweep lists each kind once, however many are looked up.
    """

    type: ClassVar[str] = "discovery/target"

    def __init__(self, aws: AwsScope, clock: Callable[[], float], patience: Patience = PATIENT) -> None:
        self._inventory = INVENTORIES.of(aws, clock, patience)
        self._presence = {kind: Presence(patience) for kind in SERVICES}

    def observe(self, targets: Sequence[Target[KnownTarget]], depth: Depth) -> Mapping[Key, Answer]:
        """By kind: one list each. What one service refuses is the answer of its own targets only, and what may not be read of one target is its own."""
        wanted: dict[str, dict[Key, KnownTarget]] = defaultdict(dict)
        for target in targets:
            known = target.desired or of_external_id(target.external_id)
            wanted[known.kind][target.key] = known
        answers: dict[Key, Answer] = {}
        for kind, asked in wanted.items():
            refused: dict[str, ReconcileError] = {}
            try:
                there = self._there(kind, frozenset(known.name for known in asked.values()), depth, refused)
                answers |= {key: refused.get(known.name) or self._answer(known, there) for key, known in asked.items()}
            except ReconcileError as error:
                answers |= dict.fromkeys(asked, error)
        return answers

    def _there(self, kind: str, names: frozenset[str], depth: Depth, refused: dict[str, ReconcileError]) -> Things:
        """By name. `refused` takes in, by name, of what it may not be read whether it is there."""

        def read(name: str, look: Callable[[], bool]) -> bool:
            try:
                return look()
            except Denied as denied:
                refused[name] = denied
                return False

        sweep = depth is Depth.SWEEP
        listed = self._inventory.listed(kind, 0.0 if sweep else RECENT_SECONDS)
        presence = self._presence[kind]
        presence.seen({id: attributes for id, attributes in listed.items() if attributes["name"] in names}, names, sweep=sweep)
        kept = presence.kept(lambda id, name: read(name, lambda: self._inventory.absent(kind, id, name)))
        found = {id: attributes for id, attributes in kept.items() if attributes["name"] in names}
        missed = names - {attributes["name"] for attributes in found.values()}
        # A list may not know yet what was made a moment ago; nothing but its name is known of that.
        nothing = ",".join(sorted(SERVICES[kind].tells))
        unlisted = [name for name in sorted(missed) if read(name, partial(self._inventory.unlisted, kind, name))]
        late: Things = {name: {"name": name, UNREAD: nothing} for name in unlisted}
        return {**by_name(self._inventory.with_beside(kind, found)), **late}

    def _answer(self, known: KnownTarget, there: Things) -> Observed[KnownTarget]:
        if (attributes := there.get(known.name)) is not None:
            settled = "false" if UNREAD in attributes else "true"
            return Observed(external_id(known), known, message=_remark(attributes), attributes={**attributes, "exists": "true", "settled": settled})
        settled = "true" if self._presence[known.kind].settled() else "false"
        told = {"exists": "false", "settled": settled, "name": known.name}
        instead = self._inventory.instead(known.kind, known.name)
        missing = f"there is no {known.kind} {known.name}{f'; {instead}' if instead else ''}"
        return Observed(external_id(known), known, State.PENDING, "TargetMissing", missing, attributes=told)

    def create(self, target: Target[KnownTarget], token: str) -> Observed[KnownTarget]:
        """Never: it is somebody else's."""
        raise Terminal("NotOurs", "what is watched is made by others")

    def update(self, target: Target[KnownTarget], observed: Observed[KnownTarget], changes: Sequence[Change]) -> Observed[KnownTarget]:
        """Never: it is somebody else's."""
        raise Terminal("NotOurs", "what is watched is changed by others")

    def delete(self, target: Target[KnownTarget], observed: Observed[KnownTarget]) -> None:
        """Nothing: it is somebody else's."""


def _remark(attributes: Mapping[str, str]) -> str:
    """What a person should know of a target that is there."""
    if namesakes := attributes.get("namesakes"):
        return f"the name is ambiguous: APIs {namesakes.replace(',', ', ')} share it, and CloudWatch adds up their metrics, so the alarms are of all of them"
    refused = attributes.get(REFUSED)
    return f"not all of it may be read ({refused}): it is watched without what that would tell" if refused else ""


def external_id(known: KnownTarget) -> str:
    """What a lookup is remembered by."""
    return f"{known.kind}:{known.name}"


def of_external_id(text: str) -> KnownTarget:
    """The lookup that was remembered."""
    kind, _, name = text.partition(":")
    return KnownTarget(kind, name)

"""Finds everything of a kind with some tags, through the tagging API."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import ClassVar, Final

from securebase.clients.aws import AwsScope
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, Target
from securebase.core.errors import Denied, ReconcileError, Terminal
from securebase.resources.discovery.inventory import INVENTORIES, PATIENT, REFUSED, UNREAD, Patience, Presence, Things, by_name
from securebase.resources.discovery.model import TagSearch
from securebase.resources.discovery.services import SERVICES, Attributes
from securebase.resources.discovery.targets import RECENT_SECONDS
from securebase.resources.listing import Listing

_NAMED: Final = 3
"""How many of those that may not be read a message names."""


class _Search:
    """One search: its list, and who was there."""

    def __init__(self, read: Callable[[], Mapping[str, Attributes]], clock: Callable[[], float], patience: Patience) -> None:
        self.listing: Listing[str, Attributes] = Listing(read, clock)
        self.presence = Presence(patience)


class SearchDriver:
    """`discovery/search`. Never writes. External id: the search itself as JSON, so that it is found by that alone.

    The tagging API may still tell of what is gone, and lags behind tags by seconds to minutes: only what the service itself lists is there.
    Equal searches share one list.
    """

    type: ClassVar[str] = "discovery/search"

    def __init__(self, aws: AwsScope, clock: Callable[[], float], patience: Patience = PATIENT) -> None:
        self._aws = aws
        self._clock = clock
        self._patience = patience
        self._inventory = INVENTORIES.of(aws, clock, patience)
        self._lock = threading.Lock()
        self._searches: dict[str, _Search] = {}

    def observe(self, targets: Sequence[Target[TagSearch]], depth: Depth) -> Mapping[Key, Answer]:
        """Each search once. What fails is the answer of those who asked for it only."""
        wanted: dict[str, list[Target[TagSearch]]] = {}
        for target in targets:
            wanted.setdefault(external_id(target.desired) if target.desired is not None else target.external_id, []).append(target)
        found = self._found(wanted, depth)
        return {target.key: found[id] for id, asked in wanted.items() for target in asked}

    def _found(self, ids: Iterable[str], depth: Depth) -> Mapping[str, Answer]:
        """What no list tells is read once for all searches of a kind, so that they share a round."""
        answers: dict[str, Answer] = {}
        kept: dict[str, dict[str, Things]] = defaultdict(dict)
        for id in ids:
            try:
                kept[of_external_id(id).kind][id] = self._kept(id, depth)
            except ReconcileError as error:
                answers[id] = error
        for kind, things in kept.items():
            try:
                there = self._inventory.with_beside(kind, {id: attributes for found in things.values() for id, attributes in found.items()})
                answers |= {id: self._answer(id, by_name({one: there[one] for one in found})) for id, found in things.items()}
            except ReconcileError as error:
                answers |= dict.fromkeys(things, error)
        return answers

    def _kept(self, id: str, depth: Depth) -> Things:
        wanted, sweep = of_external_id(id), depth is Depth.SWEEP
        with self._lock:
            search = self._searches.setdefault(id, _Search(partial(self._list, wanted), self._clock, self._patience))
        search.presence.seen(search.listing.get(0.0 if sweep else RECENT_SECONDS), None, sweep=sweep)
        refused: dict[str, str] = {}
        kept = search.presence.kept(lambda thing, name: self._gone(wanted, thing, name, refused))
        return {thing: {**attributes, REFUSED: refused[thing]} if thing in refused else attributes for thing, attributes in kept.items()}

    def _answer(self, id: str, there: Things) -> Observed[TagSearch]:
        """The message is the same however much is read by now: after a restart that takes several rounds, and is nobody's news."""
        unread = any(UNREAD in attributes for attributes in there.values())
        attributes = {
            "members": json.dumps(sorted(there), separators=(",", ":")),
            "details": json.dumps(there, sort_keys=True, separators=(",", ":")),
            "settled": "true" if self._searches[id].presence.settled() and not unread else "false",
        }
        return Observed(id, of_external_id(id), message=f"finds {len(there)}{_refused(there)}", attributes=attributes)

    def _list(self, wanted: TagSearch) -> Things:
        """What carries the tags and is there."""
        arns = self._tagged(wanted)
        listed = self._inventory.listed(wanted.kind, RECENT_SECONDS)
        return {id: attributes for id, attributes in listed.items() if attributes.get("arn") in arns}

    def _tagged(self, wanted: TagSearch, arns: Sequence[str] = ()) -> frozenset[str]:
        asked = (
            {"ResourceARNList": list(arns)}
            if arns
            else {
                "ResourceTypeFilters": [SERVICES[wanted.kind].resource],
                "TagFilters": [{"Key": key, "Values": [value]} for key, value in sorted(wanted.tags.items())],
                "ResourcesPerPage": 100,
            }
        )
        found: set[str] = set()
        for page in self._aws.pages("resourcegroupstaggingapi", "get_resources", **asked):
            for entry in page["ResourceTagMappingList"]:
                tags = {tag["Key"]: tag.get("Value", "") for tag in entry.get("Tags", [])}
                if all(tags.get(key) == value for key, value in wanted.tags.items()):
                    found.add(str(entry["ResourceARN"]))
        return frozenset(found)

    def _gone(self, wanted: TagSearch, id: str, name: str, refused: dict[str, str]) -> bool:
        """Read by its id: it is not there, or does not carry the tags any more. What may not be read is `refused` and not gone."""
        try:
            if self._inventory.absent(wanted.kind, id, name):
                return True
        except Denied as denied:
            refused[id] = denied.action
            return False
        arn = self._inventory.listed(wanted.kind, 0.0).get(id, {}).get("arn", "")
        return bool(arn) and arn not in self._tagged(wanted, (arn,))

    def create(self, target: Target[TagSearch], token: str) -> Observed[TagSearch]:
        """Never: a search is nothing that could be made."""
        raise Terminal("NotOurs", "what is watched is made by others")

    def update(self, target: Target[TagSearch], observed: Observed[TagSearch], changes: Sequence[Change]) -> Observed[TagSearch]:
        """Never: what it finds is somebody else's."""
        raise Terminal("NotOurs", "what is watched is changed by others")

    def delete(self, target: Target[TagSearch], observed: Observed[TagSearch]) -> None:
        """Nothing: what it finds is somebody else's."""


def _refused(there: Things) -> str:
    """Of which things not all may be read, and by which call: the first of them stand for all."""
    refused = sorted((name, attributes[REFUSED]) for name, attributes in there.items() if REFUSED in attributes)
    named = ", ".join(f"{name} ({call})" for name, call in refused[:_NAMED])
    return f"; not all may be read of {named}{f' and {len(refused) - _NAMED} more' if len(refused) > _NAMED else ''}" if refused else ""


def external_id(wanted: TagSearch) -> str:
    """What a search is remembered by."""
    return json.dumps([wanted.kind, dict(sorted(wanted.tags.items()))], separators=(",", ":"))


def of_external_id(text: str) -> TagSearch:
    """The search that was remembered."""
    kind, tags = json.loads(text)
    return TagSearch(kind, tags)

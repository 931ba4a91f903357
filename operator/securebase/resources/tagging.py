"""Tags as drivers need them: the owner apart from the rest, what a write has to change, and what the tagging API knows of a type."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakValueDictionary

from securebase.clients.aws import AwsScope
from securebase.core.diff import Change
from securebase.core.errors import ReconcileError, Terminal
from securebase.core.graph import references
from securebase.core.identity import OWNER_TAG, Identity
from securebase.resources.listing import LAG_SECONDS, STORM_SECONDS, Listing, Read, Turns
from securebase.resources.pace import Pace

INDEX_SWEEPS: Final = 10
"""Every how many sweeps the tagging API is asked for all tags of a type."""

_AWS_PREFIX: Final = "aws:"
_FEW: Final = 10
"""So many are read one by one where others would be asked of the index."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A resource's tags: the value of the owner tag ("" without one), and all others but AWS's own."""

    owner: str
    rest: Mapping[str, str]

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> Tagged:
        """From all tags of a resource."""
        return cls(tags.get(OWNER_TAG, ""), {key: value for key, value in tags.items() if key != OWNER_TAG and not key.startswith(_AWS_PREFIX)})

    @classmethod
    def of_list(cls, tags: Iterable[Mapping[str, Any]]) -> Tagged:
        """From AWS's list of `Key` and `Value`."""
        return cls.of({str(tag["Key"]): str(tag.get("Value", "")) for tag in tags})


def tag_map(owner: str, tags: Mapping[str, str]) -> dict[str, str]:
    """All tags to put on a new resource."""
    return {**tags, OWNER_TAG: owner}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as most of AWS's APIs take them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tags_to_put(want: Mapping[str, str], have: Mapping[str, str]) -> dict[str, str]:
    """Wanted tags that are missing or have another value."""
    return {key: value for key, value in want.items() if have.get(key) != value}


def tags_to_remove(changes: Sequence[Change], want: Mapping[str, str]) -> list[str]:
    """Keys that a plan takes away. Others' keys are in no change."""
    keys = (change.path.removeprefix("tags[").removesuffix("]") for change in changes if change.path.startswith("tags["))
    return sorted(key for key in keys if key not in want)


def unresolved(*texts: str) -> bool:
    """Whether a locator still waits for another node."""
    return any(True for text in texts for _ in references(text))


def owned_nodes(owners: Mapping[str, str], identity: Identity) -> dict[str, str]:
    """Node id -> external id of what belongs to one identity, from external id -> owner."""
    prefix = identity.owner("")
    return {owner.removeprefix(prefix): external_id for external_id, owner in owners.items() if owner.startswith(prefix) and owner != prefix}


class TagIndex:
    """Every resource of a type that has an owner tag, by ARN, as the Resource Groups Tagging API knows it: 100 a page, and late by seconds to minutes."""

    def __init__(self, aws: AwsScope, clock: Callable[[], float], resource_type: str) -> None:
        self._aws = aws
        self._type = resource_type
        self._listing: Listing[str, Tagged] = Listing(self._read, clock)

    def get(self, max_age: float = 0.0) -> Mapping[str, Tagged]:
        """By ARN; at most `max_age` seconds old."""
        return self._listing.get(max_age)

    def owners(self, max_age: float = 0.0) -> dict[str, str]:
        """ARN -> owner."""
        return {arn: tagged.owner for arn, tagged in self.get(max_age).items()}

    @property
    def begun(self) -> float:
        """Clock seconds at which what it knows was asked for; minus infinity before that."""
        return self._listing.begun

    def _read(self) -> dict[str, Tagged]:
        filters = {"ResourceTypeFilters": [self._type], "TagFilters": [{"Key": OWNER_TAG}]}
        pages = self._aws.pages("resourcegroupstaggingapi", "get_resources", ResourcesPerPage=100, **filters)
        return {str(entry["ResourceARN"]): Tagged.of_list(entry.get("Tags", [])) for page in pages for entry in page["ResourceTagMappingList"]}


class _Indexes:
    """One index a scope and type, for as long as any driver has it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: WeakValueDictionary[tuple[AwsScope, str], TagIndex] = WeakValueDictionary()

    def of(self, aws: AwsScope, clock: Callable[[], float], resource_type: str) -> TagIndex:
        """The index that every driver of the scope shares which knows resources of that type."""
        with self._lock:
            index = self._known.get((aws, resource_type))
            if index is None:
                index = self._known[aws, resource_type] = TagIndex(aws, clock, resource_type)
            return index


INDEXES: Final = _Indexes()


class SweptTags:
    """Tags of many resources at the price of a few reads a sweep: the index now and then, one by one in small turns what it does not know.

    What somebody else just asked of the same index is taken along, and asked for no second time.
    """

    def __init__(self, index: TagIndex, read: Callable[[str], Tagged], clock: Callable[[], float], *, few: int = 1_000_000) -> None:
        """`few`: of more than so many none is read one by one in a sweep but what the index does not know."""
        self._index = index
        self._read_one = read
        self._clock = clock
        self._turns: Turns[str, Tagged] = Turns(clock, share=0.002, at_least=2)
        self._few = few
        self._lock = threading.Lock()
        self._pace = Pace(clock, INDEX_SWEEPS)
        self._taken = float("-inf")
        self._written: dict[str, float] = {}

    def fresh(self, arn: str) -> Tagged:
        """Read now."""
        tagged = self._read_one(arn)
        self._turns.put(arn, tagged)
        return tagged

    def fresh_all(self, arns: Sequence[str]) -> Mapping[str, Tagged | ReconcileError]:
        """Read now: a few one by one; many from the index, and one by one only what neither the index nor we ourselves know of."""
        if len(arns) > _FEW:
            self._take_index(arns, STORM_SECONDS, to_the_end=False)
        known = {} if len(arns) <= _FEW else self._turns.known(arns)
        return {arn: known[arn].value if arn in known else self._one(arn) for arn in arns}

    def _one(self, arn: str) -> Tagged | ReconcileError:
        try:
            return self.fresh(arn)
        except ReconcileError as error:
            return error

    def wrote(self, arn: str, tagged: Tagged) -> None:
        """We put these tags there; the index may not know for a while."""
        with self._lock:
            self._written[arn] = self._clock()
        self._turns.put(arn, tagged)

    def sweep(self, arns: Sequence[str]) -> Mapping[str, Read[Tagged]]:
        """Tags of every resource, the oldest read again."""
        if self._index.begun > self._taken:
            self._pace.asked()
            self._take_index(arns, float("inf"))
        elif self._pace.due():
            self._take_index(arns, 0.0)
        return self._turns.round(arns, lambda due: {arn: self._read_one(arn) for arn in due}, unread_only=len(arns) > self._few)

    def _take_index(self, arns: Sequence[str], max_age: float, *, to_the_end: bool = True) -> None:
        """What it lacks although it is no longer new is read one by one, unless it is only looked into: somebody took our owner tag away."""
        before = self._index.begun
        try:
            known = self._index.get(max_age)
        except Terminal:  # the tagging API does not serve this type here
            return
        begun = self._index.begun if max_age == 0.0 else before
        with self._lock:
            self._taken = max(self._taken, begun) if to_the_end else self._taken
            self._written = {arn: at for arn, at in self._written.items() if at > begun - LAG_SECONDS}
            recent = frozenset(self._written)
        for arn in arns:
            if arn in recent:
                continue
            if arn in known:
                self._turns.put(arn, known[arn])
            elif to_the_end:
                self._turns.forget(arn)

"""What there is of every kind of service in one account and region: one list a kind for all who ask, and the proof that something is gone."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.errors import Denied, ReconcileError, Terminal
from securebase.resources.discovery.services import SERVICES, Attributes, Beside, Entry
from securebase.resources.listing import Listing, Read, Turns

Things = Mapping[str, Attributes]
"""Id -> attributes, `name` among them."""

SWEEPS: Final = 3
"""In how many complete sweeps something must be missed before a read by its id decides that it is gone."""

A_ROUND: Final = 50
"""Of what no list tells, how much is read in one go. At 5 requests a second a worker is busy with it for ten seconds."""

REST_SECONDS: Final = 15.0
"""After a round that left something unread. A pass looks twice, and composes and compares by the same; others have their turn."""

SETTINGS_SECONDS: Final = 3600.0
"""How old may be what an account is set to: AWS changes quotas on request, within hours."""

UNREAD: Final = "unread"
"""The attribute with the names (comma list) of those that nobody has read yet."""

REFUSED: Final = "refused"
"""The attribute with the call by which one thing's further attributes may not be read. It has none of them, or those that were read before."""

_ANOTHER: Final = "another"
_EVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Patience:
    """How carefully somebody looks: who acts on absences takes his time, who looks once and tells a person has none.

    sweeps        complete ones before an absence that was never otherwise is believed
    a_round       how much of what no list tells is read in one go; None = all of it
    rest_seconds  after a round that left something unread
    """

    sweeps: int = SWEEPS
    a_round: int | None = A_ROUND
    rest_seconds: float = REST_SECONDS


PATIENT: Final = Patience()
AT_ONCE: Final = Patience(sweeps=0, a_round=None, rest_seconds=0.0)


class Inventory:
    """Thread-safe. The same for all drivers of a scope, so that a service is listed once a sweep."""

    def __init__(self, aws: AwsScope, clock: Callable[[], float], patience: Patience = PATIENT) -> None:
        self._aws = aws
        self._listings: dict[str, Listing[str, Attributes]] = {kind: Listing(partial(self._list, kind), clock) for kind in SERVICES}
        self._accounts: dict[str, Listing[str, str]] = {kind: Listing(partial(self._account, kind), clock) for kind in SERVICES}
        self._clock = clock
        self._lock = threading.Lock()
        self._rest_seconds = patience.rest_seconds
        self._rests: dict[str, float] = {}
        self._refusals: dict[str, ReconcileError] = {}
        self._beside: dict[str, Turns[str, Attributes]] = {kind: Turns(clock, share=0.02, at_least=2, at_most=patience.a_round) for kind in SERVICES}

    def listed(self, kind: str, max_age: float) -> Things:
        """By id, from a list begun at most `max_age` seconds ago. What is another service's is left out."""
        return {id: attributes for id, attributes in self._listings[kind].get(max_age).items() if _ANOTHER not in attributes}

    def instead(self, kind: str, name: str) -> str:
        """What there is, as last listed, that may have been meant by a name that means nothing; "" = nothing."""
        known = self._listings[kind].get(_EVER).values()
        for attributes in known:
            if attributes["name"] == name and _ANOTHER in attributes:
                return attributes[_ANOTHER]
        alike = sorted({attributes["name"] for attributes in known if attributes["name"].lower() == name.lower()})
        return f"there is {alike[0]}: write it in the same letter case" if alike else ""

    def with_beside(self, kind: str, found: Things) -> Things:
        """With what the list does not tell, of at most `A_ROUND` things that were not read yet; the attribute `unread` says what others lack."""
        service = SERVICES[kind]
        account = self._accounts[kind].get(SETTINGS_SECONDS) if service.account is not None and found else {}
        if (beside := service.beside) is None:
            return {id: {**attributes, **account} for id, attributes in found.items()}
        reads = self._round(kind, beside, sorted(found))
        lacking = {UNREAD: ",".join(sorted(beside.tells))}
        return {id: {**attributes, **account, **(reads[id].value if id in reads else lacking)} for id, attributes in found.items()}

    def absent(self, kind: str, id: str, name: str) -> bool:
        """Whether a read by its id says that there is none, or none of that name any more."""
        service, read = SERVICES[kind], SERVICES[kind].read
        answer = self._aws.attempt(read.client, read.operation, read.gone, **{read.parameter: id})
        if isinstance(answer, Refusal):
            return True
        if read.entry is None:
            return False
        # RDS and ElastiCache find an identifier in any letter case.
        entry = read.entry(answer)
        return not entry or bool(service.another(entry)) or service.named(entry) != name

    def unlisted(self, kind: str, name: str) -> bool:
        """Whether it is there although the last list did not have it: a read by its id, or a new list where the name is none."""
        if SERVICES[kind].identified is None:
            return not self.absent(kind, name, name)
        return any(attributes["name"] == name for attributes in self.listed(kind, 0.0).values())

    def _list(self, kind: str) -> dict[str, Attributes]:
        service = SERVICES[kind]
        client, operation, path = service.list
        entries = [entry for page in self._aws.pages(client, operation, **service.parameters) for entry in _within(page, path)]
        joined = service.joined(self._aws) if service.joined is not None and entries else {}
        return {service.id(entry): self._told(kind, entry, joined.get(service.id(entry), {})) for entry in entries}

    def _told(self, kind: str, entry: Any, joined: Attributes) -> Attributes:
        service = SERVICES[kind]
        if another := service.another(entry):
            return {"name": service.named(entry), _ANOTHER: another}
        told = {key: value for key, value in service.told(entry, self._aws).items() if value}
        return {"name": service.named(entry), **joined, **told}

    def _account(self, kind: str) -> Attributes:
        read = SERVICES[kind].account
        return {} if read is None else read(self._aws)

    def _round(self, kind: str, beside: Beside, ids: Sequence[str]) -> Mapping[str, Read[Attributes]]:
        """Raises `Denied` where nothing at all may be read: then it is the operator's permission, and says nothing of any one thing."""
        turns = self._beside[kind]
        with self._lock:
            resting, refusal = self._clock() < self._rests.get(kind, 0.0), self._refusals.get(kind)
        if resting and refusal is not None:
            raise refusal
        if resting:
            return turns.known(ids)
        refused: dict[str, ReconcileError] = {}
        reads = turns.round(ids, partial(self._one_by_one, kind, beside, refused))
        nothing = bool(refused) and all(REFUSED in read.value for read in reads.values())
        self._rest(kind, len(reads) < len(ids) or nothing, next(iter(refused.values())) if nothing else None)
        if nothing:
            for id in refused:
                turns.forget(id)
            raise next(iter(refused.values()))
        return reads

    def _rest(self, kind: str, needed: bool, refusal: ReconcileError | None) -> None:
        with self._lock:
            self._refusals.pop(kind, None)
            if needed:
                self._rests[kind] = self._clock() + self._rest_seconds
            if refusal is not None:
                self._refusals[kind] = refusal

    def _one_by_one(self, kind: str, beside: Beside, refused: dict[str, ReconcileError], due: Sequence[str]) -> Things:
        """What may not be read is `refused`, and that thing's alone. What was read before a call failed is kept: the next round goes on there, and
        fails if that fails again."""
        answers: dict[str, Attributes] = {}
        before = self._beside[kind].known(due)
        for id in due:
            try:
                answers[id] = beside.read(self._aws, id)
            except (Denied, Terminal) as error:
                refused[id] = error
                answers[id] = {**(before[id].value if id in before else {}), REFUSED: error.action if isinstance(error, Denied) else error.reason}
            except ReconcileError:
                if not answers:
                    raise
                break
        return answers


def by_name(things: Things) -> Things:
    """By the names that people give. CloudWatch adds up the metrics of REST APIs of one name, so that they are watched as one; `namesakes`
    (comma list) are their ids."""
    named: dict[str, list[tuple[str, Attributes]]] = defaultdict(list)
    for id, attributes in sorted(things.items()):
        named[attributes["name"]].append((id, attributes))
    return {name: entries[0][1] if len(entries) == 1 else _as_one(entries) for name, entries in named.items()}


def _as_one(entries: Sequence[tuple[str, Attributes]]) -> Attributes:
    logs = [log for _, attributes in entries for log in json.loads(attributes.get("accessLogs") or "[]")]
    marks = {mark: next((attributes[mark] for _, attributes in entries if mark in attributes), "") for mark in (UNREAD, REFUSED)}
    told = {"namesakes": ",".join(id for id, _ in entries), "accessLogs": json.dumps(logs, separators=(",", ":")) if logs else "", **marks}
    first = {key: value for key, value in entries[0][1].items() if key not in told}
    return first | {key: value for key, value in told.items() if value}


def _within(page: Entry, path: Iterable[str]) -> Iterable[Any]:
    found: Any = page
    for member in path:
        found = found.get(member) or ()
    return tuple(found)


class _Inventories:
    """One inventory a scope, for as long as anybody uses the scope."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: WeakKeyDictionary[AwsScope, Inventory] = WeakKeyDictionary()

    def of(self, aws: AwsScope, clock: Callable[[], float], patience: Patience = PATIENT) -> Inventory:
        """The inventory that every driver of the scope shares."""
        with self._lock:
            if aws not in self._known:
                self._known[aws] = Inventory(aws, clock, patience)
            return self._known[aws]


INVENTORIES: Final = _Inventories()


class Presence:
    """Who is there, where being missed is not yet being gone. Thread-safe.

    What was there once stays until it was missed in `SWEEPS` complete sweeps and `gone` proves it.
    """

    def __init__(self, patience: Patience = PATIENT) -> None:
        self._needed = patience.sweeps
        self._lock = threading.Lock()
        self._known: dict[str, Attributes] = {}
        self._missed: dict[str, int] = {}
        self._sweeps = 0

    def settled(self) -> bool:
        """Whether there were enough complete sweeps since the process began to believe in an absence that was never seen before."""
        return self._sweeps >= self._needed

    def seen(self, there: Things, about: Collection[str] | None, *, sweep: bool) -> None:
        """Take in a complete list. `about`: the names it was asked for; None = it tells of all."""
        with self._lock:
            self._sweeps += sweep
            self._known.update(there)
            for id in there:
                self._missed.pop(id, None)
            for id, known in self._known.items():
                if sweep and id not in there and (about is None or known["name"] in about):
                    self._missed[id] = self._missed.get(id, 0) + 1

    def kept(self, gone: Callable[[str, str], bool]) -> Things:
        """Everybody who is there, or was and is not proven `gone`, by id and name."""
        with self._lock:
            doubtful = [(id, known["name"]) for id, known in self._known.items() if self._missed.get(id, 0) >= SWEEPS]
        for id, name in doubtful:
            if gone(id, name):
                with self._lock:
                    self._known.pop(id, None)
                    self._missed.pop(id, None)
        with self._lock:
            return dict(self._known)

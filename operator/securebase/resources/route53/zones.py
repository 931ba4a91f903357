"""Record sets as Route 53 stores them: how names are spelled, who owns a set, how many reads finding some of them takes, and changing them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.driver import Depth
from securebase.core.errors import ReconcileError, ReferenceNotFound, Terminal, Transient
from securebase.core.identity import OWNER_TAG
from securebase.resources.listing import Listing
from securebase.resources.pace import Pace

RecordSet = Mapping[str, Any]
RecordKey = tuple[str, str]
"""(name, type), the name plain."""
Found = Mapping[RecordKey, list[RecordSet]] | ReconcileError | None
"""What is in a zone; None = there is no such zone."""

_PAGE: Final = "100"
_TXT_CHUNK: Final = 255
_ESCAPE: Final = re.compile(r"\\(\d{3})")
_OWNER_NAME: Final = re.compile(r"_sb-owner-([a-z]+)\.(.+)")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')


def plain(name: str) -> str:
    """A DNS name in lower case, without the trailing dot, and with Route 53's octal escapes (`\\052` for `*`) undone."""
    return _ESCAPE.sub(lambda match: chr(int(match.group(1), 8)), name).rstrip(".").lower()


def owner_name(name: str, type_: str) -> str:
    """Name of the TXT record that says who owns the record set of this name and type."""
    return f"_sb-owner-{type_.lower()}.{plain(name).replace('*', '_wildcard')}"


def owned_record(name: str) -> tuple[str, str] | None:
    """(type, plain name) of the record set that an owner record of this name speaks of; None when it is no owner record."""
    match = _OWNER_NAME.match(plain(name))
    return None if match is None else (match.group(1).upper(), match.group(2).replace("_wildcard", "*"))


def owner_text(owner: str) -> str:
    """Value of that record: quoted strings of at most 255 characters (Route 53 Developer Guide, TXT record type)."""
    text = f"{OWNER_TAG}={owner}"
    chunks = [text[at : at + _TXT_CHUNK] for at in range(0, len(text), _TXT_CHUNK)]
    return " ".join('"' + chunk.replace("\\", "\\\\").replace('"', '\\"') + '"' for chunk in chunks)


def owner_in(record: RecordSet | None) -> str:
    """The owner that such a record names; "" when there is none."""
    values = record.get("ResourceRecords", []) if record else []
    for value in values:
        text = "".join(re.sub(r"\\(.)", r"\1", part) for part in _QUOTED.findall(value["Value"]))
        if text.startswith(f"{OWNER_TAG}="):
            return text.removeprefix(f"{OWNER_TAG}=")
    return ""


def by_key(records: Iterable[RecordSet]) -> dict[RecordKey, list[RecordSet]]:
    """Record sets by name and type; more than one where a routing policy splits them."""
    found: dict[RecordKey, list[RecordSet]] = {}
    for record in records:
        found.setdefault((plain(record["Name"]), record["Type"]), []).append(record)
    return found


Wanted = Mapping[str, Collection[str]]
"""What to look for: plain name -> types of which the owner is wanted too. All types of the name are found in any case."""


class ZoneReader:
    """Finds record sets. Route 53 answers five requests a second for a whole account (Developer Guide, Quotas), so reads are counted.

    Name by name: sets are sorted by their labels from the right, so those of a name and the TXT records below it that say who owns
    them mostly come in one answer. Many: the pages of the whole zone, unless that was more reads than names the last time.

    Zones hold up to 10,000 record sets of other people, so that little of a listing outlives the sweep it was read for: nothing where
    every sweep reads anew, else the sets that `keep` picks and the SOA, which proves that the zone is there.
    """

    def __init__(self, aws: AwsScope, clock: Callable[[], float], every: int = 1, keep: Callable[[RecordSet], bool] = bool) -> None:
        """`every`: which sweeps list anew; see `Pace`. `keep`: the only sets that sweeps are asked about."""
        self._aws = aws
        self._clock = clock
        self._every = every
        self._keep = keep
        self._lock = threading.Lock()
        self._paces: dict[str, Pace] = {}
        self._listings: dict[str, Listing[int, RecordSet]] = {}
        self._sweeping: dict[str, int] = {}
        self._pages: dict[str, int] = {}

    def find(self, zone: str, wanted: Wanted) -> dict[RecordKey, list[RecordSet]] | None:
        """Read now, name by name. None when there is no such zone."""
        found: dict[RecordKey, list[RecordSet]] = {}
        for name, types in sorted(wanted.items()):
            answer = self._from(zone, StartRecordName=name, MaxItems=_PAGE)
            if answer is None:
                return None
            found |= by_key(answer["ResourceRecordSets"])
            for owner in (owner_name(name, type_) for type_ in sorted(types)) if answer.get("IsTruncated") else ():
                if (owner, "TXT") not in found:
                    at_owner = self._from(zone, StartRecordName=owner, StartRecordType="TXT", MaxItems="1")
                    found |= by_key(at_owner["ResourceRecordSets"] if at_owner else ())
        return found

    def sweep(self, zone: str, wanted: Wanted) -> dict[RecordKey, list[RecordSet]] | None:
        """The whole zone, or name by name where that is fewer reads."""
        if self._pages.get(zone, 0) > len(wanted):
            return self.find(zone, wanted)
        with self._listed(zone) as listing:
            records = self._pace(zone).get(listing)
        return by_key(records.values()) if records else None

    @contextmanager
    def _listed(self, zone: str) -> Iterator[Listing[int, RecordSet]]:
        """The listing that all sweeps going on share; the last one out lets go of it when the next would not look at it anyway."""
        with self._lock:
            listing = self._listings.setdefault(zone, Listing(lambda: self._whole(zone), self._clock))
            self._sweeping[zone] = self._sweeping.get(zone, 0) + 1
        try:
            yield listing
        finally:
            with self._lock:
                self._sweeping[zone] -= 1
                if not self._sweeping[zone]:
                    del self._sweeping[zone]
                    if self._every == 1:
                        del self._listings[zone]

    def wrote(self, zone: str) -> None:
        """We changed the zone: the next sweep reads it again."""
        self._pace(zone).wrote()

    def checked_at(self, zone: str) -> float:
        """When a sweep last read the zone; 0 when name by name, which is always now."""
        return self._pace(zone).asked_at

    def _pace(self, zone: str) -> Pace:
        with self._lock:
            return self._paces.setdefault(zone, Pace(self._clock, self._every))

    def _whole(self, zone: str) -> dict[int, RecordSet]:
        """Every zone has its NS and SOA sets, so an empty answer means that there is no zone."""
        records: list[RecordSet] = []
        pages, position = 0, dict[str, Any]()
        while (answer := self._from(zone, **position)) is not None:
            records += (each for each in answer["ResourceRecordSets"] if each["Type"] == "SOA" or self._keep(each))
            pages += 1
            if not answer.get("IsTruncated"):
                break
            position = _next(answer)
        self._pages[zone] = pages
        return dict(enumerate(records))

    def _from(self, zone: str, **position: Any) -> dict[str, Any] | None:
        answer = self._aws.attempt("route53", "list_resource_record_sets", ("NoSuchHostedZone",), HostedZoneId=zone, **position)
        return None if isinstance(answer, Refusal) else answer


def _next(answer: Mapping[str, Any]) -> dict[str, Any]:
    start = {"StartRecordName": answer["NextRecordName"], "StartRecordType": answer["NextRecordType"]}
    return start | ({"StartRecordIdentifier": answer["NextRecordIdentifier"]} if answer.get("NextRecordIdentifier") else {})


def change_records(aws: AwsScope, zone: str, actions: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """One batch: all of it happens or nothing. Records that are not as we read them are somebody else's doing."""
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": dict(record)} for action, record in actions]}
    answer = aws.attempt("route53", "change_resource_record_sets", ("InvalidChangeBatch", "NoSuchHostedZone"), HostedZoneId=zone, ChangeBatch=batch)
    if not isinstance(answer, Refusal):
        return
    if answer.code == "NoSuchHostedZone":
        raise ReferenceNotFound(f"hosted zone {zone} does not exist")
    if any(sign in answer.message for sign in ("already exists", "not found", "do not match")):
        raise Transient("ChangedMeanwhile", f"zone {zone}: {answer.message}")
    raise Terminal(answer.code, f"zone {zone}: {answer.message}")


def read_zones(reader: ZoneReader, wanted: Mapping[str, Mapping[str, set[str]]], depth: Depth) -> dict[str, Found]:
    """By zone, what was asked for there. One zone's failure is its own."""
    found: dict[str, Found] = {}
    for zone, names in wanted.items():
        try:
            found[zone] = reader.sweep(zone, names) if depth is Depth.SWEEP else reader.find(zone, names)
        except ReconcileError as error:
            found[zone] = error
    return found


def first_of(found: Mapping[RecordKey, list[RecordSet]], key: RecordKey) -> RecordSet | None:
    """The only set of a name and type, where no routing policy splits it."""
    return next(iter(found.get(key, [])), None)

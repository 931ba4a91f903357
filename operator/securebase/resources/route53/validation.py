"""The records that prove domains to ACM: made, corrected, and removed when no certificate of the account needs them any more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, Target
from securebase.core.errors import ReconcileError, ReferenceNotFound, Waiting
from securebase.core.identity import Identity
from securebase.resources.acm.usage import ValidationUsage
from securebase.resources.route53.model import ValidationRecord
from securebase.resources.route53.zones import Found, RecordSet, ZoneReader, change_records, first_of, plain, read_zones
from securebase.resources.tagging import unresolved

PATIENCE_SECONDS: Final = 300.0
"""How long a removal is tried while a region or the list of regions does not answer, and its object tells why."""

_FORGOTTEN_SECONDS: Final = 24 * 3600.0
_TTL: Final = 300

log = logging.getLogger(__name__)


def _may_validate(record: RecordSet) -> bool:
    """ACM's names begin with an underscore (ACM User Guide, DNS validation)."""
    return record["Type"] == "CNAME" and plain(record["Name"]).startswith("_")


class ValidationRecordDriver:
    """`route53/validation-record`: the CNAME that proves a domain to ACM. External id: `<zone>/<name>`.

    Its name is made by ACM from the account and the domain, which proves whose it is; every certificate of the domain in the account,
    whatever its region, needs the same one for as long as it is renewed. So it goes only when no certificate but this object's own uses
    it. While a region cannot be asked it stays; when that lasts, it is left behind for good, as one too many harms nobody. The TTL is
    left to whoever made it. Nobody has a reason to change one: every third sweep reads the zone.
    """

    type: ClassVar[str] = "route53/validation-record"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._zones = ZoneReader(aws, clock, every=3, keep=_may_validate)
        self._usage = ValidationUsage(aws, clock)
        self._lock = threading.Lock()
        self._untold_since: dict[str, float] = {}

    def observe(self, targets: Sequence[Target[ValidationRecord]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: a request a name. SWEEP: the pages of a whole zone, as old as the last sweep that read them."""
        self._usage.tidy()
        places = {target.key: _place(target) for target in targets}
        wanted: dict[str, dict[str, set[str]]] = {}
        for zone, name in places.values():
            if not unresolved(zone, name):
                wanted.setdefault(zone, {}).setdefault(name, set())
        found = read_zones(self._zones, wanted, depth)
        answers: dict[Key, Answer] = {}
        for target in targets:
            zone = places[target.key][0]
            answer = _answer(target, places[target.key], found.get(zone))
            read_at = self._zones.checked_at(zone) if depth is Depth.SWEEP else 0.0
            answers[target.key] = replace(answer, checked_at=read_at) if isinstance(answer, Observed) else answer
        return answers

    def create(self, target: Target[ValidationRecord], token: str) -> Observed[ValidationRecord]:
        """Put it there; another certificate's identical one is as good."""
        want = target.want()
        place = (want.zone_id, plain(want.name))
        found = self._zones.find(place[0], {place[1]: ()})
        if found is None:
            raise ReferenceNotFound(f"hosted zone {want.zone_id} does not exist")
        answer = _answer(target, place, found)
        if isinstance(answer, Exception):
            raise answer
        if answer is not None and answer.value.value == want.value:
            return answer
        return self._put(target, answer.raw if answer is not None else {})

    def update(self, target: Target[ValidationRecord], observed: Observed[ValidationRecord], changes: Sequence[Change]) -> Observed[ValidationRecord]:
        """Correct its value."""
        return self._put(target, observed.raw or {})

    def delete(self, target: Target[ValidationRecord], observed: Observed[ValidationRecord]) -> Observed[ValidationRecord] | None:
        """Delete it, unless another certificate of the account is validated by it."""
        zone, _, name = observed.external_id.partition("/")
        if not self._unused(observed.external_id, name, target.identity):
            return None
        found = self._zones.find(zone, {name: ()})
        record = first_of(found, (name, "CNAME")) if found else None
        if record is not None:
            change_records(self._aws, zone, [("DELETE", dict(record))])
            self._zones.wrote(zone)
        return None

    def _unused(self, external_id: str, name: str, identity: Identity) -> bool:
        """Whether it is proven that nobody needs it. Raises what keeps us from knowing, but not for ever: then it counts as needed."""
        usage = self._usage.of(name, identity)
        if usage.untold is None:
            with self._lock:
                self._untold_since.pop(external_id, None)
            return not usage.user
        if isinstance(usage.untold, Waiting):
            raise usage.untold
        now = self._clock()
        with self._lock:
            self._untold_since = {id: since for id, since in self._untold_since.items() if now - since < _FORGOTTEN_SECONDS}
            if now - self._untold_since.setdefault(external_id, now) < PATIENCE_SECONDS:
                raise usage.untold
            del self._untold_since[external_id]
        log.warning("validation record %s is left behind, as nobody can tell whether a certificate needs it: %s", external_id, usage.untold)
        return False

    def _put(self, target: Target[ValidationRecord], raw: Mapping[str, Any]) -> Observed[ValidationRecord]:
        want = target.want()
        record = {"Name": plain(want.name), "Type": "CNAME", "TTL": raw.get("TTL", _TTL), "ResourceRecords": [{"Value": plain(want.value)}]}
        change_records(self._aws, want.zone_id, [("UPSERT", record)])
        self._zones.wrote(want.zone_id)
        return _observed(target, want, record)


def _place(target: Target[ValidationRecord]) -> tuple[str, str]:
    if target.external_id:
        zone, _, name = target.external_id.partition("/")
        return zone, name
    want = target.want()
    return want.zone_id, plain(want.name)


def _answer(target: Target[ValidationRecord], place: tuple[str, str], found: Found) -> Observed[ValidationRecord] | ReconcileError | None:
    if found is None or isinstance(found, ReconcileError):
        return found
    zone, name = place
    record = first_of(found, (name, "CNAME"))
    if record is None:
        return None
    value = plain(record["ResourceRecords"][0]["Value"]) if record.get("ResourceRecords") else ""
    want = target.desired
    if want is not None and plain(want.value) == value:
        value = want.value
    spelled = want.name if want is not None and plain(want.name) == name else name
    return _observed(target, ValidationRecord(zone, spelled, value), record)


def _observed(target: Target[ValidationRecord], value: ValidationRecord, record: RecordSet) -> Observed[ValidationRecord]:
    name = plain(value.name)
    return Observed(f"{value.zone_id}/{name}", value, owner=target.owner, attributes={"name": name}, raw=dict(record))

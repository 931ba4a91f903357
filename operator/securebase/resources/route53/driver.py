"""Finds zones, and makes and removes our records in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, Target
from securebase.core.errors import ReconcileError, ReferenceNotFound, Terminal
from securebase.core.identity import Identity
from securebase.resources.listing import STORM_SECONDS, Listing
from securebase.resources.route53.model import AliasTarget, Record, Zone
from securebase.resources.route53.zones import (
    Found,
    RecordSet,
    ZoneReader,
    change_records,
    first_of,
    owned_record,
    owner_in,
    owner_name,
    owner_text,
    plain,
    read_zones,
)
from securebase.resources.tagging import owned_nodes, unresolved

_OWNER_TTL: Final = 300
_MISSED_SECONDS: Final = 3.0
_HOST_VALUES: Final = ("CNAME", "NS", "PTR")


class ZoneDriver:
    """`route53/zone`, EXTERNAL: a public zone by its id, or by the longest suffix of a name.

    From ListHostedZones alone: ListHostedZonesByName sorts by reversed labels and starts at a name, so that it costs a request a suffix.
    """

    type: ClassVar[str] = "route53/zone"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._listing: Listing[str, str] = Listing(self._read, clock)

    def observe(self, targets: Sequence[Target[Zone]], depth: Depth) -> Mapping[Key, Answer]:
        """A list at most a minute old when acting, as zones do not move; a new one for what that misses."""
        zones = self._listing.get() if depth is Depth.SWEEP else self._listing.get(STORM_SECONDS)
        answers: dict[Key, Answer] = {}
        for target in targets:
            try:
                found = self._answer(target, zones)
                if found is None and depth is Depth.FRESH:
                    zones = self._listing.get(_MISSED_SECONDS)
                    found = self._answer(target, zones)
                answers[target.key] = found
            except ReconcileError as error:
                answers[target.key] = error
        return answers

    def create(self, target: Target[Zone], token: str) -> Observed[Zone]:
        """Never called: a zone is somebody else's."""
        raise ReferenceNotFound("no public hosted zone is there; the operator makes none")

    def update(self, target: Target[Zone], observed: Observed[Zone], changes: Sequence[Change]) -> Observed[Zone]:
        """Nothing of it is ours to change."""
        return observed

    def delete(self, target: Target[Zone], observed: Observed[Zone]) -> Observed[Zone] | None:
        """Letting go of it is all there is to do."""
        return None

    def _read(self) -> dict[str, str]:
        pages = self._aws.pages("route53", "list_hosted_zones")
        zones = (zone for page in pages for zone in page["HostedZones"])
        return {_zone_id(zone["Id"]): plain(zone["Name"]) for zone in zones if not zone.get("Config", {}).get("PrivateZone", False)}

    def _answer(self, target: Target[Zone], zones: Mapping[str, str]) -> Observed[Zone] | None:
        want = target.desired or Zone(target.external_id)
        if want.id:
            zone = _zone_id(want.id)
            return _zone_observed(zone, zones[zone], want) if zone in zones else None
        name = plain(want.name)
        holders = [(zone_name, zone) for zone, zone_name in zones.items() if name == zone_name or name.endswith(f".{zone_name}")]
        if not holders:
            return None
        longest = max(len(zone_name) for zone_name, _ in holders)
        best = sorted(zone for zone_name, zone in holders if len(zone_name) == longest)
        if len(best) > 1:
            raise Terminal("AmbiguousZone", f"{len(best)} public zones hold {name}: {', '.join(best)}; name one by its id")
        return _zone_observed(best[0], zones[best[0]], want)


def _zone_id(text: str) -> str:
    return text.rpartition("/")[2]


def _zone_observed(zone: str, name: str, want: Zone) -> Observed[Zone]:
    return Observed(zone, want, attributes={"id": zone, "name": name})


class RecordDriver:
    """`route53/record`. External id: `<zone>/<type>/<name>`.

    Record sets have no tags. Whose one is says a TXT record beside it, as in external-dns: `_sb-owner-<type>.<name>` holds
    `securebase.io/owner=<owner>`. Both are written and removed in one batch, which Route 53 applies whole or not at all. A new record
    is a CREATE, so that somebody else's of the same name and type is never overwritten; UPSERT is for what is ours.
    """

    type: ClassVar[str] = "route53/record"
    GUARDS: ClassVar[bool] = True

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._zones = ZoneReader(aws, clock)

    def observe(self, targets: Sequence[Target[Record]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: a request a name. SWEEP: the pages of a whole zone."""
        places = {target.key: _record_place(target) for target in targets}
        wanted: dict[str, dict[str, set[str]]] = {}
        for zone, type_, name in places.values():
            if not unresolved(zone, name):
                wanted.setdefault(zone, {}).setdefault(name, set()).add(type_)
        found = read_zones(self._zones, wanted, depth)
        return {target.key: _record_answer(target, places[target.key], found.get(places[target.key][0])) for target in targets}

    def create(self, target: Target[Record], token: str) -> Observed[Record]:
        """Create the record and its owner record; refused by Route 53 when one is there already."""
        want = target.want()
        zone, name = want.zone_id, plain(want.name)
        found = self._zones.find(zone, {name: {want.type}})
        if found is None:
            raise ReferenceNotFound(f"hosted zone {zone} does not exist")
        answer = _record_answer(target, (zone, want.type, name), found)
        if isinstance(answer, Exception):
            raise answer
        if answer is not None and answer.owner == target.owner:
            return self.update(target, answer, ())
        mark = first_of(found, (owner_name(name, want.type), "TXT"))
        if mark is not None and owner_in(mark) != target.owner:
            where = f"the TXT record {owner_name(name, want.type)}"
            raise Terminal("OwnedByAnother", f"{want.type} {name} is claimed by {owner_in(mark) or 'another tool'} in {where}")
        self._change(zone, [("CREATE", _record_set(want, {})), ("UPSERT" if mark else "CREATE", _mark(want, target.owner))])
        return self._written(target, want)

    def update(self, target: Target[Record], observed: Observed[Record], changes: Sequence[Change]) -> Observed[Record]:
        """Overwrite our own."""
        want = target.want()
        self._change(want.zone_id, [("UPSERT", _record_set(want, observed.raw or {})), ("UPSERT", _mark(want, target.owner))])
        return self._written(target, want)

    def delete(self, target: Target[Record], observed: Observed[Record]) -> Observed[Record] | None:
        """Delete exactly what is there, and only while it is ours: DELETE wants the whole current set."""
        zone, type_, name = _split(observed.external_id)
        found = self._zones.find(zone, {name: {type_}})
        if found is None:
            return None
        record, mark = first_of(found, (name, type_)), first_of(found, (owner_name(name, type_), "TXT"))
        if owner_in(mark) != observed.owner:
            return None
        self._change(zone, [("DELETE", dict(part)) for part in (record, mark) if part is not None])
        return None

    def adopt(self, target: Target[Record], observed: Observed[Record]) -> Observed[Record]:
        """Claim a record that nobody claims."""
        zone, type_, name = _split(observed.external_id)
        self._change(zone, [("CREATE", _mark(Record(zone, name, type_), target.owner))])
        return Observed(observed.external_id, observed.value, owner=target.owner, attributes=observed.attributes, raw=observed.raw)

    def owned(self, identity: Identity) -> Mapping[str, str]:
        """By the owner records of every public zone: all of their pages are read, so it is for who has no status to go by."""
        owners: dict[str, str] = {}
        for page in self._aws.pages("route53", "list_hosted_zones"):
            for zone in page["HostedZones"]:
                if not zone.get("Config", {}).get("PrivateZone"):
                    owners |= self._owners(zone["Id"].removeprefix("/hostedzone/"))
        return owned_nodes(owners, identity)

    def _owners(self, zone: str) -> Iterator[tuple[str, str]]:
        for page in self._aws.pages("route53", "list_resource_record_sets", HostedZoneId=zone):
            for record in page["ResourceRecordSets"]:
                of = owned_record(record["Name"]) if record["Type"] == "TXT" else None
                if of is not None and (owner := owner_in(record)):
                    yield f"{zone}/{of[0]}/{of[1]}", owner

    def _change(self, zone: str, actions: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        change_records(self._aws, zone, actions)

    def _written(self, target: Target[Record], want: Record) -> Observed[Record]:
        return _record_observed(want, plain(want.name), target.owner, _record_set(want, {}))


def _split(external_id: str) -> tuple[str, str, str]:
    zone, type_, name = external_id.split("/", 2)
    return zone, type_, name


def _record_place(target: Target[Record]) -> tuple[str, str, str]:
    """(zone, type, plain name)."""
    if target.external_id:
        return _split(target.external_id)
    want = target.want()
    return want.zone_id, want.type, plain(want.name)


def _record_answer(target: Target[Record], place: tuple[str, str, str], found: Found) -> Observed[Record] | ReconcileError | None:
    if found is None or isinstance(found, ReconcileError):
        return found
    zone, type_, name = place
    records = found.get((name, type_), [])
    if not records:
        return None
    if len(records) > 1 or records[0].get("SetIdentifier"):
        return Terminal("RoutingPolicy", f"{type_} {name} has a routing policy (set identifiers) that somebody else made; it is never touched")
    value = _record_value(zone, records[0], target.desired)
    return _record_observed(value, name, owner_in(first_of(found, (owner_name(name, type_), "TXT"))), records[0])


def _record_observed(value: Record, name: str, owner: str, raw: RecordSet) -> Observed[Record]:
    return Observed(f"{value.zone_id}/{value.type}/{name}", value, owner=owner, attributes={"name": name}, raw=dict(raw))


def _record_value(zone: str, record: RecordSet, want: Record | None) -> Record:
    """As read, in the wanted spelling where both mean the same."""
    alias, values = None, frozenset(dict(_values(record["Type"], [entry["Value"] for entry in record.get("ResourceRecords", [])])))
    if target := record.get("AliasTarget"):
        alias = AliasTarget(plain(target["DNSName"]), target["HostedZoneId"], bool(target["EvaluateTargetHealth"]))
    read = Record(zone, plain(record["Name"]), record["Type"], alias, values, int(record.get("TTL", 0)))
    if want is None:
        return read
    spelled = dict(_values(want.type, want.values))
    name = want.name if plain(want.name) == read.name else read.name
    if alias is not None and want.alias is not None and plain(want.alias.domain) == alias.domain:
        alias = AliasTarget(want.alias.domain, alias.zone_id, alias.evaluate_health)
    return Record(zone, name, read.type, alias, frozenset(spelled.get(value, value) for value in values), read.ttl)


def _values(type_: str, values: Sequence[str] | frozenset[str]) -> Iterator[tuple[str, str]]:
    """Plain value and value as spelled."""
    for value in values:
        yield plain(value) if type_ in _HOST_VALUES else value, value


def _record_set(want: Record, raw: RecordSet) -> dict[str, Any]:
    """What to write: ours over what was there (a health check, say)."""
    kept = {key: value for key, value in raw.items() if key not in ("AliasTarget", "ResourceRecords", "TTL")}
    record: dict[str, Any] = {**kept, "Name": plain(want.name), "Type": want.type}
    if want.alias is not None:
        record["AliasTarget"] = {
            "DNSName": want.alias.domain,
            "HostedZoneId": want.alias.zone_id,
            "EvaluateTargetHealth": want.alias.evaluate_health,
        }
    else:
        record |= {"TTL": want.ttl, "ResourceRecords": [{"Value": value} for value in sorted(want.values)]}
    return record


def _mark(want: Record, owner: str) -> dict[str, Any]:
    return {"Name": owner_name(want.name, want.type), "Type": "TXT", "TTL": _OWNER_TTL, "ResourceRecords": [{"Value": owner_text(owner)}]}

"""Finds zones, makes and removes our records in them, and the records that validate certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, Target
from securebase.core.errors import ReconcileError, ReferenceNotFound, Terminal, Transient
from securebase.core.identity import Identity
from securebase.resources.acm.driver import list_certificates, validation_records
from securebase.resources.listing import STORM_SECONDS, Listing
from securebase.resources.route53.model import AliasTarget, Record, ValidationRecord, Zone
from securebase.resources.route53.zones import RecordKey, RecordSet, ZoneReader, owned_record, owner_in, owner_name, owner_text, plain
from securebase.resources.tagging import Tagged, owned_nodes, unresolved

_OWNER_TTL: Final = 300
_VALIDATION_TTL: Final = 300
_MISSED_SECONDS: Final = 3.0
_HOST_VALUES: Final = ("CNAME", "NS", "PTR")

Found = Mapping[RecordKey, list[RecordSet]] | ReconcileError | None


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
        found = _read_zones(self._zones, wanted, depth)
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
        mark = _one(found, (owner_name(name, want.type), "TXT"))
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
        record, mark = _one(found, (name, type_)), _one(found, (owner_name(name, type_), "TXT"))
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


class ValidationRecordDriver:
    """`route53/validation-record`: the CNAME that proves a domain to ACM. External id: `<zone>/<name>`.

    Its name is made by ACM from the account and the domain, which proves whose it is; every certificate of the domain in the account
    needs the same one for as long as it is renewed. So it goes only when no certificate but this object's own uses it. The TTL is left to
    whoever made it. Nobody has a reason to change one: every third sweep reads the zone.
    """

    type: ClassVar[str] = "route53/validation-record"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._zones = ZoneReader(aws, clock, every=3)

    def observe(self, targets: Sequence[Target[ValidationRecord]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: a request a name. SWEEP: the pages of a whole zone, as old as the last sweep that read them."""
        places = {target.key: _validation_place(target) for target in targets}
        wanted: dict[str, dict[str, set[str]]] = {}
        for zone, name in places.values():
            if not unresolved(zone, name):
                wanted.setdefault(zone, {}).setdefault(name, set())
        found = _read_zones(self._zones, wanted, depth)
        answers: dict[Key, Answer] = {}
        for target in targets:
            zone = places[target.key][0]
            answer = _validation_answer(target, places[target.key], found.get(zone))
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
        answer = _validation_answer(target, place, found)
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
        if self._used_by_another(target.identity, name):
            return None
        found = self._zones.find(zone, {name: ()})
        record = _one(found, (name, "CNAME")) if found else None
        if record is not None:
            change_records(self._aws, zone, [("DELETE", dict(record))])
            self._zones.wrote(zone)
        return None

    def _put(self, target: Target[ValidationRecord], raw: Mapping[str, Any]) -> Observed[ValidationRecord]:
        want = target.want()
        record = {"Name": plain(want.name), "Type": "CNAME", "TTL": raw.get("TTL", _VALIDATION_TTL), "ResourceRecords": [{"Value": plain(want.value)}]}
        change_records(self._aws, want.zone_id, [("UPSERT", record)])
        self._zones.wrote(want.zone_id)
        return _validation_observed(target, want, record)

    def _used_by_another(self, identity: Identity, name: str) -> bool:
        """Certificates of the same object do not count: they go with it. The record of a domain is the same in every region of an
        account: us-east-1 and the account's own region are looked at."""
        domain, ours = name.partition(".")[2], identity.owner("")
        for aws in {scope.region: scope for scope in (self._aws, self._aws.at_home())}.values():
            for arn, summary in list_certificates(aws).items():
                alike = not summary.complete or any(covered.removeprefix("*.") == domain for covered in summary.names)
                valid = alike and summary.status in ("ISSUED", "PENDING_VALIDATION")
                if valid and self._needs(aws, arn, name) and not self._owner(aws, arn).startswith(ours):
                    return True
        return False

    def _needs(self, aws: AwsScope, arn: str, name: str) -> bool:
        """Also when ACM has not told a new certificate's record yet: for the same domain it is the same."""
        answer = aws.attempt("acm", "describe_certificate", ("ResourceNotFoundException",), CertificateArn=arn)
        if isinstance(answer, Refusal):
            return False
        detail = answer["Certificate"]
        told = {domain: record for domain, record, _ in validation_records(detail)}
        domains = {domain.lower() for domain in (detail["DomainName"], *detail.get("SubjectAlternativeNames", []))}
        parent = name.partition(".")[2]
        return name in told.values() or any(domain.removeprefix("*.") == parent for domain in domains - told.keys())

    def _owner(self, aws: AwsScope, arn: str) -> str:
        answer = aws.attempt("acm", "list_tags_for_certificate", ("ResourceNotFoundException",), CertificateArn=arn)
        return "" if isinstance(answer, Refusal) else Tagged.of_list(answer.get("Tags", [])).owner


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


def _read_zones(reader: ZoneReader, wanted: Mapping[str, Mapping[str, set[str]]], depth: Depth) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for zone, names in wanted.items():
        try:
            found[zone] = reader.sweep(zone, names) if depth is Depth.SWEEP else reader.find(zone, names)
        except ReconcileError as error:
            found[zone] = error
    return found


def _one(found: Mapping[RecordKey, list[RecordSet]], key: RecordKey) -> RecordSet | None:
    return next(iter(found.get(key, [])), None)


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
    return _record_observed(value, name, owner_in(_one(found, (owner_name(name, type_), "TXT"))), records[0])


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


def _validation_place(target: Target[ValidationRecord]) -> tuple[str, str]:
    if target.external_id:
        zone, _, name = target.external_id.partition("/")
        return zone, name
    want = target.want()
    return want.zone_id, plain(want.name)


def _validation_answer(target: Target[ValidationRecord], place: tuple[str, str], found: Found) -> Observed[ValidationRecord] | ReconcileError | None:
    if found is None or isinstance(found, ReconcileError):
        return found
    zone, name = place
    record = _one(found, (name, "CNAME"))
    if record is None:
        return None
    value = plain(record["ResourceRecords"][0]["Value"]) if record.get("ResourceRecords") else ""
    want = target.desired
    if want is not None and plain(want.value) == value:
        value = want.value
    spelled = want.name if want is not None and plain(want.name) == name else name
    return _validation_observed(target, ValidationRecord(zone, spelled, value), record)


def _validation_observed(target: Target[ValidationRecord], value: ValidationRecord, record: RecordSet) -> Observed[ValidationRecord]:
    name = plain(value.name)
    return Observed(f"{value.zone_id}/{name}", value, owner=target.owner, attributes={"name": name}, raw=dict(record))

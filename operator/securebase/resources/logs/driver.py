"""Keeps vended log delivery: sources, destinations and deliveries. Each has a list that tells all of it, fifty a page.

Sources and destinations never change but for their tags: every third sweep lists them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, Generic, TypeVar

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, State, Target
from securebase.core.errors import ReconcileError, Terminal, Transient
from securebase.core.identity import OWNER_TAG, Identity
from securebase.resources.listing import STORM_SECONDS, Listing
from securebase.resources.logs.model import Delivery, DeliveryDestination, DeliverySource
from securebase.resources.pace import Pace
from securebase.resources.tagging import SweptTags, Tagged, TagIndex, owned_nodes, tag_map, tags_to_put, tags_to_remove, unresolved

D = TypeVar("D", DeliverySource, DeliveryDestination, Delivery)
Entry = Mapping[str, Any]

_GONE: Final = ("ResourceNotFoundException",)

IMPLICIT_PREFIX: Final = "AWSLogs/{account-id}/CloudFront/"
"""CreateDelivery puts this before a suffix path for a CloudFront source, unless the destination's ARN has a prefix of its own;
UpdateDeliveryConfiguration does not (terraform-provider-aws issue 46328). It is kept where it is, and not part of the value."""


class _LogsDriver(Generic[D]):
    """What the three have in common: a get by id, a list of everything, tags in the answers or beside them."""

    type: ClassVar[str]
    _id_member: ClassVar[str]
    _item_member: ClassVar[str]
    _list: ClassVar[tuple[str, str]]
    _get: ClassVar[str]
    _delete: ClassVar[str]
    _arn_type: ClassVar[str]
    _every: ClassVar[int] = 1

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._listing: Listing[str, Entry] = Listing(self._read_all, clock)
        self._pace = Pace(clock, self._every)
        self._index = TagIndex(aws, clock, f"logs:{self._arn_type}")
        self._tags = SweptTags(self._index, self._read_tags, clock)

    def observe(self, targets: Sequence[Target[D]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: by id. SWEEP: the list, and by id what it lacks."""
        listed = self._pace.get(self._listing) if depth is Depth.SWEEP else {}
        places = {target.key: self._place(target, listed, depth) for target in targets}
        arns = [listed[place]["arn"] for place in places.values() if place in listed and "tags" not in listed[place]]
        swept = self._tags.sweep(arns) if arns else {}
        answers: dict[Key, Answer] = {}
        for target in targets:
            place = places[target.key]
            try:
                entry = listed.get(place) or (self._read(place) if place else None)
                if entry is None:
                    answers[target.key] = None
                    continue
                read = swept.get(entry["arn"])
                observed = self._observed(target, entry, read.value if read else self._tagged(entry))
                listed_at = self._pace.asked_at if place in listed else 0.0
                answers[target.key] = replace(observed, checked_at=min(listed_at, read.at) if read else listed_at)
            except ReconcileError as error:
                answers[target.key] = error
        return answers

    def delete(self, target: Target[D], observed: Observed[D]) -> Observed[D] | None:
        """Gone at once, unless a delivery still uses it."""
        answer = self._aws.attempt("logs", self._delete, (*_GONE, "ConflictException"), **{self._id_member: observed.external_id})
        self._pace.wrote()
        if isinstance(answer, Refusal) and answer.code == "ConflictException":
            return replace(observed, state=State.PENDING, reason="InUse", message=answer.message)
        self._listing.drop(observed.external_id)
        return None

    def adopt(self, target: Target[D], observed: Observed[D]) -> Observed[D]:
        """Put our owner tag on it."""
        self._aws.call("logs", "tag_resource", resourceArn=observed.attributes["arn"], tags={OWNER_TAG: target.owner})
        self._pace.wrote()
        return replace(observed, owner=target.owner)

    def owned(self, identity: Identity) -> Mapping[str, str]:
        """By the owner tag."""
        entries = self._listing.get(STORM_SECONDS)
        if all("tags" in entry for entry in entries.values()):
            return owned_nodes({place: Tagged.of(entry["tags"]).owner for place, entry in entries.items()}, identity)
        by_arn = {entry["arn"]: place for place, entry in entries.items()}
        owners = {by_arn[arn]: owner for arn, owner in self._index.owners(STORM_SECONDS).items() if arn in by_arn}
        return owned_nodes(owners, identity)

    def _place(self, target: Target[D], listed: Mapping[str, Entry], depth: Depth) -> str:
        """The id to look for; "" when nothing can be there."""
        raise NotImplementedError

    def _observed(self, target: Target[D], entry: Entry, tagged: Tagged) -> Observed[D]:
        raise NotImplementedError

    def _read(self, place: str) -> Entry | None:
        answer = self._aws.attempt("logs", self._get, _GONE, **{self._id_member: place})
        if isinstance(answer, Refusal):
            return None
        entry: Entry = answer[self._item_member]
        return entry

    def _read_all(self) -> dict[str, Entry]:
        operation, member = self._list
        return {entry[self._id_member]: entry for page in self._aws.pages("logs", operation) for entry in page.get(member, [])}

    def _tagged(self, entry: Entry) -> Tagged:
        return Tagged.of(entry["tags"]) if "tags" in entry else self._tags.fresh(entry["arn"])

    def _read_tags(self, arn: str) -> Tagged:
        answer = self._aws.attempt("logs", "list_tags_for_resource", _GONE, resourceArn=arn)
        return Tagged("", {}) if isinstance(answer, Refusal) else Tagged.of(answer.get("tags", {}))

    def _made(self, target: Target[D], entry: Entry, tags: Mapping[str, str]) -> Observed[D]:
        """From the answer to a create, which may leave the tags out."""
        self._pace.wrote()
        self._listing.put(entry[self._id_member], {**entry, "tags": tag_map(target.owner, tags)} if "tags" in entry else entry)
        self._tags.wrote(entry["arn"], Tagged(target.owner, tags))
        return self._observed(target, entry, Tagged(target.owner, tags))

    def _retagged(self, observed: Observed[D], want: Mapping[str, str], have: Mapping[str, str], changes: Sequence[Change]) -> dict[str, str]:
        """Write the tags that differ. Tags in a put of an existing resource are refused (ConflictException), so they have calls of their own."""
        arn = observed.attributes["arn"]
        if put := tags_to_put(want, have):
            self._aws.call("logs", "tag_resource", resourceArn=arn, tags=put)
        if gone := tags_to_remove(changes, want):
            self._aws.call("logs", "untag_resource", resourceArn=arn, tagKeys=gone)
        tags = {key: value for key, value in {**have, **put}.items() if key not in gone}
        self._pace.wrote()
        self._tags.wrote(arn, Tagged(observed.owner, tags))
        return tags


class DeliverySourceDriver(_LogsDriver[DeliverySource]):
    """`logs/delivery-source`. External id: the name. A source never changes; one resource has one source per log type."""

    type: ClassVar[str] = "logs/delivery-source"
    DELETE_FIRST: ClassVar[bool] = True
    _id_member, _item_member, _get, _delete = "name", "deliverySource", "get_delivery_source", "delete_delivery_source"
    _list = ("describe_delivery_sources", "deliverySources")
    _arn_type = "delivery-source"
    _every = 3

    def create(self, target: Target[DeliverySource], token: str) -> Observed[DeliverySource]:
        """Put it; a retry finds it under its name."""
        want = target.want()
        if found := _present(self, target, want.name):
            return found
        params = {"name": want.name, "resourceArn": want.resource_arn, "logType": want.log_type, "tags": tag_map(target.owner, want.tags)}
        answer = self._aws.attempt("logs", "put_delivery_source", ("ConflictException",), **params)
        if isinstance(answer, Refusal):
            raise Terminal("SourceExists", f"{want.resource_arn} already has a delivery source for {want.log_type}: {answer.message}")
        return self._made(target, answer["deliverySource"], want.tags)

    def update(self, target: Target[DeliverySource], observed: Observed[DeliverySource], changes: Sequence[Change]) -> Observed[DeliverySource]:
        """Only tags can change."""
        tags = self._retagged(observed, target.want().tags, observed.value.tags, changes)
        return replace(observed, value=replace(observed.value, tags=tags))

    def _place(self, target: Target[DeliverySource], listed: Mapping[str, Entry], depth: Depth) -> str:
        return target.external_id or _resolved(target.want().name)

    def _observed(self, target: Target[DeliverySource], entry: Entry, tagged: Tagged) -> Observed[DeliverySource]:
        arns = entry.get("resourceArns") or [""]
        value = DeliverySource(entry["name"], arns[0], tagged.rest, entry.get("logType", ""))
        gone = entry.get("status") == "INACTIVE"
        state, message = (State.FAILED, f"the source is inactive: {entry.get('statusReason', '')}") if gone else (State.READY, "")
        attributes = {"name": entry["name"], "arn": entry["arn"]}
        return Observed(entry["name"], value, state, "Inactive" if gone else "", message, owner=tagged.owner, attributes=attributes, raw=entry)


class DeliveryDestinationDriver(_LogsDriver[DeliveryDestination]):
    """`logs/delivery-destination`. External id: the name."""

    type: ClassVar[str] = "logs/delivery-destination"
    DELETE_FIRST: ClassVar[bool] = True
    _id_member, _item_member, _get, _delete = "name", "deliveryDestination", "get_delivery_destination", "delete_delivery_destination"
    _list = ("describe_delivery_destinations", "deliveryDestinations")
    _arn_type = "delivery-destination"
    _every = 3

    def create(self, target: Target[DeliveryDestination], token: str) -> Observed[DeliveryDestination]:
        """Put it; a retry finds it under its name."""
        want = target.want()
        if found := _present(self, target, want.name):
            return found
        answer = self._aws.call(
            "logs",
            "put_delivery_destination",
            name=want.name,
            outputFormat=want.output_format,
            deliveryDestinationConfiguration={"destinationResourceArn": want.destination_arn},
            tags=tag_map(target.owner, want.tags),
        )
        return self._made(target, answer["deliveryDestination"], want.tags)

    def update(self, target: Target[DeliveryDestination], observed: Observed[DeliveryDestination], changes: Sequence[Change]) -> Observed[DeliveryDestination]:
        """Only tags can change."""
        tags = self._retagged(observed, target.want().tags, observed.value.tags, changes)
        return replace(observed, value=replace(observed.value, tags=tags))

    def _place(self, target: Target[DeliveryDestination], listed: Mapping[str, Entry], depth: Depth) -> str:
        return target.external_id or _resolved(target.want().name)

    def _observed(self, target: Target[DeliveryDestination], entry: Entry, tagged: Tagged) -> Observed[DeliveryDestination]:
        arn = entry.get("deliveryDestinationConfiguration", {}).get("destinationResourceArn", "")
        value = DeliveryDestination(entry["name"], arn, tagged.rest, entry.get("outputFormat", ""))
        attributes = {"name": entry["name"], "arn": entry["arn"]}
        return Observed(entry["name"], value, owner=tagged.owner, attributes=attributes, raw=entry)


class DeliveryDriver(_LogsDriver[Delivery]):
    """`logs/delivery`. External id: the id AWS gives. A source and a destination have one delivery at most, which finds it again."""

    type: ClassVar[str] = "logs/delivery"
    DELETE_FIRST: ClassVar[bool] = True
    _id_member, _item_member, _get, _delete = "id", "delivery", "get_delivery", "delete_delivery"
    _list = ("describe_deliveries", "deliveries")
    _arn_type = "delivery"

    def create(self, target: Target[Delivery], token: str) -> Observed[Delivery]:
        """Create it. A conflict is an earlier try's success, or a source or destination that is being updated."""
        want = target.want()
        answer = self._aws.attempt(
            "logs",
            "create_delivery",
            ("ConflictException",),
            deliverySourceName=want.source_name,
            deliveryDestinationArn=want.destination_arn,
            tags=tag_map(target.owner, want.tags),
            **_configuration(want),
        )
        if not isinstance(answer, Refusal):
            return self._made(target, answer["delivery"], want.tags)
        found = self._pair(want, self._listing.get())
        if found is None:
            raise Transient("ChangedMeanwhile", f"delivery of {want.source_name}: {answer.message}")
        return self._observed(target, found, self._tagged(found))

    def update(self, target: Target[Delivery], observed: Observed[Delivery], changes: Sequence[Change]) -> Observed[Delivery]:
        """Change fields and path, and tags."""
        want, have = target.want(), observed.value
        if any(not change.path.startswith("tags[") for change in changes):
            self._aws.call("logs", "update_delivery_configuration", id=observed.external_id, **_configuration(want, observed.raw))
        tags = self._retagged(observed, want.tags, have.tags, changes)
        return replace(observed, value=replace(want, tags=tags), raw={**observed.raw, **_configuration(want, observed.raw)})

    def _place(self, target: Target[Delivery], listed: Mapping[str, Entry], depth: Depth) -> str:
        if target.external_id:
            return target.external_id
        want = target.want()
        if unresolved(want.source_name, want.destination_arn):
            return ""
        entry = self._pair(want, listed if depth is Depth.SWEEP else self._listing.get(STORM_SECONDS))
        return entry["id"] if entry else ""

    def _pair(self, want: Delivery, listed: Mapping[str, Entry]) -> Entry | None:
        return next(
            (entry for entry in listed.values() if entry["deliverySourceName"] == want.source_name and entry["deliveryDestinationArn"] == want.destination_arn),
            None,
        )

    def _observed(self, target: Target[Delivery], entry: Entry, tagged: Tagged) -> Observed[Delivery]:
        """What the spec leaves to AWS ("" or no fields) shows as left to AWS."""
        want, s3 = target.desired, entry.get("s3DeliveryConfiguration") or {}
        value = Delivery(
            source_name=entry["deliverySourceName"],
            destination_arn=entry["deliveryDestinationArn"],
            tags=tagged.rest,
            fields=() if want is not None and not want.fields else tuple(entry.get("recordFields") or ()),
            field_delimiter="" if want is not None and not want.field_delimiter else entry.get("fieldDelimiter", ""),
            suffix_path="" if want is not None and not want.suffix_path else _path(s3.get("suffixPath", ""), want.suffix_path if want else ""),
            hive_compatible=bool(s3.get("enableHiveCompatiblePath", False)),
        )
        return Observed(entry["id"], value, owner=tagged.owner, attributes={"id": entry["id"], "arn": entry["arn"]}, raw=entry)


def _path(found: str, want: str) -> str:
    """A suffix path without the implicit prefix, in the wanted spelling where only the leading slash differs."""
    path = found if want.startswith(IMPLICIT_PREFIX) else found.removeprefix(IMPLICIT_PREFIX)
    return want if path.lstrip("/") == want.lstrip("/") else path


def _configuration(want: Delivery, raw: Entry | None = None) -> dict[str, Any]:
    """Parameters for what is wanted, on top of what is there. What is to go back to AWS's default cannot be unset by leaving it out: it stays."""
    there = dict((raw or {}).get("s3DeliveryConfiguration") or {})
    config: dict[str, Any] = {}
    if want.fields:
        config["recordFields"] = list(want.fields)
    if want.field_delimiter:
        config["fieldDelimiter"] = want.field_delimiter
    if want.suffix_path:
        implicit = there.get("suffixPath", "").startswith(IMPLICIT_PREFIX) and not want.suffix_path.startswith(IMPLICIT_PREFIX)
        there["suffixPath"] = IMPLICIT_PREFIX + want.suffix_path.lstrip("/") if implicit else want.suffix_path
    if want.hive_compatible or there.get("enableHiveCompatiblePath"):
        there["enableHiveCompatiblePath"] = want.hive_compatible
    return config | ({"s3DeliveryConfiguration": there} if there else {})


def _present(driver: _LogsDriver[D], target: Target[D], name: str) -> Observed[D] | None:
    """What an earlier try made."""
    entry = driver._read(name)
    if entry is None:
        return None
    found = driver._observed(target, entry, driver._tagged(entry))
    if found.owner != target.owner:
        raise Terminal("NameTaken", f"{driver.type} {name} exists and belongs to {found.owner or 'somebody else'}")
    return found


def _resolved(name: str) -> str:
    return "" if unresolved(name) else name

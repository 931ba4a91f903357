"""What an alarm set watches: targets that were named, referenced or found by tags, as far as they are known."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from securebase.api.alarmset import PerfAlarmSetSpec, Target
from securebase.core.errors import Terminal
from securebase.core.graph import Node, Role
from securebase.core.kind import Context, Facts, Needs, ObjectRef
from securebase.kinds.alarmset.catalogue import Severity, TargetType, catalogue
from securebase.kinds.alarmset.names import CDN_REGION, search_id, target_id
from securebase.resources.discovery.model import KnownTarget, TagSearch

_LIMIT: Final = re.compile(r"(?P<metric>\w+)=(?P<value>[0-9.]+(?:e[+-]?[0-9]+)?):(?P<severity>critical|warning)")
_DECIDING: Final = (
    "exists", "settled", "unread", "arn", "id", "members", "logGroup", "logFormat", "reservedConcurrency", "accountConcurrency", "timeoutSeconds", "dlq",
    "aurora", "multiAz", "monitored", "accessLogs",
)  # fmt: skip
"""Attributes of a lookup that change what is composed."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Where an alarm of a referenced object fires."""

    metric: str
    value: float
    severity: Severity


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that exists and is watched.

    single    the target itself, not one of several found by tags
    members   names that member-wise metrics exist under
    borrowed  names of alarms that the referenced object makes; `critical` are the urgent ones among them, `limits` where they fire
    """

    target: Target
    name: str
    region: str
    single: bool = True
    id: str = ""
    members: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    borrowed: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    critical: frozenset[str] = frozenset()

    @property
    def type(self) -> TargetType:
        return catalogue().types[self.target.type]

    @property
    def stage(self) -> str:
        return self.target.stage or ""

    @property
    def service(self) -> str:
        return self.target.service or "platform"

    def dimensions(self, member: str = "") -> dict[str, str]:
        """Of one of its metrics, as CloudWatch names them."""
        if self.target.metric is not None:
            return dict(self.target.metric.dimensions)
        stands = {"name": self.name, "id": self.id or self.name, "stage": self.stage, "member": member}
        filled = {name: said[1:] if said.startswith("=") else stands[said] for name, said in self.type.dimensions.items()}
        return {name: value for name, value in filled.items() if value}


@dataclass(frozen=True, slots=True)
class Foreign:
    """A referenced object of another account. Composites take no alarm of one, and its metrics are not seen from here: nothing of it is watched."""

    target: str
    service: str
    object: str
    account: str

    def __str__(self) -> str:
        return f"{self.object} of account {self.account}"


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a set is composed of.

    found    everything that exists
    known    the attributes it was found by
    foreign  what is left out because it is of another account
    unknown  targets of which something cannot be told: lookups without an answer, references to objects that are being made
    left     targets that leave something they found to another one, which would be asked first and has no answer: nothing new is made of it
    away     targets that nothing was found of so far, be they unknown or not there
    regions  where there is, or will be, something to tell of
    """

    found: tuple[Found, ...]
    known: Mapping[str, Mapping[str, str]]
    foreign: tuple[Foreign, ...]
    unknown: tuple[Target, ...]
    left: tuple[Target, ...]
    away: tuple[Target, ...]
    regions: frozenset[str]

    @property
    def complete(self) -> bool:
        """Whether every lookup has its answer. An object that is being made holds up nothing but what is made of it."""
        return all(target.ref is not None for target in self.unknown)

    @property
    def unsure(self) -> frozenset[str]:
        """Services of which something may be missing here."""
        return frozenset(target.service for target in (*self.unknown, *self.left))


def lookup_needs(spec: PerfAlarmSetSpec, namespace: str) -> Needs:
    """Lookups whose answers decide what there is, and objects whose alarms are used."""
    refs = frozenset(ObjectRef(target.ref.kind, namespace, target.ref.name) for target in spec.targets if target.ref is not None)
    return Needs(nodes=frozenset(node for target in spec.targets if (node := _lookup(target))), objects_if_there=refs)


def lookup_nodes(spec: PerfAlarmSetSpec) -> Iterator[Node]:
    """One lookup for each target that AWS is asked about."""
    for target in spec.targets:
        region = CDN_REGION if target.type == "CloudFront" else ""
        if target.name is not None:
            known = KnownTarget(target.type, target.name, target.stage or "")
            yield Node(target_id(target.id), "discovery/target", known, region, Role.EXTERNAL)
        elif target.selector is not None:
            yield Node(search_id(target.id), "discovery/search", TagSearch(target.type, dict(target.selector.tags)), region, Role.EXTERNAL)


def gathered(spec: PerfAlarmSetSpec, facts: Facts, context: Context) -> Gathered:
    """What exists. What two targets mean is watched once: by the one that refers to the object that makes it and its alarms, then by the
    one that says its name, else by the first. Whoever gave alarms to a named one that is not used is told; what tags found may be left to others.
    What one of them may have watched that has no answer now is left out: taken by another it would tell twice."""
    ranked = sorted(spec.targets, key=_rank)
    every = [found for target in ranked for found in _found(target, facts, context)]
    order = {target.id: at for at, target in enumerate(spec.targets)}
    once = {_key(found): found for found in reversed(every)}
    for found in every:
        _refuse_unused(found.target, once[_key(found)].target)
    doubtful = frozenset(_doubtful(ranked, once, facts))
    mine = sorted((found for key, found in once.items() if key not in doubtful), key=lambda found: (order[found.target.id], found.name))
    leaving = {once[key].target.id for key in doubtful}
    left = tuple(target for target in spec.targets if target.id in leaving)
    known = {node: _decided(facts, node) for target in spec.targets if (node := _lookup(target))}
    unknown = tuple(target for target in spec.targets if not _is_known(target, facts, context))
    foreign = tuple(_foreign(spec, facts, context))
    seen = {found.target.id for found in every} | {other.target for other in foreign}
    away = tuple(target for target in spec.targets if target.id not in seen)
    return Gathered(tuple(mine), known, foreign, unknown, left, away, frozenset({context.region, *_far(mine, away)}))


def _doubtful(ranked: Sequence[Target], once: Mapping[tuple[str, ...], Found], facts: Facts) -> Iterator[tuple[str, ...]]:
    """Keys of what a lookup without an answer comes before. An object that is being made holds up nothing."""
    rank = {target.id: at for at, target in enumerate(ranked)}
    silent = [target for target in ranked if (node := _lookup(target)) and node not in facts.nodes]
    for key, found in once.items():
        if any(rank[other.id] < rank[found.target.id] and _may_mean(other, found) for other in silent):
            yield key


def _may_mean(target: Target, found: Found) -> bool:
    """Whether a lookup without an answer may be of that very thing."""
    if target.type != found.target.type:
        return False
    return target.name is None or (target.name, target.stage or "") == (found.name, found.stage)


def _far(found: Iterable[Found], away: Iterable[Target]) -> Iterator[str]:
    """us-east-1 by the spec alone: a CDN that is away for an hour must not take the topic with its confirmed subscriptions along. In which
    region a referenced cache lives only the cache itself tells."""
    yield from (thing.region for thing in found)
    yield from (CDN_REGION for target in away if target.type == "CloudFront")


def _refuse_unused(target: Target, watched: Target) -> None:
    if target.id == watched.id or target.selector is not None or not target.alarms:
        return
    where = f"targets[{target.id}].alarms[{target.alarms[0].id}]"
    raise Terminal("WatchedTwice", f"{where} is not used, because targets[{watched.id}] means the same thing and comes first; give it there, or take one out")


def _lookup(target: Target) -> str:
    return target_id(target.id) if target.name is not None else search_id(target.id) if target.selector is not None else ""


def _rank(target: Target) -> int:
    return 0 if target.ref is not None else 2 if target.selector is not None else 1


def _key(found: Found) -> tuple[str, ...]:
    if found.target.metric is not None:
        return found.target.id, ""
    return found.target.type, found.name, found.stage, found.region


def _decided(facts: Facts, node: str) -> Mapping[str, str]:
    attributes = facts.nodes.get(node, {})
    names = ("members", "details", "settled") if node.startswith("search-") else _DECIDING
    return {name: attributes.get(name, "") for name in names}


def _is_known(target: Target, facts: Facts, context: Context) -> bool:
    if target.ref is not None:
        outputs = facts.objects.get(ObjectRef(target.ref.kind, context.identity.namespace, target.ref.name))
        return outputs is None or bool(outputs.get("id"))  # one that is not there is known to have nothing; one that is being made may have alarms already
    node = _lookup(target)
    if not node:
        return True
    known = facts.nodes.get(node)
    if known is None or known.get("settled") == "false":
        return False
    return known.get("exists") != "true" or "arn" in known  # what was only read by its name a moment ago has no attributes yet


def _found(target: Target, facts: Facts, context: Context) -> Iterator[Found]:
    if target.metric is not None:
        yield Found(target, target.metric.name, context.region)
    elif target.ref is not None:
        yield from _referenced(target, facts, context)
    elif target.name is not None:
        attributes = facts.nodes.get(target_id(target.id), {})
        if attributes.get("exists") == "true":
            yield _of(target, target.name, attributes, context, single=True)
    else:
        attributes = facts.nodes.get(search_id(target.id), {})
        details = json.loads(attributes.get("details") or "{}")
        for name in json.loads(attributes.get("members") or "[]"):
            yield _of(target, name, details.get(name, {}), context, single=False)


def _of(target: Target, name: str, attributes: Mapping[str, str], context: Context, *, single: bool) -> Found:
    region = CDN_REGION if target.type == "CloudFront" else context.region
    return Found(target, name, region, single, attributes.get("id", ""), _members(attributes), attributes)


def _referenced(target: Target, facts: Facts, context: Context) -> Iterator[Found]:
    if target.ref is None:
        return
    outputs = facts.objects.get(ObjectRef(target.ref.kind, context.identity.namespace, target.ref.name), {})
    if not (id := outputs.get("id", "")) or _other_account(outputs, context):
        return
    region = outputs.get("region") or (CDN_REGION if target.type == "CloudFront" else context.region)
    members = tuple(member.rpartition(":")[0] or member for member in _listed(outputs.get("members", "")))
    yield Found(
        target, id, region, id=id, members=members,
        borrowed=_listed(outputs.get("alarmNames", "")), limits=tuple(_limits(outputs.get("alarmThresholds", ""))),
        critical=frozenset(_listed(outputs.get("criticalAlarmNames", ""))),
    )  # fmt: skip


def _limits(text: str) -> Iterator[Limit]:
    for found in _LIMIT.finditer(text):
        yield Limit(found["metric"], float(found["value"]), "critical" if found["severity"] == "critical" else "warning")


def _foreign(spec: PerfAlarmSetSpec, facts: Facts, context: Context) -> Iterator[Foreign]:
    for target in spec.targets:
        if target.ref is not None:
            outputs = facts.objects.get(ObjectRef(target.ref.kind, context.identity.namespace, target.ref.name), {})
            if account := _other_account(outputs, context):
                yield Foreign(target.id, target.service, f"{target.ref.kind} {target.ref.name}", account)


def _other_account(outputs: Mapping[str, str], context: Context) -> str:
    """The account of an object's ARN where it is not the set's."""
    parts = outputs.get("arn", "").split(":")
    return parts[4] if len(parts) > 4 and parts[4] != context.account_id else ""


def _members(attributes: Mapping[str, str]) -> tuple[str, ...]:
    """Names alone, where roles stand beside them: `c-001:primary`."""
    return tuple(member.partition(":")[0] for member in _listed(attributes.get("members", "")))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(entry for entry in text.split(",") if entry)


def missing(spec: PerfAlarmSetSpec, attributes: Mapping[str, Mapping[str, str]]) -> Iterable[str]:
    """Ids of the named targets that are proven absent."""
    return (target.id for target in spec.targets if attributes.get(target_id(target.id), {}).get("exists") == "false")

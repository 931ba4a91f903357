"""ElastiCache parameter groups: families, their parameters, changes that need a reboot, groups in use.

ElastiCache API reference, CreateCacheParameterGroup, ModifyCacheParameterGroup (at most 20 at once), ResetCacheParameterGroup,
DescribeCacheParameters; ElastiCache User Guide, "Engine specific parameters" (types, allowed values, defaults, when a change takes effect).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lab.aws.models.elasticache_rules import FAMILIES, check_name, clash, refuse
from lab.aws.models.elasticache_state import Desk, ParameterGroup, Store, page
from lab.aws.wire import AwsFault

_MOST_AT_ONCE = 20
_QUOTA = 150
_EVICTION = "volatile-lru,allkeys-lru,volatile-lfu,allkeys-lfu,volatile-random,allkeys-random,volatile-ttl,noeviction"
_POST_SIX = ("redis6.x", "redis7", "valkey7", "valkey8")
_SEVEN = ("redis7", "valkey7", "valkey8")
_BEFORE_SEVEN = ("redis5.0", "redis6.x")


@dataclass(frozen=True, slots=True)
class Parameter:
    """`allowed` as the API writes it: `yes,no`, `0-`, `0,20-`, or empty for any text; `families` empty means all."""

    name: str
    kind: str
    default: str
    allowed: str
    reboot: bool = False
    families: tuple[str, ...] = ()
    modifiable: bool = True

    def accepts(self, value: str) -> bool:
        if not self.allowed:
            return True
        if self.name == "notify-keyspace-events":
            return set(value) <= set(self.allowed)
        if self.kind == "string":
            return value in self.allowed.split(",")
        if not re.fullmatch(r"-?\d+", value):
            return False
        return any(_within(int(value), part) for part in self.allowed.split(","))


def _within(number: int, span: str) -> bool:
    found = re.fullmatch(r"(-?\d+)(-(\d*))?", span)
    assert found is not None, span
    low, ranged, high = int(found[1]), found[2], found[3]
    return low <= number <= int(high) if high else number >= low if ranged else number == low


def _number(name: str, default: str, allowed: str = "0-", **more: Any) -> Parameter:
    return Parameter(name, "integer", default, allowed, **more)


def _choice(name: str, default: str, allowed: str = "yes,no", **more: Any) -> Parameter:
    return Parameter(name, "string", default, allowed, **more)


PARAMETERS: tuple[Parameter, ...] = (
    _choice("activedefrag", "no"),
    _number("active-defrag-cycle-max", "75", "1-75"),
    _number("active-defrag-cycle-min", "5", "1-75"),
    _number("active-defrag-threshold-lower", "10", "1-100"),
    _choice("activerehashing", "yes", reboot=True),
    _number("acllog-max-len", "128", "1-10000", families=_POST_SIX),
    _choice("appendfsync", "everysec", "always,everysec,no"),
    _choice("appendonly", "no", reboot=True, modifiable=False),
    _number("client-output-buffer-limit-normal-hard-limit", "0"),
    _number("client-output-buffer-limit-pubsub-hard-limit", "33554432"),
    _number("client-output-buffer-limit-pubsub-soft-limit", "8388608"),
    _choice("close-on-replica-write", "yes"),
    _choice("cluster-allow-reads-when-down", "no", families=_POST_SIX),
    _choice("cluster-enabled", "no", reboot=True),
    _choice("cluster-require-full-coverage", "no"),
    _number("databases", "16", "1-1200000", reboot=True),
    _number("hash-max-listpack-entries", "512", families=_SEVEN),
    _number("hash-max-listpack-value", "64", families=_SEVEN),
    _number("hash-max-ziplist-entries", "512", families=_BEFORE_SEVEN),
    _number("hash-max-ziplist-value", "64", families=_BEFORE_SEVEN),
    _choice("lazyfree-lazy-eviction", "no"),
    _choice("lazyfree-lazy-expire", "no"),
    _choice("lazyfree-lazy-server-del", "no"),
    _choice("lazyfree-lazy-user-del", "no", families=_POST_SIX),
    _number("lfu-decay-time", "1"),
    _number("lfu-log-factor", "10", "1-"),
    _number("list-compress-depth", "0"),
    _number("maxclients", "65000", "1-65000", reboot=True, modifiable=False),
    _choice("maxmemory-policy", "volatile-lru", _EVICTION),
    _number("maxmemory-samples", "3", "1-"),
    _number("min-replicas-max-lag", "10"),
    _number("min-replicas-to-write", "0"),
    _choice("notify-keyspace-events", "", "KEg$lshzxeAtdmn"),
    _number("proto-max-bulk-len", "536870912", "1048576-536870912"),
    _number("repl-backlog-size", "1048576", "16384-"),
    _number("repl-backlog-ttl", "3600"),
    _number("reserved-memory", "0"),
    _number("reserved-memory-percent", "25", "0-100"),
    _number("set-max-intset-entries", "512"),
    _number("slowlog-log-slower-than", "10000", "-1-"),
    _number("slowlog-max-len", "128"),
    _number("stream-node-max-bytes", "4096"),
    _number("stream-node-max-entries", "100"),
    _number("tcp-keepalive", "300"),
    _number("timeout", "0", "0,20-"),
    _number("tracking-table-max-keys", "1000000", "1-100000000", families=_POST_SIX),
    _number("zset-max-listpack-entries", "128", families=_SEVEN),
    _number("zset-max-listpack-value", "64", families=_SEVEN),
    _number("zset-max-ziplist-entries", "128", families=_BEFORE_SEVEN),
    _number("zset-max-ziplist-value", "64", families=_BEFORE_SEVEN),
)


def parameters_of(family: str) -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in PARAMETERS if not parameter.families or family in parameter.families}


def default_group(store: Store, name: str) -> ParameterGroup | None:
    """`default.redis7` and `default.redis7.cluster.on` exist without being made, and cannot be changed."""
    family = name.removeprefix("default.").removesuffix(".cluster.on")
    if not name.startswith("default.") or family not in FAMILIES:
        return None
    values = {"cluster-enabled": "yes"} if name.endswith(".cluster.on") else {}
    return ParameterGroup(name, store.arn("parametergroup", name), family, f"Default parameter group for {family}", values)


def find_group(store: Store, name: str) -> ParameterGroup:
    found = store.parameter_groups.get(name.lower()) or default_group(store, name)
    if found is None:
        raise AwsFault("CacheParameterGroupNotFound", f"CacheParameterGroup {name} not found.")
    return found


def cluster_enabled(group: ParameterGroup) -> bool:
    return group.values.get("cluster-enabled") == "yes"


def _own_group(desk: Desk) -> ParameterGroup:
    name = desk.params["CacheParameterGroupName"]
    group = find_group(desk.store, name)
    if name.startswith("default."):
        raise AwsFault("InvalidCacheParameterGroupState", f"The default parameter group {name} cannot be changed or deleted.")
    return group


def _document(group: ParameterGroup) -> dict[str, Any]:
    return {
        "CacheParameterGroupName": group.name,
        "CacheParameterGroupFamily": group.family,
        "Description": group.description,
        "IsGlobal": False,
        "ARN": group.arn,
    }


async def create(desk: Desk) -> dict[str, Any]:
    params, store = desk.params, desk.store
    name = params["CacheParameterGroupName"].lower()
    # The name of a parameter group may be longer than a group's, but has the same form otherwise.
    check_name(name.replace(".", "")[:40], "CacheParameterGroupName")
    if name.startswith("default."):
        raise refuse("A parameter group's name must not begin with 'default.'.")
    family = params["CacheParameterGroupFamily"]
    if family not in FAMILIES:
        raise refuse(f"CacheParameterGroupFamily {family} is not a valid parameter group family.")
    if name in store.parameter_groups:
        raise AwsFault("CacheParameterGroupAlreadyExists", f"Cache parameter group {name} already exists.")
    if len(store.parameter_groups) >= store.quota("elasticache.parameter_groups", _QUOTA):
        raise AwsFault("CacheParameterGroupQuotaExceeded", "Quota exceeded for parameter groups.")
    group = ParameterGroup(name, store.arn("parametergroup", name), family, params["Description"])
    store.parameter_groups[name] = group
    store.tag(group.arn, params.get("Tags", []))
    return {"CacheParameterGroup": _document(group)}


async def describe(desk: Desk) -> dict[str, Any]:
    if name := desk.params.get("CacheParameterGroupName"):
        return page(desk.params, "CacheParameterGroups", [_document(find_group(desk.store, name))])
    defaults = [default_group(desk.store, f"default.{family}{suffix}") for family in FAMILIES for suffix in ("", ".cluster.on")]
    every = [*desk.store.parameter_groups.values(), *(group for group in defaults if group is not None)]
    return page(desk.params, "CacheParameterGroups", [_document(group) for group in sorted(every, key=lambda group: group.name)])


def _described(group: ParameterGroup, source: str | None) -> Iterator[dict[str, Any]]:
    user = not group.name.startswith("default.")
    for name, parameter in sorted(parameters_of(group.family).items()):
        origin = "user" if user and name in group.values else "system"
        if source and source != origin:
            continue
        document = {
            "ParameterName": name,
            "ParameterValue": group.values.get(name, parameter.default),
            "Description": f"{name} of the engine",
            "Source": origin,
            "DataType": parameter.kind,
            "AllowedValues": parameter.allowed,
            "IsModifiable": parameter.modifiable,
            "MinimumEngineVersion": "2.8.6",
            "ChangeType": "requires-reboot" if parameter.reboot else "immediate",
        }
        # A parameter that is set to nothing has no ParameterValue at all.
        yield {key: value for key, value in document.items() if key != "ParameterValue" or value}


async def describe_parameters(desk: Desk) -> dict[str, Any]:
    group = find_group(desk.store, desk.params["CacheParameterGroupName"])
    return page(desk.params, "Parameters", list(_described(group, desk.params.get("Source"))))


async def describe_defaults(desk: Desk) -> dict[str, Any]:
    family = desk.params["CacheParameterGroupFamily"]
    if family not in FAMILIES:
        raise refuse(f"CacheParameterGroupFamily {family} is not a valid parameter group family.")
    group = ParameterGroup(f"default.{family}", "", family, "")
    return {"EngineDefaults": page(desk.params, "Parameters", list(_described(group, None))) | {"CacheParameterGroupFamily": family}}


def _changed(desk: Desk, group: ParameterGroup, names: list[str]) -> None:
    """Members told to apply the change: at once, or marked until they are rebooted."""
    known = parameters_of(group.family)
    reboot = any(known[name].reboot for name in names)
    for replication in desk.store.groups.values():
        if replication.parameter_group == group.name:
            for _, member in replication.members():
                member.reboot_needed = member.reboot_needed or reboot


def _checked(group: ParameterGroup, name: str, value: str | None) -> None:
    parameter = parameters_of(group.family).get(name)
    if parameter is None:
        raise refuse(f"Could not find parameter with name: {name}")
    if not parameter.modifiable:
        raise refuse(f"The parameter {name} cannot be modified.")
    if value is not None and not parameter.accepts(value):
        raise refuse(f"The value {value} is not valid for parameter {name}: {parameter.allowed}.")


async def modify(desk: Desk) -> dict[str, Any]:
    group = _own_group(desk)
    entries = desk.params["ParameterNameValues"]
    if not 1 <= len(entries) <= _MOST_AT_ONCE:
        raise refuse(f"Between 1 and {_MOST_AT_ONCE} parameters can be modified at once.")
    for entry in entries:
        _checked(group, entry["ParameterName"], entry.get("ParameterValue", ""))
        in_use = any(replication.parameter_group == group.name for replication in desk.store.groups.values())
        if entry["ParameterName"] == "cluster-enabled" and in_use:
            raise AwsFault("InvalidCacheParameterGroupState", "cluster-enabled cannot be changed while the group is in use.")
    changed = [entry["ParameterName"] for entry in entries if group.values.get(entry["ParameterName"]) != entry.get("ParameterValue", "")]
    for entry in entries:
        group.values[entry["ParameterName"]] = entry.get("ParameterValue", "")
    _changed(desk, group, changed)
    return {"CacheParameterGroupName": group.name}


async def reset(desk: Desk) -> dict[str, Any]:
    group = _own_group(desk)
    entries = desk.params.get("ParameterNameValues", [])
    if bool(entries) == bool(desk.params.get("ResetAllParameters")):
        raise clash("Exactly one of ResetAllParameters and ParameterNameValues is needed.")
    names = [entry["ParameterName"] for entry in entries] or list(group.values)
    if len(entries) > _MOST_AT_ONCE:
        raise refuse(f"At most {_MOST_AT_ONCE} parameters can be reset at once.")
    for name in names:
        _checked(group, name, None)
    _changed(desk, group, [name for name in names if name in group.values])
    for name in names:
        group.values.pop(name, None)
    return {"CacheParameterGroupName": group.name}


async def delete(desk: Desk) -> dict[str, Any]:
    group = _own_group(desk)
    users = [replication.id for replication in desk.store.groups.values() if replication.parameter_group == group.name]
    if users:
        raise AwsFault("InvalidCacheParameterGroupState", f"One or more cache clusters are still members of this parameter group {group.name}.")
    del desk.store.parameter_groups[group.name]
    desk.lab.tagged.pop(group.arn, None)
    return {}

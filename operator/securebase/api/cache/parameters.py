"""Parameters of the engine that may be set, which family knows them, and the values they take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from securebase.api.base import ApiModel, MapBounds, Rule, Rules, matches
from securebase.api.cache.engines import FAMILIES, FamilyName
from securebase.api.cel import one_of

EvictionPolicy = Literal["volatile-lru", "allkeys-lru", "volatile-lfu", "allkeys-lfu", "volatile-random", "allkeys-random", "volatile-ttl", "noeviction"]
DEFAULT_EVICTION_POLICY: EvictionPolicy = "volatile-lru"
# "Engine specific parameters", maxmemory-policy: what data tiering can do.
TIERING_EVICTION_POLICIES: tuple[EvictionPolicy, ...] = ("volatile-lru", "allkeys-lru", "noeviction")

_MOST = 2**31 - 1
_BEFORE_VALKEY_8: tuple[FamilyName, ...] = ("redis6.x", "redis7", "valkey7")
_SINCE_7: tuple[FamilyName, ...] = ("redis7", "valkey7", "valkey8", "valkey9")
_SINCE_VALKEY_8: tuple[FamilyName, ...] = ("valkey8", "valkey9")


@dataclass(frozen=True, slots=True)
class Range:
    """A whole number between two bounds, both included, or 0 where that means off."""

    least: int
    most: int
    or_zero: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its value is in a range, or one of a few words, and its name is known to some families."""

    values: Range | tuple[str, ...]
    families: tuple[FamilyName, ...] = FAMILIES


_FLAG = ("yes", "no")
_COUNT = Range(0, _MOST)

# "Engine specific parameters": those that can be changed and mean something to whoever only uses the cache.
PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "acllog-max-len": Parameter(Range(1, 10_000)),
        "active-expire-effort": Parameter(Range(1, 10)),
        "activedefrag": Parameter(_FLAG),
        "activerehashing": Parameter(_FLAG),
        "close-on-replica-write": Parameter(_FLAG),
        "cluster-allow-reads-when-down": Parameter(_FLAG),
        "commandlog-request-larger-than": Parameter(Range(-1, _MOST), _SINCE_VALKEY_8),
        "commandlog-reply-larger-than": Parameter(Range(-1, _MOST), _SINCE_VALKEY_8),
        "databases": Parameter(Range(1, 1_200_000)),
        "hash-max-listpack-entries": Parameter(_COUNT, _SINCE_7),
        "hash-max-listpack-value": Parameter(_COUNT, _SINCE_7),
        "hash-max-ziplist-entries": Parameter(_COUNT, ("redis6.x",)),
        "hash-max-ziplist-value": Parameter(_COUNT, ("redis6.x",)),
        "latency-tracking": Parameter(_FLAG, _SINCE_7),
        "lazyfree-lazy-eviction": Parameter(_FLAG, _BEFORE_VALKEY_8),
        "lazyfree-lazy-expire": Parameter(_FLAG, _BEFORE_VALKEY_8),
        "lazyfree-lazy-server-del": Parameter(_FLAG, _BEFORE_VALKEY_8),
        "lazyfree-lazy-user-del": Parameter(_FLAG, _BEFORE_VALKEY_8),
        "lfu-decay-time": Parameter(_COUNT),
        "lfu-log-factor": Parameter(Range(1, _MOST)),
        "maxmemory-samples": Parameter(Range(1, 64)),
        "min-replicas-max-lag": Parameter(_COUNT),
        "min-replicas-to-write": Parameter(Range(0, 5)),
        "repl-backlog-size": Parameter(Range(16_384, _MOST)),
        "reserved-memory-percent": Parameter(Range(0, 100)),
        "set-max-intset-entries": Parameter(_COUNT),
        "slowlog-log-slower-than": Parameter(Range(-1, _MOST)),
        "slowlog-max-len": Parameter(Range(0, _MOST)),
        "stream-node-max-bytes": Parameter(_COUNT),
        "stream-node-max-entries": Parameter(_COUNT),
        "tcp-keepalive": Parameter(_COUNT),
        "timeout": Parameter(Range(20, _MOST, or_zero=True)),
        "tracking-table-max-keys": Parameter(Range(1, 100_000_000)),
        "zset-max-listpack-entries": Parameter(_COUNT, _SINCE_7),
        "zset-max-listpack-value": Parameter(_COUNT, _SINCE_7),
        "zset-max-ziplist-entries": Parameter(_COUNT, ("redis6.x",)),
        "zset-max-ziplist-value": Parameter(_COUNT, ("redis6.x",)),
    }
)
KEYSPACE_EVENTS = "notify-keyspace-events"
_EVENTS_EXPRESSION = "^[KEg$lshzxentmdA]*$"
_NUMBER_EXPRESSION = "^(-1|0|[1-9][0-9]{0,9})$"
KNOWN = (*PARAMETERS, KEYSPACE_EVENTS)

_RANGES = {name: parameter.values for name, parameter in PARAMETERS.items() if isinstance(parameter.values, Range)}
_OR_ZERO = tuple(name for name, limits in _RANGES.items() if limits.or_zero)
_FLAGS = tuple(name for name, parameter in PARAMETERS.items() if not isinstance(parameter.values, Range))


def unknown_to(names: Iterable[str], family: FamilyName) -> tuple[str, ...]:
    """Which of the names the family does not know."""
    return tuple(name for name in names if name in PARAMETERS and family not in PARAMETERS[name].families)


def names_outside(family: FamilyName) -> tuple[str, ...]:
    """Every parameter that exists, but not in this family."""
    return unknown_to(PARAMETERS, family)


def _fits(name: str, value: str) -> bool:
    if name == KEYSPACE_EVENTS:
        return matches(_EVENTS_EXPRESSION, value)
    if name not in PARAMETERS:
        return True
    match PARAMETERS[name].values:
        case Range(least, most, or_zero):
            return (or_zero and value == "0") or (matches(_NUMBER_EXPRESSION, value) and least <= int(value) <= most)
        case words:
            return value in words


def _cel_bounds(bound: str) -> str:
    entries = ", ".join(f"'{name}': {getattr(limits, bound)}" for name, limits in _RANGES.items())
    return f"{{{entries}}}[name]"


_CEL_FITS = f"""name in {one_of(_FLAGS)} ? self.values[name] in {one_of(_FLAG)}
    : name == '{KEYSPACE_EVENTS}' ? self.values[name].matches(r'{_EVENTS_EXPRESSION}')
    : !(name in {one_of(tuple(_RANGES))}) || (name in {one_of(_OR_ZERO)} && self.values[name] == '0') || (self.values[name].matches(r'{_NUMBER_EXPRESSION}')
        && int(self.values[name]) >= {_cel_bounds("least")} && int(self.values[name]) <= {_cel_bounds("most")})"""


class Parameters(ApiModel):
    """The engine's parameters. What is not named has AWS's default."""

    maxmemory_policy: EvictionPolicy = DEFAULT_EVICTION_POLICY
    """What goes when the memory is full. volatile-* only evict keys that have a time to live; without any such key, writes are refused."""
    values: Annotated[dict[str, str], MapBounds(max_properties=32, value=64)] = Field(default_factory=dict)
    """Other parameters by AWS's name, the values in quotes, like timeout: '300'."""

    rules: ClassVar[Rules] = (
        Rule(
            cel=f"!has(self.values) || self.values.all(name, name in {one_of(KNOWN)})",
            holds=lambda parameters: all(name in KNOWN for name in parameters.values),
            message="parameters.values has a name that cannot be set here; maxmemory-policy is parameters.maxmemoryPolicy, the others are listed in the "
            "kind's documentation: timeout, notify-keyspace-events, reserved-memory-percent, slowlog-log-slower-than, ...",
            field=".values",
        ),
        Rule(
            cel=f"!has(self.values) || self.values.all(name, {_CEL_FITS})",
            holds=lambda parameters: all(_fits(name, value) for name, value in parameters.values.items()),
            message="parameters.values has a value that its parameter does not take; switches are 'yes' or 'no', numbers stay within AWS's bounds "
            "(maxmemory-samples 1 to 64, timeout 0 or at least 20), notify-keyspace-events takes the letters KEg$lshzxentmdA",
            field=".values",
        ),
    )

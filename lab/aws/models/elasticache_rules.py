"""ElastiCache's refusals and tables: names, windows, node types, engine versions, AUTH tokens.

ElastiCache API reference, CreateReplicationGroup and ModifyReplicationGroup; ElastiCache User Guide, "Supported node types",
"Engine versions and upgrading", "Authenticating with the Valkey and Redis OSS AUTH command" (16 to 128 printable characters).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lab.aws.wire import AwsFault

MOST_REPLICAS = 5
_NAME = re.compile(r"^[A-Za-z](?:[A-Za-z0-9]|-(?!-)){0,39}$")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = r"([01]\d|2[0-3]):([0-5]\d)"
_WEEKLY = re.compile(rf"^({'|'.join(_DAYS)}):{_CLOCK}-({'|'.join(_DAYS)}):{_CLOCK}$")
_DAILY = re.compile(rf"^{_CLOCK}-{_CLOCK}$")
_TOKEN = re.compile(r"^[A-Za-z0-9!&#$^<>\-]{16,128}$")
_DAY_MINUTES, _WEEK_MINUTES = 1440, 10080

# GiB of memory, User Guide, "Supported node types".
NODE_MEMORY: dict[str, float] = {
    "cache.t2.micro": 0.555, "cache.t2.small": 1.55, "cache.t2.medium": 3.22,
    "cache.t3.micro": 0.5, "cache.t3.small": 1.37, "cache.t3.medium": 3.09,
    "cache.t4g.micro": 0.5, "cache.t4g.small": 1.37, "cache.t4g.medium": 3.09,
    "cache.m5.large": 6.38, "cache.m5.xlarge": 12.93, "cache.m5.2xlarge": 26.04, "cache.m5.4xlarge": 52.26,
    "cache.m6g.large": 6.38, "cache.m6g.xlarge": 12.94, "cache.m6g.2xlarge": 26.04, "cache.m6g.4xlarge": 52.26,
    "cache.m7g.large": 6.38, "cache.m7g.xlarge": 12.94, "cache.m7g.2xlarge": 26.04, "cache.m7g.4xlarge": 52.26,
    "cache.r5.large": 13.07, "cache.r5.xlarge": 26.32, "cache.r5.2xlarge": 52.82, "cache.r5.4xlarge": 105.81,
    "cache.r6g.large": 13.07, "cache.r6g.xlarge": 26.32, "cache.r6g.2xlarge": 52.82, "cache.r6g.4xlarge": 105.81,
    "cache.r7g.large": 13.07, "cache.r7g.xlarge": 26.32, "cache.r7g.2xlarge": 52.82, "cache.r7g.4xlarge": 105.81,
    "cache.r7g.8xlarge": 209.55, "cache.r7g.12xlarge": 317.77, "cache.r7g.16xlarge": 419.09,
    "cache.m8g.large": 6.79, "cache.r8g.large": 14.18, "cache.r8g.xlarge": 29.68,
    "cache.r6gd.xlarge": 26.32, "cache.r6gd.2xlarge": 52.82, "cache.r6gd.4xlarge": 105.81, "cache.r6gd.8xlarge": 209.55,
}  # fmt: skip

# Engine and version asked for -> version told, parameter group family. AWS fills in the patch version by itself.
ENGINE_VERSIONS: dict[tuple[str, str], tuple[str, str]] = {
    ("redis", "5.0.6"): ("5.0.6", "redis5.0"),
    ("redis", "6.0"): ("6.0.5", "redis6.x"),
    ("redis", "6.2"): ("6.2.6", "redis6.x"),
    ("redis", "7.0"): ("7.0.7", "redis7"),
    ("redis", "7.1"): ("7.1.0", "redis7"),
    ("valkey", "7.2"): ("7.2.6", "valkey7"),
    ("valkey", "8.0"): ("8.0.1", "valkey8"),
    ("valkey", "8.1"): ("8.1.0", "valkey8"),
}
DEFAULT_VERSION = {"redis": "7.1", "valkey": "8.0"}
FAMILIES = ("redis5.0", "redis6.x", "redis7", "valkey7", "valkey8")


def refuse(message: str) -> AwsFault:
    return AwsFault("InvalidParameterValue", message)


def clash(message: str) -> AwsFault:
    return AwsFault("InvalidParameterCombination", message)


def check_name(name: str, what: str = "ReplicationGroupId") -> str:
    """The name as AWS keeps it: lower case."""
    if not _NAME.match(name) or name.endswith("-"):
        raise refuse(
            f"The parameter {what} is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; "
            "must not end with a hyphen or contain two consecutive hyphens, and must be at most 40 characters long."
        )
    return name.lower()


def check_token(token: str) -> None:
    if not _TOKEN.match(token):
        raise refuse("Invalid AuthToken provided. It must be 16 to 128 printable characters; of the others only !, &, #, $, ^, <, > and - are allowed.")


def _weekly(window: str) -> tuple[int, int]:
    found = _WEEKLY.match(window)
    if found is None:
        raise refuse(f"Invalid maintenance window format: {window}. Should be specified as a range ddd:hh24:mi-ddd:hh24:mi (24H Clock UTC).")
    first_day, hour, minute, last_day, last_hour, last_minute = found.groups()
    start = _DAYS.index(first_day) * _DAY_MINUTES + int(hour) * 60 + int(minute)
    length = (_DAYS.index(last_day) * _DAY_MINUTES + int(last_hour) * 60 + int(last_minute) - start) % _WEEK_MINUTES
    if length < 60:
        raise refuse(f"Invalid maintenance window {window}. It must be at least 60 minutes.")
    return start, length


def _daily(window: str) -> tuple[int, int]:
    found = _DAILY.match(window)
    if found is None:
        raise refuse(f"Invalid snapshot window format: {window}. Should be specified as a range hh24:mi-hh24:mi (24H Clock UTC).")
    hour, minute, last_hour, last_minute = map(int, found.groups())
    start = hour * 60 + minute
    length = (last_hour * 60 + last_minute - start) % _DAY_MINUTES
    if length < 60:
        raise refuse(f"Invalid snapshot window {window}. It must be at least 60 minutes.")
    return start, length


def check_windows(maintenance: str, snapshot: str) -> None:
    """Formats, at least an hour each, and no overlap on any day."""
    start, length = _weekly(maintenance)
    day_start, day_length = _daily(snapshot)
    for day in range(7):
        other = day * _DAY_MINUTES + day_start
        if (other - start) % _WEEK_MINUTES < length or (start - other) % _WEEK_MINUTES < day_length:
            raise refuse("The snapshot window and maintenance window must not overlap.")


def check_retention(days: int) -> None:
    if not 0 <= days <= 35:
        raise refuse(f"Invalid snapshot retention limit: {days}. It must be between 0 and 35.")


def check_node_type(node_type: str) -> None:
    if node_type not in NODE_MEMORY:
        raise refuse(f"The parameter CacheNodeType must be a supported node type: {node_type} is none.")


def check_engine_of_nodes(engine: str, node_type: str) -> None:
    """User Guide, "Supported node types": these stand in Valkey's table and not in that of Redis OSS."""
    if engine == "redis" and node_type.split(".")[1] in ("m8g", "r8g", "c8gn"):
        raise clash(f"The cache node type {node_type} is not supported with engine {engine}.")


def check_transit_mode(version: str, mode: str | None) -> None:
    """As AWS answers: modes, and with them switching TLS on later, came with 7.0.5."""
    if mode and version_key(version) < (7, 0, 5):
        raise clash(f"Transit encryption mode is not supported for engine version {version}. Please use engine version 7.0.5 or higher.")


def check_tiering(node_type: str, tiering: bool) -> None:
    if tiering != node_type.startswith("cache.r6gd."):
        raise clash("Data tiering must be enabled with r6gd node types, and only with them.")


def engine_version(engine: str, asked: str | None) -> tuple[str, str]:
    """Full version and parameter group family; '7.1.0' asks for the same as '7.1'."""
    wanted = asked or DEFAULT_VERSION.get(engine, "")
    for (name, short), (full, family) in ENGINE_VERSIONS.items():
        if name == engine and wanted in (short, full):
            return full, family
    if engine == "redis" and wanted == "6.x":
        return ENGINE_VERSIONS["redis", "6.2"]
    raise clash(f"Cannot find version {wanted} for {engine}")


def version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def check_log_deliveries(version: str, deliveries: list[Mapping[str, Any]]) -> None:
    """User Guide, "Log delivery": slow log from 6.0, engine log from 6.2; a kind of log once."""
    kinds = [delivery["LogType"] for delivery in deliveries]
    if len(set(kinds)) != len(kinds):
        raise clash("Each LogType can be given once.")
    for delivery in deliveries:
        needed = (6, 2) if delivery["LogType"] == "engine-log" else (6, 0)
        if version_key(version) < needed:
            raise clash(f"Log type {delivery['LogType']} is not supported by engine version {version}.")
        if delivery.get("Enabled") is False:
            continue
        if not all(delivery.get(name) for name in ("DestinationType", "DestinationDetails", "LogFormat")):
            raise clash("DestinationType, DestinationDetails and LogFormat are needed to enable a log.")
        member = "CloudWatchLogsDetails" if delivery["DestinationType"] == "cloudwatch-logs" else "KinesisFirehoseDetails"
        if member not in delivery["DestinationDetails"]:
            raise clash(f"DestinationType {delivery['DestinationType']} needs {member}.")


def node_type_modifications(node_type: str) -> tuple[list[str], list[str]]:
    """Larger and smaller node types; data-tiering nodes only among themselves (User Guide, "Data tiering": no scaling to other families)."""
    tiered = node_type.startswith("cache.r6gd.")
    others = [other for other in NODE_MEMORY if other.startswith("cache.r6gd.") == tiered and other != node_type]
    memory = NODE_MEMORY[node_type]
    return sorted(other for other in others if NODE_MEMORY[other] >= memory), sorted(other for other in others if NODE_MEMORY[other] < memory)

"""Where the stages of an API write down who called them, and under which names the fields stand there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from securebase.clients.aws import AwsScope, Refusal

VARIABLES: Final = frozenset({"routeKey", "resourcePath", "path", "status", "responseLatency"})
"""Of API Gateway's `$context`, what saved queries look at (Developer Guide, "Variables for access logging", "Customize HTTP API access logs")."""

_GONE: Final = ("NotFoundException",)
_VARIABLE: Final = re.compile(r"\$context\.([\w.]+)")
_UNQUOTED: Final = re.compile(r"(:\s*)(\$context\.[\w.]+)")
"""Numbers are mostly written without quotes: JSON only once API Gateway has filled them in."""


def of_rest_api(aws: AwsScope, id: str) -> Mapping[str, str]:
    """`accessLogs` of a REST API by its id; nothing where no stage has any."""
    answer = aws.attempt("apigateway", "get_stages", _GONE, restApiId=id)
    stages = () if isinstance(answer, Refusal) else answer.get("item") or ()
    return _told(aws, ((stage["stageName"], stage.get("accessLogSettings") or {}) for stage in stages), ("destinationArn", "format"))


def of_http_api(aws: AwsScope, id: str) -> Mapping[str, str]:
    """`accessLogs` of an HTTP API by its id; nothing where no stage has any."""
    return _told(aws, ((stage["StageName"], stage.get("AccessLogSettings") or {}) for stage in _http_stages(aws, id)), ("DestinationArn", "Format"))


def log_fields(format_: str) -> dict[str, str]:
    """Which field of the log has which variable, as Logs Insights finds it; none where the format is no JSON."""
    for text in (format_, _UNQUOTED.sub(r'\1"\2"', format_)):
        try:
            told = json.loads(text)
        except ValueError:
            continue
        return {variable: field for field, variable in _leaves(told) if variable in VARIABLES}
    return {}


def log_group(arn: str, aws: AwsScope) -> str:
    """The group's name, of a destination; "" where it is a Firehose stream, or a group that is not seen from here."""
    parts = arn.split(":", 6)
    if len(parts) < 7 or parts[2] != "logs" or parts[5] != "log-group" or (parts[3], parts[4]) != (aws.region, aws.account_id):
        return ""
    return parts[6].removesuffix(":*")


def _told(aws: AwsScope, stages: Iterable[tuple[str, Mapping[str, Any]]], names: tuple[str, str]) -> Mapping[str, str]:
    destination, format_ = names
    found = []
    for stage, settings in sorted(stages, key=lambda stage: stage[0]):
        if group := log_group(str(settings.get(destination) or ""), aws):
            found.append({"stage": stage, "logGroup": group, "fields": log_fields(str(settings.get(format_) or ""))})
    return {"accessLogs": json.dumps(found, sort_keys=True, separators=(",", ":"))} if found else {}


def _http_stages(aws: AwsScope, id: str) -> Iterator[Mapping[str, Any]]:
    position: dict[str, str] = {}
    while not isinstance(answer := aws.attempt("apigatewayv2", "get_stages", _GONE, ApiId=id, **position), Refusal):
        yield from answer.get("Items") or ()
        if not answer.get("NextToken"):
            return
        position = {"NextToken": answer["NextToken"]}


def _leaves(told: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Fields with the variable that is all of their value."""
    if isinstance(told, dict):
        for key, value in told.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(told, str) and (whole := _VARIABLE.fullmatch(told)):
        yield path, whole[1]

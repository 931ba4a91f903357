"""AWS's wire protocols: which operation a request is, its parameters, and answers in the right shape.

Parsing and serialising are moto's (`moto.core.parse`, `moto.core.serialize`) and botocore's; what is ours is only how a request
finds its operation. Nothing here knows a service's behaviour.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode
from xml.sax.saxutils import escape

from botocore import parsers, serialize
from botocore.exceptions import UnknownServiceError
from botocore.model import StructureShape
from moto.core.model import OperationModel, ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from multidict import CIMultiDict
from werkzeug.datastructures import MultiDict

# The name in a SigV4 credential scope is the signing name, which differs from botocore's service name for these.
SIGNING_NAMES = {"monitoring": "cloudwatch", "tagging": "resourcegroupstaggingapi", "email": "ses"}
SCOPE = re.compile(r"Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
READ_VERBS = re.compile(r"^(Get|List|Describe|Head|BatchGet|Search|Lookup|Filter|Query|Scan|Select|Test|Simulate|Check|AssumeRole|Decrypt|Verify)")


class AwsFault(Exception):
    """An answer that is an AWS error: its code, message and (None: the service model's) HTTP status."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


@dataclass(slots=True)
class Reply:
    """An HTTP answer; `code` is the AWS error code, empty for success."""

    status: int
    body: bytes = b""
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)
    code: str = ""

    @property
    def ok(self) -> bool:
        return self.status < 300


@dataclass(slots=True)
class Call:
    """One request as received: raw bytes, and what the service model makes of them."""

    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes
    access_key: str = ""
    account: str = "000000000000"
    region: str = "us-east-1"
    service: str = "unknown"
    operation: str = "Unknown"
    protocol: str = ""
    model: OperationModel | None = None
    uri_params: dict[str, str] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    # A model's own mark, set before the backend is asked and compared after it answered.
    epoch: int = 0

    @property
    def is_write(self) -> bool:
        return self.operation != "Unknown" and not READ_VERBS.match(self.operation)

    @property
    def caller(self) -> str:
        return self.headers.get("User-Agent", "")


@dataclass(frozen=True, slots=True)
class _Route:
    operation: str
    pattern: re.Pattern[str]
    names: tuple[str, ...]
    query: tuple[tuple[str, str], ...]
    needs: tuple[str, ...]
    headers: tuple[str, ...]

    def match(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, str] | None:
        found = self.pattern.match(path)
        if found is None or any(query.get(key) != value for key, value in self.query):
            return None
        if any(key not in query for key in self.needs) or any(key not in headers for key in self.headers):
            return None
        return dict(zip(self.names, map(unquote, found.groups()), strict=True))


@cache
def service_model(service: str) -> ServiceModel | None:
    try:
        return get_service_model(service)
    except (UnknownServiceError, FileNotFoundError):
        return None


def _required(shape: StructureShape | None, location: str) -> tuple[str, ...]:
    members = [shape.members[name] for name in shape.required_members] if shape is not None else []
    return tuple(str(member.serialization.get("name", member.name)) for member in members if member.serialization.get("location") == location)


def _route(name: str, model: OperationModel) -> _Route:
    path, _, literal = str(model.http["requestUri"]).partition("?")
    names = tuple(re.findall(r"{([^}+]+)\+?}", path))
    pattern = "".join(
        "(.+)" if part.endswith("+}") else "([^/]+)" if part.startswith("{") else re.escape(part) for part in re.split(r"({[^}]+})", path.rstrip("/"))
    )
    shape = model.input_shape
    return _Route(
        name,
        re.compile(f"^{pattern}/?$"),
        names,
        tuple(parse_qsl(literal, keep_blank_values=True)),
        _required(shape, "querystring"),
        _required(shape, "header"),
    )


@cache
def _routes(service: str) -> dict[str, list[_Route]]:
    """REST operations by method, the most demanding first: an S3 key path also matches every subresource's request."""
    model = service_model(service)
    table: dict[str, list[_Route]] = {}
    if model is None:
        return table
    ranked = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        route = _route(name, operation)
        rank = (
            operation.deprecated,
            -len(route.query),
            -len(route.needs) - len(route.headers),
            len(route.names),
            -len(route.pattern.pattern),
        )
        ranked.append((rank, str(operation.http["method"]), route))
    for _, method, route in sorted(ranked, key=lambda entry: entry[0]):
        table.setdefault(method, []).append(route)
    return table


def identify(call: Call) -> None:
    """Fill in who calls which operation of which service, from the signature's scope, the target header, the form or the path."""
    scope = SCOPE.search(call.headers.get("Authorization", "")) or SCOPE.search("Credential=" + _presigned_credential(call.target))
    if scope is None:
        return
    call.access_key, call.region = scope.group(1), scope.group(2)
    call.service = SIGNING_NAMES.get(scope.group(3), scope.group(3))
    if call.service == "apigateway" and call.target.startswith("/v2/"):
        # Both versions sign as `apigateway`.
        call.service = "apigatewayv2"
    model = service_model(call.service)
    if model is None:
        return
    name = _operation_name(call, model)
    if name in model.operation_names:
        call.operation, call.model = name, model.operation_model(name)


def _presigned_credential(target: str) -> str:
    return dict(parse_qsl(target.partition("?")[2])).get("X-Amz-Credential", "") if "X-Amz-Credential" in target else ""


def _operation_name(call: Call, model: ServiceModel) -> str:
    target = call.headers.get("X-Amz-Target", "")
    if target:
        call.protocol = "json"
        return target.rpartition(".")[2]
    if call.headers.get("smithy-protocol") == "rpc-v2-cbor":
        call.protocol = "smithy-rpc-v2-cbor"
        return call.target.partition("?")[0].rpartition("/")[2]
    declared = str(model.metadata["protocol"])
    if call.method == "POST" and call.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        call.protocol = "ec2" if declared == "ec2" else "query"
        found = re.search(rb"(?:^|&)Action=([^&]+)", call.body)
        return found.group(1).decode() if found else ""
    call.protocol = declared
    path, _, query_string = call.target.partition("?")
    query = dict(parse_qsl(query_string, keep_blank_values=True))
    for route in _routes(call.service).get(call.method, []):
        found_params = route.match(path, query, call.headers)
        if found_params is not None:
            call.uri_params = found_params
            return route.operation
    return ""


def parse_request(call: Call) -> None:
    """Fill `call.params` by botocore's member names. A body that does not parse raises MalformedXML or SerializationException."""
    if call.model is None or call.protocol not in PROTOCOL_PARSERS:
        return
    if call.protocol in ("query", "ec2"):
        values = MultiDict(parse_qsl(call.body.decode(), keep_blank_values=True))
    else:
        values = MultiDict(parse_qsl(call.target.partition("?")[2], keep_blank_values=True))
    request: Any = {
        "method": call.method,
        "headers": call.headers,
        "body": call.body,
        "values": values,
        "url_path": call.target,
        "url_params": call.uri_params,
    }
    try:
        call.params = PROTOCOL_PARSERS[call.protocol](call.model).parse(request) or {}
    except Exception as broken:  # the parser lets any error of ElementTree, json or int() through
        code = "MalformedXML" if call.protocol == "rest-xml" else "SerializationException"
        raise AwsFault(code, f"{call.operation}: {broken}", 400) from broken


def result_of(call: Call, reply: Reply) -> dict[str, Any]:
    """A successful reply as botocore would give it to its caller, without the metadata."""
    assert call.model is not None
    shape: Any = call.model.output_shape  # None is allowed: an operation without output
    parsed: dict[str, Any] = parsers.create_parser(call.protocol).parse({"status_code": reply.status, "headers": reply.headers, "body": reply.body}, shape)
    parsed.pop("ResponseMetadata", None)
    return parsed


def error_code(call: Call, reply: Reply) -> str:
    """The AWS error code of a reply; '' for success."""
    if reply.code or reply.status < 300:
        return reply.code
    modern = reply.headers.get("x-amzn-query-error", "").partition(";")[0] or reply.headers.get("x-amzn-errortype", "").rpartition("#")[2]
    if modern:
        return modern.partition(":")[0]
    xml = re.search(rb"<Code>([^<]+)</Code>", reply.body)
    if xml:
        return xml.group(1).decode()
    typed = re.search(rb'"(?:__type|code)"\s*:\s*"([^"]+)"', reply.body)
    return typed.group(1).decode().rpartition("#")[2] if typed else str(reply.status)


def answer(call: Call, result: Mapping[str, Any], status: int | None = None) -> Reply:
    """A success of this operation from a dictionary shaped like botocore's result."""
    assert call.model is not None
    wire = get_serializer_class(call.service, call.protocol)(call.model).serialize(dict(result))
    body = wire["body"].encode() if isinstance(wire["body"], str) else wire["body"]
    return Reply(status or wire["status_code"], body, CIMultiDict(wire["headers"]))


def _modelled_status(call: Call, code: str) -> int:
    model = service_model(call.service)
    for shape in model.error_shapes if model else ():
        error = shape.metadata.get("error", {})
        if code in (shape.name, error.get("code")):
            return int(error.get("httpStatusCode", 400))
    return 400


def fault(call: Call, error: AwsFault) -> Reply:
    """The error as the call's protocol writes it.

    JSON services that once spoke the query protocol (CloudWatch) carry the old code in `x-amzn-query-error`, and botocore prefers it.
    """
    status = error.status or _modelled_status(call, error.code)
    side = "Sender" if status < 500 else "Receiver"
    headers: CIMultiDict[str] = CIMultiDict({"x-amzn-RequestId": "00000000-0000-4000-8000-000000000000"})
    code, message = escape(error.code), escape(error.message)
    if call.protocol in ("json", "rest-json"):
        headers.update({"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": error.code, "x-amzn-query-error": f"{error.code};{side}"})
        return Reply(status, json.dumps({"__type": error.code, "message": error.message}).encode(), headers, error.code)
    headers["Content-Type"] = "text/xml"
    inner = f"<Code>{code}</Code><Message>{message}</Message>"
    if call.service == "s3":
        body = f"<Error>{inner}<RequestId>lab</RequestId></Error>"
    elif call.protocol == "ec2":
        body = f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>lab</RequestID></Response>"
    else:
        body = f"<ErrorResponse><Error><Type>{side}</Type>{inner}</Error><RequestId>lab</RequestId></ErrorResponse>"
    return Reply(status, b"" if call.method == "HEAD" else f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode(), headers, error.code)


def outgoing(service: str, operation: str, params: Mapping[str, Any], account: str, region: str) -> Call:
    """A request of our own, signed by nobody, that a backend takes for `account`'s."""
    model = service_model(service)
    assert model is not None
    operation_model = model.operation_model(operation)
    declared = str(model.metadata["protocol"])
    protocol = "json" if declared.startswith("smithy") else declared
    wire = serialize.create_serializer(protocol, include_validation=False).serialize_to_request(dict(params), operation_model)
    signing = str(model.metadata.get("signingName") or model.metadata["endpointPrefix"])
    headers: CIMultiDict[str] = CIMultiDict(wire["headers"])
    day = datetime.now(UTC).strftime("%Y%m%d")
    headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={account}/{day}/{region}/{signing}/aws4_request, SignedHeaders=host, Signature=0"
    headers["User-Agent"] = "lab-router"
    query = wire.get("query_string")
    body = wire["body"]
    if isinstance(body, dict):
        body = serialize_form(body)
        headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    target = wire["url_path"] + (f"?{serialize_form(query).decode() if isinstance(query, dict) else query}" if query else "")
    raw = body.encode() if isinstance(body, str) else bytes(body or b"")
    call = Call(str(wire["method"]), target, headers, raw, account, account, region, service, operation, protocol, operation_model)
    call.params = dict(params)
    return call


def rewrite(call: Call, params: Mapping[str, Any]) -> None:
    """Send these parameters to the backend instead of those received; only the body changes."""
    assert call.model is not None
    wire = serialize.create_serializer(call.protocol, include_validation=False).serialize_to_request(dict(params), call.model)
    body = wire["body"]
    call.params = dict(params)
    call.body = serialize_form(body) if isinstance(body, dict) else body.encode() if isinstance(body, str) else bytes(body)


def serialize_form(fields: Mapping[str, Any]) -> bytes:
    return urlencode(fields, doseq=True).encode()


def preload(
    services: tuple[str, ...] = (
        "cloudfront",
        "acm",
        "cloudwatch",
        "logs",
        "resourcegroupstaggingapi",
        "route53",
        "s3",
        "sns",
        "sts",
        "elasticache",
        "secretsmanager",
        "kms",
    ),
) -> None:
    """Load these services' models now: the first request would block the event loop for 0.3 s otherwise."""
    for service in services:
        _routes(service)

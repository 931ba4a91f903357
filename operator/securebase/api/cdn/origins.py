"""Where a distribution fetches from: buckets, custom and VPC origins, their headers, and failover groups."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import Field, StringConstraints

from securebase.api.base import ApiModel, ListMap, ListSet, Matches, Rule, Rules
from securebase.api.meta import SecretKeyRef
from securebase.api.scalars import DnsName, HeaderName, Region

OriginId = Annotated[str, StringConstraints(min_length=1, max_length=63), Matches(r"^[A-Za-z0-9._-]+$", "an origin's id has letters, digits, '.', '_' and '-'")]
BucketName = Annotated[
    str,
    StringConstraints(min_length=3, max_length=63),
    Matches(r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$", "bucket is the bucket's name alone, not its ARN or address"),
]
OriginPath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    Matches(r"^/.*[^/]$", "an origin's path starts with / and does not end with /: /v1"),
]
HeaderValue = Annotated[str, StringConstraints(min_length=1, max_length=1783)]
# "Quotas on custom origins": the response timeout goes to 120 s without asking, the keep-alive timeout too.
ReadTimeout = Annotated[int, Ge(1), Le(120)]
KeepaliveTimeout = Annotated[int, Ge(1), Le(120)]
# "OriginSslProtocols": older ones exist and are not offered.
SslProtocol = Literal["TLSv1.1", "TLSv1.2"]
# What CloudFront refuses as an origin custom header, as far as a spec is likely to ask for it ("Custom headers that CloudFront can't add").
FORBIDDEN_HEADERS = (
    "accept-encoding",
    "cache-control",
    "connection",
    "content-length",
    "cookie",
    "host",
    "max-forwards",
    "pragma",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
)


def _exactly_one(*chosen: object) -> bool:
    return sum(choice is not None for choice in chosen) == 1


class HeaderSource(ApiModel):
    """Where a header's value comes from."""

    secret_key_ref: SecretKeyRef
    """A Secret's key. When the Secret changes, the header follows."""


class OriginHeader(ApiModel):
    """A header that CloudFront adds to every request to the origin."""

    name: HeaderName
    """Name of the header, like x-origin-verify."""
    value: HeaderValue | None = None
    """The value, when it is no secret."""
    value_from: HeaderSource | None = None
    """The value, from a Secret."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="has(self.value) != has(self.valueFrom)",
            holds=lambda header: _exactly_one(header.value, header.value_from),
            message="a header needs exactly one of value and valueFrom",
        ),
        Rule(
            cel=f"!(self.name.lowerAscii() in {list(FORBIDDEN_HEADERS)!r}) && !self.name.lowerAscii().matches('^(x-amz-|x-edge-|proxy-)')",
            holds=lambda header: header.name.lower() not in FORBIDDEN_HEADERS and not header.name.lower().startswith(("x-amz-", "x-edge-", "proxy-")),
            message="CloudFront does not let an origin header have this name; choose one of your own, like x-origin-verify",
            field=".name",
        ),
    )


class S3Origin(ApiModel):
    """A private bucket, read through origin access control."""

    bucket: BucketName
    """Name of the bucket."""
    region: Region | None = None
    """Region of the bucket; the object's if omitted."""
    manage_bucket_policy: bool = True
    """Adds one statement to the bucket's policy that lets exactly this distribution read; other statements stay."""


class CustomOrigin(ApiModel):
    """API Gateway, a load balancer, or any web server."""

    domain_name: DnsName
    """Host to connect to, like abc123.execute-api.us-east-1.amazonaws.com."""
    protocol: Literal["https-only", "http-only", "match-viewer"] = "https-only"
    """How to talk to the origin."""
    http_port: Annotated[int, Ge(1), Le(65535)] = 80
    https_port: Annotated[int, Ge(1), Le(65535)] = 443
    read_timeout_seconds: ReadTimeout = 30
    """How long to wait for the origin's answer."""
    keepalive_timeout_seconds: KeepaliveTimeout = 5
    """How long an idle connection is kept."""
    ssl_protocols: Annotated[tuple[SslProtocol, ...], MinLen(1), MaxLen(2), ListSet()] = ("TLSv1.2",)
    """TLS versions towards the origin. TLSv1.2 if omitted."""


class VpcOrigin(ApiModel):
    """A load balancer or instance in a private subnet, through a CloudFront VPC origin that exists already."""

    vpc_origin_id: Annotated[str, StringConstraints(min_length=4, max_length=64), Matches(r"^vo_[A-Za-z0-9]+$", "a VPC origin's id starts with vo_")]
    """Id of the VPC origin, like vo_abc123."""
    domain_name: DnsName
    """Name that the origin answers to, as its certificate has it."""
    read_timeout_seconds: ReadTimeout = 30
    """How long to wait for the origin's answer."""
    keepalive_timeout_seconds: KeepaliveTimeout = 5
    """How long an idle connection is kept."""


class OriginShield(ApiModel):
    """One more cache in front of the origin, in the region nearest to it."""

    region: Region
    """Region of the shield."""


class Origin(ApiModel):
    """One place to fetch from: exactly one of s3, custom and vpc."""

    id: OriginId
    """Name that behaviors and groups use."""
    path: OriginPath | None = None
    """Put in front of every path asked of the origin."""
    s3: S3Origin | None = None
    custom: CustomOrigin | None = None
    vpc: VpcOrigin | None = None
    headers: Annotated[tuple[OriginHeader, ...], MaxLen(10), ListMap("name")] = ()
    """Headers added to every request to the origin."""
    shield: OriginShield | None = None
    """Origin shield; none if omitted."""
    connection_attempts: Annotated[int, Ge(1), Le(3)] = 3
    """How often CloudFront tries to connect."""
    connection_timeout_seconds: Annotated[int, Ge(1), Le(10)] = 10
    """How long each try to connect may take."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="[has(self.s3), has(self.custom), has(self.vpc)].filter(given, given).size() == 1",
            holds=lambda origin: _exactly_one(origin.s3, origin.custom, origin.vpc),
            message="an origin needs exactly one of s3, custom and vpc",
        ),
    )


class OriginGroup(ApiModel):
    """Two origins: the second answers when the first fails."""

    id: OriginId
    """Name that behaviors use; not that of an origin."""
    primary: OriginId
    """Origin that is asked first."""
    secondary: OriginId
    """Origin that is asked when the first fails."""
    failover_status_codes: Annotated[tuple[Literal[400, 403, 404, 416, 429, 500, 502, 503, 504], ...], MinLen(1), MaxLen(9), ListSet()] = (500, 502, 503, 504)
    """Answers of the first that count as failure. 500, 502, 503 and 504 if omitted."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="self.primary != self.secondary",
            holds=lambda group: group.primary != group.secondary,
            message="primary and secondary are the same origin; name two different ones",
            field=".secondary",
        ),
    )


Origins = Annotated[tuple[Origin, ...], MinLen(1), MaxLen(25), ListMap("id")]
OriginGroups = Annotated[tuple[OriginGroup, ...], Field(), MaxLen(10), ListMap("id")]

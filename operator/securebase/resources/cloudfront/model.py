"""Desired values of every CloudFront type: what we manage of each, and what a change of it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from securebase.core.fields import Impact, SecretValue, managed

HOSTED_ZONE_ID: Final = "Z2FDTNDATAQYW2"
"""Alias records of every distribution point into this zone (Route 53, AliasTarget)."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
ALL_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"})

MINIMUM_PROTOCOLS: Final = (
    "SSLv3", "TLSv1", "TLSv1_2016", "TLSv1.1_2016", "TLSv1.2_2018", "TLSv1.2_2019", "TLSv1.2_2021", "TLSv1.2_2025", "TLSv1.3_2025",
)  # fmt: skip
"""Viewer security policies, the weakest first."""

_VIEWER_PROTOCOLS: Final = ("allow-all", "redirect-to-https", "https-only")
_ORIGIN_PROTOCOLS: Final = ("http-only", "match-viewer", "https-only")


def _moves_traffic(have: Any, want: Any) -> Impact:
    """Something new harms nobody; a changed or removed value sends requests elsewhere."""
    return Impact.ONLINE if have is None else Impact.DISRUPTIVE


def _takes_away(have: Any, want: Any) -> Impact:
    """A set that loses members is disruptive for whoever uses them."""
    return Impact.DISRUPTIVE if set(have or ()) - set(want or ()) else Impact.ONLINE


def _switches_off(have: Any, want: Any) -> Impact:
    return Impact.DISRUPTIVE if have and not want else Impact.ONLINE


def _unguards(have: Any, want: Any) -> Impact:
    """A guard (web ACL, key groups) that is taken off."""
    return Impact.PROTECTION_LOSS if have and not want else Impact.ONLINE


def _ranked(order: tuple[str, ...], have: Any, want: Any) -> Impact:
    if have in order and want in order and order.index(want) < order.index(have):
        return Impact.PROTECTION_LOSS
    return Impact.ONLINE


def _weaker_tls(have: Any, want: Any) -> Impact:
    return _ranked(MINIMUM_PROTOCOLS, have, want)


def _weaker_viewer_protocol(have: Any, want: Any) -> Impact:
    return _ranked(_VIEWER_PROTOCOLS, have, want)


def _weaker_origin_protocol(have: Any, want: Any) -> Impact:
    return _ranked(_ORIGIN_PROTOCOLS, have, want)


# --- distribution ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OriginHeader:
    """A header CloudFront adds to every request to the origin."""

    name: str
    value: str | SecretValue = managed(secret=True)


@dataclass(frozen=True, slots=True)
class Connection:
    """How CloudFront talks to an origin. Made by `s3`, `custom` or `vpc`; what does not apply to a type keeps its neutral value."""

    type: str = managed(impact=_moves_traffic)
    protocol: str = managed(impact=_weaker_origin_protocol, default="")
    http_port: int = 0
    https_port: int = 0
    ssl_protocols: frozenset[str] = frozenset()
    read_timeout: int = 30
    keepalive_timeout: int = 0
    vpc_origin_id: str = managed(impact=_moves_traffic, default="")

    @classmethod
    def s3(cls, read_timeout: int = 30) -> Connection:
        """A bucket, reached by S3's own REST API."""
        return cls("s3", read_timeout=read_timeout)

    @classmethod
    def custom(
        cls,
        protocol: str = "https-only",
        http_port: int = 80,
        https_port: int = 443,
        ssl_protocols: frozenset[str] = frozenset({"TLSv1.2"}),
        read_timeout: int = 30,
        keepalive_timeout: int = 5,
    ) -> Connection:
        """Any HTTP server with a public name."""
        return cls("custom", protocol, http_port, https_port, ssl_protocols, read_timeout, keepalive_timeout)

    @classmethod
    def vpc(cls, vpc_origin_id: str, read_timeout: int = 30, keepalive_timeout: int = 5) -> Connection:
        """A load balancer or instance in a private subnet."""
        return cls("vpc", read_timeout=read_timeout, keepalive_timeout=keepalive_timeout, vpc_origin_id=vpc_origin_id)


@dataclass(frozen=True, slots=True)
class Shield:
    """Origin shield: one more cache layer in front of the origin. `region` is empty when it is off."""

    enabled: bool = False
    region: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where content comes from. `access_control_id` is the id of an origin access control, "" for none."""

    id: str
    domain_name: str = managed(impact=_moves_traffic)
    connection: Connection = managed()
    path: str = managed(impact=_moves_traffic, default="")
    access_control_id: str = managed(impact=_unguards, default="")
    headers: tuple[OriginHeader, ...] = managed(key="name", default=())
    shield: Shield = Shield()
    connection_attempts: int = 3
    connection_timeout: int = 10


@dataclass(frozen=True, slots=True)
class OriginGroup:
    """Failover: requests the primary answers with one of the status codes go to the secondary."""

    id: str
    primary: str = managed(impact=_moves_traffic)
    secondary: str = managed(impact=_moves_traffic)
    status_codes: frozenset[int] = managed()


@dataclass(frozen=True, slots=True)
class FunctionAssociation:
    """A CloudFront function; `event` is viewer-request or viewer-response."""

    event: str
    arn: str


@dataclass(frozen=True, slots=True)
class LambdaAssociation:
    """A Lambda@Edge function; `arn` names a version."""

    event: str
    arn: str
    include_body: bool = False


@dataclass(frozen=True, slots=True)
class CacheBehavior:
    """What happens to requests of a path pattern; the default behaviour's pattern is ""."""

    path_pattern: str
    target_origin: str = managed(impact=_moves_traffic)
    cache_policy_id: str = managed()
    viewer_protocol: str = managed(impact=_weaker_viewer_protocol, default="redirect-to-https")
    allowed_methods: frozenset[str] = managed(impact=_takes_away, default=SAFE_METHODS)
    cached_methods: frozenset[str] = SAFE_METHODS
    compress: bool = True
    origin_request_policy_id: str = ""
    response_headers_policy_id: str = ""
    functions: tuple[FunctionAssociation, ...] = managed(key="event", default=())
    lambdas: tuple[LambdaAssociation, ...] = managed(key="event", default=())
    trusted_key_groups: frozenset[str] = managed(impact=_unguards, default=frozenset())


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """What viewers get for an error of the origin. No `response_path` (and code 0): the origin's own page, cached `min_ttl` seconds."""

    code: int
    response_path: str = ""
    response_code: int = 0
    min_ttl: int = 10


@dataclass(frozen=True, slots=True)
class ViewerCertificate:
    """TLS towards viewers. Made by `acm`; without arguments CloudFront's own certificate, for *.cloudfront.net alone."""

    acm_arn: str = managed(impact=_switches_off, default="")
    minimum_protocol: str = managed(impact=_weaker_tls, default="TLSv1")
    ssl_support: str = ""

    @classmethod
    def acm(cls, arn: str, minimum_protocol: str = "TLSv1.2_2021", ssl_support: str = "sni-only") -> ViewerCertificate:
        """A certificate of ACM in us-east-1."""
        return cls(arn, minimum_protocol, ssl_support)


@dataclass(frozen=True, slots=True)
class GeoRestriction:
    """`type` is none, whitelist or blacklist; countries as ISO 3166 alpha-2."""

    type: str = managed(impact=_switches_off, default="none")
    countries: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A distribution. Attributes: id, arn, domainName, hostedZoneId; `deployed` ("true") only once every edge has this configuration."""

    comment: str = ""
    enabled: bool = managed(impact=_switches_off, default=True)
    aliases: frozenset[str] = managed(impact=_takes_away, default=frozenset())
    default_root_object: str = ""
    origins: tuple[Origin, ...] = managed(key="id")
    origin_groups: tuple[OriginGroup, ...] = managed(key="id", default=())
    default_behavior: CacheBehavior
    behaviors: tuple[CacheBehavior, ...] = managed(key="path_pattern", ordered=True, default=())
    error_pages: tuple[ErrorPage, ...] = managed(key="code", default=())
    certificate: ViewerCertificate = ViewerCertificate()
    price_class: str = "PriceClass_All"
    http_version: str = "http2"
    ipv6: bool = True
    geo_restriction: GeoRestriction = GeoRestriction()
    web_acl_id: str = managed(impact=_unguards, default="")
    tags: Mapping[str, str] = managed(open=True)


# --- shared: immutable, named by their content ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cookies, query strings or headers: `behavior` in CloudFront's words (none, whitelist, allExcept, all, allViewer, ...)."""

    behavior: str = "none"
    names: frozenset[str] = frozenset()


NOTHING: Final = Selection()
EVERYTHING: Final = Selection("all")


def only(*names: str) -> Selection:
    """A whitelist; nothing at all when there are no names."""
    return Selection("whitelist", frozenset(names)) if names else NOTHING


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """What belongs into the cache key, and for how many seconds. Attribute: id."""

    name: str = managed(impact=Impact.REPLACE)
    min_ttl: int = managed()
    default_ttl: int = managed()
    max_ttl: int = managed()
    gzip: bool = True
    brotli: bool = True
    headers: Selection = NOTHING
    cookies: Selection = NOTHING
    query_strings: Selection = NOTHING
    comment: str = ""


@dataclass(frozen=True, slots=True)
class OriginRequestPolicy:
    """What the origin is sent besides the cache key. Attribute: id."""

    name: str = managed(impact=Impact.REPLACE)
    headers: Selection = NOTHING
    cookies: Selection = NOTHING
    query_strings: Selection = NOTHING
    comment: str = ""


@dataclass(frozen=True, slots=True)
class StrictTransportSecurity:
    max_age: int
    include_subdomains: bool = True
    preload: bool = True
    override: bool = True


@dataclass(frozen=True, slots=True)
class SecurityHeader:
    """A header with one value (X-Frame-Options, Referrer-Policy, Content-Security-Policy)."""

    value: str
    override: bool = True


@dataclass(frozen=True, slots=True)
class ContentTypeOptions:
    """X-Content-Type-Options: nosniff."""

    override: bool = True


@dataclass(frozen=True, slots=True)
class XssProtection:
    """X-XSS-Protection, for old browsers."""

    protection: bool = True
    mode_block: bool = True
    report_uri: str = ""
    override: bool = True


@dataclass(frozen=True, slots=True)
class Cors:
    """Access-Control-* headers; `max_age` in seconds, 0 = the header is not sent."""

    allow_origins: frozenset[str]
    allow_methods: frozenset[str]
    allow_headers: frozenset[str]
    expose_headers: frozenset[str] = frozenset()
    allow_credentials: bool = False
    max_age: int = 0
    override: bool = True


@dataclass(frozen=True, slots=True)
class ResponseHeader:
    name: str
    value: str
    override: bool = True


@dataclass(frozen=True, slots=True)
class ResponseHeadersPolicy:
    """Headers CloudFront adds to, or removes from, what viewers get. Attribute: id."""

    name: str = managed(impact=Impact.REPLACE)
    hsts: StrictTransportSecurity | None = None
    content_security_policy: SecurityHeader | None = None
    frame_options: SecurityHeader | None = None
    referrer_policy: SecurityHeader | None = None
    content_type_options: ContentTypeOptions | None = None
    xss_protection: XssProtection | None = None
    cors: Cors | None = None
    headers: tuple[ResponseHeader, ...] = managed(key="name", default=())
    remove_headers: frozenset[str] = frozenset()
    server_timing_rate: float | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class OriginAccessControl:
    """Lets CloudFront sign its requests to an origin. Attribute: id."""

    name: str = managed(impact=Impact.REPLACE)
    origin_type: str = "s3"
    signing_behavior: str = "always"
    signing_protocol: str = "sigv4"
    description: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """A CloudFront function, published. Attribute: arn, only while what is LIVE is this code."""

    name: str = managed(impact=Impact.REPLACE)
    code: str = managed()
    runtime: str = "cloudfront-js-2.0"
    comment: str = ""


# --- on a distribution ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MonitoringSubscription:
    """The paid additional metrics of a distribution (cache hit rate, origin latency, ...)."""

    distribution_id: str = managed(impact=Impact.REPLACE)
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Invalidation:
    """One request to forget cached paths; never changed, READY when completed. `token` makes it once, however often it is tried."""

    distribution_id: str = managed(impact=Impact.REPLACE)
    paths: frozenset[str] = managed(impact=Impact.REPLACE)
    token: str = managed(impact=Impact.REPLACE)

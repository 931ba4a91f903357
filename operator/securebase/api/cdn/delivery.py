"""How a distribution meets its viewers: certificate, DNS, error pages, response headers, geography and logs."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import Field, StringConstraints

from securebase.api.base import ApiModel, ListSet, Matches, Rule, Rules
from securebase.api.scalars import DnsName

CertificateArn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    Matches(
        r"^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-zA-Z-]+$",
        "certificate.arn must be the ARN of an ACM certificate: arn:aws:acm:us-east-1:123456789012:certificate/...",
    ),
]
DomainNames = Annotated[tuple[DnsName, ...], MinLen(1), MaxLen(10), ListSet()]
LogField = Annotated[str, StringConstraints(min_length=1, max_length=128)]

DEFAULT_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'; form-action 'self'; upgrade-insecure-requests"
)


class CertificateRequest(ApiModel):
    """A certificate to be requested in us-east-1 and validated in the zone of spec.dns."""

    domain_names: DomainNames | None = None
    """Names on the certificate; the aliases if omitted. *.example.com covers www.example.com."""


class Certificate(ApiModel):
    """The certificate of the aliases: exactly one of arn and request."""

    arn: CertificateArn | None = None
    """A certificate that exists, in us-east-1."""
    request: CertificateRequest | None = None
    """A certificate to be made."""
    minimum_protocol_version: Literal["TLSv1.2_2021", "TLSv1.2_2025", "TLSv1.3_2025"] = "TLSv1.2_2021"
    """Oldest TLS that viewers may speak."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="has(self.arn) != has(self.request)",
            holds=lambda certificate: (certificate.arn is None) != (certificate.request is None),
            message="certificate needs exactly one of arn (one that exists) and request (one to be made; request: {} takes the aliases)",
        ),
    )


class Dns(ApiModel):
    """The public Route 53 zone for alias records and certificate validation: exactly one of zoneId and zoneName."""

    zone_id: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=32),
            Matches(r"^[A-Z0-9]+$", "zoneId is the id alone, like Z0123456789ABC, without /hostedzone/"),
        ]
        | None
    ) = None
    """Id of the zone."""
    zone_name: DnsName | None = None
    """Name of the zone, which must be the only public one of that name."""
    records: bool = True
    """Whether alias records (A and AAAA) are kept for every alias. A record that is not ours is never overwritten."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="has(self.zoneId) != has(self.zoneName)",
            holds=lambda dns: (dns.zone_id is None) != (dns.zone_name is None),
            message="dns needs exactly one of zoneId and zoneName",
        ),
    )


class ErrorPage(ApiModel):
    """What viewers get instead of the origin's error, on every path of the distribution."""

    code: Literal[400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504]
    """The origin's answer."""
    path: Annotated[str, StringConstraints(min_length=2, max_length=255), Matches(r"^/[^ ]+$", "an error page's path starts with /: /errors/5xx.html")]
    """The page, from whichever behavior matches this path."""
    response_code: Literal[400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504] | None = None
    """What viewers see as status; the origin's if omitted. Never a success: for client-side routing set spa on the behavior."""
    min_ttl_seconds: Annotated[int, Ge(0), Le(31_536_000)] = 10
    """How long the edge keeps the error. 10 if omitted."""


class Hsts(ApiModel):
    """Strict-Transport-Security."""

    max_age_seconds: Annotated[int, Ge(0), Le(315_360_000)] = 63_072_000
    include_subdomains: bool = True
    preload: bool = True
    """Asks for a place in the browsers' preload list."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="!self.?preload.orValue(true) || (self.?maxAgeSeconds.orValue(63072000) >= 31536000 && self.?includeSubdomains.orValue(true))",
            holds=lambda hsts: not hsts.preload or (hsts.max_age_seconds >= 31_536_000 and hsts.include_subdomains),
            message="hsts.preload needs maxAgeSeconds of at least 31536000 and includeSubdomains: true, or the browsers' list refuses it; "
            "raise them or set preload: false",
            field=".preload",
        ),
    )


CorsOrigin = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    Matches(r"^(\*|https?://[^/ ]+)$", "an origin is a scheme and a host without a path, https://app.example.com, or '*'"),
]
CorsHeader = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Cors(ApiModel):
    """Which other sites' scripts may read the answers."""

    allow_origins: Annotated[tuple[CorsOrigin, ...], MinLen(1), MaxLen(50), ListSet()]
    allow_methods: Annotated[tuple[Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "ALL"], ...], MinLen(1), MaxLen(8), ListSet()] = (
        "GET",
        "HEAD",
        "OPTIONS",
    )
    """GET, HEAD and OPTIONS if omitted."""
    allow_headers: Annotated[tuple[CorsHeader, ...], MinLen(1), MaxLen(50), ListSet()] = ("*",)
    """Every header ('*') if omitted; with allowCredentials they must be named."""
    expose_headers: Annotated[tuple[CorsHeader, ...], MaxLen(50), ListSet()] = ()
    max_age_seconds: Annotated[int, Ge(0), Le(86_400)] = 600
    """How long browsers may keep the answer to a preflight."""
    allow_credentials: bool = False

    rules: ClassVar[Rules] = (
        Rule(
            cel="""!has(self.allowCredentials) || !self.allowCredentials || !('*' in self.allowOrigins
                || !has(self.allowHeaders) || '*' in self.allowHeaders || (has(self.allowMethods) && 'ALL' in self.allowMethods))""",
            holds=lambda cors: not cors.allow_credentials or not ("*" in cors.allow_origins or "*" in cors.allow_headers or "ALL" in cors.allow_methods),
            message="cors.allowCredentials: true goes with named origins, headers and methods only; browsers refuse '*' and ALL, name them",
            field=".allowCredentials",
        ),
    )


class ResponseHeaders(ApiModel):
    """Security headers of every answer. They replace the origin's."""

    hsts: Hsts = Field(default_factory=Hsts)
    """Strict-Transport-Security: two years, subdomains, preload."""
    content_security_policy: Annotated[str, StringConstraints(min_length=1, max_length=4096)] = DEFAULT_CONTENT_SECURITY_POLICY
    """Content-Security-Policy."""
    frame_options: Literal["DENY", "SAMEORIGIN"] = "DENY"
    """X-Frame-Options."""
    referrer_policy: Literal[
        "no-referrer",
        "no-referrer-when-downgrade",
        "origin",
        "origin-when-cross-origin",
        "same-origin",
        "strict-origin",
        "strict-origin-when-cross-origin",
        "unsafe-url",
    ] = "strict-origin-when-cross-origin"
    """Referrer-Policy."""
    cors: Cors | None = None
    """No CORS headers of ours if omitted; the origin's pass."""


class GeoRestriction(ApiModel):
    """Countries that are let in, or kept out."""

    type: Literal["Allow", "Deny"]
    countries: Annotated[
        tuple[
            Annotated[
                str,
                StringConstraints(min_length=2, max_length=2),
                Matches(r"^[A-Z]{2}$", "a country is two capital letters, ISO 3166-1 alpha-2: DE, US"),
            ],
            ...,
        ],
        MinLen(1),
        MaxLen(249),
        ListSet(),
    ]


class Logging(ApiModel):
    """Standard logging (v2): every request, delivered to a bucket, a log group or a Firehose stream."""

    destination_arn: Annotated[
        str,
        StringConstraints(min_length=1, max_length=512),
        Matches(
            r"^arn:aws[a-z-]*:(s3:::[a-z0-9.-]+|logs:[a-z0-9-]+:[0-9]{12}:log-group:[^:*]+|firehose:[a-z0-9-]+:[0-9]{12}:deliverystream/.+)$",
            "destinationArn must be the ARN of an S3 bucket, a log group (without :*) or a Firehose delivery stream",
        ),
    ]
    format: Literal["json", "w3c", "parquet", "plain"] = "json"
    """w3c and parquet are for buckets."""
    suffix_path: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    """Path within the bucket, like {DistributionId}/{yyyy}/{MM}/{dd}."""
    fields: Annotated[tuple[LogField, ...], MaxLen(64), ListSet()] = ()
    """Fields of a line, in order; CloudFront's own choice if omitted."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="self.destinationArn.contains(':s3:::') || !(self.?format.orValue('json') in ['w3c', 'parquet'])",
            holds=lambda logging: ":s3:::" in logging.destination_arn or logging.format not in ("w3c", "parquet"),
            message="logging.format w3c and parquet exist for S3 buckets only; use json or plain",
            field=".format",
        ),
        Rule(
            cel="self.destinationArn.contains(':s3:::') || !has(self.suffixPath)",
            holds=lambda logging: ":s3:::" in logging.destination_arn or logging.suffix_path is None,
            message="logging.suffixPath exists for S3 buckets only; remove it",
            field=".suffixPath",
        ),
    )

"""What a distribution does with the requests of one path: preset, cache key, credentials, functions, and the rules between them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import Field, StringConstraints

from securebase.api.base import ApiModel, ListMap, ListSet, Matches, Rules
from securebase.api.cdn import behavior_rules
from securebase.api.cdn.origins import OriginId
from securebase.api.cdn.presets import CACHING_DISABLED, PRESETS, EffectiveTtl, MethodSet, PresetName
from securebase.api.cdn.selection import ALL, NOTHING, HeaderNames, Names, Selection
from securebase.api.scalars import Uuid

Seconds = Annotated[int, Ge(0), Le(31_536_000)]
PathPattern = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    Matches(
        r"^[/*][A-Za-z0-9_.$/~@:+*?&-]*$",
        "a path is a pattern like /api/* or *.js, starting with / or *, without spaces or query; '*' alone is the default behavior",
    ),
]
FunctionArn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    Matches(
        r"^arn:aws[a-z-]*:cloudfront::[0-9]{12}:function/[A-Za-z0-9_-]+$",
        "arn must be that of a CloudFront function: arn:aws:cloudfront::123456789012:function/name; Lambda functions belong into lambdas",
    ),
]
LambdaArn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    Matches(
        r"^arn:aws[a-z-]*:lambda:us-east-1:[0-9]{12}:function:[A-Za-z0-9_-]+:[0-9]+$",
        "arn must be that of a numbered version of a Lambda function in us-east-1: Lambda@Edge takes no $LATEST, alias or other region",
    ),
]
KeyGroupId = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Ttl(ApiModel):
    """How long the edge keeps an answer. What is omitted is the preset's."""

    min_seconds: Seconds | None = None
    """At least this long, whatever the origin says, even no-store."""
    default_seconds: Seconds | None = None
    """When the origin does not say."""
    max_seconds: Seconds | None = None
    """At most this long, whatever the origin says."""


class Credentials(ApiModel):
    """What tells one caller from another. It is forwarded, and part of the cache key; so is Authorization, always."""

    headers: HeaderNames = ("x-api-key",)
    """Headers that carry a credential. x-api-key if omitted."""
    cookies: Selection = ALL
    """Cookies that carry a credential. All if omitted."""


class CacheKey(ApiModel):
    """What else makes two requests different, and is forwarded to the origin."""

    query_strings: Selection | None = None
    """Query strings; the preset's if omitted: all for api, none for static and html."""
    headers: HeaderNames = ()
    """Headers, like accept-language."""
    cookies: Selection | None = None
    """Cookies, besides those in credentials."""


class Forward(ApiModel):
    """What the origin sees although it is not in the cache key. It must not change the answer, and is never a credential."""

    headers: HeaderNames = ()
    """Headers, like cloudfront-viewer-country or user-agent."""
    query_strings: Names = ()
    """Query strings, by name."""


class FunctionAssociation(ApiModel):
    """A CloudFront function of one's own."""

    event: Literal["viewer-request", "viewer-response"]
    """When it runs."""
    arn: FunctionArn
    """The function, published."""


class LambdaAssociation(ApiModel):
    """A Lambda@Edge function of one's own."""

    event: Literal["viewer-request", "viewer-response", "origin-request", "origin-response"]
    """When it runs."""
    arn: LambdaArn
    """A numbered version."""
    include_body: bool = False
    """Whether it sees the body; for request events."""


class Behavior(ApiModel):
    """What happens to the requests of one path. The order of the list is the order of precedence; the default comes last wherever it stands."""

    path: PathPattern
    """Pattern like /api/*; '*' is the default behavior, and every distribution has exactly one."""
    origin: OriginId
    """Id of an origin or origin group."""
    preset: PresetName | None = None
    """static: a year, immutable. html: an hour at the edge, revalidated by browsers. api: five minutes per caller. noCache: nothing."""
    ttl: Ttl | None = None
    """Times other than the preset's."""
    credentials: Credentials | None = None
    """What tells callers apart. With api: Authorization, x-api-key and all cookies if omitted. With static and html: nothing is forwarded."""
    cache_key: CacheKey | None = None
    """What else is part of the cache key."""
    forward: Forward | None = None
    """What is forwarded beside the cache key."""
    cache_policy_id: Uuid | None = None
    """A cache policy of one's own, instead of a preset."""
    origin_request_policy_id: Uuid | None = None
    """An origin request policy of one's own, instead of forward."""
    response_headers_policy_id: Uuid | None = None
    """A response headers policy of one's own, instead of responseHeaders."""
    spa: bool = False
    """Client-side routing: paths without a file extension are answered with the default root object, by a function on this behavior alone."""
    functions: Annotated[tuple[FunctionAssociation, ...], MaxLen(2), ListMap("event")] = ()
    """CloudFront functions."""
    lambdas: Annotated[tuple[LambdaAssociation, ...], MaxLen(4), ListMap("event")] = ()
    """Lambda@Edge functions."""
    trusted_key_groups: Annotated[tuple[KeyGroupId, ...], MaxLen(4), ListSet()] = ()
    """Key groups whose signed URLs and cookies are asked for."""
    allowed_methods: MethodSet | None = None
    """Read: GET and HEAD. ReadWithOptions: OPTIONS too. All: also PUT, POST, PATCH and DELETE. All for api and noCache, else Read, if omitted."""
    viewer_protocol: Literal["redirect-to-https", "https-only"] = "redirect-to-https"
    """What happens to plain HTTP."""
    compress: bool = True
    """gzip and Brotli, where anything is cached."""
    cache_control: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    """Cache-Control that browsers get; the preset's if omitted."""

    rules: ClassVar[Rules] = behavior_rules.RULES

    @property
    def is_default(self) -> bool:
        return self.path == "*"

    @property
    def caches(self) -> bool:
        """Whether anything may be cached; an unknown policy of one's own is taken to cache."""
        if self.preset is None:
            return self.cache_policy_id != CACHING_DISABLED
        return self.preset != "noCache"

    @property
    def effective_ttl(self) -> EffectiveTtl | None:
        """Times after the preset's defaults; None where a cache policy of one's own decides."""
        if self.preset is None:
            return None
        preset, own = PRESETS[self.preset].ttl, self.ttl or Ttl()
        return EffectiveTtl(
            preset.min if own.min_seconds is None else own.min_seconds,
            preset.default if own.default_seconds is None else own.default_seconds,
            preset.max if own.max_seconds is None else own.max_seconds,
        )

    @property
    def effective_credentials(self) -> Credentials | None:
        """What tells callers apart, None where nobody is told apart (static, html) or the key is not ours."""
        if self.preset == "api" and self.credentials is None:
            return Credentials()
        return self.credentials

    @property
    def key_headers(self) -> tuple[str, ...]:
        """Every header of the cache key, lower case and sorted; the credentials among them."""
        credentials, key = self.effective_credentials, self.cache_key or CacheKey()
        carried = ("authorization", *credentials.headers) if credentials else ()
        return tuple(sorted({name.lower() for name in (*carried, *key.headers)}))

    @property
    def key_cookies(self) -> Selection:
        credentials, key = self.effective_credentials, self.cache_key or CacheKey()
        return (credentials.cookies if credentials else NOTHING).union(key.cookies or NOTHING)

    @property
    def key_query_strings(self) -> Selection:
        if self.cache_key is not None and self.cache_key.query_strings is not None:
            return self.cache_key.query_strings
        return NOTHING if self.preset is None else PRESETS[self.preset].query_strings

    @property
    def effective_methods(self) -> MethodSet:
        if self.allowed_methods is not None:
            return self.allowed_methods
        return "Read" if self.preset is None else PRESETS[self.preset].methods

    @property
    def effective_cache_control(self) -> str | None:
        """The header that browsers get; None leaves the origin's alone."""
        if self.cache_control is not None or self.preset is None:
            return self.cache_control
        return PRESETS[self.preset].cache_control


# 25 besides the default is CloudFront's quota, which can be raised.
Behaviors = Annotated[tuple[Behavior, ...], Field(), MinLen(1), MaxLen(50), ListMap("path", ruled=True)]

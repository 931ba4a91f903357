"""AWS-managed CloudFront policies as data, and which of them equals a wanted one: they count against no quota. Pure.

Ids and settings: CloudFront Developer Guide, "Use managed cache policies", "... origin request policies", "... response headers policies".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from securebase.resources.cloudfront.model import (
    EVERYTHING,
    CachePolicy,
    ContentTypeOptions,
    OriginRequestPolicy,
    ResponseHeadersPolicy,
    SecurityHeader,
    Selection,
    StrictTransportSecurity,
    XssProtection,
    only,
)

CACHING_DISABLED: Final = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
CACHING_OPTIMIZED: Final = "658327ea-f89d-4fab-a63d-7e88639e58f6"
ALL_VIEWER: Final = "216adef6-5c7f-47e4-b989-5492eafa07d3"
ALL_VIEWER_EXCEPT_HOST_HEADER: Final = "b689b0a8-53d0-40ab-baf2-68738e2966ac"

_YEAR: Final = 31_536_000
_ORIGIN_CONTROLLED: Final = only("Host", "Origin", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
_CORS_REQUEST: Final = ("Origin", "Access-Control-Request-Headers", "Access-Control-Request-Method")

CACHE_POLICIES: Final[Mapping[str, CachePolicy]] = {
    CACHING_OPTIMIZED: CachePolicy("Managed-CachingOptimized", 1, 86_400, _YEAR),
    "b2884449-e4de-46a7-ac36-70bc7f1ddd6d": CachePolicy("Managed-CachingOptimizedForUncompressedObjects", 1, 86_400, _YEAR, gzip=False, brotli=False),
    CACHING_DISABLED: CachePolicy("Managed-CachingDisabled", 0, 0, 0, gzip=False, brotli=False),
    "08627262-05a9-4f76-9ded-b50ca2e3a84f": CachePolicy(
        "Managed-Elemental-MediaPackage",
        0,
        86_400,
        _YEAR,
        brotli=False,
        headers=only("Origin"),
        query_strings=only("aws.manifestfilter", "start", "end", "m"),
    ),
    "2e54312d-136d-493c-8eb9-b001f22f67d2": CachePolicy(
        "Managed-Amplify",
        2,
        2,
        600,
        headers=only("Authorization", "CloudFront-Viewer-Country", "Host"),
        cookies=EVERYTHING,
        query_strings=EVERYTHING,
    ),
    "83da9c7e-98b4-4e11-a168-04f0df8e2c65": CachePolicy("Managed-UseOriginCacheControlHeaders", 0, 0, _YEAR, headers=_ORIGIN_CONTROLLED, cookies=EVERYTHING),
    "4cc15a8a-d715-48a4-82b8-cc0b614638fe": CachePolicy(
        "Managed-UseOriginCacheControlHeaders-QueryStrings",
        0,
        0,
        _YEAR,
        headers=_ORIGIN_CONTROLLED,
        cookies=EVERYTHING,
        query_strings=EVERYTHING,
    ),
}

ORIGIN_REQUEST_POLICIES: Final[Mapping[str, OriginRequestPolicy]] = {
    ALL_VIEWER: OriginRequestPolicy("Managed-AllViewer", Selection("allViewer"), EVERYTHING, EVERYTHING),
    ALL_VIEWER_EXCEPT_HOST_HEADER: OriginRequestPolicy(
        "Managed-AllViewerExceptHostHeader", Selection("allExcept", frozenset({"Host"})), EVERYTHING, EVERYTHING
    ),
    "59781a5b-3903-41f3-afcb-af62929ccde1": OriginRequestPolicy("Managed-CORS-CustomOrigin", only("Origin")),
    "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf": OriginRequestPolicy("Managed-CORS-S3Origin", only(*_CORS_REQUEST)),
    "775133bc-15f2-49f9-abea-afb2e0bf67d2": OriginRequestPolicy(
        "Managed-Elemental-MediaTailor-PersonalizedManifests",
        only(*_CORS_REQUEST, "User-Agent", "X-Forwarded-For"),
        query_strings=EVERYTHING,
    ),
    "bf0718e1-ba1e-49d1-88b1-f726733018ae": OriginRequestPolicy("Managed-HostHeaderOnly", only("Host")),
    "acba4595-bd28-49b8-b9fe-13317c0390fa": OriginRequestPolicy("Managed-UserAgentRefererHeaders", only("User-Agent", "Referer")),
}

RESPONSE_HEADERS_POLICIES: Final[Mapping[str, ResponseHeadersPolicy]] = {
    "67f7725c-6f97-4210-82d7-5512b31e9d03": ResponseHeadersPolicy(
        "Managed-SecurityHeadersPolicy",
        hsts=StrictTransportSecurity(_YEAR, include_subdomains=False, preload=False, override=False),
        frame_options=SecurityHeader("SAMEORIGIN", override=False),
        referrer_policy=SecurityHeader("strict-origin-when-cross-origin", override=False),
        content_type_options=ContentTypeOptions(),
        xss_protection=XssProtection(override=False),
    ),
}

P = TypeVar("P", CachePolicy, OriginRequestPolicy, ResponseHeadersPolicy)


def managed_cache_policy(wanted: CachePolicy) -> str | None:
    """Id of the AWS-managed policy that does the same, whatever its name and comment."""
    return _equal(wanted, CACHE_POLICIES.items())


def managed_origin_request_policy(wanted: OriginRequestPolicy) -> str | None:
    """Id of the AWS-managed policy that does the same, whatever its name and comment."""
    return _equal(wanted, ORIGIN_REQUEST_POLICIES.items())


def managed_response_headers_policy(wanted: ResponseHeadersPolicy) -> str | None:
    """Id of the AWS-managed policy that does the same, whatever its name and comment."""
    return _equal(wanted, RESPONSE_HEADERS_POLICIES.items())


def _equal(wanted: P, catalogue: Iterable[tuple[str, P]]) -> str | None:
    return next((id for id, policy in catalogue if replace(wanted, name=policy.name, comment=policy.comment) == policy), None)

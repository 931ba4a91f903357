"""Cache, origin request and response headers policies of one behavior, from its preset and what overrides it."""

from __future__ import annotations

from securebase.api.cdn import Behavior
from securebase.api.cdn.delivery import ResponseHeaders
from securebase.api.cdn.presets import ALL_VIEWER_EXCEPT_HOST_HEADER, CACHING_DISABLED
from securebase.api.cdn.selection import Selection as SelectionSpec
from securebase.kinds.cdn.shared import NOTE, SharedNodes
from securebase.resources.cloudfront.model import (
    EVERYTHING,
    NOTHING,
    CachePolicy,
    ContentTypeOptions,
    Cors,
    OriginRequestPolicy,
    ResponseHeader,
    ResponseHeadersPolicy,
    SecurityHeader,
    Selection,
    StrictTransportSecurity,
    only,
)


def compresses(behavior: Behavior) -> bool:
    """Whether CloudFront compresses: only where the cache key tells encodings apart, so never without caching."""
    return behavior.compress and behavior.caches


def cache_policy_id(behavior: Behavior, shared: SharedNodes) -> str:
    """The policy of one's own, AWS's CachingDisabled, or the preset's."""
    ttl = behavior.effective_ttl
    if ttl is None:
        return behavior.cache_policy_id or ""
    if not behavior.caches:
        return CACHING_DISABLED
    encodings = compresses(behavior)
    return shared.cache_policy(
        CachePolicy(
            name="",
            min_ttl=ttl.min,
            default_ttl=ttl.default,
            max_ttl=ttl.max,
            gzip=encodings,
            brotli=encodings,
            headers=only(*map(spelled_header, behavior.key_headers)),
            cookies=_selection(behavior.key_cookies),
            query_strings=_selection(behavior.key_query_strings),
            comment=NOTE,
        )
    )


def origin_request_policy_id(behavior: Behavior, shared: SharedNodes) -> str:
    """What the origin sees beside the cache key, which it always sees; "" for nothing more."""
    if behavior.origin_request_policy_id is not None:
        return behavior.origin_request_policy_id
    if behavior.preset == "noCache":
        return ALL_VIEWER_EXCEPT_HOST_HEADER
    if behavior.forward is None:
        return ""
    headers = {name.lower() for name in behavior.forward.headers} - set(behavior.key_headers)
    queries = {name for name in behavior.forward.query_strings if not behavior.key_query_strings.selects(name)}
    if not headers and not queries:
        return ""
    return shared.origin_request_policy(OriginRequestPolicy(name="", headers=only(*map(spelled_header, headers)), query_strings=only(*queries), comment=NOTE))


def response_headers_policy_id(behavior: Behavior, wanted: ResponseHeaders, shared: SharedNodes) -> str:
    """The policy of one's own, or security headers that replace the origin's, with the behavior's Cache-Control for browsers."""
    if behavior.response_headers_policy_id is not None:
        return behavior.response_headers_policy_id
    cache_control = behavior.effective_cache_control
    return shared.response_headers_policy(
        ResponseHeadersPolicy(
            name="",
            hsts=StrictTransportSecurity(wanted.hsts.max_age_seconds, wanted.hsts.include_subdomains, wanted.hsts.preload),
            content_security_policy=SecurityHeader(wanted.content_security_policy),
            frame_options=SecurityHeader(wanted.frame_options),
            referrer_policy=SecurityHeader(wanted.referrer_policy),
            content_type_options=ContentTypeOptions(),
            cors=_cors(wanted),
            headers=(ResponseHeader("Cache-Control", cache_control),) if cache_control else (),
            comment=NOTE,
        )
    )


def spelled_header(name: str) -> str:
    """A header as AWS's own policies spell it, so that equal ones are found equal: `x-api-key` -> `X-Api-Key`."""
    words = "-".join(word.capitalize() for word in name.split("-"))
    return f"CloudFront-{words.removeprefix('Cloudfront-')}" if words.startswith("Cloudfront-") else words


def _selection(wanted: SelectionSpec) -> Selection:
    match wanted.mode:
        case "All":
            return EVERYTHING
        case "None":
            return NOTHING
        case "Include":
            return only(*wanted.names)
        case "Exclude":
            return Selection("allExcept", frozenset(wanted.names))


def _cors(wanted: ResponseHeaders) -> Cors | None:
    if wanted.cors is None:
        return None
    return Cors(
        allow_origins=frozenset(wanted.cors.allow_origins),
        allow_methods=frozenset(wanted.cors.allow_methods),
        allow_headers=frozenset(wanted.cors.allow_headers),
        expose_headers=frozenset(wanted.cors.expose_headers),
        allow_credentials=wanted.cors.allow_credentials,
        max_age=wanted.cors.max_age_seconds,
    )

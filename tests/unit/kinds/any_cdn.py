"""Hypothesis strategies for CdnDistribution: any valid spec, with all that may be overridden."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from pydantic import ValidationError

from securebase.api.cdn import CdnDistributionSpec
from securebase.api.cdn.presets import ALL_VIEWER_POLICIES, CACHING_DISABLED, HARMLESS_ORIGIN_REQUEST_POLICIES
from tests.unit.kinds.composing import manifest, spec_of

OWN = "0a1b2c3d-1111-2222-3333-444455556666"
FUNCTION = "arn:aws:cloudfront::123456789012:function/own"
LAMBDA = "arn:aws:lambda:us-east-1:123456789012:function:own:3"

_headers = st.lists(
    st.sampled_from(
        ["accept-language", "Origin", "user-agent", "X-Tenant", "cloudfront-viewer-country", "Authorization", "x-api-key", "X-Auth-Token", "referer"]
    ),
    max_size=3,
    unique_by=str.lower,
)
_names = st.lists(st.sampled_from(["session", "theme", "page", "lang", "access_token", "utm_source"]), max_size=3, unique=True)


def _optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


@st.composite
def _selection(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(_names)
    return {"mode": draw(st.sampled_from(["Include", "Exclude"])), "names": names} if names else {"mode": draw(st.sampled_from(["All", "None"]))}


_ttl = _optional(minSeconds=st.sampled_from([0, 0, 0, 1, 60]), defaultSeconds=st.sampled_from([0, 60, 300]), maxSeconds=st.sampled_from([300, 3_600, 86_400]))
_tuning = _optional(
    ttl=_ttl,
    credentials=_optional(headers=_headers, cookies=_selection()),
    cacheKey=_optional(headers=_headers, cookies=_selection(), queryStrings=_selection()),
)
_anything = _optional(
    compress=st.booleans(),
    spa=st.booleans(),
    allowedMethods=st.sampled_from(["Read", "ReadWithOptions", "All"]),
    viewerProtocol=st.sampled_from(["redirect-to-https", "https-only"]),
    cacheControl=st.just("no-store"),
    responseHeadersPolicyId=st.just(OWN),
    trustedKeyGroups=st.just(["group-1"]),
    functions=st.sampled_from([[{"event": "viewer-response", "arn": FUNCTION}], [{"event": "viewer-request", "arn": FUNCTION}]]),
    lambdas=st.just([{"event": "origin-request", "arn": LAMBDA, "includeBody": True}]),
)


@st.composite
def _behavior(draw: st.DrawFn, path: str, origins: list[str]) -> dict[str, Any]:
    behavior = {"path": path, "origin": draw(st.sampled_from(origins)), **draw(_anything)}
    match draw(st.sampled_from(["static", "html", "api", "noCache", "own"])):
        case "own":
            behavior["cachePolicyId"] = draw(st.sampled_from([OWN, CACHING_DISABLED]))
        case preset:
            behavior["preset"] = preset
            behavior |= draw(_tuning) if preset != "noCache" else {}
    match draw(st.sampled_from(["nothing", "forward", "policy"])):
        case "forward":
            behavior["forward"] = draw(_optional(headers=_headers, queryStrings=_names))
        case "policy":
            behavior["originRequestPolicyId"] = draw(st.sampled_from([OWN, *ALL_VIEWER_POLICIES, *HARMLESS_ORIGIN_REQUEST_POLICIES]))
    return behavior


def _is_valid(behavior: dict[str, Any], origins: list[dict[str, Any]], groups: list[dict[str, Any]]) -> bool:
    """Whether one behavior alone makes a valid distribution: bad ones are thrown away one by one, or few whole specs would be left."""
    try:
        spec_of(manifest({"origins": origins, "originGroups": groups, "behaviors": [{**behavior, "path": "*"}]}))
    except ValidationError:
        return False
    return True


_ORIGINS: list[dict[str, Any]] = [
    {"id": "web", "custom": {"domainName": "origin.example.com"}, "path": "/v1", "headers": [{"name": "x-plain", "value": "1"}]},
    {"id": "bucket", "s3": {"bucket": "some-bucket", "region": "eu-west-1"}, "path": "/site"},
    {"id": "other.bucket_2", "s3": {"bucket": "other-bucket", "manageBucketPolicy": False}},
    {
        "id": "api",
        "custom": {"domainName": "api.example.com", "protocol": "match-viewer"},
        "headers": [{"name": "x-origin-verify", "valueFrom": {"secretKeyRef": {"name": "verify", "key": "token"}}}],
        "shield": {"region": "us-east-2"},
    },
    {"id": "inside", "vpc": {"vpcOriginId": "vo_abc123", "domainName": "internal.example.com"}},
]
_GROUPS: list[dict[str, Any]] = [{"id": "failover", "primary": "web", "secondary": "bucket"}]
_NAMES: list[dict[str, Any]] = [
    {},
    {"aliases": ["www.example.com"], "certificate": {"arn": "arn:aws:acm:us-east-1:123456789012:certificate/1"}},
    {"aliases": ["www.example.com", "*.example.com"], "certificate": {"request": {}}, "dns": {"zoneName": "example.com"}},
    {"aliases": ["a.example.com"], "certificate": {"request": {"domainNames": ["*.example.com"]}}, "dns": {"zoneId": "Z1", "records": False}},
    {"certificate": {"request": {"domainNames": ["soon.example.com"]}}, "dns": {"zoneId": "Z1"}},
]
_ALARMS: list[dict[str, Any]] = [
    {},
    {"enabled": False},
    {"createTopic": {"emails": ["ops@example.com"]}, "originLatency": {"enabled": False}},
    {"topicArn": "arn:aws:sns:us-east-1:123456789012:ops", "originLatency": {"enabled": False}, "cacheHitRate": {"enabled": False}},
]
_rest = _optional(
    aliasing=st.sampled_from(_NAMES),
    alarms=st.sampled_from(_ALARMS),
    defaultRootObject=st.just("start.html"),
    ipv6=st.booleans(),
    errorPages=st.just([{"code": 503, "path": "/errors/503.html"}]),
    geoRestriction=st.just({"type": "Deny", "countries": ["KP"]}),
    logging=st.sampled_from([{"destinationArn": "arn:aws:s3:::logs", "format": "parquet"}]),
    responseHeaders=st.just({"cors": {"allowOrigins": ["*"]}, "hsts": {"preload": False}}),
)


@st.composite
def cdn_specs(draw: st.DrawFn) -> CdnDistributionSpec:
    """Any valid spec."""
    ids = [str(thing["id"]) for thing in [*_ORIGINS, *_GROUPS]]
    paths = draw(st.lists(st.sampled_from(["/api/*", "/static/*", "*.jpg", "/app/*", "/live"]), unique=True, max_size=4))
    made = [draw(_behavior(path, ids)) for path in paths]
    behaviors = [behavior for behavior in made if _is_valid(behavior, _ORIGINS, _GROUPS)]
    default = draw(_behavior("*", ids))
    if not _is_valid(default, _ORIGINS, _GROUPS):
        default = {"path": "*", "origin": "web", "preset": "api"}
    rest = draw(_rest)
    names = rest.pop("aliasing", {})
    document = manifest({"origins": _ORIGINS, "originGroups": _GROUPS, "behaviors": [*behaviors, default], **names, **rest})
    try:
        return spec_of(document)
    except ValidationError:
        assume(False)
        raise

"""Between CloudFront's policy configurations and our models. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from securebase.resources.cloudfront.distribution_config import items, quantity
from securebase.resources.cloudfront.model import (
    CachePolicy,
    ContentTypeOptions,
    Cors,
    OriginAccessControl,
    OriginRequestPolicy,
    ResponseHeader,
    ResponseHeadersPolicy,
    SecurityHeader,
    Selection,
    StrictTransportSecurity,
    XssProtection,
)

Raw = Mapping[str, Any]

_SELECTIONS = {
    "HeadersConfig": ("HeaderBehavior", "Headers"),
    "CookiesConfig": ("CookieBehavior", "Cookies"),
    "QueryStringsConfig": ("QueryStringBehavior", "QueryStrings"),
}


def _read_selection(raw: Raw, section: str) -> Selection:
    behavior, names = _SELECTIONS[section]
    there = raw.get(section, {})
    return Selection(there.get(behavior, "none"), frozenset(items(there.get(names))))


def _selections(headers: Selection, cookies: Selection, query_strings: Selection) -> dict[str, Any]:
    written = {}
    for (section, (behavior, names)), wanted in zip(_SELECTIONS.items(), (headers, cookies, query_strings), strict=True):
        written[section] = {behavior: wanted.behavior, **({names: quantity(sorted(wanted.names))} if wanted.names else {})}
    return written


def read_cache_policy(raw: Raw) -> CachePolicy:
    """A CachePolicyConfig as our model."""
    key = raw.get("ParametersInCacheKeyAndForwardedToOrigin", {})
    return CachePolicy(
        name=raw["Name"],
        min_ttl=raw["MinTTL"],
        default_ttl=raw.get("DefaultTTL", 86_400),
        max_ttl=raw.get("MaxTTL", 31_536_000),
        gzip=key.get("EnableAcceptEncodingGzip", False),
        brotli=key.get("EnableAcceptEncodingBrotli", False),
        headers=_read_selection(key, "HeadersConfig"),
        cookies=_read_selection(key, "CookiesConfig"),
        query_strings=_read_selection(key, "QueryStringsConfig"),
        comment=raw.get("Comment", ""),
    )


def cache_policy_config(policy: CachePolicy) -> dict[str, Any]:
    """Our model as a CachePolicyConfig."""
    return {
        "Name": policy.name,
        "Comment": policy.comment,
        "MinTTL": policy.min_ttl,
        "DefaultTTL": policy.default_ttl,
        "MaxTTL": policy.max_ttl,
        "ParametersInCacheKeyAndForwardedToOrigin": {
            "EnableAcceptEncodingGzip": policy.gzip,
            "EnableAcceptEncodingBrotli": policy.brotli,
            **_selections(policy.headers, policy.cookies, policy.query_strings),
        },
    }


def read_origin_request_policy(raw: Raw) -> OriginRequestPolicy:
    """An OriginRequestPolicyConfig as our model."""
    return OriginRequestPolicy(
        name=raw["Name"],
        headers=_read_selection(raw, "HeadersConfig"),
        cookies=_read_selection(raw, "CookiesConfig"),
        query_strings=_read_selection(raw, "QueryStringsConfig"),
        comment=raw.get("Comment", ""),
    )


def origin_request_policy_config(policy: OriginRequestPolicy) -> dict[str, Any]:
    """Our model as an OriginRequestPolicyConfig."""
    return {"Name": policy.name, "Comment": policy.comment, **_selections(policy.headers, policy.cookies, policy.query_strings)}


def read_access_control(raw: Raw) -> OriginAccessControl:
    """An OriginAccessControlConfig, or a line of their list, as our model."""
    return OriginAccessControl(
        name=raw["Name"],
        origin_type=raw["OriginAccessControlOriginType"],
        signing_behavior=raw["SigningBehavior"],
        signing_protocol=raw["SigningProtocol"],
        description=raw.get("Description", ""),
    )


def access_control_config(control: OriginAccessControl) -> dict[str, Any]:
    """Our model as an OriginAccessControlConfig."""
    return {
        "Name": control.name,
        "Description": control.description,
        "SigningProtocol": control.signing_protocol,
        "SigningBehavior": control.signing_behavior,
        "OriginAccessControlOriginType": control.origin_type,
    }


def read_response_headers_policy(raw: Raw) -> ResponseHeadersPolicy:
    """A ResponseHeadersPolicyConfig as our model."""
    security = raw.get("SecurityHeadersConfig", {})
    timing = raw.get("ServerTimingHeadersConfig", {})
    custom = items(raw.get("CustomHeadersConfig"))
    return ResponseHeadersPolicy(
        name=raw["Name"],
        hsts=_read_hsts(security.get("StrictTransportSecurity")),
        content_security_policy=_read_header(security.get("ContentSecurityPolicy"), "ContentSecurityPolicy"),
        frame_options=_read_header(security.get("FrameOptions"), "FrameOption"),
        referrer_policy=_read_header(security.get("ReferrerPolicy"), "ReferrerPolicy"),
        content_type_options=ContentTypeOptions(options["Override"]) if (options := security.get("ContentTypeOptions")) else None,
        xss_protection=_read_xss(security.get("XSSProtection")),
        cors=_read_cors(raw.get("CorsConfig")),
        headers=tuple(ResponseHeader(each["Header"], each["Value"], each["Override"]) for each in custom),
        remove_headers=frozenset(each["Header"] for each in items(raw.get("RemoveHeadersConfig"))),
        server_timing_rate=float(timing.get("SamplingRate", 0.0)) if timing.get("Enabled") else None,
        comment=raw.get("Comment", ""),
    )


def _read_header(raw: Raw | None, member: str) -> SecurityHeader | None:
    return SecurityHeader(raw[member], raw["Override"]) if raw else None


def _read_hsts(raw: Raw | None) -> StrictTransportSecurity | None:
    if not raw:
        return None
    return StrictTransportSecurity(raw["AccessControlMaxAgeSec"], raw.get("IncludeSubdomains", False), raw.get("Preload", False), raw["Override"])


def _read_xss(raw: Raw | None) -> XssProtection | None:
    return XssProtection(raw["Protection"], raw.get("ModeBlock", False), raw.get("ReportUri", ""), raw["Override"]) if raw else None


def _read_cors(raw: Raw | None) -> Cors | None:
    if not raw:
        return None
    return Cors(
        allow_origins=frozenset(items(raw["AccessControlAllowOrigins"])),
        allow_methods=frozenset(items(raw["AccessControlAllowMethods"])),
        allow_headers=frozenset(items(raw["AccessControlAllowHeaders"])),
        expose_headers=frozenset(items(raw.get("AccessControlExposeHeaders"))),
        allow_credentials=raw["AccessControlAllowCredentials"],
        max_age=raw.get("AccessControlMaxAgeSec", 0),
        override=raw["OriginOverride"],
    )


def response_headers_policy_config(policy: ResponseHeadersPolicy) -> dict[str, Any]:
    """Our model as a ResponseHeadersPolicyConfig; sections we do not want are left out, as CloudFront refuses empty ones."""
    headers = [{"Header": each.name, "Value": each.value, "Override": each.override} for each in policy.headers]
    removed = [{"Header": name} for name in sorted(policy.remove_headers)]
    timing = policy.server_timing_rate
    sections = {
        "CorsConfig": _cors(policy.cors),
        "SecurityHeadersConfig": _security(policy),
        "CustomHeadersConfig": quantity(headers) if headers else None,
        "RemoveHeadersConfig": quantity(removed) if removed else None,
        "ServerTimingHeadersConfig": {"Enabled": True, "SamplingRate": timing} if timing is not None else None,
    }
    return {"Name": policy.name, "Comment": policy.comment, **_given(sections)}


def _given(sections: Raw) -> dict[str, Any]:
    return {name: section for name, section in sections.items() if section}


def _security(policy: ResponseHeadersPolicy) -> dict[str, Any]:
    hsts, xss = policy.hsts, policy.xss_protection
    return _given(
        {
            "StrictTransportSecurity": hsts
            and {"AccessControlMaxAgeSec": hsts.max_age, "IncludeSubdomains": hsts.include_subdomains, "Preload": hsts.preload, "Override": hsts.override},
            "ContentSecurityPolicy": _security_header(policy.content_security_policy, "ContentSecurityPolicy"),
            "FrameOptions": _security_header(policy.frame_options, "FrameOption"),
            "ReferrerPolicy": _security_header(policy.referrer_policy, "ReferrerPolicy"),
            "ContentTypeOptions": policy.content_type_options and {"Override": policy.content_type_options.override},
            "XSSProtection": xss
            and {
                "Protection": xss.protection,
                "ModeBlock": xss.mode_block,
                "Override": xss.override,
                **({"ReportUri": xss.report_uri} if xss.report_uri else {}),
            },
        }
    )


def _security_header(header: SecurityHeader | None, member: str) -> dict[str, Any] | None:
    return {member: header.value, "Override": header.override} if header else None


def _cors(cors: Cors | None) -> dict[str, Any] | None:
    if cors is None:
        return None
    return {
        "AccessControlAllowOrigins": quantity(sorted(cors.allow_origins)),
        "AccessControlAllowMethods": quantity(sorted(cors.allow_methods)),
        "AccessControlAllowHeaders": quantity(sorted(cors.allow_headers)),
        "AccessControlAllowCredentials": cors.allow_credentials,
        "OriginOverride": cors.override,
        **({"AccessControlExposeHeaders": quantity(sorted(cors.expose_headers))} if cors.expose_headers else {}),
        **({"AccessControlMaxAgeSec": cors.max_age} if cors.max_age else {}),
    }

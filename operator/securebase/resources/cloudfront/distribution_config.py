"""Between CloudFront's DistributionConfig and our `Distribution`: reading, and overlaying on a configuration as read. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from securebase.core.fields import UNMANAGED, SecretValue
from securebase.core.identity import OWNER_TAG
from securebase.resources.cloudfront.model import (
    CacheBehavior,
    Connection,
    Distribution,
    ErrorPage,
    FunctionAssociation,
    GeoRestriction,
    LambdaAssociation,
    Origin,
    OriginGroup,
    OriginHeader,
    Shield,
    ViewerCertificate,
)

Raw = Mapping[str, Any]

_IAM: Final = "iam:"
"""How a certificate of IAM, which only an adopted distribution can have, shows in `acm_arn`."""

_LEGACY_CACHING: Final = ("ForwardedValues", "MinTTL", "DefaultTTL", "MaxTTL")
"""Refused beside a cache policy (API reference, DefaultCacheBehavior)."""

_CONNECTIONS: Final = ("S3OriginConfig", "CustomOriginConfig", "VpcOriginConfig")

# Optional on create, but UpdateDistribution refuses a new origin or behaviour without them (API reference, UpdateDistribution).
_NEW_BEHAVIOR: Final[Raw] = {"SmoothStreaming": False, "FieldLevelEncryptionId": "", "TrustedSigners": {"Enabled": False, "Quantity": 0}}


def quantity(items: Iterable[Any]) -> dict[str, Any]:
    """CloudFront's form of a list."""
    listed = list(items)
    return {"Quantity": len(listed), "Items": listed} if listed else {"Quantity": 0}


def items(raw: Raw | None) -> Sequence[Any]:
    """The items of CloudFront's form of a list; none where there is no such list."""
    return (raw or {}).get("Items") or ()


# --- reading --------------------------------------------------------------------------------------------------------------------


def read(config: Raw, tags: Mapping[str, str]) -> Distribution:
    """A DistributionConfig as our model. Values of origin headers are secrets, of an unknown version."""
    geo = config.get("Restrictions", {}).get("GeoRestriction", {})
    return Distribution(
        comment=config.get("Comment", ""),
        enabled=config["Enabled"],
        aliases=frozenset(items(config.get("Aliases"))),
        default_root_object=config.get("DefaultRootObject", ""),
        origins=tuple(_read_origin(origin) for origin in items(config.get("Origins"))),
        origin_groups=tuple(_read_group(group) for group in items(config.get("OriginGroups"))),
        default_behavior=_read_behavior(config["DefaultCacheBehavior"]),
        behaviors=tuple(_read_behavior(behavior) for behavior in items(config.get("CacheBehaviors"))),
        error_pages=tuple(_read_error_page(page) for page in items(config.get("CustomErrorResponses"))),
        certificate=_read_certificate(config.get("ViewerCertificate", {})),
        price_class=config.get("PriceClass", "PriceClass_All"),
        http_version=config.get("HttpVersion", "http2").lower(),
        ipv6=config.get("IsIPV6Enabled", False),
        geo_restriction=GeoRestriction(geo.get("RestrictionType", "none"), frozenset(items(geo))),
        web_acl_id=config.get("WebACLId", ""),
        tags=visible_tags(tags),
    )


def spelled_like(value: Distribution, wanted: Distribution | None) -> Distribution:
    """The same with those headers as plain text that `wanted` holds so: a secret and a text are never equal."""
    plain = {
        (origin.id, header.name) for origin in (wanted.origins if wanted else ()) for header in origin.headers if not isinstance(header.value, SecretValue)
    }
    if not plain:
        return value

    def spelled(origin: Origin) -> Origin:
        headers = (replace(each, value=_plain(each.value)) if (origin.id, each.name) in plain else each for each in origin.headers)
        return replace(origin, headers=tuple(headers))

    return replace(value, origins=tuple(spelled(origin) for origin in value.origins))


def visible_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags without the owner's and AWS's own."""
    return {key: value for key, value in tags.items() if key != OWNER_TAG and not key.startswith("aws:")}


def _read_origin(raw: Raw) -> Origin:
    shield = raw.get("OriginShield", {})
    return Origin(
        id=raw["Id"],
        domain_name=raw["DomainName"],
        connection=_read_connection(raw),
        path=raw.get("OriginPath", ""),
        access_control_id=raw.get("OriginAccessControlId", ""),
        headers=tuple(OriginHeader(each["HeaderName"], SecretValue(each["HeaderValue"], "")) for each in items(raw.get("CustomHeaders"))),
        shield=Shield(shield.get("Enabled", False), shield.get("OriginShieldRegion", "") if shield.get("Enabled") else ""),
        connection_attempts=raw.get("ConnectionAttempts", 3),
        connection_timeout=raw.get("ConnectionTimeout", 10),
    )


def _read_connection(raw: Raw) -> Connection:
    if custom := raw.get("CustomOriginConfig"):
        return Connection.custom(
            custom["OriginProtocolPolicy"],
            custom["HTTPPort"],
            custom["HTTPSPort"],
            frozenset(items(custom.get("OriginSslProtocols"))),
            custom.get("OriginReadTimeout", 30),
            custom.get("OriginKeepaliveTimeout", 5),
        )
    if vpc := raw.get("VpcOriginConfig"):
        return Connection.vpc(vpc["VpcOriginId"], vpc.get("OriginReadTimeout", 30), vpc.get("OriginKeepaliveTimeout", 5))
    return Connection.s3(raw.get("S3OriginConfig", {}).get("OriginReadTimeout", 30))


def _read_group(raw: Raw) -> OriginGroup:
    members = [member["OriginId"] for member in items(raw["Members"])]
    return OriginGroup(raw["Id"], members[0], members[-1], frozenset(items(raw["FailoverCriteria"]["StatusCodes"])))


def _read_behavior(raw: Raw) -> CacheBehavior:
    allowed = raw.get("AllowedMethods", {})
    functions = items(raw.get("FunctionAssociations"))
    lambdas = items(raw.get("LambdaFunctionAssociations"))
    key_groups = raw.get("TrustedKeyGroups", {})
    return CacheBehavior(
        path_pattern=raw.get("PathPattern", ""),
        target_origin=raw["TargetOriginId"],
        cache_policy_id=raw.get("CachePolicyId", ""),
        viewer_protocol=raw["ViewerProtocolPolicy"],
        allowed_methods=frozenset(items(allowed)) or frozenset({"GET", "HEAD"}),
        cached_methods=frozenset(items(allowed.get("CachedMethods"))) or frozenset({"GET", "HEAD"}),
        compress=raw.get("Compress", False),
        origin_request_policy_id=raw.get("OriginRequestPolicyId", ""),
        response_headers_policy_id=raw.get("ResponseHeadersPolicyId", ""),
        functions=tuple(FunctionAssociation(each["EventType"], each["FunctionARN"]) for each in functions),
        lambdas=tuple(LambdaAssociation(each["EventType"], each["LambdaFunctionARN"], each.get("IncludeBody", False)) for each in lambdas),
        trusted_key_groups=frozenset(items(key_groups) if key_groups.get("Enabled") else ()),
    )


def _read_error_page(raw: Raw) -> ErrorPage:
    response_code = int(raw.get("ResponseCode") or 0)
    return ErrorPage(raw["ErrorCode"], raw.get("ResponsePagePath", ""), response_code, raw.get("ErrorCachingMinTTL", 10))


def _read_certificate(raw: Raw) -> ViewerCertificate:
    arn = raw.get("ACMCertificateArn") or (_IAM + raw["IAMCertificateId"] if raw.get("IAMCertificateId") else "")
    if not arn:  # CloudFront reports `vip` and TLSv1 for its own certificate, whatever was sent
        return ViewerCertificate()
    return ViewerCertificate(arn, raw.get("MinimumProtocolVersion", "TLSv1"), raw.get("SSLSupportMethod", ""))


# --- overlaying -----------------------------------------------------------------------------------------------------------------


def overlay(raw: Raw, desired: Distribution) -> dict[str, Any]:
    """`raw` with everything we manage as desired.

    What we do not know stays as read, also inside an origin, origin group, behaviour or error page of the same name.
    """
    config = dict(raw)
    for field in dataclasses.fields(desired):
        value, write = getattr(desired, field.name), _SECTIONS.get(field.name)
        if write is not None and value is not UNMANAGED:
            config.update(write(raw, value))
    return config


def _named(raw: Raw | None, name: str) -> dict[Any, Raw]:
    return {item[name]: item for item in items(raw)}


def _origins(raw: Raw, wanted: Sequence[Origin]) -> Raw:
    there = _named(raw.get("Origins"), "Id")
    return {"Origins": quantity(_origin(there.get(origin.id, {}), origin) for origin in wanted)}


def _origin(raw: Raw, origin: Origin) -> Raw:
    kept = {key: value for key, value in raw.items() if key not in _CONNECTIONS}
    shield = origin.shield
    return {
        **kept,
        "Id": origin.id,
        "DomainName": origin.domain_name,
        "OriginPath": origin.path,
        "CustomHeaders": quantity({"HeaderName": header.name, "HeaderValue": _plain(header.value)} for header in origin.headers),
        "OriginShield": {"Enabled": True, "OriginShieldRegion": shield.region} if shield.enabled else {"Enabled": False},
        "ConnectionAttempts": origin.connection_attempts,
        "ConnectionTimeout": origin.connection_timeout,
        "OriginAccessControlId": origin.access_control_id,
        **_connection(raw, origin),
    }


def _plain(value: str | SecretValue) -> str:
    return value.value if isinstance(value, SecretValue) else value


def _connection(raw: Raw, origin: Origin) -> Raw:
    wanted = origin.connection
    timeouts = {"OriginReadTimeout": wanted.read_timeout, "OriginKeepaliveTimeout": wanted.keepalive_timeout}
    match wanted.type:
        case "custom":
            return {
                "CustomOriginConfig": {
                    **raw.get("CustomOriginConfig", {}),
                    "HTTPPort": wanted.http_port,
                    "HTTPSPort": wanted.https_port,
                    "OriginProtocolPolicy": wanted.protocol,
                    "OriginSslProtocols": quantity(sorted(wanted.ssl_protocols)),
                    **timeouts,
                }
            }
        case "vpc":
            return {"VpcOriginConfig": {**raw.get("VpcOriginConfig", {}), "VpcOriginId": wanted.vpc_origin_id, **timeouts}}
        case _:
            there = raw.get("S3OriginConfig", {})
            identity = "" if origin.access_control_id else there.get("OriginAccessIdentity", "")  # the two exclude each other
            return {"S3OriginConfig": {**there, "OriginAccessIdentity": identity, "OriginReadTimeout": wanted.read_timeout}}


def _groups(raw: Raw, wanted: Sequence[OriginGroup]) -> Raw:
    there = _named(raw.get("OriginGroups"), "Id")
    return {"OriginGroups": quantity(_group(there.get(group.id, {}), group) for group in wanted)}


def _group(raw: Raw, group: OriginGroup) -> Raw:
    return {
        **raw,
        "Id": group.id,
        "FailoverCriteria": {**raw.get("FailoverCriteria", {}), "StatusCodes": quantity(sorted(group.status_codes))},
        "Members": quantity([{"OriginId": group.primary}, {"OriginId": group.secondary}]),
    }


def _behaviors(raw: Raw, wanted: Sequence[CacheBehavior]) -> Raw:
    there = _named(raw.get("CacheBehaviors"), "PathPattern")
    written = ({**_behavior(there.get(each.path_pattern, {}), each), "PathPattern": each.path_pattern} for each in wanted)
    return {"CacheBehaviors": quantity(written)}


def _behavior(raw: Raw, behavior: CacheBehavior) -> dict[str, Any]:
    policies = {
        "CachePolicyId": behavior.cache_policy_id,
        "OriginRequestPolicyId": behavior.origin_request_policy_id,
        "ResponseHeadersPolicyId": behavior.response_headers_policy_id,
    }
    dropped = {*policies, *(_LEGACY_CACHING if behavior.cache_policy_id else ())}
    groups = sorted(behavior.trusted_key_groups)
    lambdas = ({"LambdaFunctionARN": each.arn, "EventType": each.event, "IncludeBody": each.include_body} for each in behavior.lambdas)
    return {
        **{key: value for key, value in (raw or _NEW_BEHAVIOR).items() if key not in dropped},
        "TargetOriginId": behavior.target_origin,
        "ViewerProtocolPolicy": behavior.viewer_protocol,
        "AllowedMethods": {**quantity(sorted(behavior.allowed_methods)), "CachedMethods": quantity(sorted(behavior.cached_methods))},
        "Compress": behavior.compress,
        "FunctionAssociations": quantity({"FunctionARN": each.arn, "EventType": each.event} for each in behavior.functions),
        "LambdaFunctionAssociations": quantity(lambdas),
        "TrustedKeyGroups": {"Enabled": bool(groups), **quantity(groups)},
        **{key: value for key, value in policies.items() if value},
    }


def _error_pages(raw: Raw, wanted: Sequence[ErrorPage]) -> Raw:
    there = _named(raw.get("CustomErrorResponses"), "ErrorCode")
    return {
        "CustomErrorResponses": quantity(
            {
                **there.get(page.code, {}),
                "ErrorCode": page.code,
                "ResponsePagePath": page.response_path,
                "ResponseCode": str(page.response_code or ""),
                "ErrorCachingMinTTL": page.min_ttl,
            }
            for page in wanted
        )
    }


def _certificate(raw: Raw, wanted: ViewerCertificate) -> Raw:
    there = raw.get("ViewerCertificate", {})
    if _read_certificate(there) == wanted and there:
        return {"ViewerCertificate": there}
    if not wanted.acm_arn:
        return {"ViewerCertificate": {"CloudFrontDefaultCertificate": True}}
    iam = wanted.acm_arn.startswith(_IAM)
    source = {"IAMCertificateId": wanted.acm_arn.removeprefix(_IAM)} if iam else {"ACMCertificateArn": wanted.acm_arn}
    settings = {"SSLSupportMethod": wanted.ssl_support, "MinimumProtocolVersion": wanted.minimum_protocol}
    return {"ViewerCertificate": {"CloudFrontDefaultCertificate": False, **source, **settings}}


def _geo(raw: Raw, wanted: GeoRestriction) -> Raw:
    restriction = {"RestrictionType": wanted.type, **quantity(sorted(wanted.countries))}
    return {"Restrictions": {**raw.get("Restrictions", {}), "GeoRestriction": restriction}}


_SECTIONS: Final[Mapping[str, Callable[[Raw, Any], Raw]]] = {
    "comment": lambda raw, value: {"Comment": value},
    "enabled": lambda raw, value: {"Enabled": value},
    "aliases": lambda raw, value: {"Aliases": quantity(sorted(value))},
    "default_root_object": lambda raw, value: {"DefaultRootObject": value},
    "origins": _origins,
    "origin_groups": _groups,
    "default_behavior": lambda raw, value: {"DefaultCacheBehavior": _behavior(raw.get("DefaultCacheBehavior", {}), value)},
    "behaviors": _behaviors,
    "error_pages": _error_pages,
    "certificate": _certificate,
    "price_class": lambda raw, value: {"PriceClass": value},
    "http_version": lambda raw, value: {"HttpVersion": value},
    "ipv6": lambda raw, value: {"IsIPV6Enabled": value},
    "geo_restriction": _geo,
    "web_acl_id": lambda raw, value: {"WebACLId": value},
}
"""How each managed field of a distribution is written; tags have an API of their own."""

EMPTY: Final[Raw] = {"Comment": "", "Enabled": True}
"""What a new distribution must have even where we leave it to others."""

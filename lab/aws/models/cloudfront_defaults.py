"""What CloudFront fills in where a distribution's configuration is silent, so that what is read is not what was written.

Mirrors the responses shown in the CloudFront API reference (CreateDistribution, GetDistributionConfig): every optional list comes
back with its Quantity, every switch with its value, methods in CloudFront's own order.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

_EMPTY = {"Quantity": 0}
_METHOD_ORDER = ("HEAD", "DELETE", "POST", "GET", "OPTIONS", "PUT", "PATCH")
_DISTRIBUTION = {
    "Aliases": _EMPTY,
    "DefaultRootObject": "",
    "OriginGroups": _EMPTY,
    "CacheBehaviors": _EMPTY,
    "CustomErrorResponses": _EMPTY,
    "Logging": {"Enabled": False, "IncludeCookies": False, "Bucket": "", "Prefix": ""},
    "PriceClass": "PriceClass_All",
    "Restrictions": {"GeoRestriction": {"RestrictionType": "none", "Quantity": 0}},
    "WebACLId": "",
    "HttpVersion": "http2",
    "IsIPV6Enabled": True,
    "ContinuousDeploymentPolicyId": "",
    "Staging": False,
}
_DEFAULT_CERTIFICATE = {
    "CloudFrontDefaultCertificate": True,
    "SSLSupportMethod": "vip",
    "MinimumProtocolVersion": "TLSv1",
    "CertificateSource": "cloudfront",
}
_BEHAVIOR = {
    "TrustedSigners": {"Enabled": False, "Quantity": 0},
    "TrustedKeyGroups": {"Enabled": False, "Quantity": 0},
    "AllowedMethods": {"Quantity": 2, "Items": ["HEAD", "GET"], "CachedMethods": {"Quantity": 2, "Items": ["HEAD", "GET"]}},
    "SmoothStreaming": False,
    "Compress": False,
    "LambdaFunctionAssociations": _EMPTY,
    "FunctionAssociations": _EMPTY,
    "FieldLevelEncryptionId": "",
    "GrpcConfig": {"Enabled": False},
}
_ORIGIN = {
    "OriginPath": "",
    "CustomHeaders": _EMPTY,
    "ConnectionAttempts": 3,
    "ConnectionTimeout": 10,
    "OriginShield": {"Enabled": False},
    "OriginAccessControlId": "",
}
_CUSTOM_ORIGIN = {
    "OriginSslProtocols": {"Quantity": 3, "Items": ["TLSv1", "TLSv1.1", "TLSv1.2"]},
    "OriginReadTimeout": 30,
    "OriginKeepaliveTimeout": 5,
}


def _fill(target: dict[str, Any], defaults: dict[str, Any]) -> None:
    for name, value in defaults.items():
        target.setdefault(name, deepcopy(value))


def _ordered(methods: dict[str, Any]) -> None:
    methods["Items"] = sorted(methods.get("Items", []), key=_METHOD_ORDER.index)


def _fill_behavior(behavior: dict[str, Any]) -> None:
    _fill(behavior, _BEHAVIOR)
    allowed = behavior["AllowedMethods"]
    allowed.setdefault("CachedMethods", {"Quantity": 2, "Items": ["HEAD", "GET"]})
    _ordered(allowed)
    _ordered(allowed["CachedMethods"])


def with_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as CloudFront will show it."""
    full = deepcopy(config)
    _fill(full, _DISTRIBUTION)
    certificate = full.setdefault("ViewerCertificate", deepcopy(_DEFAULT_CERTIFICATE))
    if certificate.get("CloudFrontDefaultCertificate"):
        _fill(certificate, _DEFAULT_CERTIFICATE)
    elif arn := certificate.get("ACMCertificateArn"):
        _fill(certificate, {"CloudFrontDefaultCertificate": False, "Certificate": arn, "CertificateSource": "acm"})
        certificate.setdefault("MinimumProtocolVersion", "TLSv1")
    for behavior in (full["DefaultCacheBehavior"], *full["CacheBehaviors"].get("Items", [])):
        _fill_behavior(behavior)
    for origin in full["Origins"]["Items"]:
        _fill(origin, _ORIGIN)
        if "CustomOriginConfig" in origin:
            _fill(origin["CustomOriginConfig"], _CUSTOM_ORIGIN)
    return full

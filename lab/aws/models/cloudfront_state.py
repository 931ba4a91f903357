"""What the model of CloudFront remembers of a distribution, and what a configuration refers to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lab.aws.models import cloudfront_rules as rules

POLICIES = ("CachePolicy", "OriginRequestPolicy", "ResponseHeadersPolicy")


@dataclass(frozen=True, slots=True)
class Use:
    """Something a distribution refers to: the kind and its id (a function's ARN)."""

    kind: str
    id: str


@dataclass(slots=True)
class Distribution:
    id: str
    account: str
    caller_reference: str
    aliases: frozenset[str]
    uses: frozenset[Use]
    ready_at: float
    etag: str
    modified: str
    summary: bytes
    expires: dict[str, float] = field(default_factory=dict)
    paths: dict[str, list[str]] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:cloudfront::{self.account}:distribution/{self.id}"


def uses_of(config: dict[str, Any]) -> frozenset[Use]:
    found: set[Use] = set()
    for behavior in rules.behaviors_of(config):
        for kind in POLICIES:
            if identifier := behavior.get(f"{kind}Id"):
                found.add(Use(kind, identifier))
        found |= {Use("Function", function["FunctionARN"]) for function in rules.items_of(behavior.get("FunctionAssociations"))}
        found |= {Use("KeyGroup", group) for group in rules.items_of(behavior.get("TrustedKeyGroups"))}
    found |= {Use("OriginAccessControl", origin["OriginAccessControlId"]) for origin in config["Origins"]["Items"] if origin.get("OriginAccessControlId")}
    if arn := config.get("ViewerCertificate", {}).get("ACMCertificateArn"):
        found.add(Use("Certificate", arn))
    return frozenset(found)

"""A distribution as ListDistributions shows it, made from the answer to its create or update.

CloudFront API reference, DistributionSummary. ministack makes every summary anew for every list, 0.3 ms each.
"""

from __future__ import annotations

from xml.etree import ElementTree as ETree

from lab.aws.models.pages import NAMESPACE

_OF_DISTRIBUTION = ("Id", "ARN", "Status", "LastModifiedTime", "DomainName")
_OF_CONFIG = (
    "Aliases", "Origins", "OriginGroups", "DefaultCacheBehavior", "CacheBehaviors", "CustomErrorResponses", "Comment", "PriceClass", "Enabled",
    "ViewerCertificate", "Restrictions", "WebACLId", "HttpVersion", "IsIPV6Enabled", "Staging",
)  # fmt: skip


def summary_of(body: bytes) -> bytes:
    """The DistributionSummary element of a Distribution document."""
    root = ETree.fromstring(body.replace(b' xmlns="' + NAMESPACE.encode() + b'"', b""))
    config = root.find("DistributionConfig")
    assert config is not None
    parts = [root.find(name) for name in _OF_DISTRIBUTION] + [config.find(name) for name in _OF_CONFIG]
    return b"<DistributionSummary>" + b"".join(ETree.tostring(part) for part in parts if part is not None) + b"</DistributionSummary>"

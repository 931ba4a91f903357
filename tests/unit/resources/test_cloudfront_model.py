"""What a change of a distribution costs, and which AWS-managed policy equals a wanted one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from securebase.core.diff import diff
from securebase.core.fields import Impact
from securebase.resources.cloudfront import managed
from securebase.resources.cloudfront.model import (
    CacheBehavior,
    CachePolicy,
    Connection,
    Distribution,
    Origin,
    OriginRequestPolicy,
    ResponseHeadersPolicy,
    SecurityHeader,
    ViewerCertificate,
    only,
)

SITE = CacheBehavior("", "site", "policy", trusted_key_groups=frozenset({"kg"}))
NOW = Distribution(
    aliases=frozenset({"a.example.com", "b.example.com"}),
    origins=(Origin("site", "site.example.com", Connection.custom(), access_control_id="oac"),),
    default_behavior=SITE,
    behaviors=(replace(SITE, path_pattern="/api/*", viewer_protocol="https-only"),),
    certificate=ViewerCertificate.acm("arn"),
    web_acl_id="acl",
    tags={},
)
API = NOW.behaviors[0]
COSTS: dict[str, tuple[Distribution, str, Impact]] = {
    "comment": (replace(NOW, comment="x"), "comment", Impact.ONLINE),
    "switched off": (replace(NOW, enabled=False), "enabled", Impact.DISRUPTIVE),
    "an alias more": (replace(NOW, aliases=NOW.aliases | {"c.example.com"}), "aliases", Impact.ONLINE),
    "an alias less": (replace(NOW, aliases=frozenset({"a.example.com"})), "aliases", Impact.DISRUPTIVE),
    "another origin": (replace(NOW, origins=(replace(NOW.origins[0], domain_name="x"),)), "origins[site].domainName", Impact.DISRUPTIVE),
    "a new origin": (replace(NOW, origins=(*NOW.origins, replace(NOW.origins[0], id="new"))), "origins[new].domainName", Impact.ONLINE),
    "open bucket": (replace(NOW, origins=(replace(NOW.origins[0], access_control_id=""),)), "origins[site].accessControlId", Impact.PROTECTION_LOSS),
    "plain http to the origin": (
        replace(NOW, origins=(replace(NOW.origins[0], connection=Connection.custom("http-only")),)),
        "origins[site].connection.protocol",
        Impact.PROTECTION_LOSS,
    ),
    "weaker TLS": (replace(NOW, certificate=ViewerCertificate.acm("arn", "TLSv1_2016")), "certificate.minimumProtocol", Impact.PROTECTION_LOSS),
    "stronger TLS": (replace(NOW, certificate=ViewerCertificate.acm("arn", "TLSv1.3_2025")), "certificate.minimumProtocol", Impact.ONLINE),
    "another certificate": (replace(NOW, certificate=ViewerCertificate.acm("new")), "certificate.acmArn", Impact.ONLINE),
    "no certificate": (replace(NOW, certificate=ViewerCertificate()), "certificate.acmArn", Impact.DISRUPTIVE),
    "no web ACL": (replace(NOW, web_acl_id=""), "webAclId", Impact.PROTECTION_LOSS),
    "another web ACL": (replace(NOW, web_acl_id="other"), "webAclId", Impact.ONLINE),
    "http for viewers": (
        replace(NOW, behaviors=(replace(API, viewer_protocol="allow-all"),)),
        "behaviors[/api/*].viewerProtocol",
        Impact.PROTECTION_LOSS,
    ),
    "public": (replace(NOW, behaviors=(replace(API, trusted_key_groups=frozenset()),)), "behaviors[/api/*].trustedKeyGroups", Impact.PROTECTION_LOSS),
    "no behavior": (replace(NOW, behaviors=()), "behaviors[/api/*].targetOrigin", Impact.DISRUPTIVE),
}


@pytest.mark.parametrize(("wanted", "path", "impact"), COSTS.values(), ids=COSTS)
def test_cost(wanted: Distribution, path: str, impact: Impact) -> None:
    changes = {change.path: change.impact for change in diff(wanted, NOW, None, b"key")}
    assert changes[path] is impact


def test_another_name_is_another_policy() -> None:
    (change,) = diff(CachePolicy("new", 0, 1, 1), CachePolicy("old", 0, 1, 1), None, b"key")
    assert change.impact is Impact.REPLACE


MANAGED: list[tuple[Any, Any, str | None]] = [
    (managed.managed_cache_policy, CachePolicy("ours", 0, 0, 0, gzip=False, brotli=False, comment="x"), managed.CACHING_DISABLED),
    (managed.managed_cache_policy, CachePolicy("ours", 1, 86_400, 31_536_000), managed.CACHING_OPTIMIZED),
    (managed.managed_cache_policy, CachePolicy("ours", 0, 31_536_000, 31_536_000), None),
    (managed.managed_origin_request_policy, OriginRequestPolicy("ours", only("Host")), "bf0718e1-ba1e-49d1-88b1-f726733018ae"),
    (managed.managed_origin_request_policy, OriginRequestPolicy("ours", only("Host", "Origin")), None),
    (
        managed.managed_response_headers_policy,
        replace(next(iter(managed.RESPONSE_HEADERS_POLICIES.values())), name="ours"),
        "67f7725c-6f97-4210-82d7-5512b31e9d03",
    ),
    (managed.managed_response_headers_policy, ResponseHeadersPolicy("ours", frame_options=SecurityHeader("DENY")), None),
]


@pytest.mark.parametrize(("find", "wanted", "id"), MANAGED)
def test_managed_equivalent(find: Any, wanted: Any, id: str | None) -> None:
    assert find(wanted) == id

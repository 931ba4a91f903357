"""Shared policies, functions and access controls: few whatever the number of distributions, named by content alone."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from securebase.core.graph import Role
from securebase.core.identity import shared_name
from securebase.kinds.cdn.shared import content
from securebase.resources.cloudfront.model import CachePolicy, OriginAccessControl, only
from tests.unit.kinds.composing import composed, manifest, small, spec_of

# "Quotas" in the CloudFront developer guide, a default account's.
QUOTAS = {
    "cloudfront/cache-policy": 20,
    "cloudfront/origin-request-policy": 20,
    "cloudfront/response-headers-policy": 20,
    "cloudfront/function": 100,
    "cloudfront/origin-access-control": 100,
}


def varied(number: int) -> dict[str, Any]:
    """One of thirty distributions as teams write them: every preset, some overrides, three content security policies."""
    api: dict[str, Any] = {"path": "/api/*", "origin": "api", "preset": "api"}
    if number % 3 == 1:
        api["credentials"] = {"headers": ["x-api-key", "x-tenant-token"], "cookies": {"mode": "Include", "names": ["session"]}}
    if number % 5 == 2:
        api["ttl"] = {"defaultSeconds": 60, "maxSeconds": 60}
    if number % 4 == 3:
        api["forward"] = {"headers": ["cloudfront-viewer-country"]}
    policies = ["default-src 'self'", "default-src 'self'; img-src *", "default-src 'self'; connect-src https://api.example.com"]
    return {
        "comment": f"site {number}",
        "defaultRootObject": "index.html" if number % 2 else "app.html",
        "origins": [
            {"id": "site", "s3": {"bucket": f"site-bucket-{number}"}},
            {"id": "api", "custom": {"domainName": f"api-{number}.example.com"}},
        ],
        "behaviors": [
            api,
            {"path": "/live/*", "origin": "api", "preset": "noCache"},
            {"path": "/static/*", "origin": "site", "preset": "static", "compress": number % 7 != 0},
            {"path": "*", "origin": "site", "preset": "html", "spa": True},
        ],
        "responseHeaders": {"contentSecurityPolicy": policies[number % len(policies)]},
    }


def test_thirty_distributions_stay_under_the_quotas_of_an_account() -> None:
    names: dict[str, set[str]] = defaultdict(set)
    for number in range(30):
        for node in composed(spec_of(manifest(varied(number))), name=f"site-{number}"):
            if node.role is Role.SHARED:
                names[node.type].add(node.desired.name)
    assert names.keys() == QUOTAS.keys()
    assert {type_: len(found) for type_, found in names.items() if len(found) > QUOTAS[type_]} == {}


def test_two_objects_of_one_instance_share_and_two_instances_do_not() -> None:
    def names(**where: str) -> set[str]:
        return {node.desired.name for node in composed(small(), **where) if node.role is Role.SHARED}

    assert names(name="one") == names(name="two", namespace="elsewhere")
    assert not names(instance="one") & names(instance="two")


def test_a_changed_ttl_is_another_node_and_no_replacement_of_the_old_one() -> None:
    def policies(seconds: int) -> set[str]:
        behavior = {"path": "*", "origin": "web", "preset": "html", "ttl": {"defaultSeconds": seconds}}
        return {node.id for node in composed(small(behaviors=[behavior])) if node.type == "cloudfront/cache-policy"}

    assert len(policies(60)) == len(policies(61)) == 1
    assert not policies(60) & policies(61)


def test_content_names_neither_name_nor_comment_and_tells_types_apart() -> None:
    one, other = CachePolicy("a", 0, 1, 2, comment="x"), CachePolicy("b", 0, 1, 2, comment="y")
    assert content("t", one) == content("t", other)
    assert content("t", one) != content("u", one)
    assert content("t", one) != content("t", CachePolicy("a", 0, 1, 2, headers=only("Origin")))


def test_names_stay_the_same_from_release_to_release() -> None:
    """A changed name would make every distribution's policies anew: a change of these lines is a decision, never an accident."""
    assert shared_name("i", content("cloudfront/cache-policy", CachePolicy("", 0, 300, 300))) == "sb-de7d1b72-c21d0210f30ba994"
    assert shared_name("i", content("cloudfront/origin-access-control", OriginAccessControl(""))) == "sb-de7d1b72-8d612aae9655690c"


def test_awss_own_policies_make_no_node() -> None:
    behavior = {
        "path": "*",
        "origin": "web",
        "preset": "static",
        "ttl": {"minSeconds": 1, "defaultSeconds": 86_400},
        "forward": {"headers": ["referer", "user-agent"]},
    }
    graph = composed(small(behaviors=[behavior]))
    made = graph.nodes["distribution"].desired.default_behavior
    assert made.cache_policy_id == "658327ea-f89d-4fab-a63d-7e88639e58f6"  # Managed-CachingOptimized
    assert made.origin_request_policy_id == "acba4595-bd28-49b8-b9fe-13317c0390fa"  # Managed-UserAgentRefererHeaders
    assert not [node for node in graph if node.type in ("cloudfront/cache-policy", "cloudfront/origin-request-policy")]

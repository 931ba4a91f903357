"""The distribution itself, put together from its parts."""

from __future__ import annotations

from typing import Final

from securebase.api.cdn import CdnDistributionSpec
from securebase.api.cdn.delivery import ErrorPage as ErrorPageSpec
from securebase.core.graph import Node
from securebase.core.kind import Context, Facts
from securebase.kinds.cdn.behaviors import default_behavior, path_behaviors
from securebase.kinds.cdn.names import viewer_certificate
from securebase.kinds.cdn.origins import origin_groups, origins
from securebase.kinds.cdn.shared import HOME, SharedNodes
from securebase.resources.cloudfront.model import Distribution, ErrorPage, GeoRestriction

DISTRIBUTION: Final = "distribution"

_LONGEST_COMMENT = 128


def distribution_node(spec: CdnDistributionSpec, facts: Facts, context: Context, shared: SharedNodes) -> Node:
    """The node that everything else serves or watches. What it shares with others is added to `shared`."""
    identity = context.identity
    desired = Distribution(
        comment=spec.comment if spec.comment is not None else f"{identity.namespace}/{identity.name}"[:_LONGEST_COMMENT],
        enabled=spec.enabled,
        aliases=frozenset(spec.aliases),
        default_root_object=spec.default_root_object or "",
        origins=origins(spec, facts, identity.namespace, shared),
        origin_groups=origin_groups(spec),
        default_behavior=default_behavior(spec, shared),
        behaviors=path_behaviors(spec, shared),
        error_pages=tuple(_error_page(page) for page in sorted(spec.error_pages, key=lambda page: page.code)),
        certificate=viewer_certificate(spec),
        price_class=spec.price_class,
        http_version=spec.http_version,
        ipv6=spec.ipv6,
        geo_restriction=_geo_restriction(spec),
        web_acl_id=spec.web_acl_arn or "",
        tags=context.tags,
    )
    return Node(DISTRIBUTION, "cloudfront/distribution", desired, HOME, guards=True)


def _error_page(page: ErrorPageSpec) -> ErrorPage:
    return ErrorPage(page.code, page.path, page.response_code or page.code, page.min_ttl_seconds)


def _geo_restriction(spec: CdnDistributionSpec) -> GeoRestriction:
    if spec.geo_restriction is None:
        return GeoRestriction()
    kind = "whitelist" if spec.geo_restriction.type == "Allow" else "blacklist"
    return GeoRestriction(kind, frozenset(spec.geo_restriction.countries))

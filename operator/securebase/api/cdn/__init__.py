"""CdnDistribution: a CloudFront distribution with everything around it, as one object."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import MaxLen
from pydantic import Field, StringConstraints

from securebase.api.base import Atomic, ListMap, ListSet, Matches, Rules
from securebase.api.cdn import distribution_rules
from securebase.api.cdn.alarms import Alarms
from securebase.api.cdn.behaviors import Behavior, Behaviors
from securebase.api.cdn.delivery import Certificate, Dns, ErrorPage, GeoRestriction, Logging, ResponseHeaders
from securebase.api.cdn.origins import Origin, OriginGroup, OriginGroups, Origins
from securebase.api.meta import KubernetesObject, ResourceSpec
from securebase.api.scalars import DnsName
from securebase.api.status import ResourceStatusBlock, StatusModel

__all__ = ["Behavior", "CdnDistribution", "CdnDistributionSpec", "CdnDistributionStatus", "Origin", "OriginGroup"]

WebAclArn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(
        r"^arn:aws[a-z-]*:wafv2:us-east-1:[0-9]{12}:global/webacl/[^/]+/[0-9a-f-]+$",
        "webAclArn must be that of a WAFv2 web ACL of scope CLOUDFRONT, which lives in us-east-1: arn:aws:wafv2:us-east-1:...:global/webacl/...",
    ),
]


class CdnDistributionSpec(ResourceSpec):
    """What the distribution shall be."""

    comment: Annotated[str, StringConstraints(max_length=128)] | None = None
    """Shown in the console; namespace and name if omitted."""
    enabled: bool = True
    """Whether viewers are served."""
    aliases: Annotated[tuple[DnsName, ...], MaxLen(100), ListSet()] = ()
    """Names that viewers use, besides CloudFront's own."""
    certificate: Certificate | None = None
    """Certificate of the aliases."""
    dns: Dns | None = None
    """Route 53 zone of the aliases."""
    default_root_object: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=255),
            Matches(r"^[^/ ]", "defaultRootObject is a file's name without a leading slash: index.html"),
        ]
        | None
    ) = None
    """What / means, like index.html."""
    price_class: Literal["PriceClass_100", "PriceClass_200", "PriceClass_All"] = "PriceClass_All"
    """Which edge locations serve: 100 North America, Europe and Israel; 200 also most of Asia and Africa; All."""
    http_version: Literal["http1.1", "http2", "http3", "http2and3"] = "http2and3"
    """Newest HTTP that viewers may speak."""
    ipv6: bool = True
    """Whether viewers may come by IPv6."""
    geo_restriction: GeoRestriction | None = None
    """Countries that are let in, or kept out."""
    web_acl_arn: WebAclArn | None = None
    """Web ACL that looks at every request."""
    logging: Logging | None = None
    """Where the log of every request goes."""
    origins: Origins
    """Where content comes from."""
    origin_groups: OriginGroups = ()
    """Pairs of origins for failover."""
    behaviors: Behaviors
    """What happens to the requests of each path, in order of precedence."""
    error_pages: Annotated[tuple[ErrorPage, ...], MaxLen(11), ListMap("code")] = ()
    """Pages instead of the origin's errors, on every path."""
    response_headers: ResponseHeaders = Field(default_factory=ResponseHeaders)
    """Security headers of every answer."""
    alarms: Alarms = Field(default_factory=Alarms)
    """Alarms on error rates, origin latency and cache hit rate."""

    rules: ClassVar[Rules] = distribution_rules.RULES

    @property
    def default_behavior(self) -> Behavior:
        return next(behavior for behavior in self.behaviors if behavior.is_default)

    @property
    def path_behaviors(self) -> tuple[Behavior, ...]:
        """The behaviors besides the default, in order of precedence."""
        return tuple(behavior for behavior in self.behaviors if not behavior.is_default)

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """Names of the certificate to be requested; empty where none is."""
        if self.certificate is None or self.certificate.request is None:
            return ()
        return self.certificate.request.domain_names or self.aliases


class Invalidation(StatusModel):
    """The last invalidation that was asked for with the annotation securebase.io/invalidate."""

    token: str | None = None
    id: str | None = None
    status: str | None = None
    paths: Annotated[tuple[str, ...], Atomic()] = ()
    message: str | None = None


class CdnDistributionStatus(ResourceStatusBlock):
    """How the distribution stands."""

    invalidation: Invalidation | None = None


class CdnDistribution(KubernetesObject):
    """A CloudFront distribution with its policies, certificate, DNS records, logs and alarms."""

    kind: Literal["CdnDistribution"] = "CdnDistribution"
    spec: CdnDistributionSpec
    status: CdnDistributionStatus | None = None

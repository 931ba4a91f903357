"""The kind CdnDistribution: from a spec to everything a distribution needs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from securebase.api.cdn import CdnDistribution, CdnDistributionSpec
from securebase.core.graph import Graph
from securebase.core.kind import Context, Facts, Needs, PolicyDefaults
from securebase.core.outputs import Promised
from securebase.kinds.cdn.distribution import DISTRIBUTION, distribution_node
from securebase.kinds.cdn.invalidation import INVALIDATION, invalidation_node
from securebase.kinds.cdn.names import certificate_id, name_nodes
from securebase.kinds.cdn.origins import bucket_nodes, header_secrets
from securebase.kinds.cdn.shared import HOME, SharedNodes
from securebase.kinds.cdn.watching import alarm_nodes, alarm_outputs, alarm_thresholds, log_nodes


class CdnDistributionKind:
    """Satisfies `core.kind.Kind`."""

    kind = "CdnDistribution"
    plural = "cdndistributions"
    model = CdnDistribution
    tasks: Mapping[str, str] = MappingProxyType({"invalidate": INVALIDATION})

    types = frozenset(
        {
            "acm/certificate",
            "acm/given-certificate",
            "route53/validation-record",
            "cloudfront/cache-policy",
            "cloudfront/distribution",
            "cloudfront/function",
            "cloudfront/invalidation",
            "cloudfront/monitoring-subscription",
            "cloudfront/origin-access-control",
            "cloudfront/origin-request-policy",
            "cloudfront/response-headers-policy",
            "cloudwatch/alarm",
            "logs/delivery",
            "logs/delivery-destination",
            "logs/delivery-source",
            "route53/record",
            "route53/zone",
            "s3/bucket",
            "s3/policy-statement",
            "sns/topic",
        }
    )

    def publishes(self, spec: CdnDistributionSpec, name: str) -> frozenset[str]:
        """None: what it tells is no secret."""
        return frozenset()

    def defaults(self, spec: CdnDistributionSpec) -> PolicyDefaults:
        """A distribution holds no data: it goes with its object."""
        return PolicyDefaults()

    def needs(self, spec: CdnDistributionSpec, namespace: str) -> Needs:
        """The Secrets behind the origins' headers."""
        return Needs(secrets=header_secrets(spec, namespace))

    def compose(self, spec: CdnDistributionSpec, facts: Facts, context: Context) -> Graph:
        """All resources of one distribution."""
        shared = SharedNodes(context.identity.instance)
        distribution = distribution_node(spec, facts, context, shared)
        return Graph(
            [
                *shared,
                *bucket_nodes(spec, context),
                *name_nodes(spec, context),
                distribution,
                *alarm_nodes(spec, context),
                *log_nodes(spec, context),
                *invalidation_node(context),
            ]
        )

    def outputs(self, spec: CdnDistributionSpec, attributes: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
        """What is known so far: id, arn, region, domainName, hostedZoneId, url, certificateArn, certificateState, alarmNames,
        criticalAlarmNames, alarmsTell, alarmThresholds."""
        distribution = attributes.get(DISTRIBUTION, {})
        certificate = attributes.get(certificate_id(spec), {})
        known = {name: distribution.get(name, "") for name in ("id", "arn", "domainName", "hostedZoneId")}
        known |= {
            "url": _url(spec, known["domainName"]),
            "certificateArn": certificate.get("arn") or certificate.get("requestedArn", ""),
            "certificateState": certificate.get("status", ""),
            "region": HOME if known["id"] else "",
            "alarmThresholds": alarm_thresholds(spec) if known["id"] else "",
            **alarm_outputs(spec, attributes),
        }
        return {name: value for name, value in known.items() if value or isinstance(value, Promised)}


def _url(spec: CdnDistributionSpec, domain: str) -> str:
    """By the first alias that is one host, else by CloudFront's own name."""
    host = next((alias for alias in spec.aliases if not alias.startswith("*.")), domain)
    return f"https://{host}" if domain else ""

"""A distribution's own names: the certificate that covers them, its validation, and the alias records."""

from __future__ import annotations

from collections.abc import Iterator

from securebase.api.cdn import CdnDistributionSpec
from securebase.core.graph import Node, Ref, Role
from securebase.core.identity import digest
from securebase.core.kind import Context
from securebase.kinds.cdn.shared import HOME
from securebase.resources.acm.model import Certificate, GivenCertificate, validated_domains, validation_attribute
from securebase.resources.cloudfront.model import ViewerCertificate
from securebase.resources.route53.model import AliasTarget, Record, ValidationRecord, Zone

# A node's id stands in status, which keeps 253 characters of it; a DNS name alone may have as many.
_LONGEST_IN_ID = 220


def certificate_id(spec: CdnDistributionSpec) -> str:
    """Node of the certificate; "" where the distribution has CloudFront's own.

    A requested one is named by its names: other names are another certificate, attached before the old one goes.
    """
    if spec.certificate is None:
        return ""
    return f"certificate-{digest(*sorted(spec.certificate_names))}" if spec.certificate.request is not None else "certificate"


def viewer_certificate(spec: CdnDistributionSpec) -> ViewerCertificate:
    """TLS towards viewers. Its ARN is known only when the certificate is issued: until then the distribution waits."""
    if spec.certificate is None:
        return ViewerCertificate()
    return ViewerCertificate.acm(Ref(certificate_id(spec), "arn"), spec.certificate.minimum_protocol_version)


def name_nodes(spec: CdnDistributionSpec, context: Context) -> Iterator[Node]:
    """Certificate, zone, validation and alias records."""
    yield from _certificate(spec, context)
    if spec.dns is None or not (spec.certificate_names or _records(spec)):
        return
    yield Node("zone", "route53/zone", Zone(spec.dns.zone_id or "", spec.dns.zone_name or ""), HOME, Role.EXTERNAL)
    for domain in validated_domains(spec.certificate_names):
        yield _validation(domain, certificate_id(spec))
    for alias in _records(spec):
        yield _alias_record(alias, "A")
        if spec.ipv6:
            yield _alias_record(alias, "AAAA")


def _records(spec: CdnDistributionSpec) -> tuple[str, ...]:
    return tuple(sorted(spec.aliases)) if spec.dns is not None and spec.dns.records else ()


def _certificate(spec: CdnDistributionSpec, context: Context) -> Iterator[Node]:
    name, names = certificate_id(spec), spec.certificate_names
    if names:
        # The first name becomes the common name, which X.520 limits to 64 characters: the shortest one.
        first = min(names, key=lambda name: (len(name), name))
        yield Node(name, "acm/certificate", Certificate(first, frozenset(names), context.tags), HOME)
    elif spec.certificate is not None and spec.certificate.arn is not None:
        yield Node(name, "acm/given-certificate", GivenCertificate(spec.certificate.arn, frozenset(spec.aliases)), HOME, Role.EXTERNAL)


def _validation(domain: str, certificate: str) -> Node:
    record = ValidationRecord(
        zone_id=Ref("zone", "id"),
        name=Ref(certificate, validation_attribute("Name", domain)),
        value=Ref(certificate, validation_attribute("Value", domain)),
    )
    return Node(f"validation-{_short(domain)}", "route53/validation-record", record, HOME)


def _alias_record(alias: str, type_: str) -> Node:
    target = AliasTarget(Ref("distribution", "domainName"), Ref("distribution", "hostedZoneId"))
    record = Record(Ref("zone", "id"), alias, type_, target)
    return Node(f"record-{_short(alias)}-{type_.lower()}", "route53/record", record, HOME, after=frozenset({"distribution"}), guards=True)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_IN_ID else f"{name[: _LONGEST_IN_ID - 11]}-{digest(name)}"

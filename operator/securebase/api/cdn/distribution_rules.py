"""The rules between the parts of a distribution: names that must exist, aliases and their certificate, error pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from securebase.api.base import Rule
from securebase.api.cel import count, every, given, some

if TYPE_CHECKING:
    from securebase.api.cdn import CdnDistributionSpec

_GROUPS = "self.originGroups"
_ALIASES = "self.aliases"
_REQUESTED = "self.certificate.request.domainNames"
_HAS_REQUEST = f"({given('self.certificate.request')})"
_COVERS = "n == a || (n.startsWith('*.') && a.contains('.') && a.substring(a.indexOf('.')) == n.substring(1))"
_IN_ZONE = "n == self.dns.zoneName || n.endsWith('.' + self.dns.zoneName)"
_SENDS_HOST = " || ".join(some(f"b.{part}.headers", "h", "h.lowerAscii() == 'host'") for part in ("cacheKey", "forward", "credentials"))


def covers(pattern: str, name: str) -> bool:
    """Whether a certificate's name covers a host: itself, or one label in place of the star (RFC 6125, 6.4.3)."""
    return pattern == name or (pattern.startswith("*.") and name.partition(".")[2] == pattern[2:])


def _within(name: str, zone: str) -> bool:
    return name == zone or name.endswith(f".{zone}")


def _one_default(spec: CdnDistributionSpec) -> bool:
    return sum(behavior.is_default for behavior in spec.behaviors) == 1


def _origins_exist(spec: CdnDistributionSpec) -> bool:
    known = {origin.id for origin in spec.origins} | {group.id for group in spec.origin_groups}
    return all(behavior.origin in known for behavior in spec.behaviors)


def _members_exist(spec: CdnDistributionSpec) -> bool:
    known = {origin.id for origin in spec.origins}
    return all({group.primary, group.secondary} <= known for group in spec.origin_groups)


def _ids_differ(spec: CdnDistributionSpec) -> bool:
    return not {origin.id for origin in spec.origins} & {group.id for group in spec.origin_groups}


def _groups_only_read(spec: CdnDistributionSpec) -> bool:
    groups = {group.id for group in spec.origin_groups}
    return not any(behavior.origin in groups and behavior.effective_methods == "All" for behavior in spec.behaviors)


def _paths_differ(spec: CdnDistributionSpec) -> bool:
    paths = [behavior.path for behavior in spec.behaviors]
    return len(set(paths)) == len(paths)


def _aliases_are_certified(spec: CdnDistributionSpec) -> bool:
    return not spec.aliases or spec.certificate is not None


def _request_has_zone(spec: CdnDistributionSpec) -> bool:
    return spec.certificate is None or spec.certificate.request is None or spec.dns is not None


def _request_has_names(spec: CdnDistributionSpec) -> bool:
    request = spec.certificate.request if spec.certificate else None
    return request is None or bool(spec.aliases) or bool(request.domain_names)


def _aliases_are_covered(spec: CdnDistributionSpec) -> bool:
    names = spec.certificate.request.domain_names if spec.certificate and spec.certificate.request else None
    return not names or all(any(covers(name, alias) for name in names) for alias in spec.aliases)


def _zone_holds_names(spec: CdnDistributionSpec) -> bool:
    zone = spec.dns.zone_name if spec.dns else None
    return zone is None or all(_within(name, zone) for name in (*spec.aliases, *spec.certificate_names))


def _errors_stay_apart(spec: CdnDistributionSpec) -> bool:
    answers_api = any(behavior.preset in ("api", "noCache") for behavior in spec.behaviors)
    return not answers_api or all(page.code >= 500 for page in spec.error_pages)


def _host_is_not_sent_to_buckets(spec: CdnDistributionSpec) -> bool:
    buckets = {origin.id for origin in spec.origins if origin.s3}
    buckets |= {group.id for group in spec.origin_groups if {group.primary, group.secondary} & buckets}
    sent = (
        name.lower()
        for behavior in spec.behaviors
        if behavior.origin in buckets
        for name in (*behavior.key_headers, *(behavior.forward.headers if behavior.forward else ()))
    )
    return "host" not in sent


RULES = (
    Rule(
        cel="!has(self.policy) || !has(self.policy.onDelete) || self.policy.onDelete != 'Snapshot'",
        holds=lambda spec: spec.policy.on_delete != "Snapshot",
        message="policy.onDelete: Snapshot is for kinds that hold data, a distribution has none to keep; use Delete or Retain",
        field=".policy.onDelete",
    ),
    Rule(
        cel="self.behaviors.filter(b, b.path == '*').size() == 1",
        holds=_one_default,
        message="behaviors needs exactly one default behavior; give one of them path '*' and the others a narrower path",
        field=".behaviors",
    ),
    Rule(
        cel="self.behaviors.all(b, self.behaviors.exists_one(other, other.path == b.path))",
        holds=_paths_differ,
        message="behaviors has two entries of the same path, and the second would never match; merge them or change a path",
        field=".behaviors",
    ),
    Rule(
        cel=f"self.behaviors.all(b, self.origins.exists(o, o.id == b.origin) || {some(_GROUPS, 'g', 'g.id == b.origin')})",
        holds=_origins_exist,
        message="behaviors names an origin that does not exist; set behaviors[].origin to the id of one of origins or originGroups",
        field=".behaviors",
    ),
    Rule(
        cel=every(_GROUPS, "g", "self.origins.exists(o, o.id == g.primary) && self.origins.exists(o, o.id == g.secondary)"),
        holds=_members_exist,
        message="originGroups names an origin that does not exist; set primary and secondary to ids of origins",
        field=".originGroups",
    ),
    Rule(
        cel=every(_GROUPS, "g", "!self.origins.exists(o, o.id == g.id)"),
        holds=_ids_differ,
        message="originGroups has an id that an origin has too; give the group another id",
        field=".originGroups",
    ),
    Rule(
        cel=f"""!self.behaviors.exists(b, (has(b.allowedMethods) ? b.allowedMethods == 'All' : has(b.preset) && b.preset in ['api', 'noCache'])
            && {some(_GROUPS, "g", "g.id == b.origin")})""",
        holds=_groups_only_read,
        message="behaviors sends writes to an origin group, and CloudFront fails over only reads; set allowedMethods: Read or ReadWithOptions "
        "(api and noCache default to All), or name an origin",
        field=".behaviors",
    ),
    Rule(
        cel=f"{count(_ALIASES)} == 0 || has(self.certificate)",
        holds=_aliases_are_certified,
        message="aliases need a certificate that covers them; add certificate.arn, or certificate.request: {} with dns",
        field=".certificate",
    ),
    Rule(
        cel=f"!{_HAS_REQUEST} || has(self.dns)",
        holds=_request_has_zone,
        message="certificate.request is validated through a DNS record; add dns.zoneName or dns.zoneId",
        field=".dns",
    ),
    Rule(
        cel=f"!{_HAS_REQUEST} || {count(_ALIASES)} > 0 || {count(_REQUESTED)} > 0",
        holds=_request_has_names,
        message="certificate.request has no name to be made for; add aliases or certificate.request.domainNames",
        field=".certificate",
    ),
    Rule(
        cel=f"!({given(_REQUESTED)}) || {every(_ALIASES, 'a', f'{_REQUESTED}.exists(n, {_COVERS})')}",
        holds=_aliases_are_covered,
        message="certificate.request.domainNames leaves out an alias; add it, or remove domainNames to take the aliases",
        field=".certificate",
    ),
    Rule(
        cel=f"!({given('self.dns.zoneName')}) || ({every(_ALIASES, 'n', _IN_ZONE)} && {every(_REQUESTED, 'n', _IN_ZONE)})",
        holds=_zone_holds_names,
        message="dns.zoneName does not hold every alias and requested name; name the zone they all lie in",
        field=".dns",
    ),
    Rule(
        cel=f"{every('self.errorPages', 'p', 'p.code >= 500')} || !self.behaviors.exists(b, has(b.preset) && b.preset in ['api', 'noCache'])",
        holds=_errors_stay_apart,
        message="errorPages hold for the whole distribution and would replace the API's own 4xx answers; keep to 5xx codes, "
        "and for client-side routing set spa: true on the behavior",
        field=".errorPages",
    ),
    Rule(
        cel=f"""!self.behaviors.exists(b, ({_SENDS_HOST}) && self.origins.exists(o, has(o.s3)
            && (o.id == b.origin || {some(_GROUPS, "g", "g.id == b.origin && (g.primary == o.id || g.secondary == o.id)")})))""",
        holds=_host_is_not_sent_to_buckets,
        message="behaviors sends the viewer's Host to a bucket, which then refuses the signature of origin access control; remove host",
        field=".behaviors",
    ),
)

"""A distribution's own names: the certificate it requests, the records it keeps in a zone, and what waits before they go."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.harness import INSTANCE, OWNER_TAG, Manifest, Tenant, conditions, until
from tests.e2e.test_e2e_gates import plan

CLOUDFRONT_ZONE = "Z2FDTNDATAQYW2"
"""The hosted zone of every distribution (Route 53 API reference, AliasTarget)."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone of the tenant's account, with records of somebody else's in it."""

    tenant: Tenant
    name: str
    id: str

    def records(self) -> dict[tuple[str, str], Manifest]:
        """Record sets by (name without the zone's, type); the zone's own NS and SOA left out."""
        listed = self.tenant.aws("route53").list_resource_record_sets(HostedZoneId=self.id)["ResourceRecordSets"]
        return {(self._short(one["Name"]), one["Type"]): one for one in listed if one["Type"] not in ("NS", "SOA")}

    def _short(self, name: str) -> str:
        return name.rstrip(".").removesuffix(self.name).rstrip(".")

    def put(self, name: str, type_: str, value: str) -> None:
        """What somebody else does."""
        record = {"Name": f"{name}.{self.name}", "Type": type_, "TTL": 60, "ResourceRecords": [{"Value": value}]}
        batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}
        self.tenant.aws("route53").change_resource_record_sets(HostedZoneId=self.id, ChangeBatch=batch)

    def aliases(self) -> dict[tuple[str, str], str]:
        """Where alias records lead to."""
        return {key: one["AliasTarget"]["DNSName"].rstrip(".") for key, one in self.records().items() if "AliasTarget" in one}

    def site(self, *names: str, **spec: Any) -> Manifest:
        """A distribution under these names, with a certificate for them and records in the zone."""
        dns = {"zoneName": self.name, **spec.pop("dns", {})}
        return self.tenant.cdn(aliases=[f"{name}.{self.name}" for name in names], certificate={"request": {}}, dns=dns, **spec)


@pytest.fixture
def zone(tenant: Tenant) -> Zone:
    name = f"{tenant.namespace}.example.com"
    made = tenant.aws("route53").create_hosted_zone(Name=name, CallerReference=name)["HostedZone"]["Id"]
    zone = Zone(tenant, name, made.rpartition("/")[2])
    zone.put("mail", "A", "192.0.2.1")
    zone.put("www", "TXT", '"somebody else\'s, beside ours"')
    return zone


OTHERS = {("mail", "A"), ("www", "TXT")}


def certificates(tenant: Tenant) -> dict[str, list[str]]:
    """Names covered, by ARN."""
    acm = tenant.aws("acm")
    found = [one["CertificateArn"] for one in acm.list_certificates()["CertificateSummaryList"]]
    described = {}
    for arn in found:
        with suppress(acm.exceptions.ResourceNotFoundException):  # it went since it was listed
            described[arn] = sorted(acm.describe_certificate(CertificateArn=arn)["Certificate"]["SubjectAlternativeNames"])
    return described


def attached(tenant: Tenant) -> str:
    """ARN of the certificate that viewers see."""
    [one] = tenant.distributions()
    return str(tenant.config(one["Id"])["ViewerCertificate"].get("ACMCertificateArn", ""))


def validations(zone: Zone) -> dict[str, str]:
    """The CNAMEs that prove domains: the domain's own label, and where it leads to."""
    return {name.partition(".")[2]: one["ResourceRecords"][0]["Value"] for (name, type_), one in zone.records().items() if type_ == "CNAME"}


def test_a_certificate_is_requested_proven_and_attached_before_the_names_lead_there(tenant: Tenant, zone: Zone) -> None:
    tenant.apply(zone.site("www"))
    outputs = tenant.ready(deadline=60)["status"]["outputs"]
    [(arn, names)] = certificates(tenant).items()
    assert arn.split(":")[3:5] == ["us-east-1", tenant.account]
    assert names == [f"www.{zone.name}"]
    tags = tenant.aws("acm").list_tags_for_certificate(CertificateArn=arn)["Tags"]
    owner = f"{INSTANCE}/CdnDistribution/{tenant.namespace}/site/"
    assert [tag["Value"].startswith(owner) for tag in tags if tag["Key"] == OWNER_TAG] == [True]
    assert (attached(tenant), outputs["certificateArn"], outputs["certificateState"]) == (arn, arn, "ISSUED")
    assert outputs["url"] == f"https://www.{zone.name}"
    assert list(validations(zone)) == ["www"] and validations(zone)["www"].rstrip(".").endswith("acm-validations.aws")
    assert zone.aliases() == {("www", "A"): outputs["domainName"], ("www", "AAAA"): outputs["domainName"]}
    assert {one["AliasTarget"]["HostedZoneId"] for one in zone.records().values() if "AliasTarget" in one} == {CLOUDFRONT_ZONE}
    done = tenant.writes()
    order = [done.index(name) for name in ("RequestCertificate", "ChangeResourceRecordSets", "CreateDistributionWithTags")]
    assert order == sorted(order), "no distribution before its certificate is issued"
    assert "ChangeResourceRecordSets" in done[order[-1] :], "no name leads to a distribution that is not there"


def test_another_name_is_another_certificate_and_the_old_one_goes(tenant: Tenant, zone: Zone) -> None:
    tenant.apply(zone.site("www"))
    id = tenant.ready(deadline=60)["status"]["outputs"]["id"]
    old = attached(tenant)
    tenant.apply(zone.site("shop"))
    tenant.says("Synced", "False", "ApprovalRequired", deadline=60)
    until(lambda: old not in certificates(tenant), "the old certificate to go", 60, tenant.operator)
    [(new, names)] = certificates(tenant).items()
    assert names == [f"shop.{zone.name}"]
    assert attached(tenant) == new
    assert tenant.config(id)["Aliases"]["Items"] == names
    done = tenant.writes()
    assert done.index("UpdateDistribution") < done.index("DeleteCertificate"), "the new one is attached before the old one goes"
    assert set(zone.aliases()) == {(name, type_) for name in ("www", "shop") for type_ in ("A", "AAAA")}, "the old name guards traffic"
    tenant.annotate("site", approve=until(lambda: _held(tenant), "nothing else to be under way", operator=tenant.operator)["status"]["plan"]["hash"])
    tenant.ready(deadline=60)
    assert set(zone.aliases()) == {("shop", "A"), ("shop", "AAAA")}
    assert list(validations(zone)) == ["shop"]
    assert zone.records().keys() >= OTHERS


def test_deletion_takes_our_records_and_leaves_the_others(tenant: Tenant, zone: Zone) -> None:
    before = {key: one["ResourceRecords"] for key, one in zone.records().items()}
    tenant.apply(zone.site("www"))
    tenant.ready(deadline=60)
    tenant.delete("site")
    tenant.gone("site", deadline=60)
    assert {key: one["ResourceRecords"] for key, one in zone.records().items()} == before
    assert certificates(tenant) == {}
    assert tenant.distributions() == []


def test_a_name_that_is_somebody_elses_is_not_taken(tenant: Tenant, zone: Zone) -> None:
    zone.put("shop", "A", "192.0.2.7")
    tenant.apply(zone.site("www", "shop"))
    told = tenant.says("Stalled", "True", "NotOwned", deadline=60)
    assert f"record-shop.{zone.name}-a" in told
    until(lambda: ("www", "A") in zone.aliases(), "the names that are free", operator=tenant.operator)
    assert zone.records()["shop", "A"]["ResourceRecords"] == [{"Value": "192.0.2.7"}]
    tenant.delete("site")
    tenant.gone("site", deadline=60)
    assert zone.records().keys() == OTHERS | {("shop", "A")}


def test_records_that_lead_traffic_go_only_after_approval(tenant: Tenant, zone: Zone) -> None:
    """The plan that was printed before the merge, without a cluster to ask, names the hash that the operator waits for."""
    tenant.apply(zone.site("www", comment="before"))
    tenant.ready(deadline=60)
    kept = zone.aliases()
    without = zone.site("www", comment="after", dns={"records": False})
    planned = plan(tenant, without)
    assert planned["impact"] == "PROTECTION_LOSS"
    removed = {step["resource"]: step["changes"][0].get("gate") for step in planned["steps"] if step["action"] == "DELETE"}
    assert removed == {f"record-www.{zone.name}-{type_}": "APPROVAL" for type_ in ("a", "aaaa")}

    tenant.apply(without)
    told = tenant.says("Synced", "False", "ApprovalRequired", deadline=60)
    assert f"removal of record-www.{zone.name}-a" in told and f"securebase.io/approve={planned['hash']}" in told
    until(lambda: tenant.config(tenant.id())["Comment"] == "after", "what needs no approval to happen", operator=tenant.operator)
    held = until(lambda: _held(tenant), "nothing else to be under way", operator=tenant.operator)
    status = held["status"]["plan"]
    assert (status["hash"], status["impact"]) == (planned["hash"], "PROTECTION_LOSS")
    assert {change["resource"] for change in status["changes"]} == removed.keys()
    assert zone.aliases() == kept

    tenant.annotate("site", approve=planned["hash"])
    body = tenant.ready(deadline=60)
    assert zone.aliases() == {}
    assert zone.records().keys() >= OTHERS
    assert not any(name.startswith("_sb-owner") for name, _ in zone.records()), "who owned them is forgotten too"
    assert "plan" not in body["status"]
    assert tenant.events(reason="Removed")


def _held(tenant: Tenant) -> Manifest | None:
    """Ready as far as it may be, and waiting for a person."""
    body = tenant.get()
    said = conditions(body)
    return body if said["Ready"][0] == "True" and said["Synced"][:2] == ("False", "ApprovalRequired") else None


def test_another_hash_removes_nothing(tenant: Tenant, zone: Zone) -> None:
    tenant.apply(zone.site("www"))
    tenant.ready(deadline=60)
    tenant.apply(zone.site("www", dns={"records": False}))
    tenant.says("Synced", "False", "ApprovalRequired", deadline=60)
    until(lambda: _held(tenant), "nothing else to be under way", operator=tenant.operator)
    at = tenant.mark()
    tenant.annotate("site", approve="0123456789abcdef", refresh="look")
    until(lambda: tenant.get()["status"].get("acknowledged", {}).get("refresh") == "look", "a pass", operator=tenant.operator)
    assert tenant.writes(at) == []
    assert len(zone.aliases()) == 2

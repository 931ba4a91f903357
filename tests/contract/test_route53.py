"""Zones of others, our records in them with proof of ownership, and the records that validate certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from lab.aws.models.account import Account
from lab.aws.models.acm import Acm
from securebase.core.driver import Depth, Observed, Target
from securebase.core.errors import Denied, ReferenceNotFound, Terminal, Transient
from securebase.core.graph import Ref, Role
from securebase.core.identity import Identity
from securebase.resources.acm.driver import CertificateDriver
from securebase.resources.acm.model import Certificate
from securebase.resources.route53.driver import RecordDriver, ZoneDriver
from securebase.resources.route53.model import AliasTarget, Record, ValidationRecord, Zone
from securebase.resources.route53.validation import PATIENCE_SECONDS, ValidationRecordDriver
from tests.contract.harness import Contract, Lab, check_contract, delete, eventually, in_sync, observe, settled

CLOUDFRONT = "Z2FDTNDATAQYW2"


def made_zone(lab: Lab, name: str = "", private: bool = False) -> tuple[str, str]:
    """Id and name of a new zone."""
    name = name or f"{uuid4().hex[:8]}.example.com"
    vpc: dict[str, Any] = {"VPC": {"VPCRegion": "us-east-1", "VPCId": "vpc-1"}, "HostedZoneConfig": {"PrivateZone": True, "Comment": ""}} if private else {}
    zone = lab.raw("route53").create_hosted_zone(Name=name, CallerReference=uuid4().hex, **vpc)["HostedZone"]
    return zone["Id"].removeprefix("/hostedzone/"), name


def change(lab: Lab, zone: str, action: str, record: dict[str, Any]) -> None:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    lab.raw("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)


def records(lab: Lab, zone: str) -> dict[tuple[str, str], dict[str, Any]]:
    sets = lab.raw("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return {(each["Name"].rstrip("."), each["Type"]): each for each in sets if each["Type"] not in ("NS", "SOA")}


def eventual_records(lab: Lab, zone: str, keys: set[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
    return eventually(lambda: records(lab, zone), lambda found: found.keys() == keys, f"records are {sorted(keys)}")


def alias(zone: str, name: str, to: str = "d111.cloudfront.net", type_: str = "A") -> Record:
    return Record(zone, name, type_, AliasTarget(to, CLOUDFRONT))


def record_driver(lab: Lab) -> RecordDriver:
    return RecordDriver(lab.scope("us-east-1"), lab.clock)


def zone_looker(lab: Lab) -> Callable[[Zone, Depth], Observed[Zone] | None]:
    driver = ZoneDriver(lab.scope("us-east-1"), lab.clock)
    return lambda zone, depth: observe(driver, lab.target(driver.type, zone, role=Role.EXTERNAL), depth)


@pytest.mark.parametrize("depth", list(Depth))
def test_zone_by_id_and_by_the_longest_suffix(lab: Lab, depth: Depth) -> None:
    short, parent = made_zone(lab)
    long, child = made_zone(lab, f"app.{parent}")
    made_zone(lab, f"www.app.{parent}", private=True)
    look = zone_looker(lab)

    def found(zone: Zone) -> tuple[str, str]:
        seen = eventually(lambda: look(zone, depth), lambda seen: seen is not None, f"{zone}")
        assert seen is not None
        return seen.attributes["id"], seen.attributes["name"]

    assert found(Zone(id=short)) == (short, parent)
    assert found(Zone(id=f"/hostedzone/{short}")) == (short, parent)
    assert found(Zone(name=f"www.app.{parent}")) == (long, child)
    assert found(Zone(name=f"*.{parent}")) == (short, parent)
    assert found(Zone(name=f"notapp.{parent}.")) == (short, parent)
    assert look(Zone(name="www.example.org"), depth) is None
    assert look(Zone(id="Z0"), depth) is None


def test_two_zones_of_one_name_are_ambiguous(lab: Lab) -> None:
    _, name = made_zone(lab)
    made_zone(lab, name)
    look = zone_looker(lab)
    with pytest.raises(Terminal, match="AmbiguousZone"):
        eventually(lambda: look(Zone(name=f"www.{name}"), Depth.SWEEP), lambda _: False, "both zones seen")


def test_a_new_zone_is_seen_within_seconds(lab: Lab) -> None:
    look = zone_looker(lab)
    look(Zone(name="www.example.org"), Depth.FRESH)
    zone, name = made_zone(lab)
    lab.clock.advance(4)
    seen = eventually(lambda: look(Zone(name=name), Depth.FRESH), lambda seen: seen is not None, "new zone", 5)
    assert seen is not None
    assert seen.external_id == zone


def test_refused_is_denied(lab: Lab) -> None:
    lab.control.fail("route53", "*", "AccessDenied", 403, account=lab.account)
    driver = record_driver(lab)
    for depth in Depth:
        with pytest.raises(Denied):
            observe(driver, lab.target(driver.type, alias("Z1", "www.example.com")), depth)


def test_alias_lives_as_promised(lab: Lab) -> None:
    zone, name = made_zone(lab)
    want = alias(zone, f"www.{name}")

    def drift(seen: Observed[Record]) -> None:
        change(lab, zone, "UPSERT", {"Name": f"www.{name}", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "10.0.0.1"}]})

    changes = {
        "target": alias(zone, f"www.{name}", "d222.cloudfront.net"),
        "health": replace(want, alias=AliasTarget("d111.cloudfront.net", CLOUDFRONT, True)),
        "values": Record(zone, f"www.{name}", "A", values=frozenset({"10.0.0.1", "10.0.0.2"}), ttl=60),
    }
    check_contract(lab, Contract(RecordDriver, want, changes, drift, "values"))
    eventual_records(lab, zone, set())


def test_values_live_as_promised(lab: Lab) -> None:
    zone, name = made_zone(lab)
    want = Record(zone, f"*.{name}", "CNAME", values=frozenset({"Target.Example.com."}), ttl=300)

    def drift(seen: Observed[Record]) -> None:
        change(lab, zone, "UPSERT", {"Name": f"*.{name}", "Type": "CNAME", "TTL": 5, "ResourceRecords": [{"Value": "target.example.com"}]})

    changes = {"ttl": replace(want, ttl=60), "values": replace(want, values=frozenset({"other.example.com"}))}
    check_contract(lab, Contract(RecordDriver, want, changes, drift, "ttl"))


def test_apex_and_both_address_types_share_a_name(lab: Lab) -> None:
    zone, name = made_zone(lab)
    driver = record_driver(lab)
    targets = [lab.target(driver.type, alias(zone, name, type_=type_)) for type_ in ("A", "AAAA")]
    for target in targets:
        driver.create(target, "t")
    eventual_records(lab, zone, {(name, "A"), (name, "AAAA"), (f"_sb-owner-a.{name}", "TXT"), (f"_sb-owner-aaaa.{name}", "TXT")})
    for target in targets:
        settled(driver, target)
    before = len(lab.control.log.reads("route53"))
    answers = driver.observe(targets, Depth.FRESH)
    assert len(lab.control.log.reads("route53")) - before == 1
    assert all(in_sync(target)(answers[target.key]) for target in targets)  # type: ignore[arg-type]
    delete(driver, targets[0])
    eventual_records(lab, zone, {(name, "AAAA"), (f"_sb-owner-aaaa.{name}", "TXT")})


@pytest.mark.parametrize("depth", list(Depth))
def test_a_record_of_somebody_else_is_nobodys(lab: Lab, depth: Depth) -> None:
    zone, name = made_zone(lab)
    change(lab, zone, "CREATE", {"Name": f"www.{name}", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "10.0.0.1"}]})
    driver = record_driver(lab)
    target = lab.target(driver.type, alias(zone, f"www.{name}"))
    seen = eventually(lambda: observe(driver, target, depth), lambda seen: seen is not None, "their record")
    assert seen is not None
    assert seen.owner == ""
    with pytest.raises((Terminal, Transient)):
        driver.create(target, "t")
    adopted = driver.adopt(target, seen)
    assert adopted.owner == target.owner
    eventually(lambda: observe(driver, target), lambda seen: seen is not None and seen.owner == target.owner, "adopted")
    assert records(lab, zone)[(f"www.{name}", "A")]["TTL"] == 60


def test_anothers_claim_is_not_taken(lab: Lab) -> None:
    zone, name = made_zone(lab)
    driver = record_driver(lab)
    first, second = (lab.target(driver.type, alias(zone, f"www.{name}")) for _ in range(2))
    driver.create(first, "t")
    seen = eventually(lambda: observe(driver, second), lambda seen: seen is not None, "the first's record")
    assert seen is not None
    assert seen.owner == first.owner
    change(lab, zone, "DELETE", records(lab, zone)[(f"www.{name}", "A")])
    eventually(lambda: observe(driver, second), lambda seen: seen is None, "record gone, claim left")
    with pytest.raises(Terminal, match="OwnedByAnother"):
        driver.create(second, "t")
    driver.create(first, "t")
    settled(driver, first)


def test_a_record_that_appears_meanwhile_is_not_overwritten(lab: Lab) -> None:
    zone, name = made_zone(lab)
    driver = record_driver(lab)
    target = lab.target(driver.type, alias(zone, f"www.{name}"))
    lab.control.stale(5.0, services=frozenset({"route53"}))
    assert observe(driver, target) is None
    change(lab, zone, "CREATE", {"Name": f"www.{name}", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "10.0.0.1"}]})
    with pytest.raises(Transient, match="ChangedMeanwhile"):
        driver.create(target, "t")
    lab.control.stale(0.0)
    assert records(lab, zone).keys() == {(f"www.{name}", "A")}


def test_records_are_found_by_their_owner_records(lab: Lab) -> None:
    zone, name = made_zone(lab)
    driver = record_driver(lab)
    mine = lab.target(driver.type, alias(zone, f"*.{name}"), node="record-a")
    driver.create(mine, "t")
    change(lab, zone, "CREATE", {"Name": f"other.{name}", "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": '"v=spf1 -all"'}]})
    found = eventually(lambda: driver.owned(mine.identity), bool, "the record is found")
    assert found == {"record-a": f"{zone}/A/*.{name}"}
    assert driver.owned(replace(mine.identity, name="another")) == {}


def test_a_routing_policy_is_never_touched(lab: Lab) -> None:
    zone, name = made_zone(lab)
    for weight in (1, 2):
        values = {"TTL": 60, "ResourceRecords": [{"Value": f"10.0.0.{weight}"}]}
        change(lab, zone, "CREATE", {"Name": f"www.{name}", "Type": "A", "SetIdentifier": str(weight), "Weight": weight, **values})
    driver = record_driver(lab)
    target = lab.target(driver.type, alias(zone, f"www.{name}"))
    with pytest.raises(Terminal, match="RoutingPolicy"):
        eventually(lambda: observe(driver, target), lambda _: False, "records seen")


def test_what_we_do_not_manage_survives_an_update(lab: Lab) -> None:
    zone, name = made_zone(lab)
    driver = record_driver(lab)
    want = Record(zone, f"www.{name}", "A", values=frozenset({"10.0.0.1"}), ttl=60)
    target = lab.target(driver.type, want)
    driver.create(target, "t")
    check = lab.raw("route53").create_health_check(CallerReference=uuid4().hex, HealthCheckConfig={"Type": "TCP", "IPAddress": "192.0.2.1", "Port": 80})
    id = check["HealthCheck"]["Id"]
    change(lab, zone, "UPSERT", {"Name": f"www.{name}", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "10.0.0.1"}], "HealthCheckId": id})
    seen = eventually(lambda: observe(driver, target), lambda seen: seen is not None and "HealthCheckId" in seen.raw, "health check seen")
    assert seen is not None
    driver.update(replace(target, desired=replace(want, ttl=30)), seen, ())
    eventually(lambda: records(lab, zone)[(f"www.{name}", "A")], lambda record: (record["TTL"], record.get("HealthCheckId")) == (30, id), "kept")


def test_no_zone_is_absent_and_waits(lab: Lab) -> None:
    driver = record_driver(lab)
    target = lab.target(driver.type, alias("Z0MISSING", "www.example.com"))
    assert [observe(driver, target, depth) for depth in Depth] == [None, None]
    with pytest.raises(ReferenceNotFound):
        driver.create(target, "t")
    unresolved = lab.target(driver.type, alias(Ref("zone", "id"), "www.example.com"))
    assert observe(driver, unresolved) is None


def test_a_sweep_reads_a_zone_once(lab: Lab) -> None:
    zone, name = made_zone(lab)
    driver = record_driver(lab)
    targets = [lab.target(driver.type, alias(zone, f"w{at}.{name}")) for at in range(20)]
    for target in targets:
        driver.create(target, "t")
    eventually(lambda: driver.observe(targets, Depth.SWEEP), lambda answers: None not in answers.values(), "all seen")
    before = len(lab.control.log.reads("route53"))
    answers = driver.observe(targets, Depth.SWEEP)
    assert all(in_sync(target)(answers[target.key]) for target in targets)  # type: ignore[arg-type]
    assert len(lab.control.log.reads("route53")) - before == 1


def test_a_few_records_in_a_big_zone_are_read_by_name(lab: Lab) -> None:
    zone, name = made_zone(lab)
    driver = record_driver(lab)
    target = lab.target(driver.type, alias(zone, f"a.{name}"))
    driver.create(target, "t")
    for first in range(0, 700, 350):
        many = [{"Name": f"z{at}.{name}", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "10.0.0.1"}]} for at in range(first, first + 350)]
        batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record} for record in many]}
        lab.raw("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)
    lab.control.stale(0.0)
    settled(driver, target, Depth.SWEEP)
    before = len(lab.control.log.reads("route53"))
    settled(driver, target, Depth.SWEEP)
    assert len(lab.control.log.reads("route53")) - before == 1
    settled(driver, target)


def validation(lab: Lab, zone: str, domain: str, identity: Identity | None = None) -> tuple[ValidationRecordDriver, Target[ValidationRecord]]:
    driver = ValidationRecordDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, ValidationRecord(zone, f"_abc123.{domain}", "_def456.xyz.acm-validations.aws"))
    return driver, replace(target, identity=identity or target.identity)


def test_validation_record_lives_as_promised(lab: Lab) -> None:
    zone, name = made_zone(lab)
    want = ValidationRecord(zone, f"_abc123.www.{name}", "_def456.xyz.acm-validations.aws.")

    def drift(seen: Observed[ValidationRecord]) -> None:
        change(lab, zone, "UPSERT", {"Name": f"_abc123.www.{name}", "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": "elsewhere.example.com"}]})

    check_contract(lab, Contract(ValidationRecordDriver, want, {"value": replace(want, value="_other.acm-validations.aws")}, drift, "value"))


def test_an_identical_validation_record_is_taken_as_it_is(lab: Lab) -> None:
    zone, name = made_zone(lab)
    record = {"Name": f"_abc123.{name}.", "Type": "CNAME", "TTL": 7, "ResourceRecords": [{"Value": "_def456.xyz.acm-validations.aws."}]}
    change(lab, zone, "CREATE", record)
    driver, target = validation(lab, zone, name)
    eventually(lambda: driver.create(target, "t"), lambda _: True, "created")
    settled(driver, target)
    assert records(lab, zone)[(f"_abc123.{name}", "CNAME")]["TTL"] == 7


def validated(lab: Lab) -> tuple[str, ValidationRecordDriver, Target[ValidationRecord], Observed[ValidationRecord]]:
    """Zone and name, and the validation record there of a certificate of one object: driver, target and what was observed."""
    zone, name = made_zone(lab)
    certificates = CertificateDriver(lab.scope("us-east-1"), lab.clock)
    mine = lab.target(certificates.type, Certificate(name, frozenset({name, f"a.{name}"}), {}))
    certificates.create(mine, uuid4().hex)
    told = eventually(lambda: observe(certificates, mine), lambda seen: seen is not None and f"validationName.{name}" in seen.attributes, "records told")
    assert told is not None
    driver = ValidationRecordDriver(lab.scope("us-east-1"), lab.clock)
    want = ValidationRecord(zone, told.attributes[f"validationName.{name}"], told.attributes[f"validationValue.{name}"])
    target = replace(lab.target(driver.type, want), identity=mine.identity)
    driver.create(target, "t")
    return name, driver, target, settled(driver, target)


def stands(lab: Lab, target: Target[ValidationRecord]) -> bool:
    want = target.want()
    return (want.name, "CNAME") in records(lab, want.zone_id)


def asked_regions(lab: Lab) -> list[str]:
    """Where ListCertificates was called."""
    return [call.region for call in lab.control.log.reads("acm") if call.account == lab.account and call.operation == "ListCertificates"]


def account_regions(lab: Lab) -> set[str]:
    """Regions that the account has."""
    return {region["RegionName"] for region in lab.raw("account").list_regions()["Regions"]}


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_a_validation_record_goes_with_the_last_certificate_that_needs_it(lab: Lab, region: str) -> None:
    name, driver, target, seen = validated(lab)
    others = lab.raw("acm", region).request_certificate(DomainName=f"*.{name}", SubjectAlternativeNames=[name], ValidationMethod="DNS")["CertificateArn"]
    listed = 2 if region == "us-east-1" else 1
    eventually(lambda: lab.raw("acm", region).list_certificates()["CertificateSummaryList"], lambda found: len(found) == listed, "listed")
    assert driver.delete(target, seen) is None
    assert stands(lab, target)
    lab.raw("acm", region).delete_certificate(CertificateArn=others)
    lab.clock.advance(61)
    eventually(lambda: driver.delete(target, seen) or stands(lab, target), lambda found: not found, "record gone, own certificate still there")
    assert len([one for one in lab.control.model(Acm).certificates.values() if one.account == lab.account]) == 1


def test_removals_close_to_each_other_share_a_look_at_the_other_regions(lab: Lab) -> None:
    name, driver, target, seen = validated(lab)
    lab.raw("acm", "eu-west-1").request_certificate(DomainName=name, ValidationMethod="DNS")
    eventually(lambda: lab.raw("acm", "eu-west-1").list_certificates()["CertificateSummaryList"], bool, "listed")
    known = len(asked_regions(lab))
    for _ in range(3):
        driver.delete(target, seen)
    assert stands(lab, target)
    asked = asked_regions(lab)[known:]
    assert asked.count("us-east-1") == 3
    assert {region: asked.count(region) for region in set(asked) - {"us-east-1"}} == dict.fromkeys(account_regions(lab) - {"us-east-1"}, 1)


def test_a_disabled_region_is_not_asked(lab: Lab) -> None:
    _, driver, target, seen = validated(lab)
    for region in ("eu-west-1", "me-south-1"):
        lab.control.model(Account).disable(lab.account, region)
    before = len(asked_regions(lab))
    assert driver.delete(target, seen) is None
    assert not {"eu-west-1", "me-south-1"} & set(asked_regions(lab)[before:])
    eventually(lambda: stands(lab, target), lambda there: not there, "record gone")


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException"])
def test_a_region_that_refuses_us_keeps_the_record_and_lets_go_of_the_object(lab: Lab, code: str, caplog: pytest.LogCaptureFixture) -> None:
    _, driver, target, seen = validated(lab)
    lab.control.fail("acm", "ListCertificates", code, 400, account=lab.account, region="eu-*")
    for _ in range(2):
        with pytest.raises(Denied, match=r"acm:ListCertificates.*eu-central-1 \(and as little in .*eu-west-1"):
            driver.delete(target, seen)
    lab.clock.advance(PATIENCE_SECONDS + 1)
    assert driver.delete(target, seen) is None
    assert stands(lab, target)
    assert "left behind" in caplog.text and "eu-west-1" in caplog.text


def test_a_region_that_answers_again_lets_the_record_go(lab: Lab) -> None:
    _, driver, target, seen = validated(lab)
    rule = lab.control.fail("acm", "*", "ServiceUnavailable", 503, account=lab.account, region="eu-west-1")
    with pytest.raises(Transient, match="eu-west-1"):
        driver.delete(target, seen)
    assert stands(lab, target)
    lab.control.remove(rule)
    before = len(asked_regions(lab))
    assert driver.delete(target, seen) is None
    assert sorted(asked_regions(lab)[before:]) == ["eu-west-1", "us-east-1"]
    eventually(lambda: stands(lab, target), lambda there: not there, "record gone")


def test_the_own_region_is_never_given_up(lab: Lab) -> None:
    _, driver, target, seen = validated(lab)
    lab.control.fail("acm", "ListCertificates", "AccessDeniedException", 400, account=lab.account, region="us-east-1")
    for _ in range(2):
        with pytest.raises(Denied):
            driver.delete(target, seen)
        lab.clock.advance(PATIENCE_SECONDS + 1)
    assert stands(lab, target)


def test_without_the_list_of_regions_the_record_stays(lab: Lab) -> None:
    _, driver, target, seen = validated(lab)
    lab.control.fail("account", "ListRegions", "AccessDeniedException", 403, account=lab.account)
    with pytest.raises(Denied, match="account:ListRegions"):
        driver.delete(target, seen)
    lab.clock.advance(PATIENCE_SECONDS + 1)
    assert driver.delete(target, seen) is None
    assert stands(lab, target)

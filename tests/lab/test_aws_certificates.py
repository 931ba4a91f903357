"""ACM with Route 53 and CloudFront at the lab's endpoint: validation, tokens, use, failure, lists, tags."""

from __future__ import annotations

from typing import Any

import pytest

from lab.aws.endpoint import Control
from lab.aws.models.acm import Acm
from tests.lab.aws_objects import distribution, items, refused
from tests.lab.conftest import MakeClient


@pytest.fixture
def acm(client: MakeClient) -> Any:
    return client("acm")


def request(acm: Any, domain: str = "app.example.com", **more: Any) -> str:
    return str(acm.request_certificate(DomainName=domain, ValidationMethod="DNS", **more)["CertificateArn"])


def describe(acm: Any, arn: str) -> dict[str, Any]:
    described: dict[str, Any] = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    return described


def publish(route53: Any, certificate: dict[str, Any], action: str = "UPSERT") -> None:
    zones = route53.list_hosted_zones_by_name(DNSName="example.com", MaxItems="1")["HostedZones"]
    zone = zones[0]["Id"] if zones else route53.create_hosted_zone(Name="example.com", CallerReference="zone")["HostedZone"]["Id"]
    changes = [
        {
            "Action": action,
            "ResourceRecordSet": {
                "Name": option["ResourceRecord"]["Name"],
                "Type": "CNAME",
                "TTL": 300,
                "ResourceRecords": [{"Value": option["ResourceRecord"]["Value"]}],
            },
        }
        for option in certificate["DomainValidationOptions"]
    ]
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})


def issued(acm: Any, route53: Any, control: Control, domain: str = "app.example.com", **more: Any) -> str:
    arn = request(acm, domain, **more)
    control.advance(601)
    publish(route53, describe(acm, arn))
    control.advance(601)
    assert describe(acm, arn)["Status"] == "ISSUED"
    return arn


def test_a_certificate_is_issued_once_its_record_is_published(acm: Any, client: MakeClient, control: Control) -> None:
    arn = request(acm)
    fresh = describe(acm, arn)
    assert fresh["Status"] == "PENDING_VALIDATION"
    assert "ResourceRecord" not in fresh["DomainValidationOptions"][0]
    control.advance(601)
    pending = describe(acm, arn)
    assert pending["Status"] == "PENDING_VALIDATION"
    assert pending["DomainValidationOptions"][0]["ResourceRecord"]["Name"].endswith(".app.example.com.")
    publish(client("route53"), pending)
    assert describe(acm, arn)["Status"] == "PENDING_VALIDATION"
    control.advance(601)
    done = describe(acm, arn)
    assert (done["Status"], done["DomainValidationOptions"][0]["ValidationStatus"]) == ("ISSUED", "SUCCESS")


def test_a_domain_has_one_record_in_an_account(acm: Any, control: Control, client: MakeClient) -> None:
    first = request(acm, SubjectAlternativeNames=["*.app.example.com"])
    second, foreign = request(acm), request(client("acm", account="111122223333"))
    control.advance(601)
    options = describe(acm, first)["DomainValidationOptions"]
    record = options[0]["ResourceRecord"]
    assert [option["ResourceRecord"] for option in options] == [record, record]
    assert describe(acm, second)["DomainValidationOptions"][0]["ResourceRecord"] == record
    assert describe(client("acm", account="111122223333"), foreign)["DomainValidationOptions"][0]["ResourceRecord"] != record


def test_a_token_stands_for_one_certificate_for_an_hour(acm: Any, control: Control) -> None:
    first = request(acm, IdempotencyToken="token")
    assert request(acm, IdempotencyToken="token") == first
    assert request(acm, IdempotencyToken="other") != first
    control.advance(3601)
    assert request(acm, IdempotencyToken="token") != first


def test_a_certificate_may_be_invisible_at_first(acm: Any, control: Control) -> None:
    control.settings.certificate_visible_s = 5
    arn = request(acm)
    refused("ResourceNotFoundException", acm.describe_certificate, CertificateArn=arn)
    assert acm.list_certificates()["CertificateSummaryList"] == []
    control.advance(6)
    assert describe(acm, arn)["DomainName"] == "app.example.com"


def test_a_certificate_in_use_is_not_deleted(acm: Any, client: MakeClient, control: Control) -> None:
    route53, cloudfront = client("route53"), client("cloudfront")
    pending = request(acm, "other.example.com")
    viewer = {"SSLSupportMethod": "sni-only", "MinimumProtocolVersion": "TLSv1.2_2021"}
    early = distribution(Aliases=items("other.example.com"), ViewerCertificate=viewer | {"ACMCertificateArn": pending})
    refused("InvalidViewerCertificate", cloudfront.create_distribution, DistributionConfig=early)
    arn = issued(acm, route53, control)
    foreign = distribution(Aliases=items("www.example.org"), ViewerCertificate=viewer | {"ACMCertificateArn": arn})
    refused("InvalidViewerCertificate", cloudfront.create_distribution, DistributionConfig=foreign)
    config = distribution(Aliases=items("app.example.com"), ViewerCertificate=viewer | {"ACMCertificateArn": arn})
    made = cloudfront.create_distribution(DistributionConfig=config)
    assert describe(acm, arn)["InUseBy"] == [made["Distribution"]["ARN"]]
    refused("ResourceInUseException", acm.delete_certificate, CertificateArn=arn)
    taken = config | {"CallerReference": "two"}
    refused("CNAMEAlreadyExists", cloudfront.create_distribution, DistributionConfig=taken)
    cloudfront.update_distribution(Id=made["Distribution"]["Id"], IfMatch=made["ETag"], DistributionConfig=distribution())
    assert describe(acm, arn)["InUseBy"] == []
    acm.delete_certificate(CertificateArn=arn)
    refused("ResourceNotFoundException", acm.describe_certificate, CertificateArn=arn)


def test_a_certificate_of_another_region_is_refused_by_cloudfront(client: MakeClient, control: Control) -> None:
    arn = issued(client("acm", region="eu-west-1"), client("route53"), control)
    config = distribution(Aliases=items("app.example.com"), ViewerCertificate={"ACMCertificateArn": arn, "SSLSupportMethod": "sni-only"})
    assert "us-east-1" in refused("InvalidViewerCertificate", client("cloudfront").create_distribution, DistributionConfig=config)


def test_validation_fails_or_times_out(acm: Any, control: Control) -> None:
    control.model(Acm).force("bad.example.com", "FAILED", "CAA_ERROR")
    failed = describe(acm, request(acm, "bad.example.com"))
    assert (failed["Status"], failed["FailureReason"]) == ("FAILED", "CAA_ERROR")
    arn = request(acm)
    control.advance(72 * 3600 + 1)
    assert describe(acm, arn)["Status"] == "VALIDATION_TIMED_OUT"


def test_certificates_are_listed_by_status_and_in_pages(acm: Any, client: MakeClient, control: Control) -> None:
    done = issued(acm, client("route53"), control)
    pending = {request(acm, f"{number}.example.com") for number in range(3)}
    listed = acm.list_certificates(CertificateStatuses=["ISSUED"])["CertificateSummaryList"]
    assert [entry["CertificateArn"] for entry in listed] == [done]
    pages = acm.get_paginator("list_certificates").paginate(CertificateStatuses=["PENDING_VALIDATION"], PaginationConfig={"PageSize": 2})
    assert {entry["CertificateArn"] for page in pages for entry in page["CertificateSummaryList"]} == pending


def test_tags_of_a_certificate(acm: Any, client: MakeClient) -> None:
    arn = request(acm, Tags=[{"Key": "owner", "Value": "me"}])
    assert acm.list_tags_for_certificate(CertificateArn=arn)["Tags"] == [{"Key": "owner", "Value": "me"}]
    tagging = client("resourcegroupstaggingapi")
    found = tagging.get_resources(TagFilters=[{"Key": "owner", "Values": ["me"]}], ResourceTypeFilters=["acm:certificate"])
    assert [entry["ResourceARN"] for entry in found["ResourceTagMappingList"]] == [arn]


def test_a_zone_reference_is_used_once_and_zones_are_found_by_name(client: MakeClient) -> None:
    route53 = client("route53")
    for name in ("b.example.com", "a.example.org", "example.com"):
        route53.create_hosted_zone(Name=name, CallerReference=name)
    refused("HostedZoneAlreadyExists", route53.create_hosted_zone, Name="example.com", CallerReference="example.com")
    named = [zone["Name"] for zone in route53.list_hosted_zones_by_name(DNSName="example.com")["HostedZones"]]
    assert named == ["example.com.", "b.example.com.", "a.example.org."]

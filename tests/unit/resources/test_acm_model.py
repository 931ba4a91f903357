"""Which names a certificate covers, and what its states mean."""

from __future__ import annotations

import pytest

from securebase.core.diff import diff
from securebase.core.fields import Impact
from securebase.core.graph import Ref, references
from securebase.resources.acm.driver import Summary, validation_records
from securebase.resources.acm.model import Certificate, covers, validated_domains, validation_attribute

WANT = Certificate("example.com", frozenset({"example.com", "*.example.com"}), {})


@pytest.mark.parametrize(
    ("name", "covered"),
    [
        ("example.com", True),
        ("WWW.Example.com", True),
        ("*.example.com", True),
        ("a.b.example.com", False),
        ("notexample.com", False),
        ("com", False),
    ],
)
def test_a_wildcard_stands_for_one_label(name: str, covered: bool) -> None:
    assert covers({"example.com", "*.example.com"}, name) is covered


def test_a_wildcard_shares_the_record_of_the_name_above() -> None:
    assert validated_domains({"*.example.com", "example.com", "API.example.com"}) == ("api.example.com", "example.com")


def test_the_attribute_of_a_record_can_be_referred_to() -> None:
    ref = Ref("certificate", validation_attribute("Name", "example.com"))
    assert list(references(ref)) == [("certificate", "validationName.example.com")]


def test_records_are_told_without_last_dots() -> None:
    record = {"Name": "_A.Example.com.", "Type": "CNAME", "Value": "_B.acm-validations.aws."}
    detail = {"DomainValidationOptions": [{"DomainName": "Example.com", "ResourceRecord": record}, {"DomainName": "late.example.com"}]}
    assert list(validation_records(detail)) == [("example.com", "_a.example.com", "_b.acm-validations.aws")]


@pytest.mark.parametrize(
    ("entry", "alike"),
    [
        ({"SubjectAlternativeNameSummaries": ["example.com", "*.example.com"]}, True),
        ({"SubjectAlternativeNameSummaries": ["example.com", "*.EXAMPLE.com"], "KeyAlgorithm": "RSA-2048"}, True),
        ({"SubjectAlternativeNameSummaries": ["example.com"]}, False),
        ({"SubjectAlternativeNameSummaries": ["example.com"], "HasAdditionalSubjectAlternativeNames": True}, True),
        ({}, True),
        ({"SubjectAlternativeNameSummaries": ["example.com", "*.example.com"], "KeyAlgorithm": "EC_prime256v1"}, False),
        ({"SubjectAlternativeNameSummaries": ["example.com", "other.com"], "HasAdditionalSubjectAlternativeNames": True}, False),
    ],
)
def test_a_summary_may_be_the_wanted_certificate(entry: dict[str, object], alike: bool) -> None:
    summary = Summary.of({"CertificateArn": "arn", "DomainName": "example.com", "Status": "ISSUED", **entry})
    assert summary.may_be(WANT) is alike


def test_names_cost_a_replacement_and_a_timed_out_validation_does_not() -> None:
    other = Certificate("example.com", frozenset({"example.com"}), {}, status="VALIDATION_TIMED_OUT")
    impacts = {change.path: change.impact for change in diff(WANT, other, None, b"")}
    assert impacts == {"names": Impact.REPLACE, "status": Impact.ONLINE}

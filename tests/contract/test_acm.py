"""Certificates: requested once, followed until issued, requested again when the validation timed out, and those given by ARN."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from lab.aws.models.acm import Acm, validation_record
from securebase.core.diff import Change
from securebase.core.driver import Depth, Observed, State, Target
from securebase.core.errors import Terminal
from securebase.core.fields import Impact
from securebase.core.graph import Ref
from securebase.core.identity import OWNER_TAG
from securebase.resources.acm.driver import CertificateDriver, GivenCertificateDriver
from securebase.resources.acm.model import Certificate, GivenCertificate
from tests.contract.harness import Contract, Lab, check_contract, delete, differences, eventually, observe, write


@pytest.fixture
def domain(lab: Lab) -> Iterator[str]:
    name = f"{uuid4().hex[:10]}.example.com"
    yield name
    lab.control.model(Acm).force(name, "")


def certificate(domain: str) -> Certificate:
    return Certificate(domain_name=domain, names=frozenset({domain, f"*.{domain}"}), tags={"team": "web"})


def driver_of(lab: Lab) -> CertificateDriver:
    return CertificateDriver(lab.scope("us-east-1"), lab.clock)


def made(lab: Lab, desired: Certificate) -> tuple[CertificateDriver, Target[Certificate], Observed[Certificate]]:
    driver = driver_of(lab)
    target = lab.target(driver.type, desired)
    first = driver.create(target, uuid4().hex)
    return driver, replace(target, external_id=first.external_id), first


def requested(lab: Lab) -> int:
    return lab.control.log.counts(lambda record: record.account == lab.account).get(("acm", "RequestCertificate"), 0)


def test_lives_as_promised(lab: Lab, domain: str) -> None:
    lab.control.model(Acm).force(domain, "ISSUED")
    want = certificate(domain)

    def retag(seen: Observed[Certificate]) -> None:
        lab.raw("acm").add_tags_to_certificate(CertificateArn=seen.external_id, Tags=[{"Key": "team", "Value": "theirs"}])

    changes = {"tag value": replace(want, tags={"team": "platform"}), "new tag": replace(want, tags={"team": "web", "stage": "prod"})}
    check_contract(lab, Contract(CertificateDriver, want, changes, retag, "tags[team]"))


def test_is_pending_with_records_until_they_are_seen(lab: Lab, domain: str) -> None:
    driver, target, first = made(lab, certificate(domain))
    assert first.state is State.PENDING
    assert "arn" not in first.attributes
    assert first.attributes["requestedArn"] == first.external_id
    record, value = validation_record(lab.account, domain)
    seen = eventually(lambda: observe(driver, target), lambda seen: seen is not None and f"validationName.{domain}" in seen.attributes, "records told")
    assert seen is not None
    assert seen.state is State.PENDING
    assert seen.reason == "PendingValidation"
    for spelling in (domain, f"*.{domain}"):
        assert (seen.attributes[f"validationName.{spelling}"], seen.attributes[f"validationValue.{spelling}"]) == (record, value)
    assert not differences(target, seen)
    lab.control.model(Acm).force(domain, "ISSUED")
    issued = eventually(lambda: observe(driver, target), lambda seen: seen is not None and seen.state is State.READY, "issued")
    assert issued is not None
    assert issued.attributes["arn"] == first.external_id


def test_is_not_requested_twice_when_the_token_has_lapsed(lab: Lab, domain: str) -> None:
    _, target, first = made(lab, certificate(domain))
    lab.control.advance(2 * 3600)
    lab.clock.advance(2 * 3600)
    eventually(lambda: lab.raw("acm").list_certificates()["CertificateSummaryList"], bool, "listed")
    again = driver_of(lab).create(replace(target, external_id=""), uuid4().hex)
    assert again.external_id == first.external_id
    assert requested(lab) == 1


def test_a_lost_answer_makes_no_second_one(lab: Lab, domain: str) -> None:
    driver = driver_of(lab)
    target = lab.target(driver.type, certificate(domain))
    lab.control.lose_answer("acm", "RequestCertificate", account=lab.account)
    eventually(lambda: driver.create(target, "t" * 32), lambda _: True, "requested")
    assert len(lab.raw("acm").list_certificates()["CertificateSummaryList"]) == 1


def test_a_new_one_that_is_not_visible_yet_is_pending(lab: Lab, domain: str) -> None:
    lab.control.settings.certificate_visible_s = 0.5
    try:
        driver, target, first = made(lab, certificate(domain))
        assert first.state is State.PENDING
        seen = observe(driver, target)
        assert seen is not None
        assert (seen.external_id, seen.state) == (first.external_id, State.PENDING)
    finally:
        lab.control.settings.certificate_visible_s = 0.0


def test_is_requested_again_when_validation_timed_out(lab: Lab, domain: str) -> None:
    driver, target, first = made(lab, certificate(domain))
    lab.control.model(Acm).force(domain, "VALIDATION_TIMED_OUT")
    late = eventually(lambda: observe(driver, target), lambda seen: seen is not None and seen.state is State.FAILED, "timed out")
    assert [(change.path, change.impact) for change in differences(target, late)] == [("status", Impact.ONLINE)]
    lab.control.model(Acm).force(domain, "")
    lab.control.model(Acm).certificates[first.external_id].forced = "VALIDATION_TIMED_OUT"
    assert late is not None
    again = driver.update(target, late, differences(target, late))
    assert again.external_id != first.external_id
    assert again.state is State.PENDING
    assert not differences(target, again)
    assert driver.update(target, late, differences(target, late)).external_id == again.external_id, "a second try made another"
    assert observe(driver, replace(target, external_id=again.external_id)) is not None
    with pytest.raises(lab.raw("acm").exceptions.ResourceNotFoundException):
        lab.raw("acm").describe_certificate(CertificateArn=first.external_id)


def test_a_failed_one_says_why(lab: Lab, domain: str) -> None:
    driver, target, _ = made(lab, certificate(domain))
    lab.control.model(Acm).force(domain, "FAILED", "CAA_ERROR")
    seen = eventually(lambda: observe(driver, target), lambda seen: seen is not None and seen.state is State.FAILED, "failed")
    assert seen is not None
    assert seen.reason == "CertificateFailed"
    assert "CAA record" in seen.message
    assert not differences(target, seen)


def test_in_use_is_not_deleted_yet(lab: Lab, domain: str) -> None:
    lab.control.model(Acm).force(domain, "ISSUED")
    driver, target, first = made(lab, certificate(domain))
    users = {f"arn:aws:cloudfront::{lab.account}:distribution/E1"}
    users_of: Any = lab.control._router.lab.certificate_users
    users_of[first.external_id] = users
    seen = observe(driver, target)
    assert seen is not None
    left = driver.delete(target, seen)
    assert left is not None
    assert (left.state, left.reason) == (State.PENDING, "InUse")
    assert "distribution/E1" in left.message
    del users_of[first.external_id]
    delete(driver, target)


def test_other_names_are_another_certificate(lab: Lab, domain: str) -> None:
    driver, target, first = made(lab, certificate(domain))
    wider = replace(target, desired=replace(certificate(domain), names=frozenset({domain, f"*.{domain}", f"www.api.{domain}"})))
    assert {change.impact for change in differences(wider, observe(driver, wider))} == {Impact.REPLACE}
    other = driver.create(replace(wider, external_id=""), uuid4().hex)
    assert other.external_id != first.external_id


def test_unresolved_names_are_absent(lab: Lab) -> None:
    driver = driver_of(lab)
    name = Ref("zone", "name")
    assert observe(driver, lab.target(driver.type, Certificate(name, frozenset({name}), {}))) is None


def test_a_sweep_of_many_is_one_list(lab: Lab) -> None:
    driver = driver_of(lab)
    targets = []
    for at in range(12):
        lab.control.model(Acm).force(name := f"{uuid4().hex[:8]}-{at}.example.com", "ISSUED")
        target = lab.target(driver.type, certificate(name))
        targets.append(replace(target, external_id=driver.create(target, uuid4().hex).external_id))
    eventually(lambda: driver.observe(targets, Depth.SWEEP), lambda answers: all(isinstance(answer, Observed) for answer in answers.values()), "swept")
    lab.clock.advance(61)
    driver.observe(targets, Depth.SWEEP)
    before = len(lab.control.log.reads("acm"))
    driver.observe(targets, Depth.SWEEP)
    assert len(lab.control.log.reads("acm")) - before <= 1 + 5, "a list, and a few tags in their turn"


def test_adopting_puts_the_owner_tag(lab: Lab, domain: str) -> None:
    driver = driver_of(lab)
    arn = lab.raw("acm").request_certificate(DomainName=domain, ValidationMethod="DNS")["CertificateArn"]
    target = replace(lab.target(driver.type, Certificate(domain, frozenset({domain}), {})), external_id=arn)
    seen = observe(driver, target)
    assert seen is not None
    assert seen.owner == ""
    assert driver.adopt(target, seen).owner == target.owner
    again = eventually(lambda: observe(driver, target), lambda seen: seen is not None and seen.owner == target.owner, "adopted")
    assert again is not None
    tags = lab.raw("acm").list_tags_for_certificate(CertificateArn=arn)["Tags"]
    assert {tag["Key"] for tag in tags} == {OWNER_TAG}
    lab.clock.advance(61)
    eventually(lambda: driver.owned(target.identity), lambda owned: owned == {target.node: arn}, "in the inventory")


def given(lab: Lab, arn: str, *names: str) -> Callable[[Depth], Observed[GivenCertificate] | None]:
    driver = GivenCertificateDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, GivenCertificate(arn, frozenset(names)))
    return lambda depth: observe(driver, target, depth)


@pytest.mark.parametrize("depth", list(Depth))
def test_a_given_one_is_taken_when_it_fits(lab: Lab, domain: str, depth: Depth) -> None:
    lab.control.model(Acm).force(domain, "ISSUED")
    arn = lab.raw("acm").request_certificate(DomainName=domain, SubjectAlternativeNames=[f"*.{domain}"], ValidationMethod="DNS")["CertificateArn"]
    look = given(lab, arn, domain, f"www.{domain}")
    seen = look(depth)
    assert seen is not None
    assert seen.attributes["arn"] == arn
    with pytest.raises(Terminal, match="CertificateDoesNotCover"):
        given(lab, arn, f"a.b.{domain}")(depth)


@pytest.mark.parametrize("depth", list(Depth))
def test_a_given_one_that_does_not_fit_is_refused(lab: Lab, domain: str, depth: Depth) -> None:
    arn = lab.raw("acm").request_certificate(DomainName=domain, ValidationMethod="DNS")["CertificateArn"]
    with pytest.raises(Terminal, match="CertificateNotIssued"):
        given(lab, arn, domain)(depth)
    with pytest.raises(Terminal, match="CertificateNotFound"):
        given(lab, f"arn:aws:acm:us-east-1:{lab.account}:certificate/{uuid4()}", domain)(depth)
    with pytest.raises(Terminal, match="CertificateInWrongRegion"):
        given(lab, arn.replace("us-east-1", "eu-west-1"), domain)(depth)
    with pytest.raises(Terminal, match="InvalidCertificateArn"):
        given(lab, "arn:aws:iam::111111111111:server-certificate/x", domain)(depth)


def test_changes_of_tags_and_status_do_not_meet(lab: Lab, domain: str) -> None:
    driver, target, first = made(lab, certificate(domain))
    bare = replace(target, desired=replace(certificate(domain), tags={}))
    removed = (Change("tags[team]", "web", None, Impact.ONLINE),)
    assert driver.update(bare, first, removed).value.tags == {}
    assert eventually(lambda: observe(driver, bare), lambda seen: seen is not None and not seen.value.tags, "tag removed")
    assert write(driver, target).value.tags == {"team": "web"}

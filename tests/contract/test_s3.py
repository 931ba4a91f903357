"""Buckets of others, and our statement in their policies."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from securebase.core.driver import Depth, Observed, Target
from securebase.core.errors import Denied, ReferenceNotFound, Transient
from securebase.core.graph import Ref, Role
from securebase.resources.s3.driver import BucketDriver, PolicyStatementDriver
from securebase.resources.s3.model import Bucket, PolicyStatement
from tests.contract.harness import Contract, Lab, check_contract, delete, eventually, in_sync, observe, settled

REGION = "eu-central-1"
THEIRS = {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": ["s3:PutObject", "s3:DeleteObject"], "Resource": "arn:aws:s3:::{bucket}/*"}


def made_bucket(lab: Lab, region: str = REGION) -> str:
    name = f"bucket-{uuid4().hex[:12]}"
    location = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region != "us-east-1" else {}
    lab.raw("s3", region).create_bucket(Bucket=name, **location)
    return name


def theirs(bucket: str) -> dict[str, Any]:
    return {**THEIRS, "Resource": f"arn:aws:s3:::{bucket}/*"}


def put_theirs(lab: Lab, bucket: str) -> None:
    lab.raw("s3", REGION).put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2008-10-17", "Id": "kept", "Statement": [theirs(bucket)]}))


def policy(lab: Lab, bucket: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.raw("s3", REGION).get_bucket_policy(Bucket=bucket)["Policy"])
    return found


def wanted(bucket: str, distribution: str = "E1", sid: str = "SecureBase1") -> PolicyStatement:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"StringEquals": {"AWS:SourceArn": f"arn:aws:cloudfront::111111111111:distribution/{distribution}"}},
    }
    return PolicyStatement.of(bucket, sid, statement)


def statement_driver(lab: Lab) -> PolicyStatementDriver:
    return PolicyStatementDriver(lab.scope("us-east-1"), lab.clock)


def test_a_bucket_tells_its_region_and_names(lab: Lab) -> None:
    driver = BucketDriver(lab.scope("us-east-1"), lab.clock)
    name = made_bucket(lab)
    target = lab.target(driver.type, Bucket(name), role=Role.EXTERNAL)
    for depth in Depth:
        seen = eventually(partial(observe, driver, target, depth), lambda seen: seen is not None, f"bucket ({depth})")
        assert seen is not None
        expected = {"name": name, "region": REGION, "arn": f"arn:aws:s3:::{name}", "domainName": f"{name}.s3.{REGION}.amazonaws.com"}
        assert seen.attributes == expected


def test_a_missing_bucket_is_absent(lab: Lab) -> None:
    driver = BucketDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, Bucket(f"missing-{uuid4().hex}"))
    assert [observe(driver, target, depth) for depth in Depth] == [None, None]


def test_a_refused_bucket_is_denied_not_absent(lab: Lab) -> None:
    driver = BucketDriver(lab.scope("us-east-1"), lab.clock)
    lab.control.fail("s3", "*", "AccessDenied", 403, account=lab.account)
    for depth in Depth:
        with pytest.raises(Denied):
            observe(driver, lab.target(driver.type, Bucket("anothers-bucket")), depth)


def test_statement_lives_as_promised(lab: Lab) -> None:
    bucket = made_bucket(lab)

    def change(seen: Observed[PolicyStatement]) -> None:
        document = policy(lab, bucket)
        ours = next(each for each in document["Statement"] if each["Sid"] == "SecureBase1")
        others = [each for each in document["Statement"] if each is not ours]
        lab.raw("s3", REGION).put_bucket_policy(Bucket=bucket, Policy=json.dumps({**document, "Statement": [*others, {**ours, "Action": "s3:*"}]}))

    changes = {"document": wanted(bucket, "E2")}
    check_contract(lab, Contract(PolicyStatementDriver, wanted(bucket), changes, change, "document"))


def test_statements_of_others_stay_as_they_are(lab: Lab) -> None:
    bucket, driver = made_bucket(lab), statement_driver(lab)
    put_theirs(lab, bucket)
    target = lab.target(driver.type, wanted(bucket))
    eventually(lambda: driver.create(target, "t"), lambda _: True, "statement put")
    document = policy(lab, bucket)
    assert (document["Id"], document["Version"], document["Statement"][0]) == ("kept", "2008-10-17", theirs(bucket))
    settled(driver, target)
    delete(driver, target)
    assert policy(lab, bucket)["Statement"] == [theirs(bucket)]


def test_the_policy_goes_with_its_last_statement(lab: Lab) -> None:
    bucket, driver = made_bucket(lab), statement_driver(lab)
    target = lab.target(driver.type, wanted(bucket))
    eventually(lambda: driver.create(target, "t"), lambda _: True, "statement put")
    delete(driver, target)
    client = lab.raw("s3", REGION)
    with pytest.raises(client.exceptions.ClientError, match="NoSuchBucketPolicy"):
        client.get_bucket_policy(Bucket=bucket)


def test_another_spelling_of_the_same_is_no_difference(lab: Lab) -> None:
    bucket, driver = made_bucket(lab), statement_driver(lab)
    target = lab.target(driver.type, wanted(bucket))
    statement = json.loads(wanted(bucket).document)
    spelled = {**statement, "Sid": "SecureBase1", "Action": [statement["Action"]], "Principal": {"Service": ["cloudfront.amazonaws.com"]}}
    lab.raw("s3", REGION).put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": spelled}))
    for depth in Depth:
        seen = eventually(partial(observe, driver, target, depth), lambda seen: seen is not None, f"statement ({depth})")
        assert in_sync(target)(seen)


def test_a_statement_in_no_bucket_waits_for_it(lab: Lab) -> None:
    driver = statement_driver(lab)
    target = lab.target(driver.type, wanted(f"missing-{uuid4().hex}"))
    assert observe(driver, target) is None
    with pytest.raises(ReferenceNotFound):
        driver.create(target, "t")


def test_an_unresolved_bucket_is_absent(lab: Lab) -> None:
    driver = statement_driver(lab)
    assert observe(driver, lab.target(driver.type, PolicyStatement(Ref("bucket", "name"), "SecureBase1", "{}"))) is None


def test_many_objects_share_a_policy_without_losing_a_statement(lab: Lab) -> None:
    bucket = made_bucket(lab)
    put_theirs(lab, bucket)
    drivers = [PolicyStatementDriver(lab.scope(region), lab.clock) for region in ("us-east-1", "eu-west-1")]
    targets = [lab.target("s3/policy-statement", wanted(bucket, f"E{at}", f"SecureBase{at}")) for at in range(8)]
    workers = [threading.Thread(target=drivers[at % 2].create, args=(target, "t")) for at, target in enumerate(targets)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert sorted(each["Sid"] for each in policy(lab, bucket)["Statement"]) == sorted(["Theirs", *(f"SecureBase{at}" for at in range(8))])


class _Intruder:
    """Passes calls on; somebody else overwrites the policy right after ours was put."""

    def __init__(self, lab: Lab, bucket: str) -> None:
        self._lab, self._bucket, self._scope = lab, bucket, lab.scope("us-east-1")
        self.account_id, self.region, self.partition = self._scope.account_id, self._scope.region, self._scope.partition

    def attempt(self, service: str, operation: str, expect: Any, /, **params: Any) -> Any:
        answer = self._scope.attempt(service, operation, expect, **params)
        if operation == "put_bucket_policy":
            put_theirs(self._lab, self._bucket)
        return answer


def test_an_overwritten_write_is_noticed(lab: Lab) -> None:
    bucket = made_bucket(lab)
    intruder: Any = _Intruder(lab, bucket)
    driver = PolicyStatementDriver(intruder, lab.clock)
    with pytest.raises(Transient, match="ChangedMeanwhile"):
        driver.create(lab.target(driver.type, wanted(bucket)), "t")


def test_reads_that_lag_behind_our_own_write_lose_nothing(lab: Lab) -> None:
    bucket, driver = made_bucket(lab), statement_driver(lab)
    one, two = (lab.target(driver.type, wanted(bucket, f"E{at}", f"SecureBase{at}")) for at in range(2))
    observe(driver, one)
    lab.control.stale(0.6, "reads", frozenset({"s3"}))
    driver.create(one, "t")
    driver.create(two, "t")
    lab.control.stale(0.0)
    assert [each["Sid"] for each in policy(lab, bucket)["Statement"]] == ["SecureBase0", "SecureBase1"]


def test_a_sweep_reads_few_policies(lab: Lab) -> None:
    driver = statement_driver(lab)
    buckets = [made_bucket(lab) for _ in range(40)]
    targets: list[Target[PolicyStatement]] = [lab.target(driver.type, wanted(bucket)) for bucket in buckets]
    driver.observe(targets, Depth.SWEEP)
    before = len(lab.control.log.reads("s3"))
    answers = driver.observe(targets, Depth.SWEEP)
    assert set(answers.values()) == {None}
    assert len(lab.control.log.reads("s3")) - before <= 5


def test_a_sweep_of_buckets_is_one_list(lab: Lab) -> None:
    driver = BucketDriver(lab.scope("us-east-1"), lab.clock)
    targets = [lab.target(driver.type, Bucket(made_bucket(lab))) for _ in range(12)]
    eventually(lambda: driver.observe(targets, Depth.SWEEP), lambda answers: None not in answers.values(), "buckets listed")
    before = len(lab.control.log.reads("s3"))
    again = driver.observe([*targets, replace(targets[0], node="again")], Depth.SWEEP)
    assert len(lab.control.log.reads("s3")) - before == 1
    assert None not in again.values()

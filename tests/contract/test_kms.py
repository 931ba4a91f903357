"""Our statement in a customer key's policy: others' statements stay, and one that is overwritten is noticed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from securebase.core.driver import Depth, Observed, Target
from securebase.core.errors import Denied, ReferenceNotFound, Terminal, Transient
from securebase.core.graph import Ref
from securebase.resources.kms.driver import KeyStatementDriver
from securebase.resources.kms.model import KeyStatement
from tests.contract.harness import Contract, Lab, check_contract, delete, differences, eventually, in_sync, observe, settled, write

PLAIN = pytest.mark.parametrize("lab", ["plain"], indirect=True)

CLOUDWATCH = frozenset({"cloudwatch.amazonaws.com"})


def made_key(lab: Lab) -> str:
    administrators = {"Sid": "Administrators", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{lab.account}:root"}, "Action": "kms:*", "Resource": "*"}
    arn: str = lab.raw("kms").create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": [administrators]}))["KeyMetadata"]["Arn"]
    return arn


def wanted(lab: Lab, key: str) -> KeyStatement:
    return KeyStatement(key, CLOUDWATCH, frozenset({f"arn:aws:cloudwatch:us-east-1:{lab.account}:alarm:*"}))


def driver_of(lab: Lab) -> KeyStatementDriver:
    return KeyStatementDriver(lab.scope("us-east-1"), lab.clock)


def made(lab: Lab) -> tuple[KeyStatementDriver, Target[KeyStatement]]:
    driver = driver_of(lab)
    target = lab.target(driver.type, wanted(lab, made_key(lab)), node="key-1234")
    return driver, replace(target, external_id=driver.create(target, "t").external_id)


def policy(lab: Lab, key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.raw("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    return found


def put(lab: Lab, key: str, document: dict[str, Any]) -> None:
    lab.raw("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(document))


def test_lives_as_promised(lab: Lab) -> None:
    want = wanted(lab, made_key(lab))
    changes = {
        "another principal": replace(want, principals=frozenset({"cloudwatch.amazonaws.com", "budgets.amazonaws.com"})),
        "no sources": replace(want, sources=frozenset()),
    }

    def drift(seen: Observed[KeyStatement]) -> None:
        document = policy(lab, want.key)
        document["Statement"][1]["Action"] = "kms:Decrypt"
        put(lab, want.key, document)

    check_contract(lab, Contract(KeyStatementDriver, want, changes, drift, "principals"))


@PLAIN
def test_others_statements_stay(lab: Lab) -> None:
    driver, target = made(lab)
    ours = policy(lab, target.want().key)["Statement"][1]
    assert ours["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
    assert ours["Condition"]["StringEquals"] == {"aws:SourceAccount": lab.account}
    delete(driver, target)
    [left] = policy(lab, target.want().key)["Statement"]
    assert left["Sid"] == "Administrators"


def test_two_objects_have_a_statement_each(lab: Lab) -> None:
    driver, one = made(lab)
    other = lab.target(driver.type, one.want(), node=one.node)
    driver.create(other, "t")
    assert len(policy(lab, one.want().key)["Statement"]) == 3
    delete(driver, one)
    assert in_sync(other)(observe(driver, other))


@PLAIN
def test_an_altered_statement_is_drift(lab: Lab) -> None:
    driver, target = made(lab)
    document = policy(lab, target.want().key)
    del document["Statement"][1]["Condition"]
    put(lab, target.want().key, document)
    seen = eventually(lambda: observe(driver, target), lambda seen: not in_sync(target)(seen), "drift seen")
    assert [change.path for change in differences(target, seen)] == ["principals", "sources"]
    write(driver, target)
    settled(driver, target)


class _Intruder:
    """Puts a policy of its own over each that is written."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._scope = lab.scope("us-east-1")
        self.account_id, self.region, self.partition = self._scope.account_id, self._scope.region, self._scope.partition

    def attempt(self, service: str, operation: str, expect: Any, /, **params: Any) -> Any:
        before = policy(self._lab, params["KeyId"]) if operation == "put_key_policy" else {}
        answer = self._scope.attempt(service, operation, expect, **params)
        if before:
            put(self._lab, params["KeyId"], {**before, "Id": "theirs"})
        return answer


@PLAIN
def test_an_overwritten_write_is_noticed(lab: Lab) -> None:
    intruder: Any = _Intruder(lab)
    driver = KeyStatementDriver(intruder, lab.clock)
    with pytest.raises(Transient, match="ChangedMeanwhile"):
        driver.create(lab.target(driver.type, wanted(lab, made_key(lab))), "t")


@PLAIN
def test_keys_that_cannot_be_changed_are_told(lab: Lab) -> None:
    driver = driver_of(lab)
    gone = lab.target(driver.type, wanted(lab, f"arn:aws:kms:us-east-1:{lab.account}:key/12345678-1234-1234-1234-123456789012"))
    assert observe(driver, gone) is None
    with pytest.raises(ReferenceNotFound, match="does not exist"):
        driver.create(gone, "t")
    theirs = lab.target(driver.type, wanted(lab, "arn:aws:kms:us-east-1:111122223333:key/12345678-1234-1234-1234-123456789012"))
    with pytest.raises(Terminal, match="KeyOfAnotherAccount"):
        driver.create(theirs, "t")
    alias = lab.target(driver.type, wanted(lab, "alias/aws/sns"))
    with pytest.raises(Terminal, match="is not the ARN of a key"):
        driver.create(alias, "t")


@PLAIN
def test_a_key_on_its_way_out_lets_go(lab: Lab) -> None:
    driver, target = made(lab)
    seen = settled(driver, target)
    lab.control.fail("kms", "PutKeyPolicy", "KMSInvalidStateException", 400, account=lab.account)
    with pytest.raises(Terminal, match="KeyUnusable"):
        driver.update(replace(target, desired=replace(target.want(), sources=frozenset())), seen, ())
    delete(driver, target)


@PLAIN
def test_a_sweep_reads_few_policies(lab: Lab) -> None:
    driver = driver_of(lab)
    targets = [lab.target(driver.type, wanted(lab, made_key(lab))) for _ in range(12)]
    driver.observe(targets, Depth.SWEEP)
    before = len(lab.control.log.reads("kms"))
    assert set(driver.observe(targets, Depth.SWEEP).values()) == {None}
    assert len(lab.control.log.reads("kms")) - before <= 5


@PLAIN
def test_unresolved_and_refused(lab: Lab) -> None:
    driver = driver_of(lab)
    assert observe(driver, lab.target(driver.type, wanted(lab, Ref("x", "arn")))) is None
    key = made_key(lab)
    lab.control.fail("kms", "*", "AccessDeniedException", 400, account=lab.account)
    for depth in Depth:
        with pytest.raises(Denied):
            observe(driver, lab.target(driver.type, wanted(lab, key)), depth)

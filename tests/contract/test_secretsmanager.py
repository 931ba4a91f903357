"""Secrets with generated values: generated once, read once a version, deleted with a way back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from uuid import uuid4

import pytest

from securebase.core.driver import Depth, Observed, State, Target
from securebase.core.errors import Denied, Terminal
from securebase.core.fields import SecretValue
from securebase.core.graph import Ref
from securebase.core.identity import OWNER_TAG
from securebase.resources.secretsmanager.driver import LONGEST, SHORTEST, TOKEN_CHARACTERS, ManagedSecretDriver, generated, key_as_wanted, password_in
from securebase.resources.secretsmanager.model import ManagedSecret
from tests.contract.harness import Contract, Lab, check_contract, delete, differences, eventually, observe, settled, write

TOKEN = "0123456789abcdef0123456789abcdef"


def secret(name: str = "") -> ManagedSecret:
    return ManagedSecret(name=name or f"cache/{uuid4().hex[:10]}", tags={"team": "web"}, username="app", description="of a cache")


def driver_of(lab: Lab) -> ManagedSecretDriver:
    return ManagedSecretDriver(lab.scope("us-east-1"), lab.clock)


def made(lab: Lab, desired: ManagedSecret) -> tuple[ManagedSecretDriver, Target[ManagedSecret], Observed[ManagedSecret]]:
    driver = driver_of(lab)
    target = lab.target(driver.type, desired)
    first = eventually(lambda: driver.create(target, TOKEN), lambda _: True, "made")
    target = replace(target, external_id=first.external_id)
    return driver, target, settled(driver, target)


def value(lab: Lab, arn: str) -> Mapping[str, str]:
    found: Mapping[str, str] = json.loads(lab.raw("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])
    return found


def reads_of_values(lab: Lab) -> int:
    return lab.control.log.counts(lambda record: record.account == lab.account).get(("secretsmanager", "GetSecretValue"), 0)


def test_lives_as_promised(lab: Lab) -> None:
    wanted = secret()
    changes = {
        "description": replace(wanted, description="another"),
        "no description": replace(wanted, description=""),
        "key": replace(wanted, kms_key="alias/cache"),
        "tag value": replace(wanted, tags={"team": "platform"}),
    }

    def drift(seen: Observed[ManagedSecret]) -> None:
        lab.raw("secretsmanager").update_secret(SecretId=seen.external_id, Description="somebody's")

    check_contract(lab, Contract(ManagedSecretDriver, wanted, changes, drift, "description"))


def test_generates_its_first_value_once(lab: Lab) -> None:
    _, target, seen = made(lab, secret())
    there = value(lab, target.external_id)
    assert there.keys() == {"username", "password"} and there["username"] == "app"
    assert len(there["password"]) == 64 and set(there["password"]) <= set(TOKEN_CHARACTERS)
    version = seen.attributes["currentVersion"]
    assert seen.attributes == {"arn": target.external_id, "name": target.want().name, "currentVersion": version}
    assert (seen.secrets["password"].value, seen.secrets["password"].version) == (there["password"], version)
    assert there["password"] not in repr(seen)
    again = eventually(lambda: driver_of(lab).create(target, TOKEN), lambda _: True, "made again, by a process that knows nothing")
    assert again.secrets == seen.secrets
    assert value(lab, target.external_id) == there


def test_its_first_version_is_the_token(lab: Lab) -> None:
    _, _, seen = made(lab, secret())
    assert seen.attributes["currentVersion"] == TOKEN


@pytest.mark.parametrize("depth", Depth)
def test_another_current_version_is_read_once(lab: Lab, depth: Depth) -> None:
    driver, target, made_so = made(lab, secret())
    first = made_so.attributes["currentVersion"]
    settled(driver, target, depth)
    client = lab.raw("secretsmanager")
    pending = client.put_secret_value(
        SecretId=target.external_id, SecretString=json.dumps({"username": "app", "password": "second"}), VersionStages=["AWSPENDING"]
    )["VersionId"]
    assert settled(driver, target, depth).attributes["currentVersion"] == first, "a pending version is not current"
    client.update_secret_version_stage(SecretId=target.external_id, VersionStage="AWSCURRENT", MoveToVersionId=pending, RemoveFromVersionId=first)

    def minutes_later() -> Observed[ManagedSecret] | None:
        lab.clock.advance(61.0)
        return observe(driver, target, depth)

    seen = eventually(minutes_later, lambda found: found is not None and found.attributes["currentVersion"] == pending, f"the new version shows ({depth})")
    assert seen is not None
    assert (seen.secrets["password"].value, seen.secrets["password"].version) == ("second", pending)
    assert differences(target, seen) == (), "a value is never compared"
    before = reads_of_values(lab)
    for each in (*Depth, *Depth):
        settled(driver, target, each)
    assert reads_of_values(lab) == before


@pytest.mark.parametrize("text", ["plain", "[]", '{"password": 5}', '{"password": ""}', "{}"])
def test_a_value_without_a_password_is_told(lab: Lab, text: str) -> None:
    driver, target, _ = made(lab, secret())
    lab.raw("secretsmanager").put_secret_value(SecretId=target.external_id, SecretString=text)
    seen = eventually(lambda: observe(driver, target), lambda found: found is not None and found.state is State.FAILED, "told")
    assert seen is not None and seen.reason == "UnreadableValue" and not seen.secrets


def test_a_secret_without_a_version_is_told(lab: Lab) -> None:
    driver = driver_of(lab)
    target = lab.target(driver.type, secret())
    lab.raw("secretsmanager").create_secret(Name=target.want().name, Tags=[{"Key": OWNER_TAG, "Value": target.owner}])
    seen = observe(driver, target)
    assert seen is not None and (seen.state, seen.reason) == (State.FAILED, "NoValue")


def test_what_somebody_else_deletes_is_restored_with_its_value(lab: Lab) -> None:
    driver, target, first = made(lab, secret())
    lab.raw("secretsmanager").delete_secret(SecretId=target.external_id, RecoveryWindowInDays=7)
    eventually(lambda: observe(driver, target), lambda found: found is None, "gone")
    eventually(lambda: driver.create(replace(target, external_id=""), TOKEN), lambda _: True, "restored")
    assert settled(driver, target).secrets == first.secrets


def test_what_is_let_go_but_not_deleted_yet_has_no_value(lab: Lab) -> None:
    driver, target, first = made(lab, secret())
    lab.control.fail("secretsmanager", "DeleteSecret", "AccessDeniedException", 403, account=lab.account)
    with pytest.raises(Denied):
        driver.delete(target, first)
    lab.control.clear_rules()
    seen = observe(driver, target)
    assert seen is not None and not seen.secrets and "currentVersion" not in seen.attributes
    assert write(driver, target).secrets != first.secrets
    delete(driver, target)
    eventually(lambda: observe(driver, target), lambda found: found is None, "gone")


def test_deleted_by_us_it_comes_back_with_another_value(lab: Lab) -> None:
    driver, target, first = made(lab, secret())
    lab.raw("secretsmanager").tag_resource(SecretId=target.external_id, Tags=[{"Key": "securebase.io/token-alone", "Value": "v"}])
    delete(driver, target)
    described = lab.raw("secretsmanager").describe_secret(SecretId=target.external_id)
    assert 6.9 < (described["DeletedDate"].timestamp() - described["CreatedDate"].timestamp()) / 86400 < 7.1
    eventually(lambda: observe(driver, target), lambda found: found is None, "gone")
    moved = replace(target, external_id="", desired=replace(target.want(), description="again", tags={"team": "new"}))
    again = eventually(lambda: driver.create(moved, TOKEN.replace("0", "f")), lambda _: True, "restored")
    assert again.external_id == target.external_id
    renewed = settled(driver, moved)
    assert renewed.secrets and renewed.secrets != first.secrets
    tags = {tag["Key"] for tag in lab.raw("secretsmanager").describe_secret(SecretId=target.external_id)["Tags"]}
    assert tags == {OWNER_TAG, "team"}, "nothing is noted any more of the value before"


def test_a_name_that_another_left_behind_is_not_taken(lab: Lab) -> None:
    driver = driver_of(lab)
    target = lab.target(driver.type, secret())
    client = lab.raw("secretsmanager")
    client.create_secret(Name=target.want().name, SecretString="theirs")
    with pytest.raises(Terminal, match=r"NameTaken.*exists, and is not ours"):
        driver.create(target, TOKEN)
    client.delete_secret(SecretId=target.want().name, RecoveryWindowInDays=7)
    assert observe(driver, target) is None
    with pytest.raises(Terminal, match=r"NameTaken.*waits for its deletion"):
        driver.create(target, TOKEN)


def test_what_is_not_ours_is_not_read(lab: Lab) -> None:
    driver = driver_of(lab)
    target = lab.target(driver.type, secret())
    lab.raw("secretsmanager").create_secret(Name=target.want().name, SecretString=json.dumps({"username": "app", "password": "theirs"}))
    seen = observe(driver, target)
    assert seen is not None and (seen.owner, dict(seen.secrets)) == ("", {})
    assert reads_of_values(lab) == 0
    driver.adopt(target, seen)
    adopted = write(driver, target)
    assert adopted.secrets == {"password": SecretValue("theirs", adopted.attributes["currentVersion"])}


def test_denied_is_not_absent(lab: Lab) -> None:
    driver, target, _ = made(lab, secret())
    lab.control.fail("secretsmanager", "DescribeSecret", code="AccessDeniedException", status=400, account=lab.account)
    for each in (target, replace(target, external_id="")):
        with pytest.raises(Denied, match="secretsmanager:DescribeSecret"):
            observe(driver, each)


def test_is_found_by_its_identity(lab: Lab) -> None:
    _, target, _ = made(lab, secret())
    lab.clock.advance(61.0)
    eventually(lambda: driver_of(lab).owned(target.identity), lambda found: found == {target.node: target.external_id}, "found")
    assert driver_of(lab).owned(replace(target.identity, name="other")) == {}


def test_a_name_that_is_not_known_yet_is_nowhere(lab: Lab) -> None:
    driver = driver_of(lab)
    target = lab.target(driver.type, secret(f"{Ref('group', 'id')}/x"))
    assert observe(driver, target) is None and not driver.locatable(target)


def test_generated_passwords_are_fit_for_an_auth_token() -> None:
    assert len({generated(SHORTEST) for _ in range(50)}) == 50
    assert {len(generated(LONGEST)) for _ in range(3)} == {128}
    for length in (SHORTEST - 1, LONGEST + 1):
        with pytest.raises(Terminal, match="32 to 128"):
            generated(length)


@pytest.mark.parametrize(
    ("want", "have", "same"),
    [
        ("", "", True),
        ("", "alias/aws/secretsmanager", True),
        ("alias/aws/secretsmanager", "", True),
        ("alias/cache", "arn:aws:kms:eu-west-1:111111111111:alias/cache", True),
        ("arn:aws:kms:eu-west-1:111111111111:key/1234", "1234", True),
        ("1234", "arn:aws:kms:eu-west-1:111111111111:key/1234", True),
        ("", "arn:aws:kms:eu-west-1:111111111111:key/1234", False),
        ("alias/cache", "alias/other", False),
    ],
)
def test_a_key_has_many_spellings(want: str, have: str, same: bool) -> None:
    assert (key_as_wanted(want, have) == want) is same


@pytest.mark.parametrize(("text", "password"), [('{"password": "x"}', "x"), ("", ""), ("null", ""), ('"password"', "")])
def test_the_password_of_a_value(text: str, password: str) -> None:
    assert password_in(text) == password

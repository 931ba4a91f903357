"""What a given topic's policy says to alarms: yes, no, or nothing that can be told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from securebase.resources.sns.given import judged
from securebase.resources.sns.given_policy import Publisher, Verdict, may_publish

OURS, THEIRS = "111122223333", "444455556666"
TOPIC = f"arn:aws:sns:eu-central-1:{THEIRS}:ops"
US = Publisher("aws", "eu-central-1", OURS, TOPIC)
ALARMS = f"arn:aws:cloudwatch:eu-central-1:{OURS}:alarm:*"
SERVICE = {"Service": "cloudwatch.amazonaws.com"}
NO, UNKNOWN, YES = Verdict


def allow(condition: Any = None, **more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {"Effect": "Allow", "Principal": SERVICE, "Action": "SNS:Publish", "Resource": TOPIC}
    return {name: value for name, value in {**base, "Condition": condition, **more}.items() if value is not None}


def deny(condition: Any = None, **more: Any) -> dict[str, Any]:
    return allow(condition, **{"Effect": "Deny", "Principal": "*", **more})


CASES: list[tuple[str, list[Any], Verdict]] = [
    ("the service", [allow()], YES),
    ("nothing", [], NO),
    ("the default of our account", [allow({"StringEquals": {"AWS:SourceOwner": OURS}}, Principal={"AWS": "*"})], YES),
    ("the default of another account", [allow({"StringEquals": {"AWS:SourceOwner": THEIRS}}, Principal={"AWS": "*"})], NO),
    ("our account as source", [allow({"StringEquals": {"aws:SourceAccount": [THEIRS, OURS]}})], YES),
    ("another account as source", [allow({"StringEquals": {"aws:SourceAccount": THEIRS}})], NO),
    ("a pattern of accounts", [allow({"StringLike": {"aws:SourceAccount": "1111*"}})], YES),
    ("if it exists", [allow({"StringEqualsIfExists": {"aws:SourceAccount": THEIRS}})], NO),
    ("all but another account", [allow({"StringNotEquals": {"aws:SourceAccount": THEIRS}})], YES),
    ("our alarms", [allow({"ArnLike": {"aws:SourceArn": ALARMS}})], YES),
    ("our alarms, said otherwise", [allow({"ArnEquals": {"aws:SourceArn": f"arn:aws:cloudwatch:*:{OURS}:alarm:*"}})], YES),
    ("our alarms as text", [allow({"StringLike": {"aws:SourceArn": f"arn:*:cloudwatch:*:{OURS}:*"}})], YES),
    ("a pattern read literally", [allow({"StringEquals": {"aws:SourceArn": ALARMS}})], NO),
    ("some of our alarms", [allow({"ArnLike": {"aws:SourceArn": ALARMS.replace(":alarm:*", ":alarm:web-*")}})], UNKNOWN),
    ("one alarm", [allow({"StringEquals": {"aws:SourceArn": ALARMS.replace("*", "web")}})], UNKNOWN),
    ("alarms of another region", [allow({"ArnLike": {"aws:SourceArn": ALARMS.replace("eu-central-1", "eu-west-1")}})], NO),
    ("alarms of another account", [allow({"ArnLike": {"aws:SourceArn": ALARMS.replace(OURS, THEIRS)}})], NO),
    ("buckets", [allow({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::logs"}})], NO),
    ("an ARN that is none", [allow({"ArnLike": {"aws:SourceArn": "*"}})], UNKNOWN),
    ("an organisation", [allow({"StringEquals": {"aws:SourceOrgID": "o-1"}})], UNKNOWN),
    ("a variable", [allow({"StringEquals": {"aws:SourceAccount": "${aws:ResourceAccount}"}})], UNKNOWN),
    ("an operator nobody knows", [allow({"StringRhymes": {"aws:SourceAccount": OURS}})], UNKNOWN),
    ("a number for an account", [allow({"StringEquals": {"aws:SourceAccount": 111122223333}})], UNKNOWN),
    ("another service", [allow(Principal={"Service": "events.amazonaws.com"})], NO),
    ("a role of theirs", [allow(Principal={"AWS": f"arn:aws:iam::{THEIRS}:role/x"})], NO),
    ("our account, not the service", [allow(Principal={"AWS": f"arn:aws:iam::{OURS}:root"})], UNKNOWN),
    ("everybody but", [allow(Principal=None, NotPrincipal={"AWS": THEIRS})], UNKNOWN),
    ("reading only", [allow(Action=["sns:GetTopicAttributes", "sns:Subscribe"])], NO),
    ("a pattern of actions", [allow(Action="sns:P*")], YES),
    ("all actions but one", [allow(Action=None, NotAction="sns:DeleteTopic")], YES),
    ("another topic", [allow(Resource=f"{TOPIC}2")], NO),
    ("every topic", [allow(Resource=["*"])], YES),
    ("TLS only", [allow(), deny({"Bool": {"aws:SecureTransport": "false"}})], YES),
    ("TLS only, as a boolean", [allow(), deny({"Bool": {"aws:SecureTransport": False}})], YES),
    ("denied to people only", [allow(), deny({"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}})], YES),
    ("denied to all", [allow(), deny()], NO),
    ("denied to other sources", [allow(), deny({"StringNotEquals": {"aws:SourceAccount": OURS}})], YES),
    ("denied to us by source", [allow(), deny({"StringNotEquals": {"aws:SourceAccount": THEIRS}})], NO),
    ("denied outside an organisation", [allow(), deny({"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}})], UNKNOWN),
    ("a source must be told", [allow({"Null": {"aws:SourceArn": "false"}})], YES),
    ("one no, one yes", [allow({"StringEquals": {"aws:SourceAccount": THEIRS}}), allow()], YES),
    ("no statement", ["?"], UNKNOWN),
]


@pytest.mark.parametrize(("statements", "verdict"), [pytest.param(said, verdict, id=name) for name, said, verdict in CASES])
def test_policies(statements: list[Any], verdict: Verdict) -> None:
    assert may_publish(json.dumps({"Version": "2012-10-17", "Statement": statements}), US) is verdict


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "7", '{"Statement": "x"}', '{"Statement": [{"Effect": "Allow", "Condition": 3}]}'])
def test_what_is_no_policy_is_no_no(text: str) -> None:
    assert may_publish(text, US) is not Verdict.YES
    if "Allow" in text or not text.startswith("{"):
        assert may_publish(text, US) is Verdict.UNKNOWN


def test_a_single_statement_needs_no_list() -> None:
    assert may_publish(json.dumps({"Statement": allow()}), US) is YES


@pytest.mark.parametrize("key", ["alias/aws/sns", f"arn:aws:kms:eu-central-1:{OURS}:alias/aws/sns"])
def test_the_key_of_sns_itself_drops_alarms(key: str) -> None:
    policy = json.dumps({"Statement": [allow()]})
    assert judged(TOPIC, {"Policy": policy, "KmsMasterKeyId": key}, US).reason == "TopicKey"
    assert judged(TOPIC, {"Policy": policy, "KmsMasterKeyId": "alias/alarms"}, US).reason == ""

"""The statement that lets services publish."""

from __future__ import annotations

import json

import pytest

from securebase.resources.sns.policy import PUBLISHERS_SID, publish_statement, publishers_and_sources
from securebase.resources.statements import with_statement

ARN = "arn:aws:sns:us-east-1:111111111111:alarms"
SERVICES = frozenset({"cloudwatch.amazonaws.com", "events.amazonaws.com"})
STATEMENT = publish_statement(ARN, SERVICES)


def test_only_the_topics_own_account_may_publish() -> None:
    assert STATEMENT["Condition"] == {"StringEquals": {"aws:SourceAccount": "111111111111"}}


@pytest.mark.parametrize("services", [SERVICES, frozenset({"cloudwatch.amazonaws.com"})])
def test_services_are_read_back(services: frozenset[str]) -> None:
    document = with_statement({"Version": "2008-10-17", "Statement": [{"Sid": "__default_statement_ID"}]}, PUBLISHERS_SID, publish_statement(ARN, services))
    assert publishers_and_sources(ARN, json.dumps(document)) == (services, frozenset())


@pytest.mark.parametrize("altered", [{"Condition": {}}, {"Action": "sns:*"}, {"Principal": "*"}, {"Effect": "Deny"}])
def test_an_altered_statement_is_not_the_same(altered: dict[str, object]) -> None:
    found, _ = publishers_and_sources(ARN, json.dumps({"Statement": [{**STATEMENT, **altered}]}))
    assert found != SERVICES
    assert "(statement altered)" in found


def test_no_policy_lets_nobody_publish() -> None:
    nobody: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
    assert publishers_and_sources(ARN, "") == nobody == publishers_and_sources(ARN, json.dumps({"Statement": []}))

"""A document that several statements of ours are in: reads that lag, and others' writes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from securebase.core.errors import Transient
from securebase.resources.kms.model import KeyStatement, problems
from securebase.resources.policy_documents import Policy, PolicyDocument, PolicyDocuments

OURS = {"Effect": "Allow", "Action": "kms:Decrypt"}


class Store:
    """A policy whose reads may lag one write behind."""

    def __init__(self) -> None:
        self.texts: list[str] = [json.dumps({"Statement": [{"Sid": "Theirs", "Effect": "Allow"}]})]
        self.lag = 0
        self.now = 0.0

    def read(self) -> Policy:
        text: dict[str, Any] = json.loads(self.texts[max(len(self.texts) - 1 - self.lag, 0)])
        return text

    def write(self, policy: Policy) -> None:
        self.texts.append(json.dumps(policy))

    def clock(self) -> float:
        return self.now

    def edit(self, document: PolicyDocument, sid: str, statement: dict[str, Any] | None) -> Policy:
        return document.edit(sid, statement, self.read, self.write, self.clock)


def sids(policy: Policy) -> list[str]:
    return [each["Sid"] for each in (policy or {})["Statement"]]


def test_a_read_that_lags_loses_nothing() -> None:
    store, document = Store(), PolicyDocument("the policy")
    store.lag = 1
    store.edit(document, "A", OURS)
    assert sids(store.edit(document, "B", OURS)) == ["Theirs", "A", "B"]
    assert sids(json.loads(store.texts[-1])) == ["Theirs", "A", "B"]


def test_nothing_is_written_twice() -> None:
    store, document = Store(), PolicyDocument("the policy")
    store.edit(document, "A", OURS)
    store.edit(document, "A", OURS)
    assert len(store.texts) == 2
    assert sids(store.edit(document, "A", None)) == ["Theirs"]


def test_somebody_elses_write_is_noticed() -> None:
    store, document = Store(), PolicyDocument("the policy of x")

    def overwritten(policy: Policy) -> None:
        store.write(policy)
        store.write({"Statement": [{"Sid": "Other"}]})

    with pytest.raises(Transient, match="the policy of x was changed by somebody else while statement A"):
        document.edit("A", OURS, store.read, overwritten, store.clock)


def test_one_document_a_holder() -> None:
    documents = PolicyDocuments()
    assert documents.get("a", "x") is documents.get("a", "x")
    assert documents.get("a", "x") is not documents.get("b", "x")


def test_what_kms_cannot_do_is_told() -> None:
    key = "arn:aws:kms:us-east-1:111111111111:key/1"
    assert not list(problems(KeyStatement(key, frozenset({"cloudwatch.amazonaws.com"}))))
    assert len(list(problems(KeyStatement("alias/aws/sns", frozenset())))) == 2
    assert "EventBridge" in next(problems(KeyStatement(key, frozenset({"events.amazonaws.com"}))))

"""Policy documents: one spelling for one meaning, and others' statements left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securebase.core.graph import Ref, references
from securebase.resources.s3.model import PolicyStatement
from securebase.resources.statements import canonical, named, parsed, same, statements, with_statement, without_statement

BASE: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
    "Action": ["s3:GetObject", "s3:ListBucket"],
    "Resource": "arn:aws:s3:::b/*",
    "Condition": {"Bool": {"aws:SecureTransport": True}},
}


@pytest.mark.parametrize(
    "spelled",
    [
        {**BASE, "Action": ["s3:ListBucket", "s3:GetObject"]},
        {**BASE, "Action": ["s3:ListBucket", "s3:GetObject", "s3:GetObject"]},
        {**BASE, "Resource": ["arn:aws:s3:::b/*"]},
        {**BASE, "Principal": {"AWS": "111111111111"}},
        {**BASE, "Principal": {"AWS": ["111111111111"]}},
        {**BASE, "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        dict(reversed(BASE.items())),
    ],
)
def test_one_meaning_has_one_spelling(spelled: dict[str, Any]) -> None:
    assert canonical(spelled) == canonical(BASE)
    assert same(json.dumps(spelled), json.dumps(BASE))


@pytest.mark.parametrize(
    "other",
    [
        {**BASE, "Effect": "Deny"},
        {**BASE, "Action": "s3:GetObject"},
        {**BASE, "Principal": "*"},
        {**BASE, "Principal": {"AWS": "arn:aws:iam::111111111111:role/root"}},
        {key: value for key, value in BASE.items() if key != "Condition"},
    ],
)
def test_another_meaning_is_seen(other: dict[str, Any]) -> None:
    assert canonical(other) != canonical(BASE)


_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8)
_values = st.one_of(_texts, st.lists(_texts, min_size=1, max_size=4))
_statements = st.dictionaries(_texts, st.one_of(_values, st.dictionaries(_texts, _values, max_size=3)), min_size=1, max_size=4)


@given(_statements)
def test_the_spelling_is_its_own_spelling(statement: dict[str, Any]) -> None:
    text = canonical(statement)
    assert canonical(parsed(text)) == text


def test_references_inside_stay_readable() -> None:
    statement = {"Effect": "Allow", "Condition": {"StringEquals": {"AWS:SourceArn": Ref("distribution", "arn")}}}
    document = PolicyStatement.of("bucket", "Sid1", {"Sid": "ignored", **statement}).document
    assert list(references(document)) == [("distribution", "arn")]
    assert "Sid" not in parsed(document)


_documents = st.lists(st.tuples(st.sampled_from(["Ours", "A", "B", None]), _statements), max_size=5)


@given(_documents, _statements)
def test_others_stay_in_place(entries: list[tuple[str | None, dict[str, Any]]], ours: dict[str, Any]) -> None:
    document = {"Version": "2008-10-17", "Statement": [{**body, **({"Sid": sid} if sid else {})} for sid, body in entries]}
    others = [each for each in statements(document) if each.get("Sid") != "Ours"]
    put = with_statement(document, "Ours", ours)
    assert [each for each in statements(put) if each.get("Sid") != "Ours"] == others
    assert named(put, "Ours") == {**ours, "Sid": "Ours"}
    assert sum(each.get("Sid") == "Ours" for each in statements(put)) == 1
    assert put["Version"] == "2008-10-17"
    left = without_statement(put, "Ours")
    assert (left["Statement"] if left else []) == others


def test_a_document_of_one_statement_needs_no_list() -> None:
    put = with_statement({"Statement": {**BASE, "Sid": "Theirs"}}, "Ours", BASE)
    assert [each["Sid"] for each in statements(put)] == ["Theirs", "Ours"]


def test_a_new_document_has_the_current_version() -> None:
    assert with_statement(None, "Ours", BASE)["Version"] == "2012-10-17"


def test_what_is_no_object_is_no_statement() -> None:
    with pytest.raises(TypeError):
        parsed("[]")

"""How record names are spelled, and how ownership is written down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securebase.resources.route53.zones import by_key, owner_in, owner_name, owner_text, plain


@pytest.mark.parametrize(
    ("spelled", "name"),
    [("Example.COM.", "example.com"), ("\\052.example.com.", "*.example.com"), ("_sb\\055a.example.com", "_sb-a.example.com"), ("", "")],
)
def test_plain_names(spelled: str, name: str) -> None:
    assert plain(spelled) == name


@pytest.mark.parametrize(
    ("name", "type_", "owner"),
    [
        ("www.example.com", "A", "_sb-owner-a.www.example.com"),
        ("*.example.com.", "AAAA", "_sb-owner-aaaa._wildcard.example.com"),
        ("example.com", "CNAME", "_sb-owner-cname.example.com"),
    ],
)
def test_the_owner_record_stands_below_the_name(name: str, type_: str, owner: str) -> None:
    assert owner_name(name, type_) == owner


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=600))
def test_an_owner_comes_back_as_written(owner: str) -> None:
    text = owner_text(owner)
    assert owner_in({"ResourceRecords": [{"Value": text}]}) == owner


def test_a_text_is_cut_where_route_53_wants_it() -> None:
    assert [len(part) for part in owner_text("x" * 400).split(" ")] == [257, 167]


@pytest.mark.parametrize("record", [None, {}, {"ResourceRecords": [{"Value": '"heritage=external-dns,external-dns/owner=me"'}]}])
def test_others_marks_are_no_owner_of_ours(record: dict[str, object] | None) -> None:
    assert owner_in(record) == ""


def test_a_routing_policy_shows_as_several_sets() -> None:
    sets = [{"Name": "a.example.com.", "Type": "A", "SetIdentifier": id} for id in ("1", "2")]
    assert by_key(sets) == {("a.example.com", "A"): sets}

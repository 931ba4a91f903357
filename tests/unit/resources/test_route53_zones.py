"""How record names are spelled, and how ownership is written down."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securebase.clients.aws import AwsScope
from securebase.resources.route53.zones import RecordSet, ZoneReader, by_key, owner_in, owner_name, owner_text, plain


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


class Outside:
    """A zone of somebody else's many records, one of them `_ours`."""

    def __init__(self) -> None:
        self.reads = 0

    def attempt(self, service: str, operation: str, expect: Collection[str], /, **params: Any) -> dict[str, Any]:
        self.reads += 1
        names = ["example.com.", "_ours.example.com.", *(f"w{at}.example.com." for at in range(50))]
        sets = [{"Name": name, "Type": "SOA" if name == "example.com." else "CNAME"} for name in names]
        return {"ResourceRecordSets": sets, "IsTruncated": False}


def kept(reader: ZoneReader) -> int:
    """How many sets the reader itself still holds."""
    return sum(len(listing.get(float("inf"))) for listing in reader._listings.values())


def validates(record: RecordSet) -> bool:
    return bool(record["Name"].startswith("_"))


@pytest.mark.parametrize(("every", "reads", "held"), [(1, 4, 0), (3, 2, 2)])
def test_little_of_a_zone_outlives_its_sweep(every: int, reads: int, held: int) -> None:
    outside = Outside()
    keep = bool if every == 1 else validates
    reader = ZoneReader(cast(AwsScope, outside), lambda: 0.0 + outside.reads, every, keep)
    for _ in range(4):
        found = reader.sweep("Z1", {"_ours.example.com": ()})
        assert found is not None and ("_ours.example.com", "CNAME") in found
    assert (outside.reads, kept(reader)) == (reads, held)

"""Leaves, paths and grafts of desired values."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from securebase.core.diff import Applied, diff
from securebase.core.fields import UNMANAGED, Paths, SecretValue, graft, leaves, managed
from tests.unit.core.fake import Item, Thing, thing

KEY = b"key"

items = st.lists(st.builds(Item, st.sampled_from("abcd"), st.integers(0, 3)), max_size=4, unique_by=lambda item: item.id).map(tuple)
things = st.builds(
    thing,
    st.just("name"),
    color=st.sampled_from(["red", "blue"]),
    speed=st.integers(0, 2),
    items=items,
    tags=st.dictionaries(st.sampled_from(["team", "cost"]), st.sampled_from(["1", "2"]), max_size=2),
    password=st.none() | st.builds(SecretValue, st.sampled_from(["s3cret", "t0psecret"]), st.sampled_from(["1", "2"])),
)


@given(things, things)
def test_a_diff_is_empty_exactly_when_the_managed_leaves_are_equal(want: Thing, have: Thing) -> None:
    applied = Applied.of(want, KEY)
    have = replace(have, tags={name: have.tags.get(name, value) for name, value in want.tags.items()})
    changed = {change.path for change in diff(want, have, applied, KEY)}
    wanted, there = leaves(want), leaves(have)
    unequal = {path for path in wanted.keys() | there.keys() if path not in wanted or path not in there or wanted[path].value != there[path].value}
    assert changed == unequal


@given(things, things)
def test_grafting_every_changed_path_gives_what_is_there(want: Thing, have: Thing) -> None:
    paths = [change.path for change in diff(want, have, Applied.of(have, KEY), KEY)]
    grafted = graft(want, have, Paths(paths))
    assert diff(grafted, have, Applied.of(have, KEY), KEY) == ()


@given(things, things)
def test_grafting_nothing_changes_nothing(want: Thing, have: Thing) -> None:
    assert graft(want, have, Paths(())) == want


@given(things)
def test_the_memory_survives_its_encoding(value: Thing) -> None:
    text = Applied.of(value, KEY).encode()
    again = Applied.decode(text)
    assert again is not None and again.encode() == text
    assert all(again.is_(KEY, path, leaf) for path, leaf in leaves(value).items())
    assert len(text) <= 8 * len(leaves(value)) + 4


@given(things)
def test_no_secret_is_in_a_memory_a_change_or_a_repr(value: Thing) -> None:
    secret = value.password.value if value.password else "-never-"
    other = replace(value, password=SecretValue("other", "9"))
    told = repr(diff(other, value, None, KEY)) + Applied.of(value, KEY).encode() + repr(value) + str(value.password)
    assert secret not in told


def test_a_damaged_memory_is_no_memory() -> None:
    assert Applied.decode("") is None and Applied.decode("%%%") is None and Applied.decode("AAAA") is None


def test_a_rotated_secret_is_pending_and_one_changed_outside_is_drift() -> None:
    first, second = SecretValue("one", "1"), SecretValue("two", "2")
    applied = Applied.of(thing("x", password=first), KEY)
    outside = thing("x", password=SecretValue("hacked", "observed"))
    rotated = diff(thing("x", password=second), thing("x", password=first), applied, KEY)
    changed = diff(thing("x", password=first), outside, applied, KEY)
    assert [change.cause.value for change in rotated] == ["PENDING"] and [change.cause.value for change in changed] == ["DRIFT"]
    assert "two" not in repr(rotated) and "hacked" not in repr(changed)


def test_an_unmanaged_field_is_neither_compared_nor_grafted() -> None:
    @dataclass(frozen=True, slots=True)
    class Box:
        header: str = managed(default="", secret=True)
        note: str = ""

    assert [change.path for change in diff(Box(UNMANAGED, "a"), Box("x", "b"), None, KEY)] == ["note"]


def test_a_path_holds_what_is_below_it_and_nothing_beside_it() -> None:
    paths = Paths(["tags", "items[a]", "color"])
    assert {"tags[x]", "tags", "items[a].size", "color"} <= {path for path in ["tags[x]", "tags", "items[a].size", "color"] if path in paths}
    assert not any(path in paths for path in ("tagsX", "items[ab].size", "colors", "items"))


def test_the_order_of_ordered_items_is_a_leaf_of_its_own() -> None:
    one, other = thing("x", items=(Item("a"), Item("b"))), thing("x", items=(Item("b"), Item("a")))
    assert [change.path for change in diff(one, other, None, KEY)] == ["items.order"]

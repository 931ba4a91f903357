"""Graphs: waves, references, and what cannot be built."""

from __future__ import annotations

import pytest

from securebase.core.graph import Graph, InvalidGraph, Ref, resolve, shown
from tests.unit.core.fake import Item, node, thing


def test_waves_follow_references_and_explicit_order() -> None:
    graph = Graph([node("c", after=frozenset({"b"})), node("b", partner=f"arn:{Ref('a', 'id')}/x"), node("a")])
    assert [[one.id for one in wave] for wave in graph.waves] == [["a"], ["b"], ["c"]]


def test_a_circle_and_an_unknown_name_and_a_double_one_are_refused() -> None:
    with pytest.raises(InvalidGraph, match="circle"):
        Graph([node("a", partner=Ref("b", "id")), node("b", partner=Ref("a", "id"))])
    with pytest.raises(InvalidGraph, match="does not have"):
        Graph([node("a", partner=Ref("nobody", "id"))])
    with pytest.raises(InvalidGraph, match="two nodes"):
        Graph([node("a"), node("a")])


def test_references_are_filled_in_wherever_they_stand() -> None:
    value = thing("x", partner=f"arn:{Ref('a', 'id')}:{Ref('b', 'arn')}", tags={"t": Ref("a", "id")}, items=(Item(Ref("a", "id")),))
    done = resolve(value, {"a": {"id": "E1"}})
    assert done.missing == {("b", "arn")}
    assert done.desired.tags == {"t": "E1"} and done.desired.items == (Item("E1"),)
    assert shown(done.desired.partner) == "arn:E1:${b.arn}"


def test_a_value_without_references_is_given_back_as_it_is() -> None:
    value = thing("x", items=(Item("a"),))
    assert resolve(value, {}).desired.items is value.items


def test_reading_waits_only_for_values_and_so_takes_fewer_waves() -> None:
    graph = Graph([node("a"), node("b", partner=Ref("a", "id")), node("c", partner=Ref("a", "id"), after=frozenset({"b"}))])
    assert [[each.id for each in wave] for wave in graph.waves] == [["a"], ["b"], ["c"]]
    assert [[each.id for each in wave] for wave in graph.reading_waves] == [["a"], ["b", "c"]]

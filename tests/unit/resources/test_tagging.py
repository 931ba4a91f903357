"""Tags: the owner apart, what a write has to change, and what a sweep costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from securebase.core.diff import Change
from securebase.core.errors import Terminal
from securebase.core.fields import Impact
from securebase.core.graph import Ref
from securebase.core.identity import OWNER_TAG, Identity
from securebase.resources.tagging import SweptTags, Tagged, TagIndex, owned_nodes, tag_list, tag_map, tags_to_put, tags_to_remove, unresolved

IDENTITY = Identity("lab", "Cdn", "web", "shop")


def test_the_owner_and_awss_own_tags_are_apart() -> None:
    tags = [{"Key": OWNER_TAG, "Value": "me"}, {"Key": "aws:cloudformation:stack-name", "Value": "x"}, {"Key": "team", "Value": "web"}]
    assert Tagged.of_list(tags) == Tagged("me", {"team": "web"})


def test_all_tags_of_a_new_resource() -> None:
    assert tag_list(tag_map("me", {"team": "web"})) == [{"Key": OWNER_TAG, "Value": "me"}, {"Key": "team", "Value": "web"}]


def test_only_what_differs_is_written_and_only_ours_is_removed() -> None:
    assert tags_to_put({"a": "1", "b": "2"}, {"a": "1", "b": "3", "theirs": "4"}) == {"b": "2"}
    changes = [Change("tags[a]", "0", "1", Impact.ONLINE), Change("tags[gone]", "x", None, Impact.ONLINE), Change("threshold", 1, 2, Impact.ONLINE)]
    assert tags_to_remove(changes, {"a": "1"}) == ["gone"]


def test_nodes_of_one_identity() -> None:
    owners = {"arn:1": IDENTITY.owner("topic"), "arn:2": Identity("lab", "Cdn", "web", "shop2").owner("topic"), "arn:3": "lab/shared"}
    assert owned_nodes(owners, IDENTITY) == {"topic": "arn:1"}


def test_a_reference_makes_a_locator_unresolved() -> None:
    assert unresolved("plain", f"in {Ref('zone', 'id')}")
    assert not unresolved("plain", "")


class _Api:
    """The tagging API and one-by-one reads over one mapping."""

    def __init__(self, indexed: dict[str, str], tags: dict[str, str]) -> None:
        self.indexed, self.tags, self.one_by_one, self.listed = indexed, tags, 0, 0
        self.refuses = False

    def pages(self, service: str, operation: str, /, **params: Any) -> list[dict[str, Any]]:
        self.listed += 1
        if self.refuses:
            raise Terminal("InvalidParameterException", "unsupported type")
        found = [{"ResourceARN": arn, "Tags": [{"Key": OWNER_TAG, "Value": owner}]} for arn, owner in self.indexed.items()]
        return [{"ResourceTagMappingList": found}]

    def read(self, arn: str) -> Tagged:
        self.one_by_one += 1
        return Tagged(self.tags[arn], {})


def swept(api: Any, clock: Callable[[], float]) -> SweptTags:
    return SweptTags(TagIndex(api, clock, "cloudwatch:alarm"), api.read, clock)


def test_a_sweep_asks_the_index_every_tenth_time_and_a_few_one_by_one() -> None:
    arns = [f"arn:{at:04}" for at in range(1000)]
    owners = {arn: f"owner of {arn}" for arn in arns}
    now = [1000.0]
    api = _Api(owners, owners)
    tags = swept(api, lambda: now[0])
    for _ in range(20):
        now[0] += 60
        assert {arn: read.value.owner for arn, read in tags.sweep(arns).items()} == owners
    assert api.listed == 2
    assert api.one_by_one == 20 * 2


def test_what_the_index_does_not_know_is_read() -> None:
    now = [1000.0]
    api = _Api({}, {"arn:1": "me"})
    api.refuses = True
    tags = swept(api, lambda: now[0])
    assert tags.sweep(["arn:1"])["arn:1"].value.owner == "me"


def test_our_own_write_is_not_undone_by_a_late_index() -> None:
    now = [1000.0]
    api = _Api({f"arn:{at}": "old" for at in range(9)}, {f"arn:{at}": "new" for at in range(9)})
    tags = swept(api, lambda: now[0])
    for at in range(9):
        tags.wrote(f"arn:{at}", Tagged("new", {}))
    now[0] += 5
    assert {read.value.owner for read in tags.sweep(list(api.tags)).values()} == {"new"}


def test_two_drivers_of_one_index_ask_it_once_and_never_in_two_sweeps() -> None:
    metric, composite = [f"arn:m{at:03}" for at in range(300)], [f"arn:c{at}" for at in range(3)]
    owners = {arn: f"owner of {arn}" for arn in (*metric, *composite)}
    now = [1000.0]
    api: Any = _Api(owners, owners)
    index = TagIndex(api, lambda: now[0], "cloudwatch:alarm")
    first, second = (SweptTags(index, api.read, lambda: now[0], few=few) for few in (100, 0))
    asked = []
    for number in range(30):
        now[0] += 60
        before = api.listed
        assert {arn: read.value.owner for arn, read in first.sweep(metric).items()} == {arn: owners[arn] for arn in metric}
        if number >= 5:  # composites that came later share it all the same
            assert second.sweep(composite).keys() == set(composite)
        asked.append(api.listed - before)
    assert sum(asked) == 3 and max(asked) == 1 and api.one_by_one == 0


def test_what_another_asked_of_the_index_shows_a_tag_that_somebody_took_away() -> None:
    now = [1000.0]
    api: Any = _Api({"arn:1": "me"}, {"arn:1": "me"})
    index = TagIndex(api, lambda: now[0], "cloudwatch:alarm")
    tags = SweptTags(index, api.read, lambda: now[0], few=0)
    assert tags.sweep(["arn:1"])["arn:1"].value.owner == "me"
    api.indexed, api.tags = {}, {"arn:1": ""}
    now[0] += 60
    index.get()
    assert tags.sweep(["arn:1"])["arn:1"].value.owner == ""

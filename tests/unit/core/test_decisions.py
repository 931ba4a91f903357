"""Gates, breakers, conditions, names: small pure decisions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securebase.core.breakers import Fights, MassDeletion, deletion_limit
from securebase.core.conditions import Condition, merged
from securebase.core.errors import Terminal
from securebase.core.fields import Impact
from securebase.core.identity import Identity
from securebase.core.policy import Changes, Gate, Policy, gate

NOW = datetime(2026, 1, 4, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("impact", "changes", "expected"),
    [
        (Impact.ONLINE, Changes.AUTO, Gate.NOW),
        (Impact.ONLINE, Changes.APPROVE, Gate.NOW),
        (Impact.ONLINE, Changes.WINDOW, Gate.NOW),
        (Impact.DISRUPTIVE, Changes.AUTO, Gate.NOW),
        (Impact.DISRUPTIVE, Changes.WINDOW, Gate.WINDOW),
        (Impact.DISRUPTIVE, Changes.APPROVE, Gate.APPROVAL),
        (Impact.REPLACE, Changes.AUTO, Gate.APPROVAL),
        (Impact.REPLACE, Changes.WINDOW, Gate.APPROVAL),
        (Impact.PROTECTION_LOSS, Changes.AUTO, Gate.APPROVAL),
    ],
)
def test_the_table_of_gates(impact: Impact, changes: Changes, expected: Gate) -> None:
    assert gate(impact, Policy(changes=changes, window=lambda _: False), NOW) is expected


def test_the_breaker_lets_a_fifth_through_and_then_wants_a_confirmation() -> None:
    clock = {"now": 0.0}
    breaker = MassDeletion(lambda: clock["now"])
    for number in range(20):
        breaker.admit("account", f"o{number}", 100 - number, confirmed=False)
    breaker.admit("account", "o3", 80, confirmed=False)  # the same again costs nothing
    with pytest.raises(Terminal, match="more than 20 of 100"):
        breaker.admit("account", "one more", 80, confirmed=False)
    breaker.admit("account", "one more", 80, confirmed=True)
    breaker.admit("other account", "o", 3, confirmed=False)
    clock["now"] = 601.0
    breaker.admit("account", "later", 80, confirmed=False)


@given(st.integers(0, 10_000))
def test_at_least_five_and_at_most_a_fifth(total: int) -> None:
    assert deletion_limit(total) == max(5, total // 5)


def test_a_fight_needs_rounds_within_the_hour() -> None:
    fights = Fights(limit=2)
    paths = frozenset({"a.color"})
    fights.repaired(paths, 0.0)
    assert fights.lost(paths, 10.0) == ()
    fights.repaired(paths, 20.0)
    assert fights.lost(paths, 30.0) == ("a.color",) and fights.lost(paths, 4000.0) == ()


def test_a_transition_time_moves_only_when_the_status_flips() -> None:
    first = merged([], [Condition("Ready", False, "Progressing", "a")], 1, "t1")
    second = merged(first, [Condition("Ready", False, "Deploying", "b")], 2, "t2")
    third = merged(second, [Condition("Ready", True, "Ready")], 2, "t3")
    assert [conditions[0]["lastTransitionTime"] for conditions in (first, second, third)] == ["t1", "t1", "t3"]
    assert second[0]["reason"] == "Deploying" and second[0]["observedGeneration"] == 2


def test_conditions_of_others_stay() -> None:
    theirs = {"type": "Audited", "status": "True", "lastTransitionTime": "t0"}
    assert theirs in merged([theirs], [Condition("Ready", True, "Ready")], 1, "t1")


names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.", min_size=1, max_size=63)


@given(names, names, names, names, st.integers(24, 128))
def test_names_and_tags_fit_and_tell_identities_apart(namespace: str, name: str, resource: str, other: str, limit: int) -> None:
    one, two = Identity("i", "CdnDistribution", namespace, name), Identity("i", "CdnDistribution", namespace, other)
    made = one.external_name(resource, limit)
    assert len(made) <= limit and made.replace("-", "").replace("_", "").isalnum()
    assert len(one.owner(resource)) <= 256 and len(one.token(resource, 3)) == 32
    if name != other:
        assert made != two.external_name(resource, limit) and one.owner(resource) != two.owner(resource)
    assert one.token(resource, 0) != one.token(resource, 1)

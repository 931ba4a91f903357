"""Every rule on the pydantic models, from the same table as on the API server; and no rule without a case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from securebase.api.base import VALIDATIONS, broken_transitions
from securebase.api.meta import KubernetesObject
from securebase.api.registry import KINDS
from securebase.api.schema import structural_schema
from tests.unit.api.alarmset_rule_cases import ALARMSET_CASES, ALARMSET_CHANGES
from tests.unit.api.cache_rule_cases import CACHE_CASES, CACHE_CHANGES
from tests.unit.api.rule_cases import CASES, CHANGES, Case, ChangeCase

ALL: tuple[Case | ChangeCase, ...] = (*CASES, *CACHE_CASES, *ALARMSET_CASES, *CHANGES, *CACHE_CHANGES, *ALARMSET_CHANGES)
Parse = Callable[[dict[str, Any]], KubernetesObject]


def messages(schema: dict[str, Any]) -> Iterator[str]:
    """The message of every rule of a schema, at any depth."""
    yield from (validation["message"] for validation in schema.get(VALIDATIONS, ()))
    children = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    for child in children:
        if isinstance(child, dict):
            yield from messages(child)


@pytest.mark.parametrize("case", [*CASES, *CACHE_CASES, *ALARMSET_CASES], ids=lambda case: case.name)
def test_a_manifest_that_keeps_the_rule_is_accepted(case: Case, parse: Parse) -> None:
    parse(case.passes)


@pytest.mark.parametrize("case", [*CASES, *CACHE_CASES, *ALARMSET_CASES], ids=lambda case: case.name)
def test_a_manifest_that_breaks_the_rule_is_refused_in_its_words(case: Case, parse: Parse) -> None:
    with pytest.raises(ValidationError) as refusal:
        parse(case.refused)
    assert case.message in str(refusal.value)


@pytest.mark.parametrize("case", [*CHANGES, *CACHE_CHANGES, *ALARMSET_CHANGES], ids=lambda case: case.name)
def test_a_change_is_refused_in_the_words_of_its_rule(case: ChangeCase, parse: Parse) -> None:
    old = parse(case.old)
    assert broken_transitions(old, parse(case.passes)) == []
    (told,) = broken_transitions(old, parse(case.refused))
    assert case.message in told


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_no_rule_is_without_a_case(kind: Any) -> None:
    tested = [case.message for case in ALL]
    untested = {message for message in messages(structural_schema(kind)) if not any(part in message for part in tested)}
    assert untested == set()


def test_each_case_means_one_rule() -> None:
    known = {message for kind in KINDS for message in messages(structural_schema(kind))}
    vague = {case.name: hits for case in ALL if len(hits := [m for m in known if case.message in m]) != 1}
    assert {name: hits for name, hits in vague.items() if not name.startswith("datapoints")} == {}

"""What lookups answer in the specs of golden files is what services really tell."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from securebase.kinds.alarmset.catalogue import catalogue
from securebase.resources.discovery.access_logs import VARIABLES
from securebase.resources.discovery.services import SERVICES
from tests.unit.kinds.any_alarmset import read
from tests.unit.kinds.test_alarmset_golden import SPECS

ALWAYS = frozenset({"exists", "settled", "name"})


def answers(document: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Type and attributes of every thing that was found."""
    types = {target["id"]: target["type"] for target in document["spec"]["targets"]}
    for node, attributes in said.get("nodes", {}).items():
        how, _, target = node.partition("-")
        if how == "search":
            yield from ((types[target], told) for told in json.loads(attributes["details"]).values())
        else:
            yield types[target], attributes


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_only_what_services_tell_is_there(path: Any) -> None:
    for type_, attributes in answers(*read(path)):
        assert attributes.keys() - ALWAYS <= SERVICES[type_].tells, type_


def test_the_catalogue_goes_by_what_services_tell() -> None:
    for type_ in catalogue().types.values():
        gone_by = {name for recipe in type_.alarms for name in (recipe.of, recipe.needs, *attributes_of(recipe.threshold)) if name}
        assert gone_by <= (SERVICES[type_.name].tells if type_.name in SERVICES else frozenset()), type_.name
    for recipe in (*catalogue().queries, *(widget.query for widget in catalogue().log_widgets)):
        assert {variable for variables in recipe.fields.values() for variable in variables} <= VARIABLES, recipe.id
        for name in recipe.types:
            assert {recipe.needs} - {""} <= SERVICES[name].tells, recipe.id
            assert "accessLogs" in SERVICES[name].tells or not recipe.fields, recipe.id


def attributes_of(threshold: Any) -> Iterator[str]:
    """Of a threshold and what stands in for it."""
    yield threshold.attribute
    if threshold.otherwise is not None:
        yield from attributes_of(threshold.otherwise)

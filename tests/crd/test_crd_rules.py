"""Every CEL rule on the real API server, from the same table as on the models."""

from __future__ import annotations

from typing import Any

import pytest

from lab.kubernetes import ApiError, ControlPlane
from securebase.api.registry import kind_of
from tests.unit.api.alarmset_rule_cases import ALARMSET_CASES, ALARMSET_CHANGES
from tests.unit.api.cache_rule_cases import CACHE_CASES, CACHE_CHANGES
from tests.unit.api.rule_cases import CASES, CHANGES, Case, ChangeCase, cdn


def path_of(manifest: dict[str, Any]) -> str:
    kind = kind_of(manifest["apiVersion"], manifest["kind"])
    assert kind is not None
    scope = f"namespaces/{manifest['metadata']['namespace']}/" if kind.scope == "Namespaced" else ""
    return f"/apis/{manifest['apiVersion']}/{scope}{kind.plural}"


def create(plane: ControlPlane, manifest: dict[str, Any]) -> None:
    """A dry run under strict validation: everything but the writing."""
    plane.call("POST", f"{path_of(manifest)}?dryRun=All&fieldValidation=Strict", manifest)


@pytest.mark.parametrize("case", [*CASES, *CACHE_CASES, *ALARMSET_CASES], ids=lambda case: case.name)
def test_a_manifest_that_keeps_the_rule_is_accepted(case: Case, plane: ControlPlane) -> None:
    create(plane, case.passes)


@pytest.mark.parametrize("case", [*CASES, *CACHE_CASES, *ALARMSET_CASES], ids=lambda case: case.name)
def test_a_manifest_that_breaks_the_rule_is_refused_in_its_words(case: Case, plane: ControlPlane) -> None:
    with pytest.raises(ApiError) as refusal:
        create(plane, case.refused)
    assert refusal.value.status == 422
    assert case.message in str(refusal.value)
    assert "some validation rules were not checked" not in str(refusal.value)


@pytest.mark.parametrize("case", [*CHANGES, *CACHE_CHANGES, *ALARMSET_CHANGES], ids=lambda case: case.name)
def test_a_change_is_refused_in_the_words_of_its_rule(case: ChangeCase, plane: ControlPlane) -> None:
    path = path_of(case.old)
    name = case.old["metadata"]["name"]
    plane.call("POST", path, case.old)
    try:
        merge = {"content_type": "application/merge-patch+json"}
        plane.call("PATCH", f"{path}/{name}?dryRun=All", _replacing(case.old, case.passes), **merge)
        with pytest.raises(ApiError) as refusal:
            plane.call("PATCH", f"{path}/{name}?dryRun=All", _replacing(case.old, case.refused), **merge)
        assert case.message in str(refusal.value)
    finally:
        plane.call("DELETE", f"{path}/{name}")


def _replacing(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A merge patch that leaves exactly the new spec: what only the old one has is null."""
    return {"spec": {name: new["spec"].get(name) for name in (*old["spec"], *new["spec"])}}


def test_the_refusal_names_the_field(plane: ControlPlane) -> None:
    wrong = cdn(behaviors=[{"path": "*", "origin": "site", "preset": "api", "ttl": {"maxSeconds": 1}}])
    with pytest.raises(ApiError, match=r"spec\.behaviors\[0\]\.ttl: Invalid value"):
        create(plane, wrong)

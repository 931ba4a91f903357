"""Every example on the real API server: accepted, and the same afterwards as before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.kubernetes import ControlPlane
from securebase.api.registry import kind_of
from securebase.api.unknown_fields import unknown_fields

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))

parametrized = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)


def documents(example: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(example.read_text()) if document]


def ours(example: Path) -> list[dict[str, Any]]:
    return [document for document in documents(example) if kind_of(document["apiVersion"], document["kind"])]


def test_there_are_examples() -> None:
    assert {document["kind"] for example in EXAMPLES for document in ours(example)} == {"AwsAccount", "CacheCluster", "CdnDistribution", "PerfAlarmSet"}


@parametrized
def test_applied_under_strict_validation_and_again_it_is_unchanged(example: Path, plane: ControlPlane, namespace: str) -> None:
    apply = ("apply", "--validate=strict", "-n", namespace, "-f", str(example))
    plane.kubectl(*apply)
    again = plane.kubectl(*apply).stdout.strip().splitlines()
    assert [line for line in again if not line.endswith("unchanged")] == []


@parametrized
@pytest.mark.parametrize("server_side", [False, True], ids=["three-way", "server-side"])
def test_applied_it_does_not_differ(example: Path, server_side: bool, plane: ControlPlane, namespace: str) -> None:
    way = ("--server-side", "--force-conflicts") if server_side else ()
    plane.kubectl("apply", *way, "-n", namespace, "-f", str(example))
    difference = plane.kubectl("diff", *way, "-n", namespace, "-f", str(example), check=False)
    plane.kubectl("delete", "-n", namespace, "-f", str(example))
    assert (difference.returncode, difference.stdout) == (0, ""), difference.stderr


@parametrized
def test_the_server_adds_only_defaults_outside_lists(example: Path, plane: ControlPlane, namespace: str) -> None:
    """What Argo CD compares: a list item that came back with one field more would differ for ever."""
    plane.kubectl("apply", "-n", namespace, "-f", str(example))
    for document in ours(example):
        kept = plane.kubectl("get", "-n", namespace, document["kind"], document["metadata"]["name"], "-o", "yaml").stdout
        assert _missing(document["spec"], yaml.safe_load(kept)["spec"], "spec") == []


def _missing(wanted: Any, kept: Any, path: str) -> list[str]:
    """Paths that differ; a mapping outside a list may have come back with more."""
    match wanted:
        case dict():
            return [different for name in wanted for different in _missing(wanted[name], kept.get(name), f"{path}.{name}")]
        case _:
            return [] if wanted == kept else [path]


@parametrized
def test_the_model_reads_it(example: Path) -> None:
    for document in ours(example):
        kind = kind_of(document["apiVersion"], document["kind"])
        assert kind is not None
        assert unknown_fields(kind.model, document) == []
        kind.model.model_validate(document)


@parametrized
def test_the_model_reads_it_back_from_the_server_as_the_same(example: Path, plane: ControlPlane, namespace: str) -> None:
    plane.kubectl("apply", "-n", namespace, "-f", str(example))
    for document in ours(example):
        kind = kind_of(document["apiVersion"], document["kind"])
        assert kind is not None
        kept = yaml.safe_load(plane.kubectl("get", "-n", namespace, document["kind"], document["metadata"]["name"], "-o", "yaml").stdout)
        assert kind.model.model_validate(kept).model_dump()["spec"] == kind.model.model_validate(document).model_dump()["spec"]

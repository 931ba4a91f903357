"""The generator: what is structural, where defaults go, and that the checked-in files are current."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from annotated_types import MaxLen

from securebase.api import schema
from securebase.api.base import ApiModel, ListMap
from securebase.api.meta import KubernetesObject
from securebase.api.registry import AWS_ACCOUNT, CDN_DISTRIBUTION, KINDS, Kind

CRDS = Path(__file__).parents[3] / "crds"


class Item(ApiModel):
    """One of several."""

    id: str
    size: int = 3
    """How large."""


class Part(ApiModel):
    """A part of the spec."""

    speed: Literal["slow", "fast"] = "slow"


class Spec(ApiModel):
    """The spec."""

    part: Part | None = None
    """Told of the field, not of the model."""
    items: Annotated[tuple[Item, ...], MaxLen(4), ListMap("id")] = ()


class Thing(KubernetesObject):
    """A kind for the tests."""

    spec: Spec
    status: Part | None = None


class Torn(ApiModel):
    """Holds a union."""

    either: int | str


class TornThing(KubernetesObject):
    """A kind with a union."""

    spec: Torn
    status: Part | None = None


def kind(model: type[KubernetesObject]) -> Kind:
    return Kind("Thing", "things", "thing", (), "Namespaced", model, ())


def nodes(tree: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    yield path, tree
    for name, child in tree.get("properties", {}).items():
        yield from nodes(child, (*path, name))
    for name in ("items", "additionalProperties"):
        if isinstance(tree.get(name), dict):
            yield from nodes(tree[name], (*path, "[]"))


def test_references_are_inlined_and_the_fields_own_words_win() -> None:
    part = schema.structural_schema(kind(Thing))["properties"]["spec"]["properties"]["part"]
    assert part == {
        "description": "Told of the field, not of the model.",
        "type": "object",
        "properties": {"speed": {"type": "string", "enum": ["slow", "fast"], "default": "slow"}},
    }


def test_a_default_within_a_list_is_told_in_words() -> None:
    items = schema.structural_schema(kind(Thing))["properties"]["spec"]["properties"]["items"]
    assert items["x-kubernetes-list-map-keys"] == ["id"]
    assert items["items"]["properties"]["size"] == {"description": "How large. 3 if omitted.", "type": "integer"}


def test_a_union_is_refused() -> None:
    with pytest.raises(schema.NotStructural, match=r"Thing\.spec\.either: a union of 2 types"):
        schema.structural_schema(kind(TornThing))


@pytest.mark.parametrize("known", KINDS, ids=lambda known: known.name)
def test_no_default_stands_within_a_list(known: Kind) -> None:
    assert [path for path, node in nodes(schema.structural_schema(known)) if "[]" in path and "default" in node] == []


@pytest.mark.parametrize("known", KINDS, ids=lambda known: known.name)
def test_every_list_says_who_may_own_its_items_and_is_bounded_in_the_spec(known: Kind) -> None:
    lists = [(path, node) for path, node in nodes(schema.structural_schema(known)) if node.get("type") == "array"]
    assert [path for path, node in lists if "x-kubernetes-list-type" not in node] == []
    assert [path for path, node in lists if path[0] == "spec" and "maxItems" not in node] == []


@pytest.mark.parametrize("known", KINDS, ids=lambda known: known.name)
def test_every_string_of_the_spec_is_bounded(known: Kind) -> None:
    strings = [(path, node) for path, node in nodes(schema.structural_schema(known)) if node.get("type") == "string" and path[0] == "spec"]
    assert [path for path, node in strings if "maxLength" not in node and "enum" not in node] == []


@pytest.mark.parametrize("known", KINDS, ids=lambda known: known.name)
def test_every_field_of_the_spec_that_is_no_plain_name_is_described(known: Kind) -> None:
    """A field without words is one whose parent says all there is to say."""
    silent = [path for path, node in nodes(schema.structural_schema(known)) if len(path) == 2 and path[0] == "spec" and "description" not in node]
    assert silent == []


def test_the_checked_in_definitions_are_current() -> None:
    assert schema.stale(CRDS) == []
    assert schema.main(["--check", str(CRDS)]) == 0


def test_writing_touches_only_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert schema.main(["--write", str(tmp_path)]) == 0
    (tmp_path / "old.yaml").write_text("{}")
    (tmp_path / "awsaccounts.securebase.io.yaml").write_text("stale")
    assert schema.main(["--check", str(tmp_path)]) == 1
    assert "awsaccounts.securebase.io.yaml is stale" in capsys.readouterr().err
    assert sorted(path.name for path in schema.write(tmp_path)) == ["awsaccounts.securebase.io.yaml", "old.yaml"]
    assert schema.write(tmp_path) == []


def test_names_and_scope() -> None:
    definitions = {known.name: schema.custom_resource_definition(known)["spec"] for known in KINDS}
    assert (definitions["AwsAccount"]["scope"], definitions["AwsAccount"]["names"]["shortNames"]) == ("Cluster", ["awsacc"])
    assert (definitions["CdnDistribution"]["scope"], definitions["CdnDistribution"]["names"]["shortNames"]) == ("Namespaced", ["cdn"])
    assert [column.name for column in CDN_DISTRIBUTION.columns][:6] == ["READY", "SYNCED", "DRIFT", "SLO", "COST", "AGE"]


def test_the_text_is_yaml_of_the_definition() -> None:
    assert yaml.safe_load(schema.render(AWS_ACCOUNT)) == schema.custom_resource_definition(AWS_ACCOUNT)

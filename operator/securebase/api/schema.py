"""The CRD generator: pydantic's JSON schema made structural, with defaults, rules and printer columns.

`python -m securebase.api.schema --write crds/` writes one file a kind, `--check crds/` says which are stale (exit code 1).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema

from securebase.api.base import VALIDATIONS
from securebase.api.registry import GROUP, KINDS, VERSION, Kind, PrinterColumn

Schema = dict[str, Any]

# What a structural schema takes over as it is (Kubernetes, "Specifying a structural schema").
_KEPT = (
    "description",
    "type",
    "format",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
)
_TRANSLATED = ("$ref", "$defs", "title", "default", "const", "anyOf", "allOf", "items", "properties", "additionalProperties", VALIDATIONS)


class NotStructural(Exception):
    """A model says what a structural schema cannot."""


def structural_schema(kind: Kind) -> Schema:
    """The openAPIV3Schema of a kind: no references, no unions, no defaults within list items."""
    document = kind.model.model_json_schema(by_alias=True, schema_generator=GenerateJsonSchema)
    root = _structural(document, document.get("$defs", {}), (kind.name,), in_list=False)
    properties = root["properties"]
    properties["apiVersion"] = {"type": "string"}
    properties["kind"] = {"type": "string"}
    properties["metadata"] = {"type": "object"}
    root["required"] = ["spec"]
    ordered = {name: properties[name] for name in ("apiVersion", "kind", "metadata", "spec", "status")}
    return root | {"properties": ordered}


def _structural(schema: Mapping[str, Any], definitions: Mapping[str, Any], path: tuple[str, ...], in_list: bool) -> Schema:
    merged = _resolve(schema, definitions, path)
    if unknown := merged.keys() - {*_KEPT, *_TRANSLATED}:
        raise NotStructural(f"{'.'.join(path)}: no translation for {', '.join(sorted(unknown))}")
    result: Schema = {key: merged[key] for key in _KEPT if key in merged}
    if "const" in merged:
        result |= {"type": "string", "enum": [merged["const"]]}
    if "description" in result:
        result["description"] = " ".join(result["description"].split())
    _exclusive_bounds(result)
    _default(result, merged, in_list)
    _children(result, merged, lambda child, name, listed: _structural(child, definitions, (*path, name), in_list or listed))
    if VALIDATIONS in merged:
        result[VALIDATIONS] = list(merged[VALIDATIONS])
    if "type" not in result:
        raise NotStructural(f"{'.'.join(path)}: a structural schema needs a type")
    return result


def _children(result: Schema, merged: Schema, translate: Callable[[Schema, str, bool], Schema]) -> None:
    if "properties" in merged:
        result["properties"] = {name: translate(child, name, False) for name, child in merged["properties"].items()}
    if "items" in merged:
        result["items"] = translate(merged["items"], "[]", True)
    # additionalProperties: false is what the API server does anyway with what a schema does not name; true may not stand beside properties.
    if isinstance(merged.get("additionalProperties"), dict):
        result["additionalProperties"] = translate(merged["additionalProperties"], "{}", True)


def _resolve(schema: Mapping[str, Any], definitions: Mapping[str, Any], path: tuple[str, ...]) -> Schema:
    """Follows references and takes `X | None` for an optional X; what stands beside a reference wins over what it names."""
    merged = dict(schema)
    while reference := merged.pop("$ref", None):
        merged = _overlay(definitions[reference.removeprefix("#/$defs/")], merged)
    if "anyOf" in merged:
        choices = [choice for choice in merged.pop("anyOf") if choice.get("type") != "null"]
        if len(choices) != 1:
            raise NotStructural(f"{'.'.join(path)}: a union of {len(choices)} types has no structural schema")
        merged = _overlay(_resolve(choices[0], definitions, path), merged)
    return merged


def _overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> Schema:
    validations = [*below.get(VALIDATIONS, ()), *above.get(VALIDATIONS, ())]
    return {**below, **above} | ({VALIDATIONS: validations} if validations else {})


def _exclusive_bounds(result: Schema) -> None:
    """JSON schema 2020 has exclusive bounds as numbers, OpenAPI 3.0 as a flag beside the bound."""
    for flag, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if flag in result:
            result[bound], result[flag] = result[flag], True


def _default(result: Schema, merged: Schema, in_list: bool) -> None:
    """Scalars' defaults are told to the API server, except within lists: Argo CD would see a difference for ever."""
    default = merged.get("default")
    if default is None or isinstance(default, (list, dict)):
        return
    if in_list:
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        if "if omitted" not in result.get("description", ""):
            result["description"] = f"{result.get('description', '')} {shown} if omitted.".strip()
        return
    result["default"] = default


def custom_resource_definition(kind: Kind) -> Schema:
    """The whole CustomResourceDefinition of a kind."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": structural_schema(kind)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
    }
    names = {"kind": kind.name, "listKind": f"{kind.name}List", "plural": kind.plural, "singular": kind.singular}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name},
        "spec": {
            "group": GROUP,
            "names": names | {"shortNames": list(kind.short_names), "categories": ["securebase"]},
            "scope": kind.scope,
            "versions": [version],
        },
    }


def _column(column: PrinterColumn) -> Schema:
    shown = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    return shown | ({"priority": column.priority} if column.priority else {})


class _Readable(yaml.SafeDumper):
    """Long strings folded, lists indented, no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def render(kind: Kind) -> str:
    """The CRD as YAML text, the same bytes each time."""
    body = yaml.dump(custom_resource_definition(kind), Dumper=_Readable, sort_keys=False, width=120, allow_unicode=True)
    return f"# Generated from securebase.api by `make generate`; do not edit.\n{body}"


def files() -> dict[str, str]:
    """File name to text, for every kind."""
    return {f"{kind.crd_name}.yaml": render(kind) for kind in KINDS}


def write(directory: Path) -> list[Path]:
    """Writes what changed and removes what no kind claims; returns the files touched."""
    directory.mkdir(parents=True, exist_ok=True)
    wanted = files()
    touched = [directory / name for name in stale(directory)]
    for path in touched:
        if path.name in wanted:
            path.write_text(wanted[path.name])
        else:
            path.unlink()
    return touched


def stale(directory: Path) -> list[str]:
    """Names of files that are missing, differ, or belong to no kind."""
    wanted = files()
    present = {path.name: path.read_text() for path in directory.glob("*.yaml")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m securebase.api.schema", description="Generate the CustomResourceDefinitions.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", type=Path, metavar="DIRECTORY", help="write the files that changed")
    action.add_argument("--check", type=Path, metavar="DIRECTORY", help="name the stale files; exit code 1 if there are any")
    chosen = parser.parse_args(arguments)
    if chosen.write:
        for path in write(chosen.write):
            print(f"wrote {path}")
        return 0
    names = stale(chosen.check)
    for name in names:
        print(f"{chosen.check / name} is stale; run `make generate`", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())

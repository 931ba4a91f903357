"""Specs to graphs, and graphs to text that a person can review."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from securebase.api.cdn import CdnDistribution, CdnDistributionSpec
from securebase.core.fields import UNMANAGED, SecretValue, Undisclosed, leaves
from securebase.core.graph import Graph, Node, Role, shown
from securebase.core.identity import Identity
from securebase.core.kind import Context, Facts, SecretRef
from securebase.kinds.cdn import CDN

ACCOUNT = "123456789012"


def spec_of(document: Mapping[str, Any]) -> CdnDistributionSpec:
    """The spec of a whole manifest."""
    return CdnDistribution.model_validate(document).spec


def manifest(spec: Mapping[str, Any], name: str = "site", namespace: str = "web") -> dict[str, Any]:
    """A manifest around a spec."""
    return {"apiVersion": "securebase.io/v1alpha1", "kind": "CdnDistribution", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def small(**more: Any) -> CdnDistributionSpec:
    """A spec with one custom origin and one behavior, and whatever else is given."""
    base = {
        "origins": [{"id": "web", "custom": {"domainName": "origin.example.com"}}],
        "behaviors": [{"path": "*", "origin": "web", "preset": "html"}],
    }
    return spec_of(manifest({**base, **more}))


def context(name: str = "site", namespace: str = "web", instance: str = "unit", **more: Any) -> Context:
    """Where composed objects live in these tests: an account whose own region is far from us-east-1."""
    return Context(Identity(instance, "CdnDistribution", namespace, name), ACCOUNT, "eu-central-1", **more)


def facts_for(spec: CdnDistributionSpec, namespace: str = "web") -> Facts:
    """Every Secret that the spec needs."""
    refs: list[SecretRef] = sorted(CDN.needs(spec, namespace).secrets)
    return Facts({ref: SecretValue(f"value-of-{ref.name}", f"version-of-{ref.name}") for ref in refs})


def composed(spec: CdnDistributionSpec, **more: Any) -> Graph:
    """The graph of a spec with its Secrets there."""
    return CDN.compose(spec, facts_for(spec), context(**more))


def as_text(graph: Graph) -> str:
    """A graph as YAML: nodes in the order of execution, fields by the paths that people write in `policy.ignore`."""
    documents = [_node(node, number) for number, wave in enumerate(graph.waves) for node in wave]
    return yaml.dump(documents, Dumper=_Readable, sort_keys=False, width=150, allow_unicode=True)


def _node(node: Node, wave: int) -> dict[str, Any]:
    told: dict[str, Any] = {"node": node.id, "type": node.type, "wave": wave, "region": node.region or "(the object's)"}
    if node.role is not Role.OWNED:
        told["role"] = node.role.value
    if node.after:
        told["after"] = sorted(node.after)
    told |= {flag: True for flag in ("guards", "task") if getattr(node, flag)}
    fields = {path: _value(leaf.value, leaf.secret) for path, leaf in leaves(node.desired).items()}
    return told | {"desired": {path: value for path, value in fields.items() if value not in (None, "", [])}}


def _value(value: Any, secret: bool) -> Any:
    if isinstance(value, Undisclosed) or value is UNMANAGED:
        return str(value)
    if secret:
        return "(not shown)"
    value = shown(value)
    return list(value) if isinstance(value, tuple) else str.__str__(value) if isinstance(value, str) else value


class _Readable(yaml.SafeDumper):
    """Texts of several lines as blocks."""


def _text(dumper: _Readable, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)

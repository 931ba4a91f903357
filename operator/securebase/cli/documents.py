"""Manifests as the commands read them: files, directories, standard input."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from securebase.core.errors import ReferenceNotFound
from securebase.core.fields import SecretValue
from securebase.core.kind import ObjectRef, SecretRef

GROUP_PREFIX = "securebase.io/"


class Unreadable(Exception):
    """A source that is no manifest; the message names it and what to do."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """What was read. `objects` are ours; Secrets are kept for their values, everything else is passed over."""

    objects: tuple[Mapping[str, Any], ...]
    secrets: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict, repr=False)


def read(sources: Iterable[str], namespace: str) -> Manifests:
    """Every document of every source."""
    documents = [document for source in sources for document in _documents(source)]
    ours = tuple(_placed(document, namespace) for document in documents if str(document.get("apiVersion", "")).startswith(GROUP_PREFIX))
    secrets = {
        (document["metadata"].get("namespace") or namespace, document["metadata"]["name"]): document
        for document in documents
        if document.get("kind") == "Secret" and document.get("apiVersion") == "v1"
    }
    return Manifests(ours, secrets)


def _placed(document: Mapping[str, Any], namespace: str) -> Mapping[str, Any]:
    metadata = dict(document.get("metadata") or {})
    if document.get("kind") != "AwsAccount":
        metadata.setdefault("namespace", namespace)
    return {**document, "metadata": metadata}


def _documents(source: str) -> Iterator[Mapping[str, Any]]:
    for name, text in _texts(source):
        try:
            parsed = list(yaml.safe_load_all(text))
        except yaml.YAMLError as error:
            raise Unreadable(f"{name}: not YAML: {error}") from None
        for document in parsed:
            if document is None:
                continue
            if not isinstance(document, Mapping):
                raise Unreadable(f"{name}: a manifest is a mapping with apiVersion and kind, this is a {type(document).__name__}")
            yield from document.get("items") or () if document.get("kind") == "List" else (document,)


def _texts(source: str) -> Iterator[tuple[str, str]]:
    if source == "-":
        yield "standard input", sys.stdin.read()
        return
    path = Path(source)
    if path.is_dir():
        for file in sorted(found for found in path.rglob("*") if found.suffix in (".yaml", ".yml", ".json")):
            yield str(file), file.read_text()
    elif path.exists():
        yield source, path.read_text()
    else:
        raise Unreadable(f"{source}: no such file or directory")


@dataclass(frozen=True, slots=True)
class FileSources:
    """References looked up among the manifests; what is not there is left uncompared."""

    manifests: Manifests
    offline: bool = True

    def secret(self, ref: SecretRef) -> SecretValue:
        """The value a Secret among the manifests holds."""
        document = self.manifests.secrets.get((ref.namespace, ref.name)) or {}
        if ref.key in (document.get("stringData") or {}):
            return SecretValue(document["stringData"][ref.key], "file")
        if ref.key in (document.get("data") or {}):
            return SecretValue(base64.b64decode(document["data"][ref.key]).decode(), "file")
        raise ReferenceNotFound(f"{ref} is not among the files")

    def outputs(self, ref: ObjectRef) -> Mapping[str, str]:
        """Outputs exist only in a cluster."""
        raise ReferenceNotFound(f"the outputs of {ref} are only known in a cluster")

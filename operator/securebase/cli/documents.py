"""Manifests as the commands read them: files, directories, standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

GROUP_PREFIX = "securebase.io/"


class Unreadable(Exception):
    """A source that is no manifest; the message names it and what to do."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """What was read. `objects` are ours; Secrets are kept for their values, everything else is passed over."""

    objects: tuple[Mapping[str, Any], ...]
    secrets: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict, repr=False)

    def named(self, kind: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        """The object of that kind and name; None where no file has it."""
        wanted = (kind, namespace, name)
        return next((one for one in self.objects if (one.get("kind"), one["metadata"].get("namespace"), one["metadata"].get("name")) == wanted), None)


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

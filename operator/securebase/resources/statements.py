"""IAM policy documents as values: one spelling for statements that mean the same, and one statement put in or taken out of a document. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_VERSION: Final = "2012-10-17"
_ACCOUNT_ROOT: Final = re.compile(r"arn:[^:]+:iam::(\d{12}):root")


def canonical(statement: Mapping[str, Any]) -> str:
    """One statement as JSON text. Two statements that IAM treats alike give the same text: a single value and a list of one, the order of
    lists, booleans and their words, an account's number and its root ARN. References inside stay as they are."""
    return json.dumps(_normal(statement, ()), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def parsed(text: str) -> dict[str, Any]:
    """A statement or document from its JSON text."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError("a policy must be a JSON object")
    return value


def same(one: str, other: str) -> bool:
    """Whether two statements, as JSON text, mean the same."""
    return canonical(parsed(one)) == canonical(parsed(other))


def statements(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The statements of a document, which may hold a single one without a list."""
    found = document.get("Statement") or []
    return [found] if isinstance(found, dict) else list(found)


def named(document: Mapping[str, Any], sid: str) -> dict[str, Any] | None:
    """The statement with this Sid."""
    return next((statement for statement in statements(document) if statement.get("Sid") == sid), None)


def with_statement(document: Mapping[str, Any] | None, sid: str, statement: Mapping[str, Any]) -> dict[str, Any]:
    """The document with exactly one statement of this Sid, in the place the old one had; all others as they were, in their order."""
    ours = {**statement, "Sid": sid}
    if document is None:
        return {"Version": _VERSION, "Statement": [ours]}
    kept: list[dict[str, Any]] = []
    placed = False
    for other in statements(document):
        if other.get("Sid") != sid:
            kept.append(other)
        elif not placed:
            kept.append(ours)
            placed = True
    return {**document, "Statement": kept if placed else [*kept, ours]}


def without_statement(document: Mapping[str, Any], sid: str) -> dict[str, Any] | None:
    """The document without the statements of this Sid; None when nothing is left."""
    kept = [statement for statement in statements(document) if statement.get("Sid") != sid]
    return {**document, "Statement": kept} if kept else None


def _normal(value: Any, path: tuple[str, ...]) -> Any:
    match value:
        case Mapping():
            return {key: _normal(item, (*path, key)) for key, item in value.items()}
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return _principal(value) if "Principal" in path or "NotPrincipal" in path else value
        case Sequence():
            items = sorted({json.dumps(_normal(item, path), sort_keys=True, ensure_ascii=False) for item in value})
            decoded = [json.loads(item) for item in items]
            return decoded[0] if len(decoded) == 1 else decoded
        case _:
            return value


def _principal(name: str) -> str:
    root = _ACCOUNT_ROOT.fullmatch(name)
    return root.group(1) if root else name

"""Resource policies as far as the lab asks: whether one lets an AWS service do something, and whether it is a policy at all.

IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators": of conditions, equality and likeness of strings and ARNs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _principals(statement: Mapping[str, Any]) -> Iterator[str]:
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        yield from (str(value) for kind in ("Service", "AWS") for value in _listed(principal.get(kind)))
    elif principal:
        yield str(principal)


def _met(conditions: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    """A key that the request does not carry fails."""
    for operator, wanted in conditions.items():
        for key, values in wanted.items():
            value = context.get(key.lower())
            if value is None:
                return False
            like = operator.lower().startswith(("arn", "stringlike"))
            if not any(fnmatchcase(value, str(one)) if like else value == one for one in _listed(values)):
                return False
    return True


def statements(policy: str) -> list[dict[str, Any]]:
    """Its statements; ValueError for what is no policy."""
    document = json.loads(policy)
    found = _listed(document.get("Statement")) if isinstance(document, dict) else []
    if not found:
        raise ValueError("no statement")
    for statement in found:
        named = isinstance(statement, dict) and "Principal" in statement and statement.get("Effect") in ("Allow", "Deny")
        if not named or not ("Action" in statement or "NotAction" in statement):
            raise ValueError("a statement needs Effect, Principal and Action")
    return found


def allows(policy: str, action: str, service: str, context: Mapping[str, str]) -> bool:
    """Whether the service may: no matching Deny, one matching Allow. `context`: condition keys in lower case."""
    allowed = False
    for statement in statements(policy):
        named = any(fnmatchcase(action.lower(), str(one).lower()) for one in _listed(statement.get("Action")))
        if not named or not {"*", service} & set(_principals(statement)) or not _met(statement.get("Condition") or {}, context):
            continue
        if statement["Effect"] == "Deny":
            return False
        allowed = True
    return allowed

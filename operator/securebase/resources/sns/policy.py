"""Our statement in a topic's policy: which services may publish, for whom. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from securebase.resources.statements import canonical, named, parsed

PUBLISHERS_SID: Final = "SecureBasePublishers"
_ALTERED: Final = "(statement altered)"


def publish_statement(arn: str, services: frozenset[str], sources: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Lets services of the topic's own account publish: without the condition any account's alarm could."""
    condition: dict[str, Any] = {"StringEquals": {"aws:SourceAccount": arn.split(":")[4]}}
    if sources:
        condition["ArnLike"] = {"aws:SourceArn": sorted(sources)}
    return {
        "Sid": PUBLISHERS_SID,
        "Effect": "Allow",
        "Principal": {"Service": sorted(services)},
        "Action": "sns:Publish",
        "Resource": arn,
        "Condition": condition,
    }


def publishers_and_sources(arn: str, policy: str) -> tuple[frozenset[str], frozenset[str]]:
    """What our statement says; marked where somebody altered the rest of it."""
    statement = named(parsed(policy), PUBLISHERS_SID) if policy else None
    if statement is None:
        return frozenset(), frozenset()
    principal, condition = statement.get("Principal"), statement.get("Condition")
    services = _texts(principal.get("Service") if isinstance(principal, Mapping) else None)
    like = condition.get("ArnLike") if isinstance(condition, Mapping) else None
    sources = _texts(like.get("aws:SourceArn") if isinstance(like, Mapping) else None)
    if services and canonical(statement) == canonical(publish_statement(arn, services, sources)):
        return services, sources
    return services | {_ALTERED}, sources


def _texts(value: Any) -> frozenset[str]:
    return frozenset({value} if isinstance(value, str) else value or ())

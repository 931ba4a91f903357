"""Our statement in a customer key's policy: lets services of the account use the key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from securebase.core.fields import Impact, managed
from securebase.core.graph import refers

ACTIONS: Final = ("kms:Decrypt", "kms:GenerateDataKey*")
"""What a service needs that publishes to an encrypted topic (SNS Developer Guide, "Enable compatibility between event sources from AWS services and
encrypted topics")."""


@dataclass(frozen=True, slots=True)
class KeyStatement:
    """One statement of a key's policy, found by a Sid that is made from the identity. All other statements belong to others.

    key         ARN of a customer key; neither an alias, which may point elsewhere tomorrow, nor an AWS managed key, whose policy nobody can change
    principals  services that may Decrypt and GenerateDataKey* for this account (`cloudwatch.amazonaws.com`)
    sources     patterns of aws:SourceArn, one of which must match; none = whatever the account's services do

    External id: `<key ARN>/<sid>`. Attributes: `key` (the ARN: usable once the statement is there), `sid`.
    """

    key: str = managed(impact=Impact.REPLACE)
    principals: frozenset[str] = managed()
    sources: frozenset[str] = frozenset()


def problems(wanted: KeyStatement) -> Iterator[str]:
    """What KMS would refuse, in words for a person."""
    if not refers(wanted.key) and ":key/" not in wanted.key:
        yield f"{wanted.key} is not the ARN of a key"
    if not wanted.principals:
        yield "a statement names the services that may use the key"
    # SNS Developer Guide, "Key management": these conditions are "not supported for EventBridge-to-encrypted topics".
    if "events.amazonaws.com" in wanted.principals:
        yield "EventBridge cannot use a key under conditions on its account and source"

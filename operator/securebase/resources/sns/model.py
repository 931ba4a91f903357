"""SNS topics that alarms publish to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from securebase.core.fields import Impact, managed


@dataclass(frozen=True, slots=True)
class Topic:
    """A standard topic.

    kms_key     id, ARN or alias of a customer key; "" = not encrypted. With `alias/aws/sns` alarms are dropped without a word: that key's policy cannot
                let CloudWatch in
    publishers  service principals of this account that may publish (`cloudwatch.amazonaws.com`); one statement of ours in the topic's policy
    emails      every e-mail subscription; other protocols belong to others. Pending ones count, as each address must confirm by itself

    Attributes: `arn`, `name`.
    """

    name: str = managed(impact=Impact.REPLACE)
    tags: Mapping[str, str] = managed(open=True)
    kms_key: str = ""
    publishers: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()

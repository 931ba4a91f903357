"""SNS topics that alarms publish to, and who is told by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from securebase.core.fields import UNMANAGED, Impact, managed


@dataclass(frozen=True, slots=True)
class Topic:
    """A standard topic.

    kms_key        id, ARN or alias of a customer key; "" = not encrypted. With `alias/aws/sns` alarms are dropped without a word: that key's policy
                   cannot let CloudWatch in
    publishers     service principals of this account that may publish (`cloudwatch.amazonaws.com`); one statement of ours in the topic's policy
    emails         every e-mail subscription. Pending ones count, as each address must confirm by itself
    subscriptions  every other one of these protocols: `https:https://...`, `lambda:ARN`, `sqs:ARN`; UNMANAGED leaves all of them to others.
                   An HTTPS endpoint must confirm like an address; a function or queue must itself let the topic in
    sources        patterns of aws:SourceArn, one of which must match what publishes; none = whatever the publishers do for this account

    Attributes: `arn`, `name`, `pending` (unconfirmed subscriptions by comma; "" = none).
    """

    name: str = managed(impact=Impact.REPLACE)
    tags: Mapping[str, str] = managed(open=True)
    kms_key: str = ""
    publishers: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    subscriptions: frozenset[str] = UNMANAGED
    sources: frozenset[str] = frozenset()

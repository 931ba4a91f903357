"""Who a topic tells: which subscriptions count as ours, which wait for their confirmation. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from securebase.core.fields import UNMANAGED
from securebase.resources.sns.model import Topic

Endpoint = tuple[str, str]
"""(protocol, endpoint)."""
Told = Mapping[Endpoint, str]
"""Endpoint -> subscription ARN, "" while it is not confirmed."""

EMAIL: Final = "email"
OTHERS: Final = ("https", "lambda", "sqs")
"""Protocols of `Topic.subscriptions`; text messages, phones and the rest belong to others."""
_PENDING: Final = ("PendingConfirmation", "pending confirmation")


def told_by_topic(entries: Iterable[Mapping[str, Any]]) -> dict[str, Told]:
    """Subscriptions by topic ARN; an endpoint may have a dead or pending entry beside its confirmed one."""
    found: dict[str, dict[Endpoint, str]] = {}
    for entry in entries:
        arn = entry.get("SubscriptionArn", "")
        if entry.get("Protocol") in (EMAIL, *OTHERS) and arn != "Deleted":
            known = found.setdefault(entry["TopicArn"], {})
            endpoint = (entry["Protocol"], entry["Endpoint"])
            known[endpoint] = known.get(endpoint) or ("" if arn in _PENDING else arn)
    return dict(found)


def endpoints(topic: Topic) -> frozenset[Endpoint]:
    """Every endpoint that a topic is to tell."""
    others = frozenset() if topic.subscriptions is UNMANAGED else topic.subscriptions
    return frozenset({*((EMAIL, address) for address in topic.emails), *(_endpoint(text) for text in others)})


def subscribing(want: Topic, told: Told) -> list[Endpoint]:
    """What has to be subscribed. A pending one is there already: asking again would send another mail each time."""
    return sorted(endpoints(want) - told.keys())


def counted(want: Topic | None, told: Told) -> tuple[frozenset[str], frozenset[str]]:
    """E-mail addresses and other subscriptions as `Topic` spells them.

    One that waits for its confirmation cannot be deleted (SNS API reference, Unsubscribe) and lapses after 48 hours: unless wanted it does not count.
    """
    wanted = endpoints(want) if want is not None else frozenset()
    there = {endpoint for endpoint, subscription in told.items() if subscription or endpoint in wanted}
    emails = frozenset(address for protocol, address in there if protocol == EMAIL)
    if want is None or want.subscriptions is UNMANAGED:
        return emails, UNMANAGED
    return emails, frozenset(f"{protocol}:{address}" for protocol, address in there if protocol != EMAIL)


def waiting(want: Topic | None, told: Told) -> tuple[str, str]:
    """Unconfirmed subscriptions that are wanted, by comma; and what there is to tell of those and of others."""
    wanted = endpoints(want) if want is not None else frozenset()
    open_ones = sorted(endpoint for endpoint, subscription in told.items() if not subscription)
    pending = [address for protocol, address in open_ones if (protocol, address) in wanted]
    left = [address for protocol, address in open_ones if (protocol, address) not in wanted and (protocol == EMAIL or _manages_others(want))]
    said = [f"not confirmed yet by {', '.join(pending)}"] if pending else []
    if left:
        said.append(f"never confirmed, cannot be deleted and will lapse after 48 hours: {', '.join(left)}")
    return ",".join(pending), "; ".join(said)


def _manages_others(want: Topic | None) -> bool:
    return want is not None and want.subscriptions is not UNMANAGED


def _endpoint(text: str) -> Endpoint:
    protocol, _, endpoint = text.partition(":")
    return protocol, endpoint

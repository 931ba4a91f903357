"""SNS subscriptions that somebody must confirm, kept by the lab: e-mail, HTTP and HTTPS. Queues and functions are ministack's.

ministack confirms e-mail at once, tells ARNs of unconfirmed subscriptions, posts to the endpoints, and does not page by topic. SNS API reference:
Subscribe ("pending confirmation" unless ReturnSubscriptionArn), ListSubscriptions ("PendingConfirmation" in place of the ARN, 100 a page),
Unsubscribe (of a pending one refused); Developer Guide: an unconfirmed subscription lapses after 48 hours. `confirm` is the click on the link.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from lab.aws.context import Lab
from lab.aws.wire import AwsFault, Call, Reply, answer, result_of

CONFIRMED_BY_SOMEBODY = ("email", "email-json", "http", "https")
PENDING = "PendingConfirmation"
_PAGE = 100
_LAPSES_S = 48 * 3600.0


@dataclass(slots=True)
class Subscription:
    arn: str
    topic: str
    protocol: str
    endpoint: str
    owner: str
    # Lab's clock; 0 once confirmed.
    lapses: float
    attributes: dict[str, str] = field(default_factory=dict)

    def row(self) -> dict[str, str]:
        told = PENDING if self.lapses else self.arn
        return {"SubscriptionArn": told, "Owner": self.owner, "Protocol": self.protocol, "Endpoint": self.endpoint, "TopicArn": self.topic}


def _refused(what: str) -> AwsFault:
    return AwsFault("InvalidParameter", f"Invalid parameter: {what}", 400)


class SnsSubscriptions:
    services = frozenset({"sns"})

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._operations = {
            "Subscribe": self._subscribe,
            "Unsubscribe": self._unsubscribe,
            "ListSubscriptions": self._list,
            "ListSubscriptionsByTopic": self._by_topic,
            "GetSubscriptionAttributes": self._attributes,
            "SetSubscriptionAttributes": self._set_attribute,
        }
        self.reset()

    def reset(self) -> None:
        self._kept: dict[str, Subscription] = {}

    def confirm(self, topic: str, endpoint: str) -> str:
        """Somebody follows the link; the subscription's ARN."""
        found = next(one for one in self._kept.values() if one.topic == topic and one.endpoint == endpoint)
        found.lapses = 0.0
        return found.arn

    async def before(self, call: Call) -> Reply | None:
        operation = self._operations.get(call.operation)
        if operation is None:
            return None
        now = self._lab.clock()
        self._kept = {arn: one for arn, one in self._kept.items() if not one.lapses or now < one.lapses}
        return await operation(call)

    async def after(self, call: Call, reply: Reply) -> Reply:
        if not reply.ok:
            return reply
        topic = str(call.params.get("TopicArn", ""))
        match call.operation:
            case "DeleteTopic":
                self._kept = {arn: one for arn, one in self._kept.items() if one.topic != topic}
            case "GetTopicAttributes":
                mine = [one for one in self._kept.values() if one.topic == topic]
                if mine:
                    attributes = result_of(call, reply)["Attributes"]
                    pending = sum(1 for one in mine if one.lapses)
                    counts = {"SubscriptionsPending": pending, "SubscriptionsConfirmed": int(attributes.get("SubscriptionsConfirmed", 0)) + len(mine) - pending}
                    return answer(call, {"Attributes": attributes | {name: str(count) for name, count in counts.items()}})
        return reply

    async def _ask(self, call: Call, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        return await self._lab.backends.ask("sns", operation, params, call.account, call.region)

    async def _subscribe(self, call: Call) -> Reply | None:
        params = call.params
        topic, protocol, endpoint = params["TopicArn"], params["Protocol"], params.get("Endpoint", "")
        if protocol not in CONFIRMED_BY_SOMEBODY:
            return None
        if (protocol.startswith("http") and not endpoint.startswith(f"{protocol}://")) or (protocol.startswith("email") and "@" not in endpoint):
            raise _refused(f"{'Endpoint must match the specified protocol' if protocol.startswith('http') else 'Email address'}")
        await self._ask(call, "GetTopicAttributes", {"TopicArn": topic})
        known = next((one for one in self._kept.values() if (one.topic, one.protocol, one.endpoint) == (topic, protocol, endpoint)), None)
        if known is None:
            arn = f"{topic}:{uuid.uuid4()}"
            known = Subscription(arn, topic, protocol, endpoint, call.account, self._lab.clock() + _LAPSES_S, dict(params.get("Attributes", {})))
            self._kept[arn] = known
        elif known.lapses:
            known.lapses = self._lab.clock() + _LAPSES_S
        told = known.arn if not known.lapses or params.get("ReturnSubscriptionArn") else "pending confirmation"
        return answer(call, {"SubscriptionArn": told})

    async def _unsubscribe(self, call: Call) -> Reply | None:
        arn = call.params["SubscriptionArn"]
        if arn.count(":") < 5:
            raise _refused(f"SubscriptionArn Reason: An ARN must have at least 6 elements, not {arn.count(':') + 1}")
        known = self._kept.get(arn)
        if known is None:
            return None
        if known.lapses:
            raise _refused("SubscriptionArn Reason: Cannot unsubscribe a subscription that is pending confirmation")
        del self._kept[arn]
        return answer(call, {})

    async def _theirs(self, call: Call) -> list[dict[str, str]]:
        rows: list[dict[str, str]] = []
        token: dict[str, str] = {}
        while True:
            page = await self._ask(call, "ListSubscriptions", token)
            rows += page.get("Subscriptions", [])
            if not page.get("NextToken"):
                return rows
            token = {"NextToken": page["NextToken"]}

    async def _list(self, call: Call) -> Reply:
        own = [one.row() for one in self._kept.values() if one.topic.split(":")[3:5] == [call.region, call.account]]
        return self._paged(call, own + await self._theirs(call))

    async def _by_topic(self, call: Call) -> Reply:
        topic = call.params["TopicArn"]
        theirs = (await self._ask(call, "ListSubscriptionsByTopic", {"TopicArn": topic})).get("Subscriptions", [])
        return self._paged(call, [one.row() for one in self._kept.values() if one.topic == topic] + theirs)

    def _paged(self, call: Call, rows: list[dict[str, str]]) -> Reply:
        start = int(call.params.get("NextToken") or 0)
        told: dict[str, Any] = {"Subscriptions": rows[start : start + _PAGE]}
        return answer(call, told | ({"NextToken": str(start + _PAGE)} if start + _PAGE < len(rows) else {}))

    async def _attributes(self, call: Call) -> Reply | None:
        known = self._kept.get(call.params["SubscriptionArn"])
        if known is None:
            return None
        attributes = known.attributes | known.row() | {"SubscriptionArn": known.arn, PENDING: str(bool(known.lapses)).lower()}
        return answer(call, {"Attributes": attributes})

    async def _set_attribute(self, call: Call) -> Reply | None:
        known = self._kept.get(call.params["SubscriptionArn"])
        if known is None:
            return None
        known.attributes[call.params["AttributeName"]] = call.params.get("AttributeValue", "")
        return answer(call, {})

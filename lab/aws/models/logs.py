"""CloudWatch Logs, vended log delivery (v2): updates, what is in use, and what CloudFront's logs need.

CloudWatch Logs API reference: UpdateDeliveryConfiguration, DeleteDeliverySource and DeleteDeliveryDestination ("you can't delete ...
if any deliveries are associated with it"), PutDeliverySource; CloudFront Developer Guide, "Configure standard logging (v2)": us-east-1.
"""

from __future__ import annotations

from typing import Any

from lab.aws.context import Lab
from lab.aws.wire import AwsFault, Call, Reply, answer, result_of

_UPDATABLE = ("recordFields", "fieldDelimiter", "s3DeliveryConfiguration")


class Logs:
    services = frozenset({"logs"})

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.reset()

    def reset(self) -> None:
        # (account, region, delivery id) -> what UpdateDeliveryConfiguration changed.
        self._updated: dict[tuple[str, str, str], dict[str, Any]] = {}

    async def before(self, call: Call) -> Reply | None:
        match call.operation:
            case "UpdateDeliveryConfiguration":
                return await self._update(call)
            case "PutDeliverySource":
                await self._check_source(call)
            case "DeleteDeliverySource":
                for delivery in await self._deliveries(call):
                    if delivery["deliverySourceName"] == call.params["name"]:
                        raise AwsFault("ConflictException", f"The delivery source {call.params['name']} is used by delivery {delivery['id']}.")
            case "DeleteDeliveryDestination":
                suffix = f":delivery-destination:{call.params['name']}"
                for delivery in await self._deliveries(call):
                    if delivery["deliveryDestinationArn"].endswith(suffix):
                        raise AwsFault("ConflictException", f"The delivery destination {call.params['name']} is used by delivery {delivery['id']}.")
        return None

    async def after(self, call: Call, reply: Reply) -> Reply:
        if not reply.ok:
            return reply
        match call.operation:
            case "DeleteDelivery":
                self._updated.pop((call.account, call.region, call.params["id"]), None)
            case "GetDelivery" if self._updated:
                return answer(call, {"delivery": self._current(call, result_of(call, reply)["delivery"])})
            case "DescribeDeliveries" if self._updated:
                result = result_of(call, reply)
                return answer(call, result | {"deliveries": [self._current(call, delivery) for delivery in result["deliveries"]]})
        return reply

    def _current(self, call: Call, delivery: dict[str, Any]) -> dict[str, Any]:
        return delivery | self._updated.get((call.account, call.region, delivery["id"]), {})

    async def _ask(self, call: Call, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        return await self._lab.backends.ask("logs", operation, params, call.account, call.region)

    async def _deliveries(self, call: Call) -> list[dict[str, Any]]:
        return list((await self._ask(call, "DescribeDeliveries", {}))["deliveries"])

    async def _update(self, call: Call) -> Reply:
        await self._ask(call, "GetDelivery", {"id": call.params["id"]})
        changed = {name: call.params[name] for name in _UPDATABLE if name in call.params}
        key = (call.account, call.region, call.params["id"])
        self._updated[key] = self._updated.get(key, {}) | changed
        return answer(call, {})

    async def _check_source(self, call: Call) -> None:
        arn, name = call.params["resourceArn"], call.params["name"]
        if arn.startswith("arn:aws:cloudfront:"):
            if call.region != "us-east-1":
                raise AwsFault("ValidationException", "Delivery sources of CloudFront distributions exist in us-east-1 only.")
            if arn not in self._lab.distributions:
                raise AwsFault("ResourceNotFoundException", f"The resource {arn} does not exist.")
            if call.params["logType"] not in ("ACCESS_LOGS", "CONNECTION_LOGS"):
                raise AwsFault("ValidationException", f"{call.params['logType']} is no log type of a CloudFront distribution.")
        for source in (await self._ask(call, "DescribeDeliverySources", {}))["deliverySources"]:
            if source["name"] != name and arn in source["resourceArns"] and source["logType"] == call.params["logType"]:
                raise AwsFault("ConflictException", "This ResourceId has already been used in another Delivery Source in this account")

"""Account Management: regions that an account has not enabled.

Account Management Reference, "Specify which AWS Regions your account can use": the API of a disabled region does not know the account's
credentials, and ListRegions tells its status with RegionOptStatusContains as the filter.
"""

from __future__ import annotations

from lab.aws.context import Lab
from lab.aws.wire import AwsFault, Call, Reply, answer


class Account:
    services = frozenset({"account", "acm"})

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.reset()

    def reset(self) -> None:
        self._disabled: set[tuple[str, str]] = set()

    def disable(self, account: str, region: str) -> None:
        """As if the account had never enabled the region."""
        self._disabled.add((account, region))

    async def before(self, call: Call) -> Reply | None:
        if (call.account, call.region) in self._disabled:
            raise AwsFault("UnrecognizedClientException", "The security token included in the request is invalid.", 400)
        return None

    async def after(self, call: Call, reply: Reply) -> Reply:
        if not reply.ok or call.operation != "ListRegions":
            return reply
        wanted = call.params.get("RegionOptStatusContains")
        everywhere = (await self._lab.backends.ask("account", "ListRegions", {}, call.account, call.region))["Regions"]
        told = [region | self._status(call.account, region["RegionName"]) for region in everywhere]
        return answer(call, {"Regions": [region for region in told if not wanted or region["RegionOptStatus"] in wanted]})

    def _status(self, account: str, region: str) -> dict[str, str]:
        return {"RegionOptStatus": "DISABLED"} if (account, region) in self._disabled else {}

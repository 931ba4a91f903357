"""STS: which account a session's access key stands for.

STS API reference, AssumeRole: the answer's AssumedRoleUser carries the account in its ARN; later requests carry only the key.
"""

from __future__ import annotations

from lab.aws.context import Lab
from lab.aws.wire import Call, Reply, result_of


class Sessions:
    services = frozenset({"sts"})

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def before(self, call: Call) -> Reply | None:
        return None

    async def after(self, call: Call, reply: Reply) -> Reply:
        if reply.ok and call.operation.startswith("AssumeRole"):
            result = result_of(call, reply)
            self._lab.sessions[result["Credentials"]["AccessKeyId"]] = result["AssumedRoleUser"]["Arn"].split(":")[4]
        return reply

    def reset(self) -> None:
        """The sessions themselves are the lab's."""

"""KMS key policies: what ministack lets through.

KMS API reference, PutKeyPolicy: MalformedPolicyDocumentException, also for a policy that would let nobody change it again (unless
BypassPolicyLockoutSafetyCheck); at most 32 kilobytes; policies of AWS managed keys cannot be changed.
"""

from __future__ import annotations

from typing import Any

from lab.aws.context import Lab
from lab.aws.models.policies import statements
from lab.aws.wire import AwsFault, Call, Reply

LONGEST_POLICY = 32_768


def _administers(statement: dict[str, Any], account: str) -> bool:
    """Whether somebody of the account may put the policy again; conditions are not looked at."""
    actions = statement.get("Action")
    principal = statement["Principal"]
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    people = named if isinstance(named, list) else [named]
    allowed = any(action in ("*", "kms:*", "kms:Put*", "kms:PutKeyPolicy") for action in (actions if isinstance(actions, list) else [actions]))
    return statement["Effect"] == "Allow" and allowed and any(person and (person == "*" or account in person) for person in people)


class Kms:
    services = frozenset({"kms"})

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def reset(self) -> None:
        """It keeps nothing."""

    async def before(self, call: Call) -> Reply | None:
        if call.operation == "PutKeyPolicy":
            await self._check(call)
        return None

    async def after(self, call: Call, reply: Reply) -> Reply:
        return reply

    async def _check(self, call: Call) -> None:
        policy = call.params["Policy"]
        if len(policy.encode()) > LONGEST_POLICY:
            raise AwsFault("LimitExceededException", "The key policy is longer than 32 kilobytes.", 400)
        try:
            found = statements(policy)
        except ValueError as wrong:
            raise AwsFault("MalformedPolicyDocumentException", f"The new key policy is not valid: {wrong}", 400) from wrong
        if not call.params.get("BypassPolicyLockoutSafetyCheck") and not any(_administers(statement, call.account) for statement in found):
            raise AwsFault("MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future.", 400)
        described = await self._lab.backends.ask("kms", "DescribeKey", {"KeyId": call.params["KeyId"]}, call.account, call.region)
        if described["KeyMetadata"].get("KeyManager") == "AWS":
            raise AwsFault("AccessDeniedException", "The policy of an AWS managed key cannot be changed.", 400)

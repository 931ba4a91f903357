"""SNS topics: creating one again, policies that are none, and who of another account may read a topic.

SNS API reference, CreateTopic: the same name returns the existing topic's ARN; with other tags, or attributes that differ, it is InvalidParameter.
SetTopicAttributes: "Invalid parameter: Policy Error", also for two statements with one Sid ("Every policy statement must have a unique ID").
Developer Guide, "Example cases for Amazon SNS access control": another account reads a topic's attributes only where the topic's policy lets it;
the policy that a topic is born with asks that AWS:SourceOwner, which is who calls, be the owner.
"""

from __future__ import annotations

from lab.aws.context import Lab
from lab.aws.models.policies import allows, statements
from lab.aws.wire import AwsFault, Call, Reply, answer, result_of


def _check_policy(policy: str) -> None:
    try:
        sids = [statement.get("Sid", "") for statement in statements(policy)]
    except ValueError as wrong:
        raise AwsFault("InvalidParameter", f"Invalid parameter: Policy Error: {wrong}", 400) from wrong
    if len(sids) > 1 and len(set(sids)) != len(sids):
        raise AwsFault("InvalidParameter", "Invalid parameter: Policy Error: Every policy statement must have a unique ID", 400)


class Sns:
    services = frozenset({"sns"})

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.reset()

    def reset(self) -> None:
        self._tags: dict[str, dict[str, str]] = {}

    async def before(self, call: Call) -> Reply | None:
        if call.operation == "CreateTopic":
            arn = f"arn:aws:sns:{call.region}:{call.account}:{call.params['Name']}"
            given = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags", [])}
            if given and arn in self._tags and self._tags[arn] != given:
                raise AwsFault("InvalidParameter", "Invalid parameter: Tags Reason: Topic already exists with different tags")
        if call.operation == "SetTopicAttributes" and call.params["AttributeName"] == "Policy" and call.params.get("AttributeValue"):
            _check_policy(call.params["AttributeValue"])
        if call.operation == "GetTopicAttributes" and (arn := str(call.params["TopicArn"])).split(":")[4:5] != [call.account]:
            return await self._of_another(call, arn)
        return None

    async def _of_another(self, call: Call, arn: str) -> Reply:
        """A topic of another account, as its policy lets the caller's see it."""
        owner = arn.split(":")[4] if arn.count(":") == 5 else ""
        if not owner:
            raise AwsFault("InvalidParameter", "Invalid parameter: TopicArn", 400)
        told = await self._lab.backends.ask("sns", "GetTopicAttributes", {"TopicArn": arn}, owner, call.region)
        context = {"aws:sourceowner": call.account, "aws:principalaccount": call.account, "aws:securetransport": "true"}
        names = (call.account, f"arn:aws:iam::{call.account}:root")
        if not any(allows(told["Attributes"]["Policy"], "SNS:GetTopicAttributes", name, context) for name in names):
            who = f"User: arn:aws:iam::{call.account}:user/lab is not authorized to perform: SNS:GetTopicAttributes on resource: {arn}"
            raise AwsFault("AuthorizationError", f"{who} because no resource-based policy allows the SNS:GetTopicAttributes action", 403)
        return answer(call, told)

    async def after(self, call: Call, reply: Reply) -> Reply:
        if not reply.ok:
            return reply
        arn = str(call.params.get("ResourceArn") or call.params.get("TopicArn") or "")
        match call.operation:
            case "CreateTopic":
                self._tags.setdefault(result_of(call, reply)["TopicArn"], {tag["Key"]: tag["Value"] for tag in call.params.get("Tags", [])})
            case "TagResource":
                self._tags.setdefault(arn, {}).update({tag["Key"]: tag["Value"] for tag in call.params["Tags"]})
            case "UntagResource":
                for key in call.params["TagKeys"]:
                    self._tags.get(arn, {}).pop(key, None)
            case "DeleteTopic":
                self._tags.pop(arn, None)
        return reply

"""SNS topics: creating one again, and policies that are none.

SNS API reference, CreateTopic: the same name returns the existing topic's ARN; with other tags, or attributes that differ, it is InvalidParameter.
SetTopicAttributes: "Invalid parameter: Policy Error", also for two statements with one Sid ("Every policy statement must have a unique ID").
"""

from __future__ import annotations

from lab.aws.models.policies import statements
from lab.aws.wire import AwsFault, Call, Reply, result_of


def _check_policy(policy: str) -> None:
    try:
        sids = [statement.get("Sid", "") for statement in statements(policy)]
    except ValueError as wrong:
        raise AwsFault("InvalidParameter", f"Invalid parameter: Policy Error: {wrong}", 400) from wrong
    if len(sids) > 1 and len(set(sids)) != len(sids):
        raise AwsFault("InvalidParameter", "Invalid parameter: Policy Error: Every policy statement must have a unique ID", 400)


class Sns:
    services = frozenset({"sns"})

    def __init__(self) -> None:
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
        return None

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

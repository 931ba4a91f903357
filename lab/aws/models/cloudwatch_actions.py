"""What an alarm does when its state changes: notifications that arrive, or fail as AWS tells it in the history and nowhere else.

SNS Developer Guide and CloudWatch User Guide, "Notifying users on alarm changes": the topic's policy must let cloudwatch.amazonaws.com publish,
and a topic encrypted with the AWS managed key drops the notification ("CloudWatch Alarms does not have authorization to access the SNS topic
encryption key"); a customer key's policy must let it Decrypt and GenerateDataKey*. Both messages are as alarm histories show them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.aws.context import Lab
from lab.aws.models.cloudwatch_state import Alarm, Watch, compact, now, stamp
from lab.aws.models.policies import allows
from lab.aws.wire import AwsFault

SERVICE = "cloudwatch.amazonaws.com"
_OF_STATE = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
_KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")


class Actions:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    async def perform(self, watch: Watch, alarm: Alarm) -> None:
        """Every action of the alarm's present state, each with a line of history."""
        if not alarm.document.get("ActionsEnabled", True):
            return
        for arn in alarm.document.get(_OF_STATE[alarm.state], []):
            error = await self._refusal(watch, alarm, arn) if arn.split(":")[2] == "sns" else ""
            if arn.split(":")[2] == "sns" and not error:
                error = await self._publish(watch, alarm, arn)
            self._note(watch, alarm, arn, error)

    def _note(self, watch: Watch, alarm: Alarm, arn: str, error: str) -> None:
        data = {"actionState": "Failed" if error else "Succeeded", "notificationResource": arn, "stateUpdateTimestamp": alarm.document["StateUpdatedTimestamp"]}
        data |= {"error": error or None, "stateUpdateTimestamp": int(alarm.document["StateUpdatedTimestamp"].timestamp() * 1000)}
        summary = f'Failed to execute action {arn}. Received error: "{error}"' if error else f"Successfully executed action {arn}"
        watch.note(alarm, "Action", summary, data, now())

    async def _ask(self, service: str, operation: str, params: dict[str, Any], arn: str) -> dict[str, Any]:
        region, account = arn.split(":")[3:5]
        return await self._lab.backends.ask(service, operation, params, account, region)

    async def _refusal(self, watch: Watch, alarm: Alarm, arn: str) -> str:
        try:
            topic = (await self._ask("sns", "GetTopicAttributes", {"TopicArn": arn}, arn))["Attributes"]
        except AwsFault:
            return "Topic does not exist"
        # SourceOwner is what SNS's own default policy asks for.
        context = {"aws:sourcearn": alarm.arn, "aws:sourceaccount": watch.account, "aws:sourceowner": watch.account}
        if not allows(topic["Policy"], "SNS:Publish", SERVICE, context):
            return (
                f"CloudWatch Alarms is not authorized to perform: SNS:Publish on resource: {arn} because no resource-based policy allows the SNS:Publish action"
            )
        if key := topic.get("KmsMasterKeyId", ""):
            return await self._key_refusal(key, arn, context)
        return ""

    async def _key_refusal(self, key: str, topic: str, context: Mapping[str, str]) -> str:
        refusal = "CloudWatch Alarms does not have authorization to access the SNS topic encryption key."
        if key.endswith("alias/aws/sns"):
            return refusal
        try:
            described = (await self._ask("kms", "DescribeKey", {"KeyId": key}, topic))["KeyMetadata"]
            policy = (await self._ask("kms", "GetKeyPolicy", {"KeyId": described["KeyId"], "PolicyName": "default"}, topic))["Policy"]
        except AwsFault:
            return refusal
        usable = described.get("Enabled") and described.get("KeyManager") == "CUSTOMER"
        return "" if usable and all(allows(policy, action, SERVICE, context) for action in _KEY_ACTIONS) else refusal

    async def _publish(self, watch: Watch, alarm: Alarm, arn: str) -> str:
        document = alarm.document
        message = {
            "AlarmName": alarm.name,
            "AlarmDescription": document.get("AlarmDescription"),
            "AWSAccountId": watch.account,
            "AlarmArn": alarm.arn,
            "Region": watch.region,
            "NewStateValue": alarm.state,
            "NewStateReason": document.get("StateReason", ""),
            "StateChangeTime": stamp(document["StateUpdatedTimestamp"]),
        }
        subject = f"{alarm.state}: {alarm.name}"[:100]
        try:
            await self._ask("sns", "Publish", {"TopicArn": arn, "Subject": subject, "Message": compact(message)}, arn)
        except AwsFault as error:
            return error.message
        return ""

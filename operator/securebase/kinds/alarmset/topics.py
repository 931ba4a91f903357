"""Who is told: topics by severity and region, and what their customer key must allow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from securebase.api.alarmset import Notification, PerfAlarmSetSpec
from securebase.core.errors import Terminal
from securebase.core.graph import Node, Ref, Role
from securebase.core.identity import digest
from securebase.core.kind import Context
from securebase.kinds.alarmset.catalogue import Severity
from securebase.kinds.alarmset.names import CDN_REGION, LONG, regional
from securebase.resources.kms.model import KeyStatement
from securebase.resources.sns.given_model import GivenTopic
from securebase.resources.sns.model import Topic

PUBLISHER = "cloudwatch.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one alarm set.

    regions  where there is something to tell of
    open     whether objects that are not there yet may bring others
    """

    spec: PerfAlarmSetSpec
    context: Context
    regions: frozenset[str]
    open: bool = False

    def __post_init__(self) -> None:
        near = {*self.regions, self.context.region, CDN_REGION}
        if self.open:
            return
        for notification in self.spec.notifications:
            if far := sorted(arn for arn in notification.topic_arns if arn.split(":")[3] not in near):
                told = f"notifications[{notification.severity}].topicArns: {far[0]} is in another region; an alarm tells topics of its own region, here"
                raise Terminal("TopicRegion", f"{told} {' and '.join(sorted(near))}")

    def told(self, severity: Severity, region: str) -> frozenset[str]:
        """ARNs for alarms of that severity in that region: given ones of the same region, and the one that is made there. Terminal where somebody
        shall be told of that severity, and nobody would be there."""
        for notification in self.spec.notifications:
            if notification.severity == severity:
                told = set(_given_in(notification, region))
                if self._is_made(notification, region):
                    told.add(Ref(self._node(severity, region), "arn"))
                if not told:
                    raise self._key_missing(notification, region) if notification.create_topic is not None else _missing(severity, region)
                return frozenset(told)
        return frozenset()

    def nodes(self) -> Iterator[Node]:
        """Topics, one statement in each key that encrypts any of them, and a look at each topic that is given."""
        yield from self._given()
        keys: dict[str, str] = {}
        for notification in self.spec.notifications:
            for region in sorted(region for region in self.regions if self._is_made(notification, region)):
                key = self._key(notification, region)
                if key:
                    keys[key] = region
                topic = self._topic(notification, region, key)
                after = frozenset({_key_node(key)}) if key else frozenset[str]()
                yield Node(self._node(notification.severity, region), "sns/topic", topic, self._elsewhere(region), after=after)
        for key, region in sorted(keys.items()):
            yield Node(_key_node(key), "kms/policy-statement", self._statement(key, region), self._elsewhere(region))

    def _given(self) -> Iterator[Node]:
        """Nothing refers to these: what they tell holds up no alarm."""
        for arn in sorted({arn for notification in self.spec.notifications for arn in notification.topic_arns}):
            yield Node(f"given-topic-{digest(arn, length=8)}", "sns/given-topic", GivenTopic(arn), self._elsewhere(arn.split(":")[3]), Role.EXTERNAL)

    def _node(self, severity: str, region: str) -> str:
        return regional(f"topic-{severity}", region, self.context.region, "-")

    def _elsewhere(self, region: str) -> str:
        return "" if region == self.context.region else region

    def _alarms(self, region: str) -> frozenset[str]:
        """ARNs of every alarm that may publish."""
        return frozenset({f"arn:{self.context.partition}:cloudwatch:{region}:{self.context.account_id}:alarm:*"})

    def _key(self, notification: Notification, region: str) -> str:
        wanted = notification.create_topic
        if wanted is None or not wanted.kms_key_arn:
            return ""
        if region == self.context.region:
            return wanted.kms_key_arn
        return wanted.us_east1_kms_key_arn or "" if region == CDN_REGION else ""

    def _key_missing(self, notification: Notification, region: str) -> Terminal:
        other = f"name a topic of {region} in topicArns"
        return Terminal(
            "KeyMissing",
            f"notifications[{notification.severity}].createTopic: alarms in {region} need an encrypted topic there; "
            f"{f'give usEast1KmsKeyArn, or {other}' if region == CDN_REGION else other}, as a key of {self.context.region} encrypts nothing there",
        )

    def _is_made(self, notification: Notification, region: str) -> bool:
        """Whether a topic is made there. An encrypted one needs a key of its region: without it a topic that is given stands for it."""
        wanted = notification.create_topic
        if wanted is None or region not in self.regions:
            return False
        return not wanted.kms_key_arn or bool(self._key(notification, region))

    def _topic(self, notification: Notification, region: str, key: str) -> Topic:
        wanted = notification.create_topic
        if wanted is None:
            raise ValueError("no topic is wanted")
        return Topic(
            name=self.context.identity.external_name(self._node(notification.severity, region), LONG),
            tags=self.context.tags,
            kms_key=key,
            publishers=frozenset({PUBLISHER}),
            emails=frozenset(wanted.emails),
            subscriptions=frozenset(
                {
                    *(f"https:{url}" for url in wanted.https),
                    *(f"lambda:{arn}" for arn in wanted.lambda_arns),
                    *(f"sqs:{arn}" for arn in wanted.sqs_arns),
                }
            ),
            sources=self._alarms(region),
        )

    def _statement(self, key: str, region: str) -> KeyStatement:
        return KeyStatement(key=key, principals=frozenset({PUBLISHER}), sources=self._alarms(region))


def _key_node(key: str) -> str:
    return f"key-{digest(key, length=8)}"


def _given_in(notification: Notification, region: str) -> frozenset[str]:
    return frozenset(arn for arn in notification.topic_arns if arn.split(":")[3] == region)


def _missing(severity: Severity, region: str) -> Terminal:
    told = f"notifications[{severity}] has no topic in {region}, where there are alarms of that severity: nobody would hear of them"
    return Terminal("TopicMissingInRegion", f"{told}; add a topic of {region} to its topicArns, or give it createTopic, which makes one in each region")

"""Looks at topics that somebody else made before an alarm has to tell them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, State, Target
from securebase.core.errors import Denied, ReconcileError, Terminal
from securebase.resources.listing import Read, Turns
from securebase.resources.pace import Pace
from securebase.resources.sns.given_model import GivenTopic
from securebase.resources.sns.given_policy import PUBLISHER, Publisher, Verdict, may_publish

EVERY: Final = 10
"""Of how many sweeps one reads topics again; no list tells of their policies."""
RECENT_SECONDS: Final = 5.0
"""How old an answer may be for a pass: the same topic is told by many alarm sets."""

_GONE: Final = ("NotFound", "NotFoundException", "ResourceNotFound", "ResourceNotFoundException")
_NO_KEY_OF_ALARMS: Final = "alias/aws/sns"


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of a topic: `reason` and `message` of what keeps alarms out, or a message alone where that cannot be told."""

    exists: str = "true"
    writable: str = "true"
    reason: str = ""
    message: str = ""


class GivenTopicDriver:
    """`sns/given-topic`, EXTERNAL. Never writes. External id: the ARN.

    Every topic is answered: READY where alarms get through, or nobody can tell from here; PENDING where it is proven that they do not. An alarm
    is made all the same, and what it tells is lost without a word but in the history of the alarm (CloudWatch User Guide, "Alarm actions").
    """

    type: ClassVar[str] = "sns/given-topic"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._pace = Pace(clock, EVERY)
        self._turns: Turns[str, Judged] = Turns(clock, share=1.0)

    def observe(self, targets: Sequence[Target[GivenTopic]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: a topic each, unless it was read a moment ago. SWEEP: all of them every tenth time, and what was never read or keeps alarms out."""
        arns = {target.key: target.desired.arn if target.desired is not None else target.external_id for target in targets}
        failed: dict[str, ReconcileError] = {}
        if depth is Depth.SWEEP:
            everything = self._pace.due()
            self._turns.round(arns.values(), lambda due: self._read(due, failed), unread_only=not everything)
            again = [arn for arn, read in self._turns.known(arns.values()).items() if read.value.reason and arn not in failed]
        else:
            again = list(dict.fromkeys(arns.values()))
        for arn, judged in self._read([arn for arn in again if not self._is_recent(arn)], failed).items():
            self._turns.put(arn, judged)
        known = self._turns.known(arns.values())
        return {key: _answer(arn, known.get(arn), failed.get(arn)) for key, arn in arns.items()}

    def create(self, target: Target[GivenTopic], token: str) -> Observed[GivenTopic]:
        """Never: it is somebody else's."""
        raise Terminal("NotOurs", "a given topic is made by others")

    def update(self, target: Target[GivenTopic], observed: Observed[GivenTopic], changes: Sequence[Change]) -> Observed[GivenTopic]:
        """Never: it is somebody else's."""
        raise Terminal("NotOurs", "a given topic is changed by others")

    def delete(self, target: Target[GivenTopic], observed: Observed[GivenTopic]) -> None:
        """Nothing: it is somebody else's."""

    def _is_recent(self, arn: str) -> bool:
        read = self._turns.known([arn]).get(arn)
        return read is not None and self._clock() - read.at <= RECENT_SECONDS

    def _read(self, arns: Sequence[str], failed: dict[str, ReconcileError]) -> dict[str, Judged]:
        """One failure is one topic's; what was known of it stays."""
        found: dict[str, Judged] = {}
        for arn in arns:
            try:
                found[arn] = self._judge(arn)
            except Denied as denied:
                found[arn] = Judged("unknown", "unknown", message=_unread(arn, denied))
            except ReconcileError as error:
                failed[arn] = error
        return found

    def _judge(self, arn: str) -> Judged:
        answer = self._aws.attempt("sns", "get_topic_attributes", _GONE, TopicArn=arn)
        if isinstance(answer, Refusal):
            return Judged("false", "false", "TopicMissing", f"there is no topic {arn}: alarms that tell it tell nobody; make it, or take it out of topicArns")
        return judged(arn, answer["Attributes"], Publisher(self._aws.partition, self._aws.region, self._aws.account_id, arn))


def judged(arn: str, attributes: Mapping[str, str], publisher: Publisher) -> Judged:
    """What a topic's attributes say to alarms."""
    verdict = may_publish(attributes.get("Policy", ""), publisher)
    if verdict is Verdict.NO:
        statement = f"let {PUBLISHER} do sns:Publish in its policy, with aws:SourceAccount {publisher.account} and aws:SourceArn {publisher.alarms}*"
        return Judged(writable="false", reason="TopicNotWritable", message=f"the policy of topic {arn} keeps alarms of this account out; {statement}")
    key = attributes.get("KmsMasterKeyId", "")
    if key == _NO_KEY_OF_ALARMS or key.endswith(f":{_NO_KEY_OF_ALARMS}"):
        fix = f"encrypt it with a customer key that lets {PUBLISHER} do kms:Decrypt and kms:GenerateDataKey*"
        return Judged(writable="false", reason="TopicKey", message=f"topic {arn} is encrypted with {_NO_KEY_OF_ALARMS}, which drops alarms silently; {fix}")
    if verdict is Verdict.UNKNOWN:
        return Judged(writable="unknown", message=f"whether the policy of topic {arn} lets alarms of this account publish cannot be told from here")
    return Judged()


def _unread(arn: str, error: ReconcileError) -> str:
    return f"whether alarms may publish to topic {arn} cannot be checked: {error.message}"


def _answer(arn: str, read: Read[Judged] | None, error: ReconcileError | None) -> Observed[GivenTopic]:
    """A failed look leaves what was known; it holds up nothing, as nothing is made of a topic's answer."""
    if read is None:
        unread = _unread(arn, error) if error is not None else ""
        return Observed(arn, GivenTopic(arn), message=unread, attributes={"exists": "unknown", "writable": "unknown"})
    told, attributes = read.value, {"exists": read.value.exists, "writable": read.value.writable}
    state = State.PENDING if told.reason else State.READY
    return Observed(arn, GivenTopic(arn), state, told.reason, told.message, attributes=attributes, checked_at=read.at)

"""Keeps topics: their key, who may publish, who is told, and tags."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, Target
from securebase.core.errors import ReconcileError, Transient
from securebase.core.fields import UNMANAGED
from securebase.core.identity import OWNER_TAG, Identity
from securebase.resources.listing import STORM_SECONDS, Listing, Turns
from securebase.resources.sns.model import Topic
from securebase.resources.sns.policy import PUBLISHERS_SID, publish_statement, publishers_and_sources
from securebase.resources.sns.subscriptions import Told, counted, endpoints, subscribing, told_by_topic, waiting
from securebase.resources.statements import parsed, with_statement, without_statement
from securebase.resources.tagging import SweptTags, Tagged, TagIndex, owned_nodes, tag_list, tag_map, tags_to_put, tags_to_remove, unresolved

_GONE: Final = ("NotFound", "NotFoundException", "ResourceNotFound", "ResourceNotFoundException")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A topic but for its tags."""

    attributes: Mapping[str, str]
    told: Told


class TopicDriver:
    """`sns/topic`. External id: the ARN, which follows from the name.

    A sweep lists topics and subscriptions (a hundred a page); a topic's attributes are in no list and read in turns, a hundredth each time.
    """

    type: ClassVar[str] = "sns/topic"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._topics: Listing[str, bool] = Listing(self._list_topics, clock)
        self._subscriptions: Listing[str, Told] = Listing(self._list_subscriptions, clock)
        self._subscription_pages = 0
        self._turns: Turns[str, Snapshot] = Turns(clock, share=0.01, at_least=3)
        self._index = TagIndex(aws, clock, "sns")
        self._tags = SweptTags(self._index, self._read_tags, clock)

    def observe(self, targets: Sequence[Target[Topic]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: by ARN. SWEEP: lists, and turns."""
        arns = {target.key: self._arn(target) for target in targets}
        if depth is Depth.SWEEP:
            return self._swept(targets, arns)
        answers: dict[Key, Answer] = {}
        for target in targets:
            try:
                answers[target.key] = self._fresh(target, arns[target.key])
            except ReconcileError as error:
                answers[target.key] = error
        return answers

    def create(self, target: Target[Topic], token: str) -> Observed[Topic]:
        """Make it, then bring it to what is wanted; an earlier try's topic is only brought there."""
        want, arn = target.want(), self._arn(target)
        tagged = Tagged(target.owner, want.tags)
        if (snapshot := self._snapshot(arn)) is None:
            encryption = {"KmsMasterKeyId": want.kms_key} if want.kms_key else {}
            self._aws.call("sns", "create_topic", Name=want.name, Attributes=encryption, Tags=tag_list(tag_map(target.owner, want.tags)))
            self._topics.put(arn, True)
            snapshot = self._snapshot(arn)
        else:
            tagged = self._tags.fresh(arn)
        if snapshot is None or tagged.owner != target.owner:
            raise Transient("NotVisibleYet", f"topic {want.name} is there, but not with our tags yet")
        return self.update(target, self._observed(target, arn, snapshot, tagged), ())

    def update(self, target: Target[Topic], observed: Observed[Topic], changes: Sequence[Change]) -> Observed[Topic]:
        """Change what differs, one call each: SNS has no call for the whole."""
        want, have, arn = target.want(), observed.value, observed.external_id
        if want.kms_key != have.kms_key:
            self._set(arn, "KmsMasterKeyId", want.kms_key)
        if (want.publishers, want.sources) != (have.publishers, have.sources):
            self._set_publishers(arn, want)
        self._set_told(arn, want, observed.raw)
        if put := tags_to_put(want.tags, have.tags):
            self._aws.call("sns", "tag_resource", ResourceArn=arn, Tags=tag_list(put))
        if gone := tags_to_remove(changes, want.tags):
            self._aws.call("sns", "untag_resource", ResourceArn=arn, TagKeys=gone)
        tags = {key: value for key, value in {**have.tags, **put}.items() if key not in gone}
        self._tags.wrote(arn, Tagged(observed.owner, tags))
        pending, message = waiting(want, (self._snapshot(arn) or observed.raw).told)
        return replace(observed, value=replace(want, tags=tags), message=message, attributes={**observed.attributes, "pending": pending})

    def delete(self, target: Target[Topic], observed: Observed[Topic]) -> None:
        """Gone at once, with its confirmed subscriptions; pending ones lapse by themselves."""
        self._aws.call("sns", "delete_topic", TopicArn=observed.external_id)
        self._topics.drop(observed.external_id)

    def adopt(self, target: Target[Topic], observed: Observed[Topic]) -> Observed[Topic]:
        """Put our owner tag on it."""
        self._aws.call("sns", "tag_resource", ResourceArn=observed.external_id, Tags=tag_list({OWNER_TAG: target.owner}))
        self._tags.wrote(observed.external_id, Tagged(target.owner, observed.value.tags))
        return replace(observed, owner=target.owner)

    def owned(self, identity: Identity) -> Mapping[str, str]:
        """By the owner tag, as the tagging API knows it."""
        return owned_nodes(self._index.owners(STORM_SECONDS), identity)

    def _arn(self, target: Target[Topic]) -> str:
        if target.external_id:
            return target.external_id
        name = target.want().name
        return "" if unresolved(name) else f"arn:{self._aws.partition}:sns:{self._aws.region}:{self._aws.account_id}:{name}"

    def _fresh(self, target: Target[Topic], arn: str) -> Observed[Topic] | None:
        snapshot = self._snapshot(arn) if arn else None
        return None if snapshot is None else self._observed(target, arn, snapshot, self._tags.fresh(arn))

    def _swept(self, targets: Sequence[Target[Topic]], arns: Mapping[Key, str]) -> Mapping[Key, Answer]:
        listed = self._topics.get()
        there = sorted({arn for arn in arns.values() if arn in listed})
        failed: dict[str, ReconcileError] = {}
        told = self._subscriptions.get() if self._subscription_pages <= len(there) else None
        reads = self._turns.round(there, lambda due: self._read_all(due, failed, told))
        tags = self._tags.sweep(there)
        answers: dict[Key, Answer] = {}
        for target in targets:
            arn = arns[target.key]
            if arn in failed:
                answers[target.key] = failed[arn]
            elif arn in reads:
                known = reads[arn].value
                snapshot = known if told is None else Snapshot(known.attributes, told.get(arn, {}))
                observed = self._observed(target, arn, snapshot, tags[arn].value)
                answers[target.key] = replace(observed, checked_at=min(reads[arn].at, tags[arn].at))
            else:
                answers |= self.observe([target], Depth.FRESH)
        return answers

    def _read_all(self, arns: Sequence[str], failed: dict[str, ReconcileError], told: Mapping[str, Told] | None) -> dict[str, Snapshot]:
        found: dict[str, Snapshot] = {}
        for arn in arns:
            try:
                snapshot = self._snapshot(arn, told)
            except ReconcileError as error:
                failed[arn] = error
            else:
                if snapshot is not None:
                    found[arn] = snapshot
        return found

    def _snapshot(self, arn: str, told: Mapping[str, Told] | None = None) -> Snapshot | None:
        """Attributes, and subscriptions unless a list of all has just told them."""
        answer = self._aws.attempt("sns", "get_topic_attributes", _GONE, TopicArn=arn)
        if isinstance(answer, Refusal):
            return None
        if told is None:
            pages = self._aws.pages("sns", "list_subscriptions_by_topic", TopicArn=arn)
            told = told_by_topic(entry for page in pages for entry in page["Subscriptions"])
        snapshot = Snapshot(answer["Attributes"], told.get(arn, {}))
        self._turns.put(arn, snapshot)
        return snapshot

    def _list_topics(self) -> dict[str, bool]:
        return {entry["TopicArn"]: True for page in self._aws.pages("sns", "list_topics") for entry in page.get("Topics", [])}

    def _list_subscriptions(self) -> dict[str, Told]:
        pages = list(self._aws.pages("sns", "list_subscriptions"))
        self._subscription_pages = len(pages)
        return told_by_topic(entry for page in pages for entry in page.get("Subscriptions", []))

    def _read_tags(self, arn: str) -> Tagged:
        answer = self._aws.attempt("sns", "list_tags_for_resource", _GONE, ResourceArn=arn)
        return Tagged("", {}) if isinstance(answer, Refusal) else Tagged.of_list(answer.get("Tags", []))

    def _set(self, arn: str, attribute: str, value: str) -> None:
        self._aws.call("sns", "set_topic_attributes", TopicArn=arn, AttributeName=attribute, AttributeValue=value)

    def _set_publishers(self, arn: str, want: Topic) -> None:
        """Only our statement of the topic's policy changes; the document is read right before."""
        attributes = self._aws.call("sns", "get_topic_attributes", TopicArn=arn)["Attributes"]
        policy = parsed(attributes["Policy"]) if attributes.get("Policy") else None
        if want.publishers:
            self._set(arn, "Policy", json.dumps(with_statement(policy, PUBLISHERS_SID, publish_statement(arn, want.publishers, want.sources))))
        elif policy is not None:
            rest = without_statement(policy, PUBLISHERS_SID)
            self._set(arn, "Policy", json.dumps(rest) if rest else "")

    def _set_told(self, arn: str, want: Topic, before: Snapshot) -> None:
        """Pending subscriptions cannot be removed; one that is wanted is asked for once."""
        for protocol, address in subscribing(want, before.told):
            self._aws.call("sns", "subscribe", TopicArn=arn, Protocol=protocol, Endpoint=address)
        wanted, all_of_them = endpoints(want), want.subscriptions is not UNMANAGED
        for endpoint, subscription in sorted(before.told.items()):
            if subscription and endpoint not in wanted and (endpoint[0] == "email" or all_of_them):
                # "NotFound": it was removed meanwhile, by an unsubscribe link for one.
                self._aws.attempt("sns", "unsubscribe", _GONE, SubscriptionArn=subscription)

    def _observed(self, target: Target[Topic], arn: str, snapshot: Snapshot, tagged: Tagged) -> Observed[Topic]:
        want, name = target.desired, arn.rpartition(":")[2]
        publishers, sources = publishers_and_sources(arn, snapshot.attributes.get("Policy", ""))
        emails, others = counted(want, snapshot.told)
        value = Topic(
            name=name,
            tags=tagged.rest,
            kms_key=snapshot.attributes.get("KmsMasterKeyId", ""),
            publishers=publishers,
            emails=emails,
            subscriptions=others,
            sources=sources,
        )
        pending, message = waiting(want, snapshot.told)
        attributes = {"arn": arn, "name": name, "pending": pending}
        return Observed(arn, value, message=message, owner=tagged.owner, attributes=attributes, raw=snapshot)

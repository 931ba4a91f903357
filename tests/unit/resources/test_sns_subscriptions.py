"""Which subscriptions count, which wait."""

from __future__ import annotations

from securebase.core.diff import diff
from securebase.core.fields import UNMANAGED
from securebase.resources.sns.model import Topic
from securebase.resources.sns.subscriptions import counted, subscribing, told_by_topic, waiting

ARN = "arn:aws:sns:us-east-1:111111111111:alarms"
QUEUE = "arn:aws:sqs:us-east-1:111111111111:pager"
PENDING = "PendingConfirmation"


def entry(protocol: str, endpoint: str, arn: str = f"{ARN}:1") -> dict[str, str]:
    return {"TopicArn": ARN, "Protocol": protocol, "Endpoint": endpoint, "SubscriptionArn": arn}


TOLD = told_by_topic([entry("email", "a@example.com"), entry("email", "b@example.com", PENDING), entry("sqs", QUEUE), entry("sms", "+1")])[ARN]
TOPIC = Topic("alarms", {}, emails=frozenset({"a@example.com"}))


def test_other_protocols_are_others() -> None:
    assert ("sms", "+1") not in TOLD


def test_a_topic_that_says_nothing_leaves_queues_to_others() -> None:
    assert counted(TOPIC, TOLD) == (frozenset({"a@example.com"}), UNMANAGED)
    assert not diff(TOPIC, Topic("alarms", {}, emails=TOPIC.emails, subscriptions=frozenset({f"sqs:{QUEUE}"})), None, b"key")


def test_a_topic_that_names_none_has_none() -> None:
    none = Topic("alarms", {}, subscriptions=frozenset())
    assert counted(none, TOLD)[1] == {f"sqs:{QUEUE}"}


def test_a_pending_one_counts_where_it_is_wanted_and_is_asked_for_once() -> None:
    wanted = Topic("alarms", {}, emails=frozenset({"a@example.com", "b@example.com"}), subscriptions=frozenset({"https:https://x.example.com/in"}))
    assert counted(wanted, TOLD)[0] == wanted.emails
    assert subscribing(wanted, TOLD) == [("https", "https://x.example.com/in")]
    assert waiting(wanted, TOLD) == ("b@example.com", "not confirmed yet by b@example.com")


def test_a_pending_one_that_nobody_wants_is_told() -> None:
    assert waiting(TOPIC, TOLD) == ("", "never confirmed, cannot be deleted and will lapse after 48 hours: b@example.com")


def test_a_confirmed_entry_beats_a_pending_or_deleted_one() -> None:
    twice = [entry("email", "a@example.com", PENDING), entry("email", "a@example.com"), entry("email", "a@example.com", "Deleted")]
    assert told_by_topic(twice)[ARN] == {("email", "a@example.com"): f"{ARN}:1"}

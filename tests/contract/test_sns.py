"""Topics: key, publishers, who is told, tags."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import boto3
import pytest

from lab.aws.endpoint import AwsEndpoint
from securebase.core.driver import Depth, Observed, State, Target
from securebase.core.errors import Denied
from securebase.core.graph import Ref, Role
from securebase.core.identity import OWNER_TAG
from securebase.resources.sns.driver import TopicDriver
from securebase.resources.sns.given import EVERY, GivenTopicDriver
from securebase.resources.sns.given_model import GivenTopic
from securebase.resources.sns.model import Topic
from securebase.resources.sns.policy import PUBLISHERS_SID
from tests.contract.harness import Contract, Lab, check_contract, delete, differences, eventually, in_sync, observe, settled, write

PLAIN = pytest.mark.parametrize("lab", ["plain"], indirect=True)

HOOK = "https:https://pager.example.com/in"
CLOUDWATCH = frozenset({"cloudwatch.amazonaws.com"})


def alarms(name: str = "") -> Topic:
    return Topic(
        name=name or f"alarms-{uuid4().hex[:10]}",
        tags={"team": "web"},
        kms_key="alias/alarms",
        publishers=CLOUDWATCH,
        emails=frozenset({"ops@example.com"}),
    )


def driver_of(lab: Lab) -> TopicDriver:
    return TopicDriver(lab.scope("us-east-1"), lab.clock)


def made(lab: Lab, desired: Topic) -> tuple[TopicDriver, Target[Topic]]:
    driver = driver_of(lab)
    target = lab.target(driver.type, desired)
    first = eventually(lambda: driver.create(target, "t"), lambda _: True, "made")
    target = replace(target, external_id=first.external_id)
    settled(driver, target)
    return driver, target


def policy(lab: Lab, arn: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.raw("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])
    return found


def test_lives_as_promised(lab: Lab) -> None:
    topic = alarms()
    changes = {
        "no key": replace(topic, kms_key=""),
        "no publishers": replace(topic, publishers=frozenset()),
        "another publisher": replace(topic, publishers=CLOUDWATCH | {"events.amazonaws.com"}),
        "no e-mails": replace(topic, emails=frozenset()),
        "more e-mails": replace(topic, emails=frozenset({"ops@example.com", "boss@example.com"})),
        "tag value": replace(topic, tags={"team": "platform"}),
    }

    def drift(seen: Observed[Topic]) -> None:
        lab.raw("sns").set_topic_attributes(TopicArn=seen.external_id, AttributeName="KmsMasterKeyId", AttributeValue="")

    check_contract(lab, Contract(TopicDriver, topic, changes, drift, "kmsKey"))


@PLAIN
def test_only_our_statement_of_the_policy_changes(lab: Lab) -> None:
    driver, target = made(lab, alarms())
    document = policy(lab, target.external_id)
    ours = next(each for each in document["Statement"] if each["Sid"] == PUBLISHERS_SID)
    others = [each for each in document["Statement"] if each is not ours]
    assert ours["Condition"] == {"StringEquals": {"aws:SourceAccount": lab.account}}
    assert others, "the default statement stays"
    write(driver, replace(target, desired=replace(target.want(), publishers=frozenset())))
    assert policy(lab, target.external_id)["Statement"] == others


@pytest.mark.parametrize("depth", list(Depth))
def test_an_altered_statement_is_drift(lab: Lab, depth: Depth) -> None:
    driver, target = made(lab, alarms())
    document = policy(lab, target.external_id)
    for statement in document["Statement"]:
        statement.pop("Condition", None)
    lab.raw("sns").set_topic_attributes(TopicArn=target.external_id, AttributeName="Policy", AttributeValue=json.dumps(document))
    seen = eventually(lambda: observe(driver, target, depth), lambda seen: not in_sync(target)(seen), f"drift ({depth})")
    assert [change.path for change in differences(target, seen)] == ["publishers"]
    write(driver, target)
    settled(driver, target)


@pytest.mark.parametrize("depth", list(Depth))
def test_subscriptions_of_other_kinds_stay(lab: Lab, depth: Depth) -> None:
    driver, target = made(lab, alarms())
    queue = f"arn:aws:sqs:us-east-1:{lab.account}:pager"
    client = lab.raw("sns")
    lab.raw("sqs").create_queue(QueueName="pager")
    client.subscribe(TopicArn=target.external_id, Protocol="sqs", Endpoint=queue)
    client.subscribe(TopicArn=target.external_id, Protocol="email", Endpoint="stranger@example.com")
    for address in ("ops@example.com", "stranger@example.com"):
        lab.control.confirm_subscription(target.external_id, address)
    seen = eventually(lambda: observe(driver, target, depth), lambda seen: not in_sync(target)(seen), f"stranger seen ({depth})")
    assert [change.path for change in differences(target, seen)] == ["emails"]

    def endpoints() -> set[str]:
        write(driver, target)
        return {each["Endpoint"] for each in client.list_subscriptions_by_topic(TopicArn=target.external_id)["Subscriptions"]}

    eventually(endpoints, lambda found: found == {queue, "ops@example.com"}, "only the stranger left")


def test_pending_subscriptions_are_told_and_left(lab: Lab) -> None:
    driver, target = made(lab, replace(alarms(), subscriptions=frozenset({HOOK})))
    hook = HOOK.removeprefix("https:")
    seen = settled(driver, target)
    assert (seen.message, seen.attributes["pending"]) == (f"not confirmed yet by ops@example.com, {hook}", f"ops@example.com,{hook}")
    lab.control.confirm_subscription(target.external_id, hook)
    eventually(lambda: settled(driver, target).attributes["pending"], lambda pending: pending == "ops@example.com", "the hook confirmed")
    fewer = replace(target, desired=replace(target.want(), emails=frozenset()))
    for depth in Depth:
        left = settled(driver, fewer, depth)
        assert left.attributes["pending"] == ""
        assert left.message == "never confirmed, cannot be deleted and will lapse after 48 hours: ops@example.com"
    none = replace(target, desired=replace(target.want(), emails=frozenset(), subscriptions=frozenset()))
    write(driver, none)
    told = {each["Endpoint"] for each in lab.raw("sns").list_subscriptions_by_topic(TopicArn=target.external_id)["Subscriptions"]}
    assert "ops@example.com" in told


@PLAIN
def test_queues_and_functions_are_told(lab: Lab) -> None:
    lab.raw("sqs").create_queue(QueueName="pager")
    queue = f"sqs:arn:aws:sqs:us-east-1:{lab.account}:pager"
    driver, target = made(lab, replace(alarms(), emails=frozenset(), subscriptions=frozenset({queue, HOOK})))
    stranger = f"arn:aws:sqs:us-east-1:{lab.account}:stranger"
    lab.raw("sqs").create_queue(QueueName="stranger")
    lab.raw("sns").subscribe(TopicArn=target.external_id, Protocol="sqs", Endpoint=stranger)
    seen = eventually(lambda: observe(driver, target), lambda seen: not in_sync(target)(seen), "stranger seen")
    assert [change.path for change in differences(target, seen)] == ["subscriptions"]
    write(driver, target)
    without = replace(target, desired=replace(target.want(), subscriptions=frozenset({HOOK})))
    write(driver, without)
    assert settled(driver, without).value.subscriptions == {HOOK}


@pytest.mark.parametrize("depth", list(Depth))
@PLAIN
def test_only_alarms_of_the_sources_may_publish(lab: Lab, depth: Depth) -> None:
    sources = frozenset({f"arn:aws:cloudwatch:us-east-1:{lab.account}:alarm:*"})
    driver, target = made(lab, replace(alarms(), sources=sources))
    ours = next(each for each in policy(lab, target.external_id)["Statement"] if each["Sid"] == PUBLISHERS_SID)
    assert ours["Condition"] == {"StringEquals": {"aws:SourceAccount": lab.account}, "ArnLike": {"aws:SourceArn": sorted(sources)}}
    open_to_all = replace(target, desired=replace(target.want(), sources=frozenset()))
    assert [change.path for change in differences(open_to_all, observe(driver, target, depth))] == ["sources"]
    write(driver, open_to_all)
    settled(driver, open_to_all)


def test_an_unowned_topic_is_adopted_and_found(lab: Lab) -> None:
    topic = alarms()
    arn = lab.raw("sns").create_topic(Name=topic.name)["TopicArn"]
    driver = driver_of(lab)
    target = lab.target(driver.type, topic)
    seen = eventually(lambda: observe(driver, target), lambda seen: seen is not None, "their topic")
    assert seen is not None
    assert seen.owner == ""
    driver.adopt(target, seen)
    write(driver, target)
    settled(driver, target)
    lab.clock.advance(61)
    eventually(lambda: driver.owned(target.identity), lambda owned: owned == {target.node: arn}, "in the inventory")
    tags = {tag["Key"] for tag in lab.raw("sns").list_tags_for_resource(ResourceArn=arn)["Tags"]}
    assert tags == {OWNER_TAG, "team"}


@PLAIN
def test_unresolved_and_refused(lab: Lab) -> None:
    driver = driver_of(lab)
    assert observe(driver, lab.target(driver.type, Topic(Ref("x", "name"), {}))) is None
    lab.control.fail("sns", "*", "AuthorizationError", 403, account=lab.account)
    for depth in Depth:
        with pytest.raises(Denied):
            observe(driver, lab.target(driver.type, alarms()), depth)


def test_a_sweep_reads_lists(lab: Lab) -> None:
    driver = driver_of(lab)
    targets = [lab.target(driver.type, alarms()) for _ in range(30)]
    for target in targets:
        eventually(partial(driver.create, target, "t"), lambda _: True, "made")
    lab.control.stale(0.0)
    first = driver.observe(targets, Depth.SWEEP)
    assert all(in_sync(target)(first[target.key]) for target in targets)  # type: ignore[arg-type]
    mark = len(lab.control.log.reads())
    for _ in range(10):
        driver.observe(targets, Depth.SWEEP)
    per_sweep = (len(lab.control.log.reads()) - mark) / 10
    assert per_sweep <= 2 + 3 + 2 + 0.2, "two lists, three topics and the tags of two in their turn, the index once"
    delete(driver, targets[0])
    assert driver.observe(targets, Depth.SWEEP)[targets[0].key] is None


def given(lab: Lab, arn: str) -> tuple[GivenTopicDriver, Target[GivenTopic]]:
    driver = GivenTopicDriver(lab.scope("us-east-1"), lab.clock)
    return driver, lab.target(driver.type, GivenTopic(arn), role=Role.EXTERNAL)


def told(lab: Lab, arn: str, depth: Depth = Depth.FRESH) -> Observed[GivenTopic]:
    """What a process that never saw the topic says; by its id alone it says the same."""
    driver, target = given(lab, arn)
    seen = observe(driver, target, depth)
    assert seen is not None and seen.external_id == arn
    assert observe(driver, replace(target, desired=None, external_id=arn), depth) == seen
    return seen


@pytest.mark.parametrize("depth", list(Depth))
@PLAIN
def test_a_given_topic_says_whether_alarms_get_through(lab: Lab, depth: Depth) -> None:
    client = lab.raw("sns")
    arn = client.create_topic(Name="ops")["TopicArn"]
    seen = told(lab, arn, depth)
    assert (seen.state, seen.message, dict(seen.attributes)) == (State.READY, "", {"exists": "true", "writable": "true"}), "the policy a topic is born with"
    statement = {"Sid": "a", "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish", "Resource": arn}
    client.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    seen = told(lab, arn, depth)
    assert (seen.state, seen.reason, seen.attributes["writable"]) == (State.PENDING, "TopicNotWritable", "false")
    assert arn in seen.message and "cloudwatch.amazonaws.com" in seen.message and lab.account in seen.message
    statement["Principal"] = {"Service": "cloudwatch.amazonaws.com"}
    client.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    client.set_topic_attributes(TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue="alias/aws/sns")
    seen = told(lab, arn, depth)
    assert (seen.state, seen.reason) == (State.PENDING, "TopicKey") and arn in seen.message and "customer key" in seen.message
    client.delete_topic(TopicArn=arn)
    seen = told(lab, arn, depth)
    assert (seen.state, seen.reason, seen.attributes["exists"]) == (State.PENDING, "TopicMissing", "false")


@pytest.mark.parametrize("depth", list(Depth))
@PLAIN
def test_a_given_topic_that_cannot_be_read_is_told_softly(lab: Lab, depth: Depth) -> None:
    arn = lab.raw("sns").create_topic(Name="ops")["TopicArn"]
    for code, status in (("AuthorizationError", 403), ("InternalError", 500)):
        lab.control.fail("sns", "GetTopicAttributes", code, status, account=lab.account)
        seen = told(lab, arn, depth)
        assert (seen.state, seen.reason, seen.attributes["writable"]) == (State.READY, "", "unknown")
        assert "cannot be checked" in seen.message and arn in seen.message
        lab.control.clear_rules()


@PLAIN
def test_a_topic_of_another_account_shows_its_policy_to_whom_it_lets(lab: Lab, aws_endpoint: AwsEndpoint) -> None:
    other = f"{int(lab.account) ^ 1:012d}"
    client = boto3.client("sns", "us-east-1", endpoint_url=aws_endpoint.url, aws_access_key_id=other, aws_secret_access_key="lab")
    arn = client.create_topic(Name="ops")["TopicArn"]
    assert "cannot be checked" in told(lab, arn).message, "the policy a topic is born with shows itself to its owner only"
    read = {"Sid": "read", "Effect": "Allow", "Principal": {"AWS": lab.account}, "Action": "SNS:GetTopicAttributes", "Resource": arn}

    def lets(*statements: dict[str, Any]) -> Observed[GivenTopic]:
        client.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": statements}))
        return told(lab, arn)

    assert lets(read).reason == "TopicNotWritable"
    publish = {"Sid": "publish", "Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": "SNS:Publish", "Resource": arn}
    assert lets(read, publish | {"Condition": {"StringEquals": {"aws:SourceAccount": other}}}).reason == "TopicNotWritable"
    assert lets(read, publish | {"Condition": {"StringEquals": {"aws:SourceAccount": lab.account}}}).state is State.READY
    assert told(lab, f"{arn}-2").reason == "TopicMissing"


@PLAIN
def test_given_topics_are_read_every_tenth_sweep(lab: Lab) -> None:
    arns = [lab.raw("sns").create_topic(Name=name)["TopicArn"] for name in ("ops", "pager")]
    driver, _ = given(lab, arns[0])
    targets = [lab.target(driver.type, GivenTopic(arn), role=Role.EXTERNAL) for arn in (*arns, *arns)]
    mark = len(lab.control.log.reads())
    for _ in range(EVERY):
        lab.clock.advance(60.0)
        driver.observe(targets, Depth.SWEEP)
    assert len(lab.control.log.reads()) - mark == len(arns)
    lab.raw("sns").delete_topic(TopicArn=arns[0])
    lab.clock.advance(60.0)
    answers = driver.observe(targets, Depth.SWEEP)
    assert [getattr(answers[target.key], "reason", None) for target in targets] == ["TopicMissing", "", "TopicMissing", ""]
    rule = lab.control.fail("sns", "GetTopicAttributes", "InternalError", 500, account=lab.account)
    for depth in Depth:
        lab.clock.advance(60.0)
        assert [getattr(found, "reason", None) for found in driver.observe(targets, depth).values()] == ["TopicMissing", "", "TopicMissing", ""]
    lab.control.remove(rule)
    lab.raw("sns").create_topic(Name="ops")
    mark = len(lab.control.log.reads())
    lab.clock.advance(60.0)
    assert [getattr(found, "reason", None) for found in driver.observe(targets, Depth.SWEEP).values()] == ["", "", "", ""]
    assert len(lab.control.log.reads()) - mark == 1, "what keeps alarms out is looked at in every sweep, the others are not"

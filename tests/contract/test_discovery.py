"""What is to be watched: by name and by tags, one list a service, and gone only when proven."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from typing import Any

from securebase.core.driver import Depth, Observed, State, Target
from securebase.core.graph import Role
from securebase.resources.discovery.model import KnownTarget, TagSearch
from securebase.resources.discovery.search import SearchDriver
from securebase.resources.discovery.targets import TargetDriver
from tests.contract.harness import Lab, eventually

ROLE = "arn:aws:iam::{}:role/f"


def code() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): return 1")
    return packed.getvalue()


def function(lab: Lab, name: str, **tags: str) -> None:
    lab.raw("lambda").create_function(
        FunctionName=name, Runtime="python3.12", Role=ROLE.format(lab.account), Handler="index.handler", Code={"ZipFile": code()}, Timeout=7, Tags=tags
    )


def table(lab: Lab, name: str) -> None:
    lab.raw("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def lookup(lab: Lab, wanted: KnownTarget | TagSearch) -> Target[Any]:
    return lab.target("discovery/target" if isinstance(wanted, KnownTarget) else "discovery/search", wanted, role=Role.EXTERNAL)


def seen(driver: Any, target: Target[Any], depth: Depth = Depth.FRESH) -> Observed[Any]:
    answer = driver.observe([target], depth)[target.key]
    assert isinstance(answer, Observed), answer
    return answer


def counts(lab: Lab) -> Counter[tuple[str, str]]:
    """Calls of the account, but for what no list tells, which is read in turns."""
    return Counter(lab.control.log.counts(lambda record: record.account == lab.account and record.operation != "GetFunctionConcurrency"))


def members(observed: Observed[Any]) -> list[str]:
    found: list[str] = json.loads(observed.attributes["members"])
    return found


def test_each_kind_is_found_by_its_name(lab: Lab) -> None:
    function(lab, "orders")
    table(lab, "tenants")
    dead = lab.raw("sqs").create_queue(QueueName="dead")["QueueUrl"]
    arn = lab.raw("sqs").get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    lab.raw("sqs").create_queue(QueueName="jobs", Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})})
    api = lab.raw("apigatewayv2").create_api(Name="shop", ProtocolType="HTTP")["ApiId"]
    lab.raw("apigateway").create_rest_api(name="orders-api")
    lab.raw("rds").create_db_cluster(DBClusterIdentifier="main", Engine="aurora-postgresql", MasterUsername="u", MasterUserPassword="not-a-secret-1")
    driver = TargetDriver(lab.scope("us-east-1"), lab.clock)
    wanted = [("Lambda", "orders"), ("DynamoDB", "tenants"), ("Sqs", "jobs"), ("ApiGatewayHttp", api), ("ApiGatewayRest", "orders-api"), ("Aurora", "main")]
    targets = [lookup(lab, KnownTarget(kind, name)) for kind, name in wanted]
    eventually(lambda: [seen(driver, target).state for target in targets], lambda states: set(states) == {State.READY}, "all to be found")
    for depth in Depth:
        found = driver.observe(targets, depth)
        assert [answer.attributes["exists"] for answer in found.values() if isinstance(answer, Observed)] == ["true"] * len(targets)
    told = {target.want().kind: seen(driver, target).attributes for target in targets}
    assert (told["Lambda"]["timeoutSeconds"], told["Lambda"]["logGroup"]) == ("7", "/aws/lambda/orders")
    assert told["Sqs"]["dlq"] == "dead"


def test_one_list_a_service_and_sweep(lab: Lab) -> None:
    for number in range(4):
        function(lab, f"f{number}")
    driver = TargetDriver(lab.scope("us-east-1"), lab.clock)
    targets = [lookup(lab, KnownTarget("Lambda", f"f{number}")) for number in range(4)]
    eventually(lambda: driver.observe(targets, Depth.SWEEP), lambda answers: all(a.attributes["exists"] == "true" for a in answers.values()), "all")  # type: ignore[union-attr]
    before = counts(lab)
    driver.observe(targets, Depth.SWEEP)
    assert counts(lab) - before == {("lambda", "ListFunctions"): 1}


def test_what_is_missing_is_told_and_what_vanished_stays_until_it_is_proven_gone(lab: Lab) -> None:
    driver = TargetDriver(lab.scope("us-east-1"), lab.clock)
    target = lookup(lab, KnownTarget("DynamoDB", "sessions"))
    first = seen(driver, target)
    assert (first.state, first.reason, first.attributes["exists"], first.attributes["settled"]) == (State.PENDING, "TargetMissing", "false", "false")
    table(lab, "sessions")
    eventually(lambda: seen(driver, target), lambda found: found.state is State.READY, "the table to be found")
    eventually(lambda: seen(driver, target, Depth.SWEEP), lambda found: found.state is State.READY, "a sweep to find it")
    lab.raw("dynamodb").delete_table(TableName="sessions")
    eventually(lambda: seen(driver, target, Depth.SWEEP), lambda found: found.state is State.PENDING, "its absence to be proven")
    eventually(lambda: seen(driver, target, Depth.SWEEP).attributes["settled"], lambda settled: settled == "true", "three sweeps")


def test_a_tag_finds_what_comes_and_loses_what_goes(lab: Lab) -> None:
    function(lab, "one", team="shop")
    function(lab, "other", team="mail")
    driver = SearchDriver(lab.scope("us-east-1"), lab.clock)
    target = lookup(lab, TagSearch("Lambda", {"team": "shop"}))
    eventually(lambda: members(seen(driver, target)), lambda found: found == ["one"], "the tagged one")
    assert seen(driver, target).attributes["settled"] == "false", "nothing is believed gone before three sweeps"
    function(lab, "two", team="shop")
    lab.clock.advance(10)
    eventually(lambda: members(seen(driver, target, Depth.SWEEP)), lambda found: found == ["one", "two"], "the new one")
    lab.raw("lambda").delete_function(FunctionName="one")
    twice = [members(seen(driver, target, Depth.SWEEP)) for _ in range(2)]
    assert twice == [["one", "two"]] * 2, "missed twice is not gone"
    eventually(lambda: members(seen(driver, target, Depth.SWEEP)), lambda found: found == ["two"], "the deleted one to leave")
    lab.raw("lambda").untag_resource(Resource=f"arn:aws:lambda:us-east-1:{lab.account}:function:two", TagKeys=["team"])
    eventually(lambda: members(seen(driver, target, Depth.SWEEP)), lambda found: found == [], "the untagged one to leave")

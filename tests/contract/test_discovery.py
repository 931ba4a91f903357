"""What is to be watched: by name and by tags, one list a service, and gone only when proven."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from typing import Any

from securebase.core.driver import Depth, Observed, State, Target
from securebase.core.graph import Role
from securebase.resources.discovery.inventory import A_ROUND, REST_SECONDS, Inventory
from securebase.resources.discovery.model import KnownTarget, TagSearch
from securebase.resources.discovery.search import SearchDriver
from securebase.resources.discovery.services import SERVICES
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
    """Calls of the account."""
    return Counter(lab.control.log.counts(lambda record: record.account == lab.account))


def cluster(lab: Lab, name: str, engine: str = "aurora-postgresql", **more: Any) -> None:
    lab.raw("rds").create_db_cluster(DBClusterIdentifier=name, Engine=engine, MasterUsername="u", MasterUserPassword="not-a-secret-1", **more)


def instance(lab: Lab, name: str, of: str, engine: str = "aurora-postgresql", interval: int = 0) -> None:
    lab.raw("rds").create_db_instance(
        DBInstanceIdentifier=name, DBClusterIdentifier=of, Engine=engine, DBInstanceClass="db.r6g.large", MonitoringInterval=interval
    )


def rest_api(lab: Lab, name: str, **tags: str) -> str:
    id: str = lab.raw("apigateway").create_rest_api(name=name, tags=tags)["id"]
    return id


def logged_stage(lab: Lab, api: str, stage: str, group: str, format_: str) -> None:
    """Of a REST API: a stage that writes an access log."""
    client = lab.raw("apigateway")
    root = client.get_resources(restApiId=api)["items"][0]["id"]
    client.put_method(restApiId=api, resourceId=root, httpMethod="GET", authorizationType="NONE")
    client.put_integration(restApiId=api, resourceId=root, httpMethod="GET", type="MOCK")
    client.create_deployment(restApiId=api, stageName=stage)
    arn = f"arn:aws:logs:us-east-1:{lab.account}:log-group:{group}"
    operations = [("/accessLogSettings/destinationArn", arn), ("/accessLogSettings/format", format_)]
    client.update_stage(restApiId=api, stageName=stage, patchOperations=[{"op": "replace", "path": path, "value": value} for path, value in operations])


def members(observed: Observed[Any]) -> list[str]:
    found: list[str] = json.loads(observed.attributes["members"])
    return found


def access_logs(driver: TargetDriver, target: Target[Any]) -> Any:
    """Of an API, once they are told."""
    found = eventually(lambda: seen(driver, target, Depth.SWEEP), lambda found: "accessLogs" in found.attributes, "its access logs")
    return json.loads(found.attributes["accessLogs"])


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
    for kind, attributes in told.items():
        assert attributes.keys() - {"exists", "settled", "name"} <= SERVICES[kind].tells, kind
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
    assert counts(lab) - before == {("lambda", "ListFunctions"): 1, ("lambda", "GetFunctionConcurrency"): 2}, "two are read again in turn"


def test_the_accounts_quota_is_read_once(lab: Lab) -> None:
    function(lab, "free")
    function(lab, "kept")
    lab.raw("lambda").put_function_concurrency(FunctionName="kept", ReservedConcurrentExecutions=20)
    quota = str(lab.raw("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"])
    before = counts(lab)
    driver = TargetDriver(lab.scope("us-east-1"), lab.clock)
    targets = [lookup(lab, KnownTarget("Lambda", name)) for name in ("free", "kept")]
    eventually(lambda: driver.observe(targets, Depth.SWEEP), lambda answers: all(a.attributes.get("arn") for a in answers.values()), "both")  # type: ignore[union-attr]
    free, kept = (seen(driver, target).attributes for target in targets)
    assert (free["accountConcurrency"], free.get("reservedConcurrency")) == (quota, None)
    assert (kept["accountConcurrency"], kept.get("reservedConcurrency")) == (quota, "20")
    assert (counts(lab) - before)["lambda", "GetAccountSettings"] == 1
    lab.clock.advance(3700)
    driver.observe(targets, Depth.SWEEP)
    assert (counts(lab) - before)["lambda", "GetAccountSettings"] == 2, "a quota is raised on request"


def test_a_quota_that_may_not_be_read_stops_nothing(lab: Lab) -> None:
    function(lab, "orders")
    lab.control.fail("lambda", "GetAccountSettings", "AccessDeniedException", 403, account=lab.account)
    driver = TargetDriver(lab.scope("us-east-1"), lab.clock)
    target = lookup(lab, KnownTarget("Lambda", "orders"))
    found = eventually(lambda: seen(driver, target, Depth.SWEEP), lambda found: bool(found.attributes.get("arn")), "the function")
    assert "accountConcurrency" not in found.attributes and found.attributes["settled"] == "true"


def test_a_round_reads_so_many_and_tells_of_whom_it_has_not_read(lab: Lab) -> None:
    client = lab.raw("sqs")
    names = [f"jobs-{number:03}" for number in range(A_ROUND + 20)]
    for name in names:
        client.create_queue(QueueName=name, tags={"team": "shop"})
    inventory = Inventory(lab.scope("us-east-1"), lab.clock)
    eventually(lambda: inventory.listed("Sqs", 0.0), lambda found: len(found) == len(names), "all queues")
    before = counts(lab)
    first = inventory.with_beside("Sqs", inventory.listed("Sqs", 60.0))
    assert (counts(lab) - before)["sqs", "GetQueueAttributes"] == A_ROUND
    assert [attributes.get("unread") for attributes in first.values()].count("dlq") == 20
    lab.clock.advance(REST_SECONDS)
    second = inventory.with_beside("Sqs", inventory.listed("Sqs", 60.0))
    assert (counts(lab) - before)["sqs", "GetQueueAttributes"] == A_ROUND + 20
    assert not any("unread" in attributes for attributes in second.values())


def test_nothing_is_settled_while_something_is_unread(lab: Lab) -> None:
    for number in range(A_ROUND + 1):
        function(lab, f"f{number:03}", team="shop")
    driver = SearchDriver(lab.scope("us-east-1"), lab.clock)
    target = lookup(lab, TagSearch("Lambda", {"team": "shop"}))
    eventually(lambda: members(seen(driver, target, Depth.SWEEP)), lambda found: len(found) == A_ROUND + 1, "all functions")
    eventually(lambda: seen(driver, target, Depth.SWEEP).attributes["settled"], lambda settled: settled == "true", "three sweeps")
    with lab.scope("us-east-1").elsewhere("us-east-1") as scope:  # knows nothing, as after a restart
        restarted = SearchDriver(scope, lab.clock)
        states = [seen(restarted, target, Depth.SWEEP) for _ in range(4)]
        lab.clock.advance(REST_SECONDS)
        last = seen(restarted, target, Depth.SWEEP)
    assert {state.message for state in (*states, last)} == {f"finds {A_ROUND + 1}"}, "that a restart has not read all yet is nobody's news"
    assert [state.attributes["settled"] for state in (*states, last)] == ["false"] * 4 + ["true"]


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


def test_a_cluster_tells_its_engine_and_other_databases_are_none(lab: Lab) -> None:
    cluster(lab, "main")
    cluster(lab, "orders", "mysql", AllocatedStorage=100, DBClusterInstanceClass="db.m6gd.large", StorageType="io1", Iops=1000)
    cluster(lab, "graph", "neptune")
    driver = TargetDriver(lab.scope("us-east-1"), lab.clock)
    targets = {name: lookup(lab, KnownTarget("Aurora", name)) for name in ("main", "orders", "graph", "Main", "none")}
    eventually(lambda: seen(driver, targets["orders"], Depth.SWEEP), lambda found: bool(found.attributes.get("arn")), "the clusters")
    main, orders = (seen(driver, targets[name]).attributes for name in ("main", "orders"))
    assert (main["engine"], main.get("aurora"), main.get("multiAz")) == ("aurora-postgresql", "true", None)
    assert (orders["engine"], orders.get("aurora"), orders.get("multiAz")) == ("mysql", None, "true")
    graph, upper, none = (seen(driver, targets[name]) for name in ("graph", "Main", "none"))
    assert [(one.state, one.reason, one.attributes["exists"]) for one in (graph, upper, none)] == [(State.PENDING, "TargetMissing", "false")] * 3
    assert "of Neptune (neptune)" in graph.message
    assert upper.message == "there is no Aurora Main; there is main: write it in the same letter case"
    assert none.message == "there is no Aurora none"


def test_a_tag_finds_no_database_of_another_service(lab: Lab) -> None:
    for name, engine in (("main", "aurora-postgresql"), ("graph", "neptune")):
        cluster(lab, name, engine, Tags=[{"Key": "team", "Value": "shop"}])
    driver = SearchDriver(lab.scope("us-east-1"), lab.clock)
    target = lookup(lab, TagSearch("Aurora", {"team": "shop"}))
    eventually(lambda: members(seen(driver, target, Depth.SWEEP)), lambda found: found == ["main"], "the one that is Aurora's")


def test_enhanced_monitoring_tells_its_log_group(lab: Lab) -> None:
    cluster(lab, "main")
    cluster(lab, "quiet")
    for name, of, interval in (("main-1", "main", 60), ("main-2", "main", 0), ("quiet-1", "quiet", 0)):
        instance(lab, name, of, interval=interval)
    driver = TargetDriver(lab.scope("us-east-1"), lab.clock)
    watched, quiet = (lookup(lab, KnownTarget("Aurora", name)) for name in ("main", "quiet"))
    found = eventually(lambda: seen(driver, watched, Depth.SWEEP), lambda found: bool(found.attributes.get("monitored")), "the instances")
    assert (found.attributes["members"], found.attributes["monitored"], found.attributes["logGroup"]) == ("main-1,main-2", "main-1", "RDSOSMetrics")
    assert not seen(driver, quiet).attributes.keys() & {"monitored", "logGroup"}


def test_the_access_logs_of_apis_are_told_by_stage(lab: Lab) -> None:
    api = rest_api(lab, "orders")
    logged_stage(lab, api, "prod", "/api/orders", '{"path": "$context.resourcePath", "http": {"status": $context.status}, "ip": "$context.identity.sourceIp"}')
    logged_stage(lab, api, "test", "/api/test", "$context.requestId $context.status")
    http = lab.raw("apigatewayv2")
    shop = http.create_api(Name="shop", ProtocolType="HTTP")["ApiId"]
    settings = {
        "DestinationArn": f"arn:aws:logs:us-east-1:{lab.account}:log-group:/api/shop",
        "Format": json.dumps({"route": "$context.routeKey", "ms": "$context.responseLatency"}),
    }
    http.create_stage(ApiId=shop, StageName="$default", AccessLogSettings=settings)
    driver = TargetDriver(lab.scope("us-east-1"), lab.clock)
    rest, other = (access_logs(driver, lookup(lab, known)) for known in (KnownTarget("ApiGatewayRest", "orders"), KnownTarget("ApiGatewayHttp", shop)))
    assert rest == [
        {"stage": "prod", "logGroup": "/api/orders", "fields": {"resourcePath": "path", "status": "http.status"}},
        {"stage": "test", "logGroup": "/api/test", "fields": {}},
    ]
    assert other == [{"stage": "$default", "logGroup": "/api/shop", "fields": {"routeKey": "route", "responseLatency": "ms"}}]


def test_two_rest_apis_of_one_name_are_told_and_each_is_proven_gone_by_its_id(lab: Lab) -> None:
    first, second = sorted(rest_api(lab, "orders") for _ in range(2))
    driver = TargetDriver(lab.scope("us-east-1"), lab.clock)
    target = lookup(lab, KnownTarget("ApiGatewayRest", "orders"))
    both = eventually(lambda: seen(driver, target, Depth.SWEEP), lambda found: "namesakes" in found.attributes, "both")
    assert (both.state, both.attributes["namesakes"]) == (State.READY, f"{first},{second}")
    assert both.message.startswith(f"the name is ambiguous: APIs {first}, {second} share it")
    lab.raw("apigateway").delete_rest_api(restApiId=first)
    before = counts(lab)
    alone = eventually(lambda: seen(driver, target, Depth.SWEEP), lambda found: "namesakes" not in found.attributes, "one to be proven gone")
    assert (alone.attributes["exists"], alone.attributes["id"]) == ("true", second)
    assert (counts(lab) - before)["apigateway", "GetRestApi"] >= 1


def test_a_tag_on_one_of_two_rest_apis_of_one_name_finds_it(lab: Lab) -> None:
    ids = [rest_api(lab, "orders"), rest_api(lab, "orders", team="shop"), rest_api(lab, "orders")]
    driver = SearchDriver(lab.scope("us-east-1"), lab.clock)
    target = lookup(lab, TagSearch("ApiGatewayRest", {"team": "shop"}))
    found = eventually(lambda: seen(driver, target, Depth.SWEEP), lambda found: members(found) == ["orders"], "the tagged one")
    assert json.loads(found.attributes["details"])["orders"]["id"] == ids[1]

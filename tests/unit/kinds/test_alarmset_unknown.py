"""What an alarm set makes while something it watches is unknown: nothing stops being paged, what is new is paged, and nobody else is held up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from securebase.core.driver import Observed, Target
from securebase.core.graph import Graph, resolve
from securebase.core.observe import prunable
from securebase.core.plan import Action, Prior, Step, node_step
from securebase.core.policy import Policy
from securebase.core.subject import Subject
from securebase.resources.cloudwatch.composite_model import CHILDREN, LONGEST_RULE, CompositeAlarm
from securebase.resources.cloudwatch.model import Alarm
from tests.unit.kinds.any_alarmset import THERE, alarms, composed, composites, context, found_by_tags, small

FUNCTIONS = {"id": "all", "type": "Lambda", "service": "shop", "selector": {"tags": {"platform": "shop"}}}
QUEUE = {"id": "jobs", "type": "Sqs", "service": "shop", "name": "jobs"}
TABLE = {"id": "orders", "type": "DynamoDB", "service": "data", "name": "orders"}
SITE = {"id": "site", "type": "CloudFront", "service": "web", "ref": {"kind": "CdnDistribution", "name": "site"}}
WEB = {"id": "page", "type": "Lambda", "service": "web", "name": "page"}
MADE = {"id": "E1", "region": "us-east-1", "alarmNames": "site-4xx,site-5xx", "criticalAlarmNames": "site-5xx"}
BEING_MADE = {"CdnDistribution/site": {"domainName": "d1.cloudfront.net"}}
PAGER = {"severity": "critical", "createTopic": {"emails": ["ops@example.com"]}}
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-1111-2222-3333-444455556666"
IDENTITY = context().identity


def filled(graph: Graph, node: str) -> CompositeAlarm:
    """A composite as AWS gets it."""
    names = {other.id: {"name": other.desired.name, "arn": f"arn:{other.id}"} for other in graph if hasattr(other.desired, "name")}
    found: CompositeAlarm = resolve(composites(graph)[node], names).desired
    return found


def step(graph: Graph, node: str, there: CompositeAlarm, leaving: Iterable[str] = ()) -> Step:
    """What is done to a composite that is `there`."""
    target: Target[Any] = Target(IDENTITY, node, "cloudwatch/composite-alarm", filled(graph, node))
    observed = Observed(there.name, there, owner=target.owner)
    return node_step(graph.nodes[node], target, observed, None, Policy(), b"key", frozenset(leaving))


def children(step: Step) -> set[str]:
    assert step.problem is None, step.problem
    return set(step.target.want().rule.split('"')[1::2])


def name_of(graph: Graph, node: str) -> str:
    return alarms(graph)[node].name


def test_what_is_new_pages_and_what_was_there_goes_on_paging() -> None:
    spec = small(FUNCTIONS, QUEUE, TABLE)
    before = composed(spec, {"search-all": found_by_tags("a"), "target-jobs": {**THERE, "dlq": "dead"}, "target-orders": THERE})
    denied = composed(spec, {"search-all": found_by_tags("a", "b"), "target-orders": THERE})
    assert not denied.complete
    told = children(step(denied, "composite-shop_warning", filled(before, "composite-shop_warning")))
    assert {name_of(before, "alarm-jobs_dead-letters"), name_of(denied, "alarm-all_b_throttles")} <= told
    assert children(step(denied, "composite-shop", filled(before, "composite-shop"))) >= {name_of(denied, "alarm-all_b_errors")}
    after = composed(spec, {"search-all": found_by_tags("b"), "target-jobs": THERE, "target-orders": THERE})
    assert children(step(after, "composite-shop", filled(denied, "composite-shop"))) == {
        name_of(after, f"alarm-all_b_{id}") for id in ("errors", "concurrency")
    }


def test_services_that_do_not_depend_on_the_unknown_lose_what_goes() -> None:
    tables = {"id": "tables", "type": "DynamoDB", "service": "data", "selector": {"tags": {"a": "b"}}}
    spec = small(QUEUE, tables)
    before = composed(spec, {"target-jobs": THERE, "search-tables": found_by_tags("one", "two")})
    denied = composed(spec, {"search-tables": found_by_tags("one")})
    assert not denied.nodes["composite-data_warning"].partial
    told = children(step(denied, "composite-data_warning", filled(before, "composite-data_warning")))
    assert told == {name_of(denied, f"alarm-tables_one_{id}-throttles") for id in ("read", "write")}


def test_a_dashboard_loses_nothing_while_a_lookup_fails_and_a_query_only_waits_for_its_own_target() -> None:
    spec = small(FUNCTIONS, QUEUE, {**WEB, "service": "shop"})
    denied = composed(spec, {"search-all": found_by_tags("a", settled=False), "target-page": THERE})
    partial = {node.id for node in denied if node.partial and node.type != "cloudwatch/composite-alarm"}
    assert {name for name in partial if name.startswith("dashboard-")} == {"dashboard-performance", "dashboard-uptime"}
    queries = {node.id for node in denied if node.type == "logs/query-definition"}
    assert {name for name in queries if name.startswith("query-all_")} == partial & queries != queries


def test_an_object_that_is_not_there_and_one_that_is_being_made_hold_up_nothing() -> None:
    for objects in ({}, BEING_MADE):
        graph = composed(small(SITE, TABLE, FUNCTIONS), {"target-orders": THERE, "search-all": found_by_tags("a")}, objects=objects)
        assert graph.complete and not [node.id for node in graph if node.partial]
    mixed = composed(small(SITE, WEB, TABLE), objects=BEING_MADE)
    assert mixed.complete and {node.id for node in mixed if node.partial} == {"composite-web", "composite-web_warning"}


def priors(graph: Graph) -> dict[str, Prior]:
    return {node.id: Prior(node.id, node.type, getattr(node.desired, "name", node.id), node.region, node.role) for node in graph}


def test_an_object_that_is_being_made_again_keeps_what_pages_and_everything_else_is_pruned() -> None:
    own = {"id": "slow", "metric": {"name": "OriginLatency"}, "threshold": 500}
    encrypted = {
        "emails": ["ops@example.com"],
        "kmsKeyArn": KEY,
        "usEast1KmsKeyArn": KEY.replace("eu-central-1", "us-east-1"),
    }
    more: dict[str, Any] = {"notifications": [{"severity": "critical", "createTopic": encrypted}], "maintenance": {"windows": ["sun:03:00-sun:05:00"]}}
    targets: list[dict[str, Any]] = [{**SITE, "alarms": [own]}, WEB, TABLE, {**TABLE, "id": "old", "name": "old"}]
    before = composed(small(*targets, **more), objects={"CdnDistribution/site": MADE})
    again = composed(small(*targets[:-1], **more), objects=BEING_MADE)
    subject = Subject(IDENTITY, Policy(), "eu-central-1", priors(before))
    assert set(prunable(again, subject)) == {"alarm-old_read-throttles", "alarm-old_write-throttles"}
    assert {"composite-web_use1", "composite-web_warning_use1", "alarm-site_slow", "suppressor_use1"} <= before.nodes.keys() - again.nodes.keys()
    gone = composed(small(*targets[1:-1], **more))
    assert {"composite-web_use1", "alarm-site_slow", "suppressor_use1", "topic-critical-use1"} <= prunable(gone, subject).keys()


def test_what_a_service_itself_removes_goes_although_something_of_it_is_being_made() -> None:
    other = {**WEB, "id": "other", "name": "other"}
    cache = {"id": "c", "type": "ElastiCache", "service": "web", "ref": {"kind": "CacheCluster", "name": "c"}}
    outputs = {"id": "g", "region": "eu-central-1", "members": "g-001:primary", "alarmNames": "g-cpu", "criticalAlarmNames": "g-cpu"}
    before = composed(small(cache, WEB, other), objects={"CacheCluster/c": outputs})
    again = composed(small(cache, WEB), objects={"CacheCluster/c": {}})
    subject = Subject(IDENTITY, Policy(), "eu-central-1", priors(before))
    leaving = {prior.external_id for prior in prunable(again, subject).values()}
    assert children(step(again, "composite-web", filled(before, "composite-web"), leaving)) == {
        "g-cpu", *(name_of(again, f"alarm-page_{id}") for id in ("errors", "concurrency"))
    }  # fmt: skip


def test_a_rule_that_is_full_or_somebody_elses_is_left_as_it_is() -> None:
    spec = small(FUNCTIONS, QUEUE)
    partial = composed(spec, {"search-all": found_by_tags("new")})
    node = "composite-shop"
    full = " OR ".join(f'ALARM("a{number}")' for number in range(CHILDREN))
    for rule in (full, 'ALARM("a") AND ALARM("b")'):
        held = step(partial, node, CompositeAlarm(filled(partial, node).name, {}, rule))
        assert (held.action, held.problem, held.changes, held.left) == (Action.NONE, None, (), True)


@pytest.mark.parametrize("length", [5, 190])
@pytest.mark.parametrize("lost", [0, 40])
def test_many_children_leave_room_for_what_comes_meanwhile(length: int, lost: int) -> None:
    def names(numbers: Iterable[int], head: str = "f") -> list[str]:
        return [f"{head}{number:03}{'x' * (length - 4)}"[:64] for number in numbers]

    spec = small(FUNCTIONS, QUEUE, notifications=[PAGER])
    before = composed(spec, {"search-all": found_by_tags(*names(range(260))), "target-jobs": THERE}, name="n" * min(length, 100))
    found = [*names(range(lost, 260)), *names(range(5), "new")]
    partial = composed(spec, {"search-all": found_by_tags(*found)}, name="n" * min(length, 100))
    paged: set[str] = set()
    for node in composites(partial):
        there = filled(before, node) if node in before.nodes else filled(partial, node)
        paged |= children(step(partial, node, there))
    errors = {name_of(partial, node) for node in alarms(partial) if node.endswith("_errors")}
    assert errors <= paged and len(errors) == len(found)
    assert {name_of(before, node) for node in alarms(before) if node.startswith("alarm-all_")} <= paged | not_in_parts(before, partial)


def not_in_parts(before: Graph, partial: Graph) -> set[str]:
    """Children of parts that the smaller composition does not speak of: nobody prunes them, and the rule above keeps them."""
    left: Mapping[str, CompositeAlarm] = {node: filled(before, node) for node in composites(before).keys() - composites(partial).keys()}
    return {name for composite in left.values() for name in composite.rule.split('"')[1::2]}


def test_one_that_comes_changes_its_own_part_alone() -> None:
    names = [f"f{number}" for number in range(250)]
    before, after = (composed(small(FUNCTIONS), {"search-all": found_by_tags(*those)}) for those in (names, [*names, "new"]))
    changed = {node for node, one in composites(before).items() if composites(after)[node] != one and node.startswith("composite-shop_warning")}
    assert len(changed) == 1
    for composite in composites(after).values():
        assert composite.rule.count("ALARM(") <= CHILDREN and len(composite.rule) <= LONGEST_RULE


FIRST = {"id": "first", "type": "Lambda", "service": "front", "selector": {"tags": {"tier": "front"}}}


def test_what_a_lookup_without_an_answer_may_have_watched_is_not_taken_by_another() -> None:
    spec = small(FIRST, FUNCTIONS, QUEUE)
    before = composed(spec, {"search-first": found_by_tags("f"), "search-all": found_by_tags("f", "g"), "target-jobs": THERE})
    assert {"alarm-first_f_errors", "alarm-all_g_errors"} <= before.nodes.keys() and "alarm-all_f_errors" not in before.nodes
    failed = composed(spec, {"search-all": found_by_tags("f", "g", "new"), "target-jobs": THERE})
    assert not {node for node in alarms(failed) if node.startswith(("alarm-all_", "alarm-first_"))}
    assert not failed.complete and "alarm-jobs_oldest-message" in failed.nodes
    assert not prunable(failed, Subject(IDENTITY, Policy(), "eu-central-1", priors(before)))
    node = "composite-shop_warning"
    assert failed.nodes[node].partial
    assert name_of(before, "alarm-all_g_throttles") in children(step(failed, node, filled(before, node)))
    queries = {node.id for node in failed if node.type == "logs/query-definition" and node.id.startswith("query-all_")}
    assert all(failed.nodes[query].partial for query in queries)
    known = composed(spec, {"search-first": found_by_tags("f"), "search-all": found_by_tags("f", "g", "new"), "target-jobs": THERE})
    assert "alarm-all_new_errors" in known.nodes


def test_only_what_may_be_the_same_thing_waits_for_an_answer() -> None:
    named = {"id": "one", "type": "Lambda", "service": "front", "name": "f"}
    unnamed = composed(small(FUNCTIONS, named, QUEUE), {"search-all": found_by_tags("f", "g")})
    assert "alarm-all_g_errors" in unnamed.nodes and "alarm-all_f_errors" not in unnamed.nodes
    later = composed(small(FUNCTIONS, FIRST, named), {"search-all": found_by_tags("g"), "target-one": THERE})
    assert {"alarm-all_g_errors", "alarm-one_errors"} <= later.nodes.keys(), "what comes first waits for nobody"


def test_alarms_tell_nobody_whatever_is_unknown() -> None:
    graph = composed(small(FUNCTIONS, QUEUE, notifications=[PAGER]), {"search-all": found_by_tags("a")})
    assert not [node.id for node in graph if isinstance(node.desired, Alarm) and node.desired.alarm_actions]
    assert composites(graph)["composite-shop"].alarm_actions

"""What an alarm set makes, and what it leaves out: targets that come and go, changes of alarms, composites, topics, dashboards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from securebase.core.errors import Terminal
from securebase.core.graph import Graph, references, resolve
from securebase.core.kind import Facts
from securebase.kinds.alarmset import ALARMS
from securebase.kinds.alarmset.catalogue import catalogue
from securebase.resources.cloudwatch import composite_model, dashboard_model
from securebase.resources.cloudwatch.composite_model import CHILDREN, CompositeAlarm
from securebase.resources.cloudwatch.model import Alarm, problems
from securebase.resources.sns.model import Topic
from tests.unit.kinds.any_alarmset import THERE, alarms, composed, composites, context, dashboards, found_by_tags, small, widget

FUNCTION = {"id": "checkout", "type": "Lambda", "service": "shop", "name": "checkout"}
TABLE = {"id": "orders", "type": "DynamoDB", "service": "data", "name": "orders"}
FUNCTIONS = {"id": "all", "type": "Lambda", "service": "shop", "selector": {"tags": {"platform": "shop"}}}
SITE = {"id": "site", "type": "CloudFront", "service": "site", "ref": {"kind": "CdnDistribution", "name": "site"}}
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-1111-2222-3333-444455556666"
MADE = {"id": "E1", "region": "us-east-1", "alarmNames": "site-4xx,site-5xx", "criticalAlarmNames": "site-5xx"}
PAGER = {"severity": "critical", "createTopic": {"emails": ["ops@example.com"]}}


def with_alarm(target: Mapping[str, Any], **alarm: Any) -> dict[str, Any]:
    return {**target, "alarms": [alarm]}


def rule_of(graph: Graph, node: str) -> str:
    """A composite's rule as AWS gets it."""
    names = {other.id: {"name": other.desired.name} for other in graph if isinstance(other.desired, (Alarm, CompositeAlarm))}
    return str(resolve(composites(graph)[node].rule, names).desired)


def test_a_missing_target_makes_nothing_and_stops_nothing() -> None:
    spec = small(FUNCTION, TABLE)
    nodes = {"target-checkout": {"exists": "false"}, "target-orders": THERE}
    graph = composed(spec, nodes)
    assert graph.complete and alarms(graph).keys() == {"alarm-orders_read-throttles", "alarm-orders_write-throttles"}
    assert ALARMS.outputs(spec, nodes)["missingTargets"] == "checkout"


def test_what_is_not_known_is_not_pruned_and_composed_anew_once_it_is() -> None:
    graph = composed(small(FUNCTION, TABLE), {"target-orders": THERE})
    assert not graph.complete and "alarm-orders_read-throttles" in graph.nodes and "alarm-checkout_errors" not in graph.nodes
    assert graph.outdated({"target-checkout": THERE}) and not graph.outdated({"target-orders": THERE})
    assert graph.outdated({"target-orders": {"exists": "false"}})
    assert {"target-checkout", "target-orders"} == ALARMS.needs(small(FUNCTION, TABLE), "web").nodes


def test_what_was_read_by_its_name_alone_prunes_nothing_until_a_list_tells_more() -> None:
    facts = Facts(nodes={"target-checkout": {"exists": "true", "name": "checkout", "settled": "true"}})
    graph = ALARMS.compose(small(FUNCTION), facts, context())
    assert not graph.complete and "alarm-checkout_errors" in graph.nodes and "alarm-checkout_duration" not in graph.nodes
    assert graph.outdated({"target-checkout": {**THERE, "timeoutSeconds": "3"}})
    unsure = ALARMS.compose(small(FUNCTION), Facts(nodes={"target-checkout": {"exists": "false", "settled": "false"}}), context())
    assert not unsure.complete and not alarms(unsure)


def test_tags_find_what_comes_and_lose_what_goes() -> None:
    spec = small(FUNCTIONS, TABLE)
    one = composed(spec, {"search-all": found_by_tags("a"), "target-orders": THERE})
    two = composed(spec, {"search-all": found_by_tags("a", "b"), "target-orders": THERE})
    assert one.complete and one.outdated({"search-all": found_by_tags("a", "b")})
    assert alarms(two).keys() - alarms(one).keys() == {f"alarm-all_b_{id}" for id in ("errors", "throttles", "concurrency")}
    assert all(two.nodes[node] == one.nodes[node] for node in alarms(one))
    unsure = composed(spec, {"search-all": found_by_tags("a", settled=False), "target-orders": THERE})
    assert not unsure.complete and unsure.outdated({"search-all": found_by_tags("a")}) and "alarm-all_a_errors" in unsure.nodes


def test_what_is_named_and_found_is_watched_once() -> None:
    graph = composed(small(FUNCTIONS, FUNCTION), {"search-all": found_by_tags("checkout", "mail"), "target-checkout": THERE})
    assert {node.partition("_")[0] for node in alarms(graph) if alarms(graph)[node].dimensions["FunctionName"] == "checkout"} == {"alarm-checkout"}
    assert "alarm-all_mail_errors" in graph.nodes


def test_a_change_of_one_target_touches_its_alarms_alone() -> None:
    before = composed(small(FUNCTION, TABLE))
    after = composed(small(with_alarm(FUNCTION, id="errors", threshold=20), TABLE))
    assert [node for node in before.nodes if before.nodes[node] != after.nodes[node]] == ["alarm-checkout_errors", "dashboard-uptime"]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"threshold": 3}, (3.0, 300, 1, 1)),
        ({"periodSeconds": 60, "evaluationPeriods": 5}, (10.0, 60, 1, 5)),
        ({"datapointsToAlarm": 3}, (10.0, 300, 3, 3)),
        ({"datapointsToAlarm": 2, "evaluationPeriods": 4}, (10.0, 300, 2, 4)),
    ],
)
def test_alarms_of_the_catalogue_change(change: dict[str, Any], wanted: tuple[float, int, int, int]) -> None:
    alarm = alarms(composed(small(with_alarm(FUNCTION, id="errors", **change))))["alarm-checkout_errors"]
    assert (alarm.threshold, alarm.period, alarm.datapoints_to_alarm, alarm.evaluation_periods) == wanted


def test_a_smaller_n_takes_m_along() -> None:
    alarm = alarms(composed(small(with_alarm(FUNCTION, id="concurrency", evaluationPeriods=3))))["alarm-checkout_concurrency"]
    assert (alarm.datapoints_to_alarm, alarm.evaluation_periods) == (3, 3)


def test_alarms_are_left_out_and_added() -> None:
    added = {"id": "slow", "metric": {"name": "Duration"}, "statistic": "p99", "threshold": 500}
    graph = composed(small({**FUNCTION, "alarms": [{"id": "errors", "enabled": False}, added]}))
    slow = alarms(graph)["alarm-checkout_slow"]
    assert "alarm-checkout_errors" not in graph.nodes
    assert (slow.extended_statistic, slow.evaluate_low_sample, slow.dimensions) == ("p99", "ignore", {"FunctionName": "checkout"})
    assert "p99 of Duration above 500" in slow.description


def test_an_expression_may_use_any_id() -> None:
    maths = {"id": "own", "expression": "value + result", "metrics": [{"id": "value", "name": "Errors"}, {"id": "result", "name": "Throttles"}], "threshold": 1}
    alarm = alarms(composed(small(with_alarm(FUNCTION, **maths))))["alarm-checkout_own"]
    assert list(problems(alarm)) == [] and len({query.id for query in alarm.metrics}) == 3
    assert {query.stat for query in alarm.metrics if query.metric_name} == {"Sum"}


@pytest.mark.parametrize(
    ("target", "reason", "told"),
    [
        (with_alarm(FUNCTION, id="eror", threshold=1), "UnknownAlarm", "errors, throttles, concurrency, duration"),
        (with_alarm(FUNCTION, id="own", metric={"name": "Duration"}), "UnknownAlarm", "a threshold or an anomaly band"),
        (with_alarm(SITE, id="errors-5xx", threshold=1), "AlarmOfAnother", "CdnDistribution site makes its own alarms"),
    ],
)
def test_what_only_another_spec_mends_is_said(target: dict[str, Any], reason: str, told: str) -> None:
    with pytest.raises(Terminal, match=told) as refused:
        composed(small(target), objects={"CdnDistribution/site": MADE})
    assert refused.value.reason == reason


def test_percentages_over_a_hundred_are_refused_for_every_alarm_in_percent() -> None:
    for type_ in catalogue().types.values():
        for recipe in type_.alarms:
            target = {"id": "t", "type": type_.name, "name": "n", "alarms": [{"id": recipe.id, "threshold": 101}]}
            if type_.name == "ApiGatewayHttp":
                target["stage"] = "$default"
            if recipe.unit == "Percent":
                with pytest.raises(ValidationError, match="over 100"):
                    small(target)
            else:
                assert small(target)


def test_alarms_of_a_referenced_object_are_used_and_not_made() -> None:
    graph = composed(small(SITE), objects={"CdnDistribution/site": MADE})
    assert graph.complete and not alarms(graph)
    assert rule_of(graph, "composite-site_use1") == 'ALARM("site-5xx")' and rule_of(graph, "composite-site_warning_use1") == 'ALARM("site-4xx")'
    assert {arn.rpartition(":")[2] for arn in widget(graph, "alarms")["alarms"]} >= {"site-4xx", "site-5xx"}
    assert widget(graph, "cdn")["metrics"][0][:6] == ["AWS/CloudFront", "CacheHitRate", "DistributionId", "E1", "Region", "Global"]
    assert {str(ref) for ref in ALARMS.needs(small(SITE), "web").objects_if_there} == {"CdnDistribution web/site"}


def test_a_composite_tells_and_its_children_do_not() -> None:
    graph = composed(small(FUNCTION, notifications=[PAGER]))
    assert all(not alarm.alarm_actions | alarm.ok_actions for alarm in alarms(graph).values())
    composite = composites(graph)["composite-shop"]
    assert {node for text in composite.alarm_actions | composite.ok_actions for node, _ in references(text)} == {"topic-critical"}
    assert {node for node, _ in references(composite.rule)} == {"alarm-checkout_concurrency", "alarm-checkout_errors"}
    assert not composites(graph)["composite-shop_warning"].alarm_actions
    assert graph.wave_of["composite-shop"] > max(graph.wave_of[node] for node in alarms(graph))


def test_without_a_composite_each_alarm_tells_by_itself() -> None:
    warned = {"severity": "warning", "topicArns": ["arn:aws:sns:eu-central-1:123456789012:chat", "arn:aws:sns:us-east-1:123456789012:chat"]}
    graph = composed(small(FUNCTION, services=[{"name": "shop", "composite": False}], notifications=[PAGER, warned]))
    assert not composites(graph)
    assert {node for text in alarms(graph)["alarm-checkout_errors"].alarm_actions for node, _ in references(text)} == {"topic-critical"}
    assert alarms(graph)["alarm-checkout_throttles"].alarm_actions == {"arn:aws:sns:eu-central-1:123456789012:chat"}


@pytest.mark.parametrize("length", [5, 190])
def test_many_children_make_composites_of_composites(length: int) -> None:
    names = [f"{number:03}{'x' * (length - 3)}"[:64] for number in range(260)]
    graph = composed(small(FUNCTIONS, notifications=[PAGER]), {"search-all": found_by_tags(*names)}, name="n" * min(length, 100))
    children: list[str] = []
    for node, composite in composites(graph).items():
        inside = [child for child, _ in references(composite.rule)]
        assert len(inside) <= CHILDREN and list(composite_model.problems(replace(composite, rule=rule_of(graph, node)))) == []
        assert bool(composite.alarm_actions) == (node == "composite-shop")
        children += inside
    assert sorted(children) == sorted({*alarms(graph), *composites(graph)} - {"composite-shop", "composite-shop_warning"})


def test_ids_of_targets_and_services_never_run_into_each_other() -> None:
    named = [{"id": id, "type": "Lambda", "service": service, "name": id} for id, service in (("a", "s"), ("a-b", "s-warning"), ("a-all", "s-use1"))]
    extra = [{**target, "alarms": [{"id": "b-errors", "metric": {"name": "Errors"}, "threshold": 1}]} for target in named]
    graph = composed(
        small(*extra, SITE, {**FUNCTIONS, "id": "a-0"}), {**{f"target-{id}": THERE for id in ("a", "a-b", "a-all")}, "search-a-0": found_by_tags("b")}
    )
    assert len({node.desired.name for node in graph if isinstance(node.desired, (Alarm, CompositeAlarm))}) == len(alarms(graph)) + len(composites(graph))


def test_what_the_cdn_tells_goes_through_us_east_1() -> None:
    graph = composed(small(SITE, FUNCTION, notifications=[PAGER]), objects={"CdnDistribution/site": MADE})
    assert {node.id: node.region for node in graph if isinstance(node.desired, Topic)} == {"topic-critical": "", "topic-critical-use1": "us-east-1"}
    composite = graph.nodes["composite-site_use1"]
    assert composite.region == "us-east-1" and "topic-critical-use1" in composite.references() and "topic-critical" not in composite.references()
    at_home = composed(small(SITE, FUNCTION, notifications=[PAGER]), objects={"CdnDistribution/site": MADE}, region="us-east-1")
    assert all(not node.region for node in at_home if not node.id.startswith("target-")) and "composite-site" in at_home.nodes


def test_topics_with_a_key_let_cloudwatch_use_it_and_are_told_by_alarms_alone() -> None:
    encrypted = {"severity": "critical", "createTopic": {"https": ["https://pager.example.com/in"], "kmsKeyArn": KEY}}
    graph = composed(small(FUNCTION, notifications=[encrypted, {**encrypted, "severity": "warning"}]))
    statements = [node for node in graph if node.type == "kms/policy-statement"]
    topic = graph.nodes["topic-critical"]
    assert len(statements) == 1 and topic.after == {statements[0].id} and topic.desired.kms_key == KEY
    assert topic.desired.subscriptions == {"https:https://pager.example.com/in"} and topic.desired.publishers == {"cloudwatch.amazonaws.com"}
    assert topic.desired.sources == {"arn:aws:cloudwatch:eu-central-1:123456789012:alarm:*"}
    with pytest.raises(Terminal, match="usEast1KmsKeyArn") as refused:
        composed(small(FUNCTION, SITE, notifications=[encrypted]), objects={"CdnDistribution/site": MADE})
    assert refused.value.reason == "KeyMissing"


def test_dashboards_keep_cloudwatchs_limits_and_lose_nothing() -> None:
    names = [f"f{number}" for number in range(1_100)]
    graph = composed(small(FUNCTIONS, dashboards={"uptime": False}), {"search-all": found_by_tags(*names)})
    drawn = []
    for dashboard in dashboards(graph).values():
        graphs = [json.loads(one.properties).get("metrics", []) for one in dashboard.widgets]
        assert list(dashboard_model.problems(dashboard)) == []
        assert len({one.id for one in dashboard.widgets}) == len(dashboard.widgets)
        drawn += [json.dumps(row) for rows in graphs for row in rows]
    assert len(dashboards(graph)) == 2 and len(drawn) == len(set(drawn)) == 1_100 * 4


def test_widgets_do_not_overlap_and_fit_the_grid() -> None:
    own = [{"title": "t", "type": "text", "markdown": "x", "width": width, "height": height} for width, height in ((24, 1), (5, 9), (19, 2), (1, 1))]
    for dashboard in dashboards(composed(small(FUNCTION, TABLE, dashboards={"widgets": own}))).values():
        cells = [(x, y) for one in dashboard.widgets for x in range(one.x, one.x + one.width) for y in range(one.y, one.y + one.height)]
        assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24


def test_dashboards_can_be_done_without() -> None:
    assert not dashboards(composed(small(FUNCTION, dashboards={"enabled": False})))
    own = {"title": "Call", "type": "text", "markdown": "x"}
    graph = composed(small(FUNCTION, dashboards={"performance": False, "widgets": [own, own]}))
    assert dashboards(graph).keys() == {"dashboard-uptime"}
    assert [one.id for one in dashboards(graph)["dashboard-uptime"].widgets][-2:] == ["custom-Call", "custom-Call-2"]
    assert dashboards(composed(small(FUNCTION), {})) == {}


def test_names_tell_instances_namespaces_and_objects_apart() -> None:
    def names(**more: Any) -> set[str]:
        graph = composed(small(FUNCTION, SITE, notifications=[PAGER], maintenance={"windows": ["sun:03:00-sun:05:00"]}), **more)
        return {node.desired.name for node in graph if hasattr(node.desired, "name") and not node.id.startswith("target-")}

    every = [names(), names(instance="other"), names(namespace="other"), names(name="other")]
    assert len(set.union(*every)) == sum(map(len, every))
    assert all(len(name) <= 200 for name in names(namespace="n" * 63, name="o" * 253))


def test_queries_and_filters_follow_the_functions() -> None:
    groups = [f"f{number}" for number in range(120)]
    graph = composed(small(FUNCTIONS), {"search-all": found_by_tags(*groups)})
    queries = [node.desired for node in graph if node.id.startswith("query-all_cold-starts")]
    assert [len(query.log_groups) for query in queries] == [50, 50, 20] and all(query.query for query in queries)
    assert sum(node.type == "logs/metric-filter" for node in graph) == 120
    quiet = composed(small(FUNCTIONS, coldStarts=False, standardQueries=False), {"search-all": found_by_tags(*groups)})
    assert not [node for node in quiet if node.type.startswith("logs/")]


def test_outputs_are_counts_and_names() -> None:
    graph = composed(small(FUNCTION, SITE, notifications=[PAGER]), objects={"CdnDistribution/site": MADE})
    told = ALARMS.outputs(small(FUNCTION), {node.id: {"name": f"name-of-{node.id}", "arn": f"arn-of-{node.id}"} for node in graph})
    assert told == {
        "alarms": "3",
        "compositeAlarms": "4",
        "dashboards": "name-of-dashboard-performance,name-of-dashboard-uptime",
        "criticalTopicArn": "arn-of-topic-critical",
        "criticalTopicArnUsEast1": "arn-of-topic-critical-use1",
    }


_ids = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)
_types = st.sampled_from(["ApiGatewayRest", "ApiGatewayHttp", "Lambda", "DynamoDB", "Aurora", "ElastiCache", "CloudFront", "Sqs"])


@st.composite
def _sets(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[str, dict[str, str]]]:
    targets: list[dict[str, Any]] = []
    nodes: dict[str, dict[str, str]] = {}
    for id in draw(st.lists(_ids, min_size=1, max_size=6, unique=True)):
        target: dict[str, Any] = {"id": id, "type": draw(_types), "service": draw(_ids)}
        if target["type"] == "ApiGatewayHttp":
            target["stage"] = "$default"
        members = draw(st.lists(_ids, max_size=3, unique=True))
        if target["type"] != "CloudFront" and draw(st.booleans()):
            target["selector"] = {"tags": {"a": "b"}}
            names = draw(st.lists(_ids, max_size=3, unique=True))
            nodes[f"search-{id}"] = found_by_tags(*names, details={name: {"members": ",".join(f"{name}-{member}" for member in members)} for name in names})
        else:
            target["name"] = draw(_ids)
            exists = draw(st.sampled_from(["true", "true", "false"]))
            nodes[f"target-{id}"] = {"exists": exists, "arn": "arn:there", "members": ",".join(members), "dlq": "dead", "timeoutSeconds": "3"}
        targets.append(target)
    return targets, nodes


@settings(max_examples=40, deadline=None)
@given(_sets(), st.booleans())
def test_any_set_composes_within_the_limits_of_what_it_makes(made: tuple[list[dict[str, Any]], dict[str, dict[str, str]]], held: bool) -> None:
    targets, nodes = made
    more: dict[str, Any] = {"maintenance": {"windows": ["sun:03:00-sun:05:00"]}} if held else {}
    spec = small(*targets, notifications=[PAGER], **more)
    graph = composed(spec, nodes)
    assert graph.complete and graph.nodes == composed(spec.model_copy(deep=True), nodes).nodes
    assert not graph.outdated(nodes) and {node.type for node in graph} <= ALARMS.types
    children = {child for composite in composites(graph).values() for child, _ in references(composite.rule)}
    named = [node.desired.name for node in graph if isinstance(node.desired, (Alarm, CompositeAlarm))]
    assert len(set(named)) == len(named)
    for node, alarm in alarms(graph).items():
        assert list(problems(alarm)) == [] and len(node) <= 253 and len(alarm.description) <= 1024
        assert alarm.treat_missing_data != "missing" and bool(alarm.evaluate_low_sample) == alarm.extended_statistic.startswith("p")
        assert not alarm.alarm_actions and (node in children or node.startswith("suppressor"))
    for one in graph:
        assert all(graph.nodes[other].region == one.region for other in one.references()), "an alarm, its topic and its composite share a region"

"""What the attributes of found things change: thresholds, alarms of engines, log formats, queries over the logs there are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from securebase.core.graph import Graph
from securebase.resources.logs.filter_model import MetricFilter
from securebase.resources.logs.query_model import QueryDefinition, problems
from tests.unit.kinds.any_alarmset import alarms, composed, dashboards, found_by_tags, small, widget

FUNCTION = {"id": "f", "type": "Lambda", "name": "f"}
DATABASE = {"id": "db", "type": "Aurora", "name": "main"}
API = {"id": "api", "type": "ApiGatewayRest", "name": "orders"}
THERE = {"exists": "true", "settled": "true", "arn": "arn:there"}


def graph_of(target: Mapping[str, Any], **attributes: str) -> Graph:
    return composed(small(target), {f"target-{target['id']}": {**THERE, "name": target["name"], **attributes}})


def queries(graph: Graph) -> dict[str, QueryDefinition]:
    return {node.id: node.desired for node in graph if isinstance(node.desired, QueryDefinition)}


def logs(*stages: tuple[str, str, Mapping[str, str]]) -> str:
    return json.dumps([{"stage": stage, "logGroup": group, "fields": fields} for stage, group, fields in stages])


@pytest.mark.parametrize(
    ("attributes", "threshold"),
    [
        ({"reservedConcurrency": "50", "accountConcurrency": "3000"}, 45),
        ({"accountConcurrency": "3000"}, 2700),
        ({}, 900),
        ({"reservedConcurrency": "5", "accountConcurrency": "3000"}, None),
        ({"unread": "reservedConcurrency", "accountConcurrency": "3000"}, None),
    ],
    ids=["reserved", "the account's", "not to be read", "a handful", "not read yet"],
)
def test_concurrency_goes_by_what_a_function_may(attributes: Mapping[str, str], threshold: float | None) -> None:
    alarm = alarms(graph_of(FUNCTION, **attributes)).get("alarm-f_concurrency")
    assert (None if alarm is None else alarm.threshold) == threshold


def test_a_given_threshold_waits_for_nothing() -> None:
    given = {**FUNCTION, "alarms": [{"id": "concurrency", "threshold": 7}]}
    assert alarms(graph_of(given, unread="reservedConcurrency"))["alarm-f_concurrency"].threshold == 7


def test_what_is_unread_takes_nothing_away() -> None:
    """After a restart: the alarm that is there is neither changed nor pruned until it is known what it goes by."""
    spec = small({"id": "all", "type": "Lambda", "selector": {"tags": {"a": "b"}}})
    read = {"arn": "arn:1", "timeoutSeconds": "3", "reservedConcurrency": "50"}
    unread = {"arn": "arn:2", "timeoutSeconds": "3", "unread": "reservedConcurrency"}
    graph = composed(spec, {"search-all": found_by_tags("one", "two", settled=False, details={"one": read, "two": unread})})
    assert {"alarm-all_one_concurrency", "alarm-all_two_duration"} <= alarms(graph).keys()
    assert "alarm-all_two_concurrency" not in alarms(graph)
    assert graph.spares("alarm-all_two_concurrency")


def test_alarms_go_by_the_engine() -> None:
    aurora = alarms(graph_of(DATABASE, members="main-1", engine="aurora-mysql", aurora="true"))
    multi_az = alarms(graph_of(DATABASE, members="main-1", engine="mysql", multiAz="true"))
    assert aurora.keys() == {"alarm-db_main-1_cpu", "alarm-db_main-1_replica-lag", "alarm-db_main-1_buffer-cache"}
    assert multi_az.keys() == {"alarm-db_main-1_cpu", "alarm-db_main-1_reader-lag"}
    lag = multi_az["alarm-db_main-1_reader-lag"]
    assert (lag.namespace, lag.metric_name, lag.threshold) == ("AWS/RDS", "ReplicaLag", 60)


def test_a_log_of_unknown_format_is_text() -> None:
    filters = [node.desired for node in graph_of(FUNCTION) if isinstance(node.desired, MetricFilter)]
    assert [one.metric_value for one in filters] == ["$milliseconds"]


def test_the_operating_system_is_shown_where_enhanced_monitoring_is_on() -> None:
    quiet = graph_of(DATABASE, members="main-1,main-2", aurora="true")
    assert queries(quiet) == {}
    assert not [one for dashboard in dashboards(quiet).values() for one in dashboard.widgets if one.type == "log"]
    watched = graph_of(DATABASE, members="main-1,main-2", aurora="true", monitored="main-1,main-2", logGroup="RDSOSMetrics")
    saved = queries(watched)["query-db_operating-system"]
    assert saved.log_groups == {"RDSOSMetrics"} and '| filter instanceID in ["main-1", "main-2"]' in saved.query
    shown = widget(watched, "operating-system")
    assert shown["query"].startswith('SOURCE \'RDSOSMetrics\' | filter instanceID in ["main-1", "main-2"]\n')
    assert shown["region"] == "eu-central-1"


def test_more_instances_than_a_query_holds_are_queried_in_parts() -> None:
    names = [f"{'instance-of-a-long-name-' * 2}{number:03}-{'x' * 11}" for number in range(150)]
    graph = graph_of(DATABASE, members=",".join(names), aurora="true", monitored=",".join(names), logGroup="RDSOSMetrics")
    saved = queries(graph)
    assert saved.keys() == {"query-db_operating-system", "query-db_operating-system_2"}
    assert all(not [*problems(one)] for one in saved.values())
    assert sum(f'"{name}"' in one.query for one in saved.values() for name in names) == 150
    assert widget(graph, "operating-system-2")


def test_an_apis_queries_are_written_against_the_fields_of_its_log() -> None:
    full = {"resourcePath": "resource", "path": "path", "status": "status", "responseLatency": "took.ms"}
    saved = queries(graph_of(API, accessLogs=logs(("prod", "/api/prod", full))))
    assert saved["query-api_errors-by-endpoint"].query.startswith("fields resource as calledEndpoint, status as answeredStatus\n")
    assert "took.ms as milliseconds" in saved["query-api_slowest-requests"].query
    assert {one.log_groups for one in saved.values()} == {frozenset({"/api/prod"})}


def test_a_query_is_left_out_where_the_log_lacks_what_it_looks_at() -> None:
    assert queries(graph_of(API)) == {}
    assert queries(graph_of(API, accessLogs=logs(("prod", "/api/prod", {})))) == {}
    without_latency = logs(("prod", "/api/prod", {"path": "path", "status": "status"}))
    assert queries(graph_of(API, accessLogs=without_latency)).keys() == {"query-api_errors-by-endpoint"}


def test_stages_with_names_of_their_own_are_queried_together() -> None:
    stages = logs(("a", "/api/a", {"path": "path", "status": "status"}), ("b", "/api/b", {"path": "http-path", "status": "status"}), ("c", "/api/c", {}))
    query = queries(graph_of(API, accessLogs=stages))["query-api_errors-by-endpoint"]
    assert query.query.startswith("fields coalesce(`http-path`, path) as calledEndpoint, status as answeredStatus\n")
    assert query.log_groups == {"/api/a", "/api/b"}


def test_a_named_stages_log_alone_is_queried() -> None:
    stages = logs(("prod", "/api/prod", {"path": "path", "status": "status"}), ("test", "/api/test", {"path": "path", "status": "status"}))
    spec = small({**API, "stage": "prod"}, queries=[{"id": "own", "query": "limit 1", "target": "api"}])
    saved = queries(composed(spec, {"target-api": {**THERE, "name": "orders", "accessLogs": stages}}))
    assert {id: one.log_groups for id, one in saved.items()} == {
        "query-own": frozenset({"/api/prod"}),
        "query-api_errors-by-endpoint": frozenset({"/api/prod"}),
    }

"""The alarm watch: one look at the history for all, a status only when it says something else, Events for what begins and ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any, cast

from prometheus_client import CollectorRegistry

from securebase.api.alarmset import PerfAlarmSetStatus
from securebase.clients.aws import AwsAccountConfig
from securebase.clients.kubernetes import Kubernetes
from securebase.core.driver import Answer, Observed
from securebase.core.errors import Denied, Transient
from securebase.core.graph import Graph, Node, Role
from securebase.core.identity import Identity
from securebase.core.kind import Kind
from securebase.core.policy import Policy
from securebase.core.subject import Subject
from securebase.kinds.alarmset import ALARMS
from securebase.resources.cloudwatch.alarm_health import DAY, Told, Transition, WatchedMetric
from securebase.resources.cloudwatch.history import Recent
from securebase.runtime.accounts import Account
from securebase.runtime.alarm_watch import LIST_BYTES, MOVING_SECONDS, NAMED, AlarmWatch, Look
from securebase.runtime.events import Recorder
from securebase.runtime.objects import Entry, Objects
from securebase.runtime.queue import Key
from securebase.runtime.silence import Silences
from securebase.runtime.status import LIMIT_BYTES
from securebase.telemetry.metrics import Metrics
from tests.unit.kinds.any_alarmset import composed, small

NOW = 1_700_000_000.0
ACCOUNT = Account("", AwsAccountConfig("123456789012", region="eu-central-1"), "eu-central-1")
TARGETS: list[dict[str, Any]] = [
    {"id": "orders", "type": "Lambda", "name": "orders", "service": "shop"},
    {"id": "files", "type": "Sqs", "name": "files"},
]
ERRORS = "alarm-orders_errors"


@dataclass
class Happened:
    """The history of every place; counts looks."""

    recents: Recent = field(default_factory=Recent)
    looks: int = 0
    refusal: Exception | None = None

    def recent(self, max_age: float = 0.0) -> Recent:
        self.looks += 1
        if self.refusal is not None:
            raise self.refusal
        return self.recents


@dataclass
class Measured:
    """Metrics of which some are silent; keeps what was asked."""

    silence: set[str] = field(default_factory=set)
    asked: list[frozenset[WatchedMetric]] = field(default_factory=list)
    refusal: Exception | None = None

    def silent(self, metrics: AbstractSet[WatchedMetric]) -> frozenset[WatchedMetric]:
        self.asked.append(frozenset(metrics))
        if self.refusal is not None:
            raise self.refusal
        return frozenset(metric for metric in metrics if metric.name in self.silence)


class Cluster:
    """An API server that keeps statuses and Events, and counts writes of the former."""

    def __init__(self) -> None:
        self.bodies: dict[str, dict[str, Any]] = {}
        self.events: list[tuple[str, str, str]] = []
        self.writes = 0
        self.refusal: Exception | None = None

    def merge(self, path: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        if self.refusal is not None:
            raise self.refusal
        self.writes += 1
        name = path.split("/")[-2]
        body = self.bodies[name]
        status = {key: value for key, value in {**body.get("status", {}), **patch["status"]}.items() if value is not None}
        metadata = {**body["metadata"], "resourceVersion": str(int(body["metadata"]["resourceVersion"]) + 1)}
        self.bodies[name] = {**body, "metadata": metadata, "status": status}
        return self.bodies[name]

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self.events.append((body["type"], body["reason"], body["message"]))
        return dict(body)


class Fleet:
    """One set at rest, whose alarms are all OK until said otherwise."""

    def __init__(self) -> None:
        self.now, self.cluster, self.objects, self.history, self.data = NOW, Cluster(), Objects(), Happened(), Measured()
        self.spec, self.key = small(*TARGETS), Key("PerfAlarmSet", "web", "platform")
        document = {"targets": TARGETS}
        metadata = {"name": "platform", "namespace": "web", "uid": "u", "resourceVersion": "1", "generation": 1}
        body = {"apiVersion": "securebase.io/v1alpha1", "kind": "PerfAlarmSet", "metadata": metadata, "spec": document}
        self.cluster.bodies["platform"] = body
        self.graph = composed(self.spec)
        self.subject = Subject(Identity("unit", *self.key), Policy(), "eu-central-1", {})
        self.states: dict[str, str] = {}
        self.evaluations: dict[str, str] = {}
        self.broken: dict[str, Exception] = {}
        self.restart()

    def restart(self) -> None:
        """Another process, that knows what the cluster knows."""
        self.objects, self.metrics = Objects(), Metrics(CollectorRegistry(), "0")
        entry, _ = self.objects.seen(self.key, self.cluster.bodies["platform"])
        entry.graph, entry.account, entry.subject = self.graph, ACCOUNT, self.subject
        api = cast(Kubernetes, self.cluster)
        kinds = cast(Mapping[str, Kind], {"PerfAlarmSet": ALARMS})
        recorder = Recorder(api, lambda: self.now, lambda text: text)
        silences = Silences(lambda account, region: self.data, lambda: self.now)
        self.watch = AlarmWatch(kinds, self.objects, lambda account, region: self.history, silences, api, recorder, self.metrics, lambda: self.now)

    @property
    def entry(self) -> Entry:
        entry = self.objects.get(self.key)
        assert entry is not None
        return entry

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.cluster.bodies["platform"].get("status", {})
        return status

    def name(self, node: str) -> str:
        return str(self.graph.nodes[node].desired.name)

    def answers(self) -> dict[str, Answer]:
        found: dict[str, Answer] = {}
        for node in self.graph:
            attributes = {"name": getattr(node.desired, "name", ""), "state": self.states.get(node.id, "OK"), "since": str(int(NOW))}
            attributes |= {"changed": str(int(NOW)), "evaluation": self.evaluations.get(node.id, "")}
            found[node.id] = self.broken.get(node.id) or Observed(attributes["name"], node.desired, attributes=attributes)
        return found

    def look(self, graph: Graph | None = None) -> None:
        self.watch.saw(ACCOUNT.config, [Look(self.key, graph or self.graph, self.subject, self.answers())])

    def events(self) -> list[str]:
        said, self.cluster.events = self.cluster.events, []
        return [f"{type_} {reason} {message}" for type_, reason, message in said]


def alarms(graph: Graph) -> int:
    return sum(node.id.startswith(("alarm-", "composite-")) for node in graph)


def test_a_fleet_at_rest_is_told_of_once() -> None:
    fleet = Fleet()
    for _ in range(3):
        fleet.look()
        fleet.now += 2_000.0
    total = alarms(fleet.graph)
    assert fleet.status == {"alarms": {"total": total, "ok": total, "alarm": 0, "insufficientData": 0}}
    assert fleet.cluster.writes == 1 and fleet.events() == []
    fleet.restart()
    fleet.look()
    assert fleet.cluster.writes == 1


def test_a_critical_alarm_is_told_of_when_it_starts_and_when_it_ends() -> None:
    fleet = Fleet()
    fleet.look()
    fleet.states[ERRORS] = "ALARM"
    fleet.look()
    assert fleet.status["firing"] == [fleet.name(ERRORS)] and fleet.status["alarms"]["alarm"] == 1
    assert fleet.events() == [f"Warning AlarmFiring critical: {fleet.name(ERRORS)} (shop)"]
    assert f'alarm="{fleet.name(ERRORS)}"' in fleet.metrics.exposition().decode()
    fleet.look()
    fleet.restart()
    fleet.look()
    assert fleet.events() == [] and fleet.cluster.writes == 2
    fleet.states.clear()
    fleet.look()
    assert "firing" not in fleet.status
    assert fleet.events() == [f"Normal AlarmEnded no longer in ALARM: {fleet.name(ERRORS)}"]


def test_a_warning_that_fires_is_named_and_no_event() -> None:
    fleet = Fleet()
    fleet.look()
    fleet.states["alarm-orders_throttles"] = "ALARM"
    fleet.look()
    fleet.restart()
    fleet.look()
    assert fleet.status["firing"] == [fleet.name("alarm-orders_throttles")] and fleet.events() == []


def test_one_incident_is_one_event() -> None:
    fleet = Fleet()
    fleet.look()
    fleet.states = {node.id: "ALARM" for node in fleet.graph}
    fleet.look()
    [said] = fleet.events()
    assert said.startswith("Warning AlarmFiring critical: ")


def test_what_only_moves_is_told_every_quarter_of_an_hour() -> None:
    fleet = Fleet()
    fleet.look()
    fleet.states[ERRORS] = "INSUFFICIENT_DATA"
    fleet.now += 60.0
    fleet.look()
    assert fleet.cluster.writes == 1
    fleet.now += MOVING_SECONDS
    fleet.look()
    assert fleet.cluster.writes == 2 and fleet.status["alarms"]["insufficientData"] == 1


def test_what_flaps_is_told_once_and_writes_no_status_each_time() -> None:
    fleet = Fleet()
    fleet.look()
    name = fleet.name(ERRORS)
    fleet.history.recents = Recent(tuple(Transition(name, NOW - number, "OK", "ALARM") for number in range(9)))
    for state in ("ALARM", "OK", "ALARM", "OK"):
        fleet.states[ERRORS] = state
        fleet.now += 60.0
        fleet.look()
    assert fleet.status["flapping"] == [name] and fleet.cluster.writes == 2
    assert fleet.events() == [f"Warning AlarmFlapping changed too often within an hour: {name}"]


def test_a_receiver_that_was_not_reached_is_named_with_its_error() -> None:
    fleet = Fleet()
    fleet.history.recents = Recent(told=(Told(fleet.name(ERRORS), NOW, "arn:topic", "not authorized"), Told("theirs", NOW, "arn:topic", "no")))
    fleet.look()
    assert fleet.status["failedActions"] == [fleet.name(ERRORS)]
    assert fleet.events() == [f"Warning AlarmActionFailed {fleet.name(ERRORS)}: not authorized"]
    fleet.history.refusal = Denied("cloudwatch:DescribeAlarmHistory", "*", "not allowed")
    fleet.look()
    assert fleet.status["failedActions"] == [fleet.name(ERRORS)] and fleet.cluster.writes == 1


def test_alarms_without_data_for_a_day_are_named() -> None:
    fleet = Fleet()
    fleet.states[ERRORS] = "INSUFFICIENT_DATA"
    fleet.now += 86_400.0
    fleet.look()
    assert fleet.status["noData"] == [fleet.name(ERRORS)]


def test_what_could_not_be_read_stands_as_it_did() -> None:
    fleet = Fleet()
    fleet.states[ERRORS] = "ALARM"
    fleet.look()
    fleet.broken[ERRORS] = Transient("Throttled", "later")
    fleet.look()
    assert fleet.status["firing"] == [fleet.name(ERRORS)] and fleet.cluster.writes == 1


def test_a_status_that_could_not_be_written_is_written_at_the_next_look() -> None:
    fleet = Fleet()
    fleet.cluster.refusal = Transient("Unreachable", "no answer")
    fleet.look()
    assert fleet.status == {}
    fleet.cluster.refusal = None
    fleet.look()
    assert fleet.status["alarms"]["total"] == alarms(fleet.graph)


def test_series_go_with_the_object_and_with_its_alarms() -> None:
    fleet = Fleet()
    fleet.look()
    rest = [node for node in fleet.graph if node.type != "cloudwatch/alarm" and not node.references()]
    fleet.look(Graph(rest))
    assert ERRORS not in fleet.metrics.exposition().decode() and fleet.status["alarms"]["total"] == 0
    fleet.look()
    fleet.entry.graph = None  # paused
    fleet.watch.saw(ACCOUNT.config, [])
    assert b"securebase_alarm" not in fleet.metrics.exposition()


def test_an_object_that_is_just_being_made_has_nothing_to_tell() -> None:
    fleet = Fleet()
    fleet.watch.saw(ACCOUNT.config, [Look(fleet.key, fleet.graph, fleet.subject, dict.fromkeys(fleet.graph.nodes))])
    assert fleet.cluster.writes == 0


def test_missing_targets_and_unconfirmed_subscriptions_are_named() -> None:
    fleet = Fleet()
    answers = fleet.answers()
    lookup = answers["target-files"]
    assert isinstance(lookup, Observed)
    answers["target-files"] = replace(lookup, attributes={"exists": "false"})
    pending = Observed("arn:t", None, attributes={"pending": "ops@example.com,https://pager.example.com/in"})
    other = Observed("arn:g", None, attributes={"exists": "false", "pending": "not of ours"})
    more = Graph([*fleet.graph, Node("topic-critical", "sns/topic", None), Node("given-topic-1", "sns/given-topic", None, role=Role.EXTERNAL)])
    told = answers | {"topic-critical": pending, "given-topic-1": other}
    fleet.watch.saw(ACCOUNT.config, [Look(fleet.key, more, fleet.subject, told)])
    assert fleet.status["missingTargets"] == ["files"], "a topic is no target"
    assert fleet.status["unconfirmedSubscriptions"] == ["https://pager.example.com/in", "ops@example.com"]
    confirmed = told | {"topic-critical": replace(pending, attributes={"pending": ""})}
    fleet.watch.saw(ACCOUNT.config, [Look(fleet.key, more, fleet.subject, confirmed)])
    assert "unconfirmedSubscriptions" not in fleet.status


def test_a_lookup_that_fails_takes_nothing_back_also_after_a_restart() -> None:
    fleet = Fleet()
    graph = Graph([*fleet.graph, Node("topic-critical", "sns/topic", None), Node("topic-warning", "sns/topic", None)])
    pending = {node: Observed("arn", None, attributes={"pending": told}) for node, told in (("topic-critical", "a@b.c"), ("topic-warning", "d@e.f"))}
    answers = fleet.answers() | pending | {"target-files": Observed("Sqs:files", None, attributes={"exists": "false"})}

    def look(**failing: Exception) -> dict[str, Any]:
        said = answers | {name.replace("_", "-"): error for name, error in failing.items()}
        fleet.watch.saw(ACCOUNT.config, [Look(fleet.key, graph, fleet.subject, said)])
        return {name: fleet.status.get(name) for name in ("missingTargets", "unconfirmedSubscriptions")}

    told = {"missingTargets": ["files"], "unconfirmedSubscriptions": ["a@b.c", "d@e.f"]}
    down = Transient("Down", "down")
    assert look() == told
    writes = fleet.cluster.writes
    assert look(target_files=down, target_orders=down, topic_critical=down) == told
    fleet.restart()
    assert look(target_files=down, target_orders=down, topic_critical=down) == told and fleet.cluster.writes == writes
    answers["target-files"] = Observed("Sqs:files", None, attributes={"exists": "true"})
    answers["topic-critical"] = Observed("arn", None, attributes={"pending": ""})
    assert look() == {"missingTargets": None, "unconfirmedSubscriptions": ["d@e.f"]}
    assert look(target_files=down)["missingTargets"] is None, "the last answer counts, not the first"


def silent_for_a_day(*names: str) -> Fleet:
    """A fleet of which the metrics of these names have no data, right after it was asked for the first time."""
    fleet = Fleet()
    fleet.data.silence = set(names)
    fleet.now += DAY + 2 * 3_600.0
    fleet.look()
    fleet.now += 60.0
    fleet.look()
    return fleet


def test_an_alarm_that_calls_no_data_good_is_named_when_its_metrics_have_none() -> None:
    fleet = silent_for_a_day("Errors")
    assert fleet.status["noData"] == [fleet.name(ERRORS)] and fleet.status["alarms"]["insufficientData"] == 0
    assert b'trouble="no_data"} 1.0' in fleet.metrics.exposition()
    fleet.data.silence.clear()
    fleet.now += DAY
    fleet.look()
    fleet.look()
    assert "noData" not in fleet.status


def test_metrics_are_asked_for_once_a_day_and_all_at_once() -> None:
    fleet = silent_for_a_day("Errors")
    assert len(fleet.data.asked) == 1
    for _ in range(3 * 24 * 2 + 2):
        fleet.now += 1_800.0
        fleet.look()
    assert len(fleet.data.asked) in (3, 4) and len(set(fleet.data.asked)) == 1
    assert fleet.cluster.writes == 2, "nothing else is told of them"


def test_a_young_alarm_and_a_process_that_just_began_ask_for_nothing() -> None:
    fleet = Fleet()
    for _ in range(23):
        fleet.now += 3_600.0
        fleet.look()
    fleet.now = NOW + 2 * DAY
    fleet.restart()
    fleet.look()
    assert fleet.data.asked == []


def test_silence_stands_until_it_is_asked_anew_or_the_state_changed() -> None:
    fleet = silent_for_a_day("Errors", "Throttles")
    both = sorted([fleet.name(ERRORS), fleet.name("alarm-orders_throttles")])
    assert fleet.status["noData"] == both
    fleet.restart()
    fleet.look()
    assert fleet.status["noData"] == both, "as the process before told"
    fleet.data.refusal = Denied("cloudwatch:GetMetricData", "*", "not allowed")
    fleet.now += 2 * 3_600.0
    fleet.look()
    fleet.look()
    assert fleet.data.asked and fleet.status["noData"] == both
    answers = fleet.answers()
    fired = answers[ERRORS]
    assert isinstance(fired, Observed)
    answers[ERRORS] = replace(fired, attributes={**fired.attributes, "since": str(int(fleet.now))})
    fleet.watch.saw(ACCOUNT.config, [Look(fleet.key, fleet.graph, fleet.subject, answers)])
    assert fleet.status["noData"] == [fleet.name("alarm-orders_throttles")]


def test_an_alarm_that_cannot_be_evaluated_is_named() -> None:
    fleet = Fleet()
    fleet.evaluations = {ERRORS: "EVALUATION_ERROR", "alarm-orders_throttles": "EVALUATION_FAILURE"}
    fleet.look()
    assert fleet.status["evaluationErrors"] == [fleet.name(ERRORS)], "a failure of CloudWatch passes by itself"


def refers(fleet: Fleet, **outputs: str) -> None:
    """A distribution that a target refers to tells these outputs; the set is composed by them."""
    site = {"id": "site", "type": "CloudFront", "service": "shop", "ref": {"kind": "CdnDistribution", "name": "site"}}
    told = {"id": "E1", "region": "us-east-1", "alarmNames": "site-5xx,site-4xx", "criticalAlarmNames": "site-5xx", **outputs}
    metadata = {"name": "site", "namespace": "web", "uid": "c", "resourceVersion": "1"}
    fleet.objects.seen(Key("CdnDistribution", "web", "site"), {"metadata": metadata, "status": {"outputs": told}})
    paged = [{"severity": "critical", "createTopic": {}}]
    fleet.entry.body["spec"] = {"targets": [*TARGETS, site], "notifications": paged}
    fleet.graph = composed(small(*TARGETS, site, notifications=paged), objects={"CdnDistribution/site": told})


def test_an_object_whose_alarms_page_beside_the_composite_is_named() -> None:
    fleet = Fleet()
    refers(fleet, alarmsTell="arn:aws:sns:us-east-1:123456789012:ops")
    fleet.look()
    assert fleet.status["pagingBeside"] == ["CdnDistribution site"]
    refers(fleet)
    fleet.look()
    assert "pagingBeside" not in fleet.status
    refers(fleet, alarmsTell="arn:aws:sns:us-east-1:123456789012:ops", alarmNames="site-4xx", criticalAlarmNames="")
    fleet.look()
    assert "pagingBeside" not in fleet.status, "a composite over what is no more than a warning tells nobody here"


def test_every_list_at_its_longest_fits_beside_the_rest_of_a_status() -> None:
    fleet = Fleet()
    lists = [name for name, field in PerfAlarmSetStatus.model_fields.items() if field.annotation == tuple[str, ...]]
    assert len(lists) == 8
    fleet.states = {node.id: "ALARM" for node in fleet.graph}
    fleet.look()
    counts = {"alarms": dict.fromkeys(("total", "ok", "alarm", "insufficientData"), 10_000)}
    full = counts | {name: ["x" * (LIST_BYTES // NAMED - 3)] * NAMED for name in lists}
    assert LIMIT_BYTES + len(json.dumps(full)) < 64 * 1024
    assert len(json.dumps(fleet.status["firing"], separators=(",", ":"))) <= LIST_BYTES + 2

"""A whole PerfAlarmSet pass after pass: what drift, a change of one target and the end of the set cost, and in which order alarms come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from lab.aws.calls import CallRecord
from lab.aws.endpoint import AwsEndpoint
from securebase.api.alarmset import PerfAlarmSet
from securebase.clients.aws import AwsAccountConfig, AwsClients, AwsScope, StaticCredentials
from securebase.clients.limits import RateLimiter
from securebase.core.breakers import MassDeletion
from securebase.core.errors import Waiting
from securebase.core.finalise import finalise
from securebase.core.graph import Graph
from securebase.core.identity import Identity
from securebase.core.kind import Context, Facts, ObjectRef
from securebase.core.policy import Policy
from securebase.core.reconcile import reconcile
from securebase.core.subject import Report, Subject
from securebase.kinds.alarmset import ALARMS
from securebase.resources.cloudwatch.composite_model import CompositeAlarm
from securebase.resources.cloudwatch.history import AlarmHistory
from securebase.resources.cloudwatch.model import Alarm
from securebase.resources.registry import Drivers, aws_drivers
from securebase.runtime.accounts import Account, Accounts
from securebase.runtime.objects import Objects
from securebase.runtime.queue import Key
from securebase.runtime.shared import Process, SharedUse
from securebase.runtime.sweeper import Sweeper
from securebase.telemetry.metrics import Metrics
from tests.contract.harness import ShiftedClock

HOME, CDN = "eu-central-1", "us-east-1"
TARGETS, A_TARGET = 12, 20
PAGES = -(-TARGETS * A_TARGET // 100)
"""DescribeAlarms for all metric alarms."""

SITE = {"id": "site", "type": "CloudFront", "service": "shop", "ref": {"kind": "CdnDistribution", "name": "site"}}
MADE = {ObjectRef("CdnDistribution", "web", "site"): {"id": "E1", "region": CDN, "alarmNames": "site-5xx", "criticalAlarmNames": ""}}


def tenants(count: int = TARGETS, alarms: int = A_TARGET) -> list[dict[str, Any]]:
    """Metrics of one's own: nothing has to be found for them."""

    def one(number: int) -> dict[str, Any]:
        metric = {"namespace": "Shop", "name": f"Sales{number}", "dimensions": {"Tenant": f"t{number}"}}
        limits = [{"id": f"above-{limit}", "threshold": 10 * (limit + 1)} for limit in range(alarms)]
        return {"id": f"sales-{number}", "type": "Custom", "service": "shop", "metric": metric, "alarms": limits}

    return [one(number) for number in range(count)]


class Platform:
    """One set in an account of its own, composed, reconciled, swept and finalised by the real drivers."""

    def __init__(self, endpoint: AwsEndpoint, account: str, clock: ShiftedClock, raw: Callable[..., Any]) -> None:
        self.log, self.account, self.clock, self.raw = endpoint.control.log, account, clock, raw
        clients = AwsClients(limiter=RateLimiter(is_open=True), version="test", credentials=StaticCredentials(account, "lab"))
        self.home = Account("", AwsAccountConfig(account_id=account, endpoint_url=endpoint.url, region=HOME), HOME)
        drivers = Drivers(clients, aws_drivers(), clock)
        process = Process("contract", drivers, Accounts(clients, clock), SharedUse(), MassDeletion(clock), clock)
        self.objects, self.world = Objects(), process.world(self.home, lambda *priors: None)
        self.sweeper = Sweeper(process, self.objects, Metrics(CollectorRegistry(), "0"), clock)
        self.identity = Identity("contract", "PerfAlarmSet", "web", f"set-{uuid4().hex[:8]}")
        self.key = Key("PerfAlarmSet", "web", self.identity.name)
        self.entry, _ = self.objects.seen(self.key, {"metadata": {"name": self.identity.name, "namespace": "web", "uid": "u"}})
        self.entry.account, self.entry.subject = self.home, Subject(self.identity, Policy(), HOME)

    @property
    def subject(self) -> Subject:
        assert self.entry.subject is not None
        return self.entry.subject

    @property
    def graph(self) -> Graph:
        assert self.entry.graph is not None
        return self.entry.graph

    def wants(self, *targets: Mapping[str, Any], **more: Any) -> None:
        """The spec is this from now on."""
        metadata = {"name": self.identity.name, "namespace": "web"}
        document = {"apiVersion": "securebase.io/v1alpha1", "kind": "PerfAlarmSet", "metadata": metadata, "spec": {"targets": list(targets), **more}}
        context = Context(self.identity, self.account, HOME)
        self.entry.graph = ALARMS.compose(PerfAlarmSet.model_validate(document).spec, Facts(objects=MADE), context)

    def run(self) -> Report:
        """One pass, long enough after the last that nothing is still settling."""
        self.clock.advance(120.0)
        report = reconcile(self.graph, self.subject, self.world, self.entry.memory)
        self.entry.subject = replace(self.subject, prior={result.prior.id: result.prior for result in report.results})
        self.entry.settled = all(result.state == "READY" for result in report.results)
        return report

    def sweep(self) -> list[Key]:
        """Who needs a pass; a minute after the last look."""
        self.clock.advance(61.0)
        return self.sweeper.sweep(self.home, [self.entry])

    def end(self) -> None:
        """Every pass of its deletion."""
        for _ in range(10):
            self.clock.advance(30.0)
            gone = finalise(self.graph, self.subject, self.world, self.entry.memory)
            self.entry.subject = replace(self.subject, prior={result.prior.id: result.prior for result in gone.results})
            assert all(result.problem is None or isinstance(result.problem, Waiting) for result in gone.results), gone.results
            if gone.done:
                return
        raise AssertionError("not gone after ten passes")

    def calls(self, mark: int) -> list[CallRecord]:
        return self.log.records(lambda record: record.account == self.account)[mark:]

    def mark(self) -> int:
        return len(self.calls(0))

    def names(self, prefix: str) -> set[str]:
        return {node.desired.name for node in self.graph if node.id.startswith(prefix) and isinstance(node.desired, (Alarm, CompositeAlarm))}

    def written(self, since: int = 0, region: str = HOME) -> list[tuple[str, str]]:
        """(alarm, what was done), as CloudWatch's own history tells it, in order, but for the first `since`."""
        pages = self.raw("cloudwatch", region).get_paginator("describe_alarm_history")
        told = {"HistoryItemType": "ConfigurationUpdate", "AlarmTypes": ["MetricAlarm", "CompositeAlarm"], "ScanBy": "TimestampAscending"}
        lines = [line for page in pages.paginate(**told) for line in page["AlarmHistoryItems"]]
        return [(line["AlarmName"], line["HistorySummary"].rpartition(" ")[2]) for line in lines][since:]


@pytest.fixture
def platform(aws_endpoint: AwsEndpoint, account: str, clock: ShiftedClock, raw: Callable[..., Any]) -> Iterator[Platform]:
    yield Platform(aws_endpoint, account, clock, raw)


@pytest.fixture
def at_rest(platform: Platform) -> Platform:
    """The set is made; a pass and a sweep find nothing to do."""
    platform.wants(*tenants())
    platform.run()
    assert platform.run().plan.is_empty() and platform.entry.settled and platform.sweep() == []
    return platform


def operations(calls: Sequence[CallRecord], *, write: bool) -> Counter[str]:
    return Counter(call.operation for call in calls if call.write is write)


def somebody_changes(platform: Platform, name: str) -> None:
    platform.raw("cloudwatch", HOME).put_metric_alarm(
        AlarmName=name, ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=3, Threshold=123456.0, MetricName="Sales7", Namespace="Shop",
        Dimensions=[{"Name": "Tenant", "Value": "t7"}], Period=60, Statistic="Average",
    )  # fmt: skip


def test_one_drifted_alarm_of_many_is_one_write_and_a_few_pages_of_reads(at_rest: Platform) -> None:
    [name] = at_rest.names("alarm-sales-7_above-4")
    composites = -(-len(at_rest.names("composite-")) // 100)
    somebody_changes(at_rest, name)
    before, mark = len(at_rest.written()), at_rest.mark()
    assert at_rest.sweep() == [at_rest.key]
    swept = at_rest.calls(mark)
    assert operations(swept, write=True) == Counter()
    assert operations(swept, write=False)["DescribeAlarms"] == PAGES + composites
    assert len(swept) <= PAGES + composites + 1, "and the list of dashboards, when it is its turn"
    mark = at_rest.mark()
    report = at_rest.run()
    passed = at_rest.calls(mark)
    assert operations(passed, write=True) == Counter({"PutMetricAlarm": 1})
    assert operations(passed, write=False)["DescribeAlarms"] == PAGES + composites
    tags = PAGES + len(at_rest.names("composite-"))
    assert len(passed) - 1 <= PAGES + composites + tags + 2, "tags of many alarms by the page, of few composites one by one; two dashboards"
    assert {path.partition(".")[0] for path in report.corrected} == {"alarm-sales-7_above-4"}
    assert at_rest.written(before) == [(name, "updated")]
    assert at_rest.raw("cloudwatch", HOME).describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["Threshold"] == 50.0
    mark = at_rest.mark()
    assert at_rest.sweep() == [] and operations(at_rest.calls(mark), write=True) == Counter()


def test_a_set_at_rest_reads_pages_and_never_alarms(at_rest: Platform) -> None:
    listed = Counter[int]()
    for _ in range(30):
        mark = at_rest.mark()
        assert at_rest.sweep() == []
        reads = operations(at_rest.calls(mark), write=False)
        assert operations(at_rest.calls(mark), write=True) == Counter()
        assert reads["DescribeAlarms"] == PAGES + 1 and reads["ListTagsForResource"] == 0
        listed[reads["GetResources"]] += 1
    assert listed == {0: 27, PAGES: 3}, "in every tenth sweep the tags of all alarms of both types are asked for once"


def test_a_change_of_one_target_writes_its_alarms_and_no_others(at_rest: Platform) -> None:
    targets = tenants()
    targets[3]["metric"]["dimensions"] = {"Tenant": "moved"}
    before, mark = len(at_rest.written()), at_rest.mark()
    at_rest.wants(*targets)
    at_rest.run()
    written = operations(at_rest.calls(mark), write=True)
    assert written.keys() <= {"PutMetricAlarm", "PutDashboard"} and written["PutMetricAlarm"] == A_TARGET and written["PutDashboard"] <= 2
    told = at_rest.written(before)
    assert {name for name, _ in told} == at_rest.names("alarm-sales-3_") and {verb for _, verb in told} == {"updated"}
    assert len(told) == A_TARGET


def test_a_target_that_goes_takes_its_own_alarms_and_the_composites_change_first(at_rest: Platform) -> None:
    gone = at_rest.names("alarm-sales-11_")
    before, mark = len(at_rest.written()), at_rest.mark()
    at_rest.wants(*tenants(TARGETS - 1))
    for _ in range(3):
        at_rest.run()
    written = operations(at_rest.calls(mark), write=True)
    assert written["PutMetricAlarm"] == 0
    told = at_rest.written(before)
    deleted = [at for at, (_, verb) in enumerate(told) if verb == "deleted"]
    changed = [at for at, (_, verb) in enumerate(told) if verb == "updated"]
    assert {told[at][0] for at in deleted} == gone and len(deleted) == len(gone)
    assert changed and max(changed) < min(deleted)
    assert {told[at][0] for at in changed} <= at_rest.names("composite-")


def _told(platform: Platform) -> set[str]:
    """Alarms that the composite which tells people is over, itself or through its parts."""
    rules = {alarm["AlarmName"]: set(alarm["AlarmRule"].split('"')[1::2]) for alarm in _composites(platform, HOME)}
    told = rules[platform.graph.nodes["composite-shop_warning"].desired.name]
    while inner := told & rules.keys():
        told = (told - inner).union(*(rules[name] for name in inner))
    return told


def _growing(extra: int) -> list[dict[str, Any]]:
    return [*tenants(7), *tenants(8, 1)[7:]][: 7 + extra]


@pytest.mark.parametrize("refused", ["Part 3 of", "warning: shop needs a look"])
def test_with_another_part_every_alarm_goes_on_telling_whatever_is_refused(platform: Platform, aws_endpoint: AwsEndpoint, refused: str) -> None:
    platform.wants(*_growing(0))
    platform.run()
    assert platform.run().plan.is_empty() and len(_composites(platform, HOME)) == 3
    before = _told(platform)
    assert before == platform.names("alarm-") and len(before) == 140
    platform.wants(*_growing(1))
    rule = aws_endpoint.control.fail("cloudwatch", "PutCompositeAlarm", "LimitExceeded", account=platform.account, contains=refused)
    for _ in range(2):
        platform.run()
        assert before <= _told(platform)
    assert rule.hits
    aws_endpoint.control.remove(rule)
    report = platform.run()
    assert _told(platform) == platform.names("alarm-") and any(result.after for result in report.results), "the rest follows by itself"
    platform.run()
    rules = [set(alarm["AlarmRule"].split('"')[1::2]) for alarm in _composites(platform, HOME)]
    assert _told(platform) == platform.names("alarm-") and sum(len(children) for children in rules) == 141 + 3, "each is in one part"
    assert platform.run().plan.is_empty() and platform.sweep() == []


def test_with_a_part_less_what_it_had_is_taken_over_first(platform: Platform, aws_endpoint: AwsEndpoint) -> None:
    platform.wants(*_growing(1))
    platform.run()
    assert platform.run().plan.is_empty() and len(_composites(platform, HOME)) == 4
    platform.wants(*_growing(0))
    rule = aws_endpoint.control.fail("cloudwatch", "PutCompositeAlarm", "LimitExceeded", account=platform.account, contains="Part 1 of")
    for _ in range(2):
        platform.run()
        assert platform.names("alarm-") <= _told(platform)
    assert rule.hits
    aws_endpoint.control.remove(rule)
    mark = platform.mark()
    for _ in range(3):
        platform.run()
        assert platform.names("alarm-") <= _told(platform)
    assert platform.run().plan.is_empty() and _alarm_names(platform, HOME) == platform.names("alarm-") | platform.names("composite-")
    assert [call for call in platform.calls(mark) if call.status >= 400] == [], "nothing was removed that another one was still over"


def test_at_the_end_every_composite_goes_before_what_it_is_over(at_rest: Platform) -> None:
    rules = {alarm["AlarmName"]: alarm["AlarmRule"] for alarm in _composites(at_rest, HOME)}
    every = at_rest.names("alarm-") | at_rest.names("composite-")
    assert len(rules) == 5, "four parts of seventy or so, and the one over them"
    before, mark = len(at_rest.written()), at_rest.mark()
    at_rest.end()
    refused = [call for call in at_rest.calls(mark) if call.code != "OK" and call.status >= 400]
    assert refused == [], "no deletion was tried too early"
    told = at_rest.written(before)
    assert {verb for _, verb in told} == {"deleted"} and sorted(name for name, _ in told) == sorted(every)
    at = {name: number for number, (name, _) in enumerate(told)}
    inside = [(over, name) for over, rule in rules.items() for name in every if f'"{name}"' in rule]
    assert len(inside) == len(every) - 1
    assert all(at[over] < at[name] for over, name in inside)


def _composites(platform: Platform, region: str) -> list[dict[str, Any]]:
    pages = platform.raw("cloudwatch", region).get_paginator("describe_alarms").paginate(AlarmTypes=["CompositeAlarm"])
    return [alarm for page in pages for alarm in page["CompositeAlarms"]]


def _alarm_names(platform: Platform, region: str) -> set[str]:
    pages = platform.raw("cloudwatch", region).get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return {alarm["AlarmName"] for page in pages for kind in ("MetricAlarms", "CompositeAlarms") for alarm in page[kind]}


def test_composites_of_one_service_in_two_regions_stay_apart(platform: Platform) -> None:
    platform.raw("cloudwatch", CDN).put_metric_alarm(
        AlarmName="site-5xx", ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1, Threshold=5.0, MetricName="5xxErrorRate",
        Namespace="AWS/CloudFront", Dimensions=[{"Name": "DistributionId", "Value": "E1"}, {"Name": "Region", "Value": "Global"}], Period=60,
        Statistic="Average",
    )  # fmt: skip
    own = {"id": "slow", "metric": {"name": "OriginLatency"}, "threshold": 500}
    mark = platform.mark()
    platform.wants(*tenants(2, 2), {**SITE, "alarms": [own]}, maintenance={"windows": ["sun:03:00-sun:05:00"]})
    platform.run()
    assert {call.region for call in platform.calls(mark) if call.operation in ("PutCompositeAlarm", "PutMetricAlarm")} == {HOME, CDN}
    for region in (HOME, CDN):
        found = _composites(platform, region)
        here, far = _alarm_names(platform, region), _alarm_names(platform, CDN if region == HOME else HOME)
        assert len(found) == 1, region
        named = {name for alarm in found for name in [*alarm["AlarmRule"].split('"')[1::2], alarm["ActionsSuppressor"].rpartition(":alarm:")[2]]}
        assert named <= here and not named & far
        assert all("arn:" not in alarm["AlarmRule"] for alarm in found), "a name is one of the same account and region"
        if region == CDN:
            assert "site-5xx" in named
    mark = platform.mark()
    platform.end()
    assert [call for call in platform.calls(mark) if call.code != "OK" and call.status >= 400] == []
    assert (_alarm_names(platform, HOME), _alarm_names(platform, CDN)) == (set(), {"site-5xx"}), "what the distribution makes is not ours to delete"


@pytest.mark.parametrize(("alarms", "each"), [(100, 1), (2, 50)])
def test_a_hundred_transitions_are_as_many_requests_as_pages_however_many_alarms(
    platform: Platform, aws_endpoint: AwsEndpoint, scope: Callable[[str], AwsScope], alarms: int, each: int
) -> None:
    client = platform.raw("cloudwatch", HOME)
    for number in range(alarms):
        client.put_metric_alarm(
            AlarmName=f"a{number}", ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1, Threshold=1.0, MetricName="Errors", Namespace="Shop",
            Period=60, Statistic="Sum",
        )  # fmt: skip
    history = AlarmHistory(scope(HOME), platform.clock)
    history.recent()
    platform.clock.advance(60.0)
    for number in range(alarms * each):
        aws_endpoint.control.alarm_state(platform.account, HOME, f"a{number % alarms}", ("ALARM", "OK")[number // alarms % 2])
    mark = platform.mark()
    assert len(history.recent(30.0).transitions) == 100
    assert history.recent(30.0).transitions
    looks = [call for call in platform.calls(mark) if call.operation == "DescribeAlarmHistory"]
    assert len(looks) == len(platform.calls(mark)) <= 2, "a page for a hundred lines, and one for lines that are known"

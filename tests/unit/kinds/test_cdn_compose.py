"""Single decisions of the composition: Secrets, certificates, records, functions, invalidations, outputs."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from securebase.core.errors import ReferenceNotFound, Terminal
from securebase.core.fields import UNMANAGED, SecretValue
from securebase.core.graph import Ref, references, resolve
from securebase.core.kind import Facts, Kind, Needs, PolicyDefaults, SecretRef
from securebase.core.outputs import outputs_now
from securebase.core.policy import OnDelete
from securebase.kinds.cdn import CDN
from securebase.kinds.cdn.behaviors import spa_function
from securebase.kinds.cdn.invalidation import parsed
from securebase.kinds.cdn.names import certificate_id
from securebase.kinds.registry import KINDS, by_kind
from securebase.resources.cloudwatch.model import Alarm, problems
from tests.unit.kinds.composing import composed, context, small

VERIFY = SecretRef("web", "verify", "token")
WITH_SECRET: list[dict[str, Any]] = [
    {
        "id": "web",
        "custom": {"domainName": "origin.example.com"},
        "headers": [{"name": "x-origin-verify", "valueFrom": {"secretKeyRef": {"name": "verify", "key": "token"}}}],
    }
]
NAMED: dict[str, Any] = {"aliases": ["www.example.com"], "certificate": {"request": {}}, "dns": {"zoneName": "example.com"}}


def _header(facts: Facts) -> object:
    graph = CDN.compose(small(origins=WITH_SECRET), facts, context())
    return graph.nodes["distribution"].desired.origins[0].headers[0].value


def test_the_kind_is_found_by_its_name() -> None:
    kind: Kind = by_kind("CdnDistribution")
    assert kind is CDN
    assert CDN in KINDS
    with pytest.raises(KeyError):
        by_kind("Nothing")


def test_a_distribution_goes_with_its_object() -> None:
    assert CDN.defaults(small()) == PolicyDefaults(OnDelete.DELETE, False)


def test_a_header_follows_its_secret_in_the_objects_namespace() -> None:
    assert CDN.needs(small(origins=WITH_SECRET), "web") == Needs(secrets=frozenset({VERIFY}))
    secret = SecretValue("s3cret", "7")
    assert _header(Facts({VERIFY: secret})) is secret


def test_a_missing_secret_is_waited_for_and_offline_left_uncompared() -> None:
    with pytest.raises(ReferenceNotFound, match="Secret web/verify key token"):
        _header(Facts())
    assert _header(Facts(offline=True)) is UNMANAGED


@pytest.mark.parametrize("value", ["ends with a line break\n", "", " padded", "caf\u00e9", "x" * 1_784])
def test_a_secret_that_no_header_can_carry_is_refused_without_being_told(value: str) -> None:
    with pytest.raises(Terminal, match="Secret web/verify key token cannot be sent as header x-origin-verify") as refused:
        _header(Facts({VERIFY: SecretValue(value, "7")}))
    assert not value or value not in str(refused.value)


def test_a_new_set_of_names_is_another_certificate_and_a_new_order_is_not() -> None:
    one = small(**{**NAMED, "aliases": ["a.example.com", "b.example.com"]})
    turned = small(**{**NAMED, "aliases": ["b.example.com", "a.example.com"]})
    other = small(**{**NAMED, "aliases": ["a.example.com", "c.example.com"]})
    assert composed(one).nodes == composed(turned).nodes
    assert certificate_id(one) != certificate_id(other)
    assert composed(one).nodes["validation-a.example.com"].type == composed(other).nodes["validation-a.example.com"].type


def test_the_distribution_waits_until_the_certificate_is_issued() -> None:
    spec = small(**NAMED)
    graph = composed(spec)
    requested = {certificate_id(spec): {"requestedArn": "arn:requested"}}
    missing = resolve(graph.nodes["distribution"].desired, requested).missing
    assert (certificate_id(spec), "arn") in missing


def test_a_wildcard_and_its_domain_share_one_validation_record() -> None:
    spec = small(**{**NAMED, "aliases": ["example.com", "*.example.com"]})
    assert [name for name in composed(spec).nodes if name.startswith("validation-")] == ["validation-example.com"]


def test_alias_records_guard_traffic_and_come_after_the_distribution() -> None:
    records = [node for node in composed(small(**NAMED)) if node.type == "route53/record"]
    assert [node.id for node in records] == ["record-www.example.com-a", "record-www.example.com-aaaa"]
    assert all(node.guards and "distribution" in node.after for node in records)
    assert [node for node in composed(small(**{**NAMED, "ipv6": False})) if node.desired and node.id.endswith("-aaaa")] == []


def test_a_very_long_alias_still_fits_into_status() -> None:
    alias = ".".join(["a" * 60] * 3 + ["b" * 58, "example"])
    graph = composed(small(**{**NAMED, "aliases": [alias], "dns": {"zoneId": "Z1"}}))
    assert max(len(name) for name in graph.nodes) <= 253


def test_only_a_zone_that_is_used_is_looked_up() -> None:
    spec = small(
        aliases=["www.example.com"],
        certificate={"arn": "arn:aws:acm:us-east-1:123456789012:certificate/1"},
        dns={"zoneName": "example.com", "records": False},
    )
    assert "zone" not in composed(spec).nodes


def test_the_bucket_lets_exactly_this_distribution_read_below_the_origins_path() -> None:
    origins = [{"id": "web", "path": "/site", "s3": {"bucket": "my-bucket", "region": "eu-west-1"}}]
    node = composed(small(origins=origins)).nodes["bucket-policy-web"]
    statement = json.loads(node.desired.document)
    assert node.region == "eu-west-1"
    assert node.desired.sid.isalnum()
    assert statement["Resource"] == "arn:aws:s3:::my-bucket/site/*"
    assert statement["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"AWS:SourceArn": Ref("distribution", "arn"), "aws:SourceAccount": "123456789012"}}


def test_two_objects_on_one_bucket_have_statements_of_their_own() -> None:
    spec = small(origins=[{"id": "web", "s3": {"bucket": "my-bucket"}}])
    sids = {composed(spec, name=name).nodes["bucket-policy-web"].desired.sid for name in ("one", "two")}
    assert len(sids) == 2


def test_the_spa_root_is_written_as_a_javascript_string() -> None:
    assert 'request.uri = "/app\\"x.html";' in spa_function('app"x.html').code


@pytest.mark.parametrize(
    ("text", "token", "paths"),
    [
        ("release-42 /a /b/*", "release-42", {"/a", "/b/*"}),
        ("  release-42   /a ", "release-42", {"/a"}),
        ("everything", "everything", {"/*"}),
        ("release-42 a", "release-42", {"a"}),
    ],
)
def test_an_invalidation_is_a_token_and_paths(text: str, token: str, paths: set[str]) -> None:
    assert parsed(text) == (token, frozenset(paths))


def test_paths_without_a_token_are_their_own_token() -> None:
    token, paths = parsed("/a /b")
    assert paths == {"/a", "/b"}
    assert token == parsed("/a /b")[0] != parsed("/a")[0]


def test_an_invalidation_is_a_task_while_it_is_asked_for() -> None:
    assert "invalidation" not in composed(small()).nodes
    node = composed(small(), requests={"invalidate": "t /a"}).nodes["invalidation"]
    assert node.task
    assert list(references(node.desired.distribution_id)) == [("distribution", "id")]


def test_alarms_that_need_paid_metrics_come_after_the_subscription() -> None:
    graph = composed(small())
    assert {node.id for node in graph if "monitoring" in node.after} == {"alarm-origin-latency", "alarm-cache-hit-rate"}
    cheap = composed(small(alarms={"originLatency": {"enabled": False}, "cacheHitRate": {"enabled": False}}))
    assert {node.id for node in cheap if node.type == "cloudwatch/alarm"} == {"alarm-4xx", "alarm-5xx"}
    assert "monitoring" not in cheap.nodes
    assert not any(node.type in ("cloudwatch/alarm", "sns/topic") for node in composed(small(alarms={"enabled": False})))


def test_every_alarm_would_be_accepted() -> None:
    spec = small(alarms={"createTopic": {"emails": ["ops@example.com"]}})
    alarms = [node.desired for node in composed(spec) if isinstance(node.desired, Alarm)]
    assert len(alarms) == 4
    assert [problem for alarm in alarms for problem in problems(alarm)] == []
    assert all(alarm.alarm_actions == alarm.ok_actions == {Ref("topic", "arn")} for alarm in alarms)


def test_the_objects_tags_are_on_everything_that_has_tags() -> None:
    spec = small(**NAMED, alarms={"createTopic": {}}, logging={"destinationArn": "arn:aws:s3:::logs"})
    graph = composed(spec, tags={"team": "web"})
    tagged = [node for node in graph if "tags" in {field.name for field in dataclasses.fields(node.desired)}]
    assert {node.type for node in tagged} >= {"cloudfront/distribution", "acm/certificate", "cloudwatch/alarm", "sns/topic", "logs/delivery"}
    assert all(node.desired.tags == {"team": "web"} for node in tagged)


def test_outputs_tell_what_is_known() -> None:
    spec = small(**{**NAMED, "aliases": ["*.example.com", "www.example.com"]})
    distribution = {"id": "E1", "arn": "arn:d", "domainName": "d1.cloudfront.net", "hostedZoneId": "Z2FDTNDATAQYW2"}
    pending = {certificate_id(spec): {"requestedArn": "arn:c", "status": "PENDING_VALIDATION"}}
    assert outputs_now({}, CDN.outputs(spec, {}), ready=False) == {}
    assert outputs_now({}, CDN.outputs(spec, pending), ready=False) == {"certificateArn": "arn:c", "certificateState": "PENDING_VALIDATION"}
    issued = {certificate_id(spec): {"arn": "arn:c", "requestedArn": "arn:c", "status": "ISSUED"}, "distribution": distribution}
    told = {**distribution, "region": "us-east-1", "url": "https://www.example.com", "certificateArn": "arn:c", "certificateState": "ISSUED"}
    told["alarmThresholds"] = "4xxErrorRate=5:warning,5xxErrorRate=5:critical,OriginLatency=2500:warning,CacheHitRate=80:warning"
    assert outputs_now({}, CDN.outputs(spec, issued), ready=False) == told
    assert CDN.outputs(small(), {"distribution": distribution})["url"] == "https://d1.cloudfront.net"


def test_outputs_name_the_alarms_and_which_are_urgent() -> None:
    graph = composed(small())
    names = {node.id: {"name": node.desired.name} for node in graph if isinstance(node.desired, Alarm)}
    told = CDN.outputs(small(), names)
    assert sorted(told["alarmNames"].split(",")) == sorted(known["name"] for known in names.values())
    assert told["criticalAlarmNames"] == names["alarm-5xx"]["name"] and told["alarmsTell"] == ""


def test_an_alarm_that_is_switched_off_is_not_named_although_it_is_still_there() -> None:
    names = {node.id: {"name": f"name-of-{node.id}"} for node in composed(small()) if isinstance(node.desired, Alarm)}
    before = outputs_now({}, CDN.outputs(small(), names), ready=True)
    for alarms, left in (({"enabled": False}, {}), ({"errorRate5xx": {"enabled": False}}, {"alarmNames": "name-of-alarm-4xx"})):
        spec = small(alarms={"originLatency": {"enabled": False}, "cacheHitRate": {"enabled": False}, **alarms})
        assert outputs_now(before, CDN.outputs(spec, names), ready=False) == left
    unread = {node: known for node, known in names.items() if node != "alarm-5xx"}
    assert outputs_now(before, CDN.outputs(small(), unread), ready=False).keys() == before.keys()
    assert set(outputs_now(before, CDN.outputs(small(), unread), ready=False)["alarmNames"].split(",")) == {known["name"] for known in names.values()}


def test_outputs_tell_whom_the_alarms_tell_by_themselves() -> None:
    given, made = small(alarms={"topicArn": "arn:aws:sns:us-east-1:123456789012:ops"}), small(alarms={"createTopic": {}})
    assert CDN.outputs(given, {})["alarmsTell"] == "arn:aws:sns:us-east-1:123456789012:ops"
    assert CDN.outputs(made, {"topic": {"arn": "arn:t"}})["alarmsTell"] == "arn:t"
    assert CDN.outputs(small(alarms={"enabled": False, "createTopic": {}}), {"topic": {"arn": "arn:t"}})["alarmsTell"] == ""

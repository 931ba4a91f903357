"""What objects tell others before a command: by status, by what exists, by manifest; one mechanism for plan, dashboard and cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from securebase.cli import app
from securebase.cli.documents import Manifests
from securebase.cli.references import Attributes, FileSources
from securebase.core.errors import Denied, ReferenceNotFound
from securebase.core.graph import Graph
from securebase.core.identity import Identity
from securebase.core.kind import Context, Facts, Kind, ObjectRef
from securebase.cost.foresight import NOT_MADE
from securebase.kinds.alarmset import ALARMS
from securebase.runtime.engine import Request
from tests.unit.kinds.any_alarmset import composites, small, widget

EXAMPLES = Path(__file__).parents[3] / "examples"
ACCOUNT, NAMESPACE = "123456789012", "web"
CACHE, SITE = ObjectRef("CacheCluster", NAMESPACE, "sessions"), ObjectRef("CdnDistribution", NAMESPACE, "site")
TARGETS = (
    {"id": "sessions", "type": "ElastiCache", "ref": {"kind": "CacheCluster", "name": "sessions"}, "service": "data"},
    {"id": "site", "type": "CloudFront", "ref": {"kind": "CdnDistribution", "name": "site"}, "service": "web"},
)


def cache(**more: Any) -> dict[str, Any]:
    [document] = [one for one in yaml.safe_load_all((EXAMPLES / "cachecluster-prod.yaml").read_text()) if one]
    return {**document, "metadata": {"name": "sessions", "namespace": NAMESPACE}, "spec": {**document["spec"], **more}}


def site(**more: Any) -> dict[str, Any]:
    spec = {
        "origins": [{"id": "web", "custom": {"domainName": "origin.example.com"}}],
        "behaviors": [{"path": "*", "origin": "web", "preset": "html"}],
    }
    return {"apiVersion": "securebase.io/v1alpha1", "kind": "CdnDistribution", "metadata": {"name": "site", "namespace": NAMESPACE}, "spec": {**spec, **more}}


@dataclass(slots=True)
class Somewhere:
    """An account and a cluster as the test has them. `looked`: who was looked for in AWS."""

    status: Mapping[ObjectRef, Mapping[str, str]] = field(default_factory=dict)
    exists: Attributes | Exception = field(default_factory=dict)
    looked: list[str] = field(default_factory=list)
    instance: str = "unit"

    def told(self, kind: Kind, ref: ObjectRef) -> Mapping[str, str]:
        return self.status.get(ref, {})

    def context(self, request: Request) -> Context:
        return Context(request.identity, ACCOUNT, "eu-central-1")

    def there(self, request: Request, graph: Graph) -> Attributes:
        self.looked.append(request.identity.name)
        if isinstance(self.exists, Exception):
            raise self.exists
        return {node: attributes for node, attributes in self.exists.items() if node in graph.nodes}


def sources(*documents: Mapping[str, Any], outside: Somewhere | None = None) -> FileSources:
    return FileSources(Manifests(documents), outside or Somewhere())


def listed(outputs: Mapping[str, str], name: str) -> list[str]:
    return outputs.get(name, "").split(",")


def test_a_cache_that_nobody_made_tells_what_it_will() -> None:
    outputs = sources(cache()).outputs(CACHE)
    members = [member.partition(":")[0] for member in listed(outputs, "members")]
    assert members == [f"{outputs['id']}-{number:03}" for number in (1, 2, 3)]
    assert outputs["region"] == "eu-central-1" and outputs["arn"].split(":")[4] == ACCOUNT
    names = listed(outputs, "alarmNames")
    assert all(sum(f"-{member}-" in name for name in names) >= 5 for member in members)
    assert {name for name in names if "-engine-cpu-" in name} <= set(listed(outputs, "criticalAlarmNames")) < set(names)


def test_a_distribution_that_nobody_made_has_everything_but_its_id() -> None:
    outputs = sources(site()).outputs(SITE)
    assert (outputs["id"], outputs["region"]) == (NOT_MADE, "us-east-1")
    assert len(listed(outputs, "alarmNames")) == 4 and len(listed(outputs, "criticalAlarmNames")) == 1


def test_names_are_those_of_the_instance() -> None:
    ours, theirs = (sources(site(), outside=Somewhere(instance=name)).outputs(SITE)["alarmNames"] for name in ("unit", "other"))
    assert ours != theirs


def test_what_exists_is_gone_by() -> None:
    group = {"id": "older", "arn": f"arn:aws:elasticache:eu-central-1:{ACCOUNT}:replicationgroup:older", "members": "older-002:primary,older-007:replica"}
    outputs = sources(cache(), outside=Somewhere(exists={"group": group})).outputs(CACHE)
    assert (outputs["id"], outputs["members"]) == ("older", group["members"])
    assert any("older-007" in name for name in listed(outputs, "alarmNames"))


def test_what_is_being_made_has_the_members_it_will_have() -> None:
    there = {"group": {"id": "sessions-now", "members": "", "host": ""}}
    outputs = sources(cache(), outside=Somewhere(exists=there)).outputs(CACHE)
    assert outputs["id"] == "sessions-now" and len(listed(outputs, "members")) == 3


def test_the_status_in_the_cluster_stands_above_all() -> None:
    outside = Somewhere(status={CACHE: {"id": "from-status"}})
    assert sources(cache(), outside=outside).outputs(CACHE) == {"id": "from-status"}
    assert sources(outside=outside).outputs(CACHE) == {"id": "from-status"}
    assert outside.looked == []


@pytest.mark.parametrize(
    ("documents", "told"),
    [((), "give it with -f, or use --cluster"), ((site(behaviors=[]),), "behaviors"), ((site(policy={"mode": "Never"}),), "policy.mode")],
)
def test_what_cannot_be_known_is_named_with_the_reason(documents: tuple[dict[str, Any], ...], told: str) -> None:
    asked = sources(*documents)
    with pytest.raises(ReferenceNotFound, match=f"CdnDistribution {NAMESPACE}/site"):
        asked.outputs(SITE)
    [lacking] = asked.lacking
    assert lacking.startswith(f"CdnDistribution {NAMESPACE}/site is left out") and told in lacking


def test_what_may_not_be_read_is_no_absence() -> None:
    refused = sources(cache(), outside=Somewhere(exists=Denied("elasticache:DescribeReplicationGroups", "", "no")))
    with pytest.raises(Denied, match="DescribeReplicationGroups"):
        refused.outputs(CACHE)


def test_each_is_looked_for_once() -> None:
    outside = Somewhere()
    asked = sources(cache(), site(), outside=outside)
    assert [asked.outputs(ref) for ref in (CACHE, SITE)] == [asked.outputs(ref) for ref in (CACHE, SITE)]
    assert outside.looked == ["sessions", "site"]


def test_a_set_of_references_alone_has_its_dashboards_and_composites() -> None:
    asked = sources(cache(), site())
    facts = Facts(objects={ref: asked.outputs(ref) for ref in (CACHE, SITE)})
    graph = ALARMS.compose(small(*TARGETS), facts, Context(Identity("unit", "PerfAlarmSet", NAMESPACE, "platform"), ACCOUNT, "eu-central-1"))
    assert len([row for row in widget(graph, "cache")["metrics"] if row[1] == "CacheHitRate"]) == 3
    assert [row[3] for row in widget(graph, "cdn")["metrics"] if row[1] == "Requests"] == [NOT_MADE]
    assert {"composite-data", "composite-web_use1"} <= composites(graph).keys()


def composites_priced(*documents: Mapping[str, Any]) -> int:
    """How many composites the estimate of the one set among the documents counts."""
    answer = CliRunner().invoke(app, ["cost", "-f", "-", "--region", "us-east-1", "-o", "json"], input=yaml.safe_dump_all(documents))
    assert answer.exit_code == 0, answer.output
    [lines] = [one["lines"] for one in json.loads(answer.stdout)["objects"] if one["kind"] == "PerfAlarmSet"]
    return sum(line["resource"].startswith("composite-") for line in lines)


def test_the_estimate_goes_by_the_alarms_that_will_be_borrowed() -> None:
    metadata = {"name": "platform", "namespace": NAMESPACE}
    whole = {"apiVersion": "securebase.io/v1alpha1", "kind": "PerfAlarmSet", "metadata": metadata, "spec": {"targets": [TARGETS[0]]}}
    made = cache(accountRef=None)
    assert composites_priced(whole, made) == 2, "what is critical, and the rest"
    assert composites_priced(whole, cache(accountRef=None, alarms={"enabled": False})) == 0

"""`securebase dashboard`: a picture with the data there is, before anything is made; and what it says of what it cannot show."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.caches import Cache
from tests.e2e.harness import INSTANCE, Manifest, Tenant, securebase

PNG = b"\x89PNG\r\n\x1a\n"
MINUTES = range(5, 60, 5)
SITE = {"id": "site", "type": "CloudFront", "ref": {"kind": "CdnDistribution", "name": "site"}, "service": "web"}
SESSIONS = {"id": "sessions", "type": "ElastiCache", "ref": {"kind": "CacheCluster", "name": "sessions"}, "service": "data"}


def sales(*alarms: Mapping[str, Any]) -> Manifest:
    """A metric of one's own, which nothing has to be found for."""
    return {"id": "sales", "type": "Custom", "metric": {"namespace": "Shop", "name": "Sales", "unit": "Count"}, "alarms": list(alarms)}


ABOVE = {"id": "many", "threshold": 90, "statistic": "Sum", "periodSeconds": 300}
UNUSUAL = {"id": "unusual", "anomaly": {"bandwidth": 2}, "statistic": "Sum", "periodSeconds": 300}


def alarm_set(tenant: Tenant, *targets: Mapping[str, Any]) -> Manifest:
    spec = {"accountRef": {"name": tenant.account_name}, "targets": [dict(target) for target in targets]}
    return {"apiVersion": "securebase.io/v1alpha1", "kind": "PerfAlarmSet", "metadata": {"name": "shop", "namespace": tenant.namespace}, "spec": spec}


def publish(tenant: Tenant, namespace: str, name: str, dimensions: Mapping[str, str], values: Iterable[float]) -> list[float]:
    """One value every five minutes, the newest first; as floats."""
    told = [float(value) for value in values]
    named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    data = [
        {"MetricName": name, "Dimensions": named, "Value": value, "Timestamp": datetime.fromtimestamp(time.time() - 60 * ago, UTC)}
        for ago, value in zip(MINUTES, told, strict=False)
    ]
    tenant.aws("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)
    return told


def run(tenant: Tenant, *arguments: str, manifests: Iterable[Manifest], instance: str = INSTANCE) -> Any:
    text = "\n---\n".join(map(json.dumps, (tenant.account_manifest(), *manifests)))
    named = ("--instance", instance) if instance else ()
    return securebase(tenant, "dashboard", "shop", "-f", "-", "-n", tenant.namespace, *named, *arguments, stdin=text)


def panels(tenant: Tenant, *manifests: Manifest, arguments: tuple[str, ...] = ()) -> dict[str, Any]:
    """What the dashboards show, by the panels' titles."""
    answer = run(tenant, "-o", "json", *arguments, manifests=manifests)
    assert answer.returncode == 0, answer.stderr
    return {panel["title"]: panel for dashboard in json.loads(answer.stdout)["dashboards"] for panel in dashboard["panels"]}


def values(panel: Mapping[str, Any], label: str) -> list[float]:
    """Of the line whose label ends so, the newest first."""
    [line] = [line for line in panel["lines"] if line["label"].endswith(label)]
    return [value for _, value in reversed(line["points"])]


def test_it_is_drawn_with_current_data_and_makes_nothing(tenant: Tenant, tmp_path: Path) -> None:
    publish(tenant, "Shop", "Sales", {}, (40 + n for n in MINUTES))
    mark = tenant.mark()
    for kind in ("png", "html"):
        answer = run(tenant, "-o", kind, "--into", str(tmp_path / "new"), manifests=[alarm_set(tenant, sales(ABOVE))])
        assert answer.returncode == 0, answer.stderr
    pictures = sorted((tmp_path / "new").glob("*.png"))
    assert [path.name for path in pictures] == ["shop-performance.png", "shop-uptime.png"]
    assert all(path.read_bytes().startswith(PNG) for path in pictures)
    page = (tmp_path / "new" / "shop.html").read_text()
    assert page.count("<img") == len(pictures) and "data:image/png;base64," in page
    assert tenant.writes(mark) == []
    assert any(call.operation == "GetMetricData" for call in tenant.calls(mark))


def test_the_lines_are_what_cloudwatch_has(tenant: Tenant) -> None:
    sold = publish(tenant, "Shop", "Sales", {}, (40 + n for n in MINUTES))
    business = panels(tenant, alarm_set(tenant, sales(ABOVE, UNUSUAL)))["Business metrics"]
    assert values(business, "sales") == sold
    assert business["limits"] == [{"label": "many (warning)", "value": 90}]
    [band] = business["bands"]
    assert band["label"] == "unusual (warning): expected" and len(band["points"]) == len(sold)
    assert all(low < high for _, low, high in band["points"])
    assert any(low <= value <= high for (_, low, high), value in zip(reversed(band["points"]), sold, strict=True))


def test_what_no_one_made_yet_is_drawn_from_its_manifest(tenant: Tenant) -> None:
    cache, cdn = Cache.of(tenant).manifest(profile="prod", replicas=1), tenant.cdn(alarms={})
    whole = alarm_set(tenant, SESSIONS, SITE)
    shown = panels(tenant, whole, cache, cdn)
    hits = shown["Cache hit rate, memory and evictions"]
    members = sorted({line["label"].split()[0] for line in hits["lines"]})
    assert [member[-4:] for member in members] == ["-001", "-002"]
    rates = publish(tenant, "AWS/ElastiCache", "CacheHitRate", {"CacheClusterId": members[0]}, (91.0 for _ in MINUTES))
    again = panels(tenant, whole, cache, cdn)
    assert values(again["Cache hit rate, memory and evictions"], f"{members[0]} hit rate") == rates
    assert {line["label"].split()[0] for line in again["CDN hit rate and requests"]["lines"]} == {"not-made-yet"}
    states = {alarm["name"]: alarm["state"] for alarm in again["Alarms"]["alarms"]}
    assert set(states.values()) == {"not there yet"} and any("-engine-cpu-" in name for name in states)


def test_what_exists_is_found_by_its_owner_and_by_status(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn(alarms={}))
    id = tenant.ready()["status"]["outputs"]["id"]
    asked = publish(tenant, "AWS/CloudFront", "Requests", {"DistributionId": id, "Region": "Global"}, (100 + n for n in MINUTES))
    whole = alarm_set(tenant, SITE)
    by_tag = panels(tenant, whole, tenant.cdn(alarms={}))
    by_status = panels(tenant, whole, arguments=("--cluster",))
    assert by_tag == by_status
    assert values(by_tag["CDN hit rate and requests"], "requests") == asked
    names = {alarm["AlarmName"] for alarm in tenant.aws("cloudwatch").describe_alarms()["MetricAlarms"]}
    shown = {alarm["name"]: alarm["state"] for alarm in by_tag["Alarms"]["alarms"]}
    assert len(names) == 4 and names <= shown.keys()
    assert "not there yet" not in {shown[name] for name in names}


def test_a_plan_goes_by_what_others_will_make(tenant: Tenant) -> None:
    documents = [tenant.account_manifest(), alarm_set(tenant, SITE), tenant.cdn(alarms={})]
    answer = securebase(tenant, "plan", "-f", "-", "--instance", INSTANCE, "-o", "json", stdin="\n---\n".join(map(json.dumps, documents)))
    assert answer.returncode == 2, answer.stderr
    [steps] = [one["steps"] for one in json.loads(answer.stdout)["objects"] if one["kind"] == "PerfAlarmSet"]
    made = {step["resource"] for step in steps if step["action"] == "CREATE"}
    assert {"composite-web", "dashboard-performance", "dashboard-uptime"} <= made
    answer = securebase(tenant, "plan", "-f", "-", "--instance", INSTANCE, stdin="\n---\n".join(map(json.dumps, documents[:2])))
    assert f"note: CdnDistribution {tenant.namespace}/site is left out" in answer.stderr and "--cluster" in answer.stderr


@pytest.mark.parametrize(
    ("name", "targets", "told"),
    [
        ("nowhere", (sales(ABOVE),), "no PerfAlarmSet nowhere among the files; there are: shop"),
        ("shop", (SITE,), "PerfAlarmSet shop has no dashboards"),
    ],
)
def test_what_cannot_be_drawn_is_told(tenant: Tenant, tmp_path: Path, name: str, targets: tuple[Manifest, ...], told: str) -> None:
    text = "\n---\n".join(map(json.dumps, (tenant.account_manifest(), alarm_set(tenant, *targets))))
    answer = securebase(replace(tenant), "dashboard", name, "-f", "-", "-n", tenant.namespace, "--into", str(tmp_path), stdin=text)
    assert answer.returncode == 1 and told in answer.stderr
    assert list(tmp_path.iterdir()) == []
    if targets == (SITE,):
        assert "site is left out" in answer.stderr and "give it with -f, or use --cluster" in answer.stderr


def test_a_set_without_data_is_drawn_and_says_so(tenant: Tenant, tmp_path: Path) -> None:
    answer = run(tenant, "--into", str(tmp_path), manifests=[alarm_set(tenant, sales(ABOVE))], instance="")
    assert answer.returncode == 0 and (tmp_path / "shop.html").exists()
    assert "CloudWatch has no data of any target in the last 3 hours" in answer.stderr
    assert "without --instance nothing is found by its identity" in answer.stderr


def test_the_help_says_what_is_read(tenant: Tenant) -> None:
    told = " ".join(securebase(tenant, "dashboard", "--help").stdout.split())
    assert all(word in told for word in ("securebase dashboard platform -f", "GetMetricData", "DescribeAlarms", "--cluster", "extra preview", "Exit code"))

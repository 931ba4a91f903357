"""What the API server makes of CacheCluster: columns, the words and fields of refusals, status, the cost of the largest spec."""

from __future__ import annotations

from typing import Any

import pytest

from lab.kubernetes import ApiError, ControlPlane
from tests.unit.api.cache_rule_cases import NETWORK, USER, cache, prod, windows

MERGE = "application/merge-patch+json"


def caches(namespace: str) -> str:
    return f"/apis/securebase.io/v1alpha1/namespaces/{namespace}/cacheclusters"


def placed_in(namespace: str, manifest: dict[str, Any]) -> dict[str, Any]:
    manifest["metadata"]["namespace"] = namespace
    return manifest


def refusal(plane: ControlPlane, namespace: str, manifest: dict[str, Any]) -> str:
    with pytest.raises(ApiError) as refused:
        plane.call("POST", f"{caches(namespace)}?dryRun=All&fieldValidation=Strict", placed_in(namespace, manifest))
    return str(refused.value)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (cache(version=8.1), 'spec.version: Invalid value: "number": spec.version in body must be of type string'),
        (cache(engine="memcached"), "spec.engine: Unsupported value"),
        (cache(profile="test"), "spec.profile: Unsupported value"),
        (cache(parameters={"maxmemoryPolicy": "lru"}), "spec.parameters.maxmemoryPolicy: Unsupported value"),
        (cache(parameters={"values": {"timeout": 300}}), "spec.parameters.values.timeout: Invalid value"),
        (cache(snapshot={"retentionDays": -1}), "spec.snapshot.retentionDays: Invalid value"),
        (cache(multiAz=True), "spec.multiAz: Invalid value"),
        (cache(snapshot={"retentionDays": 36}), "spec.snapshot.retentionDays: Invalid value"),
        (cache(auth={"mode": "rbac", "users": [USER, USER]}), "spec.auth.users[1]: Duplicate value"),
        (cache(rotate={"every": "1d"}), 'unknown field "spec.rotate"'),
    ],
)
def test_a_refusal_names_the_field(manifest: dict[str, Any], words: str, plane: ControlPlane, namespace: str) -> None:
    assert words in refusal(plane, namespace, manifest)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (windows("son:05:00-son:06:00", "05:00-06:00"), "a window is two times of the week"),
        (windows("sun:05:00-sun:06:00", "five o'clock"[:11]), "a snapshot window is two times of the day"),
        (cache(rotation={"every": "monthly", "grace": "1 h"}), "a duration is a number and one unit"),
        (cache(version="latest"), "version is major and minor in quotes"),
    ],
)
def test_a_wrong_grammar_is_told_in_its_own_words_only(manifest: dict[str, Any], words: str, plane: ControlPlane, namespace: str) -> None:
    told = refusal(plane, namespace, manifest)
    assert words in told
    assert "rule evaluation error" not in told
    assert "no such key" not in told


def test_short_name_and_columns(plane: ControlPlane, namespace: str) -> None:
    plane.call("POST", caches(namespace), placed_in(namespace, prod()))
    conditions = [
        {"type": name, "status": status, "reason": "Told", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        for name, status in (("Ready", "True"), ("Synced", "True"), ("Verified", "Unknown"))
    ]
    plane.call("PATCH", f"{caches(namespace)}/case/status", {"status": {"conditions": conditions, "driftedFields": 1}}, content_type=MERGE)
    header, row = (line.split() for line in plane.kubectl("get", "cache", "-n", namespace).stdout.splitlines())
    assert header == ["NAME", "READY", "SYNCED", "VERIFIED", "DRIFT", "SLO", "COST", "AGE"]
    assert row[:5] == ["case", "True", "True", "Unknown", "1"]


def test_a_full_status_is_kept_as_written(plane: ControlPlane, namespace: str) -> None:
    plane.call("POST", caches(namespace), placed_in(namespace, cache()))
    written = {
        "rotation": {
            "version": "0a1b2c3d",
            "requested": "2026-05",
            "immediate": False,
            "step": "GracePeriod",
            "startedAt": "2026-05-01T03:00:00Z",
            "graceEndsAt": "2026-05-02T03:00:00Z",
            "users": [{"name": "api", "version": "4e5f6071", "step": "Done", "startedAt": "2026-05-01T03:00:00Z"}],
        },
        "recommendations": [
            {
                "type": "TooBig",
                "reason": "at most 12.4 % of the memory used",
                "engine": "valkey",
                "nodeType": "cache.r7g.large",
                "monthlyChangeUsd": "-159.87",
                "missing": "a price",
                "measuredAt": "2026-05-01T03:00:00Z",
            },
        ],
        "unjudged": ["hit rate: no data in 3 days"],
        "sizedAt": "2026-04-01T03:00:00Z",
        "cost": {"monthlyUsd": "319.74", "asOf": "2026-10-02", "missing": ["group: no price"], "byUse": ["elasticache/backup-storage"]},
        "outputs": {"host": "primary.case.euc1.cache.amazonaws.com", "members": "case-001:primary"},
    }
    plane.call("PATCH", f"{caches(namespace)}/case/status", {"status": written}, content_type=MERGE)
    assert plane.call("GET", f"{caches(namespace)}/case")["status"] == written


def test_the_largest_spec_stays_within_the_runtime_cost(plane: ControlPlane, namespace: str) -> None:
    groups = [f"sg-0123456789abcdef{n:01x}" for n in range(16)]
    network = NETWORK | {"ingress": {"cidrs": [f"10.{n}.0.0/16" for n in range(40)], "securityGroupIds": groups}, "securityGroupIds": groups[:15]}
    users = [{"name": f"user-{n}", "accessString": ("on " + "~k:* " * 100).strip()} for n in range(30)]
    names = ("acllog-max-len", "active-expire-effort", "activedefrag", "hash-max-listpack-entries", "maxmemory-samples", "timeout", "tcp-keepalive")
    values = {name: "yes" if name == "activedefrag" else "20" if name != "active-expire-effort" else "10" for name in names}
    large = prod(network=network, auth={"mode": "rbac", "users": users}, parameters={"values": values}, clusterMode="enabled", shards=100)
    large["spec"] |= {"maintenanceWindow": "sun:05:00-mon:05:00", "rotation": {"every": "30d"}, "tags": {f"tag-{n}": "x" * 256 for n in range(40)}}
    plane.call("POST", f"{caches(namespace)}?dryRun=All&fieldValidation=Strict", placed_in(namespace, large))


def test_explain_tells_what_a_field_is_for(plane: ControlPlane) -> None:
    assert "clients can move" in " ".join(plane.kubectl("explain", "cache.spec.rotation.grace").stdout.split())

"""A resource is known by its identity: neither a crash, a lost status nor a lost cluster makes a second one."""

from __future__ import annotations

import pytest

from lab.kubernetes import ControlPlane
from lab.operator import OperatorProcess
from tests.e2e.harness import MERGE, OWNER_TAG, Own, Tenant, kill, remove_tenant, until


def creates_and_deletes(tenant: Tenant, since: int) -> list[str]:
    return [name for name in tenant.writes(since) if name.startswith(("Create", "Delete"))]


def wipe_status(tenant: Tenant, name: str = "site") -> None:
    path = f"{tenant.path(name)}/status"
    tenant.plane.call("PATCH", path, {"status": None}, content_type=MERGE)
    assert not tenant.get(name).get("status")


@pytest.mark.parametrize("write", ["CreateOriginAccessControl", "CreateDistributionWithTags", "PutMetricAlarm"])
def test_kill_9_after_a_write_doubles_nothing(write: str, own_tenant: Own) -> None:
    """Every later call is slow, so that the operator dies before it has written down what it made."""
    tenant = own_tenant.tenant
    alarms = {"errorRate4xx": {"enabled": False}, "originLatency": {"enabled": False}, "cacheHitRate": {"enabled": False}}
    operator = own_tenant.operator()
    slow = tenant.endpoint.control.delay(0.4, account=tenant.account)
    tenant.apply(tenant.cdn(alarms=alarms))
    until(lambda: write in tenant.writes(), f"{write}", operator=operator)
    kill(operator)
    tenant.endpoint.control.remove(slow)
    own_tenant.operator()
    tenant.ready()
    cloudfront = tenant.aws("cloudfront")
    assert len(tenant.distributions()) == 1
    assert cloudfront.list_cache_policies(Type="custom")["CachePolicyList"]["Quantity"] == 1
    assert cloudfront.list_origin_access_controls()["OriginAccessControlList"]["Quantity"] == 1
    assert len(tenant.aws("cloudwatch").describe_alarms()["MetricAlarms"]) == 1
    assert tenant.writes().count("CreateDistributionWithTags") <= 2, "the second try carries the first one's token"


def test_a_create_whose_answer_was_lost_is_found_again(tenant: Tenant) -> None:
    tenant.endpoint.control.lose_answer("cloudfront", "CreateDistribution*", account=tenant.account)
    tenant.apply(tenant.cdn())
    tenant.ready()
    assert len(tenant.distributions()) == 1


def test_a_lost_status_costs_no_write(own_tenant: Own) -> None:
    tenant = own_tenant.tenant
    operator = own_tenant.operator()
    tenant.apply(tenant.cdn(alarms={"createTopic": {"emails": ["ops@example.com"]}}))
    before = tenant.ready()["status"]["outputs"]
    kill(operator)
    wipe_status(tenant)
    at = tenant.mark()
    own_tenant.operator()
    assert tenant.ready()["status"]["outputs"] == before
    assert tenant.writes(at) == []


def test_what_a_lost_status_forgot_is_still_deleted(own_tenant: Own) -> None:
    tenant = own_tenant.tenant
    operator = own_tenant.operator()
    tenant.apply(tenant.cdn(alarms={}))
    tenant.ready()
    kill(operator)
    wipe_status(tenant)
    tenant.delete("site")
    own_tenant.operator()
    tenant.gone("site")
    assert tenant.distributions() == []
    assert tenant.aws("cloudwatch").describe_alarms()["MetricAlarms"] == []


def test_a_rebuilt_cluster_takes_everything_over(own_tenant: Own, plane: ControlPlane, operator: OperatorProcess) -> None:
    """The same manifests in another cluster, with the same `instance`."""
    lost = own_tenant.tenant
    manifest = lost.cdn(alarms={"createTopic": {"emails": ["ops@example.com"]}}, behaviors=[{"path": "*", "origin": "assets", "preset": "html", "spa": True}])
    own_tenant.operator()
    lost.apply(manifest)
    before = lost.ready()["status"]["outputs"]
    own_tenant.stop()
    at = lost.mark()
    plane.call("POST", "/api/v1/namespaces", {"metadata": {"name": lost.namespace}})
    rebuilt = Tenant(plane, lost.endpoint, lost.namespace, operator, lost.account)
    try:
        rebuilt.apply(rebuilt.account_manifest(), manifest)
        assert rebuilt.ready()["status"]["outputs"] == before
        assert creates_and_deletes(rebuilt, at) == []
        assert rebuilt.writes(at) == []
        rebuilt.delete("site")
        rebuilt.gone("site")
        assert rebuilt.distributions() == []
    finally:
        remove_tenant(rebuilt)


def test_a_restart_reads_and_writes_nothing_of_what_is_at_rest(own_tenant: Own) -> None:
    tenant = own_tenant.tenant
    operator = own_tenant.operator()
    tenant.apply(tenant.cdn())
    tenant.ready()
    until(lambda: operator.sample("securebase_last_sweep_timestamp_seconds", account=tenant.account), "a sweep that finds it at rest", operator=operator)
    kill(operator)
    before = tenant.get()["status"]
    at, position = tenant.mark(), tenant.plane.audit_log.mark()
    again = own_tenant.operator()
    until(lambda: again.sample("securebase_last_sweep_timestamp_seconds", account=tenant.account), "a sweep", operator=again)
    assert tenant.writes(at) == []
    assert tenant.get()["status"] == before
    assert [write for write in tenant.plane.audit_log.writes(since=position) if write.namespace == tenant.namespace] == []
    assert not [call for call in tenant.calls(at) if call.operation == "GetDistribution"], "the list shows that nothing moved since"
    assert again.sample("securebase_resource_ready", namespace=tenant.namespace, name="site") == 1


def test_another_instance_stays_away(own_tenant: Own) -> None:
    """Two clusters that share an account by mistake, with different instances and equal names."""
    tenant = own_tenant.tenant
    first = own_tenant.operator()
    tenant.apply(tenant.cdn(name="site"))
    id = tenant.ready()["status"]["outputs"]["id"]
    kill(first)
    wipe_status(tenant)
    own_tenant.operator(instance="another")
    other = tenant.ready()["status"]["outputs"]["id"]
    assert other != id
    assert len(tenant.distributions()) == 2
    assert tenant.tags(id)[OWNER_TAG].startswith("e2e/")
    assert tenant.tags(other)[OWNER_TAG].startswith("another/")


def test_what_was_deleted_outside_is_made_once_more(own_tenant: Own) -> None:
    """By an operator that did not make it a moment ago: then it would wait for AWS to show it."""
    tenant = own_tenant.tenant
    operator = own_tenant.operator()
    tenant.apply(tenant.cdn())
    id = tenant.ready()["status"]["outputs"]["id"]
    kill(operator)
    tenant.edit(id, lambda config: config.update(Enabled=False))
    cloudfront = tenant.aws("cloudfront")
    disabled = until(lambda: (now := cloudfront.get_distribution(Id=id))["Distribution"]["Status"] == "Deployed" and now, "the disabling")
    cloudfront.delete_distribution(Id=id, IfMatch=disabled["ETag"])
    own_tenant.operator()
    until(tenant.distributions, "a new distribution", operator=tenant.operator)
    [made] = tenant.distributions()
    assert made["Id"] != id
    until(lambda: tenant.get()["status"]["outputs"]["id"] == made["Id"], "the new id in the status", operator=tenant.operator)
    tenant.ready()
    [entry] = [entry for entry in tenant.get()["status"]["resources"] if entry["id"] == "distribution"]
    assert entry["incarnation"] == 1
    assert len(tenant.distributions()) == 1


def test_the_default_instance_is_the_clusters_own(own_tenant: Own) -> None:
    tenant = own_tenant.tenant
    uid = tenant.plane.call("GET", "/api/v1/namespaces/kube-system")["metadata"]["uid"]
    own_tenant.operator(instance="")
    tenant.apply(tenant.cdn())
    tenant.ready()
    assert tenant.tags(tenant.id())[OWNER_TAG] == f"{uid}/CdnDistribution/{tenant.namespace}/site/distribution"

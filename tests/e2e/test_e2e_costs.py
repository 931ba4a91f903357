"""What objects cost and what is recommended, in status, metrics and the report."""

from __future__ import annotations

import json

from lab.operator import OperatorProcess
from tests.e2e.caches import Cache
from tests.e2e.harness import Tenant, securebase


def test_a_cache_tells_its_cost_and_what_would_be_cheaper(tenant: Tenant) -> None:
    cache = Cache.of(tenant)
    cache.made(engine="redis", version="7.1", nodeType="cache.r7g.large", replicas=1, alarms={"enabled": False}, auth={"mode": "none"})
    status = cache.until(lambda: (told := cache.get()["status"]).get("recommendations") and told, "a recommendation")
    [recommended] = status["recommendations"]
    assert (recommended["type"], recommended["engine"], recommended["nodeType"]) == ("CheaperEngine", "valkey", "cache.r7g.large")
    assert float(recommended["monthlyChangeUsd"]) < 0 and recommended["measuredAt"]
    assert [what.partition(":")[0] for what in status["unjudged"]] == ["hit rate", "evictions", "memory"]
    cost = status["cost"]
    assert float(cost["monthlyUsd"]) > 300 and cost["asOf"] and "elasticache/backup-storage" in cost["byUse"] and "missing" not in cost
    assert cache.metric("cost_monthly_usd", kind="CacheCluster") == float(cost["monthlyUsd"])
    answer = securebase(tenant, "report", "-n", tenant.namespace)
    assert cost["monthlyUsd"] in answer.stdout and "CheaperEngine -> valkey cache.r7g.large" in answer.stdout
    measured = [call for call in tenant.calls() if call.operation == "GetMetricData"]
    assert len(measured) == 1


def test_advice_that_was_followed_goes(tenant: Tenant) -> None:
    cache = Cache.of(tenant)
    cache.made(engine="redis", version="7.1", alarms={"enabled": False}, auth={"mode": "none"})
    cache.until(lambda: cache.get()["status"].get("recommendations"), "a recommendation")
    before = float(cache.get()["status"]["cost"]["monthlyUsd"])
    cache.change(engine="valkey", version="8.1")
    cache.until(lambda: cache.group()["Engine"] == "valkey", "the move to Valkey")
    status = cache.until(lambda: (told := cache.get()["status"]).get("sizedAt") and told, "the advice to go")
    assert "recommendations" not in status
    cache.until(lambda: float(cache.get()["status"]["cost"]["monthlyUsd"]) < before, "the new price")


def test_a_distribution_tells_its_cost_and_stays_quiet(tenant: Tenant, operator: OperatorProcess) -> None:
    tenant.apply(tenant.cdn())
    body = tenant.ready()
    assert body["status"]["cost"]["byUse"]
    version = body["metadata"]["resourceVersion"]
    told = json.loads(securebase(tenant, "report", "-n", tenant.namespace, "-o", "json").stdout)["objects"][0]
    assert told["cost"]["monthlyUsd"] == body["status"]["cost"].get("monthlyUsd")
    tenant.annotate("site", refresh="1")
    refreshed = tenant.get()
    assert refreshed["status"]["cost"] == body["status"]["cost"] and refreshed["metadata"]["resourceVersion"] != version

"""A running cache is moved where ElastiCache knows a way in steps: to TLS, to users, to cluster mode, to Valkey. Never by making another one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.caches import Cache
from tests.e2e.harness import Tenant

USERS = {"mode": "rbac", "users": [{"name": "api", "accessString": "on ~* +@all -@dangerous"}]}


@pytest.fixture
def cache(tenant: Tenant) -> Iterator[Cache]:
    tenant.endpoint.control.settings.elasticache_redis = True
    yield Cache.of(tenant)
    tenant.endpoint.control.settings.elasticache_redis = False
    assert tenant.writes().count("CreateReplicationGroup") == 1


def test_to_tls_and_a_token(cache: Cache) -> None:
    cache.made(encryption={"inTransit": False}, auth={"mode": "none"}, alarms={"enabled": False})
    assert cache.connection()["url"].startswith("redis://")
    with cache.client() as client:
        assert client.ping()
    cache.change(encryption={"inTransit": True, "transitMode": "preferred"})
    cache.until(lambda: cache.group().get("TransitEncryptionMode") == "preferred", "clients with and without TLS to be let in")
    cache.ready()
    cache.change(encryption={"transitMode": "required"}, auth={"mode": "token"})
    cache.until(lambda: cache.group().get("TransitEncryptionMode") == "required", "clients with TLS alone to be let in")
    cache.until(lambda: cache.group()["AuthTokenEnabled"], "a token")
    cache.ready()
    told = cache.connection()
    assert told["url"].startswith("rediss://default:")
    cache.until(lambda: cache.lets_in(told), "clients with what is published to be let in")


def test_from_a_token_to_users_and_back(cache: Cache) -> None:
    cache.made(alarms={"enabled": False}, rotation={"grace": "10m"})
    before = cache.connection()
    cache.change(auth=USERS)
    cache.until(lambda: cache.group()["UserGroupIds"], "the user group")
    cache.until(lambda: cache.connection()["username"] == "api", "the user to be published")
    cache.ready()
    assert (cache.lets_in(cache.connection()), cache.lets_in(before)) == (True, False)
    cache.change(auth={"mode": "token", "users": None})
    cache.until(lambda: cache.connection()["username"] == "default", "the token to be published")
    cache.until(lambda: cache.lets_in(cache.connection()), "clients with the token to be let in")
    cache.ready()


def own_families(cache: Cache) -> list[str]:
    """Of the parameter groups that are not AWS's."""
    groups = cache.elasticache.describe_cache_parameter_groups()["CacheParameterGroups"]
    return [one["CacheParameterGroupFamily"] for one in groups if not one["CacheParameterGroupName"].startswith("default.")]


def test_to_valkey(cache: Cache) -> None:
    cache.made(engine="redis", version="7.1", alarms={"enabled": False})
    cache.change(engine="valkey", version="8.0")
    cache.until(lambda: cache.node()["Engine"] == "valkey", "another engine")
    cache.ready()
    assert cache.node()["EngineVersion"].startswith("8.0")
    cache.until(lambda: own_families(cache) == ["valkey8"], "the parameter group of the engine before to go")
    with cache.client() as client:
        assert client.ping()


def test_to_cluster_mode_and_more_shards(cache: Cache) -> None:
    cache.made(replicas=1, alarms={"enabled": False})
    cache.change(clusterMode="compatible")
    cache.until(lambda: cache.group()["ClusterMode"] == "compatible", "compatible mode")
    cache.ready()
    cache.change(clusterMode="enabled")
    cache.until(lambda: cache.group()["ClusterMode"] == "enabled", "cluster mode")
    cache.ready()
    cache.change(shards=2)
    cache.until(lambda: len(cache.group().get("NodeGroups", [])) == 2, "two shards")
    cache.ready()
    assert cache.get()["status"]["outputs"]["host"] == cache.group()["ConfigurationEndpoint"]["Address"]

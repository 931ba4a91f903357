"""A running cache is moved where ElastiCache knows a way in steps: to TLS, to users, to cluster mode, to Valkey. Never by making another one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from bench.clients import Worker, working
from securebase.resources.elasticache.login_model import MOVED, Move
from tests.e2e.caches import Cache
from tests.e2e.harness import Tenant

TOKEN = {"mode": "token", "users": None}
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


def let_the_move_rest(cache: Cache, to: str) -> None:
    """Clients were told half an hour earlier than they were."""
    secrets = cache.tenant.aws("secretsmanager")
    [secret] = [one for one in cache.secrets() if any(tag["Key"] == MOVED for tag in one["Tags"])]
    secrets.tag_resource(SecretId=secret["ARN"], Tags=[{"Key": MOVED, "Value": str(Move(to).at(time.time() - 1800))}])
    cache.refresh()


def goes_on(workers: dict[str, Worker], cache: Cache) -> None:
    """Some more rounds of each."""
    before = {name: worker.rounds for name, worker in workers.items()}
    cache.until(lambda: all(worker.rounds > before[name] + 10 for name, worker in workers.items()), "the clients to go on")


def moves_without_a_cut(cache: Cache, to: str, username: str, **auth: Any) -> dict[str, str]:
    """From what is published to another way to log in, under clients of both; what is published then."""
    before = cache.connection()
    with working(before, cache.connection, cache.authority) as workers:
        goes_on(workers, cache)
        cache.change(auth=auth)
        cache.until(lambda: cache.connection()["username"] == username, "the other way to be published")
        after = cache.connection()
        goes_on(workers, cache)
        cache.ready()
        assert (cache.lets_in(before), cache.lets_in(after)) == (True, True)
        cache.refresh()
        goes_on(workers, cache)
        workers["old"].stop()
        workers["stayed"].stop()
        let_the_move_rest(cache, to)
        cache.until(lambda: not cache.lets_in(before), "the way before to end")
        goes_on({"new": workers["new"]}, cache)
        assert [f"{failure.client}: {failure.why}" for worker in workers.values() for failure in worker.failures] == []
    cache.ready()
    assert (cache.connection(), cache.lets_in(after)) == (after, True)
    return after


def test_there_and_back_and_there_again(cache: Cache) -> None:
    """Within the week in which secrets that are let go can come back: their values do not."""
    cache.made(alarms={"enabled": False}, rotation={"grace": "10m"})
    told = [cache.connection()]
    for to, username, auth in (("users", "api", USERS), ("token", "default", TOKEN), ("users", "api", USERS)):
        told.append(moves_without_a_cut(cache, to, username, **auth))
        cache.until(lambda: len(cache.secrets()) == 1, "the secret of the way before to go")
        on_users = to == "users"
        assert (bool(cache.group()["UserGroupIds"]), cache.group()["AuthTokenEnabled"]) == (on_users, not on_users)
        cache.until(lambda here=on_users: bool(cache.elasticache.describe_user_groups()["UserGroups"]) is here, "the user group to go")
    assert len({one["password"] for one in told}) == 4
    assert [cache.lets_in(one) for one in told] == [False, False, False, True]


def test_users_wait_for_the_grace_of_a_rotation(cache: Cache) -> None:
    cache.made(alarms={"enabled": False}, rotation={"grace": "10m"})
    before = cache.connection()
    cache.annotate(rotate="one")
    cache.until(lambda: cache.connection()["password"] != before["password"], "another token to be published")
    between = cache.connection()
    cache.change(auth=USERS)
    cache.refresh()
    assert not cache.group()["UserGroupIds"] and cache.connection() == between
    assert (cache.lets_in(before), cache.lets_in(between)) == (True, True)


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

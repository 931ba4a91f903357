"""Real clients against the real Redis behind a replication group: logins follow AUTH strategies and users, TLS follows its mode."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
import redis
from botocore.config import Config
from redis.backoff import NoBackoff
from redis.retry import Retry

from lab.aws.context import Settings
from lab.aws.endpoint import AwsEndpoint, Control
from lab.processes import wait_until
from tests.lab.conftest import MakeClient
from tests.lab.test_lab_elasticache import create, group

OLD, NEW = "old-token-0123456789", "new-token-0123456789"
Connect = Callable[..., Any]


@pytest.fixture
def cache(client: MakeClient, control: Control) -> Any:
    control.settings.elasticache_redis = True
    for name in ("create", "modify", "scale", "snapshot", "delete", "user"):
        setattr(control.settings, f"elasticache_{name}_s", 0.05)
    return client("elasticache")


@pytest.fixture
def connect(cache: Any, control: Control) -> Iterator[Connect]:
    """A client of the group with these credentials; every command on it is one attempt."""
    made: list[Any] = []

    def to(password: str | None = None, username: str | None = None, name: str = "rg", tls: bool = True, kind: type[Any] = redis.Redis) -> Any:
        found = group(cache, name)
        endpoint = found.get("ConfigurationEndpoint") or found["NodeGroups"][0]["PrimaryEndpoint"]
        secure = {"ssl": True, "ssl_ca_certs": str(control.redis_certificate_file)} if tls else {}
        options = (
            {"username": username, "password": password, "socket_timeout": 5} | secure | ({} if kind is not redis.Redis else {"single_connection_client": True})
        )
        made.append(kind(host=endpoint["Address"], port=endpoint["Port"], retry=Retry(NoBackoff(), 0), **options))
        return made[-1]

    yield to
    for connection in made:
        connection.close()


def available(cache: Any, name: str = "rg") -> None:
    wait_until(lambda: group(cache, name)["Status"] == "available", f"{name} to be available", deadline=10)


def modify(cache: Any, **change: Any) -> None:
    cache.modify_replication_group(ReplicationGroupId="rg", ApplyImmediately=True, **change)
    available(cache)


def accepted(connect: Connect, *credentials: Any, **more: Any) -> bool:
    try:
        return bool(connect(*credentials, **more).ping())
    except redis.AuthenticationError:
        return False


def test_rotation_keeps_both_tokens_until_set(cache: Any, client: MakeClient, control: Control, connect: Connect) -> None:
    create(client, control, wait=False, AuthToken=OLD)
    available(cache)
    holder = connect(OLD)
    assert holder.set("k", "v")
    assert (accepted(connect, OLD), accepted(connect, NEW), accepted(connect)) == (True, False, False)
    modify(cache, AuthToken=NEW, AuthTokenUpdateStrategy="ROTATE")
    assert (accepted(connect, OLD), accepted(connect, NEW), accepted(connect)) == (True, True, False)
    modify(cache, AuthToken=NEW, AuthTokenUpdateStrategy="SET")
    assert (accepted(connect, OLD), accepted(connect, NEW)) == (False, True)
    assert holder.get("k") == b"v"
    with pytest.raises(redis.exceptions.NoPermissionError):
        connect(NEW).config_get("*")
    control.elasticache("auth-token", "rg", token=OLD)
    assert (accepted(connect, OLD), accepted(connect, NEW)) == (True, False)


def test_the_first_rotation_still_takes_clients_without_a_token(cache: Any, client: MakeClient, control: Control, connect: Connect) -> None:
    create(client, control, wait=False)
    available(cache)
    assert accepted(connect)
    modify(cache, AuthToken=NEW, AuthTokenUpdateStrategy="ROTATE")
    assert (accepted(connect), accepted(connect, NEW), accepted(connect, OLD)) == (True, True, False)
    modify(cache, AuthToken=NEW, AuthTokenUpdateStrategy="SET")
    assert (accepted(connect), accepted(connect, NEW)) == (False, True)


def test_users_log_in_with_either_password(cache: Any, client: MakeClient, control: Control, connect: Connect) -> None:
    cache.create_user(UserId="app", UserName="app", Engine="valkey", AccessString="on ~app:* +@all", Passwords=[OLD])
    cache.create_user_group(UserGroupId="g", Engine="valkey", UserIds=["app"])
    create(client, control, wait=False, Engine="valkey", EngineVersion="8.0", AuthToken=NEW)
    available(cache)
    modify(cache, UserGroupIdsToAdd=["g"], AuthTokenUpdateStrategy="DELETE")
    assert (accepted(connect, OLD, "app"), accepted(connect, NEW), accepted(connect)) == (True, False, False)
    for passwords, wanted in (([OLD, NEW], (True, True)), ([NEW], (False, True))):
        cache.modify_user(UserId="app", Passwords=passwords)
        wait_until(lambda: cache.describe_users(UserId="app")["Users"][0]["Status"] == "active", "the user to be active", deadline=10)
        assert (accepted(connect, OLD, "app"), accepted(connect, NEW, "app")) == wanted
    with pytest.raises(redis.exceptions.NoPermissionError):
        connect(NEW, "app").set("other", "v")


def test_tls_off_preferred_required(cache: Any, client: MakeClient, control: Control, connect: Connect) -> None:
    create(client, control, wait=False, TransitEncryptionEnabled=False)
    available(cache)
    assert accepted(connect, tls=False)
    with pytest.raises(redis.ConnectionError):
        accepted(connect)
    modify(cache, TransitEncryptionEnabled=True, TransitEncryptionMode="preferred")
    assert accepted(connect, tls=False) and accepted(connect)
    modify(cache, TransitEncryptionEnabled=True, TransitEncryptionMode="required")
    assert accepted(connect)
    with pytest.raises(redis.ConnectionError):
        accepted(connect, tls=False)


def test_a_restored_group_has_the_keys_and_servers_end_with_their_group(cache: Any, client: MakeClient, control: Control, connect: Connect) -> None:
    home = control.redis_certificate_file.parent

    def servers() -> int:
        """Of this endpoint: other tests of this process may have left theirs running."""
        found = 0
        for child in psutil.Process().children():
            with suppress(psutil.Error):  # it has just ended
                found += child.status() != psutil.STATUS_ZOMBIE and Path(child.cwd()).parent == home.resolve()
        return found

    already = servers()
    create(client, control, wait=False)
    available(cache)
    connect().set("k", "v", ex=100)
    cache.create_snapshot(ReplicationGroupId="rg", SnapshotName="s")
    available(cache)
    connect().set("later", "lost")
    create(client, control, "copy", wait=False, SnapshotName="s")
    available(cache, "copy")
    restored = connect(name="copy")
    assert (restored.get("k"), restored.get("later"), restored.ttl("k") > 0) == (b"v", None, True)
    assert servers() - already == 2
    for name in ("rg", "copy"):
        cache.delete_replication_group(ReplicationGroupId=name)
    wait_until(lambda: not cache.describe_replication_groups()["ReplicationGroups"], "both groups to be gone", deadline=10)
    assert servers() == already


def test_a_sharded_group_speaks_cluster_mode(cache: Any, client: MakeClient, control: Control, connect: Connect) -> None:
    sharded: dict[str, Any] = {
        "NumNodeGroups": 2,
        "ReplicasPerNodeGroup": 1,
        "CacheParameterGroupName": "default.redis7.cluster.on",
        "AutomaticFailoverEnabled": True,
    }
    create(client, control, wait=False, AuthToken=OLD, **sharded)
    available(cache)
    cluster = connect(OLD, kind=redis.RedisCluster)
    assert cluster.set("k", "v") and cluster.get("k") == b"v"


def test_another_process_can_act_and_no_server_outlives_its_endpoint(tmp_path: Path) -> None:
    def children() -> set[int]:
        return {child.pid for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE}

    before = children()
    base = {"ReplicationGroupId": "rg", "ReplicationGroupDescription": "d", "CacheNodeType": "cache.t4g.micro", "NumCacheClusters": 1}
    with AwsEndpoint(tmp_path, settings=Settings(elasticache_redis=True, elasticache_create_s=0)) as endpoint:
        session = boto3.session.Session(aws_access_key_id="000000000000", aws_secret_access_key="lab", region_name="us-east-1")
        cache: Any = session.client("elasticache", endpoint_url=endpoint.url, config=Config(proxies={}))
        cache.create_replication_group(**base)
        document = {"action": "auth-token", "group": "rg", "token": OLD}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{endpoint.url}/_lab/elasticache", json.dumps(document).encode()) as answer:
            assert json.load(answer) == {"result": None}
        address = group(cache)["NodeGroups"][0]["PrimaryEndpoint"]
        with redis.Redis(host=address["Address"], port=address["Port"], password=OLD) as connection:
            assert connection.ping()
            with opener.open(f"{endpoint.url}/_lab/elasticache", json.dumps({"action": "failover", "group": "rg"}).encode()):
                pass
        cache.close()
    wait_until(lambda: children() <= before, "every server to have ended", deadline=10)

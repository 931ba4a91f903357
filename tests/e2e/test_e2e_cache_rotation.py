"""What clients log in with changes while clients work: nobody is locked out before the grace is over, whenever the operator dies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.clients import Worker, working
from tests.e2e.caches import Cache
from tests.e2e.harness import MERGE, Own, Tenant, kill

GRACE = {"rotation": {"grace": "10m"}}
PUBLISHED_AT, IN_FORCE_SINCE = "securebase.io/published-at", "securebase.io/token-in-force-since"


@pytest.fixture
def cache(tenant: Tenant) -> Iterator[Cache]:
    tenant.endpoint.control.settings.elasticache_redis = True
    yield Cache.of(tenant)
    tenant.endpoint.control.settings.elasticache_redis = False


def let_grace_pass(cache: Cache) -> None:
    """What was published and put in force was that half an hour earlier."""
    [secret] = cache.secrets()
    before = (datetime.now(UTC) - timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    cache.tenant.aws("secretsmanager").tag_resource(SecretId=secret["ARN"], Tags=[{"Key": IN_FORCE_SINCE, "Value": before}])
    cache.tenant.plane.call("PATCH", cache.connection_path(), {"metadata": {"annotations": {PUBLISHED_AT: before}}}, content_type=MERGE)
    cache.refresh()


def stages(cache: Cache) -> dict[str, str]:
    """Version ids by their labels."""
    [secret] = cache.secrets()
    found = cache.tenant.aws("secretsmanager").describe_secret(SecretId=secret["ARN"])["VersionIdsToStages"]
    return {label: version for version, labels in found.items() for label in labels}


def rotation(cache: Cache) -> dict[str, Any]:
    """What the status tells of it."""
    return dict(cache.get()["status"].get("rotation") or {})


def tokens_asked_for(cache: Cache) -> int:
    """How often ElastiCache was told of a token since the cache was made."""
    return cache.tenant.writes().count("ModifyReplicationGroup")


def published_anew(cache: Cache, before: dict[str, str]) -> dict[str, str]:
    """What is published, once it is another password."""
    cache.until(lambda: cache.connection()["password"] != before["password"], "another password to be published")
    return cache.connection()


def failed(workers: dict[str, Worker]) -> list[str]:
    return [f"{failure.client}: {failure.why}" for worker in workers.values() for failure in worker.failures]


def worked_on(workers: dict[str, Worker], cache: Cache) -> None:
    """Some more rounds of each."""
    before = {name: worker.rounds for name, worker in workers.items()}
    cache.until(lambda: all(worker.rounds > before[name] + 10 for name, worker in workers.items()), "the clients to go on")


def one_valid_token(cache: Cache, before: dict[str, str]) -> dict[str, str]:
    """What is published, once it is the only thing that lets anybody in and every record agrees."""

    def over() -> dict[str, str] | None:
        told = cache.connection()
        return told if told["password"] != before["password"] and cache.lets_in(told) and not cache.lets_in(before) else None

    told: dict[str, str] = cache.until(over, "the new token alone to be valid", 90)
    cache.until(lambda: cache.current() == told["password"] and "AWSPENDING" not in stages(cache), "Secrets Manager to agree")
    cache.ready()
    assert cache.connection() == told
    return told


def test_clients_work_all_the_while(cache: Cache) -> None:
    cache.made(**GRACE)
    before = cache.connection()
    with working(before, cache.connection, cache.authority) as workers:
        worked_on(workers, cache)
        cache.annotate(rotate="one")
        after = published_anew(cache, before)
        cache.until(lambda: cache.current() == after["password"], "the new value to be current")
        worked_on(workers, cache)
        assert (cache.lets_in(before), cache.lets_in(after)) == (True, True)
        assert tokens_asked_for(cache) == 1
        cache.until(lambda: rotation(cache).get("step") == "GracePeriod", "the grace to be told")
        assert (rotation(cache)["requested"], "immediate" in rotation(cache)) == ("one", False)
        assert cache.get()["status"]["acknowledged"]["rotate"] == "one"
        assert datetime.now(UTC) < datetime.fromisoformat(rotation(cache)["graceEndsAt"]) <= datetime.now(UTC) + timedelta(minutes=10)
        cache.annotate(rotate="two")
        cache.refresh()
        worked_on(workers, cache)
        assert (cache.connection(), tokens_asked_for(cache)) == (after, 1), "no second rotation in the grace of the first"
        cache.annotate(rotate="one")
        workers["old"].stop()
        let_grace_pass(cache)
        cache.until(lambda: not cache.lets_in(before), "the old token to be retired")
        worked_on({name: worker for name, worker in workers.items() if name != "old"}, cache)
        assert failed(workers) == []
    assert one_valid_token(cache, before) == after
    cache.until(lambda: rotation(cache)["step"] == "Done" and "graceEndsAt" not in rotation(cache), "the end to be told")


def test_a_compromise_has_no_grace(cache: Cache) -> None:
    cache.made(**GRACE)
    before = cache.connection()
    cache.annotate(rotate="leaked,now")
    assert "securebase.io/rotate=leaked,now" in cache.says("Stalled", "True", "InvalidRequest")
    assert (cache.connection(), tokens_asked_for(cache), len(stages(cache))) == (before, 0, 1)
    assert cache.events("InvalidRequest")
    cache.annotate(rotate="leaked,immediate")
    after = one_valid_token(cache, before)
    assert tokens_asked_for(cache) == 2
    [told] = cache.events("ImmediateRotation")
    assert "leaked,immediate" in told
    assert (rotation(cache)["immediate"], cache.get()["status"]["acknowledged"]["rotate"]) == (True, "leaked,immediate")
    cache.refresh()
    assert (cache.connection(), tokens_asked_for(cache)) == (after, 2), "a request is answered once"


def test_a_token_that_somebody_sets_outside_is_rotated_away(cache: Cache) -> None:
    cache.made(**GRACE)
    before, theirs = cache.connection(), "a-token-of-somebody-else-0123456789"
    cache.act("auth-token", token=theirs)
    cache.refresh()
    after = published_anew(cache, before)
    assert after["password"] != theirs
    cache.until(lambda: cache.lets_in(after), "the new token to be taken")
    assert cache.metric("drift_corrected_total") == 1, "that it was changed outside is drift"


def test_an_rbac_user_has_two_passwords_for_the_grace(cache: Cache) -> None:
    cache.made(auth={"mode": "rbac", "users": [{"name": "api", "accessString": "on ~* +@all -@dangerous"}]}, **GRACE)
    before = cache.connection()
    assert before["username"] == "api"
    with working(before, cache.connection, cache.authority) as workers:
        worked_on(workers, cache)
        cache.annotate(rotate="one")
        after = published_anew(cache, before)
        worked_on(workers, cache)
        assert (cache.lets_in(before), cache.lets_in(after), failed(workers)) == (True, True, [])
        cache.until(lambda: [user["step"] for user in rotation(cache)["users"] if user["name"] == "api"] == ["GracePeriod"], "the grace to be told")
        workers["old"].stop()
        let_grace_pass(cache)
        cache.until(lambda: not cache.lets_in(before), "the old password to be retired")
        assert failed(workers) == []


KILLED_AT = [
    ("secretsmanager", "PutSecretValue", ""),
    ("secretsmanager", "TagResource", "rotate/"),
    ("elasticache", "ModifyReplicationGroup", "ROTATE"),
    ("secretsmanager", "TagResource", "token-in-force-since"),
    ("secretsmanager", "UpdateSecretVersionStage", "AWSCURRENT"),
    ("secretsmanager", "UpdateSecretVersionStage", "AWSPENDING"),
    ("secretsmanager", "TagResource", "set/"),
    ("elasticache", "ModifyReplicationGroup", "SET"),
    ("secretsmanager", "TagResource", "token-alone"),
]


@pytest.fixture
def own_cache(own_tenant: Own) -> Iterator[Any]:
    own_tenant.tenant.endpoint.control.settings.elasticache_redis = True
    yield own_tenant
    own_tenant.tenant.endpoint.control.settings.elasticache_redis = False


@pytest.mark.parametrize(("service", "operation", "about"), KILLED_AT, ids=lambda part: part.strip("/") or "any")
def test_kill_9_at_a_step_leaves_one_valid_token(service: str, operation: str, about: str, own_cache: Own) -> None:
    """The step is done, the operator never learns of it."""
    cache, before = rotating(own_cache)
    lost = cache.tenant.endpoint.control.lose_answer(service, operation, times=None, account=cache.tenant.account, contains=about)
    cache.annotate(rotate="one,immediate")
    cache.until(lambda: lost.hits, f"{operation} {about}")
    assert own_cache.tenant.operator is not None
    kill(own_cache.tenant.operator)
    cache.tenant.endpoint.control.remove(lost)
    own_cache.operator()
    one_valid_token(Cache.of(own_cache.tenant), before)


def test_kill_9_at_the_publication_leaves_one_valid_token(own_cache: Own) -> None:
    """The connection Secret is written, and nothing that follows: the old token works until the next process has read what is published."""
    cache, before = rotating(own_cache)
    control = cache.tenant.endpoint.control
    held = control.fail("secretsmanager", "TagResource", "InternalServiceError", 500, account=cache.tenant.account, contains="set/", times=None)
    cache.annotate(rotate="one,immediate")
    after = published_anew(cache, before)
    assert own_cache.tenant.operator is not None
    kill(own_cache.tenant.operator)
    control.remove(held)
    assert (cache.lets_in(before), cache.lets_in(after)) == (True, True)
    own_cache.operator()
    assert one_valid_token(Cache.of(own_cache.tenant), before) == after


def rotating(own_cache: Own) -> tuple[Cache, dict[str, str]]:
    """A cache with an operator of its own, and what is published."""
    own_cache.operator()
    cache = Cache.of(own_cache.tenant)
    cache.made(alarms={"enabled": False}, **GRACE)
    return cache, cache.connection()

"""Rotation with real clients: who logs in with what is published, or was until its grace is over, is never refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import pytest
import redis

from bench.clients import PAUSE_SECONDS, client_of
from lab.aws.endpoint import AwsEndpoint
from securebase.clients.redis import RedisProbe
from securebase.core.driver import Depth, Driver, Observed, State, Target
from securebase.core.errors import Waiting
from securebase.core.fields import SecretValue
from securebase.core.graph import Graph, Node, Ref, SecretFrom
from securebase.core.identity import Identity
from securebase.core.policy import Adopt, Policy
from securebase.core.reconcile import reconcile
from securebase.core.subject import Memory, Report, Subject
from securebase.resources.elasticache.credential import CredentialDriver, CredentialRetirementDriver
from securebase.resources.elasticache.model import ReplicationGroup, engine
from securebase.resources.elasticache.replication_group import ReplicationGroupDriver
from securebase.resources.elasticache.rotation import Credential, CredentialRetirement
from securebase.resources.elasticache.rotation_record import stamp_of
from securebase.resources.kubernetes.model import ObjectSecret
from securebase.resources.registry import aws_drivers
from securebase.resources.secretsmanager.driver import ManagedSecretDriver
from securebase.resources.secretsmanager.model import ManagedSecret
from tests.contract.harness import Lab, differences, eventually, observe

GRACE = 3600
REGION = "us-east-1"


@pytest.fixture(autouse=True)
def real_redis(aws_endpoint: AwsEndpoint) -> Iterator[None]:
    """A real Redis behind each group made here; changes take a moment."""
    settings = aws_endpoint.control.settings
    names = [f"elasticache_{each}_s" for each in ("create", "modify", "delete", "user")]
    before = {name: getattr(settings, name) for name in names}
    for name in names:
        setattr(settings, name, 0.2)
    settings.elasticache_redis = True
    yield
    settings.elasticache_redis = False
    for name, value in before.items():
        setattr(settings, name, value)


@dataclass
class Clients:
    """Logs in again and again with each password it holds, and keeps one connection of the first one open. Each failed command is noted."""

    connect: Callable[[str], Any]
    passwords: list[str]
    failed: list[str] = field(default_factory=list)
    done: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        held = self.connect(self.passwords[0])
        while not self.stop.is_set():
            for client in (held, *(self.connect(password) for password in tuple(self.passwords))):
                try:
                    client.set("rotation", "value")
                    assert client.get("rotation") == b"value"
                    self.done += 1
                except redis.RedisError as error:
                    self.failed.append(f"{self.done}: {type(error).__name__}")
                if client is not held:
                    client.close()
            self.stop.wait(PAUSE_SECONDS)
        held.close()


@dataclass
class Cache:
    """A cache with its secret, and the two halves of its rotation as the core drives them."""

    lab: Lab
    user: str
    name: str
    secret: Target[ManagedSecret]
    arn: str
    probe: RedisProbe | None
    want: Credential
    published: SecretValue | None = None
    published_at: float = 0.0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new process."""
        scope = self.lab.scope(REGION)
        self.credential = CredentialDriver(scope, self.lab.clock, self.probe)
        self.retirement = CredentialRetirementDriver(scope, self.lab.clock, self.probe)

    @property
    def target(self) -> Target[Credential]:
        return replace(self.secret, node="credential", type=CredentialDriver.type, desired=self.want, external_id=self.arn)  # type: ignore[return-value,arg-type]

    @property
    def ending(self) -> Target[CredentialRetirement]:
        seen = observe(self.credential, self.target)
        want = CredentialRetirement(
            self.name,
            self.arn,
            seen.attributes["version"] if seen else "",
            stamp_of(self.published_at),
            self.user,
            GRACE,
            self.want.request,
            self.want.immediate,
        )
        return Target(self.secret.identity, "retirement", CredentialRetirementDriver.type, want, self.arn)

    def one_pass(self) -> Observed[Any] | None:
        """What the credential does, its publication, what the retirement does."""
        seen = step(self.credential, self.target)
        if seen is None or "password" not in seen.secrets:
            return None
        if self.published is None or self.published.version != seen.secrets["password"].version:
            self.published, self.published_at = seen.secrets["password"], self.lab.clock()
        return step(self.retirement, self.ending)

    def until(self, reason: str, what: str) -> Observed[Any]:
        seen = eventually(self.one_pass, lambda seen: seen is not None and not seen.due and seen.reason == reason, what)
        assert seen is not None
        return seen

    def connect(self, password: str) -> Any:
        group = self.lab.raw("elasticache").describe_replication_groups(ReplicationGroupId=self.name)["ReplicationGroups"][0]
        at = group["NodeGroups"][0]["PrimaryEndpoint"]
        login = {"username": "app"} if self.user else {}
        told = {"host": at["Address"], "port": str(at["Port"]), "tls": "true", "password": password}
        return client_of(told | login, str(self.lab.control.redis_certificate_file))

    def accepts(self, password: str) -> bool:
        client = self.connect(password)
        try:
            return bool(client.ping())
        except redis.AuthenticationError:
            return False
        finally:
            client.close()

    @contextmanager
    def used_by(self, *passwords: str) -> Iterator[Clients]:
        clients = Clients(self.connect, list(passwords))
        thread = threading.Thread(target=clients.run)
        thread.start()
        try:
            yield clients
        finally:
            clients.stop.set()
            thread.join(30)
            assert not thread.is_alive()


def step(driver: Driver, target: Target[Any]) -> Observed[Any] | None:
    """As the core does it: make what is absent, else take the step that is due."""
    try:
        seen = observe(driver, target)
        if seen is None:
            return driver.create(target, "t")
        assert not differences(target, seen)
        assert isinstance(driver, CredentialDriver | CredentialRetirementDriver)
        return driver.advance(target, seen) if seen.due else seen
    except Waiting:
        return None


def made(lab: Lab, user: bool = False, reachable: bool = True) -> Cache:
    cache, name = lab.raw("elasticache"), f"cache-{uuid4().hex[:10]}"
    driver = ManagedSecretDriver(lab.scope(REGION), lab.clock)
    secret = lab.target(driver.type, ManagedSecret(name=f"{name}/secret", tags={}, username="app"), node="secret")
    first = driver.create(secret, uuid4().hex)
    password = first.secrets["password"].value
    auth: dict[str, Any] = {"AuthToken": password}
    if user:
        cache.create_user(UserId=f"{name}-app", UserName="app", Engine="valkey", AccessString="on ~* +@all", Passwords=[password])
        cache.create_user_group(UserGroupId=name, Engine="valkey", UserIds=[f"{name}-app"])
        eventually(lambda: cache.describe_user_groups(UserGroupId=name)["UserGroups"][0]["Status"], lambda status: status == "active", "users")
        auth = {"UserGroupIds": [name]}
    subnets = lab.raw("ec2").describe_subnets()["Subnets"]
    ids = [each["SubnetId"] for each in subnets if each["VpcId"] == subnets[0]["VpcId"]]
    cache.create_cache_subnet_group(CacheSubnetGroupName=name, CacheSubnetGroupDescription="rotation", SubnetIds=ids)
    cache.create_replication_group(
        CacheSubnetGroupName=name,
        ReplicationGroupId=name,
        ReplicationGroupDescription="rotation",
        Engine="valkey",
        EngineVersion="8.0",
        CacheNodeType="cache.t4g.micro",
        NumCacheClusters=1,
        TransitEncryptionEnabled=True,
        **auth,
    )
    user_id = f"{name}-app" if user else ""
    probe = RedisProbe(str(lab.control.redis_certificate_file)) if reachable else None
    found = Cache(lab, user_id, name, secret, first.external_id, probe, Credential(name, first.external_id, user_id))
    found.until("", "the cache's first value is taken up")
    assert found.published is not None and found.published.value == password
    return found


@pytest.mark.parametrize("user", [False, True], ids=["token", "user"])
@pytest.mark.parametrize("reachable", [False, True], ids=["blind", "proven"])
def test_no_command_fails_during_a_rotation(lab: Lab, user: bool, reachable: bool) -> None:
    cache = made(lab, user, reachable)
    assert cache.published is not None
    old = cache.published.value
    with cache.used_by(old) as clients:
        cache.want = replace(cache.want, request="one")
        seen = cache.until("GracePeriod", "the new value is published")
        new = cache.published.value
        assert new != old and seen.again_at == float(int(cache.published_at)) + GRACE and seen.attributes["graceEndsAt"] == stamp_of(seen.again_at)
        clients.passwords.append(new)
        lab.clock.advance(GRACE - 60)
        cache.restart()
        assert cache.until("GracePeriod", "still in the grace").again_at == seen.again_at
        eventually(lambda: clients.done, lambda done, before=clients.done: done > before + 20, "clients go on")  # type: ignore[misc]
        clients.passwords.remove(old)
        assert cache.accepts(old) and cache.accepts(new)
    assert clients.failed == []
    with cache.used_by(new) as clients:
        lab.clock.advance(120)
        cache.until("", "the old value is retired")
        eventually(lambda: clients.done, lambda done, before=clients.done: done > before + 20, "clients go on")  # type: ignore[misc]
    assert clients.failed == []
    assert (cache.accepts(old), cache.accepts(new)) == (False, True)
    current = observe(ManagedSecretDriver(lab.scope(REGION), lab.clock), cache.secret)
    assert current is not None and current.secrets["password"] == cache.published
    assert current.attributes["currentVersion"] == cache.published.version


def test_an_immediate_rotation_has_no_grace_and_says_so(lab: Lab) -> None:
    cache = made(lab)
    assert cache.published is not None
    old = cache.published.value
    cache.want = replace(cache.want, request="leak", immediate=True)
    messages: list[str] = []

    def look() -> bool:
        seen = cache.one_pass()
        if (now := observe(cache.retirement, cache.ending)) is not None:
            messages.append(now.message)
        return seen is not None and not seen.due and not seen.reason and not cache.accepts(old)

    eventually(look, bool, "the old value is cut off")
    assert cache.accepts(cache.published.value)
    assert any("clients with the value before are cut off" in message for message in messages)


def test_a_change_outside_is_answered_by_a_rotation(lab: Lab) -> None:
    cache = made(lab)
    assert cache.published is not None
    before, foreign = cache.published.version, "somebody-elses-token-0123456789"
    lab.control.elasticache("auth-token", cache.name, account=lab.account, token=foreign)
    seen = eventually(lambda: observe(cache.credential, cache.target), lambda seen: seen is not None and bool(seen.due), "the change is seen")
    assert seen is not None and (seen.reason, seen.state) == ("ChangedOutside", State.READY)
    cache.until("GracePeriod", "another value is published")
    assert cache.published.version != before and cache.accepts(cache.published.value) and not cache.accepts(foreign)
    lab.clock.advance(GRACE + 1)
    cache.until("", "alone again")
    assert cache.accepts(cache.published.value)


def test_sweeps_see_the_same_and_read_no_value_again(lab: Lab) -> None:
    cache = made(lab)
    fresh = observe(cache.credential, cache.target)
    assert fresh is not None

    def reads() -> int:
        return lab.control.log.counts(lambda record: record.account == lab.account).get(("secretsmanager", "GetSecretValue"), 0)

    before = reads()
    for _ in range(3):
        swept = eventually(lambda: observe(cache.credential, cache.target, Depth.SWEEP), lambda seen: seen is not None and not seen.due, "swept")
        assert swept is not None and (swept.value, swept.attributes, swept.owner) == (fresh.value, fresh.attributes, fresh.owner)
    assert reads() == before
    ended = observe(cache.retirement, cache.ending, Depth.SWEEP)
    assert ended is not None and ended.attributes["version"] == fresh.attributes["version"]
    cache.credential.delete(cache.target, fresh)
    assert observe(cache.credential, replace(cache.target, desired=None)) is None


class PublishedSecret:
    """`kubernetes/secret` kept in memory, by the clock of the test."""

    type = "kubernetes/secret"

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.kept: tuple[ObjectSecret, float] | None = None

    def observe(self, targets: Sequence[Target[ObjectSecret]], depth: Depth) -> Mapping[Any, Any]:
        return {target.key: self.seen(target) for target in targets}

    def seen(self, target: Target[ObjectSecret]) -> Observed[ObjectSecret] | None:
        if self.kept is None:
            return None
        return Observed("default/cache", self.kept[0], owner=target.owner, attributes={"publishedAt": stamp_of(self.kept[1])})

    def create(self, target: Target[ObjectSecret], token: str) -> Observed[ObjectSecret]:
        self.kept = target.want(), self.clock()
        seen = self.seen(target)
        assert seen is not None
        return seen

    def update(self, target: Target[ObjectSecret], observed: Observed[ObjectSecret], changes: Any) -> Observed[ObjectSecret]:
        return self.create(target, "")

    def delete(self, target: Target[ObjectSecret], observed: Observed[ObjectSecret]) -> None:
        self.kept = None

    @property
    def password(self) -> SecretValue:
        assert self.kept is not None
        found = self.kept[0].data["password"]
        assert isinstance(found, SecretValue)
        return found


@dataclass
class LabWorld:
    """`core.subject.World` over the lab: real drivers but for the connection Secret."""

    lab: Lab
    drivers: dict[str, Any] = field(default_factory=dict)

    def driver(self, type: str, region: str) -> Driver:
        if type not in self.drivers:
            scope = self.lab.scope(REGION)
            self.drivers[type] = PublishedSecret(self.lab.clock) if type == PublishedSecret.type else aws_drivers()[type](scope, self.lab.clock)
        driver: Driver = self.drivers[type]
        return driver

    def now(self) -> float:
        return self.lab.clock()

    def intend(self, *priors: Any) -> None:
        """Nothing crashes here."""

    def used_elsewhere(self, identity: Identity, type: str, name: str) -> bool:
        return False

    def admit_deletion(self, scope: str, what: str, total: int, *, confirmed: bool) -> None:
        """No breaker."""


def graph_of(name: str, request: str) -> Graph:
    group = ReplicationGroup(
        name, {}, engine("valkey", "8.0"), "cache.t4g.micro", subnet_group=name, parameter_group="default.valkey8", auth_token=SecretFrom("secret", "password")
    )
    group_id, secret = Ref("group", "id"), Ref("secret", "arn")
    ending = CredentialRetirement(group_id, secret, Ref("credential", "version"), Ref("connection", "publishedAt"), grace_seconds=GRACE, request=request)
    return Graph(
        [
            Node("secret", ManagedSecretDriver.type, ManagedSecret(name=f"{name}/secret", tags={})),
            Node("group", ReplicationGroupDriver.type, group, guards=True),
            Node("credential", CredentialDriver.type, Credential(group_id, secret, every_seconds=30 * 86_400, request=request)),
            Node("connection", PublishedSecret.type, ObjectSecret("default", "cache", {"password": SecretFrom("credential", "password")})),
            Node("retirement", CredentialRetirementDriver.type, ending, after=frozenset({"connection"})),
        ]
    )


@pytest.mark.parametrize("adopt", [Adopt.IF_OWNED, Adopt.NEVER])
def test_the_core_rotates_pass_after_pass(lab: Lab, adopt: Adopt) -> None:
    name, memory, world = f"cache-{uuid4().hex[:10]}", Memory(), LabWorld(lab)
    subnets = [subnet["SubnetId"] for subnet in lab.raw("ec2").describe_subnets()["Subnets"]]
    lab.raw("elasticache").create_cache_subnet_group(CacheSubnetGroupName=name, CacheSubnetGroupDescription="rotation", SubnetIds=subnets)
    subject = Subject(Identity("contract", "CacheCluster", "default", name), replace(Policy(), adopt=adopt), REGION)
    drifted: list[str] = []

    def run(request: str) -> Report:
        nonlocal subject
        lab.clock.advance(5.0)
        report = reconcile(graph_of(name, request), subject, world, memory, progress_only=True)
        subject = replace(subject, prior={result.prior.id: result.prior for result in report.results})
        drifted.extend((*report.drift, *report.corrected))
        return report

    def settled_as(request: str, reason: str) -> Callable[[Report], bool]:
        def holds(report: Report) -> bool:
            ready = all(result.state == State.READY.value and result.problem is None for result in report.results)
            told = {result.prior.id: result.reason for result in report.results}
            return ready and report.plan.is_empty() and told["retirement"] == reason and report.attributes["credential"].get("requested") == request

        return holds

    eventually(lambda: run(""), settled_as("", ""), "made")
    published: PublishedSecret = world.drivers[PublishedSecret.type]
    first = published.password
    report = eventually(lambda: run("one"), settled_as("one", "GracePeriod"), "rotated, in the grace")
    second = published.password
    assert first != second
    assert {result.prior.id: result.after for result in report.results}["retirement"] == pytest.approx(GRACE, abs=120)
    lab.clock.advance(GRACE)
    eventually(lambda: run("one"), settled_as("one", ""), "retired")
    assert published.password == second and drifted == []
    document = lab.raw("secretsmanager").get_secret_value(SecretId=f"{name}/secret")
    assert document["VersionId"] == second.version and second.value in document["SecretString"]

"""Rotations against a cache that takes its time and a process that dies at any write: one valid value is published, and none is refused too early."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.driver import Depth, Observed, Target
from securebase.core.errors import Terminal, Waiting
from securebase.core.fields import SecretValue
from securebase.core.identity import Identity
from securebase.resources.elasticache import rotation_record as noted
from securebase.resources.elasticache.credential import CredentialDriver, CredentialRetirementDriver, LoginProof
from securebase.resources.elasticache.rotation import Credential, CredentialRetirement, Do, Situation, retirement_move, rotation_move
from securebase.resources.elasticache.rotation_record import Access, Record

ARN: Final = "arn:aws:secretsmanager:us-east-1:123456789012:secret:cache-AbCdEf"
IDENTITY: Final = Identity("test", "CacheCluster", "default", "cache")
GRACE: Final = 600
FIRST: Final = "f" * 32
OUTSIDE: Final = "somebody-elses-token-0123456789"
BEGIN: Final = 1_700_000_000.0


class Killed(BaseException):
    """The process died."""


@dataclass
class World:
    """Secrets Manager with one secret and ElastiCache with one cache: who may log in, how long a change takes, at which write the process dies.

    The cache keeps the two latest tokens, and counts one that is given twice as two: the worst that the documentation allows.
    Every other read of it is `lag` seconds old.
    """

    user: str = ""
    now: float = BEGIN
    takes: float = 30.0
    versions: dict[str, str] = field(default_factory=dict)
    labels: dict[str, set[str]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=lambda: {"securebase.io/owner": "x"})
    made: dict[str, float] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    modified: float = BEGIN
    busy_until: float = 0.0
    change: Callable[[], None] | None = None
    crashes: set[tuple[int, bool]] = field(default_factory=set)
    lag: float = 0.0
    history: list[tuple[float, bool, float]] = field(default_factory=list)
    writes: int = 0
    reads: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first = json.dumps({"username": self.user or "default", "password": "first-value-of-the-cache-0123456789"})
        self.versions[FIRST], self.labels[FIRST], self.made[FIRST] = first, {"AWSCURRENT"}, self.now - 10
        self.tokens = [self.password(FIRST)]

    def password(self, version: str) -> str:
        return str(json.loads(self.versions[version])["password"])

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        if self.change is not None and self.now >= self.busy_until:
            self.change()
            self.change, self.modified = None, self.now
        self.note()

    def note(self) -> None:
        self.history.append((self.now, self.change is not None, self.modified))

    def seen(self) -> tuple[bool, datetime]:
        """Whether it is busy, and since when its token is what it is."""
        reads = self.reads.get("describe_replication_groups", 0)
        old = [(busy, date) for at, busy, date in self.history if at <= self.now - self.lag] if reads % 2 else []
        busy, date = old[-1] if old else (self.change is not None, self.modified)
        return busy, datetime.fromtimestamp(date, UTC)

    def change_outside(self, *tokens: str) -> None:
        self.tokens, self.modified = list(tokens), self.now
        self.note()

    def learn(self, secret: str) -> str:
        return secret

    def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        answer = self.attempt(service, operation, (), **params)
        assert not isinstance(answer, Refusal)
        return answer

    def pages(self, service: str, operation: str, /, **params: Any) -> Iterator[dict[str, Any]]:
        self.reads[operation] = self.reads.get(operation, 0) + 1
        match operation:
            case "list_secrets":
                yield {"SecretList": [self._secret() | {"SecretVersionsToStages": self._stages()}]}
            case "describe_replication_groups":
                yield {"ReplicationGroups": [self._group()]}
            case _:
                yield {"Users": [self._user()]}

    def attempt(self, service: str, operation: str, expect: Any, /, **params: Any) -> dict[str, Any] | Refusal:
        reading = operation.startswith(("describe", "get", "list"))
        if reading:
            self.reads[operation] = self.reads.get(operation, 0) + 1
            return cast("dict[str, Any] | Refusal", getattr(self, operation)(**params))
        self.writes += 1
        if (self.writes, False) in self.crashes:
            raise Killed
        answer = getattr(self, operation)(**params)
        if (self.writes, True) in self.crashes:
            raise Killed
        return cast("dict[str, Any] | Refusal", answer)

    def _stages(self) -> dict[str, list[str]]:
        return {version: sorted(names) for version, names in self.labels.items() if names}

    def _secret(self) -> dict[str, Any]:
        return {"ARN": ARN, "Name": "cache", "Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()]}

    def _user(self) -> dict[str, Any]:
        status = "modifying" if self.change else "active"
        return {"UserId": self.user, "UserName": "app", "Status": status, "Authentication": {"Type": "password", "PasswordCount": len(self.tokens)}}

    def _group(self) -> dict[str, Any]:
        made, (busy, date) = datetime.fromtimestamp(BEGIN, UTC), self.seen()
        told = {"ReplicationGroupId": "cache", "Status": "modifying" if busy and not self.user else "available", "ReplicationGroupCreateTime": made}
        shard = {"PrimaryEndpoint": {"Address": "cache.example.com", "Port": 6379}}
        return told | {
            "AuthTokenEnabled": bool(self.tokens),
            "AuthTokenLastModifiedDate": date,
            "NodeGroups": [shard],
            "UserGroupIds": ["users"] if self.user else [],
        }

    def describe_secret(self, SecretId: str) -> dict[str, Any]:
        return self._secret() | {"VersionIdsToStages": self._stages()}

    def describe_replication_groups(self, ReplicationGroupId: str) -> dict[str, Any]:
        return {"ReplicationGroups": [self._group()]}

    def describe_users(self, UserId: str) -> dict[str, Any]:
        return {"Users": [self._user()]}

    def get_secret_value(self, SecretId: str, VersionId: str) -> dict[str, Any] | Refusal:
        if VersionId not in self.versions:
            return Refusal("ResourceNotFoundException", "no such version")
        return {"SecretString": self.versions[VersionId], "CreatedDate": datetime.fromtimestamp(self.made[VersionId], UTC)}

    def tag_resource(self, SecretId: str, Tags: list[dict[str, str]]) -> dict[str, Any]:
        self.tags |= {tag["Key"]: tag["Value"] for tag in Tags}
        return {}

    def put_secret_value(self, SecretId: str, ClientRequestToken: str, SecretString: str, VersionStages: list[str]) -> dict[str, Any] | Refusal:
        if ClientRequestToken in self.versions:
            return Refusal("ResourceExistsException", "another value")
        self.versions[ClientRequestToken], self.made[ClientRequestToken], self.labels[ClientRequestToken] = SecretString, self.now, set()
        for stage in VersionStages:
            self._move(stage, ClientRequestToken)
        return {}

    def update_secret_version_stage(
        self, SecretId: str, VersionStage: str, MoveToVersionId: str = "", RemoveFromVersionId: str = ""
    ) -> dict[str, Any] | Refusal:
        holder = next((version for version, names in self.labels.items() if VersionStage in names), "")
        if RemoveFromVersionId != (holder if holder != MoveToVersionId else RemoveFromVersionId):
            return Refusal("InvalidParameterException", "held by another version")
        if MoveToVersionId:
            self._move(VersionStage, MoveToVersionId)
        elif holder:
            self.labels[holder].discard(VersionStage)
        return {}

    def _move(self, stage: str, version: str) -> None:
        for other, names in self.labels.items():
            if stage in names and other != version:
                names.discard(stage)
                if stage == "AWSCURRENT":
                    self._move("AWSPREVIOUS", other)
        self.labels[version].add(stage)

    def modify_replication_group(self, AuthToken: str, AuthTokenUpdateStrategy: str, **_: Any) -> dict[str, Any] | Refusal:
        if self.change:
            return Refusal("InvalidReplicationGroupState", "modifying")
        after = [AuthToken] if AuthTokenUpdateStrategy == "SET" else [*self.tokens, AuthToken][-2:]
        if AuthTokenUpdateStrategy == "SET" and (len(self.tokens) < 2 or self.tokens[-1] != AuthToken):
            raise Terminal("InvalidParameterValue", "SET is allowed after ROTATE only")
        return self._begin(after)

    def modify_user(self, UserId: str, Passwords: list[str]) -> dict[str, Any] | Refusal:
        assert 1 <= len(Passwords) <= 2
        return Refusal("InvalidUserState", "modifying") if self.change else self._begin(Passwords)

    def _begin(self, tokens: list[str]) -> dict[str, Any]:
        def change() -> None:
            self.tokens = tokens

        self.busy_until, self.change = self.now + self.takes, change
        self.pass_time(0)
        return {}


@dataclass
class Door:
    """Tries logins at the world."""

    world: World

    def login(self, host: str, port: int, password: str, username: str = "") -> bool | None:
        return password in self.world.tokens


@dataclass
class Operator:
    """The two drivers as the core drives them, and the connection Secret between them. `killed` processes start anew and know nothing."""

    world: World
    want: Credential
    grace: int = GRACE
    proof: LoginProof | None = None
    publishes: bool = True
    published: SecretValue | None = None
    published_at: float = 0.0
    promised: dict[str, float] = field(default_factory=dict)
    strict: bool = True
    refusals: int = 0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        scope = cast(AwsScope, self.world)
        self.credential = CredentialDriver(scope, lambda: self.world.now, self.proof)
        self.retirement = CredentialRetirementDriver(scope, lambda: self.world.now, self.proof)

    def run(self, seconds: float) -> None:
        end = self.world.now + seconds
        while self.world.now < end:
            try:
                self.one_pass()
            except Killed:
                self.restart()
            self.check()
            self.world.pass_time(5.0)
            self.check()

    def check(self) -> None:
        """What is published works, and so does what was published before, until its grace is over."""
        if not self.strict:
            return
        for password, until in self.promised.items():
            assert self.world.now >= until or password in self.world.tokens, "refused too early"
        if self.published is not None:
            assert self.published.value in self.world.tokens, "what is published does not work"

    def one_pass(self) -> None:
        seen = self.step(self.credential, Target(IDENTITY, "credential", CredentialDriver.type, self.want))
        if seen is None or "password" not in seen.secrets:
            return
        self.publish(seen.secrets["password"])
        if self.published is None:
            return
        ending = CredentialRetirement(
            "cache", ARN, seen.attributes["version"], noted.stamp_of(self.published_at), self.want.user, self.grace, self.want.request, self.want.immediate
        )
        self.step(self.retirement, Target(IDENTITY, "retirement", CredentialRetirementDriver.type, ending))

    def publish(self, secret: SecretValue) -> None:
        if (self.published is not None and self.published.version == secret.version) or not self.publishes:
            return
        if self.published is not None and not self.want.immediate:
            self.promised[self.published.value] = self.world.now + self.grace - 1
        self.published, self.published_at = secret, self.world.now

    def step(self, driver: Any, target: Target[Any]) -> Observed[Any] | None:
        try:
            seen = driver.observe([target], Depth.FRESH)[target.key]
            if isinstance(seen, Exception):
                raise seen
            if seen is None:
                return cast("Observed[Any]", driver.create(target, "token"))
            return cast("Observed[Any]", driver.advance(target, seen)) if seen.due else seen
        except Waiting:
            return None
        except Terminal:
            self.refusals += 1
            return None

    @property
    def at_rest(self) -> bool:
        world = self.world
        current = next(version for version, names in world.labels.items() if "AWSCURRENT" in names)
        pending = [version for version, names in world.labels.items() if "AWSPENDING" in names]
        alone = world.tags.get(noted.ALONE) == world.tags.get(noted.IN_FORCE) == current
        return alone and not pending and world.tokens == [world.password(current)] and self.published == SecretValue(world.password(current), current)


def begun(user: str = "", proof: bool = False, **want: Any) -> Operator:
    world = World(user=user)
    operator = Operator(world, Credential("cache", ARN, user, **want), proof=Door(world) if proof else None)
    operator.run(20)
    assert operator.at_rest and operator.published is not None and operator.published.version == FIRST
    return operator


def rotated(operator: Operator) -> bool:
    return operator.at_rest and operator.published is not None and operator.published.version != FIRST


USERS = pytest.mark.parametrize("user", ["", "app"])


@USERS
def test_a_cache_at_rest_is_left_alone(user: str) -> None:
    operator = begun(user)
    before = operator.world.writes
    operator.run(300)
    assert operator.world.writes == before
    assert operator.world.reads["get_secret_value"] == 1


@USERS
def test_a_request_rotates_once(user: str) -> None:
    operator = begun(user)
    operator.want = replace(operator.want, request="one")
    operator.run(300)
    assert sorted(operator.world.tokens, key=operator.world.tokens.index)[0] == operator.world.password(FIRST), "the old one works in the grace"
    assert len(operator.world.tokens) == 2
    operator.run(GRACE + 300)
    assert rotated(operator)
    after = operator.published
    operator.run(2000)
    assert operator.published == after and len(operator.world.versions) == 2


@USERS
def test_an_old_value_rotates_by_itself(user: str) -> None:
    operator = begun(user, every_seconds=5000)
    operator.run(4800)
    assert operator.published is not None and operator.published.version == FIRST
    operator.run(1500)
    assert rotated(operator)


@USERS
def test_immediate_ends_the_grace(user: str) -> None:
    operator = begun(user)
    operator.want = replace(operator.want, request="one", immediate=True)
    operator.run(150)
    assert rotated(operator)


def test_an_immediate_request_ends_a_running_grace_and_is_forgotten_later() -> None:
    operator = begun(every_seconds=3000)
    operator.run(3050)
    assert len(operator.world.tokens) == 2
    operator.want, operator.promised = replace(operator.want, request="leak", immediate=True), {}
    operator.run(300)
    assert rotated(operator) and len(operator.world.versions) == 3
    operator.run(3000 - 100)
    assert len(operator.world.tokens) == 2, "the annotation stays, but the next rotation by age has its grace"


@USERS
def test_what_is_not_published_retires_nothing(user: str) -> None:
    operator = begun(user)
    operator.want, operator.publishes = replace(operator.want, request="one", immediate=True), False
    operator.run(GRACE * 5)
    assert len(operator.world.tokens) == 2
    operator.publishes = True
    operator.run(200)
    assert rotated(operator)


@USERS
@pytest.mark.parametrize("proof", [False, True])
@settings(max_examples=25, deadline=None)
@given(
    crashes=st.sets(st.tuples(st.integers(1, 16), st.booleans()), max_size=4),
    immediate=st.booleans(),
    takes=st.sampled_from([0.0, 20.0, 200.0]),
    lag=st.sampled_from([0.0, 40.0]),
)
def test_a_crash_at_any_write(user: str, proof: bool, crashes: set[tuple[int, bool]], immediate: bool, takes: float, lag: float) -> None:
    operator = begun(user, proof)
    world = operator.world
    world.takes, world.lag, world.crashes = takes, lag, {(world.writes + write, after) for write, after in crashes}
    operator.want = replace(operator.want, request="one", immediate=immediate)
    operator.run(GRACE + 2500)
    assert rotated(operator) and not operator.refusals
    assert len(world.versions) == 2, "one rotation, one new version"


@pytest.mark.parametrize("proof", [False, True])
@settings(max_examples=25, deadline=None)
@given(
    at=st.integers(0, 160),
    kept=st.booleans(),
    request=st.booleans(),
    crashes=st.sets(st.tuples(st.integers(1, 16), st.booleans()), max_size=2),
    lag=st.sampled_from([0.0, 40.0]),
)
def test_a_change_outside_is_answered_by_a_rotation(proof: bool, at: int, kept: bool, request: bool, crashes: set[tuple[int, bool]], lag: float) -> None:
    operator = begun("", proof)
    world = operator.world
    operator.strict = False
    world.lag = lag
    world.crashes = {(world.writes + write, after) for write, after in crashes}
    operator.want = replace(operator.want, request="one" if request else "")
    operator.run(at * 5)
    alike = bool(world.tags[noted.INTENT])  # what we asked for and what somebody else does at the same moment both move the date
    world.change_outside(*([*world.tokens, OUTSIDE][-2:] if kept else [OUTSIDE]))
    operator.run(4 * GRACE + 4000)
    assert operator.published is not None
    assert operator.published.value in world.tokens or (alike and not proof)
    assert alike or (rotated(operator) and OUTSIDE not in world.tokens and operator.refusals <= 1)


def test_the_published_token_survives_somebody_elses_rotation() -> None:
    operator = begun()
    operator.world.change_outside(operator.world.tokens[0], OUTSIDE)
    operator.run(GRACE + 1000)
    assert rotated(operator)


def test_a_cache_without_a_token_learns_the_current_one() -> None:
    world = World()
    world.tokens = []
    operator = Operator(world, Credential("cache", ARN))
    operator.run(20)
    assert operator.published is None, "it does not work yet"
    operator.run(100)
    assert operator.published is not None and world.tokens == [operator.published.value]


def test_a_secret_made_later_than_the_token_is_introduced() -> None:
    world = World()
    world.made[FIRST] = BEGIN + 1000
    world.tokens = [OUTSIDE]
    operator = Operator(world, Credential("cache", ARN))
    operator.run(GRACE + 300)
    assert operator.at_rest


@USERS
def test_a_value_somebody_makes_current_is_taken_over_without_a_gap(user: str) -> None:
    operator = begun(user)
    world = operator.world
    world.put_secret_value(ARN, "p" * 32, json.dumps({"password": "a-person-chose-this-0123456789"}), ["AWSCURRENT"])
    operator.run(GRACE + 500)
    assert rotated(operator) and operator.published is not None and operator.published.version == "p" * 32


def test_a_lost_or_useless_pending_value_starts_again() -> None:
    operator = begun()
    world = operator.world
    operator.want = replace(operator.want, request="one")
    operator.run(10)
    pending = next(version for version, names in world.labels.items() if "AWSPENDING" in names)
    del world.versions[pending], world.labels[pending], world.made[pending]
    operator.run(GRACE + 1000)
    assert rotated(operator)
    world.put_secret_value(ARN, "q" * 32, "no json", ["AWSPENDING"])
    operator.run(60)
    assert rotated(operator)


def test_a_replaced_cache_made_with_the_current_value_needs_no_rotation() -> None:
    operator = begun()
    operator.world.tags[noted.BASE] = "another//2020-01-01T00:00:00+00:00"
    operator.run(100)
    assert operator.at_rest and operator.published is not None and operator.published.version == FIRST


def test_a_sweep_costs_one_list_each() -> None:
    operator = begun()
    target: Target[Credential] = Target(IDENTITY, "credential", CredentialDriver.type, operator.want)
    operator.credential.observe([target], Depth.SWEEP)
    operator.world.reads = {}
    for _ in range(3):
        operator.world.pass_time(60)
        seen = operator.credential.observe([target] * 5, Depth.SWEEP)[target.key]
        assert isinstance(seen, Observed) and not seen.due
    assert operator.world.reads == {"list_secrets": 3, "describe_replication_groups": 3}


@settings(max_examples=200)
@given(data=st.data())
def test_every_situation_has_a_next_step_or_a_reason(data: st.DataObject) -> None:
    """No combination of tags and labels, however odd, is an error."""
    version = st.sampled_from(["a", "b", "c"])
    labels: Mapping[str, str] = {"AWSCURRENT": data.draw(version)} | data.draw(st.fixed_dictionaries({}, optional={"AWSPENDING": version}))
    asks = st.sampled_from(["", "rotate/a", "rotate/b", "reclaim/b", "set/a", "set/c", "?"])
    bases = st.sampled_from(["g//1", "g//2", "h//1", ""])
    tags = data.draw(st.fixed_dictionaries({noted.BASE: bases}, optional={noted.IN_FORCE: version, noted.ALONE: version, noted.INTENT: asks}))
    access = Access("g", ready=data.draw(st.booleans()), modified="1", enabled=data.draw(st.booleans()))
    waited, asked = data.draw(st.sampled_from([-1.0, 1.0, 100.0])), data.draw(st.booleans())
    at = Situation(Record(labels, tags), access, BEGIN, BEGIN, waited, asked, data.draw(st.sampled_from([None, True, False])))
    first = rotation_move(Credential("g", ARN, request=data.draw(st.sampled_from(["", "r"]))), at)
    second = retirement_move(CredentialRetirement("g", ARN, tags.get(noted.IN_FORCE, ""), "2024-01-01T00:00:00Z"), at)
    asking = {Do.RECLAIM, Do.ROTATE, Do.SET}
    for move in (first, second):
        assert move.do is Do.NOTHING or move.version
        assert access.ready or move.do not in asking, "asked while it takes nothing"
    assert not (first.do in asking and second.do in asking), "both halves ask at once"

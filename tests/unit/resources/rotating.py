"""A cache and its secret that rotate in memory: what takes its time there, who may log in, and a process that dies at any write."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.driver import Depth, Observed, Target
from securebase.core.errors import Terminal, Waiting
from securebase.core.fields import SecretValue
from securebase.core.identity import Identity
from securebase.resources.elasticache import rotation_record as noted
from securebase.resources.elasticache.credential import CredentialDriver, CredentialRetirementDriver
from securebase.resources.elasticache.login_proof import LoginProof
from securebase.resources.elasticache.rotation import Credential, CredentialRetirement

ARN: Final = "arn:aws:secretsmanager:us-east-1:123456789012:secret:cache-AbCdEf"
IDENTITY: Final = Identity("test", "CacheCluster", "default", "cache")
GRACE: Final = 600
FIRST: Final = "f" * 32
OUTSIDE: Final = "somebody-elses-token-0123456789"
BEGIN: Final = 1_700_000_000.0
TAG_VALUE: Final = re.compile(r"[\w\s+=._:/@-]{0,256}")


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
    access: str = "on ~* +@all"

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
        told = ((busy, date) for at, busy, date in reversed(self.history) if at <= self.now - self.lag) if reads % 2 else iter(())
        busy, date = next(told, (self.change is not None, self.modified))
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
        authentication = {"Type": "password", "PasswordCount": len(self.tokens)}
        return {"UserId": self.user, "UserName": "app", "Status": status, "AccessString": self.access, "Authentication": authentication}

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
        for tag in Tags:
            if not TAG_VALUE.fullmatch(tag["Value"]):
                raise Terminal("InvalidParameterException", f"{tag['Value']} is no value of a tag")
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
    """Tries logins at the world. A door that is not `reachable` tells nothing."""

    world: World
    reachable: bool = True
    tried: int = 0

    def login(self, host: str, port: int, password: str, username: str = "") -> bool | None:
        self.tried += 1
        if not self.reachable:
            return None
        return password in self.world.tokens and not (username and self.world.access.startswith("off"))


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
    again_at: float = 0.0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        scope = cast(AwsScope, self.world)
        self.credential = CredentialDriver(scope, lambda: self.world.now, self.proof)
        self.retirement = CredentialRetirementDriver(scope, lambda: self.world.now, self.proof)

    def run(self, seconds: float, every: float = 60.0) -> None:
        """As the core does it: a pass soon after one that did something or waits, else at an interval, and when something is due."""
        end = self.world.now + seconds
        while self.world.now < end:
            self.again_at, writes = self.world.now + every, self.world.writes
            try:
                self.one_pass()
            except Killed:
                self.restart()
            self.check()
            moves = self.world.writes != writes or self.world.change is not None
            self.world.pass_time(5.0 if moves else max(5.0, min(end, self.again_at) - self.world.now))
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
                seen = driver.create(target, "token")
            elif seen.due:
                seen = driver.advance(target, seen)
        except Waiting:
            self.again_at = self.world.now
            return None
        except Terminal:
            self.refusals += 1
            return None
        if seen.due:
            self.again_at = self.world.now
        elif seen.again_at:
            self.again_at = min(self.again_at, seen.again_at)
        return cast("Observed[Any]", seen)

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

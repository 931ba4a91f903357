"""A cache whose AUTH token is rotated again and again while real clients work: how many of their commands fail."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import AuthenticationError

from bench.clients import Failure, Worker, connect, working
from bench.cluster import GROUP
from bench.results import Figure, percentile
from bench.stage import Running, Stage

BENCH = "cache_rotation"
NAME = "sessions"
GRACE_SECONDS = 600
"""The shortest that the API allows. It is not waited for: what is dated is made that much older."""
_PUBLISHED_AT, _IN_FORCE_SINCE = "securebase.io/published-at", "securebase.io/token-in-force-since"
_LONGEST = 120.0


def run(stage: Stage, rotations: int, seconds: float) -> list[Figure]:
    """`rotations` one after the other, each with clients for `seconds` before it, in its grace and after it."""
    authority = str(stage.endpoint.control.redis_certificate_file)
    with _real_redis(stage), stage.operator("cache", cache_ca_file=authority) as running:
        cache = _Cache(running)
        cache.create()
        rounds = [cache.rotate(f"rotation-{number}", seconds) for number in range(rotations)]
    failures = [failure for each in rounds for failure in each.failures]
    return [
        Figure("rotation_failed_commands", len(failures), "commands", "== 0"),
        Figure("rotation_commands", sum(each.commands for each in rounds), "commands"),
        Figure("rotation_logins", sum(each.logins for each in rounds), "logins"),
        Figure("rotation_to_published_p50_s", round(percentile([each.published_s for each in rounds], 0.5), 1), "s"),
        Figure("rotations", rotations, "rotations"),
    ]


@dataclass(frozen=True, slots=True)
class _Round:
    """What clients saw of one rotation. `published_s`: from the request to another password in the connection Secret."""

    failures: tuple[Failure, ...]
    commands: int
    logins: int
    published_s: float


@contextmanager
def _real_redis(stage: Stage) -> Iterator[None]:
    settings = stage.endpoint.control.settings
    settings.elasticache_redis = True
    try:
        yield
    finally:
        settings.elasticache_redis = False


@dataclass(frozen=True, slots=True)
class _Cache:
    """The one cache, as its owner, its clients and AWS see it."""

    running: Running

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return self.running.stage.cluster.call(method, path, body)

    @property
    def path(self) -> str:
        return f"{GROUP}/namespaces/{self.running.namespace}/cacheclusters"

    @property
    def secret_path(self) -> str:
        return f"/api/v1/namespaces/{self.running.namespace}/secrets/{NAME}-connection"

    @property
    def authority(self) -> str:
        return str(self.running.stage.endpoint.control.redis_certificate_file)

    def create(self) -> None:
        """One small node, ready."""
        subnets = [subnet["SubnetId"] for subnet in self.running.aws("ec2").describe_subnets()["Subnets"][:1]]
        spec = {
            "profile": "dev",
            "policy": {"interval": "10s"},
            "network": {"subnetIds": subnets, "ingress": {"cidrs": ["10.0.0.0/16"]}},
            "rotation": {"grace": f"{GRACE_SECONDS}s"},
            "alarms": {"enabled": False},
        }
        metadata = {"name": NAME, "namespace": self.running.namespace}
        self.call("POST", self.path, {"apiVersion": "securebase.io/v1alpha1", "kind": "CacheCluster", "metadata": metadata, "spec": spec})
        self.running.until(self._ready, "the cache to be ready", _LONGEST)

    def _ready(self) -> bool:
        conditions = self.call("GET", f"{self.path}/{NAME}").get("status", {}).get("conditions", ())
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

    def told(self) -> dict[str, str]:
        """What is published now."""
        return {key: base64.b64decode(value).decode() for key, value in self.call("GET", self.secret_path)["data"].items()}

    def rotate(self, request: str, seconds: float) -> _Round:
        """One rotation under load, until the old token is refused. Clients that cannot move stop when the grace ends."""
        before = self.told()
        with working(before, self.told, self.authority) as workers:
            time.sleep(seconds)
            asked = time.monotonic()
            self.annotate(rotate=request)
            self.running.until(lambda: self.told()["password"] != before["password"], "another password to be published", _LONGEST)
            published = time.monotonic() - asked
            time.sleep(seconds)
            workers["old"].stop()
            self._let_grace_pass(request)
            self.running.until(lambda: not self._lets_in(before), "the old token to be refused", _LONGEST)
            time.sleep(seconds)
        self.running.until(self._at_rest, "the rotation to be over", _LONGEST)
        return _Round(_failures(workers), sum(worker.commands for worker in workers.values()), _logins(workers), published)

    def annotate(self, **annotations: str) -> None:
        named = {f"securebase.io/{key}": value for key, value in annotations.items()}
        self.call("PATCH", f"{self.path}/{NAME}", {"metadata": {"annotations": named}})

    def _secret_id(self) -> str:
        [secret] = self.running.aws("secretsmanager").list_secrets()["SecretList"]
        return str(secret["ARN"])

    def _let_grace_pass(self, request: str) -> None:
        earlier = (datetime.now(UTC) - timedelta(seconds=2 * GRACE_SECONDS)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.running.aws("secretsmanager").tag_resource(SecretId=self._secret_id(), Tags=[{"Key": _IN_FORCE_SINCE, "Value": earlier}])
        self.call("PATCH", self.secret_path, {"metadata": {"annotations": {_PUBLISHED_AT: earlier}}})
        self.annotate(refresh=request)

    def _lets_in(self, told: Mapping[str, str]) -> bool:
        try:
            with connect(told, self.authority) as client:
                return bool(client.ping())
        except AuthenticationError:
            return False

    def _at_rest(self) -> bool:
        tags = {tag["Key"]: tag["Value"] for tag in self.running.aws("secretsmanager").describe_secret(SecretId=self._secret_id())["Tags"]}
        return tags.get("securebase.io/token-alone") == tags.get("securebase.io/token-in-force")


def _failures(workers: Mapping[str, Worker]) -> tuple[Failure, ...]:
    return tuple(failure for worker in workers.values() for failure in worker.failures)


def _logins(workers: Mapping[str, Worker]) -> int:
    return sum(1 if worker.stays else worker.rounds for worker in workers.values())

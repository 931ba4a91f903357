"""Who is asked how much was written to a cache, with which login, and when nobody is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from securebase.api.cache import CacheCluster
from securebase.clients.kubernetes import Gone
from securebase.core.errors import Denied
from securebase.core.identity import Identity
from securebase.core.kind import Kind, PolicyDefaults, Probe, PublishedLogin
from securebase.runtime.objects import Objects
from securebase.runtime.offsets import SILENT_SECONDS, ReplicationOffsets
from securebase.runtime.queue import Key

SPEC = {"profile": "dev", "network": {"subnetIds": ["subnet-0a1b2c3d4e5f60718"], "ingress": {"cidrs": ["10.0.0.0/16"]}}}
IDENTITY = Identity("test", "CacheCluster", "web", "sessions")


class CacheKind:
    """The part of a kind that is needed."""

    kind, plural, model = "CacheCluster", "cacheclusters", CacheCluster

    def defaults(self, spec: Any) -> PolicyDefaults:
        return PolicyDefaults()

    def verification(self, spec: Any, outputs: Mapping[str, str]) -> Probe | None:
        host = outputs.get("host", "")
        return Probe(spec.verify.host or host, spec.verify.port or 6379, "its-connection", server_name=host) if spec.verify.enabled and host else None


@dataclass
class Setting:
    """One object, a client that answers as told and notes whom it was asked about, and a clock that is set by hand."""

    answer: int | None = 1_000
    refusal: Exception | None = None
    now: float = 1_700_000_000.0
    asked: list[tuple[str, int, str, str, bool, str]] = field(default_factory=list)
    objects: Objects = field(default_factory=Objects)

    def replication_offset(self, host: str, port: int, password: str, username: str, tls: bool, server_name: str) -> int | None:
        self.asked.append((host, port, password, username, tls, server_name))
        return self.answer

    def login(self, namespace: str, name: str) -> PublishedLogin:
        assert (namespace, name) == ("web", "its-connection")
        if self.refusal is not None:
            raise self.refusal
        return PublishedLogin(True, "app", "published")

    def has(self, serves: str = "new.test", **verify: Any) -> None:
        metadata = {"name": "sessions", "namespace": "web", "uid": "u", "resourceVersion": "1", "generation": 1}
        spec = SPEC | {"verify": {"enabled": True} | verify}
        body = {"apiVersion": "securebase.io/v1alpha1", "kind": "CacheCluster", "metadata": metadata, "spec": spec, "status": {"outputs": {"host": serves}}}
        self.objects.seen(Key("CacheCluster", "web", "sessions"), body)

    @property
    def offsets(self) -> ReplicationOffsets:
        kinds = cast(Mapping[str, Kind], {"CacheCluster": CacheKind()})
        return ReplicationOffsets(kinds, self.objects, self.login, self, lambda: self.now)


def test_what_was_replaced_is_asked_at_its_own_address() -> None:
    at = Setting()
    at.has("new.test")
    assert at.offsets(IDENTITY, "old.test", 6380) == 1_000
    assert at.asked == [("old.test", 6380, "published", "app", True, "old.test")]


def test_a_tunnel_leads_to_the_present_one_only() -> None:
    at = Setting()
    at.has("new.test", host="127.0.0.1", port=16379)
    assert at.offsets(IDENTITY, "old.test", 6379) is None and at.asked == []
    assert at.offsets(IDENTITY, "new.test", 6379) == 1_000
    assert at.asked == [("127.0.0.1", 16379, "published", "app", True, "new.test")]


def test_who_does_not_want_to_be_verified_is_not_logged_in_to() -> None:
    at = Setting()
    assert at.offsets(IDENTITY, "old.test", 6379) is None, "no such object"
    at.has(enabled=False)
    assert at.offsets(IDENTITY, "old.test", 6379) is None
    assert at.asked == []


@pytest.mark.parametrize("refusal", [Gone("its-connection"), Denied("get", "secrets", "not allowed")])
def test_without_a_login_nobody_is_asked(refusal: Exception) -> None:
    at = Setting(refusal=refusal)
    at.has()
    assert at.offsets(IDENTITY, "old.test", 6379) is None and at.asked == []


def test_one_that_does_not_tell_is_left_alone_for_a_while() -> None:
    at = Setting(answer=None)
    at.has()
    offsets = at.offsets
    assert [offsets(IDENTITY, host, 6379) for host in ("old.test", "old.test", "other.test")] == [None, None, None]
    assert [asked[0] for asked in at.asked] == ["old.test", "other.test"]
    at.now, at.answer = at.now + SILENT_SECONDS, 7
    assert offsets(IDENTITY, "old.test", 6379) == 7
    at.answer = 8
    assert offsets(IDENTITY, "old.test", 6379) == 8, "what tells is asked each time: it goes on being written to"

"""Clients that talk to a loopback server, with nothing of this machine's own AWS configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from securebase.clients.aws import AwsAccountConfig, AwsClients, ClientSettings, StaticCredentials
from securebase.clients.limits import RateLimiter
from tests.unit.clients.loopback_aws import ACCOUNT, Loopback, Recorder


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)


@pytest.fixture
def server() -> Iterator[Loopback]:
    loopback = Loopback()
    yield loopback
    loopback.close()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def account(server: Loopback) -> AwsAccountConfig:
    return AwsAccountConfig(account_id=ACCOUNT, endpoint_url=server.url)


@pytest.fixture
def make_clients(recorder: Recorder) -> Iterator[Callable[..., AwsClients]]:
    made: list[AwsClients] = []

    def make(**given: object) -> AwsClients:
        defaults: dict[str, object] = {
            "limiter": RateLimiter(is_open=True),
            "version": "1.2.3",
            "observer": recorder,
            "settings": ClientSettings(connect_timeout=0.5, read_timeout=0.5),
            "credentials": StaticCredentials("test-key", "test-secret"),
        }
        clients = AwsClients(**(defaults | given))  # type: ignore[arg-type]
        made.append(clients)
        return clients

    yield make
    for clients in made:
        clients.close()

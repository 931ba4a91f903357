"""The lab's AWS endpoint, one account for each test, and the drivers' way in."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from lab.aws.endpoint import AwsEndpoint
from securebase.clients.aws import AwsAccountConfig, AwsClients, AwsScope, StaticCredentials
from securebase.clients.limits import RateLimiter
from tests.contract.harness import Lab, ShiftedClock

STALE_SECONDS = 0.6
"""How far lists lag behind in the stale runs: longer than any read, short enough to wait for."""


@pytest.fixture(scope="session")
def aws_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsEndpoint]:
    """The emulators behind the router, for the whole run."""
    with AwsEndpoint(tmp_path_factory.mktemp("aws")) as endpoint:
        endpoint.control.settings.distribution_deploy_s = 0.2
        endpoint.control.settings.invalidation_s = 0.2
        yield endpoint


@pytest.fixture
def account() -> str:
    """An empty account: the endpoint takes a 12-digit access key for the account's id."""
    return f"{random.randrange(10**11, 10**12)}"


@pytest.fixture
def clock() -> ShiftedClock:
    """Unix seconds; a test may let a minute pass at once."""
    return ShiftedClock(time.time)


@pytest.fixture
def scope(aws_endpoint: AwsEndpoint, account: str) -> Callable[[str], AwsScope]:
    """The drivers' scope of a region. Nothing holds requests back."""
    clients = AwsClients(limiter=RateLimiter(is_open=True), version="test", credentials=StaticCredentials(account, "lab"))
    config = AwsAccountConfig(account_id=account, endpoint_url=aws_endpoint.url)
    return lambda region: clients.scope(config, region)


@pytest.fixture
def raw(aws_endpoint: AwsEndpoint, account: str) -> Callable[..., Any]:
    """A plain boto3 client: somebody else, who changes things behind our back."""

    clients: Any = boto3

    @functools.cache
    def client(service: str, region: str = "us-east-1") -> Any:
        return clients.client(
            service,
            region_name=region,
            endpoint_url=aws_endpoint.url,
            aws_access_key_id=account,
            aws_secret_access_key="lab",
            config=Config(retries={"total_max_attempts": 1}),
        )

    return client


@pytest.fixture(params=["plain", "stale"])
def lab(
    request: pytest.FixtureRequest, aws_endpoint: AwsEndpoint, scope: Callable[[str], AwsScope], raw: Callable[..., Any], clock: ShiftedClock, account: str
) -> Iterator[Lab]:
    """Everything a contract test needs; each test runs once as AWS is on a good day, and once with lists that lag behind writes."""
    stale = request.param == "stale"
    aws_endpoint.control.stale(STALE_SECONDS if stale else 0.0)
    yield Lab(scope, raw, clock, aws_endpoint.control, account, stale)
    aws_endpoint.control.stale(0.0)
    aws_endpoint.control.clear_rules()

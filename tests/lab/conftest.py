"""Fixtures of the lab's own tests: one AWS endpoint a session, clean for every test; processes that are not our children."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config

from lab.aws.context import Settings
from lab.aws.endpoint import AwsEndpoint, Control
from lab.processes import state_directory

MakeClient = Callable[..., Any]


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[AwsEndpoint]:
    with state_directory("aws-tests") as directory, AwsEndpoint(Path(directory)) as endpoint:
        yield endpoint


@pytest.fixture
def control(aws_endpoint: AwsEndpoint) -> Control:
    """The endpoint's controls; state and settings are as just started. Deployments end only when a test advances the clock."""
    control = aws_endpoint.control
    control.reset()
    fresh = Settings(distribution_deploy_s=600, invalidation_s=600, certificate_issue_s=600, certificate_record_s=600)
    for name in Settings.__slots__:
        setattr(control.settings, name, getattr(fresh, name))
    return control


@pytest.fixture
def client(aws_endpoint: AwsEndpoint, control: Control) -> Iterator[MakeClient]:
    """Makes boto3 clients of any service, account and region; no retries, so that one call is one call."""
    made: list[Any] = []

    def make(service: str, region: str = "us-east-1", account: str = "000000000000", **config: Any) -> Any:
        options = {"retries": {"max_attempts": 0}, "proxies": {}} | config
        session = boto3.session.Session(aws_access_key_id=account, aws_secret_access_key="lab", region_name=region)
        built = session.client(service, endpoint_url=aws_endpoint.url, config=Config(**options))  # type: ignore[call-overload]
        made.append(built)
        return built

    yield make
    for built in made:
        built.close()


@pytest.fixture
def gone() -> Callable[[int], bool]:
    """Whether a process has ended; one that nobody has reaped yet counts as ended."""

    def has_ended(pid: int) -> bool:
        try:
            return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True

    return has_ended

"""What this machine cannot provide skips the tests that need it, by name in the summary; with CI set it fails them."""

from __future__ import annotations

import functools
import os
from collections.abc import Generator

import botocore.session
import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from lab.cache import Unavailable
from tests.distribution import Scheduler

# The cores are shared with other tests: how long an example takes says nothing.
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")


# Tests make hundreds of sessions of boto3, and each would parse the descriptions of AWS's services anew.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that ends in `Unavailable` was not run, unless in CI, where it has failed."""
    report = yield
    if call.excinfo is not None and isinstance(error := call.excinfo.value, Unavailable) and os.environ.get("CI", "") in ("", "0", "false"):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, f"not tested: {error}")
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """`tests/distribution.py`, unless another distribution is asked for."""
    return Scheduler(config, log) if config.getoption("dist") == "loadfile" else None

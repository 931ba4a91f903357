"""What this machine cannot provide is told by name at the end of a run; with CI set it fails the tests that need it."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from lab.cache import Unavailable


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that ends in `Unavailable` was not run, unless in CI, where it has failed."""
    report = yield
    if call.excinfo is not None and isinstance(error := call.excinfo.value, Unavailable) and os.environ.get("CI", "") in ("", "0", "false"):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, f"not tested: {error}")
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Names everything that was left out, once."""
    reasons = {report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()) if isinstance(report.longrepr, tuple)}
    for reason in sorted(reason for reason in reasons if "not tested: " in reason):
        terminalreporter.write_line(reason.removeprefix("Skipped: "), yellow=True)

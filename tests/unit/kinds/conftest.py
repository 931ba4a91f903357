"""The flag that writes golden files anew: `pytest tests/unit/kinds --update-golden`."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", default=False, help="write the golden graphs anew instead of comparing with them")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """False too where this file was read too late to add the option, as in a run from the repository's root."""
    return bool(request.config.getoption("--update-golden", default=False))

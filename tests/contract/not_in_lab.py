"""What AWS does and the lab cannot show: strict xfails, each with its reason, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

NOT_IN_LAB: Mapping[str, str] = {
    "cloudfront/function: an update answers with its ETag": "the emulator sends ETag; CloudFront's service model reads the header ETtag",
    "cloudfront/distribution: an unknown key group is refused": "the lab knows no key groups, so it takes any id",
}
"""Test name (`<type>: <what>`) -> why the lab cannot show it. A row whose test passes fails: the lab has learned it."""


def marks(name: str) -> tuple[Any, ...]:
    """The marks of a test that has a row; for `pytest.param(..., marks=marks(name))`."""
    return (pytest.mark.xfail(strict=True, reason=NOT_IN_LAB[name]),) if name in NOT_IN_LAB else ()

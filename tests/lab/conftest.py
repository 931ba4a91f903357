"""What the lab's own tests share: looking at processes that are not our children."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import pytest


@pytest.fixture
def gone() -> Callable[[int], bool]:
    """Whether a process has ended; one that nobody has reaped yet counts as ended."""

    def has_ended(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return has_ended

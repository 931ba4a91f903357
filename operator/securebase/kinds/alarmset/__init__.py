"""The kind PerfAlarmSet."""

from __future__ import annotations

from typing import Final

from securebase.core.kind import Kind
from securebase.kinds.alarmset.kind import PerfAlarmSetKind

__all__ = ["ALARMS"]

ALARMS: Final[Kind] = PerfAlarmSetKind()

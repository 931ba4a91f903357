"""Every kind of this operator."""

from __future__ import annotations

from typing import Final

from securebase.core.kind import Kind
from securebase.kinds.alarmset import ALARMS
from securebase.kinds.cache import CACHE
from securebase.kinds.cdn import CDN

KINDS: Final[tuple[Kind, ...]] = (ALARMS, CACHE, CDN)


def by_kind(name: str) -> Kind:
    """The kind of that name; KeyError for one that is not known."""
    for kind in KINDS:
        if kind.kind == name:
            return kind
    raise KeyError(name)

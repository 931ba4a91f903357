"""Node ids and names of an alarm set. Parts that people name hold no underscore, so that one between them keeps ids apart."""

from __future__ import annotations

import re
from typing import Final

from securebase.core.identity import digest

CDN_REGION: Final = "us-east-1"
"""Where CloudFront's metrics are, and so its alarms, their topics and composites."""

SUPPRESSOR: Final = "suppressor"
"""The alarm that keeps composites quiet during windows."""

LONG: Final = 200
"""Of the 255 characters that PutMetricAlarm, PutCompositeAlarm and PutDashboard take, and the 256 of CreateTopic."""

_SLUG = 40


def target_id(target: str) -> str:
    """The lookup of a named target."""
    return f"target-{target}"


def search_id(target: str) -> str:
    """The lookup of targets found by their tags."""
    return f"search-{target}"


def alarm_id(target: str, slug: str, alarm: str) -> str:
    """`slug`: which of several found things or members; "" for the target itself."""
    return f"alarm-{target}_{slug}_{alarm}" if slug else f"alarm-{target}_{alarm}"


def slug(name: str) -> str:
    """A name within an id: its readable head, and a digest where that is not all of it."""
    head = re.sub(r"[^A-Za-z0-9-]+", "-", name)[:_SLUG].strip("-")
    return head if head == name else f"{head}-{digest(name, length=6)}"


def regional(node: str, region: str, home: str, separator: str = "_") -> str:
    """The id of what there is once for each region: plain at home."""
    return node if region == home else f"{node}{separator}{'use1' if region == CDN_REGION else region}"

"""LastModifiedTime with milliseconds, as CloudFront gives it: ministack's whole seconds hide the second of two quick updates.

CloudFront API reference, GetCachePolicy and DescribeFunction: the examples' LastModifiedTime has a fraction.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_KINDS = re.compile(r"(Cache|OriginRequest|ResponseHeaders)Polic|Function")
_KEY = re.compile(rb"<Id>([^<]+)</Id>|<Name>([^<]+)</Name><Status>")
_STAGE = re.compile(rb"<Stage>([^<]+)</Stage>")
_TIME = re.compile(rb"(<LastModifiedTime>)[^<]*")


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stamp(body: bytes, text: str) -> bytes:
    return _TIME.sub(rb"\g<1>" + text.encode(), body, count=1)


class Times:
    """When policies and functions (each stage by itself) were written last."""

    def __init__(self) -> None:
        self._written: dict[tuple[str, bytes, bytes], str] = {}

    @staticmethod
    def _key(account: str, body: bytes) -> tuple[str, bytes, bytes] | None:
        found, stage = _KEY.search(body), _STAGE.search(body)
        if found is None:
            return None
        return account, found.group(1) or found.group(2), stage.group(1) if stage is not None else b""

    def note(self, account: str, operation: str, body: bytes) -> None:
        """After a create, update or publish, with its answer."""
        key = self._key(account, body)
        if key is not None and _KINDS.search(operation):
            self._written[key] = now_text()

    def correct(self, account: str, operation: str, body: bytes) -> bytes:
        """One resource's answer, or one item of a list."""
        if not _KINDS.search(operation):
            return body
        key = self._key(account, body)
        text = self._written.get(key) if key is not None else None
        return stamp(body, text) if text is not None else body

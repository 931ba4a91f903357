"""The log of every call the endpoint answered, and counts over it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One answered call: when (seconds since the epoch), what, by whom, with which outcome, after how many milliseconds."""

    at: float
    service: str
    operation: str
    account: str
    region: str
    access_key: str
    user_agent: str
    status: int
    code: str
    latency_ms: float
    write: bool
    served: str
    resource: str = ""

    @property
    def caller(self) -> str:
        return f"{self.user_agent} {self.access_key}"


class CallLog:
    """Appended to by the router's thread, read from any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[CallRecord] = []

    def add(self, record: CallRecord) -> None:
        with self._lock:
            self._records.append(record)

    def records(self, where: Callable[[CallRecord], bool] | None = None) -> list[CallRecord]:
        with self._lock:
            snapshot = list(self._records)
        return [record for record in snapshot if where is None or where(record)]

    def writes(self, service: str | None = None) -> list[CallRecord]:
        return self.records(lambda record: record.write and service in (None, record.service))

    def reads(self, service: str | None = None) -> list[CallRecord]:
        return self.records(lambda record: not record.write and service in (None, record.service))

    def counts(self, where: Callable[[CallRecord], bool] | None = None) -> dict[tuple[str, str], int]:
        """How often each (service, operation) was called."""
        return dict(Counter((record.service, record.operation) for record in self.records(where)))

    def throttled(self) -> list[CallRecord]:
        return self.records(lambda record: record.code in ("Throttling", "ThrottlingException", "SlowDown"))

    def clear(self) -> None:
        with self._lock:
            self._records.clear()

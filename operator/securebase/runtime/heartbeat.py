"""Signs of life: a probe fails when the event loop, or every worker, has hung for a minute."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HUNG_SECONDS = 60.0


@dataclass(slots=True)
class Heartbeat:
    """Thread-safe. A worker shows life when a pass begins or ends and at each answered outside call (`progress`)."""

    monotonic: Callable[[], float]
    workers: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _loop_at: float | None = None
    _busy: dict[int, float] = field(default_factory=dict)
    _worker_of: dict[int, int] = field(default_factory=dict)

    def loop_turned(self) -> None:
        """The event loop is alive."""
        self._loop_at = self.monotonic()

    @contextmanager
    def working(self, number: int) -> Iterator[None]:
        """A worker is in a pass."""
        thread = threading.get_ident()
        with self._lock:
            self._busy[number] = self.monotonic()
            self._worker_of[thread] = number
        try:
            yield
        finally:
            with self._lock:
                self._busy.pop(number, None)
                self._worker_of.pop(thread, None)

    def progress(self) -> None:
        """The calling thread got an answer from outside."""
        with self._lock:
            number = self._worker_of.get(threading.get_ident())
            if number is not None:
                self._busy[number] = self.monotonic()

    def busy(self) -> bool:
        """Whether any worker is in a pass."""
        return bool(self._busy)

    def problem(self) -> str:
        """What hangs; "" when nothing does."""
        now = self.monotonic()
        if self._loop_at is not None and now - self._loop_at > HUNG_SECONDS:
            return f"the event loop has not turned for {now - self._loop_at:.0f} s"
        with self._lock:
            hung = [number for number, since in self._busy.items() if now - since > HUNG_SECONDS]
        return f"all {self.workers} workers have hung for {HUNG_SECONDS:.0f} s" if len(hung) >= self.workers else ""

"""Which driver knows which type; one instance a type, account and region for the life of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from securebase.clients.aws import AwsScope
from securebase.core.driver import Driver

DriverFactory = Callable[[AwsScope, Callable[[], float]], Driver]


class Drivers:
    """Drivers of one process. Thread-safe."""

    def __init__(self, factories: Mapping[str, DriverFactory], clock: Callable[[], float]) -> None:
        self._factories = dict(factories)
        self._clock = clock
        self._lock = threading.Lock()
        self._made: dict[tuple[int, str], Driver] = {}
        self._scopes: dict[int, AwsScope] = {}

    def of(self, scope: AwsScope, type_: str) -> Driver:
        """The driver of a type in an account and region."""
        key = (id(scope), type_)
        with self._lock:
            driver = self._made.get(key)
            if driver is None:
                self._scopes[id(scope)] = scope  # kept, so that its id is not given to another
                driver = self._made[key] = self._factories[type_](scope, self._clock)
            return driver


def aws_drivers() -> dict[str, Any]:
    """Every AWS type of the operator."""
    from securebase.resources.acm.driver import CertificateDriver, GivenCertificateDriver
    from securebase.resources.cloudwatch.driver import MetricAlarmDriver

    classes: list[Any] = [CertificateDriver, GivenCertificateDriver, MetricAlarmDriver]
    return {driver.type: driver for driver in classes}

"""Settings of the operator process: environment variables `SECUREBASE_*`, set by the chart's values."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read once at start, never changed."""

    model_config = SettingsConfigDict(env_prefix="SECUREBASE_", frozen=True)

    instance: str = ""
    """Whose resources these are. Default: the UID of the namespace kube-system. Give it to take over after a cluster was rebuilt."""
    namespaces: str = ""
    """Comma-separated namespaces to watch; empty = all."""
    secret_namespaces: str = ""
    """Comma-separated namespaces whose Secrets are watched and read; empty = all."""
    workers: Annotated[int, Field(ge=1, le=64)] = 8
    """How many objects are reconciled at the same time."""
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port of /metrics, /healthz and /readyz; 0 = a free one."""
    http_host: str = "0.0.0.0"
    lease_namespace: str = "securebase-system"
    lease_name: str = "securebase-operator"
    lease_duration: Annotated[float, Field(gt=2)] = 15.0
    """Seconds after which another replica may take an unrenewed lease."""
    lease_renew_deadline: Annotated[float, Field(gt=1)] = 10.0
    """Seconds without a renewal after which this replica writes nothing more and exits. Less than the duration."""
    identity: str = ""
    """Name of this replica in the Lease; default: host name and process id."""
    log_format: str = "json"
    """json | text"""
    log_level: str = "INFO"
    aws_rate_scale: Annotated[float, Field(ge=0)] = 1.0
    """Factor on AWS's documented API rates; 0 = no client-side limits."""
    fight_rounds: Annotated[int, Field(ge=1)] = 5
    """How often the same drift is repaired within an hour before it counts as a fight."""
    price_book: str = ""
    """Path of a file that overrides or extends the shipped price book, price by price."""
    settle_scale: Annotated[float, Field(ge=0)] = 1.0
    """Factor on the time after a write of our own in which a difference is not called drift yet (most drivers: 60 s)."""
    poll_scale: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on how soon something that is on its way is looked at again (2 to 15 s). Below 1 only where things take less time than in AWS."""

    cache_verification: bool = True
    """Whether a client connects to caches, at each object's interval, to prove that they work."""
    cache_ca_file: str = ""
    """File of certificates (PEM) trusted by that client besides the system's."""

    def watched(self) -> tuple[str, ...]:
        """Namespaces to watch; empty = all."""
        return _names(self.namespaces)

    def secrets_in(self) -> tuple[str, ...]:
        """Namespaces whose Secrets are watched; empty = all."""
        return _names(self.secret_namespaces) or self.watched()


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())

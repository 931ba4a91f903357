"""What a command needs of the outside: AWS clients and drivers, without limits of leadership and without a cluster's help."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

from securebase import __version__
from securebase.clients.aws import AwsClients
from securebase.clients.kubernetes import Gone, Kubernetes, load_configuration, namespaced
from securebase.clients.limits import RateLimiter
from securebase.core.breakers import MassDeletion
from securebase.core.kind import Kind
from securebase.core.plan import Prior
from securebase.resources.discovery.inventory import AT_ONCE
from securebase.resources.registry import Drivers, aws_drivers, kubernetes_drivers
from securebase.runtime.accounts import Account, Accounts
from securebase.runtime.shared import Process, SharedUse
from securebase.telemetry.redaction import Redactor


class WouldWrite(AssertionError):
    """A command that only looks was about to write: a defect, stopped before anything left."""


def _refuse() -> None:
    raise WouldWrite("this command never writes")


def reading_cluster() -> Kubernetes:
    """The cluster that KUBECONFIG names, with a fence that lets no write through."""
    return Kubernetes(load_configuration(), _refuse)


def instance_of(api: Kubernetes) -> str:
    """As the operator has it where its settings name none: the UID of kube-system."""
    return str(api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"])


def reading_process(instance: str, accounts: Mapping[str, Account], redactor: Redactor, api: Kubernetes | None = None) -> Process:
    """Everything an object's plan needs, with a fence that lets no write through. It looks once and goes by what it sees. Without `api`, what
    lives in the cluster is not compared."""
    clients = AwsClients(limiter=RateLimiter(), version=__version__, fence=_refuse, redact=redactor)
    drivers = Drivers(clients, aws_drivers(patience=AT_ONCE) | kubernetes_drivers(api, time.time), time.time)
    return Process(instance, drivers, Accounts(clients, time.time, accounts), SharedUse(), MassDeletion(time.time), time.time)


def no_intents(*priors: Prior) -> None:
    """A plan stores nothing."""
    raise WouldWrite(f"the intent to make {', '.join(prior.id for prior in priors)}")


class Statuses(Protocol):
    """What is known of an object besides its manifest."""

    def of(self, kind: Kind, namespace: str, name: str) -> Mapping[str, Any]:
        """Its status; {} when it has none."""


class NoStatuses:
    """Without a cluster."""

    def of(self, kind: Kind, namespace: str, name: str) -> Mapping[str, Any]:
        """Nothing is known."""
        return {}


class ClusterStatuses:
    """As the API server holds them."""

    def __init__(self, api: Kubernetes) -> None:
        self._api = api

    def of(self, kind: Kind, namespace: str, name: str) -> Mapping[str, Any]:
        """The status of the object of that name, if it exists."""
        try:
            status: Mapping[str, Any] = self._api.get(namespaced(kind.plural, namespace, name)).get("status") or {}
        except Gone:
            return {}
        return status

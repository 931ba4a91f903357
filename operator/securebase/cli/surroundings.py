"""What a command needs of the outside: AWS clients and drivers, without limits of leadership and without a cluster's help."""

from __future__ import annotations

import time
from collections.abc import Mapping

from securebase import __version__
from securebase.clients.aws import AwsClients
from securebase.clients.kubernetes import Kubernetes, load_configuration
from securebase.clients.limits import RateLimiter
from securebase.core.breakers import MassDeletion
from securebase.core.plan import Prior
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


def reading_process(instance: str, accounts: Mapping[str, Account], redactor: Redactor, api: Kubernetes | None = None) -> Process:
    """Everything an object's plan needs, with a fence that lets no write through. Without `api`, what lives in the cluster is not compared."""
    clients = AwsClients(limiter=RateLimiter(), version=__version__, fence=_refuse, redact=redactor)
    drivers = Drivers(clients, aws_drivers() | kubernetes_drivers(api, time.time), time.time)
    return Process(instance, drivers, Accounts(clients, time.time, accounts), SharedUse(), MassDeletion(time.time), time.time)


def no_intents(*priors: Prior) -> None:
    """A plan stores nothing."""
    raise WouldWrite(f"the intent to make {', '.join(prior.id for prior in priors)}")

"""Which driver knows which type; one instance a type, account and region for the life of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from securebase.clients.aws import AwsAccountConfig, AwsClients, AwsScope
from securebase.clients.kubernetes import Kubernetes
from securebase.core.driver import Driver
from securebase.resources.acm.driver import CertificateDriver, GivenCertificateDriver
from securebase.resources.cloudfront.distribution import DistributionDriver
from securebase.resources.cloudfront.functions import FunctionDriver
from securebase.resources.cloudfront.invalidations import InvalidationDriver
from securebase.resources.cloudfront.policies import (
    CachePolicyDriver,
    OriginAccessControlDriver,
    OriginRequestPolicyDriver,
    ResponseHeadersPolicyDriver,
)
from securebase.resources.cloudfront.subscriptions import MonitoringSubscriptionDriver
from securebase.resources.cloudwatch.composite import CompositeAlarmDriver
from securebase.resources.cloudwatch.dashboards import DashboardDriver
from securebase.resources.cloudwatch.driver import MetricAlarmDriver
from securebase.resources.discovery.inventory import PATIENT, Patience
from securebase.resources.discovery.search import SearchDriver
from securebase.resources.discovery.targets import TargetDriver
from securebase.resources.ec2.driver import SecurityGroupDriver
from securebase.resources.elasticache.credential import CredentialDriver, CredentialRetirementDriver
from securebase.resources.elasticache.login_proof import LoginProof
from securebase.resources.elasticache.logins import LoginMoveDriver, LoginStateDriver
from securebase.resources.elasticache.parameter_group import ParameterGroupDriver
from securebase.resources.elasticache.replication_group import ReplicationGroupDriver
from securebase.resources.elasticache.rotation import LOOK_SECONDS
from securebase.resources.elasticache.snapshots import Offsets
from securebase.resources.elasticache.subnet_group import SubnetGroupDriver
from securebase.resources.elasticache.users import UserDriver, UserGroupDriver
from securebase.resources.kms.driver import KeyStatementDriver
from securebase.resources.kubernetes.driver import ObjectSecretDriver, UncomparedSecretDriver
from securebase.resources.logs.driver import DeliveryDestinationDriver, DeliveryDriver, DeliverySourceDriver
from securebase.resources.logs.filters import MetricFilterDriver
from securebase.resources.logs.groups import LogGroupSettingsDriver
from securebase.resources.logs.queries import QueryDefinitionDriver
from securebase.resources.route53.driver import RecordDriver, ZoneDriver
from securebase.resources.route53.validation import ValidationRecordDriver
from securebase.resources.s3.driver import BucketDriver, PolicyStatementDriver
from securebase.resources.secretsmanager.driver import ManagedSecretDriver
from securebase.resources.sns.driver import TopicDriver
from securebase.resources.sns.given import GivenTopicDriver

DriverFactory = Callable[[AwsScope, Callable[[], float]], Driver]


class DriverClass(Protocol):
    """A class of drivers: names its type and makes one from an account and region and a clock."""

    type: str

    def __call__(self, aws: AwsScope, clock: Callable[[], float], /) -> Driver:
        """One driver."""


class Drivers:
    """Drivers of one process. Thread-safe."""

    def __init__(self, clients: AwsClients, factories: Mapping[str, DriverFactory], clock: Callable[[], float]) -> None:
        self._clients = clients
        self._factories = dict(factories)
        self._clock = clock
        self._lock = threading.Lock()
        self._made: dict[tuple[AwsAccountConfig, str, str], Driver] = {}

    def of(self, account: AwsAccountConfig, region: str, type_: str) -> Driver:
        """The driver of a type in an account and region."""
        key = (account, region, type_)
        with self._lock:
            driver = self._made.get(key)
            if driver is None:
                driver = self._made[key] = self._factories[type_](self._clients.scope(account, region), self._clock)
            return driver

    def scope(self, account: AwsAccountConfig, region: str) -> AwsScope:
        """The account in a region, for what is no resource (metrics)."""
        return self._clients.scope(account, region)

    @property
    def types(self) -> tuple[str, ...]:
        """Every type there is a driver of."""
        return tuple(sorted(self._factories))

    def retain(self, accounts: Collection[AwsAccountConfig]) -> None:
        """Let go of drivers, caches, sessions and clients of every other account (deleted, or with another role now)."""
        with self._lock:
            self._made = {key: driver for key, driver in self._made.items() if key[0] in accounts}
        self._clients.retain(accounts)


_CLASSES: tuple[DriverClass, ...] = (
    CertificateDriver,
    GivenCertificateDriver,
    DistributionDriver,
    FunctionDriver,
    InvalidationDriver,
    CachePolicyDriver,
    OriginRequestPolicyDriver,
    ResponseHeadersPolicyDriver,
    OriginAccessControlDriver,
    MonitoringSubscriptionDriver,
    MetricAlarmDriver,
    CompositeAlarmDriver,
    DashboardDriver,
    TargetDriver,
    SearchDriver,
    ZoneDriver,
    RecordDriver,
    ValidationRecordDriver,
    BucketDriver,
    PolicyStatementDriver,
    TopicDriver,
    GivenTopicDriver,
    ManagedSecretDriver,
    SecurityGroupDriver,
    SubnetGroupDriver,
    ParameterGroupDriver,
    UserDriver,
    UserGroupDriver,
    LoginStateDriver,
    LoginMoveDriver,
    DeliverySourceDriver,
    DeliveryDestinationDriver,
    DeliveryDriver,
    MetricFilterDriver,
    QueryDefinitionDriver,
    LogGroupSettingsDriver,
    KeyStatementDriver,
)


def aws_drivers(
    proof: LoginProof | None = None, settle_scale: float = 1.0, patience: Patience = PATIENT, offsets: Offsets | None = None
) -> dict[str, DriverFactory]:
    """Every AWS type of the operator. `proof` tries logins where a cache can be reached from here, and `offsets` asks how much was written there;
    `settle_scale` shortens what is waited for an own change to show; `patience` is that of who looks for what others made."""
    look = LOOK_SECONDS * settle_scale
    return {driver.type: driver for driver in _CLASSES} | {
        ReplicationGroupDriver.type: lambda aws, clock: ReplicationGroupDriver(aws, clock, offsets),
        CredentialDriver.type: lambda aws, clock: CredentialDriver(aws, clock, proof, look),
        TargetDriver.type: lambda aws, clock: TargetDriver(aws, clock, patience),
        SearchDriver.type: lambda aws, clock: SearchDriver(aws, clock, patience),
        CredentialRetirementDriver.type: lambda aws, clock: CredentialRetirementDriver(aws, clock, proof, look),
    }


def kubernetes_drivers(api: Kubernetes | None, clock: Callable[[], float], namespaces: Sequence[str] = ()) -> dict[str, DriverFactory]:
    """Every type that lives in the cluster: one driver each, whichever AWS account asks. Without a cluster they compare nothing.

    `namespaces` are those whose Secrets may be listed; empty = all.
    """
    secrets = UncomparedSecretDriver() if api is None else ObjectSecretDriver(api, clock, namespaces)
    return {secrets.type: lambda _aws, _clock: secrets}

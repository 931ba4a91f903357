"""The kinds of the group, as the rest of the program names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from securebase.api.account import AwsAccount
from securebase.api.alarmset import PerfAlarmSet
from securebase.api.cache import CacheCluster
from securebase.api.cdn import CdnDistribution
from securebase.api.meta import API_VERSION, GROUP, VERSION, KubernetesObject


@dataclass(frozen=True, slots=True)
class PrinterColumn:
    """One column of `kubectl get`."""

    name: str
    json_path: str
    type: Literal["string", "integer", "date"] = "string"
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """One custom resource: its names and its model."""

    name: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    scope: Literal["Namespaced", "Cluster"]
    model: type[KubernetesObject]
    columns: tuple[PrinterColumn, ...]

    @property
    def crd_name(self) -> str:
        return f"{self.plural}.{GROUP}"


def _condition(name: str) -> str:
    return f'.status.conditions[?(@.type=="{name}")].status'


READY = PrinterColumn("READY", _condition("Ready"))
AGE = PrinterColumn("AGE", ".metadata.creationTimestamp", "date")
RESOURCE_COLUMNS = (
    READY,
    PrinterColumn("SYNCED", _condition("Synced")),
    PrinterColumn("DRIFT", ".status.driftedFields", "integer"),
    PrinterColumn("SLO", _condition("SLOMet")),
    PrinterColumn("COST", ".status.cost.monthlyUsd"),
    AGE,
    PrinterColumn("REASON", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
)

AWS_ACCOUNT = Kind(
    name="AwsAccount",
    plural="awsaccounts",
    singular="awsaccount",
    short_names=("awsacc",),
    scope="Cluster",
    model=AwsAccount,
    columns=(
        PrinterColumn("ACCOUNT", ".spec.accountId"),
        PrinterColumn("REGION", ".spec.region"),
        READY,
        PrinterColumn("USED-BY", ".status.usedBy", "integer"),
        AGE,
    ),
)
CDN_DISTRIBUTION = Kind(
    name="CdnDistribution",
    plural="cdndistributions",
    singular="cdndistribution",
    short_names=("cdn",),
    scope="Namespaced",
    model=CdnDistribution,
    columns=RESOURCE_COLUMNS,
)
CACHE_CLUSTER = Kind(
    name="CacheCluster",
    plural="cacheclusters",
    singular="cachecluster",
    short_names=("cache",),
    scope="Namespaced",
    model=CacheCluster,
    columns=(
        *RESOURCE_COLUMNS[:2],
        PrinterColumn("VERIFIED", _condition("Verified")),
        *RESOURCE_COLUMNS[2:],
        PrinterColumn("PROFILE", ".spec.profile", priority=1),
        PrinterColumn("ENGINE", ".spec.engine", priority=1),
    ),
)
PERF_ALARM_SET = Kind(
    name="PerfAlarmSet",
    plural="perfalarmsets",
    singular="perfalarmset",
    short_names=("pas",),
    scope="Namespaced",
    model=PerfAlarmSet,
    columns=(
        *RESOURCE_COLUMNS[:3],
        PrinterColumn("ALARMS", ".status.alarms.total", "integer"),
        PrinterColumn("FIRING", ".status.alarms.alarm", "integer"),
        *RESOURCE_COLUMNS[4:],
    ),
)

KINDS: tuple[Kind, ...] = (AWS_ACCOUNT, CACHE_CLUSTER, CDN_DISTRIBUTION, PERF_ALARM_SET)


def kind_of(api_version: str, kind: str) -> Kind | None:
    """The kind that a manifest's apiVersion and kind name, if it is one of ours."""
    if api_version != API_VERSION:
        return None
    return next((known for known in KINDS if known.name == kind), None)


__all__ = ["AWS_ACCOUNT", "CACHE_CLUSTER", "CDN_DISTRIBUTION", "GROUP", "KINDS", "PERF_ALARM_SET", "VERSION", "Kind", "PrinterColumn", "kind_of"]

"""What the operator writes into `status` of every kind.

No length is bounded here: a status refused by its own schema would tell nobody anything. The writer keeps the whole below 64 KiB.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge
from pydantic import ConfigDict, Field

from securebase.api.base import ApiModel, Atomic, ListMap

Count = Annotated[int, Ge(0)]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]

ResourceState = Literal["READY", "PENDING", "FAILED", "WAITING", "HELD", "ABSENT", "RETAINED"]
Impact = Literal["ONLINE", "DISRUPTIVE", "REPLACE", "PROTECTION_LOSS"]


class StatusModel(ApiModel):
    """A status may have been written by another version: what this one does not know is passed over."""

    model_config = ConfigDict(extra="ignore")


class Condition(StatusModel):
    """One observation about the object, as kstatus reads it."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    last_transition_time: Timestamp
    observed_generation: Count | None = None


class ResourceStatus(StatusModel):
    """One resource that the object is made of."""

    id: str
    """Name of the resource within the object."""
    type: str | None = None
    external_id: str | None = None
    """Identity given by the outside."""
    region: str | None = None
    """Where it lives, when not in the object's region."""
    role: Literal["OWNED", "SHARED", "EXTERNAL"] | None = None
    """Whose it is; the object's own when omitted."""
    guards: bool | None = None
    """Its removal takes data or traffic away."""
    state: ResourceState
    reason: str | None = None
    message: str | None = None
    drift: Annotated[tuple[str, ...], Atomic()] = ()
    """Paths that somebody changed outside."""
    wave: Count | None = None
    """Position in the order of dependencies."""
    applied: str | None = None
    """Compact memory of what was last written."""
    incarnation: Count | None = None
    """Rises when a thing known gone is made again."""
    snapshot: str | None = None
    """Name of the snapshot that its replacement starts from."""
    retired_at: Count | None = None
    """Unix seconds at which its successor, and all who use that, were ready."""
    checked_at: Timestamp | None = None


class PlannedChange(StatusModel):
    """One field that would change."""

    resource: str
    path: str
    have: str | None = None
    want: str | None = None
    impact: Impact


class PlanStatus(StatusModel):
    """Changes that wait for approval or the window."""

    hash: str
    """Write it into the annotation securebase.io/approve to approve exactly this plan, once."""
    impact: Impact | None = None
    changes: Annotated[tuple[PlannedChange, ...], Atomic()] = ()
    approved: bool | None = None


class Acknowledged(StatusModel):
    """The last token of each annotation that was acted upon."""

    refresh: str | None = None
    invalidate: str | None = None
    rotate: str | None = None
    approve: str | None = None


class CostStatus(StatusModel):
    """What the object costs, from the dated price book."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})

    monthly_usd: str | None = None
    """What is certain to be charged a month; unknown when omitted. Less than the whole where `missing` or `byUse` name something."""
    as_of: Annotated[str, Field(json_schema_extra={"format": "date"})] | None = None
    """Date of the oldest price in it."""
    missing: Annotated[tuple[str, ...], Atomic()] = ()
    """Parts whose price is unknown."""
    by_use: Annotated[tuple[str, ...], Atomic()] = ()
    """What is charged by use, which is not in it."""


class SloStatus(StatusModel):
    """How the objectives stand, rounded."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})

    measured_at: Timestamp | None = None


class ResourceStatusBlock(StatusModel):
    """What every namespaced kind reports."""

    observed_generation: Count | None = None
    """The generation of the spec that this status speaks of."""
    conditions: Annotated[tuple[Condition, ...], ListMap("type")] = ()
    account: str | None = None
    region: str | None = None
    resources: Annotated[tuple[ResourceStatus, ...], Atomic()] = ()
    """Resources that are not ready or drift in full, the others as far as there is room."""
    resource_counts: dict[str, int] = Field(default_factory=dict)
    """How many resources are in which state."""
    omitted: dict[str, int] = Field(default_factory=dict)
    """How many resources of a type and region found no room in the list; they are found again by identity."""
    drifted_fields: Count | None = None
    """How many paths differ from what was applied."""
    plan: PlanStatus | None = None
    outputs: dict[str, str] = Field(default_factory=dict)
    """What others want to know about the outside: ids, names, addresses."""
    acknowledged: Acknowledged | None = None
    cost: CostStatus | None = None
    slo: SloStatus | None = None


def parse_status(document: dict[str, Any] | None) -> ResourceStatusBlock:
    """The status of an object as it was read; an empty one where there is none yet."""
    return ResourceStatusBlock.model_validate(document or {})


__all__ = [
    "Acknowledged",
    "Condition",
    "CostStatus",
    "Count",
    "Impact",
    "PlanStatus",
    "PlannedChange",
    "ResourceState",
    "ResourceStatus",
    "ResourceStatusBlock",
    "SloStatus",
    "StatusModel",
    "Timestamp",
    "parse_status",
]

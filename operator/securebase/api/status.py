"""What the operator writes into `status` of every kind."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, MaxLen
from pydantic import ConfigDict, Field, StringConstraints

from securebase.api.base import ApiModel, Atomic, ListMap, ListSet, MapBounds

Short = Annotated[str, StringConstraints(max_length=253)]
Text = Annotated[str, StringConstraints(max_length=2048)]
Count = Annotated[int, Ge(0)]
Timestamp = Annotated[str, StringConstraints(max_length=32), Field(json_schema_extra={"format": "date-time"})]

ResourceState = Literal["READY", "PENDING", "FAILED", "WAITING", "ABSENT", "RETAINED"]
Impact = Literal["ONLINE", "DISRUPTIVE", "REPLACE", "PROTECTION_LOSS"]


class StatusModel(ApiModel):
    """A status may have been written by another version: what this one does not know is passed over."""

    model_config = ConfigDict(extra="ignore")


class Condition(StatusModel):
    """One observation about the object, as kstatus reads it."""

    type: Annotated[str, StringConstraints(max_length=64)]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, StringConstraints(max_length=128)]
    message: Annotated[str, StringConstraints(max_length=8192)] = ""
    last_transition_time: Timestamp
    observed_generation: Count | None = None


class ResourceStatus(StatusModel):
    """One resource that the object is made of."""

    id: Short
    """Name of the resource within the object."""
    type: Short | None = None
    external_id: Text | None = None
    """Identity given by the outside."""
    state: ResourceState
    reason: Short | None = None
    message: Text | None = None
    drift: Annotated[tuple[Short, ...], MaxLen(64), Atomic()] = ()
    """Paths that somebody changed outside."""
    wave: Count | None = None
    """Position in the order of dependencies."""
    applied: Text | None = None
    """Compact memory of what was last written."""
    incarnation: Count | None = None
    """Rises when a thing known gone is made again."""
    checked_at: Timestamp | None = None


class PlannedChange(StatusModel):
    """One field that would change."""

    resource: Short
    path: Short
    have: Text | None = None
    want: Text | None = None
    impact: Impact


class PlanStatus(StatusModel):
    """Changes that wait for approval or the window."""

    hash: Annotated[str, StringConstraints(max_length=64)]
    """Write it into the annotation securebase.io/approve to approve exactly this plan, once."""
    impact: Impact | None = None
    changes: Annotated[tuple[PlannedChange, ...], MaxLen(50), Atomic()] = ()
    approved: bool | None = None


class Acknowledged(StatusModel):
    """The last token of each annotation that was acted upon."""

    refresh: Short | None = None
    invalidate: Text | None = None
    approve: Short | None = None


class CostStatus(StatusModel):
    """What the object costs, from the dated price book."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})

    monthly_usd: Annotated[str, StringConstraints(max_length=32)] | None = None
    measured_at: Timestamp | None = None


class SloStatus(StatusModel):
    """How the objectives stand, rounded."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})

    measured_at: Timestamp | None = None


class ResourceStatusBlock(StatusModel):
    """What every namespaced kind reports."""

    observed_generation: Count | None = None
    """The generation of the spec that this status speaks of."""
    conditions: Annotated[tuple[Condition, ...], MaxLen(16), ListMap("type")] = ()
    account: Annotated[str, StringConstraints(max_length=12)] | None = None
    region: Annotated[str, StringConstraints(max_length=32)] | None = None
    resources: Annotated[tuple[ResourceStatus, ...], MaxLen(500), ListMap("id")] = ()
    """Resources that are not ready or drift in full, the others as far as there is room."""
    resource_counts: Annotated[dict[str, int], Field(max_length=16)] = Field(default_factory=dict)
    """How many resources are in which state."""
    drifted_fields: Count | None = None
    """How many paths differ from what was applied."""
    plan: PlanStatus | None = None
    outputs: Annotated[dict[str, str], MapBounds(max_properties=32, value=2048)] = Field(default_factory=dict)
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
    "Impact",
    "ListSet",
    "PlanStatus",
    "PlannedChange",
    "ResourceState",
    "ResourceStatus",
    "ResourceStatusBlock",
    "SloStatus",
    "parse_status",
]

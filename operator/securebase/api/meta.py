"""What all kinds share: group and version, references, the policy of an object, and the base of every spec."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import MaxLen
from pydantic import ConfigDict, Field, StringConstraints

from securebase.api.base import ApiModel, ListSet, MapBounds, Rule, Rules, Transition
from securebase.api.scalars import Duration, ObjectName, Region, Window

__all__ = [
    "API_VERSION",
    "GROUP",
    "VERSION",
    "AccountRef",
    "Duration",
    "KubernetesObject",
    "ObjectMeta",
    "Policy",
    "ResourceSpec",
    "SecretKeyRef",
    "Tags",
    "Window",
    "tag_rule",
]

GROUP = "securebase.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

SHORTEST_INTERVAL_SECONDS = 10

# AWS allows 50 tags on most resources; the rest is the operator's own.
Tags = Annotated[dict[str, str], MapBounds(max_properties=40, value=256)]


def tag_rule(field: str) -> Rule:
    """Tags that AWS or the operator keeps for itself."""
    reserved = ("aws:", "securebase.io/")
    return Rule(
        cel=f"!has(self.{field}) || self.{field}.all(key, size(key) <= 128 && !key.startsWith('aws:') && !key.startsWith('securebase.io/'))",
        holds=lambda spec: all(len(key) <= 128 and not key.startswith(reserved) for key in getattr(spec, "tags" if field == "tags" else "default_tags")),
        message=f"{field}: a key has at most 128 characters and starts neither with aws: (kept by AWS) nor securebase.io/ (kept by the operator)",
        field=f".{field}",
    )


class AccountRef(ApiModel):
    """Names the AwsAccount to work in."""

    name: ObjectName
    """Name of the cluster-scoped AwsAccount."""


class SecretKeyRef(ApiModel):
    """One key of a Secret in the object's namespace."""

    name: ObjectName
    """Name of the Secret."""
    key: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """Key within the Secret."""


class Policy(ApiModel):
    """How far the operator may go with this object, and when."""

    mode: Literal["Enforce", "Observe", "Paused"] = "Enforce"
    """Enforce repairs drift. Observe never writes and reports drift. Paused does not even read."""
    adopt: Literal["Never", "IfOwned", "Always"] = "IfOwned"
    """Whether an existing resource of the same name is taken over: never, if it carries exactly this identity, or if nobody owns it."""
    on_delete: Literal["Delete", "Retain", "Snapshot"] | None = None
    """What becomes of the outside when the object is deleted. The kind decides if omitted."""
    deletion_protection: bool | None = None
    """While true, deletion waits and says why."""
    changes: Literal["Auto", "Approve", "Window"] = "Auto"
    """When disruptive changes happen: at once, after approval, or in the window. Replacement and loss of protection always need approval."""
    window: Window | None = None
    """Weekly window in UTC, like sun:03:00-sun:05:00."""
    ignore: Annotated[tuple[Annotated[str, StringConstraints(min_length=1, max_length=253)], ...], MaxLen(64), ListSet()] = ()
    """Paths left to somebody else, like distribution.comment."""
    interval: Duration = Duration("60s")
    """How often the outside is compared with the spec."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="self.?changes.orValue('Auto') != 'Window' || has(self.window)",
            holds=lambda policy: policy.changes != "Window" or policy.window is not None,
            message="policy.window is required with changes: Window; give one like sun:03:00-sun:05:00 (UTC)",
            field=".window",
        ),
        Rule(
            cel="!has(self.window) || self.window.substring(0, 9) != self.window.substring(10)",
            holds=lambda policy: policy.window is None or policy.window[:9] != policy.window[10:],
            message="policy.window starts and ends at the same time; an empty window never opens, give it a length",
            field=".window",
        ),
        Rule(
            cel=f"!has(self.interval) || !self.interval.matches('^[0-9]s$') || int(self.interval.substring(0, 1)) >= {SHORTEST_INTERVAL_SECONDS}",
            holds=lambda policy: policy.interval.seconds >= SHORTEST_INTERVAL_SECONDS,
            message=f"policy.interval must be at least {SHORTEST_INTERVAL_SECONDS}s: AWS throttles whoever reads more often",
            field=".interval",
        ),
    )


class ResourceSpec(ApiModel):
    """What every namespaced kind has besides its own fields."""

    account_ref: AccountRef | None = None
    """The AwsAccount to work in: the one named default if omitted, else the ambient credentials."""
    region: Region | None = None
    """Region to work in; the account's if omitted."""
    tags: Tags = Field(default_factory=dict)
    """Tags of every resource made for this object, over the account's default tags."""
    policy: Policy = Field(default_factory=Policy)
    """How far the operator may go with this object, and when."""

    rules: ClassVar[Rules] = (
        tag_rule("tags"),
        Transition(
            cel="has(self.region) == has(oldSelf.region) && (!has(self.region) || self.region == oldSelf.region)",
            holds=lambda old, new: old.region == new.region,
            message="region cannot be changed: what exists would be left behind; make a second object and delete this one",
            field=".region",
        ),
        Transition(
            cel="""(has(self.accountRef) ? self.accountRef.name : 'default')
                == (has(oldSelf.accountRef) ? oldSelf.accountRef.name : 'default')""",
            holds=lambda old, new: _account_name(old) == _account_name(new),
            message="accountRef cannot be changed: what exists would be left behind; make a second object and delete this one",
            field=".accountRef",
        ),
    )


def _account_name(spec: ResourceSpec) -> str:
    return spec.account_ref.name if spec.account_ref else "default"


class ObjectMeta(ApiModel):
    """The part of Kubernetes' metadata that the operator reads; the rest is the API server's business."""

    model_config = ConfigDict(extra="ignore")

    name: str
    namespace: str | None = None
    uid: str | None = None
    generation: int | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class KubernetesObject(ApiModel):
    """An object as the API server keeps it; each kind adds its spec and status."""

    api_version: Literal["securebase.io/v1alpha1"] = "securebase.io/v1alpha1"
    kind: str
    metadata: ObjectMeta

    rules: ClassVar[Rules] = (
        Rule(
            cel="size(self.metadata.name) <= 63",
            holds=lambda thing: len(thing.metadata.name) <= 63,
            message="metadata.name has more than 63 characters and cannot be a label; choose a shorter name",
        ),
    )

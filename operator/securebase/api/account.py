"""AwsAccount: where objects live in AWS, with which role, and which namespaces may use it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import MaxLen, MinLen
from pydantic import Field, StringConstraints

from securebase.api.base import ApiModel, ListMap, ListSet, Matches, Rule, Rules, Transition
from securebase.api.meta import KubernetesObject, Tags, tag_rule
from securebase.api.scalars import AccountId, Region
from securebase.api.status import Condition, Count, StatusModel

RoleArn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2048),
    Matches(r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$", "roleArn must be the ARN of an IAM role: arn:aws:iam::123456789012:role/securebase"),
]
Namespace = Annotated[
    str,
    StringConstraints(min_length=1, max_length=63),
    Matches(r"^(\*|[a-z0-9]([a-z0-9-]*[a-z0-9])?)$", "a namespace is its name, or '*' for every one"),
]


class AwsAccountSpec(ApiModel):
    """One AWS account and the way in."""

    account_id: AccountId
    """The account that is meant. Credentials of any other account are refused."""
    region: Region
    """Region of objects that name none."""
    role_arn: RoleArn | None = None
    """Role to assume; the operator's own credentials if omitted."""
    external_id: Annotated[str, StringConstraints(min_length=2, max_length=1224)] | None = None
    """External id that the role's trust policy asks for."""
    endpoint_url: (
        Annotated[
            str,
            StringConstraints(max_length=2048),
            Matches(r"^https?://[^/ ]+/?$", "endpointUrl is a scheme, a host and a port, without a path: https://aws.internal:4566"),
        ]
        | None
    ) = None
    """Endpoint of every AWS service instead of AWS's own, for an emulator or a gateway."""
    default_tags: Tags = Field(default_factory=dict)
    """Tags of everything made in this account."""
    allowed_namespaces: Annotated[tuple[Namespace, ...], MinLen(1), MaxLen(256), ListSet()]
    """Namespaces whose objects may use the account; '*' for every one. Checked at every pass."""

    rules: ClassVar[Rules] = (
        tag_rule("defaultTags"),
        Rule(
            cel="!has(self.roleArn) || self.roleArn.contains('::' + self.accountId + ':role/')",
            holds=lambda spec: spec.role_arn is None or f"::{spec.account_id}:role/" in spec.role_arn,
            message="roleArn belongs to another account than accountId; name the role of this account",
            field=".roleArn",
        ),
        Rule(
            cel="!has(self.externalId) || has(self.roleArn)",
            holds=lambda spec: spec.external_id is None or spec.role_arn is not None,
            message="externalId is only used to assume a role; add roleArn or remove externalId",
            field=".externalId",
        ),
        Transition(
            cel="self.accountId == oldSelf.accountId",
            holds=lambda old, new: old.account_id == new.account_id,
            message="accountId cannot be changed: what exists would be left behind; make another AwsAccount",
            field=".accountId",
        ),
    )

    def allows(self, namespace: str) -> bool:
        """Whether objects of the namespace may use the account."""
        return "*" in self.allowed_namespaces or namespace in self.allowed_namespaces


class AwsAccountStatus(StatusModel):
    """Whether the account can be used."""

    observed_generation: Count | None = None
    conditions: Annotated[tuple[Condition, ...], ListMap("type")] = ()
    caller_arn: str | None = None
    """Who AWS says the operator is."""
    used_by: Count | None = None
    """How many objects use the account; while any does, it cannot be deleted."""


class AwsAccount(KubernetesObject):
    """An AWS account that objects can name."""

    kind: Literal["AwsAccount"] = "AwsAccount"
    spec: AwsAccountSpec
    status: AwsAccountStatus | None = None

"""The driver of invalidations: requests to forget cached paths, made once and never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, State, Target
from securebase.core.errors import ReconcileError, Terminal, Waiting
from securebase.resources.cloudfront.distribution_config import Raw, items, quantity
from securebase.resources.cloudfront.model import Invalidation

_REMEMBERED: Final = 1_000


class InvalidationDriver:
    """Invalidations of one account. The external id is `<distribution>/<invalidation>`: CloudFront finds them only together.

    READY is completed; then it is not read any more. Without a recorded id it counts as absent: `create` with the same token gives
    the one that an earlier try made.
    """

    type: ClassVar[str] = "cloudfront/invalidation"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._completed: dict[str, Invalidation] = {}

    def observe(self, targets: Sequence[Target[Invalidation]], depth: Depth) -> Mapping[Key, Answer]:
        """One read for each that is known and was not completed when last seen."""
        return {target.key: self._answer(target) if target.external_id else None for target in targets}

    def _answer(self, target: Target[Invalidation]) -> Answer:
        if done := self._completed.get(target.external_id):
            return Observed(target.external_id, done, owner=target.owner)
        distribution, _, id = target.external_id.partition("/")
        try:
            answer = self._aws.attempt("cloudfront", "get_invalidation", ("NoSuchInvalidation", "NoSuchDistribution"), DistributionId=distribution, Id=id)
        except ReconcileError as error:
            return error
        return None if isinstance(answer, Refusal) else self._observed(target, distribution, answer["Invalidation"])

    def _observed(self, target: Target[Invalidation], distribution: str, found: Raw) -> Observed[Invalidation]:
        batch = found["InvalidationBatch"]
        value = Invalidation(distribution, frozenset(items(batch["Paths"])), batch["CallerReference"])
        external_id = f"{distribution}/{found['Id']}"
        done = found["Status"] == "Completed"
        if done:
            self._completed = dict([*self._completed.items(), (external_id, value)][-_REMEMBERED:])
        return Observed(
            external_id,
            value,
            State.READY if done else State.PENDING,
            "" if done else "InProgress",
            "" if done else "CloudFront is forgetting the paths at its edges",
            owner=target.owner,
        )

    def create(self, target: Target[Invalidation], token: str) -> Observed[Invalidation]:
        """Ask for it. The CallerReference is the token of the request, not of the incarnation: asked twice, done once."""
        desired = target.want()
        batch: dict[str, Any] = {"Paths": quantity(sorted(desired.paths)), "CallerReference": desired.token}
        answer = self._aws.attempt(
            "cloudfront",
            "create_invalidation",
            ("TooManyInvalidationsInProgress", "InvalidationBatchAlreadyExists", "BatchTooLarge"),
            DistributionId=desired.distribution_id,
            InvalidationBatch=batch,
        )
        if not isinstance(answer, Refusal):
            return self._observed(target, desired.distribution_id, answer["Invalidation"])
        match answer.code:
            case "TooManyInvalidationsInProgress":
                raise Waiting(answer.code, "CloudFront is busy with as many invalidations as it takes at a time", 30.0)
            case "InvalidationBatchAlreadyExists":
                raise Terminal(answer.code, f"the token {desired.token} was used for other paths of this distribution; take a new one")
            case _:
                raise Terminal(answer.code, f"too many paths in one request, or in progress: {answer.message}")

    def update(self, target: Target[Invalidation], observed: Observed[Invalidation], changes: Sequence[Change]) -> Observed[Invalidation]:
        """Never: every field means another request."""
        raise Terminal("Immutable", f"invalidation {observed.external_id} cannot be changed")

    def delete(self, target: Target[Invalidation], observed: Observed[Invalidation]) -> Observed[Invalidation] | None:
        """Nothing stays behind that could be deleted."""
        self._completed.pop(observed.external_id, None)
        return None

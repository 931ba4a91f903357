"""The driver of monitoring subscriptions: the additional metrics of a distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, Target
from securebase.core.errors import ReconcileError, Transient, Waiting
from securebase.core.graph import references
from securebase.resources.cloudfront.model import MonitoringSubscription
from securebase.resources.listing import LAG_SECONDS, Turns

_GONE: Final = ("NoSuchMonitoringSubscription", "NoSuchDistribution")


class MonitoringSubscriptionDriver:
    """One for each distribution, known by its id. No list returns them: a sweep reads a twentieth of them in turn."""

    type: ClassVar[str] = "cloudfront/monitoring-subscription"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._turns: Turns[str, MonitoringSubscription | ReconcileError | None] = Turns(clock, share=0.05)
        self._created: dict[str, float] = {}

    def observe(self, targets: Sequence[Target[MonitoringSubscription]], depth: Depth) -> Mapping[Key, Answer]:
        """One read each; in a sweep for those whose turn it is."""
        wanted = {target.key: id for target in targets if (id := _distribution(target))}
        if depth is Depth.FRESH:
            read = {id: (self._read(id), 0.0) for id in dict.fromkeys(wanted.values())}
        else:
            round = self._turns.round(wanted.values(), lambda ids: {id: self._read(id) for id in ids})
            read = {id: (turn.value, turn.at) for id, turn in round.items()}
        answers: dict[Key, Answer] = {target.key: None for target in targets}
        for target in targets:
            if target.key in wanted:
                value, at = read[wanted[target.key]]
                answers[target.key] = _observation(target, value, at) if isinstance(value, MonitoringSubscription) else value
        return answers

    def _read(self, id: str) -> MonitoringSubscription | ReconcileError | None:
        try:
            answer = self._aws.attempt("cloudfront", "get_monitoring_subscription", _GONE, DistributionId=id)
        except ReconcileError as error:
            return error
        value = None if isinstance(answer, Refusal) else _value(id, answer)
        if value is None and self._clock() - self._created.get(id, float("-inf")) < LAG_SECONDS:
            return Waiting("NotVisibleYet", f"the subscription of {id} was just made and cannot be read yet", 5.0)
        self._turns.put(id, value)
        return value

    def create(self, target: Target[MonitoringSubscription], token: str) -> Observed[MonitoringSubscription]:
        """Switch the metrics on, or off; the same call does both and may be repeated."""
        desired = target.want()
        status = "Enabled" if desired.enabled else "Disabled"
        answer = self._aws.attempt(
            "cloudfront",
            "create_monitoring_subscription",
            ("NoSuchDistribution", "MonitoringSubscriptionAlreadyExists"),
            DistributionId=desired.distribution_id,
            MonitoringSubscription={"RealtimeMetricsSubscriptionConfig": {"RealtimeMetricsSubscriptionStatus": status}},
        )
        if isinstance(answer, Refusal):
            if answer.code == "NoSuchDistribution":
                raise Transient("NoSuchDistribution", answer.message)
            answer = self._aws.call("cloudfront", "get_monitoring_subscription", DistributionId=desired.distribution_id)
        value = _value(desired.distribution_id, answer)
        self._created[desired.distribution_id] = self._clock()
        self._turns.put(desired.distribution_id, value)
        return _observation(target, value, 0.0)

    def update(
        self, target: Target[MonitoringSubscription], observed: Observed[MonitoringSubscription], changes: Sequence[Change]
    ) -> Observed[MonitoringSubscription]:
        """There is no call for a change: the subscription is taken away and made again. No metric already published is lost by it."""
        self.delete(target, observed)
        return self.create(replace(target, external_id=""), "")

    def delete(self, target: Target[MonitoringSubscription], observed: Observed[MonitoringSubscription]) -> Observed[MonitoringSubscription] | None:
        """Unsubscribe."""
        self._aws.attempt("cloudfront", "delete_monitoring_subscription", _GONE, DistributionId=observed.external_id)
        self._created.pop(observed.external_id, None)
        self._turns.put(observed.external_id, None)
        return None


def _distribution(target: Target[MonitoringSubscription]) -> str:
    """The distribution's id; "" as long as it is not known."""
    id = target.external_id or (target.desired.distribution_id if target.desired else "")
    return "" if any(references(id)) else id


def _value(id: str, answer: Mapping[str, Any]) -> MonitoringSubscription:
    config = answer["MonitoringSubscription"].get("RealtimeMetricsSubscriptionConfig", {})
    return MonitoringSubscription(id, config.get("RealtimeMetricsSubscriptionStatus") == "Enabled")


def _observation(target: Target[MonitoringSubscription], value: MonitoringSubscription, at: float) -> Observed[MonitoringSubscription]:
    """It has no tags, and belongs to whom its distribution belongs."""
    return Observed(external_id=value.distribution_id, value=value, owner=target.owner, checked_at=at)

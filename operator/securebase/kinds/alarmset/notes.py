"""What a person should know of a set that is made all the same: whom maintenance does not hold, and what would be refused once a distribution is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from securebase.api.alarmset import Maintenance, Notification, PerfAlarmSetSpec, Target
from securebase.core.errors import Terminal
from securebase.kinds.alarmset.alarms import foreseen_severities, of_service
from securebase.kinds.alarmset.composites import composite_id
from securebase.kinds.alarmset.names import CDN_REGION, target_id

_CLOCK_SECONDS: Final = 60
_NAMED: Final = 10
"""Of a kind; the status has little room."""

Attributes = Mapping[str, Mapping[str, str]]


def notes(spec: PerfAlarmSetSpec, attributes: Attributes) -> Iterator[str]:
    """Sentences, from the spec and what was observed."""
    if spec.maintenance is not None:
        yield from _not_held(spec, spec.maintenance)
    if not _at_home_there(spec, attributes):
        away = [target for target in spec.targets if target.type == "CloudFront" and not _is_there(target, attributes)]
        for target in away[:_NAMED]:
            yield from _foreseen(spec, target)


def _not_held(spec: PerfAlarmSetSpec, maintenance: Maintenance) -> Iterator[str]:
    if alone := sorted({target.service for target in spec.targets if not of_service(spec, target.service)}):
        yield f"maintenance holds composites only, and services {', '.join(alone[:_NAMED])} have none: their alarms tell during it too"
    if maintenance.windows and spec.policy.interval.seconds > _CLOCK_SECONDS:
        yield (
            f"windows of maintenance hold only while somebody calls DescribeAlarms every minute, which sweeps every {spec.policy.interval} do not: "
            "make policy.interval 1m or shorter, or give a suppressorAlarm, unless another object or tool makes these calls"
        )


def _at_home_there(spec: PerfAlarmSetSpec, attributes: Attributes) -> bool:
    """Whether the distributions' region is the set's own, where nothing special has to be given for them."""
    if spec.region is not None:
        return spec.region == CDN_REGION
    arns = [known.get("arn", "") for node, known in attributes.items() if node.startswith(("alarm-", "composite-"))]
    regions = {region for arn in arns for region in arn.split(":")[3:4]}
    return regions <= {CDN_REGION}


def _is_there(target: Target, attributes: Attributes) -> bool:
    if target.name is not None:
        return attributes.get(target_id(target.id), {}).get("exists") == "true"
    composite, alarms = composite_id(target.service, "critical"), f"alarm-{target.id}_"
    return any(node.startswith(alarms) or (node.startswith(f"{composite}_") and node.endswith("_use1")) for node in attributes)


def _foreseen(spec: PerfAlarmSetSpec, target: Target) -> Iterator[str]:
    when = f"once targets[{target.id}] is there"
    try:
        severities = foreseen_severities(spec, target)
    except Terminal as why:
        yield f"{when}: {why.message}"
        return
    silent = [told for told in spec.notifications if told.severity in severities and not _tells_there(told)]
    for told in silent:
        yield f"{when}, notifications[{told.severity}] needs a topic of {CDN_REGION} in topicArns, or createTopic (encrypted: with usEast1KmsKeyArn)"
    held = spec.maintenance
    if held is not None and held.suppressor_alarm is not None and held.us_east1_suppressor_alarm is None and of_service(spec, target.service):
        yield f"{when}, maintenance needs usEast1SuppressorAlarm, or windows"


def _tells_there(told: Notification) -> bool:
    if any(arn.split(":")[3] == CDN_REGION for arn in told.topic_arns):
        return True
    made = told.create_topic
    return made is not None and (not made.kms_key_arn or bool(made.us_east1_kms_key_arn))

"""Changes by somebody else, one for each class of field, and how soon the operator's repair reaches AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from bench.results import Figure
from bench.stage import Running, say

LONGEST = 600.0
"""Seconds after which a change counts as never seen."""


@dataclass(frozen=True, slots=True)
class Target:
    """One object's AWS side, as somebody at the console knows it."""

    running: Running
    resources: dict[str, str] = field(default_factory=dict)

    def aws(self, service: str) -> Any:
        return self.running.aws(service)

    @property
    def distribution(self) -> str:
        return self.resources["distribution"]

    @property
    def arn(self) -> str:
        return f"arn:aws:cloudfront::{self.running.account}:distribution/{self.distribution}"

    def external(self, beginning: str) -> str:
        """External id of the first resource whose id begins so."""
        return next(external for name, external in sorted(self.resources.items()) if name.startswith(beginning))


@dataclass(frozen=True, slots=True)
class Class:
    """A class of fields: how somebody changes one, and whether it stands as wanted again."""

    name: str
    change: Callable[[Target], None]
    repaired: Callable[[Target], bool]
    shared: bool = False
    """Whether all objects use the same one, so that there is one sample."""


def run(running: Running, objects: int, samples: int, classes: Sequence[Class]) -> list[Figure]:
    """Every class on objects of its own, all changed within some seconds of each other."""
    chosen: list[tuple[Class, int]] = []
    for drifting in classes:
        chosen += [(drifting, len(chosen) + at) for at in range(1 if drifting.shared else samples)]
    spread = objects / max(1, len(chosen))
    for service in ("cloudfront", "cloudwatch", "s3"):
        running.aws(service)  # boto3 makes clients in one thread at a time only
    with ThreadPoolExecutor(max(1, len(chosen))) as pool:
        jobs = [pool.submit(_detection, drifting, _target(running, int(number * spread) % objects)) for drifting, number in chosen]
        found: dict[str, list[float]] = {}
        for (drifting, _), job in zip(chosen, jobs, strict=True):
            found.setdefault(drifting.name, []).append(job.result())
    say(f"  seconds to the repair: { {name: [round(each, 1) for each in waits] for name, waits in found.items()} }")
    worst = max(found, key=lambda name: max(found[name]))
    figures = [Figure(f"drift_detection_s[{name}]", round(max(waits), 1), "s") for name, waits in found.items()]
    return [*figures, Figure("drift_detection_s_worst", round(max(found[worst]), 1), f"s ({worst})"), Figure("drift_samples_per_class", samples, "objects")]


def _target(running: Running, number: int) -> Target:
    entries = running.get(number)["status"]["resources"]
    return Target(running, {entry["id"]: entry.get("externalId", "") for entry in entries})


def _detection(drifting: Class, target: Target) -> float:
    """Seconds from the change until AWS holds what is wanted again: seeing it and repairing it."""
    drifting.change(target)
    started = time.monotonic()
    if drifting.repaired(target):
        raise RuntimeError(f"the change of {drifting.name} changed nothing")
    while not drifting.repaired(target):
        if time.monotonic() - started > LONGEST:
            raise TimeoutError(f"nobody repaired {drifting.name} within {LONGEST:.0f} s")
        time.sleep(0.5)
    return time.monotonic() - started


# --- the classes


def _config(target: Target) -> Any:
    return target.aws("cloudfront").get_distribution_config(Id=target.distribution)


def _change_comment(target: Target) -> None:
    now = _config(target)
    config = {**now["DistributionConfig"], "Comment": "changed at the console"}
    target.aws("cloudfront").update_distribution(Id=target.distribution, IfMatch=now["ETag"], DistributionConfig=config)


def _change_tag(target: Target) -> None:
    target.aws("cloudfront").tag_resource(Resource=target.arn, Tags={"Items": [{"Key": "team", "Value": "nobody"}]})


def _tag(target: Target) -> bool:
    tags = target.aws("cloudfront").list_tags_for_resource(Resource=target.arn)["Tags"]["Items"]
    return {"Key": "team", "Value": "web"} in tags


def _alarm(target: Target) -> Any:
    return target.aws("cloudwatch").describe_alarms(AlarmNames=[target.external("alarm-5xx")])["MetricAlarms"][0]


def _change_alarm(target: Target) -> None:
    now = _alarm(target)
    kept = ("AlarmName", "Namespace", "MetricName", "Dimensions", "Statistic", "Period", "EvaluationPeriods", "ComparisonOperator", "TreatMissingData")
    target.aws("cloudwatch").put_metric_alarm(**{name: now[name] for name in kept}, Threshold=99.0)


def _change_alarm_tag(target: Target) -> None:
    target.aws("cloudwatch").tag_resource(ResourceARN=_alarm(target)["AlarmArn"], Tags=[{"Key": "team", "Value": "nobody"}])


def _alarm_tag(target: Target) -> bool:
    tags = target.aws("cloudwatch").list_tags_for_resource(ResourceARN=_alarm(target)["AlarmArn"])["Tags"]
    return {"Key": "team", "Value": "web"} in tags


def _delete_alarm(target: Target) -> None:
    target.aws("cloudwatch").delete_alarms(AlarmNames=[target.external("alarm-4xx")])


def _alarm_is_there(target: Target) -> bool:
    return bool(target.aws("cloudwatch").describe_alarms(AlarmNames=[target.external("alarm-4xx")])["MetricAlarms"])


def _switch_metrics_off(target: Target) -> None:
    target.aws("cloudfront").delete_monitoring_subscription(DistributionId=target.distribution)


def _metrics(target: Target) -> bool:
    cloudfront = target.aws("cloudfront")
    try:
        cloudfront.get_monitoring_subscription(DistributionId=target.distribution)
    except cloudfront.exceptions.NoSuchMonitoringSubscription:
        return False
    return True


def _bucket_policy(target: Target) -> tuple[str, str, Any]:
    bucket, _, sid = target.external("bucket-policy").partition("/")
    return bucket, sid, json.loads(target.aws("s3").get_bucket_policy(Bucket=bucket)["Policy"])


def _drop_statement(target: Target) -> None:
    bucket, sid, policy = _bucket_policy(target)
    policy["Statement"] = [statement for statement in policy["Statement"] if statement.get("Sid") != sid]
    target.aws("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def _statement(target: Target) -> bool:
    _, sid, policy = _bucket_policy(target)
    return any(statement.get("Sid") == sid for statement in policy["Statement"])


def _change_cache_policy(target: Target) -> None:
    cloudfront, id = target.aws("cloudfront"), target.external("cache-policy")
    now = cloudfront.get_cache_policy(Id=id)
    config = {**now["CachePolicy"]["CachePolicyConfig"], "MaxTTL": 31_536_001}
    cloudfront.update_cache_policy(Id=id, IfMatch=now["ETag"], CachePolicyConfig=config)


def _cache_policy(target: Target) -> bool:
    config = target.aws("cloudfront").get_cache_policy(Id=target.external("cache-policy"))["CachePolicy"]["CachePolicyConfig"]
    return bool(config["MaxTTL"] != 31_536_001)


def _change_function(target: Target) -> None:
    cloudfront, name = target.aws("cloudfront"), target.external("function")
    now = cloudfront.describe_function(Name=name, Stage="DEVELOPMENT")
    code = b"function handler(event) { return event.request; }"
    cloudfront.update_function(Name=name, IfMatch=now["ETag"], FunctionConfig=now["FunctionSummary"]["FunctionConfig"], FunctionCode=code)
    changed = cloudfront.describe_function(Name=name, Stage="DEVELOPMENT")
    cloudfront.publish_function(Name=name, IfMatch=changed["ETag"])


def _function(target: Target) -> bool:
    code = target.aws("cloudfront").get_function(Name=target.external("function"), Stage="LIVE")["FunctionCode"].read()
    return bool(code != b"function handler(event) { return event.request; }")


CLASSES: tuple[Class, ...] = (
    Class("distribution configuration", _change_comment, lambda target: _config(target)["DistributionConfig"]["Comment"] != "changed at the console"),
    Class("distribution tags", _change_tag, _tag),
    Class("alarm", _change_alarm, lambda target: _alarm(target)["Threshold"] != 99.0),
    Class("alarm deleted", _delete_alarm, _alarm_is_there),
    Class("alarm tags", _change_alarm_tag, _alarm_tag),
    Class("monitoring subscription", _switch_metrics_off, _metrics),
    Class("bucket policy statement", _drop_statement, _statement),
    Class("cache policy", _change_cache_policy, _cache_policy, shared=True),
    Class("function code", _change_function, _function, shared=True),
)
QUICK_CLASSES = CLASSES[:1]

"""CloudWatch at the lab: alarms, their history and dashboards are the lab's own (cloudwatch_*.py), metric data is ministack's.

CloudWatch API reference, PutMetricAlarm (Period, EvaluationPeriods, DatapointsToAlarm, actions) and "CloudWatch service quotas".
Alarms change their state by SetAlarmState, by what happens to a composite's children, or by a test's `transition`: nothing evaluates metric data.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from multidict import CIMultiDict

from lab.aws.context import Lab
from lab.aws.models.cloudwatch_alarms import Alarms
from lab.aws.models.cloudwatch_dashboards import Dashboards
from lab.aws.models.cloudwatch_detectors import AnomalyDetectors
from lab.aws.models.cloudwatch_maths import evaluate
from lab.aws.models.cloudwatch_state import COMPOSITE, METRIC, Alarm, Watch, records, start_of
from lab.aws.wire import AwsFault, Call, Reply, answer

DAY_S = 86_400
WEEK_S = 7 * DAY_S
# CloudWatch service quotas: "Alarms based on metric math expressions can have up to 10 metrics".
MOST_QUERIES, MOST_METRICS = 20, 10
_BAND_OPERATORS = ("LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold")
_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")
_METRIC_ONLY = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit")


def check_alarm(params: dict[str, Any], region: str) -> None:
    """Raises ValidationError for what PutMetricAlarm refuses."""
    maths = params.get("Metrics")
    statistics = [name for name in ("Statistic", "ExtendedStatistic") if params.get(name)]
    if not maths and (len(statistics) != 1 or not params.get("MetricName") or not params.get("Namespace")):
        raise AwsFault("ValidationError", "Exactly one of Statistic and ExtendedStatistic is needed, with MetricName and Namespace.")
    if maths and (named := [name for name in _METRIC_ONLY if params.get(name)]):
        raise AwsFault("ValidationError", f"Metrics cannot be used together with {', '.join(named)}.")
    if maths:
        _check_maths(maths, params.get("ThresholdMetricId", ""))
    if ("Threshold" in params) == bool(params.get("ThresholdMetricId")):
        raise AwsFault("ValidationError", "Exactly one of Threshold and ThresholdMetricId is needed.")
    if bool(params.get("ThresholdMetricId")) != (params["ComparisonOperator"] in _BAND_OPERATORS):
        raise AwsFault("ValidationError", f"ComparisonOperator {params['ComparisonOperator']} does not fit the threshold.")
    if params["EvaluationPeriods"] < params.get("DatapointsToAlarm", 1):
        raise AwsFault("ValidationError", "DatapointsToAlarm cannot be greater than EvaluationPeriods.")
    periods = [query["MetricStat"]["Period"] for query in maths if "MetricStat" in query] if maths else [params.get("Period", 0)]
    for period in periods:
        _check_period(period, params["EvaluationPeriods"])
    for name in _ACTIONS:
        _check_actions(name, params.get(name, []), region)
    if params.get("TreatMissingData", "missing") not in ("breaching", "notBreaching", "ignore", "missing"):
        raise AwsFault("ValidationError", "TreatMissingData must be breaching, notBreaching, ignore or missing.")


def _check_maths(maths: list[dict[str, Any]], band: str) -> None:
    """With an anomaly band, the metric and the band both return data (User Guide, "Create a CloudWatch alarm based on anomaly detection")."""
    if len(maths) > MOST_QUERIES:
        raise AwsFault("ValidationError", f"At most {MOST_QUERIES} elements are allowed in the metrics list.")
    if len({query["Id"] for query in maths}) != len(maths):
        raise AwsFault("ValidationError", "The Ids of the metrics list must be unique.")
    if sum("MetricStat" in query for query in maths) > MOST_METRICS:
        raise AwsFault("ValidationError", f"An alarm on a metric math expression can have at most {MOST_METRICS} metrics.")
    for query in maths:
        if ("Expression" in query) == ("MetricStat" in query):
            raise AwsFault("ValidationError", f"Exactly one of Expression and MetricStat is needed in {query['Id']}.")
    if sum(1 for query in maths if query.get("ReturnData", True)) != (2 if band else 1):
        raise AwsFault("ValidationError", "Exactly one element of the metrics list should return data, two with ThresholdMetricId.")
    if band and not any(query["Id"] == band and "ANOMALY_DETECTION_BAND" in query.get("Expression", "") for query in maths):
        raise AwsFault("ValidationError", f"ThresholdMetricId {band} must be an ANOMALY_DETECTION_BAND of the metrics list.")


def _check_period(period: int, evaluations: int) -> None:
    if period not in (10, 20, 30) and (period < 60 or period % 60):
        raise AwsFault("ValidationError", "The period must be 10, 20, 30 or a multiple of 60 seconds.")
    if period * evaluations > (WEEK_S if period >= 3600 else DAY_S):
        raise AwsFault(
            "ValidationError",
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400; 604800 for periods of an hour or more).",
        )


def _check_actions(name: str, arns: list[str], region: str) -> None:
    if len(arns) > 5:
        raise AwsFault("ValidationError", f"At most 5 {name} are allowed.")
    for arn in arns:
        parts = arn.split(":")
        if len(parts) < 6 or parts[0] != "arn":
            raise AwsFault("ValidationError", f"Invalid arn syntax: {arn}")
        if parts[2] == "sns" and parts[3] != region:
            raise AwsFault("ValidationError", f"Invalid region {parts[3]} specified. Only {region} is supported.")


class CloudWatch:
    services = frozenset({"cloudwatch"})

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.alarms = Alarms(lab)
        self.dashboards = Dashboards(lab)
        self._detectors = AnomalyDetectors()
        self._operations: dict[str, Callable[[Call, Watch], Awaitable[Reply | None]]] = {
            "PutMetricAlarm": self._put_metric,
            "PutCompositeAlarm": self._put_composite,
            "DescribeAlarms": self._describe,
            "DescribeAlarmsForMetric": self._for_metric,
            "DescribeAlarmHistory": self._history,
            "DeleteAlarms": self._delete,
            "SetAlarmState": self._set_state,
            "EnableAlarmActions": self._enable,
            "DisableAlarmActions": self._enable,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._tags,
            "GetMetricData": self._metric_data,
        }

    def reset(self) -> None:
        self.alarms.reset()
        self.dashboards.reset()
        self._detectors.reset()

    async def before(self, call: Call) -> Reply | None:
        if (made := self.dashboards.operation(call.operation)) is not None:
            return made(call)
        if (detect := self._detectors.operations.get(call.operation)) is not None:
            return answer(call, detect(call))
        operation = self._operations.get(call.operation)
        if operation is None:
            return None
        watch = self.alarms.watch(call.account, call.region)
        await self.alarms.settle(watch)
        return await operation(call, watch)

    async def after(self, call: Call, reply: Reply) -> Reply:
        return reply

    async def transition(self, account: str, region: str, name: str, state: str, reason: str = "by the lab", at: datetime | None = None) -> None:
        """The alarm changes its state by itself, now or at a time in the past."""
        watch = self.alarms.watch(account, region)
        await self.alarms.transition(watch, watch.alarms[name], state, reason, at=at)

    async def _put_metric(self, call: Call, watch: Watch) -> Reply:
        check_alarm(call.params, call.region)
        await self.alarms.put_metric(watch, call.params)
        self._detectors.of_alarm(call.account, call.region, call.params)
        return answer(call, {})

    async def _put_composite(self, call: Call, watch: Watch) -> Reply:
        for name in _ACTIONS:
            _check_actions(name, call.params.get(name, []), call.region)
        await self.alarms.put_composite(watch, call.params)
        return answer(call, {})

    async def _describe(self, call: Call, watch: Watch) -> Reply:
        params = call.params
        if params.get("AlarmNames") and params.get("AlarmNamePrefix"):
            raise AwsFault("ValidationError", "AlarmNamePrefix cannot be specified together with AlarmNames.")
        # A hundred names are answered at once (DescribeAlarms returns all that AlarmNames asks for, which are at most a hundred).
        size = records(params, 100 if params.get("AlarmNames") else 50)
        found = list(islice(self.alarms.chosen(watch, params, start_of(params)), size + 1))
        more = {"NextToken": f"after:{found[size - 1].name}"} if len(found) > size else {}
        kinds = {kind: [alarm for alarm in found[:size] if alarm.type == kind] for kind in (METRIC, COMPOSITE)}
        if call.protocol != "json":
            told = {f"{kind}s": [alarm.document for alarm in alarms] for kind, alarms in kinds.items()}
            return answer(call, told | more)
        lists = ",".join(f'"{kind}s":[{",".join(alarm.json() for alarm in alarms)}]' for kind, alarms in kinds.items())
        token = f',"NextToken":{json.dumps(more["NextToken"])}' if more else ""
        return Reply(200, f"{{{lists}{token}}}".encode(), CIMultiDict({"Content-Type": "application/x-amz-json-1.0"}))

    async def _for_metric(self, call: Call, watch: Watch) -> Reply:
        wanted = {name: call.params.get(name) for name in ("MetricName", "Namespace")}
        dimensions = call.params.get("Dimensions", [])
        found = [
            alarm.document
            for alarm in watch.alarms.values()
            if alarm.type == METRIC and {name: alarm.document.get(name) for name in wanted} == wanted and alarm.document.get("Dimensions") == dimensions
        ]
        return answer(call, {"MetricAlarms": found})

    async def _history(self, call: Call, watch: Watch) -> Reply:
        params = call.params
        types = params.get("AlarmTypes") or [METRIC]
        first, last = _utc(params.get("StartDate")), _utc(params.get("EndDate"))
        rows = [
            (number, entry)
            for number, entry in enumerate(watch.history)
            if entry.alarm_type in types
            and params.get("AlarmName") in (None, entry.alarm)
            and params.get("HistoryItemType") in (None, entry.kind)
            and (first is None or entry.at >= first)
            and (last is None or entry.at <= last)
        ]
        # Transitions of the past are noted late: the order is by time, then by arrival.
        rows.sort(key=lambda row: (row[1].at, row[0]), reverse=params.get("ScanBy") != "TimestampAscending")
        size, token = records(params, 100), start_of(params)
        start = next((index + 1 for index, row in enumerate(rows) if str(row[0]) == token), 0) if token else 0
        told: dict[str, Any] = {"AlarmHistoryItems": [entry.document() for _, entry in rows[start : start + size]]}
        return answer(call, told | ({"NextToken": f"after:{rows[start + size - 1][0]}"} if start + size < len(rows) else {}))

    async def _delete(self, call: Call, watch: Watch) -> Reply:
        self.alarms.delete(watch, call.params["AlarmNames"])
        return answer(call, {})

    async def _set_state(self, call: Call, watch: Watch) -> Reply:
        params = call.params
        alarm = watch.alarms.get(params["AlarmName"])
        if alarm is None:
            raise AwsFault("ResourceNotFound", f"Unknown alarm {params['AlarmName']}", 404)
        await self.alarms.transition(watch, alarm, params["StateValue"], params["StateReason"], params.get("StateReasonData", ""))
        return answer(call, {})

    async def _enable(self, call: Call, watch: Watch) -> Reply:
        for name in call.params["AlarmNames"]:
            if name in watch.alarms:
                watch.alarms[name].set(ActionsEnabled=call.operation == "EnableAlarmActions")
        return answer(call, {})

    def _tagged(self, call: Call, watch: Watch) -> dict[str, str]:
        arn = call.params["ResourceARN"]
        alarm: Alarm | None = watch.find(arn)
        if alarm is None and not self.dashboards.exists(call.account, arn):
            raise AwsFault("ResourceNotFoundException", f"Unknown resource {arn}", 404)
        return self._lab.tagged.setdefault(arn, {})

    async def _tag(self, call: Call, watch: Watch) -> Reply:
        self._tagged(call, watch).update({tag["Key"]: tag.get("Value", "") for tag in call.params["Tags"]})
        return answer(call, {})

    async def _untag(self, call: Call, watch: Watch) -> Reply:
        for key in call.params["TagKeys"]:
            self._tagged(call, watch).pop(key, None)
        return answer(call, {})

    async def _tags(self, call: Call, watch: Watch) -> Reply:
        return answer(call, {"Tags": [{"Key": key, "Value": value} for key, value in sorted(self._tagged(call, watch).items())]})

    async def _metric_data(self, call: Call, watch: Watch) -> Reply | None:
        return await evaluate(self._lab, call)


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at

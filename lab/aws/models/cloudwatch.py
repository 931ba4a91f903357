"""CloudWatch alarms: the refusals of PutMetricAlarm, and what ministack loses of an alarm: metric maths, low samples.

CloudWatch API reference, PutMetricAlarm (Period, EvaluationPeriods, DatapointsToAlarm, actions) and "CloudWatch service quotas".
"""

from __future__ import annotations

import re
from typing import Any

from lab.aws.wire import AwsFault, Call, Reply, answer, result_of

DAY_S = 86_400
WEEK_S = 7 * DAY_S
_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")
_NO_DESCRIPTION = re.compile(rb'"AlarmDescription": ?"", ?|<AlarmDescription ?/>|<AlarmDescription></AlarmDescription>')
_LOST = ("Metrics", "EvaluateLowSampleCountPercentile")
_METRIC_ONLY = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit")


def check_alarm(params: dict[str, Any], region: str) -> None:
    """Raises ValidationError for what PutMetricAlarm refuses."""
    maths = params.get("Metrics")
    statistics = [name for name in ("Statistic", "ExtendedStatistic") if params.get(name)]
    if not maths and (len(statistics) != 1 or not params.get("MetricName") or not params.get("Namespace")):
        raise AwsFault("ValidationError", "Exactly one of Statistic and ExtendedStatistic is needed, with MetricName and Namespace.")
    if maths and (named := [name for name in _METRIC_ONLY if params.get(name)]):
        raise AwsFault("ValidationError", f"Metrics cannot be used together with {', '.join(named)}.")
    if maths and sum(1 for query in maths if query.get("ReturnData", True)) != 1:
        raise AwsFault("ValidationError", "Exactly one element of the metrics list should return data.")
    if params["EvaluationPeriods"] < params.get("DatapointsToAlarm", 1):
        raise AwsFault("ValidationError", "DatapointsToAlarm cannot be greater than EvaluationPeriods.")
    periods = [query["MetricStat"]["Period"] for query in maths if "MetricStat" in query] if maths else [params.get("Period", 0)]
    for period in periods:
        _check_period(period, params["EvaluationPeriods"])
    for name in _ACTIONS:
        _check_actions(name, params.get(name, []), region)
    if params.get("TreatMissingData", "missing") not in ("breaching", "notBreaching", "ignore", "missing"):
        raise AwsFault("ValidationError", "TreatMissingData must be breaching, notBreaching, ignore or missing.")


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

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        # (account, region, alarm name) -> what ministack loses of it.
        self._lost: dict[tuple[str, str, str], dict[str, Any]] = {}

    async def before(self, call: Call) -> Reply | None:
        if call.operation == "PutMetricAlarm" and call.params:
            check_alarm(call.params, call.region)
        return None

    async def after(self, call: Call, reply: Reply) -> Reply:
        if not reply.ok:
            return reply
        match call.operation:
            case "PutMetricAlarm" if call.params:
                self._note(call)
            case "DeleteAlarms" if call.params:
                for name in call.params["AlarmNames"]:
                    self._lost.pop((call.account, call.region, name), None)
            case "DescribeAlarms" if call.protocol in ("json", "query"):
                return self._described(call, reply)
        return reply

    def _note(self, call: Call) -> None:
        key = (call.account, call.region, call.params["AlarmName"])
        lost = {name: call.params[name] for name in _LOST if call.params.get(name)}
        if lost:
            self._lost[key] = lost
        else:
            self._lost.pop(key, None)

    def _described(self, call: Call, reply: Reply) -> Reply:
        # AWS leaves out a description that was never given; ministack answers with an empty one.
        reply.body = _NO_DESCRIPTION.sub(b"", reply.body)
        if not self._lost:
            return reply
        result = result_of(call, reply)
        for alarm in result.get("MetricAlarms", []):
            lost = self._lost.get((call.account, call.region, alarm["AlarmName"]), {})
            alarm |= {name: value for name, value in lost.items() if name != "Metrics"}
            if maths := lost.get("Metrics"):
                for name in _METRIC_ONLY:
                    alarm.pop(name, None)
                alarm["Metrics"] = [query | {"ReturnData": query.get("ReturnData", True)} for query in maths]
        return answer(call, result)

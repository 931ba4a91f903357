"""Anomaly detectors of CloudWatch: models that are asked for, and those that an alarm on a band brings with it.

CloudWatch API reference, PutAnomalyDetector (again with the same metric and statistic: updated), DescribeAnomalyDetectors (single metrics unless
AnomalyDetectorTypes asks; at most 100 a page), DeleteAnomalyDetector; quotas: 500 models a region and account. PutMetricAlarm with ThresholdMetricId
needs no detector beforehand; deleting the alarm leaves the model.
"""

from __future__ import annotations

import uuid
from typing import Any

from lab.aws.models.cloudwatch_state import compact
from lab.aws.wire import AwsFault, Call

MOST_DETECTORS, _PAGE = 500, 100
_SINGLE = ("Namespace", "MetricName", "Dimensions", "Stat")
Detectors = dict[str, dict[str, Any]]


def _subject(params: dict[str, Any]) -> dict[str, Any]:
    """What it watches, in the members that describe it."""
    if maths := params.get("MetricMathAnomalyDetector"):
        return {"MetricMathAnomalyDetector": maths}
    single = params.get("SingleMetricAnomalyDetector") or params
    told = {name: single.get(name, [] if name == "Dimensions" else "") for name in _SINGLE}
    if not all(told[name] for name in ("Namespace", "MetricName", "Stat")):
        raise AwsFault("MissingParameter", "Namespace, MetricName and Stat are needed.", 400)
    return {"SingleMetricAnomalyDetector": told} | told


class AnomalyDetectors:
    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Detectors] = {}
        self.operations = {"PutAnomalyDetector": self._put, "DescribeAnomalyDetectors": self._describe, "DeleteAnomalyDetector": self._delete}

    def reset(self) -> None:
        self._kept.clear()

    def of_alarm(self, account: str, region: str, params: dict[str, Any]) -> None:
        """The model behind ANOMALY_DETECTION_BAND(m1, ...), if there is none yet."""
        band = next((query["Expression"] for query in params.get("Metrics", []) if query["Id"] == params.get("ThresholdMetricId")), "")
        watched = band.partition("(")[2].partition(",")[0].strip(" )")
        for query in params.get("Metrics", []):
            if query["Id"] != watched:
                continue
            stat = query.get("MetricStat")
            others = [one for one in params["Metrics"] if one["Id"] != params["ThresholdMetricId"]]
            asked = stat["Metric"] | {"Stat": stat["Stat"]} if stat else {"MetricMathAnomalyDetector": {"MetricDataQueries": others}}
            self._save(account, region, asked, keep=True)

    def _save(self, account: str, region: str, params: dict[str, Any], *, keep: bool = False) -> str:
        mine, subject = self._kept.setdefault((account, region), {}), _subject(params)
        key = compact(subject)
        if key in mine and keep:
            return str(mine[key]["AnomalyDetectorId"])
        if key not in mine and len(mine) >= MOST_DETECTORS:
            raise AwsFault("LimitExceeded", "The limit of anomaly detection models has been reached.", 400)
        identifier = mine[key]["AnomalyDetectorId"] if key in mine else str(uuid.uuid4())
        settings = {name: params[name] for name in ("Configuration", "MetricCharacteristics") if name in params}
        mine[key] = subject | settings | {"AnomalyDetectorId": identifier, "StateValue": "PENDING_TRAINING"}
        return str(identifier)

    def _put(self, call: Call) -> dict[str, Any]:
        return {"AnomalyDetectorId": self._save(call.account, call.region, call.params)}

    def _describe(self, call: Call) -> dict[str, Any]:
        params = call.params
        types = params.get("AnomalyDetectorTypes") or ["SINGLE_METRIC"]
        wanted = {name: params[name] for name in ("Namespace", "MetricName", "Dimensions") if params.get(name)}
        ids = params.get("AnomalyDetectorIds")
        found = [
            one
            for one in self._kept.get((call.account, call.region), {}).values()
            if ("METRIC_MATH" if "MetricMathAnomalyDetector" in one else "SINGLE_METRIC") in types
            and all(one.get(name) == value for name, value in wanted.items())
            and (not ids or one["AnomalyDetectorId"] in ids)
        ]
        start, size = int(params.get("NextToken") or 0), min(int(params.get("MaxResults") or _PAGE), _PAGE)
        told: dict[str, Any] = {"AnomalyDetectors": found[start : start + size]}
        return told | ({"NextToken": str(start + size)} if start + size < len(found) else {})

    def _delete(self, call: Call) -> dict[str, Any]:
        mine = self._kept.get((call.account, call.region), {})
        identifier = call.params.get("AnomalyDetectorId")
        key = next((key for key, one in mine.items() if one["AnomalyDetectorId"] == identifier), "") if identifier else compact(_subject(call.params))
        if mine.pop(key, None) is None:
            raise AwsFault("ResourceNotFoundException", "The anomaly detector does not exist.", 404)
        return {}

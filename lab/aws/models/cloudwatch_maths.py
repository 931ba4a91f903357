"""GetMetricData: metric maths over what ministack has of the metrics, newest first unless asked otherwise.

CloudWatch API reference, GetMetricData (at most 500 queries; ScanBy is TimestampDescending by default); User Guide, "Using math expressions with
CloudWatch metrics". Operators and the functions of `_Expression` are computed; ANOMALY_DETECTION_BAND is two series under its id, as CloudWatch has it,
around what the metric does within half an hour (CloudWatch learns from two weeks); SEARCH and anything else give no data.
"""

from __future__ import annotations

import ast
import operator
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from lab.aws.context import Lab
from lab.aws.wire import AwsFault, Call, Reply, answer

MOST_QUERIES = 500
_BAND = re.compile(r"ANOMALY_DETECTION_BAND\(\s*(?P<metric>[a-z]\w*)\s*(?:,\s*(?P<width>[0-9.]+)\s*)?\)")
_NEAR = timedelta(minutes=30)
Series = dict[datetime, float]
Value = float | Series | list[Series]

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.BitXor: operator.pow,
}
_COMPARED: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class _NoDataError(Exception):
    """An expression this evaluator does not know."""


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


_OVER: dict[str, Callable[[Sequence[float]], float]] = {"SUM": sum, "AVG": _mean, "MIN": min, "MAX": max}


def _joined(function: Callable[..., float], *values: Value) -> Value:
    """Point by point where all series have one; numbers count everywhere."""
    series = [value for value in values if isinstance(value, dict)]
    if any(isinstance(value, list) for value in values):
        raise _NoDataError
    if not series:
        return function(*values)
    result: Series = {}
    for at in sorted(set.intersection(*(set(one) for one in series))):
        try:
            result[at] = float(function(*(value[at] if isinstance(value, dict) else value for value in values)))
        except ZeroDivisionError:
            continue
    return result


class _Expression:
    def __init__(self, known: Mapping[str, Series], periods: Mapping[str, int], span: Sequence[datetime]) -> None:
        self._known, self._periods, self._span = known, periods, span

    def value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name) if name in self._known:
                return self._known[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _joined(operator.neg, self.value(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _joined(_BINARY[type(op)], self.value(left), self.value(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
                return _joined(_COMPARED[type(op)], self.value(left), self.value(right))
            case ast.BoolOp(op=op, values=parts):
                every = isinstance(op, ast.And)
                return _joined(lambda *values: float((all if every else any)(values)), *(self.value(part) for part in parts))
            case ast.List(elts=parts):
                return [one for one in map(self.value, parts) if isinstance(one, dict)]
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._called(name, arguments)
        raise _NoDataError

    def _called(self, name: str, arguments: list[ast.expr]) -> Value:
        match name, arguments:
            case "METRICS", []:
                return list(self._known.values())
            case "PERIOD", [ast.Name(id=metric)]:
                return float(self._periods.get(metric, 60))
            case "SUM" | "AVG" | "MIN" | "MAX", [argument]:
                return self._over(_OVER[name], self.value(argument))
            case "FILL", [argument, ast.Constant(value=int() | float() as filler)]:
                given = self.value(argument)
                return {at: given.get(at, float(filler)) for at in self._span} if isinstance(given, dict) else given
            case "FILL", [argument, ast.Name(id="REPEAT")]:
                return self.value(argument)
            case "ABS", [argument]:
                return _joined(abs, self.value(argument))
            case "RATE", [ast.Name(id=metric)]:
                return _joined(operator.truediv, self._known.get(metric, {}), float(self._periods.get(metric, 60)))
            case "IF", [condition, then, otherwise]:
                return _joined(lambda holds, yes, no: yes if holds else no, self.value(condition), self.value(then), self.value(otherwise))
        raise _NoDataError

    def _over(self, function: Callable[[Sequence[float]], float], given: Value) -> Value:
        """Of a list: at each time; of one series: one number."""
        if isinstance(given, dict):
            return function(list(given.values())) if given else {}
        if isinstance(given, list):
            return {at: function([one[at] for one in given if at in one]) for at in sorted(set().union(*given))}
        return given


def _parsed(expression: str) -> ast.expr:
    text = re.sub(r"\bAND\b|&&", " and ", re.sub(r"\bOR\b|\|\|", " or ", expression))
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as wrong:
        raise _NoDataError from wrong


def _period(query: dict[str, Any], periods: Mapping[str, int]) -> int:
    named = re.findall(r"[a-z]\w*", query["Expression"])
    return int(query.get("Period") or next((periods[name] for name in named if name in periods), 60))


async def evaluate(lab: Lab, call: Call) -> Reply:
    queries = call.params["MetricDataQueries"]
    if len(queries) > MOST_QUERIES:
        raise AwsFault("ValidationError", f"The collection MetricDataQueries must not have a size greater than {MOST_QUERIES}.", 400)
    series = await _metrics(lab, call, queries)
    periods = {query["Id"]: int(query["MetricStat"]["Period"]) for query in queries if "MetricStat" in query}
    span = sorted(set().union(*series.values()))
    waiting = [query for query in queries if "Expression" in query]
    for _ in waiting:
        # An expression may name another that stands behind it.
        for query in waiting:
            if query["Id"] not in series and set(re.findall(r"[a-z]\w*", query["Expression"])) & {one["Id"] for one in waiting} <= set(series):
                series[query["Id"]] = _computed(query, series, periods, span)
                periods[query["Id"]] = _period(query, periods)
    shown = [(query, points) for query in queries if query.get("ReturnData", True) for points in _sides(query, series)]
    return answer(call, {"MetricDataResults": [_told(call, query, points) for query, points in shown], "Messages": []})


def _sides(query: dict[str, Any], series: Mapping[str, Series]) -> list[Series]:
    """The series of one query: two of a band, one of anything else."""
    band = _BAND.fullmatch(query.get("Expression", "").strip())
    if band is None:
        return [series.get(query["Id"], {})]
    metric, width = series.get(band["metric"], {}), float(band["width"] or 2)
    sides: list[Series] = [{}, {}]
    for at in metric:
        near = [value for other, value in metric.items() if abs(other - at) <= _NEAR]
        mean, deviation = _mean(near), statistics.pstdev(near)
        sides[0][at], sides[1][at] = mean - width * deviation, mean + width * deviation
    return sides


def _computed(query: dict[str, Any], series: Mapping[str, Series], periods: Mapping[str, int], span: Sequence[datetime]) -> Series:
    try:
        found = _Expression(series, periods, span).value(_parsed(query["Expression"]))
    except _NoDataError:
        return {}
    match found:
        case dict():
            return found
        case list():
            return found[0] if found else {}
    return dict.fromkeys(span, float(found))


async def _metrics(lab: Lab, call: Call, queries: list[dict[str, Any]]) -> dict[str, Series]:
    asked = [{"Id": query["Id"], "MetricStat": query["MetricStat"]} for query in queries if "MetricStat" in query]
    if not asked:
        return {}
    params = {"MetricDataQueries": asked, "StartTime": call.params["StartTime"], "EndTime": call.params["EndTime"]}
    found = await lab.backends.ask("cloudwatch", "GetMetricData", params, call.account, call.region)
    return {row["Id"]: dict(zip(row["Timestamps"], row["Values"], strict=True)) for row in found["MetricDataResults"]}


def _told(call: Call, query: dict[str, Any], points: Series) -> dict[str, Any]:
    label = query.get("Label") or (query["MetricStat"]["Metric"]["MetricName"] if "MetricStat" in query else query["Id"])
    times = sorted(points, reverse=call.params.get("ScanBy") != "TimestampAscending")
    return {"Id": query["Id"], "Label": label, "Timestamps": times, "Values": [points[at] for at in times], "StatusCode": "Complete"}

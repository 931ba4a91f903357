"""Metric and composite alarms: creation, description, deletion, states that composites follow, suppressed actions.

CloudWatch API reference: PutMetricAlarm, PutCompositeAlarm (state INSUFFICIENT_DATA only right after creation), DescribeAlarms, DeleteAlarms (at most
one composite a request; "Cannot delete X as there are composite alarm(s) depending on it", for metric alarms too), SetAlarmState,
DescribeAlarmHistory (kept although the alarm is deleted); User Guide, "Suppressing composite alarm actions". An alarm that only suppresses is held
to be depended on as well: no document says.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from lab.aws.context import Lab
from lab.aws.models import cloudwatch_rules as rules
from lab.aws.models.cloudwatch_actions import Actions
from lab.aws.models.cloudwatch_state import COMPOSITE, METRIC, Alarm, Held, Watch, now, stamp
from lab.aws.wire import AwsFault

_SETTINGS = ("AlarmDescription", "ActionConfiguration")
_ACTIONS = ("OKActions", "AlarmActions", "InsufficientDataActions")
_OF_METRIC = (
    "MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Unit", "EvaluationPeriods", "DatapointsToAlarm", "Threshold", "ComparisonOperator",
    "TreatMissingData", "EvaluateLowSampleCountPercentile", "ThresholdMetricId", "EvaluationCriteria", "EvaluationInterval", "EvaluationWindow",
    "WarmUpConfiguration",
)  # fmt: skip
_OF_COMPOSITE = ("AlarmRule", "ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod")
_STATE = (
    "StateValue",
    "StateReason",
    "StateReasonData",
    "StateUpdatedTimestamp",
    "StateTransitionedTimestamp",
    "ActionsSuppressedBy",
    "ActionsSuppressedReason",
)
MOST_PARENTS = 150


def _invalid(message: str) -> AwsFault:
    return AwsFault("ValidationError", message, 400)


class Alarms:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._actions = Actions(lab)
        self.watches: dict[tuple[str, str], Watch] = {}

    def watch(self, account: str, region: str) -> Watch:
        return self.watches.setdefault((account, region), Watch(account, region))

    def reset(self) -> None:
        self.watches.clear()

    async def put_metric(self, watch: Watch, params: dict[str, Any]) -> None:
        document = {name: params[name] for name in (*_OF_METRIC, *_SETTINGS) if params.get(name) not in (None, "")}
        if params.get("Metrics"):
            document["Metrics"] = [query | {"ReturnData": query.get("ReturnData", True)} for query in params["Metrics"]]
        else:
            document["Dimensions"] = params.get("Dimensions", [])
        self._save(watch, METRIC, Alarm(params["AlarmName"], watch.arn(params["AlarmName"]), document), params)

    async def put_composite(self, watch: Watch, params: dict[str, Any]) -> None:
        term, children = self._checked_rule(watch, params)
        suppressor = params.get("ActionsSuppressor", "")
        if suppressor:
            if missing := [name for name in _OF_COMPOSITE[2:] if name not in params]:
                raise _invalid(f"{' and '.join(missing)} must be specified together with ActionsSuppressor")
            if watch.find(suppressor) is None:
                raise _invalid(f"Could not save the composite alarm as the actions suppressor {suppressor} does not exist")
        document = {name: params[name] for name in (*_OF_COMPOSITE, *_SETTINGS) if params.get(name) not in (None, "")}
        alarm = Alarm(params["AlarmName"], watch.arn(params["AlarmName"]), document, term, children, watch.name_of(suppressor))
        fresh = self._save(watch, COMPOSITE, alarm, params)
        state = self._ruled(watch, alarm)
        if fresh or state != alarm.state:
            verb = "created and its" if fresh else "updated and its new"
            await self.transition(watch, alarm, state, f"{alarm.arn} was {verb} alarm rule evaluates to {state}")

    def _checked_rule(self, watch: Watch, params: dict[str, Any]) -> tuple[rules.Term, tuple[str, ...]]:
        term = rules.parse(params["AlarmRule"])
        named = dict.fromkeys(rules.references(term))
        missing = [one if one.startswith("arn:") else watch.arn(one) for one in named if watch.find(one) is None]
        if missing:
            raise _invalid(f"Could not save the composite alarm as alarms [{', '.join(missing)}] in the alarm rule do not exist")
        children = tuple(dict.fromkeys(watch.name_of(one) for one in named))
        if len(children) > rules.MOST_CHILDREN:
            raise _invalid(f"AlarmRule cannot reference more than {rules.MOST_CHILDREN} alarms")
        for child in children:
            if len(watch.parents.get(child, set()) | {params["AlarmName"]}) > MOST_PARENTS:
                raise AwsFault("LimitExceeded", f"Alarm {child} is in the rules of {MOST_PARENTS} composite alarms already", 400)
        return term, children

    def _save(self, watch: Watch, type_: str, alarm: Alarm, params: dict[str, Any]) -> bool:
        """Put it, its state kept where it was there; whether it is new. Tags count for new alarms only (PutMetricAlarm, Tags)."""
        old, at = watch.alarms.get(alarm.name), now()
        if old is not None and old.type != type_:
            raise _invalid(f"Alarm {alarm.name} already exists as a {old.type}")
        common = {"AlarmName": alarm.name, "AlarmArn": alarm.arn, "ActionsEnabled": params.get("ActionsEnabled", True)}
        common |= {name: params.get(name, []) for name in _ACTIONS} | {"AlarmConfigurationUpdatedTimestamp": at}
        state: dict[str, Any] = {"StateValue": "INSUFFICIENT_DATA", "StateReason": "Unchecked: Initial alarm creation"}
        state |= {"StateUpdatedTimestamp": at, "StateTransitionedTimestamp": at}
        if old is not None:
            state = {name: old.document[name] for name in _STATE if name in old.document}
            alarm.held = old.held
        else:
            self._lab.tagged[alarm.arn] = {tag["Key"]: tag.get("Value", "") for tag in params.get("Tags", [])}
        alarm.document = common | alarm.document | state
        watch.put(alarm)
        verb, key = ("created", "createdAlarm") if old is None else ("updated", "updatedAlarm")
        data = {"type": "Create" if old is None else "Update", key: {"alarmName": alarm.name, "alarmArn": alarm.arn}}
        watch.note(alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" {verb}', data, at)
        return old is None

    def delete(self, watch: Watch, names: list[str]) -> None:
        known = [name for name in dict.fromkeys(names) if name in watch.alarms]
        composites = [name for name in known if watch.alarms[name].type == COMPOSITE]
        if len(composites) > 1:
            raise _invalid(f"Cannot delete [{len(composites)}] Composite Alarms as only one composite alarm delete is allowed in single request")
        suppressors = {alarm.suppressor for alarm in watch.composites.values() if alarm.suppressor}
        if held := [name for name in known if watch.parents.get(name) or name in suppressors]:
            raise _invalid(f"Cannot delete {','.join(held)} as there are composite alarm(s) depending on {'them' if len(held) > 1 else 'it'}.")
        for name in known:
            alarm = watch.remove(name)
            if alarm is not None:
                self._lab.tagged.pop(alarm.arn, None)
                data = {"type": "Delete", "deletedAlarm": {"alarmName": name, "alarmArn": alarm.arn}}
                watch.note(alarm, "ConfigurationUpdate", f'Alarm "{name}" deleted', data, now())

    async def transition(self, watch: Watch, alarm: Alarm, state: str, reason: str, data: str = "", at: datetime | None = None) -> None:
        """A new state, and what follows from it: history, actions, composites above, composites it suppresses."""
        await self._enter(watch, alarm, state, reason, data, at or now(), frozenset())

    async def _enter(self, watch: Watch, alarm: Alarm, state: str, reason: str, data: str, at: datetime, path: frozenset[str]) -> None:
        old = alarm.state
        alarm.set(StateValue=state, StateReason=reason, StateReasonData=data or None, StateUpdatedTimestamp=at)
        if old == state:
            return
        alarm.set(StateTransitionedTimestamp=at)
        news = {"oldState": {"stateValue": old}, "newState": {"stateValue": state, "stateReason": reason}}
        watch.note(alarm, "StateUpdate", f"Alarm updated from {old} to {state}", news, at)
        await self._act(watch, alarm)
        await self._suppress(watch, alarm, old)
        # "The evaluation of composite alarms stops if CloudWatch detects a cycle in the evaluation path" (PutCompositeAlarm).
        path |= {alarm.name}
        for name in sorted(watch.parents.get(alarm.name, ())):
            parent = watch.alarms[name]
            ruled = self._ruled(watch, parent)
            if name not in path and ruled != parent.state:
                why = f"{alarm.arn} transitioned to {state} at {at:%A %d %B, %Y %H:%M:%S} UTC"
                trigger = f'{{"triggeringAlarms":[{{"arn":"{alarm.arn}","state":{{"value":"{state}","timestamp":"{stamp(at)}"}}}}]}}'
                await self._enter(watch, parent, ruled, why, trigger, at, path)

    def _ruled(self, watch: Watch, composite: Alarm) -> str:
        return "ALARM" if composite.rule is not None and rules.holds(composite.rule, watch.state_of) else "OK"

    async def _act(self, watch: Watch, alarm: Alarm) -> None:
        if not alarm.suppressor:
            await self._actions.perform(watch, alarm)
        elif watch.state_of(alarm.suppressor) == "ALARM":
            self._hold(alarm, Held("Alarm"))
        elif alarm.held is None and (wait := alarm.document.get("ActionsSuppressorWaitPeriod", 0)) and alarm.state == "ALARM":
            self._hold(alarm, Held("WaitPeriod", self._lab.clock() + wait))
        elif alarm.held is None:
            await self._actions.perform(watch, alarm)

    def _hold(self, alarm: Alarm, held: Held | None) -> None:
        alarm.held = held
        reason = None if held is None else f"Actions suppressed by {alarm.suppressor} ({held.by})"
        alarm.set(ActionsSuppressedBy=held.by if held else None, ActionsSuppressedReason=reason)

    async def _suppress(self, watch: Watch, suppressor: Alarm, old: str) -> None:
        """It enters ALARM: waiting actions are suppressed; it leaves: they stay so for the extension period."""
        for alarm in [one for one in watch.composites.values() if one.suppressor == suppressor.name]:
            if suppressor.state == "ALARM" and (alarm.held is not None or alarm.state == "ALARM"):
                self._hold(alarm, Held("Alarm"))
            elif old == "ALARM" and alarm.held is not None:
                self._hold(alarm, Held("ExtensionPeriod", self._lab.clock() + alarm.document["ActionsSuppressorExtensionPeriod"]))

    async def settle(self, watch: Watch) -> None:
        """Waiting that is over by the lab's clock: the actions are done, if the alarm still stands."""
        due = [one for one in watch.composites.values() if one.held is not None and one.held.until and self._lab.clock() >= one.held.until]
        for alarm in due:
            self._hold(alarm, None)
            if alarm.state == "ALARM":
                await self._actions.perform(watch, alarm)

    def chosen(self, watch: Watch, params: dict[str, Any], after: str) -> Iterator[Alarm]:
        """Alarms that DescribeAlarms tells, by name, those after `after`."""
        types = params.get("AlarmTypes") or [METRIC]
        prefix, state, action = params.get("AlarmNamePrefix", ""), params.get("StateValue", ""), params.get("ActionPrefix", "")
        if parent := params.get("ChildrenOfAlarmName"):
            found = watch.alarms.get(parent)
            names, types = sorted(found.children) if found is not None else [], [METRIC, COMPOSITE]
        elif child := params.get("ParentsOfAlarmName"):
            names, types = sorted(watch.parents.get(child, ())), [METRIC, COMPOSITE]
        else:
            names = sorted(set(params["AlarmNames"])) if params.get("AlarmNames") else watch.names
        for name in names[bisect_right(names, after) :] if after else names:
            alarm = watch.alarms.get(name)
            if alarm is None or alarm.type not in types or not name.startswith(prefix) or (state and alarm.state != state):
                continue
            if action and not any(arn.startswith(action) for kind in _ACTIONS for arn in alarm.document[kind]):
                continue
            yield alarm

"""CloudWatch composite alarms: alarms over alarms, and what CloudWatch accepts of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from securebase.core.fields import Impact, managed
from securebase.resources.cloudwatch.model import ACTIONS_A_STATE

LONGEST_RULE: Final = 10_240
_NAME_LENGTH: Final = 255


@dataclass(frozen=True, slots=True)
class CompositeAlarm:
    """An alarm on the states of other alarms of the same region.

    rule                  `ALARM("one") OR ALARM("other")`; names may be references, so that children exist first
    *_actions             ARNs, at most five a state
    suppressor            name or ARN of the alarm that keeps the actions back while it is in ALARM; "" = none
    suppressor_wait       seconds to wait for the suppressor before acting
    suppressor_extension  seconds to hold back after the suppressor left ALARM

    Attributes: `arn`, `name`, `state` (OK, ALARM, INSUFFICIENT_DATA).
    """

    name: str = managed(impact=Impact.REPLACE)
    tags: Mapping[str, str] = managed(open=True)
    rule: str = managed()
    description: str = ""
    actions_enabled: bool = True
    alarm_actions: frozenset[str] = frozenset()
    ok_actions: frozenset[str] = frozenset()
    insufficient_data_actions: frozenset[str] = frozenset()
    suppressor: str = ""
    suppressor_wait: int = 0
    suppressor_extension: int = 0


def problems(alarm: CompositeAlarm) -> Iterator[str]:
    """What CloudWatch would refuse, in words for a person (PutCompositeAlarm, API reference)."""
    if not 0 < len(alarm.name) <= _NAME_LENGTH:
        yield f"an alarm's name has 1 to {_NAME_LENGTH} characters"
    if not 0 < len(alarm.rule) <= LONGEST_RULE:
        yield f"a rule has 1 to {LONGEST_RULE} characters, this one {len(alarm.rule)}"
    if alarm.suppressor and not (alarm.suppressor_wait and alarm.suppressor_extension):
        yield "a suppressor needs a wait and an extension of at least a second each"
    for state, actions in (("ALARM", alarm.alarm_actions), ("OK", alarm.ok_actions), ("INSUFFICIENT_DATA", alarm.insufficient_data_actions)):
        if len(actions) > ACTIONS_A_STATE:
            yield f"{len(actions)} actions for {state}; CloudWatch takes {ACTIONS_A_STATE}"

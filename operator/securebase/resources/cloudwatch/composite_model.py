"""CloudWatch composite alarms: alarms over alarms, and what CloudWatch accepts of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from securebase.core.fields import Impact, managed
from securebase.resources.cloudwatch.model import ACTIONS_A_STATE

LONGEST_RULE: Final = 10_240
CHILDREN: Final = 100
"""Of one rule (PutCompositeAlarm, API reference). Its 500 elements are not reached: a rule of ours has one for each child."""

OR: Final = " OR "
_TERM: Final = re.compile(r'ALARM\("([^"]+)"\)')
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

    def grown(self, there: CompositeAlarm, leaving: frozenset[str]) -> CompositeAlarm | None:
        """Over its own children and over those it has outside. None where the rule there is not one of ours, or one rule cannot hold them all."""
        wanted, found = _children(self.rule), _children(there.rule)
        if wanted is None or found is None:
            return None
        every = tuple(dict.fromkeys((*(name for name in found if name not in leaving), *wanted)))
        rule = OR.join(term(name) for name in every)
        return replace(self, rule=rule) if len(every) <= CHILDREN and len(rule) <= LONGEST_RULE else None

    def lacks(self, there: CompositeAlarm) -> bool:
        """Whether a child that is wanted is not in the rule there."""
        wanted, found = _children(self.rule), _children(there.rule)
        return self.rule != there.rule if wanted is None or found is None else not set(wanted) <= set(found)

    def kept(self, there: CompositeAlarm) -> CompositeAlarm:
        """Over what it is over outside as well; over that alone, where one rule cannot hold all. A rule that is not one of ours gives way."""
        wanted, found = _children(self.rule), _children(there.rule)
        if wanted is None or found is None or set(found) <= set(wanted):
            return self
        return self.grown(there, frozenset()) or replace(self, rule=there.rule)


def term(name: str) -> str:
    """The part of a rule that is true while an alarm is in ALARM."""
    return f'ALARM("{name}")'


def _children(rule: str) -> tuple[str, ...] | None:
    """Names in a rule that is true while any of them is in ALARM; None of any other rule."""
    matches = [_TERM.fullmatch(part) for part in rule.split(OR)]
    names = tuple(match.group(1) for match in matches if match is not None)
    return names if len(names) == len(matches) else None


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

"""Rules that hurt on purpose: delays, errors, and answers lost after the deed was done."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, Literal

from lab.aws.wire import AwsFault, Call

_ids = itertools.count(1)


@dataclass(slots=True)
class Rule:
    """What happens to calls whose service, operation, caller, account, region and text match the globs; `times` None: until removed.

    `delay`: answered `delay_s` later. `fail`: an AWS error instead of the deed. `lose`: the deed is done, the connection dropped
    before the answer. `hang`: never answered. `contains` is looked for in the request's target and body, to hit one resource.
    """

    action: Literal["delay", "fail", "lose", "hang"]
    service: str = "*"
    operation: str = "*"
    user_agent: str = "*"
    account: str = "*"
    region: str = "*"
    contains: str = ""
    writes_only: bool = False
    times: int | None = None
    skip: int = 0
    delay_s: float = 0.0
    code: str = "InternalFailure"
    message: str = "injected by the lab"
    status: int | None = None
    hits: int = 0
    id: int = field(default_factory=lambda: next(_ids))

    def matches(self, call: Call) -> bool:
        if self.writes_only and not call.is_write:
            return False
        pairs = (
            (call.service, self.service),
            (call.operation, self.operation),
            (call.caller, self.user_agent),
            (call.account, self.account),
            (call.region, self.region),
        )
        if not all(fnmatchcase(value, glob) for value, glob in pairs):
            return False
        return not self.contains or self.contains in call.target or self.contains.encode() in call.body


def rule_from(document: Mapping[str, Any]) -> Rule:
    """A rule from its JSON form; an unknown key is an error, not a rule that never hits."""
    known = {entry.name for entry in fields(Rule)} - {"hits", "id"}
    if unknown := set(document) - known:
        raise ValueError(f"unknown in a rule: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
    return Rule(**document)


class Rules:
    """The rules in force, in the order they were added."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def add(self, rule: Rule) -> Rule:
        self._rules = [*self._rules, rule]
        return rule

    def remove(self, rule: Rule) -> None:
        self._rules = [other for other in self._rules if other.id != rule.id]

    def clear(self) -> None:
        self._rules = []

    def all(self) -> list[Rule]:
        return list(self._rules)

    def _take(self, call: Call) -> list[Rule]:
        taken = []
        for rule in self._rules:
            if not rule.matches(call):
                continue
            rule.hits += 1
            if rule.hits > rule.skip and (rule.times is None or rule.hits - rule.skip <= rule.times):
                taken.append(rule)
        return taken

    async def apply(self, call: Call) -> bool:
        """Waits, raises the error, or returns whether the answer must be lost."""
        lose = False
        for rule in self._take(call) if self._rules else ():
            match rule.action:
                case "delay":
                    await asyncio.sleep(rule.delay_s)
                case "hang":
                    await asyncio.Event().wait()
                case "lose":
                    lose = True
                case "fail":
                    raise AwsFault(rule.code, rule.message, rule.status)
        return lose

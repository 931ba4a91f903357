"""The rules of composite alarms: their grammar, which alarms they name, and whether they hold.

CloudWatch API reference, PutCompositeAlarm, AlarmRule: ALARM(), OK(), INSUFFICIENT_DATA(), TRUE, FALSE, AND, OR, NOT, AT_LEAST(M, STATE, (alarms));
at most 100 "children" and 500 elements ("child alarms, TRUE or FALSE statements, and parentheses"; those of the functions are not counted here).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from lab.aws.wire import AwsFault

STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
MOST_CHILDREN, MOST_ELEMENTS = 100, 500
_TOKEN = re.compile(r'[(),]|"(?:[^"\\]|\\.)*"|[^\s(),"]+|\S')
_DEEPEST = 200

StateOf = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Constant:
    value: bool


@dataclass(frozen=True, slots=True)
class InState:
    state: str
    alarm: str


@dataclass(frozen=True, slots=True)
class Not:
    term: Term


@dataclass(frozen=True, slots=True)
class Joined:
    """Terms joined by AND (`every`) or OR."""

    every: bool
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class AtLeast:
    count: int
    percent: bool
    negated: bool
    state: str
    alarms: tuple[str, ...]


Term = Constant | InState | Not | Joined | AtLeast


class _Parser:
    def __init__(self, rule: str) -> None:
        self._tokens = [(found.group(), found.start()) for found in _TOKEN.finditer(rule)] + [("<EOF>", len(rule))]
        self._at = 0
        self._depth = 0
        self._elements = 0

    @property
    def _word(self) -> str:
        return self._tokens[self._at][0]

    def _fail(self, expected: str = "") -> AwsFault:
        text, position = self._tokens[self._at]
        wanted = f", must be: {expected}" if expected else ""
        return AwsFault("ValidationError", f"Error in AlarmRule [Unsupported token '{text}' at char {position}{wanted}]", 400)

    def _next(self) -> str:
        word = self._word
        self._at += 1
        return word

    def _take(self, expected: str) -> None:
        if self._word != expected:
            raise self._fail()
        self._at += 1

    def whole(self) -> Term:
        term = self._joined(every=False)
        if self._word != "<EOF>":
            raise self._fail("<EOF>, 'AND', 'OR'")
        if self._elements > MOST_ELEMENTS:
            raise AwsFault("ValidationError", f"AlarmRule exceeds the maximum of {MOST_ELEMENTS} elements", 400)
        return term

    def _joined(self, *, every: bool) -> Term:
        """AND binds closer than OR."""
        terms = [self._operand() if every else self._joined(every=True)]
        while self._word == ("AND" if every else "OR"):
            self._at += 1
            terms.append(self._operand() if every else self._joined(every=True))
        return terms[0] if len(terms) == 1 else Joined(every, tuple(terms))

    def _operand(self) -> Term:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._fail()
        try:
            match self._word:
                case "NOT":
                    self._at += 1
                    return Not(self._operand())
                case "(":
                    self._at += 1
                    self._elements += 2
                    term = self._joined(every=False)
                    self._take(")")
                    return term
                case "TRUE" | "FALSE":
                    self._elements += 1
                    return Constant(self._next() == "TRUE")
                case "ALARM" | "OK" | "INSUFFICIENT_DATA":
                    state = self._next()
                    self._take("(")
                    alarm = self._reference()
                    self._take(")")
                    return InState(state, alarm)
                case "AT_LEAST":
                    self._at += 1
                    return self._at_least()
            raise self._fail("'(', 'NOT', AT_LEAST, TRUE or FALSE, ALARM, OK, or INSUFFICIENT_DATA")
        finally:
            self._depth -= 1

    def _reference(self) -> str:
        if self._word in ("(", ")", ",", '"', "<EOF>"):
            raise self._fail()
        text = self._next()
        self._elements += 1
        return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text

    def _at_least(self) -> AtLeast:
        self._take("(")
        count = re.fullmatch(r"(\d+)(%?)", self._word)
        if count is None:
            raise self._fail()
        self._at += 1
        self._take(",")
        negated = self._word == "NOT"
        self._at += negated
        if self._word not in STATES:
            raise self._fail()
        state = self._next()
        self._take(",")
        self._take("(")
        alarms = [self._reference()]
        while self._word == ",":
            self._at += 1
            alarms.append(self._reference())
        self._take(")")
        self._take(")")
        return AtLeast(int(count.group(1)), bool(count.group(2)), negated, state, tuple(alarms))


@lru_cache(maxsize=1024)
def parse(rule: str) -> Term:
    """The rule as a tree; ValidationError with the position of what is wrong."""
    return _Parser(rule).whole()


def references(term: Term) -> Iterator[str]:
    """Names or ARNs in the order they stand there, repeated ones too."""
    match term:
        case InState():
            yield term.alarm
        case AtLeast():
            yield from term.alarms
        case Not():
            yield from references(term.term)
        case Joined():
            for part in term.terms:
                yield from references(part)


def holds(term: Term, state_of: StateOf) -> bool:
    match term:
        case Constant():
            return term.value
        case InState():
            return state_of(term.alarm) == term.state
        case Not():
            return not holds(term.term, state_of)
        case Joined():
            return (all if term.every else any)(holds(part, state_of) for part in term.terms)
        case AtLeast():
            hits = sum((state_of(alarm) == term.state) != term.negated for alarm in term.alarms)
            return hits * 100 >= term.count * len(term.alarms) if term.percent else hits >= term.count

"""Filter patterns of CloudWatch Logs: where one is wrong, told before AWS does. Pure.

The grammar is that of the CloudWatch Logs User Guide, "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live
Tail"; where the guide says nothing, a pattern is let through and AWS decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

LONGEST: Final = 1024
"""Characters of a pattern (PutMetricFilter, API reference)."""
MOST_REGEXES: Final = 2
"""Regular expressions of a JSON or space-delimited pattern."""

SELECTOR: Final = re.compile(r"\$(?:\.(?:[\w\-*@]+|\['[^']*'\]|\[\"[^\"]*\"\])|\[(?:\d+|\*|'[^']*'|\"[^\"]*\")\])*", re.ASCII)
"""A field of a JSON event: `$.user.id`, `$.items[0].name`."""

_SPACE: Final = re.compile(r"\s*")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_REGEX: Final = re.compile(r"%(?:[^%\\]|\\.)*%", re.DOTALL)
# A parenthesis is refused even behind a backslash: \x28 and \x29 stand for it.
_REGEX_PART: Final = re.compile(r"[A-Za-z0-9_:#=@/;,\-^$?\[\]{}|*+. ]|\\[ -'*-~]")
_TERM: Final = re.compile(r"\w+")
_ANY_TERM: Final = re.compile(r'[^\s"%]+')
_NAME: Final = re.compile(r"[\w\-]+", re.ASCII)
_OPERATOR: Final = re.compile(r"!=|<=|>=|=|<|>")
_BARE: Final = re.compile(r"[A-Za-z0-9_*.\-+:/#~]+")
_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_QUESTION: Final = re.compile(r"(?:IS\s+(?:NULL|TRUE|FALSE)|(?:NOT\s+)?EXISTS)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PatternProblem:
    """What is wrong, and at which character, counted from 1."""

    position: int
    message: str

    def __str__(self) -> str:
        return f"filter pattern, character {self.position}: {self.message}"


class _Wrong(Exception):
    """Stops reading at the first problem."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.problem = PatternProblem(at + 1, message)


def pattern_problem(pattern: str) -> PatternProblem | None:
    """The first thing that CloudWatch Logs would refuse; None where there is nothing."""
    if len(pattern) > LONGEST:
        return PatternProblem(LONGEST + 1, f"a filter pattern has {LONGEST} characters at most, this one {len(pattern)}")
    try:
        _Reader(pattern).whole()
    except _Wrong as wrong:
        return wrong.problem
    return None


def has_regex(pattern: str) -> bool:
    """Whether it counts among the five patterns with regular expressions that a log group may have."""
    return bool(_REGEX.search(_QUOTED.sub("", pattern)))


def field_names(pattern: str) -> tuple[str, ...]:
    """The fields that a space-delimited pattern names, in order; none of another pattern."""
    if not pattern.strip().startswith("["):
        return ()
    reader = _Reader(pattern)
    try:
        reader.whole()
    except _Wrong:
        return ()
    return tuple(dict.fromkeys(reader.names))


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._regexes = 0
        self.names: list[str] = []

    def whole(self) -> None:
        self._skip()
        match self._text[self._at : self._at + 1]:
            case "{":
                self._enclosed("}", self._json)
            case "[":
                self._enclosed("]", self._fields)
            case _:
                self._terms()

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _take(self, pattern: re.Pattern[str]) -> str:
        """What stands here, if it is of that form; spaces before and after it are passed over."""
        self._skip()
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        self._skip()
        return found.group()

    def _symbol(self, symbol: str) -> bool:
        self._skip()
        there = self._text.startswith(symbol, self._at)
        if there:
            self._at += len(symbol)
            self._skip()
        return there

    def _refuse(self, expected: str) -> NoReturn:
        """At the place that was reached."""
        self._skip()
        rest = re.match(r"\S{1,20}", self._text[self._at :])
        raise _Wrong(self._at, f"{expected}, not {rest.group()!r}" if rest else f"{expected}, but the pattern ends")

    def _enclosed(self, closing: str, inside: Callable[[], None]) -> None:
        opening, start = self._text[self._at], self._at
        if not self._text.rstrip().endswith(closing):
            raise _Wrong(len(self._text.rstrip()), f"a pattern that starts with {opening} (character {start + 1}) ends with {closing}")
        self._at += 1
        inside()
        if not self._symbol(closing):
            self._refuse(f"&&, || or {closing} must follow" if closing == "}" else f"a comma, &&, || or {closing} must follow")
        if self._at < len(self._text):
            self._refuse(f"nothing may follow the closing {closing}")

    def _json(self) -> None:
        self._conditions(self._json_condition)

    def _fields(self) -> None:
        """One field after the other; `...` stands for any number of them."""
        while True:
            if not self._symbol("..."):
                self._conditions(self._field_condition)
            if not self._symbol(","):
                return

    def _conditions(self, condition: Callable[[], None]) -> None:
        self._in_parentheses(condition)
        while self._symbol("&&") or self._symbol("||"):
            self._in_parentheses(condition)

    def _in_parentheses(self, condition: Callable[[], None]) -> None:
        self._skip()
        opened = self._at
        if not self._symbol("("):
            condition()
            return
        self._conditions(condition)
        if not self._symbol(")"):
            self._refuse(f"the parenthesis of character {opened + 1} must be closed")

    def _json_condition(self) -> None:
        self._skip()
        if self._text[self._at : self._at + 1] != "$":
            self._refuse("a field must stand here, written $.name")
        selector = self._take(SELECTOR)
        if self._take(_QUESTION):
            return
        operator = self._take(_OPERATOR)
        if not operator:
            self._refuse(f"{selector} must be followed by one of = != < > <= >=, IS NULL, IS TRUE, IS FALSE or NOT EXISTS")
        self._value(operator)

    def _field_condition(self) -> None:
        name = self._take(_NAME)
        if not name:
            self._refuse("a field must have a name (letters, digits, _ and -), or be ...")
        self.names.append(name)
        if operator := self._take(_OPERATOR):
            self._value(operator)

    def _value(self, operator: str) -> None:
        self._skip()
        start = self._at
        if self._text.startswith('"', start):
            self._quotation()
        elif self._text.startswith("%", start):
            if operator not in ("=", "!="):
                self._refuse(f"{operator} compares numbers")
            self._regex(MOST_REGEXES)
        elif not (word := self._take(_BARE)):
            self._refuse(f"a value must follow {operator}; one with other characters than letters and digits in double quotes")
        elif operator not in ("=", "!=") and not _NUMBER.fullmatch(word):
            raise _Wrong(start, f"{operator} compares numbers, not {word!r}")

    def _quotation(self) -> None:
        start = self._at
        if not self._take(_QUOTED):
            raise _Wrong(start, "the quotation mark is never closed")

    def _regex(self, most: int) -> None:
        start = self._at
        text = self._take(_REGEX)
        if not text:
            raise _Wrong(start, "the regular expression is never closed by another %")
        if text == "%%":
            raise _Wrong(start, "the regular expression is empty")
        self._regexes += 1
        if 0 < most < self._regexes:
            raise _Wrong(start, f"a JSON or space-delimited pattern has {most} regular expressions at most")
        at = 1
        while at < len(text) - 1:
            part = _REGEX_PART.match(text, at)
            if part is None:
                raise _Wrong(start + at, f"a regular expression of CloudWatch Logs has no {text[at]!r}")
            at = part.end()

    def _terms(self) -> None:
        """Words, quotations and regular expressions, each with ? (any of them) or - (none of them) before it."""
        while self._at < len(self._text):
            if self._text[self._at] in "?-":
                self._at += 1
            if self._text[self._at : self._at + 1].isspace() or self._at == len(self._text):
                raise _Wrong(self._at - 1, f"a term must follow {self._text[self._at - 1]!r} at once")
            if self._text[self._at] == '"':
                self._quotation()
            elif self._text[self._at] == "%":
                self._regex(0)
            else:
                self._term()

    def _term(self) -> None:
        start = self._at
        term = self._take(_ANY_TERM)
        plain = _TERM.match(term)
        good = plain.end() if plain else 0
        if good < len(term):
            raise _Wrong(start + good, f"{term[good]!r} in the term {term!r}: put terms with other characters than letters, digits and _ in double quotes")

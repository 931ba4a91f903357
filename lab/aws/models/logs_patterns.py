"""Filter patterns of CloudWatch Logs: what PutMetricFilter refuses.

CloudWatch Logs User Guide, "Filter pattern syntax for metric filters, subscription filters, ...": terms (others than letters, digits and underscores
stand in quotes), JSON selectors in braces, space-delimited fields in brackets, regular expressions between percent signs (no parentheses; at most two
a pattern). The messages are as AWS words them where such are known ("Invalid character(s) in term", "... it must end with '}'").
"""

from __future__ import annotations

import re
from typing import NoReturn

from lab.aws.wire import AwsFault

MOST_REGEXES = 2
_PATH = r"\$(?:\.[A-Za-z0-9_\-*]+|\[(?:\d+|\*|'[^']*'|\"[^\"]*\")\])*"
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|%[^%]*%|' + _PATH + r'|&&|\|\||!=|<=|>=|[=<>(),]|\.\.\.|[^\s"%&|!=<>(),]+|\S)')
_REGEX = re.compile(r"%[A-Za-z0-9_:#=@/;,\-^$?\[\]{}|\\*+.\s]+%")
_TERM = re.compile(r"[A-Za-z0-9_]+")
_SELECTOR = re.compile(_PATH)
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD = re.compile(r"[A-Za-z0-9_*.\-+:/]+")
_OPERATORS = ("=", "!=", "<", ">", "<=", ">=")


def refuse(message: str = "Invalid metric filter pattern") -> NoReturn:
    raise AwsFault("InvalidParameterException", message, 400)


def structured(pattern: str) -> bool:
    """Whether fields can be taken out of what it matches."""
    return pattern.strip()[:1] in ("{", "[")


def regexes(pattern: str) -> int:
    return len(re.findall(r"%[^%]+%", re.sub(r'"(?:[^"\\]|\\.)*"', "", pattern)))


def check_pattern(pattern: str) -> None:
    """InvalidParameterException for a pattern that CloudWatch Logs does not take."""
    text = pattern.strip()
    for opening, closing in ("{}", "[]"):
        if text.startswith(opening) and not text.endswith(closing):
            refuse(f"If a filter pattern starts with '{opening}' it must end with '{closing}'")
    if structured(text):
        if regexes(text) > MOST_REGEXES:
            refuse(f"A filter pattern can have at most {MOST_REGEXES} regular expressions")
        inner = _Conditions(text[1:-1], json=text.startswith("{"))
        inner.json() if text.startswith("{") else inner.fields()
    else:
        _check_terms(text)


def _check_terms(text: str) -> None:
    rest = text
    while rest := rest.lstrip():
        rest = rest[1:] if rest[0] in "?-" else rest
        found = re.match(r'"(?:[^"\\]|\\.)*"|%[^%]*%|[^\s"%]+', rest)
        if found is None:
            refuse()
        term = found.group()
        if term.startswith("%"):
            _check_regex(term)
        elif not term.startswith('"') and not _TERM.fullmatch(term):
            refuse(f"Invalid character(s) in term '{_TERM.sub('', term)[:1]}'")
        rest = rest[found.end() :]


def _check_regex(term: str) -> None:
    if not _REGEX.fullmatch(term):
        refuse("Invalid character(s) in regular expression")


class _Conditions:
    """Conditions joined by && and ||, with parentheses."""

    def __init__(self, text: str, *, json: bool) -> None:
        self._tokens = _TOKEN.findall(text)
        self._at = 0
        self._json = json

    @property
    def _word(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        word = self._word
        if not word:
            refuse()
        self._at += 1
        return word

    def _end(self) -> None:
        if self._word:
            refuse()

    def json(self) -> None:
        self._joined()
        self._end()

    def fields(self) -> None:
        """Fields by comma: `...`, a name, or conditions on names."""
        while True:
            if self._word == "...":
                self._at += 1
            else:
                self._joined()
            if self._word != ",":
                break
            self._at += 1
        self._end()

    def _joined(self) -> None:
        self._condition()
        while self._word in ("&&", "||"):
            self._at += 1
            self._condition()

    def _condition(self) -> None:
        if self._word == "(":
            self._at += 1
            self._joined()
            if self._next() != ")":
                refuse()
            return
        name = self._next()
        if not (_SELECTOR if self._json else _FIELD).fullmatch(name):
            refuse()
        if self._word in _OPERATORS:
            self._at += 1
            self._value()
        elif self._json:
            self._question()

    def _question(self) -> None:
        """IS NULL, IS TRUE, IS FALSE, NOT EXISTS."""
        words = (self._next(), self._next())
        if words not in (("IS", "NULL"), ("IS", "TRUE"), ("IS", "FALSE"), ("NOT", "EXISTS")):
            refuse()

    def _value(self) -> None:
        value = self._next()
        if value.startswith("%"):
            _check_regex(value)
        elif not (value.startswith('"') and value.endswith('"') and len(value) > 1) and not _WORD.fullmatch(value):
            refuse()

"""Whether a topic's policy lets CloudWatch's alarms of an account publish: yes, no, or it cannot be told from here. Pure.

IAM User Guide, "Policy evaluation logic", "Principal", "Condition operators" and "Global condition context keys". A no is said only where nothing
that is not known from here could make it a yes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from securebase.resources.statements import statements

ACTION: Final = "sns:publish"
PUBLISHER: Final = "cloudwatch.amazonaws.com"

_OPERATOR: Final = re.compile(r"(?:for(?:any|all)values:)?(string|arn)(not)?(equals|like)(ignorecase)?(?:ifexists)?", re.I)


class Verdict(IntEnum):
    """Ordered, so that what must all hold is the least of its parts, and what may hold in any way the greatest."""

    NO = 0
    UNKNOWN = 1
    YES = 2

    def opposite(self) -> Verdict:
        """Of what is negated."""
        return Verdict(Verdict.YES - self)


@dataclass(frozen=True, slots=True)
class Publisher:
    """Whose alarms publish, and to which topic."""

    partition: str
    region: str
    account: str
    topic: str

    @property
    def alarms(self) -> str:
        """What ARNs of its alarms begin with."""
        return f"arn:{self.partition}:cloudwatch:{self.region}:{self.account}:alarm:"

    def keys(self) -> dict[str, str]:
        """Condition keys that a request of CloudWatch is known to carry, but for the alarm's ARN. `aws:SourceOwner` is what SNS's own default
        policy asks for (SNS Developer Guide, "Example cases for Amazon SNS access control")."""
        return {
            "aws:sourceaccount": self.account,
            "aws:sourceowner": self.account,
            "aws:securetransport": "true",
            "aws:principalisawsservice": "true",
            "aws:principalservicename": PUBLISHER,
        }


def may_publish(policy: str, publisher: Publisher) -> Verdict:
    """What IAM would say: no matching Deny, and one matching Allow."""
    try:
        document = json.loads(policy)
        every = statements(document)
    except (ValueError, AttributeError, TypeError):
        return Verdict.UNKNOWN
    if not all(isinstance(statement, Mapping) for statement in every):
        return Verdict.UNKNOWN
    denied = max((_applies(one, publisher) for one in every if one.get("Effect") == "Deny"), default=Verdict.NO)
    allowed = max((_applies(one, publisher) for one in every if one.get("Effect") == "Allow"), default=Verdict.NO)
    return min(denied.opposite(), allowed)


def _applies(statement: Mapping[str, Any], publisher: Publisher) -> Verdict:
    """Whether a statement is about alarms that publish to the topic."""
    return min(
        _named(statement, "Action", lambda one: _like(one.lower(), ACTION)),
        _named(statement, "Resource", lambda one: _like(one, publisher.topic)),
        _principal(statement, publisher),
        _conditions(statement.get("Condition") or {}, publisher),
    )


def _named(statement: Mapping[str, Any], element: str, matches: Callable[[str], Verdict]) -> Verdict:
    if element in statement:
        return _any(statement[element], matches)
    if f"Not{element}" in statement:
        return _any(statement[f"Not{element}"], matches).opposite()
    return Verdict.UNKNOWN


def _any(values: Any, matches: Callable[[str], Verdict]) -> Verdict:
    """Whether one of the values does; variables and what is no text are not understood here."""
    return max((matches(one) if isinstance(one, str) and "${" not in one else Verdict.UNKNOWN for one in _listed(values)), default=Verdict.NO)


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _principal(statement: Mapping[str, Any], publisher: Publisher) -> Verdict:
    principal = statement.get("Principal")
    if principal == "*":
        return Verdict.YES
    if not isinstance(principal, Mapping):
        return Verdict.UNKNOWN

    def service(name: str) -> Verdict:
        if name.lower() in (PUBLISHER, "*"):
            return Verdict.YES
        return Verdict.UNKNOWN if "cloudwatch" in name.lower() else Verdict.NO

    def account(name: str) -> Verdict:
        """An account is no service; whether its own alarms count as the account, AWS does not say."""
        if name == "*":
            return Verdict.YES
        return Verdict.UNKNOWN if publisher.account in name else Verdict.NO

    return max(_any(principal.get("Service", []), service), _any(principal.get("AWS", []), account))


def _conditions(conditions: Any, publisher: Publisher) -> Verdict:
    """Every operator and every key of it must hold."""
    if not isinstance(conditions, Mapping):
        return Verdict.UNKNOWN
    found: list[Verdict] = []
    for operator, keys in conditions.items():
        if not isinstance(keys, Mapping):
            return Verdict.UNKNOWN
        found.extend(_condition(operator, key.lower(), values, publisher) for key, values in keys.items())
    return min(found, default=Verdict.YES)


def _condition(operator: str, key: str, values: Any, publisher: Publisher) -> Verdict:
    known = publisher.keys()
    if key not in known and key != "aws:sourcearn":
        return Verdict.UNKNOWN
    if operator.lower() == "null":  # all of them are always there
        return _any(_texts(values), lambda one: _equal(one.lower(), "false"))
    if key == "aws:sourcearn":
        return _compared(operator, values, lambda kind, like, one: _source(kind, like, one, publisher))
    if operator.lower() in ("bool", "boolifexists"):
        return _any(_texts(values), lambda one: _equal(one.lower(), known[key]))
    return _compared(operator, values, lambda kind, like, one: _plain(kind, like, one, known[key]))


def _compared(operator: str, values: Any, holds: Callable[[str, bool, str], Verdict]) -> Verdict:
    """`holds`: whether a value of an operator (string or arn, with wildcards or not) does."""
    read = _OPERATOR.fullmatch(operator)
    if read is None or read[4]:
        return Verdict.UNKNOWN
    found = _any(values, lambda one: holds(read[1].lower(), read[3].lower() == "like", one))
    return found.opposite() if read[2] else found


def _plain(kind: str, like: bool, wanted: str, have: str) -> Verdict:
    """Whether a value is met by a text that is no ARN."""
    if kind == "arn":
        return Verdict.UNKNOWN
    return _like(wanted, have) if like else _equal(wanted, have)


def _source(kind: str, like: bool, wanted: str, publisher: Publisher) -> Verdict:
    """Whether a value of aws:SourceArn is met by alarms, of which only the beginning of the ARN is known here."""
    if kind == "string" and not like:
        literal = wanted.startswith(publisher.alarms) and not set(wanted) & set("*?")
        return Verdict.UNKNOWN if literal else Verdict.NO
    if kind == "string":
        return _like(wanted, publisher.alarms, open_end=True)
    # ArnEquals and ArnLike are the same, and compare each of the six parts by itself.
    parts, have = wanted.split(":", 5), publisher.alarms.split(":", 5)
    if len(parts) < len(have):
        return Verdict.UNKNOWN
    before = min(_like(one, there) for one, there in zip(parts[:5], have[:5], strict=True))
    return min(before, _like(parts[5], have[5], open_end=True))


def _like(pattern: str, text: str, *, open_end: bool = False) -> Verdict:
    """Whether a pattern with * and ? matches a text. `open_end`: something more follows the text, and nobody knows what."""
    places = _skipping({0}, pattern)
    for letter in text:
        stepped = {at if pattern[at] == "*" else at + 1 for at in places if at < len(pattern) and pattern[at] in (letter, "?", "*")}
        places = _skipping(stepped, pattern)
    if not open_end:
        return Verdict.YES if len(pattern) in places else Verdict.NO
    if any(at < len(pattern) and set(pattern[at:]) == {"*"} for at in places):
        return Verdict.YES
    return Verdict.UNKNOWN if any(at < len(pattern) for at in places) else Verdict.NO


def _skipping(places: Iterable[int], pattern: str) -> set[int]:
    """With the places behind every * that may stand for nothing."""
    found = set(places)
    for place in sorted(found):
        rest = pattern[place:]
        found.update(range(place, place + len(rest) - len(rest.lstrip("*")) + 1))
    return found


def _equal(one: str, other: str) -> Verdict:
    return Verdict.YES if one == other else Verdict.NO


def _texts(values: Any) -> list[Any]:
    """Booleans as IAM spells them."""
    return [str(one).lower() if isinstance(one, bool) else one for one in _listed(values)]

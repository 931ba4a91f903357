"""Strings with a grammar that keep their author's spelling: durations, maintenance windows, ARNs and names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from securebase.api.base import VALIDATIONS, Matches, matches

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTES_A_WEEK = 7 * 24 * 60


class _Grammar(str):
    """A string of one grammar; subclasses say which and in which words a wrong one is refused."""

    __slots__ = ()
    expression: str
    message: str
    longest: int

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls._parse, core_schema.str_schema(max_length=cls.longest))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        rule = {"rule": f"self.matches(r'{cls.expression}')", "message": cls.message}
        return {"type": "string", "maxLength": cls.longest, VALIDATIONS: [rule]}

    @classmethod
    def _parse(cls, value: str) -> _Grammar:
        if not matches(cls.expression, value):
            raise PydanticCustomError("rule", "{broken}", {"broken": cls.message})
        return cls(value)


class Duration(_Grammar):
    """A number and one unit, s, m, h or d: 60s, 5m, 30d."""

    __slots__ = ()
    expression = r"^[1-9][0-9]{0,5}[smhd]$"
    message = "a duration is a number and one unit, s, m, h or d: 60s, 5m, 12h, 30d"
    longest = 7

    @property
    def seconds(self) -> int:
        return int(self[:-1]) * _UNIT_SECONDS[self[-1]]


class Window(_Grammar):
    """A weekly window in UTC, from day and time to day and time: sun:03:00-sun:05:00. It may pass the end of the week."""

    __slots__ = ()
    expression = r"^(mon|tue|wed|thu|fri|sat|sun):([01][0-9]|2[0-3]):[0-5][0-9]-(mon|tue|wed|thu|fri|sat|sun):([01][0-9]|2[0-3]):[0-5][0-9]$"
    message = "a window is two times of the week in UTC, day:hour:minute-day:hour:minute: sun:03:00-sun:05:00"
    longest = 19

    def contains(self, moment: datetime) -> bool:
        """Whether `moment` (with a time zone) lies in the window; the end is outside."""
        utc = moment.astimezone(UTC)
        minute = utc.weekday() * 1440 + utc.hour * 60 + utc.minute
        start, length = self._start_and_length()
        return (minute - start) % _MINUTES_A_WEEK < length

    def _start_and_length(self) -> tuple[int, int]:
        start, end = (_minute_of_week(part) for part in self.split("-"))
        return start, (end - start) % _MINUTES_A_WEEK


def _minute_of_week(time: str) -> int:
    day, hour, minute = time.split(":")
    return _DAYS.index(day) * 1440 + int(hour) * 60 + int(minute)


def _string(longest: int) -> StringConstraints:
    return StringConstraints(min_length=1, max_length=longest)


AccountId = Annotated[str, _string(12), Matches(r"^[0-9]{12}$", "an account id is 12 digits, in quotes: '123456789012'")]
Region = Annotated[str, _string(32), Matches(r"^[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}$", "a region is written like us-east-1 or eu-central-1")]
DnsName = Annotated[
    str,
    _string(253),
    Matches(
        r"^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
        "a domain name is lower case, without scheme, path or final dot: www.example.com",
    ),
]
ObjectName = Annotated[str, _string(253), Matches(r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", "a Kubernetes name is lower case letters, digits, - and .")]
Uuid = Annotated[
    str,
    _string(36),
    Matches(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "a policy id looks like 658327ea-f89d-4fab-a63d-7e88639e58f6"),
]
HeaderName = Annotated[str, _string(128), Matches(r"^[A-Za-z0-9!#$%&*+.^_|~-]+$", "a header's name has letters, digits and -, and no colon or space")]
TopicArn = Annotated[
    str,
    _string(512),
    Matches(
        r"^arn:aws[a-z-]*:sns:us-east-1:[0-9]{12}:[A-Za-z0-9_-]+$",
        "the topic must be the ARN of an SNS standard topic in us-east-1: CloudFront's metrics, and so its alarms, exist only there",
    ),
]

"""What every API model is made of: the frozen base, rules told once for CEL and pydantic, and markers for the schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """One refusal, told twice: `cel` to the API server, `holds` to pydantic. `message` names the field and the fix.

    `field` is the path below the model that carries the rule ("" for the model itself), as CEL's fieldPath spells it.
    """

    cel: str
    holds: Callable[[Any], bool]
    message: str
    field: str = ""

    def as_validation(self) -> dict[str, str]:
        validation = {"rule": " ".join(self.cel.split()), "message": self.message}
        return validation | ({"fieldPath": self.field} if self.field else {})


@dataclass(frozen=True, slots=True)
class Transition:
    """A refusal of a change: `cel` reads self and oldSelf, `holds` takes (old, new)."""

    cel: str
    holds: Callable[[Any, Any], bool]
    message: str
    field: str = ""

    def as_validation(self) -> dict[str, str]:
        validation = {"rule": " ".join(self.cel.split()), "message": self.message}
        return validation | ({"fieldPath": self.field} if self.field else {})


Rules = tuple[Rule | Transition, ...]


class ApiModel(BaseModel):
    """Frozen, camelCase outside, snake_case inside; refuses what it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    rules: ClassVar[Rules] = ()

    @classmethod
    def every_rule(cls) -> Rules:
        """The rules of this model and of the models it derives from, the most general first."""
        declared = (vars(base).get("rules", ()) for base in reversed(cls.__mro__))
        return tuple(rule for rules in declared for rule in rules)

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        broken = [rule.message for rule in self.every_rule() if isinstance(rule, Rule) and not rule.holds(self)]
        if broken:
            raise PydanticCustomError("rule", "{broken}", {"broken": "; ".join(broken)})
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        target = handler.resolve_ref_schema(described)
        if rules := cls.every_rule():
            target[VALIDATIONS] = [rule.as_validation() for rule in rules]
        return described


def broken_transitions(old: BaseModel, new: BaseModel) -> list[str]:
    """The messages of every `Transition` that the change from `old` to `new` breaks, at any depth that is not a list."""
    if type(old) is not type(new):
        return []
    rules = new.every_rule() if isinstance(new, ApiModel) else ()
    broken = [rule.message for rule in rules if isinstance(rule, Transition) and not rule.holds(old, new)]
    for name in type(new).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if isinstance(before, BaseModel) and isinstance(after, BaseModel):
            broken += broken_transitions(before, after)
    return broken


def matches(expression: str, value: str) -> bool:
    r"""As RE2 searches: its final `$` is the end of the text, while Python's also stands before a last newline."""
    return re.search(f"{expression[:-1]}\\Z" if expression.endswith("$") else expression, value) is not None


@dataclass(frozen=True, slots=True)
class Matches:
    """A string's grammar, refused in plain words instead of by showing the expression.

    Anchor the expression: RE2's `matches` and Python's `search` both look anywhere in the string.
    """

    expression: str
    message: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        # CEL string literals are raw here: no escape in the expression is read twice.
        validation = {"rule": f"self.matches(r'{self.expression}')", "message": self.message}
        described[VALIDATIONS] = [*described.get(VALIDATIONS, ()), validation]
        return described

    def _check(self, value: str) -> str:
        if not matches(self.expression, value):
            raise PydanticCustomError("rule", "{broken}", {"broken": self.message})
        return value


@dataclass(frozen=True, slots=True)
class ListMap:
    """A list whose items are told apart by one key, so that several managers can each own some of them.

    `ruled`: a rule of the model refuses duplicates in better words.
    """

    key: str
    ruled: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        described |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.key]}
        return described

    def _check(self, items: tuple[Any, ...]) -> tuple[Any, ...]:
        return items if self.ruled else _unique(items, [getattr(item, self.key) for item in items], self.key)


@dataclass(frozen=True, slots=True)
class ListSet:
    """A list of distinct scalars."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(lambda items: _unique(items, items, "value"), handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        described["x-kubernetes-list-type"] = "set"
        return described


@dataclass(frozen=True, slots=True)
class Atomic:
    """A list that one manager owns as a whole."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        described["x-kubernetes-list-type"] = "atomic"
        return described


@dataclass(frozen=True, slots=True)
class MapBounds:
    """How long keys and values of a string map may be; CEL's cost estimate needs `max_properties` and `value`."""

    max_properties: int
    value: int

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler(schema)
        described["maxProperties"] = self.max_properties
        described["additionalProperties"] = described["additionalProperties"] | {"maxLength": self.value}
        return described

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, entries: dict[str, str]) -> dict[str, str]:
        if len(entries) > self.max_properties or any(len(value) > self.value for value in entries.values()):
            bounds = {"entries": self.max_properties, "length": self.value}
            raise PydanticCustomError("map_bounds", "at most {entries} entries of at most {length} characters", bounds)
        return entries


def _unique(items: tuple[Any, ...], keys: tuple[Hashable, ...] | list[Hashable], key: str) -> tuple[Any, ...]:
    for index, value in enumerate(keys):
        if value in keys[:index]:
            raise PydanticCustomError("duplicate", "Duplicate {key}: {value}", {"key": key, "value": str(value)})
    return items

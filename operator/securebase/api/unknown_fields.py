"""Fields of a manifest that its model does not have, each with its path and the nearest name that exists."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class UnknownField:
    """`path` ends with the unknown name, like spec.behaviors[0].prest; `nearest` is None where nothing comes close."""

    path: str
    nearest: str | None

    def __str__(self) -> str:
        hint = f"; did you mean {self.nearest}?" if self.nearest else ""
        return f"{self.path}: unknown field{hint}"


def unknown_fields(model: type[BaseModel], document: Mapping[str, Any]) -> list[UnknownField]:
    """Every unknown field of the document, in its order; models that pass over what they do not know are passed over here."""
    return list(_unknown(model, document, ""))


def _unknown(model: type[BaseModel], document: Mapping[str, Any], path: str) -> Iterator[UnknownField]:
    if model.model_config.get("extra") != "forbid":
        return
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for name, value in document.items():
        here = f"{path}.{name}" if path else str(name)
        if field := fields.get(name):
            yield from _within(field.annotation, value, here)
        else:
            yield UnknownField(here, _nearest(str(name), fields.keys()))


def _within(annotation: Any, value: Any, path: str) -> Iterator[UnknownField]:
    model = _model_in(annotation)
    if model is None:
        return
    match value:
        case Mapping():
            yield from _unknown(model, value, path)
        case str():
            return
        case Sequence():
            for index, item in enumerate(value):
                if isinstance(item, Mapping):
                    yield from _unknown(model, item, f"{path}[{index}]")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation like X, X | None or tuple[X, ...] speaks of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _nearest(name: str, known: Iterable[str]) -> str | None:
    by_spelling = {candidate.lower().replace("_", ""): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower().replace("_", ""), by_spelling, n=1, cutoff=0.6)
    return by_spelling[close[0]] if close else None

"""Which cookies, query strings and headers a behavior reads: selections and their union, and what counts as a credential."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from annotated_types import MaxLen
from pydantic import StringConstraints

from securebase.api.base import ApiModel, ListSet, Rule, Rules
from securebase.api.scalars import HeaderName

# A policy holds at most 10 of each: "Quotas on policies" in the CloudFront developer guide.
MOST_NAMES = 10

# A header or query string whose name looks like one of these is taken for a credential. It may only be forwarded as part of
# the cache key. Too wide costs a cache hit, too narrow shows one tenant's answer to another.
CREDENTIAL_EXPRESSION = "auth|token|api[-_]?key|access[-_]?key|secret|session|credential|cookie|jwt|passw|signature|csrf|^sig$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Names = Annotated[tuple[Name, ...], MaxLen(MOST_NAMES), ListSet()]
HeaderNames = Annotated[tuple[HeaderName, ...], MaxLen(MOST_NAMES), ListSet()]


def looks_like_credential(name: str) -> bool:
    """Whether a header or query string of this name is taken for a credential."""
    return re.search(CREDENTIAL_EXPRESSION, name.lower()) is not None


class Selection(ApiModel):
    """All, none, or some of the cookies or query strings of a request."""

    mode: Literal["All", "None", "Include", "Exclude"]
    """All of them, none, only those named, or all but those named."""
    names: Names = ()
    """With Include and Exclude: the names."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="(self.mode in ['Include', 'Exclude']) == (has(self.names) && size(self.names) > 0)",
            holds=lambda selection: (selection.mode in ("Include", "Exclude")) == bool(selection.names),
            message="names belong to mode Include or Exclude, and both need at least one; All and None take none",
            field=".names",
        ),
    )

    def union(self, other: Selection) -> Selection:
        """What either of the two selects."""
        match (self.mode, other.mode):
            case ("All", _) | (_, "All"):
                return ALL
            case ("None", _):
                return other
            case (_, "None"):
                return self
            case ("Include", "Include"):
                return Selection(mode="Include", names=_sorted({*self.names, *other.names}))
        return _all_but(self._excluded(other))

    def _excluded(self, other: Selection) -> set[str]:
        """What neither selects, at least one of the two being Exclude."""
        match (self.mode, other.mode):
            case ("Exclude", "Exclude"):
                return {*self.names} & {*other.names}
            case ("Exclude", _):
                return {*self.names} - {*other.names}
            case _:
                return {*other.names} - {*self.names}

    def selects(self, name: str) -> bool:
        """Whether a cookie or query string of this name is selected."""
        match self.mode:
            case "All":
                return True
            case "None":
                return False
            case "Include":
                return name in self.names
            case "Exclude":
                return name not in self.names


def _sorted(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


def _all_but(names: set[str]) -> Selection:
    return Selection(mode="Exclude", names=_sorted(names)) if names else ALL


ALL = Selection(mode="All")
NOTHING = Selection(mode="None")

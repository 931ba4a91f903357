"""Saved queries of CloudWatch Logs Insights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from securebase.core.fields import Impact, managed

MOST_GROUPS: Final = 50
"""Log groups of one query (StartQuery, API reference)."""
_LONGEST_NAME: Final = 255
_LONGEST_QUERY: Final = 10_000


@dataclass(frozen=True, slots=True)
class QueryDefinition:
    """A query that the console offers by name, written in the language of Logs Insights. Makes and costs nothing until somebody runs it.

    name        slashes make folders in the console; unique, as made from an identity
    log_groups  names of the groups it is run on; groups that are not there yet are kept all the same

    External id: the id AWS gives. Attributes: `id`, `name`.
    """

    name: str = managed(impact=Impact.REPLACE)
    query: str = managed()
    log_groups: frozenset[str] = frozenset()


def problems(wanted: QueryDefinition) -> Iterator[str]:
    """What CloudWatch Logs would refuse, in words for a person (PutQueryDefinition, API reference)."""
    if not 0 < len(wanted.name) <= _LONGEST_NAME:
        yield f"a query's name has 1 to {_LONGEST_NAME} characters"
    if not 0 < len(wanted.query) <= _LONGEST_QUERY:
        yield f"a query has 1 to {_LONGEST_QUERY} characters"
    if len(wanted.log_groups) > MOST_GROUPS:
        yield f"{len(wanted.log_groups)} log groups; a query is run on {MOST_GROUPS} at most"

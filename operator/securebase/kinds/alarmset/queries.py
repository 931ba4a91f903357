"""Queries of Logs Insights over what targets write: saved ones, and the widgets that run one."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from securebase.api.alarmset import PerfAlarmSetSpec
from securebase.core.graph import Node
from securebase.core.kind import Context
from securebase.kinds.alarmset.catalogue import QueryRecipe, catalogue
from securebase.kinds.alarmset.gathering import Found
from securebase.kinds.alarmset.layout import Draft
from securebase.kinds.alarmset.names import LONG
from securebase.resources.logs.query_model import MOST_GROUPS, QueryDefinition

FUNCTIONS_GROUP: Final = "/aws/lambda/"
_MOST_LISTED: Final = 100
"""Names in one query: with 63 characters each they leave room for the rest in the 10,000 of a query."""
_PLAIN: Final = re.compile(r"[\w.@]+")


@dataclass(frozen=True, slots=True)
class _Query:
    """One query and the log groups it is run on."""

    text: str
    groups: tuple[str, ...]


def query_nodes(spec: PerfAlarmSetSpec, found: Sequence[Found], context: Context, unknown: Collection[str] = ()) -> Iterator[Node]:
    """The spec's own, and the catalogue's for each target. unknown: ids of targets that could not be looked up; what is over their logs loses none."""
    for wanted in spec.queries:
        groups = tuple(wanted.log_groups) if wanted.target is None else _groups([thing for thing in found if thing.target.id == wanted.target])
        yield from _saved(f"query-{wanted.id}", [_Query(wanted.query, groups)], context, partial=wanted.target in unknown)
    if spec.standard_queries:
        for target in sorted({thing.target.id for thing in found}):
            things = [thing for thing in found if thing.target.id == target]
            for recipe in catalogue().queries:
                yield from _saved(f"query-{target}_{recipe.id}", [*_filled(recipe, things)], context, partial=target in unknown)


def log_widgets(dashboard: str, found: Sequence[Found], region: str) -> Iterator[Draft]:
    """The default widgets of a dashboard that run a query."""
    for widget in catalogue().log_widgets:
        if widget.dashboard == dashboard:
            for number, query in enumerate(_filled(widget.query, found), 1):
                id, title = (widget.query.id, widget.title) if number == 1 else (f"{widget.query.id}-{number}", f"{widget.title} ({number})")
                sources = " | ".join(f"SOURCE '{group}'" for group in query.groups)
                yield Draft(id, "log", title, {"view": widget.view, "region": region, "query": f"{sources} | {query.text}"})


def log_groups(found: Found) -> tuple[str, ...]:
    """Where a thing writes its log; () where nobody says. Lambda's default is documented (Lambda Developer Guide, "CloudWatch Logs")."""
    if logs := _access_logs(found):
        return tuple(sorted({str(log["logGroup"]) for log in logs}))
    if told := found.attributes.get("logGroup", ""):
        return (told,)
    return (f"{FUNCTIONS_GROUP}{found.name}",) if found.target.type == "Lambda" else ()


def _groups(things: Sequence[Found]) -> tuple[str, ...]:
    return tuple(sorted({group for thing in things for group in log_groups(thing)}))


def _filled(recipe: QueryRecipe, found: Sequence[Found]) -> Iterator[_Query]:
    """A recipe with what these things tell; several queries where it lists more than one may; none where nothing is to be queried."""
    things = [thing for thing in found if thing.target.type in recipe.types]
    if recipe.fields:
        yield from _on_access_logs(recipe, [log for thing in things for log in _access_logs(thing)])
    elif recipe.needs:
        things = [thing for thing in things if thing.attributes.get(recipe.needs)]
        listed = sorted({name for thing in things for name in thing.attributes[recipe.needs].split(",")})
        for at in range(0, len(listed), _MOST_LISTED):
            yield _Query(_with(recipe.query, {recipe.needs: json.dumps(listed[at : at + _MOST_LISTED])}), _groups(things))
    else:
        yield _Query(recipe.query, _groups(things))


def _on_access_logs(recipe: QueryRecipe, logs: Sequence[Mapping[str, Any]]) -> Iterator[_Query]:
    """Over the logs that have all it looks at. Formats are people's own: one thing may have one name here and another there."""
    stands: dict[str, list[str]] = {name: [] for name in recipe.fields}
    groups: set[str] = set()
    for log in logs:
        has = {name: next((log["fields"][one] for one in variables if one in log["fields"]), "") for name, variables in recipe.fields.items()}
        if all(has.values()):
            groups.add(str(log["logGroup"]))
            for name, field in has.items():
                stands[name].append(_quoted(field))
    if groups:
        yield _Query(_with(recipe.query, {name: _either(sorted(set(fields))) for name, fields in stands.items()}), tuple(sorted(groups)))


def _access_logs(found: Found) -> list[Mapping[str, Any]]:
    """Of the target's stage, or of all stages where it names none."""
    logs: list[Mapping[str, Any]] = json.loads(found.attributes.get("accessLogs") or "[]")
    return [log for log in logs if not found.stage or log["stage"] == found.stage]


def _quoted(field: str) -> str:
    """Logs Insights, "Fields that contain special characters"."""
    return field if _PLAIN.fullmatch(field) else f"`{field}`"


def _either(fields: Sequence[str]) -> str:
    return fields[0] if len(fields) == 1 else f"coalesce({', '.join(fields)})"


def _with(query: str, stands: Mapping[str, str]) -> str:
    for name, text in stands.items():
        query = query.replace(f"{{{name}}}", text)
    return query


def _saved(node: str, queries: Sequence[_Query], context: Context, *, partial: bool) -> Iterator[Node]:
    """One definition, or several where it is over more log groups than one may have; none without any."""
    parts = [(query.text, query.groups[at : at + MOST_GROUPS]) for query in queries for at in range(0, len(query.groups), MOST_GROUPS)]
    for number, (text, groups) in enumerate(parts, 1):
        id = node if number == 1 else f"{node}_{number}"
        wanted = QueryDefinition(context.identity.external_name(id, LONG), text, frozenset(groups))
        yield Node(id, "logs/query-definition", wanted, partial=partial)

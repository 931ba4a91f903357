"""Keeps saved queries of Logs Insights. One list, a thousand a page, tells all there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, Target
from securebase.core.errors import ReconcileError, Terminal, Transient
from securebase.resources.listing import STORM_SECONDS, Listing
from securebase.resources.logs.query_model import QueryDefinition, problems
from securebase.resources.tagging import unresolved

_GONE: Final = ("ResourceNotFoundException",)
_PAGE: Final = 1000
_OVERLAID: Final = ("queryLanguage", "parameters")
"""What a put takes besides what the model says; it replaces the whole definition, so it is sent back as it was."""

Entry = Mapping[str, Any]


class QueryDefinitionDriver:
    """`logs/query-definition`. External id: the id AWS gives. The name, made from the identity, proves whose it is: AWS lets many have one name."""

    type: ClassVar[str] = "logs/query-definition"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._listing: Listing[str, Entry] = Listing(self._list_all, clock)

    def observe(self, targets: Sequence[Target[QueryDefinition]], depth: Depth) -> Mapping[Key, Answer]:
        """Both depths by the list; there is no read by id."""
        wanted = [target for target in targets if target.external_id or not unresolved(target.want().name)]
        try:
            listed = self._listing.get(0.0) if wanted else {}
        except ReconcileError as error:
            return {target.key: error for target in targets}
        return {target.key: _answer(target, listed) for target in targets}

    def locatable(self, target: Target[QueryDefinition]) -> bool:
        """By id or name, whatever it asks."""
        return bool(target.external_id) or not unresolved(target.want().name)

    def create(self, target: Target[QueryDefinition], token: str) -> Observed[QueryDefinition]:
        """Make it, or bring an earlier try's there. The token keeps AWS from making a second one while its list lags."""
        found = _named(self._listing.get(STORM_SECONDS), target.want().name)
        # A client token has 36 to 128 characters (PutQueryDefinition, API reference).
        return self._put(target, found or {}, {} if found else {"clientToken": f"securebase-{token}"})

    def update(self, target: Target[QueryDefinition], observed: Observed[QueryDefinition], changes: Sequence[Change]) -> Observed[QueryDefinition]:
        """Put the whole definition anew."""
        return self._put(target, {**(observed.raw or {}), "queryDefinitionId": observed.external_id}, {})

    def problems(self, desired: QueryDefinition) -> Iterable[str]:
        """What CloudWatch Logs would refuse, known without asking."""
        return problems(desired)

    def delete(self, target: Target[QueryDefinition], observed: Observed[QueryDefinition]) -> None:
        """Gone at once."""
        self._aws.attempt("logs", "delete_query_definition", _GONE, queryDefinitionId=observed.external_id)
        self._listing.drop(observed.external_id)

    def _put(self, target: Target[QueryDefinition], raw: Entry, extra: Mapping[str, str]) -> Observed[QueryDefinition]:
        want = target.want()
        if wrong := list(problems(want)):
            raise Terminal("InvalidQuery", "; ".join(wrong))
        kept = {key: raw[key] for key in (*_OVERLAID, "queryDefinitionId") if raw.get(key)}
        params = kept | {"name": want.name, "queryString": want.query} | ({"logGroupNames": sorted(want.log_groups)} if want.log_groups else {})
        answer = self._aws.attempt("logs", "put_query_definition", _GONE, **params, **extra)
        if isinstance(answer, Refusal):
            self._listing.drop(raw["queryDefinitionId"])
            raise Transient("ChangedMeanwhile", f"saved query {want.name} was removed while it was written: {answer.message}")
        entry = {**params, "queryDefinitionId": answer["queryDefinitionId"]}
        self._listing.wrote(entry["queryDefinitionId"], entry)
        return _observed(target, entry)

    def _list_all(self) -> dict[str, Entry]:
        pages = self._aws.pages("logs", "describe_query_definitions", maxResults=_PAGE)
        return {entry["queryDefinitionId"]: entry for page in pages for entry in page.get("queryDefinitions", [])}


def _answer(target: Target[QueryDefinition], listed: Mapping[str, Entry]) -> Answer:
    if target.external_id:
        entry = listed.get(target.external_id)
    else:
        name = target.want().name
        entry = None if unresolved(name) else _named(listed, name)
    return None if entry is None else _observed(target, entry)


def _named(listed: Mapping[str, Entry], name: str) -> Entry | None:
    """The same one each time, should there be two."""
    return min((entry for entry in listed.values() if entry["name"] == name), key=lambda entry: str(entry["queryDefinitionId"]), default=None)


def _observed(target: Target[QueryDefinition], entry: Entry) -> Observed[QueryDefinition]:
    value = QueryDefinition(entry["name"], entry["queryString"], frozenset(entry.get("logGroupNames") or ()))
    external_id = str(entry["queryDefinitionId"])
    return Observed(external_id, value, owner=target.owner, attributes={"id": external_id, "name": value.name}, raw=entry)

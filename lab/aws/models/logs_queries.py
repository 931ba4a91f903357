"""Saved queries of CloudWatch Logs Insights, which no emulator has.

CloudWatch Logs API reference: PutQueryDefinition (an id updates and keeps nothing of before; a clientToken that comes again makes no second one; two
definitions may have one name, none of the documented errors forbids it), DescribeQueryDefinitions (by prefix, at most 1,000 a page),
DeleteQueryDefinition; quotas: 1,000 a region and account.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from lab.aws.context import Lab
from lab.aws.wire import AwsFault, Call, Reply, answer

MOST_DEFINITIONS = 1000
_SETTINGS = ("name", "queryString", "logGroupNames", "queryLanguage", "parameters")


class LogQueries:
    services = frozenset({"logs"})

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._operations = {"PutQueryDefinition": self._put, "DescribeQueryDefinitions": self._describe, "DeleteQueryDefinition": self._delete}
        self.reset()

    def reset(self) -> None:
        # (account, region) -> id -> definition
        self._kept: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self._tokens: dict[tuple[str, str, str], str] = {}

    async def before(self, call: Call) -> Reply | None:
        operation = self._operations.get(call.operation)
        return None if operation is None else answer(call, operation(call))

    async def after(self, call: Call, reply: Reply) -> Reply:
        return reply

    def _mine(self, call: Call) -> dict[str, dict[str, Any]]:
        return self._kept.setdefault((call.account, call.region), {})

    def _put(self, call: Call) -> dict[str, Any]:
        params, mine = call.params, self._mine(call)
        token = (call.account, call.region, params.get("clientToken", ""))
        identifier = params.get("queryDefinitionId") or (self._tokens.get(token, "") if token[2] else "")
        if params.get("queryDefinitionId") and identifier not in mine:
            raise AwsFault("ResourceNotFoundException", "The specified query definition does not exist.", 400)
        if identifier not in mine:
            if len(mine) >= self._lab.settings.quotas.get("logs.query_definitions", MOST_DEFINITIONS):
                raise AwsFault("LimitExceededException", "Resource limit exceeded.", 400)
            identifier = str(uuid.uuid4())
        if token[2]:
            self._tokens[token] = identifier
        kept = {name: params[name] for name in _SETTINGS if params.get(name)}
        mine[identifier] = {"queryDefinitionId": identifier, "queryLanguage": "CWLI", "lastModified": int(time.time() * 1000)} | kept
        return {"queryDefinitionId": identifier}

    def _describe(self, call: Call) -> dict[str, Any]:
        params = call.params
        prefix, after, size = params.get("queryDefinitionNamePrefix", ""), params.get("nextToken", ""), params.get("maxResults", MOST_DEFINITIONS)
        rows = sorted((one["name"], identifier) for identifier, one in self._mine(call).items() if one["name"].startswith(prefix))
        rows = [row for row in rows if not after or f"{row[0]}\n{row[1]}" > after]
        told: dict[str, Any] = {"queryDefinitions": [self._mine(call)[identifier] for _, identifier in rows[:size]]}
        return told | ({"nextToken": "\n".join(rows[size - 1])} if len(rows) > size else {})

    def _delete(self, call: Call) -> dict[str, Any]:
        if self._mine(call).pop(call.params["queryDefinitionId"], None) is None:
            raise AwsFault("ResourceNotFoundException", "The specified query definition does not exist.", 400)
        return {"success": True}

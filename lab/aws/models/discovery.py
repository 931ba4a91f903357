"""What ministack lacks where things to watch are looked for: pages, tags of databases and of API Gateway, log groups of functions.

Functions, tables, queues, clusters and APIs are ministack's. Lambda API reference, ListFunctions ("up to 50 items ... even if you set the number
higher") and LoggingConfig (told always, /aws/lambda/NAME by default); RDS, DescribeDBClusters (MaxRecords 20 to 100, Marker) and its identifiers, which
are kept in lower case and found in any; API Gateway v2, GetApis (MaxResults, NextToken); the tagging API knows `rds:cluster`, `rds:db`,
`apigateway:restapis` and `apigateway:apis`, whose ARNs hold no account.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lab.aws.context import Lab
from lab.aws.wire import AwsFault, Call, Reply, answer, result_of, rewrite

_MOST_FUNCTIONS, _MOST_RECORDS, _FEWEST_RECORDS, _MOST_APIS = 50, 100, 20, 100
_RDS_NAMES = ("DBClusterIdentifier", "DBInstanceIdentifier")
_RDS_LISTS = {"DescribeDBClusters": "DBClusters", "DescribeDBInstances": "DBInstances"}


def _pairs(tags: Iterable[dict[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in tags}


class Discovery:
    services = frozenset({"lambda", "rds", "apigateway", "apigatewayv2"})

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def reset(self) -> None:
        self._lab.owners.clear()

    async def before(self, call: Call) -> Reply | None:
        if call.service == "rds" and any(call.params.get(name, "") != call.params.get(name, "").lower() for name in _RDS_NAMES):
            rewrite(call, {key: value.lower() if key in _RDS_NAMES else value for key, value in call.params.items()})
        if call.service == "rds" and call.operation in _RDS_LISTS:
            return await self._rds_page(call)
        return None

    async def after(self, call: Call, reply: Reply) -> Reply:
        if not reply.ok:
            return reply
        match call.service:
            case "lambda":
                return self._functions(call, reply)
            case "rds" if call.is_write:
                self._note_database(call, reply)
            case "apigateway" | "apigatewayv2":
                return self._apis(call, reply)
        return reply

    def _functions(self, call: Call, reply: Reply) -> Reply:
        match call.operation:
            case "ListFunctions":
                result = result_of(call, reply)
                found = result.get("Functions", [])
                told = result | {"Functions": [_with_logs(one) for one in found[:_MOST_FUNCTIONS]]}
                return answer(call, told | ({"NextMarker": found[_MOST_FUNCTIONS - 1]["FunctionName"]} if len(found) > _MOST_FUNCTIONS else {}))
            case "GetFunctionConfiguration":
                return answer(call, _with_logs(result_of(call, reply)))
        return reply

    async def _rds_page(self, call: Call) -> Reply:
        params = dict(call.params)
        size, start = int(params.pop("MaxRecords", _MOST_RECORDS)), int(params.pop("Marker", 0))
        if not _FEWEST_RECORDS <= size <= _MOST_RECORDS:
            raise AwsFault("InvalidParameterValue", f"Invalid value {size} for MaxRecords. Must be between {_FEWEST_RECORDS} and {_MOST_RECORDS}", 400)
        rewrite(call, params)
        reply = await self._lab.backends.send(call)
        if not reply.ok:
            return reply
        name = _RDS_LISTS[call.operation]
        found = result_of(call, reply).get(name, [])
        if len(found) <= size and not start:
            return reply
        return answer(call, {name: found[start : start + size]} | ({"Marker": str(start + size)} if start + size < len(found) else {}))

    def _note_database(self, call: Call, reply: Reply) -> None:
        tagged = self._lab.tagged
        match call.operation:
            case "AddTagsToResource":
                tagged.setdefault(call.params["ResourceName"], {}).update(_pairs(call.params["Tags"]))
                return
            case "RemoveTagsFromResource":
                for key in call.params["TagKeys"]:
                    tagged.get(call.params["ResourceName"], {}).pop(key, None)
                return
        result = result_of(call, reply)
        for name in ("DBCluster", "DBInstance"):
            if name not in result:
                continue
            arn = result[name][f"{name}Arn"]
            if call.operation.startswith("Delete"):
                tagged.pop(arn, None)
            else:
                tagged.setdefault(arn, _pairs(result[name].get("TagList", [])))

    def _apis(self, call: Call, reply: Reply) -> Reply:
        params = call.params
        match call.operation:
            case "CreateRestApi" | "CreateApi":
                made = result_of(call, reply)
                self._tag(call, self._arn(call, made), params.get("tags") or params.get("Tags") or {})
            case "DeleteRestApi" | "DeleteApi":
                self._lab.tagged.pop(self._arn(call, {"id": params.get("restApiId"), "ApiId": params.get("ApiId")}), None)
            case "TagResource":
                self._tag(call, params.get("resourceArn") or params["ResourceArn"], params.get("tags") or params.get("Tags") or {})
            case "UntagResource":
                for key in params.get("tagKeys") or params.get("TagKeys") or []:
                    self._lab.tagged.get(params.get("resourceArn") or params["ResourceArn"], {}).pop(key, None)
            case "GetRestApi" | "GetApi":
                return answer(call, self._with_tags(call, result_of(call, reply)))
            case "GetRestApis":
                result = result_of(call, reply)
                return answer(call, result | {"items": [self._with_tags(call, one) for one in result.get("items", [])]})
            case "GetApis":
                return self._api_page(call, result_of(call, reply).get("Items", []))
        return reply

    def _arn(self, call: Call, api: dict[str, Any]) -> str:
        kind, identifier = ("restapis", api.get("id")) if call.service == "apigateway" else ("apis", api.get("ApiId"))
        return f"arn:aws:apigateway:{call.region}::/{kind}/{identifier}"

    def _tag(self, call: Call, arn: str, tags: dict[str, str]) -> None:
        self._lab.owners[arn] = call.account
        self._lab.tagged.setdefault(arn, {}).update(tags)

    def _with_tags(self, call: Call, api: dict[str, Any]) -> dict[str, Any]:
        tags = self._lab.tagged.get(self._arn(call, api))
        return api if tags is None else api | {"tags" if call.service == "apigateway" else "Tags": tags}

    def _api_page(self, call: Call, found: list[dict[str, Any]]) -> Reply:
        size, start = min(int(call.params.get("MaxResults") or _MOST_APIS), _MOST_APIS), int(call.params.get("NextToken") or 0)
        told: dict[str, Any] = {"Items": [self._with_tags(call, one) for one in found[start : start + size]]}
        return answer(call, told | ({"NextToken": str(start + size)} if start + size < len(found) else {}))


def _with_logs(function: dict[str, Any]) -> dict[str, Any]:
    default = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{function['FunctionName']}"}
    return function | {"LoggingConfig": default | (function.get("LoggingConfig") or {})}

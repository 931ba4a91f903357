"""CloudWatch Logs: what ministack lacks of log groups (keys, a look by names) and lets through of metric filters.

CloudWatch Logs API reference: AssociateKmsKey, DisassociateKmsKey, DescribeLogGroups (logGroupIdentifiers: "the only other filter that you can
choose ... is includeLinkedAccounts"), PutMetricFilter (100 filters a group, 5 with regular expressions), MetricTransformation (dimensions need a JSON
or space-delimited pattern, at most 3, and no default value); User Guide, "Encrypt log data" (the key's policy must let logs.REGION.amazonaws.com use it).
"""

from __future__ import annotations

import re
from typing import Any

from lab.aws.context import Lab
from lab.aws.models.logs_patterns import check_pattern, refuse, regexes, structured
from lab.aws.models.policies import allows
from lab.aws.wire import AwsFault, Call, Reply, answer, result_of

MOST_FILTERS, MOST_REGEX_FILTERS, MOST_DIMENSIONS = 100, 5, 3
_PAGE = 50
_VALUE = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?|\$[A-Za-z_.\[][^\s]*")


class LogGroups:
    services = frozenset({"logs"})

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.reset()

    def reset(self) -> None:
        # (account, region, group) -> key's ARN; '' after a disassociation.
        self._keys: dict[tuple[str, str, str], str] = {}

    async def before(self, call: Call) -> Reply | None:
        match call.operation:
            case "AssociateKmsKey" | "DisassociateKmsKey":
                return await self._associate(call)
            case "DescribeLogGroups" if call.params.get("logGroupIdentifiers"):
                return await self._by_name(call)
            case "PutMetricFilter":
                await self._check_filter(call)
        return None

    async def after(self, call: Call, reply: Reply) -> Reply:
        if not reply.ok:
            return reply
        match call.operation:
            case "DeleteLogGroup":
                self._keys.pop((call.account, call.region, call.params["logGroupName"]), None)
            case "DescribeLogGroups" if self._keys:
                result = result_of(call, reply)
                return answer(call, result | {"logGroups": [self._with_key(call, group) for group in result["logGroups"]]})
        return reply

    def _with_key(self, call: Call, group: dict[str, Any]) -> dict[str, Any]:
        key = self._keys.get((call.account, call.region, group["logGroupName"]))
        if key is None:
            return group
        return {name: value for name, value in group.items() if name != "kmsKeyId"} | ({"kmsKeyId": key} if key else {})

    async def _ask(self, call: Call, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        return await self._lab.backends.ask("logs", operation, params, call.account, call.region)

    async def _groups(self, call: Call) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = []
        token: dict[str, Any] = {}
        while True:
            page = await self._ask(call, "DescribeLogGroups", {"limit": _PAGE} | token)
            groups += page["logGroups"]
            if "nextToken" not in page:
                return groups
            token = {"nextToken": page["nextToken"]}

    async def _by_name(self, call: Call) -> Reply:
        if any(call.params.get(name) for name in ("logGroupNamePrefix", "logGroupNamePattern", "logGroupClass")):
            refuse("logGroupIdentifiers cannot be combined with other filters.")
        wanted = {name.removesuffix(":*").rpartition(":log-group:")[2] for name in call.params["logGroupIdentifiers"]}
        found = [self._with_key(call, group) for group in await self._groups(call) if group["logGroupName"] in wanted]
        return answer(call, {"logGroups": found})

    async def _associate(self, call: Call) -> Reply:
        params = call.params
        name = params.get("logGroupName") or params.get("resourceIdentifier", "").removesuffix(":*").rpartition(":log-group:")[2]
        if not any(group["logGroupName"] == name for group in await self._groups(call)):
            raise AwsFault("ResourceNotFoundException", "The specified log group does not exist.", 400)
        key = params["kmsKeyId"] if call.operation == "AssociateKmsKey" else ""
        if key and not await self._usable(call, key, name):
            refuse(
                f"The specified KMS key does not exist or is not allowed to be used with LogGroup 'arn:aws:logs:{call.region}:{call.account}:log-group:{name}'"
            )
        self._keys[call.account, call.region, name] = key
        return answer(call, {})

    async def _usable(self, call: Call, key: str, group: str) -> bool:
        if not key.startswith("arn:"):
            return False
        ask = self._lab.backends.ask
        account = key.split(":")[4]
        try:
            described = (await ask("kms", "DescribeKey", {"KeyId": key}, account, call.region))["KeyMetadata"]
            policy = (await ask("kms", "GetKeyPolicy", {"KeyId": described["KeyId"], "PolicyName": "default"}, account, call.region))["Policy"]
        except AwsFault:
            return False
        context = {"aws:sourceaccount": call.account, "kms:encryptioncontext:aws:logs:arn": f"arn:aws:logs:{call.region}:{call.account}:log-group:{group}"}
        return bool(described.get("Enabled")) and allows(policy, "kms:GenerateDataKey", f"logs.{call.region}.amazonaws.com", context)

    async def _check_filter(self, call: Call) -> None:
        params = call.params
        check_pattern(params["filterPattern"])
        for transformation in params["metricTransformations"]:
            _check_transformation(params["filterPattern"], transformation)
        others = [one for one in await self._filters(call) if one["filterName"] != params["filterName"]]
        if len(others) >= MOST_FILTERS:
            raise AwsFault("LimitExceededException", "Resource limit exceeded.", 400)
        if regexes(params["filterPattern"]) and sum(1 for one in others if regexes(one.get("filterPattern", ""))) >= MOST_REGEX_FILTERS:
            raise AwsFault("LimitExceededException", "Resource limit exceeded.", 400)

    async def _filters(self, call: Call) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token: dict[str, Any] = {}
        while True:
            page = await self._ask(call, "DescribeMetricFilters", {"logGroupName": call.params["logGroupName"], "limit": _PAGE} | token)
            found += page["metricFilters"]
            if "nextToken" not in page:
                return found
            token = {"nextToken": page["nextToken"]}


def _check_transformation(pattern: str, transformation: dict[str, Any]) -> None:
    if not _VALUE.fullmatch(transformation["metricValue"]):
        refuse("Invalid metric transformation: metricValue must be a number or name a field")
    dimensions = transformation.get("dimensions", {})
    if not dimensions:
        return
    if not structured(pattern):
        refuse("The specified filter pattern does not support dimensions")
    if len(dimensions) > MOST_DIMENSIONS:
        refuse("Invalid metric transformation: at most 3 dimensions are allowed")
    if "defaultValue" in transformation:
        refuse("Invalid metric transformation: dimensions and default value are mutually exclusive")
    if not all(value.startswith("$") for value in dimensions.values()):
        refuse("Invalid metric transformation: a dimension's value must name a field")

"""The tagging API over all services: certificates and what models keep added, filters and pages honoured, regions kept apart.

Resource Groups Tagging API reference, GetResources: tagged resources of the region only (CloudFront's are in us-east-1), TagFilters
are joined by AND, at most 100 a page (ResourcesPerPage; 50 by default), at most 100 ARNs in ResourceARNList.
"""

from __future__ import annotations

import json
from typing import Any

from multidict import CIMultiDict

from lab.aws.context import Lab
from lab.aws.wire import AwsFault, Call, Reply, result_of

Tags = dict[str, str]
_DEFAULT_PAGE, _MOST_ITEMS = 50, 100
_GLOBAL = frozenset({"cloudfront", "route53"})


def _pairs(tags: list[dict[str, str]]) -> Tags:
    return {tag["Key"]: tag.get("Value", "") for tag in tags}


def resource_type(arn: str) -> tuple[str, str]:
    """Service and type as ResourceTypeFilters names them: ('cloudfront', 'distribution'); ARNs of SNS, SQS and S3 name no type."""
    parts = arn.split(":", 5)
    service = parts[2]
    match service:
        case "sns":
            return service, "topic"
        case "sqs":
            return service, "queue"
        case "s3":
            return service, "bucket"
    return service, parts[5].lstrip("/").replace("/", ":").partition(":")[0]


class Tagging:
    # All whose tags a backend's tagging API lists: what was listed is forgotten when one is written.
    services = frozenset({
        "resourcegroupstaggingapi", "cloudwatch", "acm", "cloudfront", "sns", "s3", "logs", "route53", "lambda", "dynamodb", "sqs", "kms",
    })  # fmt: skip

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.reset()

    def reset(self) -> None:
        # What ministack's tagging API does not list: ARN -> tags, of certificates.
        self._extra: dict[str, Tags] = {}
        self._cached: dict[tuple[str, str], list[tuple[str, Tags]]] = {}
        self._writes = 0

    async def before(self, call: Call) -> Reply | None:
        if call.operation == "GetResources":
            return await self._resources(call)
        return None

    async def after(self, call: Call, reply: Reply) -> Reply:
        if call.is_write and reply.ok:
            self._writes += 1
            self._cached = {key: value for key, value in self._cached.items() if key[0] != call.account}
            if call.service == "acm":
                self._note_certificate(call, reply)
        return reply

    def _note_certificate(self, call: Call, reply: Reply) -> None:
        arn = call.params.get("CertificateArn", "")
        match call.operation:
            case "RequestCertificate" | "ImportCertificate":
                self._extra.setdefault(result_of(call, reply)["CertificateArn"], _pairs(call.params.get("Tags", [])))
            case "AddTagsToCertificate":
                self._extra.setdefault(arn, {}).update(_pairs(call.params["Tags"]))
            case "RemoveTagsFromCertificate":
                for tag in call.params["Tags"]:
                    self._extra.get(arn, {}).pop(tag["Key"], None)
            case "DeleteCertificate":
                self._extra.pop(arn, None)

    async def _all(self, account: str, region: str) -> list[tuple[str, Tags]]:
        """Every tagged resource of the account and region, in a stable order."""
        key = (account, region)
        if key in self._cached:
            return self._with_kept(key)
        before = self._writes
        listed = await self._lab.backends.ask("resourcegroupstaggingapi", "GetResources", {}, account, region)
        found = {entry["ResourceARN"]: _pairs(entry["Tags"]) for entry in listed["ResourceTagMappingList"]}
        found |= {arn: tags for arn, tags in self._extra.items() if arn.split(":")[3:5] == [region, account]}
        here = region == "us-east-1"
        resources = sorted((arn, dict(tags)) for arn, tags in found.items() if tags and (here or arn.split(":")[2] not in _GLOBAL))
        if self._writes == before:
            self._cached[key] = resources
        return self._with_kept(key, resources)

    def _with_kept(self, key: tuple[str, str], resources: list[tuple[str, Tags]] | None = None) -> list[tuple[str, Tags]]:
        """With what models keep whole, which no backend lists."""
        account, region = key
        kept = [(arn, dict(tags)) for arn, tags in self._lab.tagged.items() if tags and self._is_of(arn, account, region)]
        listed = self._cached[key] if resources is None else resources
        return sorted([*listed, *kept]) if kept else listed

    def _is_of(self, arn: str, account: str, region: str) -> bool:
        parts = arn.split(":", 5)
        return parts[3] == region and (parts[4] or self._lab.owners.get(arn)) == account

    async def _resources(self, call: Call) -> Reply:
        params = call.params
        if len(params.get("ResourceARNList", [])) > _MOST_ITEMS:
            raise AwsFault("InvalidParameterException", "ResourceARNList can contain at most 100 ARNs.")
        chosen = [(arn, tags) for arn, tags in await self._all(call.account, call.region) if _matches(params, arn, tags)]
        start = int(params.get("PaginationToken") or 0)
        size = min(int(params.get("ResourcesPerPage") or _DEFAULT_PAGE), _MOST_ITEMS)
        mappings = [
            {"ResourceARN": arn, "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]} for arn, tags in chosen[start : start + size]
        ]
        result = {"ResourceTagMappingList": mappings, "PaginationToken": str(start + size) if start + size < len(chosen) else ""}
        return Reply(200, json.dumps(result).encode(), CIMultiDict({"Content-Type": "application/x-amz-json-1.1"}))


def _matches(params: dict[str, Any], arn: str, tags: Tags) -> bool:
    wanted = params.get("ResourceARNList")
    if wanted and arn not in wanted:
        return False
    service, kind = resource_type(arn)
    types = params.get("ResourceTypeFilters")
    if types and service not in types and f"{service}:{kind}" not in types:
        return False
    return all(entry["Key"] in tags and (not entry.get("Values") or tags[entry["Key"]] in entry["Values"]) for entry in params.get("TagFilters", []))

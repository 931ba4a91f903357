"""What many distributions share: immutable CloudFront policies, functions and access controls, named by their content."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from securebase.core.fields import leaves
from securebase.core.graph import Node, Ref, Role
from securebase.core.identity import digest, shared_name
from securebase.resources.cloudfront.managed import managed_cache_policy, managed_origin_request_policy, managed_response_headers_policy
from securebase.resources.cloudfront.model import CachePolicy, Function, OriginAccessControl, OriginRequestPolicy, ResponseHeadersPolicy

HOME: Final = "us-east-1"
"""Where CloudFront and all that belongs to it lives: policies, certificates, metrics, alarms, log deliveries."""

NOTE: Final = "Made by the SecureBase operator, used by many distributions"
"""Comment of every shared resource. Never says who uses it: it must be the same for all who do."""

_S = TypeVar("_S", CachePolicy, OriginRequestPolicy, ResponseHeadersPolicy, Function, OriginAccessControl)


def content(type_: str, value: Any) -> str:
    """What a shared resource does, as text: the same for equal content whatever its name and comment.

    Leaves that say nothing (None, "", ()) are left out, so that a field added to a model later renames nobody's policies.
    """
    told = {path: leaf.value for path, leaf in leaves(value).items() if path not in ("name", "comment", "description")}
    return json.dumps([type_, {path: value for path, value in sorted(told.items()) if value not in (None, "", ())}])


@dataclass(slots=True)
class SharedNodes:
    """Collects the shared nodes of one graph; equal content is one node. Each method gives the id or ARN to use it by."""

    instance: str
    _nodes: dict[str, Node] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def cache_policy(self, wanted: CachePolicy) -> str:
        """Id of a cache policy: AWS's own where one is equal."""
        return managed_cache_policy(wanted) or self._add("cloudfront/cache-policy", "cache-policy", wanted, "id")

    def origin_request_policy(self, wanted: OriginRequestPolicy) -> str:
        """Id of an origin request policy: AWS's own where one is equal."""
        return managed_origin_request_policy(wanted) or self._add("cloudfront/origin-request-policy", "origin-request-policy", wanted, "id")

    def response_headers_policy(self, wanted: ResponseHeadersPolicy) -> str:
        """Id of a response headers policy: AWS's own where one is equal."""
        return managed_response_headers_policy(wanted) or self._add("cloudfront/response-headers-policy", "response-headers-policy", wanted, "id")

    def function(self, purpose: str, wanted: Function) -> str:
        """ARN of a published function."""
        return self._add("cloudfront/function", f"function-{purpose}", wanted, "arn")

    def access_control(self, wanted: OriginAccessControl) -> str:
        """Id of the one origin access control of a distribution."""
        return self._add("cloudfront/origin-access-control", "origin-access-control", wanted, "id", alone=True)

    def _add(self, type_: str, label: str, wanted: _S, attribute: str, *, alone: bool = False) -> str:
        """The node's id holds the hash: other content is another node, made before the old one goes, and never a replacement that
        somebody would have to approve."""
        text = content(type_, wanted)
        name = label if alone else f"{label}-{digest(text)}"
        self._nodes[name] = Node(name, type_, replace(wanted, name=shared_name(self.instance, text)), HOME, Role.SHARED)
        return Ref(name, attribute)

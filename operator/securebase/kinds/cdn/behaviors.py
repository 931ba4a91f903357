"""What a distribution does with the requests of each path, and the function that routes a single-page application."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from securebase.api.cdn import Behavior, CdnDistributionSpec
from securebase.api.cdn.delivery import ResponseHeaders
from securebase.api.cdn.presets import MethodSet
from securebase.kinds.cdn.policies import cache_policy_id, compresses, origin_request_policy_id, response_headers_policy_id
from securebase.kinds.cdn.shared import NOTE, SharedNodes
from securebase.resources.cloudfront.model import (
    ALL_METHODS,
    SAFE_METHODS,
    CacheBehavior,
    Function,
    FunctionAssociation,
    LambdaAssociation,
)

_METHODS: Final[Mapping[MethodSet, frozenset[str]]] = {
    "Read": SAFE_METHODS,
    "ReadWithOptions": SAFE_METHODS | {"OPTIONS"},
    "All": ALL_METHODS,
}

_ROOT: Final = "index.html"

# Runs on the viewer's request of the behaviors that ask for it and nowhere else, so that an API's 404 stays a 404. What has a file
# extension is left alone (a missing script must not become HTML), and so are well-known URIs (RFC 8615), many of which have none.
_SPA_CODE: Final = """\
function handler(event) {
  var request = event.request;
  var file = request.uri.substring(request.uri.lastIndexOf('/') + 1);
  if (file.indexOf('.') === -1 && request.uri.indexOf('/.well-known/') !== 0) {
    request.uri = %s;
  }
  return request;
}
"""


def default_behavior(spec: CdnDistributionSpec, shared: SharedNodes) -> CacheBehavior:
    """The behavior of every path that no other names."""
    return _behavior(spec.default_behavior, "", spec, shared)


def path_behaviors(spec: CdnDistributionSpec, shared: SharedNodes) -> tuple[CacheBehavior, ...]:
    """The other behaviors, in order of precedence."""
    return tuple(_behavior(behavior, behavior.path, spec, shared) for behavior in spec.path_behaviors)


def _behavior(behavior: Behavior, path: str, spec: CdnDistributionSpec, shared: SharedNodes) -> CacheBehavior:
    headers: ResponseHeaders = spec.response_headers
    return CacheBehavior(
        path_pattern=path,
        target_origin=behavior.origin,
        cache_policy_id=cache_policy_id(behavior, shared),
        viewer_protocol=behavior.viewer_protocol,
        allowed_methods=_METHODS[behavior.effective_methods],
        compress=compresses(behavior),
        origin_request_policy_id=origin_request_policy_id(behavior, shared),
        response_headers_policy_id=response_headers_policy_id(behavior, headers, shared),
        functions=_functions(behavior, spec.default_root_object or _ROOT, shared),
        lambdas=tuple(LambdaAssociation(edge.event, edge.arn, edge.include_body) for edge in sorted(behavior.lambdas, key=lambda edge: edge.event)),
        trusted_key_groups=frozenset(behavior.trusted_key_groups),
    )


def _functions(behavior: Behavior, root: str, shared: SharedNodes) -> tuple[FunctionAssociation, ...]:
    own = [FunctionAssociation(function.event, function.arn) for function in behavior.functions]
    if behavior.spa:
        own.append(FunctionAssociation("viewer-request", shared.function("spa", spa_function(root))))
    return tuple(sorted(own, key=lambda function: function.event))


def spa_function(root: str) -> Function:
    """Answers every path of a single-page application with its root object."""
    return Function(name="", code=_SPA_CODE % json.dumps(f"/{root}"), comment=NOTE)

"""How the pages of a list follow each other: botocore's rules where it has them, else read off the shapes of the operation."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, StructureShape

MARKERS = (("Marker", "NextMarker"), ("NextToken", "NextToken"), ("nextToken", "nextToken"), ("ContinuationToken", "NextContinuationToken"))
"""Input and output member that carry the position, where botocore has no paginator (CloudFront's policies and functions, for one)."""


def page_rules(loader: Loader, service: ServiceModel, operation: OperationModel) -> dict[str, Any] | None:
    """Configuration for `botocore.paginate.Paginator`; None when the operation answers with one page."""
    try:
        known = loader.load_service_model(service.service_name, "paginators-1", service.api_version)["pagination"]
    except UnknownServiceError:
        known = {}
    if operation.name in known:
        rules: dict[str, Any] = known[operation.name]
        return rules
    return _derived(operation)


def _derived(operation: OperationModel) -> dict[str, Any] | None:
    inputs = operation.input_shape.members if isinstance(operation.input_shape, StructureShape) else {}
    if not isinstance(operation.output_shape, StructureShape):
        return None
    # CloudFront wraps a list in one structure: {"CachePolicyList": {"NextMarker", "Items", ...}}.
    holders = {"": operation.output_shape} | {f"{name}.": shape for name, shape in operation.output_shape.members.items() if isinstance(shape, StructureShape)}
    for sent, received in MARKERS:
        for prefix, shape in holders.items():
            if sent in inputs and received in shape.members:
                items = next((name for name, member in shape.members.items() if member.type_name == "list"), "Items")
                return {"input_token": sent, "output_token": prefix + received, "result_key": prefix + items}
    return None

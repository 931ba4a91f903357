"""Requests checked against botocore's service model: required members, types, ranges, and the enumerations botocore itself lets through."""

from __future__ import annotations

from typing import Any

from botocore.validate import ParamValidator

from lab.aws.wire import AwsFault, Call

_CODES = {
    "cloudfront": "InvalidArgument",
    "route53": "InvalidInput",
    "s3": "InvalidRequest",
    "sns": "InvalidParameter",
    "cloudwatch": "ValidationError",
    "elasticache": "InvalidParameterValue",
    "ec2": "InvalidParameterValue",
}
# Uploads carry a stream; and S3's XML arrives with members that its own documentation calls optional but the model does not.
_UNCHECKED_SERVICES = frozenset({"s3"})
_validator = ParamValidator()


def _wrong_enums(shape: Any, value: Any, path: str) -> list[str]:
    match shape.type_name:
        case "structure" if isinstance(value, dict):
            members = shape.members
            return [wrong for name, part in value.items() if name in members for wrong in _wrong_enums(members[name], part, f"{path}.{name}")]
        case "list" if isinstance(value, list):
            return [wrong for index, part in enumerate(value) for wrong in _wrong_enums(shape.member, part, f"{path}[{index}]")]
        case "string" if isinstance(value, str):
            allowed = getattr(shape, "enum", None)
            return [f"{path}: '{value}' is not one of {', '.join(allowed)}"] if allowed and value not in allowed else []
    return []


def _wrong_quantities(value: Any, path: str) -> list[str]:
    """CloudFront refuses a Quantity that is not the number of Items (InconsistentQuantities, CloudFront API reference)."""
    if isinstance(value, list):
        return [wrong for index, part in enumerate(value) for wrong in _wrong_quantities(part, f"{path}[{index}]")]
    if not isinstance(value, dict):
        return []
    found = [wrong for name, part in value.items() for wrong in _wrong_quantities(part, f"{path}.{name}")]
    if "Quantity" in value and value["Quantity"] != len(value.get("Items") or ()):
        found.append(f"{path}: Quantity {value['Quantity']} but {len(value.get('Items') or ())} Items")
    return found


def check_request(call: Call) -> None:
    """Raises the service's validation error for a request its model does not allow."""
    if call.model is None or call.model.input_shape is None or call.service in _UNCHECKED_SERVICES or call.protocol.startswith("smithy"):
        return
    report = _validator.validate(call.params, call.model.input_shape)
    code = _CODES.get(call.service, "ValidationException")
    if report.has_errors():
        raise AwsFault(code, report.generate_report(), 400)
    if call.is_write:
        if wrong := _wrong_enums(call.model.input_shape, call.params, call.operation):
            raise AwsFault(code, "; ".join(wrong), 400)
        if call.service == "cloudfront" and (wrong := _wrong_quantities(call.params, call.operation)):
            raise AwsFault("InconsistentQuantities", "; ".join(wrong), 400)

"""Small AWS objects for the endpoint's tests, made through boto3 or as its arguments."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
ALL_VIEWER_EXCEPT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
SECURITY_HEADERS = "67f7725c-6f97-4210-82d7-5512b31e9d03"


def refused(code: str, function: Any, /, **arguments: Any) -> str:
    """Asserts that AWS refuses with this code; returns the message."""
    with pytest.raises(ClientError) as caught:
        function(**arguments)
    assert caught.value.response["Error"]["Code"] == code, caught.value
    return str(caught.value.response["Error"]["Message"])


def distribution(reference: str = "one", **changes: Any) -> dict[str, Any]:
    """The smallest configuration CloudFront takes; `behavior` and `origin` are merged into the only ones."""
    origin = {"Id": "site", "DomainName": "site.s3.us-east-1.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}} | changes.pop("origin", {})
    behavior = {"TargetOriginId": "site", "ViewerProtocolPolicy": "redirect-to-https", "CachePolicyId": CACHING_OPTIMIZED} | changes.pop("behavior", {})
    base = {
        "CallerReference": reference,
        "Comment": "",
        "Enabled": True,
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": behavior,
    }
    return base | changes


def cache_policy(name: str, low: int = 0, default: int = 60, high: int = 3600, **parameters: Any) -> dict[str, Any]:
    key = {
        "EnableAcceptEncodingGzip": False,
        "EnableAcceptEncodingBrotli": False,
        "HeadersConfig": {"HeaderBehavior": "none"},
        "CookiesConfig": {"CookieBehavior": "none"},
        "QueryStringsConfig": {"QueryStringBehavior": "none"},
    } | parameters
    return {"Name": name, "MinTTL": low, "DefaultTTL": default, "MaxTTL": high, "ParametersInCacheKeyAndForwardedToOrigin": key}


def items(*entries: Any) -> dict[str, Any]:
    return {"Quantity": len(entries), "Items": list(entries)}


def alarm(name: str = "errors", **changes: Any) -> dict[str, Any]:
    base = {
        "AlarmName": name,
        "MetricName": "5xxErrorRate",
        "Namespace": "AWS/CloudFront",
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 3,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "Dimensions": [{"Name": "DistributionId", "Value": "E1"}, {"Name": "Region", "Value": "Global"}],
    }
    return base | changes

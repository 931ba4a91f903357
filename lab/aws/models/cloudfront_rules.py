"""What CloudFront refuses by looking at a configuration alone; refusals that need the account's state are in cloudfront.py.

Pure. CloudFront Developer Guide, "Values that you specify when you create or update a distribution", "Understand cache policies",
"Understand origin request policies", "Quotas"; CloudFront API reference, the Errors section of each Create operation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from lab.aws.wire import AwsFault

Config = dict[str, Any]
_S3_SUFFIX = ".amazonaws.com"


def items_of(block: Config | None) -> list[Any]:
    return list((block or {}).get("Items") or [])


def behaviors_of(config: Config) -> Iterator[Config]:
    yield config["DefaultCacheBehavior"]
    yield from items_of(config.get("CacheBehaviors"))


def check_cache_policy(config: Config) -> None:
    low, default, high = config["MinTTL"], config.get("DefaultTTL", 86_400), config.get("MaxTTL", 31_536_000)
    if not low <= default <= high:
        raise AwsFault("InvalidArgument", f"The parameters MinTTL, DefaultTTL and MaxTTL must be in ascending order: {low}, {default}, {high}.")
    parameters = config.get("ParametersInCacheKeyAndForwardedToOrigin")
    if parameters is None:
        return
    behaviors = {
        "HeaderBehavior": parameters["HeadersConfig"]["HeaderBehavior"],
        "CookieBehavior": parameters["CookiesConfig"]["CookieBehavior"],
        "QueryStringBehavior": parameters["QueryStringsConfig"]["QueryStringBehavior"],
    }
    if high == 0:
        _check_caching_disabled(parameters, behaviors)
    lists = (
        ("Headers", items_of(parameters["HeadersConfig"].get("Headers")), behaviors["HeaderBehavior"], "TooManyHeadersInCachePolicy"),
        ("Cookies", items_of(parameters["CookiesConfig"].get("Cookies")), behaviors["CookieBehavior"], "TooManyCookiesInCachePolicy"),
        (
            "QueryStrings",
            items_of(parameters["QueryStringsConfig"].get("QueryStrings")),
            behaviors["QueryStringBehavior"],
            "TooManyQueryStringsInCachePolicy",
        ),
    )
    _check_lists(lists)
    if any(str(header).lower() == "accept-encoding" for header in lists[0][1]) and parameters["EnableAcceptEncodingGzip"]:
        raise AwsFault("InvalidArgument", "The parameter Headers contains Accept-Encoding that is not allowed when EnableAcceptEncodingGzip is true.")


def _check_caching_disabled(parameters: Config, behaviors: dict[str, str]) -> None:
    """Understand cache policies: with a maximum TTL of 0 caching is off, and nothing can be in the cache key."""
    for switch in ("EnableAcceptEncodingGzip", "EnableAcceptEncodingBrotli"):
        if parameters.get(switch):
            raise AwsFault("InvalidArgument", f"The parameter {switch} is invalid for policy with caching disabled.")
    for name, value in behaviors.items():
        if value != "none":
            raise AwsFault("InvalidArgument", f"The parameter {name} is invalid for policy with caching disabled.")


def _check_lists(lists: tuple[tuple[str, list[Any], str, str], ...]) -> None:
    for name, entries, behavior, too_many in lists:
        if behavior in ("none", "all", "allViewer") and entries:
            raise AwsFault("InvalidArgument", f"The parameter {name} is not allowed when its behavior is {behavior}.")
        if behavior in ("whitelist", "allExcept", "allViewerAndWhitelistCloudFront") and not entries:
            raise AwsFault("InvalidArgument", f"The parameter {name} is required when its behavior is {behavior}.")
        if len(entries) > 10:
            raise AwsFault(too_many, f"The number of {name} in the policy exceeds the maximum of 10.")


def check_origin_request_policy(config: Config) -> None:
    headers = items_of(config["HeadersConfig"].get("Headers"))
    _check_lists(
        (
            ("Headers", headers, config["HeadersConfig"]["HeaderBehavior"], "TooManyHeadersInOriginRequestPolicy"),
            (
                "Cookies",
                items_of(config["CookiesConfig"].get("Cookies")),
                config["CookiesConfig"]["CookieBehavior"],
                "TooManyCookiesInOriginRequestPolicy",
            ),
            (
                "QueryStrings",
                items_of(config["QueryStringsConfig"].get("QueryStrings")),
                config["QueryStringsConfig"]["QueryStringBehavior"],
                "TooManyQueryStringsInOriginRequestPolicy",
            ),
        )
    )
    # Understand origin request policies: Authorization reaches the origin through the cache key, or by an AllViewer policy of AWS.
    for header in headers:
        if str(header).lower() == "authorization" and config["HeadersConfig"]["HeaderBehavior"] != "allExcept":
            raise AwsFault("InvalidArgument", f"The parameter Headers contains {header} that is not allowed.")


def check_response_headers_policy(config: Config) -> None:
    cors = config.get("CorsConfig")
    if cors and cors["AccessControlAllowCredentials"] and "*" in items_of(cors["AccessControlAllowOrigins"]):
        raise AwsFault("InvalidArgument", "Access-Control-Allow-Origin cannot be * when Access-Control-Allow-Credentials is true.")
    custom = [str(header["Header"]).lower() for header in items_of(config.get("CustomHeadersConfig"))]
    if len(custom) > 10:
        raise AwsFault("TooManyCustomHeadersInResponseHeadersPolicy", "The number of custom headers in the response headers policy exceeds 10.")
    if any(count > 1 for count in Counter(custom).values()):
        raise AwsFault("InvalidArgument", "The parameter CustomHeadersConfig contains a header more than once.")
    if len(items_of(config.get("RemoveHeadersConfig"))) > 10:
        raise AwsFault("TooManyRemoveHeadersInResponseHeadersPolicy", "The number of headers to remove exceeds 10.")


def check_distribution(config: Config) -> None:
    """Raises the first refusal of a distribution's configuration, as far as it can be told without the account."""
    _check_general(config)
    origins = {origin["Id"] for origin in config["Origins"]["Items"]}
    for origin in config["Origins"]["Items"]:
        _check_origin(origin)
    for group in items_of(config.get("OriginGroups")):
        members = [member["OriginId"] for member in group["Members"]["Items"]]
        if missing := set(members) - origins:
            raise AwsFault("NoSuchOrigin", f"One or more of your origins do not exist: {', '.join(sorted(missing))}.", 404)
    targets = origins | {group["Id"] for group in items_of(config.get("OriginGroups"))}
    for behavior in behaviors_of(config):
        if behavior["TargetOriginId"] not in targets:
            raise AwsFault("NoSuchOrigin", f"The specified origin {behavior['TargetOriginId']} does not exist.", 404)
        _check_behavior(behavior)


def _check_general(config: Config) -> None:
    if str(config.get("DefaultRootObject", "")).startswith("/"):
        raise AwsFault("InvalidDefaultRootObject", "The default root object cannot start with a slash.")
    aliases = items_of(config.get("Aliases"))
    if len(aliases) > 100:
        raise AwsFault("TooManyDistributionCNAMEs", "Your request contains more CNAMEs than are allowed per distribution.")
    patterns = Counter(behavior["PathPattern"] for behavior in items_of(config.get("CacheBehaviors")))
    if repeated := [pattern for pattern, count in patterns.items() if count > 1]:
        raise AwsFault("InvalidArgument", f"The parameter PathPattern contains duplicates: {', '.join(repeated)}.")
    if sum(patterns.values()) > 75:
        raise AwsFault("TooManyCacheBehaviors", "You cannot create more cache behaviors for the distribution.")
    if len({origin["Id"] for origin in config["Origins"]["Items"]}) != len(config["Origins"]["Items"]):
        raise AwsFault("InvalidArgument", "The parameter Origin Id must be unique within the distribution.")
    for response in items_of(config.get("CustomErrorResponses")):
        if bool(response.get("ResponsePagePath")) != bool(response.get("ResponseCode")):
            raise AwsFault("InvalidResponseCode", "ResponsePagePath and ResponseCode must be given together.")
    web_acl = str(config.get("WebACLId", ""))
    if web_acl.startswith("arn:") and not (web_acl.startswith("arn:aws:wafv2:us-east-1:") and ":global/webacl/" in web_acl):
        raise AwsFault("InvalidWebACLId", "The web ACL must be a global one of us-east-1.")


def _check_origin(origin: Config) -> None:
    kinds = [kind for kind in ("S3OriginConfig", "CustomOriginConfig", "VpcOriginConfig") if kind in origin]
    if len(kinds) != 1:
        raise AwsFault("InvalidOrigin", f"The origin {origin['Id']} must have exactly one of S3OriginConfig, CustomOriginConfig and VpcOriginConfig.")
    if origin.get("OriginAccessControlId") and origin.get("S3OriginConfig", {}).get("OriginAccessIdentity"):
        raise AwsFault("IllegalOriginAccessConfiguration", "An origin cannot contain both an origin access control and an origin access identity.")
    path = str(origin.get("OriginPath", ""))
    if path and (not path.startswith("/") or path.endswith("/")):
        raise AwsFault("InvalidArgument", "The parameter OriginPath must start with a slash and must not end with one.")
    if not 1 <= int(origin.get("ConnectionAttempts", 3)) <= 3 or not 1 <= int(origin.get("ConnectionTimeout", 10)) <= 10:
        raise AwsFault("InvalidArgument", "ConnectionAttempts must be 1 to 3 and ConnectionTimeout 1 to 10 seconds.")
    custom = origin.get("CustomOriginConfig", {})
    if not 1 <= int(custom.get("OriginReadTimeout", 30)) <= 120:
        raise AwsFault("InvalidOriginReadTimeout", "The read timeout specified for the origin is not valid.")
    if not 1 <= int(custom.get("OriginKeepaliveTimeout", 5)) <= 120:
        raise AwsFault("InvalidOriginKeepaliveTimeout", "The keep alive timeout specified for the origin is not valid.")
    if "S3OriginConfig" in origin and not str(origin["DomainName"]).endswith(_S3_SUFFIX):
        raise AwsFault("InvalidArgument", "The parameter Origin DomainName does not refer to a valid S3 bucket.")
    if len(items_of(origin.get("CustomHeaders"))) > 30:
        raise AwsFault("TooManyOriginCustomHeaders", "Your request contains too many origin custom headers.")


def _check_behavior(behavior: Config) -> None:
    policy, legacy = behavior.get("CachePolicyId"), behavior.get("ForwardedValues")
    if bool(policy) == bool(legacy):
        raise AwsFault("InvalidArgument", "A cache behavior takes either CachePolicyId or ForwardedValues.")
    if behavior.get("OriginRequestPolicyId") and not policy:
        raise AwsFault("InvalidArgument", "OriginRequestPolicyId needs CachePolicyId.")
    if legacy:
        low, default, high = behavior.get("MinTTL", 0), behavior.get("DefaultTTL", 86_400), behavior.get("MaxTTL", 31_536_000)
        if not low <= default <= high:
            raise AwsFault("InvalidTTLOrder", "The TTL order specified is not valid.")
    allowed = behavior.get("AllowedMethods")
    if allowed and frozenset(allowed.get("Items", [])) not in _METHOD_SETS:
        raise AwsFault("InvalidArgument", "The parameter AllowedMethods must be GET, HEAD; GET, HEAD, OPTIONS; or all seven methods.")
    functions = items_of(behavior.get("FunctionAssociations"))
    events = Counter(function["EventType"] for function in functions)
    if any(count > 1 for count in events.values()) or set(events) - {"viewer-request", "viewer-response"}:
        raise AwsFault("InvalidFunctionAssociation", "A behavior takes one CloudFront function for each of viewer-request and viewer-response.")
    lambdas = items_of(behavior.get("LambdaFunctionAssociations"))
    if any(function["EventType"].startswith("viewer") for function in lambdas) and functions:
        raise AwsFault("InvalidFunctionAssociation", "A behavior cannot have a CloudFront function and a Lambda@Edge function on viewer events.")
    for function in lambdas:
        arn = str(function["LambdaFunctionARN"])
        if not arn.startswith("arn:aws:lambda:us-east-1:") or not arn.rpartition(":")[2].isdigit():
            raise AwsFault("InvalidLambdaFunctionAssociation", f"The function must be a numbered version in us-east-1: {arn}")


_METHOD_SETS = frozenset(
    {
        frozenset({"GET", "HEAD"}),
        frozenset({"GET", "HEAD", "OPTIONS"}),
        frozenset({"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"}),
    }
)

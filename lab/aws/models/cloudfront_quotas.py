"""CloudFront's quotas, and the error each one gives when it is used up."""

# CloudFront Developer Guide, "Quotas"; the names are ours, Settings.quotas overrides them.
QUOTAS = {
    "distributions": 500,
    "CachePolicy": 20,
    "OriginRequestPolicy": 20,
    "ResponseHeadersPolicy": 20,
    "Function": 100,
    "OriginAccessControl": 100,
    "distributions_per_CachePolicy": 100,
    "distributions_per_OriginRequestPolicy": 100,
    "distributions_per_ResponseHeadersPolicy": 100,
    "distributions_per_Function": 100,
    "distributions_per_OriginAccessControl": 100,
    "invalidation_paths_in_progress": 3000,
    "invalidation_wildcards_in_progress": 15,
}
TOO_MANY = {
    "CachePolicy": "TooManyCachePolicies",
    "OriginRequestPolicy": "TooManyOriginRequestPolicies",
    "ResponseHeadersPolicy": "TooManyResponseHeadersPolicies",
    "Function": "TooManyFunctions",
    "OriginAccessControl": "TooManyOriginAccessControls",
    "distributions_per_CachePolicy": "TooManyDistributionsAssociatedToCachePolicy",
    "distributions_per_OriginRequestPolicy": "TooManyDistributionsAssociatedToOriginRequestPolicy",
    "distributions_per_ResponseHeadersPolicy": "TooManyDistributionsAssociatedToResponseHeadersPolicy",
    "distributions_per_Function": "TooManyDistributionsWithSingleFunctionARN",
    "distributions_per_OriginAccessControl": "TooManyDistributionsAssociatedToOriginAccessControl",
}

"""CloudFront's quotas in plain words: what a TooMany... error means and what helps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from securebase.core.errors import Terminal

# CloudFront Developer Guide, Quotas. Figures are defaults: an account may have been given more.
_WORDS: Final[Mapping[str, str]] = {
    "TooManyCachePolicies": "20 custom cache policies an account",
    "TooManyOriginRequestPolicies": "20 custom origin request policies an account",
    "TooManyResponseHeadersPolicies": "20 custom response headers policies an account",
    "TooManyOriginAccessControls": "100 origin access controls an account",
    "TooManyFunctions": "100 functions an account",
    "TooManyDistributionsAssociatedToCachePolicy": "100 distributions a cache policy",
    "TooManyDistributionsAssociatedToOriginRequestPolicy": "100 distributions an origin request policy",
    "TooManyDistributionsAssociatedToResponseHeadersPolicy": "100 distributions a response headers policy",
    "TooManyDistributionsAssociatedToOriginAccessControl": "100 distributions an origin access control",
    "TooManyDistributionsWithSingleFunctionARN": "100 distributions a function",
    "TooManyDistributions": "a limited number of distributions an account",
    "TooManyDistributionCNAMEs": "a limited number of aliases a distribution",
    "TooManyCacheBehaviors": "a limited number of behaviors a distribution",
    "TooManyOrigins": "a limited number of origins a distribution",
    "TooManyOriginGroupsPerDistribution": "a limited number of origin groups a distribution",
    "TooManyOriginCustomHeaders": "a limited number of custom headers an origin",
    "TooManyHeadersInCachePolicy": "a limited number of headers a cache policy",
    "TooManyCookiesInCachePolicy": "a limited number of cookies a cache policy",
    "TooManyQueryStringsInCachePolicy": "a limited number of query strings a cache policy",
    "TooManyHeadersInOriginRequestPolicy": "a limited number of headers an origin request policy",
    "TooManyCookiesInOriginRequestPolicy": "a limited number of cookies an origin request policy",
    "TooManyQueryStringsInOriginRequestPolicy": "a limited number of query strings an origin request policy",
    "TooManyCustomHeadersInResponseHeadersPolicy": "a limited number of custom headers a response headers policy",
    "TooLongCSPInResponseHeadersPolicy": "a Content-Security-Policy of limited length",
    "FunctionSizeLimitExceeded": "functions of 10 KB of code",
}


@contextmanager
def quota_named() -> Iterator[None]:
    """Around a write: a refusal for a quota says which, and where more is asked for."""
    try:
        yield
    except Terminal as refused:
        allowed = _WORDS.get(refused.reason)
        if allowed is None:
            raise
        message = f"CloudFront allows {allowed} by default; use fewer, or ask for more at Service Quotas ({refused.message})"
        raise Terminal(refused.reason, message) from refused

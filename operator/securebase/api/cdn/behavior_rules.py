"""The rules within one behavior: whose credential is cached where, times in order, what excludes what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from securebase.api.base import Rule
from securebase.api.cdn.presets import ALL_VIEWER_POLICIES, CACHING_DISABLED, HARMLESS_ORIGIN_REQUEST_POLICIES, PRESETS, PresetName
from securebase.api.cdn.selection import CREDENTIAL_EXPRESSION, MOST_NAMES, looks_like_credential
from securebase.api.cel import count, given, none, one_of, some

if TYPE_CHECKING:
    from securebase.api.cdn.behaviors import Behavior

_CACHING_PRESETS: tuple[PresetName, ...] = ("static", "html", "api")
_CACHED = "has(self.preset) && self.preset != 'noCache'"
_PRESET_IS_API = "(has(self.preset) && self.preset == 'api')"
_MAY_CACHE = f"(has(self.preset) ? self.preset != 'noCache' : (!has(self.cachePolicyId) || self.cachePolicyId != '{CACHING_DISABLED}'))"
_KEY_HEADERS = "self.cacheKey.headers"
_SECRET_KEY_HEADER = some(_KEY_HEADERS, "h", f"h.lowerAscii().matches('{CREDENTIAL_EXPRESSION}')")
_CREDENTIALS = f"({_PRESET_IS_API} || has(self.credentials) || ({given('self.cacheKey.cookies')}) || {_SECRET_KEY_HEADER})"
_LISTED = some("self.credentials.headers", "c", "c.lowerAscii() == h.lowerAscii()")
_CREDENTIAL_HEADERS = count("self.credentials.headers", otherwise=1)


def _preset_seconds(field: str) -> str:
    """CEL for one of the times after the preset's own: a map from preset to seconds, indexed by the preset."""
    times = ", ".join(f"'{name}': {getattr(PRESETS[name].ttl, field)}" for name in _CACHING_PRESETS)
    return f"(has(self.ttl.{field}Seconds) ? self.ttl.{field}Seconds : {{{times}}}[self.preset])"


def _choice_is_clear(behavior: Behavior) -> bool:
    return (behavior.preset is None) != (behavior.cache_policy_id is None)


def _nothing_is_ignored(behavior: Behavior) -> bool:
    tuned = (behavior.ttl, behavior.cache_key, behavior.credentials)
    return behavior.preset in _CACHING_PRESETS or all(part is None for part in tuned)


def _times_in_order(behavior: Behavior) -> bool:
    if behavior.preset not in _CACHING_PRESETS or (ttl := behavior.effective_ttl) is None:
        return True
    return ttl.min <= ttl.default <= ttl.max


def _caches_at_all(behavior: Behavior) -> bool:
    ttl = behavior.effective_ttl
    return behavior.preset not in _CACHING_PRESETS or ttl is None or ttl.max > 0


def _no_minimum_with_credentials(behavior: Behavior) -> bool:
    if behavior.preset not in _CACHING_PRESETS or behavior.ttl is None or not behavior.ttl.min_seconds:
        return True
    key = behavior.cache_key
    tells_apart = behavior.effective_credentials is not None or (key is not None and key.cookies is not None)
    return not tells_apart and not any(looks_like_credential(name) for name in (key.headers if key else ()))


def _no_credential_beside_the_key(behavior: Behavior) -> bool:
    forwarded = behavior.forward.headers if behavior.forward else ()
    listed = {name.lower() for name in behavior.credentials.headers} if behavior.credentials else set()
    return not any(looks_like_credential(name) or name.lower() in listed for name in forwarded)


def _no_secret_query_beside_the_key(behavior: Behavior) -> bool:
    return not any(looks_like_credential(name) for name in (behavior.forward.query_strings if behavior.forward else ()))


def _viewer_policy_is_uncached(behavior: Behavior) -> bool:
    return not behavior.caches or behavior.origin_request_policy_id not in ALL_VIEWER_POLICIES


def _own_policy_is_checkable(behavior: Behavior) -> bool:
    policy = behavior.origin_request_policy_id
    known = (None, *ALL_VIEWER_POLICIES, *HARMLESS_ORIGIN_REQUEST_POLICIES)
    return behavior.preset not in _CACHING_PRESETS or policy in known


def _one_origin_request_policy(behavior: Behavior) -> bool:
    return behavior.forward is None or (behavior.origin_request_policy_id is None and behavior.preset != "noCache")


def _spa_has_its_event(behavior: Behavior) -> bool:
    taken = {function.event for function in behavior.functions} | {edge.event for edge in behavior.lambdas}
    return not behavior.spa or "viewer-request" not in taken


def _one_kind_of_viewer_function(behavior: Behavior) -> bool:
    has_functions = bool(behavior.functions) or behavior.spa
    return not has_functions or not any(edge.event.startswith("viewer-") for edge in behavior.lambdas)


def _one_response_policy(behavior: Behavior) -> bool:
    return behavior.response_headers_policy_id is None or behavior.cache_control is None


def _encoding_is_not_keyed(behavior: Behavior) -> bool:
    keyed = behavior.cache_key.headers if behavior.cache_key else ()
    return not any(name.lower() in ("accept-encoding", "cookie") for name in keyed)


def _key_fits(behavior: Behavior) -> bool:
    keyed = behavior.cache_key.headers if behavior.cache_key else ()
    credentials = behavior.effective_credentials
    return len(keyed) + (1 + len(credentials.headers) if credentials else 0) <= MOST_NAMES


def _bodies_of_requests(behavior: Behavior) -> bool:
    return not any(edge.include_body and edge.event.endswith("-response") for edge in behavior.lambdas)


RULES = (
    Rule(
        cel="self.path != '/*'",
        holds=lambda behavior: behavior.path != "/*",
        message="path '/*' matches everything, so the default behavior would never be used; write '*' for the default",
        field=".path",
    ),
    Rule(
        cel="has(self.preset) != has(self.cachePolicyId)",
        holds=_choice_is_clear,
        message="a behavior needs exactly one of preset (static, html, api, noCache) and cachePolicyId",
        field=".preset",
    ),
    Rule(
        cel=f"({_CACHED}) || !(has(self.ttl) || has(self.cacheKey) || has(self.credentials))",
        holds=_nothing_is_ignored,
        message="ttl, cacheKey and credentials tune the presets static, html and api; with noCache or cachePolicyId they would do nothing, remove them",
    ),
    Rule(
        cel=f"""!({_CACHED}) || !has(self.ttl) || ({_preset_seconds("min")} <= {_preset_seconds("default")}
            && {_preset_seconds("default")} <= {_preset_seconds("max")})""",
        holds=_times_in_order,
        message="ttl must keep minSeconds <= defaultSeconds <= maxSeconds after the preset's own times (static 0/31536000/31536000, "
        "html 0/3600/3600, api 0/300/300); give defaultSeconds and maxSeconds together",
        field=".ttl",
    ),
    Rule(
        cel=f"!({_CACHED}) || !has(self.ttl) || {_preset_seconds('max')} > 0",
        holds=_caches_at_all,
        message="ttl.maxSeconds is 0, so nothing would be cached and no header could be part of the key; use preset: noCache",
        field=".ttl",
    ),
    Rule(
        cel=f"!({_CACHED}) || !({given('self.ttl.minSeconds')}) || self.ttl.minSeconds == 0 || !{_CREDENTIALS}",
        holds=_no_minimum_with_credentials,
        message="ttl.minSeconds above 0 caches even what the origin marks no-store, and this behavior carries credentials; set minSeconds to 0",
        field=".ttl",
    ),
    Rule(
        cel=none("self.forward.headers", "h", f"h.lowerAscii().matches('{CREDENTIAL_EXPRESSION}') || {_LISTED}"),
        holds=_no_credential_beside_the_key,
        message="forward.headers names a credential outside the cache key: one caller would get another's answer; "
        "move it to credentials.headers (Authorization is there already), or use preset: noCache",
        field=".forward",
    ),
    Rule(
        cel=none("self.forward.queryStrings", "q", f"q.lowerAscii().matches('{CREDENTIAL_EXPRESSION}')"),
        holds=_no_secret_query_beside_the_key,
        message="forward.queryStrings names a credential outside the cache key: one caller would get another's answer; "
        "move it to cacheKey.queryStrings, or use preset: noCache",
        field=".forward",
    ),
    Rule(
        cel=f"!{_MAY_CACHE} || !has(self.originRequestPolicyId) || !(self.originRequestPolicyId in {one_of(ALL_VIEWER_POLICIES)})",
        holds=_viewer_policy_is_uncached,
        message="originRequestPolicyId is one of AWS's AllViewer policies: with caching it forwards credentials outside the cache key, "
        "and one caller would get another's answer; remove it and list them in credentials, or use preset: noCache",
        field=".originRequestPolicyId",
    ),
    Rule(
        cel=f"""!({_CACHED}) || !has(self.originRequestPolicyId)
            || self.originRequestPolicyId in {one_of((*ALL_VIEWER_POLICIES, *HARMLESS_ORIGIN_REQUEST_POLICIES))}""",
        holds=_own_policy_is_checkable,
        message="originRequestPolicyId is a policy whose headers the cache key of a preset cannot be checked against; "
        "say what to forward in forward, or give cachePolicyId with it",
        field=".originRequestPolicyId",
    ),
    Rule(
        cel="!has(self.forward) || (!has(self.originRequestPolicyId) && (!has(self.preset) || self.preset != 'noCache'))",
        holds=_one_origin_request_policy,
        message="forward would do nothing beside originRequestPolicyId or with preset: noCache, which forwards everything; remove it",
        field=".forward",
    ),
    Rule(
        cel=f"""!has(self.spa) || !self.spa || !({some("self.functions", "f", "f.event == 'viewer-request'")}
            || {some("self.lambdas", "l", "l.event == 'viewer-request'")})""",
        holds=_spa_has_its_event,
        message="spa: true is a viewer-request function, and a behavior has room for one; remove spa or your own viewer-request function",
        field=".spa",
    ),
    Rule(
        cel=f"""!({count("self.functions")} > 0 || (has(self.spa) && self.spa))
            || !{some("self.lambdas", "l", "l.event.startsWith('viewer-')")}""",
        holds=_one_kind_of_viewer_function,
        message="lambdas and functions (spa is one) cannot both run on viewer events of one behavior; move the Lambda to origin-request or origin-response",
        field=".lambdas",
    ),
    Rule(
        cel="!has(self.responseHeadersPolicyId) || !has(self.cacheControl)",
        holds=_one_response_policy,
        message="cacheControl is part of our response headers policy and would do nothing beside responseHeadersPolicyId; remove one of them",
        field=".cacheControl",
    ),
    Rule(
        cel=none(_KEY_HEADERS, "h", "h.lowerAscii() in ['accept-encoding', 'cookie']"),
        holds=_encoding_is_not_keyed,
        message="cacheKey.headers cannot hold Accept-Encoding (compress does that) or Cookie (name them in cacheKey.cookies)",
        field=".cacheKey",
    ),
    Rule(
        cel=f"{count(_KEY_HEADERS)} + ({_PRESET_IS_API} || has(self.credentials) ? 1 + {_CREDENTIAL_HEADERS} : 0) <= {MOST_NAMES}",
        holds=_key_fits,
        message=f"the cache key has more than {MOST_NAMES} headers, counting credentials.headers and Authorization; CloudFront takes no more",
        field=".cacheKey",
    ),
    Rule(
        cel=none("self.lambdas", "l", "has(l.includeBody) && l.includeBody && l.event.endsWith('-response')"),
        holds=_bodies_of_requests,
        message="lambdas: includeBody belongs to viewer-request and origin-request; a response has no request body",
        field=".lambdas",
    ),
)

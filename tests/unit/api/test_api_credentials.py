"""For any behavior that the API accepts: what tells callers apart is in the cache key, or nothing is cached."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from securebase.api.cdn import Behavior
from securebase.api.cdn.presets import ALL_VIEWER_POLICIES, CACHING_DISABLED, HARMLESS_ORIGIN_REQUEST_POLICIES
from securebase.api.cdn.selection import Selection, looks_like_credential

HEADERS = ("Authorization", "authorization", "x-api-key", "X-Api-Key", "x-tenant", "X-Tenant", "accept-language", "origin", "x-auth-token", "cookie")
QUERIES = ("page", "token", "signature", "lang", "api_key")
COOKIES = ("session", "theme")

header_lists = st.lists(st.sampled_from(HEADERS), max_size=3, unique=True)


def selections(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    named = st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)
    whole = st.sampled_from([{"mode": "All"}, {"mode": "None"}])
    return whole | st.builds(lambda mode, chosen: {"mode": mode, "names": chosen}, st.sampled_from(["Include", "Exclude"]), named)


behaviors = st.fixed_dictionaries(
    {"path": st.just("*"), "origin": st.just("site"), "preset": st.sampled_from(["static", "html", "api", "noCache"])},
    optional={
        "ttl": st.fixed_dictionaries({}, optional={f"{name}Seconds": st.sampled_from([0, 1, 60, 400]) for name in ("min", "default", "max")}),
        "credentials": st.fixed_dictionaries({}, optional={"headers": header_lists, "cookies": selections(COOKIES)}),
        "cacheKey": st.fixed_dictionaries({}, optional={"headers": header_lists, "cookies": selections(COOKIES), "queryStrings": selections(QUERIES)}),
        "forward": st.fixed_dictionaries({}, optional={"headers": header_lists, "queryStrings": st.lists(st.sampled_from(QUERIES), unique=True, max_size=2)}),
        "originRequestPolicyId": st.sampled_from([*ALL_VIEWER_POLICIES, *HARMLESS_ORIGIN_REQUEST_POLICIES, CACHING_DISABLED]),
    },
)


def accepted(document: dict[str, Any]) -> Behavior | None:
    try:
        return Behavior.model_validate(document)
    except ValidationError:
        return None


@given(document=behaviors)
def test_no_credential_is_forwarded_beside_the_key(document: dict[str, Any]) -> None:
    behavior = accepted(document)
    assume(behavior is not None and behavior.caches)
    assert behavior is not None
    forwarded = {name.lower() for name in (behavior.forward.headers if behavior.forward else ())}
    told_apart = behavior.effective_credentials
    credentials = {"authorization", *(name.lower() for name in told_apart.headers)} if told_apart else {"authorization"}
    assert not forwarded & credentials
    assert not any(looks_like_credential(name) for name in forwarded)
    assert not any(looks_like_credential(name) for name in (behavior.forward.query_strings if behavior.forward else ()))
    assert behavior.origin_request_policy_id in (None, *HARMLESS_ORIGIN_REQUEST_POLICIES)
    if told_apart:
        assert credentials <= set(behavior.key_headers)
        assert all(behavior.key_cookies.selects(name) for name in COOKIES if told_apart.cookies.selects(name))


@given(document=behaviors)
def test_times_are_in_order_and_never_hold_a_credential_against_the_origins_will(document: dict[str, Any]) -> None:
    behavior = accepted(document)
    assume(behavior is not None and behavior.caches)
    assert behavior is not None
    ttl = behavior.effective_ttl
    assert ttl is not None
    assert ttl.min <= ttl.default <= ttl.max
    assert ttl.max > 0
    if ttl.min > 0:
        assert behavior.effective_credentials is None
        assert not any(looks_like_credential(name) for name in behavior.key_headers)
        assert behavior.key_cookies.mode == "None" or behavior.cache_key is None


@given(one=selections(COOKIES), other=selections(COOKIES))
def test_a_union_selects_what_either_selects(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = Selection.model_validate(one), Selection.model_validate(other)
    both = first.union(second)
    for name in (*COOKIES, "unheard-of"):
        assert both.selects(name) is (first.selects(name) or second.selects(name))
    assert both.mode in ("All", "None") or both.names


@pytest.mark.parametrize(
    ("document", "headers", "cookies"),
    [
        ({"preset": "api"}, ("authorization", "x-api-key"), Selection(mode="All")),
        ({"preset": "api", "credentials": {"headers": ["X-Tenant"]}}, ("authorization", "x-tenant"), Selection(mode="All")),
        ({"preset": "api", "credentials": {"headers": [], "cookies": {"mode": "None"}}}, ("authorization",), Selection(mode="None")),
        ({"preset": "static"}, (), Selection(mode="None")),
        ({"preset": "html", "credentials": {}}, ("authorization", "x-api-key"), Selection(mode="All")),
        ({"preset": "html", "cacheKey": {"headers": ["Accept-Language"]}}, ("accept-language",), Selection(mode="None")),
    ],
)
def test_the_key_of_a_behavior(document: dict[str, Any], headers: tuple[str, ...], cookies: Selection) -> None:
    behavior = Behavior.model_validate({"path": "*", "origin": "site"} | document)
    assert (behavior.key_headers, behavior.key_cookies) == (headers, cookies)


@pytest.mark.parametrize(
    ("preset", "ttl", "cache_control", "methods"),
    [
        ("static", (0, 31_536_000, 31_536_000), "public, max-age=31536000, immutable", "Read"),
        ("html", (0, 3_600, 3_600), "max-age=0, must-revalidate", "Read"),
        ("api", (0, 300, 300), None, "All"),
        ("noCache", (0, 0, 0), None, "All"),
    ],
)
def test_the_presets(preset: str, ttl: tuple[int, int, int], cache_control: str | None, methods: str) -> None:
    behavior = Behavior.model_validate({"path": "*", "origin": "site", "preset": preset})
    effective = behavior.effective_ttl
    assert effective is not None
    assert (effective.min, effective.default, effective.max) == ttl
    assert (behavior.effective_cache_control, behavior.effective_methods) == (cache_control, methods)

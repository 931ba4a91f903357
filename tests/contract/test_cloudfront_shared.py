"""Policies, access controls and functions: shared by many distributions."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest

from securebase.core.driver import IN_USE, Depth, Observed, State
from securebase.core.errors import Terminal, Waiting
from securebase.core.graph import Role
from securebase.core.identity import shared_name
from securebase.resources.cloudfront import managed
from securebase.resources.cloudfront.functions import FunctionDriver
from securebase.resources.cloudfront.model import (
    EVERYTHING,
    CachePolicy,
    ContentTypeOptions,
    Cors,
    Function,
    OriginAccessControl,
    OriginRequestPolicy,
    ResponseHeader,
    ResponseHeadersPolicy,
    SecurityHeader,
    Selection,
    StrictTransportSecurity,
    XssProtection,
    only,
)
from securebase.resources.cloudfront.policies import (
    CachePolicyDriver,
    OriginAccessControlDriver,
    OriginRequestPolicyDriver,
    ResponseHeadersPolicyDriver,
    SharedPolicyDriver,
)
from securebase.resources.cloudfront.policy_config import read_cache_policy, read_origin_request_policy, read_response_headers_policy
from tests.contract.harness import Contract, Lab, check_contract, delete, differences, eventually, observe, settled, write
from tests.contract.not_in_lab import marks

NAME = shared_name("contract", "content")
CODE = "function handler(event) { var r = event.request; r.uri = '/index.html'; return r; }"
PASS_THROUGH = "function handler(event) { return event.request; }"

CACHE = CachePolicy(NAME, 0, 300, 300, headers=only("Authorization", "x-api-key"), cookies=EVERYTHING, query_strings=EVERYTHING)
REQUEST = OriginRequestPolicy(NAME, Selection("allExcept", frozenset({"Host"})), only("session"), EVERYTHING)
HEADERS = ResponseHeadersPolicy(
    NAME,
    hsts=StrictTransportSecurity(63_072_000),
    content_security_policy=SecurityHeader("default-src 'self'"),
    frame_options=SecurityHeader("DENY"),
    referrer_policy=SecurityHeader("strict-origin-when-cross-origin"),
    content_type_options=ContentTypeOptions(),
    headers=(ResponseHeader("Cache-Control", "public, max-age=31536000, immutable"),),
)
CORS = Cors(frozenset({"https://app.example.com"}), frozenset({"GET", "POST"}), frozenset({"content-type"}), frozenset({"etag"}), True, 600)
ACCESS = OriginAccessControl(NAME)
FUNCTION = Function(NAME, CODE, comment="SPA routing")


@dataclass(frozen=True, slots=True)
class Kind:
    """A type that is listed whole: its driver, a value, changes of it, and how somebody else changes it."""

    driver: type[SharedPolicyDriver[Any]]
    desired: Any
    changes: dict[str, Any]
    noun: str
    shape: str
    foreign: Callable[[dict[str, Any]], dict[str, Any]]
    drifted: str

    def drift(self, lab: Lab, seen: Observed[Any]) -> None:
        client = lab.raw("cloudfront")
        now = getattr(client, f"get_{self.noun}")(Id=seen.external_id)
        config = now[self.shape][f"{self.shape}Config"]
        getattr(client, f"update_{self.noun}")(Id=seen.external_id, IfMatch=now["ETag"], **{f"{self.shape}Config": self.foreign(config)})


KINDS = {
    "cache": Kind(
        CachePolicyDriver,
        CACHE,
        {
            "TTL": replace(CACHE, min_ttl=1, default_ttl=60, max_ttl=120),
            "encodings": replace(CACHE, gzip=False, brotli=False),
            "headers": replace(CACHE, headers=Selection()),
            "cookies": replace(CACHE, cookies=Selection("allExcept", frozenset({"tracking"}))),
            "query strings": replace(CACHE, query_strings=only("v", "w")),
            "comment": replace(CACHE, comment="other"),
        },
        "cache_policy",
        "CachePolicy",
        lambda config: {**config, "MaxTTL": 400},
        "maxTtl",
    ),
    "origin-request": Kind(
        OriginRequestPolicyDriver,
        REQUEST,
        {
            "headers": replace(REQUEST, headers=only("Origin")),
            "cookies": replace(REQUEST, cookies=Selection()),
            "query strings": replace(REQUEST, query_strings=only("q")),
        },
        "origin_request_policy",
        "OriginRequestPolicy",
        lambda config: {**config, "CookiesConfig": {"CookieBehavior": "all"}},
        "cookies.behavior",
    ),
    "response-headers": Kind(
        ResponseHeadersPolicyDriver,
        HEADERS,
        {
            "hsts": replace(HEADERS, hsts=StrictTransportSecurity(3_600, False, False, False)),
            "no hsts": replace(HEADERS, hsts=None),
            "csp": replace(HEADERS, content_security_policy=SecurityHeader("default-src 'none'", override=False)),
            "frames": replace(HEADERS, frame_options=SecurityHeader("SAMEORIGIN")),
            "referrer": replace(HEADERS, referrer_policy=None),
            "sniff": replace(HEADERS, content_type_options=None),
            "xss": replace(HEADERS, xss_protection=XssProtection()),
            "cors": replace(HEADERS, cors=CORS),
            "headers": replace(HEADERS, headers=(ResponseHeader("x-a", "1", False), ResponseHeader("x-b", "2"))),
            "removed": replace(HEADERS, remove_headers=frozenset({"server", "x-powered-by"})),
            "timing": replace(HEADERS, server_timing_rate=5.0),
        },
        "response_headers_policy",
        "ResponseHeadersPolicy",
        lambda config: {key: value for key, value in config.items() if key != "CustomHeadersConfig"},
        "headers[Cache-Control].value",
    ),
    "access-control": Kind(
        OriginAccessControlDriver,
        ACCESS,
        {"signing": replace(ACCESS, signing_behavior="no-override"), "description": replace(ACCESS, description="other")},
        "origin_access_control",
        "OriginAccessControl",
        lambda config: {**config, "SigningBehavior": "never"},
        "signingBehavior",
    ),
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@each_kind
def test_lives_as_promised(lab: Lab, kind: Kind) -> None:
    check_contract(lab, Contract(kind.driver, kind.desired, kind.changes, lambda seen: kind.drift(lab, seen), kind.drifted, role=Role.SHARED))


@each_kind
def test_is_not_deleted_while_it_is_used(lab: Lab, kind: Kind) -> None:
    driver = kind.driver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, kind.desired, role=Role.SHARED)
    made = driver.create(target, "token")
    code = f"{kind.shape}InUse"
    rule = lab.control.fail("cloudfront", f"Delete{kind.shape}", code, 409, account=lab.account)
    seen = observe(driver, target)
    assert seen is not None
    with pytest.raises(Waiting) as waiting:
        driver.delete(target, seen)
    assert waiting.value.reason == IN_USE
    lab.control.remove(rule)
    assert settled(driver, target).external_id == made.external_id


@each_kind
def test_a_full_account_is_told_which_quota_helps(lab: Lab, kind: Kind) -> None:
    driver = kind.driver(lab.scope("us-east-1"), lab.clock)
    code = {"CachePolicy": "TooManyCachePolicies", "OriginRequestPolicy": "TooManyOriginRequestPolicies"}.get(kind.shape)
    code = code or {"ResponseHeadersPolicy": "TooManyResponseHeadersPolicies"}.get(kind.shape, "TooManyOriginAccessControls")
    lab.control.fail("cloudfront", f"Create{kind.shape}", code, 400, account=lab.account)
    with pytest.raises(Terminal, match=r"CloudFront allows \d+ .*Service Quotas") as refused:
        driver.create(lab.target(driver.type, kind.desired), "token")
    assert refused.value.reason == code


def test_the_twenty_first_cache_policy_is_refused(lab: Lab) -> None:
    driver = CachePolicyDriver(lab.scope("us-east-1"), lab.clock)
    for number in range(20):
        driver.create(lab.target(driver.type, replace(CACHE, name=f"{NAME}-{number}"), role=Role.SHARED), "token")
    with pytest.raises(Terminal, match="20 custom cache policies"):
        driver.create(lab.target(driver.type, replace(CACHE, name=f"{NAME}-20"), role=Role.SHARED), "token")


@each_kind
def test_a_storm_of_passes_reads_a_handful_of_lists(lab: Lab, kind: Kind) -> None:
    driver = kind.driver(lab.scope("us-east-1"), lab.clock)
    targets = [lab.target(driver.type, kind.desired, role=Role.SHARED) for _ in range(100)]
    before = len(reads(lab))

    def one_pass(target: Any) -> str:
        seen = observe(driver, target) or driver.create(target, "token")
        return str((observe(driver, target) or seen).external_id)

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(one_pass, targets))
    assert len(ids) == 1, "everybody shares one"
    assert len(reads(lab)) - before <= 24, [record.operation for record in reads(lab)[before:]]


def reads(lab: Lab) -> list[Any]:
    return [record for record in lab.control.log.records() if record.account == lab.account and not record.write]


def test_somebody_elses_policy_of_another_name_is_not_ours(lab: Lab) -> None:
    driver = CachePolicyDriver(lab.scope("us-east-1"), lab.clock)
    mine = lab.target(driver.type, CACHE, role=Role.SHARED)
    made = driver.create(mine, "token")
    pruned = replace(mine, desired=None, external_id=made.external_id)
    assert settled_owner(driver, pruned) == mine.owner, "the name proves the instance"
    stranger = replace(pruned, identity=replace(mine.identity, instance="another"))
    assert settled_owner(driver, stranger) == ""


def settled_owner(driver: Any, target: Any) -> str:
    seen = eventually(lambda: observe(driver, target), lambda seen: seen is not None, "visible")
    assert seen is not None
    return str(seen.owner)


def test_managed_policies_are_as_the_catalogue_says(lab: Lab) -> None:
    client = lab.raw("cloudfront")
    listed = client.list_cache_policies(Type="managed")["CachePolicyList"]["Items"]
    there: dict[str, Any] = {each["CachePolicy"]["Id"]: read_cache_policy(each["CachePolicy"]["CachePolicyConfig"]) for each in listed}
    listed = client.list_origin_request_policies(Type="managed")["OriginRequestPolicyList"]["Items"]
    there |= {each["OriginRequestPolicy"]["Id"]: read_origin_request_policy(each["OriginRequestPolicy"]["OriginRequestPolicyConfig"]) for each in listed}
    listed = client.list_response_headers_policies(Type="managed")["ResponseHeadersPolicyList"]["Items"]
    there |= {
        each["ResponseHeadersPolicy"]["Id"]: read_response_headers_policy(each["ResponseHeadersPolicy"]["ResponseHeadersPolicyConfig"]) for each in listed
    }
    ours: dict[str, Any] = {**managed.CACHE_POLICIES, **managed.ORIGIN_REQUEST_POLICIES, **managed.RESPONSE_HEADERS_POLICIES}
    assert {id: there.get(id) for id in ours} == ours


def drift_function(lab: Lab, name: str) -> None:
    client = lab.raw("cloudfront")
    now = client.describe_function(Name=name, Stage="DEVELOPMENT")
    config = now["FunctionSummary"]["FunctionConfig"]
    live = client.describe_function(Name=name, Stage="LIVE")["FunctionSummary"]["FunctionMetadata"]["LastModifiedTime"]
    eventually(time.time, lambda now: now >= live.timestamp() + 1.0, "another second: the emulator knows no smaller unit")
    client.update_function(Name=name, IfMatch=now["ETag"], FunctionConfig=config, FunctionCode=PASS_THROUGH.encode())
    client.publish_function(Name=name, IfMatch=client.describe_function(Name=name, Stage="DEVELOPMENT")["ETag"])


def test_function_lives_as_promised(lab: Lab) -> None:
    changes = {"code": replace(FUNCTION, code=PASS_THROUGH), "comment": replace(FUNCTION, comment="other")}
    check_contract(lab, Contract(FunctionDriver, FUNCTION, changes, lambda seen: drift_function(lab, seen.external_id), "code", role=Role.SHARED))


def test_function_that_was_never_published_is_taken_up(lab: Lab) -> None:
    driver = FunctionDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, FUNCTION, role=Role.SHARED)
    rule = lab.control.fail("cloudfront", "PublishFunction", "InternalError", 500, account=lab.account)
    with pytest.raises(Exception, match="InternalError"):
        driver.create(target, "token")
    lab.control.remove(rule)
    seen = eventually(lambda: observe(driver, target), lambda seen: seen is not None, "the unpublished function shows")
    assert seen is not None
    assert (seen.state, seen.reason, dict(seen.attributes)) == (State.PENDING, "Unpublished", {})
    assert "code" in {change.path for change in differences(target, seen)}
    write(driver, target)
    assert settled(driver, target).attributes["arn"].endswith(NAME)


def test_function_arn_is_usable_only_while_live_is_the_wanted_code(lab: Lab) -> None:
    driver = FunctionDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, FUNCTION, role=Role.SHARED)
    driver.create(target, uuid.uuid4().hex)
    assert "arn" in settled(driver, target).attributes
    other = replace(target, desired=replace(FUNCTION, code=PASS_THROUGH))
    seen = observe(driver, other)
    assert seen is not None and "arn" not in seen.attributes


def test_function_sweep_reads_code_once(lab: Lab) -> None:
    driver = FunctionDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, FUNCTION, role=Role.SHARED)
    driver.create(target, "token")
    settled(driver, target, Depth.SWEEP)
    lab.clock.advance(61.0)
    settled(driver, target, Depth.SWEEP)
    before = len(reads(lab))
    for _ in range(5):
        settled(driver, target, Depth.SWEEP)
    assert [record.operation for record in reads(lab)[before:]] == ["ListFunctions"] * 5
    delete(driver, target)


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in ("cloudfront/function: an update answers with its ETag",)])
def test_update_function_answers_with_its_etag(lab: Lab, name: str) -> None:
    client = lab.raw("cloudfront")
    config = {"Comment": "", "Runtime": "cloudfront-js-2.0"}
    made = client.create_function(Name=NAME, FunctionConfig=config, FunctionCode=CODE.encode())
    assert "ETag" in client.update_function(Name=NAME, IfMatch=made["ETag"], FunctionConfig=config, FunctionCode=PASS_THROUGH.encode())

"""Clients over a real socket: time-outs, no retries, fencing, paging, roles, and what an error of each kind looks like."""

from __future__ import annotations

import datetime
import gc
import threading
import time
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest

from securebase.clients.aws import AwsAccountConfig, AwsClients, AwsScope, Refusal, StaticCredentials, is_read
from securebase.clients.aws_sessions import AwsSessions, ClientSettings
from securebase.clients.limits import RateLimiter
from securebase.clients.rates import Rate
from securebase.core.errors import Denied, Terminal, Transient, Waiting
from tests.unit.clients.loopback_aws import ACCOUNT, Loopback, Received, Recorder, Reply

Make = Callable[..., AwsClients]
CONFIG = {"Name": "p", "MinTTL": 0}


def cloudfront_error(code: str, message: str = "words", status: int = 400) -> Reply:
    body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    return Reply(status, body, {"Content-Type": "text/xml"})


def page(names: list[str], following: str = "") -> Reply:
    marker = f"<NextMarker>{following}</NextMarker>" if following else ""
    items = "".join(f"<CachePolicySummary><Type>custom</Type><CachePolicy><Id>{name}</Id></CachePolicy></CachePolicySummary>" for name in names)
    return Reply(200, f"<CachePolicyList>{marker}<MaxItems>2</MaxItems><Quantity>{len(names)}</Quantity><Items>{items}</Items></CachePolicyList>")


def caller(account: str) -> Reply:
    inner = f"<Arn>arn:aws-cn:sts::{account}:assumed-role/x/y</Arn><UserId>u</UserId><Account>{account}</Account>"
    return Reply(200, f"<GetCallerIdentityResponse><GetCallerIdentityResult>{inner}</GetCallerIdentityResult></GetCallerIdentityResponse>")


def role(key: str, expires: datetime.datetime) -> Reply:
    inner = (
        f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>token-of-{key}</SessionToken>"
        f"<Expiration>{expires.isoformat()}</Expiration>"
    )
    return Reply(200, f"<AssumeRoleResponse><AssumeRoleResult><Credentials>{inner}</Credentials></AssumeRoleResult></AssumeRoleResponse>")


def scope_of(make_clients: Make, account: AwsAccountConfig, **given: object) -> AwsScope:
    return make_clients(**given).scope(account, "us-east-1")


def test_errors_are_translated_and_never_retried(server: Loopback, account: AwsAccountConfig, make_clients: Make, recorder: Recorder) -> None:
    server.answer = lambda _: cloudfront_error("InternalError", status=500)
    with pytest.raises(Transient) as told:
        scope_of(make_clients, account).call("cloudfront", "list_cache_policies")
    assert told.value.reason == "InternalError"
    assert len(server.requests) == 1
    assert recorder.calls == [("cloudfront", "ListCachePolicies", "InternalError")]


def test_a_silent_server_is_left_after_the_read_timeout(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    server.answer = lambda _: Reply(hang=True)
    started = time.monotonic()
    with pytest.raises(Transient) as told:
        scope_of(make_clients, account).call("cloudfront", "list_cache_policies")
    assert told.value.reason == "TimedOut"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("reply", [Reply(drop=True), Reply(200, "<not xml"), Reply(200, "{}")])
def test_a_broken_answer_is_transient(server: Loopback, account: AwsAccountConfig, make_clients: Make, reply: Reply) -> None:
    server.answer = lambda _: reply
    with pytest.raises(Transient):
        scope_of(make_clients, account).call("cloudfront", "list_cache_policies")


def test_nobody_listening_is_transient(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    server.close()
    with pytest.raises(Transient) as told:
        scope_of(make_clients, account).call("cloudfront", "list_cache_policies")
    assert told.value.reason == "Unreachable"


def test_tls_that_fails_says_so(server: Loopback, make_clients: Make) -> None:
    account = AwsAccountConfig(account_id=ACCOUNT, endpoint_url=server.url.replace("http:", "https:"))
    with pytest.raises(Transient) as told:
        scope_of(make_clients, account).call("cloudfront", "list_cache_policies")
    assert told.value.reason in ("TlsFailed", "TimedOut")


def test_an_endpoint_that_is_none_is_terminal(make_clients: Make) -> None:
    with pytest.raises(Terminal) as told:
        scope_of(make_clients, AwsAccountConfig(account_id=ACCOUNT, endpoint_url="http://not a host")).call("sts", "get_caller_identity")
    assert told.value.reason == "InvalidEndpoint"


def test_without_credentials_it_is_denied_and_nothing_is_sent(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    with pytest.raises(Denied) as told:
        scope_of(make_clients, account, credentials=None).call("s3", "get_bucket_policy", Bucket="b")
    assert (told.value.action, told.value.arn) == ("s3:GetBucketPolicy", "arn:aws:s3:::b")
    assert server.requests == []


def test_credentials_that_appear_later_are_found(server: Loopback, account: AwsAccountConfig, make_clients: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = scope_of(make_clients, account, credentials=None)
    with pytest.raises(Denied):
        scope.call("sts", "get_caller_identity")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "late")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    server.answer = lambda _: caller(ACCOUNT)
    assert scope.call("sts", "get_caller_identity")["Account"] == ACCOUNT


def test_a_bad_parameter_is_terminal_and_nothing_is_sent(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    with pytest.raises(Terminal) as told:
        scope_of(make_clients, account).call("cloudfront", "get_distribution", Id=3)
    assert told.value.reason == "InvalidParameter"
    assert server.requests == []


def test_expected_codes_are_answers(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    scope = scope_of(make_clients, account)
    server.answer = lambda _: cloudfront_error("NoSuchDistribution", "gone", 404)
    assert scope.attempt("cloudfront", "get_distribution", {"NoSuchDistribution"}, Id="E1") == Refusal("NoSuchDistribution", "gone")
    with pytest.raises(Transient):
        scope.attempt("cloudfront", "get_distribution", {"NoSuchOrigin"}, Id="E1")
    server.answer = lambda _: cloudfront_error("AccessDenied", "no", 403)
    with pytest.raises(Denied):
        scope.attempt("cloudfront", "get_distribution", {"NoSuchDistribution"}, Id="E1")


def test_the_user_agent_names_the_operator(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    server.answer = lambda _: page([])
    scope_of(make_clients, account).call("cloudfront", "list_cache_policies")
    assert server.requests[0].headers["User-Agent"].startswith("securebase-operator/1.2.3 ")


def test_pages_follow_markers_where_botocore_has_no_paginator(server: Loopback, account: AwsAccountConfig, make_clients: Make, recorder: Recorder) -> None:
    pages = {"": page(["a", "b"], "m1"), "m1": page(["c", "d"], "m2"), "m2": page(["e"])}
    server.answer = lambda asked: pages[parse_qs(asked.path.partition("?")[2]).get("Marker", [""])[0]]
    seen = [
        item["CachePolicy"]["Id"]
        for answer in scope_of(make_clients, account).pages("cloudfront", "list_cache_policies", Type="custom")
        for item in answer["CachePolicyList"]["Items"]
    ]
    assert seen == ["a", "b", "c", "d", "e"]
    assert len(recorder.calls) == len(recorder.waits) == 3, "every page is measured and limited, and nothing else is"


def test_a_list_that_does_not_advance_is_an_error_not_an_end(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    server.answer = lambda _: page(["a"], "same")
    with pytest.raises(Transient) as told:
        list(scope_of(make_clients, account).pages("cloudfront", "list_cache_policies"))
    assert told.value.reason == "ListDidNotAdvance"


def test_an_operation_without_pages_has_one(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    server.answer = lambda _: caller(ACCOUNT)
    assert [answer["Account"] for answer in scope_of(make_clients, account).pages("sts", "get_caller_identity")] == [ACCOUNT]


def test_an_error_between_pages_is_translated(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    server.answer = lambda asked: cloudfront_error("Throttling") if "Marker" in asked.path else page(["a"], "m1")
    seen = []
    with pytest.raises(Transient) as told:
        for answer in scope_of(make_clients, account).pages("cloudfront", "list_cache_policies"):
            seen.append(answer)
    assert (told.value.reason, len(seen)) == ("Throttled", 1)


class LostLeadership(Exception):
    """What a runtime's fence might raise."""


def test_no_write_leaves_once_the_fence_is_down(server: Loopback, account: AwsAccountConfig, make_clients: Make, recorder: Recorder) -> None:
    asked = []

    def fence() -> None:
        asked.append(len(server.requests))
        raise LostLeadership

    scope = scope_of(make_clients, account, fence=fence)
    server.answer = lambda _: page([])
    scope.call("cloudfront", "list_cache_policies")
    assert asked == []
    with pytest.raises(LostLeadership):
        scope.call("cloudfront", "create_cache_policy", CachePolicyConfig=CONFIG)
    assert asked == [1], "asked once, when nothing of the write had left"
    assert len(server.requests) == 1
    assert recorder.calls[-1] == ("cloudfront", "CreateCachePolicy", "NotSent")


def test_a_raised_fence_lets_writes_through(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    asked: list[int] = []
    server.answer = lambda _: Reply(201, "<CachePolicy><Id>p1</Id></CachePolicy>", {"ETag": "E"})
    answer = scope_of(make_clients, account, fence=lambda: asked.append(len(server.requests))).call(
        "cloudfront", "create_cache_policy", CachePolicyConfig=CONFIG
    )
    assert (answer["ETag"], asked, server.requests[0].method) == ("E", [0], "POST")


def test_the_fence_follows_a_request_that_waited_for_its_turn(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    order: list[str] = []
    limiter = RateLimiter(clock=lambda: 0.0, sleep=lambda _: order.append("slept"), rates={("*", "*"): Rate(1)})
    scope = scope_of(make_clients, account, limiter=limiter, fence=lambda: order.append("fence"))
    server.answer = lambda _: Reply(201, "<CachePolicy><Id>p1</Id></CachePolicy>")
    for _ in range(2):
        scope.call("cloudfront", "create_cache_policy", CachePolicyConfig=CONFIG)
    assert order == ["fence", "slept", "fence"]


@pytest.mark.parametrize("api", ["GetDistribution", "ListTagsForResource", "DescribeAlarms", "HeadBucket", "BatchGetThings", "FilterLogEvents"])
def test_reads_are_told_apart(api: str) -> None:
    assert is_read(api)


@pytest.mark.parametrize("api", ["CreateDistribution", "PutMetricAlarm", "TagResource", "PublishFunction", "ChangeResourceRecordSets", "Subscribe"])
def test_whatever_is_no_read_is_a_write(api: str) -> None:
    assert not is_read(api)


def test_throttling_slows_the_bucket_and_a_long_queue_is_sent_away(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    limiter = RateLimiter(clock=lambda: 0.0, sleep=lambda _: None, rates={("*", "*"): Rate(1)}, longest_wait=2)
    scope = scope_of(make_clients, account, limiter=limiter)
    server.answer = lambda _: cloudfront_error("Throttling", "Rate exceeded")
    with pytest.raises(Transient):
        scope.call("cloudfront", "list_cache_policies")
    assert limiter.allowed(ACCOUNT, "us-east-1", "cloudfront", "ListCachePolicies") == pytest.approx(0.475)
    with pytest.raises(Waiting) as told:
        scope.call("cloudfront", "list_cache_policies")
    assert (told.value.reason, len(server.requests)) == ("RateLimited", 1)


def test_another_account_than_the_one_meant_is_refused(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    server.answer = lambda _: caller("999988887777")
    with pytest.raises(Terminal) as told:
        make_clients().verify_account(account)
    assert told.value.reason == "WrongAccount"
    assert ACCOUNT in told.value.message
    assert "999988887777" in told.value.message


def test_the_right_account_is_told_apart_by_partition_too(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    server.answer = lambda _: caller(ACCOUNT)
    identity = make_clients().verify_account(account)
    assert (identity.account_id, identity.partition) == (ACCOUNT, "aws-cn")


class RoleServer:
    """Hands out a new key for each AssumeRole, and answers GetCallerIdentity."""

    def __init__(self, server: Loopback, lifetime: datetime.timedelta) -> None:
        self.lifetime = lifetime
        self.assumed: list[dict[str, list[str]]] = []
        self.keys: list[str] = []
        server.answer = self

    def __call__(self, asked: Received) -> Reply:
        form = parse_qs(asked.body)
        if form["Action"] == ["AssumeRole"]:
            self.assumed.append(form)
            return role(f"key{len(self.assumed)}", datetime.datetime.now(datetime.UTC) + self.lifetime)
        self.keys.append(asked.headers["X-Amz-Security-Token"])
        return caller(ACCOUNT)


def role_account(server: Loopback) -> AwsAccountConfig:
    return AwsAccountConfig(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:role/securebase", "external-7", server.url)


def test_a_role_is_assumed_once_with_its_external_id(server: Loopback, make_clients: Make) -> None:
    told = RoleServer(server, datetime.timedelta(hours=1))
    clients = make_clients()
    for region in ("us-east-1", "eu-west-1"):
        clients.scope(role_account(server), region).call("sts", "get_caller_identity")
    assert told.keys == ["token-of-key1"] * 2
    assert [form["ExternalId"] + form["RoleArn"] + form["DurationSeconds"] for form in told.assumed] == [
        ["external-7", f"arn:aws:iam::{ACCOUNT}:role/securebase", "3600"]
    ]


def test_a_role_is_renewed_before_it_expires(server: Loopback) -> None:
    told = RoleServer(server, datetime.timedelta(hours=1))
    ahead = datetime.timedelta()
    sessions = AwsSessions("1", ClientSettings(), StaticCredentials("k", "s"), now=lambda: datetime.datetime.now(datetime.UTC) + ahead)
    client = sessions.client(role_account(server), "us-east-1", "sts")
    client.get_caller_identity()  # type: ignore[attr-defined]  # made at run time
    ahead = datetime.timedelta(minutes=30)
    client.get_caller_identity()  # type: ignore[attr-defined]
    ahead = datetime.timedelta(minutes=50)
    client.get_caller_identity()  # type: ignore[attr-defined]
    sessions.close()
    assert told.keys == ["token-of-key1", "token-of-key1", "token-of-key2"]


def test_a_role_that_is_refused_is_denied_for_the_role(server: Loopback, make_clients: Make) -> None:
    words = f"User: arn:aws:iam::1:user/u is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::{ACCOUNT}:role/securebase"
    server.answer = lambda _: cloudfront_error("AccessDenied", words, 403)
    with pytest.raises(Denied) as told:
        make_clients().scope(role_account(server), "us-east-1").call("cloudfront", "list_cache_policies")
    assert (told.value.action, told.value.arn) == ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/securebase")


def test_many_threads_make_one_client(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    clients = make_clients()
    found: list[object] = []
    gate = threading.Barrier(8)

    def work() -> None:
        gate.wait()
        found.append(clients.sessions.client(account, "us-east-1", "sns"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(client) for client in found}) == 1


def test_sessions_share_one_loader_of_service_models(server: Loopback, make_clients: Make) -> None:
    sessions = make_clients().sessions
    models = [
        sessions.client(AwsAccountConfig(number, f"arn:aws:iam::{number}:role/r", endpoint_url=server.url), "us-east-1", "sns").meta.service_model
        for number in ("1" * 12, "2" * 12)
    ]
    first, second = (model.metadata for model in models)
    assert first is second


def test_accounts_that_are_gone_are_let_go(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    clients = make_clients()
    kept, left = clients.scope(account, "us-east-1"), clients.scope(role_account(server), "us-east-1")
    clients.retain([account])
    gc.collect()
    assert clients.scope(account, "us-east-1") is kept
    assert clients.scope(role_account(server), "us-east-1") is not left


def test_a_scope_of_passage_keeps_no_client_and_is_fenced(server: Loopback, account: AwsAccountConfig, make_clients: Make) -> None:
    def closed() -> None:
        raise Waiting("NotLeading", "another replica leads")

    server.answer = lambda _: page(["a"])
    clients = make_clients(fence=closed)
    home = clients.scope(account, "us-east-1")
    with home.elsewhere("eu-west-1") as aws:
        assert (aws.account_id, aws.region) == (ACCOUNT, "eu-west-1")
        aws.call("cloudfront", "list_cache_policies")
        with pytest.raises(Waiting, match="NotLeading"):
            aws.call("cloudfront", "delete_cache_policy", Id="p")
    assert clients.sessions._clients == {}
    assert clients.scope(account, "eu-west-1") is not aws


def test_partitions() -> None:
    sessions = AwsSessions("1", ClientSettings())
    assert [sessions.partition(region) for region in ("eu-west-1", "cn-north-1", "us-gov-west-1", "mars-1")] == ["aws", "aws-cn", "aws-us-gov", "aws"]


def test_nothing_prints_a_secret(make_clients: Make) -> None:
    config = AwsAccountConfig(ACCOUNT, "arn:role", "external-7", "http://user:pass@127.0.0.1")
    printed = f"{config!r} {StaticCredentials('AK', 'very-secret', 'token-value')!r} {make_clients().scope(config, 'us-east-1')!r}"
    assert not [word for word in ("external-7", "pass", "very-secret", "token-value") if word in printed]

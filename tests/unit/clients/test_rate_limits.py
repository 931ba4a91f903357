"""Token buckets: never above a documented rate, nearly all of it used, slower when throttled."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securebase.clients.limits import COOL_DOWN, LONGEST_WAIT, RECOVERY_SECONDS, RateLimiter
from securebase.clients.rates import RATES, Rate, rate_of
from securebase.core.errors import Waiting


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def limiter_of(rate: Rate, clock: Clock, sleep: Callable[[float], None] | None = None, **given: float) -> RateLimiter:
    return RateLimiter(clock=clock, sleep=sleep or clock.sleep, rates={("*", "*"): rate}, **given)  # type: ignore[arg-type]


def wait_for(limiter: RateLimiter, service: str = "s", operation: str = "GetX", account: str = "1", region: str = "r") -> float:
    return limiter.acquire(account, region, service, operation)


def test_callers_of_the_same_moment_queue_in_order() -> None:
    limiter = limiter_of(Rate(5), Clock(), sleep=lambda _: None)
    waits = [wait_for(limiter) for _ in range(5)]
    assert waits == pytest.approx([n / 4.75 for n in range(5)])


def test_a_rest_earns_a_burst_and_no_more() -> None:
    clock = Clock()
    limiter = limiter_of(Rate(2, burst=3), clock, sleep=lambda _: None)
    assert [wait_for(limiter) for _ in range(4)] == pytest.approx([0, 0, 0, 1 / 1.9])
    clock.now += 3600
    assert [wait_for(limiter) for _ in range(4)] == pytest.approx([0, 0, 0, 1 / 1.9])


@settings(max_examples=60, deadline=None)
@given(
    rate=st.sampled_from([1, 3, 5, 9, 10]),
    pauses=st.lists(st.floats(0, 2, allow_nan=False), min_size=1, max_size=80),
)
def test_no_second_holds_more_than_a_documented_rate(rate: int, pauses: list[float]) -> None:
    clock = Clock()
    limiter = limiter_of(Rate(rate), clock, sleep=lambda _: None, longest_wait=1e9)
    sent = []
    for pause in pauses:
        clock.now += pause
        sent.append(clock.now + wait_for(limiter))
    assert sent == sorted(sent)
    assert all(bisect_left(sent, at + 1.0 - 1e-6) - index <= rate for index, at in enumerate(sent))


def test_nearly_all_of_the_rate_is_used() -> None:
    clock = Clock()
    limiter = limiter_of(Rate(3), clock)
    for _ in range(301):
        wait_for(limiter)
    assert 0.9 <= 300 / (clock.now - 1_000.0) / 3 < 1.0


def test_who_would_wait_too_long_is_sent_away_and_takes_no_turn() -> None:
    clock = Clock()
    limiter = limiter_of(Rate(1), clock, sleep=lambda _: None)
    while True:
        try:
            wait_for(limiter)
        except Waiting as told:
            first = told
            break
    with pytest.raises(Waiting) as again:
        wait_for(limiter)
    assert first.reason == "RateLimited"
    assert LONGEST_WAIT < first.after == again.value.after < LONGEST_WAIT + 1.2
    clock.now += first.after
    assert wait_for(limiter) == 0.0


def test_throttling_halves_once_for_requests_under_way_together_and_recovers_linearly() -> None:
    clock = Clock()
    limiter = limiter_of(Rate(10), clock, sleep=lambda _: None)
    key = ("1", "r", "s", "GetX")
    for _ in range(5):
        limiter.throttled(*key)
    assert limiter.allowed(*key) == pytest.approx(4.75)
    assert wait_for(limiter) > 0.2, "the bucket is empty after a throttling"
    clock.now += COOL_DOWN
    limiter.throttled(*key)
    assert limiter.allowed(*key) == pytest.approx((0.5 + COOL_DOWN / RECOVERY_SECONDS) / 2 * 9.5)
    clock.now += RECOVERY_SECONDS
    wait_for(limiter)
    assert limiter.allowed(*key) == pytest.approx(9.5)


def test_throttling_never_stops_a_bucket() -> None:
    clock = Clock()
    limiter = limiter_of(Rate(10), clock, sleep=lambda _: None)
    for _ in range(50):
        clock.now += COOL_DOWN
        limiter.throttled("1", "r", "s", "GetX")
    assert limiter.allowed("1", "r", "s", "GetX") > 0.29


def test_route53_counts_every_operation_of_an_account_together_whatever_the_region() -> None:
    limiter = RateLimiter(clock=Clock(), sleep=lambda _: None)
    waits = [
        limiter.acquire("1", "us-east-1", "route53", "ListHostedZones"),
        limiter.acquire("1", "eu-west-1", "route53", "ChangeResourceRecordSets"),
        limiter.acquire("2", "us-east-1", "route53", "ListHostedZones"),
    ]
    assert waits == pytest.approx([0, 1 / 4.75, 0])


def test_regions_accounts_and_operations_have_buckets_of_their_own() -> None:
    limiter = RateLimiter(clock=Clock(), sleep=lambda _: None)
    ways = [("1", "a", "PutMetricAlarm"), ("1", "b", "PutMetricAlarm"), ("2", "a", "PutMetricAlarm"), ("1", "a", "DescribeAlarms")]
    assert [limiter.acquire(account, region, "cloudwatch", operation) for account, region, operation in ways] == [0, 0, 0, 0]
    assert limiter.acquire("1", "a", "cloudwatch", "PutMetricAlarm") == pytest.approx(1 / (3 * 0.95))


@pytest.mark.parametrize(
    ("service", "operation", "per_second"),
    [
        ("cloudwatch", "PutMetricAlarm", 3),
        ("cloudwatch", "DescribeAlarms", 9),
        ("cloudfront", "GetDistribution", 10),
        ("cloudfront", "UpdateDistribution", 2),
        ("cloudfront", "CreateInvalidation", 0.5),
        ("acm", "ListCertificates", 1),
        ("unheard-of", "DoThings", 5),
    ],
)
def test_rows_are_found_by_name_verb_service_and_default(service: str, operation: str, per_second: float) -> None:
    assert rate_of(RATES, service, operation)[1].per_second == per_second


def test_what_aws_documents_has_no_burst_that_could_exceed_it() -> None:
    for key, rate in RATES.items():
        if rate.source:
            assert rate.burst <= max(1, rate.per_second / 10), key


def test_scale_multiplies_and_open_never_waits() -> None:
    clock = Clock()
    scaled = RateLimiter(clock=clock, sleep=lambda _: None, scale=100)
    assert scaled.allowed("1", "r", "cloudwatch", "PutMetricAlarm") == pytest.approx(285)
    opened = RateLimiter(clock=clock, sleep=clock.sleep, is_open=True)
    assert sum(opened.acquire("1", "r", "acm", "ListCertificates") for _ in range(1_000)) == 0


def test_threads_never_share_a_turn() -> None:
    limiter = limiter_of(Rate(100), Clock(), sleep=lambda _: None, longest_wait=1e9)
    waits: list[float] = []

    def work() -> None:
        for _ in range(100):
            waits.append(wait_for(limiter))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == pytest.approx([n / 95 for n in range(800)])

"""When metrics are asked whether they have data: a day apart, in the end all at once, each region for itself."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from securebase.clients.aws import AwsAccountConfig
from securebase.core.errors import Denied
from securebase.resources.cloudwatch.alarm_health import DAY, HOUR, AlarmState, Standing, WatchedMetric
from securebase.runtime.silence import FIRST_SECONDS, Silences

NOW = 1_700_000_000.0
ACCOUNT = AwsAccountConfig("123456789012", region="eu-central-1")


class Region:
    """Metrics of which none has data; keeps when how many were asked for."""

    def __init__(self) -> None:
        self.now, self.asked, self.refuses = NOW, list[tuple[float, str, int]](), False
        self.silences = Silences(lambda account, region: _Data(self, region), lambda: self.now)

    def standing(self, alarm: str, changed: float = NOW - DAY, region: str = "eu-central-1", since: float = NOW - DAY) -> Standing:
        watches = frozenset({WatchedMetric("Shop", alarm)})
        return Standing(alarm, AlarmState.OK, since, region=region, changed=changed, watches=watches)

    def hours(self, count: int, *standings: Standing) -> list[tuple[int, str, int]]:
        """Look every ten minutes; (hour, region, metrics) of what was asked."""
        begun, self.asked = self.now, []
        for _ in range(count * 6):
            self.now += 600.0
            self.silences.look(ACCOUNT, standings)
        return [(int((at - begun) // HOUR), region, number) for at, region, number in self.asked]


class _Data:
    def __init__(self, region: Region, name: str) -> None:
        self.region, self.name = region, name

    def silent(self, metrics: AbstractSet[WatchedMetric]) -> frozenset[WatchedMetric]:
        self.region.asked.append((self.region.now, self.name, len(metrics)))
        if self.region.refuses:
            raise Denied("cloudwatch:GetMetricData", "*", "not allowed")
        return frozenset(metrics)


def test_each_region_is_asked_once_a_day_and_the_first_time_within_the_hour_after_the_start() -> None:
    region = Region()
    every = [region.standing("one"), region.standing("two"), region.standing("cdn", region="us-east-1")]
    asked = region.hours(36, *every)
    assert sorted((name, number) for _, name, number in asked) == [("eu-central-1", 2), ("eu-central-1", 2), ("us-east-1", 1), ("us-east-1", 1)]
    assert min(at for at, _, _ in asked) * HOUR <= FIRST_SECONDS + 2 * HOUR
    assert region.silences.silent(ACCOUNT, every, ()) == {"one", "two", "cdn"}


def test_what_came_later_is_asked_for_together_with_the_others_in_the_end() -> None:
    region = Region()
    old, young = region.standing("old"), region.standing("young", changed=NOW - DAY + 5 * HOUR)
    first = region.hours(24, old, young)
    assert [number for _, _, number in first] == [1, 1]
    assert [number for _, _, number in region.hours(48, old, young)] == [2, 2]


def test_a_refusal_is_asked_again_in_an_hour_and_says_nothing() -> None:
    region = Region()
    region.refuses = True
    one = region.standing("one")
    assert 4 <= len(region.hours(6, one)) <= 6
    assert region.silences.silent(ACCOUNT, [one], ()) == frozenset()
    region.refuses = False
    assert len(region.hours(6, one)) == 1 and region.silences.silent(ACCOUNT, [one], ()) == {"one"}


def test_what_nobody_can_ask_for_is_never_silent_and_a_lost_account_is_forgotten() -> None:
    region = Region()
    blind = Standing("blind", AlarmState.OK, NOW - DAY, region="eu-central-1", changed=NOW - DAY)
    one = region.standing("one")
    region.hours(3, blind, one)
    assert region.silences.silent(ACCOUNT, [blind, one], ("blind",)) == {"one"}
    region.silences.retain(())
    assert region.silences.silent(ACCOUNT, [one], ()) == frozenset()

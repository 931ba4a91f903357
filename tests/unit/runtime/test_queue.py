"""The work queue: order, one hand at a time, backoff."""

from __future__ import annotations

import asyncio
import random

import pytest

from securebase.runtime.queue import Key, Reason, WorkQueue


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue:
    return WorkQueue(clock, random.Random(7))


def key(name: str) -> Key:
    return Key("Thing", "team", name)


async def test_edits_go_before_polls_before_sweeps(queue: WorkQueue) -> None:
    queue.add(key("swept"), Reason.SWEEP)
    queue.add(key("polled"), Reason.POLL)
    queue.add(key("edited"), Reason.EDIT)
    assert [(await queue.get())[0].name for _ in range(3)] == ["edited", "polled", "swept"]


async def test_a_key_is_in_one_hand_at_a_time_and_is_not_lost_meanwhile(queue: WorkQueue) -> None:
    queue.add(key("a"), Reason.EDIT)
    held, _ = await queue.get()
    queue.add(key("a"), Reason.SWEEP)
    queue.add(key("a"), Reason.EDIT)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.02)
    queue.done(held)
    assert await asyncio.wait_for(queue.get(), 1) == (key("a"), Reason.EDIT)
    queue.done(key("a"))
    assert queue.idle() and len(queue) == 0


async def test_a_later_look_waits_and_an_earlier_one_wins(queue: WorkQueue, clock: Clock) -> None:
    queue.add(key("a"), Reason.POLL, 60.0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.02)
    queue.add(key("a"), Reason.EDIT, 5.0)
    clock.now = 5.0
    assert await asyncio.wait_for(queue.get(), 1) == (key("a"), Reason.EDIT)
    queue.done(key("a"))
    clock.now = 100.0
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.02)


async def test_backoff_doubles_with_jitter_up_to_its_bound_and_starts_over(queue: WorkQueue) -> None:
    delays = [queue.retry(key("a")) for _ in range(12)]
    assert all(0.5 * min(300, 2**n) <= delay <= min(300, 2**n) for n, delay in enumerate(delays))
    queue.succeeded(key("a"))
    assert queue.retry(key("a")) <= 1.0


async def test_what_is_forgotten_is_not_handed_out(queue: WorkQueue) -> None:
    queue.add(key("a"), Reason.EDIT)
    queue.forget(key("a"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.02)


async def test_every_worker_gets_its_share(queue: WorkQueue) -> None:
    seen: list[str] = []

    async def work() -> None:
        while True:
            found, _ = await queue.get()
            await asyncio.sleep(0)
            seen.append(found.name)
            queue.done(found)

    workers = [asyncio.create_task(work()) for _ in range(4)]
    for number in range(200):
        queue.add(key(str(number)), Reason.EDIT)
    async with asyncio.timeout(5):
        while len(seen) < 200:
            await asyncio.sleep(0.01)
    for worker in workers:
        worker.cancel()
    assert sorted(seen, key=int) == [str(number) for number in range(200)]

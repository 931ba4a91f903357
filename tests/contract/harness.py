"""What every driver promises, checked on a live backend: `check_contract` goes through a resource's whole life."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, TypeVar
from uuid import uuid4

from lab.aws.endpoint import Control
from securebase.clients.aws import AwsScope
from securebase.core.diff import Change, diff
from securebase.core.driver import Depth, Driver, Observed, State, Target
from securebase.core.errors import Transient, Waiting
from securebase.core.graph import Role
from securebase.core.identity import Identity

D = TypeVar("D")
T = TypeVar("T")

DEADLINE = 20.0
POLL = 0.1


class ShiftedClock:
    """A clock that a test can set forward."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ahead = 0.0

    def __call__(self) -> float:
        return self._clock() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds


@dataclass(frozen=True, slots=True)
class Lab:
    """One account of the lab: the driver's scope, somebody else's client, the clock of the drivers, the lab's controls."""

    scope: Callable[[str], AwsScope]
    raw: Callable[..., Any]
    clock: ShiftedClock
    control: Control
    account: str
    stale: bool

    def target(self, type: str, desired: D, *, node: str = "", role: Role = Role.OWNED) -> Target[D]:
        """A resource of an object nobody else has."""
        identity = Identity("contract", "Example", "default", f"example-{uuid4().hex[:8]}")
        return Target(identity, node or type.rpartition("/")[2], type, desired, role=role)


def eventually(look: Callable[[], T], holds: Callable[[T], bool], what: str, deadline: float = DEADLINE) -> T:
    """Look until it holds; not yet visible, waiting and transient errors are looked at again."""
    end = time.monotonic() + deadline
    seen: object = None
    while time.monotonic() < end:
        try:
            seen = answer = look()
            if holds(answer):
                return answer
        except (Waiting, Transient) as error:
            seen = error
        time.sleep(POLL)
    raise AssertionError(f"{what}: not within {deadline} s; last seen: {seen!r}")


def observe(driver: Driver, target: Target[D], depth: Depth = Depth.FRESH) -> Observed[D] | None:
    """One target's answer; its error is raised."""
    answer = driver.observe([target], depth)[target.key]
    if isinstance(answer, Exception):
        raise answer
    return answer


def differences(target: Target[Any], observed: Observed[Any] | None) -> tuple[Change, ...]:
    """What the core would change."""
    assert observed is not None, "absent"
    return diff(target.want(), observed.value, None, b"key")


def in_sync(target: Target[D]) -> Callable[[Observed[D] | None], bool]:
    """READY, ours, and nothing differs."""
    return lambda seen: seen is not None and seen.state is State.READY and seen.owner == target.owner and not differences(target, seen)


def write(driver: Driver, target: Target[D], deadline: float = DEADLINE) -> Observed[D]:
    """Update until nothing differs, as the core does it: each try starts from what is there now."""

    def step() -> Observed[D]:
        seen = observe(driver, target)
        assert seen is not None, "went away"
        changes = differences(target, seen)
        return driver.update(target, seen, changes) if changes else seen

    return eventually(step, lambda seen: not differences(target, seen), f"{target.type} takes the update", deadline)


def settled(driver: Driver, target: Target[D], depth: Depth = Depth.FRESH) -> Observed[D]:
    """The resource once it is READY and as wanted."""
    seen = eventually(lambda: observe(driver, target, depth), in_sync(target), f"{target.type} as wanted ({depth})")
    assert seen is not None
    return seen


def delete(driver: Driver, target: Target[D], deadline: float = DEADLINE) -> None:
    """Delete until the driver says it is gone."""

    def step() -> bool:
        seen = observe(driver, target)
        return seen is None or driver.delete(target, seen) is None

    eventually(step, bool, f"{target.type} is deleted", deadline)


@dataclass(frozen=True, slots=True)
class Contract(Generic[D]):
    """What one type needs besides its desired value.

    changes   by name: the desired value with one managed field changed; applied in turn, each on top of the first value
    drift     somebody else's change of the resource with this external id, and a path that must show it
    findable  whether it is found without its external id
    deletes   False where nothing can be deleted outside (READY for ever)
    """

    driver: type[Any]
    desired: D
    changes: Mapping[str, D] = field(default_factory=dict)
    drift: Callable[[Observed[D]], object] | None = None
    drifted: str = ""
    findable: bool = True
    deletes: bool = True
    role: Role = Role.OWNED
    region: str = "us-east-1"


def check_contract(lab: Lab, contract: Contract[D]) -> None:
    """Absent, created, created again, found, changed field by field, drifted, swept, deleted, deleted again."""
    driver = contract.driver(lab.scope(contract.region), lab.clock)
    assert isinstance(driver, Driver)
    target = lab.target(driver.type, contract.desired, role=contract.role)
    for depth in Depth:
        assert observe(driver, target, depth) is None, f"absent, asked {depth}"
    target = _created(driver, target, contract)
    for name, desired in contract.changes.items():
        changed = replace(target, desired=desired)
        before = differences(changed, settled(driver, target))
        assert before, f"{name}: the change shows no difference"
        write(driver, changed)
        settled(driver, changed)
        _pass_a_minute(lab)
        settled(driver, changed, Depth.SWEEP)
        write(driver, target)
    if contract.drift is not None:
        _drifts(lab, driver, target, contract)
    if contract.deletes:
        _deleted(lab, driver, target)


def _created(driver: Driver, target: Target[D], contract: Contract[D]) -> Target[D]:
    token = uuid4().hex
    made = eventually(lambda: driver.create(target, token), lambda _: True, f"{target.type} is created")
    assert made.external_id
    known = replace(target, external_id=made.external_id)
    first = settled(driver, known)
    assert first.external_id == made.external_id
    again = eventually(lambda: driver.create(target, token), lambda _: True, f"{target.type} is created again")
    assert again.external_id == made.external_id, "a second try made a second one"
    first = settled(driver, known)  # the second try may have written it anew, which its dates tell
    swept = settled(driver, known, Depth.SWEEP)
    assert (swept.value, swept.owner, swept.attributes) == (first.value, first.owner, first.attributes), "SWEEP and FRESH differ"
    if contract.findable:
        assert settled(driver, target).external_id == made.external_id, "not found without its id"
    return known


def _pass_a_minute(lab: Lab) -> None:
    """Answers that a driver may keep for a minute are then asked for again."""
    lab.clock.advance(61.0)


def _drifts(lab: Lab, driver: Driver, target: Target[D], contract: Contract[D]) -> None:
    assert contract.drift is not None

    def shows(seen: Observed[D] | None) -> bool:
        return seen is None or contract.drifted in {change.path for change in differences(target, seen)}

    def minutes_later(depth: Depth) -> Observed[D] | None:
        _pass_a_minute(lab)
        return observe(driver, target, depth)

    for depth in Depth:
        contract.drift(settled(driver, target))
        eventually(partial(minutes_later, depth), shows, f"{target.type} shows the drift of {contract.drifted} ({depth})")
        write(driver, target)
        settled(driver, target)


def _deleted(lab: Lab, driver: Driver, target: Target[D]) -> None:
    last = settled(driver, target)
    delete(driver, target)
    eventually(lambda: observe(driver, target), lambda seen: seen is None, f"{target.type} is gone")
    _pass_a_minute(lab)
    eventually(lambda: observe(driver, target, Depth.SWEEP), lambda seen: seen is None, f"{target.type} is gone (SWEEP)")
    assert driver.delete(target, replace(last, raw=None, etag="")) is None, "deleting what is gone"

"""Vaults: things that hold data, and the life of one object that has one, through crashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from securebase.core.diff import Change
from securebase.core.driver import Answer, Driver, Observed, Saved, State, Target, incarnated_name
from securebase.core.fields import SecretValue
from securebase.core.graph import Node, Ref
from securebase.core.plan import Prior
from securebase.core.subject import Report
from tests.unit.core.fake import Bench, FakeWorld, Thing, ThingDriver, node, thing

GRACE = 3600.0
PASSWORD = "hunter2-hunter2"


class Killed(BaseException):
    """The process ends here."""


@dataclass(slots=True)
class Vaults(FakeWorld):
    """An outside with vaults, whose `intend` is what a status would hold after a crash."""

    snapshots: dict[str, str] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    restored: dict[str, str] = field(default_factory=dict)
    final: list[str] = field(default_factory=list)
    advanced: list[float] = field(default_factory=list)
    due_from: float = 0.0
    password: SecretValue = field(default_factory=lambda: SecretValue(PASSWORD, "v1"))
    stored: dict[str, Prior] = field(default_factory=dict)
    saved: dict[str, float] = field(default_factory=dict)
    discarded: list[str] = field(default_factory=list)
    written: str = "7 writes since"
    unrestorable: tuple[str, ...] = ()
    kill_after: str = ""
    finds_by_tag: bool = False
    kills: int = 0

    def driver(self, type: str, region: str) -> Driver:
        return VaultDriver(self) if type == VaultDriver.type else ThingDriver(self.outside)

    def intend(self, *priors: Prior) -> None:
        self.stored |= {prior.id: prior for prior in priors}
        self.happened("successor" if any(not prior.external_id for prior in priors) else "name")

    def happened(self, what: str) -> None:
        if what == self.kill_after:
            self.kill_after = ""
            self.kills += 1
            raise Killed(what)


class VaultDriver(ThingDriver):
    """The driver of `fake/vault`: a thing that holds data."""

    type: ClassVar[str] = "fake/vault"
    REPLACED_GRACE_SECONDS = GRACE

    def __init__(self, vaults: Vaults) -> None:
        super().__init__(vaults.outside)
        self.vaults = vaults

    def _one(self, target: Target[Any]) -> Answer:
        if target.node in self.outside.failing:
            return self.outside.failing[target.node]
        key = target.external_id if target.external_id in self.outside.things else None
        if key is None and not target.external_id and target.desired is not None:
            key = self.outside.by_name(incarnated_name(target.desired.name, target, 40))
            if key is None and self.vaults.finds_by_tag:
                key = next((key for key, (owner, _, _) in self.outside.things.items() if owner == target.owner), None)
        return self._told(key, target) if key else None

    def _told(self, key: str, target: Target[Any]) -> Observed[Thing]:
        seen = self._observed(key)
        if target.desired is not None and seen.value.name == incarnated_name(target.desired.name, target, 40):
            seen = replace(seen, value=replace(seen.value, name=target.desired.name))
        now, at = self.vaults.time, self.vaults.due_from
        due, again = ("turn", 0.0) if at and now >= at else ("", at)
        return replace(seen, secrets={"password": self.vaults.password}, due=due, again_at=again)

    def create(self, target: Target[Any], token: str) -> Observed[Any]:
        want = target.want()
        assert not target.restore_from or target.restore_from in self.vaults.done, "started from what was not saved"
        made = super().create(replace(target, desired=replace(want, name=incarnated_name(want.name, target, 40))), token)
        self.vaults.restored.setdefault(made.external_id, target.restore_from)
        self.vaults.happened("create")
        return self._told(made.external_id, target)

    def update(self, target: Target[Any], observed: Observed[Any], changes: Sequence[Change]) -> Observed[Any]:
        return self._told(super().update(target, observed, changes).external_id, target)

    def snapshot(self, target: Target[Any], observed: Observed[Any], name: str) -> Saved:
        if name not in self.vaults.snapshots:
            self.vaults.asked.append(name)
            self.vaults.snapshots[name] = observed.external_id
            self.vaults.happened("asked")
        if name not in self.vaults.done:
            return Saved.UNDER_WAY
        self.vaults.saved.setdefault(name, self.vaults.time)
        self.vaults.happened("saved")
        return Saved.DONE

    def saved_at(self, name: str) -> float | None:
        return self.vaults.saved.get(name)

    def discard(self, observed: Observed[Any], name: str) -> bool:
        if self.vaults.snapshots.get(name) == observed.external_id:
            if (error := self.outside.failing.get("discard")) is not None:
                raise error
            self.vaults.discarded.append(name)
            del self.vaults.snapshots[name]
        return True

    def written_since(self, target: Target[Any], observed: Observed[Any], name: str) -> str:
        return self.vaults.written and f"{self.vaults.written} {name}"

    def unrestorable(self, desired: Any, observed: Observed[Any]) -> Sequence[str]:
        return self.vaults.unrestorable

    def delete_with_snapshot(self, target: Target[Any], observed: Observed[Any], name: str) -> Observed[Any] | None:
        self.vaults.final.append(name)
        return self.delete(target, observed)

    def advance(self, target: Target[Any], observed: Observed[Any]) -> Observed[Any]:
        self.vaults.advanced.append(self.vaults.time)
        self.vaults.due_from = 0.0
        return self._told(observed.external_id, target)


def vault(name: str = "a", **fields: Any) -> Node:
    return Node(name, VaultDriver.type, thing(name, **fields), guards=True)


class Life:
    """One object with a vault and who uses it, through crashes: a new process knows what its status says and nothing else."""

    def __init__(self) -> None:
        self.world = Vaults()
        self.bench = Bench(world=self.world)
        self.run("round")
        self.hash = self.run("square").plan.hash

    def run(self, shape: str, *, wait: float = 120.0, **more: Any) -> Report:
        """One pass with the approval at hand."""
        self.world.stored = dict(self.bench.subject.prior)
        return self.bench.run(vault(shape=shape), node("b", partner=Ref("a", "id")), approved=getattr(self, "hash", ""), wait=wait, **more)

    def crash(self, shape: str, after: str) -> None:
        self.world.kill_after = after
        for _ in range(5):
            try:
                self.run(shape)
            except Killed:
                self.bench = Bench(world=self.world, subject=replace(self.bench.subject, prior=self.world.stored))
                return
            self.world.done |= set(self.world.asked)
        raise AssertionError(f"never came to {after}")

    def until_settled(self, shape: str) -> Report:
        for _ in range(6):
            self.world.done |= set(self.world.asked)
            self.finish()
            report = self.run(shape)
        return report

    def finish(self) -> None:
        """What is being made outside is ready."""
        for key, (owner, value, _) in list(self.world.outside.things.items()):
            self.world.outside.things[key] = owner, value, State.READY

    @property
    def shapes(self) -> list[str]:
        """Shapes of the vaults that exist, oldest first."""
        return [value.shape for key, (_, value, _) in self.world.outside.things.items() if key in self.world.restored]

    @property
    def partner(self) -> str:
        key = self.world.outside.by_name("b")
        assert key is not None
        return self.world.outside.things[key][1].partner


def why(report: Report, name: str = "a") -> str:
    return next(result.reason for result in report.results if result.prior.id == name)

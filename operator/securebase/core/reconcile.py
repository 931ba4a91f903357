"""One pass over one object: observe, plan, gate, execute in dependency order. Every kind goes through here and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from securebase.core.diff import Applied, Cause
from securebase.core.driver import (
    RETIRED,
    Adopts,
    Advances,
    Answer,
    Depth,
    Driver,
    Observed,
    Snapshots,
    State,
    Target,
    locatable,
    replaces_in_place,
    settle_seconds,
)
from securebase.core.errors import ReconcileError, Terminal, TokenSpent, Transient, Waiting
from securebase.core.fields import Impact, Paths, graft
from securebase.core.graph import Graph, Known, Role, resolve
from securebase.core.observe import external_ids, make_plan, observe_batch, observe_graph, observe_priors, prunable, target_of
from securebase.core.plan import EXISTENCE, Action, Plan, Prior, Step, gated, node_step, wanted_now
from securebase.core.policy import Adopt, Gate, Mode
from securebase.core.pruning import Pruning
from securebase.core.remembered import not_composed, observed_only, remembered, somebody_elses
from securebase.core.subject import FIRST_POLL, LONGEST_POLL, Memory, NodeResult, Report, Subject, World
from securebase.core.succession import Source, await_snapshot, possible, predecessor_id, snapshot_to_start_from, tidied

ABSENCE_SECONDS = 5.0
"""Two reads by id this far apart must agree before a recorded resource is made a second time: a single one may lag."""


PASS_SECONDS = 45.0
"""How long one pass goes on writing. AWS takes three alarms a second: a thousand of them are many passes, and in between an edit of the spec
is heard and the status tells how far it is. Below the minute after which a worker counts as hung (`runtime.heartbeat`)."""


def reconcile(graph: Graph, subject: Subject, world: World, memory: Memory, *, progress_only: bool = False) -> Report:
    """One pass. `progress_only`: what was READY at the last look is not read again, but for what the composition went by; the sweeper watches
    over it."""
    resting = {name: seen for name, seen in memory.seen.items() if name not in graph.gathered and _at_rest(seen, world.now())}
    cached = resting if progress_only else None
    answers, attributes = observe_graph(graph, subject, world, Depth.FRESH, cached)
    pruned = observe_priors(prunable(graph, subject).values(), subject, world)
    plan = make_plan(graph, subject, world, answers, pruned, attributes, memory.granted)
    memory.granted = plan.granted
    memory.seen = {name: found for name, found in answers.items() if isinstance(found, Observed)}
    if subject.policy.mode is not Mode.ENFORCE:
        results = tuple(observed_only(step, graph, subject) for step in plan.steps)
        return Report(plan, (*results, *not_composed(graph, subject, results)), attributes)
    return _Pass(graph, subject, world, memory, plan, attributes.copy()).run()


def _at_rest(seen: Observed[Any], now: float) -> bool:
    return seen.state is State.READY and not seen.due and not 0 < seen.again_at <= now


class _Pass:
    """The executing half of one pass: walks the plan and keeps what came of each step."""

    def __init__(self, graph: Graph, subject: Subject, world: World, memory: Memory, plan: Plan, attributes: Known) -> None:
        self.graph, self.subject, self.world, self.memory, self.plan, self.attributes = graph, subject, world, memory, plan, attributes
        self.results: dict[str, NodeResult] = {}
        self.begun = world.now()
        self.existing = {step.node.id for step in plan.steps if step.observed is not None and step.problem is None}
        self.corrected: list[str] = []
        self.created: list[str] = []
        self.updated: list[str] = []
        self.retired: list[NodeResult] = []
        self.replacing: dict[str, str] = {}
        self.moving: set[str] = set()  # what differs from what was applied may be our own last write: not told as drift
        self.unsettled: set[str] = set()  # nor forgotten as that by taking what is wanted for what was applied

    def run(self) -> Report:
        nodes = [step for step in self.plan.steps if step.node.id in self.graph.nodes and step.action is not Action.DELETE]
        for step in nodes:
            self.results[step.node.id] = replace(self._guarded(step, self._node), task=step.node.task)
        settled = all(result.state == State.READY.value and result.problem is None for result in self.results.values() if self._counts(result))
        wanted = [self.results[name].prior for name in self.graph.nodes]
        pruning = Pruning(self.plan, self.subject, self.world, self.memory, self._prior_now, wanted)
        others = [step for step in self.plan.steps if step.action is Action.DELETE or step.node.id not in self.graph.nodes]
        leaving = [self._guarded(step, pruning.now if settled else pruning.later) for step in others]
        told = [*self.results.values(), *self.retired, *(result for result in leaving if result.state != "ABSENT")]
        return Report(
            self.plan,
            (*told, *not_composed(self.graph, self.subject, told)),
            self.attributes,
            tuple(self.corrected),
            tuple(self.created),
            tuple(self.updated),
            tuple(pruning.removed),
            tuple(pruning.last_words),
        )

    def _counts(self, result: NodeResult) -> bool:
        """Whether what goes has to wait for it: not for a task, nor for somebody else's resource that no node of ours takes anything from."""
        if result.prior.role is not Role.EXTERNAL:
            return not result.task
        return any(result.prior.id in needed for needed in self.graph.needs.values())

    def _guarded(self, step: Step, act: Callable[[Step], NodeResult]) -> NodeResult:
        """One failure is one result: siblings go on."""
        try:
            return act(step)
        except ReconcileError as error:
            state = "WAITING" if isinstance(error, Waiting) else State.FAILED.value
            after = error.after if isinstance(error, Waiting) else None
            prior = self._prior_now(step)
            self.memory.seen.pop(step.node.id, None)  # what failed is read anew, whatever the next pass is for
            drift = () if step.node.id in self.moving else step.drift
            return NodeResult(prior, state, error, error.reason, error.message, drift, after)

    def _prior_now(self, step: Step) -> Prior:
        """What to remember of a step that did not come through: never the id of something that is not ours, or it would be deleted one day."""
        seen = self.memory.seen.get(step.node.id) or step.observed
        prior = remembered(step, self._wave(step), seen if seen is not None and seen.owner == step.target.owner else None)
        started = step.prior.snapshot if step.prior and step.action is Action.REPLACE else prior.snapshot
        return replace(prior, snapshot=self.replacing.get(step.node.id, started))

    def _poll(self, step: Step) -> float:
        return self.memory.poll_after(step.node.id, self.world.now())

    def _wave(self, step: Step) -> int:
        return self.graph.removal_wave_of.get(step.node.id, step.prior.wave if step.prior else 0)

    def _node(self, step: Step) -> NodeResult:
        self._wait_for_needs(step)
        step = self._refined(step)
        if step.problem is not None:
            raise step.problem
        step = self._settling(self._fought(step))
        if step.action is not Action.NONE and self.world.now() - self.begun > PASS_SECONDS:
            raise Waiting("Continues", f"{len(self.existing)} of {len(self.graph)} resources are there; the pass goes on with the others", 0.1)
        match step.action:
            case Action.CREATE if EXISTENCE in step.held:
                raise Terminal("Fight", f"made again {self.memory.fights.limit} times and removed again: somebody else deletes {step.node.id}")
            case Action.CREATE:
                return self._create(step)
            case Action.ADOPT | Action.UPDATE:
                return self._update(step)
            case Action.REPLACE:
                return self._replace(step)
            case _:
                return self._keep(step, self._advanced(step), step.target.desired)

    def _advanced(self, step: Step) -> Observed[Any] | None:
        """What matches may still have a step of its own to take."""
        driver, observed = self._driver(step), step.observed
        if observed is None or not observed.due or step.drift or step.node.role is Role.EXTERNAL or not isinstance(driver, Advances):
            return observed
        self.memory.wrote_at[step.node.id] = self.world.now()
        advanced = driver.advance(step.target, observed)
        self.corrected.extend(f"{step.node.id}.{path}" for path in observed.drifted)
        return advanced

    def _wait_for_needs(self, step: Step) -> None:
        """`after` wants the other to have come through this pass; a reference wants only the value to be known."""
        for name in sorted(self.graph.needs[step.node.id]):
            why = self.results[name]
            failed = name in step.node.after and why.problem is not None
            if failed or name not in self.existing:
                raise Waiting("WaitingFor", f"waits for {name}: {why.message or why.reason or 'not there yet'}", self._poll(step))
        if missing := resolve(step.node.desired, self.attributes).missing:
            name, attribute = min(missing)
            why = self.results[name]
            raise Waiting("WaitingFor", f"waits for {name} ({attribute}): {why.message or why.reason or 'not known yet'}", self._poll(step))

    def _refined(self, step: Step) -> Step:
        """The step again, when references could only be filled in now."""
        target = target_of(step.node, self.subject, self.attributes)
        if step.problem is not None or target.desired == step.target.desired:
            return step
        answer: Answer = step.observed
        if answer is None and not locatable(self._driver(step), step.target):
            answer = observe_batch(self.world, step.node.type, step.node.region or self.subject.region, [target], Depth.FRESH)[step.node.id]
        now = datetime.fromtimestamp(self.world.now(), UTC)
        leaving = external_ids(prunable(self.graph, self.subject)) if step.node.partial else frozenset[str]()
        again = node_step(step.node, target, answer, step.prior, self.subject.policy, self.subject.key, leaving)
        return gated(Plan((possible(again, self._driver(step)),)), self.subject.policy, now, "", self.memory.granted).steps[0]

    def _fought(self, step: Step) -> Step:
        drifted = frozenset(f"{step.node.id}.{path}" for path in step.drift)
        lost = self.memory.fights.lost(drifted, self.world.now())
        prefix = len(step.node.id) + 1
        return replace(step, held={**step.held, **{path[prefix:]: Gate.FIGHT for path in lost}}) if lost else step

    def _settling(self, step: Step) -> Step:
        """Our own last write may not show yet, and what is PENDING is moving: neither is drift."""
        if not step.drift:
            return step
        age = self.world.now() - self.memory.wrote_at.get(step.node.id, float("-inf"))
        rest = settle_seconds(self._driver(step)) * self.memory.settle_scale - age
        if rest > 0 and step.observed is None:
            raise Waiting("Settling", "made by us a moment ago and not visible yet", min(rest, LONGEST_POLL))
        if step.observed is not None and (rest > 0 or step.observed.state is State.PENDING):
            self.moving.add(step.node.id)
            if all(change.drifted for change in step.changes):
                self.unsettled.add(step.node.id)
                return replace(step, action=Action.NONE, changes=())
            return replace(step, changes=tuple(change for change in step.changes if change.cause is not Cause.DRIFT))
        return step

    def _driver(self, step: Step) -> Driver:
        return self.world.driver(step.node.type, step.node.region or self.subject.region)

    def _create(self, step: Step) -> NodeResult:
        incarnation = step.prior.incarnation if step.prior else 0
        if recorded := bool(step.prior and step.prior.external_id):
            self._confirm_absence(step)
        source = self._interrupted(step)
        if recorded:
            incarnation += 1
            self.world.intend(replace(self._intent(step, incarnation), snapshot=source))
        elif step.prior is None and self.subject.policy.adopt is Adopt.NEVER:
            self.world.intend(self._intent(step, incarnation))  # so that after a crash it is known as our own, not as something to adopt
        target = replace(step.target, external_id="", incarnation=incarnation, restore_from=source)
        made = self._make(step, target, incarnation)
        self.created.append(step.node.id)
        self._note_repair(step)
        return self._keep(step, made[0], target.desired, incarnation=made[1])

    def _make(self, step: Step, target: Target[Any], incarnation: int) -> tuple[Observed[Any], int]:
        driver = self._driver(step)
        try:
            made = driver.create(target, self.subject.identity.token(step.node.id, incarnation))
        except TokenSpent:
            incarnation += 1
            self.world.intend(replace(self._intent(step, incarnation), snapshot=target.restore_from))
            target = replace(target, incarnation=incarnation)
            made = driver.create(target, self.subject.identity.token(step.node.id, incarnation))
        self.memory.wrote_at[step.node.id] = self.world.now()
        return made, incarnation

    def _intent(self, step: Step, incarnation: int) -> Prior:
        """What status must say before the call: the next incarnation, and no external id any more, so that after a crash the new one
        is searched for by identity and made with the same token."""
        return replace(remembered(step, self._wave(step)), external_id="", applied="", incarnation=incarnation)

    def _confirm_absence(self, step: Step) -> None:
        since = self.memory.absent_since.setdefault(step.node.id, self.world.now())
        rest = since + ABSENCE_SECONDS - self.world.now()
        if rest > 0:
            raise Waiting("ConfirmingAbsence", "gone outside; a second look confirms it before it is made again", rest)

    def _update(self, step: Step) -> NodeResult:
        if step.observed is None:
            raise Transient("Unexpected", "an update without an observation")
        driver, observed = self._driver(step), step.observed
        wanted = wanted_now(step, step.target.desired, self.subject.policy)
        target = replace(step.target, desired=wanted, external_id=observed.external_id)
        if step.action is Action.ADOPT:
            if not isinstance(driver, Adopts):
                raise Terminal("NotAdoptable", f"{step.node.type} cannot be taken over")
            observed = driver.adopt(target, observed)
        allowed = step.allowed()
        if allowed:
            before, observed = observed, driver.update(target, observed, allowed)
            wanted = graft(wanted, observed.value, Paths(observed.left))  # what is left to do was not applied yet
            if not observed.left or observed.value != before.value or observed.state is not before.state:  # else all of it waits for what is held
                self.memory.wrote_at[step.node.id] = self.world.now()
                self.updated.append(step.node.id)
                self._note_repair(replace(step, changes=allowed))
        return self._keep(step, observed, wanted)

    def _note_repair(self, step: Step) -> None:
        paths = [f"{step.node.id}.{path}" if path != EXISTENCE else step.node.id for path in step.drift]
        self.corrected.extend(paths)
        self.memory.fights.repaired(frozenset(f"{step.node.id}.{path}" for path in step.drift), self.world.now())

    def _replace(self, step: Step) -> NodeResult:
        """Create the new, let dependants repoint, remove the old; delete first only where the name cannot change."""
        replacing = [change.path for change in step.changes if change.impact is Impact.REPLACE]
        if not replacing or any(path in step.held for path in replacing):  # none is left where our own last write may not show yet
            return self._update(step)
        if step.observed is None:
            raise Transient("Unexpected", "a replacement without an observation")
        driver, now = self._driver(step), remembered(step, self._wave(step), step.observed)
        incarnation = now.incarnation + 1
        snapshot = self._saved(step, Source(step.target, step.observed, (replace(now, snapshot=step.prior.snapshot if step.prior else ""),)))
        if replaces_in_place(driver) and driver.delete(step.target, step.observed) is not None:
            raise Waiting("Replacing", "the old one is being removed first, because its name cannot change", self._poll(step))
        old = replace(now, id=f"{step.node.id}{RETIRED}{incarnation - 1}", snapshot=snapshot, retired_at=0)
        if isinstance(driver, Snapshots):
            old = replace(old, guards=False)  # who approved the replacement approved its end; what would be lost is asked for when it comes
        self.world.intend(replace(self._intent(step, incarnation), snapshot=snapshot), *([] if replaces_in_place(driver) else [old]))
        target = replace(step.target, external_id="", incarnation=incarnation, restore_from=snapshot)
        made, incarnation = self._make(step, target, incarnation)
        if not replaces_in_place(driver):
            self.retired.append(NodeResult(old, "WAITING", reason="Replaced", message="removed once nothing uses it", after=self._poll(step)))
        self.created.append(step.node.id)
        return self._keep(step, made, target.desired, incarnation=incarnation)

    def _saved(self, step: Step, source: Source) -> str:
        """Name of the finished snapshot that the successor starts from; "" where the type holds nothing to keep, or shall start empty."""
        driver = self._driver(step)
        if not isinstance(driver, Snapshots) or step.node.starts_empty:
            return ""
        name = snapshot_to_start_from(source, driver, self.world, self.memory)
        self.replacing |= {prior.id: name for prior in source.remembered}
        await_snapshot(source, name, driver, self.world, self.memory, self._poll(step))
        return name

    def _interrupted(self, step: Step) -> str:
        """The snapshot from which a replacement that a crash cut short goes on: of the predecessor, as long as that is there."""
        if step.prior is None or not step.prior.snapshot or step.node.starts_empty:
            return ""
        older = next((one for one in self.plan.steps if one.node.id == predecessor_id(step)), None)
        if older is not None and older.problem is not None:
            raise older.problem  # it may well be there, with all that was written since
        if older is None or older.prior is None or not isinstance(older.observed, Observed):
            return step.prior.snapshot
        return self._saved(step, Source(older.target, older.observed, (step.prior, older.prior)))

    def _keep(self, step: Step, observed: Observed[Any] | None, written: Any, *, incarnation: int | None = None) -> NodeResult:
        """Note an existing resource: its attributes for those who need them, and what was applied."""
        if observed is None:
            raise Transient("Unexpected", "nothing was observed")
        name = step.node.id
        self.memory.absent_since.pop(name, None)
        self.memory.seen[name] = observed
        self.attributes.note(name, observed.attributes, observed.secrets)
        self.existing.add(name)
        if step.node.role is Role.EXTERNAL:
            after = None if observed.state is State.READY else self._poll(step)
            return somebody_elses(remembered(step, self._wave(step), observed), observed, after, self.graph, self.subject)
        kept = Applied.decode(step.prior.applied) if step.prior else None
        held = Paths([*step.held, *self.subject.policy.ignore_paths(name)])
        untouched = step.left or name in self.unsettled
        applied = None if untouched else Applied.of(written, self.subject.key, leaving_out=held, kept=kept).encode()
        prior = remembered(step, self._wave(step), observed, applied, incarnation)
        if observed.state is not State.READY:
            prior = replace(prior, snapshot=self.replacing.get(name, prior.snapshot))
        elif step.prior and step.prior.snapshot and name not in self.replacing:
            prior, untidy = tidied(prior, step.prior.snapshot, observed, self._driver(step))
            observed = replace(observed, message=observed.message or untidy)
        return self._judged(step, prior, observed)

    def _judged(self, step: Step, prior: Prior, observed: Observed[Any]) -> NodeResult:
        drift = tuple(change.path for change in step.changes if change.drifted and change.path in step.held)
        if observed.state is State.PENDING:
            after: float | None = self._poll(step)
        else:
            self.memory.pending_since.pop(step.node.id, None)
            after = FIRST_POLL if observed.due and not step.held else max(FIRST_POLL, observed.again_at - self.world.now()) if observed.again_at else None
        problem: ReconcileError | None = None
        if fought := sorted(path for path, to in step.held.items() if to is Gate.FIGHT):
            problem = Terminal("Fight", f"repaired {self.memory.fights.limit} times and undone again: {', '.join(fought)}; somebody else changes it")
        elif any(step.held.get(change.path) is Gate.IMPOSSIBLE for change in step.changes):
            problem = Terminal("NotRestorable", step.refused)
        elif observed.state is State.FAILED:
            problem = Terminal(observed.reason or "Failed", observed.message or f"{prior.type} has failed")
        return NodeResult(prior, observed.state.value, problem, observed.reason, observed.message, drift, after)

"""One pass over one object: observe, plan, gate, execute in dependency order. Every kind goes through here and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from securebase.core.breakers import Fights
from securebase.core.diff import Applied
from securebase.core.driver import Adopts, Answer, Depth, Driver, Observed, State, Target, replaces_in_place, settle_seconds
from securebase.core.errors import ReconcileError, Terminal, TokenSpent, Transient, Waiting
from securebase.core.fields import Impact, Paths
from securebase.core.graph import Graph, Node, Role, resolve
from securebase.core.identity import Identity
from securebase.core.plan import EXISTENCE, Action, Plan, Prior, Step, gated, node_step, prune_step, wanted_now
from securebase.core.policy import Gate, Mode, Policy

ABSENCE_SECONDS = 5.0
"""Two reads by id this far apart must agree before a recorded resource is made a second time: a single one may lag."""

POLL_SECONDS = 10.0
"""How soon something PENDING is looked at again."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The object of a pass, as the core needs it. `approved` is the plan hash a person approved; `key` keys the applied-digests."""

    identity: Identity
    policy: Policy
    region: str
    prior: Mapping[str, Prior] = field(default_factory=dict)
    approved: str = ""
    confirmed: bool = False

    @property
    def key(self) -> bytes:
        """The key of the applied-digests: survives a rebuilt cluster."""
        return self.identity.owner("").encode()


@dataclass(slots=True)
class Memory:
    """What this process knows of one object beyond its status. May be lost at any time."""

    fights: Fights = field(default_factory=Fights)
    wrote_at: dict[str, float] = field(default_factory=dict)
    absent_since: dict[str, float] = field(default_factory=dict)
    seen: dict[str, Observed[Any]] = field(default_factory=dict)


class World(Protocol):
    """What a pass may touch outside itself."""

    def driver(self, type: str, region: str) -> Driver:
        """The driver of a type in the object's account."""

    def now(self) -> float:
        """Unix seconds."""

    def intend(self, node: str, incarnation: int) -> None:
        """Store that the next incarnation of a node is about to be made; returns once it is stored."""

    def used_elsewhere(self, identity: Identity, type: str, external_id: str) -> bool:
        """Whether another object of this operator uses the same shared resource."""

    def admit_deletion(self, scope: str, what: str, total: int, *, confirmed: bool) -> None:
        """The breaker against mass deletion; raises Terminal."""


@dataclass(frozen=True, slots=True)
class NodeResult:
    """How one resource stands after the pass. `state` is a `State`, or WAITING, HELD, ABSENT; `problem` is why."""

    prior: Prior
    state: str
    problem: ReconcileError | None = None
    reason: str = ""
    message: str = ""
    drift: tuple[str, ...] = ()
    after: float | None = None
    task: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a pass found and did. `corrected` are repaired drift paths (`node.path`), `created`/`removed` node ids."""

    plan: Plan
    results: tuple[NodeResult, ...]
    attributes: Mapping[str, Mapping[str, str]]
    corrected: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def drift(self) -> tuple[str, ...]:
        """Every drifted path, `node.path`."""
        return tuple(f"{result.prior.id}.{path}" if path else result.prior.id for result in self.results for path in result.drift)


def targets_of(
    graph: Graph, subject: Subject, attributes: Mapping[str, Mapping[str, str]], nodes: Iterable[Node] | None = None
) -> dict[str, Target[Any]]:
    """A target per node (of the graph, or of those given), references filled in as far as known."""
    return {node.id: _target(node, subject, attributes) for node in (graph if nodes is None else nodes)}


def _target(node: Node, subject: Subject, attributes: Mapping[str, Mapping[str, str]]) -> Target[Any]:
    known = subject.prior.get(node.id)
    external_id = known.external_id if known is not None and known.type == node.type else ""
    return Target(subject.identity, node.id, node.type, resolve(node.desired, attributes).desired, external_id, node.role)


def prunable(graph: Graph, subject: Subject) -> dict[str, Prior]:
    """What the last status holds and the spec no longer wants. Nothing when the composition is incomplete."""
    if not graph.complete:
        return {}
    return {name: prior for name, prior in subject.prior.items() if name not in graph.nodes or graph.nodes[name].type != prior.type}


def observe_graph(
    graph: Graph, subject: Subject, world: World, depth: Depth, cached: Mapping[str, Observed[Any]] | None = None
) -> tuple[dict[str, Answer], dict[str, Mapping[str, str]]]:
    """Observe every node, wave by wave, one call a type and region. `cached` observations are taken as they are."""
    answers: dict[str, Answer] = {}
    attributes: dict[str, Mapping[str, str]] = {}
    for wave in graph.waves:
        batches: dict[tuple[str, str], list[Target[Any]]] = {}
        for node in wave:
            if cached and node.id in cached:
                answers[node.id] = cached[node.id]
            else:
                batches.setdefault((node.type, node.region or subject.region), []).append(_target(node, subject, attributes))
        for (type_, region), targets in batches.items():
            answers.update(observe_batch(world, type_, region, targets, depth))
        for node in wave:
            if isinstance(found := answers.get(node.id), Observed):
                attributes[node.id] = found.attributes
    return answers, attributes


def observe_batch(world: World, type_: str, region: str, targets: list[Target[Any]], depth: Depth) -> dict[str, Answer]:
    """Answers of one driver by node id; a driver's failure as a whole is every target's answer."""
    try:
        found = world.driver(type_, region).observe(targets, depth)
    except ReconcileError as error:
        return {target.node: error for target in targets}
    return {target.node: found.get(target.key) for target in targets}


def make_plan(graph: Graph, subject: Subject, world: World, answers: Mapping[str, Answer], pruned: Mapping[str, Answer],
              attributes: Mapping[str, Mapping[str, str]]) -> Plan:
    """The plan of one object, gates put on."""
    now = datetime.fromtimestamp(world.now(), UTC)
    steps = [
        node_step(node, _target(node, subject, attributes), answers.get(node.id), subject.prior.get(node.id), subject.policy, subject.key)
        for node in graph
    ]
    leaving = prunable(graph, subject)
    for name in sorted(leaving, key=lambda name: -leaving[name].wave):
        steps.append(prune_step(leaving[name], prior_target(leaving[name], subject), pruned.get(name)))
    return gated(Plan(tuple(steps)), subject.policy, now, subject.approved)


def prior_target(prior: Prior, subject: Subject) -> Target[Any]:
    """A target known by its recorded external id alone."""
    return Target(subject.identity, prior.id, prior.type, None, prior.external_id, prior.role)


def observe_priors(priors: Iterable[Prior], subject: Subject, world: World) -> dict[str, Answer]:
    """Observe recorded resources, one call a type and region."""
    batches: dict[tuple[str, str], list[Target[Any]]] = {}
    for prior in priors:
        batches.setdefault((prior.type, prior.region or subject.region), []).append(prior_target(prior, subject))
    answers: dict[str, Answer] = {}
    for (type_, region), targets in batches.items():
        answers.update(observe_batch(world, type_, region, targets, Depth.FRESH))
    return answers


def reconcile(graph: Graph, subject: Subject, world: World, memory: Memory, *, progress_only: bool = False) -> Report:
    """One pass. `progress_only`: what was READY at the last look is not read again; the sweeper watches over it."""
    cached = {name: seen for name, seen in memory.seen.items() if seen.state is State.READY} if progress_only else None
    answers, attributes = observe_graph(graph, subject, world, Depth.FRESH, cached)
    pruned = observe_priors(prunable(graph, subject).values(), subject, world)
    plan = make_plan(graph, subject, world, answers, pruned, attributes)
    memory.seen = {name: found for name, found in answers.items() if isinstance(found, Observed)}
    if subject.policy.mode is not Mode.ENFORCE:
        results = tuple(_observed_only(step, graph.wave_of.get(step.node.id, 0), subject) for step in plan.steps)
        return Report(plan, results, attributes)
    return _Pass(graph, subject, world, memory, plan, dict(attributes)).run()


def _observed_only(step: Step, wave: int, subject: Subject) -> NodeResult:
    if step.problem is not None:
        return NodeResult(_remember(step, wave), "HELD", step.problem, drift=step.drift)
    if step.observed is None:
        return NodeResult(_remember(step, wave), "ABSENT", reason="Absent", message="does not exist", drift=step.drift)
    applied = "" if step.changes else Applied.of(step.target.desired, subject.key).encode() if step.target.desired is not None else ""
    prior = _remember(step, wave, step.observed, applied or (step.prior.applied if step.prior else ""))
    return NodeResult(prior, step.observed.state.value, reason=step.observed.reason, message=step.observed.message, drift=step.drift)


def _remember(step: Step, wave: int, observed: Observed[Any] | None = None, applied: str | None = None, incarnation: int | None = None) -> Prior:
    before = step.prior
    return Prior(
        step.node.id,
        step.node.type,
        observed.external_id if observed else (before.external_id if before else ""),
        step.node.region,
        step.node.role,
        step.node.guards,
        wave,
        applied if applied is not None else (before.applied if before else ""),
        incarnation if incarnation is not None else (before.incarnation if before else 0),
    )


class _Pass:
    """The executing half of one pass: walks the plan and keeps what came of each step."""

    def __init__(self, graph: Graph, subject: Subject, world: World, memory: Memory, plan: Plan, attributes: dict[str, Mapping[str, str]]) -> None:
        self.graph, self.subject, self.world, self.memory, self.plan, self.attributes = graph, subject, world, memory, plan, attributes
        self.results: dict[str, NodeResult] = {}
        self.existing = {step.node.id for step in plan.steps if step.observed is not None and step.problem is None}
        self.corrected: list[str] = []
        self.created: list[str] = []
        self.updated: list[str] = []
        self.removed: list[str] = []
        self.retired: list[NodeResult] = []

    def run(self) -> Report:
        nodes = [step for step in self.plan.steps if step.node.id in self.graph.nodes and step.action is not Action.DELETE]
        for step in nodes:
            self.results[step.node.id] = replace(self._guarded(step, self._node), task=step.node.task)
        settled = all(result.state == State.READY.value and result.problem is None for result in self.results.values() if not result.task)
        pruning = [step for step in self.plan.steps if step.action is Action.DELETE or step.node.id not in self.graph.nodes]
        leaving = [self._guarded(step, self._prune if settled else self._prune_later) for step in pruning]
        kept = [result for result in leaving if result.state != "ABSENT"]
        return Report(
            self.plan, (*self.results.values(), *self.retired, *kept), self.attributes,
            tuple(self.corrected), tuple(self.created), tuple(self.updated), tuple(self.removed),
        )

    def _guarded(self, step: Step, act: Callable[[Step], NodeResult]) -> NodeResult:
        """One failure is one result: siblings go on."""
        try:
            return act(step)
        except ReconcileError as error:
            state = "WAITING" if isinstance(error, Waiting) else State.FAILED.value
            after = error.after if isinstance(error, Waiting) else None
            return NodeResult(self._prior_now(step), state, error, error.reason, error.message, step.drift, after)

    def _prior_now(self, step: Step) -> Prior:
        seen = self.memory.seen.get(step.node.id)
        return _remember(step, self._wave(step), step.observed or seen)

    def _wave(self, step: Step) -> int:
        return self.graph.wave_of.get(step.node.id, step.prior.wave if step.prior else 0)

    def _node(self, step: Step) -> NodeResult:
        self._wait_for_needs(step)
        step = self._refined(step)
        if step.problem is not None:
            raise step.problem
        step = self._settling(self._fought(step))
        match step.action:
            case Action.CREATE:
                return self._create(step)
            case Action.ADOPT | Action.UPDATE:
                return self._update(step)
            case Action.REPLACE:
                return self._replace(step)
            case _:
                return self._keep(step, step.observed, step.target.desired)

    def _wait_for_needs(self, step: Step) -> None:
        """`after` wants the other to have come through this pass; a reference wants only the value to be known."""
        for name in sorted(self.graph.needs[step.node.id]):
            why = self.results[name]
            failed = name in step.node.after and why.problem is not None
            if failed or name not in self.existing:
                raise Waiting("WaitingFor", f"waits for {name}: {why.message or why.reason or 'not there yet'}", POLL_SECONDS)
        if missing := resolve(step.node.desired, self.attributes).missing:
            name, attribute = min(missing)
            why = self.results[name]
            raise Waiting("WaitingFor", f"waits for {name} ({attribute}): {why.message or why.reason or 'not known yet'}", POLL_SECONDS)

    def _refined(self, step: Step) -> Step:
        """The step again, when references could only be filled in now."""
        target = _target(step.node, self.subject, self.attributes)
        if step.problem is not None or target.desired == step.target.desired:
            return step
        answer: Answer = step.observed
        if answer is None:
            answer = observe_batch(self.world, step.node.type, step.node.region or self.subject.region, [target], Depth.FRESH)[step.node.id]
        now = datetime.fromtimestamp(self.world.now(), UTC)
        again = node_step(step.node, target, answer, step.prior, self.subject.policy, self.subject.key)
        return gated(Plan((again,)), self.subject.policy, now, "").steps[0] if not self.subject.approved else replace(again, held=dict(step.held))

    def _fought(self, step: Step) -> Step:
        drifted = frozenset(f"{step.node.id}.{path}" for path in step.drift)
        lost = self.memory.fights.lost(drifted, self.world.now())
        prefix = len(step.node.id) + 1
        return replace(step, held={**step.held, **{path[prefix:]: Gate.FIGHT for path in lost}}) if lost else step

    def _settling(self, step: Step) -> Step:
        """Our own last write may not show yet, and what is PENDING is moving: neither is drift."""
        if not step.drift or any(not change.drifted for change in step.changes):
            return step
        age = self.world.now() - self.memory.wrote_at.get(step.node.id, float("-inf"))
        rest = settle_seconds(self._driver(step)) - age
        if rest > 0 and step.observed is None:
            raise Waiting("Settling", "made by us a moment ago and not visible yet", min(rest, POLL_SECONDS))
        if step.observed is not None and (rest > 0 or step.observed.state is State.PENDING):
            return replace(step, action=Action.NONE, changes=())
        return step

    def _driver(self, step: Step) -> Driver:
        return self.world.driver(step.node.type, step.node.region or self.subject.region)

    def _create(self, step: Step) -> NodeResult:
        incarnation = step.prior.incarnation if step.prior else 0
        if step.prior and step.prior.external_id:
            self._confirm_absence(step)
            incarnation += 1
            self.world.intend(step.node.id, incarnation)
        target = replace(step.target, external_id="")
        made = self._make(step, target, incarnation)
        self.memory.absent_since.pop(step.node.id, None)
        self.created.append(step.node.id)
        self._note_repair(step)
        return self._keep(step, made[0], target.desired, incarnation=made[1])

    def _make(self, step: Step, target: Target[Any], incarnation: int) -> tuple[Observed[Any], int]:
        driver = self._driver(step)
        try:
            made = driver.create(target, self.subject.identity.token(step.node.id, incarnation))
        except TokenSpent:
            incarnation += 1
            self.world.intend(step.node.id, incarnation)
            made = driver.create(target, self.subject.identity.token(step.node.id, incarnation))
        self.memory.wrote_at[step.node.id] = self.world.now()
        return made, incarnation

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
            observed = driver.update(target, observed, allowed)
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
        if any(path in step.held for path in (change.path for change in step.changes if change.impact is Impact.REPLACE)):
            return self._update(step)
        if step.observed is None:
            raise Transient("Unexpected", "a replacement without an observation")
        driver, incarnation = self._driver(step), (step.prior.incarnation if step.prior else 0) + 1
        if replaces_in_place(driver) and driver.delete(step.target, step.observed) is not None:
            raise Waiting("Replacing", "the old one is being removed first, because its name cannot change", POLL_SECONDS)
        self.world.intend(step.node.id, incarnation)
        target = replace(step.target, external_id="")
        made, incarnation = self._make(step, target, incarnation)
        if not replaces_in_place(driver):
            old = replace(_remember(step, self._wave(step), step.observed), id=f"{step.node.id}~{incarnation - 1}")
            self.retired.append(NodeResult(old, "WAITING", reason="Replaced", message="removed once nothing uses it", after=POLL_SECONDS))
        self.created.append(step.node.id)
        return self._keep(step, made, target.desired, incarnation=incarnation)

    def _keep(self, step: Step, observed: Observed[Any] | None, written: Any, *, incarnation: int | None = None) -> NodeResult:
        """Note an existing resource: its attributes for those who need them, and what was applied."""
        if observed is None:
            raise Transient("Unexpected", "nothing was observed")
        name = step.node.id
        self.memory.seen[name] = observed
        self.attributes[name] = observed.attributes
        self.existing.add(name)
        if step.node.role is Role.EXTERNAL:
            return NodeResult(_remember(step, self._wave(step), observed), observed.state.value, reason=observed.reason, message=observed.message)
        kept = Applied.decode(step.prior.applied) if step.prior else None
        unsettled = step.action is Action.NONE and bool(step.drift)
        held = Paths([*step.held, *self.subject.policy.ignore_paths(name)])
        applied = step.prior.applied if unsettled and step.prior else Applied.of(written, self.subject.key, leaving_out=held, kept=kept).encode()
        prior = _remember(step, self._wave(step), observed, applied, incarnation)
        return self._judged(step, prior, observed)

    def _judged(self, step: Step, prior: Prior, observed: Observed[Any]) -> NodeResult:
        drift = tuple(change.path for change in step.changes if change.drifted and change.path in step.held)
        after = POLL_SECONDS if observed.state is State.PENDING else None
        problem: ReconcileError | None = None
        if fought := sorted(path for path, to in step.held.items() if to is Gate.FIGHT):
            problem = Terminal("Fight", f"repaired {self.memory.fights.limit} times and undone again: {', '.join(fought)}; somebody else changes it")
        elif observed.state is State.FAILED:
            problem = Terminal(observed.reason or "Failed", observed.message or f"{prior.type} has failed")
        return NodeResult(prior, observed.state.value, problem, observed.reason, observed.message, drift, after)

    def _prune_later(self, step: Step) -> NodeResult:
        if step.problem is not None:
            raise step.problem
        if step.observed is None:
            return NodeResult(self._prior_now(step), "ABSENT")
        return NodeResult(self._prior_now(step), "WAITING", reason="PruneLater", message="removed once everything else is ready", after=POLL_SECONDS)

    def _prune(self, step: Step) -> NodeResult:
        if step.problem is not None:
            raise step.problem
        if step.observed is None:
            return NodeResult(self._prior_now(step), "ABSENT")
        if step.held:
            return NodeResult(self._prior_now(step), "HELD", reason="ApprovalRequired", message="its removal waits for approval")
        if step.node.role is Role.SHARED and self.world.used_elsewhere(self.subject.identity, step.node.type, step.observed.external_id):
            return NodeResult(self._prior_now(step), "ABSENT")
        scope = f"{self.subject.identity.kind} {self.subject.identity.namespace}/{self.subject.identity.name}"
        self.world.admit_deletion(scope, step.node.id, len(self.subject.prior), confirmed=self.subject.confirmed)
        left = self._driver(step).delete(step.target, step.observed)
        if left is None:
            self.removed.append(step.node.id)
            return NodeResult(self._prior_now(step), "ABSENT")
        return NodeResult(self._prior_now(step), State.PENDING.value, reason="Deleting", message=left.message, after=POLL_SECONDS)

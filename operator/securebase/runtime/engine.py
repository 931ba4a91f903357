"""One object, from its document to a report: gather, compose, reconcile. The same for the operator and for the commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pydantic import ValidationError

from securebase.core.breakers import CONFIRM_ANNOTATION
from securebase.core.driver import RETIRED, Answer, Depth, Inventory, Observed, Target, guards, replaced_grace
from securebase.core.errors import ReconcileError, ReferenceNotFound, Terminal, Transient
from securebase.core.fields import SecretValue
from securebase.core.graph import Graph, InvalidGraph, Role
from securebase.core.identity import Identity
from securebase.core.kind import Context, Facts, Kind, Needs, ObjectRef, SecretRef
from securebase.core.observe import observe_batch, observe_priors, target_of
from securebase.core.plan import Prior
from securebase.core.policy import Adopt, Changes, Mode, OnDelete, Policy
from securebase.core.subject import Subject, World
from securebase.runtime.accounts import Account, Accounts
from securebase.runtime.shared import Process

PREFIX = "securebase.io/"


class Sources(Protocol):
    """Where an object's references are looked up."""

    @property
    def offline(self) -> bool:
        """Whether a missing reference is only unknown."""

    def secret(self, ref: SecretRef) -> SecretValue:
        """ReferenceNotFound when it does not exist."""

    def outputs(self, ref: ObjectRef) -> Mapping[str, str]:
        """ReferenceNotFound when it does not exist or has no outputs yet."""


@dataclass(frozen=True, slots=True)
class Request:
    """One object as the engine takes it: a parsed spec and what its metadata and last status say."""

    kind: Kind
    identity: Identity
    spec: Any
    annotations: Mapping[str, str] = field(default_factory=dict)
    priors: Mapping[str, Prior] = field(default_factory=dict)
    acknowledged: Mapping[str, str] = field(default_factory=dict)
    uid: str = ""

    def approved(self) -> str:
        """The plan hash a person approved and that was not used yet."""
        approved = self.annotations.get(f"{PREFIX}approve", "")
        return "" if approved == self.acknowledged.get("approve") else approved

    def requests(self) -> dict[str, str]:
        """Things asked for once by annotation and not done yet."""
        asked = {name: self.annotations.get(f"{PREFIX}{name}", "").strip() for name in self.kind.tasks}
        return {name: value for name, value in asked.items() if value and value != self.acknowledged.get(name)}


def parsed(kind: Kind, document: Mapping[str, Any]) -> Any:
    """The spec of a document; Terminal `InvalidSpec` naming every field that is wrong."""
    try:
        return kind.model.model_validate({name: value for name, value in document.items() if name != "status"}).spec
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        told = "; ".join(f"{'.'.join(str(part) for part in problem['loc']) or 'spec'}: {problem['msg']}" for problem in problems[:5])
        raise Terminal("InvalidSpec", told) from None


def policy_of(kind: Kind, spec: Any, annotations: Mapping[str, str]) -> Policy:
    """The policy as the core reads it; the annotation `securebase.io/pause` stands above `mode`."""
    said, defaults = spec.policy, kind.defaults(spec)
    paused = annotations.get(f"{PREFIX}pause", "").lower() not in ("", "false")
    return Policy(
        mode=Mode.PAUSED if paused else Mode(said.mode),
        adopt=Adopt(said.adopt),
        on_delete=OnDelete(said.on_delete) if said.on_delete else defaults.on_delete,
        deletion_protection=defaults.deletion_protection if said.deletion_protection is None else said.deletion_protection,
        changes=Changes(said.changes),
        window=said.window.contains if said.window is not None else None,
        ignore=tuple(said.ignore),
        interval=float(said.interval.seconds),
    )


def gather(needs: Needs, sources: Sources, nodes: Mapping[str, Mapping[str, str]]) -> Facts:
    """Read every reference; the first missing one ends it, except without a cluster."""
    secrets: dict[SecretRef, SecretValue] = {}
    for ref in sorted(needs.secrets):
        try:
            secrets[ref] = sources.secret(ref)
        except ReferenceNotFound:
            if not sources.offline:
                raise
    objects = {ref: sources.outputs(ref) for ref in sorted(needs.objects)}
    for other in sorted(needs.objects_if_there):
        with suppress(ReferenceNotFound):
            objects[other] = sources.outputs(other)
    return Facts(secrets, objects, nodes, sources.offline)


@dataclass(frozen=True, slots=True)
class Composed:
    """An object ready for the core."""

    account: Account
    subject: Subject
    graph: Graph
    needs: Needs


def account_and_subject(request: Request, accounts: Accounts) -> tuple[Account, Subject]:
    """The account an object uses, with its id proven, and the object as the core needs it."""
    namespace, spec = request.identity.namespace, request.spec
    account = proven_account(accounts, spec.account_ref.name if spec.account_ref else None, namespace)
    subject = Subject(
        request.identity,
        policy_of(request.kind, spec, request.annotations),
        spec.region or account.region,
        request.priors,
        request.approved(),
        request.annotations.get(CONFIRM_ANNOTATION, "").lower() == "yes",
    )
    return account, subject


def proven_account(accounts: Accounts, name: str | None, namespace: str) -> Account:
    """The account of that name, its id as AWS tells it; Terminal where the namespace may not use it."""
    account = accounts.find(name, namespace)
    return replace(account, config=replace(account.config, account_id=accounts.verified(account).account_id))


def context_of(request: Request, account: Account, subject: Subject, accounts: Accounts) -> Context:
    """Where the object's resources live, and what they are tagged with."""
    return Context(
        request.identity,
        account.config.account_id,
        subject.region,
        accounts.verified(account).partition,
        {**account.tags, **dict(request.spec.tags)},
        request.requests(),
        {name.removeprefix(PREFIX): value for name, value in request.annotations.items() if name.startswith(PREFIX)},
        request.uid,
    )


def compose(request: Request, process: Process, sources: Sources) -> Composed:
    """Gather what the object needs and build its graph."""
    accounts = process.accounts
    account, subject = account_and_subject(request, accounts)
    subject = _with_predecessors(request.kind, subject, process.world(account, no_intents))
    needs = request.kind.needs(request.spec, request.identity.namespace)
    facts = gather(needs, sources, _own_nodes(needs, subject, process.world(account, no_intents)))
    context = context_of(request, account, subject, accounts)
    try:
        graph = request.kind.compose(request.spec, facts, context)
        if looked_up := _looked_up(graph, needs, subject, process.world(account, no_intents)):
            graph = request.kind.compose(request.spec, replace(facts, nodes={**facts.nodes, **looked_up}), context)
    except InvalidGraph as error:
        raise Terminal("InvalidComposition", str(error)) from error
    return Composed(account, subject, graph, needs)


def _with_predecessors(kind: Kind, subject: Subject, world: World) -> Subject:
    """The object with what was replaced and still serves, of which a status that was lost no longer tells: its owner tag does."""
    if subject.prior:
        return subject
    where = ((type_, "") for type_ in sorted(kind.types) if replaced_grace(world.driver(type_, subject.region)))
    found = {name: prior for name, prior in owned(subject, world, where).items() if RETIRED in name}
    return replace(subject, prior=found) if found else subject


def _own_nodes(needs: Needs, subject: Subject, world: World) -> dict[str, Mapping[str, str]]:
    """Attributes of the object's own nodes, and of their predecessors (`group~0`), that decide what else it has; without those that are not
    there or could not be read."""
    ours = (prior for prior in subject.prior.values() if prior.role is not Role.EXTERNAL and prior.external_id)
    wanted = [prior for prior in ours if prior.id.partition(RETIRED)[0] in needs.nodes]
    found = observe_priors(wanted, subject, world)
    return {name: answer.attributes for name, answer in found.items() if isinstance(answer, Observed)}


def _looked_up(graph: Graph, needs: Needs, subject: Subject, world: World) -> dict[str, Mapping[str, str]]:
    """Attributes of what is somebody else's and decides what else there is. It is found by what is wanted now, not by what was remembered.
    Raises the error of a lookup that is vital."""
    batches: dict[tuple[str, str], list[Target[Any]]] = {}
    for name in sorted(needs.nodes & graph.nodes.keys()):
        node = graph.nodes[name]
        if node.role is Role.EXTERNAL and not node.references():
            batches.setdefault((node.type, node.region or subject.region), []).append(target_of(node, replace(subject, prior={}), {}))
    answers: dict[str, Answer] = {}
    for (type_, region), targets in batches.items():
        answers |= observe_batch(world, type_, region, targets, Depth.FRESH)
    for name in sorted(needs.vital):
        if isinstance(unanswered := answers.get(name), ReconcileError):
            raise unanswered
    return {name: answer.attributes for name, answer in answers.items() if isinstance(answer, Observed)}


def owned(subject: Subject, world: World, where: Iterable[tuple[str, str]]) -> dict[str, Prior]:
    """What carries an object's identity outside, looked for by (type, region), where the type's driver can tell."""
    found: dict[str, Prior] = {}
    for type_, region in where:
        driver = world.driver(type_, region or subject.region)
        if isinstance(driver, Inventory):
            for name, external_id in driver.owned(subject.identity).items():
                found[name] = Prior(name, type_, external_id, region, guards=guards(driver) and RETIRED not in name)
    return found


def with_omitted(subject: Subject, left_out: Iterable[tuple[str, str]], world: World, graph: Graph | None) -> Subject:
    """After a restart: the object with what its last status had no room for, found by identity."""
    wave_of = graph.removal_wave_of if graph is not None else {}
    found = {name: replace(prior, wave=wave_of.get(name, 0)) for name, prior in owned(subject, world, sorted(left_out)).items()}
    return replace(subject, prior={**found, **subject.prior})


def no_intents(*priors: Prior) -> None:
    raise AssertionError("gathering never writes")


def problem_of(error: Exception) -> ReconcileError:
    """Any error as one of the four; what nobody expected is Transient and keeps its class name, not its words (they may hold a secret)."""
    return error if isinstance(error, ReconcileError) else Transient("Unexpected", f"{type(error).__name__} (see the operator's log)")

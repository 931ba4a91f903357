"""What objects tell others, for the commands: from status in a cluster, else foreseen from manifests and from what exists."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from securebase.cli.documents import Manifests
from securebase.cli.surroundings import Statuses, no_intents
from securebase.core.driver import Depth, Observed
from securebase.core.errors import ReferenceNotFound, Terminal
from securebase.core.fields import SecretValue
from securebase.core.graph import Graph, InvalidGraph
from securebase.core.identity import Identity
from securebase.core.kind import Context, Facts, Kind, ObjectRef, SecretRef
from securebase.core.observe import observe_batch, target_of
from securebase.cost.foresight import foreseen, foretold
from securebase.kinds.registry import KINDS
from securebase.runtime.engine import Request, account_and_subject, context_of, gather, owned, parsed
from securebase.runtime.shared import Process

_KINDS: Final = {kind.kind: kind for kind in KINDS}
_ASKED: Final = frozenset({"cloudfront/distribution", "elasticache/replication-group"})
"""Types of which AWS knows what cannot be foretold: the id, and the members of the day."""

Attributes = Mapping[str, Mapping[str, str]]
"""By node."""


class Outside(Protocol):
    """Where the objects are to live, as far as a command may look."""

    @property
    def instance(self) -> str:
        """Part of every identity."""

    def told(self, kind: Kind, ref: ObjectRef) -> Mapping[str, str]:
        """The outputs in an object's status; {} where there are none."""

    def context(self, request: Request) -> Context:
        """Account, region and tags of an object."""

    def there(self, request: Request, graph: Graph) -> Attributes:
        """Attributes of those of its nodes that exist and whose attributes cannot be foretold."""


@dataclass(frozen=True, slots=True)
class InAws:
    """In the accounts that the objects name; and in a cluster, where the command may look at one."""

    process: Process
    statuses: Statuses

    @property
    def instance(self) -> str:
        """That of the command."""
        return self.process.instance

    def told(self, kind: Kind, ref: ObjectRef) -> Mapping[str, str]:
        """As the operator published them."""
        return self.statuses.of(kind, ref.namespace, ref.name).get("outputs") or {}

    def context(self, request: Request) -> Context:
        """As the operator would have it: the account's id is proven."""
        account, subject = account_and_subject(request, self.process.accounts)
        return context_of(request, account, subject, self.process.accounts)

    def there(self, request: Request, graph: Graph) -> Attributes:
        """Found by the owner tag, else by the name the identity makes; raises where AWS does not answer. What is somebody else's is not there."""
        account, subject = account_and_subject(request, self.process.accounts)
        world = self.process.world(account, no_intents)
        asked = [node for node in graph if node.type in _ASKED]
        subject = replace(subject, prior=owned(subject, world, sorted({(node.type, node.region) for node in asked})))
        there: dict[str, Mapping[str, str]] = {}
        for node in asked:
            target = target_of(node, subject, {})
            answer = observe_batch(world, node.type, node.region or subject.region, [target], Depth.FRESH)[node.id]
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, Observed) and answer.owner in ("", target.owner):
                there[node.id] = answer.attributes
        return there


class FileSources:
    """References looked up among the manifests, each once. An unknown Secret is left uncompared; of unknown objects `lacking` says which and why."""

    offline = True

    def __init__(self, manifests: Manifests, outside: Outside) -> None:
        self._manifests = manifests
        self._outside = outside
        self._known: dict[ObjectRef, Mapping[str, str]] = {}
        self._lacking: dict[ObjectRef, str] = {}

    @property
    def lacking(self) -> tuple[str, ...]:
        """What was asked for and is not known: for people."""
        return tuple(f"{ref} is left out of what refers to it: {why}" for ref, why in sorted(self._lacking.items()))

    def secret(self, ref: SecretRef) -> SecretValue:
        """The value a Secret among the manifests holds."""
        document = self._manifests.secrets.get((ref.namespace, ref.name)) or {}
        if ref.key in (document.get("stringData") or {}):
            return SecretValue(document["stringData"][ref.key], "file")
        if ref.key in (document.get("data") or {}):
            return SecretValue(base64.b64decode(document["data"][ref.key]).decode(), "file")
        raise ReferenceNotFound(f"{ref} is not among the files")

    def outputs(self, ref: ObjectRef) -> Mapping[str, str]:
        """What the object tells, or will tell once it is made. Raises ReferenceNotFound for one that is neither in the cluster nor among the files."""
        if ref not in self._known and ref not in self._lacking:
            try:
                self._known[ref] = self._outputs(ref)
            except (ReferenceNotFound, Terminal, InvalidGraph) as error:
                self._lacking[ref] = str(getattr(error, "message", error))
        if ref in self._lacking:
            raise ReferenceNotFound(f"{ref}: {self._lacking[ref]}")
        return self._known[ref]

    def _outputs(self, ref: ObjectRef) -> Mapping[str, str]:
        kind, document = _KINDS[ref.kind], self._manifests.named(ref.kind, ref.namespace, ref.name)
        if told := self._outside.told(kind, ref):
            return told
        if document is None:
            raise ReferenceNotFound("its manifest is not among the files, and no cluster told its outputs; give it with -f, or use --cluster")
        spec = parsed(kind, document)
        identity = Identity(self._outside.instance, ref.kind, ref.namespace, ref.name)
        request = Request(kind, identity, spec, dict(document["metadata"].get("annotations") or {}))
        return self._foreseen(request)

    def _foreseen(self, request: Request) -> Mapping[str, str]:
        kind, context = request.kind, self._outside.context(request)
        facts = gather(kind.needs(request.spec, request.identity.namespace), self, {})
        graph, there = foreseen_graph(request, facts, context, lambda graph: self._outside.there(request, graph))
        known = {node: dict(attributes) for node, attributes in foretold(graph, context).items()}
        for node, attributes in there.items():
            known[node] = {**known.get(node, {}), **{name: value for name, value in attributes.items() if value}}
        return kind.outputs(request.spec, known)


def foreseen_graph(request: Request, facts: Facts, context: Context, look: Callable[[Graph], Attributes]) -> tuple[Graph, Attributes]:
    """An object's graph before anything is recorded of it, and what `look` found: what is made by the attributes of its own nodes goes by what
    exists, else by what can be foretold."""
    kind, spec = request.kind, request.spec
    wanted = kind.needs(spec, request.identity.namespace).nodes
    graph = kind.compose(spec, facts, context)
    there = look(graph)
    nodes: dict[str, Mapping[str, str]] = {**foreseen(graph, wanted), **{node: there[node] for node in wanted & there.keys() if any(there[node].values())}}
    return (kind.compose(spec, replace(facts, nodes=nodes), context) if nodes else graph), there


@dataclass(frozen=True, slots=True)
class Nowhere:
    """Neither AWS nor a cluster is asked: everything is foretold. `lives`: the region of an object, by its spec."""

    lives: Callable[[Any], str]
    account_id: str = "000000000000"
    instance: str = "estimate"

    def told(self, kind: Kind, ref: ObjectRef) -> Mapping[str, str]:
        """Nothing."""
        return {}

    def context(self, request: Request) -> Context:
        """In an account that is no one's."""
        return Context(request.identity, self.account_id, self.lives(request.spec))

    def there(self, request: Request, graph: Graph) -> Attributes:
        """Nothing."""
        return {}

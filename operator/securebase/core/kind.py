"""What a kind is to the core: what it needs gathered, and one pure function from spec and facts to a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from securebase.core.errors import ReferenceNotFound
from securebase.core.fields import UNMANAGED, SecretValue
from securebase.core.graph import Graph
from securebase.core.identity import Identity
from securebase.core.policy import OnDelete


@dataclass(frozen=True, slots=True, order=True)
class SecretRef:
    """One key of one Secret."""

    namespace: str
    name: str
    key: str

    def __str__(self) -> str:
        return f"Secret {self.namespace}/{self.name} key {self.key}"


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Another custom resource whose outputs are needed."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be gathered before composing.

    objects_if_there  other objects that may be missing: the composition goes on without them
    nodes  ids of the object's own nodes whose attributes decide what else there is (the members of a cache)
    vital  those lookups among them without whose answer nothing is composed: a wrong guess would lock somebody out
    """

    secrets: frozenset[SecretRef] = frozenset()
    objects: frozenset[ObjectRef] = frozenset()
    objects_if_there: frozenset[ObjectRef] = frozenset()
    nodes: frozenset[str] = frozenset()
    vital: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """What was gathered. Without a cluster (`offline`) an unknown Secret is left uncompared instead of missing.

    nodes  attributes of own nodes, and of predecessors that still serve (`group~0`), as just observed; one that is asked for and not here
           is not there yet, or could not be read: what depends on it cannot be composed, and the graph is then not complete
    """

    secrets: Mapping[SecretRef, SecretValue] = field(default_factory=dict)
    objects: Mapping[ObjectRef, Mapping[str, str]] = field(default_factory=dict)
    nodes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    offline: bool = False

    def secret(self, ref: SecretRef) -> SecretValue:
        """The value and version of a Secret's key; ReferenceNotFound while it does not exist."""
        found = self.secrets.get(ref)
        if found is not None:
            return found
        if self.offline:
            unknown: SecretValue = UNMANAGED
            return unknown
        raise ReferenceNotFound(f"{ref} does not exist")

    def outputs(self, ref: ObjectRef) -> Mapping[str, str]:
        """The outputs of another object; ReferenceNotFound while it has none."""
        found = self.objects.get(ref)
        if found is None:
            raise ReferenceNotFound(f"{ref} does not exist or has no outputs yet")
        return found


@dataclass(frozen=True, slots=True)
class Context:
    """Where an object's resources live and what they are tagged with.

    tags      the account's defaults under the object's own; without the owner tag, which drivers add
    requests  annotations that ask for something once and were not acknowledged yet, without the prefix `securebase.io/`
    annotations  every annotation of ours, without that prefix: what is asked for and stays asked for
    uid       of the object in its cluster, for what the cluster's garbage collector is to take along; "" without a cluster
    """

    identity: Identity
    account_id: str
    region: str
    partition: str = "aws"
    tags: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    uid: str = ""


@dataclass(frozen=True, slots=True)
class PolicyDefaults:
    """What becomes of an object's resources where its spec does not say."""

    on_delete: OnDelete = OnDelete.DELETE
    deletion_protection: bool = False


class Kind(Protocol):
    """One kind of custom resource, as one small pure module defines it."""

    @property
    def kind(self) -> str:
        """`CdnDistribution`."""

    @property
    def plural(self) -> str:
        """`cdndistributions`."""

    @property
    def model(self) -> type[Any]:
        """The pydantic model of the whole object (`api.cdn.CdnDistribution`)."""

    @property
    def tasks(self) -> Mapping[str, str]:
        """Annotation (without the prefix `securebase.io/`) -> id of the task node that `compose` makes for it."""

    @property
    def types(self) -> frozenset[str]:
        """Every type of resource that it ever composes: where to look for what carries an object's identity."""

    def publishes(self, spec: Any, name: str) -> frozenset[str]:
        """Names of the Secrets it writes into the object's namespace."""

    def defaults(self, spec: Any) -> PolicyDefaults:
        """What the kind says where `policy` says nothing."""

    def needs(self, spec: Any, namespace: str) -> Needs:
        """What `compose` will ask the facts for."""

    def compose(self, spec: Any, facts: Facts, context: Context) -> Graph:
        """The resources this spec wants. Raises Terminal for what only a changed spec can mend."""

    def outputs(self, spec: Any, attributes: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
        """What others want to know, from the attributes of observed nodes: for status and the ConfigMap. What is left out or "" is not known now;
        a `core.outputs.Promised` is known also when it is empty."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Where a real client shall connect to prove that a service does what it is there for.

    published    name of the Secret, in the object's namespace, by which clients are told how to log in: what stands there is proven, whatever is
                 wanted by now
    server_name  whose certificate is expected there; "" = that of `host`. Another one where `host` is the end of a tunnel
    """

    host: str
    port: int
    published: str
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class PublishedLogin:
    """How clients are told to log in. `username` "" = the user `default`, `password` "" = they need none."""

    tls: bool = True
    username: str = ""
    password: str = field(default="", repr=False)


@runtime_checkable
class Verifies(Protocol):
    """A kind whose service is proven by a real client."""

    def verification(self, spec: Any, outputs: Mapping[str, str]) -> Probe | None:
        """What to connect to, from the outputs as last published: it is what is published that is proven. None = nobody shall connect."""


@dataclass(frozen=True, slots=True)
class AdviceSubject:
    """What runs, and when it counts as too small or too big.

    members         its nodes, by the names that metrics exist under
    hit_percent     a hit rate below it, with evictions: too small
    memory_percent  less memory in use than this all the time: too big
    days            how long must be looked back
    """

    engine: str
    node_type: str
    members: tuple[str, ...]
    hit_percent: float
    memory_percent: float
    days: int


@runtime_checkable
class Advises(Protocol):
    """A kind whose objects are judged by what was measured of them."""

    def advice_subject(self, spec: Any, outputs: Mapping[str, str]) -> AdviceSubject | None:
        """What to judge, by what was published of it; None while there is nothing, or where no advice is wanted."""


@dataclass(frozen=True, slots=True)
class OwnStatus:
    """What a kind tells of its objects beyond what every kind tells.

    fields        of the status; one that is empty is taken out
    acknowledged  what annotations ask for and was taken up, by their names without the prefix `securebase.io/`
    news          reason and message of Events: what a person is to know in time, said once
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    acknowledged: Mapping[str, str] = field(default_factory=dict)
    news: tuple[tuple[str, str], ...] = ()


@runtime_checkable
class TellsStatus(Protocol):
    """A kind with a status of its own."""

    def own_status(self, spec: Any, attributes: Mapping[str, Mapping[str, str]], status: Mapping[str, Any]) -> OwnStatus:
        """From the attributes of the nodes observed in a pass, and the status as it stands."""

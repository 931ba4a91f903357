"""Keeps Secrets that objects publish: owned by the object, repaired key by key, never one that is not ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from securebase.clients.kubernetes import Conflict, Gone, Kubernetes
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, State, Target
from securebase.core.errors import ReconcileError, Terminal, Transient, Waiting
from securebase.core.fields import SecretValue
from securebase.core.identity import Identity
from securebase.resources.kubernetes.model import Entry, ObjectSecret, OwnerReference, Template, Unread, is_secret, texts_of
from securebase.resources.listing import STORM_SECONDS, Listing
from securebase.resources.tagging import owned_nodes, unresolved

OWNER: Final = "securebase.io/owner"
"""Annotation (a label's value is too short for it) that proves whose a Secret is."""

PUBLISHED_AT: Final = "securebase.io/published-at"
"""Annotation: when the secret values of now were written."""

MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "securebase-operator"}
"""Label that a list chooses by."""

OUTSIDE: Final = "outside"
"""Version of a secret value that was found in the cluster and is not the wanted one."""

FOREIGN: Final = Unread("(present)")
"""How a key that is not ours shows: its value is nobody's business."""

UNDATED: Final = Unread("(written at an unknown time)")
"""How a secret value shows while the time of its publication is lost: it is written again, as of now."""

_NOBODY: Final = OwnerReference("", "", "", "")


@dataclass(frozen=True, slots=True)
class _Secret:
    """A Secret as read; `texts` are its values."""

    metadata: Mapping[str, Any]
    texts: Mapping[str, str] = field(repr=False)

    @property
    def version(self) -> str:
        return f"{self.metadata['uid']}.{self.metadata['resourceVersion']}"

    def annotation(self, name: str) -> str:
        return str((self.metadata.get("annotations") or {}).get(name, ""))

    @property
    def published_at(self) -> str:
        """ "" when it is missing or no time."""
        text = self.annotation(PUBLISHED_AT)
        try:
            return text if datetime.fromisoformat(text).tzinfo is not None else ""
        except ValueError:
            return ""

    @property
    def controller(self) -> OwnerReference:
        found = next((each for each in self.metadata.get("ownerReferences") or () if each.get("controller")), None)
        return _NOBODY if found is None else OwnerReference(found["apiVersion"], found["kind"], found["name"], found["uid"])


class ObjectSecretDriver:
    """`kubernetes/secret`. External id: `<namespace>/<name>`.

    A sweep lists metadata alone and reads a Secret only when its version changed; between two reads of it only keyed digests of its values are kept.
    """

    type: ClassVar[str] = "kubernetes/secret"
    SETTLE_SECONDS: ClassVar[float] = 0.0  # the API server's reads show every write before them

    def __init__(self, api: Kubernetes, clock: Callable[[], float], namespaces: Sequence[str] = ()) -> None:
        """`namespaces`: those whose Secrets may be listed; empty = all at once."""
        self._api = api
        self._clock = clock
        self._scopes = [f"/api/v1/namespaces/{name}/secrets" for name in namespaces] or ["/api/v1/secrets"]
        self._listing: Listing[str, Mapping[str, Any]] = Listing(self._list, clock)
        self._salt = secrets.token_bytes(32)
        self._digests: dict[str, tuple[str, Mapping[str, bytes]]] = {}

    def observe(self, targets: Sequence[Target[ObjectSecret]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: each by its name. SWEEP: one list of metadata, and reads of what changed."""
        listed = self._listing.get() if depth is Depth.SWEEP else {}
        answers: dict[Key, Answer] = {}
        for target in targets:
            try:
                answers[target.key] = self._answer(target, listed)
            except ReconcileError as error:
                answers[target.key] = error
        return answers

    def create(self, target: Target[ObjectSecret], token: str) -> Observed[ObjectSecret]:
        """Make it; what an earlier try made is brought to what is wanted."""
        want, where = target.want(), _where(target)
        metadata: dict[str, Any] = {"name": want.name, "labels": MANAGED_BY, "annotations": {OWNER: target.owner, PUBLISHED_AT: self._now()}}
        if want.owner is not None:
            metadata["ownerReferences"] = [_reference(want.owner)]
        body = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": _encoded(texts_of(want.data))}
        try:
            made = self._api.create(f"/api/v1/namespaces/{want.namespace}/secrets", body)
        except Conflict:
            return self._write(target)
        except Gone:
            raise Waiting("NamespaceMissing", f"the namespace {want.namespace} does not exist") from None
        return self._observed(target, self._noted(where, made))

    def update(self, target: Target[ObjectSecret], observed: Observed[ObjectSecret], changes: Sequence[Change]) -> Observed[ObjectSecret]:
        """Write our keys over what is there now; of others' keys only those go that a change takes away."""
        keys = (change.path.removeprefix("data[").removesuffix("]") for change in changes if change.path.startswith("data["))
        return self._write(target, frozenset(key for key in keys if key not in target.want().data))

    def delete(self, target: Target[ObjectSecret], observed: Observed[ObjectSecret]) -> Observed[ObjectSecret] | None:
        """What has an owner goes with it, by the cluster's garbage collector: no right to delete Secrets is needed. Else it is gone at once,
        unless somebody's finalizer holds it."""
        where = observed.external_id
        there = self._read(where)
        if there is not None and there.metadata.get("ownerReferences"):
            return None
        if there is not None and there.annotation(OWNER) == target.owner:
            self._api.delete(_path(where))
            there = self._read(where)
        return None if there is None or there.annotation(OWNER) != target.owner else self._observed(target, there)

    def locatable(self, target: Target[ObjectSecret]) -> bool:
        """By its name, whatever it is to hold."""
        return bool(_where(target))

    def owned(self, identity: Identity) -> Mapping[str, str]:
        """By the owner annotation."""
        listed = self._listing.get(STORM_SECONDS)
        return owned_nodes({where: _Secret(metadata, {}).annotation(OWNER) for where, metadata in listed.items()}, identity)

    def _answer(self, target: Target[ObjectSecret], listed: Mapping[str, Mapping[str, Any]]) -> Observed[ObjectSecret] | None:
        if not (where := _where(target)):
            return None
        there = self._unchanged(target, where, listed[where]) if where in listed else None
        there = there or self._read(where)
        return None if there is None else self._observed(target, there)

    def _unchanged(self, target: Target[ObjectSecret], where: str, metadata: Mapping[str, Any]) -> _Secret | None:
        """The Secret without reading it: where its version is the one last read, and our keys had the values that are wanted now."""
        version, digests = self._digests.get(where, ("", {}))
        found = _Secret(metadata, {})
        if target.desired is None or found.version != version:
            return None
        wanted = texts_of(target.desired.data)
        texts = {key: wanted.get(key, "") for key in digests}
        if any(digests[key] != self._digest(text) for key, text in texts.items() if key in target.desired.data):
            return None
        return replace(found, texts=texts)

    def _read(self, where: str) -> _Secret | None:
        try:
            return self._noted(where, self._api.get(_path(where)))
        except Gone:
            self._digests.pop(where, None)
            return None

    def _noted(self, where: str, body: Mapping[str, Any]) -> _Secret:
        texts = {key: base64.b64decode(value).decode(errors="replace") for key, value in (body.get("data") or {}).items()}
        found = _Secret(body["metadata"], texts)
        self._digests[where] = found.version, {key: self._digest(text) for key, text in texts.items()}
        return found

    def _digest(self, text: str) -> bytes:
        return hmac.new(self._salt, text.encode(), hashlib.sha256).digest()

    def _list(self) -> dict[str, Mapping[str, Any]]:
        """By `<namespace>/<name>`. What may not be listed is read by name, and says itself what is missing."""
        selector = ",".join(f"{name}%3D{value}" for name, value in MANAGED_BY.items())
        found: dict[str, Mapping[str, Any]] = {}
        for scope in self._scopes:
            try:
                items = self._api.list_metadata(f"{scope}?labelSelector={selector}")
            except (ReconcileError, Gone):
                continue
            found |= {f"{item['namespace']}/{item['name']}": item for item in items}
        return found

    def _write(self, target: Target[ObjectSecret], removed: frozenset[str] = frozenset()) -> Observed[ObjectSecret]:
        """A patch on top of what is there now, refused by the API server when that changes in between."""
        want, where = target.want(), _where(target)
        if (there := self._read(where)) is None:
            raise Transient("ChangedMeanwhile", f"the Secret {where} went away")
        if (owner := there.annotation(OWNER)) != target.owner:
            raise Terminal("OwnedByAnother" if owner else "NotOwned", f"the Secret {where} exists and is not ours; rename or remove it")
        texts = texts_of(want.data)
        published = there.published_at
        if not published or any(there.texts.get(key) != texts[key] for key in texts if is_secret(key, want.data)):
            published = self._now()
        metadata: dict[str, Any] = {"resourceVersion": there.metadata["resourceVersion"], "labels": MANAGED_BY, "annotations": {PUBLISHED_AT: published}}
        if want.owner is not None:
            others = [each for each in there.metadata.get("ownerReferences") or () if not each.get("controller")]
            metadata["ownerReferences"] = [*others, _reference(want.owner)]
        body = {"metadata": metadata, "data": {**dict.fromkeys(removed), **_encoded(texts)}}
        try:
            return self._observed(target, self._noted(where, self._api.merge(_path(where), body)))
        except (Conflict, Gone):
            raise Transient("ChangedMeanwhile", f"the Secret {where} changed while it was written") from None

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _observed(self, target: Target[ObjectSecret], there: _Secret) -> Observed[ObjectSecret]:
        namespace, name = there.metadata["namespace"], there.metadata["name"]
        want: Mapping[str, Entry] = target.desired.data if target.desired is not None else {}
        owner = there.controller if target.desired is not None and target.desired.owner is not None else None
        value = ObjectSecret(namespace, name, {key: _seen(key, there, want) for key in there.texts}, owner)
        attributes = {"name": name} | ({"publishedAt": there.published_at} if there.published_at else {})
        leaving = bool(there.metadata.get("deletionTimestamp"))
        return Observed(
            f"{namespace}/{name}",
            value,
            State.PENDING if leaving else State.READY,
            "Deleting" if leaving else "",
            "held by a finalizer" if leaving else "",
            there.annotation(OWNER),
            attributes=attributes,
        )


class UncomparedSecretDriver:
    """`kubernetes/secret` for commands without a cluster: there is nothing to compare with, so nothing differs."""

    type: ClassVar[str] = ObjectSecretDriver.type

    def observe(self, targets: Sequence[Target[ObjectSecret]], depth: Depth) -> Mapping[Key, Answer]:
        """Every Secret as it is wanted."""
        return {target.key: None if target.desired is None else self._as_wanted(target) for target in targets}

    def create(self, target: Target[ObjectSecret], token: str) -> Observed[ObjectSecret]:
        """Refused."""
        raise _without_cluster()

    def update(self, target: Target[ObjectSecret], observed: Observed[ObjectSecret], changes: Sequence[Change]) -> Observed[ObjectSecret]:
        """Refused."""
        raise _without_cluster()

    def delete(self, target: Target[ObjectSecret], observed: Observed[ObjectSecret]) -> None:
        """Refused."""
        raise _without_cluster()

    def _as_wanted(self, target: Target[ObjectSecret]) -> Observed[ObjectSecret]:
        want = target.want()
        return Observed(_where(target), want, message="not compared: no cluster", owner=target.owner, attributes={"name": want.name})


def _without_cluster() -> Terminal:
    return Terminal("NoCluster", "there is no cluster to write to")


def _where(target: Target[ObjectSecret]) -> str:
    if target.external_id:
        return target.external_id
    want = target.want()
    return "" if unresolved(want.namespace, want.name) else f"{want.namespace}/{want.name}"


def _path(where: str) -> str:
    namespace, _, name = where.partition("/")
    return f"/api/v1/namespaces/{namespace}/secrets/{name}"


def _encoded(texts: Mapping[str, str]) -> dict[str, str]:
    return {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}


def _reference(owner: OwnerReference) -> dict[str, Any]:
    named = {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
    return {**named, "controller": True, "blockOwnerDeletion": True}


def _seen(key: str, there: _Secret, want: Mapping[str, Entry]) -> Entry:
    """What a key holds, in the form in which it is wanted where it is that."""
    entry, text = want.get(key), there.texts[key]
    if entry is None:
        return FOREIGN
    if isinstance(entry, Template) and entry.filled(there.texts) == text:
        return entry  # true to its neighbours: where one of them is wrong, that one says so
    if not is_secret(key, want):
        return text
    if not there.published_at and not isinstance(entry, Template):
        return UNDATED
    return entry if isinstance(entry, SecretValue) and entry.value == text else SecretValue(text, OUTSIDE)

"""Secrets: watched by metadata alone, so that a rotated one requeues who uses it; values are read on use and not kept."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from urllib3.exceptions import HTTPError

from securebase.clients.kubernetes import Gone, Kubernetes
from securebase.core.errors import ReconcileError, ReferenceNotFound
from securebase.core.fields import SecretValue
from securebase.core.kind import ObjectRef, PublishedLogin, SecretRef

log = logging.getLogger(__name__)
WATCH_SECONDS = 240


@dataclass(frozen=True, slots=True)
class ClusterSources:
    """References of objects, looked up in the cluster. Every value read is first made known to the redaction."""

    api: Kubernetes
    outputs_of: Callable[[ObjectRef], Mapping[str, str] | None]
    conceal: Callable[[str], None]
    offline: bool = False

    def secret(self, ref: SecretRef) -> SecretValue:
        """Read a Secret's key now."""
        found = self.api.secret(ref)
        self.conceal(found.value)
        return found

    def login(self, namespace: str, name: str) -> PublishedLogin:
        """How a connection Secret tells clients to log in, now."""
        told = self.api.secret_values(namespace, name, "tls", "username", "password")
        password = told.get("password", "")
        if password:
            self.conceal(password)
        return PublishedLogin(told.get("tls") == "true", told.get("username", ""), password)

    def outputs(self, ref: ObjectRef) -> Mapping[str, str]:
        """The outputs of another object, as last seen."""
        found = self.outputs_of(ref)
        if not found:
            raise ReferenceNotFound(f"{ref} does not exist or has no outputs yet")
        return found


class SecretWatch:
    """A thread per namespace (or one for all) that tells which Secret changed."""

    def __init__(self, api: Kubernetes, namespaces: tuple[str, ...], changed: Callable[[str, str], None]) -> None:
        self._api, self._changed = api, changed
        self._stopped = threading.Event()
        paths = [f"/api/v1/namespaces/{name}/secrets" for name in namespaces] or ["/api/v1/secrets"]
        self._threads = [threading.Thread(target=self._run, args=(path,), name=f"secrets {path}", daemon=True) for path in paths]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the next event or time-out; the threads are daemons and hold nothing."""
        self._stopped.set()

    def _run(self, path: str) -> None:
        versions: dict[tuple[str, str], str] = {}
        while not self._stopped.is_set():
            try:
                for type_, item in self._api.watch_metadata(path, WATCH_SECONDS, self._stopped.is_set):
                    self._note(type_, item["metadata"], versions)
            except (ReconcileError, Gone, HTTPError, OSError, ValueError) as error:
                log.warning("the watch of %s ended: %s", path, error)
                self._stopped.wait(5.0)

    def _note(self, type_: str, metadata: Mapping[str, str], versions: dict[tuple[str, str], str]) -> None:
        if type_ == "BOOKMARK":
            return
        name, version = (metadata["namespace"], metadata["name"]), metadata["resourceVersion"]
        if type_ == "DELETED":
            versions.pop(name, None)
        elif versions.get(name) == version:
            return
        else:
            versions[name] = version
        self._changed(*name)

"""The API server as the operator uses it: a handful of calls, with time-outs, fenced writes and typed refusals."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import config as kube_config
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError
from yaml import YAMLError

from securebase.core.errors import Denied, ReferenceNotFound, Terminal, Transient
from securebase.core.fields import SecretValue
from securebase.core.kind import SecretRef

GROUP, VERSION = "securebase.io", "v1alpha1"
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"
_TIMEOUT = (3.0, 15.0)
FIELD_MANAGER = "securebase-operator"


class Conflict(Exception):
    """The object changed since it was read."""


_HOME_KUBECONFIG = Path("~/.kube/config")


class Gone(Exception):
    """The object does not exist."""


def load_configuration(connections: int = 16) -> Configuration:
    """What KUBECONFIG names, else ~/.kube/config, else the cluster this runs in. Terminal where there is none of them."""
    configuration = Configuration()
    files = os.environ.get("KUBECONFIG", "")
    try:
        if files or _HOME_KUBECONFIG.expanduser().exists():
            kube_config.load_kube_config(files or str(_HOME_KUBECONFIG), client_configuration=configuration)
        else:
            kube_config.load_incluster_config(client_configuration=configuration)
    except (ConfigException, YAMLError, TypeError, KeyError, OSError) as error:  # the library takes a file of another form as it comes
        why = str(error) if isinstance(error, ConfigException) else "it is no kubeconfig"
        named = f"KUBECONFIG={files}" if files else f"neither {_HOME_KUBECONFIG} nor the service account of a Pod is there"
        raise Terminal("NoCluster", f"no cluster can be asked ({named}: {why}); set KUBECONFIG to a kubeconfig with a current context") from None
    configuration.connection_pool_maxsize = connections
    configuration.retries = False
    return configuration


@contextmanager
def _reaching(method: str, path: str) -> Iterator[None]:
    """The client raises urllib3's errors, but of TLS its own, with the status 0 (kubernetes/client/rest.py)."""
    try:
        yield
    except (HTTPError, ApiException) as error:
        raise Transient("KubernetesUnreachable", f"{method} {path}: {type(error).__name__}") from None


def _text(encoded: str, told: str) -> str:
    try:
        return base64.b64decode(encoded).decode()
    except ValueError:
        raise Terminal("InvalidSecret", f"{told} holds something else than text") from None


class Kubernetes:
    """Calls to the API server. Every write first asks `fence`, which raises when leadership is lost."""

    def __init__(self, configuration: Configuration, fence: Callable[[], None] = lambda: None, timeout: tuple[float, float] = _TIMEOUT) -> None:
        """`timeout`: seconds to connect and to wait for an answer."""
        self._api = ApiClient(configuration)
        self._fence = fence
        self._timeout = timeout

    def close(self) -> None:
        """Give the connections back."""
        self._api.close()

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """GET; Gone on 404."""
        return self._call("GET", path, query=query)

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST; Conflict when it exists."""
        return self._call("POST", path, body=body)

    def replace(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """PUT; Conflict when the resourceVersion is old."""
        return self._call("PUT", path, body=body)

    def merge(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A merge patch; with metadata.resourceVersion in it, Conflict when that is old."""
        return self._call("PATCH", path, body=body, content_type=_MERGE)

    def apply(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Server-side apply as field manager `securebase-operator`, forced."""
        return self._call("PATCH", path, body=body, content_type=_APPLY, query={"fieldManager": FIELD_MANAGER, "force": "true"})

    def delete(self, path: str) -> None:
        """DELETE; what is gone already is fine."""
        try:
            self._call("DELETE", path)
        except Gone:
            return

    def secret(self, ref: SecretRef) -> SecretValue:
        """One key of a Secret; its version is the Secret's UID and resourceVersion. Read on use, never kept."""
        found = self._secret(ref.namespace, ref.name, str(ref))
        encoded = (found.get("data") or {}).get(ref.key)
        if encoded is None:
            raise ReferenceNotFound(f"{ref} does not exist: the Secret has no such key")
        metadata = found["metadata"]
        return SecretValue(_text(encoded, str(ref)), f"{metadata['uid'][:8]}.{metadata['resourceVersion']}")

    def secret_values(self, namespace: str, name: str, *keys: str) -> dict[str, str]:
        """Those of these keys that a Secret has, of one moment. Read on use, never kept."""
        data = self._secret(namespace, name, f"Secret {namespace}/{name}").get("data") or {}
        return {key: _text(data[key], f"Secret {namespace}/{name}, key {key}") for key in keys if key in data}

    def _secret(self, namespace: str, name: str, told: str) -> dict[str, Any]:
        try:
            return self.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        except Gone:
            raise ReferenceNotFound(f"{told} does not exist") from None

    def list_metadata(self, path: str) -> list[dict[str, Any]]:
        """The metadata of everything in a collection, and nothing else of it."""
        response = self._metadata(path, "PartialObjectMetadataList")
        with _reaching("GET", path):
            found = json.loads(response.read())
        return [item["metadata"] for item in found.get("items") or ()]

    def watch_metadata(self, path: str, seconds: int, stop: Callable[[], bool]) -> Iterator[tuple[str, dict[str, Any]]]:
        """List, then watch a collection's metadata for `seconds`: ("LISTED", item) for each of the list, then (event type, object).

        Returns when the server ends the watch, when its history is too old, or when `stop` says so after an event.
        """
        listed = self._metadata(path, "PartialObjectMetadataList")
        with _reaching("GET", path):
            found = json.loads(listed.read())
        for item in found.get("items") or ():
            yield "LISTED", item
        version = found["metadata"]["resourceVersion"]
        query = f"?watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={version}"
        response = self._metadata(f"{path}{query}", "PartialObjectMetadata", read_timeout=seconds + 10.0)
        try:
            for line in response.response:
                event = json.loads(line)
                if event["type"] == "ERROR" or stop():
                    return
                yield event["type"], event["object"]
        finally:
            response.response.release_conn()

    def _metadata(self, path: str, kind: str, read_timeout: float = 15.0) -> Any:
        headers = {"Accept": f"application/json;as={kind};v=v1;g=meta.k8s.io"}
        request = self._api.param_serialize("GET", path, header_params=headers, auth_settings=["BearerToken"])
        with _reaching("GET", path):
            response = self._api.call_api(*request, _request_timeout=(3.0, read_timeout))
        if response.status >= 300:
            raise _refused(response.status, response.reason, response.read(), "GET", path)
        return response

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        if method != "GET":
            self._fence()
        headers = {"Accept": "application/json", "Content-Type": content_type}
        request = self._api.param_serialize(
            method, path, query_params=list((query or {}).items()), header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        with _reaching(method, path):
            response = self._api.call_api(*request, _request_timeout=self._timeout)
            response.read()
        if response.status >= 300:
            raise _refused(response.status, response.reason, response.data, method, path)
        decoded: dict[str, Any] = json.loads(response.data) if response.data else {}
        return decoded


def _refused(status: int, reason: str, body: bytes | None, method: str, path: str) -> Exception:
    match status:
        case 404:
            return Gone(path)
        case 409:
            return Conflict(path)
        case 401 | 403:
            return Denied(f"kubernetes:{method.lower()}", path, "the operator's service account may not do this")
        case 422:
            return Terminal("KubernetesInvalid", f"{method} {path}: {_message(body)}")
        case _:
            return Transient("KubernetesError", f"{method} {path}: {status} {reason}")


def _message(body: bytes | None) -> str:
    try:
        return str(json.loads(body or b"{}").get("message", ""))[:500]
    except ValueError:
        return ""


def namespaced(plural: str, namespace: str, name: str, subresource: str = "") -> str:
    """Path of one of our namespaced objects."""
    tail = f"/{subresource}" if subresource else ""
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{plural}/{name}{tail}"


def clustered(plural: str, name: str, subresource: str = "") -> str:
    """Path of one of our cluster-scoped objects."""
    tail = f"/{subresource}" if subresource else ""
    return f"/apis/{GROUP}/{VERSION}/{plural}/{name}{tail}"

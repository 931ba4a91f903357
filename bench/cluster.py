"""The API server as the bench uses it: kept connections, so that the measuring costs little."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3

GROUP = "/apis/securebase.io/v1alpha1"
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class Cluster:
    """Requests as administrator, with the certificate that a kubeconfig of the lab names."""

    def __init__(self, kubeconfig: Path, connections: int = 16) -> None:
        document = json.loads(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        self._url = cluster["server"]
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            block=True,
            ca_certs=cluster["certificate-authority"],
            cert_file=user["client-certificate"],
            key_file=user["client-key"],
            retries=False,
            timeout=30.0,
        )

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, accept: str = "application/json") -> Any:
        """The decoded answer; RuntimeError for a refusal."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body)
        answer = self._pool.request(method, f"{self._url}{path}", body=data, headers={"Accept": accept, "Content-Type": kind})
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.data[:300].decode(errors='replace')}")
        return json.loads(answer.data)

    def distributions(self, namespace: str, name: str = "") -> str:
        """Path of a namespace's CdnDistributions, or of one."""
        return f"{GROUP}/namespaces/{namespace}/cdndistributions" + (f"/{name}" if name else "")

    def ready(self, namespace: str) -> set[str]:
        """Names whose READY column says True. As a table without the objects: a hundredth of what the whole list costs the server."""
        table = self.call("GET", f"{self.distributions(namespace)}?includeObject=None", accept=_TABLE)
        columns = [column["name"] for column in table["columnDefinitions"]]
        name, ready = columns.index("Name"), columns.index("READY")
        return {row["cells"][name] for row in table["rows"] or () if row["cells"][ready] == "True"}

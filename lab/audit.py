"""The API server's audit log as a list of requests, so that a test or a bench can count who wrote what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# No stage RequestReceived: one line per request, written when its response has been sent (or a panic ended it). Requests that the
# control plane's own components make in the background (leases, health) are kept too: the reader decides what to leave out. Bodies
# are kept of status writes only, for their size.
POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Request
  verbs: [patch, update]
  resources:
  - group: securebase.io
    resources: ["*/status"]
- level: Metadata
"""

_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class Request:
    """One finished request to the API server. `subresource` is empty for the object itself, `status`, `token`, `finalizers` and so on.
    `sent_bytes` is the size of the body as compact JSON, known for status writes of our kinds and 0 for everything else."""

    user: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    user_agent: str
    dry_run: bool
    sent_bytes: int = 0

    @property
    def is_write(self) -> bool:
        """Whether it changed what is stored: dry runs, refused requests and questions that happen to be POSTs are not writes."""
        question = self.group in {"authorization.k8s.io", "authentication.k8s.io"} or self.subresource == "token"
        return self.verb in _WRITES and 200 <= self.code < 300 and not self.dry_run and not question


class AuditLog:
    """Reads the log by position: `mark()` before, `writes(since=mark)` after."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mark(self) -> int:
        """The position behind the last complete line. The API server writes a line before the response ends (blocking mode)."""
        return self.path.stat().st_size if self.path.exists() else 0

    def requests(self, *, since: int = 0, user: str | None = None) -> Iterator[Request]:
        """Finished requests in the order they ended, of one user (`system:serviceaccount:ns:name`) if given."""
        if not self.path.exists():
            return
        with self.path.open("rb") as log:
            log.seek(since)
            for line in log:
                if not line.endswith(b"\n"):
                    return
                request = _request(json.loads(line))
                if user is None or request.user == user:
                    yield request

    def writes(self, *, since: int = 0, user: str | None = None) -> list[Request]:
        """What was changed, Lease renewals apart (a leader renews every few seconds whatever it does)."""
        return [r for r in self.requests(since=since, user=user) if r.is_write and r.resource != "leases"]


def _request(event: dict[str, object]) -> Request:
    match event:
        case {"verb": str(verb), "requestURI": str(uri), "user": {"username": str(user)}}:
            target = event.get("objectRef")
            named = {str(k): str(v) for k, v in target.items()} if isinstance(target, dict) else {}
            status = event.get("responseStatus")
            code = status.get("code", 0) if isinstance(status, dict) else 0
            return Request(
                user=user,
                verb=verb,
                group=named.get("apiGroup", ""),
                resource=named.get("resource", ""),
                subresource=named.get("subresource", ""),
                namespace=named.get("namespace", ""),
                name=named.get("name", ""),
                code=int(code),
                user_agent=str(event.get("userAgent", "")),
                dry_run="dryRun=" in uri,
                sent_bytes=len(json.dumps(event["requestObject"], separators=(",", ":"))) if "requestObject" in event else 0,
            )
    raise ValueError(f"not an audit event: {sorted(event)}")

"""Who a resource belongs to: names, owner tags and idempotency tokens all come from here and from nothing else."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

OWNER_TAG = "securebase.io/owner"
SNAPSHOT_NAME = 40


def digest(*parts: str, length: int = 10) -> str:
    """Lower-case hex SHA-256 of the parts (NUL-separated), cut to `length` characters."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:length]


@dataclass(frozen=True, slots=True)
class Identity:
    """One custom resource of one operator instance. Survives a rebuilt cluster: no UID, no time is part of it."""

    instance: str
    kind: str
    namespace: str
    name: str

    def owner(self, resource: str) -> str:
        """Value of the tag `securebase.io/owner` (at most 256 characters, AWS's limit for a tag value)."""
        value = f"{self.instance}/{self.kind}/{self.namespace}/{self.name}/{resource}"
        return value if len(value) <= 256 else f"{self.instance}/{self.kind}/{digest(value, length=40)}"

    def external_name(self, resource: str, limit: int = 64, separator: str = "-") -> str:
        """A name unique to (identity, resource): readable head, then 10 hex digits of the whole. Characters `[A-Za-z0-9_-]` only."""
        tail = digest(self.instance, self.kind, self.namespace, self.name, resource)
        head = re.sub(r"[^A-Za-z0-9_-]+", "-", separator.join((self.namespace, self.name, resource)))
        return f"{head[: limit - len(tail) - len(separator)].rstrip('-_')}{separator}{tail}"

    def snapshot_name(self, resource: str, moment: float) -> str:
        """A name for a snapshot made at that second, within what ElastiCache, the narrowest, takes: 40 lower-case letters, digits and
        single hyphens, a letter first."""
        name = re.sub("[-_]+", "-", self.external_name(f"{resource}-{int(moment)}", SNAPSHOT_NAME - 1).lower())
        return name if name[0].isalpha() else f"s{name}"

    def token(self, resource: str, incarnation: int, limit: int = 32) -> str:
        """Idempotency token of one incarnation of one resource: hexadecimal, so it fits ACM's `\\w{1,32}`."""
        return digest(self.instance, self.kind, self.namespace, self.name, resource, str(incarnation), length=limit)


def shared_owner(instance: str) -> str:
    """Owner of what is used by many objects of one instance."""
    return f"{instance}/shared"


def shared_name(instance: str, content: str) -> str:
    """Name of a shared, content-addressed resource: `sb-<instance>-<content>`, 28 characters."""
    return f"sb-{digest(instance, length=8)}-{digest(content, length=16)}"

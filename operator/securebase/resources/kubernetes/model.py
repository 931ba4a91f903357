"""Secrets in the cluster that belong to an object: where its clients find how to connect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from securebase.core.fields import Impact, SecretValue, managed
from securebase.core.graph import SecretFrom

_PLACE = re.compile(r"\{([A-Za-z0-9._-]+)\}")


class Template(str):
    """A text made of other keys of the same Secret: `rediss://:{password}@{host}:{port}`. What is filled in is percent-encoded."""

    __slots__ = ()

    def needs(self) -> Iterator[str]:
        """The keys it needs."""
        return (match.group(1) for match in _PLACE.finditer(self))

    def filled(self, texts: Mapping[str, str]) -> str | None:
        """With the values in place; None while one is missing."""
        if any(key not in texts for key in self.needs()):
            return None
        return _PLACE.sub(lambda match: quote(texts[match.group(1)], safe=""), self)


class Unread(str):
    """Stands for a value that nobody looked at, in words. Where it is wanted, because a change is held back or ignored, the key is left alone."""

    __slots__ = ()


Entry = str | SecretValue | SecretFrom | Template | Unread
"""One key's value. A text may hold `Ref`s; a template must not: it refers to keys that do."""


@dataclass(frozen=True, slots=True)
class OwnerReference:
    """The object that a Secret goes away with."""

    api_version: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class ObjectSecret:
    """A core Secret of one object's. Keys that somebody else added stay.

    owner  the object, as the Secret's controller; None leaves its owner references alone (there is no UID without a cluster)

    Attributes: `name`, `publishedAt` (RFC 3339: when the secret values it holds now were written; left out while nobody knows).
    """

    namespace: str = managed(impact=Impact.REPLACE)
    name: str = managed(impact=Impact.REPLACE)
    data: Mapping[str, Entry] = managed(open=True)
    owner: OwnerReference | None = None


def texts_of(data: Mapping[str, Entry]) -> dict[str, str]:
    """What to write: every value as text, templates filled in. A value that is not known is left out."""
    texts = {
        key: entry.value if isinstance(entry, SecretValue) else entry for key, entry in data.items() if not isinstance(entry, (SecretFrom, Template, Unread))
    }
    filled = {key: entry.filled(texts) for key, entry in data.items() if isinstance(entry, Template)}
    return texts | {key: text for key, text in filled.items() if text is not None}


def is_secret(key: str, data: Mapping[str, Entry]) -> bool:
    """Whether a key's text is, or holds, a secret value."""
    entry = data.get(key)
    if isinstance(entry, Template):
        return any(isinstance(data.get(needed), (SecretValue, SecretFrom)) for needed in entry.needs())
    return isinstance(entry, (SecretValue, SecretFrom))

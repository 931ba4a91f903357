"""An invalidation on demand: what the annotation `securebase.io/invalidate` asks for."""

from __future__ import annotations

from collections.abc import Iterator

from securebase.core.graph import Node, Ref
from securebase.core.identity import digest
from securebase.core.kind import Context
from securebase.kinds.cdn.shared import HOME
from securebase.resources.cloudfront.model import Invalidation

INVALIDATION = "invalidation"


def invalidation_node(context: Context) -> Iterator[Node]:
    """One request to forget paths, while the annotation's text was not acknowledged yet."""
    asked = context.requests.get("invalidate", "")
    if not asked:
        return
    token, paths = parsed(asked)
    yield Node(INVALIDATION, "cloudfront/invalidation", Invalidation(Ref("distribution", "id"), paths, token), HOME, task=True)


def parsed(text: str) -> tuple[str, frozenset[str]]:
    """Token and paths of `<token> /a /b/*`. Without a token the text is its own; a token alone means everything.

    What is no path is kept: CloudFront refuses it, which fails this one request and none of the object's resources.
    """
    words = text.split()
    if words[0].startswith("/"):
        return digest(text, length=32), frozenset(words)
    return words[0], frozenset(words[1:] or ["/*"])

"""Policy documents that hold a statement of ours beside others': read, changed and written under one lock, and looked at again after."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from securebase.core.errors import Transient
from securebase.resources.listing import LAG_SECONDS
from securebase.resources.statements import canonical, named, with_statement, without_statement

Policy = dict[str, Any] | None


@dataclass(slots=True)
class PolicyDocument:
    """One document in this process: who may write it, and which texts are known to be old.

    Policies are eventually consistent: a read right after our write may still give the text before it, and writing on top of that would
    lose our own last statement.
    """

    about: str
    lock: threading.RLock = field(default_factory=threading.RLock)
    newest: Policy = None
    older: list[Policy] = field(default_factory=list)
    written_at: float = float("-inf")

    def corrected(self, read: Policy, now: float) -> Policy:
        """What was read, or what we wrote where the read is known to be older."""
        stale = now - self.written_at < LAG_SECONDS and read in self.older
        return self.newest if stale else read

    def edit(
        self, sid: str, statement: Mapping[str, Any] | None, read: Callable[[], Policy], write: Callable[[Policy], None], clock: Callable[[], float]
    ) -> Policy:
        """Put the statement of this Sid in, or with None take it out, and see that it stayed so. No such API has a conditional write."""
        with self.lock:
            before = self.corrected(read(), clock())
            after = _without(before, sid) if statement is None else with_statement(before, sid, statement)
            if after != before:
                write(after)
                self._wrote(before, after, clock())
                self._verify(sid, self.corrected(read(), clock()), after)
            return after

    def _wrote(self, before: Policy, after: Policy, now: float) -> None:
        recent = self.older if now - self.written_at < LAG_SECONDS else []
        self.older = [text for text in [*recent, before] if text != after]
        self.newest, self.written_at = after, now

    def _verify(self, sid: str, found: Policy, written: Policy) -> None:
        ours, wanted = (named(document or {}, sid) for document in (found, written))
        if (ours is None) != (wanted is None) or (ours is not None and wanted is not None and canonical(ours) != canonical(wanted)):
            raise Transient("ChangedMeanwhile", f"{self.about} was changed by somebody else while statement {sid} was written")


def _without(document: Policy, sid: str) -> Policy:
    return None if document is None else without_statement(document, sid)


class PolicyDocuments:
    """The documents of one type in this process, by what they belong to, whichever driver asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, PolicyDocument] = {}

    def get(self, holder: str, about: str) -> PolicyDocument:
        """The one document of a holder (a key's ARN)."""
        with self._lock:
            return self._known.setdefault(holder, PolicyDocument(about))

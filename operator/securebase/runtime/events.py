"""Kubernetes Events: what a person would want to know, once per change of it."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from securebase.clients.kubernetes import Conflict, Gone, Kubernetes
from securebase.core.errors import ReconcileError
from securebase.core.identity import digest

log = logging.getLogger(__name__)
_REMEMBERED = 10_000
_REPEAT_SECONDS = 3600.0


class Recorder:
    """Posts Events; the same words about the same object at most once an hour. An Event that cannot be posted stops nothing."""

    def __init__(self, api: Kubernetes, clock: Callable[[], float], redact: Callable[[str], str]) -> None:
        self._api, self._clock, self._redact = api, clock, redact
        self._lock = threading.Lock()
        self._said: OrderedDict[str, float] = OrderedDict()

    def normal(self, body: Mapping[str, Any], reason: str, message: str) -> None:
        """Something a person may like to know."""
        self._post(body, "Normal", reason, message)

    def warning(self, body: Mapping[str, Any], reason: str, message: str) -> None:
        """Something a person should look at."""
        self._post(body, "Warning", reason, message)

    def _post(self, body: Mapping[str, Any], type_: str, reason: str, message: str) -> None:
        metadata, now = body["metadata"], self._clock()
        text = self._redact(message)[:1000]
        said = digest(metadata["uid"], reason, text, length=24)
        with self._lock:
            if now - self._said.get(said, float("-inf")) < _REPEAT_SECONDS:
                return
            self._said[said] = now
            self._said.move_to_end(said)
            while len(self._said) > _REMEMBERED:
                self._said.popitem(last=False)
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        namespace = metadata.get("namespace") or "default"
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": namespace},
            "involvedObject": {
                "apiVersion": body["apiVersion"],
                "kind": body["kind"],
                "name": metadata["name"],
                "namespace": metadata.get("namespace"),
                "uid": metadata["uid"],
                "resourceVersion": metadata.get("resourceVersion"),
            },
            "type": type_,
            "reason": reason,
            "message": text,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
            "source": {"component": "securebase-operator"},
        }
        try:
            self._api.create(f"/api/v1/namespaces/{namespace}/events", event)
        except (ReconcileError, Conflict, Gone) as error:
            log.warning("an Event about %s could not be posted: %s", metadata["name"], error)

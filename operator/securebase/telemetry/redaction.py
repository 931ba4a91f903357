"""What must never be printed: values known to be secret, and what looks like a credential."""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.parse
from collections import OrderedDict
from collections.abc import Callable, Iterator

HIDDEN = "[redacted]"
SHORT = 6
"""Below this length a secret is hidden only where it stands as a word of its own: "dev" would blank half of every message."""
MOST_VALUES = 10_000
"""Forms of secrets kept; the ones registered longest ago are dropped first. Rotated secrets must not grow the memory for ever."""

PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), HIDDEN),
    # Unique identifiers of AWS: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b"), rf"\1{HIDDEN}"),
    (
        re.compile(
            r"((?:secret_?access_?key|secret_?key|session_?token|security[_-]token|x-amz-signature|x-amz-credential|auth_?token|passw(?:or)?d|client_secret)"
            r"['\"]?\s*(?:[:=]|%3D)\s*b?)(?:'[^']*'|\"[^\"]*\"|[^\s,;&'\"})<]+)",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(r"((?:SecretAccessKey|SessionToken|AuthToken|AccessKeyId)>)[^<]*"),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(authorization['\"]?\s*[:=,]\s*b?['\"]?\s*)(?:bearer|basic|digest|token|aws4-hmac-sha256)\s[^'\"\r\n]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"\b(bearer\s+)[\w.~+/=-]{12,}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"), HIDDEN),
    (re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s:@'\"]*:[^\s@'\"]+@", re.IGNORECASE), rf"\1{HIDDEN}@"),
)
"""Shapes of credentials, and what is left of them."""


class Redactor:
    """Hides registered values, in every spelling they travel in, and anything that looks like a credential. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[str, None] = OrderedDict()

    def __repr__(self) -> str:
        return f"Redactor({len(self._values)} values)"

    def register(self, value: str) -> None:
        """Hide this value from now on. To be called where a secret is read, before anything is done with it."""
        with self._lock:
            for form in _forms(value):
                self._values[form] = None
                self._values.move_to_end(form)
            while len(self._values) > MOST_VALUES:
                self._values.popitem(last=False)

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        with self._lock:
            present = [value for value in self._values if value in text]
        for value in sorted(present, key=len, reverse=True):
            text = text.replace(value, HIDDEN) if len(value) >= SHORT else re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", HIDDEN, text)
        return hide_patterns(text)


def hide_patterns(text: str) -> str:
    """The text without what looks like a credential."""
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _forms(value: str) -> Iterator[str]:
    """The value, its lines (a key in PEM is seldom printed whole), and how Secrets, JSON and URLs spell it."""
    if not value.strip():
        return
    yield value
    yield from (line for line in value.splitlines() if len(line) >= 16 and not line.startswith("-----"))
    if len(value) < SHORT:
        return
    spellings: tuple[Callable[[str], str], ...] = (
        str.strip,
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: json.dumps(text)[1:-1],
        lambda text: repr(text)[1:-1],
        lambda text: urllib.parse.quote(text, safe=""),
        urllib.parse.quote_plus,
    )
    yield from (spelled for spell in spellings if (spelled := spell(value)) != value)

"""What `securebase.io/rotate` asks for: `<token>`, or `<token>,immediate` for a compromise. Pure."""

from __future__ import annotations

import re
from typing import Final

ANNOTATION: Final = "securebase.io/rotate"
_IMMEDIATE: Final = "immediate"
# A request that was taken up is noted in a tag: a value has at most 256 characters, and of what is no letter, digit or space only these
# (Secrets Manager's TagResource, "Tag naming and usage conventions"). The comma is none of them.
_TOKEN: Final = re.compile(r"[A-Za-z0-9+=._:/@-]{1,200}")
_SHOWN: Final = 60


def asked(annotation: str) -> tuple[str, bool]:
    """What is asked for, and whether it is immediate. `x` and `x,immediate` are two requests; what has a `refusal` is told as it stands."""
    parts = [part.strip() for part in annotation.split(",")]
    request = ",".join(parts)
    return request, parts[1:] == [_IMMEDIATE] and not refusal(request)


def refusal(request: str) -> str:
    """Why it cannot be taken up, and what to write instead; "" = it can, or nothing is asked for."""
    token, comma, how = request.partition(",")
    if not request:
        return ""
    shown = request[:_SHOWN] + ("..." if len(request) > _SHOWN else "")
    if comma and how != _IMMEDIATE:
        return f"{ANNOTATION}={shown}: only {_IMMEDIATE} may follow the comma; write <token>,{_IMMEDIATE} to cut the old value off, <token> to keep its grace"
    if not _TOKEN.fullmatch(token):
        return f"{ANNOTATION}={shown}: a token is 1 to 200 letters (a to z), digits and + = . _ : / @ -, without blanks; write another one"
    return ""


def noted_as(request: str) -> str:
    """The request as a tag's value."""
    return request.replace(",", " ")


def read_back(value: str) -> str:
    """The request that was noted as this."""
    return value.replace(" ", ",")

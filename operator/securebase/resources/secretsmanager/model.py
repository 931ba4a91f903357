"""Secrets whose first value is generated when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from securebase.core.fields import Impact, managed


@dataclass(frozen=True, slots=True)
class ManagedSecret:
    """A secret that holds `{"username", "password"}` as JSON. Its value is generated once, and never compared: rotating it is another type's work.

    username  written into the first value and not compared afterwards; "" for a plain AUTH token
    length    characters of the first password, 32 to 128; not compared afterwards
    kms_key   id, ARN or alias of a customer key; "" = the account's `aws/secretsmanager`

    Deleting it schedules the deletion for seven days later; when it is wanted again before, it is restored, with another value. Deleted by
    somebody else, it is restored with the value it had.

    Attributes: `arn`, `name`, `currentVersion` (the version id labelled AWSCURRENT). Secret attribute: `password`, at that version.
    """

    name: str = managed(impact=Impact.REPLACE)
    tags: Mapping[str, str] = managed(open=True)
    username: str = ""
    description: str = ""
    kms_key: str = ""
    length: int = 64

"""What stands for a cluster where one object is enough of it: how the API server merges a patch, and references that lead nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from securebase.core.errors import ReferenceNotFound
from securebase.core.fields import SecretValue
from securebase.core.kind import ObjectRef, SecretRef


def merged(before: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, Mapping):
        return patch
    there = before if isinstance(before, Mapping) else {}
    changed = {name: merged(there.get(name), value) for name, value in patch.items()}
    return {name: value for name, value in {**there, **changed}.items() if value is not None}


class NoSources:
    """Nothing that an object refers to is there."""

    offline = False

    def secret(self, ref: SecretRef) -> SecretValue:
        raise ReferenceNotFound(str(ref))

    def outputs(self, ref: ObjectRef) -> Mapping[str, str]:
        raise ReferenceNotFound(str(ref))

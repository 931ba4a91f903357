"""Manifests to models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from securebase.api.meta import KubernetesObject
from securebase.api.registry import kind_of


@pytest.fixture
def parse() -> Callable[[dict[str, Any]], KubernetesObject]:
    def parsed(manifest: dict[str, Any]) -> KubernetesObject:
        kind = kind_of(manifest["apiVersion"], manifest["kind"])
        assert kind is not None
        return kind.model.model_validate(manifest)

    return parsed

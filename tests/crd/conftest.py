"""A real API server that knows our kinds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.kubernetes import ControlPlane

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("kubernetes")) as plane:
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        plane.until_defined()
        yield plane


@pytest.fixture
def namespace(plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    answer = plane.call("POST", "/api/v1/namespaces", {"metadata": {"generateName": "crd-"}})
    name = str(answer["metadata"]["name"])
    yield name
    plane.call("DELETE", f"/api/v1/namespaces/{name}")

"""The chart through helm: rendered to documents, or installed into a real API server."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.kubernetes import ControlPlane
from lab.tools import helm

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "securebase-operator"

Document = Mapping[str, Any]
Helm = Callable[..., "subprocess.CompletedProcess[str]"]
Render = Callable[..., list[Document]]


@pytest.fixture(scope="session")
def run_helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """helm with state of its own; `values` is written to a file, `check` raises with what helm said."""
    home = tmp_path_factory.mktemp("helm")
    command = helm()

    def run(*arguments: str | Path, values: Mapping[str, Any] | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        given: Sequence[str | Path] = ()
        if values is not None:
            path = home / "values.yaml"
            path.write_text(yaml.safe_dump(values))
            given = ("--values", path)
        result = subprocess.run(
            [command, *arguments, *given], capture_output=True, text=True, check=False, timeout=120, env={"HOME": str(home), "PATH": "/usr/bin:/bin"}
        )
        if check and result.returncode != 0:
            raise RuntimeError(f"helm {arguments[0]} failed: {result.stderr.strip()}")
        return result

    return run


@pytest.fixture(scope="session")
def render(run_helm: Helm) -> Render:
    """The documents of `helm template` with these values."""

    def documents(values: Mapping[str, Any] | None = None, *, name: str = "sb", namespace: str = "securebase-system") -> list[Document]:
        text = run_helm("template", name, CHART, "--namespace", namespace, values=values or {}).stdout
        return [document for document in yaml.safe_load_all(text) if document]

    return documents


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("kubernetes")) as plane:
        yield plane


def of_kind(documents: Sequence[Document], kind: str) -> list[Document]:
    return [document for document in documents if document["kind"] == kind]


def the(documents: Sequence[Document], kind: str) -> Document:
    """The only document of a kind."""
    (found,) = of_kind(documents, kind)
    return found

"""Which cluster is meant, and what a person is told where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from securebase.clients.kubernetes import load_configuration
from securebase.core.errors import Terminal


def kubeconfig(path: Path, server: str) -> Path:
    named = {"clusters": [{"name": "c", "cluster": {"server": server}}], "users": [{"name": "u", "user": {"token": "t"}}]}
    contexts = [{"name": "x", "context": {"cluster": "c", "user": "u"}}]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "x", "contexts": contexts, **named}))
    return path


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_what_kubeconfig_names_comes_before_what_lies_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeconfig(tmp_path / ".kube" / "config", "https://home.test")
    assert load_configuration(7).host == "https://home.test"
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "named", "https://named.test")))
    configuration = load_configuration(7)
    assert (configuration.host, configuration.connection_pool_maxsize, configuration.retries) == ("https://named.test", 7, False)


@pytest.mark.parametrize(
    "content", [None, "", "a host name\n", "a: [", "apiVersion: v1\nkind: Config\n"], ids=["no file", "empty", "text", "no YAML", "no context"]
)
def test_a_file_that_names_no_cluster_is_told_by_its_name(content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "wrong"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(Terminal, match="set KUBECONFIG to a kubeconfig with a current context") as told:
        load_configuration()
    assert f"KUBECONFIG={path}" in told.value.message


def test_where_there_is_no_cluster_it_is_said_what_to_set() -> None:
    with pytest.raises(Terminal, match=r"neither ~/.kube/config nor the service account of a Pod is there"):
        load_configuration()

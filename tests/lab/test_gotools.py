"""Which Go builds the lab's commands, and what a failed build leaves: tried with a stand-in for the `go` command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.cache import Unavailable
from lab.gotools import GoModule, Step, built, cached, is_built

_GO = """\
#!/bin/sh
if [ "$1" = version ]; then echo "go version go{version} linux/amd64"; exit; fi
while [ "$1" != -o ]; do shift; done
echo "some/package" >&2
[ -z "{failure}" ] || {{ echo "{failure}" >&2; exit 1; }}
echo "$GOTOOLCHAIN" > "$2"
chmod +x "$2"
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoModule:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    source = tmp_path / "module"
    source.mkdir()
    (source / "go.mod").write_text("module example\n\ngo 1.26.7\n")
    (source / "go.sum").write_text("")
    return GoModule("example", source, (Step("hello", ("./hello",), output="hello"),), ("hello",), "a moment")


def install_go(tmp_path: Path, version: str, failure: str = "") -> None:
    (tmp_path / "go").write_text(_GO.format(version=version, failure=failure))
    (tmp_path / "go").chmod(0o755)


@pytest.mark.parametrize(
    ("version", "toolchain"),
    [("1.26.8", "local"), ("1.26.7", "local"), ("1.26.3", "go1.26.8"), ("1.27.1", "go1.26.8"), ("1.21", "go1.26.8")],
)
def test_another_go_is_told_to_fetch_the_release_that_works(tmp_path: Path, module: GoModule, version: str, toolchain: str) -> None:
    install_go(tmp_path, version)
    told: list[str] = []
    directory = built(module, told.append)
    assert (directory / "hello").read_text().strip() == toolchain
    assert [path.name for path in directory.iterdir()] == ["hello"]
    assert told[0] == "building example from its Go modules: a moment, once"
    assert told[-1].startswith("built example in 0:0")


def test_what_is_built_is_not_built_again_until_a_dependency_changes(tmp_path: Path, module: GoModule) -> None:
    install_go(tmp_path, "1.26.8")
    built(module, lambda _line: None)
    assert is_built(module)
    before = cached(module)
    install_go(tmp_path, "1.26.8", failure="must not run")
    assert built(module, lambda _line: None) == before
    (module.directory / "go.sum").write_text("changed")
    assert not is_built(module)
    assert cached(module) != before


def test_a_failed_build_says_why_and_leaves_nothing_usable(tmp_path: Path, module: GoModule) -> None:
    install_go(tmp_path, "1.26.8", failure="no space left on device")
    with pytest.raises(Unavailable, match="no space left on device"):
        built(module, lambda _line: None)
    assert not is_built(module)
    assert not [path for path in cached(module).parent.iterdir() if path.is_dir()]

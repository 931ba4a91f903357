"""What is generated from the chart and for it: its copy of the CRDs, and manifests/base, the chart's default rendering.

`python -m hack.render --write` writes what changed, `--check` names what is stale (exit code 1).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from lab.cache import Unavailable
from lab.tools import helm

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "securebase-operator"
RELEASE, NAMESPACE = "securebase-operator", "securebase-system"
HEADER = "# Rendered from charts/securebase-operator by `make generate`; do not edit.\n"

# Labels that only mean something to helm itself; without them kustomize and Argo CD own the objects alone.
_HELM_ONLY = re.compile(r"^ +(helm\.sh/chart: .*|app\.kubernetes\.io/managed-by: Helm)\n|^# Source: .*\n", re.MULTILINE)
_NAMESPACE = f"""{HEADER}apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
_KUSTOMIZATION = f"""{HEADER}apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - namespace.yaml
  - crds.yaml
  - rbac.yaml
  - operator.yaml
patches:
  # Pruning a CRD would let go of every object of its kind.
  - target:
      kind: CustomResourceDefinition
    patch: |
      - op: add
        path: /metadata/annotations
        value:
          argocd.argoproj.io/sync-options: Prune=false,Delete=false
          kustomize.toolkit.fluxcd.io/prune: disabled
"""
_FILES = {
    "crds.yaml": ("CustomResourceDefinition",),
    "rbac.yaml": ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    "operator.yaml": ("Service", "Deployment"),
}


def rendered() -> dict[Path, str]:
    """Every generated file and its text."""
    crds = {CHART / "files" / "crds" / path.name: path.read_text() for path in sorted((ROOT / "crds").glob("*.yaml"))}
    base = ROOT / "manifests" / "base"
    parts = _by_file(_template(crds))
    files = {base / "namespace.yaml": _NAMESPACE, base / "kustomization.yaml": _KUSTOMIZATION}
    return crds | files | {base / name: HEADER + text for name, text in parts.items()}


def _template(crds: dict[Path, str]) -> str:
    """The chart with its default values. Its own copies of the CRDs may be stale: they are rendered from the source."""
    command: list[str | Path] = [helm(), "template", RELEASE, CHART, "--namespace", NAMESPACE, "--set", "crds.install=false"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"helm template failed: {done.stderr.strip()}")
    return "\n---\n".join([*(text.strip() for text in crds.values()), done.stdout])


def _by_file(text: str) -> dict[str, str]:
    parts: dict[str, list[str]] = {name: [] for name in _FILES}
    for document in re.split(r"^---$", text, flags=re.MULTILINE):
        found = re.search(r"^kind: (\w+)$", document, re.MULTILINE)
        if found is None:
            continue
        name = next((name for name, kinds in _FILES.items() if found.group(1) in kinds), None)
        if name is None:
            raise SystemExit(f"hack/render.py does not know where a {found.group(1)} belongs")
        parts[name].append(_HELM_ONLY.sub("", document).strip() + "\n")
    return {name: "---\n".join(documents) for name, documents in parts.items()}


def _stale(files: dict[Path, str]) -> list[Path]:
    """Files that differ, and generated ones that nothing makes any more."""
    differing = [path for path, text in files.items() if not path.is_file() or path.read_text() != text]
    left = [path for directory in {path.parent for path in files} for path in directory.glob("*.yaml") if path not in files]
    return sorted([*differing, *left])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hack.render", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write the files that changed")
    action.add_argument("--check", action="store_true", help="name the stale files; exit code 1 if there are any")
    chosen = parser.parse_args()
    try:
        files = rendered()
    except Unavailable as error:
        print(f"not checked: {error}", file=sys.stderr)
        return 1 if chosen.write or os.environ.get("CI") else 0
    stale = _stale(files)
    for path in stale:
        if chosen.check:
            print(f"stale: {path.relative_to(ROOT)}")
        elif path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path])
            print(f"wrote {path.relative_to(ROOT)}")
        else:
            path.unlink()
            print(f"removed {path.relative_to(ROOT)}")
    return 1 if stale and chosen.check else 0


if __name__ == "__main__":
    sys.exit(main())

"""The real operator as a process of the lab: started as its image starts it, scraped like Prometheus does, stopped or killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from lab import warm
from lab.kubernetes import ControlPlane
from lab.processes import Child, free_port, loopback_environment, start_child, wait_until
from lab.tools import helm

CHART_RELEASE = "securebase-operator"
"""Release name, and so the name of the chart's ServiceAccount."""
_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<value>[^ ]+)$")


class OperatorProcess:
    """`securebase run` against a kubeconfig and an AWS endpoint. Context manager; `kill` is kill -9, `pause` is SIGSTOP."""

    def __init__(self, kubeconfig: Path, aws: Mapping[str, str], log: Path, *, instance: str = "lab", **settings: str) -> None:
        """`settings` are those of `securebase.settings`, by name: `workers="4"`."""
        self.port = free_port()
        self.log = log
        own = {f"SECUREBASE_{name.upper()}": value for name, value in settings.items()}
        self._environment = {
            **loopback_environment(),
            **aws,
            "KUBECONFIG": str(kubeconfig),
            "SECUREBASE_INSTANCE": instance,
            "SECUREBASE_HTTP_HOST": "127.0.0.1",
            "SECUREBASE_HTTP_PORT": str(self.port),
            "SECUREBASE_LOG_FORMAT": "text",
            **own,
        }
        self.child: Child | None = None

    @property
    def url(self) -> str:
        """Where /metrics, /healthz and /readyz are."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self, *, forked: bool = False) -> Self:
        """Returns when it is ready. As a fresh interpreter, or forked from one (`lab.warm`)."""
        if forked:
            self.child = warm.start("operator", ["run"], log=self.log, environment=self._environment)
        else:
            self.child = start_child("operator", [sys.executable, "-m", "securebase", "run"], log=self.log, environment=self._environment)
        wait_until(self.ready, "the operator to be ready", deadline=60, children=[self.child])
        return self

    def ready(self) -> bool:
        """Whether /readyz says so."""
        try:
            with _opener().open(f"{self.url}/readyz", timeout=2) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """SIGTERM: it drains what is in hand, and gives its lease up."""
        if self.child is not None:
            self.child.stop()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        if self.child is not None:
            os.kill(self.child.pid, number)

    def metrics(self) -> str:
        """What Prometheus would scrape."""
        with _opener().open(f"{self.url}/metrics", timeout=5) as response:
            text: str = response.read().decode()
            return text

    def sample(self, name: str, /, **labels: str) -> float | None:
        """The sum of a metric's samples with these labels; None when there is none."""
        found = []
        for line in self.metrics().splitlines():
            match = _SAMPLE.match(line)
            if match and match["name"] == name and all(f'{key}="{value}"' in (match["labels"] or "") for key, value in labels.items()):
                found.append(float(match["value"]))
        return sum(found) if found else None


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def install_chart(plane: ControlPlane, namespace: str, directory: Path, **values: str) -> Path:
    """`helm install` of the chart: CRDs, RBAC, ServiceAccount, Deployment (no node runs it). The kubeconfig of its service account."""
    chart = Path(__file__).resolve().parent.parent / "charts" / "securebase-operator"
    plane.kubectl("create", "namespace", namespace)
    settings = [argument for name, value in values.items() for argument in ("--set", f"{name}={value}")]
    environment = {**loopback_environment(), "KUBECONFIG": str(plane.kubeconfig), "HOME": str(directory)}
    command = [str(helm()), "install", CHART_RELEASE, str(chart), "--namespace", namespace, *settings]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(f"helm install failed: {done.stderr.strip()}")
    plane.until_defined()
    return plane.service_account_kubeconfig(namespace, CHART_RELEASE)

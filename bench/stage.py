"""What every bench plays on: one control plane and AWS endpoint, and per bench a namespace and an AWS account of its own."""

from __future__ import annotations

import functools
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import psutil
from botocore.config import Config

from bench.cluster import Cluster
from lab.audit import Request
from lab.aws.calls import CallRecord
from lab.aws.context import Settings
from lab.aws.endpoint import AwsEndpoint
from lab.kubernetes import ControlPlane
from lab.operator import OperatorProcess
from lab.processes import state_directory, wait_until

ROOT = Path(__file__).parents[1]
SYSTEM, ACCOUNT_NAME = "securebase-system", "securebase-operator"
USER = f"system:serviceaccount:{SYSTEM}:{ACCOUNT_NAME}"
AWS_SECONDS = 0.020
"""How long each AWS call takes in the comparison: what ACK's controller was measured with."""
DEPLOY_SECONDS = 3.0
"""How long a distribution deploys here (AWS: minutes)."""
RAISED_QUOTAS = {f"distributions_per_{shared}": 10_000 for shared in ("CachePolicy", "ResponseHeadersPolicy", "Function", "OriginAccessControl")}
"""CloudFront lets 100 distributions use one policy, function or access control unless asked for more; a fleet of equals needs that raised."""
PER_BUCKET = 20
"""Objects that share a bucket: S3 takes bucket policies of up to 20 KB (S3 User Guide, Bucket policies), some fifty of our statements."""


def say(text: str) -> None:
    """Progress, apart from the results."""
    print(text, file=sys.stderr, flush=True)


class Stage:
    """Context manager. Starts in some ten seconds."""

    def __init__(self, directory: Path | None = None, deploy_seconds: float = DEPLOY_SECONDS) -> None:
        self._directory, self._deploy_seconds = directory, deploy_seconds
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.directory = self._directory or self._stack.enter_context(state_directory("bench"))
        self.plane = self._stack.enter_context(ControlPlane(self.directory / "kubernetes"))
        self.endpoint = self._stack.enter_context(AwsEndpoint(self.directory / "aws", settings=Settings(self._deploy_seconds, quotas=dict(RAISED_QUOTAS))))
        self.cluster = Cluster(self.plane.kubeconfig)
        for file in sorted((ROOT / "crds").glob("*.yaml")):
            self.plane.kubectl("apply", "--server-side", "-f", str(file))
        self.plane.until_defined()
        self.plane.kubectl("apply", "-f", str(ROOT / "manifests" / "base" / "namespace.yaml"))
        self.plane.kubectl("apply", "-f", str(ROOT / "manifests" / "base" / "rbac.yaml"))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    @contextmanager
    def operator(self, bench: str, **settings: str) -> Iterator[Running]:
        """A fresh operator that watches the bench's own namespace, under the service account and RBAC of the manifests."""
        self.plane.kubectl("create", "namespace", bench)
        account = f"{random.randrange(10**11, 10**12)}"
        environment = {**self.endpoint.environment, "AWS_ACCESS_KEY_ID": account}
        own = {"namespaces": bench, "identity": bench, "instance": bench, "aws_rate_scale": "0", **settings}
        kubeconfig = self.plane.service_account_kubeconfig(SYSTEM, ACCOUNT_NAME)
        with OperatorProcess(kubeconfig, environment, self.directory / f"{bench}.log", **own) as process:
            assert process.child is not None
            running = Running(self, bench, account, process, psutil.Process(process.child.pid))
            running.wait_for_lease()
            yield running


@dataclass(frozen=True, slots=True)
class Running:
    """One operator at work in one namespace and one AWS account."""

    stage: Stage
    namespace: str
    account: str
    operator: OperatorProcess
    process: psutil.Process

    def wait_for_lease(self) -> None:
        """Until it leads: nothing is written before."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/{ACCOUNT_NAME}"

        def leads() -> bool:
            return bool(self.stage.cluster.call("GET", path)["spec"].get("holderIdentity") == self.namespace)

        wait_until(leads, "the operator to lead", deadline=30, retry_on=(OSError, RuntimeError))

    # --- the cluster

    def manifest(self, number: int, interval: str = "10s") -> dict[str, Any]:
        """A site with hashed assets and a single-page application, in a bucket; with the default alarms. Seven AWS objects of its own."""
        spec = {
            "policy": {"interval": interval},
            "comment": f"tenant {number}",
            "tags": {"team": "web", "tenant": f"t{number}"},
            "origins": [{"id": "site", "s3": {"bucket": self.bucket(number)}}],
            "behaviors": [
                {"path": "/assets/*", "origin": "site", "preset": "static"},
                {"path": "*", "origin": "site", "preset": "html", "spa": True},
            ],
        }
        metadata = {"name": name_of(number), "namespace": self.namespace}
        return {"apiVersion": "securebase.io/v1alpha1", "kind": "CdnDistribution", "metadata": metadata, "spec": spec}

    def create(self, manifests: Sequence[dict[str, Any]]) -> None:
        """All at once, over 16 connections."""
        path = self.stage.cluster.distributions(self.namespace)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda manifest: self.stage.cluster.call("POST", path, manifest), manifests))

    def wait_ready(self, count: int, deadline: float) -> None:
        """Until so many objects say so."""
        self.until(lambda: len(self.stage.cluster.ready(self.namespace)) >= count, f"{count} objects to be ready", deadline, interval=0.5)

    def get(self, number: int) -> Any:
        """An object as it stands."""
        return self.stage.cluster.call("GET", self.stage.cluster.distributions(self.namespace, name_of(number)))

    def until(self, look: Callable[[], object], what: str, deadline: float, interval: float = 0.1) -> None:
        """Poll, and end at once when the operator has."""
        children = [self.operator.child] if self.operator.child else []
        wait_until(look, what, deadline=deadline, interval=interval, children=children)

    def kubernetes_mark(self) -> int:
        """A position in the audit log."""
        return self.stage.plane.audit_log.mark()

    def events(self) -> list[str]:
        """Of each Event of the namespace, the object it is about: the audit log does not name what the server named (generateName)."""
        found = self.stage.cluster.call("GET", f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return [event["involvedObject"]["name"] for event in found]

    def kubernetes_writes(self, since: int) -> list[Request]:
        """What the operator wrote into its namespace; Lease renewals apart."""
        writes = self.stage.plane.audit_log.writes(since=since, user=USER)
        return [write for write in writes if write.namespace == self.namespace]

    # --- AWS

    def bucket(self, number: int) -> str:
        """Where an object's files are."""
        return f"{self.namespace}-{number // PER_BUCKET}"

    def make_buckets(self, objects: int) -> None:
        """The buckets that so many objects name."""
        for bucket in sorted({self.bucket(number) for number in range(objects)}):
            self.aws("s3").create_bucket(Bucket=bucket)

    def aws(self, service: str) -> Any:
        """Somebody else's client in the account."""
        return _client(self.stage.endpoint.url, self.account, service)

    def aws_calls(self, since: float = 0.0) -> list[CallRecord]:
        """What the operator asked of AWS after a time (seconds since the epoch)."""
        log = self.stage.endpoint.control.log
        return log.records(lambda call: call.at >= since and call.account == self.account and "somebody-else" not in call.user_agent)

    @contextmanager
    def slow_aws(self) -> Iterator[None]:
        """Every call takes `AWS_SECONDS` longer."""
        rule = self.stage.endpoint.control.delay(AWS_SECONDS)
        try:
            yield
        finally:
            self.stage.endpoint.control.remove(rule)

    # --- the process

    def cpu_seconds(self) -> float:
        """What the operator has used so far."""
        used = self.process.cpu_times()
        return used.user + used.system

    def resident_mib(self) -> float:
        """Its resident memory."""
        return self.process.memory_info().rss / 2**20

    def wait_quiet(self, seconds: float, deadline: float) -> None:
        """Until nothing was written for so long, neither to AWS nor to the cluster."""
        quiet_since, mark = time.monotonic(), self.kubernetes_mark()
        end = quiet_since + deadline
        while time.monotonic() - quiet_since < seconds:
            time.sleep(1.0)
            wrote = [call for call in self.aws_calls(time.time() - 1.5) if call.write]
            if wrote or self.kubernetes_writes(mark):
                quiet_since, mark = time.monotonic(), self.kubernetes_mark()
            if time.monotonic() > end:
                raise TimeoutError(f"the operator was not quiet for {seconds:.0f} s within {deadline:.0f} s")


@functools.cache
def _client(url: str, account: str, service: str) -> Any:
    """Made once: that takes longer than what is measured."""
    clients: Any = boto3
    return clients.client(
        service,
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id=account,
        aws_secret_access_key="lab",
        config=Config(user_agent_extra="somebody-else", max_pool_connections=32),
    )


def name_of(number: int) -> str:
    """Of the n-th object; no name is the beginning of another."""
    return f"site-{number:05d}"

"""What the end-to-end tests act with: a cluster under the chart's RBAC, the operator as its own process, a tenant with its own AWS account."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import boto3
import yaml
from botocore.config import Config

from lab import warm
from lab.aws.calls import CallRecord
from lab.aws.endpoint import AwsEndpoint
from lab.kubernetes import ApiError, ControlPlane
from lab.operator import OperatorProcess
from lab.processes import NotReady, loopback_environment, wait_until
from lab.tools import helm
from securebase.api.registry import KINDS

T = TypeVar("T")
Manifest = dict[str, Any]

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "securebase-operator"
GROUP = "/apis/securebase.io/v1alpha1"
MERGE = "application/merge-patch+json"
FINALIZER = "securebase.io/finalizer"
OWNER_TAG = "securebase.io/owner"
SYSTEM = "securebase-system"
INSTANCE = "e2e"
DEADLINE = 30.0
"""Seconds for what takes a few; every wait polls and ends as soon as it holds."""


def until(look: Callable[[], T | Literal[False] | None], what: str, deadline: float = DEADLINE, operator: OperatorProcess | None = None) -> T:
    """Polls until `look` returns something true and returns that; at once an error when the operator has ended."""
    children = [operator.child] if operator is not None and operator.child is not None else []
    found = wait_until(look, what, deadline=deadline, interval=0.15, retry_on=(OSError, ApiError), children=children)
    assert found
    return found


_PLURALS: Mapping[str, tuple[str, bool]] = {
    "Secret": ("secrets", True),
    "ConfigMap": ("configmaps", True),
    "ServiceAccount": ("serviceaccounts", True),
    "Role": ("roles", True),
    "RoleBinding": ("rolebindings", True),
    "ClusterRole": ("clusterroles", False),
    "ClusterRoleBinding": ("clusterrolebindings", False),
    **{kind.name: (kind.plural, kind.scope == "Namespaced") for kind in KINDS},
}
"""By kind: the plural, and whether it lives in a namespace."""


def apply(plane: ControlPlane, manifest: Manifest, namespace: str) -> None:
    """Server-side apply of one object, in this namespace where it names none."""
    version, metadata = manifest["apiVersion"], manifest["metadata"]
    plural, namespaced = _PLURALS[manifest["kind"]]
    where = f"/namespaces/{metadata.get('namespace', namespace)}" if namespaced else ""
    path = f"/{'apis' if '/' in version else 'api'}/{version}{where}/{plural}/{metadata['name']}"
    plane.call("PATCH", f"{path}?fieldManager=e2e&force=true&fieldValidation=Strict", manifest, content_type="application/apply-patch+yaml")


def install_rbac(plane: ControlPlane, release: str, namespaces: Sequence[str] = (), lease: str = "") -> Path:
    """The chart's ServiceAccount and RBAC, nothing else of it; a kubeconfig that holds that account's token.

    `lease` is the Lease's name where several releases compete for one.
    """
    command = [str(helm()), "template", release, str(CHART), "--namespace", SYSTEM]
    values = ["--set", f"fullnameOverride={release}", "--set-json", f"watchNamespaces={json.dumps(list(namespaces))}", "--set", f"lease.name={lease}"]
    shown = ["--show-only", "templates/rbac.yaml", "--show-only", "templates/serviceaccount.yaml"]
    environment = {**loopback_environment(), "HOME": str(plane.directory)}
    rendered = subprocess.run([*command, *values, *shown], capture_output=True, text=True, check=False, env=environment)
    assert rendered.returncode == 0, rendered.stderr
    for manifest in yaml.safe_load_all(rendered.stdout):
        apply(plane, manifest, SYSTEM)
    return plane.service_account_kubeconfig(SYSTEM, release)


def user_name(account: str) -> str:
    """A ServiceAccount as the API server's audit log names it."""
    return f"system:serviceaccount:{SYSTEM}:{account}"


def operator_process(kubeconfig: Path, endpoint: AwsEndpoint, log: Path, release: str, **settings: str) -> OperatorProcess:
    """The operator as the chart's Deployment would start it; nothing holds its AWS calls back, its own writes settle at once, and what
    is on its way takes tenths of a second."""
    common = {"workers": "4", "lease_name": release, "lease_namespace": SYSTEM, "fight_rounds": "2"}
    common |= {"aws_rate_scale": "0", "settle_scale": "0", "poll_scale": "0.2"}
    common["cache_ca_file"] = str(endpoint.control.redis_certificate_file)
    return OperatorProcess(kubeconfig, endpoint.environment, log, **{"instance": INSTANCE, **common, **settings})


@dataclass(slots=True)
class Tenant:
    """One namespace with an AwsAccount, an AWS account and a bucket of its own."""

    plane: ControlPlane
    endpoint: AwsEndpoint
    namespace: str
    operator: OperatorProcess | None = None
    account: str = field(default_factory=lambda: f"{random.randrange(10**11, 10**12)}")
    plural: str = "cdndistributions"
    """The kind that `get`, `ready` and so on look at."""
    clients: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)
    """By service and region: waits ask them many times."""

    @property
    def bucket(self) -> str:
        return f"{self.namespace}-assets"

    @property
    def account_name(self) -> str:
        return self.namespace

    @property
    def role(self) -> str:
        return f"arn:aws:iam::{self.account}:role/securebase"

    # --- AWS

    def aws(self, service: str, region: str = "us-east-1") -> Any:
        """Somebody else's client in this account."""
        if (service, region) not in self.clients:
            boto: Any = boto3
            self.clients[service, region] = boto.client(
                service,
                region_name=region,
                endpoint_url=self.endpoint.url,
                aws_access_key_id=self.account,
                aws_secret_access_key="lab",
                config=Config(retries={"total_max_attempts": 1}, user_agent_extra="somebody-else"),
            )
        return self.clients[service, region]

    def make_bucket(self, name: str = "") -> None:
        self.aws("s3").create_bucket(Bucket=name or self.bucket)

    def distributions(self) -> list[Manifest]:
        """Every distribution of the account."""
        found: list[Manifest] = self.aws("cloudfront").list_distributions()["DistributionList"].get("Items", [])
        return found

    def config(self, id: str) -> Manifest:
        """The configuration of a distribution."""
        answer: Manifest = self.aws("cloudfront").get_distribution_config(Id=id)["DistributionConfig"]
        return answer

    def edit(self, id: str, change: Callable[[Manifest], None]) -> None:
        """What somebody else does to a distribution at the console; again where the operator wrote in between."""
        cloudfront = self.aws("cloudfront")

        def written() -> bool:
            now = cloudfront.get_distribution_config(Id=id)
            change(now["DistributionConfig"])
            try:
                cloudfront.update_distribution(Id=id, IfMatch=now["ETag"], DistributionConfig=now["DistributionConfig"])
            except cloudfront.exceptions.PreconditionFailed:
                return False
            return True

        until(written, "the edit at the console")

    def tags(self, id: str) -> dict[str, str]:
        arn = f"arn:aws:cloudfront::{self.account}:distribution/{id}"
        found = self.aws("cloudfront").list_tags_for_resource(Resource=arn)["Tags"]["Items"]
        return {tag["Key"]: tag["Value"] for tag in found}

    def mark(self) -> int:
        """A position in the endpoint's call log."""
        return len(self.endpoint.control.log.records())

    def calls(self, since: int = 0) -> list[CallRecord]:
        """What the operator asked of this account."""
        return [call for call in self.endpoint.control.log.records()[since:] if call.account == self.account and "somebody-else" not in call.user_agent]

    def writes(self, since: int = 0) -> list[str]:
        """Names of the operations by which the operator changed this account; asking STS for a session changes nothing."""
        return [call.operation for call in self.calls(since) if call.write and call.service != "sts"]

    # --- manifests

    def account_manifest(self, **spec: Any) -> Manifest:
        said = {"accountId": self.account, "region": "us-east-1", "roleArn": self.role, "allowedNamespaces": [self.namespace], **spec}
        return {"apiVersion": "securebase.io/v1alpha1", "kind": "AwsAccount", "metadata": {"name": self.account_name}, "spec": said}

    def cdn(self, name: str = "site", policy: Mapping[str, Any] | None = None, **spec: Any) -> Manifest:
        """The least CdnDistribution: one bucket, one behaviour, no alarms; compared every ten seconds."""
        said: Manifest = {
            "accountRef": {"name": self.account_name},
            "policy": {"interval": "10s", **(policy or {})},
            "origins": [{"id": "assets", "s3": {"bucket": self.bucket}}],
            "behaviors": [{"path": "*", "origin": "assets", "preset": "static"}],
            "alarms": {"enabled": False},
        }
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "securebase.io/v1alpha1", "kind": "CdnDistribution", "metadata": metadata, "spec": {**said, **spec}}

    def secret(self, name: str, **values: str) -> Manifest:
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": self.namespace}, "stringData": values}

    # --- the cluster

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.plane.kubectl("-n", self.namespace, *arguments, stdin=stdin, check=check)

    def apply(self, *manifests: Manifest) -> None:
        """`kubectl apply --server-side`, without a kubectl that asks first what the API server knows."""
        for manifest in manifests:
            apply(self.plane, manifest, self.namespace)

    def delete(self, *names: str) -> None:
        """Asks for the deletion of objects; returns at once."""
        for name in names:
            self.plane.call("DELETE", self.path(name))

    def path(self, name: str) -> str:
        return f"{GROUP}/namespaces/{self.namespace}/{self.plural}/{name}"

    def get(self, name: str = "site") -> Manifest:
        found: Manifest = self.plane.call("GET", self.path(name))
        return found

    def patch(self, name: str, change: Mapping[str, Any]) -> None:
        """A merge patch of an object."""
        self.plane.call("PATCH", self.path(name), change, content_type=MERGE)

    def annotate(self, name: str, **annotations: str | None) -> None:
        """Sets `securebase.io/...` annotations, with _ for -; None removes one."""
        named = {f"securebase.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
        self.patch(name, {"metadata": {"annotations": named}})

    def exists(self, name: str) -> bool:
        try:
            self.get(name)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def account_object(self) -> Manifest:
        found: Manifest = self.plane.call("GET", f"{GROUP}/awsaccounts/{self.account_name}")
        return found

    def account_patch(self, change: Mapping[str, Any]) -> None:
        self.plane.call("PATCH", f"{GROUP}/awsaccounts/{self.account_name}", change, content_type=MERGE)

    def events(self, name: str = "site", reason: str = "") -> list[str]:
        """Messages of the Events about an object."""
        items = self.plane.call("GET", f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return [item["message"] for item in items if item["involvedObject"]["name"] == name and reason in ("", item["reason"])]

    # --- waits

    def ready(self, name: str = "site", deadline: float = DEADLINE) -> Manifest:
        """The object, once it is Ready and Synced for the spec it has now."""

        def settled() -> Manifest | None:
            body = self.get(name)
            said = conditions(body)
            current = body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"]
            return body if current and said.get("Ready", ("",))[0] == said.get("Synced", ("",))[0] == "True" else None

        return self._told(settled, f"{name} to be ready", name, deadline)

    def says(self, type: str, status: str, reason: str, name: str = "site", deadline: float = DEADLINE) -> str:
        """The message of a condition, once it has this status and reason."""

        def said() -> str | None:
            found = conditions(self.get(name)).get(type, ("", "", ""))
            return f"{found[2]} " if found[:2] == (status, reason) else None

        return self._told(said, f"{name} to say {type}={status} ({reason})", name, deadline).strip()

    def gone(self, *names: str, deadline: float = DEADLINE) -> None:
        for name in names:
            self._told(lambda name=name: not self.exists(name), f"{name} to be gone", name, deadline)  # type: ignore[misc]

    def _told(self, look: Callable[[], T | Literal[False] | None], what: str, name: str, deadline: float) -> T:
        try:
            return until(look, what, deadline, self.operator)
        except NotReady as error:
            said = _short(self.get(name)) if self.exists(name) else "no such object"
            raise NotReady(f"{error}\n{said}\ncalls: {[(call.operation, call.code) for call in self.calls()][-40:]}") from None

    def id(self, name: str = "site") -> str:
        """Distribution id of a ready object."""
        return str(self.get(name)["status"]["outputs"]["id"])


def conditions(body: Manifest) -> dict[str, tuple[str, str, str]]:
    """Status, reason and message by type."""
    found = body.get("status", {}).get("conditions", ())
    return {one["type"]: (one["status"], one["reason"], one.get("message", "")) for one in found}


def _short(body: Manifest) -> str:
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return json.dumps({**body, "metadata": metadata}, indent=1)


def securebase(tenant: Tenant, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The command, as an engineer with the administrator's kubeconfig and the endpoint's credentials runs it."""
    environment = {**loopback_environment(), **tenant.endpoint.environment, "KUBECONFIG": str(tenant.plane.kubeconfig)}
    return warm.run(*arguments, stdin=stdin, environment=environment)


def install_definitions(plane: ControlPlane) -> None:
    """Our CRDs, served."""
    plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    plane.until_defined()


def kill(operator: OperatorProcess) -> None:
    """kill -9, and its end."""
    operator.signal(signal.SIGKILL)
    assert operator.child is not None
    operator.child.process.wait(10)


def make_tenant(plane: ControlPlane, endpoint: AwsEndpoint, prefix: str, operator: OperatorProcess | None = None) -> Tenant:
    """A tenant whose namespace, AwsAccount and bucket exist."""
    name = str(plane.call("POST", "/api/v1/namespaces", {"metadata": {"generateName": prefix}})["metadata"]["name"])
    tenant = Tenant(plane, endpoint, name, operator)
    tenant.make_bucket()
    tenant.apply(tenant.account_manifest())
    return tenant


def remove_tenant(tenant: Tenant) -> None:
    """Everything of it goes, whatever state a test left it in; nothing is waited for, and nobody needs to be running. The empty namespace
    stays as long as its cluster: emptying one takes a hundred requests."""
    kept = [(f"{GROUP}/namespaces/{tenant.namespace}/{kind.plural}", True) for kind in KINDS if kind.scope == "Namespaced"]
    for path, collection in (*kept, (f"{GROUP}/awsaccounts/{tenant.account_name}", False)):
        try:
            found = tenant.plane.call("GET", path)
        except ApiError:
            continue
        for item in found["items"] if collection else [found]:
            one = f"{path}/{item['metadata']['name']}" if collection else path
            for call in (partial(_release, tenant, one), partial(tenant.plane.call, "DELETE", one)):
                _unless_gone(call)
    for client in tenant.clients.values():
        client.close()


def _release(tenant: Tenant, path: str) -> None:
    tenant.plane.call("PATCH", path, {"metadata": {"finalizers": None}}, content_type=MERGE)


def _unless_gone(call: Callable[[], Any]) -> None:
    try:
        call()
    except ApiError as error:
        if error.status != 404:
            raise


@dataclass(slots=True)
class Own:
    """A tenant in a second cluster, whose operators a test starts, stops and kills itself. They see the tenant's namespace alone."""

    tenant: Tenant
    release: str
    kubeconfig: Path
    directory: Path
    started: list[OperatorProcess] = field(default_factory=list)

    def operator(self, *, kubeconfig: Path | None = None, **settings: str) -> OperatorProcess:
        """Another operator, running. As a container that is started again in its Pod it keeps its identity, so its Lease, unless told otherwise."""
        log = self.directory / f"{self.release}-{len(self.started)}.log"
        settings = {"namespaces": self.tenant.namespace, "identity": "pod", **settings}
        process = operator_process(kubeconfig or self.kubeconfig, self.tenant.endpoint, log, self.release, **settings)
        self.started.append(process)
        self.tenant.operator = process
        return process.start(forked=True)

    def rival(self) -> tuple[Path, str]:
        """A kubeconfig of another ServiceAccount that may do the same, for a second replica that can be told apart; and its user name."""
        name = f"{self.release}-rival"
        return install_rbac(self.tenant.plane, name, [self.tenant.namespace], lease=self.release), user_name(name)

    def holder(self) -> str:
        """Who holds the Lease; "" for nobody."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/{self.release}"
        return str(self.tenant.plane.call("GET", path)["spec"].get("holderIdentity") or "")

    def stop(self) -> None:
        for process in self.started:
            if process.child is not None:
                process.child.stop(grace=0)


def own(plane: ControlPlane, endpoint: AwsEndpoint, directory: Path) -> Iterator[Own]:
    """A tenant of the second cluster, gone afterwards with its operators."""
    tenant = make_tenant(plane, endpoint, "own-")
    release = f"securebase-{tenant.namespace}"
    made = Own(tenant, release, install_rbac(plane, release, [tenant.namespace]), directory)
    try:
        yield made
    finally:
        made.stop()
        remove_tenant(tenant)

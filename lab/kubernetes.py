"""A Kubernetes control plane on loopback: etcd, kube-apiserver, kube-controller-manager; started in seconds, gone with its parent."""

from __future__ import annotations

import json
import ssl
import subprocess
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import urllib3

from lab.audit import POLICY, AuditLog
from lab.cache import Say, say_on_stderr
from lab.certificates import CertificateAuthority
from lab.controlplane.build import Binaries, find_binaries
from lab.processes import Child, free_port, loopback_environment, start_child, state_directory, wait_until
from lab.tools import kubectl

_SERVICE_NETWORK = "10.0.0.0/24"
_SERVICE_ADDRESS = "10.0.0.1"
_GARBAGE_PERCENT = "300"
"""How much a server's heap grows before its garbage is collected: with Go's own 100 a small one spends a fifth of its time on that."""
_REQUEST_SECONDS = 10.0
_READY_SECONDS = 60.0

# No node ever joins, so what looks after nodes, volumes, networks and clouds is left out: every controller watches all it may have to do with.
_CONTROLLERS = (
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
    "resourcequota-controller",
    "deployment-controller",
    "replicaset-controller",
    "job-controller",
    "cronjob-controller",
    "ttl-after-finished-controller",
)


class ApiError(Exception):
    """The API server's refusal: HTTP status, reason (`Forbidden`, `NotFound`) and message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason


class ControlPlane:
    """Use as a context manager, or call `start` and `stop`. All state is under `state_dir` (default: a temporary directory).

    `kubeconfig` is the administrator's. `audit` writes every finished request to `audit_log`.
    """

    def __init__(self, state_dir: Path | None = None, *, binaries: Binaries | None = None, audit: bool = True, say: Say = say_on_stderr) -> None:
        self._state_dir = state_dir
        self._binaries = binaries
        self._audit = audit
        self._say = say
        self._started = ExitStack()
        self._running = False
        self.children: tuple[Child, ...] = ()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when the API server is ready and the controllers work. Raises NotReady, or Unavailable where there are no binaries."""
        if self._running:
            return
        binaries = self._binaries or find_binaries(self._say)
        self.children = ()
        with ExitStack() as stack:
            directory = self._state_dir or stack.enter_context(state_directory("kubernetes"))
            directory.mkdir(parents=True, exist_ok=True)
            self._prepare(directory)
            stack.callback(self._pool.close)
            etcd_url = self._start_etcd(stack, binaries.etcd)
            self._start_apiserver(stack, binaries.apiserver, etcd_url)
            self._start_controller_manager(stack, binaries.controller_manager)
            self._started = stack.pop_all()
        self._running = True

    def stop(self) -> None:
        """Kills everything at once: nothing of it is wanted afterwards. A second call does nothing."""
        self._started.close()
        self._running = False
        self.children = ()

    def check(self) -> None:
        """Raises ProcessEnded, with the end of its log, when one of the servers has ended."""
        for child in self.children:
            child.check()

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None, *, content_type: str = "application/json") -> Any:
        """One request as administrator to a path such as `/api/v1/namespaces`; the decoded answer. Raises ApiError."""
        data = None if body is None else json.dumps(body).encode()
        try:
            response = self._pool.request(method, path, body=data, headers={"Content-Type": content_type})
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(str(error)) from error
        text = response.data.decode(errors="replace")
        if response.status >= 400:
            raise _api_error(response.status, response.reason or "", text)
        return json.loads(text) if response.headers.get("Content-Type", "").startswith("application/json") else text

    def kubectl(self, *arguments: str, stdin: str | None = None, kubeconfig: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs kubectl as administrator, or with another kubeconfig. `stdin` is for `-f -`. With `check`, a failure raises with stderr."""
        environment = {**loopback_environment(), "KUBECONFIG": str(kubeconfig or self.kubeconfig), "HOME": str(self.directory)}
        result = subprocess.run([kubectl(), *arguments], input=stdin, capture_output=True, text=True, check=False, env=environment, timeout=120)
        if check and result.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(arguments)} failed ({result.returncode}): {result.stderr.strip()}")
        return result

    def until_defined(self) -> None:
        """Return once every CRD is served. `kubectl wait` gives up at once on one that has no conditions yet."""

        def served() -> bool:
            return self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=5s", check=False).returncode == 0

        wait_until(served, "every CRD to be served", deadline=60)

    def service_account_kubeconfig(self, namespace: str, name: str, *, lifetime_seconds: int = 86_400) -> Path:
        """A kubeconfig that holds a fresh token of an existing service account (TokenRequest) and nothing else."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        answer = self.call("POST", path, {"spec": {"expirationSeconds": lifetime_seconds}})
        return self._write_kubeconfig(f"{namespace}-{name}", {"token": answer["status"]["token"]}, namespace)

    def _prepare(self, directory: Path) -> None:
        self.directory = directory
        self._port = free_port()
        self.url = f"https://127.0.0.1:{self._port}"
        self.audit_log = AuditLog(directory / "audit.log")
        authority = CertificateAuthority(directory / "pki")
        self.ca_file = authority.certificate_file
        names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
        self._serving = authority.server("apiserver", names, ["127.0.0.1", _SERVICE_ADDRESS])
        self._account_key = authority.signing_key("service-accounts")
        admin = authority.client("admin", "lab-admin", "system:masters")
        self.kubeconfig = self._write_kubeconfig("admin", _certificate_user(admin))
        controllers = authority.client("controller-manager", "system:kube-controller-manager")
        self._controllers_kubeconfig = self._write_kubeconfig("controller-manager", _certificate_user(controllers))
        context = ssl.create_default_context(cafile=str(self.ca_file))
        context.load_cert_chain(*admin)
        # Connections are kept: tests ask several times a second, and a handshake costs both sides more than the answer.
        self._pool = urllib3.HTTPSConnectionPool("127.0.0.1", self._port, timeout=_REQUEST_SECONDS, maxsize=8, retries=False, ssl_context=context)

    def _write_kubeconfig(self, name: str, user: Mapping[str, object], namespace: str = "default") -> Path:
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": name, "user": dict(user)}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": name, "namespace": namespace}}],
        }
        path = self.directory / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(document, indent=2))  # JSON is YAML, and needs no library
        return path

    def _start(self, stack: ExitStack, command: Path, *arguments: str) -> Child:
        environment = {**loopback_environment(), "GOGC": _GARBAGE_PERCENT}
        child = start_child(command.name, [command, *arguments], log=self.directory / f"{command.name}.log", directory=self.directory, environment=environment)
        stack.callback(child.stop, grace=0)
        self.children = (*self.children, child)
        return child

    def _start_etcd(self, stack: ExitStack, command: Path) -> str:
        clients, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        child = self._start(
            stack,
            command,
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
        )
        plain = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        wait_until(lambda: plain.open(f"{clients}/readyz", timeout=1).read(), "etcd", deadline=_READY_SECONDS, children=[child])
        return clients

    def _start_apiserver(self, stack: ExitStack, command: Path, etcd_url: str) -> None:
        certificate, key = self._serving
        arguments = [
            f"--etcd-servers={etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={self.directory / 'pki'}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={self.ca_file}",
            f"--service-cluster-ip-range={_SERVICE_NETWORK}",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",
            "--endpoint-reconciler-type=none",
            f"--service-account-issuer={self.url}/",
            f"--service-account-key-file={self._account_key}",
            f"--service-account-signing-key-file={self._account_key}",
        ]
        if self._audit:
            policy = self.directory / "audit-policy.yaml"
            policy.write_text(POLICY)
            # A size of 0 means 100 MB, and a rotated log would move positions already handed out.
            arguments += [f"--audit-policy-file={policy}", f"--audit-log-path={self.audit_log.path}", "--audit-log-maxsize=100000"]
        child = self._start(stack, command, *arguments)
        wait_until(
            lambda: self.call("GET", "/readyz") == "ok",
            "the API server",
            deadline=_READY_SECONDS,
            children=[child],
            retry_on=(OSError, ApiError),
        )

    def _start_controller_manager(self, stack: ExitStack, command: Path) -> None:
        child = self._start(
            stack,
            command,
            f"--kubeconfig={self._controllers_kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            f"--cert-dir={self.directory / 'pki'}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            # Every controller asks for a token of its own first; at the default of 20 requests a second that alone takes 4 s.
            "--kube-api-qps=1000",
            "--kube-api-burst=2000",
            f"--service-account-private-key-file={self._account_key}",
            f"--root-ca-file={self.ca_file}",
            f"--controllers={','.join(_CONTROLLERS)}",
        )
        # Its work is the proof: the service-account controller has been here, so an object in this namespace can be made.
        wait_until(
            lambda: self.call("GET", "/api/v1/namespaces/default/serviceaccounts/default"),
            "the controller-manager to make the default service account",
            deadline=_READY_SECONDS,
            children=[child],
            retry_on=(OSError, ApiError),
        )


def _certificate_user(files: tuple[Path, Path]) -> dict[str, object]:
    certificate, key = files
    return {"client-certificate": str(certificate), "client-key": str(key)}


def _api_error(status: int, reason: str, text: str) -> ApiError:
    try:
        told = json.loads(text)
    except ValueError:
        return ApiError(status, reason, text)
    return ApiError(status, str(told.get("reason", reason)), str(told.get("message", text)))

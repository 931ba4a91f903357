"""The chart in a real API server: installs, upgrades, leaves its CRDs, and gives the service account what it needs and no more."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from lab.kubernetes import ApiError, ControlPlane
from lab.processes import wait_until
from lab.tools import kubectl
from tests.chart.conftest import CHART, ROOT, Helm

HOME, OTHER = "securebase-system", "narrow-system"
SERVED, SECRETS_ONLY, FOREIGN = "web", "vault", "foreign"


@dataclass(frozen=True, slots=True)
class Access:
    """One question to the authorizer, about a resource as `plural.group[/subresource]`."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""

    def attributes(self) -> dict[str, str]:
        path, _, subresource = self.resource.partition("/")
        plural, _, group = path.partition(".")
        named = {"subresource": subresource, "namespace": self.namespace, "name": self.name}
        return {"verb": self.verb, "resource": plural, "group": group} | {key: value for key, value in named.items() if value}

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} {self.name} in {self.namespace or 'the cluster'}"


KINDS = ("cacheclusters", "cdndistributions", "perfalarmsets")


def everywhere() -> list[Access]:
    """What the operator does whatever it watches."""
    return [
        *(Access(verb, "awsaccounts.securebase.io") for verb in ("list", "watch", "patch")),
        Access("patch", "awsaccounts.securebase.io/status"),
        *(Access("get", "customresourcedefinitions.apiextensions.k8s.io", name=f"{kind}.securebase.io") for kind in KINDS),
        Access("get", "namespaces", name="kube-system"),
        Access("create", "events", "default"),
    ]


def lease_of(namespace: str, name: str) -> list[Access]:
    leases = "leases.coordination.k8s.io"
    return [Access("create", leases, namespace), Access("get", leases, namespace, name), Access("update", leases, namespace, name)]


def objects_in(namespace: str) -> list[Access]:
    """What the operator does with its objects; an empty namespace means all of them at once."""
    return [
        *(Access(verb, f"{kind}.securebase.io", namespace) for kind in KINDS for verb in ("list", "watch", "patch")),
        *(Access("patch", f"{kind}.securebase.io/status", namespace) for kind in KINDS),
        *(Access(verb, "secrets", namespace) for verb in ("create", "get", "list", "patch")),
        *(Access(verb, "configmaps", namespace) for verb in ("create", "get", "patch")),
        Access("create", "events", namespace),
    ]


def secrets_in(namespace: str) -> list[Access]:
    return [Access(verb, "secrets", namespace) for verb in ("get", "list", "watch")]


def never(home: str) -> list[Access]:
    """What no operator of ours may ever do."""
    return [
        *(Access(verb, f"{kind}.securebase.io", SERVED) for kind in KINDS for verb in ("create", "update", "delete", "deletecollection")),
        *(Access(verb, "awsaccounts.securebase.io") for verb in ("create", "update", "delete")),
        *(Access(verb, "secrets", SERVED) for verb in ("update", "delete", "deletecollection")),
        *(Access(verb, "configmaps", SERVED) for verb in ("list", "update", "delete")),
        *(Access("create", resource, SERVED) for resource in ("pods", "pods/exec", "jobs.batch", "deployments.apps", "serviceaccounts/token")),
        Access("get", "pods", home),
        *(Access(verb, "leases.coordination.k8s.io", home, "of-somebody-else") for verb in ("get", "update", "delete")),
        Access("create", "leases.coordination.k8s.io", FOREIGN),
        Access("list", "leases.coordination.k8s.io", home),
        Access("get", "namespaces", name=SERVED),
        Access("list", "namespaces"),
        *(Access(verb, "customresourcedefinitions.apiextensions.k8s.io", name="cdndistributions.securebase.io") for verb in ("patch", "delete")),
        Access("get", "customresourcedefinitions.apiextensions.k8s.io", name="others.example.com"),
        Access("create", "clusterrolebindings.rbac.authorization.k8s.io"),
        Access("escalate", "clusterroles.rbac.authorization.k8s.io"),
        Access("impersonate", "users"),
    ]


Allowed = Callable[[str, str, Access], bool]


@pytest.fixture(scope="module")
def installed(plane: ControlPlane, run_helm: Helm) -> Iterator[ControlPlane]:
    """Release `securebase-operator` serves every namespace; release `narrow` one, and may read Secrets of another."""
    for namespace in (HOME, OTHER, SERVED, SECRETS_ONLY, FOREIGN):
        plane.kubectl("create", "namespace", namespace)
    narrow = {"watchNamespaces": [SERVED], "secretNamespaces": [SECRETS_ONLY], "crds": {"install": False}, "rbac": {"aggregate": False}}
    kubeconfig = ("--kubeconfig", plane.kubeconfig)
    run_helm("install", "securebase-operator", CHART, "--namespace", HOME, *kubeconfig)
    run_helm("install", "narrow", CHART, "--namespace", OTHER, *kubeconfig, values=narrow)
    yield plane
    plane.kubectl("delete", "namespace", OTHER, SERVED, SECRETS_ONLY, FOREIGN, "--wait=false")


@pytest.fixture(scope="module")
def allowed(installed: ControlPlane) -> Allowed:
    def ask(namespace: str, account: str, access: Access) -> bool:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        spec: dict[str, Any] = {"user": f"system:serviceaccount:{namespace}:{account}", "groups": groups, "resourceAttributes": access.attributes()}
        answer = installed.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
        return bool(answer["status"]["allowed"])

    wait_until(lambda: ask(OTHER, "narrow-securebase-operator", lease_of(OTHER, "")[0]), "the authorizer to see the last binding", deadline=15)
    return ask


def wrongly(allowed: Allowed, namespace: str, account: str, accesses: list[Access], *, expected: bool) -> list[str]:
    return [str(access) for access in accesses if allowed(namespace, account, access) is not expected]


def test_the_service_account_may_do_everything_it_has_to(allowed: Allowed) -> None:
    needed = [*everywhere(), *lease_of(HOME, "securebase-operator"), *objects_in(""), *secrets_in("")]
    assert wrongly(allowed, HOME, "securebase-operator", needed, expected=True) == []


def test_the_service_account_may_do_nothing_else(allowed: Allowed) -> None:
    assert wrongly(allowed, HOME, "securebase-operator", never(HOME), expected=False) == []


def test_namespaces_restrict_objects_and_secrets_apart(allowed: Allowed) -> None:
    account = "narrow-securebase-operator"
    needed = [*everywhere(), *lease_of(OTHER, account), *objects_in(SERVED), *secrets_in(SECRETS_ONLY)]
    assert wrongly(allowed, OTHER, account, needed, expected=True) == []
    outside = [
        *objects_in(FOREIGN),
        *objects_in(""),
        *(access for name in (FOREIGN, OTHER, "kube-system", "") for access in secrets_in(name)),
        Access("watch", "secrets", SERVED),
    ]
    assert wrongly(allowed, OTHER, account, [*outside, *never(OTHER)], expected=False) == []


def test_a_request_with_the_accounts_own_token_is_judged_the_same(installed: ControlPlane, allowed: Allowed) -> None:
    kubeconfig = installed.service_account_kubeconfig(OTHER, "narrow-securebase-operator")
    for arguments, answer in (
        (("list", "secrets", "--namespace", SECRETS_ONLY), "yes"),
        (("watch", "secrets", "--namespace", SERVED), "no"),
        (("patch", "cdndistributions.securebase.io", "--namespace", SERVED), "yes"),
        (("patch", "cdndistributions.securebase.io", "--namespace", FOREIGN), "no"),
    ):
        assert installed.kubectl("auth", "can-i", *arguments, kubeconfig=kubeconfig, check=False).stdout.strip() == answer, arguments


@pytest.mark.parametrize(("role", "verb", "resource", "expected"), [
    ("view", "list", "cdndistributions.securebase.io", True),
    ("view", "patch", "cdndistributions.securebase.io", False),
    ("edit", "patch", "cdndistributions.securebase.io", True),
    ("edit", "create", "awsaccounts.securebase.io", False),
])  # fmt: skip
def test_the_built_in_roles_know_our_kinds(installed: ControlPlane, allowed: Allowed, role: str, verb: str, resource: str, expected: bool) -> None:
    account = f"person-{role}"
    if installed.kubectl("get", "serviceaccount", account, "--namespace", SERVED, check=False).returncode:
        installed.kubectl("create", "serviceaccount", account, "--namespace", SERVED)
        installed.kubectl("create", "rolebinding", account, f"--clusterrole={role}", f"--serviceaccount={SERVED}:{account}", "--namespace", SERVED)
    question = Access(verb, resource, "" if "awsaccounts" in resource else SERVED)
    wait_until(lambda: allowed(SERVED, account, question) is expected, f"{question} to be {expected} for {role}", deadline=15)


def test_the_deployment_is_accepted_under_the_restricted_standard(installed: ControlPlane) -> None:
    installed.kubectl("label", "namespace", HOME, "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
    template = installed.call("GET", f"/apis/apps/v1/namespaces/{HOME}/deployments/securebase-operator")["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "namespace": HOME}, "spec": template["spec"]}
    answer = installed.call("POST", f"/api/v1/namespaces/{HOME}/pods?dryRun=All", pod)
    assert answer["spec"]["serviceAccountName"] == "securebase-operator"


def test_an_upgrade_changes_what_values_say(installed: ControlPlane, run_helm: Helm) -> None:
    common = ("--namespace", HOME, "--kubeconfig", installed.kubeconfig)
    run_helm("upgrade", "securebase-operator", CHART, *common, values={"workers": 4, "replicaCount": 2})
    deployment = installed.call("GET", f"/apis/apps/v1/namespaces/{HOME}/deployments/securebase-operator")
    assert deployment["spec"]["replicas"] == 2
    assert {"name": "SECUREBASE_WORKERS", "value": "4"} in deployment["spec"]["template"]["spec"]["containers"][0]["env"]


def test_uninstalling_keeps_the_crds_and_the_objects(installed: ControlPlane, run_helm: Helm) -> None:
    """Last in this file: it takes the release away."""
    installed.kubectl("apply", "--namespace", SERVED, "-f", str(ROOT / "examples" / "cdn-minimal.yaml"))
    common = ("--namespace", HOME, "--kubeconfig", installed.kubeconfig)
    run_helm("uninstall", "securebase-operator", *common)
    assert installed.call("GET", f"/apis/securebase.io/v1alpha1/namespaces/{SERVED}/cdndistributions/minimal")["kind"] == "CdnDistribution"
    with pytest.raises(ApiError, match="NotFound"):
        installed.call("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/securebase-operator")
    run_helm("install", "securebase-operator", CHART, *common)


def test_the_kustomize_base_is_accepted(installed: ControlPlane) -> None:
    for directory in ("base", "examples/overlay"):
        answer = installed.kubectl("apply", "-k", str(ROOT / "manifests" / directory), "--dry-run=server", "--server-side", "--force-conflicts")
        assert "deployment.apps/securebase-operator serverside-applied" in answer.stdout


def test_the_base_says_the_same_as_the_chart(run_helm: Helm) -> None:
    """Rendered by helm on one side, by kustomize on the other; labels and annotations of the tools apart."""
    chart = run_helm("template", "securebase-operator", CHART, "--namespace", HOME).stdout
    base = subprocess.run([kubectl(), "kustomize", ROOT / "manifests" / "base"], capture_output=True, text=True, check=True).stdout
    assert comparable(chart) == {key: value for key, value in comparable(base).items() if key[0] != "Namespace"}


def comparable(text: str) -> dict[tuple[str, str], Any]:
    found = {}
    for document in yaml.safe_load_all(text):
        if document:
            metadata = document["metadata"]
            body = {key: value for key, value in document.items() if key != "metadata"}
            found[document["kind"], f"{metadata.get('namespace', '')}/{metadata['name']}"] = strip(body)
    return found


def strip(value: Any) -> Any:
    """Without the labels that name helm, at any depth."""
    if isinstance(value, dict):
        return {key: strip(item) for key, item in value.items() if key not in ("helm.sh/chart", "app.kubernetes.io/managed-by")}
    return [strip(item) for item in value] if isinstance(value, list) else value

"""The lab's control plane against itself: it is real, its controllers work, RBAC holds, and nothing survives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lab.controlplane.build import kubernetes_version
from lab.kubernetes import ApiError, ControlPlane
from lab.processes import wait_until
from lab.tools import helm

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("kubernetes")) as plane:
        yield plane


def absent(plane: ControlPlane, path: str) -> bool:
    try:
        plane.call("GET", path)
    except ApiError as error:
        return error.status == 404
    return False


def test_the_server_reports_the_release_it_was_built_from(plane: ControlPlane) -> None:
    assert plane.call("GET", "/version")["gitVersion"] == kubernetes_version()


def test_a_deleted_namespace_goes_with_all_it_holds(plane: ControlPlane) -> None:
    plane.kubectl("create", "namespace", "to-be-deleted")
    plane.kubectl("create", "configmap", "inside", "--namespace=to-be-deleted")
    plane.kubectl("delete", "namespace", "to-be-deleted", "--wait=false")
    wait_until(lambda: absent(plane, "/api/v1/namespaces/to-be-deleted"), "the namespace controller", deadline=30)


def test_dependants_are_garbage_collected(plane: ControlPlane) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    owner = plane.call("POST", path, {"metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    plane.call("POST", path, {"metadata": {"name": "dependant", "ownerReferences": [reference]}})
    plane.call("DELETE", f"{path}/owner")
    wait_until(lambda: absent(plane, f"{path}/dependant"), "the garbage collector", deadline=30)


def test_a_service_account_can_do_what_its_role_says_and_no_more(plane: ControlPlane) -> None:
    plane.kubectl("create", "namespace", "rbac")
    plane.kubectl("create", "serviceaccount", "reader", "--namespace=rbac")
    plane.kubectl("create", "role", "reader", "--verb=get,list", "--resource=configmaps", "--namespace=rbac")
    plane.kubectl("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=rbac:reader", "--namespace=rbac")
    kubeconfig = plane.service_account_kubeconfig("rbac", "reader")

    def readable() -> bool:
        return plane.kubectl("get", "configmaps", kubeconfig=kubeconfig, check=False).returncode == 0

    wait_until(readable, "the authorizer to see the new binding", deadline=10)
    for refused in (["create", "configmap", "x"], ["get", "secrets"], ["get", "configmaps", "--namespace=default"]):
        answer = plane.kubectl(*refused, kubeconfig=kubeconfig, check=False)
        assert answer.returncode != 0
        assert 'User "system:serviceaccount:rbac:reader" cannot' in answer.stderr


def test_a_refusal_carries_status_reason_and_message(plane: ControlPlane) -> None:
    with pytest.raises(ApiError, match='404 NotFound: configmaps "nothing" not found') as refusal:
        plane.call("GET", "/api/v1/namespaces/default/configmaps/nothing")
    assert refusal.value.status == 404


def test_writes_are_counted_from_the_audit_log(plane: ControlPlane) -> None:
    mark = plane.audit_log.mark()
    plane.kubectl("create", "configmap", "counted")
    plane.kubectl("create", "configmap", "dry", "--dry-run=server")
    plane.kubectl("get", "configmaps")
    plane.kubectl("auth", "can-i", "get", "pods")
    plane.kubectl("create", "configmap", "counted", check=False)
    plane.kubectl("delete", "configmap", "counted")
    writes = plane.audit_log.writes(since=mark, user="lab-admin")
    assert [(request.verb, request.resource, request.name) for request in writes] == [
        ("create", "configmaps", "counted"),
        ("delete", "configmaps", "counted"),
    ]
    assert any(request.verb == "list" and request.resource == "configmaps" for request in plane.audit_log.requests(since=mark))


def test_helm_reaches_it(plane: ControlPlane) -> None:
    answer = subprocess.run([helm(), "list", "--kubeconfig", plane.kubeconfig], capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("NAME")


def test_audit_can_be_left_out_and_stopping_twice_does_no_harm(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path, audit=False)
    plane.stop()
    plane.start()
    children = plane.children
    assert [child.name for child in children] == ["etcd", "kube-apiserver", "kube-controller-manager"]
    plane.check()
    assert not plane.audit_log.path.exists()
    plane.stop()
    plane.stop()
    assert not any(child.alive() for child in children)


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal exists on Linux only")
def test_sigkill_of_the_parent_leaves_nothing_running(tmp_path: Path, gone: Callable[[int], bool]) -> None:
    program = f"""
import pathlib, sys
from lab.kubernetes import ControlPlane
with ControlPlane(pathlib.Path({str(tmp_path)!r})) as plane:
    print(*(child.pid for child in plane.children), flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 3
        assert not any(gone(pid) for pid in pids)
        os.kill(parent.pid, signal.SIGKILL)
        wait_until(lambda: all(gone(pid) for pid in pids), "etcd, API server and controllers to end", deadline=10)


def test_the_command_prints_what_to_export_and_stops_on_sigterm(tmp_path: Path, gone: Callable[[int], bool]) -> None:
    env_file = tmp_path / "lab.env"
    command = [sys.executable, "-m", "lab", "up", "--without", "aws", "--env-file", str(env_file)]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, cwd=_ROOT, stdout=log, stderr=log) as lab:
        wait_until(lambda: env_file.exists() or lab.poll() is not None, "python -m lab up", deadline=60)
        answer = subprocess.run(["sh", "-c", f". {env_file} && {sys.prefix}/bin/kubectl get namespace default"], capture_output=True, text=True, check=False)
        servers = {server.pid: server.name() for server in psutil.Process(lab.pid).children()}
        lab.terminate()
        assert lab.wait(30) == 0, (tmp_path / "log").read_text()
    assert "default   Active" in answer.stdout
    assert {"etcd", "kube-apiserver"} <= set(servers.values())
    assert not env_file.exists()
    assert all(gone(pid) for pid in servers)

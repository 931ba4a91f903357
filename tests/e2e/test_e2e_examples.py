"""Every example carried out: Ready, and for whoever syncs it from git the same afterwards as before."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.aws.endpoint import AwsEndpoint
from lab.kubernetes import ControlPlane
from lab.operator import OperatorProcess
from securebase.api.registry import kind_of
from tests.e2e.harness import GROUP, ROOT, Manifest, Tenant, conditions, install_rbac, operator_process, remove_tenant, until, user_name

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
NAMESPACE, ACCOUNT = "web", "123456789012"
RELEASE = "securebase-examples"
BUCKETS = ("securebase-assets", "securebase-portal", "securebase-site", "securebase-site-replica", "securebase-cdn-logs")
FUNCTIONS = ("securebase-orders", "securebase-billing")
LOG_GROUPS = ("/elasticache/sessions/slow", "/elasticache/sessions/engine", "/securebase/portal", *(f"/aws/lambda/{name}" for name in FUNCTIONS))

parametrized = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)


class Platform(Tenant):
    """The namespace and the account that the examples speak of."""

    @property
    def account_name(self) -> str:
        return "default"


@pytest.fixture(scope="module")
def operator(other_plane: ControlPlane, endpoint: AwsEndpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """An operator for that namespace alone."""
    other_plane.kubectl("create", "namespace", NAMESPACE)
    kubeconfig = install_rbac(other_plane, RELEASE, [NAMESPACE])
    log = tmp_path_factory.mktemp("examples") / "operator.log"
    with operator_process(kubeconfig, endpoint, log, RELEASE, namespaces=NAMESPACE) as process:
        yield process


@pytest.fixture(scope="module")
def platform(other_plane: ControlPlane, endpoint: AwsEndpoint, operator: OperatorProcess) -> Iterator[Tenant]:
    """What the examples build on and do not make themselves: buckets, a zone, a Secret, log groups."""
    tenant = Platform(other_plane, endpoint, NAMESPACE, operator, ACCOUNT)
    for bucket in BUCKETS:
        tenant.make_bucket(bucket)
    for log_group in LOG_GROUPS:
        tenant.aws("logs").create_log_group(logGroupName=log_group)
    make_watched(tenant)
    tenant.aws("route53").create_hosted_zone(Name="example.com", CallerReference="examples")
    tenant.apply(tenant.secret("origin-verify", token="a-token-of-the-example"))
    tenant.kubectl("apply", "-f", str(ROOT / "examples" / "awsaccount.yaml"))
    yield tenant
    remove_tenant(tenant)


def make_watched(tenant: Tenant) -> None:
    """What the alarm sets watch."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): return 1")
    for name in FUNCTIONS:
        tenant.aws("lambda").create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=f"arn:aws:iam::{ACCOUNT}:role/f",
            Handler="index.handler",
            Code={"ZipFile": packed.getvalue()},
            Tags={"platform": "securebase"},
        )
    tenant.aws("dynamodb").create_table(
        TableName="securebase-tenants",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    tenant.aws("rds").create_db_cluster(
        DBClusterIdentifier="securebase-main", Engine="aurora-postgresql", MasterUsername="u", MasterUserPassword="of-the-example"
    )
    tenant.aws("sqs").create_queue(QueueName="securebase-jobs")
    tenant.aws("apigateway").create_rest_api(name="securebase-api")


@pytest.fixture(scope="module")
def files(platform: Tenant, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The examples by their names, with ids of subnets and security groups that there are: AWS alone chooses those."""
    ec2, directory = platform.aws("ec2"), tmp_path_factory.mktemp("files")
    subnets = [subnet["SubnetId"] for subnet in sorted(ec2.describe_subnets()["Subnets"], key=lambda subnet: str(subnet["AvailabilityZone"]))]
    vpc = ec2.describe_subnets(SubnetIds=subnets[:1])["Subnets"][0]["VpcId"]
    group = ec2.create_security_group(GroupName="api", Description="the functions of the API", VpcId=vpc)["GroupId"]
    for example in EXAMPLES:
        text = example.read_text()
        for theirs, there in zip(dict.fromkeys(re.findall(r"subnet-[0-9a-f]{17}", text)), subnets, strict=False):
            text = text.replace(theirs, there)
        (directory / example.name).write_text(re.sub(r"sg-[0-9a-f]{17}", group, text))
    return {example.name: directory / example.name for example in EXAMPLES}


def ours(example: Path) -> list[Manifest]:
    documents = [document for document in yaml.safe_load_all(example.read_text()) if document]
    return [document for document in documents if kind_of(document["apiVersion"], document["kind"])]


def plural_of(document: Manifest) -> str:
    kind = kind_of(document["apiVersion"], document["kind"])
    assert kind is not None
    return kind.plural


def place(document: Manifest) -> str:
    """Its path at the API server."""
    plural, name = plural_of(document), document["metadata"]["name"]
    return f"{GROUP}/{plural}/{name}" if document["kind"] == "AwsAccount" else f"{GROUP}/namespaces/{NAMESPACE}/{plural}/{name}"


def carried_out(platform: Tenant, document: Manifest) -> Manifest:
    """The object, once it is Ready and Synced."""

    def settled() -> Manifest | None:
        body: Manifest = platform.plane.call("GET", place(document))
        said = {name: status for name, (status, _, _) in conditions(body).items()}
        current = body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"]
        return body if current and said.get("Ready") == said.get("Synced") == "True" else None

    return until(settled, f"{document['kind']} {document['metadata']['name']} to be ready", 90, platform.operator)


@parametrized
def test_it_becomes_ready_and_does_not_differ_from_its_file(example: Path, platform: Tenant, files: dict[str, Path]) -> None:
    """What kubectl and Argo CD compare. The operator adds a finalizer and a status, nothing else."""
    example = files[example.name]
    platform.kubectl("apply", "--validate=strict", "-f", str(example))
    asked: list[dict[str, Any]] = [platform.plane.call("GET", place(document)) for document in ours(example)]
    for document, before in zip(ours(example), asked, strict=True):
        body = carried_out(platform, document)
        assert body["spec"] == before["spec"]
        assert body["metadata"]["generation"] == before["metadata"]["generation"] == 1
        assert body["metadata"].get("labels") == before["metadata"].get("labels")
        assert body["metadata"].get("annotations") == before["metadata"].get("annotations")
        managers = {one["manager"]: one["fieldsV1"] for one in body["metadata"]["managedFields"]}
        assert [name for name, fields in managers.items() if "f:spec" in fields] == ["kubectl-client-side-apply"]
    again = platform.kubectl("apply", "-f", str(example)).stdout.splitlines()
    assert [line for line in again if not line.endswith("unchanged")] == []
    assert _difference(platform, example) == ""
    platform.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(example))
    assert _difference(platform, example, "--server-side", "--force-conflicts") == ""


def _difference(platform: Tenant, example: Path, *way: str) -> str:
    """What kubectl would change, three-way or as the server would merge it."""
    answer = platform.kubectl("diff", *way, "-f", str(example), check=False)
    assert answer.returncode in (0, 1), answer.stderr
    return answer.stdout


def acknowledged(tenant: Tenant, name: str, refresh: str) -> bool:
    return bool(tenant.get(name)["status"].get("acknowledged", {}).get("refresh") == refresh)


def test_together_they_come_to_rest(platform: Tenant, files: dict[str, Path]) -> None:
    """All of them side by side share what is equal, and then nothing more is written, neither to AWS nor to the cluster."""
    platform.kubectl("apply", *(argument for file in files.values() for argument in ("-f", str(file))))
    documents = [document for file in files.values() for document in ours(file)]
    for document in documents:
        carried_out(platform, document)
    at, position = platform.mark(), platform.plane.audit_log.mark()
    looked = [(replace(platform, plural=plural_of(document)), document["metadata"]["name"]) for document in documents if document["kind"] != "AwsAccount"]
    for of, name in looked:
        of.annotate(name, refresh="look")
    for of, name in looked:
        until(partial(acknowledged, of, name, "look"), f"{name} to be looked at", 60, platform.operator)
    assert platform.writes(at) == []
    written = [write for write in platform.plane.audit_log.writes(since=position, user=user_name(RELEASE)) if write.resource != "leases"]
    assert {(write.resource, write.subresource) for write in written} == {(of.plural, "status") for of, _ in looked}, "the acknowledgement alone"

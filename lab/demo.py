"""`make demo`: the main job on real input, watched: git-style manifests in, AWS out, somebody's drift seen and repaired, and away again."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
import yaml
from rich.console import Console
from rich.text import Text

from lab.aws.endpoint import AwsEndpoint
from lab.kubernetes import ControlPlane
from lab.operator import OperatorProcess, install_chart
from lab.processes import loopback_environment, state_directory, wait_until

ROOT = Path(__file__).resolve().parent.parent
ACCOUNT = "123456789012"
INSTANCE = "demo"
console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Run the demonstration; 0 when everything it shows did happen."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the lab up at the end, until Ctrl-C")
    options = parser.parse_args()
    started = time.monotonic()
    with ExitStack() as stack:
        demo = Demo(stack)
        demo.start()
        demo.plan()
        demo.apply()
        demo.drift()
        demo.refusals()
        demo.metrics()
        if options.keep:
            demo.keep()
        demo.delete()
    console.print(f"\n[bold green]Everything shown above did happen, in {time.monotonic() - started:.0f} s.[/]")
    return 0


class Demo:
    """The steps, in order."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.directory = stack.enter_context(state_directory("demo"))

    def start(self) -> None:
        """Kubernetes, AWS, the chart, the operator."""
        with step("A Kubernetes API server, controllers and etcd on loopback"):
            self.kubernetes = self.stack.enter_context(ControlPlane(self.directory / "kubernetes"))
        with step("An AWS endpoint: emulators behind a router that adds what CloudFront, ACM and Route 53 refuse"):
            self.aws = self.stack.enter_context(AwsEndpoint(self.directory / "aws"))
            self.aws.control.settings.distribution_deploy_s = 3.0
        with step("The chart: CRDs, RBAC, Lease; the operator runs under exactly that service account"):
            kubeconfig = install_chart(self.kubernetes, "securebase-system", self.directory)
            log = self.directory / "operator.log"
            environment = {**self.aws.environment, "AWS_ACCESS_KEY_ID": ACCOUNT}
            self.operator = self.stack.enter_context(OperatorProcess(kubeconfig, environment, log, instance=INSTANCE, lease_namespace="securebase-system"))
        with step("What others own: buckets, a hosted zone, a Secret, an AwsAccount"):
            self._surroundings()

    def _surroundings(self) -> None:
        s3 = self.client("s3")
        for bucket in ("securebase-site", "securebase-cdn-logs"):
            s3.create_bucket(Bucket=bucket)
        s3.create_bucket(Bucket="securebase-site-replica", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        self.client("route53").create_hosted_zone(Name="example.com", CallerReference="demo")
        self.kubernetes.kubectl("create", "secret", "generic", "origin-verify", "--from-literal=token=shown-to-nobody-1")
        account = yaml.safe_load((ROOT / "examples/awsaccount.yaml").read_text())
        self.manifests = self.directory / "manifests"
        self.manifests.mkdir()
        (self.manifests / "awsaccount.yaml").write_text(yaml.safe_dump(account))
        platform = yaml.safe_load((ROOT / "examples/cdn-platform.yaml").read_text())
        platform["spec"]["policy"]["interval"] = "10s"  # a demonstration should not wait five minutes
        (self.manifests / "cdn.yaml").write_text(yaml.safe_dump(platform, sort_keys=False))

    def plan(self) -> None:
        """What a pull request would show."""
        title("securebase plan: before anything is applied")
        done = self._securebase("plan", "-f", str(self.manifests))
        lines = done.stdout.splitlines()
        told = [line for line in lines if not line.startswith("      ")]
        console.print("\n".join(told), markup=False)
        console.print(f"  ({len(lines)} lines with every field; exit code {done.returncode}: something would change)", style="dim", markup=False)
        expect(done.returncode == 2, f"plan says that something would change: {done.stderr}")

    def apply(self) -> None:
        """kubectl apply, until Ready."""
        title("kubectl apply")
        before = time.monotonic()
        console.print(self.kubernetes.kubectl("apply", "-f", str(self.manifests)).stdout.strip(), markup=False)
        said: list[str] = []

        def ready() -> bool:
            condition = self.condition("Ready")
            message = f"{condition.get('reason', '')}: {condition.get('message', '')}"
            if condition and message not in said:
                said.append(message)
                console.print(Text(f"  {message}", style="dim"))
            return condition.get("status") == "True"

        wait_until(ready, "the distribution to be Ready", deadline=120, interval=0.2, children=self.children())
        console.print(self.kubernetes.kubectl("get", "cdndistribution,awsaccount").stdout.rstrip(), markup=False)
        outputs = json.loads(self.kubernetes.kubectl("get", "configmap", "platform-outputs", "-o", "json").stdout)["data"]
        for name, value in outputs.items():
            console.print(f"  {name}: {value}", markup=False)
        writes = len(self.aws.control.log.writes())
        console.print(
            f"  Ready {time.monotonic() - before:.0f} s after apply; {writes} AWS writes, certificate validated through Route 53 included", style="dim"
        )

    def drift(self) -> None:
        """Somebody with a console."""
        title("Somebody opens the AWS console")
        cloudfront, identifier = self.client("cloudfront"), self.status()["outputs"]["id"]
        got = cloudfront.get_distribution_config(Id=identifier)
        config = got["DistributionConfig"]
        config["PriceClass"] = "PriceClass_All"
        config["ViewerCertificate"]["MinimumProtocolVersion"] = "TLSv1.2_2018"
        cloudfront.update_distribution(Id=identifier, IfMatch=got["ETag"], DistributionConfig=config)
        alarms = self.client("cloudwatch")
        alarm = next(a["AlarmName"] for a in alarms.describe_alarms()["MetricAlarms"] if "5xx" in a["AlarmName"])
        alarms.delete_alarms(AlarmNames=[alarm])
        console.print("  widened the price class, weakened TLS, deleted the 5xx alarm", style="yellow")
        changed = time.monotonic()

        def repaired() -> bool:
            there = cloudfront.get_distribution_config(Id=identifier)["DistributionConfig"]
            back = there["PriceClass"] == "PriceClass_100" and there["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
            return bool(back and alarms.describe_alarms(AlarmNames=[alarm])["MetricAlarms"])

        wait_until(repaired, "the drift to be repaired", deadline=150, interval=0.5, children=self.children())
        console.print(
            f"  seen and repaired {time.monotonic() - changed:.0f} s later; what changes within a minute of our own write is not called drift yet",
            style="green",
        )
        wait_until(lambda: self.condition("Ready").get("status") == "True", "the repair to be deployed", deadline=60, children=self.children())
        events = json.loads(self.kubernetes.kubectl("get", "events", "-o", "json").stdout)["items"]
        for event in events:
            if event["reason"].startswith("Drift"):
                console.print(f"  Event {event['reason']}: {event['message']}", markup=False)

    def refusals(self) -> None:
        """Bad specs never get in."""
        title("A bad spec is refused at apply time, with the fix")
        for wrong, change in (
            ("behavior without its origin", {"behaviors": [{"path": "*", "origin": "nowhere", "preset": "static"}]}),
            ("alias without certificate", {"certificate": None}),
        ):
            patch = json.dumps({"spec": change})
            done = self.kubernetes.kubectl("patch", "cdn", "platform", "--type=merge", "-p", patch, check=False)
            expect(done.returncode != 0, f"the API server refuses a {wrong}")
            console.print(f"  {wrong}:", markup=False)
            console.print(f"    {' '.join(done.stderr.split())[:420]}", style="dim", markup=False)

    def metrics(self) -> None:
        """What Prometheus scrapes."""
        title(f"{self.operator.url}/metrics")
        wanted = ("securebase_resource_ready", "securebase_drift_", "securebase_drifted_fields", "securebase_last_sweep")
        for line in self.operator.metrics().splitlines():
            if line.startswith(wanted) and not line.endswith("_created") and "_created{" not in line:
                console.print(f"  {line}", markup=False)

    def keep(self) -> None:
        """Until Ctrl-C."""
        title("The lab stays up")
        console.print(f"  export KUBECONFIG={self.kubernetes.kubeconfig} AWS_ENDPOINT_URL={self.aws.url}", markup=False)
        console.print("  Ctrl-C goes on with the deletion.", style="dim")
        try:
            while True:
                self.kubernetes.check()
                time.sleep(1)
        except KeyboardInterrupt:
            console.print()

    def delete(self) -> None:
        """kubectl delete, until AWS is empty."""
        title("kubectl delete: our records, the distribution disabled, deployed, deleted, then what it used")
        self.kubernetes.kubectl("delete", "cdn", "platform", "--wait=false")
        said: list[str] = []

        def gone() -> bool:
            found = self.kubernetes.kubectl("get", "cdn", "platform", "-o", "json", check=False)
            if found.returncode:
                return True
            counts = json.loads(found.stdout).get("status", {}).get("resourceCounts", {})
            told = ", ".join(f"{count} {state.lower()}" for state, count in counts.items())
            if told not in said:
                said.append(told)
                console.print(f"  left: {told}", style="dim")
            return False

        wait_until(gone, "the object to be gone", deadline=180, interval=0.3, children=self.children())
        left = self.client("cloudfront").list_distributions()["DistributionList"].get("Items", [])
        alarms = self.client("cloudwatch").describe_alarms()["MetricAlarms"]
        expect(not left and not alarms, "nothing of ours is left in AWS")
        console.print("  gone, and nothing of ours is left in AWS", style="green")

    def client(self, service: str) -> Any:
        """Somebody else's boto3 client."""
        make: Any = boto3.client  # a service's name is only known here, so its overloads are of no use
        return make(service, region_name="us-east-1", endpoint_url=self.aws.url, aws_access_key_id=ACCOUNT, aws_secret_access_key="lab")

    def status(self) -> dict[str, Any]:
        """The object's status."""
        found: dict[str, Any] = json.loads(self.kubernetes.kubectl("get", "cdn", "platform", "-o", "json").stdout)
        status: dict[str, Any] = found.get("status") or {}
        return status

    def condition(self, type_: str) -> dict[str, Any]:
        """One condition, or {}."""
        return next((c for c in self.status().get("conditions") or () if c["type"] == type_), {})

    def children(self) -> list[Any]:
        """Processes that must be alive."""
        return [self.operator.child] if self.operator.child is not None else []

    def _securebase(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**loopback_environment(), **self.aws.environment, "AWS_ACCESS_KEY_ID": ACCOUNT, "SECUREBASE_INSTANCE": INSTANCE}
        return subprocess.run([sys.executable, "-m", "securebase", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=120)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done and how long it took."""
    console.print(f"[bold]{what}[/]")
    started = time.monotonic()
    yield
    console.print(f"  {time.monotonic() - started:.1f} s", style="dim")


def title(what: str) -> None:
    """A heading."""
    console.print(f"\n[bold]{what}[/]")


def expect(true: bool, what: str) -> None:
    """The demonstration shows only what is so."""
    if not true:
        raise SystemExit(f"the demonstration failed: {what}")


if __name__ == "__main__":
    sys.exit(main())

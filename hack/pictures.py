"""The dashboards in docs/pictures: the platform of examples/ with six hours of plausible data in the lab's CloudWatch, drawn by `securebase dashboard`.

`python -m hack.pictures` writes them anew. The data and the time are the same whenever it runs; ids that AWS gives are not.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import random
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import yaml
from PIL import Image

from lab.aws.endpoint import AwsEndpoint
from lab.processes import state_directory
from securebase.cli import Picturing
from securebase.cli.dashboard import Prepared, Wish, draw, prepared
from securebase.core.identity import OWNER_TAG, Identity

ROOT = Path(__file__).parents[1]
INTO = ROOT / "docs" / "pictures"
FILES = ("perfalarmset-platform.yaml", "cachecluster-prod.yaml", "cdn-platform.yaml")
ACCOUNT, REGION, INSTANCE, NAMESPACE = "123456789012", "us-east-1", "prod", "shop"
HOURS = 6
END = int(datetime(2026, 11, 20, 18, 0, tzinfo=UTC).timestamp())
SEED = 20261120
INCIDENT = range(318, 360)
"""The last minutes of the six hours: the database is slow, and everything behind it with it."""
AT_ONCE = 150
"""Data of one PutMetricData; it takes a thousand, and a megabyte."""
WIDTH = 3.0
"""Of the band around the signups, in deviations."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a metric moves: around `base`, with the day's tide and some noise, times `incident` while something is wrong.

    samples  values of a minute; more than one where percentiles are asked for
    rare     share of the minutes in which there is anything but 0
    gaps     nothing is published instead of 0
    """

    base: float
    noise: float = 0.06
    tide: float = 0.15
    incident: float = 1.0
    samples: int = 1
    rare: float = 1.0
    most: float = math.inf
    whole: bool = False
    gaps: bool = False

    def values(self, minute: int, rng: random.Random) -> list[float]:
        """Of one minute; none where nothing is published."""
        if rng.random() > self.rare and not (self.incident > 1 and minute in INCIDENT):
            return [] if self.gaps else [0.0]
        middle = self.base * (1 + self.tide * math.sin(minute / 360 * 2 * math.pi - 1)) * (self.incident if minute in INCIDENT else 1.0)
        drawn = [min(self.most, middle * rng.lognormvariate(0, self.noise)) for _ in range(self.samples)]
        return [float(round(value)) if self.whole else round(value, 3) for value in drawn]


SHAPES: Mapping[str, Shape] = {
    "Latency": Shape(48, noise=0.45, incident=2.6, samples=40),
    "Count": Shape(920, whole=True),
    "5XXError": Shape(3, noise=0.5, incident=3.0, rare=0.12, whole=True),
    "4XXError": Shape(9, noise=0.3, whole=True),
    "Duration": Shape(32, noise=0.4, incident=2.2, samples=30),
    "InitDuration": Shape(410, noise=0.2, rare=0.15, gaps=True),
    "ConcurrentExecutions": Shape(14, incident=1.8, whole=True),
    "Errors": Shape(1.4, noise=0.4, incident=3.0, rare=0.06, whole=True),
    "Throttles": Shape(1, rare=0.0),
    "SuccessfulRequestLatency": Shape(4.2, noise=0.12),
    "ReadThrottleEvents": Shape(2, rare=0.01, whole=True),
    "WriteThrottleEvents": Shape(1, rare=0.0),
    "CacheHitRate": Shape(91, noise=0.008, tide=0.02, incident=0.93, most=100),
    "DatabaseMemoryUsagePercentage": Shape(64, noise=0.01, tide=0.05),
    "Evictions": Shape(6, noise=0.5, incident=8.0, rare=0.3, whole=True),
    "5xxErrorRate": Shape(0.2, noise=0.6, incident=2.5),
    "Requests": Shape(2_400, whole=True),
    "CPUUtilization": Shape(38, incident=2.1, most=99),
    "DatabaseConnections": Shape(120, incident=1.5, whole=True),
    "ApproximateAgeOfOldestMessage": Shape(20, noise=0.4, incident=9.0, whole=True),
    "ApproximateNumberOfMessagesVisible": Shape(40, noise=0.3, incident=6.0, whole=True),
    "Signups": Shape(5, noise=0.35, tide=0.5, incident=0.3, whole=True),
    "SignupsByPlan": Shape(2, noise=0.4, tide=0.5, whole=True),
}
ANY = Shape(10, noise=0.2)
FIRING = ("latency-p95", "errors-5xx", "securebase-api_errors", "securebase-jobs_errors", "composite-api", "composite-api_warning")
"""Alarms that are in ALARM at the end, by the ends of their names before the digest."""
COLOURS = 128
"""Of an image, which is a quarter as big with a palette."""


def main() -> int:
    """Write the pictures; 0 when they were written."""
    parser = argparse.ArgumentParser(prog="python -m hack.pictures", description=__doc__)
    parser.add_argument("--into", type=Path, default=INTO, help="directory to write to")
    into: Path = parser.parse_args().into
    with state_directory("pictures") as directory, AwsEndpoint(directory / "aws") as endpoint:
        os.environ.update({**endpoint.environment, "AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_REGION": REGION})
        platform = Platform(endpoint)
        files = platform.manifests(directory)
        wish = Wish("platform", (str(files),), INSTANCE, NAMESPACE, Picturing.PNG, directory / "drawn", HOURS, until=float(END))
        platform.make()
        known = prepared(wish)
        platform.publish(known)
        platform.raise_alarms(known)
        code = draw(wish)
        into.mkdir(parents=True, exist_ok=True)
        for name in ("performance", "uptime") if code == 0 else ():
            with Image.open(directory / "drawn" / f"platform-{name}.png") as drawn:
                drawn.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(into / f"{name}.png", optimize=True)
    return code


class Platform:
    """What others own, in the lab's AWS."""

    def __init__(self, endpoint: AwsEndpoint) -> None:
        self._endpoint = endpoint

    def aws(self, service: str) -> Any:
        clients: Any = boto3
        return clients.client(service, region_name=REGION, endpoint_url=self._endpoint.url, aws_access_key_id=ACCOUNT, aws_secret_access_key="lab")

    def manifests(self, directory: Path) -> Path:
        """The examples, in one namespace, with an account of the lab and a band around the signups."""
        account: dict[str, Any] = {"apiVersion": "securebase.io/v1alpha1", "kind": "AwsAccount", "metadata": {"name": "default"}}
        documents: list[dict[str, Any]] = [
            account | {"spec": {"accountId": ACCOUNT, "region": REGION, "endpointUrl": self._endpoint.url, "allowedNamespaces": ["*"]}}
        ]
        for name in FILES:
            documents += [one for one in yaml.safe_load_all((ROOT / "examples" / name).read_text()) if one]
        for one in documents:
            spec: dict[str, Any] = one["spec"]
            for target in spec.get("targets", ()):
                if target["id"] == "signups":
                    target["alarms"].append({"id": "unusual", "anomaly": {"bandwidth": WIDTH}, "statistic": "Sum", "periodSeconds": 300})
        path = directory / "platform.yaml"
        path.write_text(yaml.safe_dump_all(documents))
        return path

    def make(self) -> None:
        """Everything that the targets name, and the distribution, of which AWS alone knows the id."""
        gateway = self.aws("apigateway")
        api = gateway.create_rest_api(name="securebase-api")["id"]
        gateway.create_deployment(restApiId=api, stageName="prod")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.py", "def handler(event, context): return 1")
        for name in ("securebase-api", "securebase-jobs"):
            self.aws("lambda").create_function(
                FunctionName=name, Runtime="python3.12", Role=f"arn:aws:iam::{ACCOUNT}:role/f", Handler="index.handler",
                Code={"ZipFile": packed.getvalue()}, Tags={"platform": "securebase"}, Timeout=30,
            )  # fmt: skip
        self.aws("dynamodb").create_table(
            TableName="securebase-tenants", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )  # fmt: skip
        rds = self.aws("rds")
        rds.create_db_cluster(DBClusterIdentifier="securebase-main", Engine="aurora-postgresql", MasterUsername="root", MasterUserPassword="made-for-a-picture")
        for number in (1, 2):
            name = f"securebase-main-{number}"
            rds.create_db_instance(DBInstanceIdentifier=name, DBClusterIdentifier="securebase-main", Engine="aurora-postgresql", DBInstanceClass="db.r7g.large")
        self.aws("sqs").create_queue(QueueName="securebase-jobs")
        self._distribution()

    def _distribution(self) -> None:
        owner = Identity(INSTANCE, "CdnDistribution", NAMESPACE, "platform").owner("distribution")
        behaviour = {"TargetOriginId": "site", "ViewerProtocolPolicy": "https-only", "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6"}
        origin = {"Id": "site", "DomainName": "www.example.com", "CustomOriginConfig": {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only"}}
        config = {
            "CallerReference": "picture",
            "Comment": "",
            "Enabled": True,
            "Origins": {"Quantity": 1, "Items": [origin]},
            "DefaultCacheBehavior": behaviour,
        }
        tagged = {"DistributionConfig": config, "Tags": {"Items": [{"Key": OWNER_TAG, "Value": owner}]}}
        self.aws("cloudfront").create_distribution_with_tags(DistributionConfigWithTags=tagged)

    def publish(self, known: Prepared) -> None:
        """Six hours of every metric that the dashboards show."""
        rng, cloudwatch = random.Random(SEED), self.aws("cloudwatch")
        shown = {json.dumps(metric): metric for _, dashboard in known.dashboards() for widget in dashboard.widgets for metric in _metrics(widget.properties)}
        for namespace, name, *pairs in shown.values():
            dimensions = [{"Name": key, "Value": value} for key, value in zip(pairs[::2], pairs[1::2], strict=True)]
            data = [{"MetricName": name, "Dimensions": dimensions, **one} for one in readings(_shape(name), rng)]
            for at in range(0, len(data), AT_ONCE):
                cloudwatch.put_metric_data(Namespace=namespace, MetricData=data[at : at + AT_ONCE])

    def raise_alarms(self, known: Prepared) -> None:
        """Alarms of the names that the dashboards show, in a state that fits the data."""
        arns = [arn for _, dashboard in known.dashboards() for widget in dashboard.widgets for arn in json.loads(widget.properties).get("alarms", ())]
        for name in dict.fromkeys(arn.rpartition(":alarm:")[2] for arn in arns):
            self.aws("cloudwatch").put_metric_alarm(
                AlarmName=name, Namespace="Picture", MetricName="None", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1.0,
                ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
            )  # fmt: skip
            state = "ALARM" if name.rpartition("-")[0].endswith(FIRING) else "OK"
            self._endpoint.control.alarm_state(ACCOUNT, REGION, name, state)


def _metrics(properties: str) -> Iterator[list[str]]:
    """Namespace, name and dimensions in pairs, of every row but those of expressions."""
    for row in json.loads(properties).get("metrics", ()):
        if texts := [text for text in row if isinstance(text, str)]:
            yield texts


def _shape(metric: str) -> Shape:
    return SHAPES.get(metric) or SHAPES.get(metric.partition("-")[0], ANY)


def readings(shape: Shape, rng: random.Random) -> Iterator[dict[str, Any]]:
    """One datum a minute. Two things of one kind are not quite alike."""
    factor = rng.uniform(0.85, 1.15) if shape.most > 100 else rng.uniform(0.97, 1.0)  # a percentage stays one
    for minute in range(HOURS * 60):
        values = [round(value * factor, 3) for value in shape.values(minute, rng)]
        if values:
            yield {"Timestamp": datetime.fromtimestamp(END - (HOURS * 60 - minute) * 60, UTC), "Values": values, "Counts": [1.0] * len(values)}


if __name__ == "__main__":
    raise SystemExit(main())

"""What the tests of CacheCluster act with: one cache as its owner, its clients and somebody at the console see it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import redis

from bench.clients import connect
from tests.e2e.harness import DEADLINE, Manifest, Tenant, until

REGION = "us-east-1"
NAMESPACE = "AWS/ElastiCache"
OF_EVERY_NODE = (
    "EngineCPUUtilization", "DatabaseMemoryUsagePercentage", "Evictions", "NewConnections", "CurrConnections", "CacheHitRate",
)  # fmt: skip
BUSY_SECONDS = 60.0
"""As long as a cache takes for several changes one after the other: ElastiCache takes one at a time, and is asked again after 15 s."""


def vpc_subnets(tenant: Tenant, count: int = 2) -> list[str]:
    """Ids of subnets of the account's default VPC, each in another zone."""
    found = tenant.aws("ec2").describe_subnets()["Subnets"]
    return [str(subnet["SubnetId"]) for subnet in sorted(found, key=lambda subnet: str(subnet["AvailabilityZone"]))[:count]]


Series = tuple[str, frozenset[tuple[str, str]]]
"""Name and dimensions of a metric."""


def _series(metric: Manifest) -> Series:
    return metric["MetricName"], frozenset((pair["Name"], pair["Value"]) for pair in metric["Dimensions"])


@dataclass(frozen=True, slots=True)
class Cache:
    """One CacheCluster of a tenant."""

    tenant: Tenant
    name: str = "sessions"

    @classmethod
    def of(cls, tenant: Tenant, name: str = "sessions") -> Cache:
        return cls(replace(tenant, plural="cacheclusters"), name)

    # --- the object

    def manifest(self, policy: Mapping[str, Any] | None = None, **spec: Any) -> Manifest:
        """The least dev cache: one node, a generated token, all alarms; compared every ten seconds."""
        said: Manifest = {
            "accountRef": {"name": self.tenant.account_name},
            "policy": {"interval": "10s", **(policy or {})},
            "profile": "dev",
            "network": {"subnetIds": vpc_subnets(self.tenant), "ingress": {"cidrs": ["10.0.0.0/16"]}},
            "verify": {"enabled": False},
        }
        metadata = {"name": self.name, "namespace": self.tenant.namespace}
        return {"apiVersion": "securebase.io/v1alpha1", "kind": "CacheCluster", "metadata": metadata, "spec": {**said, **spec}}

    def apply(self, policy: Mapping[str, Any] | None = None, **spec: Any) -> None:
        self.tenant.apply(self.manifest(policy, **spec))

    def made(self, policy: Mapping[str, Any] | None = None, **spec: Any) -> Manifest:
        """The object, applied and ready."""
        self.apply(policy, **spec)
        return self.ready()

    def ready(self, deadline: float = BUSY_SECONDS) -> Manifest:
        return self.tenant.ready(self.name, deadline)

    def says(self, type: str, status: str, reason: str, deadline: float = DEADLINE) -> str:
        return self.tenant.says(type, status, reason, self.name, deadline)

    def get(self) -> Manifest:
        return self.tenant.get(self.name)

    def change(self, **spec: Any) -> None:
        """A merge patch of its spec."""
        self.tenant.patch(self.name, {"spec": spec})

    def annotate(self, **annotations: str | None) -> None:
        self.tenant.annotate(self.name, **annotations)

    def refresh(self) -> None:
        """Asks for a look now, and waits until the operator says that it has looked."""
        token = uuid4().hex
        self.annotate(refresh=token)
        self.until(lambda: self.get()["status"].get("acknowledged", {}).get("refresh") == token, "the refresh to be acknowledged")

    def approve(self) -> None:
        """What status asks for."""
        self.annotate(approve=self.get()["status"]["plan"]["hash"])

    def delete(self) -> None:
        self.tenant.delete(self.name)

    def gone(self) -> None:
        self.tenant.gone(self.name, deadline=BUSY_SECONDS)

    def events(self, reason: str = "") -> list[str]:
        return self.tenant.events(self.name, reason)

    def until(self, look: Any, what: str, deadline: float = BUSY_SECONDS) -> Any:
        return until(look, what, deadline, self.tenant.operator)

    def resource(self, id: str) -> Manifest:
        """Its entry in the status."""
        [entry] = [entry for entry in self.get()["status"]["resources"] if entry["id"] == id]
        return dict(entry)

    def metric(self, name: str, **labels: str) -> float | None:
        assert self.tenant.operator is not None
        return self.tenant.operator.sample(f"securebase_{name}", namespace=self.tenant.namespace, name=self.name, **labels)

    # --- AWS

    @property
    def elasticache(self) -> Any:
        return self.tenant.aws("elasticache")

    def groups(self) -> list[Manifest]:
        found: list[Manifest] = self.elasticache.describe_replication_groups()["ReplicationGroups"]
        return found

    def group(self) -> Manifest:
        """The only replication group of the account."""
        [group] = self.groups()
        return group

    def node(self) -> Manifest:
        """A node of the only group: it tells what the group does not."""
        [first, *_] = self.elasticache.describe_cache_clusters(CacheClusterId=self.group()["MemberClusters"][0])["CacheClusters"]
        return dict(first)

    def roles(self) -> dict[str, str]:
        """primary or replica, by member id."""
        return {member["CacheClusterId"]: member["CurrentRole"] for shard in self.group()["NodeGroups"] for member in shard["NodeGroupMembers"]}

    def alarms(self, group: Manifest | None = None) -> dict[str, set[str]]:
        """Member ids by the metric that an alarm of theirs looks at; `of nobody` where CloudWatch knows no series of that metric and those dimensions."""
        self.publish(group)
        published, found = self.published(), dict[str, set[str]]()
        for alarm in self.tenant.aws("cloudwatch").describe_alarms()["MetricAlarms"]:
            series = _series(alarm)
            if (alarm["Namespace"], *series) in {(NAMESPACE, *one) for one in published}:
                found.setdefault(alarm["MetricName"], set()).add(dict(series[1])["CacheClusterId"])
            else:
                found.setdefault(f"{alarm['MetricName']} of nobody", set()).add(str(series))
        return found

    def publish(self, group: Manifest | None = None) -> None:
        """What ElastiCache does every minute: figures of each node, by its id, and by its id and the node's number; of the lag those of replicas
        (User Guide, "Metrics for Valkey and Redis OSS", "Monitoring use with CloudWatch Metrics")."""
        name = (group or self.group())["ReplicationGroupId"]
        [now] = self.elasticache.describe_replication_groups(ReplicationGroupId=name)["ReplicationGroups"]
        shards, data = now.get("NodeGroups", []), []
        for member in (member for shard in shards for member in shard["NodeGroupMembers"]):
            node = [{"Name": "CacheClusterId", "Value": member["CacheClusterId"]}]
            lag = ("ReplicationLag",) if member.get("CurrentRole") == "replica" else ()
            for dimensions in (node, [*node, {"Name": "CacheNodeId", "Value": member["CacheNodeId"]}]):
                data += [{"MetricName": name, "Dimensions": dimensions, "Value": 0.0} for name in (*OF_EVERY_NODE, *lag)]
        known = self.published()
        if data := [one for one in data if _series(one) not in known]:
            self.tenant.aws("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=data)

    def published(self) -> set[Series]:
        """The series that CloudWatch has of nodes of caches."""
        pages = self.tenant.aws("cloudwatch").get_paginator("list_metrics").paginate(Namespace=NAMESPACE)
        return {_series(metric) for page in pages for metric in page["Metrics"]}

    def act(self, action: str, group: Manifest | None = None, **more: Any) -> Any:
        """What happens to a group, the only one if none is named, by itself."""
        name = (group or self.group())["ReplicationGroupId"]
        return self.tenant.endpoint.control.elasticache(action, name, account=self.tenant.account, region=REGION, **more)

    def security_group(self) -> Manifest:
        """That of the cache's own."""
        filters = [{"Name": "tag-key", "Values": ["securebase.io/owner"]}]
        [group] = self.tenant.aws("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
        return dict(group)

    def secrets(self) -> list[Manifest]:
        found: list[Manifest] = self.tenant.aws("secretsmanager").list_secrets()["SecretList"]
        return found

    def current(self) -> str:
        """The value that Secrets Manager calls AWSCURRENT."""
        [secret] = self.secrets()
        return str(json.loads(self.tenant.aws("secretsmanager").get_secret_value(SecretId=secret["ARN"])["SecretString"])["password"])

    def values(self) -> set[str]:
        """The password in each secret's current value."""
        client = self.tenant.aws("secretsmanager")
        return {str(json.loads(client.get_secret_value(SecretId=secret["ARN"])["SecretString"])["password"]) for secret in self.secrets()}

    # --- its clients

    def connection_path(self) -> str:
        return f"/api/v1/namespaces/{self.tenant.namespace}/secrets/{self.name}-connection"

    def connection(self) -> dict[str, str]:
        """What `<name>-connection` holds."""
        body = self.tenant.plane.call("GET", self.connection_path())
        return {key: base64.b64decode(value).decode() for key, value in body["data"].items()}

    @property
    def authority(self) -> str:
        """File of the certificate that clients must trust."""
        return str(self.tenant.endpoint.control.redis_certificate_file)

    def client(self, told: Mapping[str, str] | None = None) -> Any:
        """A client that uses what is published, or was."""
        return connect(told or self.connection(), self.authority)

    def lets_in(self, told: Mapping[str, str]) -> bool:
        """Whether somebody new with these credentials gets in."""
        try:
            with self.client(told) as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return False

"""Specs of CacheCluster, their graphs with any members, and Hypothesis strategies for all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from pydantic import ValidationError

from securebase.api.cache import CacheCluster, CacheClusterSpec
from securebase.core.graph import Graph
from securebase.core.identity import Identity
from securebase.core.kind import Context, Facts
from securebase.kinds.cache import CACHE
from tests.unit.kinds.composing import ACCOUNT

SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
GROUP, OTHER_GROUP = "sg-0123456789abcdef0", "sg-0123456789abcdef1"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-1111-2222-3333-444455556666"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:ops"
PAIR = "x-001:primary,x-002:replica"


def spec_of(document: Mapping[str, Any]) -> CacheClusterSpec:
    """The spec of a whole manifest."""
    return CacheCluster.model_validate(document).spec


def small(**more: Any) -> CacheClusterSpec:
    """A dev cache, whatever else is given."""
    base = {"profile": "dev", "network": {"subnetIds": SUBNETS, "ingress": {"securityGroupIds": [GROUP]}}}
    metadata = {"name": "cache", "namespace": "web"}
    return spec_of({"apiVersion": "securebase.io/v1alpha1", "kind": "CacheCluster", "metadata": metadata, "spec": {**base, **more}})


def context(name: str = "cache", namespace: str = "web", instance: str = "unit", **more: Any) -> Context:
    return Context(Identity(instance, "CacheCluster", namespace, name), ACCOUNT, "eu-central-1", **more)


def composed(
    spec: CacheClusterSpec, members: str = "", *, group: Mapping[str, str] | None = None, login: Mapping[str, str] | None = None, **more: Any
) -> Graph:
    """The graph while the cache has these members, none are known without; and while its `login` is looked at and is so."""
    attributes = group if group is not None else {"members": members} if members else None
    nodes = {name: known for name, known in (("group", attributes), ("login", login)) if known is not None}
    return CACHE.compose(spec, Facts(nodes=nodes), context(**more))


def stages_of(spec: CacheClusterSpec) -> list[dict[str, str]]:
    """What the look at its logins may say, whatever happens to a cache of this spec."""
    match spec.auth.mode:
        case "rbac" if not any(user.name == "default" for user in spec.auth.users):
            return [{"stage": stage} for stage in ("users", "to-users", "token")]
        case "rbac":
            return [{"stage": stage} for stage in ("users", "token")]
        case "token":
            there = {"before": "on ~* +@read", "default": "on ~app:* +@read"}
            return [{"stage": "token"}, {"stage": "to-token", "users": json.dumps(there)}]
        case _:
            return [{"stage": "open"}]


def members_of(spec: CacheClusterSpec, name: str = "cache") -> str:
    """The members that a cache of this spec has once it is available, as its driver tells them."""
    each = range(1, 2 + spec.effective_replicas)
    if spec.cluster_mode == "enabled":
        return ",".join(f"{name}-{shard:04}-{number:03}:member" for shard in range(1, 1 + spec.effective_shards) for number in each)
    return ",".join(f"{name}-{number:03}:{'primary' if number == 1 else 'replica'}" for number in each)


def _optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_USERS = [
    {"name": "app", "accessString": "on ~app:* +@read"},
    {"name": "default", "accessString": "on ~* +@read"},
    {"name": "a-very-long-name-of-a-user-as-they-come", "accessString": "off ~* -@all"},
]
_networks = st.builds(
    lambda where, who, more: {**where, **who, **more},
    st.sampled_from([{"subnetIds": SUBNETS}, {"subnetIds": SUBNETS[:1], "vpcId": "vpc-0123456789abcdef0"}, {"subnetGroupName": "platform"}]),
    st.sampled_from(
        [
            {"ingress": {"cidrs": ["10.0.0.0/8", "2001:db8::/64"]}},
            {"ingress": {"securityGroupIds": [GROUP, OTHER_GROUP], "cidrs": ["10.0.0.0/8"]}},
            {"securityGroupIds": [GROUP]},
            {"securityGroupIds": [GROUP], "ingress": {"securityGroupIds": [OTHER_GROUP]}},
        ]
    ),
    _optional(networkType=st.sampled_from(["ipv4", "dual_stack"])),
)
_auth = st.one_of(
    st.sampled_from([{}, {"mode": "token"}, {"mode": "none"}]),
    st.lists(st.sampled_from(_USERS), min_size=1, unique_by=lambda user: user["name"]).map(lambda users: {"mode": "rbac", "users": users}),
)
_alarm = _optional(enabled=st.booleans())
_alarms = _optional(
    enabled=st.booleans(),
    replicationLag=_alarm,
    cacheHitRate=_alarm,
    currentConnections=_optional(thresholdPercent=st.sampled_from([1, 50.5, 100])),
    createTopic=st.sampled_from([{}, {"emails": ["ops@example.com"]}]),
    topicArn=st.just(TOPIC),
)
_rest = _optional(
    engine=st.sampled_from(["valkey", "redis"]),
    version=st.sampled_from(["7.1", "7.2", "6.2", "8.0", "9.0"]),
    nodeType=st.sampled_from(["cache.t3.micro", "cache.r6g.large", "cache.r6gd.xlarge"]),
    replicas=st.integers(0, 5),
    multiAz=st.booleans(),
    clusterMode=st.sampled_from(["disabled", "compatible", "enabled"]),
    shards=st.integers(1, 4),
    port=st.sampled_from([6379, 7000]),
    maintenanceWindow=st.just("sun:05:00-sun:06:00"),
    encryption=_optional(kmsKeyId=st.just(KEY), transitMode=st.sampled_from(["preferred", "required"]), inTransit=st.booleans(), atRest=st.booleans()),
    auth=_auth,
    rotation=_optional(every=st.just("30d"), grace=st.just("12h")),
    snapshot=_optional(retentionDays=st.integers(0, 35), restoreFrom=st.just("before"), window=st.just("02:00-03:00")),
    logs=_optional(slow=st.just({"logGroup": "/slow"}), engine=st.just({"firehose": "engine"})),
    parameters=_optional(maxmemoryPolicy=st.sampled_from(["noeviction", "allkeys-lru"]), values=st.just({"timeout": "300"})),
    alarms=_alarms,
)


@st.composite
def cache_specs(draw: st.DrawFn) -> CacheClusterSpec:
    """Any valid spec."""
    rest = draw(_rest)
    if rest.get("clusterMode") == "compatible":
        rest["replicas"] = max(
            1, rest.get("replicas", 0)
        )  # "Auto-failover must be enabled on the cluster with a minimum of 1 replica" ("Modifying cluster mode")
    try:
        return small(profile=draw(st.sampled_from(["dev", "prod"])), network=draw(_networks), **rest)
    except ValidationError:
        assume(False)
        raise


_label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
names = st.one_of(_label, st.sampled_from(["x" * 63, "9lives", "a--b", "1.2.3", "0" * 63, "a.b"]))
namespaces = st.one_of(_label, st.sampled_from(["9lives", "n" * 63, "0", "a--b"]))

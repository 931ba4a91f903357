"""For every rule of CacheCluster one manifest that it lets pass and one that it refuses."""

from __future__ import annotations

import copy
from typing import Any

from tests.unit.api.rule_cases import Case, ChangeCase, Manifest

SUBNET, SUBNET_B = "subnet-0123456789abcdef0", "subnet-0123456789abcdef1"
GROUP = "sg-0123456789abcdef0"
NETWORK: dict[str, Any] = {"subnetIds": [SUBNET, SUBNET_B], "ingress": {"securityGroupIds": [GROUP]}}
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-1111-2222-3333-444455556666"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:ops"
USER = {"name": "app", "accessString": "on ~app:* +@read +@write -@dangerous"}


def cache(name: str = "case", **spec: Any) -> Manifest:
    """A dev cache; `spec` replaces whole fields."""
    base: Manifest = {"profile": "dev", "network": NETWORK}
    return {
        "apiVersion": "securebase.io/v1alpha1",
        "kind": "CacheCluster",
        "metadata": {"name": name, "namespace": "default"},
        "spec": copy.deepcopy(base | spec),
    }


def prod(**spec: Any) -> Manifest:
    return cache(profile="prod", **spec)


def placed(**network: Any) -> Manifest:
    """A dev cache with these fields of its network replaced, None taking one away."""
    return cache(network={name: value for name, value in (NETWORK | network).items() if value is not None})


def entered(**ingress: Any) -> Manifest:
    return placed(ingress=ingress)


def tuned(values: dict[str, str], **spec: Any) -> Manifest:
    return cache(parameters={"values": values}, **spec)


def windows(weekly: str, daily: str) -> Manifest:
    return cache(maintenanceWindow=weekly, snapshot={"window": daily})


SHAPE = [
    Case("replicas", "replicas is more than", cache(replicas=5), cache(replicas=6)),
    Case("replicas in prod", "replicas is more than", prod(replicas=5), prod(replicas=50)),
    Case("Multi-AZ with one node", "multiAz needs a replica", cache(multiAz=True, replicas=1), cache(multiAz=True)),
    Case("prod with one node", "multiAz needs a replica", prod(replicas=0, multiAz=False), prod(replicas=0)),
    Case("shards with one node each", "multiAz needs a replica", prod(clusterMode="enabled", shards=3), prod(clusterMode="enabled", shards=3, replicas=0)),
    Case("shards", "shards need clusterMode: enabled", cache(clusterMode="enabled", shards=3), cache(shards=3)),
    Case(
        "shards on the way",
        "shards need clusterMode: enabled",
        cache(clusterMode="compatible", replicas=1),
        cache(clusterMode="compatible", replicas=1, shards=2),
    ),
    Case("on the way with one node", "compatible needs automatic failover", cache(clusterMode="compatible", replicas=1), cache(clusterMode="compatible")),
    Case("nodes", "more than ElastiCache's most of 500 nodes", prod(clusterMode="enabled", shards=250), prod(clusterMode="enabled", shards=251)),
    Case("reference's smallest node", "nodeType is not of a known family", cache(nodeType="cache.t3.micro"), cache(nodeType="cache.t9.micro")),
    Case("reference's largest node", "nodeType is not of a known family", cache(nodeType="cache.r6g.large"), cache(nodeType="r6g.large")),
    Case("size of the family", "nodeType is not of a known family", cache(nodeType="cache.t4g.medium"), cache(nodeType="cache.t4g.large")),
    Case("no tiering elsewhere", "dataTiering goes with r6gd", cache(nodeType="cache.r6gd.xlarge", dataTiering=True), cache(dataTiering=True)),
    Case("no r6gd without tiering", "dataTiering goes with r6gd", cache(dataTiering=False), cache(nodeType="cache.r6gd.xlarge", dataTiering=False)),
    Case(
        "tiering evicts",
        "none that data tiering can do",
        cache(nodeType="cache.r6gd.xlarge", parameters={"maxmemoryPolicy": "allkeys-lru"}),
        cache(nodeType="cache.r6gd.xlarge", parameters={"maxmemoryPolicy": "allkeys-lfu"}),
    ),
    Case(
        "IPv6",
        "needs nodes that speak IPv6",
        cache(nodeType="cache.t3.micro", network=NETWORK | {"networkType": "dual_stack"}),
        cache(nodeType="cache.t2.micro", network=NETWORK | {"networkType": "dual_stack"}),
    ),
]

VERSIONS = [
    Case("valkey's version", "version is none of the engine's", cache(version="8.0"), cache(version="7.1")),
    Case("redis' version", "version is none of the engine's", cache(engine="redis", version="7.1"), cache(engine="redis", version="8.1")),
    Case("version grammar", "version is major and minor in quotes", cache(version="7.2"), cache(version="7.2.6")),
    Case(
        "compatible before 7",
        "version 6.2 has neither",
        cache(engine="redis", version="7.0", clusterMode="compatible", replicas=1),
        cache(engine="redis", version="6.2", clusterMode="compatible", replicas=1),
    ),
    Case(
        "preferred before 7",
        "version 6.2 has neither",
        cache(engine="redis", version="6.2", encryption={"transitMode": "required"}),
        cache(engine="redis", version="6.2", encryption={"transitMode": "preferred"}, auth={"mode": "none"}),
    ),
    Case(
        "parameter that ended",
        "a name that this engine version does not know",
        tuned({"lazyfree-lazy-eviction": "yes"}, version="7.2"),
        tuned({"lazyfree-lazy-eviction": "yes"}),
    ),
    Case(
        "parameter that was renamed",
        "a name that this engine version does not know",
        tuned({"hash-max-ziplist-entries": "64"}, engine="redis", version="6.2"),
        tuned({"hash-max-ziplist-entries": "64"}, engine="redis", version="7.1"),
    ),
    Case(
        "parameter to come",
        "a name that this engine version does not know",
        tuned({"commandlog-reply-larger-than": "-1"}, version="9.0"),
        tuned({"commandlog-reply-larger-than": "-1"}, engine="redis"),
    ),
    Case(
        "node of valkey alone",
        "of a family that runs valkey only",
        cache(nodeType="cache.r8g.large"),
        cache(engine="redis", nodeType="cache.r8g.large"),
    ),
    Case(
        "redis' node",
        "of a family that runs valkey only",
        cache(engine="redis", nodeType="cache.c7gn.large"),
        cache(engine="redis", nodeType="cache.c8gn.large"),
    ),
    Case("databases", "a value that its parameter does not take", tuned({"databases": "1200000"}), tuned({"databases": "0"})),
    Case("rehashing", "a value that its parameter does not take", tuned({"activerehashing": "no"}), tuned({"activerehashing": "0"})),
    Case("known parameter", "a name that cannot be set here", tuned({"timeout": "300"}), tuned({"maxmemory": "1gb"})),
    Case("policy has a field", "a name that cannot be set here", tuned({"activedefrag": "yes"}), tuned({"maxmemory-policy": "noeviction"})),
    Case("switch", "a value that its parameter does not take", tuned({"activedefrag": "no"}), tuned({"activedefrag": "true"})),
    Case("number", "a value that its parameter does not take", tuned({"maxmemory-samples": "64"}), tuned({"maxmemory-samples": "65"})),
    Case("no number", "a value that its parameter does not take", tuned({"slowlog-log-slower-than": "-1"}), tuned({"slowlog-log-slower-than": "10ms"})),
    Case("number or off", "a value that its parameter does not take", tuned({"timeout": "0"}), tuned({"timeout": "19"})),
    Case("events", "a value that its parameter does not take", tuned({"notify-keyspace-events": "Ex"}), tuned({"notify-keyspace-events": "expired"})),
]

WINDOWS = [
    Case(
        "maintenance grammar", "a window is two times of the week", cache(maintenanceWindow="sun:05:00-sun:06:00"), cache(maintenanceWindow="sun:05:00-06:00")
    ),
    Case(
        "maintenance too short", "maintenanceWindow must last", cache(maintenanceWindow="sun:23:30-mon:00:30"), cache(maintenanceWindow="sun:23:30-mon:00:29")
    ),
    Case("maintenance too long", "maintenanceWindow must last", cache(maintenanceWindow="sun:08:00-mon:08:00"), cache(maintenanceWindow="sun:08:00-mon:08:01")),
    Case("snapshot grammar", "a snapshot window is two times", cache(snapshot={"window": "23:00-01:00"}), cache(snapshot={"window": "3:00-4:00"})),
    Case("snapshot too short", "snapshot.window is shorter", cache(snapshot={"window": "23:30-00:30"}), cache(snapshot={"window": "23:30-00:15"})),
    Case(
        "windows meet", "snapshot.window meets maintenanceWindow", windows("sun:05:00-sun:06:00", "03:00-05:00"), windows("sun:05:00-sun:06:00", "04:30-05:30")
    ),
    Case(
        "window within", "snapshot.window meets maintenanceWindow", windows("wed:05:00-wed:06:00", "06:00-07:00"), windows("wed:01:00-wed:06:00", "03:00-04:00")
    ),
    Case(
        "past midnight", "snapshot.window meets maintenanceWindow", windows("sun:22:00-mon:00:30", "00:30-02:00"), windows("sun:22:00-mon:00:31", "00:30-02:00")
    ),
    Case(
        "past the week", "snapshot.window meets maintenanceWindow", windows("sun:02:00-sun:03:00", "23:00-02:00"), windows("sun:01:59-sun:03:00", "23:00-02:00")
    ),
    Case("retention", "snapshot.retentionDays is more than", cache(snapshot={"retentionDays": 35}), cache(snapshot={"retentionDays": 36})),
    Case(
        "snapshot's name", "restoreFrom is the name of a snapshot", cache(snapshot={"restoreFrom": "automatic.a-1"}), cache(snapshot={"restoreFrom": "arn:x"})
    ),
    Case(
        "final snapshot",
        "finalSnapshot and policy.onDelete contradict",
        cache(policy={"onDelete": "Snapshot"}, snapshot={"finalSnapshot": True}),
        cache(policy={"onDelete": "Delete"}, snapshot={"finalSnapshot": True}),
    ),
    Case(
        "no final snapshot",
        "finalSnapshot and policy.onDelete contradict",
        prod(policy={"onDelete": "Delete"}, snapshot={"finalSnapshot": False}),
        prod(policy={"onDelete": "Snapshot"}, snapshot={"finalSnapshot": False}),
    ),
]

ACCESS = [
    Case("at rest in prod", "encryption cannot be switched off in prod", cache(encryption={"atRest": False}), prod(encryption={"atRest": False})),
    Case(
        "in transit in prod",
        "encryption cannot be switched off in prod",
        cache(encryption={"inTransit": False}, auth={"mode": "none"}),
        prod(encryption={"inTransit": False}),
    ),
    Case("key for nothing", "kmsKeyId encrypts nothing", prod(encryption={"kmsKeyId": KEY}), cache(encryption={"kmsKeyId": KEY, "atRest": False})),
    Case("key by alias", "encryption.kmsKeyId must be the ARN", cache(encryption={"kmsKeyId": KEY}), cache(encryption={"kmsKeyId": "alias/cache"})),
    Case(
        "mode without TLS",
        "transitMode means nothing",
        cache(encryption={"transitMode": "preferred"}, auth={"mode": "none"}),
        cache(encryption={"transitMode": "required", "inTransit": False}, auth={"mode": "none"}),
    ),
    Case(
        "a secret that half of the clients are not asked for",
        "transitMode preferred lets clients without TLS in",
        cache(encryption={"transitMode": "preferred"}, auth={"mode": "none"}),
        cache(encryption={"transitMode": "preferred"}),
    ),
    Case("nobody asked in prod", "auth.mode none lets everybody in", cache(auth={"mode": "none"}), prod(auth={"mode": "none"})),
    Case(
        "token in the open",
        "auth.mode token and rbac need TLS",
        cache(encryption={"inTransit": False}, auth={"mode": "none"}),
        cache(encryption={"inTransit": False}),
    ),
    Case("users", "auth.users belong to mode: rbac", cache(auth={"mode": "rbac", "users": [USER]}), cache(auth={"mode": "rbac"})),
    Case("users of nobody", "auth.users belong to mode: rbac", cache(auth={"mode": "token"}), cache(auth={"users": [USER]})),
    Case(
        "user's name",
        "a user's name has lower case",
        cache(auth={"mode": "rbac", "users": [USER | {"name": "app-reader"}]}),
        cache(auth={"mode": "rbac", "users": [USER | {"name": "App_Reader"}]}),
    ),
    Case(
        "user on or off",
        "accessString starts with on or off",
        cache(auth={"mode": "rbac", "users": [USER | {"accessString": "off"}]}),
        cache(auth={"mode": "rbac", "users": [USER | {"accessString": "~* +@all"}]}),
    ),
    *(
        Case(
            f"user with {part}",
            "accessString deals with passwords",
            cache(auth={"mode": "rbac", "users": [USER | {"accessString": "on ~reset:* +@all"}]}),
            cache(auth={"mode": "rbac", "users": [USER | {"accessString": f"on ~* {part} +@all"}]}),
        )
        for part in (">secret", "#abc", "nopass", "resetpass", "reset")
    ),
    Case("grace", "rotation.grace is less than 10m", cache(rotation={"grace": "10m"}), cache(rotation={"grace": "599s"})),
    Case("every", "rotation.every is not longer than grace", cache(rotation={"every": "30d"}), cache(rotation={"every": "24h"})),
    Case(
        "every with its own grace",
        "rotation.every is not longer than grace",
        cache(rotation={"every": "1d", "grace": "23h"}),
        cache(rotation={"every": "1d", "grace": "1440m"}),
    ),
    Case(
        "nothing to rotate", "rotation.every has no secret", cache(auth={"mode": "none"}, rotation={}), cache(auth={"mode": "none"}, rotation={"every": "30d"})
    ),
]

NETWORKS = [
    Case("subnets or group", "network needs exactly one", placed(subnetIds=None, subnetGroupName="shared"), placed(subnetGroupName="shared")),
    Case("neither subnets nor group", "network needs exactly one", placed(), placed(subnetIds=None)),
    Case("nobody gets in", "network lets no client in", placed(ingress=None, securityGroupIds=[GROUP]), placed(ingress=None)),
    Case("ingress of nobody", "ingress lets nobody in", entered(cidrs=["10.0.0.0/16"]), entered()),
    Case("everybody", "ingress.cidrs lets the whole world in", entered(cidrs=["10.0.0.0/8"]), entered(cidrs=["10.0.0.0/8", "0.0.0.0/0"])),
    Case("everybody by IPv6", "ingress.cidrs lets the whole world in", entered(cidrs=["2001:db8::/64"]), entered(cidrs=["::/0"])),
    Case("network grammar", "a network is written with its length", entered(cidrs=["10.0.3.7/32"]), entered(cidrs=["10.0.3.7"])),
    Case("subnet", "a subnet is its id", placed(subnetIds=[SUBNET]), placed(subnetIds=["private-a"])),
    Case("security group", "a security group is its id", placed(securityGroupIds=[GROUP]), placed(securityGroupIds=["clients"])),
    Case("VPC", "vpcId is written like", placed(vpcId="vpc-0123456789abcdef0"), placed(vpcId="main")),
    Case(
        "subnet group",
        "subnetGroupName is the name of",
        placed(subnetIds=None, subnetGroupName="shared-a.1"),
        placed(subnetIds=None, subnetGroupName="arn:aws:elasticache:eu-central-1:123456789012:subnetgroup:a"),
    ),
    Case("discovery", "ipDiscovery names an address family", placed(networkType="dual_stack", ipDiscovery="ipv6"), placed(ipDiscovery="ipv6")),
    Case(
        "discovery of IPv6",
        "ipDiscovery names an address family",
        placed(networkType="ipv6", ipDiscovery="ipv6"),
        placed(networkType="ipv6", ipDiscovery="ipv4"),
    ),
]

_ALARMS = (
    ("engineCpu", 5, 5, 60),
    ("databaseMemory", 3, 5, 60),
    ("databaseMemoryCritical", 3, 5, 60),
    ("evictions", 2, 3, 300),
    ("replicationLag", 3, 5, 60),
    ("newConnections", 2, 3, 60),
    ("currentConnections", 3, 5, 60),
    ("cacheHitRate", 4, 6, 300),
)

UPKEEP = [
    Case("log destination", "a log needs exactly one destination", cache(logs={"slow": {"logGroup": "/cache/slow"}}), cache(logs={"slow": {}})),
    Case(
        "two log destinations",
        "a log needs exactly one destination",
        cache(logs={"engine": {"firehose": "cache", "format": "text"}}),
        cache(logs={"engine": {"firehose": "cache", "logGroup": "/cache/engine"}}),
    ),
    Case("log group", "logGroup is the name of", cache(logs={"slow": {"logGroup": "/cache/slow"}}), cache(logs={"slow": {"logGroup": "arn:aws:logs:x"}})),
    Case("stream", "firehose is the name of", cache(logs={"slow": {"firehose": "cache"}}), cache(logs={"slow": {"firehose": "a/b"}})),
    Case("verified elsewhere", "verify.host is a name", cache(verify={"host": "127.0.0.1", "port": 16379}), cache(verify={"host": "rediss://127.0.0.1"})),
    Case("topic", "alarms.topicArn must be that of", cache(alarms={"topicArn": TOPIC}), cache(alarms={"topicArn": f"{TOPIC}.fifo"})),
    Case(
        "topic of events",
        "notificationTopicArn must be that of",
        cache(notificationTopicArn=TOPIC),
        cache(notificationTopicArn=f"{TOPIC}.fifo"),
    ),
    Case(
        "region of the topic of events",
        "notificationTopicArn is in another region",
        cache(region="eu-central-1", notificationTopicArn=TOPIC),
        cache(region="eu-west-1", notificationTopicArn=TOPIC),
    ),
    Case("one topic", "alarms takes topicArn", cache(alarms={"createTopic": {}}), cache(alarms={"topicArn": TOPIC, "createTopic": {}})),
    Case(
        "region of the topic",
        "alarms.topicArn is in another region",
        cache(region="eu-central-1", alarms={"topicArn": TOPIC}),
        cache(region="eu-west-1", alarms={"topicArn": TOPIC}),
    ),
    Case(
        "key of the topic",
        "createTopic.kmsKeyArn must be that of",
        cache(alarms={"createTopic": {"kmsKeyArn": KEY}}),
        cache(alarms={"createTopic": {"kmsKeyArn": "alias/aws/sns"}}),
    ),
    Case(
        "who is told",
        "an address is written like",
        cache(alarms={"createTopic": {"emails": ["ops@example.com"]}}),
        cache(alarms={"createTopic": {"emails": ["ops"]}}),
    ),
    *(
        Case(
            f"datapoints of {name} of a cache",
            f"(defaults {datapoints} of {periods})",
            cache(alarms={name: {"datapointsToAlarm": 2}}),
            cache(alarms={name: {"datapointsToAlarm": 2, "evaluationPeriods": 1}}),
        )
        for name, datapoints, periods, _ in _ALARMS
    ),
    *(
        Case(
            f"look-back of {name} of a cache",
            "periodSeconds times evaluationPeriods",
            cache(alarms={name: {"periodSeconds": 3600}}),
            cache(alarms={name: {"periodSeconds": 43200}}),
        )
        for name, *_ in _ALARMS
    ),
]

CACHE_CASES = [*SHAPE, *VERSIONS, *WINDOWS, *ACCESS, *NETWORKS, *UPKEEP]

CACHE_CHANGES = [
    ChangeCase("downgrade", "version cannot go back", cache(version="8.1"), cache(version="8.2"), cache(version="8.0")),
    ChangeCase("downgrade by omission", "version cannot go back", cache(version="8.2"), cache(version="9.0"), cache()),
    ChangeCase("downgrade from the default", "version cannot go back", cache(), cache(version="8.1"), cache(version="7.2")),
    ChangeCase(
        "downgrade of redis",
        "version cannot go back",
        cache(engine="redis"),
        cache(engine="valkey", version="7.2"),
        cache(engine="redis", version="6.2"),
    ),
    ChangeCase("no secret any more", "cannot go back to none", cache(), cache(auth={"mode": "rbac", "users": [USER]}), cache(auth={"mode": "none"})),
    ChangeCase(
        "users where nobody had a secret",
        "cannot go from none to rbac",
        cache(auth={"mode": "none"}),
        cache(auth={"mode": "token"}),
        cache(auth={"mode": "rbac", "users": [USER]}),
    ),
    ChangeCase("valkey to redis is for the gate", "region cannot be changed", cache(), cache(engine="redis"), cache(region="eu-west-1")),
]

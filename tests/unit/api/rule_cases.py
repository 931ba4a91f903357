"""For every rule of the API one manifest that it lets pass and one that it refuses; read by the tests of the models and of the API server."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]

ALL_VIEWER = "216adef6-5c7f-47e4-b989-5492eafa07d3"
OWN_POLICY = "0a1b2c3d-1111-2222-3333-444455556666"
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d"


@dataclass(frozen=True, slots=True)
class Case:
    """`message` is how the refusal begins, or a part of it that no other has."""

    name: str
    message: str
    passes: Manifest
    refused: Manifest


@dataclass(frozen=True, slots=True)
class ChangeCase:
    """A change from `old` that is refused, and one that is not."""

    name: str
    message: str
    old: Manifest
    passes: Manifest
    refused: Manifest


def cdn(name: str = "case", **spec: Any) -> Manifest:
    """A distribution of one bucket and one behavior; `spec` replaces whole fields."""
    base: Manifest = {"origins": [bucket()], "behaviors": [behavior()]}
    return {
        "apiVersion": "securebase.io/v1alpha1",
        "kind": "CdnDistribution",
        "metadata": {"name": name, "namespace": "default"},
        "spec": base | copy.deepcopy(spec),
    }


def account(**spec: Any) -> Manifest:
    base: Manifest = {"accountId": "123456789012", "region": "us-east-1", "allowedNamespaces": ["default"]}
    return {"apiVersion": "securebase.io/v1alpha1", "kind": "AwsAccount", "metadata": {"name": "case"}, "spec": base | spec}


def bucket(name: str = "site", **more: Any) -> Manifest:
    return {"id": name, "s3": {"bucket": "securebase-site"}} | more


def custom(name: str = "api", domain: str = "api.example.com", **more: Any) -> Manifest:
    return {"id": name, "custom": {"domainName": domain}} | more


def behavior(path: str = "*", origin: str = "site", preset: str | None = "static", **more: Any) -> Manifest:
    return {"path": path, "origin": origin} | ({"preset": preset} if preset else {}) | more


def one(**more: Any) -> Manifest:
    """A distribution whose only behavior has these fields besides path and origin."""
    return cdn(behaviors=[{"path": "*", "origin": "site"} | more])


def header(**more: Any) -> Manifest:
    return cdn(origins=[bucket(headers=[{"name": "x-origin-verify"} | more])])


def origin(**more: Any) -> Manifest:
    return cdn(origins=[{"id": "site"} | more])


def group(**more: Any) -> Manifest:
    """Two buckets and a group of them."""
    pair: Manifest = {"id": "pair", "primary": "site", "secondary": "spare"}
    return cdn(origins=[bucket(), bucket("spare")], originGroups=[pair | more])


def secured(**more: Any) -> Manifest:
    """A distribution with an alias, a requested certificate and its zone."""
    spec: Manifest = {"aliases": ["www.example.com"], "certificate": {"request": {}}, "dns": {"zoneName": "example.com"}}
    return cdn(**{name: value for name, value in (spec | more).items() if value is not None})


SECRET = {"secretKeyRef": {"name": "origin-verify", "key": "token"}}
FUNCTION = {"event": "viewer-request", "arn": "arn:aws:cloudfront::123456789012:function/rewrite"}
EDGE = {"event": "viewer-request", "arn": "arn:aws:lambda:us-east-1:123456789012:function:edge:3"}
EDGE_ORIGIN = EDGE | {"event": "origin-request"}
VPC = {"vpcOriginId": "vo_abc123", "domainName": "alb.example.com"}
API = [bucket(), custom()]
LOGS = "arn:aws:logs:us-east-1:123456789012:log-group:cdn"

COMMON = [
    Case("name length", "metadata.name has more than 63", cdn("a" * 63), cdn("a" * 64)),
    Case("reserved tags", "tags: a key has at most", cdn(tags={"team": "web"}), cdn(tags={"aws:team": "web"})),
    Case("own tags", "tags: a key has at most", cdn(tags={"securebase": "x"}), cdn(tags={"securebase.io/owner": "x"})),
    Case("window given", "policy.window is required", cdn(policy={"changes": "Window", "window": "sun:03:00-sun:05:00"}), cdn(policy={"changes": "Window"})),
    Case("window has length", "starts and ends at the same time", cdn(policy={"window": "sun:23:00-mon:01:00"}), cdn(policy={"window": "sun:03:00-sun:03:00"})),
    Case("window grammar", "a window is two times of the week", cdn(policy={"window": "sat:22:30-sun:00:00"}), cdn(policy={"window": "sun:25:00-sun:26:00"})),
    Case("duration grammar", "a duration is a number and one unit", cdn(policy={"interval": "90m"}), cdn(policy={"interval": "1h30m"})),
    Case("shortest interval", "policy.interval must be at least", cdn(policy={"interval": "10s"}), cdn(policy={"interval": "5s"})),
    Case("region", "a region is written like", cdn(region="eu-central-1"), cdn(region="Frankfurt")),
    Case("object name", "a Kubernetes name is", cdn(accountRef={"name": "prod.eu"}), cdn(accountRef={"name": "Prod"})),
]

ACCOUNT = [
    Case("account id", "an account id is 12 digits", account(), account(accountId="1234")),
    Case("account tags", "defaultTags: a key has", account(defaultTags={"env": "prod"}), account(defaultTags={"aws:env": "prod"})),
    Case(
        "role of the account",
        "roleArn belongs to another account",
        account(roleArn="arn:aws:iam::123456789012:role/x"),
        account(roleArn="arn:aws:iam::999999999999:role/x"),
    ),
    Case(
        "role grammar",
        "roleArn must be the ARN of an IAM role",
        account(roleArn="arn:aws:iam::123456789012:role/path/x"),
        account(roleArn="arn:aws:iam::123456789012:user/x"),
    ),
    Case(
        "external id",
        "externalId is only used to assume a role",
        account(roleArn="arn:aws:iam::123456789012:role/x", externalId="tenant"),
        account(externalId="tenant"),
    ),
    Case("endpoint", "endpointUrl is a scheme", account(endpointUrl="http://127.0.0.1:4566"), account(endpointUrl="127.0.0.1:4566")),
    Case("namespaces", "a namespace is its name", account(allowedNamespaces=["*", "team-a"]), account(allowedNamespaces=["team-*"])),
]

ORIGINS = [
    Case("one type", "an origin needs exactly one of", origin(vpc=VPC), origin(vpc=VPC, s3={"bucket": "securebase-site"})),
    Case("no type", "an origin needs exactly one of", origin(custom={"domainName": "api.example.com"}), origin()),
    Case("header source", "a header needs exactly one", header(valueFrom=SECRET), header(value="x", valueFrom=SECRET)),
    Case("header without source", "a header needs exactly one", header(value="x"), header()),
    Case("header name", "does not let an origin header", header(value="x"), header(name="Host", value="x")),
    Case("header prefix", "does not let an origin header", header(name="x-edge", value="x"), header(name="X-Amz-Meta", value="x")),
    Case("header grammar", "a header's name has letters", header(value="x"), header(name="x origin", value="x")),
    Case("origin id", "an origin's id has letters", origin(s3={"bucket": "abc"}), cdn(origins=[bucket("my site")], behaviors=[behavior(origin="my site")])),
    Case("bucket", "bucket is the bucket's name alone", origin(s3={"bucket": "my.bucket-1"}), origin(s3={"bucket": "arn:aws:s3:::abc"})),
    Case("origin path", "an origin's path starts with /", cdn(origins=[bucket(path="/v1")]), cdn(origins=[bucket(path="/v1/")])),
    Case("domain", "a domain name is lower case", origin(custom={"domainName": "a.b.example.com"}), origin(custom={"domainName": "https://example.com"})),
    Case("vpc origin", "a VPC origin's id starts with", origin(vpc=VPC), origin(vpc=VPC | {"vpcOriginId": "vpc-123"})),
    Case("two of a group", "primary and secondary are the same", group(), group(secondary="site")),
    Case("members of a group", "originGroups names an origin that does not exist", group(), group(secondary="elsewhere")),
    Case("id of a group", "originGroups has an id that an origin has", group(), group(id="site")),
]

BEHAVIORS = [
    Case("origin exists", "behaviors names an origin that does not exist", cdn(), cdn(behaviors=[behavior(origin="elsewhere")])),
    Case(
        "a default",
        "behaviors needs exactly one default behavior",
        cdn(behaviors=[behavior("/a/*"), behavior()]),
        cdn(behaviors=[behavior("/a/*"), behavior("/b/*")]),
    ),
    Case("two defaults", "behaviors needs exactly one default behavior", cdn(), cdn(behaviors=[behavior(), behavior(preset="html")])),
    Case(
        "paths differ",
        "two entries of the same path",
        cdn(behaviors=[behavior("/a/*"), behavior("/b/*"), behavior()]),
        cdn(behaviors=[behavior("/a/*"), behavior("/a/*"), behavior()]),
    ),
    Case("slash star", "path '/*' matches everything", cdn(behaviors=[behavior("/a*"), behavior()]), cdn(behaviors=[behavior("/*"), behavior()])),
    Case("path without slash", "a path is a pattern like", cdn(behaviors=[behavior("/img/*"), behavior()]), cdn(behaviors=[behavior("img/*"), behavior()])),
    Case("path grammar", "a path is a pattern like", cdn(behaviors=[behavior("*.js"), behavior()]), cdn(behaviors=[behavior("/a b"), behavior()])),
    Case(
        "groups only read",
        "behaviors sends writes to an origin group",
        cdn(**group()["spec"] | {"behaviors": [behavior(origin="pair", preset="api", allowedMethods="Read")]}),
        cdn(**group()["spec"] | {"behaviors": [behavior(origin="pair", preset="api")]}),
    ),
    Case("preset or policy", "exactly one of preset", one(cachePolicyId=OWN_POLICY), one()),
    Case("preset and policy", "exactly one of preset", one(preset="html"), one(preset="html", cachePolicyId=OWN_POLICY)),
    Case("policy id", "a policy id looks like", one(cachePolicyId=OWN_POLICY), one(cachePolicyId="CachingOptimized")),
    Case("nothing ignored", "tune the presets static", one(preset="html", ttl={"maxSeconds": 7200}), one(preset="noCache", ttl={"maxSeconds": 7200})),
    Case("nothing ignored by a policy", "tune the presets static", one(preset="api", credentials={}), one(cachePolicyId=OWN_POLICY, credentials={})),
    Case(
        "times in order",
        "ttl must keep minSeconds <= defaultSeconds",
        one(preset="api", ttl={"defaultSeconds": 60, "maxSeconds": 60}),
        one(preset="api", ttl={"defaultSeconds": 60, "maxSeconds": 30}),
    ),
    Case(
        "times in order with the preset's",
        "ttl must keep minSeconds <= defaultSeconds",
        one(preset="html", ttl={"maxSeconds": 3600}),
        one(preset="html", ttl={"maxSeconds": 3599}),
    ),
    Case(
        "minimum in order",
        "ttl must keep minSeconds <= defaultSeconds",
        one(preset="html", ttl={"minSeconds": 3600}),
        one(preset="html", ttl={"minSeconds": 3601}),
    ),
    Case(
        "caches at all",
        "ttl.maxSeconds is 0",
        one(preset="html", ttl={"defaultSeconds": 0, "maxSeconds": 1}),
        one(preset="html", ttl={"defaultSeconds": 0, "maxSeconds": 0}),
    ),
    Case(
        "minimum with credentials",
        "ttl.minSeconds above 0 caches even",
        one(preset="html", ttl={"minSeconds": 1}),
        one(preset="api", ttl={"minSeconds": 1}),
    ),
    Case(
        "minimum with own credentials",
        "ttl.minSeconds above 0 caches even",
        one(preset="static", ttl={"minSeconds": 0}, credentials={}),
        one(preset="static", ttl={"minSeconds": 1}, credentials={}),
    ),
    Case(
        "minimum with a cookie",
        "ttl.minSeconds above 0 caches even",
        one(preset="html", ttl={"minSeconds": 1}, cacheKey={"headers": ["accept-language"]}),
        one(preset="html", ttl={"minSeconds": 1}, cacheKey={"cookies": {"mode": "All"}}),
    ),
    Case(
        "minimum with a keyed token",
        "ttl.minSeconds above 0 caches even",
        one(preset="html", cacheKey={"headers": ["X-Auth-Token"]}),
        one(preset="html", ttl={"minSeconds": 1}, cacheKey={"headers": ["X-Auth-Token"]}),
    ),
    Case(
        "authorization beside the key",
        "forward.headers names a credential outside the cache key",
        one(preset="api", forward={"headers": ["user-agent", "cloudfront-viewer-country"]}),
        one(preset="api", forward={"headers": ["Authorization"]}),
    ),
    Case(
        "api key beside the key",
        "forward.headers names a credential outside the cache key",
        one(preset="html", forward={"headers": ["origin"]}),
        one(preset="html", forward={"headers": ["X-API-Key"]}),
    ),
    Case(
        "listed credential beside the key",
        "forward.headers names a credential outside the cache key",
        one(preset="api", credentials={"headers": ["x-tenant"]}, forward={"headers": ["x-request-id"]}),
        one(preset="api", credentials={"headers": ["x-tenant"]}, forward={"headers": ["X-Tenant"]}),
    ),
    Case(
        "credential in the query",
        "forward.queryStrings names a credential",
        one(preset="static", forward={"queryStrings": ["debug"]}),
        one(preset="static", forward={"queryStrings": ["access_token"]}),
    ),
    Case(
        "AllViewer with caching",
        "originRequestPolicyId is one of AWS's AllViewer",
        one(preset="noCache", originRequestPolicyId=ALL_VIEWER),
        one(preset="api", originRequestPolicyId=ALL_VIEWER),
    ),
    Case(
        "AllViewer with a policy of one's own",
        "originRequestPolicyId is one of AWS's AllViewer",
        one(cachePolicyId=CACHING_DISABLED, originRequestPolicyId=ALL_VIEWER),
        one(cachePolicyId=OWN_POLICY, originRequestPolicyId=ALL_VIEWER),
    ),
    Case(
        "unknown policy with a preset",
        "originRequestPolicyId is a policy whose headers",
        one(preset="html", originRequestPolicyId="88a5eaf4-2fd4-4709-b370-b4c650ea3fcf"),
        one(preset="html", originRequestPolicyId=OWN_POLICY),
    ),
    Case(
        "one origin request policy",
        "forward would do nothing",
        one(cachePolicyId=OWN_POLICY, forward={"headers": ["origin"]}),
        one(cachePolicyId=OWN_POLICY, originRequestPolicyId=OWN_POLICY, forward={"headers": ["origin"]}),
    ),
    Case(
        "noCache forwards all",
        "forward would do nothing",
        one(preset="html", forward={"headers": ["origin"]}),
        one(preset="noCache", forward={"headers": ["origin"]}),
    ),
    Case(
        "spa beside a function",
        "spa: true is a viewer-request function",
        one(preset="html", spa=True, functions=[FUNCTION | {"event": "viewer-response"}]),
        one(preset="html", spa=True, functions=[FUNCTION]),
    ),
    Case(
        "functions beside Lambda",
        "cannot both run on viewer events",
        one(preset="html", functions=[FUNCTION], lambdas=[EDGE_ORIGIN]),
        one(preset="html", functions=[FUNCTION], lambdas=[EDGE | {"event": "viewer-response"}]),
    ),
    Case(
        "function ARN",
        "arn must be that of a CloudFront function",
        one(preset="html", functions=[FUNCTION]),
        one(preset="html", functions=[FUNCTION | {"arn": EDGE["arn"]}]),
    ),
    Case(
        "Lambda version",
        "numbered version of a Lambda function",
        one(preset="html", lambdas=[EDGE]),
        one(preset="html", lambdas=[EDGE | {"arn": "arn:aws:lambda:us-east-1:123456789012:function:edge"}]),
    ),
    Case(
        "body of a response",
        "includeBody belongs to viewer-request",
        one(preset="html", lambdas=[EDGE_ORIGIN | {"includeBody": True}]),
        one(preset="html", lambdas=[EDGE | {"event": "origin-response", "includeBody": True}]),
    ),
    Case(
        "one response policy",
        "cacheControl is part of our response headers policy",
        one(preset="html", cacheControl="no-cache"),
        one(preset="html", cacheControl="no-cache", responseHeadersPolicyId=OWN_POLICY),
    ),
    Case(
        "encoding in the key",
        "cacheKey.headers cannot hold Accept-Encoding",
        one(preset="html", cacheKey={"headers": ["accept-language"]}),
        one(preset="html", cacheKey={"headers": ["Accept-Encoding"]}),
    ),
    Case(
        "size of the key",
        "the cache key has more than 10 headers",
        one(preset="api", cacheKey={"headers": [f"x-{n}" for n in range(8)]}),
        one(preset="api", cacheKey={"headers": [f"x-{n}" for n in range(9)]}),
    ),
    Case(
        "selection with names",
        "names belong to mode Include or Exclude",
        one(preset="api", cacheKey={"queryStrings": {"mode": "Exclude", "names": ["utm_source"]}}),
        one(preset="api", cacheKey={"queryStrings": {"mode": "All", "names": ["utm_source"]}}),
    ),
    Case(
        "selection without names",
        "names belong to mode Include or Exclude",
        one(preset="api", credentials={"cookies": {"mode": "None"}}),
        one(preset="api", credentials={"cookies": {"mode": "Include"}}),
    ),
    Case(
        "Host to a bucket",
        "behaviors sends the viewer's Host to a bucket",
        cdn(origins=API, behaviors=[behavior("/api/*", "api", "api", cacheKey={"headers": ["host"]}), behavior()]),
        cdn(origins=API, behaviors=[behavior("/api/*", "api", "api"), behavior(cacheKey={"headers": ["Host"]})]),
    ),
    Case(
        "Host to a group of buckets",
        "behaviors sends the viewer's Host to a bucket",
        cdn(**group()["spec"] | {"behaviors": [behavior(origin="pair")]}),
        cdn(**group()["spec"] | {"behaviors": [behavior(origin="pair", forward={"headers": ["host"]})]}),
    ),
]

DELIVERY = [
    Case("alias has certificate", "aliases need a certificate", secured(), secured(certificate=None)),
    Case("request has zone", "certificate.request is validated through", secured(), secured(dns=None)),
    Case(
        "request has names",
        "certificate.request has no name",
        secured(aliases=None, certificate={"request": {"domainNames": ["www.example.com"]}}),
        secured(aliases=None),
    ),
    Case(
        "aliases covered",
        "leaves out an alias",
        secured(certificate={"request": {"domainNames": ["*.example.com"]}}),
        secured(certificate={"request": {"domainNames": ["*.example.com"]}}, aliases=["a.b.example.com"]),
    ),
    Case("aliases in the zone", "dns.zoneName does not hold", secured(dns={"zoneName": "www.example.com"}), secured(dns={"zoneName": "ample.com"})),
    Case(
        "arn or request", "certificate needs exactly one", secured(certificate={"arn": CERTIFICATE}), secured(certificate={"arn": CERTIFICATE, "request": {}})
    ),
    Case("neither arn nor request", "certificate needs exactly one", secured(), secured(certificate={})),
    Case("certificate ARN", "certificate.arn must be the ARN", secured(certificate={"arn": CERTIFICATE}), secured(certificate={"arn": "my-certificate"})),
    Case("zone by id", "dns needs exactly one", secured(dns={"zoneId": "Z0123"}), secured(dns={"zoneId": "Z0123", "zoneName": "example.com"})),
    Case("zone id", "zoneId is the id alone", secured(dns={"zoneId": "Z0123"}), secured(dns={"zoneId": "/hostedzone/Z0123"})),
    Case("root object", "defaultRootObject is a file's name", cdn(defaultRootObject="a/index.html"), cdn(defaultRootObject="/index.html")),
    Case(
        "error pages beside an API",
        "errorPages hold for the whole distribution",
        cdn(origins=API, behaviors=[behavior("/api/*", "api", "api"), behavior()], errorPages=[{"code": 503, "path": "/e.html"}]),
        cdn(origins=API, behaviors=[behavior("/api/*", "api", "api"), behavior()], errorPages=[{"code": 404, "path": "/e.html"}]),
    ),
    Case("error page", "an error page's path starts", cdn(errorPages=[{"code": 404, "path": "/e.html"}]), cdn(errorPages=[{"code": 404, "path": "e.html"}])),
    Case(
        "HSTS preload",
        "hsts.preload needs maxAgeSeconds",
        cdn(responseHeaders={"hsts": {"maxAgeSeconds": 300, "preload": False}}),
        cdn(responseHeaders={"hsts": {"maxAgeSeconds": 300}}),
    ),
    Case(
        "HSTS subdomains",
        "hsts.preload needs maxAgeSeconds",
        cdn(responseHeaders={"hsts": {"includeSubdomains": True}}),
        cdn(responseHeaders={"hsts": {"includeSubdomains": False}}),
    ),
    Case(
        "CORS credentials",
        "cors.allowCredentials: true goes with named",
        cdn(responseHeaders={"cors": {"allowOrigins": ["https://a.example.com"], "allowHeaders": ["x-id"], "allowCredentials": True}}),
        cdn(responseHeaders={"cors": {"allowOrigins": ["*"], "allowHeaders": ["x-id"], "allowCredentials": True}}),
    ),
    Case(
        "CORS headers by default",
        "cors.allowCredentials: true goes with named",
        cdn(responseHeaders={"cors": {"allowOrigins": ["*"]}}),
        cdn(responseHeaders={"cors": {"allowOrigins": ["https://a.example.com"], "allowCredentials": True}}),
    ),
    Case(
        "CORS origin",
        "an origin is a scheme and a host",
        cdn(responseHeaders={"cors": {"allowOrigins": ["https://a.example.com:8443"]}}),
        cdn(responseHeaders={"cors": {"allowOrigins": ["a.example.com"]}}),
    ),
    Case(
        "country",
        "a country is two capital letters",
        cdn(geoRestriction={"type": "Allow", "countries": ["DE", "US"]}),
        cdn(geoRestriction={"type": "Deny", "countries": ["de"]}),
    ),
    Case(
        "web ACL",
        "webAclArn must be that of a WAFv2",
        cdn(webAclArn="arn:aws:wafv2:us-east-1:123456789012:global/webacl/edge/0a1b2c3d-1111"),
        cdn(webAclArn="arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/edge/0a1b2c3d-1111"),
    ),
    Case("log destination", "destinationArn must be the ARN", cdn(logging={"destinationArn": LOGS}), cdn(logging={"destinationArn": f"{LOGS}:*"})),
    Case(
        "log format",
        "logging.format w3c and parquet",
        cdn(logging={"destinationArn": "arn:aws:s3:::logs", "format": "parquet"}),
        cdn(logging={"destinationArn": LOGS, "format": "parquet"}),
    ),
    Case(
        "log path",
        "logging.suffixPath exists for S3",
        cdn(logging={"destinationArn": "arn:aws:s3:::logs", "suffixPath": "{yyyy}"}),
        cdn(logging={"destinationArn": LOGS, "suffixPath": "{yyyy}"}),
    ),
]

TOPIC = "arn:aws:sns:us-east-1:123456789012:ops"
ALARMS = [
    Case("topic or topic", "alarms takes topicArn", cdn(alarms={"topicArn": TOPIC}), cdn(alarms={"topicArn": TOPIC, "createTopic": {}})),
    Case(
        "topic key",
        "kmsKeyArn must be the ARN",
        cdn(alarms={"createTopic": {"kmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/0000-1111"}}),
        cdn(alarms={"createTopic": {"kmsKeyArn": "alias/aws/sns"}}),
    ),
    Case("topic region", "the topic must be the ARN", cdn(alarms={"topicArn": TOPIC}), cdn(alarms={"topicArn": TOPIC.replace("us-east-1", "eu-west-1")})),
    Case("email", "an address is written like", cdn(alarms={"createTopic": {"emails": ["a@b.io"]}}), cdn(alarms={"createTopic": {"emails": ["ops"]}})),
    *(
        Case(
            f"datapoints of {name}",
            f"(defaults {datapoints} of {periods})",
            cdn(alarms={name: {"datapointsToAlarm": 2}}),
            cdn(alarms={name: {"datapointsToAlarm": 2, "evaluationPeriods": 1}}),
        )
        for name, datapoints, periods in (("errorRate4xx", 5, 5), ("errorRate5xx", 3, 3), ("originLatency", 5, 5), ("cacheHitRate", 4, 6))
    ),
    *(
        Case(
            f"look-back of {name}",
            "periodSeconds times evaluationPeriods",
            cdn(alarms={name: {"periodSeconds": 3600}}),
            cdn(alarms={name: {"periodSeconds": 43200}}),
        )
        for name in ("errorRate4xx", "errorRate5xx", "originLatency", "cacheHitRate")
    ),
    Case("nothing to snapshot", "onDelete: Snapshot is for kinds", cdn(policy={"onDelete": "Retain"}), cdn(policy={"onDelete": "Snapshot"})),
]

CASES = [*COMMON, *ACCOUNT, *ORIGINS, *BEHAVIORS, *DELIVERY, *ALARMS]

CHANGES = [
    ChangeCase("region", "region cannot be changed", cdn(region="us-east-1"), cdn(region="us-east-1", comment="x"), cdn(region="eu-west-1")),
    ChangeCase("region added", "region cannot be changed", cdn(), cdn(comment="x"), cdn(region="eu-west-1")),
    ChangeCase(
        "account",
        "accountRef cannot be changed",
        cdn(accountRef={"name": "default"}),
        cdn(comment="x"),
        cdn(accountRef={"name": "other"}),
    ),
    ChangeCase("account id", "accountId cannot be changed", account(), account(region="eu-west-1"), account(accountId="210987654321")),
]

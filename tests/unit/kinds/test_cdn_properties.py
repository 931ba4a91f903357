"""What holds for every valid CdnDistribution, whatever it says."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings

from securebase.api.cdn import Behavior, CdnDistributionSpec
from securebase.api.cdn.selection import looks_like_credential
from securebase.core.fields import leaves
from securebase.core.graph import Graph, references
from securebase.core.kind import Needs
from securebase.kinds.cdn import CDN
from securebase.resources.cloudfront.managed import CACHE_POLICIES, ORIGIN_REQUEST_POLICIES
from securebase.resources.cloudfront.model import CacheBehavior, CachePolicy, Distribution, Function, OriginRequestPolicy, Selection
from tests.unit.kinds.any_cdn import cdn_specs
from tests.unit.kinds.composing import composed

# What each driver promises to tell of an existing resource.
ATTRIBUTES = {
    "acm/certificate": {"arn"},
    "acm/given-certificate": {"arn"},
    "cloudfront/cache-policy": {"id"},
    "cloudfront/distribution": {"id", "arn", "domainName", "hostedZoneId"},
    "cloudfront/function": {"arn"},
    "cloudfront/origin-access-control": {"id"},
    "cloudfront/origin-request-policy": {"id"},
    "cloudfront/response-headers-policy": {"id"},
    "logs/delivery-destination": {"arn"},
    "logs/delivery-source": {"name"},
    "route53/zone": {"id"},
    "s3/bucket": {"domainName"},
    "sns/topic": {"arn"},
}
LONGEST_ID = 253  # of a resource's id in status


def _distribution(graph: Graph) -> Distribution:
    desired = graph.nodes["distribution"].desired
    assert isinstance(desired, Distribution)
    return desired


def _pairs(spec: CdnDistributionSpec, graph: Graph) -> Iterator[tuple[Behavior, CacheBehavior]]:
    """Every behavior as it was asked for and as it came out."""
    distribution = _distribution(graph)
    yield spec.default_behavior, distribution.default_behavior
    yield from zip(spec.path_behaviors, distribution.behaviors, strict=True)


def _cache_policy(graph: Graph, id: str) -> CachePolicy | None:
    """The policy behind an id; None for one of the user's own."""
    for node, _ in references(id):
        desired = graph.nodes[node].desired
        assert isinstance(desired, CachePolicy)
        return desired
    return CACHE_POLICIES.get(id)


def _origin_request_policy(graph: Graph, id: str) -> OriginRequestPolicy | None:
    for node, _ in references(id):
        desired = graph.nodes[node].desired
        assert isinstance(desired, OriginRequestPolicy)
        return desired
    return ORIGIN_REQUEST_POLICIES.get(id, OriginRequestPolicy("") if not id else None)


def _lower(selection: Selection) -> Selection:
    return Selection(selection.behavior, frozenset(name.lower() for name in selection.names))


def _selects(selection: Selection, name: str) -> bool:
    match selection.behavior:
        case "none":
            return False
        case "whitelist":
            return name in selection.names
        case "allExcept":
            return name not in selection.names
        case _:
            return True


def _probes(behavior: Behavior, *selections: Selection) -> set[str]:
    """Header names worth asking about: all that anybody named, and some that nobody did."""
    named = {name for selection in selections for name in selection.names}
    listed = {name.lower() for name in behavior.effective_credentials.headers} if behavior.effective_credentials else set()
    return named | listed | {"authorization", "x-api-key", "x-session-token"}


@settings(max_examples=300, deadline=None)
@given(cdn_specs())
def test_no_credential_is_forwarded_outside_the_key_while_anything_is_cached(spec: CdnDistributionSpec) -> None:
    graph = composed(spec)
    for behavior, made in _pairs(spec, graph):
        key, beside = _cache_policy(graph, made.cache_policy_id), _origin_request_policy(graph, made.origin_request_policy_id)
        if key is None or beside is None or key.max_ttl == 0:
            continue
        key_headers, beside_headers = _lower(key.headers), _lower(beside.headers)
        listed = {name.lower() for name in behavior.effective_credentials.headers} if behavior.effective_credentials else set()
        for name in _probes(behavior, key_headers, beside_headers):
            if looks_like_credential(name) or name in listed:
                assert not _selects(beside_headers, name) or _selects(key_headers, name), name
        for cookie in {"session", "any", *key.cookies.names, *beside.cookies.names}:
            assert not _selects(beside.cookies, cookie) or _selects(key.cookies, cookie), cookie
        for query in {"access_token", *key.query_strings.names, *beside.query_strings.names}:
            if looks_like_credential(query):
                assert not _selects(beside.query_strings, query) or _selects(key.query_strings, query), query


@settings(max_examples=200, deadline=None)
@given(cdn_specs())
def test_credentials_that_tell_callers_apart_are_in_the_key(spec: CdnDistributionSpec) -> None:
    graph = composed(spec)
    for behavior, made in _pairs(spec, graph):
        credentials = behavior.effective_credentials
        if credentials is None:
            continue
        key = _cache_policy(graph, made.cache_policy_id)
        assert key is not None
        assert {"authorization", *(name.lower() for name in credentials.headers)} <= _lower(key.headers).names
        for cookie in ("session", "theme", "nobody-named-this"):
            assert not credentials.cookies.selects(cookie) or _selects(key.cookies, cookie)


@settings(max_examples=200, deadline=None)
@given(cdn_specs())
def test_times_are_in_order_and_compression_goes_with_the_key(spec: CdnDistributionSpec) -> None:
    graph = composed(spec)
    for behavior, made in _pairs(spec, graph):
        key = _cache_policy(graph, made.cache_policy_id)
        if key is None:
            continue
        assert 0 <= key.min_ttl <= key.default_ttl <= key.max_ttl
        if key.max_ttl == 0:
            assert not made.compress
            assert not (key.gzip or key.brotli or key.headers.names or key.cookies.names or key.query_strings.names)
        else:
            assert made.compress == key.gzip == key.brotli == behavior.compress


@settings(max_examples=200, deadline=None)
@given(cdn_specs())
def test_the_spa_function_runs_on_spa_behaviors_alone(spec: CdnDistributionSpec) -> None:
    graph = composed(spec)
    for behavior, made in _pairs(spec, graph):
        ours = [association for association in made.functions for _ in references(association.arn)]
        assert [association.event for association in ours] == (["viewer-request"] if behavior.spa else [])
        events = [*(function.event for function in made.functions), *(edge.event for edge in made.lambdas)]
        assert len(set(events)) == len(events)
    assert any(isinstance(node.desired, Function) for node in graph) == any(behavior.spa for behavior in spec.behaviors)


@settings(max_examples=200, deadline=None)
@given(cdn_specs())
def test_the_graph_can_be_executed(spec: CdnDistributionSpec) -> None:
    """It builds, so every reference names a node; each names an attribute that the node's driver tells; all lives in us-east-1."""
    graph = composed(spec)
    for node in graph:
        assert len(node.id) <= LONGEST_ID
        assert node.region == "us-east-1" or node.type in ("s3/bucket", "s3/policy-statement")
        assert node.guards == (node.type in ("cloudfront/distribution", "route53/record"))
    for node_id, attribute in {pair for node in graph for text in _texts(node.desired) for pair in references(text)}:
        promised = ATTRIBUTES[graph.nodes[node_id].type]
        assert attribute in promised or (attribute.startswith("validation") and graph.nodes[node_id].type == "acm/certificate")
    distribution = _distribution(graph)
    assert distribution.default_behavior.path_pattern == ""
    assert all(behavior.path_pattern for behavior in distribution.behaviors)
    known = {origin.id for origin in distribution.origins} | {group.id for group in distribution.origin_groups}
    assert all(made.target_origin in known for _, made in _pairs(spec, graph))


def _texts(value: object) -> Iterator[str]:
    """Every text of a desired value."""
    for leaf in leaves(value).values():
        yield from (text for text in (leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)) if isinstance(text, str))


@settings(max_examples=50, deadline=None)
@given(cdn_specs())
def test_the_same_spec_is_the_same_graph(spec: CdnDistributionSpec) -> None:
    assert composed(spec).nodes == composed(spec.model_copy(deep=True)).nodes
    assert CDN.needs(spec, "web") != Needs()

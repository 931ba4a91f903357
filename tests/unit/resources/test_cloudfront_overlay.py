"""Overlaying a distribution on a configuration: what is wanted is then read back, and what nobody knows stays."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from securebase.core.fields import UNMANAGED, SecretValue
from securebase.resources.cloudfront.distribution_config import EMPTY, items, overlay, quantity, read, spelled_like
from securebase.resources.cloudfront.model import (
    ALL_METHODS,
    SAFE_METHODS,
    CacheBehavior,
    Connection,
    Distribution,
    ErrorPage,
    FunctionAssociation,
    GeoRestriction,
    LambdaAssociation,
    Origin,
    OriginGroup,
    OriginHeader,
    Shield,
    ViewerCertificate,
)

NAMES = ("a", "b", "c", "d")
TEXT = st.text("abcxyz/.-_", max_size=8)
WORD = st.text("abcxyz", min_size=1, max_size=6)
SECONDS = st.integers(1, 120)


def keyed(items: st.SearchStrategy[Any], key: str, most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=most, unique_by=lambda item: getattr(item, key)).map(tuple)


HEADERS = keyed(st.builds(OriginHeader, WORD, st.one_of(TEXT, st.builds(SecretValue, TEXT, st.just("")))), "name")
CONNECTIONS = st.one_of(
    st.builds(Connection.s3, SECONDS),
    st.builds(
        Connection.custom,
        st.sampled_from(("http-only", "match-viewer", "https-only")),
        st.integers(1, 65535),
        st.integers(1, 65535),
        st.frozensets(st.sampled_from(("TLSv1", "TLSv1.1", "TLSv1.2")), min_size=1),
        SECONDS,
        SECONDS,
    ),
    st.builds(Connection.vpc, WORD, SECONDS, SECONDS),
)
ORIGINS = st.builds(
    Origin,
    st.sampled_from(NAMES),
    WORD,
    CONNECTIONS,
    TEXT,
    TEXT,
    HEADERS,
    st.one_of(st.just(Shield()), st.builds(Shield, st.just(True), WORD)),
    st.integers(1, 3),
    st.integers(1, 10),
)
GROUPS = st.builds(OriginGroup, st.sampled_from(NAMES), WORD, WORD, st.frozensets(st.integers(400, 599), min_size=1))


def behaviors(pattern: st.SearchStrategy[str]) -> st.SearchStrategy[CacheBehavior]:
    return st.builds(
        CacheBehavior,
        pattern,
        WORD,
        WORD,
        st.sampled_from(("allow-all", "redirect-to-https", "https-only")),
        st.sampled_from((SAFE_METHODS, ALL_METHODS)),
        st.sampled_from((SAFE_METHODS, SAFE_METHODS | {"OPTIONS"})),
        st.booleans(),
        TEXT,
        TEXT,
        keyed(st.builds(FunctionAssociation, st.sampled_from(("viewer-request", "viewer-response")), WORD), "event"),
        keyed(st.builds(LambdaAssociation, st.sampled_from(("origin-request", "origin-response")), WORD, st.booleans()), "event"),
        st.frozensets(WORD, max_size=2),
    )


PAGES = st.builds(ErrorPage, st.integers(400, 404), TEXT, st.sampled_from((0, 200, 503)), st.integers(0, 300))
CERTIFICATES = st.one_of(
    st.just(ViewerCertificate()), st.builds(ViewerCertificate.acm, WORD), st.builds(ViewerCertificate, WORD.map("iam:{}".format), WORD, WORD)
)
GEO = st.one_of(st.just(GeoRestriction()), st.builds(GeoRestriction, st.sampled_from(("whitelist", "blacklist")), st.frozensets(WORD, min_size=1)))
DISTRIBUTIONS = st.builds(
    Distribution,
    comment=TEXT,
    enabled=st.booleans(),
    aliases=st.frozensets(WORD, max_size=3),
    default_root_object=TEXT,
    origins=keyed(ORIGINS, "id", 4),
    origin_groups=keyed(GROUPS, "id"),
    default_behavior=behaviors(st.just("")),
    behaviors=keyed(behaviors(st.sampled_from(("/a", "/b", "/c"))), "path_pattern"),
    error_pages=keyed(PAGES, "code"),
    certificate=CERTIFICATES,
    price_class=WORD,
    http_version=st.sampled_from(("http2", "http2and3")),
    ipv6=st.booleans(),
    geo_restriction=GEO,
    web_acl_id=TEXT,
    tags=st.just({}),
)
UNKNOWN = {"NewSetting": {"Enabled": True}, "Logging": {"Enabled": True, "Bucket": "logs"}, "Staging": True}
UNKNOWN_INSIDE = {"NewInside": {"Level": 3}}


def with_unknown(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as a newer CloudFront would give it back: fields nobody here knows, at the top and inside every named item."""

    def inside(section: Any) -> dict[str, Any]:
        return quantity({**item, **UNKNOWN_INSIDE} for item in items(section))

    named = {name: inside(config[name]) for name in ("Origins", "OriginGroups", "CacheBehaviors", "CustomErrorResponses")}
    behavior = {**config["DefaultCacheBehavior"], **UNKNOWN_INSIDE, "GrpcConfig": {"Enabled": True}}
    return {**config, **named, "DefaultCacheBehavior": behavior, **UNKNOWN}


def seen(config: dict[str, Any], desired: Distribution) -> Distribution:
    return spelled_like(read(config, {}), desired)


@settings(max_examples=150, deadline=None)
@given(DISTRIBUTIONS)
def test_what_is_written_on_nothing_is_read_back(desired: Distribution) -> None:
    assert seen(overlay(EMPTY, desired), desired) == desired


@settings(max_examples=150, deadline=None)
@given(DISTRIBUTIONS, DISTRIBUTIONS)
def test_what_is_written_on_anything_is_read_back_and_the_unknown_stays(before: Distribution, desired: Distribution) -> None:
    raw = with_unknown(overlay(EMPTY, before))
    config = overlay(raw, desired)
    assert seen(config, desired) == desired
    assert {name: config[name] for name in UNKNOWN} == UNKNOWN
    assert config["DefaultCacheBehavior"]["NewInside"] == {"Level": 3}
    assert config["DefaultCacheBehavior"]["GrpcConfig"] == {"Enabled": True}
    for section, key in (("Origins", "Id"), ("OriginGroups", "Id"), ("CacheBehaviors", "PathPattern"), ("CustomErrorResponses", "ErrorCode")):
        kept = {item[key] for item in items(raw[section])}
        assert all(("NewInside" in item) == (item[key] in kept) for item in items(config[section])), section


@settings(max_examples=100, deadline=None)
@given(DISTRIBUTIONS)
def test_writing_what_is_there_changes_nothing(desired: Distribution) -> None:
    raw = with_unknown(overlay(EMPTY, desired))
    assert overlay(raw, desired) == raw


@settings(max_examples=100, deadline=None)
@given(DISTRIBUTIONS, DISTRIBUTIONS, st.data())
def test_an_unmanaged_field_is_sent_back_as_read(before: Distribution, desired: Distribution, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([field.name for field in fields(desired) if field.name != "tags"]))
    config = overlay(overlay(EMPTY, before), replace(desired, **{name: UNMANAGED}))
    assert getattr(seen(config, before), name) == getattr(before, name)


def simple(**changes: Any) -> Distribution:
    origin = Origin("site", "site.s3.us-east-1.amazonaws.com", Connection.s3())
    return replace(Distribution(origins=(origin,), default_behavior=CacheBehavior("", "site", "policy"), tags={}), **changes)


def test_a_cache_policy_takes_the_place_of_legacy_caching() -> None:
    raw = overlay(EMPTY, simple())
    legacy = {**raw["DefaultCacheBehavior"], "ForwardedValues": {"QueryString": True}, "MinTTL": 5, "DefaultTTL": 6, "MaxTTL": 7}
    del legacy["CachePolicyId"]
    config = overlay({**raw, "DefaultCacheBehavior": legacy}, simple())
    assert config["DefaultCacheBehavior"].keys().isdisjoint({"ForwardedValues", "MinTTL", "DefaultTTL", "MaxTTL"})
    kept = overlay({**raw, "DefaultCacheBehavior": legacy}, read({**raw, "DefaultCacheBehavior": legacy}, {}))
    assert kept["DefaultCacheBehavior"]["ForwardedValues"] == {"QueryString": True}, "left alone where no policy is wanted"


def test_an_access_control_takes_the_place_of_an_access_identity() -> None:
    raw = overlay(EMPTY, simple())
    origin = {**raw["Origins"]["Items"][0], "S3OriginConfig": {"OriginAccessIdentity": "origin-access-identity/cloudfront/E1", "OriginReadTimeout": 30}}
    raw = {**raw, "Origins": quantity([origin])}
    assert overlay(raw, simple())["Origins"]["Items"][0]["S3OriginConfig"]["OriginAccessIdentity"].endswith("E1")
    signed = simple(origins=(replace(simple().origins[0], access_control_id="E2"),))
    assert overlay(raw, signed)["Origins"]["Items"][0]["S3OriginConfig"]["OriginAccessIdentity"] == ""


def test_a_changed_certificate_leaves_no_trace_of_the_old_one() -> None:
    """CloudFront also answers with the deprecated Certificate and CertificateSource; sent back they would contradict the new ARN."""
    raw = overlay(EMPTY, simple(certificate=ViewerCertificate.acm("arn:old")))
    raw["ViewerCertificate"] |= {"Certificate": "arn:old", "CertificateSource": "acm"}
    assert overlay(raw, simple(certificate=ViewerCertificate.acm("arn:old")))["ViewerCertificate"] == raw["ViewerCertificate"]
    assert "arn:old" not in str(overlay(raw, simple(certificate=ViewerCertificate.acm("arn:new")))["ViewerCertificate"])


def test_headers_are_secret_unless_they_are_wanted_as_text() -> None:
    origin = replace(simple().origins[0], headers=(OriginHeader("x-verify", SecretValue("s3cret", "4")), OriginHeader("x-site", "blue")))
    desired = simple(origins=(origin,))
    there = read(overlay(EMPTY, desired), {})
    assert "s3cret" not in repr(there) and "blue" not in repr(there)
    assert seen(overlay(EMPTY, desired), desired) == desired

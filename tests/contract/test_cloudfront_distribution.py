"""Distributions: the contract field by field, and what is special about them."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from lab.aws.models.acm import Acm
from securebase.core.driver import Depth, Observed, State, Target
from securebase.core.errors import Terminal, TokenSpent, Transient, Waiting
from securebase.core.fields import SecretValue
from securebase.core.identity import OWNER_TAG
from securebase.resources.cloudfront.distribution import DistributionDriver
from securebase.resources.cloudfront.managed import ALL_VIEWER_EXCEPT_HOST_HEADER, CACHING_DISABLED, CACHING_OPTIMIZED
from securebase.resources.cloudfront.model import (
    ALL_METHODS,
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
from tests.contract.harness import Contract, Lab, check_contract, delete, differences, eventually, in_sync, observe, settled, write
from tests.contract.not_in_lab import marks

BUCKET = Origin("site", "site.s3.us-east-1.amazonaws.com", Connection.s3())
API = Origin("api", "api.example.com", Connection.custom(), headers=(OriginHeader("x-origin-verify", SecretValue("s3cret", "1")),))
SITE = CacheBehavior("", "site", CACHING_OPTIMIZED)
SMALL = Distribution(comment="static site", origins=(BUCKET,), default_behavior=SITE, tags={"team": "web"})
LAMBDA = "arn:aws:lambda:us-east-1:123456789012:function:edge:7"
WEB_ACL = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/site/a1b2"
SECURITY_HEADERS = "67f7725c-6f97-4210-82d7-5512b31e9d03"

RICH = Distribution(
    comment="everything",
    default_root_object="index.html",
    origins=(
        replace(BUCKET, path="/v1", shield=Shield(True, "us-east-1"), connection_attempts=2, connection_timeout=5),
        API,
        Origin("spare", "spare.s3.us-west-2.amazonaws.com", Connection.s3(read_timeout=20)),
    ),
    origin_groups=(OriginGroup("pair", "site", "spare", frozenset({500, 502})),),
    default_behavior=replace(
        SITE, target_origin="pair", response_headers_policy_id=SECURITY_HEADERS, trusted_key_groups=frozenset({"4b4f2a1e-0000-4000-8000-000000000001"})
    ),
    behaviors=(
        CacheBehavior("/api/*", "api", CACHING_DISABLED, "https-only", ALL_METHODS, compress=False, origin_request_policy_id=ALL_VIEWER_EXCEPT_HOST_HEADER),
        CacheBehavior("/app/*", "site", CACHING_OPTIMIZED, lambdas=(LambdaAssociation("origin-request", LAMBDA, include_body=True),)),
    ),
    error_pages=(ErrorPage(502, "/sorry.html", 503, 5), ErrorPage(404, min_ttl=0)),
    price_class="PriceClass_100",
    http_version="http2and3",
    ipv6=False,
    geo_restriction=GeoRestriction("whitelist", frozenset({"DE", "FR"})),
    web_acl_id=WEB_ACL,
    tags={"team": "web", "cost-center": "42"},
)


def changed_outside(lab: Lab, id: str, **changes: Any) -> dict[str, Any]:
    """Somebody else's whole-object write; the configuration that resulted."""
    client = lab.raw("cloudfront")
    now = client.get_distribution_config(Id=id)
    answer = client.update_distribution(Id=id, IfMatch=now["ETag"], DistributionConfig={**now["DistributionConfig"], **changes})
    config: dict[str, Any] = answer["Distribution"]["DistributionConfig"]
    return config


def made(lab: Lab, desired: Distribution = SMALL) -> tuple[DistributionDriver, Target[Distribution], Observed[Distribution]]:
    """A distribution of ours, deployed."""
    driver = DistributionDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, desired)
    first = driver.create(target, uuid.uuid4().hex)
    target = replace(target, external_id=first.external_id)
    return driver, target, settled(driver, target)


def first(origins: tuple[Origin, ...], **changes: Any) -> tuple[Origin, ...]:
    return (replace(origins[0], **changes), *origins[1:])


CHANGES: dict[str, Distribution] = {
    "comment": replace(RICH, comment="another"),
    "enabled": replace(RICH, enabled=False),
    "root object": replace(RICH, default_root_object=""),
    "origin path": replace(RICH, origins=first(RICH.origins, path="")),
    "origin domain": replace(RICH, origins=first(RICH.origins, domain_name="other.s3.us-east-1.amazonaws.com")),
    "shield": replace(RICH, origins=first(RICH.origins, shield=Shield())),
    "attempts": replace(RICH, origins=first(RICH.origins, connection_attempts=3, connection_timeout=10)),
    "origin type": replace(RICH, origins=first(RICH.origins, connection=Connection.custom())),
    "custom origin": replace(
        RICH, origins=(RICH.origins[0], replace(API, connection=Connection.custom("match-viewer", 8080, 8443, read_timeout=60)), *RICH.origins[2:])
    ),
    "secret": replace(RICH, origins=(RICH.origins[0], replace(API, headers=(OriginHeader("x-origin-verify", SecretValue("new", "2")),)), *RICH.origins[2:])),
    "plain header": replace(RICH, origins=first(RICH.origins, headers=(OriginHeader("x-site", "blue"),))),
    "one origin more": replace(RICH, origins=(*RICH.origins, replace(BUCKET, id="more"))),
    "group": replace(RICH, origin_groups=(OriginGroup("pair", "spare", "site", frozenset({503})),)),
    "behavior order": replace(RICH, behaviors=RICH.behaviors[::-1]),
    "no behaviors": replace(RICH, behaviors=()),
    "behavior": replace(RICH, behaviors=(replace(RICH.behaviors[0], viewer_protocol="redirect-to-https", compress=True), RICH.behaviors[1])),
    "policies": replace(RICH, default_behavior=replace(RICH.default_behavior, response_headers_policy_id="", trusted_key_groups=frozenset())),
    "lambda": replace(RICH, behaviors=(RICH.behaviors[0], replace(RICH.behaviors[1], lambdas=()))),
    "error pages": replace(RICH, error_pages=(ErrorPage(502),)),
    "price class": replace(RICH, price_class="PriceClass_All"),
    "http version": replace(RICH, http_version="http2"),
    "ipv6": replace(RICH, ipv6=True),
    "geo": replace(RICH, geo_restriction=GeoRestriction("blacklist", frozenset({"US"}))),
    "no geo": replace(RICH, geo_restriction=GeoRestriction()),
    "web ACL": replace(RICH, web_acl_id=""),
    "tag value": replace(RICH, tags={"team": "platform", "cost-center": "42"}),
    "new tag": replace(RICH, tags={**RICH.tags, "stage": "prod"}),
}
NAMES = list(CHANGES)


def test_lives_as_promised(lab: Lab) -> None:
    def drift(seen: Observed[Distribution]) -> None:
        changed_outside(lab, seen.external_id, Comment="changed outside")

    check_contract(lab, Contract(DistributionDriver, SMALL, {"comment": replace(SMALL, comment="another")}, drift, "comment"))


def test_every_field_can_be_changed(lab: Lab) -> None:
    chosen = NAMES if not lab.stale else NAMES[::5]
    check_contract(lab, Contract(DistributionDriver, RICH, {name: CHANGES[name] for name in chosen}))


def test_drift_of_tags_is_seen_and_a_foreign_tag_is_left_alone(lab: Lab) -> None:
    driver, target, seen = made(lab)
    resource = seen.attributes["arn"]
    lab.raw("cloudfront").tag_resource(Resource=resource, Tags={"Items": [{"Key": "team", "Value": "theirs"}, {"Key": "added", "Value": "by them"}]})
    for depth in Depth:
        drifted = eventually(partial(observe, driver, target, depth), lambda seen: not in_sync(target)(seen), f"tag drift ({depth})")
        assert drifted is not None and drifted.value.tags == {"team": "theirs", "added": "by them"}


def test_certificate_and_aliases(lab: Lab) -> None:
    alias = f"{uuid.uuid4().hex[:8]}.example.com"
    lab.control.model(Acm).force(alias, "ISSUED")
    arn = lab.raw("acm").request_certificate(DomainName=alias, ValidationMethod="DNS")["CertificateArn"]
    secured = replace(SMALL, aliases=frozenset({alias}), certificate=ViewerCertificate.acm(arn))
    older = replace(secured, certificate=ViewerCertificate.acm(arn, "TLSv1.2_2019"))
    check_contract(lab, Contract(DistributionDriver, secured, {"TLS": older, "no alias": replace(secured, aliases=frozenset()), "none": SMALL}))


def test_functions_and_access_control(lab: Lab) -> None:
    client = lab.raw("cloudfront")
    config = {"Name": "spa", "SigningProtocol": "sigv4", "SigningBehavior": "always", "OriginAccessControlOriginType": "s3"}
    oac = client.create_origin_access_control(OriginAccessControlConfig=config)["OriginAccessControl"]["Id"]
    code = b"function handler(event) { return event.request; }"
    function = client.create_function(Name="spa", FunctionConfig={"Comment": "", "Runtime": "cloudfront-js-2.0"}, FunctionCode=code)
    client.publish_function(Name="spa", IfMatch=function["ETag"])
    arn = function["FunctionSummary"]["FunctionMetadata"]["FunctionARN"]
    routed = replace(SITE, functions=(FunctionAssociation("viewer-request", arn),))
    with_oac = replace(SMALL, origins=(replace(BUCKET, access_control_id=oac),), default_behavior=routed)
    check_contract(lab, Contract(DistributionDriver, SMALL, {"with": with_oac}))


def test_vpc_origin(lab: Lab) -> None:
    subnets = [subnet["SubnetId"] for subnet in lab.raw("ec2").describe_subnets()["Subnets"]][:2]
    balancer = lab.raw("elbv2").create_load_balancer(Name="inside", Scheme="internal", Subnets=subnets)["LoadBalancers"][0]
    endpoint = {
        "Name": "inside",
        "Arn": balancer["LoadBalancerArn"],
        "HTTPPort": 80,
        "HTTPSPort": 443,
        "OriginProtocolPolicy": "https-only",
    }
    id = lab.raw("cloudfront").create_vpc_origin(VpcOriginEndpointConfig=endpoint)["VpcOrigin"]["Id"]
    inside = replace(SMALL, origins=(Origin("site", balancer["DNSName"], Connection.vpc(id, 20, 10)),))
    slower = replace(inside, origins=first(inside.origins, connection=Connection.vpc(id, 40, 20)))
    public = replace(inside, origins=first(inside.origins, connection=Connection.custom()))
    check_contract(lab, Contract(DistributionDriver, inside, {"timeouts": slower, "public": public}))


def test_what_we_do_not_know_survives_an_update(lab: Lab) -> None:
    driver, target, seen = made(lab, RICH)
    config = seen.raw
    api = config["CacheBehaviors"]["Items"][0]
    changed_outside(
        lab,
        seen.external_id,
        Logging={"Enabled": True, "IncludeCookies": True, "Bucket": "logs.s3.amazonaws.com", "Prefix": "cdn/"},
        CacheBehaviors={**config["CacheBehaviors"], "Items": [{**api, "SmoothStreaming": True}, *config["CacheBehaviors"]["Items"][1:]]},
    )
    changed = replace(target, desired=replace(RICH, comment="another", behaviors=RICH.behaviors[::-1]))
    now = eventually(partial(observe, driver, changed), lambda now: now is not None and now.raw["Logging"]["Enabled"], "the foreign change shows")
    assert now is not None
    driver.update(changed, now, differences(changed, now))
    written = lab.raw("cloudfront").get_distribution_config(Id=seen.external_id)["DistributionConfig"]
    assert written["Logging"]["Bucket"] == "logs.s3.amazonaws.com"
    assert {each["PathPattern"]: each["SmoothStreaming"] for each in written["CacheBehaviors"]["Items"]} == {"/app/*": False, "/api/*": True}
    assert written["Comment"] == "another"


def test_a_write_in_between_is_not_overwritten(lab: Lab) -> None:
    driver, target, seen = made(lab)
    changed_outside(lab, seen.external_id, PriceClass="PriceClass_100")
    changed = replace(target, desired=replace(SMALL, comment="another"))
    with pytest.raises(Transient, match="ChangedMeanwhile"):
        driver.update(changed, seen, differences(changed, seen))


def test_pending_until_deployed(lab: Lab) -> None:
    lab.control.settings.distribution_deploy_s = 60.0
    try:
        driver = DistributionDriver(lab.scope("us-east-1"), lab.clock)
        target = lab.target(driver.type, SMALL)
        made = driver.create(target, uuid.uuid4().hex)
        assert (made.state, made.reason) == (State.PENDING, "InProgress")
        assert "deployed" not in made.attributes
        assert made.attributes["hostedZoneId"] == "Z2FDTNDATAQYW2"
        target = replace(target, external_id=made.external_id)
        disabled = driver.delete(target, made)
        assert disabled is not None and (disabled.state, disabled.reason, disabled.value.enabled) == (State.PENDING, "Disabling", False)
        assert driver.delete(target, disabled) is not None, "not before it is deployed"
        lab.control.advance(61.0)
        delete(driver, target)
    finally:
        lab.control.settings.distribution_deploy_s = 0.2


def test_an_alias_of_somebody_else_is_told_and_never_touched(lab: Lab) -> None:
    alias = f"{uuid.uuid4().hex[:8]}.example.com"
    lab.control.model(Acm).force(alias, "ISSUED")
    arn = lab.raw("acm").request_certificate(DomainName=alias, ValidationMethod="DNS")["CertificateArn"]
    wanted = replace(SMALL, aliases=frozenset({alias}), certificate=ViewerCertificate.acm(arn))
    _, their_target, their_distribution = made(lab, wanted)
    lab.raw("cloudfront").untag_resource(Resource=their_distribution.attributes["arn"], TagKeys={"Items": [OWNER_TAG]})
    driver = DistributionDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, wanted)
    with pytest.raises(Terminal, match="CNAMEAlreadyExists"):
        driver.create(target, uuid.uuid4().hex)
    seen = eventually(lambda: observe(driver, target), lambda seen: seen is not None and not seen.owner, "the holder of the alias is found")
    assert seen is not None and seen.external_id == their_target.external_id
    adopted = driver.adopt(target, seen)
    assert adopted.owner == target.owner
    settled(driver, target)


def test_a_lost_answer_makes_no_second_one(lab: Lab) -> None:
    driver = DistributionDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, SMALL)
    token = uuid.uuid4().hex
    lab.control.lose_answer("cloudfront", "CreateDistributionWithTags")
    with pytest.raises(Transient):
        driver.create(target, token)
    restarted = DistributionDriver(lab.scope("us-east-1"), lab.clock)
    made = eventually(lambda: restarted.create(target, token), lambda _: True, "the second try finds the first")
    settled(restarted, replace(target, external_id=made.external_id))
    assert len(lab.raw("cloudfront").list_distributions()["DistributionList"]["Items"]) == 1


def test_a_token_whose_distribution_is_gone_is_spent(lab: Lab) -> None:
    driver = DistributionDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, SMALL)
    lab.control.fail("cloudfront", "CreateDistributionWithTags", "DistributionAlreadyExists", account=lab.account)
    with pytest.raises(Exception, match="CreateUnconfirmed"):
        driver.create(target, "token")
    lab.clock.advance(61.0)
    with pytest.raises(TokenSpent):
        driver.create(target, "token")


def test_denied_is_not_absent(lab: Lab) -> None:
    driver, target, _ = made(lab)
    lab.control.fail("cloudfront", "GetDistribution", "AccessDenied", 403, account=lab.account)
    with pytest.raises(Exception, match="AccessDenied"):
        observe(driver, target)


def test_inventory(lab: Lab) -> None:
    driver, target, seen = made(lab)
    assert driver.owned(target.identity) == {target.node: seen.external_id}


def reads(lab: Lab) -> list[str]:
    return [record.operation for record in lab.control.log.records() if record.account == lab.account and not record.write]


def test_a_storm_of_first_passes_lists_once(lab: Lab) -> None:
    driver = DistributionDriver(lab.scope("us-east-1"), lab.clock)
    targets = [lab.target(driver.type, SMALL) for _ in range(40)]

    def first_pass(target: Target[Distribution]) -> str:
        assert observe(driver, target) is None
        return driver.create(target, uuid.uuid4().hex).external_id

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(first_pass, targets))
    assert len(ids) == 40
    assert len(reads(lab)) <= 8, reads(lab)


def test_an_idle_sweep_reads_lists_alone(lab: Lab) -> None:
    driver = DistributionDriver(lab.scope("us-east-1"), lab.clock)
    targets = [lab.target(driver.type, SMALL) for _ in range(105)]
    with ThreadPoolExecutor(8) as pool:
        known = list(pool.map(lambda target: replace(target, external_id=driver.create(target, uuid.uuid4().hex).external_id), targets))
    for target in known:
        settled(driver, target, Depth.FRESH)
    eventually(lambda: driver.observe(known, Depth.SWEEP), lambda seen: all(isinstance(answer, Observed) for answer in seen.values()), "all swept")
    before = len(reads(lab))
    for _ in range(3):
        answers = driver.observe(known, Depth.SWEEP)
        assert all(isinstance(answer, Observed) for answer in answers.values())
    assert reads(lab)[before:] == ["ListDistributions", "ListDistributions", "GetResources", "GetResources"] * 3


def test_a_status_that_was_lost_is_found_again_by_tag(lab: Lab) -> None:
    _, target, seen = made(lab)
    restarted = DistributionDriver(lab.scope("us-east-1"), lab.clock)
    lost = replace(target, external_id="")
    assert settled(restarted, lost).external_id == seen.external_id
    assert settled(restarted, lost, Depth.SWEEP).external_id == seen.external_id


def test_many_deployments_are_followed_by_list(lab: Lab) -> None:
    lab.control.settings.distribution_deploy_s = 600.0
    try:
        driver = DistributionDriver(lab.scope("us-east-1"), lab.clock)
        made = [driver.create(target, uuid.uuid4().hex) for target in (lab.target(driver.type, SMALL) for _ in range(12))]
        targets = [replace(lab.target(driver.type, SMALL), external_id=each.external_id) for each in made]
        before = len(reads(lab))
        for _ in range(3):
            lab.clock.advance(6.0)
            assert {target.external_id: observe(driver, target).state for target in targets} == dict.fromkeys(  # type: ignore[union-attr]
                (target.external_id for target in targets), State.PENDING
            )
        assert reads(lab)[before:].count("ListDistributions") <= 3
        assert len(reads(lab)) - before <= 3 if not lab.stale else True
        lab.control.advance(601.0)
        lab.clock.advance(6.0)
        for target in targets:
            eventually(partial(observe, driver, target), lambda seen: seen is not None and seen.state is State.READY, "deployed")
    finally:
        lab.control.settings.distribution_deploy_s = 0.2


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in ("cloudfront/distribution: an unknown key group is refused",)])
def test_unknown_key_group_is_refused(lab: Lab, name: str) -> None:
    driver = DistributionDriver(lab.scope("us-east-1"), lab.clock)
    private = replace(SMALL, default_behavior=replace(SITE, trusted_key_groups=frozenset({"4b4f2a1e-0000-4000-8000-00000000dead"})))
    with pytest.raises(Terminal, match="TrustedKeyGroupDoesNotExist"):
        driver.create(lab.target(driver.type, private), uuid.uuid4().hex)


def test_what_was_just_made_is_never_taken_for_gone(lab: Lab) -> None:
    lab.control.stale(1.0, "absent")
    driver = DistributionDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, SMALL)
    made = driver.create(target, uuid.uuid4().hex)
    known = replace(target, external_id=made.external_id)
    waited = 0
    for _ in range(20):
        for depth in Depth:
            answer = driver.observe([known], depth)[known.key]
            assert answer is not None
            waited += isinstance(answer, Waiting)
    assert waited
    settled(driver, known)


def test_reads_that_lag_lead_to_no_lost_update(lab: Lab) -> None:
    driver, target, _ = made(lab)
    lab.control.stale(1.0, "reads")
    for comment in ("one", "two", "three"):
        changed = replace(target, desired=replace(SMALL, comment=comment))
        write(driver, changed)
        settled(driver, changed)
    lab.control.stale(0.0)
    assert settled(driver, changed).value.comment == "three"

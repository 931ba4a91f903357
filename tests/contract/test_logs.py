"""Vended log delivery: source, destination and what joins them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from securebase.core.driver import Depth, Observed, State, Target, replaces_in_place
from securebase.core.errors import Denied, Terminal
from securebase.core.fields import Impact
from securebase.core.graph import Ref
from securebase.core.identity import OWNER_TAG
from securebase.resources.logs.driver import IMPLICIT_PREFIX, DeliveryDestinationDriver, DeliveryDriver, DeliverySourceDriver
from securebase.resources.logs.model import Delivery, DeliveryDestination, DeliverySource
from tests.contract.harness import Contract, Lab, check_contract, delete, differences, eventually, in_sync, observe, settled, write

PATH = "{DistributionId}/{yyyy}/{MM}/{dd}/{HH}"
ORIGIN = {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only"}
FIELDS = ("date", "time", "x-edge-location", "sc-status")


def distribution(lab: Lab) -> str:
    """ARN of a distribution that exists: a source needs one."""
    config: dict[str, Any] = {
        "CallerReference": uuid4().hex,
        "Comment": "",
        "Enabled": False,
        "Origins": {"Quantity": 1, "Items": [{"Id": "o", "DomainName": "o.example.com", "CustomOriginConfig": ORIGIN}]},
        "DefaultCacheBehavior": {
            "TargetOriginId": "o",
            "ViewerProtocolPolicy": "https-only",
            "CachePolicyId": "658327ea-f89d-4fab-a63d-7e88639e58f6",
        },
    }
    arn: str = lab.raw("cloudfront").create_distribution(DistributionConfig=config)["Distribution"]["ARN"]
    return arn


def source(lab: Lab) -> DeliverySource:
    return DeliverySource(name=f"source-{uuid4().hex[:10]}", resource_arn=distribution(lab), tags={"team": "web"})


def destination(lab: Lab) -> DeliveryDestination:
    return DeliveryDestination(name=f"destination-{uuid4().hex[:10]}", destination_arn=f"arn:aws:s3:::logs-{lab.account}", tags={"team": "web"})


def made_pair(lab: Lab) -> tuple[str, str]:
    """Name of a source, ARN of a destination."""
    from_ = lab.raw("logs").put_delivery_source(name=f"s-{uuid4().hex[:8]}", resourceArn=distribution(lab), logType="ACCESS_LOGS")
    config = {"destinationResourceArn": f"arn:aws:s3:::logs-{lab.account}"}
    to = lab.raw("logs").put_delivery_destination(name=f"d-{uuid4().hex[:8]}", outputFormat="w3c", deliveryDestinationConfiguration=config)
    return from_["deliverySource"]["name"], to["deliveryDestination"]["arn"]


def delivery(lab: Lab) -> Delivery:
    name, arn = made_pair(lab)
    return Delivery(source_name=name, destination_arn=arn, tags={"team": "web"}, fields=FIELDS, field_delimiter="\t", suffix_path=PATH)


def retag(lab: Lab) -> Any:
    return lambda seen: lab.raw("logs").tag_resource(resourceArn=seen.attributes["arn"], tags={"team": "theirs"})


def test_source_lives_as_promised(lab: Lab) -> None:
    want = source(lab)
    check_contract(lab, Contract(DeliverySourceDriver, want, {"tag": replace(want, tags={"team": "platform"})}, retag(lab), "tags[team]"))


def test_destination_lives_as_promised(lab: Lab) -> None:
    want = destination(lab)
    changes = {"tag": replace(want, tags={"team": "platform"}), "new tag": replace(want, tags={**want.tags, "stage": "prod"})}
    check_contract(lab, Contract(DeliveryDestinationDriver, want, changes, retag(lab), "tags[team]"))


def test_delivery_lives_as_promised(lab: Lab) -> None:
    want = delivery(lab)
    changes = {
        "fields": replace(want, fields=("date", "time")),
        "order": replace(want, fields=FIELDS[::-1]),
        "delimiter": replace(want, field_delimiter=","),
        "path": replace(want, suffix_path="{yyyy}/{DistributionId}"),
        "hive": replace(want, hive_compatible=True),
        "tag": replace(want, tags={"team": "platform"}),
    }

    def drift(seen: Observed[Delivery]) -> None:
        lab.raw("logs").update_delivery_configuration(id=seen.external_id, recordFields=["date"])

    check_contract(lab, Contract(DeliveryDriver, want, changes, drift, "fields"))


def made(lab: Lab, want: Delivery) -> tuple[DeliveryDriver, Target[Delivery]]:
    driver = DeliveryDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, want)
    return driver, replace(target, external_id=driver.create(target, "t").external_id)


def test_the_prefix_that_aws_puts_before_a_path_is_no_difference_and_stays(lab: Lab) -> None:
    driver, target = made(lab, delivery(lab))
    client = lab.raw("logs")
    config = {"suffixPath": IMPLICIT_PREFIX + PATH}
    client.update_delivery_configuration(id=target.external_id, s3DeliveryConfiguration=config)
    eventually(lambda: observe(driver, target), lambda seen: seen is not None and "AWSLogs" in str(seen.raw), "prefix seen")
    for depth in Depth:
        settled(driver, target, depth)
    fewer = replace(target, desired=replace(target.want(), fields=("date",)))
    write(driver, fewer)
    assert client.get_delivery(id=target.external_id)["delivery"]["s3DeliveryConfiguration"]["suffixPath"] == IMPLICIT_PREFIX + PATH
    moved = replace(fewer, desired=replace(fewer.want(), suffix_path="/{yyyy}"))
    write(driver, moved)
    assert client.get_delivery(id=target.external_id)["delivery"]["s3DeliveryConfiguration"]["suffixPath"] == IMPLICIT_PREFIX + "{yyyy}"


def test_what_is_left_to_aws_is_no_difference(lab: Lab) -> None:
    name, arn = made_pair(lab)
    driver, target = made(lab, Delivery(name, arn, {}))
    lab.raw("logs").update_delivery_configuration(id=target.external_id, recordFields=["date"], s3DeliveryConfiguration={"suffixPath": "theirs"})
    settled(driver, target)


def test_a_delivery_is_found_by_its_pair(lab: Lab) -> None:
    driver, target = made(lab, delivery(lab))
    fresh = DeliveryDriver(lab.scope("us-east-1"), lab.clock)
    unknown = replace(target, external_id="")
    for depth in Depth:
        found = eventually(partial(observe, fresh, unknown, depth), lambda seen: seen is not None, f"found ({depth})")
        assert found is not None
        assert found.external_id == target.external_id
    assert observe(driver, lab.target(driver.type, replace(target.want(), source_name=Ref("source", "name")))) is None


def test_used_ones_wait_for_their_deliveries(lab: Lab) -> None:
    sources = DeliverySourceDriver(lab.scope("us-east-1"), lab.clock)
    destinations = DeliveryDestinationDriver(lab.scope("us-east-1"), lab.clock)
    from_, to = lab.target(sources.type, source(lab)), lab.target(destinations.type, destination(lab))
    arn = destinations.create(to, "t").attributes["arn"]
    sources.create(from_, "t")
    driver, target = made(lab, Delivery(from_.want().name, arn, {}))
    for each, one in ((sources, from_), (destinations, to)):
        left = each.delete(one, settled(each, one))  # type: ignore[arg-type]
        assert left is not None
        assert (left.state, left.reason) == (State.PENDING, "InUse")
    delete(driver, target)
    delete(sources, from_)
    delete(destinations, to)


def test_immutable_fields_are_replaced_name_first(lab: Lab) -> None:
    driver = DeliverySourceDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, source(lab))
    driver.create(target, "t")
    other = replace(target, desired=replace(target.want(), resource_arn=distribution(lab)))
    assert {change.impact for change in differences(other, settled(driver, target))} == {Impact.REPLACE}
    assert replaces_in_place(driver)


def test_a_second_source_of_one_resource_is_refused(lab: Lab) -> None:
    driver = DeliverySourceDriver(lab.scope("us-east-1"), lab.clock)
    first = lab.target(driver.type, source(lab))
    driver.create(first, "t")
    lab.control.stale(0.0)
    with pytest.raises(Terminal, match="SourceExists"):
        driver.create(lab.target(driver.type, replace(first.want(), name="another")), "t")
    with pytest.raises(Terminal, match="NameTaken"):
        driver.create(lab.target(driver.type, first.want()), "t")


def test_adoption_and_inventory(lab: Lab) -> None:
    want = destination(lab)
    config = {"destinationResourceArn": want.destination_arn}
    lab.raw("logs").put_delivery_destination(name=want.name, outputFormat="json", deliveryDestinationConfiguration=config)
    driver = DeliveryDestinationDriver(lab.scope("us-east-1"), lab.clock)
    target = lab.target(driver.type, want)
    seen = eventually(lambda: observe(driver, target), lambda seen: seen is not None, "theirs")
    assert seen is not None
    assert seen.owner == ""
    driver.adopt(target, seen)
    write(driver, target)
    settled(driver, target)
    lab.clock.advance(61)
    eventually(lambda: driver.owned(target.identity), lambda owned: owned == {target.node: want.name}, "in the inventory")


class _TagsElsewhere:
    """Passes calls on; answers leave the tags out, as the API reference allows."""

    def __init__(self, lab: Lab) -> None:
        self._scope = lab.scope("us-east-1")
        self.account_id, self.region, self.partition = self._scope.account_id, self._scope.region, self._scope.partition

    def call(self, service: str, operation: str, /, **params: Any) -> Any:
        return self._bare(operation, self._scope.call(service, operation, **params))

    def attempt(self, service: str, operation: str, expect: Any, /, **params: Any) -> Any:
        return self._bare(operation, self._scope.attempt(service, operation, expect, **params))

    def pages(self, service: str, operation: str, /, **params: Any) -> Any:
        return [self._bare(operation, page) for page in self._scope.pages(service, operation, **params)]

    def _bare(self, operation: str, answer: Any) -> Any:
        if operation in {"list_tags_for_resource", "get_resources"} or not isinstance(answer, dict):
            return answer

        def strip(part: Any) -> Any:
            match part:
                case dict():
                    return {key: strip(value) for key, value in part.items() if key != "tags"}
                case list():
                    return [strip(value) for value in part]
                case _:
                    return part

        return strip(answer)


def test_tags_are_read_beside_when_the_answers_lack_them(lab: Lab) -> None:
    class Bare(DeliveryDestinationDriver):
        def __init__(self, aws: Any, clock: Any) -> None:
            super().__init__(_TagsElsewhere(lab), clock)  # type: ignore[arg-type]

    want = destination(lab)
    check_contract(lab, Contract(Bare, want, {"tag": replace(want, tags={"team": "platform"})}, retag(lab), "tags[team]"))


def test_refused_is_denied(lab: Lab) -> None:
    lab.control.fail("logs", "*", "AccessDeniedException", 400, account=lab.account)
    for cls, want in ((DeliverySourceDriver, DeliverySource("s", "arn:aws:cloudfront::1:distribution/E", {})), (DeliveryDriver, Delivery("s", "d", {}))):
        driver: Any = cls(lab.scope("us-east-1"), lab.clock)
        for depth in Depth:
            with pytest.raises(Denied):
                observe(driver, lab.target(driver.type, want), depth)


def test_three_sweeps_are_one_list(lab: Lab) -> None:
    driver = DeliveryDestinationDriver(lab.scope("us-east-1"), lab.clock)
    targets = [lab.target(driver.type, destination(lab)) for _ in range(20)]
    for target in targets:
        driver.create(target, "t")
    eventually(lambda: driver.observe(targets, Depth.SWEEP), lambda answers: all(in_sync(t)(answers[t.key]) for t in targets), "swept")  # type: ignore[arg-type]
    before = len(lab.control.log.reads())
    for _ in range(3):
        driver.observe(targets, Depth.SWEEP)
    assert len(lab.control.log.reads()) - before == 1
    tags = lab.raw("logs").list_tags_for_resource(resourceArn=f"arn:aws:logs:us-east-1:{lab.account}:delivery-destination:{targets[0].want().name}")["tags"]
    assert tags == {"team": "web", OWNER_TAG: targets[0].owner}

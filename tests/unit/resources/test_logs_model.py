"""Paths and configurations of log deliveries."""

from __future__ import annotations

from typing import Any

import pytest

from securebase.core.diff import diff
from securebase.core.driver import Observed, Target
from securebase.core.identity import Identity
from securebase.resources.logs.driver import IMPLICIT_PREFIX, DeliveryDriver
from securebase.resources.logs.model import Delivery


class _Api:
    """Notes what is called."""

    account_id, region, partition = "111111111111", "us-east-1", "aws"

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        self.calls.append((operation, params))
        return {}


def updated(want: Delivery, s3: dict[str, Any]) -> dict[str, Any]:
    api: Any = _Api()
    driver = DeliveryDriver(api, lambda: 0.0)
    entry = {"id": "d1", "arn": "arn:d1", "deliverySourceName": "s", "deliveryDestinationArn": "d", "s3DeliveryConfiguration": s3, "tags": {}}
    target = Target(Identity("lab", "Cdn", "web", "shop"), "delivery", driver.type, want)
    observed = Observed("d1", Delivery("s", "d", {}), attributes={"id": "d1", "arn": "arn:d1"}, raw=entry)
    driver.update(target, observed, diff(want, observed.value, None, b""))
    return dict(api.calls[0][1])


@pytest.mark.parametrize(
    ("want", "there", "sent"),
    [
        ("{yyyy}", {}, "{yyyy}"),
        ("{yyyy}", {"suffixPath": "old"}, "{yyyy}"),
        ("{yyyy}", {"suffixPath": f"{IMPLICIT_PREFIX}old"}, f"{IMPLICIT_PREFIX}{{yyyy}}"),
        (f"{IMPLICIT_PREFIX}{{yyyy}}", {"suffixPath": f"{IMPLICIT_PREFIX}old"}, f"{IMPLICIT_PREFIX}{{yyyy}}"),
    ],
)
def test_the_implicit_prefix_stays_where_it_is(want: str, there: dict[str, Any], sent: str) -> None:
    assert updated(Delivery("s", "d", {}, suffix_path=want), there)["s3DeliveryConfiguration"]["suffixPath"] == sent


def test_what_we_do_not_manage_is_sent_back() -> None:
    config = updated(Delivery("s", "d", {}, ("date",)), {"suffixPath": "theirs", "enableHiveCompatiblePath": False, "newer": 1})
    assert config == {"id": "d1", "recordFields": ["date"], "s3DeliveryConfiguration": {"suffixPath": "theirs", "enableHiveCompatiblePath": False, "newer": 1}}

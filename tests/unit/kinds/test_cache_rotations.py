"""What the status of a cache tells of its rotations, by what is known of each secret, and what is said once."""

from __future__ import annotations

from typing import Any

import pytest

from securebase.api.cache import CacheClusterStatus
from securebase.core.kind import OwnStatus, TellsStatus
from securebase.kinds.cache import CACHE
from tests.unit.kinds.any_cache import small

AT_REST = {"version": "v1", "requested": "", "step": "", "startedAt": "2024-05-01T10:00:00Z"}
RETIRED = {"step": "", "version": "v1"}
RBAC = {"mode": "rbac", "users": [{"name": "app", "accessString": "on ~* +@read"}, {"name": "jobs-nightly", "accessString": "on ~* +@all"}]}
Attributes = dict[str, dict[str, str]]


def told(attributes: Attributes, before: dict[str, Any] | None = None, **spec: Any) -> OwnStatus:
    assert isinstance(CACHE, TellsStatus)
    own = CACHE.own_status(small(**spec), attributes, {} if before is None else {"rotation": before})
    CacheClusterStatus.model_validate(own.fields)
    return own


@pytest.mark.parametrize(
    ("credential", "retirement", "step"),
    [
        ({"step": ""}, {"step": ""}, "Done"),
        ({"step": "Rotate"}, {"step": ""}, "Rotate"),
        ({"step": "WaitsForGroup"}, {"step": ""}, "WaitsForGroup"),
        ({"step": "GracePeriod"}, {"step": "GracePeriod", "graceEndsAt": "2024-05-02T10:00:00Z"}, "GracePeriod"),
        ({"step": "GracePeriod"}, {"step": "SetToken"}, "SetToken"),
        ({"step": "GracePeriod"}, {"step": "NotPublished"}, "NotPublished"),
    ],
)
def test_of_both_halves_the_one_is_told_that_moves(credential: dict[str, str], retirement: dict[str, str], step: str) -> None:
    rotation = told({"credential": AT_REST | credential, "retirement": RETIRED | retirement}).fields["rotation"]
    assert rotation["step"] == step and rotation.get("graceEndsAt") == retirement.get("graceEndsAt")
    assert (rotation["version"], rotation["startedAt"]) == ("v1", "2024-05-01T10:00:00Z")
    assert "requested" not in rotation and "immediate" not in rotation


def test_a_request_is_acknowledged_and_nothing_is_said_of_one_with_a_grace() -> None:
    own = told({"credential": AT_REST | {"requested": "one"}, "retirement": RETIRED})
    assert (own.acknowledged, own.news, own.fields["rotation"]["requested"]) == ({"rotate": "one"}, (), "one")


def test_that_clients_are_cut_off_is_said_once_a_request() -> None:
    attributes = {"credential": AT_REST | {"requested": "leak,immediate", "immediate": "true"}, "retirement": RETIRED}
    first = told(attributes)
    [(reason, message)] = first.news
    assert reason == "ImmediateRotation" and "leak,immediate" in message and "cut off" in message
    before = first.fields["rotation"]
    assert before["immediate"] is True and told(attributes, before).news == ()
    again = {"credential": attributes["credential"] | {"requested": "again,immediate"}, "retirement": RETIRED}
    assert len(told(again, before).news) == 1


def test_each_user_has_a_rotation_of_its_own() -> None:
    attributes: Attributes = {
        "credential-app": AT_REST | {"requested": "leak,immediate", "immediate": "true", "step": "Rotate"},
        "credential-jobs-nightly": AT_REST | {"version": "v2"},
        "retirement-app": RETIRED,
        "retirement-jobs-nightly": RETIRED | {"step": "GracePeriod", "graceEndsAt": "2024-05-02T10:00:00Z"},
        "group": {"id": "g"},
    }
    own = told(attributes, auth=RBAC)
    app, jobs = own.fields["rotation"]["users"]
    assert (app["name"], app["step"], app["immediate"]) == ("app", "Rotate", True)
    assert (jobs["name"], jobs["version"], jobs["step"], jobs["graceEndsAt"]) == ("jobs-nightly", "v2", "GracePeriod", "2024-05-02T10:00:00Z")
    assert own.acknowledged == {}, "one of them has not taken it up"
    assert [message.partition(":")[0] for _, message in own.news] == ["user app"]
    attributes["credential-jobs-nightly"] |= {"requested": "leak,immediate"}
    assert told(attributes, auth=RBAC).acknowledged == {"rotate": "leak,immediate"}
    del attributes["credential-jobs-nightly"]
    assert told(attributes, auth=RBAC).acknowledged == {}, "one of them could not be looked at"


def test_what_could_not_be_looked_at_stays_told_and_what_is_not_there_is_not() -> None:
    before = {"step": "GracePeriod", "version": "v1"}
    assert told({"group": {}}, before).fields["rotation"] == before
    assert told({"group": {}}, before, auth={"mode": "none"}).fields["rotation"] is None

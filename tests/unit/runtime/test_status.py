"""Status documents: bounded, changed only when something changed, read back as written."""

from __future__ import annotations

import json
from dataclasses import replace

from securebase.core.conditions import READY, Condition
from securebase.core.graph import Role
from securebase.core.outcome import Outcome
from securebase.core.plan import Prior
from securebase.core.subject import NodeResult
from securebase.runtime.status import FULL_ENTRIES, LISTED_ENTRIES, Written, priors, status_of

READY_OUTCOME = Outcome("ready", (Condition(READY, True, "Ready"),))


def written(*results: NodeResult) -> Written:
    return Written(results, None, {"id": "E1"}, "123456789012", "eu-central-1", {})


def test_what_is_written_is_read_back() -> None:
    prior = Prior("policy", "fake/thing", "P1", "us-east-1", Role.SHARED, True, 2, "AAAAAAAA", 3)
    status = status_of({}, READY_OUTCOME, written(NodeResult(prior, "READY")), 4, "t1")
    assert priors(status) == {"policy": prior} and status["observedGeneration"] == 4


def test_the_same_outcome_is_the_same_status() -> None:
    results = NodeResult(Prior("a", "fake/thing", "T1"), "READY")
    first = status_of({}, READY_OUTCOME, written(results), 1, "t1")
    assert status_of(first, READY_OUTCOME, written(results), 1, "t2") == first


def test_a_pass_that_got_no_plan_keeps_what_was_recorded() -> None:
    first = status_of({}, READY_OUTCOME, written(NodeResult(Prior("a", "fake/thing", "T1"), "READY")), 1, "t1")
    failed = status_of(first, Outcome("denied", (Condition(READY, False, "AccessDenied"),)), None, 2, "t2")
    assert failed["resources"] == first["resources"] and failed["outputs"] == {"id": "E1"}


def test_an_acknowledgement_that_was_taken_back_is_gone() -> None:
    """The same plan may be approved a second time, after its annotation was removed."""
    first = status_of({}, READY_OUTCOME, Written((), None, {"id": "E1"}, "1", "eu-central-1", {"approve": "abc"}), 1, "t1")
    second = status_of(first, READY_OUTCOME, Written((), None, {}, "1", "eu-central-1", {}), 1, "t2")
    assert first["acknowledged"] == {"approve": "abc"} and "acknowledged" not in second and "outputs" not in second


def test_what_was_replaced_is_told_first_and_what_is_told_of_its_predecessor_is_kept() -> None:
    alarms = [NodeResult(Prior(f"alarm-{n}", "cloudwatch/alarm", f"team-one-alarm-{n}" * 8), "READY") for n in range(900)]
    group = NodeResult(Prior("group", "fake/vault", "g-1", wave=3, incarnation=1), "READY")
    old = NodeResult(Prior("group~0", "fake/vault", "g", wave=3, retired_at=1_700_000_000), "READY", reason="Replaced", message="removed in 60 min")
    status = status_of({}, READY_OUTCOME, written(*alarms, group, old), 1, "t1")
    entries = {entry["id"]: entry for entry in status["resources"]}
    assert len(json.dumps(status, separators=(",", ":"))) < 64 * 1024 and set(status["omitted"]) == {"cloudwatch/alarm@"}
    assert priors(status)["group"] == group.prior and priors(status)["group~0"] == old.prior
    assert entries["group~0"]["message"] == "removed in 60 min"


def test_what_is_told_at_length_is_cut_before_anything_is_left_out() -> None:
    drift = tuple(f"items[{n}].name" * 4 for n in range(64))
    loud = [NodeResult(Prior(f"n-{n}", "fake/thing"), "FAILED", reason="No", message="x" * 2000, drift=drift) for n in range(50)]
    status = status_of({}, READY_OUTCOME, written(*loud), 1, "t1")
    assert len(json.dumps(status)) < 64 * 1024 and len(status["resources"]) == 50 and "omitted" not in status
    assert status["driftedFields"] == 50 * 64


def test_3000_resources_stay_below_64_kib_and_what_is_not_ready_comes_first() -> None:
    ready = [NodeResult(Prior(f"alarm-{n}", "cloudwatch/alarm", f"team-one-alarm-{n}", applied="A" * 160), "READY") for n in range(3000)]
    broken = [NodeResult(Prior(f"broken-{n}", "cloudwatch/alarm"), "FAILED", reason="No", message="x" * 2000) for n in range(80)]
    status = status_of({}, READY_OUTCOME, written(*ready, *broken), 1, "t1")
    assert len(json.dumps(status)) < 64 * 1024
    assert status["resourceCounts"] == {"FAILED": 80, "READY": 3000}
    told = [entry for entry in status["resources"] if entry.get("message")]
    assert len(told) <= FULL_ENTRIES and sum(1 for entry in status["resources"] if entry["state"] == "FAILED") == 80


def test_cost_and_advice_are_told_and_taken_back() -> None:
    advised = replace(written(), cost={"monthlyUsd": "1.00"}, own={"recommendations": [{"type": "TooBig"}], "unjudged": []})
    first = status_of({}, READY_OUTCOME, advised, 1, "t1")
    assert (first["cost"], first["recommendations"]) == ({"monthlyUsd": "1.00"}, [{"type": "TooBig"}]) and "unjudged" not in first
    assert status_of(first, READY_OUTCOME, advised, 1, "t2") == first
    over = status_of(first, READY_OUTCOME, replace(written(), own={"recommendations": None}), 1, "t2")
    assert "recommendations" not in over and over["cost"] == first["cost"]


def test_what_is_ready_and_has_something_to_tell_is_told() -> None:
    quiet = [NodeResult(Prior(f"alarm-{n}", "cloudwatch/alarm"), "READY") for n in range(3)]
    topic = NodeResult(Prior("topic", "sns/topic", "arn:t"), "READY", message="not confirmed yet by ops@example.com")
    given = NodeResult(Prior("given-topic-1", "sns/given-topic", "arn:g", role=Role.EXTERNAL), "READY", message="cannot be checked")
    status = status_of({}, READY_OUTCOME, written(*quiet, topic, given), 1, "t1")
    told = {entry["id"]: entry["message"] for entry in status["resources"] if "message" in entry}
    assert told == {"topic": topic.message, "given-topic-1": given.message}
    again = status_of(status, READY_OUTCOME, written(*quiet, replace(topic, message=""), given), 1, "t2")
    assert [entry["id"] for entry in again["resources"] if "message" in entry] == ["given-topic-1"]


def test_what_many_tell_is_told_once_and_never_instead_of_what_is_broken() -> None:
    many = [NodeResult(Prior(f"filter-{n:03}", "logs/metric-filter"), "READY", message="waits for its log group") for n in range(100)]
    others = [NodeResult(Prior(f"dash-{n:03}", "cloudwatch/dashboard"), "READY", message=f"warns {n} " + "x" * 2000) for n in range(100)]
    broken = [NodeResult(Prior(f"z-{n:02}", "cloudwatch/alarm"), "FAILED", reason="No", message="y" * 2000) for n in range(45)]
    status = status_of({}, READY_OUTCOME, written(*many, *others, *broken), 1, "t1")
    told = [entry["id"] for entry in status["resources"] if "message" in entry]
    assert len(json.dumps(status)) < 64 * 1024 and "filter-000" in told and len(told) == FULL_ENTRIES
    assert sum(name.startswith("filter") for name in told) == 1 and sum(name.startswith("z-") for name in told) == 45


def test_where_there_is_no_room_what_tells_nothing_leaves_first() -> None:
    quiet = [NodeResult(Prior(f"a-{n:04}", "cloudwatch/alarm", f"name-of-{n}" * 12), "READY") for n in range(LISTED_ENTRIES)]
    telling = NodeResult(Prior("z-topic", "sns/topic", "arn:t"), "READY", message="not confirmed yet by ops@example.com")
    status = status_of({}, READY_OUTCOME, written(*quiet, telling), 1, "t1")
    assert status["omitted"] and [entry["id"] for entry in status["resources"] if "message" in entry] == ["z-topic"]

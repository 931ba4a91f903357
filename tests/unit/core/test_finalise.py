"""Deletion: dependants first, a step at a time, by recorded id, and only what is ours."""

from __future__ import annotations

from dataclasses import replace

from securebase.core.driver import State
from securebase.core.errors import Denied
from securebase.core.finalise import Farewell, finalise
from securebase.core.graph import Graph, Node, Ref, Role
from securebase.core.outcome import of_farewell
from securebase.core.policy import OnDelete, Policy
from tests.unit.core.fake import Bench, node, thing


def farewell(bench: Bench, *nodes: Node, policy: Policy | None = None) -> Farewell:
    """One finalising pass; keeps what is left like the runtime does."""
    bench.world.time += 30
    subject = replace(bench.subject, policy=policy or bench.policy)
    done = finalise(Graph(nodes) if nodes else None, subject, bench.world, bench.memory)
    bench.subject = replace(subject, prior={result.prior.id: result.prior for result in done.results})
    return done


def test_dependants_go_first_and_everything_goes() -> None:
    bench = Bench()
    nodes = node("b", partner=Ref("a", "id")), node("a")
    bench.run(*nodes)
    bench.writes()
    assert farewell(bench, *nodes).done
    assert bench.writes() == [("delete", "b"), ("delete", "a")] and bench.world.outside.things == {}


def test_a_deletion_that_takes_steps_holds_back_what_it_depends_on() -> None:
    bench = Bench()
    nodes = node("b", partner=Ref("a", "id")), node("a")
    bench.run(*nodes)
    bench.writes()
    bench.world.outside.slow_delete = True
    first = farewell(bench, *nodes)
    assert not first.done and {result.prior.id: result.state for result in first.results} == {"b": "PENDING", "a": "WAITING"}
    assert of_farewell(first).name == "deleting" and "switched off" in of_farewell(first).conditions[0].message
    assert farewell(bench, *nodes).done


def test_goes_by_recorded_ids_when_the_spec_cannot_be_composed() -> None:
    bench = Bench()
    bench.run(node("a"), node("b"))
    assert farewell(bench).done and bench.world.outside.things == {}


def test_finds_by_name_what_a_lost_status_no_longer_records() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.subject = replace(bench.subject, prior={})
    assert farewell(bench, node("a")).done and bench.world.outside.things == {}


def test_retain_lets_go_at_once_and_reads_nothing() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.world.outside.reads.clear()
    assert farewell(bench, node("a"), policy=Policy(on_delete=OnDelete.RETAIN)).done
    assert bench.world.outside.by_name("a") and bench.world.outside.reads == []


def test_protection_holds_until_it_is_cleared_and_says_so() -> None:
    bench = Bench()
    bench.run(node("a"))
    held = farewell(bench, node("a"), policy=Policy(deletion_protection=True))
    assert not held.done and "deletionProtection" in of_farewell(held).conditions[0].message
    assert bench.world.outside.by_name("a")


def test_what_no_longer_carries_our_identity_is_left_alone() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.writes()
    bench.world.outside.things["t-1"] = "somebody/else", thing("a"), State.READY
    assert farewell(bench, node("a")).done and bench.writes() == []


def test_denied_deletes_nothing_and_keeps_the_finalizer() -> None:
    bench = Bench()
    bench.run(node("a"))
    bench.world.outside.failing["a"] = Denied("fake:Describe", "arn:a", "no")
    held = farewell(bench, node("a"))
    assert not held.done and bench.world.outside.by_name("a")
    assert of_farewell(held).name == "denied" and of_farewell(held).backoff


def test_a_shared_resource_others_use_stays() -> None:
    bench = Bench()
    shared = node("s", role=Role.SHARED)
    bench.run(shared)
    bench.world.users.add(("fake/thing", "t-1"))
    assert farewell(bench, shared).done and bench.world.outside.by_name("s")

"""One active replica: nothing is written before the Lease is held, nor after it may have been lost."""

from __future__ import annotations

import signal

from lab.operator import OperatorProcess
from tests.e2e.harness import Own, until, user_name

DURATION, DEADLINE = "4", "2.5"
LOST_LEADERSHIP = 70


def code(operator: OperatorProcess) -> int:
    """Exit code, once it has ended."""
    assert operator.child is not None
    return operator.child.process.wait(15)


def test_a_stopped_leader_that_goes_on_writes_nothing_and_exits(own_tenant: Own) -> None:
    tenant, control = own_tenant.tenant, own_tenant.tenant.endpoint.control
    leader = own_tenant.operator(identity="first", lease_duration=DURATION, lease_renew_deadline=DEADLINE)
    tenant.apply(tenant.cdn(comment="ours"))
    id = tenant.ready()["status"]["outputs"]["id"]
    keys = {call.access_key for call in tenant.calls()}  # each process has a session of its own
    kubeconfig, rival = own_tenant.rival()
    follower = own_tenant.operator(kubeconfig=kubeconfig, identity="second", lease_duration=DURATION, lease_renew_deadline=DEADLINE)
    assert own_tenant.holder() == "first"

    slow = control.delay(1.0, "cloudfront", "GetDistribution", account=tenant.account, user_agent="securebase-operator*")
    tenant.edit(id, lambda config: config.update(Comment="theirs"))
    tenant.annotate("site", refresh="now")
    until(lambda: slow.hits, "the leader to be in the middle of a pass", operator=leader)
    leader.signal(signal.SIGSTOP)
    at, position = tenant.mark(), tenant.plane.audit_log.mark()
    until(lambda: own_tenant.holder() == "second", "the other one to take over", operator=follower)
    until(lambda: tenant.config(id)["Comment"] == "ours", "the other one to repair", operator=follower)

    leader.signal(signal.SIGCONT)
    assert code(leader) == LOST_LEADERSHIP
    tenant.ready()
    assert [call.operation for call in tenant.calls(at) if call.write and call.access_key in keys] == []
    assert tenant.plane.audit_log.writes(since=position, user=user_name(own_tenant.release)) == []
    assert tenant.plane.audit_log.writes(since=position, user=rival)
    assert own_tenant.holder() == "second"


def test_a_follower_is_ready_and_writes_nothing(own_tenant: Own) -> None:
    tenant = own_tenant.tenant
    own_tenant.operator(identity="first")
    kubeconfig, rival = own_tenant.rival()
    follower = own_tenant.operator(kubeconfig=kubeconfig, identity="second")
    position = tenant.plane.audit_log.mark()
    tenant.apply(tenant.cdn())
    tenant.ready()
    assert follower.ready()
    assert len({call.access_key for call in tenant.calls() if call.service != "sts"}) == 1
    assert tenant.plane.audit_log.writes(since=position, user=rival) == []


def test_sigterm_drains_and_hands_the_lease_over_at_once(own_tenant: Own) -> None:
    """What is in hand is finished, and nobody waits for the Lease to lapse."""
    tenant = own_tenant.tenant
    leader = own_tenant.operator(identity="first", lease_duration="60", lease_renew_deadline="40")
    tenant.endpoint.control.delay(0.5, "cloudfront", "CreateDistribution*", account=tenant.account)
    tenant.apply(tenant.cdn())
    until(lambda: "CreateOriginAccessControl" in tenant.writes(), "a pass to be under way", operator=leader)
    leader.signal(signal.SIGTERM)
    assert code(leader) == 0
    assert len(tenant.distributions()) == 1
    assert [entry["externalId"] for entry in tenant.get()["status"]["resources"] if entry["id"] == "distribution"] == [tenant.distributions()[0]["Id"]]
    assert own_tenant.holder() == ""
    own_tenant.operator(identity="second", lease_duration="60", lease_renew_deadline="40")
    tenant.ready()
    assert len(tenant.distributions()) == 1

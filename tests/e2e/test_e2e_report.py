"""`securebase report` beside a running operator."""

from __future__ import annotations

import json

from tests.e2e.harness import Tenant, securebase


def test_the_report_tells_every_object_of_a_namespace(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn())
    tenant.apply(tenant.cdn("broken", aliases=["app.example.com"], certificate={"arn": "arn:aws:acm:us-east-1:123456789012:certificate/none"}))
    tenant.ready()
    answer = securebase(tenant, "report", "-n", tenant.namespace, "-o", "json")
    assert (answer.returncode, answer.stderr) == (0, "")
    told = json.loads(answer.stdout)
    assert [(one["kind"], one["namespace"], one["name"]) for one in told["objects"]] == [
        ("CdnDistribution", tenant.namespace, "broken"),
        ("CdnDistribution", tenant.namespace, "site"),
    ]
    broken, site = told["objects"]
    assert (site["ready"], site["driftedFields"]) == ("True", 0)
    assert broken["ready"] != "True"
    assert told["total"]["objects"] == 2


def test_the_report_for_people_has_a_line_for_each(tenant: Tenant) -> None:
    tenant.apply(tenant.cdn())
    tenant.ready()
    answer = securebase(tenant, "report", "-n", tenant.namespace)
    assert answer.returncode == 0
    header, *lines = answer.stdout.splitlines()
    assert header.split() == ["KIND", "NAMESPACE", "NAME", "READY", "DRIFT", "USD", "A", "MONTH"]
    assert lines[0].split()[:5] == ["CdnDistribution", tenant.namespace, "site", "True", "0"]
    assert lines[-1].startswith("together ")


def test_an_empty_namespace_has_nothing_to_report(tenant: Tenant) -> None:
    answer = securebase(tenant, "report", "-n", "nobody-lives-here")
    assert (answer.returncode, answer.stdout) == (0, "no objects\n")

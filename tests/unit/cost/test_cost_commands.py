"""`securebase cost` and `securebase report` as a person runs them: what they print and how they end."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner, Result

from securebase.cli import app
from securebase.cli.report import print_report, reported

EXAMPLES = Path(__file__).parents[3] / "examples"
ACCOUNT = {
    "apiVersion": "securebase.io/v1alpha1",
    "kind": "AwsAccount",
    "metadata": {"name": "default"},
    "spec": {"accountId": "123456789012", "region": "eu-central-1", "allowedNamespaces": ["*"]},
}


def cdn(name: str = "site", **more: Any) -> dict[str, Any]:
    spec = {
        "origins": [{"id": "web", "custom": {"domainName": "origin.example.com"}}],
        "behaviors": [{"path": "*", "origin": "web", "preset": "html"}],
    }
    return {"apiVersion": "securebase.io/v1alpha1", "kind": "CdnDistribution", "metadata": {"name": name, "namespace": "web"}, "spec": {**spec, **more}}


def cost(*arguments: str, documents: tuple[Mapping[str, Any], ...] = ()) -> Result:
    return CliRunner().invoke(app, ["cost", "-f", "-", *arguments], input=yaml.safe_dump_all(documents))


def test_an_estimate_for_people() -> None:
    done = cost(documents=(cdn(),))
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "CdnDistribution web/site"
    assert "  monitoring                  2.40 USD  cloudfront/additional-metrics standard: 1 x 2.4 a distribution" in lines
    assert "  2.80 USD a month and more, prices of 2026-08-01" in lines
    assert "  known from one source only: cloudfront/additional-metrics standard" in lines


def test_an_estimate_for_programs() -> None:
    done = cost("-o", "json", documents=(ACCOUNT, cdn(), cdn("docs", alarms={"enabled": False})))
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert [(one["name"], one["region"], one["monthlyUsd"]) for one in told["objects"]] == [("site", "eu-central-1", "2.80"), ("docs", "eu-central-1", None)]
    assert told["total"]["monthlyUsd"] == "2.80"


def test_every_example_has_an_estimate() -> None:
    done = CliRunner().invoke(app, ["cost", "-f", str(EXAMPLES), "-o", "json"])
    assert done.exit_code == 0, done.output
    for one in json.loads(done.stdout)["objects"]:
        assert not [missing["what"] for missing in one["missing"] if "nothing is known" in missing["what"]], f"{one['name']}: a type without a tariff"


def test_a_file_of_ones_own_prices(tmp_path: Path) -> None:
    ours = tmp_path / "ours.yaml"
    ours.write_text(
        "tariffs: [{item: cloudfront/additional-metrics, region: global, per: month, unit: distribution, asOf: 2026-11-01, source: us, usd: {standard: 1}}]"
    )
    done = cost("-o", "json", "--price-book", str(ours), documents=(cdn(),))
    assert json.loads(done.stdout)["total"] | {"byUse": []} == {"monthlyUsd": "1.40", "asOf": "2026-08-01", "byUse": []}


@pytest.mark.parametrize(
    ("arguments", "documents", "told"),
    [
        ((), (), "no object of securebase.io is among the files"),
        ((), (cdn(behaviors=[]),), "behaviors"),
        ((), ({**cdn(), "kind": "Nothing"},), "no kind of this operator"),
        ((), (cdn(accountRef={"name": "other"}),), "AwsAccount other is not among the files: add it, or give --region"),
        ((), ({**ACCOUNT, "spec": {}}, cdn()), "AwsAccount: spec.accountId"),
        (("--price-book", "no-such-file.yaml"), (cdn(),), "no-such-file.yaml"),
        (("-f", "no-such-file.yaml"), (cdn(),), "no such file"),
    ],
)
def test_errors_end_with_1(arguments: tuple[str, ...], documents: tuple[Mapping[str, Any], ...], told: str) -> None:
    done = cost(*arguments, documents=documents)
    assert done.exit_code == 1
    assert told in done.output


def test_a_region_may_be_given() -> None:
    done = cost("-o", "json", "--region", "eu-west-1", documents=(cdn(accountRef={"name": "other"}),))
    assert json.loads(done.stdout)["objects"][0]["region"] == "eu-west-1"


def status(**more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "cache", "namespace": "web"}, "status": more}


def test_what_a_status_does_not_say_is_unknown() -> None:
    one = reported("CacheCluster", status())
    assert (one.ready, one.monthly_usd, one.missing, one.recommendations, one.unjudged) == ("Unknown", None, (), (), ())
    assert one.as_document()["cost"] == {"monthlyUsd": None, "asOf": None, "missing": []}
    assert reported("CacheCluster", {"metadata": {"name": "new"}}).ready == "Unknown"
    assert reported("CacheCluster", status(cost={"monthlyUsd": "about 5"})).monthly_usd is None


def test_what_a_status_says_is_reported() -> None:
    recommended = {"type": "CheaperEngine", "reason": "20 % less", "engine": "valkey", "nodeType": "cache.r7g.large", "monthlyChangeUsd": "-63.95"}
    one = reported(
        "CacheCluster",
        status(
            conditions=[{"type": "Synced", "status": "True", "reason": "x"}, {"type": "Ready", "status": "False", "reason": "Creating"}],
            driftedFields=2,
            cost={"monthlyUsd": "319.74", "asOf": "2026-10-02", "missing": ["group: backups"]},
            recommendations=[recommended],
            unjudged=["memory: no data in 3 days"],
        ),
    )
    assert one.as_document() == {
        "kind": "CacheCluster",
        "namespace": "web",
        "name": "cache",
        "ready": "False",
        "reason": "Creating",
        "driftedFields": 2,
        "cost": {"monthlyUsd": "319.74", "asOf": "2026-10-02", "missing": ["group: backups"]},
        "recommendations": [recommended],
        "unjudged": ["memory: no data in 3 days"],
    }


def test_names_are_never_cut_and_recommendations_follow() -> None:
    long = "x" * 200
    console = Console(file=io.StringIO(), width=40, highlight=False, soft_wrap=True)
    recommended = {"type": "TooSmall", "reason": "evictions", "engine": "valkey", "nodeType": "cache.r7g.xlarge", "monthlyChangeUsd": "127.31"}
    unpriced = {"type": "TooSmall", "reason": "evictions", "engine": "valkey"}
    ready = [{"type": "Ready", "status": "True"}]
    print_report(
        [
            reported("CacheCluster", status(conditions=ready, cost={"monthlyUsd": "1", "missing": ["a"]}, recommendations=[recommended, unpriced])),
            reported("CdnDistribution", {"metadata": {"name": long, "namespace": "web"}}),
        ],
        console,
    )
    printed = console.file
    assert isinstance(printed, io.StringIO)
    assert printed.getvalue().splitlines() == [
        f"KIND             NAMESPACE  {'NAME':200}  READY    DRIFT  USD A MONTH",
        f"CacheCluster     web        {'cache':200}  True     0            >1.00",
        f"CdnDistribution  web        {long}  Unknown  0          unknown",
        "CacheCluster web/cache: TooSmall -> valkey cache.r7g.xlarge (+127.31 USD a month): evictions",
        "CacheCluster web/cache: TooSmall (price of the change unknown): evictions",
        "together 1.00 USD a month; of 1 of 2 objects the cost is unknown",
    ]


def test_what_could_not_be_judged_is_told_with_its_reason_after_what_is_recommended() -> None:
    console = Console(file=io.StringIO(), width=40, highlight=False, soft_wrap=True)
    few, none = "hit rate: 120 lookups in 3 days are too few", "memory: no data in 3 days [DatabaseMemoryUsagePercentage]"
    advised = [{"type": "CheaperEngine", "reason": "20 % less", "engine": "valkey", "monthlyChangeUsd": "-1"}]
    print_report([reported("CacheCluster", status(unjudged=[few, none])), reported("CacheCluster", status(recommendations=advised))], console)
    printed = console.file
    assert isinstance(printed, io.StringIO)
    assert printed.getvalue().splitlines()[3:-1] == [
        "CacheCluster web/cache: CheaperEngine (-1.00 USD a month): 20 % less",
        f"CacheCluster web/cache: not judged: {few}",
        f"CacheCluster web/cache: not judged: {none}",
    ]

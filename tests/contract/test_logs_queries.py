"""Saved queries: one list for all, no second one of a retry."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from securebase.core.driver import Depth, Observed
from securebase.core.errors import Denied, Terminal
from securebase.core.graph import Ref
from securebase.resources.logs.queries import QueryDefinitionDriver
from securebase.resources.logs.query_model import MOST_GROUPS, QueryDefinition
from tests.contract.harness import Contract, Lab, check_contract, in_sync, observe, settled, write

PLAIN = pytest.mark.parametrize("lab", ["plain"], indirect=True)

GROUP = frozenset({"/aws/lambda/orders"})
TOKEN = "0123456789abcdef0123456789abcdef"


def slowest() -> QueryDefinition:
    return QueryDefinition(f"shop/slowest-{uuid4().hex[:8]}", "fields @duration | sort @duration desc | limit 20", GROUP)


def driver_of(lab: Lab) -> QueryDefinitionDriver:
    return QueryDefinitionDriver(lab.scope("us-east-1"), lab.clock)


def test_lives_as_promised(lab: Lab) -> None:
    wanted = slowest()
    changes = {
        "query": replace(wanted, query="fields @message"),
        "groups": replace(wanted, log_groups=frozenset({"/aws/lambda/carts"})),
        "no groups": replace(wanted, log_groups=frozenset()),
    }

    def drift(seen: Observed[QueryDefinition]) -> None:
        lab.raw("logs").put_query_definition(queryDefinitionId=seen.external_id, name=wanted.name, queryString="fields @ptr", logGroupNames=[*GROUP])

    check_contract(lab, Contract(QueryDefinitionDriver, wanted, changes, drift, "query"))


def test_a_process_that_died_makes_no_second_one(lab: Lab) -> None:
    target = lab.target("logs/query-definition", slowest())
    made = {driver_of(lab).create(target, TOKEN).external_id for _ in range(3)}
    assert len(made) == 1, "the list may lag: the token finds it"


@PLAIN
def test_what_the_model_does_not_know_survives(lab: Lab) -> None:
    driver = driver_of(lab)
    target = lab.target(driver.type, slowest())
    target = replace(target, external_id=driver.create(target, TOKEN).external_id)
    want = target.want()
    parameters = [{"name": "limit", "defaultValue": "20"}]
    client = lab.raw("logs")
    client.put_query_definition(queryDefinitionId=target.external_id, name=want.name, queryString="fields @ptr", parameters=parameters)
    lab.clock.advance(61)
    assert not in_sync(target)(observe(driver, target))
    write(driver, target)
    [kept] = client.describe_query_definitions(queryDefinitionNamePrefix=want.name)["queryDefinitions"]
    assert kept["parameters"] == parameters


@PLAIN
def test_one_list_for_all(lab: Lab) -> None:
    driver = driver_of(lab)
    targets = []
    for _ in range(10):
        target = lab.target(driver.type, slowest())
        targets.append(replace(target, external_id=driver.create(target, uuid4().hex).external_id))
    for depth in Depth:
        before = len(lab.control.log.reads("logs"))
        answers = driver.observe(targets, depth)
        assert all(in_sync(target)(answers[target.key]) for target in targets)  # type: ignore[arg-type]
        assert len(lab.control.log.reads("logs")) - before == 1


@PLAIN
def test_too_much_is_told(lab: Lab) -> None:
    driver = driver_of(lab)
    many = frozenset(f"/aws/lambda/f{at}" for at in range(MOST_GROUPS + 1))
    with pytest.raises(Terminal, match="InvalidQuery: 51 log groups"):
        driver.create(lab.target(driver.type, replace(slowest(), log_groups=many)), TOKEN)


@PLAIN
def test_unresolved_and_refused(lab: Lab) -> None:
    driver = driver_of(lab)
    assert observe(driver, lab.target(driver.type, QueryDefinition(Ref("x", "name"), "fields @message"))) is None
    lab.control.fail("logs", "*", "AccessDeniedException", 400, account=lab.account)
    for depth in Depth:
        with pytest.raises(Denied):
            observe(driver, lab.target(driver.type, slowest()), depth)


def test_found_by_its_name(lab: Lab) -> None:
    driver = driver_of(lab)
    target = lab.target(driver.type, slowest())
    made = driver.create(target, TOKEN)
    assert settled(driver, target).external_id == made.external_id

"""What drivers call is what docs/install.md asks for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = [ROOT / "operator" / "securebase" / "resources", ROOT / "operator" / "securebase" / "cost"]
CALL = re.compile(r'"(\w+)",\s*"([a-z]+(?:_[a-z]+)+)"')
BY_NAME = ("acm", "cloudfront", "cloudwatch", "dynamodb", "ec2", "elasticache", "kms", "lambda", "logs", "rds", "secretsmanager", "sns", "sqs")
"""Services whose actions are called as their operations are."""

ANOTHER_NAME = {"cloudfront:createdistributionwithtags": "cloudfront:createdistribution"}


def allowed() -> set[str]:
    page = (ROOT / "docs" / "install.md").read_text()
    [policy] = [block.split("```")[0] for block in page.split("```json\n")[1:]]
    return {action.lower() for statement in json.loads(policy)["Statement"] for action in statement["Action"]}


def called(service: str) -> set[str]:
    found = (match.groups() for folder in SOURCES for path in folder.rglob("*.py") for match in CALL.finditer(path.read_text()))
    actions = {f"{name}:{operation.replace('_', '')}" for name, operation in found if name == service}
    return {ANOTHER_NAME.get(action, action) for action in actions}


@pytest.mark.parametrize("service", BY_NAME)
def test_every_call_is_among_the_permissions(service: str) -> None:
    assert called(service), "no call found: the pattern is stale"
    assert called(service) - allowed() == set()


def test_nothing_is_allowed_altogether() -> None:
    assert not [action for action in allowed() if "*" in action]

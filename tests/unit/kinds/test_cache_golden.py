"""What each example and each variation of a cache makes, node by node, compared with a reviewed file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.unit.kinds.any_cache import composed, members_of, spec_of
from tests.unit.kinds.composing import as_text

HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / "cache"
EXAMPLES = HERE.parents[2] / "examples"
SPECS = sorted([*EXAMPLES.glob("cachecluster-*.yaml"), *(HERE / "specs" / "cache").glob("*.yaml")])


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_graph_is_the_reviewed_one(path: Path, update_golden: bool) -> None:
    document = yaml.safe_load(path.read_text())
    spec, name = spec_of(document), document["metadata"]["name"]
    graph = composed(spec, members_of(spec, name), name=name, tags={"team": "web"})
    golden = GOLDEN / f"{path.stem}.yaml"
    if update_golden:
        golden.write_text(as_text(graph))
    assert golden.exists(), "no golden graph yet: run pytest tests/unit/kinds --update-golden and review the file"
    assert as_text(graph) == golden.read_text()


def test_every_golden_graph_has_a_spec() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == {path.stem for path in SPECS}

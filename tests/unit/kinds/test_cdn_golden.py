"""What each example and each variation makes, node by node, compared with a reviewed file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.unit.kinds.composing import as_text, composed, spec_of

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[2] / "examples"
SPECS = sorted([*EXAMPLES.glob("cdn-*.yaml"), *(HERE / "specs").glob("*.yaml")])


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_graph_is_the_reviewed_one(path: Path, update_golden: bool) -> None:
    document = yaml.safe_load(path.read_text())
    metadata = document["metadata"]
    graph = composed(spec_of(document), name=metadata["name"], tags={"team": "web"}, requests=dict(metadata.get("annotations", {})))
    golden = HERE / "golden" / f"{path.stem}.yaml"
    if update_golden:
        golden.write_text(as_text(graph))
    assert golden.exists(), "no golden graph yet: run pytest tests/unit/kinds --update-golden and review the file"
    assert as_text(graph) == golden.read_text()


def test_every_golden_graph_has_a_spec() -> None:
    assert {path.stem for path in (HERE / "golden").glob("*.yaml")} == {path.stem for path in SPECS}


def test_the_manifest_of_the_page_composes() -> None:
    page = (EXAMPLES.parent / "docs" / "kinds" / "cdndistribution.md").read_text()
    document = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    assert "distribution" in composed(spec_of(document)).nodes

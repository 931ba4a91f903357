"""A misspelt field is named with its path and the nearest name there is."""

from __future__ import annotations

from typing import Any

import pytest

from securebase.api.cdn import CdnDistribution
from securebase.api.unknown_fields import unknown_fields
from tests.unit.api.rule_cases import behavior, bucket, cdn


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (cdn(alias=["a"]), "spec.alias: unknown field; did you mean aliases?"),
        (cdn(behaviors=[behavior(prest="html")]), "spec.behaviors[0].prest: unknown field; did you mean preset?"),
        (cdn(origins=[bucket(), {"id": "b", "s3": {"buckt": "x"}}]), "spec.origins[1].s3.buckt: unknown field; did you mean bucket?"),
        (cdn(responseHeaders={"hsts": {"maxAge": 1}}), "spec.responseHeaders.hsts.maxAge: unknown field; did you mean maxAgeSeconds?"),
        (cdn(default_root_object="index.html"), "spec.default_root_object: unknown field; did you mean defaultRootObject?"),
        (cdn(alarms={"errorRate5XX": {}}), "spec.alarms.errorRate5XX: unknown field; did you mean errorRate5xx?"),
        (cdn(zzz=1), "spec.zzz: unknown field"),
        (cdn() | {"spce": {}}, "spce: unknown field; did you mean spec?"),
    ],
)
def test_an_unknown_field(manifest: dict[str, Any], told: str) -> None:
    assert [str(field) for field in unknown_fields(CdnDistribution, manifest)] == [told]


def test_metadata_is_the_api_servers_business() -> None:
    manifest = cdn()
    manifest["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    assert unknown_fields(CdnDistribution, manifest) == []


def test_a_value_of_the_wrong_type_is_left_to_validation() -> None:
    assert unknown_fields(CdnDistribution, cdn(origins="site", behaviors=["*"], policy=None)) == []

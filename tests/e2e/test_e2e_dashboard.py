"""`securebase dashboard`: a picture with the data there is, before anything is made."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tests.e2e.harness import Manifest, Tenant, securebase

PNG = b"\x89PNG\r\n\x1a\n"


def manifests(tenant: Tenant) -> str:
    spec = {
        "accountRef": {"name": tenant.account_name},
        "targets": [{"id": "sales", "type": "Custom", "metric": {"namespace": "Shop", "name": "Sales"}, "alarms": [{"id": "many", "threshold": 50}]}],
    }
    metadata = {"name": "shop", "namespace": tenant.namespace}
    whole: Manifest = {"apiVersion": "securebase.io/v1alpha1", "kind": "PerfAlarmSet", "metadata": metadata, "spec": spec}
    return "\n---\n".join(map(json.dumps, (tenant.account_manifest(), whole)))


def test_it_is_drawn_with_current_data_and_makes_nothing(tenant: Tenant, tmp_path: Path) -> None:
    data = [{"MetricName": "Sales", "Value": 40.0 + n, "Timestamp": datetime.fromtimestamp(time.time() - 60 * n, UTC)} for n in range(5, 60, 5)]
    tenant.aws("cloudwatch").put_metric_data(Namespace="Shop", MetricData=data)
    mark = tenant.mark()
    for kind in ("png", "html"):
        answer = securebase(tenant, "dashboard", "shop", "-f", "-", "-o", kind, "--into", str(tmp_path), stdin=manifests(tenant))
        assert answer.returncode == 0, answer.stderr
    pictures = sorted(tmp_path.glob("*.png"))
    assert pictures and all(path.read_bytes().startswith(PNG) for path in pictures)
    page = (tmp_path / "shop.html").read_text()
    assert page.count("<img") == len(pictures) and "data:image/png;base64," in page
    assert tenant.writes(mark) == []
    assert any(call.operation == "GetMetricData" for call in tenant.calls(mark))


def test_an_unknown_name_is_told_with_those_there_are(tenant: Tenant, tmp_path: Path) -> None:
    answer = securebase(replace(tenant), "dashboard", "nowhere", "-f", "-", "--into", str(tmp_path), stdin=manifests(tenant))
    assert answer.returncode == 1 and "there are: shop" in answer.stderr

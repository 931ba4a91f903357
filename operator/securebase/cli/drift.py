"""`securebase drift`: every object of the cluster whose resources were changed outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from securebase.cli.planning import Planned, planned
from securebase.cli.render import print_drift, print_json
from securebase.cli.surroundings import instance_of, reading_cluster, reading_process
from securebase.clients.kubernetes import GROUP, VERSION
from securebase.core.errors import ReconcileError
from securebase.core.identity import Identity
from securebase.core.kind import Kind, ObjectRef
from securebase.kinds.registry import KINDS
from securebase.runtime.accounts import account_of
from securebase.runtime.engine import Request, parsed
from securebase.runtime.secrets import ClusterSources
from securebase.runtime.shared import Process
from securebase.runtime.status import priors
from securebase.telemetry.redaction import Redactor


def drift_of_cluster(instance: str, namespace: str, *, as_json: bool) -> int:
    """Compare everything in the cluster with AWS; the exit code."""
    console, errors, redactor = Console(highlight=False, soft_wrap=True), Console(stderr=True, highlight=False), Redactor()
    try:
        api = reading_cluster()
        instance = instance or instance_of(api)
        bodies = api.get(f"/apis/{GROUP}/{VERSION}/awsaccounts")["items"]
        process = reading_process(instance, {account.name: account for account in map(account_of, bodies)}, redactor, api)
        scope = f"/namespaces/{namespace}" if namespace else ""
        found = {kind.kind: api.get(f"/apis/{GROUP}/{VERSION}{scope}/{kind.plural}")["items"] for kind in KINDS}
        sources = ClusterSources(api, outputs_of(found).get, redactor.register)
        done = [one for kind in KINDS for one in _of_kind(kind, found[kind.kind], process, sources)]
    except ReconcileError as error:
        errors.print(str(error), markup=False)
        return 1
    drifted = [one for one in done if one.problem or _drifts(one)]
    if as_json:
        print_json(drifted)
    elif not drifted:
        console.print(f"{len(done)} objects compared, no drift")
    for one in () if as_json else drifted:
        print_drift(one, console)
    return 1 if any(one.problem for one in drifted) else 2 if drifted else 0


def _drifts(one: Planned) -> bool:
    return one.plan is not None and any(step.drift for step in one.plan.steps)


def outputs_of(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[ObjectRef, Mapping[str, str] | None]:
    """What the objects of all kinds tell each other, by kind as listed: known before any of them is composed, as they refer across kinds."""
    return {
        ObjectRef(kind, item["metadata"]["namespace"], item["metadata"]["name"]): (item.get("status") or {}).get("outputs")
        for kind, items in found.items()
        for item in items
    }


def _of_kind(kind: Kind, found: Sequence[Mapping[str, Any]], process: Process, sources: ClusterSources) -> list[Planned]:
    done = []
    for item in found:
        metadata, status = item["metadata"], item.get("status") or {}
        identity = Identity(process.instance, kind.kind, metadata["namespace"], metadata["name"])
        try:
            spec = parsed(kind, {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind.kind, **item})
        except ReconcileError as error:
            done.append(Planned(kind.kind, metadata["namespace"], metadata["name"], problem=str(error)))
            continue
        request = Request(kind, identity, spec, metadata.get("annotations") or {}, priors(status), status.get("acknowledged") or {})
        done.append(planned(request, process, sources, search=False))
    return done

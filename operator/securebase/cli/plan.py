"""`securebase plan`: what would change in AWS, from manifests alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from securebase.api.unknown_fields import unknown_fields
from securebase.cli.documents import Manifests, Unreadable, read
from securebase.cli.planning import Planned, planned
from securebase.cli.references import FileSources, InAws
from securebase.cli.render import print_json, print_plan
from securebase.cli.surroundings import ClusterStatuses, NoStatuses, Statuses, reading_cluster, reading_process
from securebase.core.errors import ReconcileError
from securebase.core.identity import Identity
from securebase.kinds.registry import KINDS
from securebase.runtime.accounts import Account, account_of
from securebase.runtime.engine import Request, parsed
from securebase.runtime.shared import Process
from securebase.runtime.status import priors
from securebase.telemetry.redaction import Redactor

_KINDS = {kind.kind: kind for kind in KINDS}


def plan_files(files: Sequence[str], instance: str, namespace: str, *, as_json: bool, cluster: bool) -> int:
    """Plan everything in the files; the exit code."""
    errors = Console(stderr=True, highlight=False)
    if not instance:
        errors.print(
            "--instance is needed: it is part of every resource's identity.\n"
            "In a cluster it is the chart's value, or: kubectl get ns kube-system -o jsonpath='{.metadata.uid}'"
        )
        return 1
    try:
        manifests = read(files, namespace)
        accounts = accounts_among(manifests)
    except (Unreadable, ReconcileError) as error:
        errors.print(str(error), markup=False)
        return 1
    chosen = [document for document in manifests.objects if document.get("kind") != "AwsAccount"]
    if not chosen:
        errors.print("no object of securebase.io is among the files")
        return 1
    try:
        api = reading_cluster() if cluster else None
        process = reading_process(instance, accounts, Redactor(), api)
        statuses = NoStatuses() if api is None else ClusterStatuses(api)
        sources = FileSources(manifests, InAws(process, statuses))
        done = [_plan_one(document, process, sources, statuses) for document in chosen]
    except ReconcileError as error:
        errors.print(str(error), markup=False)
        return 1
    for lacking in sources.lacking:
        errors.print(f"note: {lacking}", markup=False)
    if as_json:
        print_json(done)
    else:
        console = Console(highlight=False, soft_wrap=True)
        for one in done:
            print_plan(one, console)
    return exit_code(done)


def exit_code(done: Sequence[Planned]) -> int:
    """0 nothing, 2 changes, 1 an error."""
    if any(one.troubles() for one in done):
        return 1
    return 2 if any(one.plan is not None and not one.plan.is_empty() for one in done) else 0


def accounts_among(manifests: Manifests) -> dict[str, Account]:
    """Every AwsAccount of the files, by name."""
    try:
        found = [account_of(document) for document in manifests.objects if document.get("kind") == "AwsAccount"]
    except ValidationError as error:
        raise Unreadable("AwsAccount: " + "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False))) from None
    return {account.name: account for account in found}


def _plan_one(document: Mapping[str, Any], process: Process, sources: FileSources, statuses: Statuses) -> Planned:
    metadata = document["metadata"]
    where = str(document.get("kind")), str(metadata["namespace"]), str(metadata.get("name", ""))
    kind = _KINDS.get(where[0])
    if kind is None:
        return Planned(*where, problem=f"no kind of this operator; it knows {', '.join(sorted(_KINDS))}")
    try:
        spec = parsed(kind, document)
    except ReconcileError as error:
        unknown = unknown_fields(kind.model, document)
        return Planned(*where, problem="; ".join(map(str, unknown)) if unknown else str(error))
    status = statuses.of(kind, *where[1:])
    request = Request(kind, Identity(process.instance, *where), spec, dict(metadata.get("annotations") or {}), priors(status), status.get("acknowledged") or {})
    return planned(request, process, sources, search=not status)

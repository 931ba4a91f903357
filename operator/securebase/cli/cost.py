"""`securebase cost`: what objects would cost a month, from manifests and the price book alone. Neither AWS nor a cluster is asked."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from securebase.cli.documents import Manifests, Unreadable, read
from securebase.cli.references import FileSources, Nowhere, foreseen_graph
from securebase.core.errors import ReconcileError, ReferenceNotFound, Terminal
from securebase.core.fields import SecretValue
from securebase.core.graph import InvalidGraph
from securebase.core.identity import Identity
from securebase.core.kind import Facts, Needs, ObjectRef, SecretRef
from securebase.cost.book import PriceBook
from securebase.cost.data import InvalidData, book_with
from securebase.cost.estimate import Estimate, Line, Use, cents, estimate_graph, plain, together
from securebase.kinds.registry import KINDS
from securebase.runtime.accounts import DEFAULT, Account, account_of, ambient_account
from securebase.runtime.engine import Request, parsed

_KINDS: Final = {kind.kind: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Priced:
    """One object and its estimate, or why there is none."""

    kind: str
    namespace: str
    name: str
    estimate: Estimate | None = None
    region: str = ""
    problem: str = ""

    @property
    def title(self) -> str:
        """How a person names it."""
        return f"{self.kind} {self.namespace}/{self.name}"

    def as_document(self) -> dict[str, Any]:
        """For `-o json`."""
        document: dict[str, Any] = {"kind": self.kind, "namespace": self.namespace, "name": self.name}
        if self.estimate is None:
            return document | {"problem": self.problem}
        return document | {"region": self.region} | self.estimate.as_document()


def cost_of_files(files: Sequence[str], namespace: str, region: str, price_book: str, *, as_json: bool) -> int:
    """Estimate everything in the files; the exit code. `region` is that of objects that name none, above an AwsAccount's."""
    errors = Console(stderr=True, highlight=False)
    try:
        book = book_with(price_book)
        manifests = read(files, namespace)
        accounts = _accounts(manifests)
    except (Unreadable, InvalidData, OSError) as error:
        errors.print(str(error), markup=False)
        return 1
    chosen = [document for document in manifests.objects if document.get("kind") != "AwsAccount"]
    if not chosen:
        errors.print("no object of securebase.io is among the files")
        return 1
    outside = Nowhere(partial(_region, accounts=accounts, given=region))
    sources = FileSources(manifests, outside)
    done = [_priced(document, sources, outside, book) for document in chosen]
    total = together(one.estimate for one in done if one.estimate is not None)
    if as_json:
        print(json.dumps({"objects": [one.as_document() for one in done], "total": total.as_status()}, indent=2))
    else:
        _print(done, total, Console(highlight=False, soft_wrap=True))
    return 1 if any(one.problem for one in done) else 0


def _accounts(manifests: Manifests) -> dict[str, Account]:
    try:
        found = [account_of(document) for document in manifests.objects if document.get("kind") == "AwsAccount"]
    except ValidationError as error:
        raise Unreadable("AwsAccount: " + "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False))) from None
    return {account.name: account for account in found}


def _priced(document: Mapping[str, Any], sources: FileSources, outside: Nowhere, book: PriceBook) -> Priced:
    metadata = document["metadata"]
    where = str(document.get("kind")), str(metadata["namespace"]), str(metadata.get("name", ""))
    kind = _KINDS.get(where[0])
    if kind is None:
        return Priced(*where, problem=f"no kind of this operator; it knows {', '.join(sorted(_KINDS))}")
    try:
        request = Request(kind, Identity(outside.instance, *where), parsed(kind, document))
        context = outside.context(request)
        facts = _facts(kind.needs(request.spec, where[1]), sources)
        graph, _ = foreseen_graph(request, facts, context, partial(outside.there, request))
    except (ReconcileError, InvalidGraph) as error:
        return Priced(*where, problem=str(error))
    return Priced(*where, estimate_graph(graph, context.region, book), context.region)


def _region(spec: Any, accounts: Mapping[str, Account], given: str) -> str:
    """Where an object lives, by the rules of the operator: its own word, else the account's."""
    if spec.region or given:
        return str(spec.region or given)
    named = spec.account_ref.name if spec.account_ref else None
    account = accounts.get(named or DEFAULT)
    if account is not None:
        return account.region
    if named is not None:
        raise Terminal("RegionUnknown", f"AwsAccount {named} is not among the files: add it, or give --region")
    return ambient_account().region


def _facts(needs: Needs, sources: FileSources) -> Facts:
    """What references lead to costs nothing: unknown Secrets are left out, and outputs of objects that no file has stand as any text."""
    secrets: dict[SecretRef, SecretValue] = {}
    for ref in needs.secrets:
        with suppress(ReferenceNotFound):
            secrets[ref] = sources.secret(ref)
    objects: dict[ObjectRef, Mapping[str, str]] = {}
    for other in needs.objects | needs.objects_if_there:
        try:
            objects[other] = sources.outputs(other)
        except ReferenceNotFound:
            objects[other] = defaultdict(lambda: "unknown")
    return Facts(secrets, objects, offline=True)


def _print(done: Sequence[Priced], total: Estimate, console: Console) -> None:
    for one in done:
        console.print(Text(one.title, style="bold"))
        if one.estimate is None:
            console.print(Text(f"  ! {one.problem}", style="red"))
        else:
            _print_estimate(one.estimate, console)
    if len(done) > 1:
        console.print(Text(f"together: {_sum(total)}", style="bold"))


def _print_estimate(found: Estimate, console: Console) -> None:
    width = max((len(line.resource) for line in found.lines), default=0)
    for line in found.lines:
        console.print(f"  {line.resource:{width}}  {_line(line)}", markup=False)
    for use in found.uses:
        console.print(Text(f"  {use.resource}: {_use(use)}", style="dim"))
    for missing in found.missing:
        console.print(Text(f"  ? {missing}", style="yellow"))
    console.print(f"  {_sum(found)}", markup=False)
    if found.to_check:
        console.print(Text(f"  known from one source only: {', '.join(found.to_check)}", style="dim"))


def _line(line: Line) -> str:
    what = f"{line.price.item} {line.price.variant}"
    return f"{cents(line.usd):>10} USD  {what}: {plain(line.quantity)} x {plain(line.price.usd or line.usd)} a {line.price.unit}"


def _use(use: Use) -> str:
    price = f"{plain(use.price.usd)} USD" if use.price.usd is not None else "unknown price"
    return f"by use, {price} a {use.price.unit} ({use.price.item} {use.price.variant})"


def _sum(found: Estimate) -> str:
    """`54.75 USD a month and more`: more where something is billed by use or unknown."""
    if found.monthly_usd is None:
        return "unknown"
    more = " and more" if found.uses or found.missing else ""
    return f"{cents(found.monthly_usd)} USD a month{more}" + (f", prices of {found.as_of}" if found.as_of else "")

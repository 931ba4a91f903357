"""Keeps dashboards. Their name, made from the identity, proves whose they are: they have no tags."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, Target
from securebase.core.errors import ReconcileError, Terminal
from securebase.core.identity import digest
from securebase.resources.cloudwatch.dashboard_model import Dashboard, Widget, body, parsed, problems
from securebase.resources.listing import Listing, Turns
from securebase.resources.pace import Pace
from securebase.resources.tagging import unresolved

_EVERY: Final = 3
"""Dashboards page nobody: every third sweep lists them."""
_GONE: Final = ("ResourceNotFound", "DashboardNotFoundError", "ResourceNotFoundException")
_INVALID: Final = ("InvalidParameterInput", "InvalidParameterValue", "DashboardInvalidInputError")


class DashboardDriver:
    """`cloudwatch/dashboard`. External id: the name. A sweep lists all; what its size or modification time shows unchanged is not read again."""

    type: ClassVar[str] = "cloudwatch/dashboard"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._listing: Listing[str, str] = Listing(self._list, clock)
        self._pace = Pace(clock, _EVERY)
        self._turns: Turns[str, str] = Turns(clock, share=0.05, at_least=0)
        self._stamps: dict[str, str] = {}
        self._warned: dict[str, tuple[str, str]] = {}

    def observe(self, targets: Sequence[Target[Dashboard]], depth: Depth) -> Mapping[Key, Answer]:
        """By name; when sweeping only those that the list shows changed, and a few in turns."""
        names = {target.key: target.external_id or target.want().name for target in targets}
        known = {target.key: target for target in targets if not unresolved(names[target.key])}
        bodies = self._swept(sorted({names[key] for key in known})) if depth is Depth.SWEEP else {}
        answers: dict[Key, Answer] = {}
        for key, target in known.items():
            try:
                text = bodies[names[key]] if names[key] in bodies else self._read(names[key])
            except ReconcileError as error:
                answers[key] = error
                continue
            answers[key] = None if text is None else self._observed(target, names[key], text, self._remembered(names[key], text))
        return answers

    def create(self, target: Target[Dashboard], token: str) -> Observed[Dashboard]:
        """Put it; the name makes it repeatable."""
        return self._put(target, "")

    def update(self, target: Target[Dashboard], observed: Observed[Dashboard], changes: Sequence[Change]) -> Observed[Dashboard]:
        """Put the whole dashboard anew, on top of what is there."""
        return self._put(target, str(observed.raw or ""))

    def problems(self, desired: Dashboard) -> Iterable[str]:
        """What CloudWatch would refuse, known without asking."""
        return problems(desired)

    def delete(self, target: Target[Dashboard], observed: Observed[Dashboard]) -> None:
        """Gone at once."""
        self._aws.attempt("cloudwatch", "delete_dashboards", _GONE, DashboardNames=[observed.external_id])
        self._stamps.pop(observed.external_id, None)
        self._warned.pop(observed.external_id, None)

    def locatable(self, target: Target[Dashboard]) -> bool:
        """By its name, whatever it shows."""
        return not unresolved(target.external_id or target.want().name)

    def _put(self, target: Target[Dashboard], there: str) -> Observed[Dashboard]:
        want = target.want()
        if wrong := "; ".join(problems(want)):
            raise Terminal("InvalidDashboard", f"dashboard {want.name}: {wrong}")
        text = body(want, there)
        answer = self._aws.attempt("cloudwatch", "put_dashboard", _INVALID, DashboardName=want.name, DashboardBody=text)
        if isinstance(answer, Refusal):
            raise Terminal("InvalidDashboard", f"dashboard {want.name}: {answer.message}")
        self._stamps.pop(want.name, None)
        self._pace.wrote()
        self._warned[want.name] = _plain(text), _warnings(answer)
        return self._observed(target, want.name, text, self._warned[want.name][1])

    def _remembered(self, name: str, text: str) -> str | None:
        """What CloudWatch warned of when this very body was put: nothing that is read tells it again. None where this process never put it."""
        if (known := self._warned.get(name)) is None:
            return None
        put, warnings = known
        return warnings if warnings and put == _plain(text) else ""

    def _swept(self, names: Sequence[str]) -> dict[str, str | None]:
        """Bodies as last read where the list says that nothing moved. Not in the list is not proof of absence: that is read by name."""
        stamps = self._pace.get(self._listing)
        moved = [name for name in names if name in stamps and self._stamps.get(name) != stamps[name]]
        for name in moved:
            if (text := self._read(name)) is not None:
                self._turns.put(name, text)
                self._stamps[name] = stamps[name]
        reads = self._turns.round([name for name in names if name in stamps], self._read_due)
        return {name: read.value for name, read in reads.items()}

    def _read_due(self, due: Sequence[str]) -> dict[str, str]:
        return {name: text for name in due if (text := self._read(name)) is not None}

    def _read(self, name: str) -> str | None:
        answer = self._aws.attempt("cloudwatch", "get_dashboard", _GONE, DashboardName=name)
        return None if isinstance(answer, Refusal) else str(answer["DashboardBody"])

    def _list(self) -> dict[str, str]:
        pages = self._aws.pages("cloudwatch", "list_dashboards")
        entries = (entry for page in pages for entry in page.get("DashboardEntries", []))
        return {str(entry["DashboardName"]): f"{entry.get('LastModified')}/{entry.get('Size')}" for entry in entries}

    def _observed(self, target: Target[Dashboard], name: str, text: str, warnings: str | None = None) -> Observed[Dashboard]:
        arn = f"arn:{self._aws.partition}:cloudwatch::{self._aws.account_id}:dashboard/{name}"
        value = dashboard_value(name, text, target.desired)
        silent = warnings is None
        return Observed(name, value, owner=target.owner, attributes={"name": name, "arn": arn}, message=warnings or "", raw=text, silent=silent)


def dashboard_value(name: str, text: str, wanted: Dashboard | None) -> Dashboard:
    """The model of a body. A widget where a wanted one stands is that one; any other is named by its place."""
    whole = parsed(text)
    places = {(widget.x, widget.y): widget.id for widget in wanted.widgets} if wanted is not None else {}
    found = [_found(widget, places) for widget in whole.get("widgets") or ()]
    order = {widget.id: at for at, widget in enumerate(wanted.widgets)} if wanted is not None else {}
    found.sort(key=lambda widget: order.get(widget.id, len(order)))
    return Dashboard(name, tuple(found))


def _found(widget: Mapping[str, Any], places: Mapping[tuple[int, int], str]) -> Widget:
    x, y = int(widget.get("x") or 0), int(widget.get("y") or 0)
    properties = json.dumps(widget.get("properties") or {}, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    id = places.get((x, y), f"at-{x}-{y}")
    return Widget(id, str(widget.get("type") or ""), x, y, int(widget.get("width") or 6), int(widget.get("height") or 6), properties)


def _plain(text: str) -> str:
    """A digest of a body that is the same however it is written down."""
    try:
        text = json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return digest(text)
    return digest(text)


def _warnings(answer: Mapping[str, Any]) -> str:
    told = [f"{one.get('DataPath', '')}: {one.get('Message', '')}".strip(": ") for one in answer.get("DashboardValidationMessages") or ()]
    return f"CloudWatch warns: {'; '.join(told[:5])}" if told else ""

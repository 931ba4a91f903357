"""Plans and drift for a terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from securebase.cli.planning import Planned
from securebase.core.diff import Change
from securebase.core.plan import EXISTENCE, Action, Step

_SIGN = {
    Action.CREATE: ("+", "green"),
    Action.ADOPT: ("^", "cyan"),
    Action.UPDATE: ("~", "yellow"),
    Action.REPLACE: ("±", "magenta"),
    Action.DELETE: ("-", "red"),
    Action.HOLD: ("!", "red"),
}


def print_json(planned: Sequence[Planned]) -> None:
    """One document with every object."""
    print(json.dumps({"objects": [one.as_document() for one in planned]}, indent=2, default=str))


def print_plan(planned: Planned, console: Console) -> None:
    """One object's plan."""
    console.print(Text(planned.title, style="bold"))
    if planned.problem:
        console.print(Text(f"  ! {planned.problem}", style="red"))
    if planned.plan is None:
        return
    for step in planned.plan.steps:
        if step.action is not Action.NONE:
            _print_step(step, console)
    for wrong in planned.refused:
        console.print(Text(f"  ! would be refused: {wrong}", style="red"))
    if planned.plan.is_empty():
        console.print("  nothing would change")
    if planned.plan.hash:
        console.print(Text(f"  needs approval: kubectl annotate ... securebase.io/approve={planned.plan.hash}", style="magenta"))


def _print_step(step: Step, console: Console) -> None:
    sign, color = _SIGN[step.action]
    console.print(Text(f"  {sign} {step.node.id} ({step.node.type})", style=color))
    if step.problem is not None:
        console.print(Text(f"      {step.problem.reason}: {step.problem.message}", style="red"))
    for change in step.changes:
        if change.path != EXISTENCE:
            console.print(_change_line(change, step))


def _change_line(change: Change, step: Step) -> Text:
    line = Text(f"      {change.path}: ")
    if step.action is Action.CREATE:
        line.append(_value(change.want))
    else:
        line.append(f"{_value(change.have)} -> {_value(change.want)}")
    notes = [change.impact.value] if change.impact.value != "ONLINE" else []
    if change.path in step.held:
        notes.append(f"waits: {step.held[change.path].value.lower()}")
    if notes:
        line.append(f"  [{', '.join(notes)}]", style="magenta")
    return line


def _value(value: Any) -> str:
    return "(none)" if value is None else json.dumps(value, default=str, ensure_ascii=False)


def print_drift(planned: Planned, console: Console) -> None:
    """One object's drift."""
    console.print(Text(planned.title, style="bold"))
    if planned.problem:
        console.print(Text(f"  ! {planned.problem}", style="red"))
    for step in planned.plan.steps if planned.plan else ():
        for change in step.changes:
            if change.drifted:
                where = f"{step.node.id}.{change.path}" if change.path else step.node.id
                console.print(Text(f"  {where}: {_value(change.want)} became {_value(change.have)}"))

"""A dashboard's widgets as a picture: what CloudWatch would show, drawn from data that was read. Pure but for the drawing library."""

from __future__ import annotations

import base64
import html
import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS: Final = 24
_INCH_A_COLUMN, _INCH_A_ROW = 0.62, 0.42
_STATES: Final = {"ALARM": "#d62728", "OK": "#2ca02c", "INSUFFICIENT_DATA": "#7f7f7f"}


@dataclass(frozen=True, slots=True)
class Line:
    """One metric: (Unix seconds, value) in order of time. `right`: on the axis to the right."""

    label: str
    points: tuple[tuple[float, float], ...] = ()
    right: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """A threshold that is drawn across."""

    label: str
    value: float
    colour: str = "#d62728"


@dataclass(frozen=True, slots=True)
class Panel:
    """One widget with its data. Sizes in columns and rows of CloudWatch's grid.

    states  (alarm, state) of a widget that shows alarms
    text    of a widget that shows a text, or why there is nothing to see
    """

    title: str
    x: int
    y: int
    width: int
    height: int
    lines: tuple[Line, ...] = ()
    limits: tuple[Limit, ...] = ()
    states: tuple[tuple[str, str], ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """One dashboard."""

    title: str
    panels: tuple[Panel, ...]
    span: tuple[float, float] = (0.0, 0.0)
    notes: tuple[str, ...] = field(default=())


class NothingToDrawWith(Exception):
    """The drawing library is not installed."""


def as_png(picture: Picture) -> bytes:
    """The dashboard as one image."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (an extra: only who draws needs it)
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise NothingToDrawWith("drawing needs the extra `preview`: pip install 'securebase-operator[preview]'") from None
    rows = max((panel.y + panel.height for panel in picture.panels), default=1)
    figure = Figure(figsize=(COLUMNS * _INCH_A_COLUMN, rows * _INCH_A_ROW + 0.6), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    head = 0.5 / (rows * _INCH_A_ROW + 0.6)
    figure.suptitle(picture.title, x=0.01, y=1.0 - head / 4, ha="left", va="top", fontsize=13, fontweight="bold")
    for panel in picture.panels:
        left, width = panel.x / COLUMNS + 0.03, panel.width / COLUMNS - 0.055
        bottom, height = (1 - head) * (1 - (panel.y + panel.height) / rows), (1 - head) * panel.height / rows
        margin = 0.9 / (rows + 1.5)  # of one row: room for a title above and times below
        bottom, height = bottom + margin, height - 2 * margin
        _draw(figure.add_axes((left, bottom, max(width, 0.01), max(height, 0.01))), panel, picture.span)
    made = io.BytesIO()
    figure.savefig(made, format="png")
    return made.getvalue()


def as_html(pictures: Sequence[Picture]) -> str:
    """All dashboards as one page that needs nothing else."""
    parts = ['<!doctype html><meta charset="utf-8"><title>Dashboards</title><style>body{font-family:sans-serif;margin:1rem}img{max-width:100%}</style>']
    for picture in pictures:
        image = base64.b64encode(as_png(picture)).decode()
        parts.append(f'<h1>{html.escape(picture.title)}</h1><img alt="{html.escape(picture.title)}" src="data:image/png;base64,{image}">')
        parts += [f"<p>{html.escape(note)}</p>" for note in picture.notes]
    return "\n".join(parts) + "\n"


def _draw(axes: Axes, panel: Panel, span: tuple[float, float]) -> None:
    axes.set_title(panel.title, loc="left", fontsize=9)
    if panel.states:
        _draw_states(axes, panel.states)
    elif panel.text or not (panel.lines or panel.limits):
        _draw_text(axes, panel)
    else:
        _draw_lines(axes, panel, span)


def _draw_text(axes: Axes, panel: Panel) -> None:
    axes.set_axis_off()
    shown = "\n".join(textwrap.wrap(panel.text, panel.width * 7)[: panel.height * 2])
    axes.text(0.0, 1.0, shown, fontsize=8, va="top", ha="left", transform=axes.transAxes)


def _draw_states(axes: Axes, states: Sequence[tuple[str, str]]) -> None:
    axes.set_axis_off()
    columns = 4
    for number, (name, state) in enumerate(states[:40]):
        x, y = (number % columns) / columns, 1.0 - (number // columns + 1) / 11
        axes.text(x, y, "●", color=_STATES.get(state, "#7f7f7f"), fontsize=9, transform=axes.transAxes)
        axes.text(x + 0.012, y, f"{name[:44]}", fontsize=7, transform=axes.transAxes)


def _draw_lines(axes: Axes, panel: Panel, span: tuple[float, float]) -> None:
    right = axes.twinx() if any(line.right for line in panel.lines) else axes
    colours = iter(f"C{number % 10}" for number in range(len(panel.lines)))
    for line in panel.lines:
        times = [datetime.fromtimestamp(at, UTC) for at, _ in line.points]
        (right if line.right else axes).plot(
            times,  # type: ignore[arg-type]  # the stubs know no dates, the library does
            [value for _, value in line.points],
            label=line.label,
            linewidth=1.0,
            color=next(colours),
            marker="." if len(line.points) < 3 else "",
        )
    for limit in panel.limits:
        axes.axhline(limit.value, color=limit.colour, linewidth=0.8, linestyle="--", label=limit.label)
    if span[1] > span[0]:
        axes.set_xlim(datetime.fromtimestamp(span[0], UTC), datetime.fromtimestamp(span[1], UTC))  # type: ignore[arg-type]
    axes.tick_params(labelsize=6)
    right.tick_params(labelsize=6)
    if not any(line.points for line in panel.lines):
        axes.text(0.5, 0.5, "no data", fontsize=8, color="#7f7f7f", ha="center", transform=axes.transAxes)
    shown = [*axes.get_legend_handles_labels()[0], *(right.get_legend_handles_labels()[0] if right is not axes else [])]
    axes.legend(handles=shown[:8], fontsize=6, loc="upper left", frameon=False)


def limits_of(properties: Mapping[str, Any]) -> tuple[Limit, ...]:
    """The thresholds in a metric widget's annotations."""
    found = (properties.get("annotations") or {}).get("horizontal") or ()
    return tuple(Limit(str(one.get("label", "")), float(one["value"]), str(one.get("color", "#d62728"))) for one in found if "value" in one)

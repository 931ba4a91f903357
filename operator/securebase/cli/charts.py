"""A dashboard's widgets as a picture: what CloudWatch would show, drawn from data that was read. Pure but for the drawing library."""

from __future__ import annotations

import base64
import html
import io
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from securebase.cli.panels import COLUMNS, Band, Limit, Line, Panel, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCH_A_COLUMN, _INCH_A_ROW, _INCH_HEAD = 0.62, 0.46, 0.55
_LEFT, _RIGHT, _TOP, _FOOT, _LEGEND_LINE = 0.58, 0.58, 0.3, 0.26, 0.135
"""Inches around a graph: for the numbers of its axes, its title, its times, and a line of its legend."""
_LETTER, _KEY = 0.053, 0.3
"""Inches that a letter of a legend needs, and the piece of line before it."""
_LEGEND_LINES: Final = 5
_COLOURS: Final = ("#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22")
"""Without the red of what is critical and the grey of what nobody knows."""
_QUIET, _GRID = "#7f7f7f", "#e4e4e4"
_STATES: Final = {"ALARM": "#d62728", "OK": "#2ca02c", "INSUFFICIENT_DATA": "#7f7f7f"}
_STATES_A_ROW: Final = 3
_DAY: Final = 86_400
_STEPS: Final = (60, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, _DAY, 2 * _DAY, 5 * _DAY)
_FAR: Final = 3.0
"""How many times as high as the data a threshold may stand and still be drawn: one far above would press the lines flat."""


class NothingToDrawWith(Exception):
    """The drawing library is not installed."""


def as_png(picture: Picture) -> bytes:
    """The dashboard as one image."""
    made = io.BytesIO()
    figure_of(picture).savefig(made, format="png")
    return made.getvalue()


def as_html(pictures: Sequence[Picture]) -> str:
    """All dashboards as one page that needs nothing else."""
    parts = ['<!doctype html><meta charset="utf-8"><title>Dashboards</title><style>body{font-family:sans-serif;margin:1rem}img{max-width:100%}</style>']
    for picture in pictures:
        image = base64.b64encode(as_png(picture)).decode()
        parts.append(f'<h1>{html.escape(picture.title)}</h1><img alt="{html.escape(picture.title)}" src="data:image/png;base64,{image}">')
        parts += [f"<p>{html.escape(note)}</p>" for note in picture.notes]
    return "\n".join(parts) + "\n"


def figure_of(picture: Picture) -> Figure:
    """The dashboard with one axes for each panel, in their order, and a second one where a panel has an axis to the right."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (an extra: only who draws needs it)
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise NothingToDrawWith("drawing needs the extra `preview`: pip install 'securebase-operator[preview]'") from None
    width, rows = COLUMNS * _INCH_A_COLUMN, max((panel.y + panel.height for panel in picture.panels), default=1)
    height = rows * _INCH_A_ROW + _INCH_HEAD
    figure = Figure(figsize=(width, height), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(0.12 / width, 1 - 0.14 / height, picture.title, ha="left", va="top", fontsize=13, fontweight="bold")
    figure.text(1 - 0.12 / width, 1 - 0.17 / height, _said(picture.span), ha="right", va="top", fontsize=9, color=_QUIET)
    for panel in picture.panels:
        graph = _is_graph(panel)
        foot = _FOOT + _LEGEND_LINE * len(_legend_rows(panel)) if graph else 0.06
        left, right = (_LEFT, _RIGHT if _has_right(panel) else 0.2) if graph else (0.14, 0.14)
        x, top = panel.x * _INCH_A_COLUMN + left, height - _INCH_HEAD - panel.y * _INCH_A_ROW - (_TOP if panel.title else 0.08)
        wide, high = panel.width * _INCH_A_COLUMN - left - right, top - (height - _INCH_HEAD - (panel.y + panel.height) * _INCH_A_ROW) - foot
        axes = figure.add_axes((x / width, (top - high) / height, max(wide, 0.1) / width, max(high, 0.1) / height), label=panel.title)
        _draw(axes, panel, picture.span)
    return figure


def _said(span: tuple[float, float]) -> str:
    start, end = (datetime.fromtimestamp(at, UTC) for at in span)
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC" if span[1] > span[0] else ""


def _is_graph(panel: Panel) -> bool:
    return bool(panel.lines or panel.bands or panel.limits) and not panel.states and not panel.text


def _has_right(panel: Panel) -> bool:
    return any(line.right for line in panel.lines)


def _draw(axes: Axes, panel: Panel, span: tuple[float, float]) -> None:
    axes.set_title(panel.title, loc="left", fontsize=9, fontweight="bold", pad=5)
    if panel.states:
        _draw_states(axes, panel.states, panel.height)
    elif _is_graph(panel):
        _draw_graph(axes, panel, span)
    else:
        axes.set_axis_off()
        _write(axes, panel)


def _write(axes: Axes, panel: Panel) -> None:
    """Paragraph by paragraph, as far as there is room."""
    lines = [line for paragraph in (panel.text or "no data").splitlines() for line in (textwrap.wrap(paragraph, panel.width * 8) or [""])]
    axes.text(0.0, 1.0, "\n".join(lines[: panel.height * 3]), fontsize=8, va="top", ha="left", transform=axes.transAxes)


def _draw_states(axes: Axes, states: Sequence[tuple[str, str]], height: int) -> None:
    """What fires comes first; what has no room is counted."""
    axes.set_axis_off()
    order = ("ALARM", "INSUFFICIENT_DATA", "OK")
    sorted_states = sorted(states, key=lambda one: order.index(one[1]) if one[1] in order else len(order))
    rows = max(1, int((height * _INCH_A_ROW - _TOP) / 0.17) - 1)
    room = rows * _STATES_A_ROW
    for number, (name, state) in enumerate(sorted_states[:room]):
        x, y = (number // rows) / _STATES_A_ROW, 1.0 - (number % rows + 0.7) / (rows + 1)
        axes.plot([x + 0.004], [y], marker="o", markersize=5, color=_STATES.get(state, "#c7c7c7"), transform=axes.transAxes, clip_on=False)
        axes.text(x + 0.012, y, f"{_short(name, 62)}  {state}", fontsize=6.5, va="center", transform=axes.transAxes)
    if len(sorted_states) > room:
        axes.text(0.0, 0.0, f"and {len(sorted_states) - room} more", fontsize=7, color=_QUIET, va="bottom", transform=axes.transAxes)


def _short(text: str, most: int) -> str:
    """The middle gives way: names differ at their ends."""
    return text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-(most - most // 2) :]}"


def _draw_graph(axes: Axes, panel: Panel, span: tuple[float, float]) -> None:
    right = axes.twinx() if _has_right(panel) else axes
    handles: list[Any] = []
    for line, colour in zip(panel.lines, _colours(panel), strict=True):
        handles.append(_draw_line(right if line.right else axes, line, colour))
    for band in panel.bands:
        handles.append(_draw_band(right if band.right else axes, band))
    _scale(axes, panel, right=False)
    if right is not axes:
        _scale(right, panel, right=True)
        right.set_ylabel(panel.right_unit, fontsize=7, color=_QUIET)
    _draw_limits(axes, panel)
    _dress(axes, right, panel, span)
    if not any(line.points for line in panel.lines):
        axes.text(0.5, 0.5, "no data", fontsize=9, color=_QUIET, ha="center", va="center", transform=axes.transAxes)
    _legend(axes, panel, handles)


def _colours(panel: Panel) -> Iterator[str]:
    return (_COLOURS[number % len(_COLOURS)] for number in range(len(panel.lines)))


def _draw_line(axes: Axes, line: Line, colour: str) -> Any:
    times = [datetime.fromtimestamp(at, UTC) for at, _ in line.points]
    values = [value for _, value in line.points]
    style = ":" if line.right else "-"
    [drawn] = axes.plot(times, values, label=line.label, linewidth=1.1, linestyle=style, color=colour, marker="." if len(values) < 3 else "")  # type: ignore[arg-type]  # the stubs know no dates, the library does
    return drawn


def _draw_band(axes: Axes, band: Band) -> Any:
    times = [datetime.fromtimestamp(at, UTC) for at, _, _ in band.points]
    low, high = ([point[side] for point in band.points] for side in (1, 2))
    return axes.fill_between(times, low, high, label=band.label, color=_QUIET, alpha=0.22, linewidth=0)  # type: ignore[arg-type]  # as above


def _scale(axes: Axes, panel: Panel, *, right: bool) -> None:
    """From zero where no value is below it, although a band may reach there; with room above, and with the thresholds that are not far off."""
    drawn = [value for line in panel.lines if line.right is right for _, value in line.points]
    values = [*drawn, *(upper for band in panel.bands if band.right is right for _, _, upper in band.points)]
    near = [] if right else [limit.value for limit in _limits(panel)[0]]
    top, bottom = max([*values, *near], default=0.0), min([*drawn, *near, 0.0])
    if top == bottom:
        top = max(top, 0.0) + 1.0
    axes.set_ylim(bottom * 1.08, top + (top - bottom) * 0.12)


def _limits(panel: Panel) -> tuple[list[Limit], list[Limit]]:
    """Those that are drawn, and those that are too far above the data for that."""
    values = [value for line in panel.lines if not line.right for _, value in line.points]
    most = max(values, default=0.0) * _FAR
    near = [limit for limit in panel.limits if not values or limit.value <= most or limit.value <= 10.0]
    return near, [limit for limit in panel.limits if limit not in near]


def _draw_limits(axes: Axes, panel: Panel) -> None:
    from matplotlib.patheffects import withStroke  # noqa: PLC0415 (an extra)

    near, far = _limits(panel)
    for limit in near:
        axes.axhline(limit.value, color=limit.colour, linewidth=0.9, linestyle="--", label=limit.label)
    low, high = axes.get_ylim()
    placed: list[float] = []
    for limit in sorted(near, key=lambda limit: limit.value):
        y = (limit.value - low) / (high - low) + 0.015
        while any(abs(y - other) < 0.075 for other in placed):  # two thresholds near each other: the upper one's words make way
            y += 0.02
        placed.append(y)
        words = axes.text(0.006, y, f"{limit.label} {limit.value:g}", fontsize=6, color=limit.colour, va="bottom", transform=axes.transAxes)
        words.set_path_effects([withStroke(linewidth=2, foreground="white")])  # to be read on top of a line without hiding it
    if far:
        above = ", ".join(f"{limit.label} {limit.value:g}" for limit in far)
        axes.set_title(f"above: {above}", loc="right", fontsize=6, color=far[0].colour, pad=5)


def _dress(axes: Axes, right: Axes, panel: Panel, span: tuple[float, float]) -> None:
    if span[1] > span[0]:
        axes.set_xlim(datetime.fromtimestamp(span[0], UTC), datetime.fromtimestamp(span[1], UTC))  # type: ignore[arg-type]  # as above
        ticks = time_ticks(span)
        axes.set_xticks([at for at, _ in ticks], [label for _, label in ticks])  # type: ignore[arg-type]  # as above
    axes.set_ylabel(panel.left_unit, fontsize=7, color=_QUIET)
    axes.grid(True, color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for one in {axes, right}:
        one.yaxis.set_major_formatter(_figure)
        one.tick_params(labelsize=6.5, colors="#444444", length=2)
        for side in ("top", "left", "right", "bottom"):
            one.spines[side].set_visible(side == "bottom")


def _figure(value: float, position: float = 0) -> str:
    """`1.5k`, `0.25`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def time_ticks(span: tuple[float, float]) -> list[tuple[datetime, str]]:
    """At most eight round times of a span: hours and minutes, the day where a new one begins or where steps are days."""
    step = next((step for step in _STEPS if (span[1] - span[0]) / step <= 8), 10 * _DAY)
    ticks = [datetime.fromtimestamp(at, UTC) for at in range(-int(-span[0] // step) * step, int(span[1]) + 1, step)]
    return [(at, f"{at:%b} {at.day}" if step >= _DAY or at.hour == at.minute == 0 else f"{at:%H:%M}") for at in ticks]


def _legend_rows(panel: Panel) -> list[list[int]]:
    """Which entries stand in which line below the graph, as many as fit its width; what has no room is told by a number."""
    labels = [_entry(panel, number) for number in range(len(panel.lines) + len(panel.bands))]
    room, used = panel.width * _INCH_A_COLUMN - _LEFT, 0.0
    rows: list[list[int]] = [[]]
    for number, label in enumerate(labels):
        needs = _KEY + len(label) * _LETTER
        if rows[-1] and used + needs > room:
            rows.append([])
            used = 0.0
        rows[-1].append(number)
        used += needs
    return [row for row in rows if row][:_LEGEND_LINES]


def _entry(panel: Panel, number: int) -> str:
    every: Sequence[Line | Band] = (*panel.lines, *panel.bands)
    return _short(every[number].label, 46)


def _legend(axes: Axes, panel: Panel, handles: Sequence[Any]) -> None:
    """Below the times, where it covers nothing."""
    from matplotlib.lines import Line2D  # noqa: PLC0415 (an extra)

    box = axes.get_position()
    figure = axes.get_figure(root=True)
    if figure is None:
        return
    wide, high = box.width * figure.get_figwidth(), box.height * figure.get_figheight()
    rows = _legend_rows(panel)
    left_out = len(handles) - sum(map(len, rows))
    for at, row in enumerate(rows):
        x, y = 0.0, -(_FOOT + _LEGEND_LINE * (at + 0.25)) / high
        for number in row:
            colour, style = _look(handles[number])
            key = Line2D([x, x + 0.16 / wide], [y, y], color=colour, linestyle=style, linewidth=1.6, transform=axes.transAxes, clip_on=False)
            axes.add_artist(key)
            last = left_out and at == len(rows) - 1 and number == row[-1]
            label = _entry(panel, number) + (f"   and {left_out} more" if last else "")
            axes.text(x + 0.2 / wide, y, label, fontsize=6.5, va="center", ha="left", transform=axes.transAxes)
            x += (_KEY + len(label) * _LETTER) / wide


def _look(handle: Any) -> tuple[Any, Any]:
    return (handle.get_color(), handle.get_linestyle()) if hasattr(handle, "get_linestyle") and hasattr(handle, "get_color") else (_GRID, "-")

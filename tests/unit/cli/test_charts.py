"""A dashboard drawn from data: every line, threshold, band and title is in the picture, and what is not there is said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from securebase.cli.charts import as_html, as_png, figure_of, time_ticks
from securebase.cli.panels import Band, Limit, Line, Panel, Picture

START = 1_763_640_000.0
"""2025-11-20 12:00 UTC."""
SPAN = (START, START + 6 * 3600)
POINTS = tuple((START + 60 * minute, 40.0 + minute % 7) for minute in range(60))
LATENCY = Panel("API latency", 0, 0, 12, 6, lines=(Line("p50", POINTS), Line("p95", tuple((at, 2 * value) for at, value in POINTS))), left_unit="ms")


def drawn(*panels: Panel) -> Figure:
    return figure_of(Picture("platform", panels, SPAN))


def axes_of(panel: Panel) -> list[Axes]:
    """The panel's axes; the second one is that to the right."""
    return drawn(panel).axes


def points(line: Line2D) -> list[tuple[Any, Any]]:
    """As they were given: (time, value)."""
    times, values = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    return list(zip(times.tolist(), values.tolist(), strict=True))


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_every_line_is_drawn_with_its_points() -> None:
    axes = axes_of(LATENCY)[0]
    found = {str(line.get_label()): line for line in axes.lines if not str(line.get_label()).startswith("_")}
    for line in LATENCY.lines:
        assert points(found[line.label]) == [(datetime.fromtimestamp(at, UTC), value) for at, value in line.points]
    assert axes.get_title(loc="left") == "API latency" and axes.get_ylabel() == "ms"
    assert {"p50", "p95"} <= set(texts(axes)), "the legend"
    assert "no data" not in texts(axes)
    assert list(axes.get_xlim()) == pytest.approx([at / 86_400 for at in SPAN]), "days since 1970, also where there is no data"


def test_lines_differ_in_colour() -> None:
    axes = axes_of(replace(LATENCY, lines=tuple(Line(f"member-{number}", POINTS) for number in range(8))))[0]
    colours = [line.get_color() for line in axes.lines if str(line.get_label()).startswith("member-")]
    assert len(set(colours)) == len(colours) == 8


def test_an_axis_to_the_right_has_its_own_lines_and_scale() -> None:
    requests = Line("requests", ((START, 9_000.0), (START + 60, 12_000.0), (START + 120, 11_000.0)), right=True)
    left, right = axes_of(replace(LATENCY, lines=(*LATENCY.lines, requests), right_unit="requests"))
    assert "requests" not in {line.get_label() for line in left.lines}
    assert [value for line in right.lines for _, value in points(line)] == [9_000.0, 12_000.0, 11_000.0]
    assert right.get_ylabel() == "requests"
    assert left.get_ylim()[1] < 200 and right.get_ylim()[1] > 12_000


def test_thresholds_are_drawn_where_they_stand_with_their_words() -> None:
    limits = (Limit("latency-p95 (warning)", 100, "#ff7f0e"), Limit("latency-max (critical)", 150))
    axes = axes_of(replace(LATENCY, limits=limits))[0]
    for limit in limits:
        [line] = [line for line in axes.lines if line.get_label() == limit.label]
        assert {value for _, value in points(line)} == {limit.value} and line.get_color() == limit.colour
        assert any(text.startswith(limit.label) for text in texts(axes))
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 150, "both are on the scale"


def test_a_threshold_far_above_the_data_does_not_press_it_flat_and_is_named() -> None:
    axes = axes_of(replace(LATENCY, limits=(Limit("latency-p90 (critical)", 2_500),)))[0]
    assert axes.get_ylim()[1] < 200
    assert axes.get_title(loc="right") == "above: latency-p90 (critical) 2500"


def test_a_threshold_alone_is_drawn() -> None:
    axes = axes_of(Panel("Errors", 0, 0, 12, 6, lines=(Line("errors"),), limits=(Limit("errors (critical)", 2_500),)))[0]
    assert axes.get_ylim()[1] > 2_500 and "no data" in texts(axes)


def test_words_of_thresholds_near_each_other_do_not_cover_each_other() -> None:
    figure = drawn(replace(LATENCY, limits=(Limit("one (warning)", 50), Limit("two (critical)", 51), Limit("three (info)", 52))))
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text().split()[0] in ("one", "two", "three")]
    assert len(boxes) == 3
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_a_band_is_a_shaded_area_around_the_line() -> None:
    band = Band("expected", tuple((at, value - 5, value + 5) for at, value in POINTS))
    axes = axes_of(replace(LATENCY, bands=(band,)))[0]
    [area] = [one for one in axes.collections if isinstance(one, PolyCollection)]
    heights = np.asarray(area.get_paths()[0].vertices)[:, 1]
    assert (heights.min(), heights.max()) == (35.0, 51.0)
    assert "expected" in texts(axes)


def test_what_has_no_data_says_so() -> None:
    assert "no data" in texts(axes_of(replace(LATENCY, lines=(Line("p50"), Line("p95"))))[0])
    assert texts(axes_of(Panel("Nothing", 0, 0, 12, 6))[0]) == ["no data"]


def test_a_single_point_is_seen() -> None:
    axes = axes_of(replace(LATENCY, lines=(Line("p50", POINTS[:1]),)))[0]
    assert [line.get_marker() for line in axes.lines if line.get_label() == "p50"] == ["."]


def test_a_text_widget_keeps_its_paragraphs() -> None:
    assert texts(axes_of(Panel("", 0, 0, 24, 4, text="Not watched here:\n\n- one\n- two"))[0]) == ["Not watched here:\n\n- one\n- two"]


def test_alarms_are_shown_with_their_state_and_what_fires_comes_first() -> None:
    states = (("calm", "OK"), ("quiet", "INSUFFICIENT_DATA"), ("loud", "ALARM"), ("planned", "not there yet"))
    axes = axes_of(Panel("Alarms", 0, 0, 24, 6, states=states))[0]
    assert texts(axes) == ["loud  ALARM", "quiet  INSUFFICIENT_DATA", "calm  OK", "planned  not there yet"]
    assert [line.get_color() for line in axes.lines] == ["#d62728", "#7f7f7f", "#2ca02c", "#c7c7c7"]


def test_alarms_without_room_are_counted() -> None:
    axes = axes_of(Panel("Alarms", 0, 0, 24, 6, states=tuple((f"alarm-{number}", "OK") for number in range(100))))[0]
    assert texts(axes)[-1] == f"and {100 - (len(texts(axes)) - 1)} more"


@pytest.mark.parametrize(("members", "left_out"), [(3, 0), (60, 50)])
def test_the_legend_stays_below_its_graph_and_counts_what_it_leaves_out(members: int, left_out: int) -> None:
    lines = tuple(Line(f"shop-sessions-group-4d0e583f36-{number:03} hit rate", POINTS) for number in range(members))
    panel = replace(LATENCY, lines=lines)
    figure = figure_of(Picture("platform", (panel, replace(panel, y=6)), SPAN))
    upper, lower = figure.axes
    entries = [text for text in upper.texts if "hit rate" in text.get_text()]
    assert len(entries) == members - left_out
    assert all(text.get_window_extent().y1 < upper.get_window_extent().y0 for text in entries)
    title = lower.get_window_extent().y1
    assert all(text.get_window_extent().y0 > title for text in entries), "the next panel begins below"
    assert (f"and {left_out} more" in entries[-1].get_text()) == bool(left_out)
    assert all(text.get_window_extent().x1 < figure.bbox.x1 / 2 + 5 for text in entries[:-1]), "nor beside"


@pytest.mark.parametrize(
    ("hours", "labels"),
    [
        (1, ["12:00", "12:10", "12:20", "12:30", "12:40", "12:50", "13:00"]),
        (6, ["12:00", "13:00", "14:00", "15:00", "16:00", "17:00", "18:00"]),
        (24, ["12:00", "15:00", "18:00", "21:00", "Nov 21", "03:00", "06:00", "09:00", "12:00"]),
        (24 * 5, ["Nov 21", "Nov 22", "Nov 23", "Nov 24", "Nov 25"]),
    ],
)
def test_times_are_round_and_few(hours: int, labels: list[str]) -> None:
    assert [label for _, label in time_ticks((START, START + hours * 3600))] == labels


def shades(*panels: Panel) -> int:
    """How many colours an image has: a blank one has white and the grey of its texts."""
    pixels = matplotlib.image.imread(BytesIO(as_png(Picture("", panels, SPAN))))
    return len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0))


def test_the_image_shows_the_line() -> None:
    def red(panel: Panel) -> int:
        pixels = matplotlib.image.imread(BytesIO(as_png(Picture("", (panel,), SPAN))))
        return int(((pixels[..., 0] > 0.8) & (pixels[..., 1] < 0.3)).sum())

    assert red(LATENCY) == 0 < red(replace(LATENCY, limits=(Limit("latency (critical)", 60),)))
    assert shades(LATENCY) > shades(replace(LATENCY, lines=(Line("p50"),)))


@pytest.mark.parametrize("made", [lambda picture: as_png(picture)[:8], lambda picture: as_html([picture]).encode()[:15]])
def test_a_dashboard_of_nothing_is_drawn(made: Callable[[Picture], bytes]) -> None:
    assert made(Picture("empty", ())) in (b"\x89PNG\r\n\x1a\n", b"<!doctype html>")


def test_the_page_escapes_what_it_tells() -> None:
    page = as_html([Picture("a <b>", (LATENCY,), SPAN, ("CdnDistribution <site> is left out",))])
    assert "<h1>a &lt;b&gt;</h1>" in page and "<p>CdnDistribution &lt;site&gt; is left out</p>" in page


def test_without_the_library_it_is_said_what_to_install() -> None:
    program = (
        "import sys; sys.modules['matplotlib.figure'] = None\n"
        "from securebase.cli.charts import NothingToDrawWith, as_png\n"
        "from securebase.cli.panels import Picture\n"
        "try:\n    as_png(Picture('', ()))\nexcept NothingToDrawWith as error:\n    print(error)\n"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parents[3] / "operator"), "PATH": ""}
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert answer.stdout == "drawing needs the extra `preview`: pip install 'securebase-operator[preview]'\n", answer.stderr

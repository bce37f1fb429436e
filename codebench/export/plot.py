"""Pictures of a training run: compile rate and pass@k over the steps, with 95 % bands.

matplotlib (extra `plots`) is imported when something is drawn, with the backend that needs no
screen; no setting of the user's matplotlib is changed.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from codebench.errors import EnvironmentProblem
from codebench.export.series import Line, Picture, Point, picture_of
from codebench.results.reading import Loaded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

DPI = 160
_PANEL_INCHES = (8.0, 4.5)
_LOG_FROM = 40.0
"""Largest step / smallest from which on the axis is logarithmic: early steps would be one point."""

_MAX_LABELLED = 12
_NARROWEST_TICKS = 0.07
_LEAST_APART = 6.0
"""Two names behind lines are at least so many points apart."""


class _Colours(NamedTuple):
    background: str
    text: str
    faint: str
    lines: tuple[str, ...]
    alarm: str


LIGHT = _Colours("#ffffff", "#1f2328", "#d1d9e0", ("#0969da", "#8250df", "#1a7f37"), "#cf222e")
DARK = _Colours("#0d1117", "#e6edf3", "#3d444d", ("#58a6ff", "#bc8cff", "#3fb950"), "#ff7b72")
_MUTED = "#7d8590"


def png(loaded: Sequence[Loaded], *, dark: bool = False) -> bytes:
    """Return the picture of some runs as PNG, 1280 pixels wide.

    Raises:
        EnvironmentProblem: if matplotlib is not installed.
    """
    return _drawn(loaded, "png", DARK if dark else LIGHT)


def svg(loaded: Sequence[Loaded], *, dark: bool = False) -> bytes:
    """Return the picture of some runs as SVG, the same bytes for the same runs.

    Raises:
        EnvironmentProblem: if matplotlib is not installed.
    """
    return _drawn(loaded, "svg", DARK if dark else LIGHT)


def _drawn(loaded: Sequence[Loaded], kind: Literal["png", "svg"], colours: _Colours) -> bytes:
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EnvironmentProblem("plots need matplotlib: pip install 'codebench[plots]'") from error
    picture = picture_of(loaded)
    n_panels = 2 if picture.passes else 1
    settings: dict[RcKeyType, object] = {
        "svg.hashsalt": "codebench",
        "svg.fonttype": "none",
        "font.family": ["DejaVu Sans"],
        "font.size": 10,
        "text.usetex": False,
        "text.parse_math": False,
    }
    file = io.BytesIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        width, height = _PANEL_INCHES
        figure = Figure(figsize=(width, height * n_panels), facecolor=colours.background)
        FigureCanvasAgg(figure)
        _draw(figure, picture, colours)
        metadata = {"Date": None} if kind == "svg" else {"Software": "codebench"}
        figure.savefig(file, format=kind, dpi=DPI, metadata=metadata)
    return file.getvalue()


def _draw(figure: "Figure", picture: Picture, colours: _Colours) -> None:
    panels = figure.subplots(2 if picture.passes else 1, 1, squeeze=False)[:, 0]
    figure.subplots_adjust(
        left=0.08, right=0.81 if picture.passes else 0.9, top=0.91 if picture.passes else 0.82,
        bottom=0.065 if picture.passes else 0.13, hspace=0.45,
    )  # fmt: skip
    _panel(
        panels[0],
        picture,
        [picture.compiles],
        colours,
        title="Programs that compile",
        about=f"{picture.about}; band: 95 % for exactly these prompts",
    )
    if picture.passes:
        _panel(
            panels[1],
            picture,
            picture.passes,
            colours,
            title="Programs that pass their tests",
            about="mean over prompts; band: 95 % for prompts in general",
        )


def _panel(
    axes: "Axes",
    picture: Picture,
    lines: Sequence[Line],
    colours: _Colours,
    *,
    title: str,
    about: str,
) -> None:
    axes.set_facecolor(colours.background)
    for line, colour in zip(lines, colours.lines, strict=False):
        _line(axes, picture, line, colour, colours)
    if len(lines) == 1:
        _values(axes, picture, lines[0], colours)
    _names(axes, picture, lines, colours)
    _frame(axes, picture, colours)
    axes.text(
        0, 1.13, title, transform=axes.transAxes, color=colours.text, fontsize=14, weight="bold"
    )
    axes.text(0, 1.055, about, transform=axes.transAxes, color=_MUTED, fontsize=9)


def _known(picture: Picture, line: Line) -> list[tuple[float, Point]]:
    return [(x, p) for x, p in zip(picture.places, line.points, strict=True) if p is not None]


def _line(axes: "Axes", picture: Picture, line: Line, colour: str, colours: _Colours) -> None:
    known = _known(picture, line)
    xs, values = [x for x, _ in known], [point.value for _, point in known]
    banded = [(x, p.low, p.high) for x, p in known if p.low is not None and p.high is not None]
    lows, highs = [low for _, low, _ in banded], [high for _, _, high in banded]
    if len(banded) == 1:  # a band needs two ends; one run has a bar
        axes.vlines([banded[0][0]], lows, highs, colors=colour, linewidth=6, alpha=0.25)
    else:
        band = [x for x, _, _ in banded]
        axes.fill_between(band, lows, highs, color=colour, alpha=0.16, linewidth=0)
    axes.plot(xs, values, color=colour, linewidth=2, solid_capstyle="round", zorder=3)
    for x, point in known:
        edge = colours.alarm if point.collapsed else colour
        fill = edge if point.whole else colours.background
        axes.plot(
            [x], [point.value], "o", markersize=7, color=fill, markeredgecolor=edge,
            markeredgewidth=1.8, zorder=4, clip_on=False,
        )  # fmt: skip
        if point.collapsed:
            _note(axes, (x, point.value), "collapse", colours.alarm, offset=(0, 24))


def _values(axes: "Axes", picture: Picture, line: Line, colours: _Colours) -> None:
    """Write the value at each point but the last, where they are few."""
    known = _known(picture, line)
    if len(known) <= _MAX_LABELLED:
        for x, point in known[:-1]:
            _note(axes, (x, point.value), f"{point.value:.0f}", colours.text, offset=(0, 10))


def _names(axes: "Axes", picture: Picture, lines: Sequence[Line], colours: _Colours) -> None:
    """Write name and last value behind each line, in its colour, none over another."""
    ends = [
        (known[-1][1].value, known[-1][0], line.name, colour)
        for line, colour in zip(lines, colours.lines, strict=False)
        if (known := _known(picture, line))
    ]
    height = float("-inf")
    for value, x, name, colour in sorted(ends):
        height = max(value, height + _LEAST_APART)
        label = f"{value:.0f} %" if len(lines) == 1 else f"{name}  {value:.0f} %"
        axes.annotate(
            label, (x, height), xytext=(12, 0), textcoords="offset points", color=colour,
            weight="bold", va="center", annotation_clip=False, fontsize=11,
        )  # fmt: skip


def _note(
    axes: "Axes", at: tuple[float, float], text: str, colour: str, *, offset: tuple[int, int]
) -> None:
    axes.annotate(
        text, at, xytext=offset, textcoords="offset points", color=colour, ha="center",
        fontsize=9, annotation_clip=False, zorder=5,
    )  # fmt: skip


def _frame(axes: "Axes", picture: Picture, colours: _Colours) -> None:
    """Draw axes that are there to be read: four faint lines, the runs' own places, no box."""
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 25, 50, 75, 100], labels=["0", "25", "50", "75", "100 %"])
    axes.grid(axis="y", color=colours.faint, linewidth=0.8)
    axes.set_axisbelow(True)
    low, high = picture.places[0], picture.places[-1]
    logarithmic = picture.has_steps and low > 0 and high / low >= _LOG_FROM
    if logarithmic:
        axes.set_xscale("log")
    if low == high:
        axes.set_xlim(low - 1, high + 1)
    shown = _apart(axes, picture)
    axes.set_xticks([picture.places[i] for i in shown], labels=[picture.labels[i] for i in shown])
    axes.set_xticks([], minor=True)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(colours.faint)
    axes.tick_params(length=0, colors=_MUTED, labelsize=9)
    if picture.has_steps:
        name = "training step (logarithmic)" if logarithmic else "training step"
        axes.set_xlabel(name, color=_MUTED, fontsize=9)


def _apart(axes: "Axes", picture: Picture) -> list[int]:
    """Return the runs whose names fit below the axis, the last one always among them."""
    width = max(len(label) for label in picture.labels)
    needed = max(_NARROWEST_TICKS, 0.011 * width)
    places = axes.transAxes.inverted().transform(
        axes.transData.transform([(place, 0.0) for place in picture.places])
    )[:, 0]
    shown = [len(places) - 1]
    for i in range(len(places) - 2, -1, -1):
        if places[shown[-1]] - places[i] >= needed:
            shown.append(i)
    return shown[::-1]

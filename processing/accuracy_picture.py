"""An accuracy report on one page: where the errors are, how they are spread, the numbers, and what they stand on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from processing.accuracy import AccuracyReport, CheckPoints, Coregistration
from processing.accuracy_table import LIMITS, Row, figures, number, provenance, short
from processing.coregistration import ortho_grid, side_m
from processing.error_statistics import PlanarErrors
from processing.errors import OutputError
from processing.grid import OutputGrid
from processing.projection import Floats
from processing.quality import has_data, overview
from processing.raster import open_raster
from processing.refine import metres_per_degree

INK, FAINT, PAPER = "#1b2733", "#6b7885", "#fbfaf7"
COLOURS: Final = ("#e4572e", "#2e86ab", "#f3a712", "#6a994e")
"""Of check points, and of the scenes in the order of the report; those beyond have no colour of their own."""

GOOD, BAD = "#2b7a4b", "#b3261e"

ARROW: Final = 0.045
"""Length on the page of the arrow that nine of ten keep, in sides of the map."""

STRETCH_PCT: Final = (1.0, 99.0)

_FEW: Final = 60
"""So many places are marked each by a dot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    """One thing that the product was held against."""

    label: str
    colour: str
    lon: Floats
    lat: Floats
    east_m: Floats
    north_m: Floats
    errors: PlanarErrors

    @classmethod
    def of_scene(cls, one: Coregistration, colour: str) -> "_Series | None":
        if one.errors is None:
            return None
        columns = np.array([(v.lon, v.lat, v.east_m, v.north_m) for v in one.vectors]).T
        return cls._of(f"against {short(one.against)}", colour, columns, one.errors)

    @classmethod
    def of_checks(cls, checks: CheckPoints, colour: str) -> "_Series":
        found = [
            (p.lon, p.lat, p.product_east_m, p.product_north_m)
            if checks.product
            else (p.lon, p.lat, p.model_east_m, p.model_north_m)
            for p in checks.points
        ]
        known = [one for one in found if None not in one]
        return cls._of("check points", colour, np.array(known, np.float64).T, checks.errors)

    @classmethod
    def _of(cls, label: str, colour: str, columns: Floats, errors: PlanarErrors) -> "_Series":
        lon, lat, east, north = columns
        return cls(label=label, colour=colour, lon=lon, lat=lat, east_m=east, north_m=north, errors=errors)


def write_picture(report: AccuracyReport, ortho: Path, destination: Path) -> None:
    """Draw the report as a PNG; the same report and orthoimage, the same picture.

    Raises
    ------
    DeliveryError
        The orthoimage cannot be read.
    OutputError
        The disk is full.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    series = _series(report)
    figure = Figure(figsize=(13.2, 9.3), facecolor=PAPER)
    FigureCanvasAgg(figure)
    page = figure.add_gridspec(
        3, 2, width_ratios=(1.5, 1), height_ratios=(1, 0.72, 0.72),
        left=0.035, right=0.975, top=0.875, bottom=0.03, hspace=0.3, wspace=0.12,
    )  # fmt: skip
    _map(figure.add_subplot(page[:2, 0]), ortho, series)
    _scatter(figure.add_subplot(page[0, 1]), series)
    _histogram(figure.add_subplot(page[1, 1]), series)
    _table(figure.add_subplot(page[2, 0]), figures(report))
    _table(figure.add_subplot(page[2, 1]), provenance(report))
    _title(figure, report)
    try:
        figure.savefig(destination, dpi=110, facecolor=PAPER, format="png", metadata={"Software": None})
    except OSError as error:
        raise OutputError(f"{destination.name}: cannot be written ({error.strerror})") from error


def _series(report: AccuracyReport) -> list[_Series]:
    found = [_Series.of_checks(report.check_points, COLOURS[0])] if report.check_points else []
    scenes = zip(report.coregistrations, COLOURS[1:], strict=False)
    return found + [one for one in (_Series.of_scene(*pair) for pair in scenes) if one]


def _title(figure: Any, report: AccuracyReport) -> None:  # noqa: ANN401 - matplotlib
    figure.text(0.035, 0.955, short(report.product, 70), fontsize=17, fontweight="bold", color=INK)
    figure.text(
        0.035, 0.925, f"Accuracy report · {short(report.crs)} · pixels of {report.resolution_m:.3g} m", color=FAINT
    )
    if report.limits:
        good = report.is_within_limits
        said = "within its limits" if good else "NOT within its limits"
        figure.text(0.975, 0.955, said, fontsize=15, fontweight="bold", ha="right", color=GOOD if good else BAD)
        asked = " · ".join(f"{LIMITS[one.figure]} {number(one.value)} (at most {one.limit:g})" for one in report.limits)
        figure.text(0.975, 0.925, asked, ha="right", color=FAINT)


def _head(ax: Any, text: str) -> None:  # noqa: ANN401 - matplotlib axes
    """The title of a part, and the colours of its frame: set here, since matplotlib's defaults are every thread's."""
    ax.set_title(text, fontsize=11, fontweight="bold", loc="left", color=INK)
    ax.tick_params(color=FAINT, labelcolor=FAINT)
    for spine in ax.spines.values():
        spine.set_color(FAINT)


def _map(ax: Any, ortho: Path, series: Sequence[_Series]) -> None:  # noqa: ANN401 - matplotlib axes
    picture, factor = _thumbnail(ortho)
    grid = ortho_grid(ortho)
    height, width = picture.shape[:2]
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="bilinear", alpha=0.75)
    lengths = [np.hypot(one.east_m, one.north_m) for one in series]
    typical = float(np.percentile(np.concatenate(lengths), 90)) if lengths else 0.0
    if typical > 0:
        exaggerated = ARROW * max(height, width) * factor * side_m(grid) / typical
        for one in series:
            _arrows(ax, grid, one, factor, exaggerated)
        _key(ax, typical, ARROW * max(height, width) / typical, (height, width))
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_anchor("N")
    _head(ax, "Where: product − truth, or − the other scene")
    if series:
        handles = [ax.plot([], [], color=one.colour, linewidth=3, label=one.label)[0] for one in series]
        ax.legend(handles=handles, loc="upper right", framealpha=0.9, fontsize=9)
    else:
        said = "no overlapping scene and no check point:\nnothing to measure by"
        ax.text(0.5, 0.5, said, ha="center", va="center", transform=ax.transAxes, fontsize=13, backgroundcolor=PAPER)


def _arrows(ax: Any, grid: OutputGrid, one: _Series, factor: float, times: float) -> None:  # noqa: ANN401
    """From each place to where its error would take it, so many times as long: right on any map."""
    east, north = metres_per_degree(one.lat, np.zeros_like(one.lat))
    begin = grid.pixel(one.lon, one.lat)
    end = grid.pixel(one.lon + times * one.east_m / east, one.lat + times * one.north_m / north)
    (y0, x0), (y1, x1) = (((row + 0.5) / factor - 0.5, (col + 0.5) / factor - 0.5) for row, col in (begin, end))
    ax.quiver(
        x0, y0, x1 - x0, y1 - y0, color=one.colour, angles="xy", scale_units="xy", scale=1,
        width=0.0026, headwidth=3.6, headlength=4.2, headaxislength=3.8, edgecolor="white", linewidth=0.3,
    )  # fmt: skip
    if one.lon.size <= _FEW:
        ax.plot(x0, y0, "o", color=one.colour, markersize=5, markeredgecolor="white")


def _key(ax: Any, typical_m: float, per_metre: float, shape: tuple[int, int]) -> None:  # noqa: ANN401
    """An arrow of a round length."""
    import matplotlib.patheffects as effects

    power = 10.0 ** np.floor(np.log10(typical_m))
    length = next(step * power for step in (5, 2, 1) if step * power <= typical_m)
    left, base = 0.03 * shape[1], 0.955 * shape[0]
    edge = [effects.withStroke(linewidth=3.5, foreground=INK)]
    ax.plot([left, left + length * per_metre], [base, base], color="white", linewidth=2.5, path_effects=edge)
    ax.text(left, base - 0.018 * shape[0], f"{length:.3g} m", color="white", fontweight="bold", path_effects=edge)


def _scatter(ax: Any, series: Sequence[_Series]) -> None:  # noqa: ANN401 - matplotlib axes
    _head(ax, "How: error to the east and north, m")
    if not series:
        ax.axis("off")
        return
    turn = np.linspace(0, 2 * np.pi, 181)
    for one in series:
        ax.plot(one.east_m, one.north_m, ".", color=one.colour, markersize=3.5, alpha=0.6)
        radius = one.errors.ce90_m
        ax.plot(radius * np.cos(turn), radius * np.sin(turn), color=one.colour, linewidth=1.3)
        ax.annotate(f"CE90 {radius:.3g} m", (0, radius), color=one.colour, fontsize=8, ha="center", va="bottom")
    ax.axhline(0, color=FAINT, linewidth=0.6)
    ax.axvline(0, color=FAINT, linewidth=0.6)
    reach = 1.15 * max(
        max(one.errors.ce90_m, float(np.percentile(np.hypot(one.east_m, one.north_m), 98))) for one in series
    )
    ax.set_xlim(-max(reach, 1e-6), max(reach, 1e-6))
    ax.set_ylim(-max(reach, 1e-6), max(reach, 1e-6))
    ax.set_aspect("equal")
    ax.set_facecolor("white")


def _histogram(ax: Any, series: Sequence[_Series]) -> None:  # noqa: ANN401 - matplotlib axes
    _head(ax, "How often: length of the error, m")
    if not series:
        ax.axis("off")
        return
    lengths = [np.hypot(one.east_m, one.north_m) for one in series]
    edges = np.linspace(0, max(float(np.percentile(one, 98)) for one in lengths) * 1.1 + 1e-9, 31)
    for one, length in zip(series, lengths, strict=True):
        share = np.full(length.size, 100 / length.size)
        ax.hist(np.minimum(length, edges[-1]), bins=edges, weights=share, color=one.colour, alpha=0.45)
        ax.hist(np.minimum(length, edges[-1]), bins=edges, weights=share, color=one.colour, histtype="step")
        ax.axvline(one.errors.ce90_m, color=one.colour, linestyle="--", linewidth=1.2)
    ax.set_ylabel("%")
    ax.set_xlim(0, edges[-1])
    ax.set_facecolor("white")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _table(ax: Any, rows: Sequence[Row]) -> None:  # noqa: ANN401 - matplotlib axes
    ax.axis("off")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    columns = len(rows[0])
    places = [0.0, 0.3] if columns == 2 else [0.0, 0.27, 0.325, 0.485, 0.635, 0.725, 0.81, 0.905]
    step = min(0.1, 0.98 / len(rows))
    for line, row in enumerate(rows):
        y = 0.96 - line * step
        for place, text in zip(places, row, strict=True):
            colour, weight = (INK, "normal") if line else (FAINT, "bold")
            ax.text(place, y, text, fontsize=8.5, va="center", color=colour, fontweight=weight)
        if not line:
            ax.plot([0, 1], [y - step / 2] * 2, color=FAINT, linewidth=0.8)


def _thumbnail(ortho: Path) -> tuple[NDArray[Any], float]:
    """The orthoimage small, 0 … 1, transparent where it shows nothing; and how many of its pixels one of them is."""
    with open_raster(ortho) as dataset:
        size, _ = overview(dataset)
        kinds = list(dataset.colorinterp)
        wanted = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        bands = [kinds.index(one) + 1 for one in wanted] if set(wanted) <= set(kinds) else [1]
        pixels = dataset.read(bands, out_shape=(len(bands), *size))
        valid = has_data(pixels, dataset.nodata).any(axis=0)
        factor = max(dataset.height / size[0], dataset.width / size[1])
    low, high = np.nanpercentile(pixels[:, valid], STRETCH_PCT) if valid.any() else (0.0, 1.0)
    shown = np.clip((np.nan_to_num(pixels.astype(np.float64)) - low) / max(high - low, 1e-9), 0, 1)
    return np.dstack([*(shown if len(bands) == 3 else np.repeat(shown, 3, axis=0)), valid]), factor

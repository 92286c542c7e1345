"""A finished scene beside its raw picture and beside the ground as it is: figures and a drawing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from api.installation import Installation
from processing.blocks import Progress
from processing.cloud_classes import CLEAR
from processing.delivery import read_delivery
from processing.dem import Dem
from processing.displacement import Displacement, measure_displacement
from processing.grid import OutputGrid
from processing.raster import open_raster
from processing.scene import Scene
from tasking.order import AttemptStatus
from tasking.provider import Delivered
from tasking.provider.sandbox.truth import truth

Picture = NDArray[np.uint16]
"""Digital numbers; shape (bands, rows, columns)."""

Role = Literal["multispectral", "panchromatic"]

EXTENT_M = {"multispectral": 5000.0, "panchromatic": 2500.0}
"""Side of the square in the middle of the ordered area that is compared: the truth of finer pixels takes longer."""

DETAIL_M = 600.0
RED_GREEN_BLUE = (2, 1, 0)
"""Bands of the sandbox's multispectral picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One picture of a scene against the ground."""

    role: Role
    gsd_m: float
    """Side of a pixel of the orthoimage."""

    grid: OutputGrid
    """Of `ortho` and `truth`."""

    raw: Picture
    """The whole delivered raster."""

    ortho: Picture
    truth: Picture
    displacement: Displacement
    scene: Scene
    detail: tuple[int, int]
    """Row and column of the orthoimage around which there is most to see."""

    raw_detail: tuple[int, int]
    """The same place in the raw raster."""


def compare(installation: Installation, order_id: str, *, progress: Progress) -> list[Comparison]:
    """Measure the newest finished scene of an order that the sandbox carried out.

    Raises
    ------
    ProcessingError
        Too little of it is clear to be matched.
    """
    attempts = [one for one in installation.store.attempts(order_id) if one.status is AttemptStatus.COMPLETED]
    attempt = attempts[-1]
    product = installation.product(attempt.product_id)
    delivered = installation.providers[product.provider].poll(attempt)
    assert isinstance(delivered, Delivered)
    scene = read_delivery(delivered.folder)
    files = {
        role: installation.assets.path(f"{product.collection}/{attempt.item_id}/{role}.tif")
        for role in ("multispectral", "panchromatic", "cloud-mask")
    }
    found = []
    roles: tuple[Role, ...] = ("multispectral", "panchromatic")
    for number, role in enumerate(roles):
        progress("measure against the truth", number, len(roles))
        found.append(_compare(scene, role, files[role], files["cloud-mask"], attempt.area.centre))
    progress("measure against the truth", len(roles), len(roles))
    return found


def _compare(scene: Scene, role: Role, file: Path, mask: Path, centre: tuple[float, float]) -> Comparison:
    with open_raster(file) as dataset:
        whole = OutputGrid(
            crs=dataset.crs.to_string(),
            transform=tuple(dataset.transform)[:6],
            height=dataset.height,
            width=dataset.width,
        )
        grid, window = _middle(whole, centre, EXTENT_M[role])
        ortho: Picture = dataset.read(window=window)
        valid = (dataset.read_masks(1, window=window) > 0) & _clear(mask, grid)
    start, end = scene.acquired.start, scene.acquired.end
    assert start is not None
    assert end is not None
    ground = truth(grid, posix=(start.timestamp() + end.timestamp()) / 2, role=role)
    raster = scene.raster(role)
    assert raster is not None
    with open_raster(raster.path) as dataset:
        raw: Picture = dataset.read()
    side = grid.transform[0]
    band = 0 if role == "panchromatic" else RED_GREEN_BLUE[1]
    detail = _liveliest(ground[band], valid, round(DETAIL_M / side))
    return Comparison(
        role=role,
        gsd_m=side,
        grid=grid,
        raw=raw,
        ortho=ortho,
        truth=ground,
        displacement=measure_displacement(ortho[band], ground[band], resolution_m=side, valid=valid),
        scene=scene,
        detail=detail,
        raw_detail=_in_raw(scene, role, grid, detail),
    )


def _middle(whole: OutputGrid, centre: tuple[float, float], extent_m: float) -> tuple[OutputGrid, Window]:
    """The part of a grid around a place."""
    a, b, c, d, e, f = whole.transform
    size = round(extent_m / a)
    row, col = (int(value) for value in whole.pixel(np.array(centre[0]), np.array(centre[1])))
    top, left = max(row - size // 2, 0), max(col - size // 2, 0)
    height, width = min(size, whole.height - top), min(size, whole.width - left)
    grid = OutputGrid(crs=whole.crs, transform=(a, b, c + left * a, d, e, f + top * e), height=height, width=width)
    return grid, Window(left, top, width, height)


def _clear(mask: Path, grid: OutputGrid) -> NDArray[np.bool_]:
    """Where no cloud is, on another grid of the same CRS."""
    with open_raster(mask) as dataset:
        a, _, c, _, e, f = tuple(dataset.transform)[:6]
        cloud = dataset.read(1)
    x = grid.transform[2] + (np.arange(grid.width) + 0.5) * grid.transform[0]
    y = grid.transform[5] + (np.arange(grid.height) + 0.5) * grid.transform[4]
    rows = np.clip(((y - f) / e).astype(int), 0, cloud.shape[0] - 1)
    cols = np.clip(((x - c) / a).astype(int), 0, cloud.shape[1] - 1)
    clear: NDArray[np.bool_] = cloud[np.ix_(rows, cols)] == CLEAR
    return clear


def _liveliest(picture: NDArray[np.uint16], valid: NDArray[np.bool_], size: int) -> tuple[int, int]:
    """Centre of the clear window in which the picture varies most."""
    half, best, place = size // 2, -1.0, (picture.shape[0] // 2, picture.shape[1] // 2)
    for row in range(half, picture.shape[0] - half, max(half // 2, 1)):
        for col in range(half, picture.shape[1] - half, max(half // 2, 1)):
            part = np.s_[row - half : row + half, col - half : col + half]
            if valid[part].all() and (spread := float(picture[part].std())) > best:
                best, place = spread, (row, col)
    return place


def _in_raw(scene: Scene, role: Role, grid: OutputGrid, place: tuple[int, int]) -> tuple[int, int]:
    raster = scene.raster(role)
    assert raster is not None
    assert scene.dem is not None
    lon, lat = grid.lon_lat(np.array(float(place[0])), np.array(float(place[1])))
    heights = Dem.open(scene.dem.path, vertical_datum=scene.dem.vertical_datum, geoid=scene.dem.geoid).heights(lon, lat)
    row, col = raster.rpc.project(lon, lat, heights)
    return round(float(row)), round(float(col))


# ── drawing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

INK, FAINT, PAPER = "#1b2733", "#6b7885", "#fbfaf7"


def draw(comparisons: list[Comparison], path: Path, *, title: str) -> None:
    """Write raw beside orthoimage beside truth: the whole area in colour, and a detail in panchromatic."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with mpl.rc_context({"font.family": "sans-serif", "font.size": 11, "text.color": INK, "axes.edgecolor": FAINT}):
        figure, axes = plt.subplots(2, 3, figsize=(16, 11.6), facecolor=PAPER, layout="constrained")
        colour = next(one for one in comparisons if one.role == "multispectral")
        pan = next(one for one in comparisons if one.role == "panchromatic")
        for ax, panel in zip(axes.flat, [*_overview(colour), *_detail(pan)], strict=True):
            _show(ax, *panel)
        _scale_bar(axes[0, 1], colour.gsd_m, 1000)
        _scale_bar(axes[1, 1], pan.gsd_m, 100)
        scene = colour.scene
        angle = f", {scene.view.off_nadir_deg:.1f}° off nadir" if scene.view.off_nadir_deg is not None else ""
        figure.suptitle(f"Overflight: {scene.platform}{angle}, {scene.id}", fontsize=17, fontweight="bold", color=INK)
        accuracy = ",  ".join(
            f"{one.role} {one.displacement.ce90_m:.2f} m ({one.displacement.ce90_m / one.gsd_m:.2f} pixels)"
            for one in reversed(comparisons)
        )
        figure.supxlabel(f"CE90 against the truth: {accuracy}\n{title}", fontsize=12, color=INK)
        figure.savefig(path, dpi=110, facecolor=PAPER)
        plt.close(figure)


Panel = tuple[NDArray[Any], str, str]
"""What is shown, title, what it is."""


def _overview(one: Comparison) -> list[Panel]:
    limits = [np.percentile(one.truth[band], (0.5, 99.5)) for band in RED_GREEN_BLUE]

    def colours(picture: Picture) -> NDArray[Any]:
        return np.stack(
            [_stretched(picture[band], *limit) for band, limit in zip(RED_GREEN_BLUE, limits, strict=True)], axis=-1
        )

    return [
        (colours(one.raw), "raw", f"as delivered: {one.raw.shape[1]} × {one.raw.shape[2]} pixels, no map"),
        (colours(one.ortho), "orthoimage", f"{one.grid.crs}, {one.gsd_m:g} m, true colour"),
        (colours(one.truth), "truth", "the ground itself on the same grid"),
    ]


def _detail(one: Comparison) -> list[Panel]:
    half = round(DETAIL_M / one.gsd_m) // 2
    low, high = np.percentile(_around(one.truth[0], one.detail, half), (0.5, 99.5))
    about = f"detail of {DETAIL_M:g} m, panchromatic, {one.gsd_m:g} m"
    return [
        (_stretched(_around(picture, place, half), low, high), "", about if name == "ortho" else "")
        for name, picture, place in (
            ("raw", one.raw[0], one.raw_detail),
            ("ortho", one.ortho[0], one.detail),
            ("truth", one.truth[0], one.detail),
        )
    ]


def _around(picture: NDArray[np.uint16], place: tuple[int, int], half: int) -> NDArray[np.uint16]:
    row, col = (int(np.clip(at, half, size - half)) for at, size in zip(place, picture.shape, strict=True))
    return picture[row - half : row + half, col - half : col + half]


def _stretched(picture: NDArray[np.uint16], low: float, high: float) -> NDArray[np.float64]:
    """Between two digital numbers to 0 … 1, a little brighter in the shadows."""
    return np.clip((picture.astype(float) - low) / max(high - low, 1.0), 0, 1) ** 0.8


def _show(ax: Any, picture: NDArray[Any], title: str, about: str) -> None:  # noqa: ANN401 - matplotlib axes
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(title, fontsize=15, fontweight="bold", color=INK, loc="left")
    ax.set_xlabel(about, fontsize=10.5, color=FAINT, loc="left")


def _scale_bar(ax: Any, gsd_m: float, length_m: float) -> None:  # noqa: ANN401 - matplotlib axes
    """White on a dark edge, readable on every ground."""
    import matplotlib.patheffects as effects

    height, width = ax.images[0].get_array().shape[:2]
    left, base = 0.04 * width, 0.955 * height
    edge = [effects.withStroke(linewidth=4, foreground=INK)]
    ax.plot([left, left + length_m / gsd_m], [base, base], color="white", linewidth=2.5, path_effects=edge)
    label = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    place = (left, base - 0.02 * height)
    ax.text(*place, label, color="white", fontsize=11, fontweight="bold", path_effects=edge)
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)

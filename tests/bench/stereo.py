"""The real stereo pair: how far its two orthoimages lie apart before and after tie points have adjusted the models.

A ray that comes down on a wrong height comes down beside. With the two rays of this pair a metre of height moves the
one orthoimage against the other by the length of the difference of their slopes, all along the epipolar line. So

    across that line   what is left is the sensor models': heights do not touch it, right or wrong
    along it           SRTM's mistakes as well, sampled every 90 m, on a mountain under trees

The second is told for ground on which SRTM is right to so many metres, and with its mistakes taken off. They are not
taken from the orthoimages: the height of each tie point follows from its two rays in the raw images (a DEM that may be
10 m wrong hardly holds it, `processing.adjust`), and SRTM is held against these.

python -m tests.bench stereo                     the figures
python -m tests.bench.stereo docs/images         and the picture of docs/accuracy.md
"""

import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.interpolate import LinearNDInterpolator

from processing.accuracy import Coregistration
from processing.accuracy_picture import COLOURS, FAINT, INK, PAPER
from processing.adjust import adjust
from processing.coregistration import coregister
from processing.dem import Dem
from processing.error_statistics import nmad
from processing.graph import RawRaster, orthorectify
from processing.grid import OutputGrid
from processing.ground import choose_grid
from processing.refine import metres_per_degree
from processing.rpc import Rpc
from processing.tie import RawImage, match
from tests.bench.errors import LeftOutError

CRS: Final = "EPSG:32631"
SIDE_M: Final = 0.5
WINDOW_PX: Final = 24
GOAL_PX: Final = 0.5
NAMES: Final = ("left", "right")
SRTM_WITHIN_M: Final = ((0.0, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 5.0), (5.0, 10.0), (10.0, np.inf))
SLOPES_PCT: Final = ((0, 5), (5, 10), (10, 15), (15, 100))
DATA: Final = Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass(frozen=True, kw_only=True)
class Pair:
    images: tuple[RawImage, RawImage]
    dem: Dem
    grid: OutputGrid
    """What both show."""

    line: np.ndarray
    """Metres east and north by which a metre of height moves the right orthoimage against the left one."""

    delivered: tuple[Rpc, Rpc]
    adjusted: tuple[Rpc, Rpc]
    ties: int
    lon: np.ndarray
    """Of the tie points, as are `lat` and `wrong_m`."""

    lat: np.ndarray
    wrong_m: np.ndarray
    """SRTM − the height that follows from the two rays."""


def read_pair(data: Path) -> Pair:
    """Match, and adjust by a shift of each image: an affine change would bend the images until SRTM fits."""
    folder = data / "pleiades-ventoux"
    dem = Dem.open(folder / "N44E005.hgt", vertical_datum="EGM96", geoid=data / "geoid" / "egm96_15.gtx")
    images = []
    for name in NAMES:
        raster = RawRaster.open(folder / f"{name}.tif")
        size = raster.image()
        images.append(
            RawImage(name=name, path=raster.path, rpc=raster.rpc, height=size.height, width=size.width)
        )  # fmt: skip
    ties = match(*images, dem)
    held = adjust([image.in_block() for image in images], ties.points)
    adjusted = [scene.rpc for scene in held.scenes]
    good = held.accepted
    wrong = dem.heights(held.lon, held.lat) - held.height
    grids = [choose_grid(one.rpc, (one.height, one.width), dem, crs=CRS, resolution=SIDE_M) for one in images]
    west, south, east, north = np.transpose([grid.bounds for grid in grids])
    shared = choose_grid(
        images[0].rpc, (images[0].height, images[0].width), dem, crs=CRS, resolution=SIDE_M,
        bounds=(west.max(), south.max(), east.min(), north.min()),
    )  # fmt: skip
    return Pair(
        images=(images[0], images[1]),
        dem=dem,
        grid=shared,
        line=_slope(adjusted[1], images[1]) - _slope(adjusted[0], images[0]),
        delivered=(images[0].rpc, images[1].rpc),
        adjusted=(adjusted[0], adjusted[1]),
        ties=int(good.sum()),
        lon=held.lon[good],
        lat=held.lat[good],
        wrong_m=wrong[good],
    )


def _slope(rpc: Rpc, image: RawImage) -> np.ndarray:
    """Metres east and north that the middle ray of an image goes while it rises a metre."""
    row, col = image.height / 2, image.width / 2
    low, high = (np.array(rpc.locate(row, col, height)) for height in (500.0, 600.0))
    return (high - low) * np.array(metres_per_degree(low[1], np.array(550.0))) / 100


def orthoimages(found: Pair, rpcs: tuple[Rpc, Rpc], folder: Path, name: str) -> tuple[Path, Path]:
    paths = []
    for image, rpc in zip(found.images, rpcs, strict=True):
        paths.append(folder / f"{name}-{image.name}.tif")
        raster = replace(RawRaster.open(image.path), rpc=rpc)
        orthorectify(raster=raster, dem=found.dem, grid=found.grid, destination=paths[-1], resampling="cubic")
    return paths[0], paths[1]


@dataclass(frozen=True, kw_only=True)
class Apart:
    """How far the right orthoimage lies from the left one, window by window, px."""

    along: np.ndarray
    """Along the epipolar line."""

    across: np.ndarray
    wrong_m: np.ndarray
    """SRTM's mistake there; NaN outside the tie points."""

    slope_pct: np.ndarray
    """Of SRTM."""

    measured: Coregistration

    def line(self, name: str, chosen: np.ndarray) -> str:
        along, across = self.along[chosen], self.across[chosen]
        figures = [f"{np.median(one):+7.2f} {nmad(one):7.2f}" for one in (across, along)] if chosen.any() else []
        return f"{name:26s} {int(chosen.sum()):5d}   {'   '.join(figures)}"


def measure(found: Pair, paths: tuple[Path, Path]) -> Apart:
    measured = coregister(paths[1], paths[0], window_px=WINDOW_PX, lattice=48)
    lon, lat, east, north = np.array([(v.lon, v.lat, v.east_m, v.north_m) for v in measured.vectors]).T
    unit = found.line / np.hypot(*found.line)
    wrong = LinearNDInterpolator(np.stack([found.lon, found.lat], axis=1), found.wrong_m)(lon, lat)
    return Apart(
        along=(unit[0] * east + unit[1] * north) / SIDE_M,
        across=(unit[1] * east - unit[0] * north) / SIDE_M,
        wrong_m=wrong,
        slope_pct=_slope_pct(found.dem, lon, lat),
        measured=measured,
    )


def _slope_pct(dem: Dem, lon: np.ndarray, lat: np.ndarray, step_m: float = 30.0) -> np.ndarray:
    east, north = (step_m / per for per in metres_per_degree(lat, np.zeros_like(lat)))
    by_east = (dem.heights(lon + east, lat) - dem.heights(lon - east, lat)) / (2 * step_m)
    by_north = (dem.heights(lon, lat + north) - dem.heights(lon, lat - north)) / (2 * step_m)
    return 100 * np.hypot(by_east, by_north)


def right_to(apart: Apart, limit_m: float) -> np.ndarray:
    """Windows at which SRTM is right to so many metres."""
    return np.abs(apart.wrong_m) < limit_m


def without_srtm(found: Pair, apart: Apart) -> Apart:
    """The same with what SRTM's mistakes move taken off, as the geometry alone says; inside the tie points."""
    known = np.isfinite(apart.wrong_m)
    moved = np.hypot(*found.line) / SIDE_M * apart.wrong_m
    return replace(
        apart, along=(apart.along - moved)[known], across=apart.across[known], wrong_m=apart.wrong_m[known],
        slope_pct=apart.slope_pct[known],
    )  # fmt: skip


def run(pictures: Path | None = None) -> None:
    if not DATA.is_dir():
        raise LeftOutError("needs the real stereo pair in shared/data beside the project")
    found = read_pair(DATA)
    with tempfile.TemporaryDirectory() as name:
        paths = [
            orthoimages(found, rpcs, Path(name), label)
            for label, rpcs in (("delivered", found.delivered), ("adjusted", found.adjusted))
        ]
        before, after = (measure(found, two) for two in paths)
        tell(found, before, after)
        if pictures is not None:
            draw(found, before, after, pictures / "stereo.png")
    assert nmad(after.across) < GOAL_PX
    assert nmad(after.along[right_to(after, 1.0)]) < GOAL_PX


def tell(found: Pair, before: Apart, after: Apart) -> None:
    azimuth = np.degrees(np.arctan2(*found.line)) % 180
    print(
        f"{found.ties} tie points; a metre of height moves the two apart by {_per_metre(found):.2f} px towards "
        f"{azimuth:.0f}° from north\nSRTM − heights of the tie points: median {np.median(found.wrong_m):+.1f} m, "
        f"NMAD {nmad(found.wrong_m):.1f} m\n\n"
        f"{'':31s}   {'across, px':15s}   along the epipolar line, px\n"
        f"{'':26s} {'n':>4s}   {'median':>7s} {'NMAD':>7s}   {'median':>7s} {'NMAD':>7s}"
    )
    print(before.line("as delivered", np.full(before.along.size, True)))
    print(after.line("adjusted", np.full(after.along.size, True)))
    for low, high in SRTM_WITHIN_M:
        wrong = np.abs(after.wrong_m)
        print(after.line(f"  SRTM wrong by {low:g} to {high:g} m", (wrong >= low) & (wrong < high)))
    for low, high in SLOPES_PCT:
        print(after.line(f"  slope {low} to {high} %", (after.slope_pct >= low) & (after.slope_pct < high)))
    clean = without_srtm(found, after)
    print(clean.line("  SRTM's mistakes taken off", np.full(clean.along.size, True)))
    good = after.along[right_to(after, 1.0)]
    print(
        f"\nNMAD across {nmad(after.across):.2f} px; along, where SRTM is right to a metre, {nmad(good):.2f} px; "
        f"along, SRTM's mistakes taken off, {nmad(clean.along):.2f} px   (goal: under {GOAL_PX})"
    )


def _per_metre(found: Pair) -> float:
    """Pixels by which a metre of height moves the two apart."""
    return float(np.hypot(*found.line)) / SIDE_M


def draw(found: Pair, before: Apart, after: Apart, path: Path) -> None:
    """Where the right image shows the ground, seen from the left one; and what SRTM has to do with it."""
    figure = Figure(figsize=(13.2, 4.7), facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    scatter, plot = figure.subplots(1, 2, width_ratios=(1, 1.2))
    for apart, colour, label in ((before, COLOURS[0], "as delivered"), (after, COLOURS[1], "adjusted by tie points")):
        said = f"{label}: across {np.median(apart.across):+.2f} px, NMAD {nmad(apart.across):.2f} px"
        scatter.plot(apart.across, apart.along, ".", color=colour, markersize=4, label=said)
    scatter.axhline(0, color=FAINT, linewidth=0.6)
    scatter.axvline(0, color=FAINT, linewidth=0.6)
    scatter.set(xlim=(-9, 9), ylim=(-16, 12), xlabel="across the epipolar line, px", ylabel="along it, px")
    scatter.set_aspect("equal")
    scatter.set_title("Right orthoimage − left one, each window", loc="left", fontweight="bold", color=INK)
    scatter.legend(loc="lower left", bbox_to_anchor=(1.02, 0), fontsize=8)
    known = np.isfinite(after.wrong_m)
    reach = float(np.abs(after.wrong_m[known]).max()) * 1.1
    clean = without_srtm(found, after)
    plot.plot([-reach, reach], [-reach * _per_metre(found), reach * _per_metre(found)], color=FAINT, linewidth=1,
              label=f"by the rays alone: {_per_metre(found):.2f} px a metre")  # fmt: skip
    plot.plot(after.wrong_m[known], after.along[known], ".", color=COLOURS[1], markersize=4,
              label=f"windows: NMAD {nmad(clean.along):.2f} px from that line")  # fmt: skip
    plot.set(xlabel="SRTM − height of the tie points, m", ylabel="along the epipolar line, px")
    plot.set_title("What is left are SRTM's mistakes", loc="left", fontweight="bold", color=INK)
    plot.legend(loc="lower right", fontsize=8)
    figure.savefig(path, dpi=100, facecolor=PAPER, metadata={"Software": None})


if __name__ == "__main__":
    run(Path(sys.argv[1]) if len(sys.argv) > 1 else None)

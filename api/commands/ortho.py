"""`overflight ortho`: one raw scene onto the map."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from processing.sensor import SensorModel

EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("src", type=EXISTING, metavar="SRC")
@click.option("--dem", type=EXISTING, required=True, help="Heights of the ground, covering the whole scene.")
@click.option(
    "--dem-datum",
    required=True,
    metavar="NAME",
    help="What the DEM's heights are over: ellipsoid, EGM96, EGM2008 … Never guessed: a wrong one is up to 100 m.",
)
@click.option("--geoid", type=EXISTING, metavar="GRID", help="Geoid undulations, unless the datum is ellipsoid.")
@click.option("--crs", metavar="EPSG:n", help="CRS of the output.  [default: the UTM zone of the scene's centre]")
@click.option(
    "--resolution", type=float, metavar="R", help="Pixel size in units of the CRS.  [default: the scene's own]"
)
@click.option(
    "--bounds",
    type=float,
    nargs=4,
    metavar="XMIN YMIN XMAX YMAX",
    help="Extent of the output in units of the CRS.  [default: the whole scene]",
)
@click.option(
    "--model",
    "--rpc",
    "sensor",
    type=EXISTING,
    metavar="FILE",
    help="The sensor model: an RPC, a frame or a pushbroom camera, in any format of docs/sensor-models.md.  "
    "[default: the RPC beside SRC or inside it]",
)
@click.option(
    "--gcps",
    type=EXISTING,
    metavar="FILE",
    help="Ground control points (.csv with lon, lat, height, row, col; or .geojson) that the sensor model is moved to.",
)
@click.option(
    "--gcps-datum", metavar="NAME", help="What the heights of the control points are over; --geoid serves both."
)
@click.option(
    "--refine",
    "model",
    type=click.Choice(["shift", "affine"]),
    default="shift",
    show_default=True,
    help="How control points move the model: by one shift (1 point or more), or by an affine change (3 or more).",
)
@click.option(
    "--resampling",
    type=click.Choice(["nearest", "bilinear", "cubic", "lanczos", "average"]),
    default="bilinear",
    show_default=True,
    help="All but nearest are stretched where the output is coarser than the scene, so that nothing is left out.",
)
@click.option("--compress", type=click.Choice(["zstd", "deflate", "none"]), default="zstd", show_default=True)
@click.option("--threads", type=click.IntRange(1, 1024), metavar="N", help="[default: one for each processor]")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="OUT")
def ortho(
    *,
    src: Path,
    dem: Path,
    dem_datum: str,
    geoid: Path | None,
    crs: str | None,
    resolution: float | None,
    bounds: tuple[float, float, float, float] | None,
    resampling: str,
    compress: Literal["zstd", "deflate", "none"],
    threads: int | None,
    sensor: Path | None,
    gcps: Path | None,
    gcps_datum: str | None,
    model: Literal["shift", "affine"],
    output: Path,
) -> None:
    """Orthorectify a raw scene into a Cloud-Optimized GeoTIFF.

    The sensor model is the RPC that the vendor delivered, a file beside SRC or inside it, or what --model names.

    \b
    Examples:
      overflight ortho left.tif --dem N44E005.hgt --dem-datum EGM96 --geoid egm96_15.gtx -o out.tif
      overflight ortho left.tif --dem dem.tif --dem-datum ellipsoid --crs EPSG:32631 --resolution 0.5 \\
          --bounds 681132 4891705 683180 4893753 --resampling cubic -o out.tif
      overflight ortho left.tif --dem dem.tif --dem-datum ellipsoid --gcps points.csv --gcps-datum ellipsoid -o out.tif
    """
    if (gcps is None) != (gcps_datum is None):
        raise click.UsageError("--gcps and --gcps-datum belong together: heights of control points are never guessed")
    if output.exists() and output.samefile(src):
        raise click.UsageError(f"{output} is the scene itself; name another output")
    from pyproj import CRS

    from api.commands.progress import ProgressBars
    from processing.dem import Dem
    from processing.graph import RawRaster, orthorectify
    from processing.ground import choose_grid

    heights = Dem.open(dem, vertical_datum=dem_datum, geoid=geoid)
    raster = RawRaster.open(src, rpc=sensor)
    if gcps is not None:
        raster = replace(raster, rpc=_refined(raster.rpc, gcps, datum=str(gcps_datum), geoid=geoid, model=model))
    image = raster.image()
    grid = choose_grid(raster.rpc, (image.height, image.width), heights, crs=crs, resolution=resolution, bounds=bounds)
    with ProgressBars() as bars:
        orthorectify(
            raster=raster,
            dem=heights,
            grid=grid,
            destination=output,
            resampling=resampling,
            compress=compress,
            threads=threads,
            progress=bars,
        )
    unit = CRS.from_user_input(grid.crs).axis_info[0].unit_name
    size = f"{grid.width} × {grid.height} pixels of {abs(grid.transform[0]):g} {unit}"
    click.echo(f"{output}: {size} in {grid.crs}", err=True)


def _refined(
    rpc: "SensorModel", gcps: Path, *, datum: str, geoid: Path | None, model: Literal["shift", "affine"]
) -> "SensorModel":
    """Move a sensor model to control points, and say how well it meets those that it was not moved to."""
    from processing.control import read_control
    from processing.dem import ELLIPSOID, VerticalDatum
    from processing.refine import refine

    stands_on = VerticalDatum.of(datum, None if datum.strip().lower() == ELLIPSOID else geoid)
    found = refine(rpc, read_control(gcps, datum=stands_on), model=model)
    for name in found.rejected:
        click.echo(f"{gcps.name}: {name} contradicts the other points and is left out", err=True)
    judged = "" if found.rmse_px is None else f", {found.rmse_px:.2f} px after it (each judged without itself)"
    if found.ce90_m is not None:
        judged += f", CE90 {found.ce90_m:.2f} m"
    click.echo(f"{len(found.points)} control points: {found.rmse_before_px:.2f} px off before{judged}", err=True)
    return found.rpc

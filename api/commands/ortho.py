"""`overflight ortho`: one raw scene onto the map."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from api.commands.destination import destination
from api.commands.heights import heights_options, open_heights

if TYPE_CHECKING:
    from processing.bucket import BucketFile
    from processing.refine import Refinement
    from processing.sensor import SensorModel
    from processing.tile import Compression

EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("src", type=EXISTING, metavar="SRC")
@heights_options(required=True)
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
    "--aligned", is_flag=True, help="Let --bounds grow to multiples of the pixel size, so that neighbours fit."
)
@click.option(
    "--tms",
    metavar="NAME",
    help="Tile matrix set whose tiles the output's tiles are: WebMercatorQuad, WGS1984Quad …  [default: none]",
)
@click.option("--zoom", type=click.IntRange(0, 30), metavar="N", help="Its zoom level.  [default: the scene's own]")
@click.option(
    "--aligned-levels",
    type=click.IntRange(1, 16),
    metavar="N",
    help="Levels, full resolution and overviews, whose tiles are those of --tms.  [default: 1]",
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
@click.option(
    "--compress",
    type=click.Choice(["zstd", "deflate", "lerc", "jpeg", "webp", "none"]),
    default="zstd",
    show_default=True,
    help="jpeg (1 or 3 bands) and webp (3 bands) are for quicklooks of 8 bits; all others lose nothing.",
)
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    metavar="Q",
    help="Of jpeg and webp; webp at 100 loses nothing.  [default: 75]",
)
@click.option(
    "--max-error", type=click.FloatRange(0), metavar="E", help="Most by which lerc may change a value.  [default: 0]"
)
@click.option(
    "--mask",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write what is wrong with each pixel, too: bits for nodata (1), saturated (2), hidden by nearer terrain (4).",
)
@click.option(
    "--saturation",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="For --mask: from which number on a pixel is saturated.  [default: the largest of its type]",
)
@click.option("--threads", type=click.IntRange(1, 1024), metavar="N", help="[default: one for each processor]")
@click.option(
    "-o", "--output", callback=destination, required=True, metavar="OUT", help="A file, or s3://bucket/folder/name.tif."
)
def ortho(
    *,
    src: Path,
    dem: str,
    dem_datum: str,
    geoid: Path | None,
    fill_height: float | None,
    crs: str | None,
    resolution: float | None,
    bounds: tuple[float, float, float, float] | None,
    aligned: bool,
    tms: str | None,
    zoom: int | None,
    aligned_levels: int | None,
    resampling: str,
    compress: "Compression",
    quality: int | None,
    max_error: float | None,
    mask: Path | None,
    saturation: float | None,
    threads: int | None,
    sensor: Path | None,
    gcps: Path | None,
    gcps_datum: str | None,
    model: Literal["shift", "affine"],
    output: "Path | BucketFile",
) -> None:
    """Orthorectify a raw scene into a Cloud-Optimized GeoTIFF.

    The sensor model is the RPC that the vendor delivered, a file beside SRC or inside it, or what --model names.

    \b
    Examples:
      overflight ortho left.tif --dem N44E005.hgt --dem-datum EGM96 --geoid egm96_15.gtx -o out.tif
      overflight ortho left.tif --dem dem.tif --dem-datum ellipsoid --crs EPSG:32631 --resolution 0.5 \\
          --bounds 681132 4891705 683180 4893753 --resampling cubic -o out.tif
      overflight ortho coast.tif --dem GLO-30/ --dem-datum EGM2008 --fill-height 0 -o out.tif
      overflight ortho left.tif --dem dem.tif --dem-datum ellipsoid --tms WebMercatorQuad -o out.tif
      overflight ortho left.tif --dem dem.tif --dem-datum ellipsoid --mask faults.tif --saturation 4095 -o out.tif
      overflight ortho left.tif --dem dem.tif --dem-datum ellipsoid --gcps points.csv --gcps-datum ellipsoid -o out.tif
    """
    if (gcps is None) != (gcps_datum is None):
        raise click.UsageError("--gcps and --gcps-datum belong together: heights of control points are never guessed")
    if tms is None and (zoom is not None or aligned_levels is not None):
        raise click.UsageError("--zoom and --aligned-levels are for --tms")
    if tms is not None and (crs is not None or resolution is not None):
        raise click.UsageError("--tms brings its own CRS and resolution; leave out --crs and --resolution")
    if isinstance(output, Path) and output.exists() and output.samefile(src):
        raise click.UsageError(f"{output} is the scene itself; name another output")
    if quality is not None and compress not in ("jpeg", "webp"):
        raise click.UsageError("--quality is for --compress jpeg and webp")
    if max_error is not None and compress != "lerc":
        raise click.UsageError("--max-error is for --compress lerc")
    _check_mask(mask, saturation, src, output)
    from pyproj import CRS
    from shapely import Polygon

    from api.commands.progress import ProgressBars
    from processing.graph import RawRaster, orthorectify
    from processing.ground import choose_grid, outline

    heights = open_heights(dem, dem_datum, geoid, fill_height)
    raster = RawRaster.open(src, rpc=sensor)
    facts: tuple[tuple[str, str], ...] = ()
    if gcps is not None:
        refined = _refined(raster.rpc, gcps, datum=str(gcps_datum), geoid=geoid, model=model)
        raster = replace(raster, rpc=refined.rpc)
        facts = (("OVERFLIGHT_REFINEMENT", json.dumps({"control": gcps.name, **refined.summary()})),)
    image = raster.image()
    if fill_height is not None:
        shown = outline(raster.rpc, (image.height, image.width), heights)
        share = heights.uncovered_pct(Polygon(zip(*shown, strict=True)))
        click.echo(f"{heights.surface.path.name}: {heights.filling}: {share:.1f} % of the scene", err=True)
    shape = image.height, image.width
    if tms is None:
        grid = choose_grid(raster.rpc, shape, heights, crs=crs, resolution=resolution, bounds=bounds, aligned=aligned)
    else:
        from processing.tms import scene_tile_grid

        grid, zoom = scene_tile_grid(
            raster.rpc, shape, heights, tms=tms, zoom=zoom, bounds=bounds, aligned_levels=aligned_levels or 1
        )
    how: dict[str, Any] = {
        "raster": raster,
        "dem": heights,
        "grid": grid,
        "destination": output,
        "resampling": resampling,
        "compress": compress,
        "quality": 75 if quality is None else quality,
        "max_error": max_error or 0.0,
        "threads": threads,
        "facts": facts,
    }
    with ProgressBars() as bars:
        if mask is None:
            orthorectify(**how, progress=bars)
        else:
            from processing.judge import orthorectify_and_judge

            hidden = orthorectify_and_judge(**how, mask=mask, saturation=saturation, progress=bars).occluded_share
            click.echo(f"{mask}: {100 * (hidden or 0):.2g} % of what is shown hidden by nearer terrain", err=True)
    unit = CRS.from_user_input(grid.crs).axis_info[0].unit_name
    size = f"{grid.width} × {grid.height} pixels of {abs(grid.transform[0]):g} {unit}"
    level = "" if tms is None else f", zoom level {zoom} of {tms}"
    click.echo(f"{output}: {size} in {grid.crs}{level}", err=True)


def _check_mask(mask: Path | None, saturation: float | None, src: Path, output: "Path | BucketFile") -> None:
    if mask is None:
        if saturation is not None:
            raise click.UsageError("--saturation is for --mask")
        return
    if not isinstance(output, Path):
        raise click.UsageError("--mask goes with an output that is a file, not with a bucket")
    if mask.resolve() in (src.resolve(), output.resolve()):
        raise click.UsageError(f"{mask} is the scene or the output; name another mask")


def _refined(
    rpc: "SensorModel", gcps: Path, *, datum: str, geoid: Path | None, model: Literal["shift", "affine"]
) -> "Refinement":
    """Move a sensor model to control points, and say how well it meets those that it was not moved to."""
    from processing.control import read_control
    from processing.datum import ELLIPSOID, VerticalDatum
    from processing.refine import refine

    stands_on = VerticalDatum.of(datum, None if datum.strip().lower() == ELLIPSOID else geoid)
    found = refine(rpc, read_control(gcps, datum=stands_on), model=model)
    for name in found.rejected:
        click.echo(f"{gcps.name}: {name} contradicts the other points and is left out", err=True)
    judged = "" if found.rmse_px is None else f", {found.rmse_px:.2f} px after it (each judged without itself)"
    if found.ce90_m is not None:
        judged += f", CE90 {found.ce90_m:.2f} m"
    click.echo(f"{len(found.points)} control points: {found.rmse_before_px:.2f} px off before{judged}", err=True)
    return found

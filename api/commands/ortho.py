"""`overflight ortho`: one raw scene onto the map."""

from pathlib import Path
from typing import Literal

import click

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
    "--rpc",
    type=EXISTING,
    metavar="FILE",
    help="The sensor model, in any format of docs/sensor-models.md.  [default: the one beside SRC or inside it]",
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
    rpc: Path | None,
    output: Path,
) -> None:
    """Orthorectify a raw scene into a Cloud-Optimized GeoTIFF.

    The sensor model is the RPC that the vendor delivered: a file beside SRC, or inside it.

    \b
    Examples:
      overflight ortho left.tif --dem N44E005.hgt --dem-datum EGM96 --geoid egm96_15.gtx -o out.tif
      overflight ortho left.tif --dem dem.tif --dem-datum ellipsoid --crs EPSG:32631 --resolution 0.5 \\
          --bounds 681132 4891705 683180 4893753 --resampling cubic -o out.tif
    """
    if output.exists() and output.samefile(src):
        raise click.UsageError(f"{output} is the scene itself; name another output")
    from pyproj import CRS

    from api.commands.progress import ProgressBars
    from processing.dem import Dem
    from processing.graph import RawRaster, orthorectify
    from processing.ground import choose_grid

    heights = Dem.open(dem, vertical_datum=dem_datum, geoid=geoid)
    raster = RawRaster.open(src, rpc=rpc)
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

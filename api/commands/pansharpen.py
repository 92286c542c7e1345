"""`overflight pansharpen`: the colours of a coarse image on the pixels of a sharp one."""

from pathlib import Path
from typing import Literal

import click

from api.commands.heights import heights_options, open_heights
from api.commands.ortho import EXISTING


@click.command()
@click.argument("pan", type=EXISTING, metavar="PAN")
@click.argument("bands", type=EXISTING, metavar="BANDS")
@click.option(
    "--method",
    type=click.Choice(["brovey", "glp-hpm", "glp-cbd"]),
    default="glp-hpm",
    show_default=True,
    help="brovey keeps the colours' angles; glp-hpm and glp-cbd add only the detail that the bands lack.",
)
@click.option(
    "--weights",
    metavar="W,…",
    help="Of each band in the pan, for brovey.  [default: fitted to the whole scene]",
)
@heights_options(required=False, of="both images, which are raw then and become orthoimages")
@click.option("--crs", metavar="EPSG:n", help="CRS of the output of raw images.  [default: the scene's UTM zone]")
@click.option(
    "--resolution", type=float, metavar="R", help="Pixel size of the output of raw images.  [default: the pan's own]"
)
@click.option("--resampling", type=click.Choice(["bilinear", "cubic"]), default="cubic", show_default=True)
@click.option("--compress", type=click.Choice(["zstd", "deflate", "none"]), default="zstd", show_default=True)
@click.option("--threads", type=click.IntRange(1, 1024), metavar="N", help="[default: one for each processor]")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="OUT")
def pansharpen(
    *,
    pan: Path,
    bands: Path,
    method: str,
    weights: str | None,
    dem: str | None,
    dem_datum: str | None,
    geoid: Path | None,
    fill_height: float | None,
    crs: str | None,
    resolution: float | None,
    resampling: str,
    compress: Literal["zstd", "deflate", "none"],
    threads: int | None,
    output: Path,
) -> None:
    """Sharpen orthorectified BANDS by an orthorectified panchromatic image PAN of the same CRS.

    With --dem both are raw, each with its own sensor model: they are orthorectified and sharpened at once.

    \b
    Examples:
      overflight pansharpen pan.tif multispectral.tif -o sharp.tif
      overflight pansharpen pan.tif multispectral.tif --method brovey --weights 0.2,0.3,0.3,0.2 -o sharp.tif
      overflight pansharpen raw-p.tif raw-ms.tif --dem dem.tif --dem-datum ellipsoid -o sharp-ortho.tif
    """
    if output.exists() and (output.samefile(pan) or output.samefile(bands)):
        raise click.UsageError(f"{output} is one of the images themselves; name another output")
    if weights is not None and method != "brovey":
        raise click.UsageError("--weights are for --method brovey; the others take theirs from the scene")
    try:
        given = tuple(float(part) for part in weights.split(",")) if weights else ()
    except ValueError:
        raise click.UsageError(
            f"--weights: {weights!r} are no numbers; give one a band, as 0.25,0.25,0.25,0.25"
        ) from None
    if (dem is None) != (dem_datum is None):
        raise click.UsageError("--dem and --dem-datum belong together: heights are never guessed")
    if dem is None and any(option is not None for option in (geoid, fill_height, crs, resolution)):
        raise click.UsageError("--geoid, --fill-height, --crs and --resolution are for raw images; give --dem as well")
    from api.commands.progress import ProgressBars
    from processing.pansharpen import pansharpen as sharpen
    from processing.pansharpen import pansharpen_raw
    from processing.sharpen import Recipe

    recipe = Recipe(method=method, resampling=resampling, weights=given, offsets=(0.0,) if given else ())
    with ProgressBars() as bars:
        if dem is None:
            made = sharpen(pan, bands, output, recipe=recipe, compress=compress, threads=threads, progress=bars)
        else:
            from processing.graph import RawRaster
            from processing.ground import choose_grid

            heights = open_heights(dem, str(dem_datum), geoid, fill_height)
            raw = RawRaster.open(pan)
            image = raw.image()
            made = pansharpen_raw(
                raw,
                RawRaster.open(bands),
                heights,
                output,
                grid=choose_grid(raw.rpc, (image.height, image.width), heights, crs=crs, resolution=resolution),
                recipe=recipe,
                resampling=resampling,
                compress=compress,
                threads=threads,
                progress=bars,
            )
    size = f"{made.profile.width} × {made.profile.height} pixels, {made.profile.bands} bands"
    click.echo(f"{output}: {size} by {method}", err=True)
